//! Functions that aren't there yet, of a project without a stack.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::types::{Architecture as Processor, Environment, FunctionCode, Runtime};
use tokio::time::Instant;

use super::role::{self, Role};
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::{Function, UpdateState, read};
use crate::project::{Architecture, NewFunction};
use crate::retry::retried;
use crate::update::{Outcome, Status, Target};

/// A new function is asked for this often.
const POLL: Duration = Duration::from_millis(300);
/// One that isn't active by then is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Creates one function from the artifact, and waits until it can be invoked.
/// `waiting` is called when that takes longer because Lambda doesn't know the role yet.
pub(super) async fn create(
    cloud: &Cloud,
    name: &str,
    new: &NewFunction,
    role: &Role,
    target: &Target,
    waiting: &dyn Fn(),
) -> Outcome {
    let start = Instant::now();
    let elapsed_ms = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    match tokio::time::timeout(PATIENCE, bring_up(cloud, name, new, role, target, waiting)).await {
        Ok(Ok(function)) => Outcome {
            previous_code_sha256: String::new(),
            elapsed_ms: elapsed_ms(),
            ..Outcome::untouched(&function, Status::Live)
        },
        Ok(Err(error)) => failed(name, elapsed_ms(), error),
        Err(_) => failed(
            name,
            elapsed_ms(),
            Error::new("Timeout", format!("`{name}` is still not active after {} s", PATIENCE.as_secs())),
        ),
    }
}

fn failed(name: &str, elapsed_ms: u64, error: Error) -> Outcome {
    Outcome { elapsed_ms, ..Outcome::unread(name, error) }
}

async fn bring_up(
    cloud: &Cloud,
    name: &str,
    new: &NewFunction,
    role: &Role,
    target: &Target,
    waiting: &dyn Fn(),
) -> Result<Function> {
    let environment: HashMap<String, String> = new.environment.clone().into_iter().collect();
    let environment =
        (!environment.is_empty()).then(|| Environment::builder().set_variables(Some(environment)).build());
    let processor = new.architecture.map(|architecture| match architecture {
        Architecture::X86 => Processor::X8664,
        Architecture::Arm => Processor::Arm64,
    });
    let code = FunctionCode::builder()
        .s3_bucket(&target.bucket)
        .s3_key(&target.key)
        .set_s3_object_version(target.version_id.clone())
        .build();
    let deadline = Instant::now() + role::SETTLING;
    loop {
        let answer = retried(&cloud.control_plane, || {
            cloud
                .lambda
                .create_function()
                .function_name(name)
                .role(&role.arn)
                .runtime(Runtime::from(new.runtime.as_str()))
                .handler(&new.handler)
                .set_memory_size(new.memory)
                .set_timeout(new.timeout)
                .set_architectures(processor.clone().map(|processor| vec![processor]))
                .set_environment(environment.clone())
                .set_description(new.description.clone())
                .code(code.clone())
                .send()
        })
        .await;
        match answer {
            Ok(_) => break,
            // Somebody else's, or our own whose answer was lost: whatever it runs, it is checked afterwards.
            Err(error) if error.code() == Some("ResourceConflictException") => break,
            Err(error) if role::is_unknown_to_lambda(&error) && role.settling && Instant::now() < deadline => {
                waiting();
                tokio::time::sleep(role::SETTLING_PAUSE).await;
            }
            Err(error) => {
                let told = cloud.explain(&format!("could not create the function `{name}`"), &error);
                return Err(match (role::is_unknown_to_lambda(&error), role.settling) {
                    (false, _) => told,
                    (true, true) => told
                        .cause(format!("that is still so {} s after the first try", role::SETTLING.as_secs()))
                        .hint("a new role may take longer: run `quickdeploy full` again in a minute")
                        .hint(format!("else look whether lambda.amazonaws.com may assume it: {}", role.arn)),
                    (true, false) => {
                        told.hint(format!("let lambda.amazonaws.com assume {}, in its trust policy", role.arn))
                    }
                });
            }
        }
    }
    loop {
        let function = read(cloud, name).await?;
        match &function.update {
            UpdateState::InProgress => tokio::time::sleep(POLL).await,
            UpdateState::Successful => return Ok(function),
            UpdateState::Failed { code, reason } => {
                return Err(Error::new("CreateFailed", format!("AWS could not create `{name}`: {code}: {reason}")));
            }
        }
    }
}
