//! Whole objects: put, get, copy, delete, list.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, Delete, MetadataDirective, ObjectIdentifier};

use crate::{BUCKET, MIB, bytes, cloud, refused};

#[tokio::test]
async fn an_object_comes_back_with_everything_that_was_said_about_it() {
    let cloud = cloud().await;
    let put = cloud.s3.put_object().bucket(BUCKET).key("a b/é+&?.txt").body(ByteStream::from_static(b"hello"));
    let put = put.content_type("text/plain").metadata("color", "blue").tagging("a=1&b=2").content_encoding("gzip");
    put.send().await.unwrap();
    let got = cloud.s3.get_object().bucket(BUCKET).key("a b/é+&?.txt").send().await.unwrap();
    assert_eq!(got.content_type(), Some("text/plain"));
    // The SDK sends the body in `aws-chunked` framing; that is no encoding of the object.
    assert_eq!(got.content_encoding(), Some("gzip"));
    assert_eq!(got.metadata().unwrap()["color"], "blue");
    assert_eq!(got.tag_count(), Some(2));
    assert_eq!(got.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
}

#[tokio::test]
async fn a_streamed_body_in_signed_chunks_arrives_unchanged() {
    let cloud = cloud().await;
    let body = bytes(3 * MIB + 17);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &body).unwrap();
    let put = cloud.s3.put_object().bucket(BUCKET).key("k").body(ByteStream::from_path(file.path()).await.unwrap());
    put.send().await.unwrap();
    assert!(cloud.get("k").await == body);
    let sent = &cloud.cloud.requests()[0];
    assert!(sent.bytes_in > body.len() as u64, "the framing is counted too: {}", sent.bytes_in);
}

#[tokio::test]
async fn a_range_is_answered_with_206_and_its_place() {
    let cloud = cloud().await;
    cloud.put("k", b"0123456789").await;
    let got = cloud.s3.get_object().bucket(BUCKET).key("k").range("bytes=-4").send().await.unwrap();
    assert_eq!(got.content_range(), Some("bytes 6-9/10"));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"6789");
    let none = cloud.s3.get_object().bucket(BUCKET).key("k").range("bytes=10-").send().await;
    assert_eq!(refused(none), (416, "InvalidRange".to_owned()));
}

#[tokio::test]
async fn a_checksum_that_does_not_fit_the_body_is_refused_and_nothing_is_kept() {
    let cloud = cloud().await;
    let put = cloud.s3.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"hello"));
    let put = put.checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").send().await;
    assert_eq!(refused(put), (400, "BadDigest".to_owned()));
    assert_eq!(refused(cloud.s3.head_object().bucket(BUCKET).key("k").send().await).0, 404);
}

#[tokio::test]
async fn a_declared_checksum_is_shown_when_it_is_asked_for() {
    let cloud = cloud().await;
    let put = cloud.s3.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"hello"));
    put.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).send().await.unwrap();
    let head = cloud.s3.head_object().bucket(BUCKET).key("k");
    let shown = head.clone().checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(shown.checksum_crc64_nvme(), Some("M3eFcAZSQlc="));
    assert_eq!(head.send().await.unwrap().checksum_crc64_nvme(), None);
}

#[tokio::test]
async fn a_copy_onto_itself_must_change_something() {
    let cloud = cloud().await;
    cloud.put("k", b"x").await;
    let copy = cloud.s3.copy_object().bucket(BUCKET).key("k").copy_source("bucket/k");
    assert_eq!(refused(copy.clone().send().await), (400, "InvalidRequest".to_owned()));
    copy.metadata_directive(MetadataDirective::Replace).metadata("a", "1").send().await.unwrap();
    let head = cloud.s3.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["a"], "1");
}

#[tokio::test]
async fn many_deletes_say_what_became_of_each() {
    let cloud = cloud().await;
    cloud.put("a", b"x").await;
    cloud.put("b", b"x").await;
    let object = |key: &str| ObjectIdentifier::builder().key(key);
    let delete = Delete::builder()
        .objects(object("a").build().unwrap())
        .objects(object("none").build().unwrap())
        .objects(object("b").e_tag("\"stale\"").build().unwrap())
        .build()
        .unwrap();
    let answer = cloud.s3.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    let deleted: Vec<&str> = answer.deleted().iter().filter_map(|object| object.key()).collect();
    assert_eq!(deleted, ["a", "none"]);
    assert_eq!(answer.errors()[0].code(), Some("PreconditionFailed"));
}

#[tokio::test]
async fn pages_of_a_listing_show_every_key_once() {
    let cloud = cloud().await;
    for key in ["a", "b/1", "b/2", "c", "d/1"] {
        cloud.put(key, b"").await;
    }
    let mut pages = cloud.s3.list_objects_v2().bucket(BUCKET).delimiter("/").max_keys(2).into_paginator().send();
    let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        prefixes.extend(page.common_prefixes().iter().filter_map(|prefix| prefix.prefix().map(str::to_owned)));
    }
    assert_eq!((keys, prefixes), (vec!["a".to_owned(), "c".to_owned()], vec!["b/".to_owned(), "d/".to_owned()]));
}

#[tokio::test]
async fn a_refused_upload_leaves_the_connection_in_step() {
    let cloud = cloud().await;
    for _ in 0..3 {
        let put = cloud.s3.put_object().bucket("no-such-bucket").key("k").body(ByteStream::from(bytes(2 * MIB)));
        assert_eq!(refused(put.send().await), (404, "NoSuchBucket".to_owned()));
        cloud.s3.head_bucket().bucket(BUCKET).send().await.unwrap();
    }
}
