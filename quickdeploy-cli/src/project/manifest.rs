//! Files that declare what a build would install or deploy.
//!
//! Patching `package.json` in an artifact doesn't install anything, and an edited `template.yaml` changes no stack. Such
//! a change is reported, so that the user can run a full build instead.
//!
//! Of `package.json`, `pyproject.toml` and `Cargo.toml` only the sections that declare dependencies count: a new script
//! or version number is no reason to warn. The artifact's directory doesn't tell what those sections were, so the index
//! keeps a digest of them from the last deployment; without one, a modified file is reported.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::ProjectError;
use super::rules::dependency_folder;

/// What kind of declaration a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ManifestKind {
    /// Dependencies, as the developer wrote them.
    Dependencies,
    /// Dependencies, as the package manager resolved them.
    LockFile,
    /// Infrastructure: CloudFormation, SAM, Serverless.
    Template,
}

/// A declaration that changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ManifestChange {
    /// The file's path, relative to the root.
    pub(crate) path: String,
    /// What it declares.
    pub(crate) kind: ManifestKind,
}

impl ManifestKind {
    /// What the file at `path` declares; `None` for all other files, and for those of installed packages.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let kind = match name {
            "package.json" | "pyproject.toml" | "Pipfile" | "setup.py" | "setup.cfg" | "Cargo.toml" | "go.mod"
            | "Gemfile" | "composer.json" | "pom.xml" | "build.gradle" | "build.gradle.kts" => Self::Dependencies,
            "package-lock.json"
            | "npm-shrinkwrap.json"
            | "yarn.lock"
            | "pnpm-lock.yaml"
            | "bun.lock"
            | "bun.lockb"
            | "poetry.lock"
            | "uv.lock"
            | "pdm.lock"
            | "Pipfile.lock"
            | "Cargo.lock"
            | "go.sum"
            | "Gemfile.lock"
            | "composer.lock" => Self::LockFile,
            "template.yaml" | "template.yml" | "template.json" | "serverless.yml" | "serverless.yaml" => Self::Template,
            _ if name.starts_with("requirements") && name.ends_with(".txt") => Self::Dependencies,
            _ => return None,
        };
        dependency_folder(path).is_none().then_some(kind)
    }
}

/// Where dependencies are declared in `package.json`.
const PACKAGE_JSON: [&[&str]; 7] = [
    &["dependencies"],
    &["optionalDependencies"],
    &["peerDependencies"],
    &["bundleDependencies"],
    &["bundledDependencies"],
    &["overrides"],
    &["resolutions"],
];

/// Where dependencies are declared in `pyproject.toml`: PEP 621, Poetry, PDM.
const PYPROJECT: [&[&str]; 5] = [
    &["project", "dependencies"],
    &["project", "optional-dependencies"],
    &["project", "requires-python"],
    &["tool", "poetry", "dependencies"],
    &["tool", "poetry", "group"],
];

const CARGO: [&[&str]; 3] = [&["dependencies"], &["build-dependencies"], &["target"]];

/// Identifies what the file declares: equal for two texts that differ elsewhere only.
pub(crate) fn digest(path: &str, bytes: &[u8]) -> [u8; 32] {
    let sections = match path.rsplit('/').next().unwrap_or(path) {
        "package.json" => json_sections(bytes, &PACKAGE_JSON),
        "pyproject.toml" => toml_sections(bytes, &PYPROJECT),
        "Cargo.toml" => toml_sections(bytes, &CARGO),
        _ => None,
    };
    match sections {
        Some(sections) => Sha256::digest(sections).into(),
        // Not one of those, or not readable as such: all of it counts.
        None => Sha256::digest(bytes).into(),
    }
}

/// Digests of what a full build is made from, by path: the dependency manifests and lock files among `paths` (relative to
/// `root`) and right in the root, packaged or not, and the stack's `template`, by the name that the configuration gives it.
///
/// Other templates don't count: no full build of this project deploys them.
pub(crate) fn digests<'a>(
    root: &Path,
    paths: impl Iterator<Item = &'a str>,
    template: Option<&(String, std::path::PathBuf)>,
) -> Result<BTreeMap<String, [u8; 32]>, ProjectError> {
    let counts =
        |path: &str| matches!(ManifestKind::of(path), Some(ManifestKind::Dependencies | ManifestKind::LockFile));
    let mut wanted: Vec<String> = paths.filter(|path| counts(path)).map(str::to_owned).collect();
    for entry in std::fs::read_dir(root).map_err(ProjectError::io("list", root))? {
        let entry = entry.map_err(ProjectError::io("list", root))?;
        if let Ok(name) = entry.file_name().into_string()
            && counts(&name)
            && entry.path().is_file()
        {
            wanted.push(name);
        }
    }
    let mut digests = BTreeMap::new();
    for path in wanted {
        let file = root.join(&path);
        let bytes = std::fs::read(&file).map_err(ProjectError::io("read", &file))?;
        digests.insert(path.clone(), digest(&path, &bytes));
    }
    if let Some((name, file)) = template {
        // One that isn't there is the full build's to complain about.
        if let Ok(bytes) = std::fs::read(file) {
            digests.insert(name.clone(), Sha256::digest(&bytes).into());
        }
    }
    Ok(digests)
}

