"""Checksums: verified on the way in, kept, told on request, and combined for multipart uploads."""

import pytest

from support import (
    DIGESTS, MIB, MIN_PART, Answer, Upload, blob, body_of, checksum, composite_checksum, exists, refused, signed_chunks, unsigned_chunks,
)

ALGORITHMS = pytest.mark.parametrize("algorithm", sorted(DIGESTS))
BODY = blob(200_000, 5)
BIG, TAIL = blob(MIN_PART, 6), blob(777, 7)


def field(algorithm: str) -> str:
    return f"Checksum{algorithm}"


@ALGORITHMS
def test_a_right_checksum_is_kept_and_told(s3, bucket, algorithm):
    value = checksum(algorithm, BODY)
    put = s3.put_object(Bucket=bucket, Key="key", Body=BODY, **{field(algorithm): value})
    assert (put[field(algorithm)], put["ChecksumType"]) == (value, "FULL_OBJECT")
    for call in (s3.head_object, s3.get_object):
        assert call(Bucket=bucket, Key="key", ChecksumMode="ENABLED")[field(algorithm)] == value


@ALGORITHMS
def test_a_checksum_is_told_with_its_type(s3, bucket, algorithm):
    value = checksum(algorithm, BODY)
    s3.put_object(Bucket=bucket, Key="key", Body=BODY, **{field(algorithm): value})
    for call in (s3.head_object, s3.get_object):
        assert call(Bucket=bucket, Key="key", ChecksumMode="ENABLED")["ChecksumType"] == "FULL_OBJECT"
    told = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["Checksum"])["Checksum"]
    assert (told[field(algorithm)], told["ChecksumType"]) == (value, "FULL_OBJECT")
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == ([algorithm], "FULL_OBJECT")


@ALGORITHMS
def test_a_checksum_the_client_computes_is_verified(s3, bucket, algorithm):
    put = s3.put_object(Bucket=bucket, Key="key", Body=BODY, ChecksumAlgorithm=algorithm)
    assert put[field(algorithm)] == checksum(algorithm, BODY)
    assert body_of(s3, bucket, "key") == BODY


@ALGORITHMS
def test_a_wrong_checksum_is_refused_and_changes_nothing(s3, bucket, algorithm):
    s3.put_object(Bucket=bucket, Key="key", Body=b"old")
    with refused("BadDigest", status=400):
        s3.put_object(Bucket=bucket, Key="key", Body=BODY, **{field(algorithm): checksum(algorithm, b"other")})
    assert body_of(s3, bucket, "key") == b"old"


@ALGORITHMS
def test_a_checksum_that_is_no_checksum_is_refused(s3, bucket, algorithm):
    with refused("InvalidRequest", status=400):
        s3.put_object(Bucket=bucket, Key="key", Body=BODY, **{field(algorithm): "not a checksum"})
    assert not exists(s3, bucket, "key")


def test_a_checksum_is_only_told_when_asked(patient_s3, bucket):
    patient_s3.put_object(Bucket=bucket, Key="key", Body=BODY, ChecksumCRC32=checksum("CRC32", BODY))
    assert "ChecksumCRC32" not in patient_s3.head_object(Bucket=bucket, Key="key")
    assert patient_s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")["ChecksumCRC32"]


def test_an_object_put_without_a_checksum_gets_crc64nvme(patient_s3, bucket):
    patient_s3.put_object(Bucket=bucket, Key="key", Body=BODY)
    told = patient_s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (told["ChecksumCRC64NVME"], told["ChecksumType"]) == (checksum("CRC64NVME", BODY), "FULL_OBJECT")


def test_a_range_of_an_object_has_no_checksum(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=BODY, ChecksumAlgorithm="SHA256")
    got = s3.get_object(Bucket=bucket, Key="key", Range="bytes=0-9", ChecksumMode="ENABLED")
    assert got["Body"].read() == BODY[:10]
    assert "ChecksumSHA256" not in got


