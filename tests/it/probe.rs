//! Which preconditions a store heeds is found out, and nothing of the question stays.

use std::time::Duration;

use bytes::Bytes;
use local_cloud::{Action, Fault};
use quickdeploy_tests::archives::project;
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use zipedit::store::s3::PROBE_SUFFIX;
use zipedit::{Error, Heed, Precondition, Stop};

const KEY: &str = "app/artifact.zip";

/// A cloud with an artifact, and with versions or without.
async fn cloud(versions: bool) -> (Cloud, Bytes) {
    let cloud = Cloud::start().await;
    if versions {
        cloud.keep_versions().await;
    }
    let body = project(3, 1000);
    cloud.put(KEY, body.clone()).await;
    (cloud, body)
}

/// As a store that ignores this precondition.
fn ignoring(cloud: &Cloud, precondition: Precondition) {
    let header = match precondition.header() {
        "If-Match" => "if-match",
        "If-None-Match" => "if-none-match",
        header => header,
    };
    cloud.faults().ignore(precondition.operation(), header);
}

/// Only the artifact is there, in one version, and no upload.
async fn assert_nothing_is_left(cloud: &Cloud, artifact: &Bytes, when: &str) {
    let versions = cloud.s3.list_object_versions().bucket(BUCKET).send().await.unwrap();
    let keys: Vec<_> = versions.versions().iter().filter_map(|version| version.key()).collect();
    assert_eq!((keys, versions.delete_markers().len()), (vec![KEY], 0), "{when}");
    assert_eq!(cloud.open_uploads().await, 0, "{when}");
    assert_eq!(cloud.get(KEY).await, artifact, "{when}");
}

