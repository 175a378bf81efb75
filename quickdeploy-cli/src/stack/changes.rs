//! What a change set would do, to be shown. Pure.

use aws_sdk_cloudformation::types::{ChangeAction, PolicyAction, Replacement, ResourceChange};
use owo_colors::OwoColorize;
use serde::Serialize;

/// One resource that a change set is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    /// `Add`, `Modify`, `Remove`, `Import`, `Dynamic` or `SyncWithActual`: AWS's own words.
    pub(crate) action: String,
    pub(crate) logical_id: String,
    /// Its name at AWS, where it has one already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) physical_id: Option<String>,
    pub(crate) resource_type: String,
    /// `True`, `Conditional` or `False`, of a `Modify`: whether another resource takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replacement: Option<String>,
    /// What becomes of the resource that is removed or replaced, such as `Retain` or `Delete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy_action: Option<String>,
}

impl Change {
    pub(super) fn read(change: &ResourceChange) -> Self {
        Self {
            action: change.action().map_or("Dynamic", ChangeAction::as_str).to_owned(),
            logical_id: change.logical_resource_id().unwrap_or_default().to_owned(),
            physical_id: change.physical_resource_id().filter(|id| !id.is_empty()).map(str::to_owned),
            resource_type: change.resource_type().unwrap_or_default().to_owned(),
            replacement: change.replacement().map(Replacement::as_str).map(str::to_owned),
            policy_action: change.policy_action().map(PolicyAction::as_str).map(str::to_owned),
        }
    }

    /// Whether a resource that exists goes away by it, and with it what it holds.
    pub(crate) fn is_destructive(&self) -> bool {
        let kept = self.policy_action.as_deref().is_some_and(|action| action.ends_with("Retain"));
        let goes = self.action == "Remove" || self.replacement.as_deref() == Some("True");
        goes && !kept
    }

    fn sign(&self) -> &'static str {
        match (self.action.as_str(), self.replacement.as_deref()) {
            ("Add" | "Import", _) => "+",
            ("Remove", _) => "-",
            (_, Some("True")) => "±",
            _ => "~",
        }
    }

    /// What has to be pointed out of it.
    fn remark(&self) -> Option<&'static str> {
        let retained = self.policy_action.as_deref().is_some_and(|action| action.ends_with("Retain"));
        match (self.action.as_str(), self.replacement.as_deref()) {
            ("Remove", _) if retained => Some("leaves the stack, and is kept"),
            ("Remove", _) => Some("will be DELETED"),
            ("Import", _) => Some("is taken over as it is"),
            (_, Some("True")) if retained => Some("will be REPLACED; the old one is kept"),
            (_, Some("True")) => Some("will be REPLACED"),
            (_, Some("Conditional")) => Some("may be replaced"),
            ("Dynamic", _) => Some("known only while it runs"),
            _ => None,
        }
    }
}

/// All that a change set would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub(crate) struct Changes(pub(crate) Vec<Change>);

impl Changes {
    /// `3 to add, 1 to change, 1 to replace, 2 to remove`; changes that are about no resource (outputs, say) have their
    /// own words.
    pub(crate) fn summary(&self) -> String {
        let counted = |sign: &str| self.0.iter().filter(|change| change.sign() == sign).count();
        let counts: Vec<String> = [("+", "add"), ("~", "change"), ("±", "replace"), ("-", "remove")]
            .into_iter()
            .map(|(sign, word)| (counted(sign), word))
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} to {word}"))
            .collect();
        if counts.is_empty() { "no resource changes".to_owned() } else { counts.join(", ") }
    }

    /// One line per resource: sign, logical id, type, remark.
    pub(crate) fn lines(&self) -> Vec<String> {
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0).min(40);
        let id_width = widest(&mut self.0.iter().map(|change| change.logical_id.chars().count()));
        let line = |change: &Change| {
            let text = format!("{:<id_width$}  {}", change.logical_id, change.resource_type.dimmed());
            let line = match change.sign() {
                "+" => format!("{} {text}", "+".green()),
                "-" => format!("{} {text}", "-".red()),
                "±" => format!("{} {text}", "±".red()),
                sign => format!("{} {text}", sign.yellow()),
            };
            match change.remark() {
                Some(remark) if change.is_destructive() => format!("{line}\n    {}", remark.red()),
                Some(remark) => format!("{line}\n    {remark}"),
                None => line,
            }
        };
        self.0.iter().map(line).flat_map(|text| text.split('\n').map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(action: &str, id: &str, replacement: Option<&str>) -> Change {
        Change {
            action: action.into(),
            logical_id: id.into(),
            physical_id: None,
            resource_type: "AWS::SQS::Queue".into(),
            replacement: replacement.map(str::to_owned),
            policy_action: None,
        }
    }

    fn plain(lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    #[test]
    fn changes_are_counted_by_what_becomes_of_the_resource() {
        let changes = Changes(vec![
            change("Add", "A", None),
            change("Modify", "B", Some("False")),
            change("Modify", "C", Some("True")),
            change("Remove", "D", None),
            change("Add", "E", None),
        ]);
        assert_eq!(changes.summary(), "2 to add, 1 to change, 1 to replace, 1 to remove");
    }

    #[test]
    fn a_replacement_and_a_removal_are_pointed_out() {
        let lines =
            plain(&Changes(vec![change("Modify", "Queue", Some("True")), change("Remove", "Old", None)]).lines());
        assert_eq!(
            lines,
            ["± Queue  AWS::SQS::Queue", "    will be REPLACED", "- Old    AWS::SQS::Queue", "    will be DELETED"]
        );
    }

    #[test]
    fn what_is_retained_is_not_called_deleted() {
        let retained = Change { policy_action: Some("Retain".into()), ..change("Remove", "Table", None) };
        assert!(!retained.is_destructive());
        assert_eq!(plain(&Changes(vec![retained]).lines())[1], "    leaves the stack, and is kept");
    }

    #[test]
    fn a_change_of_outputs_only_is_still_a_change() {
        assert_eq!(Changes::default().summary(), "no resource changes");
    }
}