def test_a_copy_keeps_the_checksum_or_takes_another(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=BODY, ChecksumAlgorithm="SHA1")
    kept = s3.copy_object(Bucket=bucket, Key="kept", CopySource=f"{bucket}/source")["CopyObjectResult"]
    assert kept["ChecksumSHA1"] == checksum("SHA1", BODY)
    other = s3.copy_object(Bucket=bucket, Key="other", CopySource=f"{bucket}/source", ChecksumAlgorithm="CRC32C")["CopyObjectResult"]
    assert other["ChecksumCRC32C"] == checksum("CRC32C", BODY)
    assert "ChecksumSHA1" not in other


# --- Multipart ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "SHA1", "SHA256"])
def test_a_composite_checksum_is_that_of_the_parts_checksums(s3, bucket, algorithm):
    upload = Upload(s3, bucket, "key", create={"ChecksumAlgorithm": algorithm})
    assert (upload.created["ChecksumAlgorithm"], upload.created["ChecksumType"]) == (algorithm, "COMPOSITE")
    for number, body in enumerate((BIG, TAIL), 1):
        assert upload.put(number, body, ChecksumAlgorithm=algorithm)[field(algorithm)] == checksum(algorithm, body)
        upload.parts[-1][field(algorithm)] = checksum(algorithm, body)
    listed = s3.list_parts(**upload.names)
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == (algorithm, "COMPOSITE")
    assert listed["Parts"][1][field(algorithm)] == checksum(algorithm, TAIL)
    done = upload.complete()
    assert (done[field(algorithm)], done["ChecksumType"]) == (composite_checksum(algorithm, BIG, TAIL), "COMPOSITE")
    told = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (told[field(algorithm)], told["ChecksumType"]) == (composite_checksum(algorithm, BIG, TAIL), "COMPOSITE")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_a_full_object_checksum_is_that_of_the_whole(s3, bucket, algorithm):
    upload = Upload(s3, bucket, "key", create={"ChecksumAlgorithm": algorithm, "ChecksumType": "FULL_OBJECT"})
    assert upload.created["ChecksumType"] == "FULL_OBJECT"
    upload.put(1, BIG, ChecksumAlgorithm=algorithm)
    upload.put(2, TAIL, ChecksumAlgorithm=algorithm)
    done = upload.complete(ChecksumType="FULL_OBJECT", **{field(algorithm): checksum(algorithm, BIG + TAIL)})
    assert (done[field(algorithm)], done["ChecksumType"]) == (checksum(algorithm, BIG + TAIL), "FULL_OBJECT")
    told = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (told[field(algorithm)], told["ChecksumType"]) == (checksum(algorithm, BIG + TAIL), "FULL_OBJECT")
    assert told["Body"].read() == BIG + TAIL


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_a_wrong_full_object_checksum_is_refused_at_complete(s3, bucket, algorithm):
    upload = Upload(s3, bucket, "key", create={"ChecksumAlgorithm": algorithm, "ChecksumType": "FULL_OBJECT"})
    upload.put(1, TAIL, ChecksumAlgorithm=algorithm)
    with refused("BadDigest", status=400):
        upload.complete(ChecksumType="FULL_OBJECT", **{field(algorithm): checksum(algorithm, b"other")})
    assert not exists(s3, bucket, "key")
    upload.complete(ChecksumType="FULL_OBJECT", **{field(algorithm): checksum(algorithm, TAIL)})
    assert body_of(s3, bucket, "key") == TAIL


