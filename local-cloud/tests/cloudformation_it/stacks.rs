//! Stacks whose every step succeeds.

use aws_sdk_cloudformation::types::{Capability, DeploymentConfig, DeploymentConfigMode, Tag, TemplateStage};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_s3::primitives::ByteStream;
use local_cloud::{Action, BuiltinFunction, Fault, Service};

use crate::support::{BUCKET, Bench, HELLO, given, quick, refused, status};

#[tokio::test]
async fn a_stack_makes_what_its_template_says_and_takes_it_away_again() {
    let bench = Bench::start().await;
    let stack = bench.create("app", HELLO, &[("Memory", "256")]).await;
    assert_eq!(status(&stack), "CREATE_COMPLETE");
    let output = &stack.outputs()[0];
    assert_eq!(output.output_value(), Some("arn:aws:lambda:us-east-1:000000000000:function:app"));

    let function = bench.lambda.get_function().function_name("app").send().await.unwrap();
    let configuration = function.configuration.unwrap();
    assert_eq!(configuration.memory_size, Some(256));
    assert_eq!(function.tags.unwrap()["aws:cloudformation:stack-name"], "app");
    let role = configuration.role.unwrap();
    let name = role.rsplit('/').next().unwrap();
    assert!(name.starts_with("app-Role-"), "{name}");
    let policy = bench.iam.get_role_policy().role_name(name).policy_name("log").send().await.unwrap();
    assert!(policy.policy_document.contains("log-group%3A%2Faws%2Flambda%2Fapp%3A%2A"), "{}", policy.policy_document);

    let deleted = bench.delete("app").await;
    assert_eq!(status(&deleted), "DELETE_COMPLETE");
    assert!(!bench.has_function("app").await);
    assert_eq!(refused(bench.iam.get_role().role_name(name).send().await).0, "NoSuchEntity");
    let (code, message) = refused(bench.cloudformation.describe_stacks().stack_name("app").send().await);
    assert_eq!((code.as_str(), message.as_str()), ("ValidationError", "Stack with id app does not exist"));
}

