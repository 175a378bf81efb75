//! Lambda handlers in a project's files, and an edit of one that does no harm.
//!
//! Handlers are found by how they are exported, line by line: that takes no parser and finds what people write. What it
//! misses can still be deployed, only not be called.

use std::path::{Path, PathBuf};

/// Names that handlers usually have.
const NAMES: [&str; 3] = ["handler", "lambda_handler", "lambdaHandler"];

/// Parts of paths of files that are not deployed to be called.
const NOT_HANDLERS: [&str; 7] = ["test", "tests", "__tests__", "spec", "node_modules", "site-packages", "scripts"];

/// What a handler is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Node,
    Python,
}

impl Language {
    /// By the file's name.
    fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "js" | "cjs" | "mjs" => Some(Self::Node),
            "py" => Some(Self::Python),
            _ => None,
        }
    }

    /// The runtime to create functions with.
    pub(crate) fn runtime(self) -> &'static str {
        match self {
            Self::Node => "nodejs22.x",
            Self::Python => "python3.13",
        }
    }

    /// The program that runs it on this machine.
    pub(crate) fn interpreter(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python3",
        }
    }
}

/// One exported handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handler {
    /// The entry's name in the artifact.
    pub(crate) entry: String,
    /// The file.
    pub(crate) path: PathBuf,
    /// What it is exported as.
    pub(crate) export: &'static str,
    pub(crate) language: Language,
}

impl Handler {
    /// As `CreateFunction` wants it: `src/start.handler`.
    pub(crate) fn id(&self) -> String {
        format!("{}.{}", self.stem(), self.export)
    }

    /// A name for the function that runs it: the file's, without its directory.
    pub(crate) fn function_name(&self) -> String {
        let name = self.stem().rsplit('/').next().unwrap_or_default();
        // `src/start/index.js` is called `start`.
        let name = match (name, self.stem().rsplit('/').nth(1)) {
            ("index" | "main" | "app" | "handler" | "lambda_function", Some(directory)) => directory,
            (name, _) => name,
        };
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).take(48).collect()
    }

    fn stem(&self) -> &str {
        self.entry.rsplit_once('.').map_or(&self.entry, |(stem, _)| stem)
    }

    /// The file's text with an addition that says `mark` in the log and leaves everything else as it was.
    pub(crate) fn edited(&self, text: &str, mark: &str) -> String {
        let name = self.export;
        match self.language {
            Language::Python => format!(
                "{}\n\n# Added by `quickdeploy demo`: shows in the log that it is live.\n\
                 def {name}(event, context, _run={name}):\n    print(\"{mark}\")\n    return _run(event, context)\n",
                text.trim_end()
            ),
            Language::Node if wraps(text, name) => format!(
                "{}\n\n// Added by `quickdeploy demo`: shows in the log that it is live.\n\
                 module.exports.{name} = ((run) => (...args) => {{\n  console.log('{mark}');\n  return run(...args);\n\
                 }})(module.exports.{name});\n",
                text.trim_end()
            ),
            // The exports of a module can't be replaced, but it can say something when it is loaded.
            Language::Node => format!(
                "{}\n\n// Added by `quickdeploy demo`: shows in the log that it is live.\nconsole.log('{mark}');\n",
                text.trim_end()
            ),
        }
    }
}

/// Whether the handler is a plain property of a CommonJS module.
fn wraps(text: &str, name: &str) -> bool {
    exports_property(text, name) && !text.contains("streamifyResponse")
}

/// The handlers among files (entry name and path), those nearest to the top first.
pub(crate) fn find_handlers<'a>(files: impl IntoIterator<Item = (&'a str, &'a Path)>) -> Vec<Handler> {
    let mut found: Vec<Handler> = files
        .into_iter()
        .filter(|(entry, _)| may_be_handler(entry))
        .filter_map(|(entry, path)| {
            let language = Language::of(entry)?;
            let text = std::fs::read_to_string(path).ok()?;
            let export = NAMES.into_iter().find(|name| exports(&text, name, language))?;
            Some(Handler { entry: entry.to_owned(), path: path.to_owned(), export, language })
        })
        .collect();
    found.sort_by_key(|handler| (handler.entry.matches('/').count(), handler.entry.clone()));
    found
}

