//! What the requests that make or change a stack have in common: a template, parameters, capabilities, tags.

use std::collections::BTreeMap;

use crate::cloudformation::capabilities::check as check_capabilities;
use crate::cloudformation::change_set::DeploymentConfig;
use crate::cloudformation::errors::{Result, constraint, invalid};
use crate::cloudformation::parameters::{Given, resolve};
use crate::cloudformation::stack::{Mode, Options, Revision, Stack};
use crate::cloudformation::template::{Template, check_length, transforms};
use crate::cloudformation::{CloudFormation, serverless, syntax};
use crate::lambda::Objects as _;
use crate::protocol::query::{Call, Form};

/// A stack's name, or in most operations its id.
pub(super) fn checked_name(name: &str) -> Result<&str> {
    let mut characters = name.chars();
    let valid = characters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !valid && !name.starts_with("arn:") {
        let rule = "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*|arn:[-a-zA-Z0-9:/._+]*";
        return Err(constraint(name, "stackName", rule));
    }
    if valid && name.len() > 128 {
        return Err(constraint(name, "stackName", "Member must have length less than or equal to 128"));
    }
    Ok(name)
}

/// The text of the template: in the request, in S3, or that of the stack.
pub(super) fn template_text(cloudformation: &CloudFormation, form: &Form, stack: Option<&Stack>) -> Result<String> {
    let (body, url) = (form.get("TemplateBody"), form.get("TemplateURL"));
    match (body, url, form.flag("UsePreviousTemplate")) {
        (Some(body), None, false) => {
            check_length(body)?;
            Ok(body.to_owned())
        }
        (None, Some(url), false) => of_url(cloudformation, url),
        (None, None, true) => match stack {
            Some(stack) if !stack.revision.original.is_empty() => Ok(stack.revision.original.clone()),
            _ => Err(invalid("UsePreviousTemplate needs a stack that has a template.")),
        },
        (None, None, false) => Err(invalid("Either Template URL or Template Body must be specified.")),
        _ => Err(invalid("Only one of TemplateBody, TemplateURL and UsePreviousTemplate may be specified.")),
    }
}

/// A template in this cloud's S3. Its URL may have the bucket in the host or in the path.
fn of_url(cloudformation: &CloudFormation, url: &str) -> Result<String> {
    let unsupported = || invalid("TemplateURL must be a supported URL.");
    let uri: http::Uri = url.parse().map_err(|_| unsupported())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(unsupported());
    }
    let path = crate::operation::percent_decoded(uri.path().trim_start_matches('/'));
    let host = uri.host().unwrap_or_default();
    let in_host = crate::s3::bucket_of_host(host)
        .or_else(|| host.split_once(".s3.").or_else(|| host.split_once(".s3-")).map(|(bucket, _)| bucket));
    let (bucket, key) = match in_host {
        Some(bucket) => (bucket.to_owned(), path),
        None => {
            path.split_once('/').map(|(bucket, key)| (bucket.to_owned(), key.to_owned())).ok_or_else(unsupported)?
        }
    };
    let version = uri.query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("versionId=")));
    let object = cloudformation.services().store.object(&bucket, &key, version);
    let object = object.map_err(|error| invalid(format!("S3 error: {error} ({bucket}/{key})")))?;
    let bytes = object.chunks.concat();
    if bytes.len() > 1_000_000 {
        return Err(invalid("Template may not exceed 1000000 bytes in size."));
    }
    String::from_utf8(bytes).map_err(|_| invalid("Template format error: the template is not UTF-8."))
}

/// What the stack shall become, as far as the request alone says it.
pub(super) fn revision(cloudformation: &CloudFormation, call: &Call, stack: Option<&Stack>) -> Result<Revision> {
    let form = &call.form;
    let original = template_text(cloudformation, form, stack)?;
    let (processed, transforms) = processed(&original)?;
    let template = Template::parse(&processed)?;
    check_resource_types(&template, form)?;
    let none = BTreeMap::new();
    let previous = stack.map_or(&none, |stack| &stack.revision.parameters);
    let parameters = resolve(&template.parameters, &given(form)?, previous)?;
    let capabilities = form.list("Capabilities").unwrap_or_default();
    check_capabilities(&template, &capabilities)?;
    let tags = match tags(form)? {
        Some(tags) => tags,
        None => stack.map(|stack| stack.revision.tags.clone()).unwrap_or_default(),
    };
    Ok(Revision { original, processed, transforms, parameters, tags, capabilities })
}

/// What a nested stack shall become.
pub(in crate::cloudformation) fn nested_revision(
    cloudformation: &CloudFormation,
    url: &str,
    given: &[Given],
    tags: BTreeMap<String, String>,
    capabilities: Vec<String>,
) -> Result<Revision> {
    let original = of_url(cloudformation, url)?;
    let (processed, transforms) = processed(&original)?;
    let template = Template::parse(&processed)?;
    let parameters = resolve(&template.parameters, given, &BTreeMap::new())?;
    check_capabilities(&template, &capabilities)?;
    Ok(Revision { original, processed, transforms, parameters, tags, capabilities })
}

