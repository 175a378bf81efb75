//! Lambda: the control plane and `Invoke`, over the same endpoint as S3.
//!
//! A request comes in whole and an answer goes out whole: [`Lambda::handle`] knows no sockets of its own, except the
//! loopback listeners through which function processes speak the Runtime API.
//!
//! A request is routed (`router`), held against the request rates (`throttle`) and carried out (`operations`,
//! `invoke`). Functions live in the `registry`; what an update means for them, and when, is in `function`. Packages
//! are read and hashed in `code`, checked in `integrity` while their deployment is under way, and unpacked in `unpack` when a process first needs them.

mod clock;
mod code;
mod configuration;
mod control;
mod deployment;
mod errors;
mod function;
mod integrity;
mod internal;
mod invoke;
mod layers;
mod logs;
mod names;
mod operations;
mod persistence;
mod registry;
mod request;
mod router;
mod settings;
mod throttle;
mod unpack;
mod validation;
mod version;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use tokio::time::Instant;

use code::{Code, CodeCache};
use deployment::Artifact;
use errors::{ApiError, ErrorKind};
use function::Function;
use invoke::Pool;
use persistence::Archive;
use registry::Registry;
use request::Request;
use router::{NoRoute, Operation};
use throttle::TokenBucket;

use crate::iam::{Iam, PolicyDocument, Principal};
use crate::logs::Logs;
use crate::permissions;

pub(crate) use clock::epoch_millis;
pub use control::LambdaControl;
pub(crate) use internal::Refused;
pub use logs::LogEvent;
pub use settings::{BuiltinFunction, LambdaSettings};

/// The operation that a request asks for, `Unknown` if none of ours, and what it is about: the function as it is named
/// there, or the first variable part of the path.
pub(crate) fn operation(method: &http::Method, uri: &http::Uri) -> (&'static str, Option<String>) {
    match router::route(method, uri.path(), uri.query()) {
        Ok((operation, variables)) => (operation.name(), variables.into_iter().next()),
        Err(NoRoute::Method | NoRoute::Path) => ("Unknown", None),
    }
}
pub(crate) use unpack::unpack_into;

/// The longest request body that Lambda reads, in bytes: a direct zip of 50 MB in base64 and the JSON around it.
pub(crate) const MAX_REQUEST_BYTES: usize = 70_167_211;

/// What Lambda needs from S3: the current or one named version of an object.
pub(crate) trait Objects: Send + Sync {
    /// Looks an object up. Never blocks for long: no bytes are copied.
    fn object(&self, bucket: &str, key: &str, version_id: Option<&str>) -> Result<StoredObject, ObjectError>;

    /// The policy of a bucket, if it has one.
    fn bucket_policy(&self, bucket: &str) -> Option<PolicyDocument>;
}

/// An object's bytes and identity. Cheap to clone: the chunks share memory.
#[derive(Clone, Debug)]
pub(crate) struct StoredObject {
    /// The bytes, in order.
    pub(crate) chunks: Vec<Bytes>,
    /// Their total length.
    pub(crate) size: u64,
    /// The version's id. `None` when the bucket has never been versioned.
    pub(crate) version_id: Option<String>,
    /// The entity tag, with or without quotes.
    pub(crate) etag: String,
}

/// Why there is no object to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::enum_variant_names, reason = "S3's own names")]
pub(crate) enum ObjectError {
    /// No bucket has this name.
    #[error("The specified bucket does not exist")]
    NoSuchBucket,
    /// The bucket has no such key, or its newest version is a delete marker.
    #[error("The specified key does not exist.")]
    NoSuchKey,
    /// The key has no version of this id.
    #[error("The specified version does not exist.")]
    NoSuchVersion,
}

/// Whether a request needs no signature: only the download of a function's or a layer's code, whose URL `GetFunction` or
/// `GetLayerVersion` gives out as AWS gives out a presigned one.
pub(crate) fn is_public(uri: &http::Uri) -> bool {
    uri.path().starts_with("/2015-03-31/code/")
}

/// A whole answer, with AWS's name of the operation for the request log.
#[derive(Debug)]
pub(crate) struct Answer {
    /// For example `UpdateFunctionCode`; `Unknown` when no operation has this method and path.
    pub(crate) operation: &'static str,
    /// What goes to the client.
    pub(crate) response: http::Response<Bytes>,
}

/// The Lambda of a local cloud.
pub(crate) struct Lambda {
    settings: LambdaSettings,
    objects: Arc<dyn Objects>,
    iam: Arc<Iam>,
    registry: Mutex<Registry>,
    packages: CodeCache,
    pool: Arc<Pool>,
    logs: Arc<Logs>,
    control_plane: TokenBucket,
    get_function: TokenBucket,
    /// Where functions are kept on disk, once [`Lambda::keep_in`] was called.
    archive: OnceLock<Archive>,
}

