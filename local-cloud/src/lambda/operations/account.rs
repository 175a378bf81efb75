//! `GetAccountSettings`: limits and usage.

use std::collections::BTreeMap;

use serde_json::json;

use crate::lambda::Lambda;
use crate::lambda::request::{Reply, Request, ok};

/// Invocations that may run at one time in the account.
pub(super) const CONCURRENT_EXECUTIONS: u32 = 1_000;
/// The limit on all code together, unzipped, in bytes: 300 GB.
const TOTAL_CODE_SIZE: u64 = 322_122_547_200;

pub(super) fn get(lambda: &Lambda, _request: &Request) -> Reply {
    let registry = lambda.registry();
    let reserved: u32 = registry.functions.values().filter_map(|function| function.reserved_concurrency).sum();
    let layers = registry.layers.values().flat_map(|layer| layer.versions.values());
    // Functions and versions that share a package share its storage, too.
    let packages: BTreeMap<&str, u64> = registry
        .functions
        .values()
        .flat_map(crate::lambda::function::Function::all_versions)
        .map(|(_, version)| (version.shown().artifact.sha256(), version.shown().artifact.size()))
        .chain(layers.map(|version| (&*version.code.sha256, version.code.size)))
        .collect();
    ok(&json!({
        "AccountLimit": {
            "TotalCodeSize": TOTAL_CODE_SIZE,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": CONCURRENT_EXECUTIONS,
            "UnreservedConcurrentExecutions": CONCURRENT_EXECUTIONS.saturating_sub(reserved),
        },
        "AccountUsage": {
            "TotalCodeSize": packages.values().sum::<u64>(),
            "FunctionCount": registry.functions.len(),
        },
    }))
}