fn may_be_handler(entry: &str) -> bool {
    let name = entry.rsplit('/').next().unwrap_or(entry);
    let is_test =
        name.contains(".test.") || name.contains(".spec.") || name.starts_with("test_") || name.ends_with("_test.py");
    !is_test && !entry.split('/').any(|part| NOT_HANDLERS.contains(&part))
}

fn exports(text: &str, name: &str, language: Language) -> bool {
    match language {
        Language::Python => text.lines().any(|line| {
            line.strip_prefix("def ")
                .and_then(|rest| rest.strip_prefix(name))
                .is_some_and(|rest| rest.trim_start().starts_with('('))
        }),
        Language::Node => exports_property(text, name) || exports_binding(text, name),
    }
}

/// `exports.handler = …`, `module.exports = { …, handler }`.
fn exports_property(text: &str, name: &str) -> bool {
    let assigned = text.lines().any(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("module.").unwrap_or(line);
        line.strip_prefix("exports.").and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| {
            let rest = rest.trim_start();
            rest.starts_with('=') && !rest.starts_with("==")
        })
    });
    let listed = || {
        let (_, rest) = text.split_once("module.exports = {")?;
        let (list, _) = rest.split_once('}')?;
        Some(has_word(list, name))
    };
    assigned || listed().unwrap_or(false)
}

/// `export const handler`, `export async function handler`, `export { run as handler }`.
fn exports_binding(text: &str, name: &str) -> bool {
    text.lines().filter_map(|line| line.trim_start().strip_prefix("export ")).any(|rest| {
        let rest = rest.trim_start();
        let declared = ["const ", "let ", "var ", "function ", "async function "]
            .iter()
            .find_map(|keyword| rest.strip_prefix(keyword))
            .is_some_and(|rest| has_word(rest.split(['=', '(', ':']).next().unwrap_or_default(), name));
        declared || (rest.starts_with('{') && has_word(rest, name))
    })
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler(entry: &str, language: Language) -> Handler {
        Handler { entry: entry.into(), path: PathBuf::new(), export: "handler", language }
    }

    #[test]
    fn handlers_are_found_by_how_they_are_exported() {
        let node = [
            "exports.handler = async () => 1;",
            "module.exports.handler = run;",
            "module.exports = {\n  util,\n  handler,\n};",
            "export const handler = async () => 1;",
            "export async function handler(event) {}",
            "export { run as handler };",
        ];
        for text in node {
            assert!(exports(text, "handler", Language::Node), "{text}");
        }
        assert!(exports("def handler(event, context):\n    pass", "handler", Language::Python));
    }

    #[test]
    fn what_only_looks_like_a_handler_is_not_one() {
        let node =
            ["exports.handlers = [];", "const handler = 1;", "if (exports.handler == x) {}", "// export handlers"];
        for text in node {
            assert!(!exports(text, "handler", Language::Node), "{text}");
        }
        for text in ["    def handler(self): pass", "def handlers(): pass"] {
            assert!(!exports(text, "handler", Language::Python), "{text}");
        }
        for entry in ["src/a.test.js", "tests/app.py", "node_modules/x/index.js", "test_app.py"] {
            assert!(!may_be_handler(entry), "{entry}");
        }
    }

    #[test]
    fn a_function_is_named_after_its_file_or_directory() {
        assert_eq!(handler("src/start.js", Language::Node).function_name(), "start");
        assert_eq!(handler("src/start/index.mjs", Language::Node).function_name(), "start");
        assert_eq!(handler("index.js", Language::Node).function_name(), "index");
        assert_eq!(handler("src/start.js", Language::Node).id(), "src/start.handler");
    }

    #[test]
    fn an_edit_only_adds_at_the_end() {
        let cases = [
            ("exports.handler = async () => 1;\n", Language::Node, "module.exports.handler = "),
            ("export const handler = async () => 1;\n", Language::Node, "\nconsole.log('edit 1');"),
            ("def handler(event, context):\n    return 1\n", Language::Python, "print(\"edit 1\")"),
        ];
        for (text, language, addition) in cases {
            let edited = handler("a", language).edited(text, "edit 1");
            assert!(edited.starts_with(text.trim_end()), "{edited}");
            assert!(edited.contains(addition), "{edited}");
        }
    }
}
