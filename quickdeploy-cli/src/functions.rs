//! The functions that run the artifact: found, read, and compared with it.

use std::collections::BTreeSet;

use aws_sdk_lambda::operation::get_function::{GetFunctionError, GetFunctionOutput};
use aws_sdk_lambda::types::{
    Architecture, FunctionConfiguration, LastUpdateStatus, LastUpdateStatusReasonCode, PackageType, State,
    StateReasonCode,
};
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::live_code::LiveCode;
use crate::project::Functions;
use crate::retry::retried;
use crate::stack::Stacks;
use crate::trace::LOADING_VARIABLES;

/// CloudFormation puts this tag on what it creates.
pub(crate) const STACK_TAG: &str = "aws:cloudformation:stack-name";
/// So many `GetFunction` calls are under way at once; the quota spaces them.
const READS_AT_ONCE: usize = 40;

/// What is live of one function.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) runtime: Option<String>,
    /// As Lambda has it: `src/api.handler`.
    pub(crate) handler: Option<String>,
    /// Those of its environment variables that change what is loaded.
    pub(crate) loading: Vec<(String, String)>,
    /// Where its zip can be downloaded from, for some minutes.
    pub(crate) code: Option<LiveCode>,
    /// base64 of the SHA-256 of the zip that it runs.
    pub(crate) code_sha256: String,
    /// Length of the zip that it runs, in bytes.
    pub(crate) code_size: u64,
    pub(crate) zip_package: bool,
    /// Its code was signed.
    pub(crate) signed: bool,
    pub(crate) architectures: Vec<Architecture>,
    /// The log group that it writes into.
    pub(crate) log_group: String,
    /// The customer's key that its zip is encrypted with in Lambda.
    pub(crate) kms_key: Option<String>,
    /// It runs from the S3 object version itself (REFERENCE mode), not from Lambda's copy.
    pub(crate) referenced: Option<Reference>,
    pub(crate) update: UpdateState,
    /// Why it can't be invoked: Lambda has put it out of use, for want of its code or for want of calls.
    pub(crate) inactive: Option<String>,
}

/// The object version that a function in REFERENCE mode runs from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) version_id: Option<String>,
}

/// How the last update of a function went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpdateState {
    /// It is being updated or created: it takes no further update now.
    InProgress,
    /// It runs the code that its configuration names.
    Successful,
    /// It still runs older code.
    Failed { code: String, reason: String },
}

impl Function {
    /// From GetFunction's answer.
    pub(crate) fn read(output: &GetFunctionOutput) -> Option<Self> {
        let config = output.configuration()?;
        let code = output.code();
        let referenced = code.and_then(|code| code.resolved_s3_object()).map(|object| Reference {
            bucket: object.s3_bucket().unwrap_or_default().to_owned(),
            key: object.s3_key().unwrap_or_default().to_owned(),
            version_id: object.s3_object_version().map(str::to_owned),
        });
        Some(Self {
            name: config.function_name()?.to_owned(),
            arn: config.function_arn().unwrap_or_default().to_owned(),
            runtime: config.runtime().map(|runtime| runtime.as_str().to_owned()),
            handler: config.handler().map(str::to_owned),
            loading: loading_variables(config),
            code: code.and_then(|code| code.location()).map(LiveCode::new),
            code_sha256: config.code_sha256().unwrap_or_default().to_owned(),
            code_size: u64::try_from(config.code_size()).unwrap_or(0),
            zip_package: config.package_type().is_none_or(|package| *package == PackageType::Zip),
            signed: config.signing_job_arn().is_some() || config.signing_profile_version_arn().is_some(),
            architectures: config.architectures().to_vec(),
            log_group: config
                .logging_config()
                .and_then(|logging| logging.log_group())
                .map_or_else(|| format!("/aws/lambda/{}", config.function_name().unwrap_or_default()), str::to_owned),
            kms_key: code.and_then(|code| code.source_kms_key_arn()).map(str::to_owned),
            referenced,
            update: update_state(config),
            inactive: (config.state() == Some(&State::Inactive))
                .then(|| config.state_reason().unwrap_or("AWS gives no reason").to_owned()),
        })
    }

    /// The region in its ARN.
    pub(crate) fn region(&self) -> Option<&str> {
        self.arn.split(':').nth(3).filter(|region| !region.is_empty())
    }
}

fn loading_variables(config: &FunctionConfiguration) -> Vec<(String, String)> {
    let variables = config.environment().and_then(|environment| environment.variables());
    let value = |name: &&str| Some(((*name).to_owned(), variables?.get(*name)?.clone()));
    LOADING_VARIABLES.iter().filter_map(value).collect()
}

