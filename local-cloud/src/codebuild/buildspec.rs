//! Reads a buildspec: which commands a build runs, and what it leaves behind.
//!
//! Version 0.2, and 0.1 where it says the same. Scalars keep the text they were written as, so that a variable of `1.10` is
//! not 1.1. Keys that have no meaning here (`reports`, `cache`, `runtime-versions`) are accepted and change nothing; values
//! that a build would need from another service (`parameter-store`, `secrets-manager`) are kept by name, so that the build
//! can say that it can't have them.

use saphyr::{ScalarStyle, Yaml, YamlLoader};
use saphyr_parser::Parser;

/// What is wrong with a buildspec, in a sentence.
pub(super) type Result<T, E = String> = std::result::Result<T, E>;

/// A buildspec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Buildspec {
    /// `sh`, or `bash` when that is asked for.
    pub(super) shell: Option<String>,
    pub(super) variables: Vec<(String, String)>,
    /// Names of variables whose values lie in Systems Manager or Secrets Manager.
    pub(super) remote_variables: Vec<String>,
    pub(super) exported_variables: Vec<String>,
    pub(super) install: Commands,
    pub(super) pre_build: Commands,
    pub(super) build: Commands,
    pub(super) post_build: Commands,
    pub(super) artifacts: Option<ArtifactFiles>,
}

/// The commands of a phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Commands {
    pub(super) commands: Vec<String>,
    /// Run after them, whether they failed or not.
    pub(super) finally: Vec<String>,
    pub(super) on_failure: Option<OnFailure>,
}

/// What follows a phase that failed, when that isn't the usual thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnFailure {
    Abort,
    Continue,
}

/// Which files are the artifacts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ArtifactFiles {
    pub(super) files: Vec<String>,
    pub(super) exclude_paths: Vec<String>,
    pub(super) base_directory: Option<String>,
    /// Not evaluated yet: it may hold `$VARIABLES` and `$(commands)`.
    pub(super) name: Option<String>,
    pub(super) discard_paths: bool,
}

impl Buildspec {
    /// Reads YAML, of which JSON is a part.
    pub(super) fn read(text: &str) -> Result<Self> {
        let mut loader: YamlLoader<'_, Yaml<'_>> = YamlLoader::default();
        loader.early_parse(false);
        Parser::new_from_str(text).load(&mut loader, true).map_err(|error| ill_formed(&error))?;
        if let Some(error) = loader.error() {
            return Err(ill_formed(error));
        }
        let documents = loader.into_documents();
        let Some(document) = documents.first() else { return Err("the YAML file is empty".to_owned()) };
        let root = Node { path: "buildspec", node: document };
        let version = root.text("version")?.ok_or("the version is missing: add `version: 0.2`")?;
        if !matches!(version.as_str(), "0.1" | "0.2") {
            return Err(format!("unknown version {version}: CodeBuild knows 0.1 and 0.2"));
        }
        let environment = root.child("env")?;
        let phases =
            root.child("phases")?.ok_or("the phases are missing: add `phases:` with a phase that has commands")?;
        let phase =
            |name: &str| phases.child(name)?.map_or_else(|| Ok(Commands::default()), |phase| Commands::read(&phase));
        let of_environment = |name: &str| match &environment {
            Some(environment) => environment.pairs(name),
            None => Ok(Vec::new()),
        };
        let remote = [of_environment("parameter-store")?, of_environment("secrets-manager")?].concat();
        Ok(Self {
            shell: match &environment {
                Some(environment) => environment.text("shell")?,
                None => None,
            },
            variables: of_environment("variables")?,
            remote_variables: remote.into_iter().map(|(name, _)| name).collect(),
            exported_variables: match &environment {
                Some(environment) => environment.texts("exported-variables")?,
                None => Vec::new(),
            },
            install: phase("install")?,
            pre_build: phase("pre_build")?,
            build: phase("build")?,
            post_build: phase("post_build")?,
            artifacts: root.child("artifacts")?.map(|node| ArtifactFiles::read(&node)).transpose()?,
        })
    }
}

