"""Conditional writes: the compare-and-swap that an edit commits with.

The answers are those AWS documents in "Conditional requests" of the S3 User Guide; where a write and a multipart upload overlap, those of
recordings of the real service: 412 when the ETag differs, 409 when it doesn't but the key was written since Create, 404 when it is gone.
"""

import pytest

from support import MIN_PART, Upload, blob, body_of, exists, md5_etag, multipart_etag, refused, status_of

OLD, NEW, OTHER = b"old", b"new", b"other"


@pytest.fixture
def old(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=OLD)
    return bucket


def upload_of(s3, bucket, body=NEW, **create) -> Upload:
    upload = Upload(s3, bucket, "key", create=create)
    upload.put(1, body)
    return upload


# --- PutObject ---------------------------------------------------------------------------------------------------------------------


def test_a_put_with_the_current_etag_replaces(s3, old):
    s3.put_object(Bucket=old, Key="key", Body=NEW, IfMatch=md5_etag(OLD))
    assert body_of(s3, old, "key") == NEW


def test_a_put_takes_an_etag_without_quotes(s3, old):
    s3.put_object(Bucket=old, Key="key", Body=NEW, IfMatch=md5_etag(OLD).strip('"'))
    assert body_of(s3, old, "key") == NEW


def test_a_put_with_a_stale_etag_is_refused_and_changes_nothing(s3, old):
    with refused("PreconditionFailed", status=412):
        s3.put_object(Bucket=old, Key="key", Body=NEW, IfMatch=md5_etag(OTHER))
    assert body_of(s3, old, "key") == OLD


def test_a_put_with_an_etag_for_a_missing_key_is_not_found(s3, bucket):
    with refused("NoSuchKey", status=404):
        s3.put_object(Bucket=bucket, Key="key", Body=NEW, IfMatch=md5_etag(OLD))
    assert not exists(s3, bucket, "key")


def test_a_put_with_an_etag_after_a_delete_is_not_found(s3, versioned):
    s3.put_object(Bucket=versioned, Key="key", Body=OLD)
    s3.delete_object(Bucket=versioned, Key="key")
    with refused("NoSuchKey", status=404):
        s3.put_object(Bucket=versioned, Key="key", Body=NEW, IfMatch=md5_etag(OLD))


def test_a_put_if_none_match_creates_and_never_replaces(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=OLD, IfNoneMatch="*")
    with refused("PreconditionFailed", status=412):
        s3.put_object(Bucket=bucket, Key="key", Body=NEW, IfNoneMatch="*")
    assert body_of(s3, bucket, "key") == OLD


def test_a_put_if_none_match_creates_again_after_a_delete(s3, versioned):
    s3.put_object(Bucket=versioned, Key="key", Body=OLD)
    s3.delete_object(Bucket=versioned, Key="key")
    assert s3.put_object(Bucket=versioned, Key="key", Body=NEW, IfNoneMatch="*")["VersionId"]
    assert body_of(s3, versioned, "key") == NEW


def test_a_put_looks_at_the_current_version_only(s3, versioned):
    s3.put_object(Bucket=versioned, Key="key", Body=OLD)
    s3.put_object(Bucket=versioned, Key="key", Body=OTHER)
    with refused("PreconditionFailed", status=412):
        s3.put_object(Bucket=versioned, Key="key", Body=NEW, IfMatch=md5_etag(OLD))
    s3.put_object(Bucket=versioned, Key="key", Body=NEW, IfMatch=md5_etag(OTHER))
    assert len(s3.list_object_versions(Bucket=versioned)["Versions"]) == 3


@pytest.mark.parametrize(
    ("condition", "header"),
    [
        ({"IfNoneMatch": md5_etag(OLD)}, "If-None-Match"),
        ({"IfMatch": "*"}, "If-Match"),
        ({"IfMatch": md5_etag(OLD), "IfNoneMatch": "*"}, "If-Match,If-None-Match"),
    ],
    ids=["an etag that must not match", "any etag", "both"],
)
def test_a_put_under_a_condition_s3_has_not_is_not_implemented(s3, old, condition, header):
    with refused("NotImplemented", status=501) as caught:
        s3.put_object(Bucket=old, Key="key", Body=NEW, **condition)
    assert caught.value.response["Error"]["Header"] == header
    assert body_of(s3, old, "key") == OLD


# --- CompleteMultipartUpload -------------------------------------------------------------------------------------------------------


def test_a_complete_with_the_current_etag_replaces(s3, old):
    answer = upload_of(s3, old).complete(IfMatch=md5_etag(OLD))
    assert answer["ETag"] == multipart_etag(NEW)
    assert body_of(s3, old, "key") == NEW


