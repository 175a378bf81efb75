//! The end of an artifact, as it can be kept: with it the directory is known again without being read.
//!
//! A tail is good for one object, which its size and ETag name; the same ETag stands for the same bytes, as it does for
//! every `If-Match` of an edit. What else an object has (version, metadata, tags, storage class, locks) can change while
//! its bytes stay: none of it is kept, and [`reopen`] asks the store for it, by the one request that also tells whether
//! the object is still the same. What was kept is believed as little as what is read: it has to be a whole directory that
//! fits the object's size, or it is as if nothing had been kept.
//!
//! # After an edit by another process
//!
//! Who knows a directory and the changes to it can plan the edit, too, and so knows the new directory without reading it,
//! if the process that carries the edit out plans on the same artifact. That is never taken for granted: the other one
//! tells the SHA-256 of what it wrote from the directory on ([`Artifact::directory_sha256`]), and
//! [`Plan::tail_of_written`] compares. Another base, another engine, an answer without a digest: then nothing is known.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::artifact::{Artifact, open};
use crate::directory::{Directory, Search};
use crate::error::Error;
use crate::plan::Plan;
use crate::store::{Object, Store};

/// The last bytes of an object, all of its directory among them, and which object that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    etag: String,
    size: u64,
    bytes: Bytes,
}

impl Tail {
    /// The last `bytes` of the object of `size` bytes that has this ETag, as the store writes it.
    #[must_use]
    pub fn new(etag: impl Into<String>, size: u64, bytes: Bytes) -> Self {
        Self { etag: etag.into(), size, bytes }
    }

    /// The object's ETag, as the store writes it.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The object's size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The object's last bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The directory that is in it; `None` when it isn't one, or not as a whole.
    #[must_use]
    pub fn directory(&self) -> Option<Directory> {
        match Directory::find(&self.bytes, self.size) {
            Ok(Search::Found(directory)) => Some(directory),
            Ok(Search::ReadFrom(_)) | Err(_) => None,
        }
    }

    /// Whether it is the end of `object`.
    fn is_of(&self, object: &impl Object) -> bool {
        self.etag == object.etag() && self.size == object.size()
    }
}

/// What the store tells of the artifact without reading any of it. `None` when it refuses to: the answer to a HEAD has no
/// body that would say why, and an artifact may be readable all the same.
///
/// # Errors
/// The artifact isn't there, or the store can't be reached.
pub async fn head<S: Store>(store: &S) -> Result<Option<S::Object>, Error> {
    match store.head().await {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_refusal() => Ok(None),
        Err(error) => Err(Error::store(store.location(), error)),
    }
}

/// Reads an artifact of which `kept` was kept: by one request if it is still that object. Else it is read as by
/// [`open`], by one or two more, and nothing of `kept` is used.
///
/// # Errors
/// As [`open`].
pub async fn reopen<S: Store>(store: &S, kept: Tail) -> Result<Artifact<S::Object>, Error> {
    match head(store).await? {
        Some(object) => reopen_as(store, object, kept).await,
        None => open(store).await,
    }
}

/// The same where [`head`] was asked already, and told that the artifact is `object`.
///
/// # Errors
/// As [`open`].
pub async fn reopen_as<S: Store>(store: &S, object: S::Object, kept: Tail) -> Result<Artifact<S::Object>, Error> {
    let known = if kept.is_of(&object) { Artifact::with_tail(object, kept.bytes) } else { None };
    match known {
        Some(artifact) => Ok(artifact),
        None => open(store).await,
    }
}

impl<O: Object> Artifact<O> {
    /// What was read of the artifact's end, to be kept.
    pub fn tail(&self) -> Tail {
        Tail::new(self.object().etag(), self.object().size(), self.tail_bytes().clone())
    }

    /// SHA-256 of the artifact's bytes from its central directory on, end record and comment included.
    pub fn directory_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.in_tail(&(self.directory().start()..self.object().size()))).into()
    }
}

