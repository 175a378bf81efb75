//! Two readers that know nothing of us: what both accept and read alike, they read alike when it was edited, too.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use bytes::Bytes;
use zipedit::directory::Search;
use zipedit::parts::PartLimits;
use zipedit::{Change, Changes, Directory, Error, Options, edit};

use crate::archive::directory;
use crate::made::{Made, changes};
use crate::store::{MemoryStore, finish};

/// More than this of an entry isn't read: bombs are others' business here.
const LONGEST: u64 = 1 << 20;

/// Name, as it stands in the record, → content. Of several entries of one name the last counts.
type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// Any archive and a whole edit of it, in memory, by whichever strategy the store's limits lead to.
pub fn run(data: &[u8]) -> bool {
    let Made { archive, mut choices, .. } = Made::of(data);
    let Some(before) = agreed(&archive) else { return false };
    // To refuse what others take is no loss of anything.
    let Ok(Search::Found(found)) = Directory::find(&archive, archive.len() as u64) else { return false };
    if data_leaves_span(&archive, &found) || has_two_names(&found) {
        return false;
    }
    let names: Vec<&[u8]> = found.entries().map(|entry| entry.name_bytes()).collect();
    assert!(before.keys().all(|name| names.contains(&&name[..])), "they see other entries than we do");

    let there: Vec<String> = found.entries().map(|entry| entry.name().into_owned()).collect();
    let edits = changes(&mut choices, &there);
    let min = u64::from(choices.short() % 300) + 1;
    let limits = PartLimits {
        min,
        upload: min + u64::from(choices.short() % 300),
        copy: min + u64::from(choices.short() % 300),
    };
    let small = choices.pick(&[0, 0, 200, 1 << 20]);
    let store = MemoryStore::new(archive.clone(), limits, small);
    match finish(edit(&store, &edits, &Options::new())) {
        Ok(report) => assert_eq!(report.size, store.bytes().len() as u64),
        Err(Error::UnsupportedZip { .. } | Error::NameClash { .. } | Error::TooLarge(_)) => {
            assert_eq!(store.bytes(), archive, "refused, and changed all the same");
            return false;
        }
        Err(error) => panic!("{error}"),
    }
    let new = store.bytes();
    let expected = model(&found, before, &edits, &new);
    assert_eq!(by_zip(&new).as_ref(), Some(&expected), "the zip crate");
    assert_eq!(by_rawzip(&new).as_ref(), Some(&expected), "rawzip");
    new != archive
}

/// What both readers see, if they see the same.
fn agreed(archive: &Bytes) -> Option<Contents> {
    by_zip(archive).filter(|contents| by_rawzip(archive).as_ref() == Some(contents))
}

fn by_zip(archive: &Bytes) -> Option<Contents> {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).ok()?;
    if zip.has_overlapping_files().ok()? {
        return None;
    }
    let mut contents = Contents::new();
    for index in 0..zip.len() {
        let file = zip.by_index(index).ok()?;
        let name = file.name_raw().to_vec();
        let mut content = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut content).ok()?;
        if content.len() as u64 > LONGEST {
            return None;
        }
        contents.insert(name, content);
    }
    Some(contents)
}

fn by_rawzip(archive: &Bytes) -> Option<Contents> {
    let zip = rawzip::ZipArchive::from_slice(archive).ok()?;
    let mut contents = Contents::new();
    let mut entries = zip.entries();
    while let Some(record) = entries.next_entry().ok()? {
        let entry = zip.get_entry(record.wayfinder()).ok()?;
        let mut content = Vec::new();
        let data = entry.data();
        match record.compression_method() {
            rawzip::CompressionMethod::STORE => {
                entry.verifying_reader(data).take(LONGEST + 1).read_to_end(&mut content).ok()?
            }
            rawzip::CompressionMethod::DEFLATE => {
                let inflater = flate2::bufread::DeflateDecoder::new(data);
                entry.verifying_reader(inflater).take(LONGEST + 1).read_to_end(&mut content).ok()?
            }
            _ => return None,
        };
        contents.insert(record.file_path().as_bytes().to_vec(), content);
    }
    Some(contents)
}

/// An entry's local header can have a longer name or extra block than its record, and so put its data into the next
/// entry. That isn't to be seen from the directory, and so not by us: such an entry loses its data with its neighbour.
fn data_leaves_span(archive: &Bytes, directory: &Directory) -> bool {
    directory.entries().any(|entry| {
        let span = entry.span();
        let header = &archive[usize::try_from(span.start).unwrap()..usize::try_from(span.end).unwrap()];
        let len = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
        30 + len(26) + len(28) + entry.compressed_size() > header.len() as u64
    })
}

/// rawzip knows nothing of Info-ZIP's Unicode Path: an entry that has one is another one to it.
fn has_two_names(directory: &Directory) -> bool {
    directory.entries().any(|entry| entry.name_bytes().is_ascii() && entry.name().as_bytes() != entry.name_bytes())
}

/// What there should be: contents that were replaced or deleted are gone, and what was put is there under the name that
/// its record has now.
fn model(before: &Directory, mut contents: Contents, edits: &Changes, new: &Bytes) -> Contents {
    let after = directory(new);
    for (name, change) in edits.iter() {
        for entry in before.entries().filter(|entry| entry.name() == name.as_str()) {
            contents.remove(entry.name_bytes());
        }
        if let Change::Put(content) = change {
            let entry = after.entries().find(|entry| entry.name() == name.as_str()).unwrap();
            contents.insert(entry.name_bytes().to_vec(), content.plain().to_vec());
        }
    }
    contents
}