/// A template's document with its transforms expanded, and their names.
pub(super) fn processed(text: &str) -> Result<(serde_json::Value, Vec<String>)> {
    let document = syntax::read(text)?;
    let transforms = transforms(&document)?;
    Ok((serverless::expanded(document, &transforms)?, transforms))
}

/// `ResourceTypes` limits what a template may have, as `AWS::Lambda::*`.
fn check_resource_types(template: &Template, form: &Form) -> Result<()> {
    let Some(allowed) = form.list("ResourceTypes").filter(|allowed| !allowed.is_empty()) else { return Ok(()) };
    let is_allowed = |kind: &str| {
        allowed.iter().any(|pattern| {
            pattern.strip_suffix('*').map_or(pattern == kind, |start| kind.starts_with(start) && start.ends_with("::"))
        })
    };
    match template.resources.values().find(|declared| !is_allowed(&declared.kind)) {
        Some(declared) => Err(invalid(format!(
            "Resource type {} is not allowed by parameter ResourceTypes [{}]",
            declared.kind,
            allowed.join(", ")
        ))),
        None => Ok(()),
    }
}

fn given(form: &Form) -> Result<Vec<Given>> {
    let mut all: Vec<Given> = Vec::new();
    for item in form.items("Parameters") {
        let key = item.get("ParameterKey").unwrap_or_default().to_owned();
        if all.iter().any(|given| given.key == key) {
            return Err(invalid(format!("Duplicate parameter keys are not allowed: {key}")));
        }
        let previous = item.flag("UsePreviousValue");
        let value = item.get("ParameterValue");
        if previous && value.is_some_and(|value| !value.is_empty()) {
            return Err(invalid(format!(
                "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true and non empty value for a parameter"
            )));
        }
        let value = (!previous).then(|| value.unwrap_or_default().to_owned());
        all.push(Given { key, value });
    }
    Ok(all)
}

/// The request's tags. `None` when it doesn't speak of tags at all.
fn tags(form: &Form) -> Result<Option<BTreeMap<String, String>>> {
    let items = form.items("Tags");
    if items.is_empty() && form.get("Tags").is_none() {
        return Ok(None);
    }
    let mut tags = BTreeMap::new();
    for item in items {
        let key = item.get("Key").unwrap_or_default();
        if key.is_empty() {
            return Err(constraint("", "tags.1.member.key", "Member must have length greater than or equal to 1"));
        }
        if key.starts_with("aws:") {
            return Err(invalid(format!("aws: prefixed tag key names are not allowed for external use: {key}")));
        }
        tags.insert(key.to_owned(), item.get("Value").unwrap_or_default().to_owned());
    }
    if tags.len() > 50 {
        return Err(invalid("A stack may have at most 50 tags."));
    }
    Ok(Some(tags))
}

/// `DeploymentConfig` of a request.
pub(super) fn deployment(form: &Form) -> Result<DeploymentConfig> {
    let mode = match form.get("DeploymentConfig.Mode") {
        None => None,
        Some("STANDARD") => Some(Mode::Standard),
        Some("EXPRESS") => Some(Mode::Express),
        Some(other) => {
            let rule = "Member must satisfy enum value set: [EXPRESS, STANDARD]";
            return Err(constraint(other, "deploymentConfig.mode", rule));
        }
    };
    let disable_rollback = form.get("DeploymentConfig.DisableRollback").map(|flag| flag.eq_ignore_ascii_case("true"));
    Ok(DeploymentConfig { mode, disable_rollback })
}

/// What a request sets besides the template. What it doesn't speak of stays as it was.
pub(super) fn options(form: &Form, stack: Option<&Stack>) -> Result<Options> {
    let mut options = stack.map(|stack| stack.options.clone()).unwrap_or_default();
    if let Some(role) = form.get("RoleARN") {
        options.role_arn = Some(role.to_owned());
    }
    if let Some(arns) = form.list("NotificationARNs") {
        options.notification_arns = arns;
    }
    if let Some(minutes) = form.get("TimeoutInMinutes") {
        let rule = "Member must have value greater than or equal to 1";
        let minutes = minutes.parse().ok().filter(|minutes| *minutes > 0);
        options.timeout_in_minutes = Some(minutes.ok_or_else(|| constraint("0", "timeoutInMinutes", rule))?);
    }
    if form.get("EnableTerminationProtection").is_some() {
        options.termination_protection = form.flag("EnableTerminationProtection");
    }
    options.mode = deployment(form)?.mode;
    Ok(options)
}
