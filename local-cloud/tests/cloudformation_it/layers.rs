//! Stacks with layers: of their own, and in a nested stack as `sam sync` makes them.

use aws_sdk_cloudformation::types::Capability;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_s3::primitives::ByteStream;

use crate::support::{Bench, given, reason, status};

/// Code that answers with what its layer says.
const FUNCTION: &str = r#"
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: app
      Runtime: python3.12
      Handler: index.handler
      Role: arn:aws:iam::000000000000:role/r
      Code: { ZipFile: "def handler(event, context): return __import__('said').text" }
"#;

fn template(layer: &str, reference: &str) -> String {
    format!(
        "Parameters: {{ Key: {{ Type: String }} }}\nResources:\n  Deps:\n{layer}{FUNCTION}      Layers: [{reference}]\nOutputs:\n  Layer: {{ Value: {reference} }}\n"
    )
}

/// A layer version with what one key of the bucket holds.
fn of_lambda(policies: &str) -> String {
    template(
        &format!(
            "    Type: AWS::Lambda::LayerVersion\n    Properties: {{ LayerName: deps, Content: {{ S3Bucket: code, S3Key: !Ref Key }} }}\n{policies}"
        ),
        "!Ref Deps",
    )
}

/// A cloud with two layers' packages in S3, `one.zip` and `two.zip`.
async fn bench() -> Bench {
    let bench = Bench::start().await;
    bench.s3.create_bucket().bucket("code").send().await.unwrap();
    for text in ["one", "two"] {
        let zip = zipped("python/said.py", &format!("text = '{text}'\n"));
        put(&bench, &format!("{text}.zip"), zip).await;
    }
    bench
}

async fn put(bench: &Bench, key: &str, body: Vec<u8>) {
    bench.s3.put_object().bucket("code").key(key).body(ByteStream::from(body)).send().await.unwrap();
}