/// Waits until the cloud has seen a call of this operation.
async fn seen(cloud: &Cloud, operation: &str) {
    let waiting = async {
        while !cloud.operations().iter().any(|seen| seen == operation) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it never came");
}

#[tokio::test]
async fn a_store_that_heeds_preconditions_says_so_in_a_few_requests_and_keeps_nothing() {
    for (versions, of, requests) in [
        (false, Precondition::OF_EDITS, 9),
        (false, Precondition::OF_COPIES, 5),
        (false, Precondition::ALL, 14),
        (true, Precondition::ALL, 15),
    ] {
        let (cloud, artifact) = cloud(versions).await;
        let probed = cloud.store(KEY).probe(of, &Stop::never()).await.unwrap();
        assert!(probed.iter().all(|(_, heed)| *heed == Heed::Heeded), "{probed:?}");
        assert_eq!(probed.reliable().collect::<Vec<_>>(), of);
        assert_eq!((probed.left_behind(), probed.refuse_ignored(KEY).is_ok()), (&[][..], true));
        let seen = cloud.s3_requests();
        assert_eq!(seen.len(), requests, "{:?}", cloud.operations());
        let of_the_probe = format!("{BUCKET}/{KEY}{PROBE_SUFFIX}");
        let is_its_own = |resource: &str| resource.starts_with(&of_the_probe) || resource == BUCKET;
        assert!(seen.iter().all(|request| request.resource.as_deref().is_some_and(is_its_own)), "{seen:?}");
        assert_nothing_is_left(&cloud, &artifact, &format!("{versions} {of:?}")).await;
    }
}

#[tokio::test]
async fn each_precondition_that_is_ignored_is_found_out_among_those_that_are_heeded() {
    for versions in [false, true] {
        for one in Precondition::ALL {
            let (cloud, artifact) = cloud(versions).await;
            ignoring(&cloud, *one);
            let probed = cloud.store(KEY).probe(Precondition::ALL, &Stop::never()).await.unwrap();
            assert_eq!(probed.ignored().collect::<Vec<_>>(), [*one], "{probed:?}");
            assert_eq!(probed.unknown().count(), 0, "{probed:?}");
            let error = probed.refuse_ignored("s3://artifacts/app/artifact.zip").unwrap_err();
            assert!(error.to_string().contains(&one.to_string()), "{error}");
            assert_eq!(probed.left_behind().len(), 0);
            assert_nothing_is_left(&cloud, &artifact, &format!("{one}, versions: {versions}")).await;
        }
    }
}

#[tokio::test]
async fn a_store_that_ignores_all_of_them_is_asked_without_a_trace() {
    for versions in [false, true] {
        let (cloud, artifact) = cloud(versions).await;
        for one in Precondition::ALL {
            ignoring(&cloud, *one);
        }
        let probed = cloud.store(KEY).probe(Precondition::OF_EDITS, &Stop::never()).await.unwrap();
        assert_eq!(probed.ignored().collect::<Vec<_>>(), Precondition::OF_EDITS);
        assert_eq!(probed.reliable().count(), 0);
        assert_nothing_is_left(&cloud, &artifact, &format!("versions: {versions}")).await;
    }
}

#[tokio::test]
async fn a_refusal_for_another_reason_proves_nothing() {
    let answer = |status, code| Action::Respond { status, code };
    for (operation, action) in [
        ("PutObject", answer(403, "AccessDenied")),
        ("PutObject", answer(400, "InvalidRequest")),
        ("CreateMultipartUpload", answer(403, "AccessDenied")),
        ("UploadPart", answer(403, "AccessDenied")),
        ("UploadPartCopy", answer(409, "OperationAborted")),
        ("CompleteMultipartUpload", answer(500, "InternalError")),
        ("GetObject", answer(404, "NoSuchKey")),
    ] {
        let (cloud, artifact) = cloud(true).await;
        cloud.faults().inject(Fault::on(operation).always().then(action));
        let probed = cloud.store(KEY).probe(Precondition::OF_EDITS, &Stop::never()).await.unwrap();
        assert_eq!(probed.ignored().count(), 0, "{operation} {action}: {probed:?}");
        assert!(probed.unknown().count() > 0, "{operation} {action}: {probed:?}");
        cloud.faults().clear();
        assert_nothing_is_left(&cloud, &artifact, &format!("{operation} {action}")).await;
    }
    // What a store doesn't have can't go unguarded.
    let (cloud, _) = cloud(false).await;
    cloud.faults().inject(Fault::on("UploadPartCopy").always().then(answer(501, "NotImplemented")));
    let probed = cloud.store(KEY).probe(Precondition::OF_EDITS, &Stop::never()).await.unwrap();
    assert_eq!(probed.reliable().collect::<Vec<_>>(), Precondition::OF_EDITS);
}

#[tokio::test]
async fn a_fault_at_any_request_of_it_leaves_nothing_and_no_wrong_answer() {
    let actions = [
        Action::ResetBefore,
        Action::ResetAfter,
        Action::Respond { status: 503, code: "SlowDown" },
        Action::RespondAfter { status: 500, code: "InternalError" },
    ];
    let operations = [
        "PutObject",
        "CreateMultipartUpload",
        "GetObject",
        "UploadPart",
        "UploadPartCopy",
        "CompleteMultipartUpload",
        "AbortMultipartUpload",
        "ListObjectVersions",
        "DeleteObject",
    ];
    for operation in operations {
        for action in actions {
            let (cloud, artifact) = cloud(true).await;
            cloud.faults().inject(Fault::on(operation).then(action));
            let probed = cloud.store(KEY).probe(Precondition::OF_EDITS, &Stop::never()).await.unwrap();
            assert_eq!(probed.ignored().count(), 0, "{operation} {action}: {probed:?}");
            // The SDK asks for another upload when the answer to the first request is lost: nobody knows that one.
            if operation != "CreateMultipartUpload" {
                assert_eq!(probed.left_behind().len(), 0, "{operation} {action}: {probed:?}");
                assert_nothing_is_left(&cloud, &artifact, &format!("{operation} {action}")).await;
            }
            assert_eq!(cloud.get(KEY).await, artifact);
        }
    }
}

#[tokio::test]
async fn without_a_network_it_is_an_error_before_anything_is_written() {
    for operation in ["PutObject", "CreateMultipartUpload", "GetObject", "CompleteMultipartUpload"] {
        let (cloud, artifact) = cloud(true).await;
        cloud.faults().inject(Fault::on(operation).always().then(Action::ResetBefore));
        let error = cloud.store(KEY).probe(Precondition::OF_EDITS, &Stop::never()).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{operation}: {error}");
        cloud.faults().clear();
        assert_nothing_is_left(&cloud, &artifact, operation).await;
    }
    let (cloud, _) = cloud(false).await;
    let nowhere = zipedit::S3Store::new(cloud.s3.clone(), "no-such-bucket", KEY);
    let error = nowhere.probe(Precondition::OF_EDITS, &Stop::never()).await.unwrap_err();
    assert!(matches!(error, Error::ArtifactNotFound { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_is_stopped_removes_what_it_made() {
    for (operation, action) in [
        ("PutObject", Action::StallAfter),
        ("CreateMultipartUpload", Action::StallAfter),
        ("GetObject", Action::Stall),
        ("CompleteMultipartUpload", Action::Stall),
    ] {
        let (cloud, artifact) = cloud(true).await;
        cloud.faults().inject(Fault::on(operation).then(action));
        let stop = Stop::never();
        let store = cloud.store(KEY);
        // What it waits for never comes. In a task of its own, as it is large.
        let probing = {
            let stop = stop.clone();
            tokio::spawn(async move { store.probe(Precondition::OF_EDITS, &stop).await })
        };
        seen(&cloud, operation).await;
        stop.now();
        let probed = tokio::time::timeout(Duration::from_secs(60), probing).await.expect("it goes on waiting").unwrap();
        let error = probed.unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{operation}: {error}");
        assert_nothing_is_left(&cloud, &artifact, operation).await;
    }
}

#[tokio::test]
async fn what_could_not_be_removed_is_named() {
    let (cloud, _) = cloud(true).await;
    let denied = Action::Respond { status: 403, code: "AccessDenied" };
    for operation in ["DeleteObject", "AbortMultipartUpload"] {
        cloud.faults().inject(Fault::on(operation).always().then(denied));
    }
    let probed = cloud.store(KEY).probe(Precondition::OF_EDITS, &Stop::never()).await.unwrap();
    assert_eq!(probed.reliable().collect::<Vec<_>>(), Precondition::OF_EDITS);
    let [upload, object] = probed.left_behind() else { panic!("{probed:?}") };
    assert!(upload.contains("unfinished upload") && upload.contains(PROBE_SUFFIX), "{upload}");
    assert!(object.contains("s3:DeleteObjectVersion") && object.contains(PROBE_SUFFIX), "{object}");
}