#[tokio::test]
async fn events_tell_each_step_in_the_order_of_the_dependencies() {
    let bench = Bench::start().await;
    bench.create("app", HELLO, &[]).await;
    let events = bench.events("app").await;
    let told: Vec<(&str, &str, &str)> =
        events.iter().map(|(name, status, reason)| (name.as_str(), status.as_str(), reason.as_str())).collect();
    let of = |wanted: &str| {
        ["", "Resource creation Initiated", ""]
            .into_iter()
            .zip(["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"])
            .map(|(reason, status)| (wanted.to_owned(), status, reason))
            .collect::<Vec<_>>()
    };
    let mut expected = vec![("app".to_owned(), "CREATE_IN_PROGRESS", "User Initiated")];
    expected.extend(["Logs", "Role", "Function"].iter().flat_map(|name| of(name)));
    expected.push(("app".to_owned(), "CREATE_COMPLETE", ""));
    let expected: Vec<(&str, &str, &str)> =
        expected.iter().map(|(name, status, reason)| (name.as_str(), *status, *reason)).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn events_carry_the_clients_token_and_one_operation() {
    let bench = Bench::start().await;
    let made = bench.cloudformation.create_stack().stack_name("app").template_body(HELLO).client_request_token("t-1");
    let made = made.capabilities(Capability::CapabilityIam).send().await.unwrap();
    bench.ended("app").await;
    let events = bench.cloudformation.describe_stack_events().stack_name("app").send().await.unwrap();
    for event in events.stack_events() {
        assert_eq!(event.client_request_token(), Some("t-1"));
        assert_eq!(event.operation_id(), made.operation_id());
    }
}

#[tokio::test]
async fn an_inline_function_really_answers_and_an_update_changes_its_answer() {
    let bench = Bench::start().await;
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let answer = async || {
        let answer = bench.lambda.invoke().function_name("app").payload(Blob::new("{}")).send().await.unwrap();
        String::from_utf8(answer.payload.unwrap().into_inner()).unwrap()
    };
    bench.create("app", HELLO, &[]).await;
    assert_eq!(answer().await, "\"hello\"");
    let stack = bench.update("app", HELLO, &[("Greeting", "good evening")]).await;
    assert_eq!(status(&stack), "UPDATE_COMPLETE");
    assert_eq!(answer().await, "\"good evening\"");
    bench.update("app", &HELLO.replace("return os.environ['GREETING']", "return 'new code'"), &[]).await;
    assert_eq!(answer().await, "\"new code\"");
}

#[tokio::test]
async fn an_update_touches_only_what_differs() {
    let bench = Bench::start().await;
    bench.create("app", HELLO, &[]).await;
    let before = bench.events("app").await.len();
    bench.update("app", HELLO, &[("Memory", "512")]).await;
    let events = bench.events("app").await;
    let told: Vec<(&str, &str)> =
        events[before..].iter().map(|(name, status, _)| (name.as_str(), status.as_str())).collect();
    assert_eq!(
        told,
        [
            ("app", "UPDATE_IN_PROGRESS"),
            ("Function", "UPDATE_IN_PROGRESS"),
            ("Function", "UPDATE_COMPLETE"),
            ("app", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
            ("app", "UPDATE_COMPLETE"),
        ]
    );
    assert_eq!(bench.memory("app").await, 512);
}

#[tokio::test]
async fn an_update_without_changes_is_refused() {
    let bench = Bench::start().await;
    bench.create("app", HELLO, &[]).await;
    let again = bench.cloudformation.update_stack().stack_name("app").template_body(HELLO);
    let again = again.capabilities(Capability::CapabilityIam).send().await;
    assert_eq!(refused(again), ("ValidationError".to_owned(), "No updates are to be performed.".to_owned()));
}

#[tokio::test]
async fn a_new_name_replaces_the_resource_and_then_deletes_the_old_one() {
    let bench = Bench::start().await;
    bench.create("store", BUCKET, &[("Name", "first")]).await;
    let stack = bench.update("store", BUCKET, &[("Name", "second")]).await;
    assert_eq!(status(&stack), "UPDATE_COMPLETE");
    let events = bench.events("store").await;
    let reasons: Vec<&str> = events.iter().map(|(.., reason)| reason.as_str()).collect();
    assert!(
        reasons.contains(&"Requested update requires the creation of a new physical resource; hence creating one.")
    );
    assert!(bench.s3.head_bucket().bucket("second").send().await.is_ok());
    assert!(bench.s3.head_bucket().bucket("first").send().await.is_err());
    let shown = bench.cloudformation.describe_stack_resources().stack_name("store").send().await.unwrap();
    assert_eq!(shown.stack_resources()[0].physical_resource_id(), Some("second"));
}

#[tokio::test]
async fn a_bucket_has_the_configurations_that_its_properties_say() {
    let bench = Bench::start().await;
    bench.create("store", BUCKET, &[("Name", "artifacts")]).await;
    let versioning = bench.s3.get_bucket_versioning().bucket("artifacts").send().await.unwrap();
    assert_eq!(versioning.status().unwrap().as_str(), "Enabled");
    let block = bench.s3.get_public_access_block().bucket("artifacts").send().await.unwrap();
    let block = block.public_access_block_configuration.unwrap();
    assert_eq!((block.block_public_acls, block.restrict_public_buckets), (Some(true), Some(false)));
    let lifecycle = bench.s3.get_bucket_lifecycle_configuration().bucket("artifacts").send().await.unwrap();
    let abort = lifecycle.rules()[0].abort_incomplete_multipart_upload().unwrap();
    assert_eq!(abort.days_after_initiation(), Some(3));
}

#[tokio::test]
async fn code_is_read_from_the_version_of_the_object_that_the_template_names() {
    let bench = Bench::start().await;
    bench.create("store", BUCKET, &[("Name", "artifacts")]).await;
    let put = async |source: &str| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("index.py", zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, source.as_bytes()).unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        let size = bytes.len();
        let put = bench.s3.put_object().bucket("artifacts").key("app.zip").body(ByteStream::from(bytes));
        (put.send().await.unwrap().version_id.unwrap(), size)
    };
    let (first, size) = put("def handler(event, context): return 'the first version'").await;
    put("def handler(event, context): return 2").await;
    let template = format!(
        "
Resources:
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: versioned
      Runtime: python3.12
      Handler: index.handler
      Role: arn:aws:iam::000000000000:role/r
      Code: {{ S3Bucket: artifacts, S3Key: app.zip, S3ObjectVersion: {first}, S3ObjectStorageMode: REFERENCE }}
"
    );
    bench.create("app", &template, &[]).await;
    let function = bench.lambda.get_function().function_name("versioned").send().await.unwrap();
    assert_eq!(function.configuration.unwrap().code_size, i64::try_from(size).unwrap());
    let resolved = function.code.unwrap().resolved_s3_object.unwrap();
    assert_eq!(resolved.s3_object_version(), Some(first.as_str()));
}

#[tokio::test]
async fn a_serverless_function_is_expanded_with_its_role() {
    let bench = Bench::start().await;
    let template = r"
Transform: AWS::Serverless-2016-10-31
Globals: { Function: { Runtime: python3.12, Timeout: 7 } }
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      InlineCode: 'def handler(event, context): return 1'
      AutoPublishAlias: live
";
    let request = bench.cloudformation.create_stack().stack_name("sam").template_body(template);
    let request = request.capabilities(Capability::CapabilityIam);
    let (code, message) = refused(request.clone().send().await);
    assert_eq!(code, "InsufficientCapabilitiesException");
    assert_eq!(message, "Requires capabilities : [CAPABILITY_AUTO_EXPAND]");
    request.capabilities(Capability::CapabilityAutoExpand).send().await.unwrap();
    let stack = bench.ended("sam").await;
    assert_eq!(status(&stack), "CREATE_COMPLETE", "{:?}", stack.stack_status_reason);

    let resources = bench.cloudformation.list_stack_resources().stack_name("sam").send().await.unwrap();
    let kinds: Vec<&str> = resources.stack_resource_summaries().iter().filter_map(|r| r.resource_type()).collect();
    assert_eq!(kinds, ["AWS::Lambda::Function", "AWS::Lambda::Alias", "AWS::IAM::Role", "AWS::Lambda::Version"]);
    let name = resources.stack_resource_summaries()[0].physical_resource_id().unwrap();
    let alias = bench.lambda.get_alias().function_name(name).name("live").send().await.unwrap();
    assert_eq!(alias.function_version(), Some("1"));

    let original = bench.cloudformation.get_template().stack_name("sam").send().await.unwrap();
    assert_eq!(original.template_body(), Some(template));
    let processed = bench.cloudformation.get_template().stack_name("sam").template_stage(TemplateStage::Processed);
    let processed: serde_json::Value =
        serde_json::from_str(processed.send().await.unwrap().template_body().unwrap()).unwrap();
    assert_eq!(processed["Resources"]["Hello"]["Properties"]["Timeout"], 7);
}

#[tokio::test]
async fn an_express_deployment_does_not_wait_until_resources_are_stable() {
    let bench = Bench::with(quick().cloudformation(local_cloud::CloudFormationSettings {
        resource_delay: std::time::Duration::from_secs(3600),
        ..local_cloud::CloudFormationSettings::default()
    }))
    .await;
    let express = DeploymentConfig::builder().mode(DeploymentConfigMode::Express).build();
    let request = bench.cloudformation.create_stack().stack_name("app").template_body(HELLO);
    request.capabilities(Capability::CapabilityIam).deployment_config(express.clone()).send().await.unwrap();
    let stack = bench.ended("app").await;
    assert_eq!(status(&stack), "CREATE_COMPLETE");
    assert_eq!(stack.deployment_config.unwrap().mode, Some(DeploymentConfigMode::Express));
    bench.cloudformation.delete_stack().stack_name("app").deployment_config(express).send().await.unwrap();
    bench.until(stack.stack_id.as_deref().unwrap(), |status| status == "DELETE_COMPLETE").await;
}

#[tokio::test]
async fn tags_of_the_stack_are_passed_on() {
    let bench = Bench::start().await;
    bench.create("app", HELLO, &[]).await;
    let tag = Tag::builder().key("team").value("blue").build();
    let request = bench.cloudformation.update_stack().stack_name("app").use_previous_template(true).tags(tag);
    request.capabilities(Capability::CapabilityIam).send().await.unwrap();
    let stack = bench.ended("app").await;
    assert_eq!((stack.tags()[0].key(), status(&stack)), (Some("team"), "UPDATE_COMPLETE"));
    let function = bench.lambda.get_function().function_name("app").send().await.unwrap();
    assert_eq!(function.tags.unwrap()["team"], "blue");
}

#[tokio::test]
async fn what_a_template_may_not_do_without_a_capability_is_refused() {
    let bench = Bench::start().await;
    let plain = bench.cloudformation.create_stack().stack_name("app").template_body(HELLO).send().await;
    let (code, message) = refused(plain);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]")
    );
    let named = HELLO.replace(
        "    Type: AWS::IAM::Role\n    Properties:",
        "    Type: AWS::IAM::Role\n    Properties:\n      RoleName: r",
    );
    let named = bench.cloudformation.create_stack().stack_name("app").template_body(named);
    let (_, message) = refused(named.capabilities(Capability::CapabilityIam).send().await);
    assert_eq!(message, "Requires capabilities : [CAPABILITY_NAMED_IAM]");
}

