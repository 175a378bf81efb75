//! Policies that count, over real HTTP, spoken to by the real SDK clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use local_cloud::{Identity, LambdaSettings, LocalCloud};
use serde_json::{Value, json};

const BUCKET: &str = "bucket";
const TRUST: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}"#;

struct Clients {
    s3: aws_sdk_s3::Client,
    lambda: aws_sdk_lambda::Client,
    cloudformation: aws_sdk_cloudformation::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    codebuild: aws_sdk_codebuild::Client,
    iam: aws_sdk_iam::Client,
}

fn clients(cloud: &LocalCloud, key_id: &str) -> Clients {
    macro_rules! client {
        ($sdk:ident) => {
            $sdk::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .endpoint_url(cloud.endpoint())
                .credentials_provider(Credentials::new(key_id, key_id.to_lowercase(), None, None, "test"))
                .retry_config(RetryConfig::disabled())
        };
    }
    Clients {
        s3: aws_sdk_s3::Client::from_conf(client!(aws_sdk_s3).force_path_style(true).build()),
        lambda: aws_sdk_lambda::Client::from_conf(client!(aws_sdk_lambda).build()),
        cloudformation: aws_sdk_cloudformation::Client::from_conf(client!(aws_sdk_cloudformation).build()),
        logs: aws_sdk_cloudwatchlogs::Client::from_conf(client!(aws_sdk_cloudwatchlogs).build()),
        codebuild: aws_sdk_codebuild::Client::from_conf(client!(aws_sdk_codebuild).build()),
        iam: aws_sdk_iam::Client::from_conf(client!(aws_sdk_iam).build()),
    }
}

/// A cloud that enforces IAM, with a bucket; the account's own clients, and those of a user with these statements.
async fn cloud(statements: Value) -> (LocalCloud, Clients, Clients) {
    let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let settings =
        LambdaSettings { update_delay: Duration::ZERO, create_delay: Duration::ZERO, ..LambdaSettings::default() };
    let builder = LocalCloud::builder().lambda(settings).enforce_iam();
    let cloud = builder.identity("AKIADEV", "akiadev", Identity::user("dev").policy(policy)).start().await.unwrap();
    let (root, dev) = (clients(&cloud, "test"), clients(&cloud, "AKIADEV"));
    root.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    (cloud, root, dev)
}

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resource })
}

/// Code, message and status of a refusal.
fn refused<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    answer: Result<T, SdkError<E>>,
) -> (String, String, u16) {
    let error = answer.unwrap_err();
    let status = error.raw_response().unwrap().status().as_u16();
    (error.code().unwrap_or_default().to_owned(), error.message().unwrap_or_default().to_owned(), status)
}

fn words(action: &str, resource: &str) -> String {
    format!(
        "User: arn:aws:iam::000000000000:user/dev is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action"
    )
}

#[tokio::test]
async fn each_service_denies_in_its_own_form_and_in_the_words_of_aws() {
    let (_cloud, _, dev) = cloud(allow(&["s3:ListAllMyBuckets"], "*")).await;
    dev.s3.list_buckets().send().await.unwrap();
    let put = dev.s3.put_object().bucket(BUCKET).key("k").send().await;
    let object = format!("\"arn:aws:s3:::{BUCKET}/k\"");
    assert_eq!(refused(put), ("AccessDenied".to_owned(), words("s3:PutObject", &object), 403));

    let function = "arn:aws:lambda:us-east-1:000000000000:function:api";
    let get = dev.lambda.get_function().function_name("api").send().await;
    assert_eq!(refused(get), ("AccessDeniedException".to_owned(), words("lambda:GetFunction", function), 403));

    let stack = "arn:aws:cloudformation:us-east-1:000000000000:stack/app/*";
    let describe = dev.cloudformation.describe_stacks().stack_name("app").send().await;
    assert_eq!(refused(describe), ("AccessDenied".to_owned(), words("cloudformation:DescribeStacks", stack), 403));

    let role = dev.iam.get_role().role_name("r").send().await;
    let arn = "arn:aws:iam::000000000000:role/r";
    assert_eq!(refused(role), ("AccessDenied".to_owned(), words("iam:GetRole", arn), 403));

    let filter = dev.logs.filter_log_events().log_group_name("/aws/lambda/api").send().await;
    let group = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/api:log-stream:";
    assert_eq!(refused(filter), ("AccessDeniedException".to_owned(), words("logs:FilterLogEvents", group), 400));

    let start = dev.codebuild.start_build().project_name("p").send().await;
    let project = "arn:aws:codebuild:us-east-1:000000000000:project/p";
    assert_eq!(refused(start), ("AccessDeniedException".to_owned(), words("codebuild:StartBuild", project), 400));
}