def test_a_complete_compares_with_the_etag_of_a_multipart_object(s3, old):
    upload_of(s3, old, OTHER).complete()
    with refused("PreconditionFailed", status=412):
        upload_of(s3, old).complete(IfMatch=md5_etag(OTHER))
    upload_of(s3, old).complete(IfMatch=multipart_etag(OTHER))
    assert body_of(s3, old, "key") == NEW


def test_a_complete_with_a_stale_etag_is_refused_and_changes_nothing(s3, old):
    upload = upload_of(s3, old)
    with refused("PreconditionFailed", status=412):
        upload.complete(IfMatch=md5_etag(OTHER))
    assert body_of(s3, old, "key") == OLD


def test_an_upload_whose_complete_was_refused_still_exists(s3, old):
    upload = upload_of(s3, old)
    with refused("PreconditionFailed", status=412):
        upload.complete(IfMatch=md5_etag(OTHER))
    assert [part["PartNumber"] for part in s3.list_parts(**upload.names)["Parts"]] == [1]
    upload.complete(IfMatch=md5_etag(OLD))
    assert body_of(s3, old, "key") == NEW


def test_a_complete_is_refused_when_the_key_was_written_since_create(s3, old):
    upload = upload_of(s3, old)
    s3.put_object(Bucket=old, Key="key", Body=OTHER)
    with refused("PreconditionFailed", status=412):
        upload.complete(IfMatch=md5_etag(OLD))
    assert body_of(s3, old, "key") == OTHER


def test_a_complete_conflicts_when_the_etag_it_names_was_written_since_create(s3, old):
    upload = upload_of(s3, old)
    s3.put_object(Bucket=old, Key="key", Body=OTHER)
    with refused("ConditionalRequestConflict", status=409):
        upload.complete(IfMatch=md5_etag(OTHER))
    assert body_of(s3, old, "key") == OTHER


def test_a_complete_conflicts_when_the_same_bytes_were_written_since_create(s3, old):
    upload = upload_of(s3, old)
    s3.put_object(Bucket=old, Key="key", Body=OLD)
    with refused("ConditionalRequestConflict", status=409):
        upload.complete(IfMatch=md5_etag(OLD))
    assert body_of(s3, old, "key") == OLD
    again = upload_of(s3, old)
    again.complete(IfMatch=md5_etag(OLD))
    assert body_of(s3, old, "key") == NEW


def test_a_complete_is_not_found_when_the_key_was_deleted_since_create(s3, old):
    upload = upload_of(s3, old)
    s3.delete_object(Bucket=old, Key="key")
    with refused("NoSuchKey", status=404):
        upload.complete(IfMatch=md5_etag(OLD))
    assert not exists(s3, old, "key")


def test_a_complete_conflicts_when_the_key_was_deleted_and_written_again(s3, old):
    upload = upload_of(s3, old)
    s3.delete_object(Bucket=old, Key="key")
    s3.put_object(Bucket=old, Key="key", Body=OLD)
    with refused("ConditionalRequestConflict", status=409):
        upload.complete(IfMatch=md5_etag(OLD))


def test_a_complete_if_none_match_creates(s3, bucket):
    upload_of(s3, bucket).complete(IfNoneMatch="*")
    assert body_of(s3, bucket, "key") == NEW


def test_a_complete_if_none_match_never_replaces(s3, old):
    with refused("PreconditionFailed", status=412):
        upload_of(s3, old).complete(IfNoneMatch="*")
    assert body_of(s3, old, "key") == OLD


def test_a_complete_if_none_match_loses_to_a_put_since_create(s3, bucket):
    upload = upload_of(s3, bucket)
    s3.put_object(Bucket=bucket, Key="key", Body=OTHER)
    with refused("PreconditionFailed", status=412):
        upload.complete(IfNoneMatch="*")
    assert body_of(s3, bucket, "key") == OTHER


def test_a_complete_if_none_match_conflicts_with_a_delete_since_create(s3, old):
    upload = upload_of(s3, old)
    s3.delete_object(Bucket=old, Key="key")
    with refused("ConditionalRequestConflict", status=409):
        upload.complete(IfNoneMatch="*")
    assert not exists(s3, old, "key")


def test_a_complete_without_a_condition_replaces_whatever_happened(s3, old):
    upload = upload_of(s3, old)
    s3.put_object(Bucket=old, Key="key", Body=OTHER)
    upload.complete()
    assert body_of(s3, old, "key") == NEW


