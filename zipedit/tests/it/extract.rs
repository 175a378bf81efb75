//! The contents of entries, read without the rest of the archive.

use bytes::Bytes;
use zipedit::{Entry, FileStore, open, read_entries};

use crate::archive::{ArchiveSpec, Descriptor, Spec};

/// Longer than the tail that is read anyway, and not to be compressed.
fn noise(len: u32) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

async fn contents(archive: Bytes, wanted: &[&str]) -> Vec<Option<Bytes>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("artifact.zip");
    std::fs::write(&path, archive).unwrap();
    let store = FileStore::new(&path);
    let artifact = open(&store).await.unwrap();
    let entry = |name: &&str| artifact.directory().entries().find(|entry| entry.name() == *name).unwrap();
    let wanted: Vec<Entry<'_>> = wanted.iter().map(entry).collect();
    read_entries(&store, &artifact, &wanted).await.unwrap()
}

#[tokio::test]
async fn every_way_of_writing_an_entry_is_read() {
    let mut odd = Spec::new("descriptor", "with a descriptor");
    odd.descriptor = Descriptor::Signed;
    odd.zip64 = true;
    odd.extra = vec![0xfe, 0xca, 2, 0, 1, 2];
    odd.padding = 7;
    let spec = ArchiveSpec::of([
        Spec::new("first", "deflated ".repeat(100)),
        Spec::new("large", noise(900_000)).stored(),
        odd,
        Spec::new("empty", ""),
        Spec::new("stored", "as it is").stored(),
    ]);
    let found = contents(spec.write(), &["stored", "first", "empty", "descriptor", "large"]).await;
    let expected = ["as it is".to_owned(), "deflated ".repeat(100), String::new(), "with a descriptor".to_owned()];
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.as_deref(), Some(expected.as_bytes()));
    }
    assert_eq!(found[4].as_deref(), Some(&*noise(900_000)));
}

#[tokio::test]
async fn a_damaged_content_is_none_and_spoils_no_other() {
    let spec = ArchiveSpec::of([Spec::new("a", "content of a").stored(), Spec::new("b", "content of b").stored()]);
    let mut bytes = spec.write().to_vec();
    let at = bytes.windows(12).position(|window| window == b"content of a").unwrap();
    bytes[at] ^= 1;
    let found = contents(bytes.into(), &["a", "b"]).await;
    assert_eq!(found, [None, Some(Bytes::from_static(b"content of b"))]);
}

#[tokio::test]
async fn nothing_asked_is_nothing_read() {
    assert!(contents(ArchiveSpec::of([Spec::new("a", "a")]).write(), &[]).await.is_empty());
}
