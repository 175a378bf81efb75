//! The types of resources: how each is created, updated, replaced and deleted in the services of this cloud.
//!
//! A provider gets properties in which every function is evaluated, and answers like AWS's own: with a physical id and
//! attributes, or with the reason that the stack's event will show. Calls go to the services' own operations, so a
//! function made by a stack is the same as one made by `CreateFunction`.

mod bucket;
mod function;
mod layer;
mod log_group;
mod policy;
mod properties;
mod role;
mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::iam::Iam;
use crate::lambda::Lambda;
use crate::logs::Logs;
use crate::protocol::query;
use crate::s3::Store;

pub(super) use properties::Properties;

/// The type of nested stacks, which deployments make themselves.
pub(super) const NESTED_STACK: &str = "AWS::CloudFormation::Stack";

/// The services that resources live in.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) lambda: Arc<Lambda>,
    pub(crate) store: Arc<Store>,
    pub(crate) iam: Arc<Iam>,
    pub(crate) logs: Arc<Logs>,
}

/// A resource's place: the stack, and its name in the template.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) stack_name: String,
    pub(super) stack_id: String,
    pub(super) region: String,
    pub(super) logical_id: String,
}

impl Place {
    /// A name for a resource that was given none: the stack, the resource and some random characters.
    pub(super) fn generated_name(&self, longest: usize) -> String {
        const RANDOM: usize = 12;
        let random = &crate::s3::ids::version_id()[..RANDOM];
        let room = longest - RANDOM - 2;
        let resource: String =
            self.logical_id.chars().take(room.saturating_sub(room.min(self.stack_name.len()) / 2)).collect();
        let stack: String = self.stack_name.chars().take(room - resource.len()).collect();
        format!("{stack}-{resource}-{random}")
    }
}

/// A resource as it was made.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    /// What `Ref` gives.
    pub(super) physical_id: String,
    pub(super) attributes: Attributes,
}

/// What `Fn::GetAtt` gives, by name.
pub(super) type Attributes = BTreeMap<String, Value>;

/// Why a resource could not be made, changed or deleted, as a stack event says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure(pub(super) String);

pub(super) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// What the handler of a resource type reports.
    fn handler(message: &str, code: &str) -> Self {
        let token = uuid::Uuid::new_v4();
        Self(format!(
            "Resource handler returned message: \"{message}\" (RequestToken: {token}, HandlerErrorCode: {code})"
        ))
    }

    /// What a service refused.
    pub(super) fn service(service: &str, status: u16, message: &str) -> Self {
        let code = match status {
            403 => "AccessDenied",
            404 => "NotFound",
            409 => "AlreadyExists",
            429 => "Throttling",
            500.. => "ServiceInternalError",
            _ => "InvalidRequest",
        };
        let request = uuid::Uuid::new_v4();
        let message = format!("{message} (Service: {service}, Status Code: {status}, Request ID: {request})");
        Self::handler(&message, code)
    }

    fn property(message: &str) -> Self {
        Self(format!("Property validation failure: [{message}]"))
    }
}

impl From<query::Refusal> for Failure {
    fn from(refusal: query::Refusal) -> Self {
        Self::service("Iam", refusal.status, &refusal.message)
    }
}

/// Whether a change of a property needs a new resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Recreation {
    Never,
    Always,
}

/// The types that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Alias,
    Bucket,
    BucketPolicy,
    Function,
    LayerVersion,
    LogGroup,
    ManagedPolicy,
    Permission,
    Policy,
    Role,
    Stack,
    Version,
}

/// What is known of a type without looking at a resource.
struct Schema {
    kind: Kind,
    name: &'static str,
    required: &'static [&'static str],
    /// A change of these needs a new resource.
    immutable: &'static [&'static str],
    /// A change of these doesn't.
    mutable: &'static [&'static str],
    attributes: &'static [&'static str],
}

