"""The wire: connections that stay usable, shapes of errors, bodies of any framing."""

import xml.etree.ElementTree as ElementTree

import pytest

from support import EMPTY_SHA256, MIB, MIN_PART, Answer, Upload, blob, body_of, exists, headers_of, md5_etag, refused

NEW = blob(3 * MIB, 9)


def still_in_step(signer, connection, bucket: str) -> None:
    """The next request on the same connection gets its own answer."""
    answer = signer.send(connection, "GET", f"/{bucket}/step")
    assert (answer.status, answer.body) == (200, b"in step"), answer.body[:300]


@pytest.fixture
def step(s3, bucket):
    s3.put_object(Bucket=bucket, Key="step", Body=b"in step")
    return bucket


@pytest.mark.parametrize(
    ("key", "headers", "status"),
    [
        ("step", {"if-none-match": "*"}, 412),
        ("step", {"if-match": md5_etag(b"other")}, 412),
        ("nothing", {"if-match": md5_etag(b"other")}, 404),
        ("key", {"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, 400),
        ("key", {"x-amz-checksum-crc32": "AAAAAA=="}, 400),
        ("key", {"x-amz-storage-class": "COLDISH"}, 400),
    ],
    ids=["if-none-match", "if-match", "if-match on nothing", "md5", "checksum", "storage class"],
)
def test_a_connection_survives_a_refused_body(signer, step, key, headers, status):
    connection = signer.connection()
    for _ in range(3):
        answer = signer.send(connection, "PUT", f"/{step}/{key}", headers=headers, body=NEW)
        assert answer.status == status, answer.text
        still_in_step(signer, connection, step)
    connection.close()


def test_a_connection_survives_a_body_for_a_missing_bucket(signer, step):
    connection = signer.connection()
    answer = signer.send(connection, "PUT", "/conf-no-such-bucket/key", body=NEW)
    assert (answer.status, "<Code>NoSuchBucket</Code>" in answer.text) == (404, True)
    still_in_step(signer, connection, step)
    connection.close()


def test_a_connection_survives_a_part_for_a_missing_upload(signer, step):
    connection = signer.connection()
    answer = signer.send(connection, "PUT", f"/{step}/key", {"partNumber": "1", "uploadId": "nobody"}, body=NEW)
    assert answer.status == 404, answer.text
    still_in_step(signer, connection, step)
    connection.close()


def test_a_connection_survives_a_wrong_signature(signer, step):
    connection = signer.connection()
    headers = signer.headers("PUT", f"/{step}/key", body=NEW)
    headers["authorization"] = headers["authorization"][:-8] + "00000000"
    connection.request("PUT", f"/{step}/key", body=NEW, headers=headers)
    assert Answer.read(connection).status == 403
    still_in_step(signer, connection, step)
    connection.close()


def test_a_connection_is_kept_for_many_requests(signer, step):
    connection = signer.connection()
    signer.send(connection, "GET", f"/{step}/step")
    socket = connection.sock
    for _ in range(20):
        still_in_step(signer, connection, step)
    assert connection.sock is socket
    connection.close()


def test_a_head_has_no_body_and_leaves_the_connection_in_step(signer, step):
    connection = signer.connection()
    answer = signer.send(connection, "HEAD", f"/{step}/step")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "7")
    answer = signer.send(connection, "HEAD", f"/{step}/nothing")
    assert (answer.status, answer.body) == (404, b"")
    still_in_step(signer, connection, step)
    connection.close()


def test_a_not_modified_answer_has_no_body(signer, step):
    connection = signer.connection()
    answer = signer.send(connection, "GET", f"/{step}/step", headers={"if-none-match": md5_etag(b"in step")})
    assert (answer.status, answer.body) == (304, b"")
    still_in_step(signer, connection, step)
    connection.close()


def test_an_error_is_an_xml_document_with_its_parts(signer, bucket):
    answer = signer.request("GET", f"/{bucket}/nothing")
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("application/xml")
    error = ElementTree.fromstring(answer.body)
    assert error.tag == "Error"
    told = {child.tag: child.text for child in error}
    assert told["Code"] == "NoSuchKey" and told["Message"] and told["RequestId"]
    assert answer.headers["x-amz-request-id"] == told["RequestId"]


def test_etags_are_quoted_on_the_wire(signer, step):
    assert signer.request("HEAD", f"/{step}/step").headers["etag"] == md5_etag(b"in step")


def test_a_put_waits_for_the_go_ahead(signer, s3, step):
    """`Expect: 100-continue`: boto3 sends it with every body; the go-ahead, or a final answer, must come before the body does."""
    connection = signer.connection()
    headers = signer.headers("PUT", f"/{step}/key", body=b"later")
    connection.putrequest("PUT", f"/{step}/key", skip_host=True, skip_accept_encoding=True)
    for name, value in {**headers, "content-length": "5", "expect": "100-continue"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    first = connection.sock.recv(1024)
    assert first.startswith(b"HTTP/1.1 100"), first
    connection.send(b"later")
    assert Answer.read(connection).status == 200
    connection.close()
    assert body_of(s3, step, "key") == b"later"


def test_a_body_that_stops_short_changes_nothing(signer, s3, step):
    connection = signer.connection()
    headers = signer.headers("PUT", f"/{step}/step", payload="UNSIGNED-PAYLOAD")
    connection.putrequest("PUT", f"/{step}/step", skip_host=True, skip_accept_encoding=True)
    for name, value in {**headers, "content-length": "100"}.items():
        connection.putheader(name, value)
    connection.endheaders(b"only this")
    connection.close()
    assert body_of(s3, step, "step") == b"in step"


def test_a_put_needs_a_length(signer, s3, step):
    connection = signer.connection()
    headers = signer.headers("PUT", f"/{step}/key", payload="UNSIGNED-PAYLOAD")
    connection.request("PUT", f"/{step}/key", body=iter([b"no", b"length"]), headers=headers, encode_chunked=True)
    answer = Answer.read(connection)
    connection.close()
    assert (answer.status, "<Code>MissingContentLength</Code>" in answer.text) == (411, True), answer.text
    assert not exists(s3, step, "key")


@pytest.mark.parametrize("body", [b"not xml", b"<CompleteMultipartUpload><Part>", b"<Other/>", b""])
def test_a_complete_that_is_no_xml_is_malformed(signer, s3, bucket, body):
    upload = Upload(s3, bucket, "key")
    upload.put(1, b"x")
    answer = signer.request("POST", f"/{bucket}/key", {"uploadId": upload.id}, body=body)
    assert (answer.status, "<Code>MalformedXML</Code>" in answer.text or "<Code>InvalidRequest</Code>" in answer.text) == (400, True), answer.text
    assert not exists(s3, bucket, "key")


def test_a_bucket_may_be_named_with_a_slash_behind_it(signer, step):
    answer = signer.request("GET", f"/{step}/", {"list-type": "2"})
    assert answer.status == 200 and "<Key>step</Key>" in answer.text


def test_a_bucket_may_be_named_by_the_host(s3, step):
    """Virtual-hosted style, where the resolver knows `*.localhost`: checked by sending the Host header ourselves."""
    from support import Signer

    from conftest import REGION, credentials, endpoint
    from urllib.parse import urlsplit

    port = urlsplit(endpoint()).port

    class Hosted(Signer):
        @property
        def host(self) -> str:
            return f"{step}.s3.localhost:{port}"

    answer = Hosted(endpoint(), *credentials(), region=REGION).request("GET", "/step")
    assert answer.body == b"in step", answer.text


def test_a_verb_that_s3_has_not_is_refused(signer, bucket):
    answer = signer.request("PATCH", f"/{bucket}/key", headers={"x-amz-content-sha256": EMPTY_SHA256})
    assert answer.status in (400, 405, 501), answer.text


def test_a_get_of_a_large_object_can_be_broken_off(signer, s3, step):
    s3.put_object(Bucket=step, Key="large", Body=blob(24 * MIB))
    for _ in range(3):
        connection = signer.connection()
        connection.request("GET", f"/{step}/large", headers=signer.headers("GET", f"/{step}/large"))
        connection.getresponse().read(1000)
        connection.close()
    assert body_of(s3, step, "step") == b"in step"


def test_copies_and_uploads_say_their_checksum_type(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    assert headers_of(put)["x-amz-checksum-type"] == "FULL_OBJECT"
    assert put["ChecksumCRC32"]


def test_sixteen_clients_write_sixteen_keys(s3, bucket, pool):
    bodies = {f"key-{n}": blob(MIN_PART // 8, n) for n in range(16)}
    list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=bodies[key]), bodies))
    assert dict(zip(bodies, pool.map(lambda key: body_of(s3, bucket, key), bodies))) == bodies


def test_a_copy_source_and_a_put_in_one_request_is_a_copy(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"source")
    with refused("NoSuchKey", status=404):
        s3.copy_object(Bucket=bucket, Key="key", CopySource=f"{bucket}/nothing")
    s3.copy_object(Bucket=bucket, Key="key", CopySource=f"/{bucket}/source")
    assert body_of(s3, bucket, "key") == b"source"
