//! The walk from a handler through everything it loads.
//!
//! Level by level, so that each file is reached by one of its shortest chains, and the files of a level are parsed at
//! the same time. Facts about a file don't depend on who loads it: several handlers share them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::facts::{Facts, Import};
use super::node::{Resolved, Resolver};
use super::tree::{Tree, directory};
use super::{Contents, javascript, python, python_modules};

/// What a function starts with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Entrance {
    /// As Lambda has it: `src/api.handler`.
    pub(crate) handler: String,
    /// As Lambda has it: `nodejs22.x`.
    pub(crate) runtime: String,
    /// Environment variables that change what is loaded, sorted.
    pub(crate) environment: Vec<(String, String)>,
}

/// The environment variables that change what is loaded.
pub(crate) const LOADING_VARIABLES: [&str; 5] =
    ["AWS_LAMBDA_EXEC_WRAPPER", "NODE_OPTIONS", "NODE_PATH", "PYTHONPATH", "PYTHONSTARTUP"];

/// What a handler reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    files: BTreeMap<String, Step>,
    /// Why it may reach every other file, too.
    pub(crate) unbounded: Option<Unbounded>,
    /// Files that it reaches and whose content is not at hand: what they load isn't known.
    pub(crate) absent: BTreeSet<String>,
}

/// How a file was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Step {
    /// The file that loads it; `None` for the handler's own.
    by: Option<String>,
    /// Some file loads it as a module; else its name was only found in a text.
    loaded: bool,
}

/// Why a handler may reach every file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unbounded {
    /// Its runtime's languages are not followed.
    Runtime(String),
    /// Its module is not in the artifact: a layer has it, or it is missing.
    Handler(String),
    /// The function's environment loads something else first.
    Environment(String),
    /// A file loads what its text does not tell. `what` completes the sentence.
    Dynamic { file: String, line: u32, what: &'static str },
    /// A symbolic link is in the way.
    Symlink(String),
    /// A file can't be looked into.
    Opaque { file: String },
    /// A file's content is not at hand.
    Absent { file: String },
}

impl fmt::Display for Unbounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(runtime) => write!(f, "imports are not followed for {runtime}"),
            Self::Handler(handler) => write!(f, "the module of its handler `{handler}` is not in the artifact"),
            Self::Environment(name) => write!(f, "its variable {name} changes what is loaded"),
            Self::Dynamic { file, line, what } => write!(f, "{file}:{line} {what}"),
            Self::Symlink(name) => write!(f, "{name} is a symbolic link"),
            Self::Opaque { file } => write!(f, "{file} is bytecode"),
            Self::Absent { file } => write!(f, "{file} could not be read"),
        }
    }
}

impl Reach {
    /// The files from the handler's own to `name`, each loading the next. `None`: it is not reached.
    pub(crate) fn chain<'r>(&'r self, name: &'r str) -> Option<Vec<&'r str>> {
        let mut step = self.files.get(name)?;
        let mut chain = vec![name];
        while let Some(by) = &step.by {
            chain.push(by);
            step = self.files.get(by)?;
        }
        chain.reverse();
        Some(chain)
    }

    /// Whether the file is a module of this handler.
    pub(crate) fn loads(&self, name: &str) -> bool {
        self.files.get(name).is_some_and(|step| step.loaded)
    }

    /// Takes files whose content never came to hand for files that load anything.
    pub(crate) fn bounded_by_absence(mut self) -> Self {
        if let Some(file) = self.absent.first() {
            self.unbounded.get_or_insert(Unbounded::Absent { file: file.clone() });
        }
        self
    }

    /// How many files are reached.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }
}

/// Finds out what handlers reach in one artifact.
pub(crate) struct Tracer {
    tree: Arc<Tree>,
    contents: Arc<dyn Contents>,
    /// Files whose dynamic places load nothing of the project, by the word of its configuration.
    taken_as_static: Box<dyn Fn(&str) -> bool + Send + Sync>,
    resolver: Resolver,
    facts: Mutex<HashMap<String, Arc<Facts>>>,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("tree", &self.tree).finish_non_exhaustive()
    }
}

/// The languages that are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    JavaScript,
    Python,
}

impl Tracer {
    /// For the artifact with these names and contents.
    pub(crate) fn new(
        tree: Tree,
        contents: Arc<dyn Contents>,
        taken_as_static: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let tree = Arc::new(tree);
        let resolver = Resolver::new(Arc::clone(&tree), Arc::clone(&contents));
        Self { tree, contents, taken_as_static: Box::new(taken_as_static), resolver, facts: Mutex::default() }
    }

    /// What is reached from here. Blocks: reads and parses files.
    pub(crate) fn reach(&self, entrance: &Entrance) -> Reach {
        let language = match entrance.runtime.as_str() {
            runtime if runtime.starts_with("nodejs") => Language::JavaScript,
            runtime if runtime.starts_with("python") => Language::Python,
            "" => return Reach::unbounded(Unbounded::Runtime("a function without a runtime".to_owned())),
            runtime => return Reach::unbounded(Unbounded::Runtime(runtime.to_owned())),
        };
        let mut places = vec![String::new()];
        loop {
            let mut walk = Walk { tracer: self, language, places: places.clone(), reach: Reach::default() };
            walk.reach.unbounded = environment(&entrance.environment);
            walk.from(&entrance.handler);
            // Another place to look for modules: what was not found before may be there.
            if walk.places.len() == places.len() {
                return walk.reach;
            }
            places = walk.places;
        }
    }