fn update_state(config: &FunctionConfiguration) -> UpdateState {
    let reason = |code: Option<&str>, text: Option<&str>| UpdateState::Failed {
        code: code.unwrap_or("Unknown").to_owned(),
        reason: text.unwrap_or("AWS gives no reason").to_owned(),
    };
    match (config.last_update_status(), config.state()) {
        (Some(LastUpdateStatus::InProgress), _) | (_, Some(State::Pending)) => UpdateState::InProgress,
        (Some(LastUpdateStatus::Failed), _) => reason(
            config.last_update_status_reason_code().map(LastUpdateStatusReasonCode::as_str),
            config.last_update_status_reason(),
        ),
        (_, Some(State::Failed)) => {
            reason(config.state_reason_code().map(StateReasonCode::as_str), config.state_reason())
        }
        _ => UpdateState::Successful,
    }
}

/// What the functions are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) version_id: Option<&'a str>,
    pub(crate) size: u64,
    /// base64 of the artifact's SHA-256, where it is known.
    pub(crate) sha256: Option<&'a str>,
}

/// Whether a function runs the artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Staleness {
    Current,
    Stale,
    /// It runs a zip of the same length: only the artifact's SHA-256 can tell.
    Unsure,
}

/// Compares what a function runs with the artifact. A failed update counts as stale, whatever it was about.
pub(crate) fn staleness(function: &Function, artifact: &Live<'_>) -> Staleness {
    if matches!(function.update, UpdateState::Failed { .. }) {
        return Staleness::Stale;
    }
    if let Some(reference) = &function.referenced {
        let same = reference.bucket == artifact.bucket
            && reference.key == artifact.key
            && reference.version_id.is_some()
            && reference.version_id.as_deref() == artifact.version_id;
        return if same { Staleness::Current } else { Staleness::Stale };
    }
    match artifact.sha256 {
        _ if function.code_size != artifact.size => Staleness::Stale,
        Some(sha256) if function.code_sha256 == sha256 => Staleness::Current,
        Some(_) => Staleness::Stale,
        None => Staleness::Unsure,
    }
}

/// Finds the functions that the configuration means, with what is live of each, by name.
///
/// `behind`: functions that the last deploy left with other code. They belong to a "same code as" set all the same.
///
/// # Errors
///
/// A function that is named and isn't there; a stack, tag or code that no function has; missing permission.
pub(crate) async fn find(cloud: &Cloud, wanted: &Functions, behind: &[String]) -> Result<Vec<Function>> {
    let mut found = match wanted {
        Functions::Names(names) => {
            let unique: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            read_all(cloud, unique.into_iter().map(str::to_owned)).await?
        }
        Functions::Stack(stack) => of_stack(cloud, stack).await?,
        Functions::Tag { key, value } => with_tag(cloud, key, Some(value)).await?,
        Functions::SameCodeAs(name) => same_code_as(cloud, name, behind).await?,
    };
    if found.is_empty() {
        return Err(nothing_found(cloud, wanted));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    Ok(found)
}

fn nothing_found(cloud: &Cloud, wanted: &Functions) -> Error {
    let what = match wanted {
        Functions::Names(_) => "`functions` in quickdeploy.toml names no function".to_owned(),
        Functions::Stack(stack) => format!("the stack `{stack}` has no Lambda functions in {}", cloud.region),
        Functions::Tag { key, value } => format!("no Lambda function in {} has the tag {key}={value}", cloud.region),
        Functions::SameCodeAs(name) => format!("no Lambda function in {} runs the code of `{name}`", cloud.region),
    };
    Error::new("FunctionNotFound", what).hint("check `functions` in quickdeploy.toml, and the region")
}

/// Reads one function. `name`: its name or ARN.
pub(crate) async fn read(cloud: &Cloud, name: &str) -> Result<Function> {
    let what = || format!("could not read the function `{name}`");
    match retried(&cloud.get_function, || cloud.lambda.get_function().function_name(name).send()).await {
        Ok(output) => {
            Function::read(&output).ok_or_else(|| Error::new("Lambda", what()).cause("the answer has no configuration"))
        }
        Err(error) if error.as_service_error().is_some_and(GetFunctionError::is_resource_not_found_exception) => {
            Err(Error::new("FunctionNotFound", format!("there is no Lambda function `{name}` in {}", cloud.region))
                .hint("check `functions` in quickdeploy.toml, and the region"))
        }
        Err(error) => Err(cloud.explain(&what(), &error)),
    }
}

pub(crate) async fn read_all(cloud: &Cloud, names: impl IntoIterator<Item = String>) -> Result<Vec<Function>> {
    stream::iter(names)
        .map(|name| async move { read(cloud, &name).await })
        .buffer_unordered(READS_AT_ONCE)
        .try_collect()
        .await
}

/// Every function of the region, as ListFunctions shows it: without tags, storage mode and KMS key.
pub(crate) async fn list(cloud: &Cloud) -> Result<Vec<FunctionConfiguration>> {
    let mut functions = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let page = retried(&cloud.control_plane, || {
            cloud.lambda.list_functions().set_marker(marker.clone()).max_items(50).send()
        })
        .await
        .map_err(|error| cloud.explain("could not list the Lambda functions", &error))?;
        functions.extend(page.functions.unwrap_or_default());
        marker = page.next_marker;
        if marker.as_deref().is_none_or(str::is_empty) {
            return Ok(functions);
        }
    }
}

