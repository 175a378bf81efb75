//! Stacks in stacks.

use aws_sdk_cloudformation::types::{
    Capability, ChangeSetType, ChangeSource, DeploymentConfig, DeploymentConfigMode, Stack,
};
use aws_sdk_s3::primitives::ByteStream;

use crate::support::{BUCKET, Bench, given, quick, reason, status};

/// Two buckets, the first in a nested stack, the second named after it.
const PARENT: &str = r"
Parameters: { Url: { Type: String }, Name: { Type: String, Default: inner } }
Resources:
  Nested:
    Type: AWS::CloudFormation::Stack
    Properties: { TemplateURL: !Ref Url, Parameters: { Name: !Ref Name } }
  Outer:
    Type: AWS::S3::Bucket
    Properties: { BucketName: !Sub 'outer-of-${Nested.Outputs.Bucket}' }
Outputs:
  Inner: { Value: !GetAtt Nested.Outputs.Bucket }
";

fn nested_template() -> String {
    format!("{BUCKET}Outputs: {{ Bucket: {{ Value: !Ref Bucket }} }}\n")
}

/// A cloud with the nested template in S3, and where that is.
async fn bench() -> (Bench, String) {
    let bench = Bench::start().await;
    bench.s3.create_bucket().bucket("templates").send().await.unwrap();
    put(&bench, &nested_template()).await;
    let url = format!("{}/templates/nested.yaml", bench.cloud.endpoint());
    (bench, url)
}

async fn put(bench: &Bench, template: &str) {
    let body = ByteStream::from(template.as_bytes().to_vec());
    bench.s3.put_object().bucket("templates").key("nested.yaml").body(body).send().await.unwrap();
}

/// The nested stack as it is now.
async fn nested(bench: &Bench) -> Stack {
    let shown = bench.cloudformation.describe_stack_resource().stack_name("app").logical_resource_id("Nested");
    let shown = shown.send().await.unwrap().stack_resource_detail.unwrap();
    bench.stack(shown.physical_resource_id().unwrap()).await
}

async fn exists(bench: &Bench, bucket: &str) -> bool {
    bench.s3.head_bucket().bucket(bucket).send().await.is_ok()
}

#[tokio::test]
async fn a_nested_stack_gets_parameters_and_gives_outputs() {
    let (bench, url) = bench().await;
    let stack = bench.create("app", PARENT, &[("Url", &url)]).await;
    assert_eq!(status(&stack), "CREATE_COMPLETE", "{}", reason(&stack));
    assert_eq!(stack.outputs()[0].output_value(), Some("inner"));
    assert!(exists(&bench, "outer-of-inner").await);
    let nested = nested(&bench).await;
    assert_eq!(status(&nested), "CREATE_COMPLETE");
    assert!(nested.stack_name().unwrap().starts_with("app-Nested-"));
    assert_eq!((nested.parent_id(), nested.root_id()), (stack.stack_id(), stack.stack_id()));

    assert_eq!(status(&bench.delete("app").await), "DELETE_COMPLETE");
    assert_eq!(status(&bench.stack(nested.stack_id().unwrap()).await), "DELETE_COMPLETE");
    assert!(!exists(&bench, "inner").await);
}

#[tokio::test]
async fn a_nested_stack_that_fails_says_why_and_goes_with_its_parent() {
    let (bench, url) = bench().await;
    bench.cloud.stacks().fail_next("Bucket", "Out of luck");
    let stack = bench.create("app", PARENT, &[("Url", &url)]).await;
    assert_eq!(status(&stack), "ROLLBACK_COMPLETE");
    let events = bench.events("app").await;
    let (_, _, why) = events.iter().find(|(name, status, _)| name == "Nested" && status == "CREATE_FAILED").unwrap();
    assert!(why.starts_with("Embedded stack arn:aws:cloudformation:"), "{why}");
    assert!(
        why.ends_with("was not successfully created: The following resource(s) failed to create: [Bucket]. "),
        "{why}"
    );
    assert_eq!(status(&nested(&bench).await), "DELETE_COMPLETE");
    assert!(!exists(&bench, "outer-of-inner").await);
}

