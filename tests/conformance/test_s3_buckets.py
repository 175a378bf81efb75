"""Buckets: their life, their names, and the errors around them."""

import pytest

from support import refused, status_of, unique


def test_a_bucket_is_made_found_and_deleted(s3, signer):
    name = unique("life")
    assert s3.create_bucket(Bucket=name)["Location"].strip("/").endswith(name)
    assert status_of(s3.head_bucket(Bucket=name)) == 200
    assert name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert status_of(s3.delete_bucket(Bucket=name)) == 204
    with refused("404", status=404):
        s3.head_bucket(Bucket=name)
    assert name not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]


def test_making_your_own_bucket_again_is_harmless_in_us_east_1(s3, bucket):
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept")
    assert status_of(s3.create_bucket(Bucket=bucket)) == 200
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"kept"


def test_the_location_of_us_east_1_is_null(s3, bucket):
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None


def test_head_names_the_region(s3, bucket):
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda s3, name: s3.list_objects_v2(Bucket=name), id="list"),
        pytest.param(lambda s3, name: s3.get_object(Bucket=name, Key="key"), id="get"),
        pytest.param(lambda s3, name: s3.put_object(Bucket=name, Key="key", Body=b"x"), id="put"),
        pytest.param(lambda s3, name: s3.delete_object(Bucket=name, Key="key"), id="delete"),
        pytest.param(lambda s3, name: s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "key"}]}), id="delete-many"),
        pytest.param(lambda s3, name: s3.create_multipart_upload(Bucket=name, Key="key"), id="create-multipart"),
        pytest.param(lambda s3, name: s3.list_multipart_uploads(Bucket=name), id="list-multipart"),
        pytest.param(lambda s3, name: s3.list_object_versions(Bucket=name), id="list-versions"),
        pytest.param(lambda s3, name: s3.get_bucket_versioning(Bucket=name), id="versioning"),
        pytest.param(lambda s3, name: s3.get_object_tagging(Bucket=name, Key="key"), id="tags"),
        pytest.param(lambda s3, name: s3.delete_bucket(Bucket=name), id="delete-bucket"),
    ],
)
def test_nothing_can_be_done_in_a_missing_bucket(s3, call):
    with refused("NoSuchBucket", status=404):
        call(s3, unique("missing"))


def test_a_missing_bucket_is_named_in_the_error(s3):
    name = unique("missing")
    with refused("NoSuchBucket") as caught:
        s3.get_object(Bucket=name, Key="key")
    assert caught.value.response["Error"]["BucketName"] == name


def test_a_bucket_with_an_object_is_not_deleted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    with refused("BucketNotEmpty", status=409):
        s3.delete_bucket(Bucket=bucket)
    assert status_of(s3.head_bucket(Bucket=bucket)) == 200


def test_a_bucket_with_only_a_delete_marker_is_not_deleted(s3, versioned):
    s3.delete_object(Bucket=versioned, Key="never-there")
    with refused("BucketNotEmpty", status=409):
        s3.delete_bucket(Bucket=versioned)


@pytest.mark.parametrize("name", ["ab", "Upper-Case", "under_score", "a..b", "192.168.5.4"])
def test_a_bucket_name_outside_the_rules_is_refused(s3, name):
    with refused("InvalidBucketName", status=400):
        s3.create_bucket(Bucket=name)


def test_a_new_bucket_has_no_versioning_status(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


def test_versioning_is_switched_on_and_suspended(s3, bucket):
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status


def test_a_versioning_status_nobody_knows_is_malformed(s3, bucket):
    with refused("MalformedXML", status=400):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "enabled"})
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