def test_crc64nvme_is_always_of_the_full_object(s3, bucket):
    assert Upload(s3, bucket, "key", create={"ChecksumAlgorithm": "CRC64NVME"}).created["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize(("algorithm", "kind"), [("CRC64NVME", "COMPOSITE"), ("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT")])
def test_some_algorithms_cannot_be_combined_some_ways(s3, bucket, algorithm, kind):
    with refused("InvalidRequest", status=400):
        Upload(s3, bucket, "key", create={"ChecksumAlgorithm": algorithm, "ChecksumType": kind})


def test_a_checksum_type_needs_an_algorithm(patient_s3, bucket):
    with refused("InvalidRequest", status=400):
        Upload(patient_s3, bucket, "key", create={"ChecksumType": "COMPOSITE"})


@ALGORITHMS
def test_a_part_with_a_wrong_checksum_is_refused(s3, bucket, algorithm):
    upload = Upload(s3, bucket, "key", create={"ChecksumAlgorithm": algorithm})
    with refused("BadDigest", status=400):
        upload.put(1, TAIL, **{field(algorithm): checksum(algorithm, b"other")})
    assert "Parts" not in s3.list_parts(**upload.names)


def test_a_part_without_the_checksum_create_named_is_refused(patient_s3, bucket):
    upload = Upload(patient_s3, bucket, "key", create={"ChecksumAlgorithm": "SHA256"})
    with refused("InvalidRequest", status=400):
        upload.put(1, TAIL)


def test_a_part_with_another_algorithm_than_create_named_is_refused(s3, bucket):
    upload = Upload(s3, bucket, "key", create={"ChecksumAlgorithm": "SHA256"})
    with refused("InvalidRequest", status=400):
        upload.put(1, TAIL, ChecksumAlgorithm="CRC32")


def test_a_composite_complete_must_name_every_parts_checksum(s3, bucket):
    upload = Upload(s3, bucket, "key", create={"ChecksumAlgorithm": "SHA256"})
    upload.put(1, TAIL, ChecksumAlgorithm="SHA256")
    with refused("InvalidRequest", status=400):
        upload.complete()
    with refused("InvalidPart", "BadDigest", status=400):
        upload.complete([{**upload.parts[0], "ChecksumSHA256": checksum("SHA256", b"other")}])
    assert not exists(s3, bucket, "key")
    upload.complete([{**upload.parts[0], "ChecksumSHA256": checksum("SHA256", TAIL)}])
    assert body_of(s3, bucket, "key") == TAIL


def test_a_full_object_complete_need_not_name_the_parts_checksums(s3, bucket):
    upload = Upload(s3, bucket, "key", create={"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"})
    upload.put(1, BIG, ChecksumAlgorithm="CRC64NVME")
    upload.put(2, TAIL, ChecksumAlgorithm="CRC64NVME")
    assert upload.complete()["ChecksumCRC64NVME"] == checksum("CRC64NVME", BIG + TAIL)


def test_an_upload_without_an_algorithm_gets_crc64nvme_of_the_whole(s3, bucket):
    upload = Upload(s3, bucket, "key")
    assert "ChecksumAlgorithm" not in upload.created
    upload.put(1, BIG)
    upload.put(2, TAIL)
    done = upload.complete()
    assert (done["ChecksumCRC64NVME"], done["ChecksumType"]) == (checksum("CRC64NVME", BIG + TAIL), "FULL_OBJECT")


def test_checksums_of_parts_may_be_told_though_create_named_no_algorithm(s3, bucket):
    """The SDKs send a CRC32 with every part and hand the answers' fields to Complete, whatever Create said."""
    upload = Upload(s3, bucket, "key")
    for number, body in enumerate((BIG, TAIL), 1):
        answer = upload.put(number, body, ChecksumAlgorithm="CRC32")
        upload.parts[-1]["ChecksumCRC32"] = answer["ChecksumCRC32"]
    upload.complete()
    assert body_of(s3, bucket, "key") == BIG + TAIL


def test_a_wrong_checksum_of_a_part_is_refused_though_create_named_no_algorithm(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, TAIL, ChecksumAlgorithm="CRC32")
    with refused("InvalidPart", "BadDigest", status=400):
        upload.complete([{**upload.parts[0], "ChecksumCRC32": checksum("CRC32", b"other")}])
    assert not exists(s3, bucket, "key")


def test_the_attributes_tell_the_parts_of_a_composite_object(s3, bucket):
    upload = Upload(s3, bucket, "key", create={"ChecksumAlgorithm": "SHA256"})
    for number, body in enumerate((BIG, TAIL), 1):
        upload.put(number, body, ChecksumAlgorithm="SHA256")
        upload.parts[-1]["ChecksumSHA256"] = checksum("SHA256", body)
    upload.complete()
    told = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["ObjectParts", "ObjectSize"])
    assert told["ObjectSize"] == len(BIG + TAIL)
    assert told["ObjectParts"]["TotalPartsCount"] == 2
    assert [(part["PartNumber"], part["Size"]) for part in told["ObjectParts"]["Parts"]] == [(1, len(BIG)), (2, len(TAIL))]


# --- Chunked bodies with a trailer -------------------------------------------------------------------------------------------------


