"""UploadPartCopy: how an edit moves the bytes it keeps without reading them."""

import datetime

import pytest

from support import MIN_PART, Upload, blob, body_of, checksum, exists, md5_etag, multipart_etag, refused, unique

TEN = b"0123456789"
SOURCE = blob(MIN_PART * 2 + 500, 3)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def ten(s3, bucket):
    s3.put_object(Bucket=bucket, Key="ten", Body=TEN)
    return f"{bucket}/ten"


@pytest.fixture
def upload(s3, bucket):
    return Upload(s3, bucket, "key")


def test_a_range_is_copied_into_a_part(s3, bucket, ten, upload):
    answer = upload.copy(1, ten, CopySourceRange="bytes=2-4")
    assert answer["CopyPartResult"]["ETag"] == md5_etag(b"234")
    assert answer["CopyPartResult"]["LastModified"]
    assert [(part["PartNumber"], part["Size"]) for part in s3.list_parts(**upload.names)["Parts"]] == [(1, 3)]
    assert upload.complete()["ETag"] == multipart_etag(b"234")
    assert body_of(s3, bucket, "key") == b"234"


def test_without_a_range_the_whole_source_is_copied(s3, bucket, ten, upload):
    assert upload.copy(1, ten)["CopyPartResult"]["ETag"] == md5_etag(TEN)
    upload.complete()
    assert body_of(s3, bucket, "key") == TEN


@pytest.mark.parametrize(
    "asked", ["0-8", "bytes=1-", "bytes=-2", "bytes=-0", "bytes=1-0", "bytes=-1-", "bytes=0--1", "bytes=-", "bytes=0-1,3-4", "chars=0-1"]
)
def test_a_copy_range_is_first_dash_last_and_nothing_else(s3, ten, upload, asked):
    with refused("InvalidArgument", status=400):
        upload.copy(1, ten, CopySourceRange=asked)
    assert "Parts" not in s3.list_parts(**upload.names)


@pytest.mark.parametrize("asked", ["bytes=0-10", "bytes=0-100", "bytes=9-10"])
def test_a_copy_range_past_the_end_is_refused_not_clamped(s3, ten, upload, asked):
    with refused("InvalidArgument", status=400):
        upload.copy(1, ten, CopySourceRange=asked)
    assert "Parts" not in s3.list_parts(**upload.names)


@pytest.mark.parametrize("asked", ["bytes=10-10", "bytes=100-200"])
def test_a_copy_range_beyond_the_end_is_refused(s3, ten, upload, asked):
    with refused("InvalidRequest", "InvalidArgument", "InvalidRange", status=400):
        upload.copy(1, ten, CopySourceRange=asked)


def test_an_object_is_spliced_from_itself(s3, bucket):
    """What an edit does: kept bytes by part copies, new bytes uploaded, committed over the source under its own ETag."""
    etag = s3.put_object(Bucket=bucket, Key="key", Body=SOURCE, ContentType="application/zip")["ETag"]
    upload = Upload(s3, bucket, "key", create={"ContentType": "application/zip"})
    upload.copy(1, f"{bucket}/key", CopySourceRange=f"bytes=0-{MIN_PART - 1}", CopySourceIfMatch=etag)
    upload.copy(2, f"{bucket}/key", CopySourceRange=f"bytes={MIN_PART + 100}-{2 * MIN_PART + 99}", CopySourceIfMatch=etag)
    upload.put(3, b"changed")
    wanted = [SOURCE[:MIN_PART], SOURCE[MIN_PART + 100 : 2 * MIN_PART + 100], b"changed"]
    done = upload.complete(IfMatch=etag, MpuObjectSize=sum(map(len, wanted)))
    assert done["ETag"] == multipart_etag(*wanted)
    assert body_of(s3, bucket, "key") == b"".join(wanted)