fn zipped(name: &str, text: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, text.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

/// What the function says.
async fn said(bench: &Bench) -> String {
    let answer = bench.lambda.invoke().function_name("app").payload(Blob::new("{}")).send().await.unwrap();
    String::from_utf8(answer.payload.unwrap().into_inner()).unwrap()
}

/// The numbers of a layer's versions, newest first.
async fn versions(bench: &Bench, layer: &str) -> Vec<i64> {
    let listed = bench.lambda.list_layer_versions().layer_name(layer).send().await.unwrap();
    listed.layer_versions().iter().map(|version| version.version).collect()
}

#[tokio::test]
async fn an_update_replaces_a_layers_version_and_the_function_gets_the_new_one() {
    let bench = bench().await;
    let template = of_lambda("");
    let stack = bench.create("app", &template, &[("Key", "one.zip")]).await;
    assert_eq!(status(&stack), "CREATE_COMPLETE", "{}", reason(&stack));
    let arn = "arn:aws:lambda:us-east-1:000000000000:layer:deps";
    assert_eq!(stack.outputs()[0].output_value(), Some(&*format!("{arn}:1")));
    assert_eq!(said(&bench).await, "\"one\"");

    let stack = bench.update("app", &template, &[("Key", "two.zip")]).await;
    assert_eq!(status(&stack), "UPDATE_COMPLETE", "{}", reason(&stack));
    assert_eq!(stack.outputs()[0].output_value(), Some(&*format!("{arn}:2")));
    assert_eq!(said(&bench).await, "\"two\"");
    assert_eq!(versions(&bench, "deps").await, [2]);

    assert_eq!(status(&bench.delete("app").await), "DELETE_COMPLETE");
    assert!(versions(&bench, "deps").await.is_empty());
}

#[tokio::test]
async fn a_layers_version_that_is_to_be_retained_stays() {
    let bench = bench().await;
    let template = of_lambda("    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n");
    bench.create("app", &template, &[("Key", "one.zip")]).await;
    bench.update("app", &template, &[("Key", "two.zip")]).await;
    assert_eq!(versions(&bench, "deps").await, [2, 1]);
    assert_eq!(status(&bench.delete("app").await), "DELETE_COMPLETE");
    assert_eq!(versions(&bench, "deps").await, [2, 1]);
}

#[tokio::test]
async fn a_layer_that_cannot_be_read_fails_the_stack() {
    let bench = bench().await;
    let stack = bench.create("app", &of_lambda(""), &[("Key", "missing.zip")]).await;
    assert_eq!(status(&stack), "ROLLBACK_COMPLETE");
    let events = bench.events("app").await;
    let failed = events.iter().find(|(name, status, _)| name == "Deps" && status == "CREATE_FAILED").unwrap();
    assert!(failed.2.contains("NoSuchKey") && failed.2.contains("Service: Lambda"), "{}", failed.2);
}

/// Creates or updates a stack of a template that has transforms.
async fn deploy(bench: &Bench, template: &str, is_there: bool) {
    let capabilities = Some(vec![Capability::CapabilityIam, Capability::CapabilityAutoExpand]);
    if is_there {
        let request = bench.cloudformation.update_stack().stack_name("app").template_body(template);
        request.set_capabilities(capabilities).send().await.unwrap();
    } else {
        let request = bench.cloudformation.create_stack().stack_name("app").template_body(template);
        request.set_parameters(Some(given(&[]))).set_capabilities(capabilities).send().await.unwrap();
    }
    let stack = bench.ended("app").await;
    assert!(["CREATE_COMPLETE", "UPDATE_COMPLETE"].contains(&status(&stack)), "{}", reason(&stack));
}

#[tokio::test]
async fn a_serverless_layer_is_retained_unless_it_says_otherwise() {
    for (policy, left) in [("", vec![2, 1]), ("      RetentionPolicy: Delete\n", vec![2])] {
        let bench = bench().await;
        for (is_there, text) in [(false, "one"), (true, "two")] {
            let template = format!(
                "Transform: AWS::Serverless-2016-10-31\nResources:\n  Deps:\n    Type: AWS::Serverless::LayerVersion\n    Properties:\n      ContentUri: s3://code/{text}.zip\n{policy}{FUNCTION}      Layers: [!Ref Deps]\n"
            );
            deploy(&bench, &template, is_there).await;
            assert_eq!(said(&bench).await, format!("\"{text}\""));
        }
        assert_eq!(versions(&bench, "Deps").await, left);
    }
}

#[tokio::test]
async fn a_function_has_the_layer_of_a_nested_stack() {
    let bench = bench().await;
    let parent = format!(
        "Resources:\n  Nested:\n    Type: AWS::CloudFormation::Stack\n    DeletionPolicy: Delete\n    Properties: {{ TemplateURL: '{}/code/nested.json' }}\n{FUNCTION}      Layers: [!GetAtt Nested.Outputs.DepLayer]\n",
        bench.cloud.endpoint()
    );
    for (is_there, text) in [(false, "one"), (true, "two")] {
        let nested = serde_json::json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Transform": "AWS::Serverless-2016-10-31",
            "Metadata": { "CreatedBy": "AWS SAM CLI sync command" },
            "Resources": { "DepLayer": {
                "Type": "AWS::Serverless::LayerVersion",
                "Properties": {
                    "LayerName": "app-DepLayer",
                    "ContentUri": format!("s3://code/{text}.zip"),
                    "RetentionPolicy": "Delete",
                    "CompatibleRuntimes": ["python3.12"],
                },
                "Metadata": { "CreatedBy": "AWS SAM CLI sync command" },
            } },
            "Outputs": { "DepLayer": { "Value": { "Ref": "DepLayer" } } },
        });
        put(&bench, "nested.json", nested.to_string().into_bytes()).await;
        deploy(&bench, &parent, is_there).await;
        assert_eq!(said(&bench).await, format!("\"{text}\""));
    }
    assert_eq!(versions(&bench, "app-DepLayer").await, [2]);
    assert_eq!(status(&bench.delete("app").await), "DELETE_COMPLETE");
    assert!(versions(&bench, "app-DepLayer").await.is_empty());
}
