//! Finds out which preconditions a store heeds, before anything is trusted to it.
//!
//! Stores that speak S3's protocol differ in this: some take `If-Match` on a put and ignore it on the end of an upload,
//! some ignore all of them, and none says so. So each request is sent once with a precondition that can't hold. A store
//! that heeds it answers 412; one that answers 200 has ignored it. Whatever else is answered (no permission, an error of
//! its own) says nothing about it.
//!
//! # What is written
//!
//! Nothing of the artifact is touched. The probe has an object of its own beside it, of a few bytes and a random name
//! (`KEY.quickdeploy-probe-…`), and one multipart upload to that if there is a question about uploads. At the end both go,
//! with all versions that came of it in a bucket that keeps versions; after a fault and after a stop, too. What could not
//! be removed is named.
//!
//! # In which order
//!
//! Object and upload are made at once, then asked at once is what leaves the upload as it is, then its end. A store that
//! ignores a precondition writes the same few bytes again: no question spoils another.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::operation::copy_object::builders::CopyObjectFluentBuilder;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, MetadataDirective};
use futures::future::join_all;

use super::errors::store_error;
use super::precondition::{Heed, Precondition, Probed};
use super::settle::no_answer;
use super::{S3Store, encode_key};
use crate::error::Error;
use crate::stop::Stop;
use crate::store::{Store as _, StoreError};

/// What the names of the probes' objects have after the artifact's.
pub const PROBE_SUFFIX: &str = ".quickdeploy-probe-";

/// A well-formed entity tag that nothing here has.
const STALE: &str = "\"00000000000000000000000000000000\"";

const BODY: &[u8] = b"Does this store heed preconditions? This object goes in a moment.\n";

/// All questions together take no longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// Nor does it take longer to remove what was made.
const CLEARING: Duration = Duration::from_secs(30);

impl S3Store {
    /// Asks the store which of `of` it heeds, by requests whose preconditions don't hold, on an object beside this one.
    ///
    /// # Errors
    /// The store can't be reached, the bucket isn't there, or what `stop` says. What the probe had made is removed then, too,
    /// as far as the store can still be told.
    pub async fn probe(&self, of: &[Precondition], stop: &Stop) -> Result<Probed, Error> {
        let name = format!("{}{PROBE_SUFFIX}{:016x}", self.key, RandomState::new().hash_one(&self.key));
        let store = Self::new(self.client.clone(), &self.bucket, name);
        let probe = Probe { store, location: &self.location, of, object: Mutex::default(), upload: Mutex::default() };
        let asked = match tokio::time::timeout(PATIENCE, probe.ask(stop)).await {
            Ok(asked) => asked,
            Err(_) => Err(Error::store(&self.location, no_answer("PutObject"))),
        };
        let left_behind = probe.clear(stop).await;
        asked.map(|found| Probed { found, left_behind })
    }
}

/// What there is of something that the probe makes.
#[derive(Debug, Clone, Default)]
enum Trace<T> {
    /// Nothing: it was not asked for, or refused.
    #[default]
    None,
    /// It was asked for, and there was no answer.
    InDoubt,
    Made(T),
}

struct Probe<'a> {
    /// The object that the questions are about.
    store: S3Store,
    /// Of the artifact, for errors.
    location: &'a str,
    of: &'a [Precondition],
    /// Its version, in a bucket that has versions.
    object: Mutex<Trace<Option<String>>>,
    /// The id of the upload to it.
    upload: Mutex<Trace<String>>,
}

/// The upload, to be asked about.
struct Upload {
    id: String,
    /// One to complete it with, if there is a question about that.
    part: Option<CompletedPart>,
}

