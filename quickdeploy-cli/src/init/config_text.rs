//! The text of a `quickdeploy.toml`: each value with what it means here and how it was found. A pure function.

use std::fmt::Write as _;

use toml::Value;

use super::infrastructure::StackText;
use super::sources::Environment;
use super::tree::HandlerFile;
use crate::project::{ArtifactUrl, Functions};
use crate::ui::{plural, printable};

/// Comments are broken at this column.
const WIDTH: usize = 78;
/// Only so many handlers are listed.
const LISTED: usize = 20;

/// Everything that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigText {
    /// The command that wrote it.
    pub(crate) command: String,
    pub(crate) region: String,
    pub(crate) profile: Option<String>,
    pub(crate) endpoint_url: Option<String>,
    /// At least one. Several have names.
    pub(crate) artifacts: Vec<ArtifactText>,
    /// The stack that a full build deploys, of a single artifact.
    pub(crate) stack: Option<StackText>,
    /// As suggestions, and the file that they come from.
    pub(crate) environments: (String, Vec<Environment>),
}

/// One artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArtifactText {
    pub(crate) name: Option<String>,
    pub(crate) url: ArtifactUrl,
    /// How it was found, and what is to be known of it: sentences.
    pub(crate) about: Vec<String>,
    pub(crate) functions: Functions,
    /// How these were found.
    pub(crate) about_functions: String,
    pub(crate) handlers: Vec<HandlerFile>,
    pub(crate) map: Vec<(String, String)>,
    pub(crate) about_map: String,
    /// Patterns, and how many files each keeps out now.
    pub(crate) exclude: Vec<(String, usize)>,
    /// The command that builds what `map` names.
    pub(crate) build: Option<String>,
}

impl ConfigText {
    /// The file's text.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let head = format!(
            "Written by `{}`. `quickdeploy diff` shows how the project differs from the artifact.",
            self.command
        );
        comment(&mut text, &head);
        let several = self.artifacts.len() > 1;
        if let ([artifact], false) = (self.artifacts.as_slice(), several) {
            text.push('\n');
            keys(&mut text, artifact);
            if let Some(stack) = &self.stack {
                stack_keys(&mut text, stack);
            }
        }
        text.push('\n');
        comment(&mut text, "Where the functions are.");
        line(&mut text, "region", &string(&self.region));
        if let Some(profile) = &self.profile {
            line(&mut text, "profile", &string(profile));
        }
        if let Some(url) = &self.endpoint_url {
            line(&mut text, "endpoint-url", &string(url));
        }
        for artifact in &self.artifacts {
            let prefix = match &artifact.name {
                Some(name) if several => {
                    let _ = writeln!(text, "\n[artifacts.{}]", key(name));
                    keys(&mut text, artifact);
                    format!("artifacts.{}.", key(name))
                }
                _ => String::new(),
            };
            map(&mut text, &prefix, artifact);
        }
        self.suggest_environments(&mut text);
        text
    }

    fn suggest_environments(&self, text: &mut String) {
        let (file, environments) = &self.environments;
        for Environment { name, stack, region, profile } in environments {
            text.push('\n');
            comment(
                text,
                &format!("{file} also knows `{name}`. `quickdeploy init --env {name} --dry-run` finds its artifact:"),
            );
            let _ = writeln!(text, "# [env.{}]", key(name));
            // Of several artifacts, each has its own table, behind the environment's own keys.
            let several = self.artifacts.len() > 1;
            if !several {
                let _ = writeln!(text, "# artifact = \"s3://BUCKET/KEY\"");
                if let Some(stack) = stack {
                    let _ = writeln!(text, "# functions = {{ stack = {} }}", string(stack));
                }
            }
            for (key, value) in [("region", region), ("profile", profile)] {
                if let Some(value) = value {
                    let _ = writeln!(text, "# {key} = {}", string(value));
                }
            }
            for artifact in self.artifacts.iter().filter_map(|artifact| artifact.name.as_ref()).filter(|_| several) {
                let _ = writeln!(text, "# [env.{}.artifacts.{}]", key(name), key(artifact));
                let _ = writeln!(text, "# artifact = \"s3://BUCKET/KEY-OF-{artifact}\"");
                let _ = writeln!(text, "# functions = [\"FUNCTION-OF-{}\"]", artifact.replace('.', "-"));
            }
        }
    }
}

