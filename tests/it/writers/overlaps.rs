//! In a versioned bucket, of uploads that overlap the one that was *initiated* last becomes the current version, not the
//! one that was completed last. Another writer, who heeds no conditions, begins and completes an upload at every pair of
//! moments of an edit: the version in the edit's answer is the one that it wrote, and the current one when it is given.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::stream::BoxStream;
use quickdeploy_tests::archives::{archive, contents, project};
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use tokio::sync::Mutex;
use zipedit::parts::PartLimits;
use zipedit::store::Slot;
use zipedit::{Options, S3Object, S3Store, Store, StoreError, edit};

use crate::strategies::puts;

const KEY: &str = "artifact.zip";

/// Moments of an edit, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// Before the version that the edit finds is written.
    First,
    Reads,
    /// Only of a splice: before its upload is created.
    Creates,
    /// Before the put or the Complete.
    Commits,
    Answered,
}

impl Moment {
    const ALL: [Moment; 5] = [Moment::First, Moment::Reads, Moment::Creates, Moment::Commits, Moment::Answered];
}

/// The other writer.
struct Other<'a> {
    cloud: &'a Cloud,
    body: Bytes,
    begins: Moment,
    completes: Moment,
    upload: Mutex<Option<String>>,
    version: Mutex<Option<String>>,
}

impl Other<'_> {
    /// Does what is its turn now, once.
    async fn at(&self, now: Moment) {
        let mut upload = self.upload.lock().await;
        if self.begins == now && upload.is_none() {
            *upload = Some(begin(self.cloud).await);
        }
        let mut version = self.version.lock().await;
        if self.completes == now && version.is_none() {
            *version = Some(complete(self.cloud, upload.as_deref().unwrap(), &self.body).await);
        }
    }
}

async fn begin(cloud: &Cloud) -> String {
    let created = cloud.s3.create_multipart_upload().bucket(BUCKET).key(KEY).send().await.unwrap();
    created.upload_id.unwrap()
}

/// Uploads and completes in one; the version.
async fn complete(cloud: &Cloud, upload: &str, body: &Bytes) -> String {
    let part = cloud.s3.upload_part().bucket(BUCKET).key(KEY).upload_id(upload).part_number(1);
    let etag = part.body(body.clone().into()).send().await.unwrap().e_tag;
    let part = CompletedPart::builder().part_number(1).set_e_tag(etag).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = cloud.s3.complete_multipart_upload().bucket(BUCKET).key(KEY).upload_id(upload);
    complete.multipart_upload(parts).send().await.unwrap().version_id.unwrap()
}

/// A store that lets the other writer do its part at each moment of an edit.
struct Between<'a> {
    store: S3Store,
    other: &'a Other<'a>,
    tries: AtomicUsize,
}

