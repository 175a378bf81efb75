//! What is known between two saves, and what a save makes of it.

use std::collections::BTreeSet;
use std::time::Instant;

use zipedit::{Object as _, S3Store};

use super::check;
use super::files::Saved;
use crate::compare::{Comparison, Difference, blocking, difference, in_background, project_error};
use crate::deployment::{Deploy, Deployment, Found, Known};
use crate::error::Result;
use crate::functions::{self, Function};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::project::{Refreshed, Scan};
use crate::update::{Outcome, Status};
use crate::via::S3Artifact;

/// So many functions are looked at between saves.
const READ_AHEAD: usize = 20;

/// What the next deployment need not find out.
pub(super) struct Warm {
    store: S3Store,
    /// `None`: it has to be read again.
    artifact: Option<S3Artifact>,
    /// As the files were at the last look.
    scan: Option<Scan>,
    functions: Vec<Function>,
    /// When the files were looked at last.
    looked: tokio::time::Instant,
    /// Entry names whose files changed and are not deployed yet.
    pending: BTreeSet<String>,
    /// Functions do not run the artifact.
    behind: bool,
    /// Whether files are read as their language does before they go out.
    checked: bool,
}

/// What a save was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing of the project.
    Nothing,
    /// Files of the project, changed or not: who saves again wants what failed to be tried again.
    Files,
    /// The paths alone don't tell, and [`Warm::read_all`] has to.
    Unclear,
}

impl Warm {
    /// Deploys what differs now, by `first`, and keeps what that learned.
    pub(super) async fn up(first: &Deployment<'_>, checked: bool, interrupts: &Interrupts) -> Result<(Deploy, Self)> {
        let start = Instant::now();
        let found = tokio::select! {
            found = first.find() => found?,
            () = interrupts.nth(1) => return Err(nothing_changed()),
        };
        if checked {
            check::check(&found.comparison).await?;
        }
        let changed = first.change(&found, start, interrupts).await?;
        let (deploy, known) = first.roll_out(found, changed, start, interrupts).await?;
        let store = S3Store::new(first.cloud.s3.clone(), &first.artifact.bucket, &first.artifact.key);
        let (functions, pending) = (Vec::new(), BTreeSet::new());
        let looked = tokio::time::Instant::now();
        let mut warm = Self { store, artifact: None, scan: None, functions, looked, pending, behind: false, checked };
        warm.learn(&deploy, known);
        warm.reopen(first).await;
        Ok((deploy, warm))
    }

    pub(super) fn function_count(&self) -> usize {
        self.functions.len()
    }

    pub(super) fn pending(&self) -> &BTreeSet<String> {
        &self.pending
    }

    /// Whether something is not deployed yet that was to be.
    pub(super) fn owes(&self) -> bool {
        self.behind || !self.pending.is_empty()
    }

    /// Takes in what was saved.
    pub(super) async fn read(&mut self, saved: &Saved) -> Result<Read> {
        let Some(mut scan) = self.scan.take() else { return Ok(Read::Unclear) };
        let now = tokio::time::Instant::now();
        let (paths, lost) = (saved.paths.clone(), saved.lost);
        let (scan, refreshed) = in_background(move || {
            let refreshed = if lost { Ok(Refreshed::ScanAgain) } else { scan.refresh(&paths) };
            (scan, refreshed)
        })
        .await?;
        self.scan = Some(scan);
        let read = match refreshed.map_err(|error| project_error(&error))? {
            Refreshed::Nothing => Read::Nothing,
            Refreshed::Names(names) if names.is_empty() => {
                // What was seen already when it was read for another reason is no wish to try again.
                if saved.at > self.looked { Read::Files } else { Read::Nothing }
            }
            Refreshed::Names(names) => {
                self.pending.extend(names);
                Read::Files
            }
            Refreshed::ScanAgain => Read::Unclear,
        };
        self.looked = now;
        Ok(read)
    }

    /// Reads the whole tree, and finds what changed by comparing it with what was known.
    pub(super) async fn read_all(&mut self, deployment: &Deployment<'_>) -> Result<Read> {
        let (project, url) = (deployment.project.clone(), deployment.artifact.to_string());
        self.looked = tokio::time::Instant::now();
        let scan = blocking(move || project.scan(&url)).await?;
        let changed = scan.changed_since(self.scan.as_ref());
        self.scan = Some(scan);
        if changed.is_empty() {
            return Ok(Read::Nothing);
        }
        self.pending.extend(changed);
        Ok(Read::Files)
    }

