//! The Lambda's contract, by the real `bootstrap` behind the real Runtime API.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local_cloud::{Action, Fault};
use quickdeploy_tests::archives::{contents, project};
use quickdeploy_tests::binaries::bootstrap;
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zipedit::Directory;
use zipedit::directory::Search;

async fn cloud() -> Cloud {
    let cloud = Cloud::with_zipedit(bootstrap()).await;
    cloud.put("app/artifact.zip", project(30, 400_000)).await;
    cloud
}

#[allow(clippy::needless_pass_by_value)] // The callers write `json!` in place.
fn event(changes: Value) -> Value {
    json!({ "src": format!("s3://{BUCKET}/app/artifact.zip"), "changes": changes })
}

#[tokio::test]
async fn the_original_event_gets_the_original_answer_and_more() {
    let cloud = cloud().await;
    let answer = cloud
        .invoke("zipedit", &event(json!({"util.js": "new", "new.js": "x", "handlers/stop.js": "y"})))
        .await
        .unwrap();
    assert_eq!((&answer["added"], &answer["modified"]), (&json!(1), &json!(2)));
    assert_eq!(answer["strategy"], "splice");
    let head = cloud.s3.head_object().bucket(BUCKET).key("app/artifact.zip").send().await.unwrap();
    assert_eq!(answer["etag"].as_str(), head.e_tag());
    assert_eq!(answer["size"].as_i64(), head.content_length());
    let found = contents(&cloud.get("app/artifact.zip").await);
    assert_eq!(found["util.js"], (b"new".to_vec(), Some(0o100_644)));
    assert_eq!(found["new.js"], (b"x".to_vec(), Some(0o100_755)));
}

#[tokio::test]
async fn the_answer_has_the_digest_of_the_directory_that_was_written() {
    let cloud = cloud().await;
    let mut digests = Vec::new();
    // Read cold, known from the edit before, and nothing to do.
    for change in ["one", "two", "two"] {
        let answer = cloud.invoke("zipedit", &event(json!({"util.js": change}))).await.unwrap();
        let written = cloud.get("app/artifact.zip").await;
        let Search::Found(directory) = Directory::find(&written, written.len() as u64).unwrap() else {
            panic!("it is all there")
        };
        let end = &written[usize::try_from(directory.start()).unwrap()..];
        assert_eq!(answer["directorySha256"], json!(BASE64_STANDARD.encode(Sha256::digest(end))), "{change}");
        digests.push(answer["directorySha256"].clone());
    }
    assert!(digests[0] != digests[1] && digests[1] == digests[2], "{digests:?}");
    let mut dry = event(json!({"util.js": "three"}));
    dry["dryRun"] = json!(true);
    let answer = cloud.invoke("zipedit", &dry).await.unwrap();
    assert_eq!(answer.get("directorySha256"), None, "nothing was written: {answer}");
}

#[tokio::test]
async fn every_form_of_change_is_carried_out() {
    let cloud = cloud().await;
    let bytes: Vec<u8> = (0..=255).collect();
    let changes = json!({
        "logo.png": {"base64": BASE64_STANDARD.encode(&bytes)},
        "run.sh": {"text": "#!/bin/sh\n", "mode": "0700"},
        "util.js": {"text": "moded", "mode": "0600"},
        "handlers/list.js": null,
        "never-there.js": null,
        "handlers/stop.js": "exports.name = 'handlers/stop.js';\n".repeat(20),
    });
    let answer = cloud.invoke("zipedit", &event(changes.clone())).await.unwrap();
    for (field, value) in [("added", 2), ("modified", 2), ("deleted", 1), ("missing", 1), ("identical", 1)] {
        assert_eq!(answer[field], json!(value), "{field} in {answer}");
    }
    let found = contents(&cloud.get("app/artifact.zip").await);
    assert_eq!(found["logo.png"], (bytes, Some(0o100_755)));
    assert_eq!(found["run.sh"], (b"#!/bin/sh\n".to_vec(), Some(0o100_700)));
    assert_eq!(found["util.js"], (b"moded".to_vec(), Some(0o100_600)));
    assert!(!found.contains_key("handlers/list.js"));
    // Sent again: the same end, and nothing is written.
    let again = cloud.invoke("zipedit", &event(changes)).await.unwrap();
    assert_eq!((&again["strategy"], &again["identical"], &again["missing"]), (&json!("none"), &json!(4), &json!(2)));
    assert_eq!(again["etag"], answer["etag"]);
}