impl Store for Between<'_> {
    type Object = S3Object;
    type Upload = String;
    type Part = CompletedPart;

    fn location(&self) -> &str {
        self.store.location()
    }

    fn part_limits(&self) -> PartLimits {
        self.store.part_limits()
    }

    fn small(&self) -> u64 {
        self.store.small()
    }

    async fn tail(&self, len: u64) -> Result<(S3Object, Bytes), StoreError> {
        self.other.at(Moment::Reads).await;
        self.store.tail(len).await
    }

    async fn head(&self) -> Result<S3Object, StoreError> {
        self.store.head().await
    }

    fn carries_the_same(&self, one: &S3Object, other: &S3Object) -> bool {
        self.store.carries_the_same(one, other)
    }

    async fn read(&self, object: &S3Object, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.store.read(object, range).await
    }

    async fn stream(
        &self,
        object: &S3Object,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        self.store.stream(object, range).await
    }

    async fn put(&self, base: &S3Object, body: Bytes) -> Result<S3Object, StoreError> {
        self.other.at(Moment::Commits).await;
        self.tries.fetch_add(1, Ordering::Relaxed);
        self.store.put(base, body).await
    }

    async fn create(&self, base: &S3Object) -> Result<String, StoreError> {
        self.other.at(Moment::Creates).await;
        self.store.create(base).await
    }

    async fn upload_part(&self, upload: &String, slot: Slot, body: Bytes) -> Result<CompletedPart, StoreError> {
        self.store.upload_part(upload, slot, body).await
    }

    async fn copy_part(
        &self,
        upload: &String,
        slot: Slot,
        base: &S3Object,
        range: Range<u64>,
    ) -> Result<CompletedPart, StoreError> {
        self.store.copy_part(upload, slot, base, range).await
    }

    async fn complete(
        &self,
        upload: &String,
        base: &S3Object,
        parts: Vec<CompletedPart>,
        size: u64,
    ) -> Result<S3Object, StoreError> {
        self.other.at(Moment::Commits).await;
        self.tries.fetch_add(1, Ordering::Relaxed);
        self.store.complete(upload, base, parts, size).await
    }

    async fn abort(&self, upload: &String) -> Result<(), StoreError> {
        self.store.abort(upload).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_in_the_answer_is_the_one_written_and_current_however_uploads_overlap() {
    let (mut cases, mut again, mut hidden) = (0, 0, 0);
    for splice in [false, true] {
        let moments = Moment::ALL.iter().copied().filter(|&moment| splice || moment != Moment::Creates);
        let moments: Vec<Moment> = moments.collect();
        for (at, &begins) in moments.iter().enumerate() {
            for &completes in &moments[at..] {
                for same_bytes in [false, true] {
                    let case = format!(
                        "splice: {splice}, the other begins before {begins:?}, completes before {completes:?}, the same \
                         bytes: {same_bytes}"
                    );
                    let outcome = overlap(splice, begins, completes, same_bytes, &case).await;
                    cases += 1;
                    again += usize::from(outcome.tries > 1);
                    hidden += usize::from(outcome.other_is_hidden);
                }
            }
        }
    }
    println!(
        "{cases} overlaps: in {again} the edit was planned again, in {hidden} the other's version never became current"
    );
    assert!(again > 0 && again < cases && hidden > 0, "they didn't overlap");
}

struct Outcome {
    tries: usize,
    /// The other completed its upload, and its version is not the current one, nor in any that came after.
    other_is_hidden: bool,
}

async fn overlap(splice: bool, begins: Moment, completes: Moment, same_bytes: bool, case: &str) -> Outcome {
    let cloud = Cloud::start().await;
    cloud.keep_versions().await;
    let old = if splice { project(22, 400_000) } else { project(3, 1000) };
    let theirs = archive([("theirs.js".to_owned(), b"theirs".to_vec())]);
    let body = if same_bytes { old.clone() } else { theirs };
    let (upload, version) = (Mutex::default(), Mutex::default());
    let other = Other { cloud: &cloud, body, begins, completes, upload, version };
    other.at(Moment::First).await;
    // An upload, too: then the same bytes have the same ETag.
    complete(&cloud, &begin(&cloud).await, &old).await;

    let store = Between { store: cloud.store(KEY), other: &other, tries: AtomicUsize::new(0) };
    let report = edit(&store, &puts([("ours.js", "ours")]), &Options::new()).await;
    let report = report.unwrap_or_else(|error| panic!("{case}: {error}"));
    let ours = report.version_id.unwrap();
    assert_eq!(current(&cloud).await, ours, "{case}: what the answer names isn't the current version");

    let written = cloud.s3.get_object().bucket(BUCKET).key(KEY).version_id(&ours).send().await.unwrap();
    let written = contents(&written.body.collect().await.unwrap().into_bytes());
    assert_eq!(written["ours.js"].0, b"ours", "{case}");
    // It was there and current before the commit: then it is built upon. A version begun before the one that the edit
    // found never was current.
    let was_current = begins > Moment::First && completes <= Moment::Commits;
    if !same_bytes {
        assert_eq!(written.contains_key("theirs.js"), was_current, "{case}");
    }
    // The same bytes written before the edit's own write begins are as good as those that it read.
    let raced =
        was_current && if same_bytes { splice && completes == Moment::Commits } else { completes > Moment::Reads };
    let tries = store.tries.load(Ordering::Relaxed);
    // Who raced after the read is met at the commit or before.
    assert_eq!(report.attempts > 1, raced, "{case}: planned {} times", report.attempts);
    assert!(tries <= 2, "{case}: {tries} commits");

    other.at(Moment::Answered).await;
    let theirs = other.version.lock().await.clone().unwrap();
    let overtaken = current(&cloud).await == theirs;
    let begun_after_ours =
        begins > Moment::Creates && completes == Moment::Answered && (splice || begins == Moment::Answered);
    assert_eq!(overtaken, begun_after_ours, "{case}: who was initiated last is the current version");
    assert_eq!(cloud.open_uploads().await, 0, "{case}");
    Outcome { tries, other_is_hidden: !overtaken && !was_current }
}

async fn current(cloud: &Cloud) -> String {
    cloud.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap().version_id.unwrap()
}
