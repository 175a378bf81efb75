//! IAM by its own operations.

use std::time::Duration;

use aws_sdk_cloudformation::types::{Capability, DeploymentConfig, DeploymentConfigMode};
use aws_sdk_iam::types::Tag;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use local_cloud::IamSettings;

use crate::support::{Bench, HELLO, quick, refused, status};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

#[tokio::test]
async fn a_role_has_policies_and_goes_only_without_them() {
    let bench = Bench::start().await;
    let iam = &bench.iam;
    let tag = Tag::builder().key("team").value("blue").build().unwrap();
    let made = iam.create_role().role_name("r").assume_role_policy_document(TRUST).tags(tag).send().await.unwrap();
    let role = made.role.unwrap();
    assert_eq!(role.arn, "arn:aws:iam::000000000000:role/r");
    let again = iam.create_role().role_name("r").assume_role_policy_document(TRUST).send().await;
    assert_eq!(refused(again), ("EntityAlreadyExists".to_owned(), "Role with name r already exists.".to_owned()));

    iam.put_role_policy().role_name("r").policy_name("p").policy_document(POLICY).send().await.unwrap();
    let arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    iam.attach_role_policy().role_name("r").policy_arn(arn).send().await.unwrap();
    let attached = iam.list_attached_role_policies().role_name("r").send().await.unwrap();
    assert_eq!(attached.attached_policies()[0].policy_name(), Some("AWSLambdaBasicExecutionRole"));
    assert_eq!(iam.list_role_policies().role_name("r").send().await.unwrap().policy_names, ["p"]);

    let (code, message) = refused(iam.delete_role().role_name("r").send().await);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("DeleteConflict", "Cannot delete entity, must detach all policies first.")
    );
    iam.detach_role_policy().role_name("r").policy_arn(arn).send().await.unwrap();
    let (_, message) = refused(iam.delete_role().role_name("r").send().await);
    assert_eq!(message, "Cannot delete entity, must delete policies first.");
    iam.delete_role_policy().role_name("r").policy_name("p").send().await.unwrap();
    iam.delete_role().role_name("r").send().await.unwrap();
    let (code, message) = refused(iam.get_role().role_name("r").send().await);
    assert_eq!((code.as_str(), message.as_str()), ("NoSuchEntity", "The role with name r cannot be found."));
}

#[tokio::test]
async fn documents_are_held_against_the_grammar() {
    let bench = Bench::start().await;
    let role = bench.iam.create_role().role_name("r").assume_role_policy_document(POLICY).send().await;
    assert_eq!(refused(role).0, "MalformedPolicyDocument");
    let policy = bench.iam.create_policy().policy_name("p").policy_document("no json").send().await;
    assert_eq!(refused(policy), ("MalformedPolicyDocument".to_owned(), "This policy contains invalid Json".to_owned()));
}

#[tokio::test]
async fn a_managed_policy_goes_only_unattached() {
    let bench = Bench::start().await;
    let iam = &bench.iam;
    let made = iam.create_policy().policy_name("p").policy_document(POLICY).send().await.unwrap();
    let arn = made.policy.unwrap().arn.unwrap();
    iam.create_role().role_name("r").assume_role_policy_document(TRUST).send().await.unwrap();
    iam.attach_role_policy().role_name("r").policy_arn(&arn).send().await.unwrap();
    let shown = iam.get_policy().policy_arn(&arn).send().await.unwrap().policy.unwrap();
    assert_eq!((shown.attachment_count, shown.default_version_id.as_deref()), (Some(1), Some("v1")));
    assert_eq!(refused(iam.delete_policy().policy_arn(&arn).send().await).0, "DeleteConflict");
    iam.detach_role_policy().role_name("r").policy_arn(&arn).send().await.unwrap();
    iam.delete_policy().policy_arn(&arn).send().await.unwrap();
    assert_eq!(refused(iam.get_policy().policy_arn(&arn).send().await).0, "NoSuchEntity");
}