#[tokio::test]
async fn an_overlay_brings_further_puts() {
    let cloud = cloud().await;
    let files = [("big/one.bin".to_owned(), vec![7; 3_000_000]), ("util.js".to_owned(), b"from the overlay".to_vec())];
    cloud.put("staging/changes.zip", quickdeploy_tests::archives::archive(files)).await;
    let overlay = format!("s3://{BUCKET}/staging/changes.zip");
    let mut with_overlay = event(json!({"new.js": "x"}));
    with_overlay["overlay"] = json!(overlay);
    let answer = cloud.invoke("zipedit", &with_overlay).await.unwrap();
    assert_eq!((&answer["added"], &answer["modified"]), (&json!(2), &json!(1)));
    let found = contents(&cloud.get("app/artifact.zip").await);
    assert_eq!(found["big/one.bin"].0, vec![7; 3_000_000]);
    assert_eq!(found["util.js"], (b"from the overlay".to_vec(), Some(0o100_644)));

    with_overlay["changes"] = json!({"util.js": "twice"});
    let (kind, message) = cloud.invoke("zipedit", &with_overlay).await.unwrap_err();
    assert_eq!(kind, "InvalidEvent");
    assert!(message.contains("`util.js`"), "{message}");
    with_overlay["overlay"] = json!(format!("s3://{BUCKET}/staging/none.zip"));
    assert_eq!(cloud.invoke("zipedit", &with_overlay).await.unwrap_err().0, "ArtifactNotFound");
}

