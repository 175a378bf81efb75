//! `cargo run -p release`: builds what is released into `dist/`.
//!
//! `bootstrap` has to start with the glibc of Lambda's `provided.al2023`, which is older than that of most machines it
//! is built on, and it has to be built for arm64 on machines that are not. `cargo-zigbuild` does both: zig is a C
//! compiler and linker that carries the symbol versions of every glibc, so `TARGET.2.34` links against 2.34 whatever
//! the machine has. Both tools come from PyPI into an environment of their own below `target/`. What was built is not
//! taken on trust: the executable's own list of needs is read before it is zipped.
//!
//! `cargo run -p release -- check FILE…` says the same of any zip or executable.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, Parser, Subcommand};
use release::{Architecture, Bootstrap, Executable, LAMBDA_GLIBC, zipped};

/// What goes wrong here is for a person to read; nobody distinguishes it.
type Result<T> = std::result::Result<T, String>;

/// Build bootstrap.zip for Lambda, and the command `quickdeploy` beside it
#[derive(Debug, Parser)]
#[command(name = "release", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Verb>,

    #[command(flatten)]
    build: Build,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what `bootstrap` zips or executables need, and fail if Lambda lacks it
    Check {
        /// bootstrap.zip, or an executable
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Build {
    /// Build for this architecture only (repeat) [else: x86_64, and arm64 if Rust has its target here]
    #[arg(long = "arch", value_name = "ARCH")]
    architectures: Vec<Architecture>,

    /// Where to put it
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,

    /// Leave the command out
    #[arg(long)]
    bootstrap_only: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Some(Verb::Check { files }) => files.iter().try_for_each(|file| check(file)),
        None => build(&arguments.build),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Tells what one file needs.
fn check(file: &Path) -> Result<()> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let bytes = std::fs::read(file).map_err(|error| named(&error))?;
    let executable = if bytes.starts_with(b"\x7fELF") {
        let executable = Executable::read(&bytes).map_err(|error| named(&error))?;
        executable.check(None).map_err(|error| named(&error))?;
        executable
    } else {
        Bootstrap::read(&bytes, None).map_err(|error| named(&error))?.executable
    };
    println!("{}: {}", file.display(), needs(&executable));
    Ok(())
}

fn needs(executable: &Executable) -> String {
    let architecture = executable.architecture;
    match executable.glibc {
        Some(glibc) => format!("{architecture}, needs glibc {glibc}; Lambda has {LAMBDA_GLIBC}"),
        None => format!("{architecture}, linked statically"),
    }
}

fn build(options: &Build) -> Result<()> {
    let workspace = Workspace::find()?;
    let out = std::path::absolute(&options.out).map_err(|error| format!("{}: {error}", options.out.display()))?;
    std::fs::create_dir_all(&out).map_err(|error| format!("could not create {}: {error}", out.display()))?;
    let architectures = architectures(&options.architectures)?;
    let tools = workspace.tools()?;
    for architecture in architectures {
        println!("Building bootstrap for {architecture} against glibc {LAMBDA_GLIBC}");
        let file = workspace.bootstrap(architecture, &tools)?;
        let built = std::fs::read(&file).map_err(|error| format!("could not read {}: {error}", file.display()))?;
        let executable = Executable::read(&built).map_err(|error| error.to_string())?;
        executable.check(Some(architecture)).map_err(|error| error.to_string())?;
        let zip = zipped(&built).map_err(|error| error.to_string())?;
        let to = out.join(architecture.file_name());
        replace(&to, &zip)?;
        println!("{}: {} bytes, {} unzipped; {}", to.display(), zip.len(), built.len(), needs(&executable));
    }
    if !options.bootstrap_only {
        println!("Building quickdeploy for this machine");
        let file = workspace.quickdeploy()?;
        let to = out.join(file.file_name().unwrap_or_default());
        // Through another name, so that one that is running now stays whole.
        let unfinished = to.with_extension("unfinished");
        std::fs::copy(&file, &unfinished)
            .and_then(|_| std::fs::rename(&unfinished, &to))
            .map_err(|error| format!("could not write {}: {error}", to.display()))?;
        println!("{}", to.display());
    }
    Ok(())
}

/// What to build for: what was asked for, which then has to be possible, or what is possible.
fn architectures(asked: &[Architecture]) -> Result<Vec<Architecture>> {
    let mut possible = Vec::new();
    for architecture in Architecture::ALL {
        let target = architecture.target();
        let how = format!("`rustup target add {target}` installs it");
        match (has_target(target)?, asked.contains(&architecture)) {
            (true, wanted) if wanted || asked.is_empty() => possible.push(architecture),
            (false, true) => return Err(format!("Rust has no target {target} here; {how}")),
            (false, false) if asked.is_empty() => {
                println!("Skipping {architecture}: Rust has no target {target} here; {how}");
            }
            _ => {}
        }
    }
    Ok(possible)
}

/// Whether Rust's standard library is there for a target.
fn has_target(target: &str) -> Result<bool> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let libraries = output(rustc.args(["--print", "target-libdir", "--target", target]))?;
    let libraries = std::fs::read_dir(libraries.trim());
    Ok(libraries.is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
    }))
}