const SCHEMAS: [Schema; 12] = [
    Schema {
        kind: Kind::Alias,
        name: "AWS::Lambda::Alias",
        required: &["FunctionName", "FunctionVersion", "Name"],
        immutable: &["FunctionName", "Name"],
        mutable: &["Description", "FunctionVersion", "RoutingConfig"],
        attributes: &["AliasArn"],
    },
    Schema {
        kind: Kind::Bucket,
        name: "AWS::S3::Bucket",
        required: &[],
        immutable: &["BucketName"],
        mutable: &[
            "BucketEncryption",
            "LifecycleConfiguration",
            "OwnershipControls",
            "PublicAccessBlockConfiguration",
            "Tags",
            "VersioningConfiguration",
        ],
        attributes: &["Arn", "DomainName", "DualStackDomainName", "RegionalDomainName", "WebsiteURL"],
    },
    Schema {
        kind: Kind::BucketPolicy,
        name: "AWS::S3::BucketPolicy",
        required: &["Bucket", "PolicyDocument"],
        immutable: &["Bucket"],
        mutable: &["PolicyDocument"],
        attributes: &[],
    },
    Schema {
        kind: Kind::Function,
        name: "AWS::Lambda::Function",
        required: &["Code", "Role"],
        immutable: &["FunctionName", "PackageType"],
        mutable: &[
            "Architectures",
            "Code",
            "CodeSigningConfigArn",
            "DeadLetterConfig",
            "Description",
            "Environment",
            "EphemeralStorage",
            "FileSystemConfigs",
            "Handler",
            "ImageConfig",
            "KmsKeyArn",
            "Layers",
            "LoggingConfig",
            "MemorySize",
            "ReservedConcurrentExecutions",
            "Role",
            "Runtime",
            "SnapStart",
            "Tags",
            "Timeout",
            "TracingConfig",
            "VpcConfig",
        ],
        attributes: &["Arn"],
    },
    Schema {
        kind: Kind::LayerVersion,
        name: "AWS::Lambda::LayerVersion",
        required: &["Content"],
        immutable: &[
            "CompatibleArchitectures",
            "CompatibleRuntimes",
            "Content",
            "Description",
            "LayerName",
            "LicenseInfo",
        ],
        mutable: &[],
        attributes: &["LayerVersionArn"],
    },
    Schema {
        kind: Kind::LogGroup,
        name: "AWS::Logs::LogGroup",
        required: &[],
        immutable: &["LogGroupName"],
        mutable: &["RetentionInDays", "Tags"],
        attributes: &["Arn"],
    },
    Schema {
        kind: Kind::ManagedPolicy,
        name: "AWS::IAM::ManagedPolicy",
        required: &["PolicyDocument"],
        immutable: &["Description", "ManagedPolicyName", "Path"],
        mutable: &["PolicyDocument", "Roles"],
        attributes: &["PolicyArn"],
    },
    Schema {
        kind: Kind::Permission,
        name: "AWS::Lambda::Permission",
        required: &["Action", "FunctionName", "Principal"],
        immutable: &[
            "Action",
            "EventSourceToken",
            "FunctionName",
            "FunctionUrlAuthType",
            "Principal",
            "PrincipalOrgID",
            "SourceAccount",
            "SourceArn",
        ],
        mutable: &[],
        attributes: &["Id"],
    },
    Schema {
        kind: Kind::Policy,
        name: "AWS::IAM::Policy",
        required: &["PolicyDocument", "PolicyName", "Roles"],
        immutable: &[],
        mutable: &["PolicyDocument", "PolicyName", "Roles"],
        attributes: &["Id"],
    },
    Schema {
        kind: Kind::Role,
        name: "AWS::IAM::Role",
        required: &["AssumeRolePolicyDocument"],
        immutable: &["Path", "RoleName"],
        mutable: &[
            "AssumeRolePolicyDocument",
            "Description",
            "ManagedPolicyArns",
            "MaxSessionDuration",
            "PermissionsBoundary",
            "Policies",
            "Tags",
        ],
        attributes: &["Arn", "RoleId"],
    },
    Schema {
        kind: Kind::Stack,
        name: NESTED_STACK,
        required: &["TemplateURL"],
        immutable: &[],
        mutable: &["NotificationARNs", "Parameters", "Tags", "TemplateURL", "TimeoutInMinutes"],
        attributes: &[],
    },
    Schema {
        kind: Kind::Version,
        name: "AWS::Lambda::Version",
        required: &["FunctionName"],
        immutable: &["CodeSha256", "Description", "FunctionName"],
        mutable: &[],
        attributes: &["FunctionArn", "Version"],
    },
];

