//! What was measured, kept as JSON from one run to the next: `benches/results.json`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::compare::Compared;
use crate::engine::Edited;
use crate::full_build::FullBuild;
use crate::growth::{Fleet, Tree};
use crate::machine::Machine;

/// All of it. What isn't there was not measured.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Results {
    /// Where the last of it was measured.
    pub(crate) machine: Machine,
    /// The tools, side by side.
    pub(crate) compared: Vec<Compared>,
    /// zipedit and the original, by the artifact's size in MB.
    pub(crate) by_size: Vec<Edited>,
    /// By its entries.
    pub(crate) by_entries: Vec<Edited>,
    /// By the files that change.
    pub(crate) by_changes: Vec<Edited>,
    /// Full builds.
    pub(crate) full_builds: Vec<FullBuild>,
    /// Full builds by CodeBuild and CloudFormation.
    pub(crate) services: Vec<FullBuild>,
    /// By functions.
    pub(crate) fleets: Vec<Fleet>,
    /// `diff`, by files.
    pub(crate) trees: Vec<Tree>,
    /// What could not be measured, and why.
    pub(crate) missing: Vec<String>,
}

impl Results {
    /// From a file; nothing if there is none.
    ///
    /// # Errors
    /// The file can't be read, or is of something else.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// To a file.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_vec(self)?).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Puts results in the place of those of the same comparison.
    pub(crate) fn add_compared(&mut self, new: Vec<Compared>) {
        let same = |one: &Compared, other: &Compared| {
            (one.size, one.network, one.edit, &one.tool) == (other.size, other.network, other.edit, &other.tool)
        };
        self.compared.retain(|old| !new.iter().any(|it| same(it, old)));
        self.compared.extend(new);
    }

    /// Puts full builds in the place of those of the same size.
    pub(crate) fn add_full_builds(&mut self, new: Vec<FullBuild>) {
        self.full_builds.retain(|old| new.iter().all(|it| it.size != old.size));
        self.full_builds.extend(new);
    }
}