    /// As before, for when more contents are at hand: what was parsed needn't be parsed again.
    pub(crate) fn again(self) -> Self {
        let resolver = Resolver::new(Arc::clone(&self.tree), Arc::clone(&self.contents));
        Self { resolver, ..self }
    }

    fn known(&self, name: &str) -> Option<Arc<Facts>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Facts about these files, each read and parsed once. `None`: its content is not at hand.
    fn facts_of(&self, names: &[String], language: Language) -> Vec<Option<Arc<Facts>>> {
        let of = |name: &String| {
            if let Some(facts) = self.known(name) {
                return Some(facts);
            }
            let content = self.contents.read(name)?;
            let facts = Arc::new(match language {
                Language::JavaScript => javascript::facts(name, &content),
                Language::Python => python::facts(name, &content),
            });
            self.facts.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Arc::clone(&facts));
            Some(facts)
        };
        super::threads::in_parallel(names, of)
    }
}

/// The first variable that makes more be loaded than the handler's imports. What only sets limits or messages does not.
fn environment(variables: &[(String, String)]) -> Option<Unbounded> {
    const HARMLESS: [&str; 12] = [
        "--enable-source-maps",
        "--max-old-space-size",
        "--max-semi-space-size",
        "--max-http-header-size",
        "--max_old_space_size",
        "--no-deprecation",
        "--no-warnings",
        "--dns-result-order",
        "--stack-trace-limit",
        "--trace-warnings",
        "--unhandled-rejections",
        "--use-openssl-ca",
    ];
    let harmless = |name: &str, value: &str| match name {
        "NODE_OPTIONS" => value.split_whitespace().all(|option| {
            let option = option.split_once('=').map_or(option, |(name, _)| name);
            HARMLESS.contains(&option)
        }),
        _ => value.trim().is_empty(),
    };
    let found = variables.iter().find(|(name, value)| !harmless(name, value));
    found.map(|(name, _)| Unbounded::Environment(name.clone()))
}

impl Reach {
    fn unbounded(why: Unbounded) -> Self {
        Self { unbounded: Some(why), ..Self::default() }
    }

    fn set_unbounded(&mut self, why: Unbounded) {
        self.unbounded.get_or_insert(why);
    }
}

/// One walk.
struct Walk<'t> {
    tracer: &'t Tracer,
    language: Language,
    /// Where Python looks for modules, as directories of the artifact.
    places: Vec<String>,
    reach: Reach,
}

