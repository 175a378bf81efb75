//! `bootstrap`: the executable that Lambda starts for a function with a `provided` runtime.

use std::process::ExitCode;

fn main() -> ExitCode {
    zipedit_lambda::run()
}
