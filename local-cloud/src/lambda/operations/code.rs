//! A function's code: where it is read from, `UpdateFunctionCode`, and the download that `GetFunction` names.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::lambda::Lambda;
use crate::lambda::code::{Code, ObjectRef, Origin, url_hash};
use crate::lambda::configuration::{PackageType, merge};
use crate::lambda::deployment::{Artifact, Deployment};
use crate::lambda::errors::{ApiError, Result};
use crate::lambda::names::{FunctionRef, LATEST, constraint};
use crate::lambda::request::{Reply, Request, ok};
use crate::lambda::version::Version;

/// The members that name code, in `CreateFunction` and `UpdateFunctionCode`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CodeInput {
    zip_file: Option<String>,
    #[serde(rename = "S3Bucket")]
    bucket: Option<String>,
    #[serde(rename = "S3Key")]
    key: Option<String>,
    #[serde(rename = "S3ObjectVersion")]
    version: Option<String>,
    #[serde(rename = "S3ObjectStorageMode")]
    storage_mode: Option<String>,
    image_uri: Option<String>,
    #[serde(rename = "SourceKMSKeyArn")]
    source_kms_key_arn: Option<String>,
}

impl CodeInput {
    /// Refuses combinations of members that make no sense for the package type.
    fn check(&self, package_type: PackageType, verb: &str) -> Result<()> {
        if package_type == PackageType::Image {
            if self.image_uri.is_none() || self.zip_file.is_some() || self.bucket.is_some() || self.key.is_some() {
                return Err(ApiError::invalid(format!(
                    "Please provide ImageUri when {verb} a function with packageType Image."
                )));
            }
            return Ok(());
        }
        if self.image_uri.is_some() {
            return Err(ApiError::invalid(format!(
                "Please don't provide ImageUri when {verb} a function with packageType Zip."
            )));
        }
        let from_s3 =
            self.bucket.is_some() || self.key.is_some() || self.version.is_some() || self.storage_mode.is_some();
        if self.zip_file.is_some() && from_s3 {
            return Err(ApiError::invalid(
                "Please do not provide other FunctionCode parameters when providing a ZipFile.",
            ));
        }
        if self.zip_file.is_none() && (self.bucket.is_none() || self.key.is_none()) {
            return Err(ApiError::invalid("Please provide a source for function code."));
        }
        Ok(())
    }

