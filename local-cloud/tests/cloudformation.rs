//! CloudFormation and IAM as clients of the SDK see them: real requests over loopback, stacks whose resources are made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "cloudformation_it/change_sets.rs"]
mod change_sets;
#[path = "cloudformation_it/failures.rs"]
mod failures;
#[path = "cloudformation_it/layers.rs"]
mod layers;
#[path = "cloudformation_it/nested.rs"]
mod nested;
#[path = "cloudformation_it/restarts.rs"]
mod restarts;
#[path = "cloudformation_it/roles.rs"]
mod roles;
#[path = "cloudformation_it/stacks.rs"]
mod stacks;
#[path = "cloudformation_it/support.rs"]
mod support;