def test_of_two_completes_with_one_etag_the_second_loses(s3, old):
    first, second = upload_of(s3, old), upload_of(s3, old, OTHER)
    first.complete(IfMatch=md5_etag(OLD))
    with refused("PreconditionFailed", status=412):
        second.complete(IfMatch=md5_etag(OLD))
    assert body_of(s3, old, "key") == NEW


def test_a_complete_with_a_condition_works_on_versions(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="key", Body=OLD)["VersionId"]
    answer = upload_of(s3, versioned).complete(IfMatch=md5_etag(OLD))
    assert answer["VersionId"] not in ("", "null", first)
    assert body_of(s3, versioned, "key") == NEW
    assert body_of(s3, versioned, "key", VersionId=first) == OLD


def test_a_complete_under_both_conditions_is_not_implemented(s3, old):
    upload = upload_of(s3, old)
    with refused("NotImplemented", status=501):
        upload.complete(IfMatch=md5_etag(OLD), IfNoneMatch="*")
    assert body_of(s3, old, "key") == OLD


# --- CopyObject --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def source(s3, old):
    s3.put_object(Bucket=old, Key="source", Body=NEW)
    return f"{old}/source"


def test_a_copy_with_the_destinations_etag_replaces(s3, old, source):
    s3.copy_object(Bucket=old, Key="key", CopySource=source, IfMatch=md5_etag(OLD))
    assert body_of(s3, old, "key") == NEW


def test_a_copy_with_a_stale_etag_of_the_destination_changes_nothing(s3, old, source):
    with refused("PreconditionFailed", status=412):
        s3.copy_object(Bucket=old, Key="key", CopySource=source, IfMatch=md5_etag(OTHER))
    assert body_of(s3, old, "key") == OLD


def test_a_copy_with_an_etag_onto_a_missing_key_is_not_found(s3, old, source):
    with refused("NoSuchKey", status=404):
        s3.copy_object(Bucket=old, Key="nothing", CopySource=source, IfMatch=md5_etag(OLD))


def test_a_copy_if_none_match_creates_and_never_replaces(s3, old, source):
    s3.copy_object(Bucket=old, Key="fresh", CopySource=source, IfNoneMatch="*")
    with refused("PreconditionFailed", status=412):
        s3.copy_object(Bucket=old, Key="key", CopySource=source, IfNoneMatch="*")
    assert body_of(s3, old, "key") == OLD


# --- DeleteObject, DeleteObjects ---------------------------------------------------------------------------------------------------


def test_a_delete_with_the_current_etag_deletes(s3, old):
    assert status_of(s3.delete_object(Bucket=old, Key="key", IfMatch=md5_etag(OLD))) == 204
    assert not exists(s3, old, "key")


def test_a_delete_with_a_stale_etag_is_refused(s3, old):
    with refused("PreconditionFailed", status=412):
        s3.delete_object(Bucket=old, Key="key", IfMatch=md5_etag(OTHER))
    assert body_of(s3, old, "key") == OLD


def test_a_delete_of_whatever_is_there(s3, old):
    assert status_of(s3.delete_object(Bucket=old, Key="key", IfMatch="*")) == 204
    assert not exists(s3, old, "key")


def test_a_conditional_delete_of_a_missing_key_is_refused(s3, bucket):
    for etag in ("*", md5_etag(OLD)):
        with refused("NoSuchKey", "PreconditionFailed"):
            s3.delete_object(Bucket=bucket, Key="nothing", IfMatch=etag)


def test_a_delete_with_the_current_etag_leaves_a_marker(s3, versioned):
    s3.put_object(Bucket=versioned, Key="key", Body=OLD)
    with refused("PreconditionFailed", status=412):
        s3.delete_object(Bucket=versioned, Key="key", IfMatch=md5_etag(OTHER))
    assert s3.delete_object(Bucket=versioned, Key="key", IfMatch=md5_etag(OLD))["DeleteMarker"] is True
    assert not exists(s3, versioned, "key")


def test_a_delete_of_many_compares_each_etag(s3, old):
    s3.put_object(Bucket=old, Key="stale", Body=OLD)
    answer = s3.delete_objects(
        Bucket=old, Delete={"Objects": [{"Key": "key", "ETag": md5_etag(OLD)}, {"Key": "stale", "ETag": md5_etag(OTHER)}]}
    )
    assert [entry["Key"] for entry in answer["Deleted"]] == ["key"]
    assert [(entry["Key"], entry["Code"]) for entry in answer["Errors"]] == [("stale", "PreconditionFailed")]
    assert exists(s3, old, "stale") and not exists(s3, old, "key")


