"""Versions and delete markers."""

import pytest

from support import MIN_PART, Upload, blob, body_of, exists, md5_etag, refused, status_of


def listed(s3, bucket, **arguments) -> tuple[list, list]:
    page = s3.list_object_versions(Bucket=bucket, **arguments)
    return page.get("Versions", []), page.get("DeleteMarkers", [])


def test_every_put_makes_a_version_of_its_own(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key="key", Body=b"%d" % n)["VersionId"] for n in range(3)]
    assert len(set(ids)) == 3
    got = s3.get_object(Bucket=versioned, Key="key")
    assert (got["Body"].read(), got["VersionId"]) == (b"2", ids[2])
    for n, version in enumerate(ids):
        got = s3.get_object(Bucket=versioned, Key="key", VersionId=version)
        assert (got["Body"].read(), got["VersionId"], got["ETag"]) == (b"%d" % n, version, md5_etag(b"%d" % n))
        assert s3.head_object(Bucket=versioned, Key="key", VersionId=version)["ContentLength"] == 1


def test_versions_are_listed_newest_first(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key="key", Body=b"%d" % n)["VersionId"] for n in range(3)]
    s3.put_object(Bucket=versioned, Key="a", Body=b"x")
    versions, markers = listed(s3, versioned)
    assert [(entry["Key"], entry["VersionId"]) for entry in versions[1:]] == [("key", version) for version in reversed(ids)]
    assert [entry["IsLatest"] for entry in versions] == [True, True, False, False]
    assert markers == []


def test_a_plain_delete_leaves_a_marker_over_the_versions(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="key", Body=b"x")["VersionId"]
    gone = s3.delete_object(Bucket=versioned, Key="key")
    assert gone["DeleteMarker"] is True and gone["VersionId"] not in (first, "null")
    with refused("NoSuchKey", status=404) as caught:
        s3.get_object(Bucket=versioned, Key="key")
    headers = {name.lower(): value for name, value in caught.value.response["ResponseMetadata"]["HTTPHeaders"].items()}
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", gone["VersionId"])
    with refused("404", status=404):
        s3.head_object(Bucket=versioned, Key="key")
    assert body_of(s3, versioned, "key", VersionId=first) == b"x"
    assert "Contents" not in s3.list_objects_v2(Bucket=versioned)
    versions, markers = listed(s3, versioned)
    assert [(entry["VersionId"], entry["IsLatest"]) for entry in versions] == [(first, False)]
    assert [(entry["VersionId"], entry["IsLatest"]) for entry in markers] == [(gone["VersionId"], True)]


def test_a_marker_cannot_be_read(s3, versioned):
    s3.put_object(Bucket=versioned, Key="key", Body=b"x")
    marker = s3.delete_object(Bucket=versioned, Key="key")["VersionId"]
    with refused("MethodNotAllowed", status=405):
        s3.get_object(Bucket=versioned, Key="key", VersionId=marker)
    with refused("405", status=405):
        s3.head_object(Bucket=versioned, Key="key", VersionId=marker)


def test_deleting_the_marker_brings_the_object_back(s3, versioned):
    s3.put_object(Bucket=versioned, Key="key", Body=b"x")
    marker = s3.delete_object(Bucket=versioned, Key="key")["VersionId"]
    gone = s3.delete_object(Bucket=versioned, Key="key", VersionId=marker)
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, marker)
    assert body_of(s3, versioned, "key") == b"x"


def test_deleting_a_version_is_for_ever(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key="key", Body=b"%d" % n)["VersionId"] for n in range(3)]
    gone = s3.delete_object(Bucket=versioned, Key="key", VersionId=ids[2])
    assert gone["VersionId"] == ids[2] and "DeleteMarker" not in gone
    assert body_of(s3, versioned, "key") == b"1"
    with refused("NoSuchVersion", status=404):
        s3.get_object(Bucket=versioned, Key="key", VersionId=ids[2])
    versions, _ = listed(s3, versioned)
    assert [(entry["VersionId"], entry["IsLatest"]) for entry in versions] == [(ids[1], True), (ids[0], False)]


