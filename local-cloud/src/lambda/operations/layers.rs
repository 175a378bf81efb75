//! Layers: publish, describe, list, delete, and the download that `Content.Location` leads to.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::json;

use super::code::{CodeInput, sent};
use crate::lambda::Lambda;
use crate::lambda::clock;
use crate::lambda::code::url_hash;
use crate::lambda::configuration::PackageType;
use crate::lambda::deployment::Artifact;
use crate::lambda::errors::{ApiError, Result};
use crate::lambda::layers::{About, Layer, LayerVersion, layer_name, not_found, version_named};
use crate::lambda::names::{Scope, constraint};
use crate::lambda::request::{Reply, Request, created, no_content, ok};
use crate::lambda::validation::{check_architectures, check_length, check_runtime};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublishLayerVersion {
    content: Option<CodeInput>,
    description: Option<String>,
    #[serde(default)]
    compatible_runtimes: Vec<String>,
    #[serde(default)]
    compatible_architectures: Vec<String>,
    license_info: Option<String>,
}

/// `PublishLayerVersion`: the package is read, hashed and checked before the answer.
pub(super) async fn publish(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let name = layer_name(request.segment(0), &request.scope)?;
    let input: PublishLayerVersion = request.large_input().await?;
    let description = input.description.unwrap_or_default();
    check_length(&description, "description", 256)?;
    check_length(input.license_info.as_deref().unwrap_or_default(), "licenseInfo", 512)?;
    if input.compatible_runtimes.len() > 15 {
        let shown = format!("[{}]", input.compatible_runtimes.join(", "));
        return Err(constraint(&shown, "compatibleRuntimes", "Member must have length less than or equal to 15"));
    }
    input.compatible_runtimes.iter().try_for_each(|runtime| check_runtime(runtime))?;
    check_architectures(&input.compatible_architectures, "compatibleArchitectures")?;
    let content = input.content.ok_or_else(|| constraint("null", "content", "Member must not be null"))?;
    let artifact = content.load(lambda, request, PackageType::Zip, "PublishLayerVersion").await?;
    let Artifact::Package { code, origin, .. } = artifact else {
        return Err(ApiError::invalid("A layer's content is a zip."));
    };
    code.check().await;
    if let Some(Err(damage)) = code.integrity() {
        return Err(ApiError::invalid(damage.to_string()));
    }
    let about = About {
        description,
        license: input.license_info,
        runtimes: input.compatible_runtimes,
        architectures: input.compatible_architectures,
        created: clock::last_modified(SystemTime::now()),
    };
    let version = LayerVersion { code, origin, about };
    let mut registry = lambda.registry();
    let layer = registry.layers.entry(name.clone()).or_default();
    layer.last_version += 1;
    let number = layer.last_version;
    let shown = version.details(&request.scope, &name, number, &location(lambda, &name, number, &version));
    layer.versions.insert(number, version);
    Ok(created(&shown))
}

/// `GetLayerVersion`.
pub(super) fn get(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let name = layer_name(request.segment(0), &request.scope)?;
    let number = version_number(request.segment(1))?;
    described(lambda, &request.scope, &name, number)
}

/// `GetLayerVersionByArn`.
pub(super) fn get_by_arn(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let arn = request.query("Arn").ok_or_else(|| constraint("null", "arn", "Member must not be null"))?;
    let (name, number) = version_named(arn, &request.scope)?;
    described(lambda, &request.scope, &name, number)
}

fn described(lambda: &Lambda, scope: &Scope, name: &str, number: u64) -> Result<Reply> {
    let registry = lambda.registry();
    let version = registry.layers.get(name).and_then(|layer| layer.versions.get(&number)).ok_or_else(not_found)?;
    Ok(ok(&version.details(scope, name, number, &location(lambda, name, number, version))))
}

fn version_number(text: &str) -> Result<u64> {
    match text.parse::<i64>() {
        Ok(number) => u64::try_from(number)
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| ApiError::invalid("Layer Version Cannot be less than 1.")),
        Err(_) => Err(constraint(text, "versionNumber", "Member must be a number")),
    }
}