#[tokio::test]
async fn a_key_that_is_not_known_is_refused_and_the_accounts_own_may_do_everything() {
    let (cloud, root, _) = cloud(allow(&["s3:*"], "*")).await;
    root.s3.put_object().bucket(BUCKET).key("k").send().await.unwrap();
    let stranger = clients(&cloud, "AKIASTRANGER").s3.list_buckets().send().await;
    assert_eq!(refused(stranger).0, "InvalidAccessKeyId");
}

#[tokio::test]
async fn a_missing_key_is_a_forbidden_one_for_who_may_not_list_its_prefix() {
    let list = json!({ "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket",
                       "Condition": { "StringLike": { "s3:prefix": "app/*" } } });
    let (_cloud, _, dev) = cloud(json!([allow(&["s3:GetObject"], "arn:aws:s3:::bucket/*"), list])).await;
    assert_eq!(refused(dev.s3.get_object().bucket(BUCKET).key("app/no").send().await).0, "NoSuchKey");
    let other = refused(dev.s3.get_object().bucket(BUCKET).key("other/no").send().await);
    assert_eq!(other, ("AccessDenied".to_owned(), words("s3:ListBucket", "\"arn:aws:s3:::bucket\""), 403));
    assert_eq!(refused(dev.s3.head_object().bucket(BUCKET).key("app/no").send().await).2, 404);
    assert_eq!(refused(dev.s3.head_object().bucket(BUCKET).key("other/no").send().await).2, 403);
}

#[tokio::test]
async fn tags_are_shown_only_to_who_may_read_them() {
    let reads = allow(&["s3:GetObject"], "arn:aws:s3:::bucket/*");
    let tags = allow(&["s3:GetObjectTagging"], "arn:aws:s3:::bucket/open/*");
    let (_cloud, root, dev) = cloud(json!([reads, tags])).await;
    for key in ["open/k", "closed/k"] {
        root.s3.put_object().bucket(BUCKET).key(key).tagging("a=b").send().await.unwrap();
    }
    let count = async |key: &str| dev.s3.head_object().bucket(BUCKET).key(key).send().await.unwrap().tag_count();
    assert_eq!((count("open/k").await, count("closed/k").await), (Some(1), None));
}

