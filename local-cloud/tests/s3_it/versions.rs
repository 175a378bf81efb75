//! Buckets that keep versions.

use crate::{BUCKET, cloud, refused};

#[tokio::test]
async fn when_uploads_overlap_the_one_that_was_begun_last_is_current() {
    let cloud = cloud().await;
    cloud.enable_versions().await;
    let upload = cloud.begin("k").await;
    let parts = [cloud.part("k", &upload, 1, b"begun first".to_vec()).await];
    cloud.put("k", b"begun last").await;
    let done = cloud.complete("k", &upload, &parts).send().await.unwrap();
    assert_eq!(cloud.get("k").await, b"begun last");
    let version = done.version_id().unwrap();
    let got = cloud.s3.get_object().bucket(BUCKET).key("k").version_id(version).send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"begun first");
}

#[tokio::test]
async fn a_delete_marker_hides_the_object_until_it_is_deleted_itself() {
    let cloud = cloud().await;
    cloud.enable_versions().await;
    cloud.put("k", b"x").await;
    let marker = cloud.s3.delete_object().bucket(BUCKET).key("k").send().await.unwrap().version_id.unwrap();
    let hidden = cloud.s3.get_object().bucket(BUCKET).key("k").send().await;
    assert_eq!(refused(hidden), (404, "NoSuchKey".to_owned()));
    let marked = cloud.s3.get_object().bucket(BUCKET).key("k").version_id(&marker).send().await;
    assert_eq!(refused(marked), (405, "MethodNotAllowed".to_owned()));
    cloud.s3.delete_object().bucket(BUCKET).key("k").version_id(&marker).send().await.unwrap();
    assert_eq!(cloud.get("k").await, b"x");
}

#[tokio::test]
async fn a_listing_shows_versions_newest_first_and_the_object_from_before() {
    let cloud = cloud().await;
    cloud.put("k", b"before").await;
    cloud.enable_versions().await;
    cloud.put("k", b"1").await;
    cloud.put("k", b"22").await;
    let listing = cloud.s3.list_object_versions().bucket(BUCKET).send().await.unwrap();
    let sizes: Vec<i64> = listing.versions().iter().filter_map(aws_sdk_s3::types::ObjectVersion::size).collect();
    assert_eq!(sizes, [2, 1, 6]);
    assert_eq!(listing.versions()[2].version_id(), Some("null"));
    assert_eq!(listing.versions()[0].is_latest(), Some(true));
}
