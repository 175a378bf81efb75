"""CopyObject: what goes along, what is replaced, and under which conditions."""

import datetime

import pytest

from support import MIN_PART, Upload, blob, body_of, exists, md5_etag, refused, unique

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def source(s3, bucket):
    s3.put_object(
        Bucket=bucket, Key="source", Body=b"content", ContentType="text/plain", CacheControl="no-cache", Metadata={"a": "1"}, Tagging="t=1"
    )
    return f"{bucket}/source"


def tags_of(s3, bucket, key) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}


def test_a_copy_takes_everything_along(s3, bucket, source):
    answer = s3.copy_object(Bucket=bucket, Key="key", CopySource=source)
    assert answer["CopyObjectResult"]["ETag"] == md5_etag(b"content")
    got = s3.get_object(Bucket=bucket, Key="key")
    assert (got["Body"].read(), got["ContentType"], got["CacheControl"], got["Metadata"]) == (b"content", "text/plain", "no-cache", {"a": "1"})
    assert tags_of(s3, bucket, "key") == {"t": "1"}


def test_a_copy_ignores_new_metadata_unless_told_to_replace(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="key", CopySource=source, ContentType="image/png", Metadata={"b": "2"})
    head = s3.head_object(Bucket=bucket, Key="key")
    assert (head["ContentType"], head["Metadata"]) == ("text/plain", {"a": "1"})


def test_a_copy_that_replaces_metadata_keeps_none_of_the_old(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="key", CopySource=source, MetadataDirective="REPLACE", ContentType="image/png", Metadata={"b": "2"})
    head = s3.head_object(Bucket=bucket, Key="key")
    assert (head["ContentType"], head["Metadata"]) == ("image/png", {"b": "2"})
    assert "CacheControl" not in head


def test_a_copy_can_replace_the_tags(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="key", CopySource=source, TaggingDirective="REPLACE", Tagging="u=2&v=")
    assert tags_of(s3, bucket, "key") == {"u": "2", "v": ""}
    s3.copy_object(Bucket=bucket, Key="bare", CopySource=source, TaggingDirective="REPLACE")
    assert tags_of(s3, bucket, "bare") == {}


def test_a_copy_takes_the_storage_class_it_is_given(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="key", CopySource=source, StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=bucket, Key="key")["StorageClass"] == "STANDARD_IA"


def test_a_copy_onto_itself_must_change_something(s3, bucket, source):
    with refused("InvalidRequest", status=400):
        s3.copy_object(Bucket=bucket, Key="source", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="source", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"})
    got = s3.get_object(Bucket=bucket, Key="source")
    assert (got["Body"].read(), got["Metadata"]) == (b"content", {"b": "2"})


def test_the_copy_of_a_multipart_object_is_one_piece(s3, bucket):
    body = blob(MIN_PART + 100)
    upload = Upload(s3, bucket, "source")
    upload.put(1, body[:MIN_PART])
    upload.put(2, body[MIN_PART:])
    upload.complete()
    answer = s3.copy_object(Bucket=bucket, Key="key", CopySource=f"{bucket}/source")
    assert answer["CopyObjectResult"]["ETag"] == md5_etag(body)
    assert body_of(s3, bucket, "key") == body


def test_a_copy_comes_from_the_content_it_names(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="key", CopySource=source, CopySourceIfMatch=md5_etag(b"content"))
    with refused("PreconditionFailed", status=412):
        s3.copy_object(Bucket=bucket, Key="other", CopySource=source, CopySourceIfMatch=md5_etag(b"other"))
    assert not exists(s3, bucket, "other")


def test_a_copy_comes_from_content_that_is_not_this(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="key", CopySource=source, CopySourceIfNoneMatch=md5_etag(b"other"))
    with refused("PreconditionFailed", status=412):
        s3.copy_object(Bucket=bucket, Key="other", CopySource=source, CopySourceIfNoneMatch=md5_etag(b"content"))


def test_a_copy_comes_from_a_source_of_the_right_age(s3, bucket, source):
    written = s3.head_object(Bucket=bucket, Key="source")["LastModified"]
    s3.copy_object(Bucket=bucket, Key="key", CopySource=source, CopySourceIfUnmodifiedSince=written)
    s3.copy_object(Bucket=bucket, Key="key", CopySource=source, CopySourceIfModifiedSince=written - HOUR)
    with refused("PreconditionFailed", status=412):
        s3.copy_object(Bucket=bucket, Key="key", CopySource=source, CopySourceIfUnmodifiedSince=written - HOUR)
    with refused("PreconditionFailed", status=412):
        s3.copy_object(Bucket=bucket, Key="key", CopySource=source, CopySourceIfModifiedSince=written)


def test_a_copy_restores_an_old_version(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="key", Body=b"first")["VersionId"]
    s3.put_object(Bucket=versioned, Key="key", Body=b"second")
    answer = s3.copy_object(Bucket=versioned, Key="key", CopySource={"Bucket": versioned, "Key": "key", "VersionId": first})
    assert answer["CopySourceVersionId"] == first
    assert answer["VersionId"] not in (first, "null")
    assert body_of(s3, versioned, "key") == b"first"
    assert len(s3.list_object_versions(Bucket=versioned)["Versions"]) == 3


def test_a_copy_of_something_that_is_not_there_is_refused(s3, bucket, versioned):
    with refused("NoSuchKey", status=404):
        s3.copy_object(Bucket=bucket, Key="key", CopySource=f"{bucket}/nothing")
    with refused("NoSuchBucket", status=404):
        s3.copy_object(Bucket=bucket, Key="key", CopySource=f"{unique('missing')}/nothing")
    s3.put_object(Bucket=versioned, Key="gone", Body=b"x")
    marker = s3.delete_object(Bucket=versioned, Key="gone")["VersionId"]
    with refused("NoSuchKey", status=404):
        s3.copy_object(Bucket=bucket, Key="key", CopySource=f"{versioned}/gone")
    with refused("InvalidRequest", status=400):
        s3.copy_object(Bucket=bucket, Key="key", CopySource={"Bucket": versioned, "Key": "gone", "VersionId": marker})
    assert not exists(s3, bucket, "key")


def test_a_copy_source_without_a_key_is_refused(s3, bucket):
    with refused("InvalidArgument", status=400):
        s3.copy_object(Bucket=bucket, Key="key", CopySource="nothing")
