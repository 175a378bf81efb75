//! What happens when a step fails, and what may not be done meanwhile.

use std::time::Duration;

use aws_sdk_cloudformation::types::Capability;
use aws_sdk_s3::primitives::ByteStream;

use crate::support::{BUCKET, Bench, HELLO, given, reason, refused, status};

#[tokio::test]
async fn a_creation_that_fails_is_taken_back_and_leaves_a_stack_that_can_only_be_deleted() {
    let bench = Bench::start().await;
    bench.cloud.stacks().fail_next("Function", "Out of luck");
    let stack = bench.create("app", HELLO, &[]).await;
    assert_eq!(status(&stack), "ROLLBACK_COMPLETE");
    let events = bench.events("app").await;
    assert!(events.contains(&("Function".to_owned(), "CREATE_FAILED".to_owned(), "Out of luck".to_owned())));
    let rollback = events.iter().find(|(_, status, _)| status == "ROLLBACK_IN_PROGRESS").unwrap();
    assert_eq!(rollback.2, "The following resource(s) failed to create: [Function]. Rollback requested by user.");
    assert_eq!(bench.history("app", "Role").await.last().unwrap(), "DELETE_COMPLETE");
    assert!(bench.iam.list_roles().send().await.unwrap().roles().is_empty());

    let update = bench.cloudformation.update_stack().stack_name("app").template_body(HELLO);
    let (code, message) = refused(update.capabilities(Capability::CapabilityIam).send().await);
    assert_eq!(code, "ValidationError");
    let id = stack.stack_id.unwrap();
    assert_eq!(message, format!("Stack:{id} is in ROLLBACK_COMPLETE state and can not be updated."));
    assert_eq!(status(&bench.delete("app").await), "DELETE_COMPLETE");
    assert_eq!(status(&bench.create("app", HELLO, &[]).await), "CREATE_COMPLETE");
}

#[tokio::test]
async fn a_creation_can_be_left_as_it_failed_and_mended_by_an_update() {
    let bench = Bench::start().await;
    bench.cloud.stacks().fail_next("Function", "Out of luck");
    let request = bench.cloudformation.create_stack().stack_name("app").template_body(HELLO).disable_rollback(true);
    request.capabilities(Capability::CapabilityIam).send().await.unwrap();
    let stack = bench.ended("app").await;
    assert_eq!(
        (status(&stack), reason(&stack)),
        ("CREATE_FAILED", "The following resource(s) failed to create: [Function]. ")
    );
    assert_eq!(bench.iam.list_roles().send().await.unwrap().roles().len(), 1);
    let stack = bench.update("app", HELLO, &[]).await;
    assert_eq!(status(&stack), "UPDATE_COMPLETE");
    assert!(bench.has_function("app").await);
}

/// The reason is the service's own: here that the object with the code isn't there.
#[tokio::test]
async fn a_service_that_refuses_is_quoted() {
    let bench = Bench::start().await;
    let template = r"
Resources:
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: a.b
      Role: arn:aws:iam::000000000000:role/r
      Code: { S3Bucket: nowhere, S3Key: k }
";
    let stack = bench.create("app", template, &[]).await;
    assert_eq!(status(&stack), "ROLLBACK_COMPLETE");
    let events = bench.events("app").await;
    let (.., reason) = events.iter().find(|(_, status, _)| status == "CREATE_FAILED").unwrap();
    assert!(
        reason.starts_with(
            "Resource handler returned message: \"Error occurred while GetObject. S3 Error Code: NoSuchBucket."
        ),
        "{reason}"
    );
    assert!(reason.contains("(Service: Lambda, Status Code: 400, Request ID: "), "{reason}");
}

