//! What a caller must acknowledge before a template may make IAM resources or expand macros.

use std::collections::BTreeSet;

use super::errors::{Result, insufficient_capabilities};
use super::template::Template;

/// IAM's types, with the property by which one gets a name of its own.
const IAM_TYPES: [(&str, &str); 3] =
    [("AWS::IAM::Role", "RoleName"), ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"), ("AWS::IAM::Policy", "")];

/// The capability that a template needs for its IAM resources, and the types that are the reason.
pub(super) fn needed(template: &Template) -> Option<(&'static str, BTreeSet<String>)> {
    let mut kinds = BTreeSet::new();
    let mut named = false;
    for declared in template.resources.values() {
        if let Some((kind, name)) = IAM_TYPES.iter().find(|(kind, _)| *kind == declared.kind) {
            kinds.insert((*kind).to_owned());
            named |= declared.properties.contains_key(*name);
        }
    }
    let capability = if named { "CAPABILITY_NAMED_IAM" } else { "CAPABILITY_IAM" };
    (!kinds.is_empty()).then_some((capability, kinds))
}

/// Refuses a template that needs more than was acknowledged.
///
/// # Errors
/// `InsufficientCapabilitiesException`.
pub(super) fn check(template: &Template, given: &[String]) -> Result<()> {
    let has = |capability: &str| given.iter().any(|given| given == capability);
    match needed(template) {
        Some((needed, _)) if !has(needed) && !has("CAPABILITY_NAMED_IAM") => Err(insufficient_capabilities(needed)),
        _ => Ok(()),
    }
}

/// Refuses to expand macros without a change set that shows what became of them.
///
/// # Errors
/// `InsufficientCapabilitiesException`.
pub(super) fn check_expansion(transforms: &[String], given: &[String]) -> Result<()> {
    if transforms.is_empty() || given.iter().any(|given| given == "CAPABILITY_AUTO_EXPAND") {
        return Ok(());
    }
    Err(insufficient_capabilities("CAPABILITY_AUTO_EXPAND"))
}
