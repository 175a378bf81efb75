//! A change set: new contents for names, and deletes.
//!
//! Names are validated here, at the door: everything behind it may rely on an [`EntryName`] being a relative path that
//! stays inside the archive wherever it is unpacked.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};

/// The name of an entry to put or delete: a relative path, parts separated by `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(String);

/// A name that is not an [`EntryName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a name for an entry: {reason}", printable(name))]
pub struct NameError {
    /// The name as it was given.
    pub name: String,
    /// What is wrong with it, and what would be right.
    pub reason: &'static str,
}

/// The name for a message: what isn't to be seen, or would change how the rest is seen, is escaped, and it is cut where
/// it gets too long to read.
pub(crate) fn printable(name: &str) -> String {
    const LONGEST: usize = 200;
    let mut printable: String = name
        .chars()
        .take(LONGEST)
        .flat_map(|character| match character {
            // Marks of writing direction.
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                character.escape_unicode().collect()
            }
            character if character.is_control() => character.escape_default().collect::<Vec<_>>(),
            character => vec![character],
        })
        .collect();
    if name.chars().nth(LONGEST).is_some() {
        printable.push('…');
    }
    printable
}

impl EntryName {
    /// The longest name that Linux, and so Lambda, can make a file of, in bytes (`PATH_MAX`).
    pub const MAX_LEN: usize = 4096;

    /// Takes `name` as it stands: nothing is normalised, what isn't right is refused.
    ///
    /// # Errors
    /// When it is empty, absolute, has a drive letter, a backslash, a NUL, an empty, `.` or `..` part, or more than
    /// 4,096 bytes.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let reason = match name.as_bytes() {
            [] => "it is empty",
            [b'/', ..] => "it is absolute; give the path inside the archive, such as `src/a.js`",
            [drive, b':', ..] if drive.is_ascii_alphabetic() => {
                "it has a drive letter; give the path inside the archive"
            }
            bytes if bytes.contains(&0) => "it contains a NUL byte",
            bytes if bytes.contains(&b'\\') => "it contains a backslash; separate its parts with `/`",
            bytes if bytes.len() > Self::MAX_LEN => "it has more than 4,096 bytes",
            _ if name.ends_with('/') => "it ends in `/`; directories come with the files below them",
            _ if name.split('/').any(str::is_empty) => "it has an empty part (`//`)",
            _ if name.split('/').any(|part| part == "." || part == "..") => {
                "it has a `.` or `..` part, which could leave the archive"
            }
            _ => return Ok(Self(name)),
        };
        Err(NameError { name, reason })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directories above it: `a` and `a/b` for `a/b/c`.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }
}

impl Borrow<str> for EntryName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// New content for an entry, with the mode it shall have if that isn't to follow from the archive.
///
/// CRC-32 and deflated form are worked out when first asked for, and kept: an edit that is planned again after another
/// writer came first doesn't compress again.
#[derive(Debug, Clone)]
pub struct Content {
    form: Form,
    mode: Option<u32>,
    crc32: OnceLock<u32>,
    inflated: OnceLock<Bytes>,
    deflated: OnceLock<Bytes>,
}

#[derive(Debug, Clone)]
enum Form {
    Plain(Bytes),
    /// Out of another archive: raw deflate data, whose CRC-32 and size were checked when it was read.
    Deflated {
        data: Bytes,
        size: u64,
    },
}

impl Content {
    /// Content as it shall be read from the archive.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self::of(Form::Plain(bytes.into()))
    }

    /// Content in raw deflate form (RFC 1951), as it stands in another archive.
    ///
    /// # Errors
    /// When `data` doesn't inflate to `size` bytes with this CRC-32; the text says which.
    pub fn from_deflated(data: Bytes, size: u64, crc32: u32) -> Result<Self, &'static str> {
        let mut crc = flate2::Crc::new();
        let mut inflater = flate2::bufread::DeflateDecoder::new(&data[..]);
        let mut buffer = [0; 16 * 1024];
        let mut length = 0_u64;
        loop {
            match inflater.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    crc.update(&buffer[..read]);
                    length += read as u64;
                }
                Err(_) => return Err("its deflate data is broken"),
            }
            if length > size {
                return Err("it inflates to more bytes than its record says");
            }
        }
        if length != size {
            return Err("it inflates to fewer bytes than its record says");
        }
        if inflater.total_in() != data.len() as u64 {
            return Err("there are bytes behind its deflate data");
        }
        if crc.sum() != crc32 {
            return Err("its CRC-32 is not the one in its record");
        }
        let content = Self::of(Form::Deflated { data, size });
        let _ = content.crc32.set(crc32);
        Ok(content)
    }

    fn of(form: Form) -> Self {
        Self { form, mode: None, crc32: OnceLock::new(), inflated: OnceLock::new(), deflated: OnceLock::new() }
    }

    /// The same content, with these permission bits (`0o7777` at most; higher bits are dropped).
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode & 0o7777);
        self
    }

    /// Permission bits that the entry shall have, whatever it had.
    #[must_use]
    pub fn mode(&self) -> Option<u32> {
        self.mode
    }

    /// Size in bytes, not compressed.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.form {
            Form::Plain(bytes) => bytes.len() as u64,
            Form::Deflated { size, .. } => *size,
        }
    }

    /// CRC-32 as zip has it (APPNOTE 4.4.7).
    #[must_use]
    pub fn crc32(&self) -> u32 {
        *self.crc32.get_or_init(|| {
            let mut crc = flate2::Crc::new();
            crc.update(&self.plain());
            crc.sum()
        })
    }

    /// The content itself.
    #[must_use]
    pub fn plain(&self) -> Bytes {
        match &self.form {
            Form::Plain(bytes) => bytes.clone(),
            Form::Deflated { data, size } => self
                .inflated
                .get_or_init(|| {
                    let mut plain = Vec::with_capacity(usize::try_from(*size).unwrap_or(0));
                    // Can't fail: the same bytes inflated in `from_deflated`, and reading from memory has no errors.
                    let _ = flate2::bufread::DeflateDecoder::new(&data[..]).read_to_end(&mut plain);
                    plain.into()
                })
                .clone(),
        }
    }

    /// The content as raw deflate data, at zlib's default level 6.
    pub(crate) fn deflated(&self) -> Bytes {
        match &self.form {
            Form::Deflated { data, .. } => data.clone(),
            Form::Plain(bytes) => {
                self.deflated.get_or_init(|| DEFLATER.with_borrow_mut(|deflater| deflater.deflated(bytes))).clone()
            }
        }
    }
}