def test_an_object_with_versions_is_spliced_from_itself(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="key", Body=SOURCE)
    upload = Upload(s3, versioned, "key")
    source = {"Bucket": versioned, "Key": "key", "VersionId": first["VersionId"]}
    upload.copy(1, source, CopySourceRange=f"bytes=0-{MIN_PART - 1}")
    upload.put(2, b"changed")
    done = upload.complete(IfMatch=first["ETag"])
    assert body_of(s3, versioned, "key", VersionId=done["VersionId"]) == SOURCE[:MIN_PART] + b"changed"
    assert body_of(s3, versioned, "key", VersionId=first["VersionId"]) == SOURCE


def test_a_copied_part_that_is_too_small_fails_at_complete(s3, bucket, upload):
    s3.put_object(Bucket=bucket, Key="source", Body=SOURCE)
    upload.copy(1, f"{bucket}/source", CopySourceRange=f"bytes=0-{MIN_PART - 2}")
    upload.put(2, b"tail")
    with refused("EntityTooSmall", status=400):
        upload.complete()
    assert not exists(s3, bucket, "key")


def test_parts_are_copied_from_an_object_of_many_parts(s3, bucket, upload):
    source = Upload(s3, bucket, "source")
    source.put(1, SOURCE[:MIN_PART])
    source.put(2, SOURCE[MIN_PART:])
    source.complete()
    upload.copy(1, f"{bucket}/source", CopySourceRange=f"bytes=1000-{MIN_PART + 1999}")
    upload.complete()
    assert body_of(s3, bucket, "key") == SOURCE[1000 : MIN_PART + 2000]


def test_parts_are_copied_from_another_bucket(s3, make_bucket, upload, bucket):
    other = make_bucket()
    s3.put_object(Bucket=other, Key="deep/er", Body=TEN)
    upload.copy(1, {"Bucket": other, "Key": "deep/er"})
    upload.complete()
    assert body_of(s3, bucket, "key") == TEN


@pytest.mark.parametrize("key", ["a b", "a+b", "ü/日本", "100%", "q?x=1&y"])
def test_the_name_of_a_source_may_need_escaping(s3, bucket, upload, key):
    s3.put_object(Bucket=bucket, Key=key, Body=TEN)
    upload.copy(1, {"Bucket": bucket, "Key": key})
    upload.complete()
    assert body_of(s3, bucket, "key") == TEN


def test_many_parts_are_copied_at_once(s3, bucket, upload, pool):
    s3.put_object(Bucket=bucket, Key="source", Body=SOURCE)
    ranges = [f"bytes={n * 1000}-{n * 1000 + MIN_PART - 1}" for n in range(6)]
    list(pool.map(lambda n: upload.copy(n + 1, f"{bucket}/source", CopySourceRange=ranges[n]), range(6)))
    upload.complete(sorted(upload.parts, key=lambda part: part["PartNumber"]))
    assert body_of(s3, bucket, "key") == b"".join(SOURCE[n * 1000 : n * 1000 + MIN_PART] for n in range(6))


# --- Conditions on the source ------------------------------------------------------------------------------------------------------


def test_a_part_is_copied_from_the_content_it_names(s3, bucket, ten, upload):
    upload.copy(1, ten, CopySourceIfMatch=md5_etag(TEN), CopySourceRange="bytes=0-3")
    with refused("PreconditionFailed", status=412):
        upload.copy(2, ten, CopySourceIfMatch=md5_etag(b"other"), CopySourceRange="bytes=0-3")
    assert [part["PartNumber"] for part in s3.list_parts(**upload.names)["Parts"]] == [1]


def test_a_part_copy_notices_that_its_source_was_replaced(s3, bucket, ten, upload):
    s3.put_object(Bucket=bucket, Key="ten", Body=b"9876543210")
    with refused("PreconditionFailed", status=412):
        upload.copy(1, ten, CopySourceIfMatch=md5_etag(TEN))