fn schema(kind: &str) -> Option<&'static Schema> {
    SCHEMAS.iter().find(|schema| schema.name == kind)
}

pub(super) fn is_known(kind: &str) -> bool {
    schema(kind).is_some()
}

pub(super) fn has_attribute(kind: &str, attribute: &str) -> bool {
    // Which outputs a nested stack has is known when it has been made.
    let is_output = kind == NESTED_STACK && attribute.starts_with("Outputs.");
    is_output || schema(kind).is_some_and(|schema| schema.attributes.contains(&attribute))
}

pub(super) fn recreation(kind: &str, property: &str) -> Recreation {
    let immutable = schema(kind).is_some_and(|schema| schema.immutable.contains(&property));
    if immutable { Recreation::Always } else { Recreation::Never }
}

/// Whether a stack's tags are passed on to resources of a type.
pub(super) fn is_taggable(kind: &str) -> bool {
    schema(kind).is_some_and(|schema| schema.mutable.contains(&"Tags"))
}

/// Holds the names of properties against the type's.
fn checked(kind: &str, properties: &Map<String, Value>) -> Result<&'static Schema> {
    let schema = schema(kind).ok_or_else(|| Failure(format!("Unrecognized resource type: {kind}")))?;
    let known = |name: &&String| schema.immutable.contains(&name.as_str()) || schema.mutable.contains(&name.as_str());
    let unknown: Vec<&str> = properties.keys().filter(|name| !known(name)).map(String::as_str).collect();
    if !unknown.is_empty() {
        let message = format!("Encountered unsupported properties in {{/}}: [{}]", unknown.join(", "));
        return Err(Failure::property(&message));
    }
    let missing: Vec<String> = schema
        .required
        .iter()
        .filter(|name| !properties.contains_key(**name))
        .map(|name| format!("The property {{/{name}}} is required"))
        .collect();
    if missing.is_empty() { Ok(schema) } else { Err(Failure::property(&missing.join(", "))) }
}

/// Refuses properties that a type doesn't have, or lacks.
pub(super) fn check_properties(kind: &str, wanted: &Properties) -> Result<()> {
    checked(kind, &wanted.members).map(drop)
}

/// A nested stack is no service's resource.
fn no_service() -> Failure {
    Failure::handler("a nested stack is deployed by its parent's deployment", "InternalFailure")
}

impl Services {
    /// Makes a resource. It need not be ready for use when this returns: see [`Services::stabilize`].
    pub(super) async fn create(&self, place: &Place, kind: &str, wanted: &Properties) -> Result<Made> {
        match checked(kind, &wanted.members)?.kind {
            Kind::Alias => versions::create_alias(self, place, wanted).await,
            Kind::Bucket => bucket::create(self, place, wanted).await,
            Kind::BucketPolicy => bucket::create_policy(self, wanted).await,
            Kind::Function => function::create(self, place, wanted).await,
            Kind::LayerVersion => layer::create(self, place, wanted).await,
            Kind::LogGroup => log_group::create(self, place, wanted).await,
            Kind::ManagedPolicy => policy::create_managed(self, place, wanted).await,
            Kind::Permission => function::create_permission(self, place, wanted).await,
            Kind::Policy => policy::create(self, place, wanted).await,
            Kind::Role => role::create(self, place, wanted).await,
            Kind::Stack => Err(no_service()),
            Kind::Version => versions::create(self, place, wanted).await,
        }
    }

