//! The project on the developer's disk: what belongs into the artifact, and what of it has changed.
//!
//! # For callers
//!
//! ```text
//! let projects = Project::find(&cwd, env)?;            // one per artifact; or Project::of_directory(dir, state_dir)
//! let mut scan = project.scan(&artifact_url)?;         // walk + read what changed; needs no network, blocks: spawn_blocking
//! let entries = ...;                                   // the artifact's directory, from `zipedit`, meanwhile
//! let diff    = scan.diff(&entries, Deletion::Owned)?; // decides; asks git only about names that are gone here
//! for change in diff.puts() { let bytes = change.read()?; ... }
//! ...deploy: puts + diff.deleted...
//! scan.record_deployed(&diff)?;                        // also when there was nothing to do: it teaches the index
//! ```
//!
//! A full package is `project.package(file)?`: see [`package`].
//! Everything here blocks, and nothing holds a lock while it waits for anything but the disk.
//!
//! # How it holds together
//!
//! [`config`] finds and checks `quickdeploy.toml`. [`mapping`] turns a local path into an entry name and back.
//! [`walk`] lists the files with their `stat`, in parallel, and reads none. [`basis`] tells whether anything is another than
//! in a comparison before. [`index`] remembers what was read before, so
//! that [`scan`] reads only files whose `stat` is new. [`diff`] is a pure function over names, sizes and checksums.
//! [`ownership`] says which names that are missing here this project had put into the artifact.
//! [`manifest`] recognises files that declare dependencies. [`package`] writes a whole artifact.
//!
//! The truth is always the artifact's own directory. Losing the index costs time, never correctness.

mod basis;
mod config;
mod config_error;
mod content;
mod diff;
mod error;
mod index;
mod index_format;
mod manifest;
mod mapping;
mod ownership;
mod package;
pub(crate) mod rules;
mod scan;
mod stat;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

pub(crate) use basis::Basis;
pub(crate) use config::{
    Affected, Architecture, ArtifactUrl, CONFIG_FILE, Functions, NewFunction, STATE_DIR, Settings, Via,
};
pub(crate) use config_error::ConfigError;
pub(crate) use diff::{ArtifactEntry, Change, Deletion, Diff};
pub(crate) use error::ProjectError;
pub(crate) use manifest::{ManifestChange, ManifestKind};
pub(crate) use package::{Packaged, UNZIPPED_LIMIT};
pub(crate) use scan::{Refreshed, Scan};
pub(crate) use walk::Listing;

use index::{Data, Key, Store};
use mapping::Mapping;
use rules::Rules;
use walk::{Scope, Walker};

/// Size in bytes and CRC-32 of these files below `root`; `None` for one that is gone. Blocks.
pub(crate) fn checksums(root: &Path, paths: &[&str]) -> Result<Vec<Option<(u64, u32)>>, ProjectError> {
    content::in_parallel(paths, |path| {
        Ok(content::read(&root.join(path))?.map(|(_, content)| (content.size, content.crc32)))
    })
}

/// What a compiler may have to do with saved paths.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// Those that it may read.
    pub(crate) looks: BTreeMap<PathBuf, Look>,
    /// Whether any is of the project at all.
    pub(crate) concerned: bool,
}

/// What is found at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Gone,
    Directory,
    /// With this SHA-256.
    File([u8; 32]),
    /// What can't be read.
    Unclear,
}

impl Look {
    fn at(path: &Path, is_dir: bool) -> Self {
        if is_dir {
            return Self::Directory;
        }
        // A pipe would be waited for.
        if path.exists() && !path.is_file() {
            return Self::Unclear;
        }
        match content::read(path) {
            Ok(Some((_, content))) => Self::File(content.sha256),
            Ok(None) => Self::Gone,
            Err(_) => Self::Unclear,
        }
    }
}

/// A directory that is deployed, with its settings.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    settings: Settings,
    mapping: Mapping,
    walker: Walker,
}

impl Project {
    /// Finds `quickdeploy.toml` in `start` (absolute) or the nearest directory above, and applies `[env.NAME]` for
    /// `env`. One for each artifact, sorted by name; there is at least one.
    pub(crate) fn find(start: &Path, env: Option<&str>) -> Result<Vec<Self>, ProjectError> {
        let file = Settings::locate(start).ok_or_else(|| ConfigError::NotFound { start: start.to_owned() })?;
        Self::load(&file, env)
    }

    /// The same for this configuration file.
    pub(crate) fn load(file: &Path, env: Option<&str>) -> Result<Vec<Self>, ProjectError> {
        Settings::read(file, env)?.into_iter().map(Self::new).collect()
    }

    /// The same for the text of a file that isn't written yet. No index is kept.
    pub(crate) fn of_text(file: &Path, text: &str, env: Option<&str>) -> Result<Vec<Self>, ProjectError> {
        let settings = Settings::parse(file, text, env)?.into_iter();
        settings.map(|settings| Self::new(Settings { state_dir: None, ..settings })).collect()
    }

    /// A directory without a configuration file: everything in it is the package. The index is kept in `state_dir`;
    /// nowhere, when there is none, and then every scan reads every file.
    pub(crate) fn of_directory(directory: &Path, state_dir: Option<&Path>) -> Result<Self, ProjectError> {
        let root = directory.canonicalize().map_err(ProjectError::io("open", directory))?;
        Self::new(Settings::of_directory(root, state_dir.map(Path::to_owned)))
    }

