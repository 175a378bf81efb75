//! Which IAM actions a request needs, on which resources: after the Service Authorization Reference and the operations'
//! own pages.
//!
//! - S3: see [`s3`].
//! - Lambda: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html>, and for tags
//!   <https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html>.
//! - CloudFormation: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html>.
//! - IAM: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html>.
//! - STS: `GetCallerIdentity` takes nothing,
//!   <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>.
//! - CodeBuild: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodebuild.html>.
//! - CloudWatch Logs: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html>.
//!
//! A request's needs are known before it is carried out, but for a few that depend on what is found: the key of an
//! object that is encrypted, whether a key that is missing may be told from one that is forbidden. The services ask for
//! those themselves. What a stack's resources need is in CloudFormation's own `permissions.rs`.

mod cloudformation;
mod json;
mod lambda;
mod query;
pub(crate) mod s3;

pub(crate) use json::{log_stream, of_json};
pub(crate) use lambda::{Asked as LambdaRequest, layer_arn, of_lambda, see_tags};
pub(crate) use query::of_query;

use crate::iam::Need;
use crate::s3::ACCOUNT;

/// `arn:aws:SERVICE:REGION:ACCOUNT:`.
pub(crate) fn arn(service: &str, region: &str, resource: &str) -> String {
    let partition = if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    };
    format!("arn:{partition}:{service}:{region}:{ACCOUNT}:{resource}")
}

/// To hand a role to a service.
pub(crate) fn pass_role(role: &str, service: &str) -> Need {
    Need::new("iam:PassRole", role).with("iam:PassedToService", service)
}

/// To read an object, or a version of it, as Lambda and CloudFormation do in the caller's name.
pub(crate) fn read_object(bucket: &str, key: &str, version: Option<&str>) -> Need {
    let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    let need = Need::new(action, format!("arn:aws:s3:::{bucket}/{key}"));
    match version {
        Some(version) => need.with("s3:VersionId", version),
        None => need,
    }
}