/// A digest of what a comparison may read besides the files that it compares: the manifests, lock files and templates
/// right in `root`, packaged or not, and the stack's `template`.
pub(crate) fn beside_the_package(
    root: &Path,
    template: Option<&(String, std::path::PathBuf)>,
) -> std::io::Result<[u8; 32]> {
    let mut contents = BTreeMap::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && ManifestKind::of(&name).is_some()
            && entry.path().is_file()
        {
            let content = std::fs::read(entry.path())?;
            contents.insert(name, content);
        }
    }
    // Its name in the configuration is none of the root's: it begins with something that no name has in it.
    let template = template.and_then(|(name, file)| Some((format!("/{name}"), std::fs::read(file).ok()?)));
    contents.extend(template);
    let mut digest = Sha256::new();
    for (name, content) in &contents {
        digest.update(Sha256::digest(name));
        digest.update(Sha256::digest(content));
    }
    Ok(digest.finalize().into())
}

fn json_sections(bytes: &[u8], paths: &[&[&str]]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    sections(paths, |path| {
        let value = path.iter().try_fold(&document, |value, key| value.get(key))?;
        Some(value.to_string())
    })
}

fn toml_sections(bytes: &[u8], paths: &[&[&str]]) -> Option<String> {
    let document: toml::Value = toml::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    sections(paths, |path| {
        let value = path.iter().try_fold(&document, |value, key| value.get(key))?;
        Some(value.to_string())
    })
}

fn sections(paths: &[&[&str]], get: impl Fn(&[&str]) -> Option<String>) -> Option<String> {
    let mut text = String::new();
    for path in paths {
        if let Some(section) = get(path) {
            text.push_str(&path.join("."));
            text.push('=');
            text.push_str(&section);
            text.push('\n');
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_lock_files_and_templates_are_recognised_at_any_depth() {
        assert_eq!(ManifestKind::of("package.json"), Some(ManifestKind::Dependencies));
        assert_eq!(ManifestKind::of("api/requirements-prod.txt"), Some(ManifestKind::Dependencies));
        assert_eq!(ManifestKind::of("api/uv.lock"), Some(ManifestKind::LockFile));
        assert_eq!(ManifestKind::of("template.yaml"), Some(ManifestKind::Template));
        assert_eq!(ManifestKind::of("src/package.js"), None);
        assert_eq!(ManifestKind::of("node_modules/a/package.json"), None);
    }

    #[test]
    fn only_dependencies_count_in_package_json() {
        let base = br#"{"name":"a","version":"1.0.0","dependencies":{"x":"1"}}"#;
        let scripts = br#"{"name":"a","version":"1.0.1","scripts":{"t":"u"},  "dependencies":{"x":"1"}}"#;
        let upgraded = br#"{"name":"a","version":"1.0.0","dependencies":{"x":"2"}}"#;
        assert_eq!(digest("package.json", base), digest("package.json", scripts));
        assert_ne!(digest("package.json", base), digest("package.json", upgraded));
    }

    #[test]
    fn only_dependencies_count_in_pyproject() {
        let base = b"[project]\nversion = '1'\ndependencies = ['a']\n";
        let version = b"[project]\nversion = '2'\ndependencies = ['a']\n";
        let upgraded = b"[project]\nversion = '1'\ndependencies = ['a>2']\n";
        assert_eq!(digest("pyproject.toml", base), digest("pyproject.toml", version));
        assert_ne!(digest("pyproject.toml", base), digest("pyproject.toml", upgraded));
    }

    #[test]
    fn all_of_a_lock_file_or_of_a_broken_manifest_counts() {
        assert_ne!(digest("yarn.lock", b"a"), digest("yarn.lock", b"b"));
        assert_ne!(digest("package.json", b"{"), digest("package.json", b"{{"));
    }
}
