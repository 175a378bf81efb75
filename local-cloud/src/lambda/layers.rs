//! Layers: packages that functions have beside their own. In Lambda they lie in `/opt`.
//!
//! A version of a layer never changes. It can be deleted while functions have it: they keep what is in it. Versions are
//! counted on, whatever was deleted.
//!
//! Functions run here as processes of the host, which have no `/opt` of their own. The layers of a function are unpacked
//! into one directory, later ones over earlier ones, and its processes find that by the variables that lead to `/opt` in
//! Lambda: see `invoke::environment`.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::code::{Code, MAX_UNZIPPED, Origin};
use super::errors::{ApiError, ErrorKind, Result};
use super::names::{Scope, constraint, is_account, is_name};
use super::unpack::{self, Unpacked};

/// The pattern in the service model, for messages.
const LAYER_NAME_PATTERN: &str = r"(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+";
const VERSION_ARN_PATTERN: &str = r"arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+";

/// A layer: its versions by number.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) versions: BTreeMap<u64, LayerVersion>,
    /// The number of the version that was published last, deleted or not.
    pub(super) last_version: u64,
}

/// One version of a layer.
#[derive(Clone, Debug)]
pub(super) struct LayerVersion {
    pub(super) code: Arc<Code>,
    pub(super) origin: Origin,
    pub(super) about: About,
}

/// What was said of a version when it was published.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct About {
    pub(super) description: String,
    pub(super) license: Option<String>,
    pub(super) runtimes: Vec<String>,
    pub(super) architectures: Vec<String>,
    /// In the form of `LastModified`.
    pub(super) created: String,
}

impl LayerVersion {
    /// `LayerVersionsListItem`.
    pub(super) fn summary(&self, scope: &Scope, name: &str, number: u64) -> Value {
        let mut shown = json!({
            "LayerVersionArn": scope.layer_arn(name, Some(number)),
            "Version": number,
            "Description": self.about.description,
            "CreatedDate": self.about.created,
        });
        if !self.about.runtimes.is_empty() {
            shown["CompatibleRuntimes"] = json!(self.about.runtimes);
        }
        if !self.about.architectures.is_empty() {
            shown["CompatibleArchitectures"] = json!(self.about.architectures);
        }
        if let Some(license) = &self.about.license {
            shown["LicenseInfo"] = license.as_str().into();
        }
        shown
    }

    /// What `PublishLayerVersion` and `GetLayerVersion` answer. `location`: where the zip can be downloaded.
    pub(super) fn details(&self, scope: &Scope, name: &str, number: u64, location: &str) -> Value {
        let mut shown = self.summary(scope, name, number);
        shown["LayerArn"] = scope.layer_arn(name, None).into();
        shown["Content"] = json!({
            "Location": location,
            "CodeSha256": self.code.sha256,
            "CodeSize": self.code.size,
        });
        if let Origin::Referenced(object) = &self.origin {
            shown["Content"]["ResolvedS3Object"] = object.shown();
        }
        shown
    }
}

/// The name in a layer's name or ARN.
///
/// # Errors
/// `ValidationException` for what is neither, `AccessDeniedException` for a layer of another account,
/// `ResourceNotFoundException` for one of another region.
pub(super) fn layer_name(given: &str, scope: &Scope) -> Result<String> {
    let name = match Arn::parse(given) {
        Some(Arn { version: None, name, region, account }) => {
            require_ours(given, region, account, scope)?;
            name
        }
        None if is_name(given) => given,
        _ => {
            let rule = format!("Member must satisfy regular expression pattern: {LAYER_NAME_PATTERN}");
            return Err(constraint(given, "layerName", &rule));
        }
    };
    if given.len() > 140 {
        return Err(constraint(given, "layerName", "Member must have length less than or equal to 140"));
    }
    Ok(name.to_owned())
}

