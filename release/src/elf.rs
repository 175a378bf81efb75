//! What an ELF file asks of the machine that is to run it.
//!
//! A dynamically linked file lists the versions of symbols that it takes from each library in `.gnu.version_r`: the
//! loader refuses to start it when a library lacks one of them. The highest `GLIBC_x.y` is thus the oldest C library that
//! it starts with. A file without an interpreter is linked statically and needs no library at all.

use std::fmt;
use std::str::FromStr;

use object::Endianness;
use object::elf::{EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64};
use object::read::StringTable;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use crate::{Error, LAMBDA_GLIBC};

/// One of Lambda's instruction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    /// 64-bit Intel and AMD.
    X86_64,
    /// 64-bit ARM: Graviton.
    Arm64,
}

impl Architecture {
    /// Both.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Arm64];

    /// Lambda's name of it: `x86_64`, `arm64`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's name of the target that is built for it.
    #[must_use]
    pub const fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The file that a release has for it: `bootstrap-x86_64.zip`.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("bootstrap-{self}.zip")
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Architecture {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|architecture| architecture.name() == name);
        found.ok_or_else(|| format!("`{name}` is not one of Lambda's architectures: x86_64, arm64"))
    }
}

/// A version of the GNU C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc {
    /// 2, for the past decades.
    pub major: u32,
    /// The release.
    pub minor: u32,
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Glibc {
    /// The version behind a need such as `GLIBC_2.34` or `GLIBC_2.2.5`.
    fn of_symbols(name: &str) -> Option<Self> {
        // Not symbols but a way to store relocations; glibc 2.36 was the first to understand it.
        if name == "GLIBC_ABI_DT_RELR" {
            return Some(Self { major: 2, minor: 36 });
        }
        let mut numbers = name.strip_prefix(PREFIX)?.split('.').map(str::parse);
        Some(Self { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
    }
}

/// What all needs of glibc begin with.
const PREFIX: &str = "GLIBC_";

/// What an executable asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executable {
    /// The machine.
    pub architecture: Architecture,
    /// The oldest C library it starts with. `None`: it is linked statically.
    pub glibc: Option<Glibc>,
}

type Header = FileHeader64<Endianness>;

impl Executable {
    /// Reads it from the bytes of an ELF file.
    ///
    /// # Errors
    /// [`Error::NotExecutable`], [`Error::UnknownMachine`], [`Error::UnknownGlibc`].
    pub fn read(file: &[u8]) -> Result<Self, Error> {
        let header = Header::parse(file).map_err(damaged)?;
        let endian = header.endian().map_err(damaged)?;
        if !matches!(header.e_type(endian), ET_EXEC | ET_DYN) {
            return Err(Error::NotExecutable { reason: "it has still to be linked".to_owned() });
        }
        let architecture = match header.e_machine(endian) {
            EM_X86_64 => Architecture::X86_64,
            EM_AARCH64 => Architecture::Arm64,
            machine => return Err(Error::UnknownMachine { machine }),
        };
        let segments = header.program_headers(endian, file).map_err(damaged)?;
        let mut interpreted = false;
        for segment in segments {
            interpreted |= segment.interpreter(endian, file).map_err(damaged)?.is_some();
        }
        if !interpreted {
            return Ok(Self { architecture, glibc: None });
        }
        let glibc = newest_glibc(header, endian, file)?;
        // An executable that was linked to glibc lists at least one version of it.
        let glibc = glibc.ok_or_else(|| Error::NotExecutable {
            reason: "it is dynamically linked but doesn't say which glibc it needs".to_owned(),
        })?;
        Ok(Self { architecture, glibc: Some(glibc) })
    }

    /// Whether Lambda can run it, with this architecture if one is given.
    ///
    /// # Errors
    /// [`Error::OtherArchitecture`], [`Error::NewerGlibc`].
    pub fn check(&self, wanted: Option<Architecture>) -> Result<(), Error> {
        if let Some(wanted) = wanted.filter(|&wanted| wanted != self.architecture) {
            return Err(Error::OtherArchitecture { wanted, found: self.architecture });
        }
        match self.glibc {
            Some(found) if found > LAMBDA_GLIBC => Err(Error::NewerGlibc { found }),
            _ => Ok(()),
        }
    }
}

/// The highest version of glibc among the needs of the file.
fn newest_glibc(header: &Header, endian: Endianness, file: &[u8]) -> Result<Option<Glibc>, Error> {
    let sections = header.sections(endian, file).map_err(damaged)?;
    let Some((mut libraries, strings)) = sections.gnu_verneed(endian, file).map_err(damaged)? else {
        return Ok(None);
    };
    let strings: StringTable<'_> = sections.strings(endian, file, strings).map_err(damaged)?;
    let mut newest = None;
    while let Some((_, mut needs)) = libraries.next().map_err(damaged)? {
        while let Some(need) = needs.next().map_err(damaged)? {
            let name = String::from_utf8_lossy(need.name(endian, strings).map_err(damaged)?).into_owned();
            if !name.starts_with(PREFIX) {
                continue; // `GCC_3.0` of libgcc_s and the like
            }
            let version = Glibc::of_symbols(&name).ok_or(Error::UnknownGlibc { symbols: name })?;
            newest = newest.max(Some(version));
        }
    }
    Ok(newest)
}

fn damaged(error: object::Error) -> Error {
    Error::NotExecutable { reason: error.to_string() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// This test's own executable: a real one, linked against the glibc of the machine.
    pub(crate) fn real_executable() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    /// The executable with another text in place of each `GLIBC_…` of one version, of the same length.
    pub(crate) fn with_need(mut file: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let (from, to) = (format!("{from}\0"), format!("{to}\0"));
        let mut at = 0;
        while let Some(found) = file[at..].windows(from.len()).position(|bytes| bytes == from.as_bytes()) {
            file[at + found..at + found + to.len()].copy_from_slice(to.as_bytes());
            at += found + to.len();
        }
        file
    }

    /// The same, said to be for another machine.
    pub(crate) fn for_machine(mut file: Vec<u8>, machine: u16) -> Vec<u8> {
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file
    }

    /// Name of the newest need of a file, as it stands in it.
    fn newest_need(file: &[u8]) -> String {
        format!("{PREFIX}{}", Executable::read(file).unwrap().glibc.unwrap())
    }

    #[test]
    fn the_needs_are_those_that_readelf_shows() {
        let readelf = std::process::Command::new("readelf").arg("-V").arg(std::env::current_exe().unwrap()).output();
        let Ok(output) = readelf else {
            eprintln!("skipped: there is no readelf");
            return;
        };
        let shown = String::from_utf8(output.stdout).unwrap();
        let needs = shown.split_whitespace().filter_map(Glibc::of_symbols).max();
        assert_eq!(Executable::read(&real_executable()).unwrap().glibc, needs);
    }

    #[test]
    fn a_need_of_a_newer_glibc_is_found_and_refused() {
        let file = real_executable();
        let file = with_need(file.clone(), &newest_need(&file), "GLIBC_2.39");
        let executable = Executable::read(&file).unwrap();
        assert_eq!(executable.glibc, Some(Glibc { major: 2, minor: 39 }));
        let refused = executable.check(None).unwrap_err().to_string();
        assert_eq!(refused, "`bootstrap` needs glibc 2.39, but Lambda's provided.al2023 has 2.34");
    }

    #[test]
    fn the_glibc_of_lambda_itself_is_good_enough() {
        let at = |minor| Executable { architecture: Architecture::X86_64, glibc: Some(Glibc { major: 2, minor }) };
        assert!(at(34).check(Some(Architecture::X86_64)).is_ok());
        assert!(at(17).check(None).is_ok());
        assert!(at(35).check(None).is_err());
        assert!(Executable { architecture: Architecture::Arm64, glibc: None }.check(None).is_ok());
    }

    #[test]
    fn versions_compare_as_numbers_and_some_needs_have_none() {
        assert_eq!(Glibc::of_symbols("GLIBC_2.2.5"), Some(Glibc { major: 2, minor: 2 }));
        assert!(Glibc::of_symbols("GLIBC_2.4") < Glibc::of_symbols("GLIBC_2.34"));
        // It would not start on glibc 2.34, though no symbol of a newer one is used.
        assert!(Glibc::of_symbols("GLIBC_ABI_DT_RELR") > Some(LAMBDA_GLIBC));
        assert_eq!(Glibc::of_symbols("GLIBC_PRIVATE"), None);
        assert_eq!(Glibc::of_symbols("GCC_3.0"), None);
    }

    #[test]
    fn a_need_that_no_release_of_glibc_promises_is_refused() {
        let file = real_executable();
        let newest = newest_need(&file);
        let file = with_need(file, &newest, &format!("{PREFIX}{}", "X".repeat(newest.len() - PREFIX.len())));
        assert!(matches!(Executable::read(&file), Err(Error::UnknownGlibc { .. })));
    }

    #[test]
    fn the_machine_is_one_of_lambdas() {
        let arm = Executable::read(&for_machine(real_executable(), EM_AARCH64)).unwrap();
        assert_eq!(arm.architecture, Architecture::Arm64);
        let refused = arm.check(Some(Architecture::X86_64)).unwrap_err().to_string();
        assert_eq!(refused, "`bootstrap` is for arm64, not for x86_64");
        let riscv = Executable::read(&for_machine(real_executable(), 243));
        assert!(matches!(riscv, Err(Error::UnknownMachine { machine: 243 })));
    }

    #[test]
    fn what_is_no_executable_is_refused_wherever_it_is_cut() {
        assert!(matches!(Executable::read(b"#!/bin/sh\n"), Err(Error::NotExecutable { .. })));
        assert!(matches!(Executable::read(b""), Err(Error::NotExecutable { .. })));
        let whole = real_executable();
        for length in [16, 64, 200, 4096, whole.len() / 2, whole.len() - 64] {
            assert!(matches!(Executable::read(&whole[..length]), Err(Error::NotExecutable { .. })), "{length}");
        }
    }
}
