//! The same truth everywhere: the real programs against other people's S3, Lambda and CloudFormation.
//!
//! Each test starts an implementation of its own, as `tests/peers/README.md` describes, and skips with a word where that
//! is not installed. What they get wrong, by AWS's documentation, is listed there; nothing here leans on it.

mod edits;
mod installation;
mod localstack;
mod ministack;
mod moto;
mod project;
mod server;

pub(crate) use installation::{LOCALSTACK, MINISTACK, MOTO};
pub(crate) use server::Server;