def test_deleting_a_key_that_never_was_leaves_a_marker(s3, versioned):
    assert s3.delete_object(Bucket=versioned, Key="never")["DeleteMarker"] is True
    versions, markers = listed(s3, versioned)
    assert (len(versions), len(markers)) == (0, 1)


def test_a_version_id_that_is_none_is_refused(s3, versioned):
    s3.put_object(Bucket=versioned, Key="key", Body=b"x")
    with refused("InvalidArgument", "NoSuchVersion") as caught:
        s3.get_object(Bucket=versioned, Key="key", VersionId="not-a-version")
    assert status_of(caught.value.response) in (400, 404)


def test_a_version_belongs_to_its_key(s3, versioned):
    version = s3.put_object(Bucket=versioned, Key="key", Body=b"x")["VersionId"]
    s3.put_object(Bucket=versioned, Key="other", Body=b"y")
    with refused("NoSuchVersion", status=404):
        s3.get_object(Bucket=versioned, Key="other", VersionId=version)


def test_an_object_from_before_versioning_is_the_null_version(s3, bucket):
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="key", Body=b"before")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    second = s3.put_object(Bucket=bucket, Key="key", Body=b"after")["VersionId"]
    assert body_of(s3, bucket, "key", VersionId="null") == b"before"
    versions, _ = listed(s3, bucket)
    assert [entry["VersionId"] for entry in versions] == [second, "null"]


def test_the_only_version_of_an_unversioned_object_is_null(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    assert body_of(s3, bucket, "key", VersionId="null") == b"x"
    versions, _ = listed(s3, bucket)
    assert [(entry["VersionId"], entry["IsLatest"]) for entry in versions] == [("null", True)]
    s3.delete_object(Bucket=bucket, Key="key", VersionId="null")
    assert not exists(s3, bucket, "key")


def test_a_suspended_bucket_replaces_its_null_version_and_keeps_the_others(s3, versioned):
    kept = s3.put_object(Bucket=versioned, Key="key", Body=b"kept")["VersionId"]
    s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    for body in (b"one", b"two"):
        assert s3.put_object(Bucket=versioned, Key="key", Body=body).get("VersionId", "null") == "null"
    assert body_of(s3, versioned, "key") == b"two"
    assert body_of(s3, versioned, "key", VersionId="null") == b"two"
    assert body_of(s3, versioned, "key", VersionId=kept) == b"kept"
    versions, _ = listed(s3, versioned)
    assert [entry["VersionId"] for entry in versions] == ["null", kept]
    gone = s3.delete_object(Bucket=versioned, Key="key")
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, "null")
    versions, markers = listed(s3, versioned)
    assert [entry["VersionId"] for entry in versions] == [kept]
    assert [entry["VersionId"] for entry in markers] == ["null"]


def test_many_versions_are_deleted_at_once(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key="key", Body=b"%d" % n)["VersionId"] for n in range(2)]
    marked = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "key"}]})["Deleted"][0]
    assert marked["DeleteMarker"] is True and marked["DeleteMarkerVersionId"]
    wanted = [{"Key": "key", "VersionId": version} for version in (ids[0], marked["DeleteMarkerVersionId"])]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": wanted})["Deleted"]
    assert {entry["VersionId"] for entry in answer} == {wanted[0]["VersionId"], wanted[1]["VersionId"]}
    versions, markers = listed(s3, versioned)
    assert ([entry["VersionId"] for entry in versions], markers) == ([ids[1]], [])


