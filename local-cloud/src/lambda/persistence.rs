//! Functions and layers on disk: `functions.json`, and beside it one file for each package, named by its hash.
//!
//! After each change the whole record is written anew and put in the place of the old one. It holds what functions
//! will be when all that is under way has ended: after a restart nothing is `InProgress`. A package is kept once it was
//! found intact; until then the function is kept as it was. Built-in functions are not in it; they come with every
//! start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::code::{Code, Origin};
use super::configuration::Configuration;
use super::deployment::{Artifact, Deployment};
use super::function::{Alias, Function, Policy};
use super::layers::{About, Layer, LayerVersion, Layers, Used};
use super::operations::SigningConfig;
use super::registry::Registry;
use super::version::Version;

/// What went wrong, and with which file.
type Fault = (PathBuf, String);

/// What was kept.
#[derive(Default)]
pub(super) struct Restored {
    /// By name.
    pub(super) functions: BTreeMap<String, Function>,
    /// By name.
    pub(super) layers: BTreeMap<String, Layer>,
    /// By id.
    pub(super) signing: BTreeMap<String, SigningConfig>,
}

/// A directory that functions are kept in.
pub(super) struct Archive {
    directory: PathBuf,
    /// One writer at a time, so that the last change is the last one written.
    writing: tokio::sync::Mutex<()>,
}

/// Everything that is kept, and the packages that it speaks of.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    functions: Vec<FunctionRecord>,
    signing: BTreeMap<String, SigningConfig>,
    #[serde(default)]
    layers: BTreeMap<String, LayerRecord>,
    #[serde(skip)]
    packages: BTreeMap<String, Arc<Code>>,
}

#[derive(Serialize, Deserialize)]
struct FunctionRecord {
    latest: VersionRecord,
    versions: BTreeMap<u64, VersionRecord>,
    last_version: u64,
    aliases: BTreeMap<String, Alias>,
    tags: BTreeMap<String, String>,
    policies: BTreeMap<String, Policy>,
    reserved_concurrency: Option<u32>,
    code_signing_config: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct LayerRecord {
    versions: BTreeMap<u64, LayerVersionRecord>,
    last_version: u64,
}

#[derive(Serialize, Deserialize)]
struct LayerVersionRecord {
    sha256: String,
    origin: Origin,
    about: About,
}

/// A layer as a function has it. The layer itself may be deleted.
#[derive(Serialize, Deserialize)]
struct UsedRecord {
    arn: String,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct VersionRecord {
    function: String,
    version: String,
    region: String,
    configuration: Configuration,
    artifact: ArtifactRecord,
    #[serde(default)]
    layers: Vec<UsedRecord>,
    revision_id: String,
    last_modified: String,
}

#[derive(Serialize, Deserialize)]
enum ArtifactRecord {
    Package { sha256: String, origin: Origin, kms_key_arn: Option<String> },
    Image { uri: String },
}

impl Record {
    /// What is to be kept of a registry.
    pub(super) fn of(registry: &Registry) -> Self {
        let mut packages = BTreeMap::new();
        let layers = registry.layers.iter().map(|(name, layer)| (name.clone(), LayerRecord::of(layer, &mut packages)));
        let layers = layers.collect();
        let mut keep = |version: &Version| VersionRecord::of(version, &mut packages);
        let functions = registry
            .functions
            .values()
            .filter_map(|function| {
                Some(FunctionRecord {
                    latest: keep(&function.latest)?,
                    versions: function.versions.iter().filter_map(|(&n, version)| Some((n, keep(version)?))).collect(),
                    last_version: function.last_version,
                    aliases: function.aliases.clone(),
                    tags: function.tags.clone(),
                    policies: function.policies.clone(),
                    reserved_concurrency: function.reserved_concurrency,
                    code_signing_config: function.code_signing_config.clone(),
                })
            })
            .collect();
        Self { functions, signing: registry.signing.clone(), layers, packages }
    }