    /// Changes a resource in place, from one set of properties to another. Gives its attributes.
    pub(super) async fn update(
        &self,
        place: &Place,
        kind: &str,
        physical_id: &str,
        before: &Properties,
        wanted: &Properties,
    ) -> Result<Attributes> {
        match checked(kind, &wanted.members)?.kind {
            Kind::Alias => versions::update_alias(self, place, physical_id, wanted).await,
            Kind::Bucket => bucket::update(self, place, physical_id, before, wanted).await,
            Kind::BucketPolicy => bucket::create_policy(self, wanted).await.map(|made| made.attributes),
            Kind::Function => function::update(self, place, physical_id, before, wanted).await,
            Kind::LogGroup => log_group::update(self, place, physical_id, before, wanted).await,
            Kind::ManagedPolicy => policy::update_managed(self, physical_id, before, wanted).await,
            Kind::Policy => policy::update(self, physical_id, before, wanted).await,
            Kind::Role => role::update(self, physical_id, before, wanted).await,
            Kind::Stack => Err(no_service()),
            Kind::LayerVersion | Kind::Permission | Kind::Version => {
                Err(Failure::handler(&format!("{kind} cannot be updated in place"), "NotUpdatable"))
            }
        }
    }

    /// Deletes a resource. One that is gone already is no error.
    pub(super) async fn delete(&self, place: &Place, kind: &str, physical_id: &str, last: &Properties) -> Result<()> {
        let Some(schema) = schema(kind) else { return Ok(()) };
        match schema.kind {
            Kind::Alias => versions::delete_alias(self, place, physical_id).await,
            Kind::Bucket => bucket::delete(self, physical_id).await,
            Kind::BucketPolicy => bucket::delete_policy(self, physical_id).await,
            Kind::Function => function::delete(self, place, physical_id).await,
            Kind::LayerVersion => layer::delete(self, place, physical_id).await,
            Kind::LogGroup => log_group::delete(self, place, physical_id).await,
            Kind::ManagedPolicy => policy::delete_managed(self, physical_id).await,
            Kind::Permission => function::delete_permission(self, place, physical_id, last).await,
            Kind::Policy => policy::delete(self, last).await,
            Kind::Role => role::delete(self, physical_id, last).await,
            Kind::Stack => Err(no_service()),
            Kind::Version => versions::delete(self, place, physical_id).await,
        }
    }

    /// Waits until a resource that was made or changed is ready for use.
    pub(super) async fn stabilize(&self, place: &Place, kind: &str, physical_id: &str) -> Result<()> {
        match schema(kind).map(|schema| schema.kind) {
            Some(Kind::Function) => function::settled(self, place, physical_id).await,
            Some(Kind::Role) => {
                self.iam.propagated(physical_id).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_keep_to_their_length_and_name_stack_and_resource() {
        let place = |stack: &str, resource: &str| Place {
            stack_name: stack.to_owned(),
            stack_id: String::new(),
            region: "us-east-1".to_owned(),
            logical_id: resource.to_owned(),
        };
        let name = place("app", "Function").generated_name(64);
        assert!(name.starts_with("app-Function-") && name.len() == "app-Function-".len() + 12, "{name}");
        let long = place(&"s".repeat(128), &"R".repeat(255)).generated_name(64);
        assert!(long.len() <= 64 && long.contains("sss-") && long.contains("RRR-"), "{long}");
    }

    #[test]
    fn schemas_are_consistent() {
        for schema in &SCHEMAS {
            for name in schema.required {
                assert!(schema.immutable.contains(name) || schema.mutable.contains(name), "{}.{name}", schema.name);
            }
            assert!(schema.immutable.iter().all(|name| !schema.mutable.contains(name)), "{}", schema.name);
        }
    }
}
