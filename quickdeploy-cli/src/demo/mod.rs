//! What the demo needs to show a project being deployed: a copy of it, its handlers, and an edit of one of them.
//!
//! The story itself is told by the verb.

mod copy;
mod edit;
mod example;
mod handlers;
mod stage;
mod traffic;

pub(crate) use copy::copy_project;
pub(crate) use edit::Edit;
pub(crate) use example::{Example, write_example};
#[cfg(test)]
pub(crate) use handlers::Language;
pub(crate) use handlers::{Handler, find_handlers};
pub(crate) use stage::{Answer, Stage};
pub(crate) use traffic::Traffic;
