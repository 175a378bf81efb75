//! `quickdeploy bootstrap`: the stack of the zipedit function, created, updated and deleted.
//!
//! The template is compiled in. The function's code is the `bootstrap-ARCHITECTURE.zip` that a release has beside this
//! program ([`zip`]); it is read before it is believed, as neither Lambda nor CloudFormation would notice that it can't
//! start. It goes into a bucket of the stack's region under a key that is made of its content ([`code`]), so the same
//! zip is uploaded once, and CloudFormation, which compares texts, is told of new code when there is some. What the
//! function may touch follows from the project's artifacts ([`scope`]), and its description tells the [`version`]. Then
//! the change set ([`crate::stack`]), and at the end the function itself is asked ([`proof`]).
//!
//! A stack that has this name and isn't the zipedit function's is left alone: an update would replace all that it holds.

mod code;
mod document;
mod proof;
mod scope;
pub(crate) mod version;
mod zip;

use std::collections::BTreeMap;
use std::time::Instant;

use aws_sdk_cloudformation::types::StackStatus;
use aws_sdk_lambda::operation::get_function::GetFunctionError;
use release::Architecture;

use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::full::bucket;
use crate::interrupt::{Interrupts, nothing_changed};
use crate::retry::retried;
use crate::stack::{self, DeploymentMode, INLINE_LIMIT, Mode, Request, Stack, Stacks};
use crate::ui::{Ui, bytes};

pub(crate) use document::BootstrapDocument;
use document::Code;
pub(crate) use scope::Scope;
use zip::Zip;

/// The stack's template.
const TEMPLATE: &str = include_str!("../../../template.yaml");

/// Names of the parameters that it declares.
const PARAMETERS: [&str; 13] = [
    "ArtifactBucket",
    "ArtifactPrefix",
    "KmsKeyArn",
    "ObjectLock",
    "CodeBucket",
    "CodeKey",
    "CodeObjectVersion",
    "CodeVersion",
    "Architecture",
    "FunctionName",
    "MemorySize",
    "Timeout",
    "LogRetentionDays",
];

// It is sent with the request itself.
const _: () = assert!(TEMPLATE.len() <= INLINE_LIMIT);

/// Name of the stack, and of the function, when nobody says otherwise.
pub(crate) const DEFAULT_NAME: &str = crate::via::DEFAULT_FUNCTION;

/// What the stack is to be. What is `None` stays as an existing stack has it, and is the template's default in a new one.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) stack: String,
    pub(crate) function: Option<String>,
    pub(crate) architecture: Option<Architecture>,
    pub(crate) zip: Option<std::path::PathBuf>,
    pub(crate) scope: Scope,
    /// Where the code goes; the artifact's bucket when nobody says otherwise.
    pub(crate) code_bucket: Option<String>,
    /// In MB.
    pub(crate) memory: Option<u32>,
    /// In seconds.
    pub(crate) timeout: Option<u32>,
    pub(crate) kms_key: Option<String>,
    pub(crate) object_lock: Option<bool>,
}

