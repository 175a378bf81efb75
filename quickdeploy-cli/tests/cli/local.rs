//! `local` and `demo`: the cloud that the program brings along.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::world::{Ran, command};

/// Reads lines until one begins with `start`, and gives the rest of it.
async fn line_with(lines: &mut tokio::io::Lines<BufReader<tokio::process::ChildStdout>>, start: &str) -> String {
    let reading = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
        panic!("no line begins with {start:?}");
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.expect("it printed nothing")
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn local_is_ready_when_it_says_so_and_ctrl_c_ends_it() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("requests.jsonl");
    let arguments = ["local", "--listen", "127.0.0.1:0", "--log", log.to_str().unwrap()];
    let mut child = command(directory.path(), "http://127.0.0.1:9", &arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let endpoint = line_with(&mut lines, "Listening on ").await;
    assert_eq!(line_with(&mut lines, "export AWS_ENDPOINT_URL=").await, endpoint);

    let zip = crate::world::zip_of([("a.txt", b"a".to_vec())].into_iter());
    std::fs::write(directory.path().join("a.zip"), zip).unwrap();
    std::fs::write(directory.path().join("b.txt"), "b").unwrap();
    let ran = command(directory.path(), &endpoint, &["patch", "s3://nowhere/a.zip", "--put", "b.txt=b.txt", "--json"]);
    let ran = Ran::of(&{ ran }.output().await.unwrap()).expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "ArtifactNotFound");

    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let status = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.expect("it did not end").unwrap();
    assert_eq!(status.code(), Some(0));
    let logged = std::fs::read_to_string(&log).unwrap();
    let first: serde_json::Value = serde_json::from_str(logged.lines().next().unwrap()).unwrap();
    assert_eq!((&first["operation"], &first["status"]), (&"GetObject".into(), &404.into()));
}

async fn demo(directory: Option<&Path>) -> serde_json::Value {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut arguments = vec!["demo", "--json"];
    arguments.extend(directory.map(|directory| directory.to_str().unwrap()));
    // The endpoint and the credentials of the environment must not matter: nothing listens there.
    let mut command = command(elsewhere.path(), "http://127.0.0.1:9", &arguments);
    let ran = command.env("AWS_PROFILE", "nobody").env("AWS_REGION", "mars-north-1").output().await.unwrap();
    Ran::of(&ran).expect_code(0).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_an_edit_going_live_on_four_functions() {
    let document = demo(None).await;
    assert_eq!(document["ok"], true);
    assert_eq!(document["edited"], "start.js");
    let functions = document["deploy"]["functions"].as_array().unwrap();
    assert_eq!(functions.len(), 4);
    assert!(functions.iter().all(|function| function["status"] == "live"), "{functions:?}");
    assert_eq!(document["deploy"]["patch"]["via"], "lambda");
    assert_eq!(document["deploy"]["patch"]["strategy"], "splice");
    let start = &document["functions"][0];
    if let Some(before) = start["answerBefore"].as_str() {
        assert!(before.contains(r#""action":"start""#), "{before}");
        assert!(start["answerAfter"].as_str().unwrap().contains("start, edited at"), "{start}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_takes_a_python_project_and_leaves_it_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let app = directory.path().join("app.py");
    let text = "def lambda_handler(event, context):\n    return {'hello': 'world'}\n";
    std::fs::write(&app, text).unwrap();
    let document = demo(Some(directory.path())).await;
    assert_eq!(document["edited"], "app.py");
    assert_eq!(document["functions"][0]["handler"], "app.lambda_handler");
    if let Some(before) = document["functions"][0]["answerBefore"].as_str() {
        assert_eq!(before, r#"{"hello":"world"}"#);
        assert_eq!(document["functions"][0]["answerAfter"], before);
    }
    assert_eq!(std::fs::read_to_string(&app).unwrap(), text);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_deploys_a_project_that_nothing_can_be_called_in() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("data.txt"), "data").unwrap();
    let document = demo(Some(directory.path())).await;
    assert_eq!(document["ok"], true);
    assert_eq!(document["functions"][0]["answerBefore"], serde_json::Value::Null);
    assert_eq!(document["deploy"]["changes"]["added"][0]["name"], "quickdeploy-demo.txt");
}