impl Commands {
    fn read(node: &Node<'_, '_>) -> Result<Self> {
        let on_failure = match node.text("on-failure")?.as_deref() {
            None => None,
            Some("ABORT") => Some(OnFailure::Abort),
            Some("CONTINUE") => Some(OnFailure::Continue),
            Some(other) => return Err(format!("`on-failure` of {} is {other}: use ABORT or CONTINUE", node.path)),
        };
        Ok(Self { commands: node.texts("commands")?, finally: node.texts("finally")?, on_failure })
    }
}

impl ArtifactFiles {
    fn read(node: &Node<'_, '_>) -> Result<Self> {
        let files = node.texts("files")?;
        if files.is_empty() {
            return Err("artifacts have no `files`".to_owned());
        }
        Ok(Self {
            files,
            exclude_paths: node.texts("exclude-paths")?,
            base_directory: node.text("base-directory")?,
            name: node.text("name")?,
            discard_paths: matches!(node.text("discard-paths")?.as_deref(), Some("yes" | "true")),
        })
    }
}

fn ill_formed(error: &saphyr::ScanError) -> String {
    let place = error.marker();
    format!("the YAML is not well-formed at line {}, column {}: {}", place.line(), place.col() + 1, error.info())
}

/// A mapping, and what it is called in messages.
struct Node<'a, 'yaml> {
    path: &'a str,
    node: &'a Yaml<'yaml>,
}

impl<'yaml> Node<'_, 'yaml> {
    fn get(&self, key: &str) -> Option<&Yaml<'yaml>> {
        let Yaml::Mapping(members) = self.node else { return None };
        let named = |(name, _): &(&Yaml<'_>, _)| matches!(name, Yaml::Representation(name, ..) if name == key);
        members.iter().find(named).map(|(_, value)| value).filter(|value| !is_null(value))
    }

    /// A mapping in this one. An empty one may be left out.
    fn child<'a>(&'a self, key: &'a str) -> Result<Option<Node<'a, 'yaml>>> {
        match self.get(key) {
            None => Ok(None),
            Some(node @ Yaml::Mapping(_)) => Ok(Some(Node { path: key, node })),
            Some(_) => Err(format!("`{key}` of {} is no mapping", self.path)),
        }
    }

    fn text(&self, key: &str) -> Result<Option<String>> {
        match self.get(key) {
            None => Ok(None),
            Some(Yaml::Representation(text, ..)) => Ok(Some(text.clone().into_owned())),
            Some(_) => Err(format!("`{key}` of {} is no text", self.path)),
        }
    }

    /// A list of texts; a single text is a list of one.
    fn texts(&self, key: &str) -> Result<Vec<String>> {
        let items = match self.get(key) {
            None => return Ok(Vec::new()),
            Some(Yaml::Representation(text, ..)) => return Ok(vec![text.clone().into_owned()]),
            Some(Yaml::Sequence(items)) => items,
            Some(_) => return Err(format!("`{key}` of {} is no list", self.path)),
        };
        let text = |(at, item): (usize, &Yaml<'_>)| match item {
            Yaml::Representation(text, ..) => Ok(text.clone().into_owned()),
            Yaml::Mapping(_) => Err(format!(
                "Expected {key}[{at}] of {} to be of string type: found subkeys instead. A command with `: ` in it has to be in quotes",
                self.path
            )),
            _ => Err(format!("Expected {key}[{at}] of {} to be of string type", self.path)),
        };
        items.iter().enumerate().map(text).collect()
    }

    fn pairs(&self, key: &str) -> Result<Vec<(String, String)>> {
        let Some(child) = self.child(key)? else { return Ok(Vec::new()) };
        let Yaml::Mapping(members) = child.node else { return Ok(Vec::new()) };
        let names = members.iter().filter_map(|(name, _)| match name {
            Yaml::Representation(name, ..) => Some(name.clone().into_owned()),
            _ => None,
        });
        names.map(|name| child.text(&name).map(|value| (name, value.unwrap_or_default()))).collect()
    }
}

