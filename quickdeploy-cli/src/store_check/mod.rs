//! Whether a store that isn't AWS's keeps writers apart: asked before the first write to it.
//!
//! Edits, full builds and rollbacks rest on preconditions of S3's requests. Other stores that speak S3's protocol may
//! take a request and ignore its precondition; then of two people who deploy at the same time, one loses what they wrote.
//! The engine finds that out, by requests on an object of its own ([`zipedit::S3Store::probe`]). Here is when it is asked,
//! what is remembered, and what follows.
//!
//! AWS is never asked. Another store is asked for what the command at hand rests on, once per endpoint and bucket: the
//! answers are kept beside the local index for a week ([`Cache`]). What is ignored is not kept: it may be mended by the
//! next run.

mod cache;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use clap::ValueEnum;
use serde::Deserialize;
use tokio::sync::Mutex;
use zipedit::store::s3::enumerated;
use zipedit::{Precondition, Probed, S3Store, Stop};

use crate::aws::Cloud;
use crate::error::Result;
use crate::interrupt::nothing_changed;
use crate::project::ArtifactUrl;
use crate::ui::Ui;
use cache::Cache;

/// What follows when a store that isn't AWS's ignores preconditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreCheck {
    /// Nothing is written to it
    #[default]
    Refuse,
    /// It is written to all the same, with a warning
    Warn,
    /// It isn't asked: it is known to heed them
    Off,
}

/// What this run knows of the stores that it writes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stores {
    pub(crate) check: StoreCheck,
    /// By bucket, what need not be asked again in this run. Held while one is asked: of several artifacts in a bucket, the
    /// first one asks.
    settled: Arc<Mutex<BTreeMap<String, BTreeSet<Precondition>>>>,
}

impl Stores {
    /// Knows nothing yet.
    pub(crate) fn new(check: StoreCheck) -> Self {
        Self { check, settled: Arc::default() }
    }
}

/// A question about the store that an artifact is in.
pub(crate) struct Question<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) cloud: &'a Cloud,
    pub(crate) artifact: &'a ArtifactUrl,
    /// What is about to be relied upon.
    pub(crate) of: &'a [Precondition],
    /// Where answers are kept; `None`: nowhere.
    pub(crate) state_dir: Option<&'a Path>,
}

impl Question<'_> {
    /// Returns if the artifact may be written.
    ///
    /// # Errors
    ///
    /// `PreconditionsIgnored`: what is written could be lost. Or the store can't be asked, or `stop` says so. Nothing was
    /// changed.
    pub(crate) async fn settle(&self, stop: &Stop) -> Result<()> {
        let Stores { check, settled } = &self.cloud.stores;
        if *check == StoreCheck::Off {
            return Ok(());
        }
        let store = S3Store::new(self.cloud.s3.clone(), &self.artifact.bucket, &self.artifact.key);
        let endpoint = store.foreign_endpoint().await.map_err(|error| self.cloud.explain_engine(&error))?;
        let Some(endpoint) = endpoint else { return Ok(()) };

        let mut settled = settled.lock().await;
        let settled = settled.entry(self.artifact.bucket.clone()).or_default();
        if self.of.iter().all(|one| settled.contains(one)) {
            return Ok(());
        }
        let cache = Cache::in_directory(self.state_dir);
        settled.extend(cache.recall(&endpoint, &self.artifact.bucket, SystemTime::now()));
        let open: Vec<Precondition> = self.of.iter().filter(|one| !settled.contains(one)).copied().collect();
        if open.is_empty() {
            return Ok(());
        }
        self.ui.verbose(format!("asking {endpoint} which preconditions it heeds"));
        let probed = {
            let _progress = self.ui.progress("Asking the store");
            // On the heap: a store's questions are many futures, and who asks may be deep in others.
            Box::pin(store.probe(&open, stop)).await.map_err(|error| match error {
                zipedit::Error::Interrupted { .. } => nothing_changed(),
                error => self.cloud.explain_engine(&error),
            })?
        };
        let kept = cache.learn(&endpoint, &self.artifact.bucket, probed.reliable(), SystemTime::now());
        if let Err(error) = kept {
            self.ui.warning(&error, error.hints());
        }
        self.tell(&probed, &endpoint)?;
        settled.extend(open);
        Ok(())
    }

    fn tell(&self, probed: &Probed, endpoint: &str) -> Result<()> {
        for left in probed.left_behind() {
            self.ui.warning(
                format!("what {endpoint} was asked with could not be removed: {left}"),
                &["nothing needs it: delete it".to_owned()],
            );
        }
        if let Some(ignored) = enumerated(probed.ignored()) {
            if self.cloud.stores.check == StoreCheck::Refuse {
                let refused = probed.refuse_ignored(&self.artifact.to_string());
                return refused.map_err(|error| self.cloud.explain_engine(&error).hint(BETTER).hint(ALL_THE_SAME));
            }
            let lost = "what somebody else writes at the same time would be lost";
            self.ui.warning(
                format!("{} is in a store that ignores {ignored}: {lost}", self.artifact),
                &[BETTER.to_owned()],
            );
        }
        if let Some(unknown) = enumerated(probed.unknown().map(|(one, _)| one)) {
            let reason = probed.unknown().next().map(|(_, reason)| reason).unwrap_or_default();
            self.ui.warning(
                format!("whether {endpoint} heeds {unknown} is not known ({reason})"),
                &[
                    "if it doesn't, what somebody else writes at the same time would be lost".to_owned(),
                    "`store-check = \"off\"` in quickdeploy.toml says that it does".to_owned(),
                ],
            );
        }
        Ok(())
    }
}

/// Where it would not happen.
pub(crate) const BETTER: &str = "keep the artifact in a store that heeds preconditions, as S3 does";

/// For those who know what they do.
pub(crate) const ALL_THE_SAME: &str =
    "if nobody else writes it: `--store-check warn`, or `store-check = \"warn\"` in quickdeploy.toml";
