//! The program as its users start it: a process with arguments, in a directory, against a local cloud.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod affected;
mod bootstrap;
mod compile;
mod demo;
mod deploy;
mod diff;
mod doctor;
mod failures;
mod full;
mod full_codebuild;
mod full_confirm;
mod full_express;
mod full_nested;
mod full_refused;
mod full_roles;
mod full_stack;
mod full_together;
mod history;
mod init;
mod interrupts;
mod invoke;
mod local;
mod logs;
mod patch;
mod race;
mod rollback;
mod schema;
mod several;
mod status;
mod store_check;
mod terminal;
mod watch;
mod watch_check;
mod watch_compile;
mod world;
