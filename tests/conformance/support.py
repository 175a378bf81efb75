"""What the checks share: refusals, bytes, zip packages, multipart uploads, and requests signed by hand.

boto3 hides the wire. Where a check is about the wire (a chunked body with a trailer, a connection that must survive a refusal, a
signature that is wrong), the request is built here, with Signature Version 4 written out, and sent with `http.client`.
"""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import hmac
import http.client
import io
import json
import random
import time
import uuid
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

import pytest
from botocore.exceptions import ClientError

MIB = 1024 * 1024
#: The smallest size S3 accepts for a part that is not the last one.
MIN_PART = 5 * MIB


def unique(stem: str) -> str:
    """A name nobody else uses, valid for buckets and functions alike."""
    return f"conf-{stem}-{uuid.uuid4().hex[:12]}"


@functools.lru_cache(maxsize=16)
def blob(size: int, seed: int = 0) -> bytes:
    """`size` bytes that don't compress and are the same in every run."""
    return random.Random(seed).randbytes(size)


def md5_etag(*parts: bytes) -> str:
    """The ETag of an object that was put whole."""
    return '"' + hashlib.md5(b"".join(parts)).hexdigest() + '"'


def multipart_etag(*parts: bytes) -> str:
    """The ETag of an object that was completed from these parts."""
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    return f'"{hashlib.md5(digests).hexdigest()}-{len(parts)}"'


@contextmanager
def refused(*codes: str, status: int | None = None):
    """The block must be answered with one of these error codes (and this HTTP status)."""
    with pytest.raises(ClientError) as caught:
        yield caught
    response = caught.value.response
    assert response["Error"]["Code"] in codes, response
    if status is not None:
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status, response


def status_of(response: dict) -> int:
    return response["ResponseMetadata"]["HTTPStatusCode"]


def headers_of(response: dict) -> dict[str, str]:
    return {name.lower(): value for name, value in response["ResponseMetadata"]["HTTPHeaders"].items()}


def body_of(s3, bucket: str, key: str, **arguments) -> bytes:
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


