//! What a walk has found, before anything is made of it.
//!
//! Files are kept in *blocks*: files beside each other in one directory, in order, with no subdirectory between them.
//! Whatever is in no block of a directory's comes before all of it or after, so of thousands of files only the blocks'
//! first paths have to be sorted; and a block holds its names in one piece. Most runs find that nothing has changed, which
//! the [`Listing::digest`] tells (see [`crate::unchanged`]): then no file is ever given a name of its own.

use sha2::{Digest as _, Sha256};

use super::super::content::in_parallel;
use super::super::error::ProjectError;
use super::super::stat::Stat;
use super::{LocalFile, Walker, unique};

/// Files in order, and no file of another block between them.
#[derive(Debug)]
pub(super) struct Block {
    /// Their directory, with its slash; "" for the root.
    directory: String,
    /// Behind each other.
    names: String,
    /// Where the name ends, and what is known of the file.
    files: Vec<(usize, Stat)>,
}

impl Block {
    /// An empty one for so many files in `directory`, which ends with a slash or is "".
    pub(super) fn new(directory: &str, capacity: usize) -> Self {
        Self { directory: directory.to_owned(), names: String::new(), files: Vec::with_capacity(capacity) }
    }

    /// Adds a file that comes after those that are in it.
    pub(super) fn push(&mut self, name: &str, stat: Stat) {
        self.names.push_str(name);
        self.files.push((self.names.len(), stat));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The first file's path.
    pub(super) fn first(&self) -> Option<String> {
        self.files().next().map(|(name, _)| [self.directory.as_str(), name].concat())
    }

    /// Name and `stat` of each.
    fn files(&self) -> impl Iterator<Item = (&str, &Stat)> {
        let mut start = 0;
        self.files.iter().map(move |(end, stat)| (&self.names[std::mem::replace(&mut start, *end)..*end], stat))
    }

    fn digest(&self) -> [u8; 32] {
        let mut text = Vec::with_capacity(self.directory.len() + self.names.len() + self.files.len() * 48);
        text.extend_from_slice(self.directory.as_bytes());
        for (name, stat) in self.files() {
            // No name has a NUL in it.
            text.push(0);
            text.extend_from_slice(name.as_bytes());
            text.push(0);
            write(&mut text, stat);
        }
        Sha256::digest(text).into()
    }
}

/// What one walk found, and what links led to from there.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// In order, none empty.
    pub(super) blocks: Vec<Block>,
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
                write(&mut text, &file.stat);
            }
            whole.update((part.blocks.len() as u64).to_le_bytes());
            whole.update((text.len() as u64).to_le_bytes());
            whole.update(text);
            for digest in in_parallel(&part.blocks, |block| Ok(block.digest()))? {
                whole.update(digest);
            }
        }
        Ok(whole.finalize().into())
    }

    /// The files with their entry names, by which they are sorted; each name once.
    pub(super) fn files(self, walker: &Walker) -> Result<Vec<LocalFile>, ProjectError> {
        let count = |part: &Part| part.linked.len() + part.blocks.iter().map(|block| block.files.len()).sum::<usize>();
        let mut files = Vec::with_capacity(self.parts.iter().map(count).sum());
        for part in self.parts {
            for block in part.blocks {
                for (name, stat) in block.files() {
                    files.extend(walker.file([block.directory.as_str(), name].concat(), *stat)?);
                }
            }
            files.extend(part.linked);
        }
        unique(files)
    }
}

fn write(text: &mut Vec<u8>, stat: &Stat) {
    let Stat { size, mtime, ctime, inode, executable } = stat;
    for field in [size.to_le_bytes(), mtime.to_le_bytes(), ctime.to_le_bytes(), inode.to_le_bytes()] {
        text.extend_from_slice(&field);
    }
    text.push(u8::from(*executable));
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: Stat = Stat { size: 1, mtime: 2, ctime: 3, inode: 4, executable: false };

    fn block(directory: &str, files: &[(&str, Stat)]) -> Block {
        let mut block = Block::new(directory, files.len());
        files.iter().for_each(|(name, stat)| block.push(name, *stat));
        block
    }

    fn digest(blocks: Vec<Block>, linked: &[(&str, Stat)]) -> [u8; 32] {
        let file = |(path, stat): &(&str, Stat)| LocalFile::new((*path).to_owned(), (*path).to_owned(), *stat);
        Listing { parts: vec![Part { blocks, linked: linked.iter().map(file).collect() }] }.digest().unwrap()
    }

    #[test]
    fn the_digest_is_another_one_whatever_of_a_file_changes() {
        let with = |stat| digest(vec![block("src/", &[("a", STAT), ("b", stat)])], &[]);
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
            digest(vec![block("src/", &[("a", STAT), ("b", STAT)])], &[]),
            digest(vec![block("src/", &[("a", STAT)])], &[]),
            digest(vec![block("src/", &[("a", STAT), ("b", STAT), ("c", STAT)])], &[]),
            digest(vec![block("src/", &[("a", STAT), ("bb", STAT)])], &[]),
            digest(vec![block("src/", &[("ab", STAT)])], &[]),
            digest(vec![block("", &[("src/a", STAT), ("b", STAT)])], &[]),
            digest(vec![block("src/", &[("a", STAT)]), block("", &[("b", STAT)])], &[]),
            digest(vec![block("src/", &[("a", STAT)])], &[("src/b", STAT)]),
            digest(vec![], &[("src/a", STAT), ("src/b", STAT)]),
            digest(vec![], &[]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "number {at}");
        }
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_in_which_links_were_followed() {
        let other = Stat { size: 7, ..STAT };
        assert_eq!(digest(vec![], &[("a", STAT), ("b", other)]), digest(vec![], &[("b", other), ("a", STAT)]));
    }

    #[test]
    fn names_come_out_as_they_went_in() {
        let block = block("src/", &[("a", STAT), ("é.js", STAT), ("z", STAT)]);
        assert_eq!(block.files().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "é.js", "z"]);
        assert_eq!(block.first().as_deref(), Some("src/a"));
    }
}
