//! `archive INPUT OUT.zip`: writes the archive that a fuzzer's input stands for.
use std::io::{Error, Result};

fn main() -> Result<()> {
    let mut files = std::env::args_os().skip(1);
    let (Some(input), Some(output)) = (files.next(), files.next()) else {
        return Err(Error::other("give an input of the fuzzer and a file to write"));
    };
    std::fs::write(output, fuzz_bodies::archive_of(&std::fs::read(input)?))
}
