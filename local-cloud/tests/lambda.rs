//! Lambda as clients of the SDK see it: real requests over loopback, functions that are really run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "lambda_it/deployment.rs"]
mod deployment;
#[path = "lambda_it/errors.rs"]
mod errors;
#[path = "lambda_it/function_logs.rs"]
mod function_logs;
#[path = "lambda_it/invocation.rs"]
mod invocation;
#[path = "lambda_it/languages.rs"]
mod languages;
#[path = "lambda_it/layers.rs"]
mod layers;
#[path = "lambda_it/support.rs"]
mod support;
