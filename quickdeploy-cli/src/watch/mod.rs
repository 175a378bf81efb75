//! Deploying on every save.
//!
//! What can be known before a save is known before it: credentials and connections, the artifact's directory and tail
//! by ETag, the project's files with their checksums, the functions. A save then costs reading the changed files, the
//! requests of a warm edit (which reads nothing), and the functions' update.
//!
//! # One at a time
//!
//! While a deployment runs, saves gather. All of them are in the one that follows, so none waits behind more than one.
//!
//! # What a save deploys
//!
//! The files that changed here since the last deployment, as far as they differ from the artifact. `quickdeploy`
//! makes the artifact like the project; somebody who watches next to others wants theirs left alone, so what another
//! person deployed meanwhile isn't taken back by a save of a different file.
//!
//! # A save that can't be deployed
//!
//! It is told and kept: the next save deploys it too, if it can be deployed by then. So it is with a compiler that fails
//! ([`compiling`]) and with a file that is no valid source ([`check`]), at the start as later.

mod check;
mod compiling;
mod event;
mod files;
mod warm;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::compare::in_background;
use crate::deployment::{Deploy, Deployment};
use crate::error::{Error, Result};
use crate::interrupt::Interrupts;
use crate::project::CONFIG_FILE;
use crate::ui::{Progress, Ui, duration, plural, printable};
use crate::update::Status;
pub(crate) use compiling::Compiler;
use compiling::Next;
pub(crate) use event::Event;
use files::{Files, Saved};
use warm::{Read, Warm};

/// So often what is known is looked at again, and connections are kept from being closed.
const REFRESH: Duration = Duration::from_secs(10);

/// Nobody has saved for so long: the next save may cost a new connection.
const ASLEEP: Duration = Duration::from_secs(30 * 60);

/// How long a git command may hold its lock while it replaces files.
const GIT_PATIENCE: Duration = Duration::from_secs(10);

/// So often it is looked whether more was written, before it is left to the next save.
const SETTLING: usize = 4;

/// Why watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Ctrl-C.
    Interrupted,
    /// `quickdeploy.toml` was changed: what is to be deployed may be something else.
    ConfigChanged,
}

/// Deploys one artifact on every save.
pub(crate) struct Watch<'a> {
    /// Tells what happens to saves.
    pub(crate) ui: &'a Ui,
    /// With a [`Ui::of_routine`].
    pub(crate) deployment: Deployment<'a>,
    /// Makes what is deployed from its sources.
    pub(crate) compiler: Option<Arc<Compiler>>,
    /// Whether files are read as their language does before they go out.
    pub(crate) checked: bool,
    /// Told about the first deployment, whatever became of it.
    pub(crate) on_first: &'a dyn Fn(&Deploy),
    /// Told about each further one that is live.
    pub(crate) on_live: &'a dyn Fn(&Deploy),
}

/// What the compiler made of a save.
#[derive(Debug, Default)]
struct Compiled {
    /// Whether what is here may be deployed.
    ready: bool,
    /// How long it ran; `None`: there was nothing to compile.
    took: Option<Duration>,
    /// Whether the save was about the project, deployed or not.
    concerned: bool,
    /// When something was written during the run that has to be compiled, too.
    again: Option<tokio::time::Instant>,
}

/// What comes after a save.
enum After {
    /// The next one.
    Wait,
    /// What was saved while this one was compiled.
    Again(tokio::time::Instant),
    /// `quickdeploy.toml` was among it.
    ConfigChanged,
}