def send(signer, path: str, headers: dict, encoded: bytes) -> Answer:
    connection = signer.connection()
    try:
        connection.request("PUT", path, body=encoded, headers=headers)
        return Answer.read(connection)
    finally:
        connection.close()


@pytest.mark.parametrize("encode", [signed_chunks, unsigned_chunks])
@ALGORITHMS
def test_a_checksum_may_come_in_the_trailer(s3, signer, bucket, encode, algorithm):
    trailer = (f"x-amz-checksum-{algorithm.lower()}", checksum(algorithm, BODY))
    answer = send(signer, f"/{bucket}/key", *encode(signer, f"/{bucket}/key", BODY, trailer))
    assert answer.status == 200, answer.text
    assert body_of(s3, bucket, "key") == BODY
    told = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert told[field(algorithm)] == checksum(algorithm, BODY)
    assert "ContentEncoding" not in told


@pytest.mark.parametrize("encode", [signed_chunks, unsigned_chunks])
def test_a_wrong_checksum_in_the_trailer_is_refused(s3, signer, bucket, encode):
    s3.put_object(Bucket=bucket, Key="key", Body=b"old")
    trailer = ("x-amz-checksum-crc32", checksum("CRC32", b"other"))
    answer = send(signer, f"/{bucket}/key", *encode(signer, f"/{bucket}/key", BODY, trailer))
    assert (answer.status, "<Code>BadDigest</Code>" in answer.text) == (400, True), answer.text
    assert body_of(s3, bucket, "key") == b"old"


def test_a_chunked_body_may_have_no_trailer(s3, signer, bucket):
    answer = send(signer, f"/{bucket}/key", *signed_chunks(signer, f"/{bucket}/key", BODY, None))
    assert answer.status == 200, answer.text
    assert body_of(s3, bucket, "key") == BODY


def test_aws_chunked_is_no_part_of_the_content_encoding(s3, signer, bucket):
    trailer = ("x-amz-checksum-crc32", checksum("CRC32", BODY))
    headers = {"content-encoding": "gzip,aws-chunked"}
    answer = send(signer, f"/{bucket}/key", *unsigned_chunks(signer, f"/{bucket}/key", BODY, trailer, headers=headers))
    assert answer.status == 200, answer.text
    assert s3.head_object(Bucket=bucket, Key="key")["ContentEncoding"] == "gzip"


def test_a_part_may_be_chunked_too(s3, signer, bucket):
    upload = Upload(s3, bucket, "key")
    query = {"partNumber": "1", "uploadId": upload.id}
    headers = {
        "content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(TAIL)), "x-amz-trailer": "x-amz-checksum-crc32",
    }
    encoded = b"%x\r\n" % len(TAIL) + TAIL + f"\r\n0\r\nx-amz-checksum-crc32:{checksum('CRC32', TAIL)}\r\n\r\n".encode()
    answer = signer.request("PUT", f"/{bucket}/key", query, headers, encoded, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    assert answer.status == 200, answer.text
    upload.parts.append({"PartNumber": 1, "ETag": answer.headers["etag"]})
    upload.complete()
    assert body_of(s3, bucket, "key") == TAIL


def test_a_large_chunked_body_arrives_whole(s3, signer, bucket):
    body = blob(9 * MIB, 8)
    trailer = ("x-amz-checksum-crc64nvme", checksum("CRC64NVME", body))
    answer = send(signer, f"/{bucket}/key", *signed_chunks(signer, f"/{bucket}/key", body, trailer, chunk=MIB))
    assert answer.status == 200, answer.text
    assert body_of(s3, bucket, "key") == body


def test_a_chunk_whose_signature_is_wrong_is_refused(s3, signer, bucket):
    headers, encoded = signed_chunks(signer, f"/{bucket}/key", BODY, None)
    tampered = encoded.replace(b"chunk-signature=", b"chunk-signature=0", 1)
    first, rest = tampered.split(b"\r\n", 1)
    answer = send(signer, f"/{bucket}/key", headers, first[:-1] + b"\r\n" + rest)
    assert (answer.status, "<Code>SignatureDoesNotMatch</Code>" in answer.text) == (403, True), answer.text
    assert not exists(s3, bucket, "key")
