//! The index as bytes: see [`super::index`] for what is in it.

use std::collections::BTreeSet;

use super::content::Content;
use super::index::{Data, Key, Record};
use super::ownership::GitAnswers;
use super::stat::Stat;

const MAGIC: &[u8; 8] = b"QDINDEX\n";
/// Raised with every change of the format: an index of another version is read as an empty one.
const VERSION: u32 = 1;
/// Magic, version, CRC-32 of what follows.
pub(crate) const HEADER_LEN: usize = 16;

const SEEN: u8 = 1;
const DEPLOYED: u8 = 2;
/// The deployed content is the one that was seen, as it nearly always is.
const SAME: u8 = 4;
const EXECUTABLE: u8 = 8;

pub(crate) fn encode(data: &Data, key: &Key) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(256 + data.records.len() * 144));
    out.0.extend_from_slice(MAGIC);
    out.u32(VERSION);
    out.u32(0);
    out.text(&key.artifact);
    out.0.extend_from_slice(&key.layout);
    match &data.git {
        None => out.u8(0),
        Some(git) => {
            out.u8(1);
            git.index_stamp.iter().for_each(|&part| out.u64(part));
            out.text(&git.head);
            out.texts(git.asked.iter());
            out.texts(git.tracked.iter());
        }
    }
    out.len(data.manifests.len());
    for (path, digest) in &data.manifests {
        out.text(path);
        out.0.extend_from_slice(digest);
    }
    out.len(data.records.len());
    for record in &data.records {
        out.record(record);
    }
    let crc = crc32fast::hash(&out.0[HEADER_LEN..]);
    out.0[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
    out.0
}

/// `None` for anything but a whole index of this version about this artifact.
pub(crate) fn decode(bytes: &[u8], key: &Key) -> Option<Data> {
    let (header, body) = bytes.split_at_checked(HEADER_LEN)?;
    let mut head = Reader(header);
    if head.take(8)? != MAGIC || head.u32()? != VERSION || head.u32()? != crc32fast::hash(body) {
        return None;
    }
    let mut input = Reader(body);
    if input.text()? != key.artifact {
        return None;
    }
    let same_layout = input.digest()? == key.layout;
    let git = match input.u8()? {
        0 => None,
        _ => Some(GitAnswers {
            index_stamp: [input.u64()?, input.u64()?, input.u64()?],
            head: input.text()?.to_owned(),
            asked: input.texts()?,
            tracked: input.texts()?,
        }),
    };
    let manifests =
        (0..input.len()?).map(|_| Some((input.text()?.to_owned(), input.digest()?))).collect::<Option<_>>()?;
    let count = input.len()?;
    // A record takes more than 9 bytes: a lying count reserves no memory.
    let mut records = Vec::with_capacity(count.min(input.0.len() / 9));
    for _ in 0..count {
        records.push(input.record()?);
    }
    let mut data = Data { records, manifests, git };
    if !same_layout {
        data.git = None;
        data.records.iter_mut().for_each(|record| record.seen = None);
    }
    Some(data)
}

struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn len(&mut self, value: usize) {
        self.u64(value as u64);
    }

    fn text(&mut self, text: &str) {
        self.len(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a String>) {
        self.len(texts.len());
        texts.for_each(|text| self.text(text));
    }

    fn content(&mut self, content: &Content) {
        self.u64(content.size);
        self.u32(content.crc32);
        self.0.extend_from_slice(&content.sha256);
    }

    fn record(&mut self, record: &Record) {
        let same = matches!((&record.seen, &record.deployed), (Some((_, seen)), Some(deployed)) if seen == deployed);
        let mut flags = 0;
        if let Some((stat, _)) = &record.seen {
            flags |= SEEN | if stat.executable { EXECUTABLE } else { 0 };
        }
        if record.deployed.is_some() {
            flags |= DEPLOYED | if same { SAME } else { 0 };
        }
        self.u8(flags);
        self.text(&record.name);
        if let Some((stat, content)) = &record.seen {
            self.u64(stat.size);
            self.i64(stat.mtime);
            self.i64(stat.ctime);
            self.u64(stat.inode);
            self.content(content);
        }
        if let Some(deployed) = record.deployed.as_ref().filter(|_| !same) {
            self.content(deployed);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn len(&mut self) -> Option<usize> {
        self.u64()?.try_into().ok()
    }

    fn digest(&mut self) -> Option<[u8; 32]> {
        self.array()
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.len()?;
        std::str::from_utf8(self.take(len)?).ok()
    }

    fn texts(&mut self) -> Option<BTreeSet<String>> {
        (0..self.len()?).map(|_| self.text().map(str::to_owned)).collect()
    }

    fn content(&mut self) -> Option<Content> {
        Some(Content { size: self.u64()?, crc32: self.u32()?, sha256: self.digest()? })
    }

    fn record(&mut self) -> Option<Record> {
        let flags = self.u8()?;
        let name = self.text()?.into();
        let seen = match flags & SEEN {
            0 => None,
            _ => {
                let stat = Stat {
                    size: self.u64()?,
                    mtime: self.i64()?,
                    ctime: self.i64()?,
                    inode: self.u64()?,
                    executable: flags & EXECUTABLE != 0,
                };
                Some((stat, self.content()?))
            }
        };
        let deployed = match flags & (DEPLOYED | SAME) {
            0 => None,
            DEPLOYED => Some(self.content()?),
            _ => seen.as_ref().map(|(_, content)| *content),
        };
        Some(Record { name, seen, deployed })
    }
}