#[tokio::test]
async fn of_many_keys_only_those_are_deleted_that_may_be() {
    let (_cloud, root, dev) = cloud(allow(&["s3:DeleteObject"], "arn:aws:s3:::bucket/mine/*")).await;
    for key in ["mine/k", "yours/k"] {
        root.s3.put_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().objects(object("mine/k")).objects(object("yours/k")).build().unwrap();
    let answer = dev.s3.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!(answer.deleted().len(), 1);
    assert_eq!((answer.errors()[0].key(), answer.errors()[0].code()), (Some("yours/k"), Some("AccessDenied")));
    root.s3.head_object().bucket(BUCKET).key("yours/k").send().await.unwrap();
}

#[tokio::test]
async fn an_object_under_a_customers_key_takes_the_right_to_use_the_key_through_s3() {
    let key = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555";
    let objects = allow(&["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::bucket/*");
    let through_s3 = json!({ "Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": key,
                             "Condition": { "StringEquals": { "kms:ViaService": "s3.us-east-1.amazonaws.com" } } });
    let (_cloud, _, dev) = cloud(json!([objects, through_s3])).await;
    let put = async |kms_key: Option<&str>| {
        let put = dev.s3.put_object().bucket(BUCKET).key("k").set_ssekms_key_id(kms_key.map(str::to_owned));
        put.server_side_encryption("aws:kms".into()).send().await
    };
    put(Some(key)).await.unwrap();
    let read = refused(dev.s3.get_object().bucket(BUCKET).key("k").send().await);
    assert_eq!(read.1, words("kms:Decrypt", &format!("\"{key}\"")));
    // AWS's own key lets everybody in the account use it.
    put(None).await.unwrap();
    dev.s3.get_object().bucket(BUCKET).key("k").send().await.unwrap();
}

/// As on AWS, a function that is still being created takes no update. `GetFunction` has a quota of its own.
async fn created(lambda: &aws_sdk_lambda::Client, name: &str) {
    let state = async || {
        let answer = lambda.get_function().function_name(name).send().await.unwrap();
        answer.configuration.unwrap().state
    };
    while state().await == Some(aws_sdk_lambda::types::State::Pending) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn zip() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("index.js", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, b"exports.handler = async () => 1;").unwrap();
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn lambda_reads_code_in_the_callers_name_and_roles_have_to_be_passed() {
    let lambda = allow(&["lambda:CreateFunction", "lambda:UpdateFunctionCode"], "*");
    let pass = json!({ "Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::000000000000:role/app-*",
                       "Condition": { "StringEquals": { "iam:PassedToService": "lambda.amazonaws.com" } } });
    let (_cloud, root, dev) = cloud(json!([lambda, pass])).await;
    root.s3.put_object().bucket(BUCKET).key("k.zip").body(zip().into()).send().await.unwrap();
    let create = async |role: &str| {
        let code = aws_sdk_lambda::types::FunctionCode::builder().zip_file(zip().into()).build();
        let request = dev.lambda.create_function().function_name("api").code(code).handler("index.handler");
        let role = format!("arn:aws:iam::000000000000:role/{role}");
        request.runtime(aws_sdk_lambda::types::Runtime::Nodejs22x).role(role).send().await
    };
    let admin = "arn:aws:iam::000000000000:role/admin";
    assert_eq!(refused(create("admin").await).1, words("iam:PassRole", admin));
    create("app-api").await.unwrap();
    created(&root.lambda, "api").await;
    let update = dev.lambda.update_function_code().function_name("api").s3_bucket(BUCKET).s3_key("k.zip").send().await;
    let (code, message, status) = refused(update);
    assert_eq!((code.as_str(), status), ("AccessDeniedException", 403));
    assert!(message.starts_with("Your access has been denied by S3") && message.contains("s3:GetObject"), "{message}");
}

#[tokio::test]
async fn a_stacks_resources_are_made_in_the_name_of_who_asked_for_the_stack() {
    let (_cloud, _, dev) =
        cloud(json!([allow(&["cloudformation:*"], "*"), allow(&["iam:CreateRole", "iam:GetRole"], "*"),])).await;
    let policies = json!([{ "PolicyName": "p", "PolicyDocument": { "Version": "2012-10-17", "Statement": [allow(&["s3:GetObject"], "*")] } }]);
    let trust: Value = serde_json::from_str(TRUST).unwrap();
    let properties = json!({ "RoleName": "made", "AssumeRolePolicyDocument": trust, "Policies": policies });
    let template =
        json!({ "Resources": { "Role": { "Type": "AWS::IAM::Role", "Properties": properties } } }).to_string();
    let request = dev.cloudformation.create_stack().stack_name("app").template_body(template);
    request.capabilities("CAPABILITY_NAMED_IAM".into()).send().await.unwrap();
    let failed = loop {
        let events = dev.cloudformation.describe_stack_events().stack_name("app").send().await.unwrap();
        let failed = events
            .stack_events()
            .iter()
            .find(|event| event.resource_status().is_some_and(|status| status.as_str() == "CREATE_FAILED"));
        if let Some(failed) = failed {
            break failed.resource_status_reason().unwrap().to_owned();
        }
        tokio::task::yield_now().await;
    };
    assert!(failed.contains(&words("iam:PutRolePolicy", "arn:aws:iam::000000000000:role/made")), "{failed}");
    assert!(failed.contains("HandlerErrorCode: AccessDenied"), "{failed}");
}

#[tokio::test]
async fn a_buckets_policy_can_deny_what_others_allow_and_allow_what_no_other_does() {
    let (_cloud, root, dev) = cloud(json!([allow(&["s3:GetObject"], "arn:aws:s3:::bucket/*")])).await;
    root.s3.put_object().bucket(BUCKET).key("k").send().await.unwrap();
    let set = async |effect: &str, principal: Value, action: &str| {
        let statement = json!({ "Effect": effect, "Principal": principal, "Action": action,
                                "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"] });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        root.s3.put_bucket_policy().bucket(BUCKET).policy(policy).send().await.unwrap();
    };
    let user = json!({ "AWS": "arn:aws:iam::000000000000:user/dev" });
    let account = json!({ "AWS": "000000000000" });
    let get = async || dev.s3.get_object().bucket(BUCKET).key("k").send().await.map(drop);
    let put = async || dev.s3.put_object().bucket(BUCKET).key("k").send().await.map(drop);

    set("Deny", account.clone(), "s3:GetObject").await;
    let denied = "User: arn:aws:iam::000000000000:user/dev is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::bucket/k\" with an explicit deny in a resource-based policy";
    assert_eq!(refused(get().await), ("AccessDenied".to_owned(), denied.to_owned(), 403));
    // The account's own keys are denied it, too, but not what mends it.
    assert_eq!(refused(root.s3.get_object().bucket(BUCKET).key("k").send().await).0, "AccessDenied");
    set("Deny", json!("*"), "s3:*").await;
    root.s3.delete_bucket_policy().bucket(BUCKET).send().await.unwrap();
    get().await.unwrap();

    set("Allow", user, "s3:PutObject").await;
    put().await.unwrap();
    // To the account as such: its own policies have to pass it on.
    set("Allow", account, "s3:PutObject").await;
    assert_eq!(refused(put().await).1, words("s3:PutObject", "\"arn:aws:s3:::bucket/k\""));
}

#[tokio::test]
async fn a_copy_with_the_tags_of_its_source_takes_the_right_to_read_and_to_write_tags() {
    let objects = allow(&["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::bucket/*");
    let read = allow(&["s3:GetObjectTagging"], "arn:aws:s3:::bucket/from");
    let write = allow(&["s3:PutObjectTagging"], "arn:aws:s3:::bucket/to");
    for (statements, missing) in [
        (json!([objects, write]), Some("s3:GetObjectTagging")),
        (json!([objects, read]), Some("s3:PutObjectTagging")),
        (json!([objects, read, write]), None),
    ] {
        let (_cloud, root, dev) = cloud(statements).await;
        root.s3.put_object().bucket(BUCKET).key("from").tagging("a=b").send().await.unwrap();
        let copy = || dev.s3.copy_object().bucket(BUCKET).key("to").copy_source("bucket/from");
        match missing {
            Some(action) => assert!(refused(copy().send().await).1.contains(action), "{action}"),
            None => drop(copy().send().await.unwrap()),
        }
        // Whoever leaves the tags behind needs neither.
        copy().tagging_directive("REPLACE".into()).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_functions_tags_are_shown_only_to_who_may_list_them() {
    let get = allow(&["lambda:GetFunction"], "*");
    let list = allow(&["lambda:ListTags"], "arn:aws:lambda:us-east-1:000000000000:function:open");
    let (_cloud, root, dev) = cloud(json!([get, list])).await;
    let shown = async |name: &str| {
        let code = aws_sdk_lambda::types::FunctionCode::builder().zip_file(zip().into()).build();
        let create = root.lambda.create_function().function_name(name).code(code).handler("index.handler");
        let create = create.runtime(aws_sdk_lambda::types::Runtime::Nodejs22x).tags("team", "blue");
        create.role("arn:aws:iam::000000000000:role/r").send().await.unwrap();
        let function = dev.lambda.get_function().function_name(name).send().await.unwrap();
        let error = function.tags_error().map(|error| error.message().to_owned());
        (function.tags().map(|tags| tags["team"].clone()), error)
    };
    assert_eq!(shown("open").await, (Some("blue".to_owned()), None));
    let closed = "arn:aws:lambda:us-east-1:000000000000:function:closed";
    assert_eq!(shown("closed").await, (None, Some(words("lambda:ListTags", closed))));
}

#[tokio::test]
async fn what_a_principal_may_do_can_be_simulated() {
    let deny = json!({ "Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket/no/*" });
    let (_cloud, root, dev) = cloud(json!([allow(&["s3:PutObject"], "arn:aws:s3:::bucket/*"), deny])).await;
    let user = "arn:aws:iam::000000000000:user/dev";
    let ask = |clients: &Clients, who: &str| {
        let ask = clients.iam.simulate_principal_policy().policy_source_arn(who).action_names("s3:PutObject");
        ask.action_names("s3:GetObject")
            .resource_arns("arn:aws:s3:::bucket/k")
            .resource_arns("arn:aws:s3:::bucket/no/k")
    };
    let answer = ask(&root, user).send().await.unwrap();
    let decisions: Vec<&str> =
        answer.evaluation_results().iter().map(|result| result.eval_decision().as_str()).collect();
    assert_eq!(decisions, ["allowed", "explicitDeny", "implicitDeny", "implicitDeny"]);
    assert_eq!(refused(ask(&dev, user).send().await).1, words("iam:SimulatePrincipalPolicy", user));
    let nobody = ask(&root, "arn:aws:iam::000000000000:role/nobody").send().await;
    assert_eq!(refused(nobody).0, "NoSuchEntity");
}

#[tokio::test]
async fn a_layer_takes_the_right_to_read_it_and_policies_say_which_layers_functions_may_have() {
    let layer = |name: &str| format!("arn:aws:lambda:us-east-1:000000000000:layer:{name}");
    let functions = "arn:aws:lambda:us-east-1:000000000000:function:*";
    let approved = json!({
        "Effect": "Allow",
        "Action": ["lambda:UpdateFunctionConfiguration", "lambda:GetFunction"],
        "Resource": functions,
        "Condition": { "ForAllValues:StringLike": { "lambda:Layer": format!("{}:*", layer("approved")) } },
    });
    let read = allow(&["lambda:GetLayerVersion", "lambda:PublishLayerVersion"], &layer("approved*"));
    let (_cloud, root, dev) = cloud(json!([approved, read, allow(&["lambda:ListLayers"], "*")])).await;
    let publish = async |lambda: &aws_sdk_lambda::Client, name: &str| {
        let content = aws_sdk_lambda::types::LayerVersionContentInput::builder().zip_file(zip().into()).build();
        lambda.publish_layer_version().layer_name(name).content(content).send().await
    };
    publish(&dev.lambda, "approved").await.unwrap();
    let (_, message, status) = refused(publish(&dev.lambda, "other").await);
    assert_eq!((message, status), (words("lambda:PublishLayerVersion", &layer("other")), 403));
    publish(&root.lambda, "other").await.unwrap();
    publish(&root.lambda, "approved-too").await.unwrap();

    dev.lambda.list_layers().send().await.unwrap();
    dev.lambda.get_layer_version_by_arn().arn(format!("{}:1", layer("approved"))).send().await.unwrap();
    let other = format!("{}:1", layer("other"));
    let (_, message, _) = refused(dev.lambda.get_layer_version_by_arn().arn(&other).send().await);
    assert_eq!(message, words("lambda:GetLayerVersion", &other));

    let code = aws_sdk_lambda::types::FunctionCode::builder().zip_file(zip().into()).build();
    let create = root.lambda.create_function().function_name("api").code(code).handler("index.handler");
    let create = create.runtime(aws_sdk_lambda::types::Runtime::Nodejs22x).role("arn:aws:iam::000000000000:role/r");
    create.send().await.unwrap();
    created(&root.lambda, "api").await;
    let give =
        async |arn: &str| dev.lambda.update_function_configuration().function_name("api").layers(arn).send().await;
    give(&format!("{}:1", layer("approved"))).await.unwrap();
    // Readable, but not among those that functions may have.
    let (code, message, _) = refused(give(&format!("{}:1", layer("approved-too"))).await);
    let function = "arn:aws:lambda:us-east-1:000000000000:function:api";
    assert_eq!((&*code, message), ("AccessDeniedException", words("lambda:UpdateFunctionConfiguration", function)));
}
