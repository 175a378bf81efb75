//! Finding and parsing the central directory, given as much of the object's end as it asks for.

use zipedit::directory::Search;
use zipedit::{Directory, FormatError};

use crate::made::{EDGES, Made};

/// An archive, read from its end as [`zipedit::open`] does: a refusal, or a directory that keeps its promises.
pub fn run(data: &[u8]) -> bool {
    let Made { archive, mut choices, .. } = Made::of(data);
    // What stands before the bytes that there are; nobody reads it unless the archive's directory is said to be there.
    let front = choices.pick(&[0, 0, 0, 1 << 20, EDGES[11], EDGES[12], 1 << 60]);
    let size = front + archive.len() as u64;
    // Shorter than whoever reads an archive takes it, so that small archives have something before it, too; an end record
    // can then be missed that the whole archive shows.
    let mut from = archive.len() - (22 + choices.below(200)).min(archive.len());
    loop {
        match Directory::find(&archive.slice(from..), size) {
            Ok(Search::ReadFrom(at)) => {
                assert!(at < front + from as u64, "it asks for what it has");
                match at.checked_sub(front) {
                    Some(at) => from = usize::try_from(at).unwrap(),
                    None => break,
                }
            }
            Ok(Search::Found(directory)) => {
                holds(&directory, size);
                break;
            }
            Err(_) => break,
        }
    }
    match Directory::find(&archive, size) {
        Ok(Search::ReadFrom(at)) => {
            assert!(at < front, "it asks for what it has");
            false
        }
        Ok(Search::Found(directory)) => {
            holds(&directory, size);
            true
        }
        Err(FormatError::NotAZip(reason) | FormatError::Unsupported(reason)) => {
            assert!(!reason.is_empty());
            false
        }
        Err(error) => panic!("a directory is neither too large nor a clash: {error}"),
    }
}

/// What everything behind a directory relies on.
pub(crate) fn holds(directory: &Directory, size: u64) {
    assert_eq!(directory.entries().len(), directory.len());
    assert!(directory.start() + directory.size() <= size, "it ends inside the object");
    let mut at = directory.prefix().end;
    assert_eq!(directory.prefix().start, 0);
    for entry in directory.entries() {
        let span = entry.span();
        assert_eq!(span.start, at, "spans follow each other");
        assert!(span.end - span.start >= 30 + entry.name_bytes().len() as u64 + entry.compressed_size());
        at = span.end;
        assert!(!entry.name().is_empty() || entry.name_bytes().is_empty() || entry.extra().len() > 4);
        let _ = (entry.unix_mode(), entry.is_symlink(), entry.is_dir(), entry.is_encrypted(), entry.comment());
    }
    assert_eq!(at, directory.start(), "the last span ends where the directory starts");
}
