//! What an archive holds, and what changed from one to the next. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// So many names of one kind are kept; the counts are always exact.
const NAMES: usize = 200;

/// Files of an archive: by name, size in bytes, CRC-32 and Unix mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents(pub(crate) BTreeMap<String, (u64, u32, Option<u32>)>);

impl Contents {
    /// The same for the same files, in whatever order and however compressed they are.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (name, (size, crc, mode)) in &self.0 {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update(size.to_le_bytes());
            hash.update(crc.to_le_bytes());
            hash.update(mode.unwrap_or(u32::MAX).to_le_bytes());
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Names of one kind: how many, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Names {
    pub(crate) count: usize,
    pub(crate) names: Vec<String>,
}

impl Names {
    fn push(&mut self, name: &str) {
        self.count += 1;
        if self.names.len() < NAMES {
            self.names.push(name.to_owned());
        }
    }
}

/// What changed from one version to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Changes {
    pub(crate) added: Names,
    pub(crate) modified: Names,
    pub(crate) deleted: Names,
}

impl Changes {
    /// From `old` to `new`.
    pub(crate) fn between(old: &Contents, new: &Contents) -> Self {
        let mut changes = Self::default();
        for (name, entry) in &new.0 {
            match old.0.get(name) {
                None => changes.added.push(name),
                Some(before) if before != entry => changes.modified.push(name),
                Some(_) => {}
            }
        }
        for name in old.0.keys().filter(|name| !new.0.contains_key(*name)) {
            changes.deleted.push(name);
        }
        changes
    }

    /// How many names changed.
    pub(crate) fn count(&self) -> usize {
        self.added.count + self.modified.count + self.deleted.count
    }

    /// Names with their kind (`+`, `~`, `-`), as many as are kept.
    pub(crate) fn marked(&self) -> impl Iterator<Item = (char, &str)> {
        [('+', &self.added), ('~', &self.modified), ('-', &self.deleted)]
            .into_iter()
            .flat_map(|(mark, names)| names.names.iter().map(move |name| (mark, name.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(files: &[(&str, u32)]) -> Contents {
        Contents(files.iter().map(|(name, crc)| ((*name).to_owned(), (1, *crc, Some(0o644)))).collect())
    }

    #[test]
    fn names_are_added_modified_or_deleted() {
        let (old, new) = (contents(&[("a", 1), ("b", 2), ("c", 3)]), contents(&[("a", 1), ("b", 9), ("d", 4)]));
        let changes = Changes::between(&old, &new);
        assert_eq!(changes.marked().collect::<Vec<_>>(), [('+', "d"), ('~', "b"), ('-', "c")]);
        assert_eq!(changes.count(), 3);
        assert_eq!(Changes::between(&old, &old), Changes::default());
    }

    #[test]
    fn a_mode_is_a_part_of_a_file() {
        let mut executable = contents(&[("run.sh", 1)]);
        executable.0.insert("run.sh".into(), (1, 1, Some(0o755)));
        assert_eq!(Changes::between(&contents(&[("run.sh", 1)]), &executable).modified.count, 1);
        assert_ne!(executable.fingerprint(), contents(&[("run.sh", 1)]).fingerprint());
    }

    #[test]
    fn of_very_many_names_only_the_first_are_kept_and_all_are_counted() {
        let many = Contents((0..1000).map(|at| (format!("f{at:04}"), (1, at, None))).collect());
        let changes = Changes::between(&Contents::default(), &many);
        assert_eq!((changes.added.count, changes.added.names.len()), (1000, NAMES));
    }
}
