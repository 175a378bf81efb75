//! `quickdeploy man`: the manual pages, made from the same definitions as `--help`.

use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;
use serde::Serialize;

use crate::args;
use crate::error::{Error, Result};
use crate::ui::{Ui, plural};

/// The JSON document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    command: &'static str,
    ok: bool,
    /// Where the pages were written, with `--dir`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<PathBuf>,
    /// The page in roff, without `--dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
}

pub(super) fn run(ui: &Ui, args: &args::Man) -> Result<u8> {
    let mut document = Document { command: "man", ok: true, files: Vec::new(), page: None };
    if let Some(directory) = &args.dir {
        document.files = write_all(directory)?;
        ui.status("Wrote", format!("{} to {}", plural(document.files.len(), "page"), directory.display()));
    } else {
        let page = page(&command_of(args.verb.as_deref())?)?;
        if !ui.is_json() {
            ui.result(page.trim_end());
        }
        document.page = Some(page);
    }
    ui.document(&document)?;
    Ok(0)
}

/// The command itself, or the one for a verb.
fn command_of(verb: Option<&str>) -> Result<Command> {
    let whole = whole();
    let Some(verb) = verb else { return Ok(whole) };
    whole.find_subcommand(verb).cloned().ok_or_else(|| {
        Error::usage(format!("there is no command `{verb}`")).hint("`quickdeploy --help` lists the commands")
    })
}

/// With the names that its parts have only once it is built: `quickdeploy-deploy`, as git's pages have it.
fn whole() -> Command {
    let mut whole = args::public_command();
    whole.build();
    whole
}

fn page_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

fn page(command: &Command) -> Result<String> {
    let mut page = Vec::new();
    let rendered = Man::new(command.clone()).render(&mut page);
    rendered.map_err(|error| Error::new("Bug", "could not render the page").because(&error))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn write_all(directory: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(directory).map_err(|error| Error::file("create", directory, &error))?;
    let whole = whole();
    let verbs = whole.get_subcommands().filter(|command| command.get_name() != "help");
    let mut files = Vec::new();
    for command in std::iter::once(&whole).chain(verbs) {
        let file = directory.join(format!("{}.1", page_name(command)));
        std::fs::write(&file, page(command)?).map_err(|error| Error::file("write", &file, &error))?;
        files.push(file);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_the_command_and_for_each_verb() {
        let directory = tempfile::tempdir().unwrap();
        let files = write_all(directory.path()).unwrap();
        assert_eq!(files.len(), args::public_command().get_subcommands().count() + 1);
        let deploy = std::fs::read_to_string(directory.path().join("quickdeploy-deploy.1")).unwrap();
        assert!(deploy.contains(".TH quickdeploy-deploy 1") && deploy.contains("dry\\-run"), "{deploy}");
        let whole = std::fs::read_to_string(directory.path().join("quickdeploy.1")).unwrap();
        assert!(whole.contains("quickdeploy\\-deploy(1)") && !whole.contains("bootstrap\\-"), "{whole}");
    }

    #[test]
    fn an_unknown_verb_is_wrong_usage() {
        assert_eq!(command_of(Some("deplyo")).unwrap_err().exit_code(), 2);
        assert_eq!(page_name(&command_of(Some("deploy")).unwrap()), "quickdeploy-deploy");
    }
}
