//! The function that patches artifacts: there, answering, allowed to touch this artifact, and not older than this
//! program.
//!
//! It is asked for a dry run of deleting an entry that the artifact doesn't have. That reads the artifact with the
//! function's own rights and writes nothing. Whether its role may write is not tried: IAM is asked, where the caller may.

use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use serde_json::{Value, json};
use zipedit_lambda::Answer;

use super::Target;
use super::finding::{Area, Finding, Level};
use super::probe::{Need, Probe, Verdict, judge};
use crate::bootstrap::version::{OURS, is_older};
use crate::project::Via;
use crate::retry::retried;
use crate::via::DEFAULT_FUNCTION;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    pub(crate) findings: Vec<Finding>,
    pub(crate) probes: Vec<Probe>,
    /// ARN of its role.
    pub(crate) role: Option<String>,
}

/// Looks at it, if the configuration uses it.
pub(crate) async fn examine(target: &Target<'_>) -> Examined {
    let mut examined = Examined::default();
    let (cloud, settings) = (target.cloud, target.settings);
    let (need, broken) = match settings.via {
        Via::Direct => return examined,
        Via::Lambda => (Need::Deployment, Level::Failed),
        // Then it is patched from here.
        Via::Auto => (Need::Only("patching by the function, where that is faster"), Level::Warning),
    };
    let name = settings.zipedit.as_deref().unwrap_or(DEFAULT_FUNCTION);
    let finding = |level, message: String| Finding::new(level, Area::Zipedit, "zipedit", message);

    let request = cloud.lambda.invoke().function_name(name).invocation_type(InvocationType::DryRun);
    if let Err(error) = request.send().await {
        if error.as_service_error().is_some_and(InvokeError::is_resource_not_found_exception) {
            let message = format!("there is no function `{name}` in {} to patch with", cloud.region);
            examined.findings.push(
                finding(broken, message)
                    .mend("`quickdeploy bootstrap` makes it")
                    .mend("or patch from here only: via = \"direct\" in quickdeploy.toml"),
            );
            return examined;
        }
        let verdict = judge(cloud, &format!("could not ask for the function `{name}`"), Err::<(), _>(error), &[]);
        if !matches!(verdict, Verdict::Allowed) {
            examined.probes.push(Probe::new("lambda:InvokeFunction", target.function_arn(name), need, verdict));
            return examined;
        }
    }
    examined.probes.push(Probe::new("lambda:InvokeFunction", target.function_arn(name), need, Verdict::Allowed));

    let read = retried(&cloud.get_function, || cloud.lambda.get_function().function_name(name).send()).await;
    let config = read.ok().and_then(|output| output.configuration);
    examined.role = config.and_then(|config| config.role);

    let event = json!({ "src": target.url.to_string(), "changes": { ".quickdeploy-doctor": null }, "dryRun": true });
    let answer = cloud.lambda.invoke().function_name(name).payload(Blob::new(event.to_string())).send().await;
    examined.findings.push(match answer {
        Ok(answer) => {
            let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
            match answer.function_error() {
                Some(kind) => refused(name, kind, payload, target, broken),
                None => answered(name, payload, broken),
            }
        }
        Err(error) => {
            let told = cloud.explain(&format!("the function `{name}` did not answer"), &error);
            Finding::of_error(broken, Area::Zipedit, "zipedit", &told)
        }
    });
    examined
}

/// An error that the function threw.
fn refused(name: &str, kind: &str, payload: &[u8], target: &Target<'_>, broken: Level) -> Finding {
    let thrown: Value = serde_json::from_slice(payload).unwrap_or_default();
    let text = |key: &str| thrown[key].as_str().map(str::to_owned);
    let kind = text("errorType").unwrap_or_else(|| kind.to_owned());
    let message = text("errorMessage").unwrap_or_else(|| String::from_utf8_lossy(payload).into_owned());
    let finding =
        Finding::new(broken, Area::Zipedit, "zipedit", format!("`{name}` refused a dry run: {message} ({kind})"));
    match kind.as_str() {
        "AccessDenied" => {
            let url = &target.url;
            let prefix = url.key.rsplit_once('/').map_or_else(String::new, |(folder, _)| format!("{folder}/"));
            finding.mend(format!(
                "its role has to cover the artifact: `quickdeploy bootstrap --bucket {} --prefix '{prefix}'`",
                url.bucket
            ))
        }
        // The artifact's own findings say so, too.
        "ArtifactNotFound" | "NotAZip" => finding,
        _ => finding
            .mend(format!("look into its log: `aws logs tail /aws/lambda/{name}`"))
            .mend("is it the zipedit function? `quickdeploy bootstrap` makes or updates it"),
    }
}

fn answered(name: &str, payload: &[u8], broken: Level) -> Finding {
    let finding = |level, message: String| Finding::new(level, Area::Zipedit, "zipedit", message);
    let Ok(answer) = serde_json::from_slice::<Answer>(payload) else {
        return finding(broken, format!("`{name}` gave an answer that is not understood"))
            .mend("is it the zipedit function? `quickdeploy bootstrap` makes or updates it");
    };
    if !is_older(&answer.version, OURS) {
        return finding(Level::Ok, format!("`{name}` {} can read the artifact", answer.version));
    }
    let theirs = if answer.version.is_empty() { "of a version that doesn't say which" } else { &answer.version };
    finding(Level::Warning, format!("`{name}` answers, but is older than this program: {theirs}, not {OURS}"))
        .mend("`quickdeploy bootstrap` updates it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(version: &str) -> Vec<u8> {
        json!({
            "added": 0, "modified": 0, "identical": 0, "deleted": 0, "missing": 1, "etag": "\"e\"", "versionId": null,
            "size": 1, "entries": 1, "unzippedSize": 1, "strategy": "none", "dryRun": true, "bytesRead": 1,
            "bytesWritten": 0, "bytesCopied": 0, "requests": 1, "roundTrips": 1, "attempts": 1, "elapsedMs": 1,
            "version": version,
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn an_older_function_and_one_that_is_something_else_are_told() {
        let old = answered("zipedit", &answer(""), Level::Failed);
        assert_eq!(old.level, Level::Warning);
        let current = answered("zipedit", &answer(OURS), Level::Failed);
        assert_eq!(current.level, Level::Ok, "{}", current.message);
        let other = answered("zipedit", b"\"hello\"", Level::Failed);
        assert_eq!(other.level, Level::Failed);
    }
}
