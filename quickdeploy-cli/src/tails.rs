//! The end of the project's artifact, kept beside the local index, so that it need not be read again.
//!
//! The directory of an artifact with some thousand entries has half a megabyte: most of what a `diff` with nothing to
//! tell would move over a developer's link, every time. With what is kept, a run asks S3 by one HEAD what the artifact is
//! now, and reads it only if that is another object ([`zipedit::reopen`]). Losing a file costs that read, nothing else.
//!
//! # What is kept
//!
//! The whole tail, as it was read or written: the directory, and before it the entries that were edited last. The latter
//! are what a direct patch has to send again, as they are too short for S3 to copy; without them each patch would fetch
//! them first. They are contents, compressed, that whoever runs this can read in the bucket anyway; so the file is for its
//! owner only (mode 0600), and the directory carries a `.gitignore` that ignores itself. After an edit by the zipedit
//! function only the directory is kept, since only that was proven by the function's answer.
//!
//! There is one file per artifact, `.quickdeploy/tails/<hash of its URL>`. It is replaced as a whole, and those that
//! nobody has replaced for the longest time go when there are more than [`MOST_FILES`].
//!
//! # When it is believed
//!
//! When its SHA-256 is right, it is about this artifact, its object has the ETag and the size that S3 tells now, and the
//! engine finds a whole directory in it. Anything else is as good as no file. Every edit is pinned to the ETag besides.
//!
//! # Format
//!
//! Magic, version, SHA-256 of the rest; then the artifact's URL and the object's ETag, each with its length before it, the
//! object's size, and the tail. Integers are little-endian.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use zipedit::directory::MAX_DIRECTORY;
use zipedit::{S3Object, S3Store, Tail};

use crate::compare::in_background;
use crate::project::ArtifactUrl;
use crate::state;
use crate::ui::{Ui, bytes};
use crate::via::S3Artifact;

const DIRECTORY: &str = "tails";
const MAGIC: &[u8; 8] = b"QDTAIL\r\n";
/// Raised with every change of the format: a file of another version is as good as none.
const VERSION: u32 = 1;
/// A longer file is neither written nor read. The engine reads no longer directory.
const MOST_BYTES: u64 = MAX_DIRECTORY + (1 << 20);
/// As many artifacts as a project may have in all of its environments; with more, the oldest are read again.
const MOST_FILES: usize = 16;

/// Where the tail of an artifact is kept.
#[derive(Clone, Debug)]
pub(crate) struct Tails {
    /// `None`: nowhere.
    directory: Option<PathBuf>,
    artifact: String,
}

impl Tails {
    /// In the state directory; `None`: nowhere.
    pub(crate) fn of(state_dir: Option<&Path>, artifact: &ArtifactUrl) -> Self {
        Self { directory: state_dir.map(|directory| directory.join(DIRECTORY)), artifact: artifact.to_string() }
    }

    /// The artifact as it is now, read only as far as what was kept isn't its end.
    ///
    /// # Errors
    ///
    /// As [`zipedit::open`].
    pub(crate) async fn open(&self, ui: &Ui, store: &S3Store) -> Result<S3Artifact, zipedit::Error> {
        let Some(kept) = self.recall_in_background().await else { return self.read(ui, store).await };
        let artifact = zipedit::reopen(store, kept.clone()).await?;
        self.opened(ui, artifact, &kept).await
    }

    /// The same where S3 has told what the artifact is now, or has refused to.
    ///
    /// # Errors
    ///
    /// As [`zipedit::open`].
    pub(crate) async fn open_as(
        &self,
        ui: &Ui,
        store: &S3Store,
        object: Option<S3Object>,
    ) -> Result<S3Artifact, zipedit::Error> {
        match (self.recall_in_background().await, object) {
            (Some(kept), Some(object)) => {
                let artifact = zipedit::reopen_as(store, object, kept.clone()).await?;
                self.opened(ui, artifact, &kept).await
            }
            _ => self.read(ui, store).await,
        }
    }

    async fn opened(&self, ui: &Ui, artifact: S3Artifact, kept: &Tail) -> Result<S3Artifact, zipedit::Error> {
        let now = artifact.tail();
        if now == *kept {
            ui.verbose(format!("what is known of {} is still true: {} not read", self.artifact, kept_size(kept)));
        } else {
            self.keep_in_background(ui, now).await;
        }
        Ok(artifact)
    }

    /// The artifact as it is now, read because it is known to be another one.
    ///
    /// # Errors
    ///
    /// As [`zipedit::open`].
    pub(crate) async fn read(&self, ui: &Ui, store: &S3Store) -> Result<S3Artifact, zipedit::Error> {
        let artifact = zipedit::open(store).await?;
        self.keep_in_background(ui, artifact.tail()).await;
        Ok(artifact)
    }

    /// Keeps the tail of the artifact as it was just written. `None`: it isn't known, and what was kept is out of date.
    pub(crate) async fn learn(&self, ui: &Ui, written: Option<Tail>) {
        match written {
            Some(tail) => self.keep_in_background(ui, tail).await,
            None => self.forget(),
        }
    }

    async fn recall_in_background(&self) -> Option<Tail> {
        self.directory.as_ref()?;
        let tails = self.clone();
        in_background(move || tails.recall()).await.ok()?
    }

    /// That it can't be kept is nothing that anybody has to mend.
    async fn keep_in_background(&self, ui: &Ui, tail: Tail) {
        if self.directory.is_none() {
            return;
        }
        let tails = self.clone();
        if let Ok(Err(error)) = in_background(move || tails.keep(&tail)).await {
            ui.verbose(format!("the end of {} is not kept for the next run: {error}", self.artifact));
        }
    }