def test_a_part_is_copied_from_content_that_is_not_this(s3, ten, upload):
    upload.copy(1, ten, CopySourceIfNoneMatch=md5_etag(b"other"))
    with refused("PreconditionFailed", status=412):
        upload.copy(2, ten, CopySourceIfNoneMatch=md5_etag(TEN))


def test_a_part_is_copied_from_a_source_of_the_right_age(s3, bucket, ten, upload):
    written = s3.head_object(Bucket=bucket, Key="ten")["LastModified"]
    upload.copy(1, ten, CopySourceIfUnmodifiedSince=written)
    upload.copy(2, ten, CopySourceIfModifiedSince=written - HOUR)
    with refused("PreconditionFailed", status=412):
        upload.copy(3, ten, CopySourceIfUnmodifiedSince=written - HOUR)
    with refused("PreconditionFailed", status=412):
        upload.copy(3, ten, CopySourceIfModifiedSince=written)


def test_a_matching_etag_of_the_source_overrides_its_age(s3, bucket, ten, upload):
    """The API reference of UploadPartCopy: if-match true and if-unmodified-since false copies."""
    written = s3.head_object(Bucket=bucket, Key="ten")["LastModified"]
    upload.copy(1, ten, CopySourceIfMatch=md5_etag(TEN), CopySourceIfUnmodifiedSince=written - HOUR)


# --- Versions of the source, and sources that are not there ------------------------------------------------------------------------


def test_a_part_is_copied_from_a_version(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="source", Body=TEN)["VersionId"]
    second = s3.put_object(Bucket=versioned, Key="source", Body=b"second")["VersionId"]
    upload = Upload(s3, versioned, "key")
    old = upload.copy(1, {"Bucket": versioned, "Key": "source", "VersionId": first})
    assert (old["CopySourceVersionId"], old["CopyPartResult"]["ETag"]) == (first, md5_etag(TEN))
    assert upload.copy(2, {"Bucket": versioned, "Key": "source"})["CopySourceVersionId"] == second
    upload.complete(upload.parts[:1])
    assert body_of(s3, versioned, "key") == TEN


def test_a_part_is_copied_from_a_version_below_a_delete_marker(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="source", Body=TEN)["VersionId"]
    marker = s3.delete_object(Bucket=versioned, Key="source")["VersionId"]
    upload = Upload(s3, versioned, "key")
    upload.copy(1, {"Bucket": versioned, "Key": "source", "VersionId": first})
    with refused("NoSuchKey", status=404):
        upload.copy(2, {"Bucket": versioned, "Key": "source"})
    with refused("InvalidRequest", status=400):
        upload.copy(2, {"Bucket": versioned, "Key": "source", "VersionId": marker})


def test_a_source_that_is_not_there_is_named(s3, bucket, upload):
    with refused("NoSuchKey", status=404):
        upload.copy(1, f"{bucket}/nothing")
    with refused("NoSuchBucket", status=404):
        upload.copy(1, f"{unique('missing')}/nothing")


def test_a_version_of_a_source_that_is_not_there_is_named(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="source", Body=TEN)["VersionId"]
    s3.put_object(Bucket=versioned, Key="source", Body=TEN)
    s3.delete_object(Bucket=versioned, Key="source", VersionId=first)
    upload = Upload(s3, versioned, "key")
    with refused("NoSuchVersion", status=404):
        upload.copy(1, {"Bucket": versioned, "Key": "source", "VersionId": first})


def test_a_copied_part_has_the_checksum_create_asked_for(s3, bucket, ten):
    upload = Upload(s3, bucket, "key", create={"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"})
    answer = upload.copy(1, ten, CopySourceRange="bytes=0-4")
    assert answer["CopyPartResult"]["ChecksumCRC64NVME"] == checksum("CRC64NVME", TEN[:5])
    assert upload.complete()["ChecksumCRC64NVME"] == checksum("CRC64NVME", TEN[:5])