    /// Deploys what is pending. `None`: there is nothing to do.
    pub(super) async fn deploy(
        &mut self,
        deployment: &Deployment<'_>,
        start: Instant,
        interrupts: &Interrupts,
    ) -> Result<Option<Deploy>> {
        if self.pending.is_empty() && !self.behind {
            return Ok(None);
        }
        let found = self.found(deployment).await?;
        if found.comparison.diff.is_empty() && !self.behind {
            // Undone before it was deployed, or deployed by somebody else.
            self.pending.clear();
            self.scan = Some(found.comparison.scan);
            return Ok(None);
        }
        if self.checked
            && let Err(error) = check::check(&found.comparison).await
        {
            // It is still the one that was compared with.
            self.artifact = Some(found.comparison.artifact);
            self.scan = Some(found.comparison.scan);
            return Err(error);
        }
        match deployment.change(&found, start, interrupts).await {
            Ok(changed) => {
                self.pending.clear();
                let (deploy, known) = deployment.roll_out(found, changed, start, interrupts).await?;
                self.learn(&deploy, known);
                self.reopen(deployment).await;
                Ok(Some(deploy))
            }
            Err(error) => {
                self.artifact = None;
                self.scan = Some(found.comparison.scan);
                Err(error)
            }
        }
    }

    /// Both sides of the comparison, as far as they are pending.
    async fn found(&mut self, deployment: &Deployment<'_>) -> Result<Found> {
        if self.behind {
            // Who has to be updated is no longer known.
            let found = deployment.find().await?;
            self.functions = found.functions;
        }
        let artifact = match self.artifact.clone() {
            Some(artifact) => artifact,
            None => {
                let opened = deployment.tails().open(deployment.ui, &self.store).await;
                opened.map_err(|error| deployment.cloud.explain_engine(&error))?
            }
        };
        let scan = match self.scan.take() {
            Some(scan) => scan,
            None => {
                let (project, url) = (deployment.project.clone(), deployment.artifact.to_string());
                blocking(move || project.scan(&url)).await?
            }
        };
        let (scan, difference) = difference(deployment.project, &artifact, scan, deployment.deletion).await?;
        let Difference { mut diff, beyond_a_patch } = match difference {
            Ok(difference) => difference,
            Err(error) => {
                self.scan = Some(scan);
                return Err(error);
            }
        };
        diff.retain(&self.pending);
        let comparison = Comparison { store: self.store.clone(), artifact, scan, diff, beyond_a_patch };
        Ok(Found { comparison, functions: self.functions.clone() })
    }

    fn learn(&mut self, deploy: &Deploy, known: Known) {
        self.artifact = known.artifact;
        self.scan = Some(known.scan);
        self.functions = known.functions;
        self.behind = !deploy.ok;
        for function in &mut self.functions {
            let outcome = deploy.functions.iter().find(|outcome| outcome.name == function.name);
            if let Some(Outcome { status: Status::Live, code_sha256, code_size, .. }) = outcome {
                code_sha256.clone_into(&mut function.code_sha256);
                function.code_size = *code_size;
            }
        }
    }

    /// Reads the artifact, when it isn't known. That it can't be read is for the next save to tell.
    async fn reopen(&mut self, deployment: &Deployment<'_>) {
        if self.artifact.is_none() {
            match deployment.tails().open(deployment.ui, &self.store).await {
                Ok(artifact) => self.artifact = Some(artifact),
                Err(error) => deployment.ui.verbose(format!("the artifact could not be read ahead: {error}")),
            }
        }
    }

    /// Looks whether what is known is still true, which also keeps the connections open.
    pub(super) async fn refresh(&mut self, deployment: &Deployment<'_>) {
        let url = &deployment.artifact;
        let head = deployment.cloud.s3.head_object().bucket(&url.bucket).key(&url.key).send();
        // As many as one look may cost: what a function is changes rarely, and a failed update is found by itself.
        let names = self.functions.iter().take(READ_AHEAD).map(|function| function.name.clone());
        let functions = functions::read_all(deployment.cloud, names);
        let (head, functions) = tokio::join!(head, functions);
        if let Ok(head) = head {
            let is_known = self.artifact.as_ref().is_some_and(|artifact| {
                Some(artifact.object().etag()) == head.e_tag() && artifact.object().version_id() == head.version_id()
            });
            if !is_known {
                self.artifact = None;
                self.reopen(deployment).await;
            }
        }
        for now in functions.unwrap_or_default() {
            if let Some(function) = self.functions.iter_mut().find(|function| function.name == now.name) {
                *function = now;
            }
        }
    }
}