impl Plan {
    /// The end of an artifact that another process has written, if it is what is planned here: of that size, and with
    /// that [`Artifact::directory_sha256`]. It begins with the directory; nothing is proven of what is before that.
    #[must_use]
    pub fn tail_of_written(&self, etag: &str, size: u64, directory_sha256: &[u8; 32]) -> Option<Tail> {
        let end = self.directory();
        let is_this = self.size() == size && Sha256::digest(&end)[..] == directory_sha256[..];
        is_this.then(|| Tail::new(etag, size, end))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use crate::changes::{Changes, Content, EntryName};
    use crate::edit::{Options, edit_from};
    use crate::store::file::FileStore;

    use super::*;

    fn write(path: &Path, names: &[&str]) {
        let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
        for name in names {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(name.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
    }

    fn changes() -> Changes {
        let mut changes = Changes::new();
        changes.put(EntryName::new("a").unwrap(), Content::new("edited, edited, edited, edited"));
        changes.put(EntryName::new("new").unwrap(), Content::new("new"));
        changes
    }

    fn names(directory: &Directory) -> Vec<String> {
        directory.entries().map(|entry| entry.name().into_owned()).collect()
    }

    #[tokio::test]
    async fn the_directory_alone_is_a_tail_from_which_an_artifact_can_be_edited() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), &["a", "b", "c"]);
        let store = FileStore::new(file.path());
        let whole = open(&store).await.unwrap().tail();
        let start = usize::try_from(whole.directory().unwrap().start()).unwrap();
        let kept = Tail::new(whole.etag(), whole.size(), whole.bytes().slice(start..));

        let artifact = reopen(&store, kept.clone()).await.unwrap();
        assert_eq!(artifact.tail(), kept, "nothing more was read");
        let (_, edited) = edit_from(&store, Some(artifact), &changes(), &Options::new()).await.unwrap();
        assert_eq!(names(edited.unwrap().directory()), ["b", "c", "a", "new"]);
        let mut archive = zip::ZipArchive::new(std::fs::File::open(file.path()).unwrap()).unwrap();
        assert_eq!(std::io::read_to_string(archive.by_name("c").unwrap()).unwrap(), "c");
    }

    #[tokio::test]
    async fn a_tail_of_another_object_or_without_a_whole_directory_is_not_used() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), &["a", "b"]);
        let store = FileStore::new(file.path());
        let right = open(&store).await.unwrap().tail();
        let other = {
            let file = tempfile::NamedTempFile::new().unwrap();
            write(file.path(), &["x", "y"]);
            open(&FileStore::new(file.path())).await.unwrap().tail()
        };
        assert_eq!(right.size(), other.size(), "they differ in the rest only");
        let (etag, size) = (right.etag(), right.size());
        for (what, kept) in [
            ("another object", other.clone()),
            ("another ETag", Tail::new("\"x\"", size, right.bytes().clone())),
            ("another size", Tail::new(etag, size - 1, right.bytes().clone())),
            ("nothing", Tail::new(etag, size, Bytes::new())),
            ("the end record alone", Tail::new(etag, size, right.bytes().slice(right.bytes().len() - 22..))),
            ("too much", Tail::new(etag, size, [&right.bytes()[..], right.bytes()].concat().into())),
            ("no zip", Tail::new(etag, size, Bytes::from_static(b"no zip at all, but long enough for a record"))),
        ] {
            let artifact = reopen(&store, kept).await.unwrap();
            assert_eq!(
                (artifact.tail(), names(artifact.directory())),
                (right.clone(), vec!["a".into(), "b".into()]),
                "{what}"
            );
        }
    }

    #[tokio::test]
    async fn who_plans_the_same_edit_knows_the_end_by_its_digest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), &["a", "b"]);
        let store = FileStore::new(file.path());
        let base = open(&store).await.unwrap();
        let here = base.prepare(&store, &changes()).unwrap();
        let elsewhere = edit_from(&store, None, &changes(), &Options::new()).await.unwrap().1.unwrap();

        let (etag, size) = (elsewhere.object().etag(), elsewhere.object().size());
        let digest = elsewhere.directory_sha256();
        let known = here.plan().tail_of_written(etag, size, &digest).unwrap();
        assert_eq!(names(&known.directory().unwrap()), names(elsewhere.directory()));
        assert!(elsewhere.tail().bytes().ends_with(known.bytes()));
        assert_eq!(here.plan().tail_of_written(etag, size + 1, &digest), None);
        assert_eq!(here.plan().tail_of_written(etag, size, &base.directory_sha256()), None);
    }
}