/// Nothing is enforced, so nothing could be simulated truthfully.
#[tokio::test]
async fn what_iam_does_not_have_is_refused_by_name() {
    let bench = Bench::start().await;
    let simulated = bench.iam.simulate_principal_policy().policy_source_arn("arn:aws:iam::000000000000:role/r");
    let (code, message) = refused(simulated.action_names("s3:GetObject").send().await);
    assert_eq!(code, "InvalidAction");
    assert!(message.contains("SimulatePrincipalPolicy"), "{message}");
}

const NOT_ASSUMABLE: (&str, &str) =
    ("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.");

/// Creates a function of this role: the error's code and message, if it is refused.
async fn function_with(bench: &Bench, role: &str) -> Result<(), (String, String)> {
    let code = FunctionCode::builder().zip_file(Blob::new(zip_of_nothing())).build();
    let call = bench.lambda.create_function().function_name("f").role(role).runtime(Runtime::Python312);
    let made = call.handler("index.handler").code(code).send().await;
    if made.is_ok() { Ok(()) } else { Err(refused(made)) }
}

/// A zip with one empty file.
fn zip_of_nothing() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("index.py", zip::write::SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn lambda_cannot_assume_a_new_role_before_it_is_known_everywhere() {
    let propagation = Duration::from_millis(400);
    let bench = Bench::with(quick().iam(IamSettings { propagation })).await;
    let begun = tokio::time::Instant::now();
    let made = bench.iam.create_role().role_name("r").assume_role_policy_document(TRUST).send().await.unwrap();
    let arn = made.role.unwrap().arn;
    let (code, message) = function_with(&bench, &arn).await.unwrap_err();
    assert_eq!((code.as_str(), message.as_str()), NOT_ASSUMABLE);
    while function_with(&bench, &arn).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never becomes known");
    }
    assert!(begun.elapsed() >= propagation);
}

#[tokio::test]
async fn a_new_role_is_known_everywhere_when_its_propagation_is_ended() {
    let propagation = Duration::from_secs(3600);
    let bench = Bench::with(quick().iam(IamSettings { propagation })).await;
    let made = bench.iam.create_role().role_name("r").assume_role_policy_document(TRUST).send().await.unwrap();
    let arn = made.role.unwrap().arn;
    function_with(&bench, &arn).await.unwrap_err();
    // Who waits for one goes on.
    let call = bench.cloudformation.create_stack().stack_name("app").template_body(HELLO);
    call.capabilities(Capability::CapabilityIam).send().await.unwrap();
    bench.cloud.end_propagation();
    function_with(&bench, &arn).await.unwrap();
    assert_eq!(status(&bench.ended("app").await), "CREATE_COMPLETE");
}

#[tokio::test]
async fn lambda_cannot_assume_a_role_that_trusts_somebody_else() {
    let bench = Bench::start().await;
    let trust = TRUST.replace("lambda", "ec2");
    let made = bench.iam.create_role().role_name("r").assume_role_policy_document(trust).send().await.unwrap();
    let arn = made.role.unwrap().arn;
    let (code, message) = function_with(&bench, &arn).await.unwrap_err();
    assert_eq!((code.as_str(), message.as_str()), NOT_ASSUMABLE);
    bench.iam.update_assume_role_policy().role_name("r").policy_document(TRUST).send().await.unwrap();
    function_with(&bench, &arn).await.unwrap();
}

#[tokio::test]
async fn a_stack_waits_for_its_own_role_in_every_mode() {
    let propagation = Duration::from_millis(300);
    let bench = Bench::with(quick().iam(IamSettings { propagation })).await;
    for mode in [DeploymentConfigMode::Standard, DeploymentConfigMode::Express] {
        let name = mode.as_str().to_lowercase();
        let config = DeploymentConfig::builder().mode(mode).build();
        let call = bench.cloudformation.create_stack().stack_name(&name).template_body(HELLO);
        call.capabilities(Capability::CapabilityIam).deployment_config(config).send().await.unwrap();
        let stack = bench.ended(&name).await;
        assert_eq!(status(&stack), "CREATE_COMPLETE", "{:?}", stack.stack_status_reason);
    }
}