/// Whether a value is there in name only, as in `env:` with nothing after it.
fn is_null(value: &Yaml<'_>) -> bool {
    match value {
        Yaml::Representation(text, ScalarStyle::Plain, None) => matches!(&**text, "" | "~" | "null" | "Null" | "NULL"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
version: 0.2
env:
  shell: bash
  variables:
    VERSION: 1.10
    EMPTY: ""
  parameter-store:
    TOKEN: /app/token
  exported-variables: [VERSION]
phases:
  install:
    runtime-versions: { nodejs: 22 }
    commands:
      - npm ci
  build:
    on-failure: ABORT
    commands:
      - |
        echo one
        echo two
      - 'echo "a: b"'
    finally: echo done
artifacts:
  base-directory: dist
  files: ['**/*']
  exclude-paths:
    - '**/*.map'
  name: app-$VERSION.zip
  discard-paths: no
"#;

    #[test]
    fn a_whole_buildspec_is_read() {
        let spec = Buildspec::read(WHOLE).unwrap();
        assert_eq!(spec.shell.as_deref(), Some("bash"));
        let variables = [("VERSION".to_owned(), "1.10".to_owned()), ("EMPTY".to_owned(), String::new())];
        assert_eq!(spec.variables, variables);
        assert_eq!(spec.remote_variables, ["TOKEN"]);
        assert_eq!(spec.exported_variables, ["VERSION"]);
        assert_eq!(spec.install.commands, ["npm ci"]);
        assert_eq!(spec.build.commands, ["echo one\necho two\n", "echo \"a: b\""]);
        assert_eq!(spec.build.finally, ["echo done"]);
        assert_eq!(spec.build.on_failure, Some(OnFailure::Abort));
        assert_eq!(spec.pre_build, Commands::default());
        let artifacts = spec.artifacts.unwrap();
        assert_eq!(artifacts.files, ["**/*"]);
        assert_eq!(artifacts.exclude_paths, ["**/*.map"]);
        assert_eq!(artifacts.base_directory.as_deref(), Some("dist"));
        assert_eq!(artifacts.name.as_deref(), Some("app-$VERSION.zip"));
        assert!(!artifacts.discard_paths);
    }

    #[test]
    fn json_is_yaml() {
        let spec = Buildspec::read(r#"{"version": "0.2", "phases": {"build": {"commands": ["make"]}}}"#).unwrap();
        assert_eq!(spec.build.commands, ["make"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, why) in [
            ("", "empty"),
            ("phases: {}", "version is missing"),
            ("version: 0.3\nphases: {}", "unknown version 0.3"),
            ("version: 0.2", "phases are missing"),
            ("version: 0.2\nphases:\n  build:\n    commands:\n      - echo a: b\n", "Expected commands[0] of build"),
            ("version: 0.2\nphases:\n  build: make\n", "`build` of phases is no mapping"),
            ("version: 0.2\nphases:\n\tbuild:\n", "not well-formed at line 3"),
            ("version: 0.2\nphases: {build: {on-failure: SHRUG}}", "use ABORT or CONTINUE"),
            ("version: 0.2\nphases: {build: {}}\nartifacts: {name: x}", "no `files`"),
        ] {
            let found = Buildspec::read(text).unwrap_err();
            assert!(found.contains(why), "{text}: {found}");
        }
    }

    #[test]
    fn a_key_with_nothing_after_it_is_as_if_it_were_not_there() {
        let spec = Buildspec::read("version: 0.2\nenv:\nphases:\n  build:\n    commands:\n").unwrap();
        assert_eq!(spec, Buildspec::default());
    }
}
