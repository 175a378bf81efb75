//! What an update could not succeed with, looked for before anything is written: container images, functions in
//! another region than the bucket, enforced code signing.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::CodeSigningPolicy;

use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::Function;
use crate::retry::retried;

/// What `finding` finds, unless an update of it could not succeed. `Some(note)`: whether code has to be signed may not be looked up;
/// AWS then refuses the update itself, should it have to be.
///
/// # Errors
///
/// Those of `finding`. Names every function that is in the way, with the reason: container image, another region, enforced code
/// signing.
pub(crate) async fn guarded(
    cloud: &Cloud,
    finding: impl Future<Output = Result<Vec<Function>>>,
) -> Result<(Vec<Function>, Option<String>)> {
    // At the same time: nobody waits a round trip longer for what is nearly always an empty list.
    let (found, enforcing) = futures::try_join!(finding, async { Ok(enforcing_configs(cloud).await) })?;
    shapes(&cloud.region, &found)?;
    let note = code_signing(cloud, &found, enforcing).await?;
    Ok((found, note))
}

/// The guards that need no request.
fn shapes(region: &str, functions: &[Function]) -> Result<()> {
    let names = |wrong: &dyn Fn(&Function) -> bool| -> Vec<String> {
        functions.iter().filter(|function| wrong(function)).map(|function| format!("`{}`", function.name)).collect()
    };
    let images = names(&|function| !function.zip_package);
    if !images.is_empty() {
        return Err(Error::new(
            "ImageFunction",
            format!("{} runs from a container image: there is no zip to patch", images.join(", ")),
        )
        .hint("take it out of `functions` in quickdeploy.toml"));
    }
    let elsewhere = names(&|function| function.region().is_some_and(|has| has != region));
    if !elsewhere.is_empty() {
        return Err(Error::new(
            "WrongRegion",
            format!(
                "{} is not in {region}: Lambda takes code only from a bucket in its own region",
                elsewhere.join(", ")
            ),
        )
        .hint("deploy each region by itself, with `--env` or `--region`, from a bucket there"));
    }
    Ok(())
}

/// Looks for functions with one of the `enforcing` configurations. Accounts without any, which is nearly all, are recognised by one
/// call, however many functions there are.
///
/// `Ok(Some(note))` when it could not be looked up.
async fn code_signing(cloud: &Cloud, functions: &[Function], enforcing: Result<Vec<String>>) -> Result<Option<String>> {
    let enforcing = match enforcing {
        Ok(arns) => arns,
        Err(error) if functions.iter().any(|function| function.signed) => {
            return Err(Error::new(
                "CodeSigning",
                "some functions are signed, and whether that is enforced is not known",
            )
            .because(&error)
            .hint("allow `lambda:ListCodeSigningConfigs` and `lambda:ListFunctionsByCodeSigningConfig`"));
        }
        Err(error) => return Ok(Some(format!("code signing could not be checked: {error}"))),
    };
    let enforced = enforced_by(cloud, enforcing).await?;
    match functions.iter().find_map(|function| Some((function, enforced.get(&function.arn)?))) {
        Some((function, config)) => Err(Error::new(
            "CodeSigningEnforced",
            format!("`{}` takes only signed code ({config}): a patched zip has no signature", function.name),
        )
        .hint("deploy it through its signing pipeline, or let its code signing policy only warn")),
        None => Ok(None),
    }
}

/// The ARNs of the functions that take only signed code, each with the configuration that says so.
///
/// # Errors
///
/// The configurations can't be listed, or not the functions that they are for.
pub(crate) async fn enforced(cloud: &Cloud) -> Result<BTreeMap<String, String>> {
    enforced_by(cloud, enforcing_configs(cloud).await?).await
}

async fn enforced_by(cloud: &Cloud, configs: Vec<String>) -> Result<BTreeMap<String, String>> {
    let mut enforced = BTreeMap::new();
    for config in configs {
        let mut marker: Option<String> = None;
        loop {
            let page = retried(&cloud.control_plane, || {
                cloud
                    .lambda
                    .list_functions_by_code_signing_config()
                    .code_signing_config_arn(&config)
                    .set_marker(marker.clone())
                    .send()
            })
            .await
            .map_err(|error| cloud.explain("could not list the functions with enforced code signing", &error))?;
            let arns = page.function_arns.unwrap_or_default();
            enforced.extend(arns.into_iter().map(|function| (function, config.clone())));
            marker = page.next_marker;
            if marker.as_deref().is_none_or(str::is_empty) {
                break;
            }
        }
    }
    Ok(enforced)
}

/// The code signing configurations of the account that refuse unsigned code.
async fn enforcing_configs(cloud: &Cloud) -> Result<Vec<String>> {
    let mut arns = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let page = retried(&cloud.control_plane, || {
            cloud.lambda.list_code_signing_configs().set_marker(marker.clone()).send()
        })
        .await
        .map_err(|error| cloud.explain("could not list the code signing configurations", &error))?;
        arns.extend(page.code_signing_configs.unwrap_or_default().into_iter().filter_map(|config| {
            let policy = config.code_signing_policies.and_then(|policies| policies.untrusted_artifact_on_deployment);
            (policy == Some(CodeSigningPolicy::Enforce)).then_some(config.code_signing_config_arn)
        }));
        marker = page.next_marker;
        if marker.as_deref().is_none_or(str::is_empty) {
            return Ok(arns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::tests::function;

    #[test]
    fn image_functions_and_other_regions_are_refused_by_name() {
        let mut image = function("img", "A", 1);
        image.zip_package = false;
        let error = shapes("us-east-1", &[function("ok", "A", 1), image]).unwrap_err();
        assert_eq!(error.error_type(), "ImageFunction");
        assert!(error.message().contains("`img`") && !error.message().contains("`ok`"));
        let error = shapes("eu-west-1", &[function("far", "A", 1)]).unwrap_err();
        assert_eq!(error.error_type(), "WrongRegion");
    }
}
