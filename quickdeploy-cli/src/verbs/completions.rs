//! `quickdeploy completions`: a script that teaches a shell the command line.

use clap_complete::Shell;
use serde::Serialize;

use crate::args;
use crate::error::Result;
use crate::ui::Ui;

/// The JSON document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    command: &'static str,
    ok: bool,
    shell: String,
    /// For the shell to read.
    script: String,
}

pub(super) fn run(ui: &Ui, args: &args::Completions) -> Result<u8> {
    let script = script(args.shell);
    if ui.is_json() {
        let shell = args.shell.to_string();
        ui.document(&Document { command: "completions", ok: true, shell, script })?;
    } else {
        ui.result(script.trim_end());
    }
    Ok(0)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::public_command(), "quickdeploy", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_learns_every_verb_and_no_hidden_one() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let script = script(shell);
            for verb in args::public_command().get_subcommands() {
                assert!(script.contains(verb.get_name()), "{shell}: {}", verb.get_name());
            }
            assert!(!script.contains("Runtime API"), "{shell}");
        }
    }
}
