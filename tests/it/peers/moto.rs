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
async fn patch_edits_a_small_artifact_in_moto() {
    let Some(server) = Server::start(&MOTO).await else { return };
    server.put(KEY, project(3, 1000)).await;
    let project = Project::new(&server, &[("new.js", "exports.new = true;\n")]);
    let document = project.quickdeploy(&["patch", &format!("s3://{BUCKET}/{KEY}"), "--put", "new.js=new.js"]).await;
    assert_eq!(document["strategy"], "small");
    assert_eq!(contents(&server.get(KEY).await)["new.js"].0, b"exports.new = true;\n");
}
