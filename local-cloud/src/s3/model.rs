//! Buckets, keys, versions and uploads, and the rules by which they change. No I/O, no clock, no HTTP.
//!
//! Two orders matter. A version's place among the versions of its key is its *initiation*: the arrival of a PUT, the
//! CreateMultipartUpload of an upload. So an upload that was begun first and completed last doesn't become the current
//! version. The *commit* order is when a write took effect: conditional writes look at it to find out whether somebody
//! else wrote in between. Both are taken from one counter.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use s3s::dto::Timestamp;
use serde::{Deserialize, Serialize};

use super::checksum::{Algorithm, Checksum, Digests, Kind};
use super::rope::Rope;

/// A position in the one order of everything that happens in a store.
pub(crate) type Moment = u64;

/// The id of the version that a key has while its bucket isn't versioned.
pub(crate) const NULL: &str = "null";

/// Seconds since 1970: S3 keeps times to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Time(i64);

impl Time {
    pub(crate) fn now() -> Self {
        Self::from(&Timestamp::from(std::time::SystemTime::now()))
    }
}

impl From<&Timestamp> for Time {
    fn from(time: &Timestamp) -> Self {
        Self(time::OffsetDateTime::from(time.clone()).unix_timestamp())
    }
}

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        time::OffsetDateTime::from_unix_timestamp(time.0).map(Self::from).unwrap_or_default()
    }
}

/// Whether a bucket keeps versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Versioning {
    /// It never has.
    #[default]
    Never,
    Enabled,
    /// It has, and its old versions are still there.
    Suspended,
}

/// A bucket with everything in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) created: Time,
    /// `None` is `us-east-1`.
    pub(crate) region: Option<String>,
    pub(crate) versioning: Versioning,
    pub(crate) object_lock: bool,
    /// Configurations by their subresource's name (`cors`, `policy`…), as XML or JSON.
    pub(crate) settings: BTreeMap<String, String>,
    /// The versions of each key, the current one first. Never an empty list.
    #[serde(skip)]
    pub(crate) keys: BTreeMap<String, Vec<Version>>,
    /// Unfinished uploads by key and initiation, which is the order they are listed in.
    #[serde(skip)]
    pub(crate) uploads: BTreeMap<(String, Moment), Upload>,
    /// Finished uploads, so that a repeated Complete gets the same answer.
    #[serde(skip)]
    pub(crate) completed: HashMap<String, Completed>,
    /// When a key last lost its current object. Only conditional writes under way ask for it.
    #[serde(skip)]
    pub(crate) removed: HashMap<String, Moment>,
}

/// One version of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) id: String,
    /// Its place among the versions.
    pub(crate) initiated: Moment,
    /// When it was written.
    pub(crate) committed: Moment,
    pub(crate) modified: Time,
    /// `None` is a delete marker.
    pub(crate) object: Option<Object>,
}

/// An object: what can't change about it, and what can.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) content: Arc<Content>,
    pub(crate) attributes: Arc<Attributes>,
}

/// What was written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) data: Rope,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
    /// The parts of a multipart object; empty for any other.
    pub(crate) parts: Vec<ObjectPart>,
    /// Digests of ranges that were copied from it, so that the next copy of the same range needn't read the bytes.
    #[serde(skip)]
    pub(crate) known: Mutex<HashMap<(u64, u64), Digests>>,
}

/// A part of a finished multipart object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ObjectPart {
    pub(crate) number: i32,
    pub(crate) digests: Digests,
}

/// What the headers of a write said about an object, besides its bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    /// `Content-Type` and its like, by lowercase header name.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tags: Vec<(String, String)>,
    /// `None` is STANDARD.
    pub(crate) storage_class: Option<String>,
    pub(crate) redirect: Option<String>,
    pub(crate) encryption: Encryption,
    pub(crate) lock: Lock,
    /// The access control list as XML; `None` is private.
    pub(crate) acl: Option<String>,
}

/// Server-side encryption as it is shown. The local cloud encrypts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Encryption {
    /// `AES256`, `aws:kms` or `aws:kms:dsse`; `None` with a customer's key.
    pub(crate) algorithm: Option<String>,
    pub(crate) kms_key: Option<String>,
    pub(crate) kms_context: Option<String>,
    pub(crate) bucket_key: Option<bool>,
    /// Base64 of the MD5 of the customer's key (SSE-C).
    pub(crate) customer_key_md5: Option<String>,
}

