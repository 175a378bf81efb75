//! What a walk has found, before anything is made of it.
//!
//! Files are kept in *blocks*: files beside each other in one directory, in order, with no subdirectory between them.
//! Whatever is in no block of a directory's comes before all of it or after, so of thousands of files only the blocks'
//! first paths have to be sorted. Most runs find that nothing has changed, which the [`Listing::digest`] tells (see
//! [`crate::unchanged`]): then no file is ever given a name of its own.
//!
//! So a block is the text that its digest is of: the directory, with its slash, and a NUL; then of each file the name, a
//! NUL and the `stat`. A thread writes all of its blocks behind each other into one text. In pieces of their own they would
//! have the allocator ask the kernel for a page every few dozen files, and the threads wait for each other at that.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::super::content::in_parallel;
use super::super::error::ProjectError;
use super::super::stat::Stat;
use super::{LocalFile, Walker, unique};

/// A thread's first room, in bytes, for some thousand files. It isn't touched before it is needed.
const ROOM: usize = 256 * 1024;
/// The length of a `stat` in a text.
const STAT_LEN: usize = 33;

/// Where a block is: in which text, and where in it.
#[derive(Debug, Clone)]
struct Block {
    text: usize,
    range: Range<usize>,
}

/// The blocks that one thread has found, or all of a walk's.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    texts: Vec<Vec<u8>>,
    blocks: Vec<Block>,
}

impl Blocks {
    /// For one thread.
    pub(super) fn of_thread() -> Self {
        Self { texts: vec![Vec::with_capacity(ROOM)], blocks: Vec::new() }
    }

    /// Adds a block: files in `directory`, which ends with a slash or is "", in order. `files` adds them, by their names.
    pub(super) fn write(&mut self, directory: &str, files: impl FnOnce(&mut Writer<'_>)) {
        let number = self.texts.len().saturating_sub(1);
        let Some(text) = self.texts.last_mut() else { return };
        let start = text.len();
        text.extend_from_slice(directory.as_bytes());
        text.push(0);
        let empty = text.len();
        files(&mut Writer(text));
        if text.len() == empty {
            text.truncate(start);
        } else {
            self.blocks.push(Block { text: number, range: start..text.len() });
        }
    }

    /// Takes over what another thread has found.
    pub(super) fn add(&mut self, other: Self) {
        let before = self.texts.len();
        self.texts.extend(other.texts);
        self.blocks.extend(other.blocks.into_iter().map(|block| Block { text: block.text + before, ..block }));
    }

    /// Sorts the blocks, and by that all files in them.
    pub(super) fn sort(&mut self) {
        let Self { texts, blocks } = self;
        blocks.sort_by_cached_key(|block| {
            let (directory, mut files) = parse(&texts[block.text][block.range.clone()]);
            [directory, files.next().map_or(&[][..], |(name, _)| name)].concat()
        });
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.blocks.iter().map(|block| &self.texts[block.text][block.range.clone()])
    }
}

/// Adds files to a block.
pub(super) struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    /// Adds a file that comes after those that were added. Its name is UTF-8 and has no NUL in it.
    pub(super) fn push(&mut self, name: &[u8], stat: Stat) {
        self.0.extend_from_slice(name);
        self.0.push(0);
        write(self.0, stat);
    }
}

fn write(text: &mut Vec<u8>, stat: Stat) {
    let Stat { size, mtime, ctime, inode, executable } = stat;
    for field in [size.to_le_bytes(), mtime.to_le_bytes(), ctime.to_le_bytes(), inode.to_le_bytes()] {
        text.extend_from_slice(&field);
    }
    text.push(u8::from(executable));
}

/// The directory, and the name and `stat` of each file.
fn parse(block: &[u8]) -> (&[u8], impl Iterator<Item = (&[u8], Stat)>) {
    let (directory, mut rest) = up_to_nul(block).unwrap_or_default();
    let files = std::iter::from_fn(move || {
        let (name, after) = up_to_nul(rest)?;
        let (stat, after) = after.split_first_chunk::<STAT_LEN>()?;
        rest = after;
        let (fields, _) = stat.as_chunks::<8>();
        let [size, mtime, ctime, inode] = *fields.first_chunk()?;
        let stat = Stat {
            size: u64::from_le_bytes(size),
            mtime: i64::from_le_bytes(mtime),
            ctime: i64::from_le_bytes(ctime),
            inode: u64::from_le_bytes(inode),
            executable: stat[STAT_LEN - 1] != 0,
        };
        Some((name, stat))
    });
    (directory, files)
}

fn up_to_nul(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let nul = text.iter().position(|&byte| byte == 0)?;
    Some((&text[..nul], &text[nul + 1..]))
}

/// What one walk found, and what links led to from there.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Sorted.
    pub(super) blocks: Blocks,
    pub(super) linked: Vec<LocalFile>,
}

/// All that is of the project, some of it perhaps more than once.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(super) parts: Vec<Part>,
}