impl Walk<'_> {
    fn from(&mut self, handler: &str) {
        let tree = Arc::clone(&self.tracer.tree);
        let mut level = Vec::new();
        match self.language {
            Language::JavaScript => {
                let resolved = self.tracer.resolver.handler(&tree, handler);
                self.resolved(resolved, None, &mut level);
            }
            Language::Python => {
                let module = python_modules::handler_module(handler).unwrap_or_default();
                let files = python_modules::files(&tree, &self.places, &module);
                self.loaded(files, None, &mut level);
            }
        }
        if self.reach.files.is_empty() {
            self.reach.set_unbounded(Unbounded::Handler(handler.to_owned()));
        }
        while !level.is_empty() {
            let mut next = Vec::new();
            let facts = self.tracer.facts_of(&level, self.language);
            for (name, facts) in level.iter().zip(facts) {
                match facts {
                    Some(facts) => self.follow(&tree, name, &facts, &mut next),
                    None => {
                        self.reach.absent.insert(name.clone());
                    }
                }
            }
            level = next;
        }
    }

    fn follow(&mut self, tree: &Tree, name: &str, facts: &Facts, next: &mut Vec<String>) {
        if let Some(dynamic) = &facts.dynamic
            && !(self.tracer.taken_as_static)(name)
        {
            let (file, line, what) = (name.to_owned(), dynamic.line, dynamic.what);
            self.reach.set_unbounded(Unbounded::Dynamic { file, line, what });
        }
        for import in &facts.imports {
            self.import(tree, name, import, next);
        }
        for text in &facts.mentions {
            let mut meant: Vec<String> = tree.ending_like(text).map(str::to_owned).collect();
            if self.language == Language::Python
                && let Some(module) = python_modules::named(tree, &self.places, text)
            {
                meant.extend(python_modules::files(tree, &self.places, &module).into_iter().map(str::to_owned));
            }
            for file in meant {
                if may_mean(name, &file, text) {
                    self.enter(&file, Some(name), false, next);
                }
            }
        }
    }

    fn import(&mut self, tree: &Tree, name: &str, import: &Import, next: &mut Vec<String>) {
        let relative = |level: u32, module: &[String]| {
            let package = python_modules::package_of(name, level)?;
            let package = package.split('/').filter(|part| !part.is_empty()).map(str::to_owned);
            Some(package.chain(module.iter().cloned()).collect::<Vec<String>>())
        };
        // A relative import starts from the top, wherever the package was found.
        let top = [String::new()];
        match import {
            Import::Node { specifier, conditions } => {
                let resolved = self.tracer.resolver.resolve(directory(name), specifier, *conditions);
                self.resolved(resolved, Some(name), next);
            }
            Import::NodeFile(path) => {
                // Relative to the working directory; workers and forks are found there, and some loaders look beside
                // the file.
                for from in ["", directory(name)] {
                    let specifier = if path.starts_with(['.', '/']) { path.clone() } else { format!("./{path}") };
                    let conditions = super::facts::Conditions::Require;
                    let resolved = self.tracer.resolver.resolve(from, &specifier, conditions);
                    self.resolved(resolved, Some(name), next);
                }
            }
            Import::Module(module) => {
                let files = python_modules::files(tree, &self.places, module);
                self.loaded(files, Some(name), next);
            }
            Import::Relative { level, module } => {
                if let Some(module) = relative(*level, module) {
                    self.loaded(python_modules::files(tree, &top, &module), Some(name), next);
                }
            }
            Import::Star(module) => {
                self.loaded(python_modules::files(tree, &self.places, module), Some(name), next);
                for place in self.places.clone() {
                    let package = super::tree::join(&place, &module.join("/"));
                    self.loaded(python_modules::in_package(tree, &package), Some(name), next);
                }
            }
            Import::RelativeStar { level, module } => {
                if let Some(module) = relative(*level, module) {
                    self.loaded(python_modules::files(tree, &top, &module), Some(name), next);
                    self.loaded(python_modules::in_package(tree, &module.join("/")), Some(name), next);
                }
            }
            Import::SearchPath(place) => {
                if !self.places.contains(place) {
                    self.places.push(place.clone());
                }
            }
        }
    }

    fn resolved(&mut self, resolved: Resolved, by: Option<&str>, next: &mut Vec<String>) {
        self.reach.absent.extend(resolved.absent);
        if let Some(link) = resolved.symlink {
            self.reach.set_unbounded(Unbounded::Symlink(link));
        }
        for file in resolved.files {
            self.enter(&file, by, true, next);
        }
    }

    fn loaded(&mut self, files: Vec<&str>, by: Option<&str>, next: &mut Vec<String>) {
        for file in files {
            if let Some(link) = self.tracer.tree.symlink_on(file) {
                self.reach.set_unbounded(Unbounded::Symlink(link.to_owned()));
            }
            self.enter(file, by, true, next);
        }
    }

    /// Notes that `file` is reached; the first time, it is to be looked into if it is source.
    fn enter(&mut self, file: &str, by: Option<&str>, loaded: bool, next: &mut Vec<String>) {
        if let Some(step) = self.reach.files.get_mut(file) {
            step.loaded |= loaded;
            return;
        }
        self.reach.files.insert(file.to_owned(), Step { by: by.map(str::to_owned), loaded });
        let is_source = match self.language {
            Language::JavaScript => javascript::source_type(file).is_some(),
            Language::Python => python::is_source(file),
        };
        if is_source {
            next.push(file.to_owned());
        } else if self.language == Language::Python && loaded && is_lonely_bytecode(&self.tracer.tree, file) {
            self.reach.set_unbounded(Unbounded::Opaque { file: file.to_owned() });
        } else if self.language == Language::JavaScript && by.is_none() && !file.contains('.') {
            // A handler without a suffix is CommonJS.
            next.push(file.to_owned());
        }
    }
}

/// Bytecode whose source is not beside it.
fn is_lonely_bytecode(tree: &Tree, file: &str) -> bool {
    let Some(stem) = file.strip_suffix(".pyc") else { return false };
    let stem = stem.replace("__pycache__/", "");
    let at = stem.rfind('/').map_or(0, |slash| slash + 1);
    let stem = stem[at..].split_once('.').map_or(stem.as_str(), |(base, _)| &stem[..at + base.len()]);
    !tree.is_file(&format!("{stem}.py"))
}

/// Whether `text` in `file` may mean `other`. Installed packages don't know the names of the project's files: theirs are
/// their own.
fn may_mean(file: &str, other: &str, text: &str) -> bool {
    match (package(file), package(other)) {
        (Some(mine), Some(theirs)) => mine == theirs,
        (Some(_), None) => false,
        (None, Some(_)) => text.contains('/'),
        (None, None) => true,
    }
}

/// `node_modules/@scope/name` of a file in it, at any depth.
pub(super) fn package(file: &str) -> Option<&str> {
    const DIRECTORY: &str = "node_modules/";
    let at = match file.rfind("/node_modules/") {
        Some(slash) => slash + 1,
        None if file.starts_with(DIRECTORY) => 0,
        None => return None,
    };
    let inside = at + DIRECTORY.len();
    let parts = if file[inside..].starts_with('@') { 2 } else { 1 };
    let end = file[inside..].match_indices('/').nth(parts - 1).map_or(file.len(), |(slash, _)| inside + slash);
    Some(&file[..end])
}