/// Functions of a stack: by its resources, one request for a hundred of them. Who may not list those may still see the tag
/// that CloudFormation puts on each function.
async fn of_stack(cloud: &Cloud, stack: &str) -> Result<Vec<Function>> {
    match Stacks::new(cloud).functions(stack).await {
        Ok(names) if !names.is_empty() => {
            let read = read_all(cloud, names).await?;
            Ok(read.into_iter().filter(|function| function.zip_package).collect())
        }
        // Of the two ways the first one takes less, so that is what has to be allowed.
        Err(denied) if denied.error_type() == "AccessDenied" => match with_tag(cloud, STACK_TAG, Some(stack)).await {
            Ok(found) if !found.is_empty() => Ok(found),
            _ => Err(denied),
        },
        _ => with_tag(cloud, STACK_TAG, Some(stack)).await,
    }
}

/// Functions with a tag. `GetFunction` shows tags, and has a quota of its own: it is read for every function. It shows them
/// only to who may list them. Of a function whose tags are hidden nobody knows whether it is meant, so that is an error.
async fn with_tag(cloud: &Cloud, key: &str, value: Option<&str>) -> Result<Vec<Function>> {
    let names = list(cloud).await?.into_iter().filter_map(|function| function.function_name);
    let read: Vec<Option<Function>> = stream::iter(names)
        .map(|name| async move {
            let output = retried(&cloud.get_function, || cloud.lambda.get_function().function_name(&name).send())
                .await
                .map_err(|error| cloud.explain(&format!("could not read the function `{name}`"), &error))?;
            if let Some(error) = output.tags_error() {
                let what = format!("could not read the tags of the function `{name}`");
                return Err(cloud.explain_code(&what, error.error_code(), error.message()));
            }
            let tagged = output.tags().and_then(|tags| tags.get(key)).is_some_and(|has| value.is_none_or(|v| v == has));
            Ok::<_, Error>(if tagged { Function::read(&output) } else { None })
        })
        .buffer_unordered(READS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(read.into_iter().flatten().collect())
}

async fn same_code_as(cloud: &Cloud, name: &str, behind: &[String]) -> Result<Vec<Function>> {
    let model = read(cloud, name).await?;
    let listed = list(cloud).await?;
    let names = listed.into_iter().filter_map(|function| {
        let same = function.code_sha256.as_deref() == Some(model.code_sha256.as_str());
        let name = function.function_name?;
        (name != model.name && (same || behind.contains(&name))).then_some(name)
    });
    let mut functions = read_all(cloud, names).await?;
    functions.push(model);
    Ok(functions)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn function(name: &str, sha: &str, size: u64) -> Function {
        Function {
            name: name.to_owned(),
            arn: format!("arn:aws:lambda:us-east-1:000000000000:function:{name}"),
            runtime: Some("nodejs20.x".to_owned()),
            handler: Some("index.handler".to_owned()),
            loading: Vec::new(),
            code: None,
            code_sha256: sha.to_owned(),
            code_size: size,
            zip_package: true,
            signed: false,
            architectures: vec![Architecture::X8664],
            log_group: format!("/aws/lambda/{name}"),
            kms_key: None,
            referenced: None,
            update: UpdateState::Successful,
            inactive: None,
        }
    }

    fn artifact(sha256: Option<&str>) -> Live<'_> {
        Live { bucket: "b", key: "k.zip", version_id: Some("v2"), size: 100, sha256 }
    }

    #[test]
    fn code_of_another_length_is_stale_without_knowing_any_hash() {
        assert_eq!(staleness(&function("f", "A", 99), &artifact(None)), Staleness::Stale);
    }

    #[test]
    fn code_of_the_same_length_needs_the_hash() {
        let function = function("f", "A", 100);
        assert_eq!(staleness(&function, &artifact(None)), Staleness::Unsure);
        assert_eq!(staleness(&function, &artifact(Some("A"))), Staleness::Current);
        assert_eq!(staleness(&function, &artifact(Some("B"))), Staleness::Stale);
    }

    #[test]
    fn a_failed_update_is_stale_even_if_the_configuration_names_the_right_code() {
        let mut function = function("f", "A", 100);
        function.update = UpdateState::Failed { code: "InternalError".into(), reason: "x".into() };
        assert_eq!(staleness(&function, &artifact(Some("A"))), Staleness::Stale);
    }

    #[test]
    fn a_referencing_function_is_current_only_on_this_very_version() {
        let mut function = function("f", "A", 100);
        let reference = |version: &str| {
            Some(Reference { bucket: "b".into(), key: "k.zip".into(), version_id: Some(version.into()) })
        };
        function.referenced = reference("v2");
        assert_eq!(staleness(&function, &artifact(None)), Staleness::Current);
        function.referenced = reference("v1");
        assert_eq!(staleness(&function, &artifact(Some("A"))), Staleness::Stale);
    }
}