#[tokio::test]
async fn a_template_can_come_from_s3() {
    let bench = Bench::start().await;
    bench.s3.create_bucket().bucket("templates").send().await.unwrap();
    let put =
        bench.s3.put_object().bucket("templates").key("a b.yaml").body(ByteStream::from(BUCKET.as_bytes().to_vec()));
    put.send().await.unwrap();
    let url = format!("{}/templates/a%20b.yaml", bench.cloud.endpoint());
    let request = bench.cloudformation.create_stack().stack_name("store").template_url(url);
    request.set_parameters(Some(given(&[("Name", "from-url")]))).send().await.unwrap();
    assert_eq!(status(&bench.ended("store").await), "CREATE_COMPLETE");
    let missing = bench.cloudformation.validate_template().template_url("ftp://nowhere/x").send().await;
    assert_eq!(refused(missing).1, "TemplateURL must be a supported URL.");
}

#[tokio::test]
async fn a_function_of_a_stack_takes_the_place_of_a_built_in_one() {
    let builtin = BuiltinFunction::new("app", ["/bin/false"]);
    let bench = Bench::with(quick().function(builtin)).await;
    assert_eq!(status(&bench.create("app", HELLO, &[]).await), "CREATE_COMPLETE");
    let shown = bench.lambda.get_function_configuration().function_name("app").send().await.unwrap();
    assert_eq!(shown.handler(), Some("index.handler"));
}

#[tokio::test]
async fn requests_are_logged_and_spoiled_by_their_names() {
    let bench = Bench::start().await;
    bench
        .cloud
        .faults()
        .inject(Fault::on("CreateChangeSet").about("app").then(Action::Respond { status: 400, code: "Throttling" }));
    let request = bench.cloudformation.create_change_set().stack_name("app").change_set_name("c").template_body(HELLO);
    assert_eq!(refused(request.send().await), ("Throttling".to_owned(), "Rate exceeded".to_owned()));
    let record = bench.cloud.requests().pop().unwrap();
    assert_eq!((record.service, record.operation.as_str()), (Service::CloudFormation, "CreateChangeSet"));
    assert_eq!((record.resource.as_deref(), record.error.as_deref()), (Some("app"), Some("Throttling")));
}