    fn file(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(state::name_of(&self.artifact)))
    }

    fn recall(&self) -> Option<Tail> {
        let file = self.file()?;
        if file.metadata().ok()?.len() > MOST_BYTES {
            return None;
        }
        decode(&std::fs::read(file).ok()?.into(), &self.artifact)
    }

    fn keep(&self, tail: &Tail) -> std::io::Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        let content = encode(tail, &self.artifact);
        if content.len() as u64 > MOST_BYTES {
            self.forget();
            return Ok(());
        }
        state::replace(&file, &content, MOST_FILES)
    }

    /// A file that stays all the same is found to be out of date.
    fn forget(&self) {
        if let Some(file) = self.file() {
            let _ = std::fs::remove_file(file);
        }
    }
}

fn kept_size(tail: &Tail) -> impl std::fmt::Display {
    bytes(tail.bytes().len() as u64)
}

fn encode(tail: &Tail, artifact: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(tail.bytes().len() + artifact.len() + 128);
    for text in [artifact, tail.etag()] {
        body.extend_from_slice(&(text.len() as u64).to_le_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    body.extend_from_slice(&tail.size().to_le_bytes());
    body.extend_from_slice(tail.bytes());
    [MAGIC, &VERSION.to_le_bytes()[..], &Sha256::digest(&body), &body].concat()
}

/// `None` for anything but a whole file of this version about this artifact.
fn decode(file: &Bytes, artifact: &str) -> Option<Tail> {
    let rest = file.strip_prefix(MAGIC)?.strip_prefix(&VERSION.to_le_bytes())?;
    let (sha256, body) = rest.split_first_chunk::<32>()?;
    if Sha256::digest(body)[..] != sha256[..] {
        return None;
    }
    let (url, rest) = text(body)?;
    let (etag, rest) = text(rest)?;
    let (size, tail) = number(rest)?;
    (url == artifact).then(|| Tail::new(etag, size, file.slice_ref(tail)))
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = number(bytes)?;
    let (text, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn tails(directory: &Path, url: &str) -> Tails {
        Tails::of(Some(directory), &url.parse().unwrap())
    }

    fn tail(etag: &str) -> Tail {
        Tail::new(etag, 1000, Bytes::from_static(b"the last bytes"))
    }

    fn files(directory: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(directory.join(DIRECTORY)).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn what_was_kept_of_an_artifact_is_recalled_for_that_one() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (tails(directory.path(), "s3://bkt/one"), tails(directory.path(), "s3://bkt/other"));
        assert_eq!(one.recall(), None);
        one.keep(&tail("\"1\"")).unwrap();
        one.keep(&tail("\"2\"")).unwrap();
        assert_eq!((one.recall(), other.recall()), (Some(tail("\"2\"")), None));
        assert_eq!(files(directory.path()).len(), 1, "one file per artifact, and no temporary ones");
        other.keep(&tail("\"3\"")).unwrap();
        one.forget();
        assert_eq!((one.recall(), other.recall()), (None, Some(tail("\"3\""))));
    }

    #[test]
    fn a_file_that_came_under_another_artifacts_name_is_as_good_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (tails(directory.path(), "s3://bkt/one"), tails(directory.path(), "s3://bkt/other"));
        one.keep(&tail("\"1\"")).unwrap();
        std::fs::copy(one.file().unwrap(), other.file().unwrap()).unwrap();
        assert_eq!(other.recall(), None);
    }

    #[test]
    fn every_bit_that_flips_and_every_truncation_is_noticed() {
        let whole = encode(&tail("\"1\""), "s3://bkt/k");
        assert_eq!(decode(&whole.clone().into(), "s3://bkt/k"), Some(tail("\"1\"")));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            assert_eq!(decode(&damaged.into(), "s3://bkt/k"), None, "byte {at}");
            assert_eq!(decode(&whole[..at].to_vec().into(), "s3://bkt/k"), None, "{at} bytes");
        }
        let longer = [whole.as_slice(), b"x"].concat();
        assert_eq!(decode(&longer.into(), "s3://bkt/k"), None);
    }

    #[test]
    fn a_length_that_lies_under_a_right_digest_is_no_panic() {
        let mut body = u64::MAX.to_le_bytes().to_vec();
        body.extend_from_slice(b"s3://bkt/k");
        let file = [MAGIC, &VERSION.to_le_bytes()[..], &Sha256::digest(&body), &body].concat();
        assert_eq!(decode(&file.into(), "s3://bkt/k"), None);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let directory = tempfile::tempdir().unwrap();
        let of = |number: usize| tails(directory.path(), &format!("s3://bkt/{number}"));
        for number in 0..MOST_FILES + 2 {
            of(number).keep(&tail("\"e\"")).unwrap();
            // Clocks of file systems tick slowly.
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000 + number as u64);
            let file = std::fs::File::options().write(true).open(of(number).file().unwrap()).unwrap();
            file.set_modified(time).unwrap();
        }
        of(MOST_FILES + 2).keep(&tail("\"e\"")).unwrap();
        assert_eq!(files(directory.path()).len(), MOST_FILES);
        assert_eq!([0, 1, 2, 3].map(|number| of(number).recall().is_some()), [false, false, false, true]);
        assert!(of(MOST_FILES + 2).recall().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn it_is_for_its_owner_only_and_never_committed() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        tails(directory.path(), "s3://bkt/k").keep(&tail("\"1\"")).unwrap();
        let [file] = files(directory.path()).try_into().unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(directory.path().join(".gitignore")).unwrap(), "*\n");
    }
}
