"""Partial and conditional reads."""

import datetime

import pytest

from support import MIN_PART, Upload, blob, headers_of, md5_etag, refused, status_of

TEN = b"0123456789"


@pytest.fixture
def ten(s3, bucket):
    s3.put_object(Bucket=bucket, Key="ten", Body=TEN)
    return {"Bucket": bucket, "Key": "ten"}


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [
        ("bytes=0-8", b"012345678", "bytes 0-8/10"),
        ("bytes=1-1", b"1", "bytes 1-1/10"),
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=9-9", b"9", "bytes 9-9/10"),
        ("bytes=1-", b"123456789", "bytes 1-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-10", TEN, "bytes 0-9/10"),
        ("bytes=-15", TEN, "bytes 0-9/10"),
        ("bytes=0-100", TEN, "bytes 0-9/10"),
        ("bytes=5-100", b"56789", "bytes 5-9/10"),
    ],
    ids=lambda value: value if str(value).startswith("bytes=") else "",
)
def test_a_range_is_answered_with_its_bytes(s3, ten, asked, content, told):
    answer = s3.get_object(**ten, Range=asked)
    assert status_of(answer) == 206
    assert answer["Body"].read() == content
    assert (answer["ContentRange"], answer["ContentLength"], answer["ETag"]) == (told, len(content), md5_etag(TEN))


def test_a_range_of_a_head_is_answered_with_its_length(s3, ten):
    answer = s3.head_object(**ten, Range="bytes=2-4")
    assert status_of(answer) == 206
    assert (answer["ContentRange"], answer["ContentLength"]) == ("bytes 2-4/10", 3)


@pytest.mark.parametrize("asked", ["bytes=1-0", "bytes=-1-", "bytes=0--1", "bytes=0-1,3-4", "0-8", "bytes=-"])
def test_a_range_that_is_malformed_or_many_gets_the_whole_object(s3, ten, asked):
    got = s3.get_object(**ten, Range=asked)
    assert status_of(got) == 200
    assert got["Body"].read() == TEN
    assert "ContentRange" not in got


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=100-200", "bytes=-0"])
def test_a_range_past_the_end_cannot_be_satisfied(s3, ten, asked):
    with refused("InvalidRange", status=416):
        s3.get_object(**ten, Range=asked)


def test_a_range_that_cannot_be_satisfied_is_told_the_size(s3, ten):
    with refused("InvalidRange") as caught:
        s3.get_object(**ten, Range="bytes=10-20")
    error = caught.value.response["Error"]
    assert (error["ActualObjectSize"], error["RangeRequested"]) == ("10", "bytes=10-20")
    with refused("416", status=416):
        s3.head_object(**ten, Range="bytes=10-20")


@pytest.mark.parametrize("asked", ["bytes=0-0", "bytes=0-", "bytes=-1"])
def test_no_range_of_an_empty_object_can_be_satisfied(s3, bucket, asked):
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    with refused("InvalidRange", status=416):
        s3.get_object(Bucket=bucket, Key="empty", Range=asked)


def test_a_range_of_a_missing_key_is_a_missing_key(s3, bucket):
    with refused("NoSuchKey", status=404):
        s3.get_object(Bucket=bucket, Key="nothing", Range="bytes=0-1")


def test_a_range_of_a_version_is_of_that_version(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="key", Body=b"abcdefgh")["VersionId"]
    s3.put_object(Bucket=versioned, Key="key", Body=b"second")
    got = s3.get_object(Bucket=versioned, Key="key", VersionId=first, Range="bytes=-3")
    assert status_of(got) == 206
    assert (got["Body"].read(), got["ContentRange"], got["VersionId"]) == (b"fgh", "bytes 5-7/8", first)


def test_a_range_reaches_across_the_parts_of_an_object(s3, bucket):
    body = blob(MIN_PART + 1000)
    upload = Upload(s3, bucket, "key")
    upload.put(1, body[:MIN_PART])
    upload.put(2, body[MIN_PART:])
    upload.complete()
    got = s3.get_object(Bucket=bucket, Key="key", Range=f"bytes={MIN_PART - 10}-{MIN_PART + 9}")
    assert got["Body"].read() == body[MIN_PART - 10 : MIN_PART + 10]


def test_a_range_under_a_condition_that_fails_is_refused(s3, ten):
    with refused("PreconditionFailed", status=412):
        s3.get_object(**ten, Range="bytes=0-1", IfMatch=md5_etag(b"other"))
    got = s3.get_object(**ten, Range="bytes=0-1", IfMatch=md5_etag(TEN))
    assert (status_of(got), got["Body"].read()) == (206, b"01")


