//! A developer's day against MiniStack: what is deployed is what its functions, real Node.js and Python processes, answer.

use std::path::Path;

use quickdeploy_tests::binaries::root;
use quickdeploy_tests::site::Site;
use serde_json::{Value, json};

use super::super::installation::clients;
use super::super::project::Project;
use super::{bootstrapped, ministack};

const CONFIGURATION: &str = r#"
artifact = "s3://artifacts/app/artifact.zip"
role = "app-role"
exclude = [".release/"]

[create.in-node]
handler = "handler.handler"
runtime = "nodejs22.x"

[create.in-python]
handler = "handler.handler"
runtime = "python3.13"
"#;

/// The same answer in both languages.
fn answering(project: &Project<'_>, answer: &str) {
    project.write("lib/answer.js", format!("exports.answer = '{answer}';\n"));
    project.write("answer.py", format!("ANSWER = {answer:?}\n"));
}

async fn assert_both_answer(site: &Site, answer: &str) {
    for function in ["in-node", "in-python"] {
        assert_eq!(site.invoke(function, &json!({})).await, Ok(json!(answer)), "{function}");
    }
}

#[tokio::test]
async fn what_is_deployed_is_what_functions_in_node_and_python_answer_and_a_rollback_takes_it_back() {
    let Some(server) = ministack().await else { return };
    let project = Project::new(
        &server,
        &[
            ("quickdeploy.toml", CONFIGURATION),
            ("handler.js", "const { answer } = require('./lib/answer');\nexports.handler = async () => answer;\n"),
            (
                "handler.py",
                "from answer import ANSWER\n\n\ndef handler(event, context):\n    print('said ' + ANSWER)\n    return ANSWER\n",
            ),
        ],
    );
    bootstrapped(&project).await;
    answering(&project, "first");
    let document = project.quickdeploy(&["full"]).await;
    assert_eq!(document["role"]["created"], true, "{document:#}");
    assert_both_answer(&server, "first").await;

    for (via, answer) in [("lambda", "second"), ("direct", "third")] {
        answering(&project, answer);
        let document = project.quickdeploy(&["deploy", "--via", via]).await;
        assert_eq!((&document["patch"]["via"], &document["patch"]["modified"]), (&json!(via), &json!(2)));
        assert_both_answer(&server, answer).await;
    }
    let invoked = project.quickdeploy(&["invoke", "in-python"]).await;
    assert_eq!((&invoked["result"], &invoked["ok"]), (&json!("third"), &json!(true)), "{invoked:#}");
    let logged = project.quickdeploy(&["logs", "--function", "in-python"]).await;
    let lines: Vec<&str> =
        logged["events"].as_array().unwrap().iter().filter_map(|event| event["message"].as_str()).collect();
    for answer in ["first", "second", "third"] {
        assert!(lines.iter().any(|line| line.contains(&format!("said {answer}"))), "{lines:#?}");
    }

    let status = project.quickdeploy(&["status"]).await;
    assert_eq!((&status["clean"], &status["zipedit"]["isThere"]), (&json!(true), &json!(true)), "{status:#}");
    assert!(status["functions"].as_array().unwrap().iter().all(|function| function["state"] == "live"), "{status:#}");
    let history = project.quickdeploy(&["history"]).await;
    let writers: Vec<&Value> =
        history["versions"].as_array().unwrap().iter().map(|version| &version["writer"]).collect();
    assert_eq!(writers, [&json!("deploy"), &json!("deploy"), &json!("full")]);

    // It ignores the conditions of CopyObject, on which nothing but a rollback rests.
    let ran = project.run(&["rollback"]).await;
    assert_eq!((ran.code, &ran.document["error"]["errorType"]), (Some(1), &"PreconditionsIgnored".into()), "{ran:#?}");
    let document = project.quickdeploy(&["rollback", "--store-check", "warn"]).await;
    assert_eq!(document["restored"], true, "{document:#}");
    assert_both_answer(&server, "second").await;
    let oldest = history["versions"][2]["versionId"].as_str().unwrap();
    project.quickdeploy(&["rollback", oldest, "--store-check", "warn"]).await;
    assert_both_answer(&server, "first").await;
    let document = project.quickdeploy(&["doctor"]).await;
    assert_eq!(document["ok"], true, "{document:#}");
}

const STACK: &str = r#"
artifact = "s3://shop-artifacts/shop.zip"
stack = "shop"
template = "template.yaml"
capabilities = ["CAPABILITY_IAM"]
exclude = ["/test/", "/README.md", "/template.yaml", "/package-lock.json"]
# A package with the same bytes is labelled anew by a copy, whose conditions MiniStack ignores.
store-check = "warn"

[parameters]
ArtifactBucket = "{bucket}"
ArtifactKey = "{key}"
InstanceId = "i-0123456789abcdef0"
Token = "0123456789abcdef0123456789abcdef"
"#;