    /// Reads and inspects the code.
    pub(super) async fn load(
        self,
        lambda: &Lambda,
        request: &Request,
        package_type: PackageType,
        operation: &str,
    ) -> Result<Artifact> {
        self.check(package_type, if operation == "CreateFunction" { "creating" } else { "updating" })?;
        let referenced = match self.storage_mode.as_deref() {
            None | Some("COPY") => false,
            Some("REFERENCE") => true,
            Some(other) => {
                let rule = "Member must satisfy enum value set: [COPY, REFERENCE]";
                return Err(constraint(other, "s3ObjectStorageMode", rule));
            }
        };
        if let Some(uri) = self.image_uri {
            return Ok(Artifact::Image { uri });
        }
        let kms_key_arn = self.source_kms_key_arn.filter(|arn| !arn.is_empty());
        let (code, origin) = if let Some(zip) = self.zip_file {
            (Arc::new(Code::from_base64(zip, operation).await?), Origin::Upload)
        } else {
            let (bucket, key) = (self.bucket.unwrap_or_default(), self.key.unwrap_or_default());
            let version = self.version.as_deref();
            // What a function runs from in place is read by Lambda in its own name.
            if !referenced {
                lambda.permit_read(request, &bucket, &key, version)?;
            }
            let (code, object) = lambda.packages().load(lambda.objects(), &bucket, &key, version).await?;
            let origin = if referenced {
                let Some(version) = object.version_id.filter(|version| version != "null") else {
                    return Err(ApiError::invalid(format!(
                        "S3ObjectStorageMode REFERENCE needs a bucket with versioning enabled: {bucket}"
                    )));
                };
                Origin::Referenced(ObjectRef { bucket, key, version })
            } else {
                Origin::Copied
            };
            (code, origin)
        };
        Ok(Artifact::Package { code, origin, kms_key_arn })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateFunctionCode {
    #[serde(flatten)]
    code: CodeInput,
    #[serde(default)]
    publish: bool,
    #[serde(default)]
    dry_run: bool,
    revision_id: Option<String>,
    architectures: Option<Vec<String>>,
}

/// `UpdateFunctionCode`.
pub(super) async fn update(lambda: &Arc<Lambda>, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let input: UpdateFunctionCode = request.large_input().await?;
    let revision = input.revision_id.as_deref();
    let package_type = {
        let mut registry = lambda.registry();
        require_updatable(lambda, &mut registry, &wanted, request, revision)?;
        let function = registry.function(&wanted, &request.scope, lambda.objects())?;
        function.latest.shown().configuration.package_type
    };
    let artifact = input.code.load(lambda, request, package_type, "UpdateFunctionCode").await?;

    // Hashing took time: what was true before it is asked again, now together with the change.
    let mut registry = lambda.registry();
    require_updatable(lambda, &mut registry, &wanted, request, revision)?;
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let shown = function.latest.shown();
    let mut configuration = shown.configuration.clone();
    configuration.set_architectures(input.architectures)?;
    let layers = Arc::clone(&shown.layers);
    layers.check_size(artifact.code())?;
    let deployment = Deployment::new(&wanted.name, LATEST, &shown.region, configuration, artifact, layers);
    if input.dry_run {
        let mut described = function.latest.describe(&deployment, &request.scope, None);
        merge(&mut described, &function.latest.status());
        return Ok(ok(&described));
    }
    let (at, failure) = registry.take_fate(&wanted.name, lambda.settings().update_delay);
    lambda.see_through(&deployment.artifact, at);
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    function.latest.begin_update(deployment, at, failure.clone());
    let described = if input.publish {
        let version = function.publish(None, at, failure);
        version.details(&request.scope, Some(&version.shown().version))
    } else {
        function.latest.details(&request.scope, None)
    };
    Ok(ok(&described))
}

fn require_updatable(
    lambda: &Lambda,
    registry: &mut crate::lambda::registry::Registry,
    wanted: &FunctionRef,
    request: &Request,
    revision: Option<&str>,
) -> Result<()> {
    let function = registry.function(wanted, &request.scope, lambda.objects())?;
    require_latest(wanted)?;
    let latest = &function.latest;
    latest.require_settled(&wanted.arn(&request.scope))?;
    latest.require_revision(revision)?;
    let signing = function.code_signing_config.clone();
    registry.require_unsigned_allowed(signing.as_deref())
}

/// Refuses to change anything but `$LATEST`.
pub(super) fn require_latest(wanted: &FunctionRef) -> Result<()> {
    match wanted.qualifier.as_deref() {
        None | Some(LATEST) => Ok(()),
        Some(qualifier) => {
            Err(ApiError::invalid(format!("Only $LATEST can be changed, not the version or alias {qualifier}.")))
        }
    }
}

/// `Code` of `GetFunction`.
pub(super) fn location(version: &Version, endpoint: &str) -> Value {
    let deployment = version.shown();
    match &deployment.artifact {
        Artifact::Image { uri } => json!({ "RepositoryType": "ECR", "ImageUri": uri, "ResolvedImageUri": uri }),
        Artifact::Builtin { code: None, .. } => json!({ "RepositoryType": "S3" }),
        Artifact::Builtin { code: Some(_), .. } => {
            json!({ "RepositoryType": "S3", "Location": url(deployment, endpoint) })
        }
        Artifact::Package { origin, kms_key_arn, .. } => {
            let mut shown = json!({ "RepositoryType": "S3", "Location": url(deployment, endpoint) });
            if let Some(key) = kms_key_arn {
                shown["SourceKMSKeyArn"] = key.as_str().into();
            }
            if let Origin::Referenced(object) = origin {
                shown["ResolvedS3Object"] = object.shown();
            }
            shown
        }
    }
}

/// The URL of a zip. It names the code by its hash: after an update it leads nowhere.
fn url(deployment: &Deployment, endpoint: &str) -> String {
    let hash = url_hash(deployment.artifact.sha256());
    let version = deployment.version.replace('$', "%24");
    format!("{endpoint}/2015-03-31/code/{}/{version}?CodeSha256={hash}", deployment.function)
}

/// The zip that `Code.Location` leads to.
pub(super) fn download(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let gone = || {
        ApiError::not_found("The code has been replaced since GetFunction gave this location. Call GetFunction again.")
    };
    let wanted = FunctionRef::parse(request.segment(0), Some(request.segment(1)), &request.scope)?;
    let code = {
        let mut registry = lambda.registry();
        let function = registry.function(&wanted, &request.scope, lambda.objects())?;
        let deployment = function.require_version(&wanted, &request.scope)?.shown();
        if url(deployment, "").split_once("CodeSha256=").map(|(_, hash)| hash) != request.query("CodeSha256") {
            return Err(gone());
        }
        Arc::clone(deployment.artifact.code().ok_or_else(gone)?)
    };
    Ok(sent(request, code.bytes()))
}

/// A zip as the answer to its download, or the range of it that is asked for: as from S3, which is where locations lead in
/// AWS.
pub(super) fn sent(request: &Request, whole: Bytes) -> Reply {
    let size = whole.len();
    let range = request.header("range").and_then(|asked| range_of(asked, size));
    let mut response = http::Response::new(match range.clone() {
        Some(range) => whole.slice(range),
        None => whole,
    });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let shown = range.map(|range| format!("bytes {}-{}/{size}", range.start, range.end - 1));
    if let Some(Ok(shown)) = shown.map(HeaderValue::try_from) {
        headers.insert(CONTENT_RANGE, shown);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// The bytes that a single range means (RFC 9110 14.1.2). `None`: it is answered with the whole, as S3 does with ranges
/// that it doesn't understand.
fn range_of(asked: &str, size: usize) -> Option<Range<usize>> {
    let (first, last) = asked.trim().strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", suffix) => size.saturating_sub(suffix.parse().ok()?)..size,
        (first, "") => first.parse().ok()?..size,
        (first, last) => first.parse().ok()?..last.parse::<usize>().ok()?.checked_add(1)?.min(size),
    };
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::range_of;

    #[test]
    fn a_download_is_asked_for_by_its_beginning_its_end_or_both() {
        assert_eq!(range_of("bytes=2-5", 10), Some(2..6));
        assert_eq!(range_of("bytes=2-", 10), Some(2..10));
        assert_eq!(range_of("bytes=-3", 10), Some(7..10));
        assert_eq!(range_of("bytes=-30", 10), Some(0..10));
        assert_eq!(range_of("bytes=8-99", 10), Some(8..10));
    }

    #[test]
    fn what_is_no_range_is_answered_with_everything() {
        for asked in ["bytes=5-2", "bytes=10-12", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=1-2,4-5"] {
            assert_eq!(range_of(asked, 10), None, "{asked}");
        }
    }
}
