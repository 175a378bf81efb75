"""Objects: what is put is what is got, under any key, with all its headers."""

import datetime
import hashlib
import io

import pytest
from boto3.s3.transfer import TransferConfig

from support import MIB, b64, blob, body_of, exists, headers_of, md5_etag, refused, status_of


def test_what_is_put_is_got(s3, bucket):
    body = blob(100_000)
    put = s3.put_object(Bucket=bucket, Key="key", Body=body)
    assert put["ETag"] == md5_etag(body)
    assert "VersionId" not in put
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got["Body"].read() == body
    assert got["ContentLength"] == len(body)
    assert got["ETag"] == md5_etag(body)
    assert got["AcceptRanges"] == "bytes"
    assert got["Metadata"] == {}
    assert "ContentRange" not in got and "VersionId" not in got
    age = datetime.datetime.now(datetime.timezone.utc) - got["LastModified"]
    assert abs(age) < datetime.timedelta(minutes=2)


def test_the_content_type_is_binary_unless_told(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="key")["ContentType"] == "binary/octet-stream"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    assert s3.head_object(Bucket=bucket, Key="parts")["ContentType"] == "binary/octet-stream"


def test_an_object_may_be_empty(s3, bucket):
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    got = s3.get_object(Bucket=bucket, Key="empty")
    assert (got["ContentLength"], got["Body"].read(), got["ETag"]) == (0, b"", md5_etag(b""))


def test_head_says_what_get_says(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"hello", ContentType="text/plain", Metadata={"colour": "red"})
    head, got = s3.head_object(Bucket=bucket, Key="key"), s3.get_object(Bucket=bucket, Key="key")
    for field in ("ContentLength", "ContentType", "ETag", "LastModified", "Metadata", "AcceptRanges"):
        assert head[field] == got[field], field


def test_a_missing_key_is_named_in_the_error(s3, bucket):
    with refused("NoSuchKey", status=404) as caught:
        s3.get_object(Bucket=bucket, Key="no such key")
    assert caught.value.response["Error"]["Key"] == "no such key"
    with refused("404", status=404):
        s3.head_object(Bucket=bucket, Key="no such key")


def test_a_second_put_replaces_everything(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"one", ContentType="text/plain", Metadata={"a": "1"}, Tagging="t=1")
    s3.put_object(Bucket=bucket, Key="key", Body=b"second")
    got = s3.get_object(Bucket=bucket, Key="key")
    assert (got["Body"].read(), got["Metadata"]) == (b"second", {})
    assert got["ContentType"] != "text/plain"
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == []


def test_a_delete_may_be_repeated(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    for _ in range(2):
        assert status_of(s3.delete_object(Bucket=bucket, Key="key")) == 204
    assert not exists(s3, bucket, "key")


@pytest.mark.parametrize(
    "key",
    [
        "a b", "a+b", "a%20b", "a%2Fb", "ü/日本語/😀", "deep/er/and/deeper", "trailing/", "/leading", "double//slash", "a/./b", "a/../b", "..",
        "tab\there", "quote\"'<>&", "semi;colon,comma=equals?question#hash", "back\\slash", "~!@$^*()_-|[]{}",
    ],
)
def test_a_key_is_bytes_and_nothing_more(s3, bucket, key):
    body = key.encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert body_of(s3, bucket, key) == body
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert body_of(s3, bucket, "copy") == body
    s3.delete_object(Bucket=bucket, Key=key)
    assert not exists(s3, bucket, key)


def test_a_key_has_at_most_1024_bytes(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k" * 1024, Body=b"x")
    assert exists(s3, bucket, "k" * 1024)
    with refused("KeyTooLongError", status=400):
        s3.put_object(Bucket=bucket, Key="ü" * 513, Body=b"x")


def test_the_system_headers_come_back(s3, bucket):
    sent = {
        "CacheControl": "max-age=60", "ContentDisposition": 'attachment; filename="a.zip"', "ContentEncoding": "gzip",
        "ContentLanguage": "de", "ContentType": "application/zip",
    }
    expires = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Expires=expires, **sent)
    for answer in (s3.get_object(Bucket=bucket, Key="key"), s3.head_object(Bucket=bucket, Key="key")):
        assert {name: answer[name] for name in sent} == sent
        assert answer["ExpiresString"] == "Wed, 02 Jan 2030 03:04:05 GMT"


def test_a_get_can_override_the_headers_of_its_answer(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket, Key="key", ResponseContentType="application/json", ResponseContentDisposition="inline",
        ResponseCacheControl="no-store", ResponseContentEncoding="identity", ResponseContentLanguage="fr",
    )
    assert (got["ContentType"], got["ContentDisposition"], got["CacheControl"]) == ("application/json", "inline", "no-store")
    assert (got["ContentEncoding"], got["ContentLanguage"]) == ("identity", "fr")
    assert s3.head_object(Bucket=bucket, Key="key")["ContentType"] == "text/plain"


def test_user_metadata_comes_back_with_names_in_lower_case(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Metadata={"Build-Id": "42 b", "git": "main", "empty": ""})
    assert s3.head_object(Bucket=bucket, Key="key")["Metadata"] == {"build-id": "42 b", "git": "main", "empty": ""}


def test_user_metadata_is_limited_to_two_kilobytes(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Metadata={"k": "v" * 2000})
    with refused("MetadataTooLarge", status=400):
        s3.put_object(Bucket=bucket, Key="big", Body=b"x", Metadata={"k": "v" * 2100})
    assert not exists(s3, bucket, "big")


def test_the_storage_class_comes_back_unless_it_is_standard(s3, bucket):
    s3.put_object(Bucket=bucket, Key="rare", Body=b"x", StorageClass="STANDARD_IA")
    s3.put_object(Bucket=bucket, Key="usual", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="rare")["StorageClass"] == "STANDARD_IA"
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="usual")
    listed = {entry["Key"]: entry["StorageClass"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert listed == {"rare": "STANDARD_IA", "usual": "STANDARD"}


def test_a_storage_class_nobody_knows_is_refused(s3, bucket):
    with refused("InvalidStorageClass", status=400):
        s3.put_object(Bucket=bucket, Key="key", Body=b"x", StorageClass="COLDISH")
    assert not exists(s3, bucket, "key")


def test_encryption_with_s3_keys_is_echoed(s3, bucket):
    assert s3.put_object(Bucket=bucket, Key="key", Body=b"x", ServerSideEncryption="AES256")["ServerSideEncryption"] == "AES256"
    assert s3.head_object(Bucket=bucket, Key="key")["ServerSideEncryption"] == "AES256"


def test_objects_are_encrypted_with_s3_keys_without_being_asked(s3, bucket):
    assert s3.put_object(Bucket=bucket, Key="key", Body=b"x")["ServerSideEncryption"] == "AES256"
    assert s3.head_object(Bucket=bucket, Key="key")["ServerSideEncryption"] == "AES256"


def test_encryption_with_a_kms_key_comes_back(s3, bucket):
    key = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key, BucketKeyEnabled=True)
    head = s3.head_object(Bucket=bucket, Key="key")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"], head["BucketKeyEnabled"]) == ("aws:kms", key, True)


def test_the_website_redirect_comes_back(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", WebsiteRedirectLocation="/elsewhere")
    assert s3.head_object(Bucket=bucket, Key="key")["WebsiteRedirectLocation"] == "/elsewhere"


def test_many_objects_are_deleted_at_once_whether_there_or_not(s3, bucket):
    for key in ("a", "b", "kept"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in ("a", "b", "never")]})
    assert sorted(entry["Key"] for entry in answer["Deleted"]) == ["a", "b", "never"]
    assert "Errors" not in answer
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["kept"]