fn keys(text: &mut String, artifact: &ArtifactText) {
    comment(text, &format!("The zip in S3 that the functions are deployed from. {}", artifact.about.join(" ")));
    line(text, "artifact", &string(&artifact.url.to_string()));
    text.push('\n');
    comment(text, &artifact.about_functions);
    let width =
        artifact.handlers.iter().take(LISTED).map(|handler| handler.function.chars().count()).max().unwrap_or(0);
    for handler in artifact.handlers.iter().take(LISTED) {
        let place = match (&handler.path, &handler.entry) {
            (Some(path), _) => path.clone(),
            (None, Some(entry)) => format!("{entry} in the zip, no file here"),
            (None, None) => "no file in the zip".to_owned(),
        };
        let name = printable(&handler.function);
        let _ = writeln!(text, "#   {name:width$}  {} -> {}", printable(&handler.handler), printable(&place));
    }
    let more = artifact.handlers.len().saturating_sub(LISTED);
    if more > 0 {
        let _ = writeln!(text, "#   and {more} more");
    }
    line(text, "functions", &functions(&artifact.functions));
    if let Some(build) = &artifact.build {
        text.push('\n');
        comment(
            text,
            "The artifact holds built code: run this before `quickdeploy`. `quickdeploy full` runs it by itself.",
        );
        line(text, "build", &string(build));
    }
    if !artifact.exclude.is_empty() {
        text.push('\n');
        comment(text, "Files that are here but were left out of the artifact. What is not named here goes in.");
        let _ = writeln!(text, "exclude = [");
        for (pattern, files) in &artifact.exclude {
            let _ = writeln!(text, "    {},  # {}", string(pattern), plural(*files, "file"));
        }
        let _ = writeln!(text, "]");
    }
}

/// The stack's keys, or as comments what they may be.
fn stack_keys(text: &mut String, stack: &StackText) {
    let StackText { stack, template, capabilities, parameters, doubt } = stack;
    text.push('\n');
    let about = match doubt {
        Some(why) => format!("`quickdeploy full` could deploy the stack, too. Left out, as {why}."),
        None if parameters.is_empty() => {
            "What `quickdeploy full` deploys. The package takes the place of the template's \
             directories."
                .to_owned()
        }
        None => {
            "What `quickdeploy full` deploys. The template learns by these parameters where the package is.".to_owned()
        }
    };
    comment(text, &about);
    let capabilities: Vec<String> = capabilities.iter().map(|capability| string(capability)).collect();
    let parameters: Vec<String> =
        parameters.iter().map(|(name, place)| format!("{} = {}", key(name), string(place))).collect();
    let mut lines = vec![("stack", string(stack)), ("template", string(template))];
    if !capabilities.is_empty() {
        lines.push(("capabilities", format!("[{}]", capabilities.join(", "))));
    }
    if !parameters.is_empty() {
        lines.push(("parameters", format!("{{ {} }}", parameters.join(", "))));
    }
    for (key, value) in lines {
        if doubt.is_some() {
            text.push_str("# ");
        }
        line(text, key, &value);
    }
}

fn map(text: &mut String, prefix: &str, artifact: &ArtifactText) {
    text.push('\n');
    comment(text, &format!("Local directory = place in the zip (\"\" is its top). {}", artifact.about_map));
    let _ = writeln!(text, "[{prefix}map]");
    for (local, place) in &artifact.map {
        let local = if local.is_empty() { "." } else { local };
        let _ = writeln!(text, "{} = {}", string(local), string(place.trim_end_matches('/')));
    }
}

