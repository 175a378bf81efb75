//! Where a rollback goes. Pure: what has to be known of a version is asked for.
//!
//! One step back is the newest older version whose files differ. A version that a rollback made stands where the one
//! stands that it is a copy of, so that a rollback after a rollback goes further back and doesn't undo the first.

use std::collections::BTreeMap;

use super::Version;

/// What has to be known of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Of its files; `None` when it is no archive, or can't be read: then it is taken to differ from all others.
    pub(crate) fingerprint: Option<String>,
    /// The version that it is a copy of.
    pub(crate) from: Option<String>,
}

/// Where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the version at this place.
    To(usize),
    /// The facts of the version at this place are needed first.
    Ask(usize),
    /// There is no older version with other files; so many steps could be gone.
    Nowhere { steps: u32 },
    /// The version at this place is a copy of one that is gone: what came before that is not known.
    Lost { at: usize },
}

/// Where `steps` rollbacks from the newest version lead. `versions` are newest first.
pub(crate) fn back(versions: &[Version], facts: &BTreeMap<usize, Facts>, steps: u32) -> Way {
    let mut at = 0;
    for step in 0..steps {
        match one_back(versions, facts, at) {
            Way::To(older) => at = older,
            Way::Nowhere { .. } => return Way::Nowhere { steps: step },
            other => return other,
        }
    }
    Way::To(at)
}

fn one_back(versions: &[Version], facts: &BTreeMap<usize, Facts>, at: usize) -> Way {
    // Where it stands, for a copy: where the original does.
    let mut place = at;
    loop {
        // Nothing stands in the place of a deletion: any older version differs.
        if versions[place].object().is_none() {
            break;
        }
        let Some(known) = facts.get(&place) else { return Way::Ask(place) };
        let Some(from) = &known.from else { break };
        match versions.iter().position(|version| version.id == *from) {
            Some(original) if original > place => place = original,
            _ => return Way::Lost { at: place },
        }
    }
    for (older, version) in versions.iter().enumerate().skip(place + 1) {
        if version.object().is_none() || version.is_same_object(&versions[place]) {
            continue;
        }
        if versions[place].object().is_some() {
            let Some(known) = facts.get(&older) else { return Way::Ask(older) };
            let here = facts.get(&place).and_then(|facts| facts.fingerprint.as_ref());
            if known.fingerprint.is_some() && known.fingerprint.as_ref() == here {
                continue;
            }
        }
        return Way::To(older);
    }
    Way::Nowhere { steps: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::versions::tests::{marker, object};

    /// Versions from newest to oldest: an id, its files, and what it is a copy of.
    fn way(history: &[(&str, &str, Option<&str>)], steps: u32) -> Option<String> {
        let versions: Vec<Version> = history
            .iter()
            .enumerate()
            .map(|(age, (id, files, _))| match *files {
                "deleted" => marker(id, 100 - age as u64),
                _ => object(id, 100 - age as u64, 1),
            })
            .collect();
        let mut facts = BTreeMap::new();
        loop {
            match back(&versions, &facts, steps) {
                Way::Ask(at) => {
                    let (_, files, from) = history[at];
                    let fingerprint = Some(files.to_owned()).filter(|files| files != "unreadable");
                    let before = facts.insert(at, Facts { fingerprint, from: from.map(str::to_owned) });
                    assert_eq!(before, None, "asked twice");
                }
                Way::To(at) => return Some(versions[at].id.clone()),
                Way::Nowhere { steps } => return Some(format!("nowhere after {steps}")),
                Way::Lost { at } => return Some(format!("lost at {}", versions[at].id)),
            }
        }
    }

    fn leads_to(history: &[(&str, &str, Option<&str>)], steps: u32, to: &str) {
        assert_eq!(way(history, steps).as_deref(), Some(to), "{steps} back from {history:?}");
    }

    #[test]
    fn one_step_is_the_newest_version_with_other_files() {
        leads_to(&[("v3", "C", None), ("v2", "B", None), ("v1", "A", None)], 1, "v2");
        leads_to(&[("v3", "C", None), ("v2", "C", None), ("v1", "A", None)], 1, "v1");
        leads_to(&[("v3", "C", None), ("v2", "B", None), ("v1", "A", None)], 2, "v1");
        leads_to(&[("v3", "C", None), ("v2", "B", None), ("v1", "A", None)], 3, "nowhere after 2");
        leads_to(&[("v1", "A", None)], 1, "nowhere after 0");
    }

    #[test]
    fn a_rollback_after_a_rollback_goes_further_back() {
        let once = [("v4", "B", Some("v2")), ("v3", "C", None), ("v2", "B", None), ("v1", "A", None)];
        leads_to(&once, 1, "v1");
        let twice = [("v5", "A", Some("v1")), once[0], once[1], once[2], once[3]];
        leads_to(&twice, 1, "nowhere after 0");
    }

    #[test]
    fn a_deploy_after_a_rollback_is_rolled_back_to_what_the_rollback_made_and_then_further() {
        let deployed =
            [("v5", "D", None), ("v4", "B", Some("v2")), ("v3", "C", None), ("v2", "B", None), ("v1", "A", None)];
        leads_to(&deployed, 1, "v4");
        leads_to(&deployed, 2, "v1");
        // The copy of a copy stands where the first original does.
        let again = [("v6", "B", Some("v4")), deployed[0], deployed[1], deployed[2], deployed[3], deployed[4]];
        leads_to(&again, 1, "v1");
    }

    #[test]
    fn what_was_rolled_back_to_and_is_gone_leaves_no_place_to_go_on_from() {
        leads_to(&[("v4", "B", Some("v2")), ("v3", "C", None), ("v1", "A", None)], 1, "lost at v4");
    }

    #[test]
    fn a_deleted_artifact_comes_back_as_it_was() {
        leads_to(&[("m", "deleted", None), ("v2", "B", None), ("v1", "A", None)], 1, "v2");
        leads_to(&[("v3", "B", None), ("m", "deleted", None), ("v2", "B", None), ("v1", "A", None)], 1, "v1");
    }

    #[test]
    fn what_is_no_archive_can_be_rolled_back_from() {
        leads_to(&[("v2", "unreadable", None), ("v1", "A", None)], 1, "v1");
    }
}
