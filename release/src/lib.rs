//! What is released: `bootstrap-ARCHITECTURE.zip`, the code of the zipedit function, and the command `quickdeploy`
//! beside it.
//!
//! `cargo run -p release` builds both (see `main.rs`). The library is what has to be true of such a zip, for whoever
//! makes one, deploys one or tests one: it holds an executable named `bootstrap`, for one of Lambda's two architectures,
//! that starts with the C library of `provided.al2023`. Neither Lambda nor CloudFormation looks: a zip that is wrong is
//! accepted, and every invocation of the function fails.
//!
//! - [`Executable`]: architecture and C library that an ELF file asks for, read from the file itself, so that no
//!   `readelf` has to be there.
//! - [`zipped`], [`Bootstrap::read`]: the zip, written and read.

mod elf;
mod package;

pub use elf::{Architecture, Executable, Glibc};
pub use package::{Bootstrap, ENTRY, zipped};

/// The C library of `provided.al2023`, as Amazon Linux 2023 has it:
/// <https://docs.aws.amazon.com/linux/al2023/ug/core-glibc.html>.
pub const LAMBDA_GLIBC: Glibc = Glibc { major: 2, minor: 34 };

/// Why something is not a `bootstrap` for Lambda.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not an ELF executable of Linux, or a damaged one.
    #[error("`bootstrap` is no Linux executable: {reason}")]
    NotExecutable {
        /// What is wrong with it.
        reason: String,
    },
    /// Lambda has no such machine.
    #[error("`bootstrap` is for a machine that Lambda doesn't have (ELF machine {machine}); it has x86_64 and arm64")]
    UnknownMachine {
        /// ELF's number of the machine.
        machine: u16,
    },
    /// It is for the other architecture.
    #[error("`bootstrap` is for {found}, not for {wanted}")]
    OtherArchitecture {
        /// What was asked for.
        wanted: Architecture,
        /// What it was built for.
        found: Architecture,
    },
    /// It needs a newer C library than the function would find.
    #[error("`bootstrap` needs glibc {found}, but Lambda's provided.al2023 has {}", LAMBDA_GLIBC)]
    NewerGlibc {
        /// What it needs.
        found: Glibc,
    },
    /// It needs something of the C library that no list of versions tells of.
    #[error("`bootstrap` needs {symbols} of glibc, and provided.al2023 may not have it")]
    UnknownGlibc {
        /// The name of the need, such as `GLIBC_PRIVATE`.
        symbols: String,
    },
    /// The archive can't be read.
    #[error("it is not a readable zip archive: {0}")]
    NotAZip(#[from] zip::result::ZipError),
    /// The archive has no such entry at its root.
    #[error("it has no file `bootstrap` at its root")]
    NoBootstrap,
    /// The entry lacks the permission to be executed.
    #[error("its `bootstrap` has the mode {mode:04o}, so Lambda may not execute it; 0755 is wanted")]
    NotPermitted {
        /// The permissions of the entry.
        mode: u32,
    },
}