    fn restore(self) -> Result<Restored, String> {
        let packages = &self.packages;
        let mut functions = BTreeMap::new();
        for kept in self.functions {
            let mut function = Function::new(kept.latest.restore(packages)?);
            for (number, version) in kept.versions {
                function.versions.insert(number, version.restore(packages)?);
            }
            function.last_version = kept.last_version;
            function.aliases = kept.aliases;
            function.tags = kept.tags;
            function.policies = kept.policies;
            function.reserved_concurrency = kept.reserved_concurrency;
            function.code_signing_config = kept.code_signing_config;
            functions.insert(function.name.clone(), function);
        }
        let layers = self.layers.into_iter().map(|(name, layer)| Ok((name, layer.restore(packages)?)));
        Ok(Restored { functions, layers: layers.collect::<Result<_, String>>()?, signing: self.signing })
    }

    /// The hashes of all packages that functions and layers have.
    fn hashes(&self) -> BTreeSet<String> {
        let versions = self.functions.iter().flat_map(|f| std::iter::once(&f.latest).chain(f.versions.values()));
        let hash = |version: &VersionRecord| match &version.artifact {
            ArtifactRecord::Package { sha256, .. } => Some(sha256.clone()),
            ArtifactRecord::Image { .. } => None,
        };
        let used = versions.clone().flat_map(|version| version.layers.iter().map(|used| used.sha256.clone()));
        let layers = self.layers.values().flat_map(|layer| layer.versions.values());
        let of_layers = layers.map(|version| version.sha256.clone());
        versions.filter_map(hash).chain(used).chain(of_layers).collect()
    }
}

impl LayerRecord {
    fn of(layer: &Layer, packages: &mut BTreeMap<String, Arc<Code>>) -> Self {
        let mut keep = |version: &LayerVersion| {
            packages.insert(version.code.sha256.clone(), Arc::clone(&version.code));
            let (origin, about) = (version.origin.clone(), version.about.clone());
            LayerVersionRecord { sha256: version.code.sha256.clone(), origin, about }
        };
        let versions = layer.versions.iter().map(|(number, version)| (*number, keep(version))).collect();
        Self { versions, last_version: layer.last_version }
    }

    fn restore(self, packages: &BTreeMap<String, Arc<Code>>) -> Result<Layer, String> {
        let versions = self.versions.into_iter().map(|(number, kept)| {
            let code = package(packages, &kept.sha256)?;
            Ok((number, LayerVersion { code, origin: kept.origin, about: kept.about }))
        });
        Ok(Layer { versions: versions.collect::<Result<_, String>>()?, last_version: self.last_version })
    }
}

fn package(packages: &BTreeMap<String, Arc<Code>>, sha256: &str) -> Result<Arc<Code>, String> {
    packages.get(sha256).cloned().ok_or_else(|| format!("the package {sha256} is missing"))
}

impl VersionRecord {
    /// `None` for what isn't kept: built-in functions, and functions that could not be made.
    fn of(version: &Version, packages: &mut BTreeMap<String, Arc<Code>>) -> Option<Self> {
        let deployment = version.settled_deployment()?;
        let artifact = match &deployment.artifact {
            Artifact::Package { code, origin, kms_key_arn } => {
                packages.insert(code.sha256.clone(), Arc::clone(code));
                ArtifactRecord::Package {
                    sha256: code.sha256.clone(),
                    origin: origin.clone(),
                    kms_key_arn: kms_key_arn.clone(),
                }
            }
            Artifact::Image { uri } => ArtifactRecord::Image { uri: uri.clone() },
            Artifact::Builtin { .. } => return None,
        };
        let mut keep = |used: &Used| {
            packages.insert(used.code.sha256.clone(), Arc::clone(&used.code));
            UsedRecord { arn: used.arn.clone(), sha256: used.code.sha256.clone() }
        };
        let layers = deployment.layers.used().iter().map(&mut keep).collect();
        Some(Self {
            function: deployment.function.clone(),
            version: deployment.version.clone(),
            region: deployment.region.clone(),
            configuration: deployment.configuration.clone(),
            artifact,
            layers,
            revision_id: version.revision_id.clone(),
            last_modified: version.last_modified.clone(),
        })
    }