impl Listing {
    /// A digest of all paths and of everything that is known of the files: by each `stat`, of what is in them.
    pub(crate) fn digest(&self) -> Result<[u8; 32], ProjectError> {
        let mut whole = Sha256::new();
        for part in &self.parts {
            let mut linked: Vec<&LocalFile> = part.linked.iter().collect();
            linked.sort_unstable_by(|a, b| a.path().cmp(b.path()));
            let mut text = Vec::new();
            for file in linked {
                text.extend_from_slice(file.path().as_bytes());
                text.push(0);
                write(&mut text, file.stat);
            }
            let blocks: Vec<&[u8]> = part.blocks.texts().collect();
            whole.update((blocks.len() as u64).to_le_bytes());
            for digest in in_parallel(&blocks, |block| Ok(Sha256::digest(block)))? {
                whole.update(digest);
            }
            whole.update(Sha256::digest(text));
        }
        Ok(whole.finalize().into())
    }

    /// The files with their entry names, by which they are sorted; each name once.
    pub(super) fn files(self, walker: &Walker) -> Result<Vec<LocalFile>, ProjectError> {
        let mut files = Vec::new();
        for part in self.parts {
            for (directory, block) in part.blocks.texts().map(parse) {
                for (name, stat) in block {
                    // They were UTF-8 when they were written: nothing is lost.
                    let path = [String::from_utf8_lossy(directory), String::from_utf8_lossy(name)].concat();
                    files.extend(walker.file(path, stat)?);
                }
            }
            files.extend(part.linked);
        }
        unique(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: Stat = Stat { size: 1, mtime: 2, ctime: 3, inode: 4, executable: false };

    type Written<'a> = (&'a str, &'a [(&'a str, Stat)]);

    fn block<'a>(directory: &'a str, files: &'a [(&'a str, Stat)]) -> Written<'a> {
        (directory, files)
    }

    fn written(all: &[Written<'_>]) -> Blocks {
        let mut blocks = Blocks::of_thread();
        for (directory, files) in all {
            blocks.write(directory, |block| files.iter().for_each(|(name, stat)| block.push(name.as_bytes(), *stat)));
        }
        blocks
    }

    fn digest(all: &[Written<'_>], linked: &[(&str, Stat)]) -> [u8; 32] {
        let blocks = written(all);
        let file = |(path, stat): &(&str, Stat)| LocalFile::new((*path).to_owned(), (*path).to_owned(), *stat);
        Listing { parts: vec![Part { blocks, linked: linked.iter().map(file).collect() }] }.digest().unwrap()
    }

    #[test]
    fn the_digest_is_another_one_whatever_of_a_file_changes() {
        let with = |stat| digest(&[block("src/", &[("a", STAT), ("b", stat)])], &[]);
        let same = with(STAT);
        for changed in [
            Stat { size: 9, ..STAT },
            Stat { mtime: 9, ..STAT },
            Stat { ctime: 9, ..STAT },
            Stat { inode: 9, ..STAT },
            Stat { executable: true, ..STAT },
        ] {
            assert_ne!(with(changed), same, "{changed:?}");
        }
        assert_eq!(with(STAT), same);
    }

    #[test]
    fn the_digest_is_another_one_when_files_come_go_move_or_change_places() {
        let all = [
            digest(&[block("src/", &[("a", STAT), ("b", STAT)])], &[]),
            digest(&[block("src/", &[("a", STAT)])], &[]),
            digest(&[block("src/", &[("a", STAT), ("b", STAT), ("c", STAT)])], &[]),
            digest(&[block("src/", &[("a", STAT), ("bb", STAT)])], &[]),
            digest(&[block("src/", &[("ab", STAT)])], &[]),
            digest(&[block("", &[("src/a", STAT), ("b", STAT)])], &[]),
            digest(&[block("src/", &[("a", STAT)]), block("", &[("b", STAT)])], &[]),
            digest(&[block("src/", &[("a", STAT)])], &[("src/b", STAT)]),
            digest(&[], &[("src/a", STAT), ("src/b", STAT)]),
            digest(&[], &[]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "number {at}");
        }
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_in_which_links_were_followed() {
        let other = Stat { size: 7, ..STAT };
        assert_eq!(digest(&[], &[("a", STAT), ("b", other)]), digest(&[], &[("b", other), ("a", STAT)]));
    }

    #[test]
    fn what_threads_wrote_comes_out_sorted_as_it_went_in() {
        let stat = |inode| Stat { size: u64::MAX, mtime: -1, ctime: i64::MIN, inode, executable: true };
        let mut all = written(&[("src/", &[("b", stat(1)), ("é.js", stat(2))]), ("z/", &[]), ("", &[("a", STAT)])]);
        all.add(written(&[("src/", &[("a", stat(3))]), ("", &[("z", STAT)])]));
        all.sort();
        let mut found = Vec::new();
        for (directory, files) in all.texts().map(parse) {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            found.extend(files.map(|(name, stat)| (text(directory) + &text(name), stat)));
        }
        let wanted = [("a", STAT), ("src/a", stat(3)), ("src/b", stat(1)), ("src/é.js", stat(2)), ("z", STAT)]
            .map(|(path, stat)| (path.to_owned(), stat));
        assert_eq!(found, wanted);
    }
}