/// Name and number in the ARN of a layer's version.
///
/// # Errors
/// Those of [`layer_name`].
pub(super) fn version_named(arn: &str, scope: &Scope) -> Result<(String, u64)> {
    match Arn::parse(arn) {
        Some(Arn { version: Some(version), name, region, account }) => {
            require_ours(arn, region, account, scope)?;
            Ok((name.to_owned(), version))
        }
        _ => {
            let rule = format!("Member must satisfy regular expression pattern: {VERSION_ARN_PATTERN}");
            Err(constraint(arn, "arn", &rule))
        }
    }
}

/// No layer, or no version of this number.
pub(super) fn not_found() -> ApiError {
    ApiError::not_found("The resource you requested does not exist.")
}

fn require_ours(arn: &str, region: &str, account: &str, scope: &Scope) -> Result<()> {
    if account != scope.account {
        return Err(of_another_account(arn, scope));
    }
    if region == scope.region { Ok(()) } else { Err(not_found()) }
}

fn of_another_account(arn: &str, scope: &Scope) -> ApiError {
    let message = format!("User is not authorized to access layers of another account than {}: {arn}", scope.account);
    ApiError::new(ErrorKind::AccessDenied, message)
}

/// `arn:PARTITION:lambda:REGION:ACCOUNT:layer:NAME[:VERSION]`.
struct Arn<'a> {
    region: &'a str,
    account: &'a str,
    name: &'a str,
    version: Option<u64>,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let fields: Vec<&str> = text.split(':').collect();
        let ["arn", _, "lambda", region, account, "layer", name, version @ ..] = fields.as_slice() else { return None };
        let version = match version {
            [] => None,
            [number] => Some(number.parse().ok()?),
            _ => return None,
        };
        (is_account(account) && is_name(name)).then_some(Self { region, account, name, version })
    }
}

/// The layers of a function, in their order.
#[derive(Debug, Default)]
pub(super) struct Layers {
    used: Vec<Used>,
    /// Of more than one: all of them together.
    merged: OnceCell<Arc<Unpacked>>,
}

/// A layer's version as a function has it.
#[derive(Clone, Debug)]
pub(super) struct Used {
    pub(super) arn: String,
    pub(super) code: Arc<Code>,
}

impl Layers {
    pub(super) fn new(used: Vec<Used>) -> Arc<Self> {
        Arc::new(Self { used, merged: OnceCell::new() })
    }

    /// Finds what a function's `Layers` name.
    ///
    /// # Errors
    /// `InvalidParameterValueException`: a version that isn't there or lies in another region, or two versions of one
    /// layer; `AccessDeniedException`: a layer of another account.
    pub(super) fn find(layers: &BTreeMap<String, Layer>, arns: &[String], scope: &Scope) -> Result<Arc<Self>> {
        let mut used: Vec<Used> = Vec::new();
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        for arn in arns {
            let missing = || ApiError::invalid(format!("Layer version {arn} does not exist."));
            let Some(Arn { region, account, name, version: Some(version) }) = Arn::parse(arn) else {
                let rule = format!(
                    "Member must satisfy constraint: [Member must satisfy regular expression pattern: {VERSION_ARN_PATTERN}]"
                );
                return Err(constraint(&format!("[{arn}]"), "layers", &rule));
            };
            if account != scope.account {
                return Err(of_another_account(arn, scope));
            }
            if region != scope.region {
                return Err(ApiError::invalid(format!(
                    "Layers are not in the same region as the function. Layers are expected to be in region {}.",
                    scope.region
                )));
            }
            let found = layers.get(name).and_then(|layer| layer.versions.get(&version)).ok_or_else(missing)?;
            if let Some(other) = names.insert(name, arn) {
                return Err(ApiError::invalid(format!(
                    "Two different versions of the same layer are not allowed to be referenced in the same function. {other} and {arn} are versions of the same layer."
                )));
            }
            used.push(Used { arn: arn.clone(), code: Arc::clone(&found.code) });
        }
        Ok(Self::new(used))
    }

