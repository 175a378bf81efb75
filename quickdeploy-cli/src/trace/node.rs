//! Where Node.js finds the file that a specifier means: its own algorithm, over the artifact's names.
//!
//! `oxc_resolver` knows the algorithm; here it gets the artifact as a file system at `/var/task`. What is not in the
//! artifact (Node.js itself, layers at `/opt`, the SDK that the runtime brings) does not resolve, and no deploy of this
//! artifact changes it. The directories of `NODE_PATH` that Lambda sets end with `/var/task`, so `require('lib/a')`
//! finds `lib/a.js`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use oxc_resolver::{FileMetadata, FileSystem, ResolveError, ResolveOptions, ResolverGeneric};

use super::Contents;
use super::facts::Conditions;
use super::tree::{TASK_ROOT, Tree, directory, join};

/// Resolves specifiers in one artifact.
pub(super) struct Resolver {
    require: ResolverGeneric<Artifact>,
    import: ResolverGeneric<Artifact>,
    /// As Node.js 22 and later resolve for `require`, and 20.19: `exports` may have a condition for both ways.
    sync: [ResolverGeneric<Artifact>; 2],
    noted: Arc<Mutex<Noted>>,
}

/// What a resolution came upon.
#[derive(Debug, Default)]
struct Noted {
    /// `package.json` files whose content is not at hand.
    absent: BTreeSet<String>,
    symlink: Option<String>,
}

/// What a specifier means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    /// Files of the artifact; more than one where versions of Node.js differ.
    pub(super) files: BTreeSet<String>,
    /// `package.json` files whose content would be needed and is not at hand.
    pub(super) absent: BTreeSet<String>,
    /// A symbolic link that was in the way.
    pub(super) symlink: Option<String>,
}

impl Resolver {
    pub(super) fn new(tree: Arc<Tree>, contents: Arc<dyn Contents>) -> Self {
        let noted = Arc::default();
        let artifact = Artifact { tree, contents, noted: Arc::clone(&noted) };
        let options = |conditions: &[&str], fully_specified| ResolveOptions {
            cwd: Some(TASK_ROOT.into()),
            condition_names: conditions.iter().map(|&name| name.to_owned()).collect(),
            extensions: [".js", ".json", ".node"].map(str::to_owned).into(),
            main_fields: vec!["main".to_owned()],
            // What CommonJS finds by NODE_PATH, ES modules don't.
            modules: if fully_specified {
                vec!["node_modules".to_owned()]
            } else {
                vec!["node_modules".to_owned(), TASK_ROOT.to_owned()]
            },
            fully_specified,
            symlinks: false,
            node_path: false,
            builtin_modules: true,
            ..ResolveOptions::default()
        };
        let require =
            ResolverGeneric::new_with_file_system(artifact, options(&["node", "require", "node-addons"], false));
        let import = require.clone_with_options(options(&["node", "import", "node-addons"], true));
        let sync = [
            require.clone_with_options(options(&["node", "require", "module-sync", "node-addons"], false)),
            require.clone_with_options(options(&["node", "import", "module-sync", "node-addons"], true)),
        ];
        Self { require, import, sync, noted }
    }

    /// What `specifier` means in a file of `directory`.
    pub(super) fn resolve(&self, directory: &str, specifier: &str, conditions: Conditions) -> Resolved {
        let (usual, sync) = match conditions {
            Conditions::Require => (&self.require, &self.sync[0]),
            Conditions::Import => (&self.import, &self.sync[1]),
        };
        let from = PathBuf::from(join(TASK_ROOT, directory));
        let mut files = BTreeSet::new();
        let is_path = specifier.starts_with(['.', '/']);
        for resolver in [usual, sync] {
            if let Ok(resolution) = resolver.resolve(&from, specifier) {
                files.extend(name_of(resolution.path()));
            }
            if is_path {
                break;
            }
        }
        let noted = std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner));
        Resolved { files, absent: noted.absent, symlink: noted.symlink }
    }

    /// The files that Lambda's runtime may load for a handler's module: it tries suffixes, then asks Node.js.
    pub(super) fn handler(&self, tree: &Tree, handler: &str) -> Resolved {
        let module = handler_module(handler);
        let mut resolved = self.resolve("", &format!("./{module}"), Conditions::Require);
        for suffix in ["", ".js", ".mjs", ".cjs"] {
            let name = format!("{module}{suffix}");
            if tree.is_file(&name) {
                resolved.symlink = resolved.symlink.or_else(|| tree.symlink_on(&name).map(str::to_owned));
                resolved.files.insert(name);
            }
        }
        if resolved.files.is_empty() {
            let other = self.resolve(directory(module), super::tree::base(module), Conditions::Require);
            resolved.files = other.files;
            resolved.absent.extend(other.absent);
        }
        resolved
    }
}

/// `src/api` of `src/api.handler`, and of `src/api.nested.handler`: up to the first dot of the last part.
pub(super) fn handler_module(handler: &str) -> &str {
    let base_at = handler.rfind('/').map_or(0, |slash| slash + 1);
    let end = handler[base_at..].find('.').map_or(handler.len(), |dot| base_at + dot);
    let module = &handler[..end];
    module.strip_prefix("./").unwrap_or(module)
}

/// The entry's name for a path below `/var/task`.
fn name_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix(TASK_ROOT).ok()?;
    let mut parts = Vec::new();
    for component in below.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => {
                parts.pop()?;
            }
            _ => {}
        }
    }
    Some(parts.join("/"))
}

/// The artifact as a file system.
struct Artifact {
    tree: Arc<Tree>,
    contents: Arc<dyn Contents>,
    noted: Arc<Mutex<Noted>>,
}

impl Artifact {
    fn note(&self, note: impl FnOnce(&mut Noted)) {
        note(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl FileSystem for Artifact {
    // Never called: the resolver gets its file system, and its clones share it.
    fn new() -> Self {
        struct Nothing;
        impl Contents for Nothing {
            fn read(&self, _: &str) -> Option<Vec<u8>> {
                None
            }
        }
        Self { tree: Arc::default(), contents: Arc::new(Nothing), noted: Arc::default() }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let name = name_of(path).filter(|name| self.tree.is_file(name)).ok_or_else(not_found)?;
        self.contents.read(&name).ok_or_else(|| {
            self.note(|noted| {
                noted.absent.insert(name);
            });
            not_found()
        })
    }

    fn read_to_string(&self, path: &Path) -> io::Result<String> {
        String::from_utf8(self.read(path)?).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    }

    fn metadata(&self, path: &Path) -> io::Result<FileMetadata> {
        // The directories above have nothing else in them.
        if Path::new(TASK_ROOT).starts_with(path) {
            return Ok(FileMetadata::new(false, true, false));
        }
        let name = name_of(path).ok_or_else(not_found)?;
        if let Some(link) = self.tree.symlink_on(&name) {
            self.note(|noted| noted.symlink = Some(link.to_owned()));
        }
        let (is_file, is_directory) = (self.tree.is_file(&name), self.tree.is_directory(&name));
        if is_file || is_directory { Ok(FileMetadata::new(is_file, is_directory, false)) } else { Err(not_found()) }
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<FileMetadata> {
        self.metadata(path)
    }

    fn read_link(&self, _: &Path) -> Result<PathBuf, ResolveError> {
        Err(ResolveError::from(not_found()))
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
}
