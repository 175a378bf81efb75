"""Multipart uploads: parts, their sizes and their order, what Create decides, and what a refusal leaves behind."""

import pytest

from support import MIN_PART, Upload, blob, body_of, exists, md5_etag, multipart_etag, refused, status_of, unique

BIG, TAIL = blob(MIN_PART, 1), blob(1000, 2)


def test_parts_are_joined_in_order(s3, bucket):
    upload = Upload(s3, bucket, "key")
    assert (upload.created["Bucket"], upload.created["Key"]) == (bucket, "key")
    assert upload.put(1, BIG)["ETag"] == md5_etag(BIG)
    upload.put(2, TAIL)
    done = upload.complete()
    assert (done["Bucket"], done["Key"], done["ETag"]) == (bucket, "key", multipart_etag(BIG, TAIL))
    assert done["Location"].endswith("/key")
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got["Body"].read() == BIG + TAIL
    assert got["ETag"] == multipart_etag(BIG, TAIL)
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == len(BIG + TAIL)


def test_parts_may_arrive_in_any_order(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(2, TAIL)
    upload.put(1, BIG)
    upload.complete(sorted(upload.parts, key=lambda part: part["PartNumber"]))
    assert body_of(s3, bucket, "key") == BIG + TAIL


def test_a_part_sent_again_replaces_the_first(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, b"first try")
    stale = upload.parts.pop()
    upload.put(1, TAIL)
    with refused("InvalidPart", status=400):
        upload.complete([stale])
    upload.complete()
    assert body_of(s3, bucket, "key") == TAIL


def test_parts_that_complete_does_not_name_are_dropped(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, BIG)
    upload.put(2, BIG)
    upload.put(3, TAIL)
    upload.complete([upload.parts[0], upload.parts[2]])
    assert body_of(s3, bucket, "key") == BIG + TAIL


def test_part_numbers_may_have_holes(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(7, BIG)
    upload.put(10_000, TAIL)
    assert upload.complete()["ETag"] == multipart_etag(BIG, TAIL)
    assert body_of(s3, bucket, "key") == BIG + TAIL


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_a_part_number_is_between_1_and_10000(s3, bucket, number):
    upload = Upload(s3, bucket, "key")
    with refused("InvalidArgument", status=400):
        upload.put(number, TAIL)
    with refused("InvalidArgument", status=400):
        s3.put_object(Bucket=bucket, Key="source", Body=TAIL)
        upload.copy(number, f"{bucket}/source")


def test_a_part_that_is_too_small_fails_at_complete(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, BIG[:-1])
    upload.put(2, TAIL)
    with refused("EntityTooSmall", status=400):
        upload.complete()
    assert not exists(s3, bucket, "key")
    upload.put(1, BIG)
    upload.complete([upload.parts[2], upload.parts[1]])
    assert body_of(s3, bucket, "key") == BIG + TAIL


def test_a_part_that_is_too_small_is_named_in_the_error(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, TAIL)
    upload.put(2, TAIL)
    with refused("EntityTooSmall") as caught:
        upload.complete()
    error = caught.value.response["Error"]
    assert (error["ProposedSize"], error["MinSizeAllowed"], error["PartNumber"]) == (str(len(TAIL)), str(MIN_PART), "1")
    assert error["ETag"].strip('"') == md5_etag(TAIL).strip('"')


@pytest.mark.parametrize("body", [b"", b"x", TAIL], ids=["nothing", "one byte", "little"])
def test_a_single_part_may_have_any_size(s3, bucket, body):
    upload = Upload(s3, bucket, "key")
    upload.put(1, body)
    assert upload.complete()["ETag"] == multipart_etag(body)
    assert body_of(s3, bucket, "key") == body


@pytest.mark.parametrize("order", [[1, 0], [0, 0], [0, 1, 1]], ids=["swapped", "twice", "last twice"])
def test_parts_out_of_order_are_refused(s3, bucket, order):
    upload = Upload(s3, bucket, "key")
    upload.put(1, BIG)
    upload.put(2, TAIL)
    with refused("InvalidPartOrder", status=400):
        upload.complete([upload.parts[n] for n in order])
    assert not exists(s3, bucket, "key")
    upload.complete()
    assert exists(s3, bucket, "key")


def test_a_part_that_was_never_sent_is_refused(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, BIG)
    with refused("InvalidPart", status=400):
        upload.complete([*upload.parts, {"PartNumber": 2, "ETag": md5_etag(TAIL)}])
    assert not exists(s3, bucket, "key")


def test_a_part_that_is_refused_is_named_in_the_error(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, BIG)
    with refused("InvalidPart") as caught:
        upload.complete([*upload.parts, {"PartNumber": 2, "ETag": md5_etag(TAIL)}])
    assert caught.value.response["Error"]["PartNumber"] == "2"


def test_a_part_with_another_etag_is_refused(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, TAIL)
    with refused("InvalidPart", status=400):
        upload.complete([{"PartNumber": 1, "ETag": md5_etag(b"other")}])
    assert not exists(s3, bucket, "key")


def test_the_etags_of_complete_may_lack_their_quotes(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, TAIL)
    upload.complete([{"PartNumber": 1, "ETag": upload.parts[0]["ETag"].strip('"')}])
    assert body_of(s3, bucket, "key") == TAIL


def test_a_complete_without_parts_is_refused(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, TAIL)
    with refused("MalformedXML", "InvalidRequest", status=400):
        upload.complete([])
    assert not exists(s3, bucket, "key")


@pytest.mark.parametrize("verb", ["put", "copy", "complete", "abort", "list"])
def test_an_upload_nobody_started_is_not_found(s3, bucket, verb):
    s3.put_object(Bucket=bucket, Key="source", Body=TAIL)
    upload = Upload(s3, bucket, "key")
    upload.put(1, TAIL)
    upload.id = "bm8gc3VjaCB1cGxvYWQ"
    with refused("NoSuchUpload", status=404):
        attempt(s3, upload, verb)


def test_a_missing_upload_is_named_in_the_error(s3, bucket):
    with refused("NoSuchUpload") as caught:
        s3.list_parts(Bucket=bucket, Key="key", UploadId="bm8gc3VjaCB1cGxvYWQ")
    assert caught.value.response["Error"]["UploadId"] == "bm8gc3VjaCB1cGxvYWQ"


@pytest.mark.parametrize("verb", ["put", "complete", "abort", "list"])
def test_an_upload_belongs_to_its_key(s3, bucket, verb):
    upload = Upload(s3, bucket, "key")
    upload.put(1, TAIL)
    upload.key = "other"
    with refused("NoSuchUpload", status=404):
        attempt(s3, upload, verb)


def attempt(s3, upload: Upload, verb: str):
    match verb:
        case "put":
            upload.put(1, TAIL)
        case "copy":
            upload.copy(1, f"{upload.bucket}/source")
        case "complete":
            upload.complete()
        case "abort":
            upload.abort()
        case "list":
            s3.list_parts(**upload.names)


def test_an_aborted_upload_is_gone(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, TAIL)
    assert status_of(upload.abort()) == 204
    for verb in ("put", "complete", "list"):
        with refused("NoSuchUpload", status=404):
            attempt(s3, upload, verb)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert not exists(s3, bucket, "key")


def test_a_completed_upload_takes_no_more_parts(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, TAIL)
    upload.complete()
    for verb in ("put", "list"):
        with refused("NoSuchUpload", status=404):
            attempt(s3, upload, verb)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_nothing_is_seen_of_an_upload_before_complete(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"old")
    upload = Upload(s3, bucket, "key")
    upload.put(1, TAIL)
    assert body_of(s3, bucket, "key") == b"old"
    assert [entry["Size"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [3]
    upload.complete()
    assert body_of(s3, bucket, "key") == TAIL


def test_a_bucket_with_only_an_upload_under_way_can_be_deleted(s3):
    name = unique("upload")
    s3.create_bucket(Bucket=name)
    Upload(s3, name, "key").put(1, TAIL)
    s3.delete_bucket(Bucket=name)


def test_create_decides_the_headers_metadata_and_class(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"old", ContentType="text/old", Metadata={"old": "1"})
    sent = {
        "ContentType": "application/zip", "CacheControl": "no-cache", "ContentDisposition": "inline", "ContentLanguage": "de",
        "ContentEncoding": "identity", "Metadata": {"build": "7"}, "StorageClass": "STANDARD_IA",
    }
    upload = Upload(s3, bucket, "key", create=sent)
    upload.put(1, TAIL)
    upload.complete()
    head = s3.head_object(Bucket=bucket, Key="key")
    assert {name: head[name] for name in sent} == sent


def test_an_upload_inherits_nothing_from_the_object_it_replaces(s3, bucket):
    s3.put_object(
        Bucket=bucket, Key="key", Body=b"old", ContentType="text/old", Metadata={"old": "1"}, Tagging="old=1", StorageClass="STANDARD_IA"
    )
    upload = Upload(s3, bucket, "key")
    upload.put(1, TAIL)
    upload.complete()
    head = s3.head_object(Bucket=bucket, Key="key")
    assert head["ContentType"] != "text/old" and head["Metadata"] == {}
    assert "StorageClass" not in head
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == []


def test_create_decides_the_tags(s3, bucket):
    upload = Upload(s3, bucket, "key", create={"Tagging": "stage=dev&owner=me%20too"})
    upload.put(1, TAIL)
    upload.complete()
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"]}
    assert tags == {"stage": "dev", "owner": "me too"}
    assert s3.head_object(Bucket=bucket, Key="key")["TagCount"] == 2


def test_create_decides_the_encryption(s3, bucket):
    key = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"
    upload = Upload(s3, bucket, "key", create={"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key})
    upload.put(1, TAIL)
    upload.complete()
    head = s3.head_object(Bucket=bucket, Key="key")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_the_declared_size_is_compared(s3, bucket):
    upload = Upload(s3, bucket, "key")
    upload.put(1, BIG)
    upload.put(2, TAIL)
    with refused("InvalidRequest", status=400):
        upload.complete(MpuObjectSize=len(BIG + TAIL) + 1)
    assert not exists(s3, bucket, "key")
    upload.complete(MpuObjectSize=len(BIG + TAIL))
    assert body_of(s3, bucket, "key") == BIG + TAIL


def test_many_parts_are_sent_at_once(s3, bucket, pool):
    bodies = [blob(MIN_PART, n) for n in range(4)]
    upload = Upload(s3, bucket, "key")
    list(pool.map(lambda n: upload.put(n + 1, bodies[n]), range(4)))
    done = upload.complete(sorted(upload.parts, key=lambda part: part["PartNumber"]))
    assert done["ETag"] == multipart_etag(*bodies)
    assert body_of(s3, bucket, "key") == b"".join(bodies)


def test_uploads_of_one_key_do_not_mix(s3, bucket):
    one, two = Upload(s3, bucket, "key"), Upload(s3, bucket, "key")
    assert one.id != two.id
    one.put(1, b"one")
    two.put(1, b"two")
    with refused("InvalidPart", status=400):
        one.complete(two.parts)
    two.abort()
    one.complete()
    assert body_of(s3, bucket, "key") == b"one"


# --- Listing parts and uploads -----------------------------------------------------------------------------------------------------


def test_parts_are_listed_page_by_page(s3, bucket):
    upload = Upload(s3, bucket, "key")
    assert "Parts" not in s3.list_parts(**upload.names)
    for number in (1, 2, 4, 5, 9):
        upload.put(number, b"x" * number)
    whole = s3.list_parts(**upload.names)
    assert (whole["IsTruncated"], whole["MaxParts"], whole["StorageClass"]) == (False, 1000, "STANDARD")
    assert [(part["PartNumber"], part["Size"], part["ETag"]) for part in whole["Parts"]] == [
        (number, number, md5_etag(b"x" * number)) for number in (1, 2, 4, 5, 9)
    ]
    page = s3.list_parts(**upload.names, MaxParts=2)
    assert (page["IsTruncated"], page["NextPartNumberMarker"]) == (True, 2)
    rest = s3.list_parts(**upload.names, PartNumberMarker=2, MaxParts=10)
    assert [part["PartNumber"] for part in rest["Parts"]] == [4, 5, 9]
    assert rest["IsTruncated"] is False


def test_uploads_are_listed_by_prefix_and_delimiter(s3, bucket):
    for key in ("a/1", "a/2", "b/1", "c"):
        Upload(s3, bucket, key)
    listed = s3.list_multipart_uploads(Bucket=bucket)
    assert [upload["Key"] for upload in listed["Uploads"]] == ["a/1", "a/2", "b/1", "c"]
    assert listed["IsTruncated"] is False
    assert all(upload["UploadId"] and upload["Initiated"] for upload in listed["Uploads"])
    assert [upload["Key"] for upload in s3.list_multipart_uploads(Bucket=bucket, Prefix="a/")["Uploads"]] == ["a/1", "a/2"]
    folded = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [upload["Key"] for upload in folded["Uploads"]] == ["c"]
    assert [prefix["Prefix"] for prefix in folded["CommonPrefixes"]] == ["a/", "b/"]


def test_uploads_are_listed_page_by_page(s3, bucket):
    ids = [Upload(s3, bucket, key).id for key in ("a", "b", "b", "c")]
    seen, markers = [], {}
    for _ in range(6):
        page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=1, **markers)
        seen += [upload["UploadId"] for upload in page.get("Uploads", [])]
        if not page["IsTruncated"]:
            break
        markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert sorted(seen) == sorted(ids)
    assert seen[0] == ids[0] and seen[-1] == ids[-1]
