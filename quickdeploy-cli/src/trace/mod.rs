//! Which files of an artifact a function's handler can load.
//!
//! From the handler's own file on, imports are followed through the names in the artifact, as the runtime would:
//! [`javascript`] and [`python`] say what a source file loads, [`node`] and [`python_modules`] which file that is,
//! [`reach`] walks. Nothing here reads a disk or a network: names and contents are given.
//!
//! The answer errs on one side. What may be loaded counts as loaded: every branch, every candidate, every file that a
//! text in the code could mean. And where a file loads what only a run could tell, the handler *may reach everything*
//! (`Unbounded`), with the place in the code as the reason. The other side of that bargain: a function that is said
//! not to reach a file does not load it as code. Whether it reads the file as data can't be told from imports; that is
//! for [`crate::affected`] to judge.

mod facts;
mod javascript;
mod node;
mod python;
mod python_modules;
mod reach;
pub(crate) mod syntax;
mod threads;
mod tree;

pub(crate) use reach::{Entrance, LOADING_VARIABLES, Reach, Tracer};
pub(crate) use tree::Tree;

/// The contents of an artifact's files.
pub(crate) trait Contents: Send + Sync {
    /// Of the entry with this name; `None` when it is not at hand.
    fn read(&self, name: &str) -> Option<Vec<u8>>;
}

/// Whether a file with this name is source code that can be told to be a module by following imports.
pub(crate) fn is_code(name: &str) -> bool {
    javascript::source_type(name).is_some() || python::is_source(name)
}

#[cfg(test)]
mod tests;
