//! The functions' execution role, made when there is none.
//!
//! A role that is there is taken as it is. One that is made here may be assumed by Lambda and may write logs, and nothing
//! else. IAM tells its other halves of a new role only after some seconds; until then Lambda says that it can't be
//! assumed, and whoever uses it has to try again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use serde::Serialize;

use crate::aws::Cloud;
use crate::error::{Error, Result};

/// Who may assume it: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html>.
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
/// What it may do: write logs.
const POLICY: &str = "iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";

/// How long a new role is given to become known, and how often it is tried.
pub(super) const SETTLING: Duration = Duration::from_secs(30);
pub(super) const SETTLING_PAUSE: Duration = Duration::from_secs(2);
/// A role that somebody else, or an earlier run, made so recently is new, too.
const NEW: Duration = Duration::from_secs(60);

/// The role that functions get.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Role {
    pub(crate) arn: String,
    /// Whether it was made in this run.
    pub(crate) created: bool,
    /// It is so new that Lambda may not know it yet.
    #[serde(skip)]
    pub(crate) settling: bool,
}

/// The role `name` (or ARN) as it is. `None`: there is none.
///
/// # Errors
///
/// IAM can't be asked.
pub(super) async fn find(cloud: &Cloud, name: &str) -> Result<Option<Role>> {
    if name.starts_with("arn:") {
        return Ok(Some(Role { arn: name.to_owned(), created: false, settling: false }));
    }
    match cloud.iam().get_role().role_name(name).send().await {
        Ok(answer) => Ok(answer.role().map(|role| Role {
            arn: role.arn().to_owned(),
            created: false,
            settling: is_new(role.create_date().secs(), SystemTime::now()),
        })),
        Err(error) if error.code() == Some("NoSuchEntity") => Ok(None),
        Err(error) => Err(cloud.explain(&format!("could not look at the role `{name}`"), &error)),
    }
}

/// Makes the role.
///
/// # Errors
///
/// No permission, a name that is none. Then there is no role.
pub(super) async fn create(cloud: &Cloud, name: &str) -> Result<Role> {
    let iam = cloud.iam();
    let created = iam
        .create_role()
        .role_name(name)
        .assume_role_policy_document(TRUST)
        .description("Execution role of Lambda functions, made by quickdeploy")
        .send()
        .await;
    let arn = match created {
        Ok(answer) => answer.role().map(|role| role.arn().to_owned()).unwrap_or_default(),
        // Another run was faster.
        Err(error) if error.code() == Some("EntityAlreadyExists") => {
            return find(cloud, name).await?.ok_or_else(|| {
                Error::new("RoleNotFound", format!("the role `{name}` was made and deleted by somebody else meanwhile"))
            });
        }
        Err(error) => return Err(cloud.explain(&format!("could not create the role `{name}`"), &error)),
    };
    let policy = format!("arn:{}:{POLICY}", partition(&arn));
    if let Err(error) = iam.attach_role_policy().role_name(name).policy_arn(&policy).send().await {
        let told = cloud.explain(&format!("could not attach {policy} to the new role `{name}`"), &error);
        // Without its policy, it would be taken for finished by the next run.
        return Err(match iam.delete_role().role_name(name).send().await {
            Ok(_) => told,
            Err(_) => told.hint(format!("the role `{name}` is there, without it: delete it and run again")),
        });
    }
    Ok(Role { arn, created: true, settling: true })
}

/// `aws-cn` of `arn:aws-cn:iam::…`.
fn partition(arn: &str) -> &str {
    arn.split(':').nth(1).filter(|partition| !partition.is_empty()).unwrap_or("aws")
}

/// Whether something that was created then, in seconds since 1970, is new now. A clock that is ahead of AWS's by a
/// minute makes it old.
fn is_new(created: i64, now: SystemTime) -> bool {
    let created = UNIX_EPOCH + Duration::from_secs(u64::try_from(created).unwrap_or(0));
    now.duration_since(created).is_ok_and(|age| age < NEW) || created.duration_since(now).is_ok_and(|ahead| ahead < NEW)
}

/// Whether this is what Lambda says of a role that it doesn't know yet.
pub(super) fn is_unknown_yet(text: &str) -> bool {
    text.contains("cannot be assumed by Lambda")
}

/// Whether this error says so.
pub(super) fn is_unknown_to_lambda<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.message().is_some_and(is_unknown_yet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_that_of_the_roles_partition() {
        assert_eq!(partition("arn:aws-cn:iam::123456789012:role/x"), "aws-cn");
        assert_eq!(partition(""), "aws");
    }

    #[test]
    fn a_role_is_new_for_a_minute() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (created, new) in [(1_000_000, true), (999_950, true), (1_000_030, true), (999_900, false), (0, false)] {
            assert_eq!(is_new(created, now), new, "{created}");
        }
    }

    #[test]
    fn the_trust_policy_is_json() {
        let policy: serde_json::Value = serde_json::from_str(TRUST).unwrap();
        assert_eq!(policy["Statement"][0]["Principal"]["Service"], "lambda.amazonaws.com");
    }
}
