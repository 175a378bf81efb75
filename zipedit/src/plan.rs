//! Directory + changes → plan: everything there is to know about the new artifact before a byte of it is written.
//!
//! A pure function. Kept entries keep their bytes, whatever is in them; adjacent ones are one *run*. New entries and the
//! new directory are made here. What remains for the half that does I/O is to move the [`Piece`]s, in their order.
//!
//! The order is the [`Layout`]'s: as they were (small artifacts, streaming), or long runs first, so that S3 can copy
//! them, and everything that has to be uploaded behind them. The second also gathers what is edited often at the end,
//! where the next edit's tail read finds it, and kept runs are adjacent again: the archive never fragments.
//!
//! Of several entries of one name, readers that go by the directory take the one that is listed last, and those that
//! read the archive as a stream the one that stands last. Where such twins are kept, both orders are kept, too.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bytes::Bytes;

use crate::changes::{Change, Changes, Content, EntryName, printable};
use crate::directory::{Directory, Entry, MAX_DIRECTORY, Search};
use crate::end_record::{self, EndRecord};
use crate::entry::NewEntry;
use crate::error::FormatError;

/// What a function's code and layers may have unzipped, in bytes (Lambda quotas).
pub const MAX_UNZIPPED: u64 = 262_144_000;

/// The order of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As it was.
    InOrder,
    /// Runs of at least so many bytes first, the others behind them; each group as it was.
    LongRunsFirst(u64),
}

/// A stretch of the new artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes of the old artifact.
    Old(Range<u64>),
    /// These bytes.
    New(Bytes),
}

impl Piece {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Piece::Old(range) => range.end - range.start,
            Piece::New(bytes) => bytes.len() as u64,
        }
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an edit does to the entries, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Puts of names that weren't there.
    pub added: u64,
    /// Puts of names that were there, whether or not with that content.
    pub modified: u64,
    /// Deletes of names that were there.
    pub deleted: u64,
    /// Puts whose content was there already; they are in `modified`, too.
    pub identical: u64,
    /// Deletes of names that weren't there.
    pub missing: u64,
}

/// The new artifact, laid out.
#[derive(Debug, Clone)]
pub struct Plan {
    pieces: Vec<Piece>,
    counts: Counts,
    size: u64,
    entries: u64,
    unzipped: u64,
}

impl Plan {
    /// Plans `changes` to an archive with this `directory`.
    ///
    /// # Errors
    /// [`FormatError::Clash`] when a put needs a directory where a file is, or the other way round;
    /// [`FormatError::Unsupported`] when an encrypted entry or a symbolic link were replaced, or readers could take
    /// something in a name or comment for an end record;
    /// [`FormatError::TooLarge`] when the result would have more than [`MAX_UNZIPPED`] bytes unzipped or a directory of
    /// more than [`MAX_DIRECTORY`], or new content of 4 GiB.
    pub fn new(directory: &Directory, changes: &Changes, layout: Layout) -> Result<Self, FormatError> {
        let touched = Touched::of(directory, changes)?;
        let runs = runs(directory, &touched.dropped);
        let must_keep_order = !directory.is_listed_in_order() || reorders(&runs, layout);
        let has_twins = must_keep_order && has_twins(directory, &touched.dropped);
        let runs = if has_twins { runs } else { laid_out(runs, layout) };

        let mut pieces = Vec::with_capacity(runs.len() + 2 * touched.puts.len() + 1);
        let mut records = Vec::with_capacity(usize::try_from(directory.size()).unwrap_or(0) + 256 * touched.puts.len());
        let mut kept = Vec::with_capacity(directory.len());
        let (mut at, mut unzipped) = (0, 0_u64);
        for run in runs {
            for entry in run.entries.clone().map(|index| directory.entry(index)) {
                kept.push((entry, entry.span().start - run.bytes.start + at));
                unzipped = unzipped.saturating_add(entry.size());
            }
            at += run.bytes.end - run.bytes.start;
            pieces.push(Piece::Old(run.bytes));
        }
        if has_twins {
            kept.sort_unstable_by_key(|(entry, _)| entry.listed_at());
        }
        for (entry, offset) in kept {
            entry.write_record_at(offset, &mut records)?;
        }
        for (name, content, replaced) in &touched.puts {
            let new = NewEntry::new(name, content, replaced.map(|index| directory.entry(index)))?;
            new.write_record_at(at, &mut records);
            unzipped = unzipped.saturating_add(new.size());
            at += new.len();
            pieces.extend(new.chunks().into_iter().filter(|chunk| !chunk.is_empty()).map(Piece::New));
        }
        if unzipped > MAX_UNZIPPED {
            return Err(FormatError::TooLarge(format!(
                "the artifact would have {unzipped} bytes unzipped, Lambda takes {MAX_UNZIPPED} at most (layers \
                 included): leave something out, or move dependencies to a container image"
            )));
        }
        let entries = (directory.len() - touched.dropped.len() + touched.puts.len()) as u64;
        let directory_size = records.len() as u64;
        if directory_size > MAX_DIRECTORY {
            return Err(FormatError::TooLarge(format!(
                "the artifact's central directory would have {directory_size} bytes, {MAX_DIRECTORY} at most are edited: \
                 leave entries out, or give them shorter names"
            )));
        }
        EndRecord {
            entries,
            directory_size,
            directory_offset: at,
            directory_limit: at + directory_size,
            comment: directory.comment().to_vec(),
        }
        .write(&mut records);
        let (size, records) = (at + records.len() as u64, Bytes::from(records));
        // Leftovers in names or comments can look like a record that they aren't: to us, or to readers that take whatever
        // end record comes last.
        match Directory::find(&records, size) {
            Ok(Search::Found(again))
                if again.len() as u64 == entries
                    && again.start() == at
                    && end_record::is_the_last(&records, directory.comment()) => {}
            _ => {
                return Err(FormatError::Unsupported(
                    "after this edit its directory would be misread: its names or comments hold what looks like an end \
                     record; make the archive again without"
                        .into(),
                ));
            }
        }
        pieces.push(Piece::New(records));
        Ok(Self { pieces, counts: touched.counts, size, entries, unzipped })
    }

