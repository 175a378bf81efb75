"""Listing objects: order, prefixes, folding, pages."""

import pytest

from support import md5_etag, refused

KEYS = ["a/1", "a/2", "a/b/3", "b", "c/1", "d-e", "f"]


@pytest.fixture
def full(s3, bucket):
    for key in reversed(KEYS):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def keys_of(page: dict) -> list[str]:
    return [entry["Key"] for entry in page.get("Contents", [])]


def folders_of(page: dict) -> list[str]:
    return [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]


def test_an_empty_bucket_lists_nothing(s3, bucket):
    page = s3.list_objects_v2(Bucket=bucket)
    assert (page["KeyCount"], page["IsTruncated"], page["Name"], page["MaxKeys"]) == (0, False, bucket, 1000)
    assert "Contents" not in page


def test_keys_are_listed_in_byte_order(s3, full):
    page = s3.list_objects_v2(Bucket=full)
    assert keys_of(page) == KEYS
    assert page["KeyCount"] == len(KEYS)
    entry = page["Contents"][3]
    assert (entry["Size"], entry["ETag"], entry["StorageClass"]) == (1, md5_etag(b"b"), "STANDARD")
    assert entry["LastModified"]


def test_upper_case_and_long_keys_sort_as_bytes(s3, bucket):
    keys = ["A", "B", "a", "a0", "a00", "b", "~", "é", "日", "😀"]
    for key in keys[::-1]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == keys


def test_a_prefix_selects(s3, full):
    assert keys_of(s3.list_objects_v2(Bucket=full, Prefix="a/")) == ["a/1", "a/2", "a/b/3"]
    assert keys_of(s3.list_objects_v2(Bucket=full, Prefix="nothing")) == []


def test_a_delimiter_folds(s3, full):
    page = s3.list_objects_v2(Bucket=full, Delimiter="/")
    assert keys_of(page) == ["b", "d-e", "f"]
    assert folders_of(page) == ["a/", "c/"]
    assert page["KeyCount"] == 5
    page = s3.list_objects_v2(Bucket=full, Delimiter="/", Prefix="a/")
    assert (keys_of(page), folders_of(page)) == (["a/1", "a/2"], ["a/b/"])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_cover_everything_once(s3, full, size):
    seen, token = [], {}
    for _ in range(len(KEYS) + 1):
        page = s3.list_objects_v2(Bucket=full, MaxKeys=size, **token)
        assert len(keys_of(page)) <= size
        seen += keys_of(page)
        if not page["IsTruncated"]:
            assert "NextContinuationToken" not in page
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert seen == KEYS


def test_pages_of_a_folded_listing_count_folders_too(s3, full):
    seen, token = [], {}
    for _ in range(8):
        page = s3.list_objects_v2(Bucket=full, Delimiter="/", MaxKeys=1, **token)
        assert page["KeyCount"] == len(keys_of(page) + folders_of(page)) == 1
        seen += keys_of(page) + folders_of(page)
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert seen == ["a/", "b", "c/", "d-e", "f"]


def test_pages_cover_keys_outside_ascii(s3, bucket):
    keys = ["a b", "b", "ä", "é/1", "é/2", "日"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    seen, token = [], {}
    for _ in keys:
        page = s3.list_objects_v2(Bucket=bucket, MaxKeys=2, **token)
        seen += keys_of(page)
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert seen == keys
    assert keys_of(s3.list_objects_v2(Bucket=bucket, StartAfter="ä")) == ["é/1", "é/2", "日"]
    assert keys_of(s3.list_objects_v2(Bucket=bucket, Prefix="é/")) == ["é/1", "é/2"]


def test_start_after_skips(s3, full):
    assert keys_of(s3.list_objects_v2(Bucket=full, StartAfter="a/b/3")) == KEYS[3:]
    assert keys_of(s3.list_objects_v2(Bucket=full, StartAfter="bb")) == KEYS[4:]


def test_no_keys_may_be_asked_for(s3, full):
    page = s3.list_objects_v2(Bucket=full, MaxKeys=0)
    assert (keys_of(page), page["IsTruncated"], page["KeyCount"]) == ([], False, 0)


def test_a_page_has_at_most_a_thousand_keys(s3, bucket, pool):
    list(pool.map(lambda n: s3.put_object(Bucket=bucket, Key=f"{n:04}", Body=b""), range(1003)))
    page = s3.list_objects_v2(Bucket=bucket, MaxKeys=5000)
    assert (page["KeyCount"], page["IsTruncated"]) == (1000, True)
    rest = s3.list_objects_v2(Bucket=bucket, ContinuationToken=page["NextContinuationToken"])
    assert keys_of(rest) == ["1000", "1001", "1002"]


def test_a_continuation_token_nobody_gave_is_refused(s3, full):
    with refused("InvalidArgument", status=400):
        s3.list_objects_v2(Bucket=full, ContinuationToken="not a token")


def test_the_owner_is_told_on_request(s3, full):
    assert "Owner" not in s3.list_objects_v2(Bucket=full)["Contents"][0]
    assert s3.list_objects_v2(Bucket=full, FetchOwner=True)["Contents"][0]["Owner"]["ID"]


def test_the_first_version_of_the_listing_still_works(s3, full):
    page = s3.list_objects(Bucket=full, MaxKeys=2)
    assert (keys_of(page), page["IsTruncated"]) == (["a/1", "a/2"], True)
    assert keys_of(s3.list_objects(Bucket=full, Marker="a/2")) == KEYS[2:]
    page = s3.list_objects(Bucket=full, Delimiter="/", MaxKeys=1)
    assert (folders_of(page), page["NextMarker"]) == (["a/"], "a/")


def test_keys_that_need_escaping_are_listed_as_they_are(s3, bucket):
    keys = ["a&b", "a<b>", "a\"b'", "new\nline", "per%20cent", "plus+sign"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert sorted(keys_of(s3.list_objects_v2(Bucket=bucket))) == sorted(keys)
    assert sorted(keys_of(s3.list_objects_v2(Bucket=bucket, EncodingType="url"))) != sorted(keys)


def test_a_deleted_key_is_not_listed(s3, full):
    s3.delete_object(Bucket=full, Key="b")
    assert keys_of(s3.list_objects_v2(Bucket=full)) == [key for key in KEYS if key != "b"]