impl Probe<'_> {
    async fn ask(&self, stop: &Stop) -> Result<BTreeMap<Precondition, Heed>, Error> {
        let is_wanted = self.of.iter().any(|one| one.is_of_uploads());
        let creating = async { if is_wanted { self.create().await.map(Some) } else { Ok(None) } };
        let (put, created) = self.round(stop, async { futures::join!(self.put(), creating) }).await?;
        if let Err(error) = put {
            // Without the object there is nothing to ask about.
            let unknown = Heed::Unknown { reason: self.said(error)? };
            return Ok(self.of.iter().map(|one| (*one, unknown.clone())).collect());
        }
        let (mut upload, no_upload) = match created {
            Ok(id) => {
                (id.map(|id| Upload { id, part: None }), Heed::Unknown { reason: "no upload could be begun".into() })
            }
            Err(StoreError::NotImplemented { .. }) => (None, Heed::NotImplemented),
            Err(error) => (None, Heed::Unknown { reason: self.said(error)? }),
        };

        let is_end = |one: &&Precondition| one.operation() == "CompleteMultipartUpload";
        let (ends, others): (Vec<&Precondition>, Vec<&Precondition>) = self.of.iter().partition(is_end);
        let part = async {
            match &upload {
                Some(upload) if !ends.is_empty() => self.part(&upload.id).await.ok(),
                _ => None,
            }
        };
        let asking = join_all(others.iter().map(|one| self.question(**one, upload.as_ref(), &no_upload)));
        let (answers, part) = self.round(stop, async { futures::join!(asking, part) }).await?;
        let mut found = BTreeMap::new();
        for (one, answer) in others.into_iter().zip(answers) {
            found.insert(*one, answer.map_err(|error| Error::store(self.location, error))?);
        }
        if let Some(upload) = &mut upload {
            upload.part = part;
        }
        // One after the other: one that is ignored ends the upload, and S3 says yes to the end of one that is over.
        let mut is_over = false;
        for one in ends {
            if std::mem::take(&mut is_over) {
                upload = self.round(stop, self.another()).await?;
            }
            let answer = self.round(stop, self.question(*one, upload.as_ref(), &no_upload)).await?;
            let heed = answer.map_err(|error| Error::store(self.location, error))?;
            is_over = heed == Heed::Ignored;
            found.insert(*one, heed);
        }
        Ok(found)
    }

    /// Requests that are waited for a little longer when they are stopped: what they have made is known then.
    async fn round<T>(&self, stop: &Stop, requests: impl Future<Output = T>) -> Result<T, Error> {
        let stopped = |stopped| Error::stopped(self.location, stopped);
        // Once it is stopped, nothing more is begun.
        stop.or_result_of(std::future::ready(())).await.map_err(stopped)?;
        stop.or_late_result_of(requests).await.map_err(stopped)
    }

    /// An answer that says nothing about preconditions, in words.
    ///
    /// # Errors
    /// There was no answer, or there is no such bucket.
    fn said(&self, error: StoreError) -> Result<String, Error> {
        match error {
            StoreError::Unreachable { .. } | StoreError::NotFound { .. } => Err(Error::store(self.location, error)),
            error => Ok(error.to_string()),
        }
    }

    /// Makes the object.
    async fn put(&self) -> Result<(), StoreError> {
        set(&self.object, Trace::InDoubt);
        let put = self.put_request().send().await;
        let put = put.map_err(|error| store_error("PutObject", "s3:PutObject", &error));
        traced(&self.object, put.map(|put| put.version_id.filter(|version| version != "null"))).map(drop)
    }

    /// Begins the upload.
    async fn create(&self) -> Result<String, StoreError> {
        set(&self.upload, Trace::InDoubt);
        let S3Store { client, bucket, key, .. } = &self.store;
        let created = client.create_multipart_upload().bucket(bucket).key(key).send().await;
        let created = created.map_err(|error| store_error("CreateMultipartUpload", "s3:PutObject", &error));
        let no_id = || StoreError::unusable("CreateMultipartUpload", "the answer has no upload id");
        traced(&self.upload, created.and_then(|created| created.upload_id.ok_or_else(no_id)))
    }

    /// A part that the upload could be completed with.
    async fn part(&self, upload: &str) -> Result<CompletedPart, StoreError> {
        let S3Store { client, bucket, key, .. } = &self.store;
        let request = client.upload_part().bucket(bucket).key(key).upload_id(upload).part_number(1);
        let answer = request.body(ByteStream::from_static(BODY)).send().await;
        let answer = answer.map_err(|error| store_error("UploadPart", "s3:PutObject", &error))?;
        Ok(CompletedPart::builder().part_number(1).set_e_tag(answer.e_tag).build())
    }

    /// A further upload with a part, if it can be had.
    async fn another(&self) -> Option<Upload> {
        let id = self.create().await.ok()?;
        let part = self.part(&id).await.ok();
        Some(Upload { id, part })
    }

    /// Sends a request whose precondition doesn't hold.
    async fn question(&self, one: Precondition, upload: Option<&Upload>, no_upload: &Heed) -> Result<Heed, StoreError> {
        let S3Store { client, bucket, key, .. } = &self.store;
        let source = || format!("{bucket}/{}", encode_key(key));
        let without = || no_upload.clone();
        match one {
            Precondition::GetIfMatch => {
                judged("GetObject", client.get_object().bucket(bucket).key(key).if_match(STALE).send().await)
            }
            Precondition::PutIfMatch => judged("PutObject", self.put_request().if_match(STALE).send().await),
            Precondition::PutIfNoneMatch => judged("PutObject", self.put_request().if_none_match("*").send().await),
            Precondition::PartCopySourceIfMatch => {
                let Some(Upload { id, .. }) = upload else { return Ok(without()) };
                let copy = client.upload_part_copy().bucket(bucket).key(key).upload_id(id).part_number(2);
                judged("UploadPartCopy", copy.copy_source(source()).copy_source_if_match(STALE).send().await)
            }
            Precondition::CompleteIfMatch | Precondition::CompleteIfNoneMatch => {
                let Some(upload) = upload else { return Ok(without()) };
                let Some(request) = self.complete_request(upload) else {
                    return Ok(Heed::Unknown { reason: "no part could be uploaded to try it with".to_owned() });
                };
                let request = match one {
                    Precondition::CompleteIfMatch => request.if_match(STALE),
                    _ => request.if_none_match("*"),
                };
                judged("CompleteMultipartUpload", request.send().await)
            }
            Precondition::CopyIfMatch => judged("CopyObject", self.copy_request().if_match(STALE).send().await),
            Precondition::CopyIfNoneMatch => judged("CopyObject", self.copy_request().if_none_match("*").send().await),
            Precondition::CopySourceIfMatch => {
                judged("CopyObject", self.copy_request().copy_source_if_match(STALE).send().await)
            }
        }
    }

    fn put_request(&self) -> PutObjectFluentBuilder {
        let S3Store { client, bucket, key, .. } = &self.store;
        client.put_object().bucket(bucket).key(key).body(ByteStream::from_static(BODY))
    }

    /// Onto itself, which S3 takes only if it changes something.
    fn copy_request(&self) -> CopyObjectFluentBuilder {
        let S3Store { client, bucket, key, .. } = &self.store;
        let request = client.copy_object().bucket(bucket).key(key).copy_source(format!("{bucket}/{}", encode_key(key)));
        request.metadata_directive(MetadataDirective::Replace).metadata("quickdeploy-probe", "copied")
    }

    fn complete_request(&self, upload: &Upload) -> Option<CompleteMultipartUploadFluentBuilder> {
        let S3Store { client, bucket, key, .. } = &self.store;
        let parts = CompletedMultipartUpload::builder().parts(upload.part.clone()?).build();
        Some(client.complete_multipart_upload().bucket(bucket).key(key).upload_id(&upload.id).multipart_upload(parts))
    }

    /// Removes what was made. Says what is left.
    async fn clear(&self, stop: &Stop) -> Vec<String> {
        let (object, upload) = (get(&self.object), get(&self.upload));
        let location = self.store.location();
        let clearing = async {
            let mut left = Vec::new();
            // First the upload: it could still become a version of the object.
            if let Err(error) = self.end(upload).await {
                left.push(format!("an unfinished upload to {location} ({error})"));
            }
            if let Err(error) = self.delete(object).await {
                left.push(format!("{location} ({error})"));
            }
            left
        };
        match stop.or_late_result_of(tokio::time::timeout(CLEARING, clearing)).await {
            Ok(Ok(left)) => left,
            Ok(Err(_)) | Err(_) => vec![format!("{location} ({})", no_answer("DeleteObject"))],
        }
    }

    async fn end(&self, upload: Trace<String>) -> Result<(), StoreError> {
        match upload {
            Trace::None => Ok(()),
            Trace::Made(id) => self.store.abort(&id).await,
            Trace::InDoubt => {
                let S3Store { client, bucket, key, .. } = &self.store;
                let listed = client.list_multipart_uploads().bucket(bucket).prefix(key).send().await;
                let listed = listed
                    .map_err(|error| store_error("ListMultipartUploads", "s3:ListBucketMultipartUploads", &error))?;
                let ids = listed.uploads().iter().filter_map(|upload| upload.upload_id());
                let ids: Vec<String> = ids.map(str::to_owned).collect();
                join_all(ids.iter().map(|id| self.store.abort(id))).await.into_iter().collect()
            }
        }
    }

    /// Deletes the object, and where there are versions each of them: a store that ignores preconditions has several by
    /// now.
    async fn delete(&self, object: Trace<Option<String>>) -> Result<(), StoreError> {
        let known = match object {
            Trace::None => return Ok(()),
            Trace::Made(None) => return self.delete_version(None).await,
            Trace::Made(Some(version)) => Some(version),
            Trace::InDoubt => None,
        };
        let S3Store { client, bucket, key, .. } = &self.store;
        let listed = client.list_object_versions().bucket(bucket).prefix(key).send().await;
        let mut versions: Vec<Option<String>> = match listed {
            Ok(listed) => listed.versions().iter().map(|version| version.version_id().map(str::to_owned)).collect(),
            // Not permitted, or not there: then it is only known what was answered.
            Err(_) => vec![known],
        };
        for version in &mut versions {
            *version = version.take().filter(|version| version != "null");
        }
        let deleting = versions.iter().map(|version| self.delete_version(version.as_deref()));
        join_all(deleting).await.into_iter().collect()
    }

    async fn delete_version(&self, version: Option<&str>) -> Result<(), StoreError> {
        let S3Store { client, bucket, key, .. } = &self.store;
        let action = if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
        let deleted = client.delete_object().bucket(bucket).key(key).set_version_id(version.map(str::to_owned)).send();
        match deleted.await.map_err(|error| store_error("DeleteObject", action, &error)) {
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// What an answer to a precondition that doesn't hold means. Conflicts (409) say nothing: a store can have them among the
/// questions themselves.
fn judged<T, E>(operation: &'static str, answer: Result<T, SdkError<E>>) -> Result<Heed, StoreError>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let Err(error) = answer else { return Ok(Heed::Ignored) };
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    if status == 412 || error.code() == Some("PreconditionFailed") {
        return Ok(Heed::Heeded);
    }
    match store_error(operation, "s3:PutObject", &error) {
        StoreError::NotImplemented { .. } => Ok(Heed::NotImplemented),
        error @ StoreError::Unreachable { .. } => Err(error),
        error => Ok(Heed::Unknown { reason: error.to_string() }),
    }
}

fn set<T>(trace: &Mutex<Trace<T>>, now: Trace<T>) {
    *trace.lock().unwrap_or_else(PoisonError::into_inner) = now;
}

fn get<T: Clone>(trace: &Mutex<Trace<T>>) -> Trace<T> {
    trace.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Writes down what became of it.
fn traced<T: Clone>(trace: &Mutex<Trace<T>>, made: Result<T, StoreError>) -> Result<T, StoreError> {
    match &made {
        Ok(made) => set(trace, Trace::Made(made.clone())),
        Err(error) if error.is_refusal() => set(trace, Trace::None),
        Err(_) => {}
    }
    made
}
