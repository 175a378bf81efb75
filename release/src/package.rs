//! `bootstrap.zip`: one entry, the executable.
//!
//! The same executable gives the same bytes: the time is 1980-01-01, the mode 0755, the compression fixed. A zip that
//! didn't change is thus recognised by its hash, and CloudFormation is not told of new code when there is none.

use std::io::{Cursor, Read as _, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipArchive, ZipWriter};

use crate::{Architecture, Error, Executable};

/// Name of the entry that the runtime `provided.al2023` starts.
pub const ENTRY: &str = "bootstrap";

/// Any of these bits lets somebody execute a file.
const EXECUTABLE: u32 = 0o111;

/// The most that a function's code may have, unzipped, in bytes:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const UNZIPPED_LIMIT: u64 = 262_144_000;

/// The zip with `executable` in it.
///
/// # Errors
/// Only those of the zip writer, which has nothing but memory to fail on.
pub fn zipped(executable: &[u8]) -> Result<Vec<u8>, Error> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::DEFAULT)
        .system(System::Unix)
        .unix_permissions(0o755);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(ENTRY, options)?;
    zip.write_all(executable).map_err(zip::result::ZipError::Io)?;
    Ok(zip.finish()?.into_inner())
}

/// The `bootstrap` of a zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// What it asks for.
    pub executable: Executable,
    /// Its length in bytes, unzipped.
    pub size: u64,
}

impl Bootstrap {
    /// Reads a zip and makes sure that Lambda can run what is in it, with this architecture if one is given.
    ///
    /// # Errors
    /// [`Error`]: every way in which it may be wrong.
    pub fn read(zip: &[u8], wanted: Option<Architecture>) -> Result<Self, Error> {
        let mut archive = ZipArchive::new(Cursor::new(zip))?;
        let entry = match archive.by_name(ENTRY) {
            Ok(entry) => entry,
            Err(zip::result::ZipError::FileNotFound) => return Err(Error::NoBootstrap),
            Err(error) => return Err(error.into()),
        };
        // Made on a system without permissions, an entry has none, and Lambda takes it for 0644.
        let mode = entry.unix_mode().unwrap_or(0o644) & 0o7777;
        if mode & EXECUTABLE == 0 {
            return Err(Error::NotPermitted { mode });
        }
        let mut file = Vec::new();
        entry.take(UNZIPPED_LIMIT).read_to_end(&mut file).map_err(zip::result::ZipError::Io)?;
        let executable = Executable::read(&file)?;
        executable.check(wanted)?;
        Ok(Self { executable, size: file.len() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::{for_machine, real_executable};

    fn zip_with(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file(name, SimpleFileOptions::default().unix_permissions(mode)).unwrap();
        zip.write_all(content).unwrap();
        zip.finish().unwrap().into_inner()
    }

    /// With the architecture of this machine: the test's executable is linked for it.
    fn arm() -> Vec<u8> {
        for_machine(real_executable(), object::elf::EM_AARCH64)
    }

    #[test]
    fn the_same_executable_gives_the_same_bytes() {
        // The clock, which would tell them apart, is kept out: see the next test.
        let executable = real_executable();
        assert_eq!(zipped(&executable).unwrap(), zipped(&executable).unwrap());
    }

    #[test]
    fn it_holds_one_executable_file_of_1980() {
        let zip = zipped(b"\x7fELF").unwrap();
        let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
        assert_eq!(archive.len(), 1);
        let mut entry = archive.by_index(0).unwrap();
        assert_eq!((entry.name().unwrap().as_ref(), entry.unix_mode()), (ENTRY, Some(0o100_755)));
        assert_eq!(entry.last_modified().map(|time| time.year()), Some(1980));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!(content, b"\x7fELF");
    }

    #[test]
    fn what_was_zipped_is_read_again() {
        let read = Bootstrap::read(&zipped(&arm()).unwrap(), Some(Architecture::Arm64));
        // The machine that runs this test may have a newer glibc than Lambda.
        match read {
            Ok(bootstrap) => assert_eq!(bootstrap.size, arm().len() as u64),
            Err(error) => assert!(matches!(error, Error::NewerGlibc { .. }), "{error}"),
        }
    }

    #[test]
    fn each_way_to_be_wrong_has_its_own_words() {
        let said = |zip: &[u8], wanted| Bootstrap::read(zip, wanted).unwrap_err().to_string();
        assert!(said(b"PK", None).starts_with("it is not a readable zip archive"));
        assert_eq!(said(&zip_with("bin/bootstrap", 0o755, b""), None), "it has no file `bootstrap` at its root");
        let not_permitted = said(&zip_with(ENTRY, 0o644, &arm()), None);
        assert_eq!(not_permitted, "its `bootstrap` has the mode 0644, so Lambda may not execute it; 0755 is wanted");
        assert!(said(&zip_with(ENTRY, 0o755, b"#!/bin/sh"), None).starts_with("`bootstrap` is no Linux executable"));
        let other = said(&zip_with(ENTRY, 0o755, &arm()), Some(Architecture::X86_64));
        assert_eq!(other, "`bootstrap` is for arm64, not for x86_64");
    }
}
