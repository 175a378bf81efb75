"""What a bucket and an object have besides their content: documents that are kept, locks, owners, customers' keys."""

import datetime
import json
import urllib.error
import urllib.request
import uuid

import pytest

from support import Upload, body_of, exists, refused, status_of, unique


def test_the_tags_of_a_bucket_are_kept(s3, bucket):
    with refused("NoSuchTagSet", status=404):
        s3.get_bucket_tagging(Bucket=bucket)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "stack", "Value": "one"}]})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "stack", "Value": "one"}]
    s3.delete_bucket_tagging(Bucket=bucket)
    with refused("NoSuchTagSet", status=404):
        s3.get_bucket_tagging(Bucket=bucket)


def test_the_policy_of_a_bucket_is_kept(s3, bucket):
    """What REFERENCE mode asks for: Lambda may read the artifact."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
        ],
    }
    with refused("NoSuchBucketPolicy", status=404):
        s3.get_bucket_policy(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy
    with refused("MalformedPolicy", status=400):
        s3.put_bucket_policy(Bucket=bucket, Policy="{")
    s3.delete_bucket_policy(Bucket=bucket)
    with refused("NoSuchBucketPolicy", status=404):
        s3.get_bucket_policy(Bucket=bucket)


def test_the_lifecycle_of_a_bucket_is_kept(s3, bucket):
    rule = {
        "ID": "stray parts", "Status": "Enabled", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    with refused("NoSuchLifecycleConfiguration", status=404):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == [rule]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with refused("NoSuchLifecycleConfiguration", status=404):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)


def test_a_bucket_encrypts_with_s3_keys_unless_told(s3, bucket):
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_the_owner_of_an_object_has_full_control(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    acl = s3.get_object_acl(Bucket=bucket, Key="key")
    (grant,) = acl["Grants"]
    assert (grant["Permission"], grant["Grantee"]["ID"]) == ("FULL_CONTROL", acl["Owner"]["ID"])


def test_a_bucket_of_someone_else_is_refused(s3, bucket):
    """`x-amz-expected-bucket-owner`: the account that owns the bucket, or nothing happens."""
    with refused("AccessDenied", status=403):
        s3.put_object(Bucket=bucket, Key="key", Body=b"x", ExpectedBucketOwner="111122223333")
    assert not exists(s3, bucket, "key")


def test_a_bucket_may_be_in_another_region(s3):
    name = unique("region")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    s3.delete_bucket(Bucket=name)


def test_buckets_are_listed_by_prefix(s3):
    names = [f"{unique('listed')}-{n}" for n in range(2)]
    for name in names:
        s3.create_bucket(Bucket=name)
    try:
        assert [bucket["Name"] for bucket in s3.list_buckets(Prefix=names[0])["Buckets"]] == names[:1]
    finally:
        for name in names:
            s3.delete_bucket(Bucket=name)


# --- Customers' keys ---------------------------------------------------------------------------------------------------------------


def test_an_object_under_a_customers_key_needs_the_key(s3, bucket):
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    s3.put_object(Bucket=bucket, Key="key", Body=b"secret", **key)
    assert s3.get_object(Bucket=bucket, Key="key", **key)["Body"].read() == b"secret"
    with refused("InvalidRequest", status=400):
        s3.get_object(Bucket=bucket, Key="key")
    with refused("400", status=400):
        s3.head_object(Bucket=bucket, Key="key")
    with refused("AccessDenied", status=403):
        s3.get_object(Bucket=bucket, Key="key", SSECustomerAlgorithm="AES256", SSECustomerKey="x" * 32)


# --- Locks -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def locked(s3):
    """A bucket with object lock; what a check holds, it must let go."""
    from conftest import empty_and_delete

    name = unique("locked")
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    yield name
    empty_and_delete(s3, name)


def test_a_bucket_with_locks_has_versions(s3, locked):
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"


def test_a_held_version_is_not_deleted(s3, locked):
    version = s3.put_object(Bucket=locked, Key="key", Body=b"held", ObjectLockLegalHoldStatus="ON")["VersionId"]
    assert s3.head_object(Bucket=locked, Key="key")["ObjectLockLegalHoldStatus"] == "ON"
    with refused("AccessDenied", status=403):
        s3.delete_object(Bucket=locked, Key="key", VersionId=version)
    assert s3.delete_object(Bucket=locked, Key="key")["DeleteMarker"] is True
    assert body_of(s3, locked, "key", VersionId=version) == b"held"
    s3.put_object_legal_hold(Bucket=locked, Key="key", VersionId=version, LegalHold={"Status": "OFF"})
    assert status_of(s3.delete_object(Bucket=locked, Key="key", VersionId=version)) == 204


def test_an_upload_carries_its_lock(s3, locked):
    until = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=1)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    upload = Upload(s3, locked, "key", create={**lock, "ChecksumAlgorithm": "CRC64NVME"})
    upload.put(1, b"kept", ChecksumAlgorithm="CRC64NVME")
    version = upload.complete()["VersionId"]
    head = s3.head_object(Bucket=locked, Key="key")
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)
    with refused("AccessDenied", status=403):
        s3.delete_object(Bucket=locked, Key="key", VersionId=version)
    s3.delete_object(Bucket=locked, Key="key", VersionId=version, BypassGovernanceRetention=True)
    assert not exists(s3, locked, "key")


def test_a_lock_needs_a_bucket_with_locks(s3, bucket):
    with refused("InvalidRequest", status=400):
        s3.put_object(Bucket=bucket, Key="key", Body=b"x", ObjectLockLegalHoldStatus="ON")


# --- Forms -------------------------------------------------------------------------------------------------------------------------


def post(form: dict, fields: dict, content: bytes) -> int:
    boundary = uuid.uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\nContent-Type: application/zip\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(form["url"], data=body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_presigned_form_uploads(s3, bucket):
    form = s3.generate_presigned_post(bucket, "posted", Conditions=[["content-length-range", 1, 100]], ExpiresIn=60)
    assert post(form, form["fields"], b"from a form") == 204
    assert body_of(s3, bucket, "posted") == b"from a form"


def test_a_presigned_form_keeps_its_conditions(s3, bucket):
    form = s3.generate_presigned_post(bucket, "posted", Conditions=[["content-length-range", 1, 10]], ExpiresIn=60)
    assert post(form, form["fields"], b"more than ten bytes") == 400
    assert post(form, {**form["fields"], "key": "other"}, b"small") == 403
    assert not exists(s3, bucket, "posted") and not exists(s3, bucket, "other")
