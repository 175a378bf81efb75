//! What the editing engine promises, tested against independent readers of zip archives and a plain model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod archive;
#[cfg(unix)]
mod boundaries;
mod corpus;
mod extract;
mod file_store;
mod hostile;
mod model;
mod names;
mod preservation;
mod refusals;