impl Lambda {
    /// A Lambda without functions that deploys code from `objects`, whose functions have their roles in `iam` and write
    /// into `logs`.
    pub(crate) fn new(
        settings: LambdaSettings,
        objects: Arc<dyn Objects>,
        iam: Arc<Iam>,
        logs: Arc<Logs>,
    ) -> Arc<Self> {
        Arc::new(Self {
            objects,
            pool: Pool::new(&settings, Arc::clone(&logs), Arc::clone(&iam)),
            iam,
            registry: Mutex::default(),
            packages: CodeCache::default(),
            logs,
            control_plane: TokenBucket::new(settings.control_plane_rate),
            get_function: TokenBucket::new(settings.get_function_rate),
            settings,
            archive: OnceLock::new(),
        })
    }

    /// Refuses a role that Lambda can't assume, or not yet.
    fn require_assumable(&self, role: &str) -> errors::Result<()> {
        if self.iam.can_be_assumed(role) {
            return Ok(());
        }
        Err(ApiError::invalid("The role defined for the function cannot be assumed by Lambda."))
    }

    /// Keeps functions in a directory, and brings back those that are already in it. Built-in functions are not kept.
    ///
    /// # Errors
    /// The file or directory that can't be used, and what is wrong with it.
    pub(crate) async fn keep_in(&self, directory: PathBuf) -> Result<(), (PathBuf, String)> {
        let archive = Archive::open(directory);
        let restored = archive.load().await?;
        let mut registry = self.registry();
        registry.functions.extend(restored.functions);
        registry.signing.extend(restored.signing);
        registry.layers.extend(restored.layers);
        let _ = self.archive.set(archive);
        Ok(())
    }

    /// Adds a function that is run by a command of the host.
    pub(crate) fn add_builtin(&self, function: BuiltinFunction) {
        control::add_builtin(self, function);
    }

    /// Tells functions where the local cloud listens: it goes to their processes as `AWS_ENDPOINT_URL`.
    pub(crate) fn set_endpoint(&self, url: String) {
        self.pool.set_endpoint(url);
    }

    /// What tests and demos can do to functions beyond AWS's API.
    pub(crate) fn control(self: &Arc<Self>) -> LambdaControl {
        LambdaControl::new(Arc::clone(self))
    }

