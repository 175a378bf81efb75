//! Edits in LocalStack's S3, which is the closest to AWS: its own tests are recorded there.

use bytes::Bytes;
use quickdeploy_tests::archives::{contents, noise, project};
use quickdeploy_tests::site::BUCKET;
use zipedit::{Object as _, Options, Stop, edit};

use super::edits::{KEY, every_strategy_changes_what_it_was_told, puts, tags_are_carried_over, writers_lose_nothing};
use super::project::Project;
use super::{LOCALSTACK, Server};

#[tokio::test]
async fn every_strategy_edits_an_artifact_in_localstack() {
    let Some(server) = Server::start(&LOCALSTACK).await else { return };
    every_strategy_changes_what_it_was_told(&server, tags_are_carried_over).await;
}

#[tokio::test]
async fn writers_of_a_small_artifact_at_the_same_time_lose_nothing_in_localstack() {
    let Some(server) = Server::start(&LOCALSTACK).await else { return };
    // Without versions it writes over the bytes that others are reading, under the old object's ETag and length. And
    // of longer artifacts, two writers' Completes under the same If-Match can both be let through.
    server.keep_versions().await;
    writers_lose_nothing(&server, project(3, 1000), 8).await;
}

#[tokio::test]
async fn localstack_keeps_each_version_that_a_report_names() {
    let Some(server) = Server::start(&LOCALSTACK).await else { return };
    server.keep_versions().await;
    for artifact in [project(3, 1000), project(30, 400_000)] {
        server.put(KEY, artifact.clone()).await;
        let store = server.store(KEY);
        let mut written = Vec::new();
        for content in ["one", "two"] {
            let report = edit(&store, &puts([("util.js", content)]), &Options::new()).await.unwrap();
            written.push((content, report.version_id.unwrap()));
        }
        for (content, version) in &written {
            let get = server.s3.get_object().bucket(BUCKET).key(KEY).version_id(version).send().await.unwrap();
            let held = get.body.collect().await.unwrap().into_bytes();
            assert_eq!(contents(&held)["util.js"].0, content.as_bytes());
        }
        // Back to the first of them, inside S3.
        let current = store.head_current().await.unwrap();
        let restored = store.version(&written[0].1).restore(current.as_ref(), &Stop::never()).await.unwrap();
        assert_eq!(contents(&server.get(KEY).await)["util.js"].0, b"one");
        assert!(restored.version_id().is_some_and(|version| written.iter().all(|(_, earlier)| earlier != version)));
    }
}

#[tokio::test]
async fn a_whole_new_artifact_goes_up_to_localstack_in_parts_or_not_at_all() {
    let Some(server) = Server::start(&LOCALSTACK).await else { return };
    let store = server.store(KEY);
    let [first, second, third] = [1, 2, 3].map(|seed| Bytes::from(noise(seed, 20_000_000)));
    let upload = async |base: &zipedit::S3Object, body: &Bytes| {
        let read = |range: std::ops::Range<u64>| {
            let piece = body.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
            async move { Ok(piece) }
        };
        store.replace(base, body.len() as u64, read, |_| {}, &Stop::never()).await
    };
    let base = upload(&store.absent(), &first).await.unwrap();
    assert!(base.etag().ends_with("-3\""), "three parts of 8 MiB at most: {}", base.etag());
    assert_eq!(upload(&store.absent(), &second).await.unwrap_err().kind(), "Conflict", "there is one");
    upload(&base, &second).await.unwrap();
    assert_eq!(upload(&base, &third).await.unwrap_err().kind(), "Conflict", "it is another one by now");
    assert!(server.get(KEY).await == second, "the last that was let through");
    assert_eq!(server.open_uploads().await, 0);
}

#[tokio::test]
async fn patch_edits_in_localstack_what_it_is_told_and_refuses_another_state() {
    let Some(server) = Server::start(&LOCALSTACK).await else { return };
    let url = format!("s3://{BUCKET}/{KEY}");
    for (strategy, artifact) in [("small", project(3, 1000)), ("splice", project(30, 400_000))] {
        server.put(KEY, artifact).await;
        let project = Project::new(&server, &[("new.js", "exports.new = true;\n")]);
        let changes = ["--put", "lib/new.js=new.js", "--delete", "handlers/list.js"];
        let document = project.quickdeploy(&[&["patch", url.as_str()], changes.as_slice()].concat()).await;
        assert_eq!((&document["strategy"], &document["added"]), (&strategy.into(), &1.into()));
        let held = contents(&server.get(KEY).await);
        assert_eq!(held["lib/new.js"].0, b"exports.new = true;\n");
        assert!(!held.contains_key("handlers/list.js"));

        let stale = ["--if-match", "\"0123456789abcdef0123456789abcdef\"", "--put", "x=new.js"];
        let ran = project.run(&[&["patch", url.as_str()], stale.as_slice()].concat()).await;
        assert_eq!(
            (ran.code, &ran.document["error"]["errorType"]),
            (Some(1), &"PreconditionFailed".into()),
            "{ran:#?}"
        );
        assert_eq!(contents(&server.get(KEY).await), held);
    }
}