impl Watch<'_> {
    /// Deploys what differs, and from then on what is saved, until it is interrupted.
    ///
    /// # Errors
    ///
    /// The first deployment, which shows whether there is anything to watch for, can't be begun; files can't be watched.
    pub(crate) async fn run(&self, first: &Deployment<'_>, interrupts: &Interrupts) -> Result<End> {
        // Before the first look at the files: nothing that happens from then on is missed.
        let mut files = Files::watch(self.directories().await?)?;
        let (deploy, mut warm, mut again) = match self.begin(first, &mut files, interrupts).await? {
            Ok(begun) => begun,
            Err(end) => return Ok(end),
        };
        (self.on_first)(&deploy);
        self.ui.json_line(&Event::Watching {
            artifact: self.deployment.artifact.to_string(),
            directories: files.len(),
            functions: warm.function_count(),
            deploy: &deploy,
        })?;
        let idle = self.ui.progress(&self.waiting(&warm, None));
        let mut held = Saved::nothing(tokio::time::Instant::now());
        let mut last_save = Instant::now();
        let mut refresh = tokio::time::interval(REFRESH);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if interrupts.so_far() > 0 {
                return Ok(End::Interrupted);
            }
            let saved = if let Some(at) = again.take() {
                Saved::nothing(at)
            } else {
                tokio::select! {
                    biased;
                    () = interrupts.nth(1) => return Ok(End::Interrupted),
                    saved = files.next() => saved,
                    _ = refresh.tick() => {
                        if last_save.elapsed() < ASLEEP {
                            // A save need not wait for it.
                            tokio::select! {
                                biased;
                                () = files.ready() => {}
                                () = warm.refresh(&self.deployment) => {}
                            }
                        }
                        continue;
                    }
                }
            };
            last_save = Instant::now();
            match self.saved(&mut warm, &mut files, &mut held, saved, interrupts, &idle).await? {
                After::Wait => {}
                After::Again(at) => again = Some(at),
                After::ConfigChanged => return Ok(End::ConfigChanged),
            }
        }
    }

    /// The first deployment, as soon as what is here can be deployed. `Err`: it ended before.
    async fn begin(
        &self,
        first: &Deployment<'_>,
        files: &mut Files,
        interrupts: &Interrupts,
    ) -> Result<Result<(Deploy, Warm, Option<tokio::time::Instant>), End>> {
        let mut saved = Saved::nothing(tokio::time::Instant::now());
        let mut waited = false;
        loop {
            let compiled = self.compile(files, &mut saved, None, interrupts).await?;
            if self.is_about_the_config(&saved) {
                return Ok(Err(End::ConfigChanged));
            }
            if interrupts.so_far() > 0 {
                return Ok(Err(End::Interrupted));
            }
            if compiled.took.is_some() {
                files.follow(self.directories().await?)?;
            }
            if compiled.ready {
                match Warm::up(first, self.checked, interrupts).await {
                    Ok((deploy, warm)) => return Ok(Ok((deploy, warm, compiled.again))),
                    // What was there before anybody saved must be right; what is being saved may not be yet.
                    Err(error) if waited || error.error_type() == check::REFUSED => {
                        if interrupts.so_far() > 0 {
                            return Ok(Err(End::Interrupted));
                        }
                        self.tell_failure(&BTreeSet::new(), &error)?;
                    }
                    Err(error) => return Err(error),
                }
            }
            if compiled.again.is_some() {
                continue;
            }
            let _progress = self.ui.progress("Waiting for the next save; Ctrl-C ends it");
            saved = tokio::select! {
                biased;
                () = interrupts.nth(1) => return Ok(Err(End::Interrupted)),
                saved = files.next() => saved,
            };
            waited = true;
            self.settle(files, &mut saved).await;
        }
    }

    /// One save, to its end. What fails is told; only what makes further watching impossible is an error. `held` is what
    /// was saved before and not looked at, because it could not be compiled.
    async fn saved(
        &self,
        warm: &mut Warm,
        files: &mut Files,
        held: &mut Saved,
        mut saved: Saved,
        interrupts: &Interrupts,
        idle: &Progress<'_>,
    ) -> Result<After> {
        self.settle(files, &mut saved).await;
        let compiled = self.compile(files, &mut saved, Some(idle), interrupts).await?;
        if self.is_about_the_config(&saved) {
            return Ok(After::ConfigChanged);
        }
        let after = compiled.again.map_or(After::Wait, After::Again);
        if !compiled.ready {
            held.join(saved);
            idle.say(&self.waiting(warm, None));
            return Ok(after);
        }
        let at = saved.at;
        let before = std::mem::replace(held, Saved::nothing(at));
        saved.join(before);
        // Not since a save that could not be compiled: what is live now is this one.
        saved.at = at;
        self.deploy(warm, files, saved, &compiled, interrupts, idle).await?;
        Ok(after)
    }

    /// Waits until what is being written is written, and takes it in.
    async fn settle(&self, files: &mut Files, saved: &mut Saved) {
        // What has come meanwhile may be the beginning of what git does next.
        for _ in 0..SETTLING {
            self.let_git_finish().await;
            match files.so_far().await {
                Some(more) => saved.join(more),
                None => break,
            }
        }
        files.leave_open(saved);
    }

    /// Compiles what was saved, if there is anything to compile, and takes in what was written meanwhile. A failure is told.
    async fn compile(
        &self,
        files: &mut Files,
        saved: &mut Saved,
        idle: Option<&Progress<'_>>,
        interrupts: &Interrupts,
    ) -> Result<Compiled> {
        let Some(compiler) = &self.compiler else { return Ok(Compiled { ready: true, ..Compiled::default() }) };
        let mut state = tokio::select! {
            state = compiler.take() => state,
            () = interrupts.nth(1) => return Ok(Compiled::default()),
        };
        // What another artifact's run has written.
        if let Some(more) = files.so_far().await {
            saved.join(more);
        }
        self.follow_new(files, saved).await?;
        let sources = compiler.look(&saved.paths).await?;
        let concerned = sources.concerned || saved.lost;
        if !state.is_due(sources, saved.at) && !saved.lost {
            return Ok(Compiled { ready: !state.failed, concerned, ..Compiled::default() });
        }
        let command = compiler.compile.command();
        let doing = format!("Compiling by `{command}`");
        let _progress = self.ui.progress(&doing);
        if let Some(idle) = idle {
            idle.say(&doing);
        }
        self.ui.json_line(&Event::Compiling { compile: command })?;
        let began = tokio::time::Instant::now();
        let ran = compiler.compile.run(self.ui, interrupts).await;
        if interrupts.so_far() > 0 && ran.is_err() {
            return Ok(Compiled::default());
        }
        let written = files.so_far().await.unwrap_or_else(|| Saved::nothing(began));
        self.follow_new(files, &written).await?;
        let next = state.ran(ran.is_ok(), compiler.look(&written.paths).await?);
        drop(state);
        let again = (next == Next::Again).then_some(written.at);
        saved.join(written);
        files.leave_open(saved);
        if let Next::GivenUp(paths) = next {
            self.tell_outputs(command, &paths);
        }
        let took = match ran {
            Ok(took) => took,
            Err(error) => {
                self.tell_failure(&BTreeSet::new(), &error)?;
                return Ok(Compiled { ready: false, took: Some(began.elapsed()), concerned, again });
            }
        };
        if idle.is_none() {
            self.ui.status("Compiled", self.ui.fitting(&format!("in {} by `{command}`", duration(took))));
        }
        let elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.ui.json_line(&Event::Compiled { compile: command, elapsed_ms })?;
        Ok(Compiled { ready: true, took: Some(took), concerned, again })
    }

    /// Watches directories that came with a save, before anything is saved in them.
    async fn follow_new(&self, files: &mut Files, saved: &Saved) -> Result<()> {
        if saved.lost || saved.paths.iter().any(|path| path.is_dir()) {
            files.follow(self.directories().await?)?;
        }
        Ok(())
    }

    /// Deploys what was saved, as far as it is deployed from here.
    async fn deploy(
        &self,
        warm: &mut Warm,
        files: &mut Files,
        saved: Saved,
        compiled: &Compiled,
        interrupts: &Interrupts,
        idle: &Progress<'_>,
    ) -> Result<()> {
        let mut read = warm.read(&saved).await;
        if matches!(read, Ok(Read::Unclear)) {
            files.follow(self.directories().await?)?;
            read = warm.read_all(&self.deployment).await;
        }
        let names = warm.pending().clone();
        let deployed = match read {
            Ok(Read::Files) => true,
            // A source isn't deployed itself; what comes of it may be owed still.
            Ok(Read::Nothing | Read::Unclear) => compiled.concerned && warm.owes(),
            Err(error) => return self.tell_failure(&BTreeSet::new(), &error),
        };
        let deploy = if deployed {
            idle.say(&format!("Deploying {}", some_of(&names)));
            warm.deploy(&self.deployment, saved.at.into_std(), interrupts).await
        } else {
            Ok(None)
        };
        let mut last = None;
        match deploy {
            Ok(None) => {
                if let Some(took) = compiled.took {
                    self.ui.status("Compiled", format!("in {}: nothing that is deployed has changed", duration(took)));
                }
            }
            Ok(Some(deploy)) => {
                let took = saved.at.elapsed();
                last = Some(took);
                self.tell_deploy(&names, &deploy, took, compiled.took)?;
                if deploy.ok {
                    (self.on_live)(&deploy);
                }
            }
            Err(error) => self.tell_failure(&names, &error)?,
        }
        idle.say(&self.waiting(warm, last));
        Ok(())
    }

    fn tell_deploy(
        &self,
        names: &BTreeSet<String>,
        deploy: &Deploy,
        took: Duration,
        compiled: Option<Duration>,
    ) -> Result<()> {
        if !deploy.ok {
            for error in deploy.functions.iter().filter_map(|outcome| outcome.error.as_ref()) {
                self.ui.error(error);
            }
            self.ui.warning(
                format!("{} is in the artifact, but not live in every function", some_of(names)),
                &["the next save tries again".to_owned()],
            );
            return self.ui.json_line(&Event::Failed { files: names, error: None, deploy: Some(deploy) });
        }
        let live = deploy.functions.iter().filter(|outcome| outcome.status == Status::Live).count();
        let how = match (compiled, &deploy.patch) {
            (Some(compiled), _) => format!(", compiled in {}", duration(compiled)),
            (None, Some(patch)) => {
                let requests = usize::try_from(patch.report.traffic.requests).unwrap_or(0);
                format!(", {} to S3", plural(requests, "request"))
            }
            (None, None) => String::new(),
        };
        self.ui.status(
            "Live",
            format!("{} in {}: edit → live, {}{how}", some_of(names), duration(took), plural(live, "function")),
        );
        let edit_to_live_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.ui.json_line(&Event::Live { files: names, edit_to_live_ms, deploy })
    }

    fn tell_failure(&self, names: &BTreeSet<String>, error: &Error) -> Result<()> {
        self.ui.error(error);
        self.ui.detail("not deployed; waiting for the next save");
        self.ui.json_line(&Event::Failed { files: names, error: Some(error), deploy: None })
    }

    fn tell_outputs(&self, command: &str, paths: &[PathBuf]) {
        let root = &self.deployment.project.settings().root;
        let names: BTreeSet<String> =
            paths.iter().map(|path| path.strip_prefix(root).unwrap_or(path).display().to_string()).collect();
        self.ui.warning(
            format!("each run of `{command}` writes something new: {}", some_of(&names)),
            &["it is taken for an output; when `.gitignore` names it, it causes no further run".to_owned()],
        );
    }

    fn waiting(&self, warm: &Warm, last: Option<Duration>) -> String {
        let functions = plural(warm.function_count(), "function");
        match last {
            Some(last) => format!("Watching for {functions}; last edit → live {}", duration(last)),
            None => format!("Watching for {functions}; Ctrl-C ends it"),
        }
    }

    async fn directories(&self) -> Result<Vec<PathBuf>> {
        let project = self.deployment.project.clone();
        let config = project.settings().file.as_deref().and_then(Path::parent).map(absolute);
        let mut directories = in_background(move || project.directories()).await?;
        directories.extend(config);
        Ok(directories)
    }

    fn is_about_the_config(&self, saved: &Saved) -> bool {
        let file = self.deployment.project.settings().file.as_deref().and_then(Path::parent).map(absolute);
        file.is_some_and(|directory| saved.paths.contains(&directory.join(CONFIG_FILE)))
    }

    /// A checkout or a rebase replaces many files under git's lock: half of them are of no use.
    async fn let_git_finish(&self) {
        let Some(git) = git_directory(&self.deployment.project.settings().root) else { return };
        let lock = git.join("index.lock");
        let patience = tokio::time::Instant::now() + GIT_PATIENCE;
        while lock.exists() && tokio::time::Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Where git keeps the index of the working tree that `root` is in. In a linked one, `.git` is a file that names it.
fn git_directory(root: &Path) -> Option<PathBuf> {
    let git = root.ancestors().map(|above| above.join(".git")).find(|git| git.exists())?;
    if git.is_dir() {
        return Some(git);
    }
    let named = std::fs::read_to_string(&git).ok()?;
    Some(git.parent()?.join(named.strip_prefix("gitdir:")?.trim()))
}

fn absolute(path: &Path) -> PathBuf {
    let path = if path == Path::new("") { Path::new(".") } else { path };
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// `src/a.js`, `src/a.js and 2 more`.
fn some_of(names: &BTreeSet<String>) -> String {
    match (names.first(), names.len()) {
        (None, _) => "what was left behind".to_owned(),
        (Some(first), 1) => printable(first).to_string(),
        (Some(first), count) => format!("{} and {} more", printable(first), count - 1),
    }
}
