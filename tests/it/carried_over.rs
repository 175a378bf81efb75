//! What an object has besides its bytes is the same after an edit, by every strategy.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use bytes::Bytes;
use local_cloud::{Action, Fault};
use quickdeploy_tests::archives::project;
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use zipedit::{Options, edit};

use crate::strategies::puts;

async fn put_with_everything(cloud: &Cloud, key: &str, body: Bytes) {
    cloud
        .s3
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(body.into())
        .content_type("application/zip")
        .cache_control("max-age=60")
        .content_disposition("attachment; filename=\"a.zip\"")
        .content_language("de")
        .expires(aws_sdk_s3::primitives::DateTime::from_secs(1_900_000_000))
        .metadata("commit", "abc123")
        .metadata("builder", "ci")
        .storage_class(StorageClass::StandardIa)
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id("arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555")
        .bucket_key_enabled(true)
        .tagging("team=blue%20one&stage=dev%2Ftest")
        .send()
        .await
        .unwrap();
    cloud.clear_requests();
}

/// Everything about an object that an edit has to carry over, as text.
async fn attributes(cloud: &Cloud, key: &str) -> BTreeMap<&'static str, String> {
    let head = cloud.s3.head_object().bucket(BUCKET).key(key).send().await.unwrap();
    let tagging = cloud.s3.get_object_tagging().bucket(BUCKET).key(key).send().await.unwrap();
    let sorted: BTreeMap<_, _> = head.metadata().unwrap().iter().collect();
    let tags: BTreeMap<_, _> = tagging.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
    BTreeMap::from([
        ("content type", format!("{:?}", head.content_type())),
        ("cache control", format!("{:?}", head.cache_control())),
        ("disposition", format!("{:?}", head.content_disposition())),
        ("language", format!("{:?}", head.content_language())),
        ("expires", format!("{:?}", head.expires_string())),
        ("metadata", format!("{sorted:?}")),
        ("storage class", format!("{:?}", head.storage_class())),
        ("encryption", format!("{:?}", head.server_side_encryption())),
        ("key", format!("{:?} {:?}", head.ssekms_key_id(), head.bucket_key_enabled())),
        ("tags", format!("{tags:?}")),
    ])
}

#[tokio::test]
async fn headers_metadata_tags_storage_class_and_encryption_are_carried_over() {
    let cloud = Cloud::start().await;
    for (strategy, body) in
        [("small", project(3, 1000)), ("splice", project(30, 400_000)), ("rewrite", project(30, 400_000))]
    {
        if strategy == "rewrite" {
            let fault = Fault::on("UploadPartCopy").then(Action::Respond { status: 501, code: "NotImplemented" });
            cloud.faults().inject(fault);
        }
        put_with_everything(&cloud, "artifact.zip", body).await;
        let before = attributes(&cloud, "artifact.zip").await;
        let report = edit(&cloud.store("artifact.zip"), &puts([("util.js", "new")]), &Options::new()).await.unwrap();
        assert_eq!(report.strategy.as_str(), strategy);
        assert_eq!(attributes(&cloud, "artifact.zip").await, before, "{strategy}");
        assert!(before.values().all(|value| value != "None"), "{before:?}");
    }
}

#[tokio::test]
async fn tags_cost_a_request_only_where_there_are_tags() {
    let cloud = Cloud::start().await;
    cloud.put("plain.zip", project(3, 1000)).await;
    edit(&cloud.store("plain.zip"), &puts([("util.js", "new")]), &Options::new()).await.unwrap();
    assert_eq!(cloud.operations(), ["GetObject", "PutObject"]);
}

#[tokio::test]
async fn the_answer_names_the_version_that_was_written() {
    let cloud = Cloud::start().await;
    cloud.keep_versions().await;
    for body in [project(3, 1000), project(30, 400_000)] {
        cloud.put("artifact.zip", body).await;
        let report = edit(&cloud.store("artifact.zip"), &puts([("util.js", "new")]), &Options::new()).await.unwrap();
        let head = cloud.s3.head_object().bucket(BUCKET).key("artifact.zip").send().await.unwrap();
        assert!(report.version_id.is_some());
        assert_eq!(report.version_id.as_deref(), head.version_id());
        assert_eq!(Some(report.etag.as_str()), head.e_tag());
    }
}

#[tokio::test]
async fn keys_with_every_kind_of_character_are_edited() {
    let cloud = Cloud::start().await;
    cloud.keep_versions().await;
    let key = "a b/ü+%20&=?#'()!*~/artifact .zip";
    cloud.put(key, project(30, 400_000)).await;
    let report = edit(&cloud.store(key), &puts([("util.js", "new")]), &Options::new()).await.unwrap();
    assert_eq!(report.strategy.as_str(), "splice");
}

#[tokio::test]
async fn a_retention_that_is_to_come_is_carried_over_and_one_that_is_over_is_no_obstacle() {
    use aws_sdk_s3::primitives::DateTime;
    use aws_sdk_s3::types::ObjectLockMode;
    use std::time::{Duration, SystemTime};
    let cloud = Cloud::start().await;
    cloud.s3.create_bucket().bucket("locked").object_lock_enabled_for_bucket(true).send().await.unwrap();
    let store = zipedit::S3Store::new(cloud.s3.clone(), "locked", "artifact.zip");
    let put = async |time: Duration| {
        let until = DateTime::from(SystemTime::now() + time);
        let request = cloud.s3.put_object().bucket("locked").key("artifact.zip").body(project(3, 1000).into());
        let locked = request.object_lock_mode(ObjectLockMode::Governance).object_lock_retain_until_date(until);
        locked.send().await.unwrap();
        until
    };
    let head = async || cloud.s3.head_object().bucket("locked").key("artifact.zip").send().await.unwrap();

    let until = put(Duration::from_secs(3600)).await;
    edit(&store, &puts([("util.js", "new")]), &Options::new()).await.unwrap();
    assert_eq!(head().await.object_lock_retain_until_date().map(DateTime::secs), Some(until.secs()));

    put(Duration::from_secs(2)).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    edit(&store, &puts([("util.js", "newer")]), &Options::new()).await.unwrap();
    assert_eq!(head().await.object_lock_retain_until_date(), None);
}

#[tokio::test]
async fn what_it_takes_to_read_the_tags_is_counted() {
    let cloud = Cloud::start().await;
    put_with_everything(&cloud, "artifact.zip", project(30, 400_000)).await;
    let report = edit(&cloud.store("artifact.zip"), &puts([("util.js", "new")]), &Options::new()).await.unwrap();
    assert_eq!(report.traffic.requests, cloud.s3_requests().len() as u64);
    assert_eq!(report.traffic.round_trips, 5);
}