/// Creates or updates the stack.
///
/// # Errors
///
/// There is no zip, or one that Lambda can't run; the stack is somebody else's, or can't be changed now; AWS's reason.
pub(crate) async fn install(
    ui: &Ui,
    cloud: &Cloud,
    wanted: &Wanted,
    mode: Mode,
    interrupts: &Interrupts,
) -> Result<BootstrapDocument> {
    let start = Instant::now();
    // Everything that can fail without a request first.
    let zip = Zip::find(wanted.zip.as_deref(), wanted.architecture)?;
    ui.status("Read", format!("{}: {}, {}", zip.path.display(), bytes(zip.bytes.len() as u64), zip.described()));

    let stacks = Stacks::new(cloud);
    let existing = stacks.find(&wanted.stack).await?;
    match &existing {
        Some(stack) => refuse_another(stack)?,
        None => refuse_taken(cloud, wanted).await?,
    }
    let code_bucket = code_bucket(wanted)?;
    let key = zip.key();
    let mut document = BootstrapDocument::new(Code::new(&zip, &code_bucket, &key));
    if interrupts.so_far() > 0 {
        return Err(nothing_changed());
    }
    if mode == Mode::DryRun {
        ui.verbose(format!("the code would be at s3://{code_bucket}/{key}"));
    } else {
        if !bucket::exists(cloud, &code_bucket).await? {
            bucket::create(cloud, &code_bucket).await?;
            ui.status("Created", format!("the bucket {code_bucket}, which keeps versions and is not public"));
        }
        document.code.uploaded = code::upload(ui, cloud, &code_bucket, &key, &zip).await?;
    }

    let request = Request {
        stack: wanted.stack.clone(),
        template: TEMPLATE.to_owned(),
        declared: PARAMETERS.map(str::to_owned).to_vec(),
        parameters: parameters(wanted, existing.is_some(), &code_bucket, &key, zip.architecture())?,
        capabilities: vec!["CAPABILITY_IAM".to_owned()],
        tags: existing.as_ref().map(|stack| stack.tags.clone()).unwrap_or_default(),
        mode: DeploymentMode::Standard,
        upload_to: None,
    };
    let deployed = stack::deploy(ui, &stacks, &request, mode, interrupts).await?;
    document.changed = deployed.changed;
    document.function = deployed.outputs.get("FunctionName").cloned();
    let asked = mode != Mode::DryRun && (deployed.executed || !deployed.changed);
    if let Some(function) = document.function.clone().filter(|_| asked) {
        document.answered = proof::ask(ui, cloud, &function).await?;
    }
    document.stack = Some(deployed);
    document.took(start);
    Ok(document)
}

/// Deletes the stack. `false`: there was none.
///
/// # Errors
///
/// The stack is somebody else's, or can't be deleted now; AWS's reason.
pub(crate) async fn remove(ui: &Ui, cloud: &Cloud, name: &str, interrupts: &Interrupts) -> Result<bool> {
    let stacks = Stacks::new(cloud);
    let Some(stack) = stacks.find(name).await? else { return Ok(false) };
    refuse_another(&stack)?;
    stack::delete(ui, &stacks, name, interrupts).await
}

/// The stack's function, before it is deleted. `None`: there is no such stack.
///
/// # Errors
///
/// The stack is somebody else's; CloudFormation can't be asked.
pub(crate) async fn installed(cloud: &Cloud, name: &str) -> Result<Option<String>> {
    let Some(stack) = Stacks::new(cloud).find(name).await? else { return Ok(None) };
    refuse_another(&stack)?;
    Ok(Some(stack.outputs.get("FunctionName").cloned().unwrap_or_else(|| DEFAULT_NAME.to_owned())))
}

/// A stack with another template would lose everything that it has.
fn refuse_another(stack: &Stack) -> Result<()> {
    let has = |name: &str| stack.parameters.iter().any(|parameter| parameter == name);
    // One that was never filled has no parameters yet, and nothing to lose.
    let is_empty = stack.status == StackStatus::ReviewInProgress;
    if is_empty || ["ArtifactBucket", "CodeKey", "FunctionName"].into_iter().all(has) {
        return Ok(());
    }
    let message = format!("the stack `{}` is not the zipedit function's: it has other parameters", stack.name);
    Err(Error::new("AnotherStack", message).hint("choose another name: `--stack-name NAME`"))
}

/// A new stack can't make a function that is there already, and CloudFormation says so only when half of it is made.
async fn refuse_taken(cloud: &Cloud, wanted: &Wanted) -> Result<()> {
    let name = wanted.function.as_deref().unwrap_or(DEFAULT_NAME);
    let answer = retried(&cloud.get_function, || cloud.lambda.get_function().function_name(name).send()).await;
    match answer {
        Ok(_) => Err(Error::new(
            "FunctionExists",
            format!("there is a function `{name}` in {} already, and no stack `{}`", cloud.region, wanted.stack),
        )
        .hint("is it in a stack of another name? `--stack-name NAME`")
        .hint("else choose another name for the new function: `--function-name NAME`")),
        Err(error) if error.as_service_error().is_some_and(GetFunctionError::is_resource_not_found_exception) => Ok(()),
        // Whether it is there is CloudFormation's to find out then.
        Err(_) => Ok(()),
    }
}