/// Writes a file whole or not at all.
fn replace(to: &Path, content: &[u8]) -> Result<()> {
    let unfinished = to.with_extension("unfinished");
    std::fs::write(&unfinished, content)
        .and_then(|()| std::fs::rename(&unfinished, to))
        .map_err(|error| format!("could not write {}: {error}", to.display()))
}

/// The workspace that this program is a member of.
struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    fn find() -> Result<Self> {
        let mut cargo = cargo();
        cargo.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
        let metadata = output(cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")))?;
        let metadata: serde_json::Value =
            serde_json::from_str(&metadata).map_err(|error| format!("`cargo metadata`: {error}"))?;
        let path =
            |name: &str| metadata[name].as_str().map(PathBuf::from).ok_or(format!("`cargo metadata`: no {name}"));
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")? })
    }

    /// An environment with zig and cargo-zigbuild, made at the first use: its directory of programs.
    fn tools(&self) -> Result<PathBuf> {
        let requirements = self.root.join("release/requirements.txt");
        let wanted = std::fs::read(&requirements)
            .map_err(|error| format!("could not read {}: {error}", requirements.display()))?;
        let environment = self.target.join("release-tools");
        let programs = environment.join(if cfg!(windows) { "Scripts" } else { "bin" });
        let installed = environment.join("installed.txt");
        if std::fs::read(&installed).is_ok_and(|installed| installed == wanted) {
            return Ok(programs);
        }
        println!("Installing zig and cargo-zigbuild from PyPI into {}", environment.display());
        let python = if cfg!(windows) { "python" } else { "python3" };
        run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&environment))?;
        run(Command::new(programs.join("python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements))?;
        replace(&installed, &wanted)?;
        Ok(programs)
    }

    /// Builds `bootstrap`, and says where it is.
    fn bootstrap(&self, architecture: Architecture, tools: &Path) -> Result<PathBuf> {
        let target = format!("{}.{LAMBDA_GLIBC}", architecture.target());
        let mut search = OsString::from(tools);
        if let Some(path) = std::env::var_os("PATH") {
            search.push(if cfg!(windows) { ";" } else { ":" });
            search.push(path);
        }
        let mut zigbuild = Command::new(tools.join("cargo-zigbuild"));
        zigbuild.args(["zigbuild", "--locked", "--profile", "lambda", "--package", "zipedit-lambda"]);
        zigbuild.args(["--bin", "bootstrap", "--target", &target]).env("PATH", search);
        // Messages of panics name source files. Where those lie on this machine is nobody's business, and would make
        // another executable on each machine.
        let places = [(cargo_home(), "/cargo"), (Some(self.root.clone()), "/quickdeploy")];
        let flags: Vec<OsString> = places
            .into_iter()
            .filter_map(|(place, name)| {
                let mut flag = OsString::from("--remap-path-prefix=");
                flag.push(place?);
                flag.push("=");
                flag.push(name);
                Some(flag)
            })
            .collect();
        zigbuild.env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\x1f")));
        self.built(zigbuild)
    }

    /// Builds the command for this machine, and says where it is.
    fn quickdeploy(&self) -> Result<PathBuf> {
        let mut cargo = cargo();
        cargo.args(["build", "--locked", "--release", "--package", "quickdeploy-cli", "--bin", "quickdeploy"]);
        self.built(cargo)
    }

    /// Runs a build, and reads from cargo's messages which file came of it.
    fn built(&self, mut build: Command) -> Result<PathBuf> {
        build.args(["--message-format", "json-render-diagnostics"]).current_dir(&self.root);
        let messages = output(&mut build)?;
        let files = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut executables = files.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
        executables.next_back().ok_or_else(|| format!("{} named no executable", shown(&build)))
    }
}

/// Where cargo keeps the sources of dependencies.
fn cargo_home() -> Option<PathBuf> {
    let home = || std::env::home_dir().map(|home| home.join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program whose stdout is for people.
fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("{} could not be started: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} failed: {status}", shown(command))) }
}

/// Runs a program, and returns what it wrote to stdout.
fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| format!("{} could not be started: {error}", shown(command)))?;
    if !output.status.success() {
        return Err(format!("{} failed: {}", shown(command), output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{} wrote what is not UTF-8", shown(command)))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    format!("`{}`", words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
}