    /// Only these directories below `root`, each under its own name, whatever ignore files say of them.
    pub(crate) fn of_directories(root: &Path, directories: &[String]) -> Result<Self, ProjectError> {
        let root = root.canonicalize().map_err(ProjectError::io("open", root))?;
        let map = directories.iter().map(|directory| (directory.clone(), format!("{directory}/"))).collect();
        Self::new(Settings { map, ..Settings::of_directory(root, None) })
    }

    fn new(settings: Settings) -> Result<Self, ProjectError> {
        let mapping = Mapping::new(&settings.map);
        let walker = Walker::new(&settings.root, mapping.clone(), Rules::new(&settings))?;
        Ok(Self { settings, mapping, walker })
    }

    /// What the configuration says.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The first mapped directory that is not there, as it is written in the configuration.
    pub(crate) fn missing_directory(&self) -> Option<&str> {
        let Settings { root, map, .. } = &self.settings;
        map.iter().map(|(local, _)| local.as_str()).find(|local| !root.join(local).is_dir())
    }

    /// Where on this machine the file with this entry name may be, deployed from here or not.
    pub(crate) fn local_paths(&self, name: &str) -> Vec<PathBuf> {
        self.mapping.local_paths(name).iter().map(|path| self.settings.root.join(path)).collect()
    }

    /// Whether the configuration takes a file of the artifact for one that loads nothing but what it says.
    pub(crate) fn taken_as_static(&self) -> impl Fn(&str) -> bool + Send + Sync + 'static {
        rules::names_matching(&self.settings.assume_static)
    }

    /// Walks the project and reads the files whose `stat` the index for `artifact` (its URL, or any other name for the
    /// target) doesn't know. Blocks; needs no network.
    pub(crate) fn scan(&self, artifact: &str) -> Result<Scan, ProjectError> {
        Scan::new(self.settings.root.clone(), self.mapping.clone(), self.walker.clone(), self.index(artifact))
    }

    /// The same where the files were listed already.
    fn scan_listed(&self, index: Store, listing: Listing, data: Data) -> Result<Scan, ProjectError> {
        let (mapping, walker) = (self.mapping.clone(), self.walker.clone());
        Scan::of_listing(self.settings.root.clone(), mapping, walker, index, (listing, data))
    }

    fn index(&self, artifact: &str) -> Store {
        let key = Key { artifact: artifact.to_owned(), layout: self.layout() };
        Store::new(self.settings.state_dir.as_deref(), key)
    }

    /// The files that a deployment would compare: path relative to the root, and size in bytes. No file is read. Blocks.
    pub(crate) fn files(&self) -> Result<Vec<(String, u64)>, ProjectError> {
        let files = self.walker.files(Scope::Edit)?;
        Ok(files.into_iter().map(|file| (file.path().to_owned(), file.stat.size)).collect())
    }

    /// Digests of what a full build of the project is made from, by path: see [`manifest::digests`]. Mapped directories may
    /// be missing. Blocks.
    pub(crate) fn manifests(&self) -> Result<BTreeMap<String, [u8; 32]>, ProjectError> {
        let files = self.walker.files_so_far(Scope::Edit)?;
        manifest::digests(
            &self.settings.root,
            files.iter().map(walk::LocalFile::path),
            self.settings.full.template.as_ref(),
        )
    }

    /// The same where a scan has listed the files already. Blocks.
    pub(crate) fn manifests_of(&self, scan: &Scan) -> Result<BTreeMap<String, [u8; 32]>, ProjectError> {
        manifest::digests(&self.settings.root, scan.paths(), self.settings.full.template.as_ref())
    }

    /// The directories that a watcher has to look at. Blocks.
    pub(crate) fn directories(&self) -> Vec<std::path::PathBuf> {
        self.walker.directories()
    }

    /// What of these paths (absolute) a compiler may read: all that no ignore file hides, packaged or not. Blocks.
    pub(crate) fn sources(&self, paths: &BTreeSet<PathBuf>) -> Sources {
        let mut visibility = self.walker.visibility();
        let mut sources = Sources::default();
        for full in paths.iter().filter(|full| full.starts_with(&self.settings.root)) {
            let Ok(path) = mapping::slashed_below(&self.settings.root, full) else { continue };
            let is_dir = full.is_dir();
            if visibility.is_source(&path, is_dir) {
                sources.concerned = true;
                sources.looks.insert(full.clone(), Look::at(full, is_dir));
            } else {
                sources.concerned |= visibility.shows(&path);
            }
        }
        sources
    }

    /// Packages the project, dependency folders included, into `out`. Blocks.
    pub(crate) fn package<W: Write + Seek>(&self, out: W) -> Result<Packaged, ProjectError> {
        package::package(&self.settings.root, self.walker.files(Scope::Package)?, out)
    }

    /// Under another root or `map`, an entry name stands for another file.
    fn layout(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.settings.root.as_os_str().as_encoded_bytes());
        for (local, prefix) in &self.settings.map {
            for part in [local, prefix] {
                digest.update([0]);
                digest.update(part);
            }
        }
        digest.finalize().into()
    }
}