thread_local! {
    static DEFLATER: RefCell<Deflater> = RefCell::new(Deflater {
        state: Compress::new(Compression::new(6), false),
        scratch: Vec::new(),
    });
}

/// The state of a deflater has a quarter of a megabyte: with one for each content, those of 10,000 small files left 2 GB
/// of holes between what is kept of them in glibc's heap, and took longer to set up than to use.
struct Deflater {
    state: Compress,
    scratch: Vec<u8>,
}

impl Deflater {
    fn deflated(&mut self, bytes: &[u8]) -> Bytes {
        self.state.reset();
        self.scratch.clear();
        self.scratch.reserve(bytes.len() / 3 + 64);
        loop {
            let read = usize::try_from(self.state.total_in()).unwrap_or(bytes.len());
            // Can't fail: only a broken state does, and this one was set up for it.
            let status = self.state.compress_vec(&bytes[read..], &mut self.scratch, FlushCompress::Finish);
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                break;
            }
            self.scratch.reserve(self.scratch.capacity());
        }
        let deflated = Bytes::copy_from_slice(&self.scratch);
        // What a large content needed isn't kept.
        if self.scratch.capacity() > 1 << 20 {
            self.scratch = Vec::new();
        }
        deflated
    }
}

/// What shall happen to one name.
#[derive(Debug, Clone)]
pub enum Change {
    /// The entry has this content afterwards.
    Put(Content),
    /// There is no such entry afterwards.
    Delete,
}

/// A change set: at most one change for a name, in the order of the names.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    by_name: BTreeMap<EntryName, Change>,
}

impl Changes {
    /// An empty change set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `content` at `name`; what was said of the name before is forgotten and given back.
    pub fn put(&mut self, name: EntryName, content: Content) -> Option<Change> {
        self.by_name.insert(name, Change::Put(content))
    }

    /// Deletes `name`; what was said of it before is forgotten and given back.
    pub fn delete(&mut self, name: EntryName) -> Option<Change> {
        self.by_name.insert(name, Change::Delete)
    }

    /// How many names are changed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The changes, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&EntryName, &Change)> {
        self.by_name.iter()
    }

    /// What shall happen to `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Change> {
        self.by_name.get(name)
    }
}

impl IntoIterator for Changes {
    type Item = (EntryName, Change);
    type IntoIter = std::collections::btree_map::IntoIter<EntryName, Change>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_name.into_iter()
    }
}

impl FromIterator<(EntryName, Change)> for Changes {
    fn from_iter<I: IntoIterator<Item = (EntryName, Change)>>(changes: I) -> Self {
        Self { by_name: changes.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_archive_are_refused() {
        for name in [
            "", "/x", "../x", "a/../b", "..", ".", "a/.", "C:\\x", "c:x", "a\\b", "a//b", "a/", "a\0b", "./a", "a/..",
            "//",
        ] {
            assert!(EntryName::new(name).is_err(), "{name:?} was taken");
        }
        assert!(EntryName::new("x".repeat(4_097)).is_err());
    }

    #[test]
    fn ordinary_and_odd_names_are_taken_as_they_stand() {
        for name in ["a", "a/b.js", "..a", "a..", "...", "a b", "ü/€.txt", "node_modules/.bin/x", "1:2", "ab:c/d"] {
            assert_eq!(EntryName::new(name).unwrap().as_str(), name);
        }
        assert_eq!(EntryName::new("a/b/c").unwrap().parents().collect::<Vec<_>>(), ["a", "a/b"]);
    }

    #[test]
    fn deflated_content_is_checked_against_its_record() {
        let plain = Content::new(b"hello hello hello hello".to_vec());
        let (data, size, crc) = (plain.deflated(), plain.size(), plain.crc32());
        let again = Content::from_deflated(data.clone(), size, crc).unwrap();
        assert_eq!(again.plain(), plain.plain());
        assert!(Content::from_deflated(data.clone(), size, crc ^ 1).is_err());
        assert!(Content::from_deflated(data.clone(), size - 1, crc).is_err());
        assert!(Content::from_deflated(data.clone(), size + 1, crc).is_err());
        assert!(Content::from_deflated([&data[..], b"x"].concat().into(), size, crc).is_err());
        assert!(Content::from_deflated(data.slice(..data.len() - 2), size, crc).is_err());
    }
}
