//! What the end-to-end tests share: the local cloud with clients, archives of real size, our binaries, other people's
//! programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

pub mod archives;
pub mod binaries;
pub mod cli;
pub mod cloud;
pub mod programs;
pub mod site;