#[tokio::test]
async fn properties_that_a_type_does_not_have_fail_the_resource() {
    let bench = Bench::start().await;
    let template = "Resources: { Bucket: { Type: 'AWS::S3::Bucket', Properties: { Size: 3 } } }";
    bench.create("store", template, &[]).await;
    let events = bench.events("store").await;
    let (.., reason) = events.iter().find(|(_, status, _)| status == "CREATE_FAILED").unwrap();
    assert_eq!(reason, "Property validation failure: [Encountered unsupported properties in {/}: [Size]]");
}

#[tokio::test]
async fn an_update_that_fails_is_taken_back_to_what_was() {
    let bench = Bench::start().await;
    bench.create("app", HELLO, &[]).await;
    bench.cloud.functions().fail_next_update("app", "InternalError", "The update went wrong");
    let stack = bench.update("app", HELLO, &[("Memory", "512")]).await;
    assert_eq!(status(&stack), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(bench.memory("app").await, 128);
    let memory = stack.parameters().iter().find(|parameter| parameter.parameter_key() == Some("Memory"));
    assert_eq!(memory.unwrap().parameter_value(), Some("128"));
    assert_eq!(
        bench.history("app", "app").await[2..],
        [
            "UPDATE_IN_PROGRESS",
            "UPDATE_ROLLBACK_IN_PROGRESS",
            "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
            "UPDATE_ROLLBACK_COMPLETE"
        ]
    );
    let events = bench.events("app").await;
    let (.., reason) = events.iter().find(|(_, status, _)| status == "UPDATE_FAILED").unwrap();
    assert!(reason.contains("The update went wrong"), "{reason}");
    let (.., reason) = events.iter().find(|(_, status, _)| status == "UPDATE_ROLLBACK_IN_PROGRESS").unwrap();
    assert_eq!(reason, "The following resource(s) failed to update: [Function]. ");
    assert_eq!(status(&bench.update("app", HELLO, &[("Memory", "512")]).await), "UPDATE_COMPLETE");
}

/// The replacement was made already when something else failed: the old bucket stays, the new one goes.
#[tokio::test]
async fn a_replacement_is_taken_back_too() {
    let bench = Bench::start().await;
    let two = format!("{BUCKET}  Later:\n    Type: AWS::S3::Bucket\n    DependsOn: Bucket\n");
    bench.create("store", BUCKET, &[("Name", "first")]).await;
    bench.cloud.stacks().fail_next("Later", "no");
    let stack = bench.update("store", &two, &[("Name", "second")]).await;
    assert_eq!(status(&stack), "UPDATE_ROLLBACK_COMPLETE");
    assert!(bench.s3.head_bucket().bucket("first").send().await.is_ok());
    assert!(bench.s3.head_bucket().bucket("second").send().await.is_err());
    let resources = bench.cloudformation.describe_stack_resources().stack_name("store").send().await.unwrap();
    let [bucket] = resources.stack_resources() else { panic!("{resources:?}") };
    assert_eq!(bucket.physical_resource_id(), Some("first"));
}

#[tokio::test]
async fn a_rollback_that_fails_can_be_continued() {
    let bench = Bench::start().await;
    bench.create("app", HELLO, &[]).await;
    bench.cloud.stacks().delay_next("Function", Duration::from_secs(3600));
    let update = bench.cloudformation.update_stack().stack_name("app").template_body(HELLO);
    let update = update.capabilities(Capability::CapabilityIam).set_parameters(Some(given(&[("Memory", "512")])));
    update.send().await.unwrap();
    let under_way = async {
        while bench.memory("app").await != 512 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), under_way).await.expect("the update never begins");
    bench.cloud.stacks().fail_next("Function", "not yet");
    bench.cloudformation.cancel_update_stack().stack_name("app").send().await.unwrap();
    let stack = bench.ended("app").await;
    assert_eq!(status(&stack), "UPDATE_ROLLBACK_FAILED");
    bench.cloudformation.continue_update_rollback().stack_name("app").send().await.unwrap();
    assert_eq!(status(&bench.ended("app").await), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(bench.memory("app").await, 128);
}

#[tokio::test]
async fn a_stack_under_way_is_left_alone_until_it_is_called_off() {
    let bench = Bench::start().await;
    bench.create("app", HELLO, &[]).await;
    bench.cloud.stacks().delay_next("Function", Duration::from_secs(3600));
    let update = || {
        let update = bench.cloudformation.update_stack().stack_name("app").template_body(HELLO);
        update.capabilities(Capability::CapabilityIam).set_parameters(Some(given(&[("Memory", "512")]))).send()
    };
    update().await.unwrap();
    let id = bench.stack("app").await.stack_id.unwrap();
    let (_, message) = refused(update().await);
    assert_eq!(message, format!("Stack:{id} is in UPDATE_IN_PROGRESS state and can not be updated."));
    let (_, message) = refused(bench.cloudformation.delete_stack().stack_name("app").send().await);
    assert_eq!(message, format!("Stack [{id}] cannot be deleted while in status UPDATE_IN_PROGRESS"));

    bench.cloudformation.cancel_update_stack().stack_name("app").send().await.unwrap();
    assert_eq!(status(&bench.ended("app").await), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(bench.memory("app").await, 128);
    let (_, message) = refused(bench.cloudformation.cancel_update_stack().stack_name("app").send().await);
    assert_eq!(message, "CancelUpdateStack cannot be called from current stack status");
}

#[tokio::test]
async fn a_stack_can_be_deleted_while_it_is_being_created() {
    let bench = Bench::start().await;
    bench.cloud.stacks().delay_next("Role", Duration::from_secs(3600));
    let request = bench.cloudformation.create_stack().stack_name("app").template_body(HELLO);
    let id = request.capabilities(Capability::CapabilityIam).send().await.unwrap().stack_id.unwrap();
    bench.cloudformation.delete_stack().stack_name("app").send().await.unwrap();
    let stack = bench.until(&id, |status| status == "DELETE_COMPLETE").await;
    assert_eq!(status(&stack), "DELETE_COMPLETE");
    assert!(bench.iam.list_roles().send().await.unwrap().roles().is_empty());
}

#[tokio::test]
async fn a_bucket_that_is_not_empty_keeps_its_stack_until_it_is_retained() {
    let bench = Bench::start().await;
    bench.create("store", BUCKET, &[("Name", "full")]).await;
    bench.s3.put_object().bucket("full").key("k").body(ByteStream::from_static(b"x")).send().await.unwrap();
    let stack = bench.delete("store").await;
    assert_eq!(
        (status(&stack), reason(&stack)),
        ("DELETE_FAILED", "The following resource(s) failed to delete: [Bucket]. ")
    );
    let events = bench.events("store").await;
    let (.., reason) = events.iter().find(|(name, status, _)| name == "Bucket" && status == "DELETE_FAILED").unwrap();
    assert!(
        reason.contains("The bucket you tried to delete is not empty. You must delete all versions in the bucket."),
        "{reason}"
    );

    let id = stack.stack_id.unwrap();
    bench.cloudformation.delete_stack().stack_name("store").retain_resources("Bucket").send().await.unwrap();
    assert_eq!(status(&bench.ended(&id).await), "DELETE_COMPLETE");
    assert!(bench.s3.head_bucket().bucket("full").send().await.is_ok());
}

#[tokio::test]
async fn a_protected_stack_is_not_deleted() {
    let bench = Bench::start().await;
    bench.create("store", BUCKET, &[("Name", "safe")]).await;
    let protect = |on| {
        bench
            .cloudformation
            .update_termination_protection()
            .stack_name("store")
            .enable_termination_protection(on)
            .send()
    };
    protect(true).await.unwrap();
    let (_, message) = refused(bench.cloudformation.delete_stack().stack_name("store").send().await);
    assert_eq!(message, "Stack [store] cannot be deleted while TerminationProtection is enabled");
    protect(false).await.unwrap();
    assert_eq!(status(&bench.delete("store").await), "DELETE_COMPLETE");
}
