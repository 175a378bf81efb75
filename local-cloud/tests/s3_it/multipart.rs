//! Multipart uploads and part copies.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};

use crate::{BUCKET, Cloud, MIB, bytes, cloud, refused};

impl Cloud {
    pub(crate) async fn begin(&self, key: &str) -> String {
        self.s3.create_multipart_upload().bucket(BUCKET).key(key).send().await.unwrap().upload_id.unwrap()
    }

    pub(crate) async fn part(&self, key: &str, upload: &str, number: i32, body: Vec<u8>) -> CompletedPart {
        let part = self.s3.upload_part().bucket(BUCKET).key(key).upload_id(upload).part_number(number);
        let sent = part.body(ByteStream::from(body)).send().await.unwrap();
        CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .build()
    }

    pub(crate) async fn copy(&self, key: &str, upload: &str, number: i32, source: &str, range: &str) -> CompletedPart {
        let copy = self.s3.upload_part_copy().bucket(BUCKET).key(key).upload_id(upload).part_number(number);
        let copied = copy.copy_source(source).copy_source_range(range).send().await.unwrap();
        let result = copied.copy_part_result.unwrap();
        CompletedPart::builder().part_number(number).set_e_tag(result.e_tag).build()
    }

    pub(crate) fn complete(
        &self,
        key: &str,
        upload: &str,
        parts: &[CompletedPart],
    ) -> aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
        self.s3.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(upload).multipart_upload(parts)
    }
}

#[tokio::test]
async fn parts_become_one_object_in_their_order() {
    let cloud = cloud().await;
    let body = bytes(5 * MIB + 100);
    let upload = cloud.begin("k").await;
    let last = cloud.part("k", &upload, 2, body[5 * MIB..].to_vec()).await;
    let first = cloud.part("k", &upload, 1, body[..5 * MIB].to_vec()).await;
    let done = cloud.complete("k", &upload, &[first, last]).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""));
    assert!(cloud.get("k").await == body);
}

#[tokio::test]
async fn the_minimum_part_size_is_only_enforced_at_the_end() {
    let cloud = cloud().await;
    let upload = cloud.begin("k").await;
    let parts = [cloud.part("k", &upload, 1, bytes(10)).await, cloud.part("k", &upload, 2, bytes(10)).await];
    assert_eq!(refused(cloud.complete("k", &upload, &parts).send().await), (400, "EntityTooSmall".to_owned()));
    cloud.complete("k", &upload, &parts[..1]).send().await.unwrap();
}

#[tokio::test]
async fn a_part_copy_has_the_bytes_the_etag_and_the_checksum_of_its_range() {
    let cloud = cloud().await;
    let body = bytes(11 * MIB);
    let etag = cloud.put("k", body.clone()).await;
    let create = cloud.s3.create_multipart_upload().bucket(BUCKET).key("k");
    let create = create.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).checksum_type(ChecksumType::FullObject);
    let upload = create.send().await.unwrap().upload_id.unwrap();
    let head = cloud.copy("k", &upload, 1, "bucket/k", &format!("bytes=0-{}", 6 * MIB - 1)).await;
    let tail = cloud.copy("k", &upload, 2, "bucket/k", &format!("bytes={}-{}", 6 * MIB, 11 * MIB - 1)).await;
    let done = cloud.complete("k", &upload, &[head, tail]).if_match(etag).send().await.unwrap();
    assert!(cloud.get("k").await == body);

    // The combined checksum is that of the same bytes put in one piece.
    let whole = cloud.s3.put_object().bucket(BUCKET).key("whole").checksum_algorithm(ChecksumAlgorithm::Crc64Nvme);
    let whole = whole.body(ByteStream::from(body)).send().await.unwrap();
    assert_eq!(done.checksum_crc64_nvme(), whole.checksum_crc64_nvme());
}

#[tokio::test]
async fn a_part_copy_is_pinned_to_its_source_and_exact_about_its_range() {
    let cloud = cloud().await;
    cloud.put("k", bytes(6 * MIB)).await;
    let upload = cloud.begin("k").await;
    let copy =
        cloud.s3.upload_part_copy().bucket(BUCKET).key("k").upload_id(&upload).part_number(1).copy_source("bucket/k");
    let stale = copy.clone().copy_source_if_match("\"stale\"").send().await;
    assert_eq!(refused(stale), (412, "PreconditionFailed".to_owned()));
    for range in [format!("bytes=0-{}", 6 * MIB), "bytes=0-".to_owned(), "bytes=-5".to_owned()] {
        let copy = copy.clone().copy_source_range(range).send().await;
        assert_eq!(refused(copy), (400, "InvalidArgument".to_owned()));
    }
}

#[tokio::test]
async fn complete_with_if_match_fails_on_any_write_since_the_upload_was_created() {
    let cloud = cloud().await;
    let etag = cloud.put("k", b"old").await;
    let upload = cloud.begin("k").await;
    let parts = [cloud.part("k", &upload, 1, b"new".to_vec()).await];

    cloud.put("k", b"another's").await;
    let changed = cloud.complete("k", &upload, &parts).if_match(&etag).send().await;
    assert_eq!(refused(changed), (412, "PreconditionFailed".to_owned()));
    cloud.put("k", b"old").await;
    let rewritten = cloud.complete("k", &upload, &parts).if_match(&etag).send().await;
    assert_eq!(refused(rewritten), (409, "ConditionalRequestConflict".to_owned()));
    cloud.s3.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    let gone = cloud.complete("k", &upload, &parts).if_match(&etag).send().await;
    assert_eq!(refused(gone), (404, "NoSuchKey".to_owned()));

    // The upload is still there, and can be aborted.
    cloud.s3.abort_multipart_upload().bucket(BUCKET).key("k").upload_id(&upload).send().await.unwrap();
}

#[tokio::test]
async fn a_repeated_complete_gets_the_first_answer() {
    let cloud = cloud().await;
    let upload = cloud.begin("k").await;
    let parts = [cloud.part("k", &upload, 1, b"x".to_vec()).await];
    let first = cloud.complete("k", &upload, &parts).send().await.unwrap();
    let again = cloud.complete("k", &upload, &parts).send().await.unwrap();
    assert_eq!(first.e_tag(), again.e_tag());
    let unknown = cloud.complete("k", "unknown", &parts).send().await;
    assert_eq!(refused(unknown), (404, "NoSuchUpload".to_owned()));
}

#[tokio::test]
async fn a_wrong_total_size_is_refused() {
    let cloud = cloud().await;
    let upload = cloud.begin("k").await;
    let parts = [cloud.part("k", &upload, 1, b"x".to_vec()).await];
    let wrong = cloud.complete("k", &upload, &parts).mpu_object_size(2).send().await;
    assert_eq!(refused(wrong), (400, "InvalidRequest".to_owned()));
}
