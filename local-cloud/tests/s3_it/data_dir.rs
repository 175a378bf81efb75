//! A data directory keeps everything for the next start.

use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use local_cloud::{Error, LocalCloud};

use crate::{BUCKET, Cloud, MIB, bytes, client, refused};

async fn start(path: &Path) -> Cloud {
    let cloud = LocalCloud::builder().data_dir(path).start().await.unwrap();
    let s3 = client(&cloud, "test", "test");
    Cloud { cloud, s3 }
}

fn segments(path: &Path) -> usize {
    std::fs::read_dir(path.join("segments")).unwrap().count()
}

#[tokio::test]
async fn objects_versions_and_unfinished_uploads_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let body = bytes(6 * MIB);
    let (version, upload, part) = {
        let cloud = start(directory.path()).await;
        cloud.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        cloud.enable_versions().await;
        let put = cloud.s3.put_object().bucket(BUCKET).key("k").metadata("a", "1").body(ByteStream::from(body.clone()));
        let version = put.send().await.unwrap().version_id.unwrap();
        let upload = cloud.begin("k").await;
        let part = cloud.copy("k", &upload, 1, "bucket/k", &format!("bytes=0-{}", 6 * MIB - 1)).await;
        cloud.put("k", b"newer").await;
        cloud.cloud.shutdown().await;
        (version, upload, part)
    };
    let cloud = start(directory.path()).await;
    assert_eq!(cloud.get("k").await, b"newer");
    let old = cloud.s3.get_object().bucket(BUCKET).key("k").version_id(&version).send().await.unwrap();
    assert_eq!(old.metadata().unwrap()["a"], "1");
    assert!(old.body.collect().await.unwrap().to_vec() == body);
    let done = cloud.complete("k", &upload, &[part]).send().await.unwrap();
    // It was begun before the newer object was put, and still is older after the restart.
    assert_eq!(cloud.get("k").await, b"newer");
    assert_ne!(done.version_id(), Some(version.as_str()));
}

#[tokio::test]
async fn bytes_that_nothing_uses_any_more_leave_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(directory.path()).await;
    cloud.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    cloud.put("k", bytes(MIB)).await;
    cloud.put("k", bytes(MIB)).await;
    assert_eq!(segments(directory.path()), 1);
    cloud.s3.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(segments(directory.path()), 0);
    cloud.s3.delete_bucket().bucket(BUCKET).send().await.unwrap();
    cloud.cloud.shutdown().await;
    let cloud = start(directory.path()).await;
    assert_eq!(refused(cloud.s3.list_objects_v2().bucket(BUCKET).send().await), (404, "NoSuchBucket".to_owned()));
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_cleared_away() {
    let directory = tempfile::tempdir().unwrap();
    {
        let cloud = start(directory.path()).await;
        cloud.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        cloud.put("k", b"kept").await;
        cloud.cloud.shutdown().await;
    }
    std::fs::write(directory.path().join("segments/orphan"), b"no record names these bytes").unwrap();
    let keys = directory.path().join("buckets").join(BUCKET).join("keys");
    std::fs::write(keys.join("half.new"), b"{\"key\":").unwrap();
    let cloud = start(directory.path()).await;
    assert_eq!(cloud.get("k").await, b"kept");
    assert_eq!(segments(directory.path()), 1);
    assert_eq!(std::fs::read_dir(keys).unwrap().count(), 1);
}

#[tokio::test]
async fn a_directory_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("thesis.txt"), b"mine").unwrap();
    let error = LocalCloud::builder().data_dir(directory.path()).start().await.unwrap_err();
    assert!(matches!(&error, Error::DataDir { message, .. } if message.contains("not empty")), "{error}");
}

#[tokio::test]
async fn two_clouds_do_not_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let _first = start(directory.path()).await;
    let error = LocalCloud::builder().data_dir(directory.path()).start().await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
}
