//! The zipedit function in a local cloud: this program itself, or a `bootstrap` file.
//!
//! The local cloud starts functions as processes that speak the Lambda Runtime API. This program holds the same code
//! as the released `bootstrap`, in the same runtime loop, so it can play that part itself.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use local_cloud::{Builder, BuiltinFunction, LocalCloud};

use crate::args::env::STORE_CHECK;
use crate::error::{Error, Result};
use crate::via::DEFAULT_FUNCTION;

/// The hidden verb under which this program is the function's process.
const VERB: &str = "__bootstrap";

/// Serves the Runtime API that the environment names until the process is ended.
pub(crate) fn serve_zipedit() -> ExitCode {
    zipedit_lambda::run()
}

/// A local cloud with the function. It heeds preconditions: its functions need not ask.
pub(super) fn cloud(function: BuiltinFunction) -> Builder {
    LocalCloud::builder().function(function).function_environment(STORE_CHECK, "off")
}

/// The function for a local cloud. `file`: a `bootstrap` to run instead of this program.
pub(super) fn function(file: Option<&Path>) -> Result<BuiltinFunction> {
    let command: Vec<OsString> = match file {
        Some(file) => {
            let file = std::path::absolute(file).map_err(|error| Error::file("find", file, &error))?;
            if !file.is_file() {
                return Err(Error::usage(format!("there is no file `{}`", file.display()))
                    .hint("build it with `cargo build --profile lambda -p zipedit-lambda`"));
            }
            vec![file.into()]
        }
        None => {
            let program = std::env::current_exe()
                .map_err(|error| Error::new("File", "could not find this program's own file").because(&error))?;
            vec![program.into(), VERB.into()]
        }
    };
    Ok(BuiltinFunction::new(DEFAULT_FUNCTION, command))
}
