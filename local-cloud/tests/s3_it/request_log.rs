//! The request log counts what went over the wire.

use local_cloud::{LocalCloud, Service};

use crate::{BUCKET, MIB, bytes, client, cloud};

#[tokio::test]
async fn bytes_are_counted_in_both_directions() {
    let cloud = cloud().await;
    cloud.put("k", bytes(MIB)).await;
    cloud.get("k").await;
    let records = cloud.cloud.requests();
    let [put, get] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((put.service, put.operation.as_str(), put.status), (Service::S3, "PutObject", 200));
    assert_eq!((put.bytes_in, put.bytes_out), (MIB as u64, 0));
    assert_eq!((get.operation.as_str(), get.bytes_in, get.bytes_out), ("GetObject", 0, MIB as u64));
    assert_eq!(get.resource.as_deref(), Some("bucket/k"));
    assert!(get.header_bytes_in > 100 && get.header_bytes_out > 100);
}

#[tokio::test]
async fn a_copy_moves_no_bytes_through_the_client() {
    let cloud = cloud().await;
    cloud.put("k", bytes(6 * MIB)).await;
    let upload = cloud.begin("copy").await;
    cloud.cloud.clear_requests();
    cloud.copy("copy", &upload, 1, "bucket/k", &format!("bytes=0-{}", 6 * MIB - 1)).await;
    let record = cloud.cloud.requests().pop().unwrap();
    assert_eq!(record.operation, "UploadPartCopy");
    assert!(record.bytes_in == 0 && record.bytes_out < 1000);
}

#[tokio::test]
async fn the_file_has_a_line_per_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("requests.jsonl");
    let cloud = LocalCloud::builder().log_file(&path).start().await.unwrap();
    let s3 = client(&cloud, "test", "test");
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    let _ = s3.get_object().bucket(BUCKET).key("none").send().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["operation"], "CreateBucket");
    assert_eq!((&lines[1]["status"], &lines[1]["error"]), (&404.into(), &"NoSuchKey".into()));
    for name in ["id", "time", "service", "bytesIn", "bytesOut", "headerBytesIn", "headerBytesOut", "ms"] {
        assert!(lines[1].get(name).is_some(), "{name}");
    }
}