#[tokio::test]
async fn a_template_that_is_not_there_or_a_parameter_that_is_missing_fails_the_resource() {
    let (bench, url) = bench().await;
    for (name, url, said) in [("one", format!("{url}.gone"), "S3 error"), ("two", url.clone(), "must have values")] {
        let template = PARENT.replace(", Parameters: { Name: !Ref Name }", "");
        let stack = bench.create(name, &template, &[("Url", &url)]).await;
        assert_eq!(status(&stack), "ROLLBACK_COMPLETE");
        let events = bench.events(name).await;
        assert!(events.iter().any(|(_, _, why)| why.contains(said)), "{events:?}");
    }
}

#[tokio::test]
async fn a_template_that_changed_where_it_lies_is_found_by_an_update_of_the_parent() {
    let (bench, url) = bench().await;
    bench.create("app", PARENT, &[("Url", &url)]).await;
    let parameters = [("Url", url.as_str())];
    let shown = bench.change_set("app", "c1", ChangeSetType::Update, PARENT, &parameters).await;
    let change = shown.changes()[0].resource_change().unwrap();
    assert_eq!(change.logical_resource_id(), Some("Nested"));
    assert_eq!(change.details()[0].change_source(), Some(&ChangeSource::Automatic));

    put(&bench, &nested_template().replace("{ Value: !Ref Bucket }", "{ Value: other }")).await;
    let stack = bench.execute("app", "c1").await;
    assert_eq!(status(&stack), "UPDATE_COMPLETE");
    assert_eq!(stack.outputs()[0].output_value(), Some("other"));
}

#[tokio::test]
async fn an_update_that_fails_inside_is_taken_back_on_every_level() {
    let (bench, url) = bench().await;
    bench.create("app", PARENT, &[("Url", &url)]).await;
    bench.cloud.stacks().fail_next("Bucket", "Out of luck");
    let stack = bench.update("app", PARENT, &[("Url", &url), ("Name", "renamed")]).await;
    assert_eq!(status(&stack), "UPDATE_ROLLBACK_COMPLETE");
    let events = bench.events("app").await;
    assert!(
        events.iter().any(|(name, _, why)| name == "Nested"
            && why.contains("was not successfully updated. Currently in UPDATE_ROLLBACK_COMPLETE with reason")),
        "{events:?}"
    );
    assert_eq!(status(&nested(&bench).await), "UPDATE_ROLLBACK_COMPLETE");
    assert!(exists(&bench, "inner").await && exists(&bench, "outer-of-inner").await);
}

#[tokio::test]
async fn a_nested_stack_that_was_updated_is_taken_back_when_its_parent_fails_later() {
    let (bench, url) = bench().await;
    bench.create("app", PARENT, &[("Url", &url)]).await;
    put(&bench, &nested_template().replace("{ Value: !Ref Bucket }", "{ Value: other }")).await;
    bench.cloud.stacks().fail_next("Outer", "Out of luck");
    let stack = bench.update("app", PARENT, &[("Url", &url)]).await;
    assert_eq!(status(&stack), "UPDATE_ROLLBACK_COMPLETE");
    // Though the template's URL leads to the new one.
    assert_eq!(nested(&bench).await.outputs()[0].output_value(), Some("inner"));
    assert!(exists(&bench, "outer-of-inner").await && !exists(&bench, "outer-of-other").await);
}

#[tokio::test]
async fn the_express_mode_of_a_parent_is_that_of_its_nested_stacks() {
    let settings = local_cloud::CloudFormationSettings {
        resource_delay: std::time::Duration::from_secs(3600),
        ..local_cloud::CloudFormationSettings::default()
    };
    let bench = Bench::with(quick().cloudformation(settings)).await;
    bench.s3.create_bucket().bucket("templates").send().await.unwrap();
    put(&bench, &nested_template()).await;
    let url = format!("{}/templates/nested.yaml", bench.cloud.endpoint());
    let express = DeploymentConfig::builder().mode(DeploymentConfigMode::Express).build();
    let call = bench.cloudformation.create_stack().stack_name("app").template_body(PARENT).deployment_config(express);
    call.set_parameters(Some(given(&[("Url", &url)]))).capabilities(Capability::CapabilityIam).send().await.unwrap();
    assert_eq!(status(&bench.ended("app").await), "CREATE_COMPLETE");
    assert_eq!(nested(&bench).await.deployment_config.unwrap().mode, Some(DeploymentConfigMode::Express));
}