    fn restore(self, packages: &BTreeMap<String, Arc<Code>>) -> Result<Version, String> {
        let artifact = match self.artifact {
            ArtifactRecord::Image { uri } => Artifact::Image { uri },
            ArtifactRecord::Package { sha256, origin, kms_key_arn } => {
                Artifact::Package { code: package(packages, &sha256)?, origin, kms_key_arn }
            }
        };
        let used = self.layers.into_iter();
        let used = used.map(|used| Ok(Used { code: package(packages, &used.sha256)?, arn: used.arn }));
        let layers = Layers::new(used.collect::<Result<_, String>>()?);
        let (function, version, region) = (&self.function, &self.version, &self.region);
        let deployment = Deployment::new(function, version, region, self.configuration, artifact, layers);
        Ok(Version::restored(deployment, self.revision_id, self.last_modified))
    }
}

impl Archive {
    pub(super) fn open(directory: PathBuf) -> Self {
        Self { directory, writing: tokio::sync::Mutex::default() }
    }

    /// What is in the directory. A directory that isn't there is an empty one.
    pub(super) async fn load(&self) -> Result<Restored, Fault> {
        let directory = self.directory.clone();
        apart(&self.directory, move || load(&directory)).await
    }

    /// Writes what `record` gives, when it is this change's turn.
    pub(super) async fn save(&self, record: impl FnOnce() -> Record) -> Result<(), Fault> {
        let _turn = self.writing.lock().await;
        let record = record();
        let directory = self.directory.clone();
        apart(&self.directory, move || save(&directory, &record)).await
    }
}

async fn apart<T: Send + 'static>(
    directory: &Path,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err((directory.to_owned(), e.to_string())))
}

fn load(directory: &Path) -> Result<Restored, Fault> {
    let path = directory.join("functions.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Restored::default()),
        Err(e) => return Err((path, e.to_string())),
    };
    let mut record: Record = serde_json::from_slice(&text).map_err(|e| (path.clone(), e.to_string()))?;
    for hash in record.hashes() {
        let file = directory.join(file_name(&hash));
        let bytes = fs::read(&file).map_err(|e| (file.clone(), e.to_string()))?;
        let code = Code::inspect(vec![Bytes::from(bytes)]).map_err(|e| (file.clone(), e.message))?;
        if code.sha256 != hash {
            return Err((file, "the package is damaged: its hash is another one".to_owned()));
        }
        record.packages.insert(hash, Arc::new(code.trusted()));
    }
    record.restore().map_err(|message| (path, message))
}

fn save(directory: &Path, record: &Record) -> Result<(), Fault> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |e: io::Error| (path, e.to_string())
    };
    fs::create_dir_all(directory).map_err(at(directory))?;
    for (hash, code) in &record.packages {
        let file = directory.join(file_name(hash));
        if !file.exists() {
            replace(&file, |new| code.write_to(new)).map_err(at(&file))?;
        }
    }
    let path = directory.join("functions.json");
    let text = serde_json::to_vec_pretty(record).map_err(|e| (path.clone(), e.to_string()))?;
    replace(&path, |new| new.write_all(&text)).map_err(at(&path))?;

    let wanted: BTreeSet<PathBuf> = record.packages.keys().map(|hash| directory.join(file_name(hash))).collect();
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let file = entry.map_err(at(directory))?.path();
        if file.extension().is_some_and(|extension| extension == "zip") && !wanted.contains(&file) {
            fs::remove_file(&file).map_err(at(&file))?;
        }
    }
    Ok(())
}

/// Writes a new file beside the old one, then puts it in its place.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    write(&mut file)?;
    file.sync_all()?;
    fs::rename(new, path)
}

/// A hash in base64 as the name of a file.
fn file_name(hash: &str) -> String {
    format!("{}.zip", hash.replace('/', "_").replace('+', "-").replace('=', ""))
}
