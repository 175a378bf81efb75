//! Reserved concurrency: how many invocations of a function may run at one time.

use serde::Deserialize;
use serde_json::json;

use super::account::CONCURRENT_EXECUTIONS;
use crate::lambda::Lambda;
use crate::lambda::errors::{ApiError, Result};
use crate::lambda::names::constraint;
use crate::lambda::request::{Reply, Request, no_content, ok};

/// What must stay for functions without a reservation.
const LEAST_UNRESERVED: u32 = 100;

#[derive(Deserialize)]
struct PutFunctionConcurrency {
    #[serde(rename = "ReservedConcurrentExecutions")]
    reserved: Option<i64>,
}

/// `PutFunctionConcurrency`.
pub(super) fn put(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let input: PutFunctionConcurrency = request.input()?;
    let reserved =
        input.reserved.ok_or_else(|| constraint("null", "reservedConcurrentExecutions", "Member must not be null"))?;
    let reserved = u32::try_from(reserved).map_err(|_| {
        constraint(
            &reserved.to_string(),
            "reservedConcurrentExecutions",
            "Member must have value greater than or equal to 0",
        )
    })?;
    let mut registry = lambda.registry();
    registry.function(&wanted, &request.scope, lambda.objects())?;
    let others = registry.functions.values().filter(|function| function.name != wanted.name);
    let reserved_by_others: u32 = others.filter_map(|function| function.reserved_concurrency).sum();
    if reserved.saturating_add(reserved_by_others) > CONCURRENT_EXECUTIONS - LEAST_UNRESERVED {
        return Err(ApiError::invalid(format!(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [{LEAST_UNRESERVED}]."
        )));
    }
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    function.reserved_concurrency = Some(reserved);
    Ok(ok(&json!({ "ReservedConcurrentExecutions": reserved })))
}

/// `GetFunctionConcurrency`: empty when nothing is reserved.
pub(super) fn get(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    Ok(ok(&match function.reserved_concurrency {
        Some(reserved) => json!({ "ReservedConcurrentExecutions": reserved }),
        None => json!({}),
    }))
}

/// `DeleteFunctionConcurrency`.
pub(super) fn delete(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    function.reserved_concurrency = None;
    Ok(no_content())
}