def test_a_part_is_read_by_its_number(s3, bucket):
    body = blob(MIN_PART + 16)
    upload = Upload(s3, bucket, "key")
    upload.put(1, body[:MIN_PART])
    upload.put(2, body[MIN_PART:])
    upload.complete()
    got = s3.get_object(Bucket=bucket, Key="key", PartNumber=2)
    assert status_of(got) == 206
    assert got["Body"].read() == body[MIN_PART:]
    assert (got["PartsCount"], got["ContentRange"]) == (2, f"bytes {MIN_PART}-{MIN_PART + 15}/{MIN_PART + 16}")
    assert s3.head_object(Bucket=bucket, Key="key", PartNumber=1)["ContentLength"] == MIN_PART
    with refused("InvalidPartNumber", status=416):
        s3.get_object(Bucket=bucket, Key="key", PartNumber=3)
    with refused("InvalidRequest", status=400):
        s3.get_object(Bucket=bucket, Key="key", PartNumber=1, Range="bytes=0-1")


def test_an_object_put_whole_is_its_own_first_part(s3, ten):
    got = s3.get_object(**ten, PartNumber=1)
    assert (status_of(got), got["Body"].read(), got["ContentRange"]) == (206, TEN, "bytes 0-9/10")
    with refused("InvalidPartNumber", status=416):
        s3.get_object(**ten, PartNumber=2)


# --- Conditions --------------------------------------------------------------------------------------------------------------------

CALLS = pytest.mark.parametrize("verb", ["get_object", "head_object"])
HOUR = datetime.timedelta(hours=1)


def written(s3, ten) -> datetime.datetime:
    return s3.head_object(**ten)["LastModified"]


@CALLS
def test_if_match_asks_for_this_content(s3, ten, verb):
    call = getattr(s3, verb)
    assert status_of(call(**ten, IfMatch=md5_etag(TEN))) == 200
    assert status_of(call(**ten, IfMatch=md5_etag(TEN).strip('"'))) == 200
    with refused("PreconditionFailed", "412", status=412):
        call(**ten, IfMatch=md5_etag(b"other"))


@CALLS
def test_if_none_match_asks_for_other_content(s3, ten, verb):
    call = getattr(s3, verb)
    assert status_of(call(**ten, IfNoneMatch=md5_etag(b"other"))) == 200
    for etag in (md5_etag(TEN), md5_etag(TEN).strip('"')):
        with refused("304", status=304):
            call(**ten, IfNoneMatch=etag)


@CALLS
def test_not_modified_still_names_the_etag(s3, ten, verb):
    with refused("304") as caught:
        getattr(s3, verb)(**ten, IfNoneMatch=md5_etag(TEN))
    assert headers_of(caught.value.response)["etag"] == md5_etag(TEN)


@CALLS
def test_if_modified_since_asks_for_something_newer(s3, ten, verb):
    call, when = getattr(s3, verb), written(s3, ten)
    assert status_of(call(**ten, IfModifiedSince=when - HOUR)) == 200
    with refused("304", status=304):
        call(**ten, IfModifiedSince=when)


@CALLS
def test_a_time_in_the_future_is_no_condition(s3, ten, verb):
    assert status_of(getattr(s3, verb)(**ten, IfModifiedSince=written(s3, ten) + HOUR)) == 200


@CALLS
def test_if_unmodified_since_asks_for_something_old(s3, ten, verb):
    call, when = getattr(s3, verb), written(s3, ten)
    assert status_of(call(**ten, IfUnmodifiedSince=when)) == 200
    with refused("PreconditionFailed", "412", status=412):
        call(**ten, IfUnmodifiedSince=when - HOUR)


@CALLS
def test_a_matching_etag_overrides_the_time(s3, ten, verb):
    """If-Match true and If-Unmodified-Since false: 200 (RFC 9110 §13.2.2, and the API reference of GetObject)."""
    answer = getattr(s3, verb)(**ten, IfMatch=md5_etag(TEN), IfUnmodifiedSince=written(s3, ten) - HOUR)
    assert status_of(answer) == 200


@CALLS
def test_an_etag_that_matches_is_not_modified_whatever_the_time(s3, ten, verb):
    """If-None-Match false and If-Modified-Since true: 304 (the API reference of GetObject)."""
    with refused("304", status=304):
        getattr(s3, verb)(**ten, IfNoneMatch=md5_etag(TEN), IfModifiedSince=written(s3, ten) - HOUR)


def test_a_condition_on_a_missing_key_is_a_missing_key(s3, bucket):
    for condition in ({"IfMatch": md5_etag(b"x")}, {"IfNoneMatch": md5_etag(b"x")}):
        with refused("NoSuchKey", status=404):
            s3.get_object(Bucket=bucket, Key="nothing", **condition)
