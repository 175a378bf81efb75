//! Flags of the verbs that teach the shell: `completions`, `man`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// `quickdeploy completions`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Install it where your shell looks:
  quickdeploy completions bash > ~/.local/share/bash-completion/completions/quickdeploy
  quickdeploy completions zsh > \"${fpath[1]}/_quickdeploy\"
  quickdeploy completions fish > ~/.config/fish/completions/quickdeploy.fish
  quickdeploy completions powershell >> $PROFILE")]
pub(crate) struct Completions {
    /// The shell that is to read it
    pub(crate) shell: clap_complete::Shell,
}

/// `quickdeploy man`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = "\
Examples:
  quickdeploy man deploy | man -l -
  quickdeploy man --dir ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The command whose page is printed [default: the page about all of them]
    pub(crate) verb: Option<String>,

    /// Write a page for every command into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    pub(crate) dir: Option<PathBuf>,
}
