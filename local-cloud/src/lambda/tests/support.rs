//! A Lambda over objects in memory, and requests to it.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::lambda::{Lambda, LambdaSettings, ObjectError, Objects, StoredObject};

/// An object's versions, oldest first, each with its id.
type Versions = Vec<(String, Bytes)>;

/// Objects by bucket, key and version. A bucket is versioned when its name says so.
#[derive(Default)]
pub(super) struct Memory {
    objects: Mutex<BTreeMap<(String, String), Versions>>,
    pub(super) lookups: AtomicUsize,
}

impl Memory {
    /// Puts an object and gives its version id.
    pub(super) fn put(&self, bucket: &str, key: &str, body: Vec<u8>) -> String {
        let mut objects = self.objects.lock().unwrap();
        let versions = objects.entry((bucket.to_owned(), key.to_owned())).or_default();
        let id = format!("v{}", versions.len() + 1);
        versions.push((id.clone(), Bytes::from(body)));
        id
    }

    /// Deletes one version for good.
    pub(super) fn lose(&self, bucket: &str, key: &str, version: &str) {
        let mut objects = self.objects.lock().unwrap();
        let versions = objects.get_mut(&(bucket.to_owned(), key.to_owned())).unwrap();
        versions.retain(|(id, _)| id != version);
    }
}

impl Objects for Memory {
    fn object(&self, bucket: &str, key: &str, version_id: Option<&str>) -> Result<StoredObject, ObjectError> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let objects = self.objects.lock().unwrap();
        if !objects.keys().any(|(known, _)| known == bucket) {
            return Err(ObjectError::NoSuchBucket);
        }
        let versions = objects.get(&(bucket.to_owned(), key.to_owned())).ok_or(ObjectError::NoSuchKey)?;
        let (id, body) = match version_id {
            Some(wanted) => versions.iter().find(|(id, _)| id == wanted).ok_or(ObjectError::NoSuchVersion)?,
            None => versions.last().ok_or(ObjectError::NoSuchKey)?,
        };
        Ok(StoredObject {
            chunks: body.chunks(7).map(Bytes::copy_from_slice).collect(),
            size: body.len() as u64,
            version_id: bucket.starts_with("versioned").then(|| id.clone()),
            etag: format!("\"{key}-{id}\""),
        })
    }

    fn bucket_policy(&self, _: &str) -> Option<crate::iam::PolicyDocument> {
        None
    }
}

/// A zip of text files, all executable.
pub(super) fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        writer.start_file(*name, options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// [`zipped`], with another CRC-32 for the last file in both of its headers (APPNOTE 4.3.7 and 4.3.12).
pub(super) fn damaged(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zipped(files);
    let last = |zip: &[u8], signature: &[u8]| zip.windows(4).rposition(|found| found == signature).unwrap();
    for at in [last(&zip, b"PK\x03\x04") + 14, last(&zip, b"PK\x01\x02") + 16] {
        zip[at] ^= 0xFF;
    }
    zip
}

pub(super) fn encoded(zip: &[u8]) -> String {
    STANDARD.encode(zip)
}

/// A Lambda, its objects, and a client of both.
pub(super) struct Bench {
    pub(super) lambda: Arc<Lambda>,
    pub(super) objects: Arc<Memory>,
}

/// What a request was answered with.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) error: Option<String>,
    pub(super) body: Value,
    pub(super) headers: http::HeaderMap,
}

impl Bench {
    /// Updates take effect at once, and there are no request rates.
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut LambdaSettings)) -> Self {
        let mut settings = LambdaSettings {
            update_delay: Duration::ZERO,
            create_delay: Duration::ZERO,
            control_plane_rate: 0.0,
            get_function_rate: 0.0,
            ..LambdaSettings::default()
        };
        change(&mut settings);
        let objects = Arc::new(Memory::default());
        let lambda = Lambda::new(settings, Arc::clone(&objects) as Arc<dyn Objects>, Arc::default(), Arc::default());
        lambda.set_endpoint("http://127.0.0.1:1".to_owned());
        Self { lambda, objects }
    }

    pub(super) async fn send(&self, method: Method, path: &str, body: Value) -> Answered {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let answer = self.lambda.handle(request, None).await;
        let (parts, body) = answer.response.into_parts();
        Answered {
            status: parts.status,
            error: parts.headers.get("x-amzn-errortype").map(|name| name.to_str().unwrap().to_owned()),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            headers: parts.headers,
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answered {
        self.send(Method::GET, path, Value::Null).await
    }

    /// Creates a function of `runtime` from files.
    pub(super) async fn create(&self, name: &str, runtime: &str, handler: &str, files: &[(&str, &str)]) -> Answered {
        self.create_from(name, runtime, handler, json!({ "ZipFile": encoded(&zipped(files)) })).await
    }

    /// Creates a function and lets the check of its code end. The answer is from before that.
    pub(super) async fn create_from(&self, name: &str, runtime: &str, handler: &str, code: Value) -> Answered {
        let input = json!({
            "FunctionName": name,
            "Runtime": runtime,
            "Handler": handler,
            "Role": "arn:aws:iam::000000000000:role/r",
            "Code": code,
        });
        let answer = self.send(Method::POST, "/2015-03-31/functions", input).await;
        self.lambda.finish_checks().await;
        answer
    }

    /// Updates the code and lets its check end. The answer is from before that.
    pub(super) async fn update_code(&self, name: &str, input: Value) -> Answered {
        let answer = self.send(Method::PUT, &format!("/2015-03-31/functions/{name}/code"), input).await;
        self.lambda.finish_checks().await;
        answer
    }

    /// `Configuration` of `GetFunction`.
    pub(super) async fn configuration(&self, name: &str) -> Value {
        self.get(&format!("/2015-03-31/functions/{name}")).await.body["Configuration"].take()
    }

    pub(super) async fn invoke(&self, name: &str, event: Value) -> Answered {
        self.send(Method::POST, &format!("/2015-03-31/functions/{name}/invocations"), event).await
    }
}
