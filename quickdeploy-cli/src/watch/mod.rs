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
//! It is told and kept: the next save deploys it too, if it can be deployed by then.

mod files;
mod warm;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::compare::in_background;
use crate::deployment::{Deploy, Deployment};
use crate::error::{Error, Result};
use crate::interrupt::Interrupts;
use crate::project::CONFIG_FILE;
use crate::ui::{Progress, Ui, duration, plural, printable};
use crate::update::Status;
use files::{Files, Saved};
use warm::{Read, Warm};

/// So often what is known is looked at again, and connections are kept from being closed.
const REFRESH: Duration = Duration::from_secs(10);

/// Nobody has saved for so long: the next save may cost a new connection.
const ASLEEP: Duration = Duration::from_secs(30 * 60);

/// How long a git command may hold its lock while it replaces files.
const GIT_PATIENCE: Duration = Duration::from_secs(10);

/// Why watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Ctrl-C.
    Interrupted,
    /// `quickdeploy.toml` was changed: what is to be deployed may be something else.
    ConfigChanged,
}

/// What is told about one save, as a line of JSON.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", tag = "event")]
pub(crate) enum Event<'a> {
    /// Saves are waited for from now on.
    #[serde(rename_all = "camelCase")]
    Watching { artifact: String, directories: usize, functions: usize, deploy: &'a Deploy },
    /// A save is live.
    #[serde(rename_all = "camelCase")]
    Live {
        files: &'a BTreeSet<String>,
        /// From the first event of the save until every function is live, in ms.
        edit_to_live_ms: u64,
        deploy: &'a Deploy,
    },
    /// A save is not live, or not in every function.
    #[serde(rename_all = "camelCase")]
    Failed {
        files: &'a BTreeSet<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a Error>,
        #[serde(skip_serializing_if = "Option::is_none")]
        deploy: Option<&'a Deploy>,
    },
}

/// Deploys one artifact on every save.
pub(crate) struct Watch<'a> {
    /// Tells what happens to saves.
    pub(crate) ui: &'a Ui,
    /// With a [`Ui::of_routine`].
    pub(crate) deployment: Deployment<'a>,
    /// Told about the first deployment, whatever became of it.
    pub(crate) on_first: &'a dyn Fn(&Deploy),
    /// Told about each further one that is live.
    pub(crate) on_live: &'a dyn Fn(&Deploy),
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
        let (deploy, mut warm) = Warm::up(first, interrupts).await?;
        (self.on_first)(&deploy);
        self.ui.json_line(&Event::Watching {
            artifact: self.deployment.artifact.to_string(),
            directories: files.len(),
            functions: warm.function_count(),
            deploy: &deploy,
        })?;
        let idle = self.ui.progress(&self.waiting(&warm, None));
        let mut last_save = Instant::now();
        let mut refresh = tokio::time::interval(REFRESH);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if interrupts.so_far() > 0 {
                return Ok(End::Interrupted);
            }
            tokio::select! {
                biased;
                () = interrupts.nth(1) => return Ok(End::Interrupted),
                saved = files.next() => {
                    if self.is_about_the_config(&saved) {
                        return Ok(End::ConfigChanged);
                    }
                    last_save = Instant::now();
                    self.saved(&mut warm, &mut files, saved, interrupts, &idle).await?;
                }
                _ = refresh.tick() => {
                    if last_save.elapsed() < ASLEEP {
                        // A save need not wait for it.
                        tokio::select! {
                            biased;
                            () = files.ready() => {}
                            () = warm.refresh(&self.deployment) => {}
                        }
                    }
                }
            }
        }
    }

    /// One save, to its end. What fails is told; only what makes further watching impossible is an error.
    async fn saved(
        &self,
        warm: &mut Warm,
        files: &mut Files,
        saved: Saved,
        interrupts: &Interrupts,
        idle: &Progress<'_>,
    ) -> Result<()> {
        self.let_git_finish().await;
        let mut read = warm.read(&saved).await;
        if matches!(read, Ok(Read::Unclear)) {
            files.follow(self.directories().await?)?;
            read = warm.read_all(&self.deployment).await;
        }
        match read {
            Ok(Read::Files) => {}
            Ok(Read::Nothing | Read::Unclear) => return Ok(()),
            Err(error) => return self.tell_failure(&BTreeSet::new(), &error),
        }
        let names = warm.pending().clone();
        idle.say(&format!("Deploying {}", some_of(&names)));
        match warm.deploy(&self.deployment, saved.at.into_std(), interrupts).await {
            Ok(None) => {}
            Ok(Some(deploy)) => {
                let took = saved.at.elapsed();
                self.tell_deploy(&names, &deploy, took)?;
                if deploy.ok {
                    (self.on_live)(&deploy);
                }
                idle.say(&self.waiting(warm, Some(took)));
                return Ok(());
            }
            Err(error) => self.tell_failure(&names, &error)?,
        }
        idle.say(&self.waiting(warm, None));
        Ok(())
    }

    fn tell_deploy(&self, names: &BTreeSet<String>, deploy: &Deploy, took: Duration) -> Result<()> {
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
        let patched = deploy.patch.as_ref().map_or_else(String::new, |patch| {
            format!(", {} to S3", plural(usize::try_from(patch.report.traffic.requests).unwrap_or(0), "request"))
        });
        self.ui.status(
            "Live",
            format!("{} in {}: edit → live, {}{patched}", some_of(names), duration(took), plural(live, "function")),
        );
        let edit_to_live_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.ui.json_line(&Event::Live { files: names, edit_to_live_ms, deploy })
    }

    fn tell_failure(&self, names: &BTreeSet<String>, error: &Error) -> Result<()> {
        self.ui.error(error);
        self.ui.detail("not deployed; waiting for the next save");
        self.ui.json_line(&Event::Failed { files: names, error: Some(error), deploy: None })
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
        let root = &self.deployment.project.settings().root;
        let Some(lock) = root.ancestors().map(|above| above.join(".git")).find(|git| git.is_dir()) else { return };
        let lock = lock.join("index.lock");
        let patience = tokio::time::Instant::now() + GIT_PATIENCE;
        while lock.exists() && tokio::time::Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
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