    /// Answers one request.
    pub(crate) async fn handle(self: &Arc<Self>, request: http::Request<Bytes>, caller: Option<Principal>) -> Answer {
        let (parts, body) = request.into_parts();
        let (operation, path) = match router::route(&parts.method, parts.uri.path(), parts.uri.query()) {
            Ok(found) => found,
            Err(none) => return Answer { operation: "Unknown", response: unrouted(none, &parts).response() },
        };
        let mut request = Request::new(path, parts, body, &self.settings);
        request.caller = caller;
        let admitted = self.permit(operation, &request).and_then(|()| self.throttle(operation));
        let result = match admitted {
            Ok(()) => operations::perform(self, operation, &request).await,
            Err(refusal) => Err(refusal),
        };
        let result = match result {
            Ok(reply) if operation.changes_something() => self.save().await.map(|()| reply),
            other => other,
        };
        let mut response = result.unwrap_or_else(|refusal| refusal.response());
        if !response.headers().contains_key("x-amzn-requestid")
            && let Ok(id) = http::HeaderValue::from_str(&function::new_id())
        {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        Answer { operation: operation.name(), response }
    }

    /// Ends every function process and waits for them. Where functions are kept on disk, what is being deployed is, too.
    pub(crate) async fn shutdown(&self) {
        if self.archive.get().is_some() {
            self.finish_checks().await;
        }
        self.pool.close().await;
    }

    /// Brings what is on disk up to date, where functions are kept there.
    async fn save(&self) -> Result<(), ApiError> {
        let Some(archive) = self.archive.get() else { return Ok(()) };
        archive.save(|| persistence::Record::of(&self.registry())).await.map_err(|(path, message)| {
            ApiError::new(
                ErrorKind::Service,
                format!("The functions could not be saved in {}: {message}", path.display()),
            )
        })
    }

    /// Refuses what the caller may not do.
    fn permit(&self, operation: Operation, request: &Request) -> errors::Result<()> {
        let Some(caller) = &request.caller else { return Ok(()) };
        let (resource, qualifier) = match operation {
            Operation::GetLayerVersionByArn => (request.query("Arn").unwrap_or_default(), None),
            Operation::GetLayerVersion | Operation::DeleteLayerVersion => {
                (request.segment(0), Some(request.segment(1)))
            }
            _ => (request.segment(0), request.query("Qualifier").filter(|qualifier| !qualifier.is_empty())),
        };
        let needs = permissions::of_lambda(&permissions::LambdaRequest {
            operation: operation.name(),
            resource,
            qualifier,
            region: &request.scope.region,
            body: &request.body,
        });
        self.iam.authorize(caller, &needs).map_err(|denial| ApiError::new(ErrorKind::AccessDenied, denial.message()))
    }

    /// Whether the caller may see a function's tags; else AWS's words.
    fn permit_tags(&self, request: &Request, function: &str) -> Result<(), String> {
        let Some(caller) = &request.caller else { return Ok(()) };
        let needs = [permissions::see_tags(function, &request.scope.region)];
        self.iam.authorize(caller, &needs).map_err(|denial| denial.message())
    }

    /// Refuses to read code that the caller may not read: Lambda does it in the caller's name.
    fn permit_read(&self, request: &Request, bucket: &str, key: &str, version: Option<&str>) -> errors::Result<()> {
        let Some(caller) = &request.caller else { return Ok(()) };
        let policy = self.objects().bucket_policy(bucket);
        let needs = [permissions::read_object(bucket, key, version)];
        let denied = self.iam.authorize_on(caller, &needs, |_| policy.as_ref());
        denied.map_err(|denial| {
            let said = denial.s3_message();
            let message = format!(
                "Your access has been denied by S3, please make sure your request credentials have permission to \
                 GetObject for {bucket}/{key}. S3 Error Code: AccessDenied. S3 Error Message: {said}"
            );
            ApiError::new(ErrorKind::AccessDenied, message)
        })
    }

    fn throttle(&self, operation: Operation) -> Result<(), ApiError> {
        let allowed = match operation {
            Operation::Invoke | Operation::InvokeAsync | Operation::DownloadCode | Operation::DownloadLayer => true,
            Operation::GetFunction => self.get_function.take(),
            _ => self.control_plane.take(),
        };
        if allowed { Ok(()) } else { Err(ApiError::throttled("Rate exceeded", "CallerRateLimitExceeded")) }
    }

    fn settings(&self) -> &LambdaSettings {
        &self.settings
    }

    fn objects(&self) -> &dyn Objects {
        &*self.objects
    }

    fn packages(&self) -> &CodeCache {
        &self.packages
    }

    fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    fn endpoint(&self) -> String {
        self.pool.endpoint().to_owned()
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registry with every function settled.
    fn settled_registry(&self) -> MutexGuard<'_, Registry> {
        let mut registry = self.registry();
        let now = Instant::now();
        for function in registry.functions.values_mut() {
            function.settle(now, self.objects());
        }
        registry
    }

    /// Sees the deployment of an artifact through: has its package checked, and settles all functions when that is done
    /// and the moment has come, so that processes of replaced code end then and not at the next request.
    fn see_through(self: &Arc<Self>, artifact: &Artifact, at: Instant) {
        let unchecked = artifact.unchecked().cloned();
        let lambda = Arc::downgrade(self);
        tokio::spawn(async move {
            if let Some(code) = unchecked {
                code.check().await;
                if let Some(lambda) = lambda.upgrade() {
                    // A disk that can't be written is told to the next request that changes something.
                    let _ = lambda.save().await;
                }
            }
            tokio::time::sleep_until(at).await;
            if let Some(lambda) = lambda.upgrade() {
                drop(lambda.settled_registry());
                lambda.pool.end_retired().await;
            }
        });
    }

    /// Waits until every package is checked, and the outcome is on disk.
    async fn finish_checks(&self) {
        let unchecked: Vec<Arc<Code>> = {
            let registry = self.registry();
            let versions = registry.functions.values().flat_map(Function::all_versions);
            versions.filter_map(|(_, version)| version.shown().artifact.unchecked().cloned()).collect()
        };
        for code in unchecked {
            code.check().await;
        }
        // At the end, nobody is left to be told of a disk that can't be written.
        let _ = self.save().await;
    }

    /// Ends the idle processes of what was just deleted.
    fn end_retired(&self) {
        let pool = Arc::clone(&self.pool);
        tokio::spawn(async move { pool.end_retired().await });
    }
}

fn unrouted(none: NoRoute, parts: &http::request::Parts) -> ApiError {
    let asked = format!("{} {}", parts.method, parts.uri.path());
    match none {
        NoRoute::Method => {
            ApiError::new(ErrorKind::MethodNotAllowed, format!("No operation of Lambda answers {asked}"))
        }
        NoRoute::Path => {
            ApiError::new(ErrorKind::NotImplemented, format!("The local Lambda doesn't implement {asked}"))
        }
    }
}
