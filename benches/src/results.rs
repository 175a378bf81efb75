//! What was measured, kept as JSON from one run to the next: `benches/results.json`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

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
    #[serde(deserialize_with = "edits")]
    pub(crate) by_size: Vec<Edited>,
    /// By its entries.
    #[serde(deserialize_with = "edits")]
    pub(crate) by_entries: Vec<Edited>,
    /// By the files that change.
    #[serde(deserialize_with = "edits")]
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

/// Without the edits of harnesses that counted headers among the bytes moved, and didn't tell the second edit of an
/// artifact from later ones: they were not measured.
fn edits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Edited>, D::Error> {
    let edits = Vec::<serde_json::Value>::deserialize(deserializer)?;
    let edits = edits.into_iter().filter(|edit| edit.get("nth").is_some());
    edits.map(|edit| serde_json::from_value(edit).map_err(D::Error::custom)).collect()
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

    /// Puts edits in the place of those of artifacts of the same size.
    pub(crate) fn add_by_size(&mut self, new: Vec<Edited>) {
        self.by_size.retain(|old| new.iter().all(|it| it.of != old.of));
        self.by_size.extend(new);
    }

    /// Puts full builds in the place of those of the same size.
    pub(crate) fn add_full_builds(&mut self, new: Vec<FullBuild>) {
        self.full_builds.retain(|old| new.iter().all(|it| it.size != old.size));
        self.full_builds.extend(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = r#"{"editor": "zipedit", "of": 60, "nth": 3, "ms": 5.2, "initMs": null, "cpuMs": 2.1,
        "memoryMib": 10.0, "moved": 70900, "overhead": 11634, "requests": 7,
        "done": {"strategy": "splice", "needed": 70800, "shortRuns": 0}}"#;

    #[test]
    fn an_edit_of_an_earlier_harness_is_not_measured_and_the_rest_of_its_file_is_read() {
        let old = r#"{"editor": "zipedit", "of": 60, "ms": 5.2, "initMs": null, "cpuMs": 2.1, "memoryMib": 10.0,
            "moved": 82534, "requests": 7, "least": 70800}"#;
        let text = format!(r#"{{"bySize": [{old}, {NEW}], "byEntries": [{old}], "missing": ["a tool"]}}"#);
        let results: Results = serde_json::from_str(&text).unwrap();
        assert_eq!(results.by_size.iter().map(|edit| edit.moved).collect::<Vec<_>>(), [70_900]);
        assert!(results.by_entries.is_empty());
        assert_eq!(results.missing, ["a tool"]);
        let again: Results = serde_json::from_value(serde_json::to_value(&results).unwrap()).unwrap();
        assert_eq!(again.by_size.len(), 1);
        let broken = format!(r#"{{"bySize": [{}]}}"#, NEW.replace("70900", "true"));
        assert!(serde_json::from_str::<Results>(&broken).is_err());
    }

    #[test]
    fn measuring_one_size_again_leaves_the_others_there() {
        let edit: Edited = serde_json::from_str(NEW).unwrap();
        let measured = |of: u64, moved: u64| Edited { of, moved, ..edit.clone() };
        let mut results = Results::default();
        results.add_by_size(vec![measured(10, 1), measured(60, 2), measured(60, 3)]);
        results.add_by_size(vec![measured(60, 4)]);
        assert_eq!(results.by_size.iter().map(|it| (it.of, it.moved)).collect::<Vec<_>>(), [(10, 1), (60, 4)]);
    }
}