/// What the example's functions answer to a caller without the token.
async fn refusals(site: &Site, functions: &[String]) -> Vec<Value> {
    let mut answers = Vec::new();
    for function in functions {
        let answer = site.invoke(function, &json!({ "headers": {} })).await.unwrap();
        assert_eq!(answer["statusCode"], 401, "{answer:#}");
        answers.push(answer["body"].clone());
    }
    answers
}

#[tokio::test]
async fn a_full_build_brings_an_examples_stack_up_and_changes_it_by_change_sets() {
    let Some(server) = ministack().await else { return };
    let project = Project::new(&server, &[]);
    let example = root().join("examples/node-ec2-controller");
    for name in ["start.js", "stop.js", "util.js", "package.json", "template.yaml"] {
        project.write(name, std::fs::read(example.join(name)).unwrap());
    }
    project.write("quickdeploy.toml", STACK);

    let document = project.quickdeploy(&["full"]).await;
    assert_eq!((&document["bucket"]["created"], functions(&document).len()), (&json!(true), 2), "{document:#}");
    let functions = functions(&document);
    let before = refusals(&server, &functions).await;

    replace(project.path(), "util.js", "wrong or missing token", "who are you");
    let document = project.quickdeploy(&["deploy", "--via", "direct"]).await;
    assert_eq!(document["patch"]["modified"], 1, "{document:#}");
    let after = refusals(&server, &functions).await;
    assert!(after.iter().zip(&before).all(|(after, before)| after != before), "{before:?}, then {after:?}");

    replace(project.path(), "template.yaml", "Timeout: 15", "Timeout: 20");
    let document = project.quickdeploy(&["full"]).await;
    assert_eq!(document["ok"], true, "{document:#}");
    for name in &functions {
        let function = server.lambda.get_function_configuration().function_name(name).send().await.unwrap();
        assert_eq!(function.timeout(), Some(20));
    }
    assert_eq!(refusals(&server, &functions).await, after);

    // A stack that is as the template says is left alone, and so is a dry run's.
    let again = project.quickdeploy(&["full"]).await;
    assert_eq!(again["upload"]["status"], "unchanged", "{again:#}");
    replace(project.path(), "template.yaml", "Timeout: 20", "Timeout: 25");
    project.quickdeploy(&["full", "--dry-run"]).await;
    let function = server.lambda.get_function_configuration().function_name(&functions[0]).send().await.unwrap();
    assert_eq!(function.timeout(), Some(20));

    replace(project.path(), "template.yaml", "AWS::Logs::LogGroup", "AWS::Logs::NoSuchThing");
    let ran = project.run(&["full"]).await;
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    let why = ran.document["error"].to_string();
    assert!(why.contains("shop") && why.contains("AWS::Logs::NoSuchThing"), "{why}");
    assert_eq!(refusals(&server, &functions).await, after);
}

/// The names of the functions in a document of `full`.
fn functions(document: &Value) -> Vec<String> {
    let functions = document["functions"].as_array().unwrap();
    functions.iter().map(|function| function["name"].as_str().unwrap().to_owned()).collect()
}

fn replace(directory: &Path, name: &str, old: &str, new: &str) {
    let text = std::fs::read_to_string(directory.join(name)).unwrap();
    assert!(text.contains(old), "{name} has no {old:?}");
    std::fs::write(directory.join(name), text.replace(old, new)).unwrap();
}

#[tokio::test]
async fn a_stack_that_boto3_created_is_found_by_init_and_edited_by_deploy() {
    let Some(server) = ministack().await else { return };
    if clients().is_none() {
        return;
    }
    let project = Project::new(&server, &[]);
    for name in ["handler.py", "png.py", "template.yaml"] {
        project.write(name, std::fs::read(root().join("examples/python-thumbnailer").join(name)).unwrap());
    }
    let script = root().join("tests/peers/with_boto3.py");
    let boto3 = async |arguments: &[&str]| -> Value {
        let printed = project.client("python", &[&[script.to_str().unwrap()], arguments].concat()).await;
        serde_json::from_str(&printed).unwrap()
    };
    const ARTIFACT: &str = "s3://artifacts/app/artifact.zip";
    let outputs = boto3(&["create", "thumbs", "template.yaml", ARTIFACT, "handler.py", "png.py"]).await;
    assert_eq!(outputs, json!({ "FunctionName": "thumbnailer" }));
    bootstrapped(&project).await;

    let found = project.quickdeploy(&["init", "thumbnailer", "--artifact", ARTIFACT]).await;
    assert_eq!(found["ok"], true, "{found:#}");
    replace(project.path(), "handler.py", "send a PNG in base64", "a PNG, please");
    let document = project.quickdeploy(&["deploy", "--via", "lambda"]).await;
    assert_eq!(document["patch"]["modified"], 1, "{document:#}");

    let handler = std::fs::read_to_string(project.path().join("handler.py")).unwrap();
    let version = document["artifact"]["versionId"].as_str().unwrap();
    assert_eq!(boto3(&["read", ARTIFACT, version]).await["handler.py"], handler.as_str());
    assert_eq!(boto3(&["invoke", "thumbnailer", "{}"]).await, json!({ "error": "`image` is missing: a PNG, please" }));
}
