//! Edits in moto's S3: those whose guards it has. It ignores `x-amz-copy-source-if-match`, and `If-Match` on Complete, so
//! nothing is claimed here about writers of a long artifact at the same time.

use quickdeploy_tests::archives::{contents, project};
use quickdeploy_tests::site::BUCKET;

use super::edits::{KEY, puts};
use super::project::Project;
use super::{MOTO, Server};
use zipedit::{Options, edit};

#[tokio::test]
async fn small_artifacts_in_moto_are_edited_under_the_condition_that_they_are_the_same() {
    let Some(server) = Server::start(&MOTO).await else { return };
    server.keep_versions().await;
    server.put(KEY, project(3, 1000)).await;
    let report = edit(&server.store(KEY), &puts([("util.js", "first")]), &Options::new()).await.unwrap();
    let get = server.s3.get_object().bucket(BUCKET).key(KEY).version_id(report.version_id.unwrap()).send();
    let held = contents(&get.await.unwrap().body.collect().await.unwrap().into_bytes());
    assert_eq!(held["util.js"].0, b"first");

    let stale = Options::new().if_match(&report.etag);
    edit(&server.store(KEY), &puts([("util.js", "second")]), &stale).await.unwrap();
    let error = edit(&server.store(KEY), &puts([("util.js", "third")]), &stale).await.unwrap_err();
    assert_eq!(error.kind(), "PreconditionFailed", "{error}");
    assert_eq!(contents(&server.get(KEY).await)["util.js"].0, b"second");
}

#[tokio::test]
async fn moto_is_found_out_and_patch_edits_there_only_when_it_is_told_to() {
    let Some(server) = Server::start(&MOTO).await else { return };
    server.put(KEY, project(3, 1000)).await;
    let project = Project::new(&server, &[("new.js", "exports.new = true;\n")]);
    let url = format!("s3://{BUCKET}/{KEY}");
    let patch = ["patch", &url, "--put", "new.js=new.js"];
    let before = server.get(KEY).await;
    let ran = project.run(&patch).await;
    let error = &ran.document["error"];
    assert_eq!((ran.code, &error["errorType"]), (Some(1), &"PreconditionsIgnored".into()), "{ran:#?}");
    let message = error["message"].as_str().unwrap();
    let ignored = "ignores x-amz-copy-source-if-match of UploadPartCopy, If-Match of CompleteMultipartUpload:";
    assert!(message.contains(ignored), "{message}");
    assert_eq!(server.get(KEY).await, before);
    let there = server.s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!((there.contents().len(), server.open_uploads().await), (1, 0), "the question left something");

    let document = project.quickdeploy(&[&patch[..], &["--store-check", "warn"]].concat()).await;
    assert_eq!(document["strategy"], "small");
    assert_eq!(contents(&server.get(KEY).await)["new.js"].0, b"exports.new = true;\n");
}
