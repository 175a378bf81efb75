//! End to end: the engine, the Lambda and the CLI against S3 and Lambda over real HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod accounting;
mod bootstrap;
mod carried_over;
mod conformance;
mod faults;
mod fleet;
mod ide_backend;
mod lambda_contract;
mod limits;
mod original;
mod other_writers;
mod peers;
mod permissions;
mod probe;
mod readers;
mod schemas;
mod semantics;
mod strategies;
mod versions;
mod writers;
mod zipedit_stack;