fn code_bucket(wanted: &Wanted) -> Result<String> {
    wanted.code_bucket.clone().or_else(|| wanted.scope.bucket.clone()).ok_or_else(|| {
        Error::usage("it is not known which bucket the artifacts are in").hint(
            "give `--bucket BUCKET` (and `--prefix PREFIX/`), or run it where a quickdeploy.toml names the artifact",
        )
    })
}

/// The template's parameters, as far as they are to be set.
fn parameters(
    wanted: &Wanted,
    exists: bool,
    code_bucket: &str,
    code_key: &str,
    architecture: Architecture,
) -> Result<BTreeMap<String, String>> {
    if !exists && wanted.scope.bucket.is_none() {
        return Err(Error::usage("it is not known which bucket the function is to edit artifacts in")
            .hint("give `--bucket BUCKET`, and `--prefix PREFIX/` for a part of it"));
    }
    let mut parameters: BTreeMap<String, String> = [
        ("CodeBucket", code_bucket.to_owned()),
        ("CodeKey", code_key.to_owned()),
        // The key says what the content is.
        ("CodeObjectVersion", String::new()),
        ("CodeVersion", version::OURS.to_owned()),
        ("Architecture", architecture.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let optional = [
        ("ArtifactBucket", wanted.scope.bucket.clone()),
        ("ArtifactPrefix", wanted.scope.prefix.clone()),
        ("FunctionName", wanted.function.clone()),
        ("MemorySize", wanted.memory.map(|mb| mb.to_string())),
        ("Timeout", wanted.timeout.map(|seconds| seconds.to_string())),
        ("KmsKeyArn", wanted.kms_key.clone()),
        ("ObjectLock", wanted.object_lock.map(|locks| locks.to_string())),
    ];
    parameters.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(scope: Scope) -> Wanted {
        Wanted {
            stack: "zipedit".into(),
            function: None,
            architecture: None,
            zip: None,
            scope,
            code_bucket: None,
            memory: None,
            timeout: None,
            kms_key: None,
            object_lock: None,
        }
    }

    #[test]
    fn the_parameters_are_those_of_the_template() {
        let (_, rest) = TEMPLATE.split_once("\nParameters:\n").unwrap();
        let (declared, _) = rest.split_once("\nConditions:\n").unwrap();
        let declared: Vec<&str> = declared
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
            .filter(|name| !name.starts_with(' '))
            .collect();
        assert_eq!(declared, PARAMETERS);
    }

    #[test]
    fn what_nobody_asked_for_is_left_as_it_is() {
        let scope = Scope { bucket: Some("b".into()), prefix: Some("app/".into()) };
        let given = parameters(&wanted(scope), true, "c", "k", Architecture::Arm64).unwrap();
        let names: Vec<&str> = given.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "Architecture",
                "ArtifactBucket",
                "ArtifactPrefix",
                "CodeBucket",
                "CodeKey",
                "CodeObjectVersion",
                "CodeVersion"
            ]
        );
        assert_eq!(given["Architecture"], "arm64");
    }

    #[test]
    fn a_new_stack_has_to_be_told_its_bucket() {
        let error = parameters(&wanted(Scope::default()), false, "c", "k", Architecture::X86_64).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(parameters(&wanted(Scope::default()), true, "c", "k", Architecture::X86_64).is_ok());
    }

    #[test]
    fn a_stack_of_another_kind_is_not_touched() {
        let stack = |parameters: &[&str], status: StackStatus| Stack {
            id: "arn".into(),
            name: "app".into(),
            status,
            reason: None,
            parameters: parameters.iter().map(|&name| name.to_owned()).collect(),
            outputs: BTreeMap::new(),
            tags: BTreeMap::new(),
        };
        assert!(refuse_another(&stack(&PARAMETERS, StackStatus::CreateComplete)).is_ok());
        assert!(refuse_another(&stack(&[], StackStatus::ReviewInProgress)).is_ok());
        let error = refuse_another(&stack(&["FunctionName"], StackStatus::CreateComplete)).unwrap_err();
        assert_eq!(error.error_type(), "AnotherStack");
    }
}
