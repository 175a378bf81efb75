//! The function's code: found beside this program, and read before it is believed.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use release::{Architecture, Bootstrap};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// How a release is made.
const HOW_TO_MAKE: &str = "make it in a checkout of QuickDeploy: `cargo run --locked -p release -- --bootstrap-only`";

/// A `bootstrap.zip` that Lambda can run.
#[derive(Clone, Debug)]
pub(super) struct Zip {
    pub(super) path: PathBuf,
    pub(super) bytes: Bytes,
    /// In hexadecimal.
    pub(super) sha256: String,
    bootstrap: Bootstrap,
}

impl Zip {
    /// Reads `file`, or the zip of a release: for `wanted`, else for arm64 where there is one, which is cheaper to run,
    /// else for x86_64.
    ///
    /// # Errors
    ///
    /// `NoBootstrap`: there is none; `WrongBootstrap`: Lambda couldn't run it.
    pub(super) fn find(file: Option<&Path>, wanted: Option<Architecture>) -> Result<Self> {
        if let Some(file) = file {
            return Self::read(file, wanted);
        }
        let places = places();
        let architectures = match wanted {
            Some(architecture) => vec![architecture],
            None => vec![Architecture::Arm64, Architecture::X86_64],
        };
        let candidates = architectures.iter().flat_map(|architecture| {
            let name = architecture.file_name();
            places.iter().map(move |place| (*architecture, place.join(&name)))
        });
        for (architecture, file) in candidates {
            if file.is_file() {
                return Self::read(&file, Some(architecture));
            }
        }
        let names: Vec<String> = architectures.iter().map(|architecture| architecture.file_name()).collect();
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        Err(Error::new("NoBootstrap", format!("there is no {} in {}", names.join(" or "), places.join(", ")))
            .hint("name the file: `--zip FILE`; a release has it beside this program")
            .hint(HOW_TO_MAKE))
    }

    fn read(path: &Path, wanted: Option<Architecture>) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, &error).hint(HOW_TO_MAKE))?;
        let bootstrap = Bootstrap::read(&bytes, wanted).map_err(|error| {
            Error::new("WrongBootstrap", format!("Lambda couldn't run {}", path.display()))
                .because(&error)
                .hint(HOW_TO_MAKE)
        })?;
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { path: path.to_owned(), bytes: bytes.into(), sha256, bootstrap })
    }

    pub(super) fn architecture(&self) -> Architecture {
        self.bootstrap.executable.architecture
    }

    /// Its key in the bucket. Another content has another key.
    pub(super) fn key(&self) -> String {
        format!("quickdeploy/zipedit-{}.zip", &self.sha256[..16])
    }

    /// `x86_64, glibc 2.34`.
    pub(super) fn described(&self) -> String {
        match self.bootstrap.executable.glibc {
            Some(glibc) => format!("{}, glibc {glibc}", self.architecture()),
            None => format!("{}, linked statically", self.architecture()),
        }
    }
}

/// Where a release's files may be: beside the program, in `dist` beside its directory, and in `dist` of the checkout
/// that it was built in (`target/release/quickdeploy`).
fn places() -> Vec<PathBuf> {
    let program = std::env::current_exe().and_then(|program| program.canonicalize()).unwrap_or_default();
    let Some(directory) = program.parent() else { return Vec::new() };
    let mut places = vec![directory.to_owned()];
    places.extend(directory.parent().map(|above| above.join("dist")));
    if let Some(target) = directory.parent().filter(|above| above.file_name().is_some_and(|name| name == "target")) {
        places.extend(target.parent().map(|checkout| checkout.join("dist")));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_lambda_could_not_run_is_refused_with_the_reason_and_the_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bootstrap.zip");
        std::fs::write(&file, release::zipped(b"#!/bin/sh\n").unwrap()).unwrap();
        let error = Zip::find(Some(&file), None).unwrap_err();
        assert_eq!(error.error_type(), "WrongBootstrap");
        assert!(error.causes()[0].contains("no Linux executable"), "{:?}", error.causes());
        assert!(error.hints()[0].contains("-p release"), "{:?}", error.hints());
    }

    #[test]
    fn a_missing_zip_is_told_with_the_places_that_were_looked_at() {
        let error = Zip::find(None, Some(Architecture::Arm64)).map(|zip| zip.path);
        // In a checkout where a release was built, it is found.
        if let Err(error) = error {
            assert_eq!(error.error_type(), "NoBootstrap");
            assert!(error.message().contains("bootstrap-arm64.zip in /"), "{}", error.message());
        }
    }
}