    /// The new artifact from its first byte to its last; the last piece is directory and end record.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether everything is as it should be already.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        let Counts { added, modified, deleted, identical, .. } = self.counts;
        added == 0 && deleted == 0 && modified == identical
    }

    /// What it does to the entries.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Size of the new artifact in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many entries the new artifact has.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Size of all its contents in bytes, by their records' word.
    #[must_use]
    pub fn unzipped(&self) -> u64 {
        self.unzipped
    }

    /// The new directory and end record.
    #[must_use]
    pub fn directory(&self) -> Bytes {
        match self.pieces.last() {
            Some(Piece::New(bytes)) => bytes.clone(),
            _ => Bytes::new(),
        }
    }
}

/// Adjacent spans that are all kept.
#[derive(Debug)]
struct Run {
    bytes: Range<u64>,
    entries: Range<usize>,
    /// Begins with what stands before the first entry, and so must stay in front.
    is_prefix: bool,
}

/// The kept runs as they stand; `dropped` is ascending.
fn runs(directory: &Directory, dropped: &[usize]) -> Vec<Run> {
    let mut runs = Vec::with_capacity(dropped.len() + 1);
    let mut from = 0;
    for until in dropped.iter().copied().chain([directory.len()]) {
        let start = match from {
            0 => 0,
            from => directory.entry(from - 1).span().end,
        };
        let end = match until {
            until if until < directory.len() => directory.entry(until).span().start,
            _ => directory.start(),
        };
        if start < end {
            let is_prefix = from == 0 && directory.prefix().end > 0;
            runs.push(Run { bytes: start..end, entries: from..until, is_prefix });
        }
        from = until + 1;
    }
    runs
}

fn laid_out(mut runs: Vec<Run>, layout: Layout) -> Vec<Run> {
    // Stable: each group keeps its order.
    runs.sort_by_key(|run| goes_behind(run, layout));
    runs
}

fn goes_behind(run: &Run, layout: Layout) -> bool {
    match layout {
        Layout::InOrder => false,
        Layout::LongRunsFirst(long) => !run.is_prefix && run.bytes.end - run.bytes.start < long,
    }
}

fn reorders(runs: &[Run], layout: Layout) -> bool {
    !runs.is_sorted_by_key(|run| goes_behind(run, layout))
}

/// Whether two kept entries have one name; `dropped` is ascending.
fn has_twins(directory: &Directory, dropped: &[usize]) -> bool {
    let mut names = HashSet::with_capacity(directory.len());
    let mut kept = directory.entries().enumerate().filter(|(index, _)| dropped.binary_search(index).is_err());
    kept.any(|(_, entry)| !names.insert(entry.name()))
}

/// What the changes come to in this archive.
struct Touched<'a> {
    /// Entries that are not kept: replaced or deleted; ascending.
    dropped: Vec<usize>,
    /// What is to be written, with the entry that it replaces.
    puts: Vec<(&'a EntryName, &'a Content, Option<usize>)>,
    counts: Counts,
}

