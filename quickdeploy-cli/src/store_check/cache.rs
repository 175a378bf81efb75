//! Which preconditions stores were seen to heed, beside the local index. Losing it costs a few requests.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use zipedit::Precondition;

use crate::error::{Error, Result};

const FILE: &str = "stores.json";
/// What stands in the file has this form.
const FORMAT: u32 = 1;
/// How long an answer counts. Something else can listen at an endpoint, or another release of it.
const GOOD_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// When a precondition was seen to be heeded, in seconds since 1970.
type Seen = BTreeMap<Precondition, u64>;

#[derive(Default, Serialize, Deserialize)]
struct Content {
    format: u32,
    /// By endpoint and bucket.
    stores: BTreeMap<String, BTreeMap<String, Seen>>,
}

/// The cache's file.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    file: Option<PathBuf>,
}

impl Cache {
    /// In this directory; `None`: nowhere.
    pub(super) fn in_directory(directory: Option<&Path>) -> Self {
        Self { file: directory.map(|directory| directory.join(FILE)) }
    }

    /// What the store was seen to heed, not long before `now`. A file that can't be read or understood is as good as none.
    pub(super) fn recall(&self, endpoint: &str, bucket: &str, now: SystemTime) -> BTreeSet<Precondition> {
        let seen = self.all(now).stores.remove(endpoint).and_then(|mut buckets| buckets.remove(bucket));
        seen.unwrap_or_default().into_keys().collect()
    }

    /// Remembers that the store heeds these.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub(super) fn learn(
        &self,
        endpoint: &str,
        bucket: &str,
        heeded: impl Iterator<Item = Precondition>,
        now: SystemTime,
    ) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut heeded = heeded.map(|one| (one, seconds(now))).peekable();
        if heeded.peek().is_none() {
            return Ok(());
        }
        let mut all = self.all(now);
        all.format = FORMAT;
        all.stores.entry(endpoint.to_owned()).or_default().entry(bucket.to_owned()).or_default().extend(heeded);
        write(file, &all).map_err(|error| Error::file("write", file, &error).hint("this file only saves requests"))
    }

    /// What is still good.
    fn all(&self, now: SystemTime) -> Content {
        let text = self.file.as_deref().and_then(|file| std::fs::read(file).ok());
        let content = text.and_then(|text| serde_json::from_slice::<Content>(&text).ok());
        let mut content = content.filter(|content| content.format == FORMAT).unwrap_or_default();
        let now = seconds(now);
        // A time that is yet to come is one of a clock that was wrong.
        let is_good = |at: u64| now.checked_sub(at).is_some_and(|age| age < GOOD_FOR.as_secs());
        content.stores.retain(|_, buckets| {
            buckets.retain(|_, seen| {
                seen.retain(|_, at| is_good(*at));
                !seen.is_empty()
            });
            !buckets.is_empty()
        });
        content
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Whole or not at all: another run may be reading.
fn write(file: &Path, content: &Content) -> std::io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    serde_json::to_writer_pretty(&mut new, content)?;
    new.flush()?;
    new.persist(file).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;

    #[test]
    fn an_answer_is_good_for_a_week_for_its_endpoint_and_bucket() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::in_directory(Some(directory.path()));
        let now = NOW + GOOD_FOR * 100;
        let [put, copy] = [Precondition::PutIfMatch, Precondition::CopyIfMatch];
        cache.learn("http://a", "b", [put].into_iter(), now).unwrap();
        cache.learn("http://a", "b", [copy].into_iter(), now + GOOD_FOR / 2).unwrap();
        let recall =
            |endpoint, bucket, after| cache.recall(endpoint, bucket, now + after).into_iter().collect::<Vec<_>>();
        assert_eq!(recall("http://a", "b", GOOD_FOR / 2), [put, copy]);
        assert_eq!(recall("http://a", "b", GOOD_FOR), [copy]);
        assert_eq!(recall("http://a", "b", GOOD_FOR * 2), []);
        assert_eq!(recall("http://a", "other", Duration::ZERO), []);
        assert_eq!(recall("http://other", "b", Duration::ZERO), []);
        assert_eq!(cache.recall("http://a", "b", now - Duration::from_secs(1)).len(), 0, "the clock was wrong");
        // The file doesn't grow with every port that something once listened on.
        cache.learn("http://b", "b", [put].into_iter(), now + GOOD_FOR * 2).unwrap();
        assert!(!std::fs::read_to_string(directory.path().join(FILE)).unwrap().contains("http://a"));
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), "{not json").unwrap();
        let cache = Cache::in_directory(Some(directory.path()));
        assert_eq!(cache.recall("http://a", "b", NOW).len(), 0);
        cache.learn("http://a", "b", [Precondition::PutIfMatch].into_iter(), NOW).unwrap();
        assert_eq!(cache.recall("http://a", "b", NOW).len(), 1);
    }
}