/// Object Lock: what protects a version from deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lock {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub(crate) mode: Option<String>,
    pub(crate) until: Option<Time>,
    pub(crate) legal_hold: Option<bool>,
}

impl Lock {
    /// Whether the version must stay.
    pub(crate) fn holds(&self, now: Time, bypass_governance: bool) -> bool {
        if self.legal_hold == Some(true) {
            return true;
        }
        if bypass_governance && self.mode.as_deref() == Some("GOVERNANCE") {
            return false;
        }
        self.until.is_some_and(|until| until > now)
    }
}

/// An unfinished multipart upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) initiated: Moment,
    pub(crate) started: Time,
    pub(crate) attributes: Arc<Attributes>,
    /// What Create declared.
    pub(crate) checksum: Option<(Algorithm, Kind)>,
    pub(crate) parts: BTreeMap<i32, Part>,
}

/// An uploaded part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) data: Rope,
    pub(crate) digests: Digests,
    /// The algorithm that the client declared for this part, or the upload's for a copy.
    pub(crate) declared: Option<Algorithm>,
    pub(crate) modified: Time,
}

/// What a finished upload became.
#[derive(Clone, Debug)]
pub(crate) struct Completed {
    pub(crate) key: String,
    pub(crate) version: Version,
    /// Part numbers and entity tags as the Complete request listed them.
    pub(crate) parts: Vec<(i32, String)>,
}

/// What became of a delete without a version id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// The delete marker that was put on top, or the version that was removed.
    pub(crate) version_id: Option<String>,
    pub(crate) delete_marker: bool,
}

impl Bucket {
    pub(crate) fn new(region: Option<String>, object_lock: bool) -> Self {
        Self {
            created: Time::now(),
            region,
            // Object Lock needs versions.
            versioning: if object_lock { Versioning::Enabled } else { Versioning::Never },
            object_lock,
            settings: BTreeMap::new(),
            keys: BTreeMap::new(),
            uploads: BTreeMap::new(),
            completed: HashMap::new(),
            removed: HashMap::new(),
        }
    }

    /// The newest version of a key, be it a delete marker.
    pub(crate) fn latest(&self, key: &str) -> Option<&Version> {
        self.keys.get(key)?.first()
    }

    /// The current object of a key.
    pub(crate) fn current(&self, key: &str) -> Option<(&Version, &Object)> {
        let version = self.latest(key)?;
        Some((version, version.object.as_ref()?))
    }

    pub(crate) fn version(&self, key: &str, id: &str) -> Option<&Version> {
        self.keys.get(key)?.iter().find(|version| version.id == id)
    }

    pub(crate) fn version_mut(&mut self, key: &str, id: Option<&str>) -> Option<&mut Version> {
        let versions = self.keys.get_mut(key)?;
        match id {
            Some(id) => versions.iter_mut().find(|version| version.id == id),
            None => versions.first_mut(),
        }
    }

    /// The id that the next version gets.
    pub(crate) fn next_version_id(&self) -> String {
        match self.versioning {
            Versioning::Enabled => super::ids::version_id(),
            Versioning::Never | Versioning::Suspended => NULL.to_owned(),
        }
    }

    /// Adds a version at its place. One with the same id, which only `null` can be, gives way.
    pub(crate) fn insert(&mut self, key: &str, version: Version) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        versions.retain(|other| other.id != version.id);
        let place = versions.partition_point(|other| other.initiated > version.initiated);
        versions.insert(place, version);
    }

    /// Deletes without a version id: removes the object, or in a versioned bucket puts a delete marker on top.
    pub(crate) fn delete(&mut self, key: &str, now: Moment) -> Deleted {
        self.removed.insert(key.to_owned(), now);
        if self.versioning == Versioning::Never {
            self.keys.remove(key);
            return Deleted::default();
        }
        let id = self.next_version_id();
        let marker = Version { id: id.clone(), initiated: now, committed: now, modified: Time::now(), object: None };
        self.insert(key, marker);
        Deleted { version_id: Some(id), delete_marker: true }
    }

    /// Deletes one version for good.
    pub(crate) fn delete_version(&mut self, key: &str, id: &str, now: Moment) -> Option<Version> {
        let versions = self.keys.get_mut(key)?;
        let at = versions.iter().position(|version| version.id == id)?;
        let version = versions.remove(at);
        if versions.is_empty() {
            self.keys.remove(key);
        }
        if at == 0 {
            self.removed.insert(key.to_owned(), now);
        }
        Some(version)
    }

    /// Whether the key has lost its current object since `moment`.
    pub(crate) fn removed_since(&self, key: &str, moment: Moment) -> bool {
        self.removed.get(key).is_some_and(|removed| *removed > moment)
    }

    pub(crate) fn upload(&self, key: &str, id: &str) -> Option<&Upload> {
        self.uploads_of(key).find(|upload| upload.id == id)
    }

    pub(crate) fn upload_mut(&mut self, key: &str, id: &str) -> Option<&mut Upload> {
        let moment = self.upload(key, id)?.initiated;
        self.uploads.get_mut(&(key.to_owned(), moment))
    }

    pub(crate) fn uploads_of(&self, key: &str) -> impl Iterator<Item = &Upload> {
        self.uploads.range((key.to_owned(), 0)..=(key.to_owned(), Moment::MAX)).map(|(_, upload)| upload)
    }
}