def test_a_quiet_delete_of_many_lists_only_errors(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}], "Quiet": True})
    assert "Deleted" not in answer and "Errors" not in answer
    assert not exists(s3, bucket, "a")


def test_at_most_a_thousand_are_deleted_at_once(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k1", Body=b"x")
    with refused("MalformedXML", status=400):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": f"k{n}"} for n in range(1001)]})
    assert exists(s3, bucket, "k1")


def test_a_wrong_content_md5_is_refused_and_changes_nothing(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"old")
    with refused("BadDigest", status=400):
        s3.put_object(Bucket=bucket, Key="key", Body=b"new", ContentMD5=b64(hashlib.md5(b"other").digest()))
    with refused("InvalidDigest", status=400):
        s3.put_object(Bucket=bucket, Key="key", Body=b"new", ContentMD5="not base64!")
    assert body_of(s3, bucket, "key") == b"old"
    s3.put_object(Bucket=bucket, Key="key", Body=b"new", ContentMD5=b64(hashlib.md5(b"new").digest()))
    assert body_of(s3, bucket, "key") == b"new"


def test_a_large_object_is_put_in_one_piece(s3, bucket):
    body = blob(24 * MIB)
    assert s3.put_object(Bucket=bucket, Key="large", Body=body)["ETag"] == md5_etag(body)
    assert hashlib.sha256(body_of(s3, bucket, "large")).digest() == hashlib.sha256(body).digest()


def test_the_transfer_manager_uploads_and_downloads_in_parts(s3, bucket):
    body = blob(17 * MIB + 12_345)
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(body), bucket, "large", Config=config, ExtraArgs={"Metadata": {"a": "b"}})
    head = s3.head_object(Bucket=bucket, Key="large")
    assert head["ETag"].endswith('-3"') and head["Metadata"] == {"a": "b"}
    out = io.BytesIO()
    s3.download_fileobj(bucket, "large", out, Config=config)
    assert out.getvalue() == body


def test_an_answer_carries_a_request_id_and_a_date(s3, bucket):
    headers = headers_of(s3.put_object(Bucket=bucket, Key="key", Body=b"x"))
    assert headers["x-amz-request-id"]
    assert headers["date"].endswith("GMT")


def test_the_attributes_of_an_object_are_told_on_request(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"hello", ChecksumAlgorithm="SHA256")
    told = s3.get_object_attributes(
        Bucket=bucket, Key="key", ObjectAttributes=["ETag", "ObjectSize", "StorageClass", "Checksum", "ObjectParts"]
    )
    assert told["ETag"] == md5_etag(b"hello").strip('"')
    assert told["ObjectSize"] == 5
    assert told["StorageClass"] == "STANDARD"
    assert told["Checksum"]["ChecksumSHA256"] == b64(hashlib.sha256(b"hello").digest())
    assert "ObjectParts" not in told