/// What a listing is limited to.
struct Wanted<'a> {
    runtime: Option<&'a str>,
    architecture: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(request: &'a Request) -> Result<Self> {
        let given = |name: &str| request.query(name).filter(|value| !value.is_empty());
        let wanted = Self { runtime: given("CompatibleRuntime"), architecture: given("CompatibleArchitecture") };
        if let Some(runtime) = wanted.runtime {
            check_runtime(runtime)?;
        }
        if let Some(architecture) = wanted.architecture {
            check_architectures(&[architecture.to_owned()], "compatibleArchitecture")?;
        }
        Ok(wanted)
    }

    fn matches(&self, version: &LayerVersion) -> bool {
        let holds =
            |list: &[String], wanted: Option<&str>| wanted.is_none_or(|wanted| list.iter().any(|it| it == wanted));
        holds(&version.about.runtimes, self.runtime) && holds(&version.about.architectures, self.architecture)
    }

    /// The versions that match, the newest first.
    fn newest_first<'b>(&'b self, layer: &'b Layer) -> impl Iterator<Item = (u64, &'b LayerVersion)> {
        layer
            .versions
            .iter()
            .rev()
            .filter(|(_, version)| self.matches(version))
            .map(|(number, version)| (*number, version))
    }
}

/// `ListLayers`: those that have a version that matches, with the newest such version.
pub(super) fn list(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = Wanted::of(request)?;
    let page = request.page()?;
    let registry = lambda.registry();
    let items = registry.layers.iter().filter_map(|(name, layer)| {
        let (number, version) = wanted.newest_first(layer).next()?;
        let shown = json!({
            "LayerName": name,
            "LayerArn": request.scope.layer_arn(name, None),
            "LatestMatchingVersion": version.summary(&request.scope, name, number),
        });
        Some((name.clone(), shown))
    });
    let (layers, marker) = page.cut(items);
    let mut shown = json!({ "Layers": layers });
    if let Some(marker) = marker {
        shown["NextMarker"] = marker.into();
    }
    Ok(ok(&shown))
}

/// `ListLayerVersions`: the newest first. A layer that isn't there has none.
pub(super) fn list_versions(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let name = layer_name(request.segment(0), &request.scope)?;
    let wanted = Wanted::of(request)?;
    let page = request.page()?;
    let registry = lambda.registry();
    let versions = registry.layers.get(&name).into_iter().flat_map(|layer| wanted.newest_first(layer));
    // Keys that sort in this order.
    let items = versions.map(|(number, version)| {
        (format!("{:020}", u64::MAX - number), version.summary(&request.scope, &name, number))
    });
    let (versions, marker) = page.cut(items);
    let mut shown = json!({ "LayerVersions": versions });
    if let Some(marker) = marker {
        shown["NextMarker"] = marker.into();
    }
    Ok(ok(&shown))
}

/// `DeleteLayerVersion`. Functions that have the version keep it; one that isn't there is no error.
pub(super) fn delete(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let name = layer_name(request.segment(0), &request.scope)?;
    let number = version_number(request.segment(1))?;
    if let Some(layer) = lambda.registry().layers.get_mut(&name) {
        layer.versions.remove(&number);
    }
    Ok(no_content())
}

/// Where a version's zip can be downloaded, in AWS a presigned URL.
fn location(lambda: &Lambda, name: &str, number: u64, version: &LayerVersion) -> String {
    format!("{}/2015-03-31/code/layer/{name}/{number}?CodeSha256={}", lambda.endpoint(), url_hash(&version.code.sha256))
}

/// The zip that `Content.Location` leads to.
pub(super) fn download(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let number = version_number(request.segment(1))?;
    let code = {
        let registry = lambda.registry();
        let version = registry.layers.get(request.segment(0)).and_then(|layer| layer.versions.get(&number));
        let asked = |version: &&LayerVersion| request.query("CodeSha256") == Some(&url_hash(&version.code.sha256));
        Arc::clone(&version.filter(asked).ok_or_else(not_found)?.code)
    };
    Ok(sent(request, code.bytes()))
}