    /// Holds a function's package together with its layers against Lambda's limit.
    pub(super) fn check_size(&self, code: Option<&Arc<Code>>) -> Result<()> {
        let layers = self.used.iter().map(|used| used.code.unzipped).sum();
        within_limit(layers, code.map_or(0, |code| code.unzipped))
    }

    pub(super) fn used(&self) -> &[Used] {
        &self.used
    }

    /// `Layers` of a function's configuration; `None` for a function without layers.
    pub(super) fn shown(&self) -> Option<Value> {
        let shown = |used: &Used| json!({ "Arn": used.arn, "CodeSize": used.code.size });
        (!self.used.is_empty()).then(|| self.used.iter().map(shown).collect())
    }

    /// The directory that the layers are unpacked in, for the first user unpacked now. `None` where there are none.
    pub(super) async fn directory(&self) -> io::Result<Option<Arc<Unpacked>>> {
        match self.used.as_slice() {
            [] => Ok(None),
            // Functions that share a layer share its directory.
            [one] => one.code.directory().await.map(Some),
            many => {
                let merge = || async {
                    let archives: Vec<_> = many.iter().map(|used| used.code.reader()).collect();
                    tokio::task::spawn_blocking(move || unpack::unpack(archives)).await?.map(Arc::new)
                };
                self.merged.get_or_try_init(merge).await.cloned().map(Some)
            }
        }
    }
}

/// Unzipped sizes in bytes.
fn within_limit(layers: u64, code: u64) -> Result<()> {
    if layers > MAX_UNZIPPED {
        return Err(ApiError::invalid(format!("Layers consume more than the available size of {MAX_UNZIPPED} bytes")));
    }
    let together = layers.saturating_add(code);
    if layers > 0 && together > MAX_UNZIPPED {
        return Err(ApiError::invalid(format!(
            "Function code combined with layers exceeds the maximum allowed size of {MAX_UNZIPPED} bytes. The actual size is {together} bytes."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
    }

    #[test]
    fn a_layer_is_named_by_its_name_or_its_arn() {
        assert_eq!(layer_name("deps", &scope()), Ok("deps".to_owned()));
        assert_eq!(layer_name("arn:aws:lambda:us-east-1:000000000000:layer:deps", &scope()), Ok("deps".to_owned()));
        for given in ["", "a b", "a/b", "arn:aws:lambda:us-east-1:000000000000:layer:deps:1", "arn:aws:s3:::bucket"] {
            assert_eq!(layer_name(given, &scope()).unwrap_err().kind, ErrorKind::Validation, "{given}");
        }
        let foreign = layer_name("arn:aws:lambda:us-east-1:111111111111:layer:deps", &scope()).unwrap_err();
        assert_eq!(foreign.kind, ErrorKind::AccessDenied);
        let elsewhere = layer_name("arn:aws:lambda:eu-west-1:000000000000:layer:deps", &scope()).unwrap_err();
        assert_eq!(elsewhere.kind, ErrorKind::ResourceNotFound);
    }

    #[test]
    fn a_version_is_named_by_its_arn_alone() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:layer:deps";
        assert_eq!(version_named(&format!("{arn}:12"), &scope()), Ok(("deps".to_owned(), 12)));
        for given in [arn, "deps:1", "deps", &format!("{arn}:1:2"), &format!("{arn}:latest")] {
            assert_eq!(version_named(given, &scope()).unwrap_err().kind, ErrorKind::Validation, "{given}");
        }
    }

    #[test]
    fn a_function_and_its_layers_share_one_limit() {
        assert_eq!(within_limit(MAX_UNZIPPED - 1, 1), Ok(()));
        assert_eq!(
            within_limit(MAX_UNZIPPED - 1, 2).unwrap_err().message,
            "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is 262144001 bytes."
        );
        assert_eq!(
            within_limit(MAX_UNZIPPED + 1, 0).unwrap_err().message,
            "Layers consume more than the available size of 262144000 bytes"
        );
    }
}
