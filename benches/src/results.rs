//! What was measured, kept as JSON from one run to the next: `benches/results.json`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::compare::Compared;

/// All of it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Results {
    /// The tools, side by side.
    pub(crate) compared: Vec<Compared>,
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
        let text = serde_json::to_vec_pretty(self)?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Puts results in the place of those of the same comparison.
    pub(crate) fn add_compared(&mut self, new: Vec<Compared>) {
        let same = |one: &Compared, other: &Compared| {
            (one.size, one.network, one.edit, &one.tool) == (other.size, other.network, other.edit, &other.tool)
        };
        self.compared.retain(|old| !new.iter().any(|it| same(it, old)));
        self.compared.extend(new);
    }
}
