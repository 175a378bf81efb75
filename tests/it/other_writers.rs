//! Other writers, and answers that get lost: nobody's change is, and the answer is true.

use std::time::Duration;

use local_cloud::{Action, Fault};
use quickdeploy_tests::archives::{contents, project};
use quickdeploy_tests::cloud::Cloud;
use zipedit::{Error, Options, Stop, edit, edit_from};

use crate::strategies::puts;

/// Waits until the cloud has seen a call of this operation.
async fn seen(cloud: &Cloud, operation: &str) {
    while !cloud.operations().iter().any(|seen| seen == operation) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn edits_at_the_same_time_are_all_there_in_the_end() {
    let cloud = Cloud::start().await;
    cloud.keep_versions().await;
    for body in [project(3, 1000), project(30, 400_000)] {
        cloud.put("artifact.zip", body).await;
        let names: Vec<String> = (0..8).map(|at| format!("writer-{at}.js")).collect();
        let edits = names.iter().map(|name| {
            let store = cloud.store("artifact.zip");
            async move { edit(&store, &puts([(name.as_str(), name.as_str())]), &Options::new()).await.unwrap() }
        });
        let reports = futures::future::join_all(edits).await;
        assert!(reports.iter().any(|report| report.attempts > 1), "nobody was in anybody's way");
        let contents = contents(&cloud.get("artifact.zip").await);
        assert!(names.iter().all(|name| contents.contains_key(name)));
        assert_eq!(cloud.open_uploads().await, 0);
    }
}

#[tokio::test]
async fn a_writer_that_comes_in_between_is_built_upon() {
    let cloud = Cloud::start().await;
    cloud.put("artifact.zip", project(30, 400_000)).await;
    // The first edit's Complete is held up until the second edit is through.
    cloud.faults().inject(Fault::on("CompleteMultipartUpload").then(Action::Hold { gate: 1 }));
    let (one, other) = (cloud.store("artifact.zip"), cloud.store("artifact.zip"));
    let slow = tokio::spawn(async move { edit(&one, &puts([("slow.js", "slow")]), &Options::new()).await });
    seen(&cloud, "CompleteMultipartUpload").await;
    edit(&other, &puts([("quick.js", "quick")]), &Options::new()).await.unwrap();
    cloud.faults().open(1);
    let report = slow.await.unwrap().unwrap();
    assert_eq!(report.attempts, 2);
    let contents = contents(&cloud.get("artifact.zip").await);
    assert!(contents.contains_key("slow.js") && contents.contains_key("quick.js"));
    assert_eq!(cloud.open_uploads().await, 0);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_recognised_as_done() {
    let cloud = Cloud::start().await;
    for (operation, body) in [("PutObject", project(3, 1000)), ("CompleteMultipartUpload", project(30, 400_000))] {
        for action in [Action::ResetAfter, Action::RespondAfter { status: 500, code: "InternalError" }] {
            cloud.put("artifact.zip", body.clone()).await;
            cloud.faults().inject(Fault::on(operation).then(action));
            let report = edit(&cloud.store("artifact.zip"), &puts([("new.js", "new")]), &Options::new()).await.unwrap();
            assert_eq!((report.added, report.attempts), (1, 1), "{operation}: {action}");
            assert!(cloud.requests().iter().any(|request| request.fault.is_some()), "the fault was met");
            assert_eq!(contents(&cloud.get("artifact.zip").await)["new.js"].0, b"new");
            assert_eq!(cloud.open_uploads().await, 0);
        }
    }
}

#[tokio::test]
async fn a_commit_that_is_refused_leaves_the_artifact_and_no_upload() {
    let cloud = Cloud::start().await;
    let body = project(30, 400_000);
    for operation in ["UploadPart", "UploadPartCopy", "CompleteMultipartUpload"] {
        cloud.put("artifact.zip", body.clone()).await;
        cloud
            .faults()
            .inject(Fault::on(operation).always().then(Action::Respond { status: 403, code: "AccessDenied" }));
        let error = edit(&cloud.store("artifact.zip"), &puts([("new.js", "new")]), &Options::new()).await.unwrap_err();
        assert_eq!(error.kind(), "AccessDenied", "{operation}: {error}");
        cloud.faults().clear();
        assert_eq!(cloud.get("artifact.zip").await, body);
        assert_eq!(cloud.open_uploads().await, 0, "{operation}");
    }
}

#[tokio::test]
async fn an_edit_that_runs_out_of_time_aborts_its_upload() {
    let cloud = Cloud::start().await;
    let body = project(30, 400_000);
    for operation in ["CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload"] {
        cloud.put("artifact.zip", body.clone()).await;
        cloud.faults().inject(Fault::on(operation).then(Action::Stall));
        let options = Options::new().stop(Stop::after(Duration::from_secs(1)));
        let edited = edit(&cloud.store("artifact.zip"), &puts([("new.js", "new")]), &options).await;
        let error = edited.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{operation}: {error}");
        // What was under way on the other side comes to its end. Nothing is left for the next one, if it never got here.
        cloud.faults().clear();
        cloud.at_rest().await;
        assert_eq!(cloud.get("artifact.zip").await, body, "{operation}");
        if operation != "CreateMultipartUpload" {
            assert_eq!(cloud.open_uploads().await, 0, "{operation}");
        }
    }
}

#[tokio::test]
async fn an_artifact_that_is_known_is_not_read_again_unless_it_changed() {
    let cloud = Cloud::start().await;
    cloud.put("artifact.zip", project(30, 400_000)).await;
    let store = cloud.store("artifact.zip");
    let (_, known) = edit_from(&store, None, &puts([("util.js", "one")]), &Options::new()).await.unwrap();
    cloud.clear_requests();
    let (report, known) = edit_from(&store, known, &puts([("util.js", "two")]), &Options::new()).await.unwrap();
    assert_eq!(report.traffic.bytes_read, 0);
    assert_eq!(report.traffic.round_trips, 3);
    assert!(!cloud.operations().iter().any(|operation| operation == "GetObject"));

    // Another writer, whose change must not get lost.
    edit(&store, &puts([("other.js", "other")]), &Options::new()).await.unwrap();
    let (report, known) = edit_from(&store, known, &puts([("util.js", "three")]), &Options::new()).await.unwrap();
    assert_eq!(report.attempts, 2);
    let found = contents(&cloud.get("artifact.zip").await);
    assert_eq!((&found["util.js"].0[..], &found["other.js"].0[..]), (&b"three"[..], &b"other"[..]));
    assert_eq!(cloud.open_uploads().await, 0);

    // Nothing to do is nothing to do only if the artifact is still what it was.
    edit(&store, &puts([("util.js", "four")]), &Options::new()).await.unwrap();
    let (report, _) = edit_from(&store, known, &puts([("util.js", "three")]), &Options::new()).await.unwrap();
    assert_eq!(report.identical, 0);
    assert_eq!(contents(&cloud.get("artifact.zip").await)["util.js"].0, b"three");
}

#[tokio::test]
async fn tags_that_were_set_since_the_artifact_was_read_are_carried_over() {
    use aws_sdk_s3::types::{Tag, Tagging};
    let cloud = Cloud::start().await;
    for body in [project(3, 1000), project(30, 400_000)] {
        cloud.put("artifact.zip", body).await;
        let store = cloud.store("artifact.zip");
        let (_, known) = edit_from(&store, None, &puts([("util.js", "one")]), &Options::new()).await.unwrap();
        let tags = Tagging::builder().tag_set(Tag::builder().key("k").value("v").build().unwrap()).build().unwrap();
        let bucket = quickdeploy_tests::cloud::BUCKET;
        cloud.s3.put_object_tagging().bucket(bucket).key("artifact.zip").tagging(tags).send().await.unwrap();
        edit_from(&store, known, &puts([("util.js", "two")]), &Options::new()).await.unwrap();
        let tags = cloud.s3.get_object_tagging().bucket(bucket).key("artifact.zip").send().await.unwrap();
        assert_eq!(tags.tag_set().len(), 1);
    }
}

#[tokio::test]
async fn a_commit_that_was_built_upon_before_its_answer_was_missed_is_recognised_as_done() {
    let cloud = Cloud::start().await;
    cloud.put("artifact.zip", project(30, 400_000)).await;
    cloud.faults().inject(Fault::on("CompleteMultipartUpload").then(Action::StallAfter));
    let (one, other) = (cloud.store("artifact.zip"), cloud.store("artifact.zip"));
    let stop = Stop::never();
    let options = Options::new().stop(stop.clone());
    let slow = tokio::spawn(async move { edit(&one, &puts([("slow.js", "slow")]), &options).await });
    while !contents(&cloud.get("artifact.zip").await).contains_key("slow.js") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    edit(&other, &puts([("quick.js", "quick")]), &Options::new()).await.unwrap();
    stop.now();
    let report = slow.await.unwrap().unwrap();
    let now = cloud.get("artifact.zip").await;
    assert_eq!((report.added, report.size), (1, now.len() as u64));
    assert!(contents(&now).contains_key("slow.js") && contents(&now).contains_key("quick.js"));
}

#[tokio::test]
async fn a_commit_whose_fate_cannot_be_learned_is_not_called_undone() {
    let cloud = Cloud::start().await;
    // A put can't be taken back, nor can an upload that may not be aborted.
    for (operation, body) in [("PutObject", project(3, 1000)), ("CompleteMultipartUpload", project(30, 400_000))] {
        cloud.put("artifact.zip", body).await;
        cloud.faults().inject(Fault::on(operation).then(Action::Stall));
        let denied = Action::Respond { status: 403, code: "AccessDenied" };
        cloud.faults().inject(Fault::on("AbortMultipartUpload").always().then(denied));
        let stop = Stop::never();
        let (store, options) = (cloud.store("artifact.zip"), Options::new().stop(stop.clone()));
        let changes = puts([("new.js", "new")]);
        let (edited, ()) = tokio::join!(edit(&store, &changes, &options), async {
            seen(&cloud, operation).await;
            stop.now();
        });
        let error = edited.unwrap_err();
        assert!(matches!(error, Error::Unknown { .. }), "{operation}: {error}");
        cloud.faults().clear();
    }
}

#[tokio::test]
async fn a_precondition_on_what_another_wrote_is_met_by_one_who_knew_only_the_old() {
    let cloud = Cloud::start().await;
    cloud.put("artifact.zip", project(3, 1000)).await;
    let store = cloud.store("artifact.zip");
    let (_, known) = edit_from(&store, None, &puts([("util.js", "one")]), &Options::new()).await.unwrap();
    let theirs = edit(&store, &puts([("other.js", "other")]), &Options::new()).await.unwrap();
    let options = Options::new().if_match(theirs.etag);
    let (report, _) = edit_from(&store, known, &puts([("util.js", "two")]), &options).await.unwrap();
    assert_eq!((report.modified, report.attempts), (1, 1));
}