#[tokio::test]
async fn if_match_and_dry_run_are_heeded() {
    let cloud = cloud().await;
    let before = cloud.get("app/artifact.zip").await;
    let with = |field: &str, value: Value| {
        let mut event = event(json!({"util.js": "new"}));
        event[field] = value;
        event
    };
    let dry = cloud.invoke("zipedit", &with("dryRun", json!(true))).await.unwrap();
    assert_eq!((&dry["modified"], &dry["dryRun"], &dry["strategy"]), (&json!(1), &json!(true), &json!("splice")));
    let (kind, _) = cloud.invoke("zipedit", &with("ifMatch", json!("\"0123\""))).await.unwrap_err();
    assert_eq!(kind, "PreconditionFailed");
    assert_eq!(cloud.get("app/artifact.zip").await, before);
    cloud.invoke("zipedit", &with("ifMatch", dry["etag"].clone())).await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_named_and_the_artifact_stays() {
    let cloud = cloud().await;
    let before = cloud.get("app/artifact.zip").await;
    cloud.put("app/text.zip", "no zip".into()).await;
    let src = |src: &str| json!({"src": src, "changes": {"a": "b"}});
    for (event, kind, named) in [
        (json!({"src": "s3://b/k", "changes": {}, "colour": 1}), "InvalidEvent", "`colour`"),
        (json!({"changes": {}}), "InvalidEvent", "`src`"),
        (json!(["x"]), "InvalidEvent", "object"),
        (src("no-key"), "InvalidEvent", "`no-key`"),
        (event(json!({"../x": "y"})), "InvalidEntryName", "`../x`"),
        (event(json!({"/x": "y"})), "InvalidEntryName", "`/x`"),
        (event(json!({"C:\\x": "y"})), "InvalidEntryName", "drive"),
        (event(json!({"a\\b": "y"})), "InvalidEntryName", "backslash"),
        (event(json!({"": "y"})), "InvalidEntryName", "empty"),
        (event(json!({"a\0b": "y"})), "InvalidEntryName", "NUL"),
        (event(json!({"util.js/below": "y"})), "InvalidEntryName", "`util.js`"),
        (event(json!({"handlers": "y"})), "InvalidEntryName", "directory"),
        (src("artifacts/none.zip"), "ArtifactNotFound", "s3://artifacts/none.zip"),
        (src("no-such-bucket/none.zip"), "ArtifactNotFound", "bucket"),
        (src("artifacts/app/text.zip"), "NotAZip", "s3://artifacts/app/text.zip"),
    ] {
        let (found, message) = cloud.invoke("zipedit", &event).await.unwrap_err();
        assert_eq!(found, kind, "{message}");
        assert!(message.contains(named), "{message}");
    }
    cloud.faults().inject(Fault::on("GetObject").always().then(Action::Respond { status: 403, code: "AccessDenied" }));
    let (kind, message) = cloud.invoke("zipedit", &event(json!({"a": "b"}))).await.unwrap_err();
    assert!(kind == "AccessDenied" && message.contains("s3:GetObject"), "{message}");
    cloud.faults().clear();
    assert_eq!(cloud.get("app/artifact.zip").await, before);
}

#[tokio::test]
async fn near_the_deadline_the_upload_is_aborted_and_a_timeout_is_answered() {
    let cloud = Cloud::start_from(local_cloud::LocalCloud::builder().function({
        let mut function = local_cloud::BuiltinFunction::new("zipedit", [bootstrap()]);
        function.timeout = 4;
        function
    }))
    .await;
    cloud.put("app/artifact.zip", project(30, 400_000)).await;
    let before = cloud.get("app/artifact.zip").await;
    cloud.faults().inject(Fault::on("UploadPartCopy").always().then(Action::Delay(Duration::from_secs(5))));
    let (kind, message) = cloud.invoke("zipedit", &event(json!({"util.js": "new"}))).await.unwrap_err();
    assert_eq!(kind, "Timeout", "{message}");
    assert!(message.contains("longer timeout"), "{message}");
    assert_eq!(cloud.open_uploads().await, 0);
    assert_eq!(cloud.get("app/artifact.zip").await, before);
}

#[tokio::test]
async fn a_warm_process_reads_nothing_of_the_artifact_that_it_edited_last() {
    let cloud = cloud().await;
    cloud.invoke("zipedit", &event(json!({"util.js": "one"}))).await.unwrap();
    cloud.clear_requests();
    let answer = cloud.invoke("zipedit", &event(json!({"util.js": "two"}))).await.unwrap();
    assert_eq!((&answer["bytesRead"], &answer["roundTrips"]), (&json!(0), &json!(3)));
    assert!(!cloud.operations().iter().any(|operation| operation == "GetObject"));
    assert_eq!(contents(&cloud.get("app/artifact.zip").await)["util.js"].0, b"two");
}

#[tokio::test]
async fn logs_are_json_and_never_show_contents() {
    let cloud = cloud().await;
    let secret = "the-content-of-a-file";
    let _ = cloud.invoke("zipedit", &event(json!({"util.js": secret}))).await.unwrap();
    let _ = cloud.invoke("zipedit", &event(json!({"../x": secret}))).await.unwrap_err();
    let _ = cloud.invoke("zipedit", &event(json!({"x": {"base64": secret}}))).await.unwrap_err();
    let _ =
        cloud.invoke("zipedit", &event(json!({"x": {"text": "t", "mode": "8", "other": secret}}))).await.unwrap_err();
    let lines: Vec<String> = cloud.functions().logs("zipedit").into_iter().map(|event| event.message).collect();
    let json: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line.trim()).ok()).collect();
    assert_eq!(json.len(), 4, "{lines:#?}");
    assert!(json.iter().all(|line| line["level"].is_string() && line["requestId"].is_string()));
    assert!(lines.iter().all(|line| !line.contains(secret)), "{lines:#?}");
}

#[tokio::test]
async fn who_writes_is_told_by_the_event_and_is_metadata_of_that_version_alone() {
    let cloud = cloud().await;
    let mut by_ada = event(json!({"util.js": "1"}));
    by_ada["metadata"] = json!({"quickdeploy-by": "ada@example.com"});
    cloud.invoke("zipedit", &by_ada).await.unwrap();
    let by = async || {
        let head = cloud.s3.head_object().bucket(BUCKET).key("app/artifact.zip").send().await.unwrap();
        head.metadata().and_then(|metadata| metadata.get("quickdeploy-by").cloned())
    };
    assert_eq!(by().await.as_deref(), Some("ada@example.com"));
    // Warm: what is known of the artifact includes what is said of it.
    let answer = cloud.invoke("zipedit", &event(json!({"util.js": "2"}))).await.unwrap();
    assert_eq!((&answer["attempts"], by().await), (&json!(1), None));
    let mut foreign = event(json!({"util.js": "3"}));
    foreign["metadata"] = json!({"commit": "abc"});
    let (kind, message) = cloud.invoke("zipedit", &foreign).await.unwrap_err();
    assert!(kind == "InvalidEvent" && message.contains("`commit`"), "{kind}: {message}");
}
