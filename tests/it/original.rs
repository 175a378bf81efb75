//! Equal to the original: its algorithm, in Python, on the same events gives the same names, contents, attributes and
//! counts.

use std::process::Command;

use bytes::Bytes;
use quickdeploy_tests::archives::{contents, project};
use quickdeploy_tests::binaries::{bootstrap, root};
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use quickdeploy_tests::programs::{is_there, output_of};
use serde_json::{Value, json};

/// The original's answer to an event, and the archive that it made.
fn original(archive: &Bytes, changes: &Value) -> (Value, Bytes) {
    let folder = tempfile::tempdir().unwrap();
    let (artifact, event) = (folder.path().join("artifact.zip"), folder.path().join("event.json"));
    std::fs::write(&artifact, archive).unwrap();
    std::fs::write(&event, json!({ "changes": changes }).to_string()).unwrap();
    let program = root().join("tests/tools/original.py");
    let printed = output_of(Command::new("python3").arg(program).arg("--file").arg(&artifact).arg(&event));
    (serde_json::from_str(&printed).unwrap(), std::fs::read(&artifact).unwrap().into())
}

#[tokio::test]
async fn names_contents_attributes_and_counts_are_the_originals() {
    if !is_there("python3") {
        return;
    }
    let cloud = Cloud::with_zipedit(bootstrap()).await;
    let edits = [
        json!({"util.js": "exports.changed = true;\n"}),
        json!({"new.js": "x", "deep/er/new.js": "y", "util.js": "z"}),
        json!({"util.js": "", "empty.js": ""}),
        json!({"ü/ö €.txt": "non-ASCII name", "handlers/stop.js": "ünïcödé"}),
        json!({}),
    ];
    for archive in [project(5, 5_000), project(30, 400_000)] {
        for changes in &edits {
            cloud.put("artifact.zip", archive.clone()).await;
            let event = json!({ "src": format!("{BUCKET}/artifact.zip"), "changes": changes });
            let ours = cloud.invoke("zipedit", &event).await.unwrap();
            let (theirs, their_archive) = original(&archive, changes);
            assert_eq!((&ours["added"], &ours["modified"]), (&theirs["added"], &theirs["modified"]), "{changes}");
            assert_eq!(contents(&cloud.get("artifact.zip").await), contents(&their_archive), "{changes}");
        }
    }
}