# --- How a refusal reads -----------------------------------------------------------------------------------------------------------


def test_the_condition_that_failed_is_named_in_the_error(s3, old):
    with refused("PreconditionFailed") as caught:
        s3.put_object(Bucket=old, Key="key", Body=NEW, IfMatch=md5_etag(OTHER))
    assert caught.value.response["Error"]["Condition"] == "If-Match"
    with refused("PreconditionFailed") as caught:
        s3.put_object(Bucket=old, Key="key", Body=NEW, IfNoneMatch="*")
    assert caught.value.response["Error"]["Condition"] == "If-None-Match"
    with refused("PreconditionFailed") as caught:
        s3.get_object(Bucket=old, Key="key", IfMatch=md5_etag(OTHER))
    assert caught.value.response["Error"]["Condition"] == "If-Match"
    with refused("PreconditionFailed") as caught:
        s3.copy_object(Bucket=old, Key="copy", CopySource=f"{old}/key", CopySourceIfMatch=md5_etag(OTHER))
    assert caught.value.response["Error"]["Condition"].lower() == "x-amz-copy-source-if-match"


def test_a_conflict_names_its_condition_and_key(s3, old):
    upload = upload_of(s3, old)
    s3.put_object(Bucket=old, Key="key", Body=OLD)
    with refused("ConditionalRequestConflict") as caught:
        upload.complete(IfMatch=md5_etag(OLD))
    error = caught.value.response["Error"]
    assert (error["Condition"], error["Key"]) == ("If-Match", "key")


# --- Races -------------------------------------------------------------------------------------------------------------------------


def outcomes(futures) -> tuple[list, list[int]]:
    """The winners' answers, and the losers' statuses."""
    won, lost = [], []
    for future in futures:
        error = future.exception()
        if error is None:
            won.append(future.result())
        else:
            lost.append(status_of(error.response))
    return won, lost


def test_of_many_puts_with_one_etag_exactly_one_wins(s3, old, pool):
    bodies = [b"writer %d" % n for n in range(24)]
    futures = [pool.submit(s3.put_object, Bucket=old, Key="key", Body=body, IfMatch=md5_etag(OLD)) for body in bodies]
    won, lost = outcomes(futures)
    assert len(won) == 1
    assert set(lost) <= {409, 412}
    assert md5_etag(body_of(s3, old, "key")) == won[0]["ETag"]


def test_of_many_puts_if_none_match_exactly_one_wins(s3, bucket, pool):
    futures = [pool.submit(s3.put_object, Bucket=bucket, Key="key", Body=b"writer %d" % n, IfNoneMatch="*") for n in range(24)]
    won, lost = outcomes(futures)
    assert len(won) == 1
    assert set(lost) <= {409, 412}
    assert md5_etag(body_of(s3, bucket, "key")) == won[0]["ETag"]


def test_of_many_completes_with_one_etag_exactly_one_wins(s3, old, pool):
    uploads = [upload_of(s3, old, b"writer %d" % n) for n in range(16)]
    won, lost = outcomes([pool.submit(upload.complete, IfMatch=md5_etag(OLD)) for upload in uploads])
    assert len(won) == 1
    assert set(lost) <= {409, 412}
    assert s3.head_object(Bucket=old, Key="key")["ETag"] == won[0]["ETag"]


def test_counting_up_by_compare_and_swap_loses_no_step(s3, bucket, pool):
    s3.put_object(Bucket=bucket, Key="count", Body=b"0")

    def add(_) -> None:
        for _ in range(200):
            got = s3.get_object(Bucket=bucket, Key="count")
            try:
                s3.put_object(Bucket=bucket, Key="count", Body=b"%d" % (int(got["Body"].read()) + 1), IfMatch=got["ETag"])
                return
            except s3.exceptions.ClientError as error:
                assert status_of(error.response) in (409, 412)
        raise AssertionError("never won")

    list(pool.map(add, range(12)))
    assert body_of(s3, bucket, "count") == b"12"


def test_a_reader_sees_a_whole_old_or_a_whole_new_object(s3, bucket, pool):
    contents = [blob(MIN_PART // 4, seed) for seed in range(2)]
    s3.put_object(Bucket=bucket, Key="key", Body=contents[0])
    readers = [pool.submit(body_of, s3, bucket, "key") for _ in range(8)]
    for turn in range(6):
        s3.put_object(Bucket=bucket, Key="key", Body=contents[turn % 2])
        readers.append(pool.submit(body_of, s3, bucket, "key"))
    assert all(reader.result() in contents for reader in readers)