impl Object {
    pub(crate) fn size(&self) -> u64 {
        self.content.data.size()
    }

    pub(crate) fn etag(&self) -> &str {
        &self.content.etag
    }

    /// The bytes of a part, by its number. An object that was put in one piece is its own part 1.
    pub(crate) fn part_range(&self, number: i32) -> Option<std::ops::Range<u64>> {
        if self.content.parts.is_empty() {
            return (number == 1).then(|| 0..self.size());
        }
        let at = self.content.parts.iter().position(|part| part.number == number)?;
        let begin = self.content.parts[..at].iter().map(|part| part.digests.size).sum::<u64>();
        Some(begin..begin + self.content.parts[at].digests.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: &str, initiated: Moment, committed: Moment) -> Version {
        let content = Content {
            data: Rope::default(),
            etag: id.to_owned(),
            checksum: None,
            parts: Vec::new(),
            known: Mutex::default(),
        };
        let object = Object { content: Arc::new(content), attributes: Arc::default() };
        Version { id: id.to_owned(), initiated, committed, modified: Time::now(), object: Some(object) }
    }

    fn ids(bucket: &Bucket) -> Vec<&str> {
        bucket
            .keys
            .get("k")
            .map_or_else(Vec::new, |versions| versions.iter().map(|version| version.id.as_str()).collect())
    }

    #[test]
    fn the_version_that_was_initiated_last_is_current_whichever_is_completed_last() {
        let mut bucket = Bucket::new(None, true);
        bucket.insert("k", version("put", 5, 5));
        bucket.insert("k", version("upload", 3, 9));
        assert_eq!(ids(&bucket), ["put", "upload"]);
    }

    #[test]
    fn in_a_suspended_bucket_only_the_null_version_gives_way() {
        let mut bucket = Bucket::new(None, true);
        bucket.insert("k", version("v1", 1, 1));
        bucket.versioning = Versioning::Suspended;
        bucket.insert("k", version(NULL, 2, 2));
        bucket.insert("k", version(NULL, 3, 3));
        assert_eq!(ids(&bucket), [NULL, "v1"]);
        let deleted = bucket.delete("k", 4);
        assert_eq!(deleted, Deleted { version_id: Some(NULL.to_owned()), delete_marker: true });
        assert_eq!(ids(&bucket), [NULL, "v1"]);
        assert!(bucket.current("k").is_none());
    }

    #[test]
    fn removing_the_delete_marker_brings_the_object_back() {
        let mut bucket = Bucket::new(None, true);
        bucket.insert("k", version("v1", 1, 1));
        let marker = bucket.delete("k", 2).version_id.unwrap();
        assert!(bucket.current("k").is_none());
        assert!(bucket.delete_version("k", &marker, 3).is_some());
        assert_eq!(bucket.current("k").map(|(version, _)| version.id.as_str()), Some("v1"));
    }

    #[test]
    fn a_legal_hold_cannot_be_bypassed_and_governance_can() {
        let now = Time::now();
        let governed = Lock { mode: Some("GOVERNANCE".to_owned()), until: Some(Time(now.0 + 60)), legal_hold: None };
        assert!(governed.holds(now, false) && !governed.holds(now, true));
        let compliant = Lock { mode: Some("COMPLIANCE".to_owned()), ..governed.clone() };
        assert!(compliant.holds(now, true));
        assert!(Lock { legal_hold: Some(true), ..Lock::default() }.holds(now, true));
        assert!(!Lock { until: Some(Time(now.0 - 1)), ..governed }.holds(now, false));
    }
}