impl<'a> Touched<'a> {
    fn of(directory: &Directory, changes: &'a Changes) -> Result<Self, FormatError> {
        let mut matches: HashMap<&str, Vec<usize>> = changes.iter().map(|(name, _)| (name.as_str(), vec![])).collect();
        for (index, entry) in directory.entries().enumerate() {
            if let Some(indices) = matches.get_mut(entry.name().as_ref()) {
                indices.push(index);
            }
        }
        let mut touched = Self { dropped: Vec::new(), puts: Vec::new(), counts: Counts::default() };
        let mut new_names = HashSet::new();
        for (name, change) in changes.iter() {
            let indices = &matches[name.as_str()];
            match change {
                Change::Put(content) if indices.is_empty() => {
                    new_names.insert(name.as_str());
                    touched.counts.added += 1;
                    touched.puts.push((name, content, None));
                }
                Change::Put(content) => touched.replace(directory, name, content, indices)?,
                Change::Delete if indices.is_empty() => touched.counts.missing += 1,
                Change::Delete => {
                    touched.counts.deleted += 1;
                    touched.dropped.extend(indices);
                }
            }
        }
        // What was there together before may stay so; only a new name can bring a clash.
        if !new_names.is_empty() {
            let tree = Tree::of(changes, new_names)?;
            let names = directory.entries().map(|entry| entry.name());
            let mut kept = names.filter(|name| !matches.contains_key(name.as_ref()));
            kept.try_for_each(|name| tree.check(&name))?;
        }
        touched.dropped.sort_unstable();
        Ok(touched)
    }

    fn replace(
        &mut self,
        directory: &Directory,
        name: &'a EntryName,
        content: &'a Content,
        indices: &[usize],
    ) -> Result<(), FormatError> {
        // The one that readers take.
        let Some(&last) = indices.iter().max_by_key(|index| directory.entry(**index).listed_at()) else {
            return Ok(());
        };
        let entry = directory.entry(last);
        if entry.is_encrypted() {
            return Err(FormatError::Unsupported(format!(
                "its entry `{name}` is encrypted, and would be replaced by readable content: delete it in an edit of \
                 its own if that is wanted"
            )));
        }
        if entry.is_symlink() {
            return Err(FormatError::Unsupported(format!(
                "its entry `{name}` is a symbolic link: put the file that it points to, or delete the link in an edit \
                 of its own"
            )));
        }
        self.counts.modified += 1;
        if indices.len() == 1 && holds(entry, content) {
            self.counts.identical += 1;
        } else {
            self.dropped.extend(indices);
            self.puts.push((name, content, Some(last)));
        }
        Ok(())
    }
}

/// Whether the entry is already what the put would make it.
fn holds(entry: Entry<'_>, content: &Content) -> bool {
    let mode_is_right = content.mode().is_none_or(|mode| entry.unix_mode().is_some_and(|is| is & 0o7777 == mode));
    entry.size() == content.size() && mode_is_right && entry.crc32() == content.crc32()
}

/// The names that are new, as files in a tree: no file can be where a directory is.
struct Tree<'a> {
    files: HashSet<&'a str>,
    /// Length of the longest of them.
    longest: usize,
    directories: HashSet<&'a str>,
}

impl<'a> Tree<'a> {
    fn of(changes: &'a Changes, new: HashSet<&'a str>) -> Result<Self, FormatError> {
        let put = |name: &str| matches!(changes.get(name), Some(Change::Put(_)));
        let mut directories = HashSet::new();
        for (name, change) in changes.iter() {
            let is_new = new.contains(name.as_str());
            for parent in name.parents().filter(|_| matches!(change, Change::Put(_))) {
                if new.contains(parent) || is_new && put(parent) {
                    return Err(clash(name.as_str(), format!("the same edit puts a file at `{parent}`")));
                }
                if is_new {
                    directories.insert(parent);
                }
            }
        }
        let longest = new.iter().map(|name| name.len()).max().unwrap_or(0);
        Ok(Self { files: new, longest, directories })
    }

    /// Checks a kept entry that isn't put itself against the names that are.
    fn check(&self, kept: &str) -> Result<(), FormatError> {
        if self.directories.contains(kept) {
            let put = self.files.iter().filter(|put| put.starts_with(kept) && put[kept.len()..].starts_with('/'));
            return Err(clash(
                put.min().unwrap_or(&kept),
                format!(
                    "`{}` is a file in the archive; delete it in the same edit, or choose another name",
                    printable(kept)
                ),
            ));
        }
        for (at, _) in kept.match_indices('/').take_while(|(at, _)| *at <= self.longest) {
            if self.files.contains(&kept[..at]) {
                return Err(clash(
                    &kept[..at],
                    format!("it is a directory in the archive, with `{}` in it; choose another name", printable(kept)),
                ));
            }
        }
        Ok(())
    }
}

fn clash(name: &str, reason: String) -> FormatError {
    FormatError::Clash { name: name.to_owned(), reason }
}
