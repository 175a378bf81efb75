"""Who may ask: signatures, credentials, presigned URLs."""

import datetime
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import client
from support import Signer, body_of, exists, md5_etag, refused


@pytest.fixture
def kept(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"content", ContentType="text/plain")
    return bucket


def fetch(url: str, method: str = "GET", body: bytes | None = None, headers: dict | None = None) -> tuple[int, bytes, dict]:
    kind = {} if body is None else {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(url, data=body, method=method, headers={**kind, **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        return error.code, error.read(), {name.lower(): value for name, value in error.headers.items()}


# --- Credentials -------------------------------------------------------------------------------------------------------------------


def test_a_wrong_secret_is_refused(kept):
    stranger = client("s3", secret_key="not-the-secret")
    with refused("SignatureDoesNotMatch", status=403):
        stranger.get_object(Bucket=kept, Key="key")
    with refused("403", status=403):
        stranger.head_object(Bucket=kept, Key="key")


def test_a_put_with_a_wrong_secret_changes_nothing(s3, kept):
    with refused("SignatureDoesNotMatch", status=403):
        client("s3", secret_key="not-the-secret").put_object(Bucket=kept, Key="key", Body=b"changed")
    assert body_of(s3, kept, "key") == b"content"


def test_an_unknown_access_key_is_refused(kept):
    with refused("InvalidAccessKeyId", status=403):
        client("s3", access_key="AKIAIOSFODNN7EXAMPLE").get_object(Bucket=kept, Key="key")


def test_a_request_without_a_signature_is_refused(signer, s3, kept):
    status, body, _ = fetch(f"{signer.endpoint}/{kept}/key")
    assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True), body
    status, _, _ = fetch(f"{signer.endpoint}/{kept}/key", "PUT", b"changed")
    assert status == 403
    assert body_of(s3, kept, "key") == b"content"


def test_a_body_other_than_the_signed_one_is_refused(s3, signer, kept):
    connection = signer.connection()
    headers = signer.headers("PUT", f"/{kept}/key", body=b"what was signed")
    connection.request("PUT", f"/{kept}/key", body=b"what was sent!!", headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert (response.status, b"<Code>XAmzContentSHA256Mismatch</Code>" in body) == (400, True), body
    assert body_of(s3, kept, "key") == b"content"


def test_a_payload_may_go_unsigned(s3, signer, kept):
    answer = signer.request("PUT", f"/{kept}/key", body=b"unsigned", payload="UNSIGNED-PAYLOAD")
    assert answer.status == 200, answer.text
    assert body_of(s3, kept, "key") == b"unsigned"


def test_a_clock_that_is_an_hour_off_is_refused(signer, kept):
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    answer = signer.request("GET", f"/{kept}/key", now=then)
    assert (answer.status, "<Code>RequestTimeTooSkewed</Code>" in answer.text) == (403, True), answer.text


# --- Presigned URLs ----------------------------------------------------------------------------------------------------------------


def presign(s3, verb: str, bucket: str, key: str = "key", seconds: int = 60, **arguments) -> str:
    return s3.generate_presigned_url(verb, Params={"Bucket": bucket, "Key": key, **arguments}, ExpiresIn=seconds)


def test_a_presigned_get_reads(s3, kept):
    status, body, headers = fetch(presign(s3, "get_object", kept))
    assert (status, body, headers["content-type"], headers["etag"]) == (200, b"content", "text/plain", md5_etag(b"content"))


def test_a_presigned_get_may_ask_for_a_range(s3, kept):
    status, body, headers = fetch(presign(s3, "get_object", kept), headers={"Range": "bytes=0-2"})
    assert (status, body, headers["content-range"]) == (206, b"con", "bytes 0-2/7")


def test_a_presigned_get_may_override_headers(s3, kept):
    _, _, headers = fetch(presign(s3, "get_object", kept, ResponseContentType="application/zip"))
    assert headers["content-type"] == "application/zip"


def test_a_presigned_get_of_a_version(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="key", Body=b"first")["VersionId"]
    s3.put_object(Bucket=versioned, Key="key", Body=b"second")
    assert fetch(presign(s3, "get_object", versioned, VersionId=first))[1] == b"first"


def test_a_presigned_put_writes(s3, kept):
    status, _, _ = fetch(presign(s3, "put_object", kept, "new"), "PUT", b"uploaded")
    assert status == 200
    assert body_of(s3, kept, "new") == b"uploaded"


def test_a_presigned_head_and_delete_work(s3, kept):
    assert fetch(presign(s3, "head_object", kept), "HEAD")[0] == 200
    assert fetch(presign(s3, "delete_object", kept), "DELETE")[0] == 204
    assert not exists(s3, kept, "key")


def test_a_presigned_part_is_uploaded(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    status, _, headers = fetch(presign(s3, "upload_part", bucket, UploadId=upload, PartNumber=1), "PUT", b"part")
    assert status == 200
    s3.complete_multipart_upload(
        Bucket=bucket, Key="key", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": headers["etag"]}]}
    )
    assert body_of(s3, bucket, "key") == b"part"


def test_a_presigned_url_is_good_for_its_verb_only(s3, kept):
    status, body, _ = fetch(presign(s3, "get_object", kept), "PUT", b"changed")
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True), body
    assert body_of(s3, kept, "key") == b"content"


def test_a_presigned_url_is_good_for_its_key_only(s3, kept):
    s3.put_object(Bucket=kept, Key="other", Body=b"secret")
    status, body, _ = fetch(presign(s3, "get_object", kept).replace("/key?", "/other?"))
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True), body


def test_a_presigned_url_that_was_tampered_with_is_refused(s3, kept):
    url = presign(s3, "get_object", kept, seconds=60).replace("X-Amz-Expires=60", "X-Amz-Expires=61")
    status, body, _ = fetch(url)
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True), body


def test_a_presigned_url_expires(signer, s3, kept):
    """Signed as if two minutes ago, for one minute: no need to wait."""
    status, body, _ = fetch(aged_url(signer, f"/{kept}/key", age=120, seconds=60))
    assert (status, b"<Code>AccessDenied</Code>" in body, b"expired" in body) == (403, True, True), body
    assert fetch(aged_url(signer, f"/{kept}/key", age=30, seconds=60))[0] == 200


def aged_url(signer: Signer, path: str, age: int, seconds: int) -> str:
    import hashlib
    import hmac

    stamp = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{signer.region}/s3/aws4_request"
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{signer.access_key}/{scope}", "X-Amz-Date": stamp,
        "X-Amz-Expires": str(seconds), "X-Amz-SignedHeaders": "host",
    }
    canonical_query = "&".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in sorted(query.items()))
    canonical = "\n".join(["GET", path, canonical_query, f"host:{signer.host}", "", "host", "UNSIGNED-PAYLOAD"])
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(signer.key(stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{signer.endpoint}{path}?{canonical_query}&X-Amz-Signature={signature}"