def exists(s3, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if status_of(error.response) == 404:
            return False
        raise
    return True


def until(condition, *, seconds: float = 20.0, every: float = 0.05):
    """Asks `condition` until it says something true, and gives that back."""
    end = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        assert time.monotonic() < end, f"nothing true within {seconds} s"
        time.sleep(every)


# --- Multipart uploads -------------------------------------------------------------------------------------------------------------


@dataclass
class Upload:
    """A multipart upload under way: remembers what to tell Complete."""

    s3: object
    bucket: str
    key: str
    create: dict = field(default_factory=dict)
    parts: list[dict] = field(default_factory=list)

    def __post_init__(self):
        self.created = self.s3.create_multipart_upload(Bucket=self.bucket, Key=self.key, **self.create)
        self.id = self.created["UploadId"]

    @property
    def names(self) -> dict:
        return {"Bucket": self.bucket, "Key": self.key, "UploadId": self.id}

    def put(self, number: int, body: bytes, **arguments) -> dict:
        answer = self.s3.upload_part(**self.names, PartNumber=number, Body=body, **arguments)
        self.parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        return answer

    def copy(self, number: int, source: str | dict, **arguments) -> dict:
        answer = self.s3.upload_part_copy(**self.names, PartNumber=number, CopySource=source, **arguments)
        self.parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        return answer

    def complete(self, parts: list[dict] | None = None, **arguments) -> dict:
        chosen = self.parts if parts is None else parts
        return self.s3.complete_multipart_upload(**self.names, MultipartUpload={"Parts": chosen}, **arguments)

    def abort(self) -> dict:
        return self.s3.abort_multipart_upload(**self.names)


# --- Checksums ---------------------------------------------------------------------------------------------------------------------


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _crc32c(data: bytes) -> int:
    from awscrt import checksums

    return checksums.crc32c(data)


def _crc64nvme(data: bytes) -> int:
    from awscrt import checksums

    return checksums.crc64nvme(data)


#: The raw digest of every algorithm S3 knows, by its name in the API.
DIGESTS = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: _crc32c(data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: _crc64nvme(data).to_bytes(8, "big"),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def checksum(algorithm: str, data: bytes) -> str:
    return b64(DIGESTS[algorithm](data))


def composite_checksum(algorithm: str, *parts: bytes) -> str:
    """The checksum of the parts' checksums, with the number of parts."""
    joined = b"".join(DIGESTS[algorithm](part) for part in parts)
    return f"{checksum(algorithm, joined)}-{len(parts)}"


# --- Deployment packages -----------------------------------------------------------------------------------------------------------


def package(files: dict[str, str | bytes], *, modes: dict[str, int] | None = None, host: int = 3) -> bytes:
    """A zip of `files`. Each is 0755 unless `modes` says otherwise; `host` is the system that "made" it, 3 for Unix."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = host
            entry.external_attr = (0o100000 | (modes or {}).get(name, 0o755)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return out.getvalue()


def code_sha256(package_bytes: bytes) -> str:
    return b64(hashlib.sha256(package_bytes).digest())


# --- Requests signed by hand -------------------------------------------------------------------------------------------------------

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.new(key, message.encode(), hashlib.sha256).digest()


@dataclass
class Signer:
    """Signature Version 4 for one service, over `http.client` requests."""

    endpoint: str
    access_key: str
    secret_key: str
    service: str = "s3"
    region: str = "us-east-1"

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).netloc

    def connection(self, timeout: float = 20) -> http.client.HTTPConnection:
        url = urlsplit(self.endpoint)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        return kind(url.hostname, url.port, timeout=timeout)

    def key(self, date: str) -> bytes:
        derived = _hmac(f"AWS4{self.secret_key}".encode(), date)
        for step in (self.region, self.service, "aws4_request"):
            derived = _hmac(derived, step)
        return derived

    def headers(
        self, method: str, path: str, query: dict | None = None, headers: dict | None = None, *, payload: str | None = None,
        body: bytes = b"", now: datetime.datetime | None = None,
    ) -> dict[str, str]:
        """The headers of the request, with its Authorization. `path` is as it goes over the wire."""
        now = now or datetime.datetime.now(datetime.timezone.utc)
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        payload = payload or hashlib.sha256(body).hexdigest()
        all_headers = {
            **{name.lower(): value for name, value in (headers or {}).items()},
            "host": self.host, "x-amz-date": stamp, "x-amz-content-sha256": payload,
        }
        names = sorted(all_headers)
        canonical_query = "&".join(
            f"{quote(name, safe='-_.~')}={quote(str(value), safe='-_.~')}" for name, value in sorted((query or {}).items())
        )
        canonical = "\n".join(
            [method, path, canonical_query, *(f"{name}:{all_headers[name].strip()}" for name in names), "", ";".join(names), payload]
        )
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self.key(stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
        all_headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return all_headers

    def send(
        self, connection: http.client.HTTPConnection, method: str, path: str, query: dict | None = None, headers: dict | None = None,
        body: bytes = b"", **signing,
    ) -> "Answer":
        """One request on an open connection, its whole answer read."""
        signed = self.headers(method, path, query, headers, body=body, **signing)
        target = path + ("?" + urlencode(query, quote_via=quote) if query else "")
        connection.request(method, target, body=body or None, headers=signed)
        return Answer.read(connection)

    def request(self, method: str, path: str, query: dict | None = None, headers: dict | None = None, body: bytes = b"", **signing):
        connection = self.connection()
        try:
            return self.send(connection, method, path, query, headers, body, **signing)
        finally:
            connection.close()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, connection: http.client.HTTPConnection) -> "Answer":
        response = connection.getresponse()
        return cls(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


def signed_chunks(signer: Signer, path: str, body: bytes, trailer: tuple[str, str] | None, *, chunk: int = 64 * 1024, headers: dict | None = None):
    """`body` as an `aws-chunked` upload whose every chunk, and trailer, is signed: what the Rust SDK sends over plain HTTP.

    Gives the headers and the encoded body of the PUT.
    """
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    extra = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(body)), **(headers or {})}
    if trailer:
        extra["x-amz-trailer"] = trailer[0]
    sent = signer.headers("PUT", path, headers=extra, payload=kind)
    stamp = sent["x-amz-date"]
    scope = f"{stamp[:8]}/{signer.region}/{signer.service}/aws4_request"
    key = signer.key(stamp[:8])
    previous = sent["authorization"].rsplit("Signature=", 1)[1]

    def sign(label: str, *lines: str) -> str:
        return hmac.new(key, "\n".join([label, stamp, scope, previous, *lines]).encode(), hashlib.sha256).hexdigest()

    out = bytearray()
    for start in [*range(0, len(body), chunk), len(body)]:
        piece = body[start : start + chunk]
        previous = sign("AWS4-HMAC-SHA256-PAYLOAD", EMPTY_SHA256, hashlib.sha256(piece).hexdigest())
        out += f"{len(piece):x};chunk-signature={previous}\r\n".encode() + piece + (b"\r\n" if piece else b"")
    if trailer:
        line = f"{trailer[0]}:{trailer[1]}"
        signature = sign("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(f"{line}\n".encode()).hexdigest())
        out += f"{line}\r\nx-amz-trailer-signature:{signature}\r\n".encode()
    out += b"\r\n"
    return sent, bytes(out)


def unsigned_chunks(signer: Signer, path: str, body: bytes, trailer: tuple[str, str], *, chunk: int = 64 * 1024, headers: dict | None = None):
    """`body` as an `aws-chunked` upload with an unsigned payload and a checksum trailer: the SDKs' default over TLS."""
    extra = {
        "content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(body)), "x-amz-trailer": trailer[0], **(headers or {}),
    }
    sent = signer.headers("PUT", path, headers=extra, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    out = bytearray()
    for start in range(0, len(body), chunk):
        piece = body[start : start + chunk]
        out += f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    out += f"0\r\n{trailer[0]}:{trailer[1]}\r\n\r\n".encode()
    return sent, bytes(out)