def test_versions_are_listed_page_by_page(s3, versioned):
    ids = [("a", s3.put_object(Bucket=versioned, Key="a", Body=b"x")["VersionId"]) for _ in range(3)][::-1]
    ids += [("b", s3.delete_object(Bucket=versioned, Key="b")["VersionId"])]
    ids += [("c", s3.put_object(Bucket=versioned, Key="c", Body=b"x")["VersionId"])]
    seen, markers = [], {}
    for _ in range(8):
        page = s3.list_object_versions(Bucket=versioned, MaxKeys=2, **markers)
        seen += [(entry["Key"], entry["VersionId"]) for entry in page.get("Versions", []) + page.get("DeleteMarkers", [])]
        if not page["IsTruncated"]:
            break
        markers = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    assert sorted(seen) == sorted(ids)


def test_versions_are_listed_by_prefix_and_delimiter(s3, versioned):
    for key in ("a/1", "a/1", "a/2", "b"):
        s3.put_object(Bucket=versioned, Key=key, Body=b"x")
    assert [entry["Key"] for entry in listed(s3, versioned, Prefix="a/")[0]] == ["a/1", "a/1", "a/2"]
    folded = s3.list_object_versions(Bucket=versioned, Delimiter="/")
    assert [entry["Key"] for entry in folded["Versions"]] == ["b"]
    assert [entry["Prefix"] for entry in folded["CommonPrefixes"]] == ["a/"]


# --- Uploads that overlap ----------------------------------------------------------------------------------------------------------


def test_complete_makes_a_version_and_names_it(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="key", Body=b"first")["VersionId"]
    upload = Upload(s3, versioned, "key")
    upload.put(1, b"second")
    version = upload.complete()["VersionId"]
    assert version not in (first, "null")
    assert s3.get_object(Bucket=versioned, Key="key")["VersionId"] == version
    assert body_of(s3, versioned, "key", VersionId=version) == b"second"


def test_the_upload_started_last_is_current_whichever_completes_last(s3, versioned):
    """S3 User Guide, "Uploading and copying objects using multipart upload": the version initiated last is the current one."""
    early, late = Upload(s3, versioned, "key"), Upload(s3, versioned, "key")
    early.put(1, b"early")
    late.put(1, b"late")
    late_version = late.complete()["VersionId"]
    early_version = early.complete()["VersionId"]
    got = s3.get_object(Bucket=versioned, Key="key")
    assert (got["Body"].read(), got["VersionId"]) == (b"late", late_version)
    assert body_of(s3, versioned, "key", VersionId=early_version) == b"early"
    versions, _ = listed(s3, versioned)
    assert [(entry["VersionId"], entry["IsLatest"]) for entry in versions] == [(late_version, True), (early_version, False)]


def test_an_upload_completed_twice_makes_one_version(s3, versioned):
    upload = Upload(s3, versioned, "key")
    upload.put(1, b"once")
    first = upload.complete()
    try:
        again = upload.complete()
    except s3.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchUpload"
    else:
        assert (again["ETag"], again["VersionId"]) == (first["ETag"], first["VersionId"])
    versions, _ = listed(s3, versioned)
    assert [entry["VersionId"] for entry in versions] == [first["VersionId"]]


def test_without_versions_the_upload_that_completes_last_is_current(s3, bucket):
    early, late = Upload(s3, bucket, "key"), Upload(s3, bucket, "key")
    early.put(1, b"early")
    late.put(1, b"late")
    late.complete()
    early.complete()
    assert body_of(s3, bucket, "key") == b"early"


def test_large_versions_are_kept_apart(s3, versioned):
    bodies = [blob(MIN_PART + seed, seed) for seed in range(2)]
    ids = [s3.put_object(Bucket=versioned, Key="key", Body=body)["VersionId"] for body in bodies]
    for version, body in zip(ids, bodies):
        assert body_of(s3, versioned, "key", VersionId=version) == body


@pytest.mark.parametrize("verb", ["get_object_tagging", "delete_object_tagging"])
def test_a_marker_has_no_tags(s3, versioned, verb):
    s3.put_object(Bucket=versioned, Key="key", Body=b"x")
    s3.delete_object(Bucket=versioned, Key="key")
    with refused("MethodNotAllowed", "NoSuchKey"):
        getattr(s3, verb)(Bucket=versioned, Key="key")
