//! Overlays: zips whose entries become puts.

use std::io::{Cursor, Read as _};

use zipedit::parts::PartLimits;
use zipedit::{Change, Error, Stop, read_overlay};

use crate::made::Made;
use crate::store::{MemoryStore, finish};

/// Any archive as an overlay: refused, or puts of just what the `zip` crate reads in it.
pub fn run(data: &[u8]) -> bool {
    let Made { archive, mut choices, .. } = Made::of(data);
    let store = MemoryStore::new(archive.clone(), PartLimits::S3, u64::from(choices.short()) % 500);
    let puts = match finish(read_overlay(&store, &Stop::never())) {
        Ok(puts) => puts,
        Err(Error::NotAZip { .. } | Error::UnsupportedZip { .. } | Error::TooLarge(_)) => return false,
        Err(error) => panic!("{error}"),
    };
    for (name, change) in puts.iter() {
        let Change::Put(content) = change else { panic!("`{name}` would be deleted") };
        let plain = content.plain();
        let mut crc = flate2::Crc::new();
        crc.update(&plain);
        assert_eq!((content.size(), content.crc32()), (plain.len() as u64, crc.sum()), "{name}");
    }
    let Ok(mut zip) = zip::ZipArchive::new(Cursor::new(&archive)) else { return true };
    for index in 0..zip.len() {
        let Ok(mut file) = zip.by_index(index) else { continue };
        let Ok(name) = file.name().map(std::borrow::Cow::into_owned) else { continue };
        let Some(Change::Put(content)) = puts.get(&name) else { continue };
        let mut read = Vec::new();
        if file.read_to_end(&mut read).is_ok() {
            assert_eq!(read, content.plain(), "{name}: the zip crate reads something else");
        }
    }
    true
}