fn functions(functions: &Functions) -> String {
    match functions {
        Functions::Names(names) if names.len() > 3 => {
            let lines: String = names.iter().map(|name| format!("    {},\n", string(name))).collect();
            format!("[\n{lines}]")
        }
        Functions::Names(names) => {
            let names: Vec<String> = names.iter().map(|name| string(name)).collect();
            format!("[{}]", names.join(", "))
        }
        Functions::Stack(stack) => format!("{{ stack = {} }}", string(stack)),
        Functions::Tag { key, value } => format!("{{ tag = {} }}", string(&format!("{key}={value}"))),
        Functions::SameCodeAs(name) => format!("{{ same-code-as = {} }}", string(name)),
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "{key} = {value}");
}

fn string(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// A part of a table's name: bare where TOML allows that.
fn key(name: &str) -> String {
    let bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if bare { name.to_owned() } else { string(name) }
}

/// Broken between words. Names come from files and from AWS, so nothing in them may end the comment.
fn comment(text: &mut String, words: &str) {
    let mut column = 0;
    for word in printable(words).split_whitespace() {
        if column == 0 || column + 1 + word.chars().count() > WIDTH {
            if column > 0 {
                text.push('\n');
            }
            text.push('#');
            column = 1;
        }
        text.push(' ');
        text.push_str(word);
        column += 1 + word.chars().count();
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::project::Project;

    fn artifact(name: Option<&str>) -> ArtifactText {
        ArtifactText {
            name: name.map(str::to_owned),
            url: ArtifactUrl {
                bucket: "my-bucket".into(),
                key: format!("app/a \"b\"{}.zip", name.unwrap_or_default()),
            },
            about: vec!["Found by a test.".into()],
            functions: Functions::Names(
                ["a", "b"].map(|function| format!("{}{function}", name.unwrap_or_default()).replace('.', "")).to_vec(),
            ),
            about_functions: "Both.\nreally = \"both\"".into(),
            handlers: vec![HandlerFile {
                function: "a".into(),
                handler: "start.handler".into(),
                entry: Some("start.js".into()),
                path: Some("src/start.js".into()),
            }],
            map: vec![(String::new(), String::new()), ("src/deep".into(), "lib/".into())],
            about_map: "All of it.".into(),
            exclude: vec![("*.md".into(), 2), ("/test dir/".into(), 1)],
            build: Some("npm run \"build\"".into()),
        }
    }

    fn config(artifacts: Vec<ArtifactText>) -> ConfigText {
        let prod = Environment {
            name: "prod".into(),
            stack: Some("app-prod".into()),
            region: Some("eu-west-1".into()),
            profile: None,
        };
        ConfigText {
            command: "quickdeploy init a".into(),
            region: "us-east-1".into(),
            profile: Some("dev".into()),
            endpoint_url: None,
            artifacts,
            stack: None,
            environments: ("samconfig.toml".into(), vec![prod]),
        }
    }

    fn read(text: &str, env: Option<&str>) -> Vec<crate::project::Settings> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("quickdeploy.toml");
        let projects = Project::of_text(&file, text, env).unwrap_or_else(|error| panic!("{error}\n{text}"));
        projects.iter().map(|project| project.settings().clone()).collect()
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was_meant() {
        let text = config(vec![artifact(None)]).render();
        let settings = &read(&text, None)[0];
        assert_eq!(settings.artifact.as_ref().unwrap().key, "app/a \"b\".zip");
        assert_eq!(settings.functions, Some(Functions::Names(vec!["a".into(), "b".into()])));
        assert_eq!(settings.map, [(String::new(), String::new()), ("src/deep".to_owned(), "lib/".to_owned())]);
        assert_eq!(settings.exclude, ["*.md", "/test dir/"]);
        assert_eq!(settings.full.build.as_deref(), Some("npm run \"build\""));
        assert_eq!((settings.region.as_deref(), settings.profile.as_deref()), (Some("us-east-1"), Some("dev")));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains("start.handler -> src/start.js"), "{text}");
    }

    fn stack(doubt: Option<&str>) -> StackText {
        StackText {
            stack: "shop".into(),
            template: "template.yaml".into(),
            capabilities: vec!["CAPABILITY_IAM"],
            parameters: [("CodeBucket".to_owned(), "{bucket}"), ("CodeKey".to_owned(), "{key}")].into(),
            doubt: doubt.map(str::to_owned),
        }
    }

    #[test]
    fn a_stack_is_written_for_full_builds_and_a_doubtful_one_suggested() {
        let mut config = config(vec![artifact(None)]);
        config.stack = Some(stack(None));
        let full = &read(&config.render(), None)[0].full;
        assert_eq!(
            (full.stack.as_deref(), full.capabilities.as_slice()),
            (Some("shop"), &["CAPABILITY_IAM".to_owned()][..])
        );
        assert_eq!(full.template.as_ref().unwrap().0, "template.yaml");
        assert_eq!(full.parameters["CodeKey"], "{key}");

        config.stack = Some(stack(Some("it names a directory")));
        let text = config.render();
        assert_eq!(read(&text, None)[0].full.stack, None);
        assert!(text.contains("# stack = \"shop\"\n# template = "), "{text}");
        assert!(text.contains("Left out, as it names"), "{text}");
    }

    #[test]
    fn several_artifacts_have_a_table_each() {
        let text = config(vec![artifact(Some("api")), artifact(Some("the.worker"))]).render();
        let all = read(&text, None);
        let names: Vec<Option<&str>> = all.iter().map(|settings| settings.name.as_deref()).collect();
        assert_eq!(names, [Some("api"), Some("the.worker")]);
        assert!(all.iter().all(|settings| settings.exclude.len() == 2 && settings.map.len() == 2));
    }

    #[test]
    fn suggested_environments_are_valid_for_several_artifacts_too() {
        let text = config(vec![artifact(Some("api")), artifact(Some("the.worker"))]).render();
        let (general, suggested) = text.split_once("# [env.prod]").unwrap();
        let suggested = suggested.replace("\n# ", "\n").replace("BUCKET/", "bucket-prod/");
        let all = read(&format!("{general}[env.prod]{suggested}"), Some("prod"));
        let keys: Vec<&str> = all.iter().map(|settings| settings.artifact.as_ref().unwrap().key.as_str()).collect();
        assert_eq!(keys, ["KEY-OF-api", "KEY-OF-the.worker"]);
        assert_eq!(all[0].functions, Some(Functions::Names(vec!["FUNCTION-OF-api".into()])));
    }

    #[test]
    fn suggested_environments_are_valid_once_they_are_wanted() {
        let text = config(vec![artifact(None)]).render();
        let (general, suggested) = text.split_once("# [env.prod]").unwrap();
        let suggested = suggested.replace("\n# ", "\n").replace("BUCKET/KEY", "bucket-prod/key");
        let settings = read(&format!("{general}[env.prod]{suggested}"), Some("prod")).remove(0);
        assert_eq!(settings.functions, Some(Functions::Stack("app-prod".into())));
        assert_eq!(settings.region.as_deref(), Some("eu-west-1"));
        assert!(Path::new(&settings.root).is_absolute());
    }

    #[test]
    fn every_form_of_functions_is_read_back() {
        for functions in [
            Functions::Stack("app".into()),
            Functions::SameCodeAs("a".into()),
            Functions::Tag { key: "team".into(), value: "x=y".into() },
            Functions::Names((0..5).map(|number| format!("f{number}")).collect()),
        ] {
            let mut one = artifact(None);
            one.functions = functions.clone();
            assert_eq!(read(&config(vec![one]).render(), None)[0].functions, Some(functions));
        }
    }
}
