"""UpdateFunctionCode: what an edit ends with."""

import io
import time
import urllib.request
import zipfile

import pytest

from lambda_support import KINDS, PYTHON, ROLE, asked, invoke, node_package, python_package, settled
from support import Signer, code_sha256, package, refused, status_of, unique

STALE = "00000000-0000-0000-0000-000000000000"


def live(lam, name: str) -> str:
    return lam.get_function(FunctionName=name)["Configuration"]["CodeSha256"]




@pytest.fixture
def stored(s3, versioned):
    """A versioned bucket with two versions of a package: (bucket, key, version ids, packages)."""
    packages = [python_package(1), python_package(2)]
    ids = [s3.put_object(Bucket=versioned, Key="deep/app.zip", Body=body)["VersionId"] for body in packages]
    return versioned, "deep/app.zip", ids, packages


# --- Where the code comes from -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "make"), [("python", python_package), ("node", node_package)])
def test_new_code_answers_once_the_update_succeeded(lam, functions, kind, make):
    name = functions.make(kind)
    assert asked(lam, name, "version") == 1
    sent = make(2)
    answer = lam.update_function_code(FunctionName=name, ZipFile=sent)
    assert status_of(answer) == 200
    assert (answer["CodeSha256"], answer["CodeSize"]) == (code_sha256(sent), len(sent))
    now = settled(lam, name)
    assert (now["LastUpdateStatus"], now["CodeSha256"], now["CodeSize"]) == ("Successful", code_sha256(sent), len(sent))
    assert asked(lam, name, "version") == 2


def test_an_update_is_in_progress_first(lam, functions):
    name = functions.make("python")
    answer = lam.update_function_code(FunctionName=name, ZipFile=python_package(2))
    assert (answer["LastUpdateStatus"], answer["LastUpdateStatusReasonCode"]) == ("InProgress", "Creating")
    assert answer["State"] == "Active"


def test_code_comes_from_an_object(lam, s3, bucket, functions):
    sent = python_package(2)
    s3.put_object(Bucket=bucket, Key="deep/app 2.zip", Body=sent)
    name = functions.make("python")
    answer = lam.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="deep/app 2.zip")
    assert (answer["CodeSha256"], answer["CodeSize"]) == (code_sha256(sent), len(sent))
    settled(lam, name)
    assert asked(lam, name, "version") == 2


def test_a_function_is_made_from_an_object(lam, s3, bucket, functions):
    sent = python_package(3)
    s3.put_object(Bucket=bucket, Key="app.zip", Body=sent)
    name = functions.make("python", Code={"S3Bucket": bucket, "S3Key": "app.zip"})
    assert functions.created["CodeSha256"] == code_sha256(sent)
    assert asked(lam, name, "version") == 3


def test_code_comes_from_the_version_that_is_named(lam, functions, stored):
    bucket, key, ids, packages = stored
    name = functions.make("python", Code={"ZipFile": python_package(9)})
    for version, body, says in ((ids[0], packages[0], 1), (ids[1], packages[1], 2)):
        answer = lam.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key=key, S3ObjectVersion=version)
        assert answer["CodeSha256"] == code_sha256(body)
        settled(lam, name)
        assert asked(lam, name, "version") == says


def test_without_a_version_the_code_is_the_current_one(lam, functions, stored):
    bucket, key, _, packages = stored
    name = functions.make("python", Code={"ZipFile": python_package(9)})
    assert lam.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key=key)["CodeSha256"] == code_sha256(packages[1])


def test_copied_code_survives_its_object(lam, s3, bucket, functions):
    s3.put_object(Bucket=bucket, Key="app.zip", Body=python_package(4))
    name = functions.make("python", Code={"S3Bucket": bucket, "S3Key": "app.zip"})
    s3.delete_object(Bucket=bucket, Key="app.zip")
    assert asked(lam, name, "version") == 4


def test_a_later_put_does_not_change_the_function(lam, s3, bucket, functions):
    s3.put_object(Bucket=bucket, Key="app.zip", Body=python_package(1))
    name = functions.make("python", Code={"S3Bucket": bucket, "S3Key": "app.zip"})
    s3.put_object(Bucket=bucket, Key="app.zip", Body=python_package(2))
    assert live(lam, name) == code_sha256(python_package(1))
    assert asked(lam, name, "version") == 1


@pytest.mark.parametrize(
    ("where", "code"),
    [
        (lambda bucket: {"S3Bucket": unique("missing"), "S3Key": "app.zip"}, "NoSuchBucket"),
        (lambda bucket: {"S3Bucket": bucket, "S3Key": "nothing.zip"}, "NoSuchKey"),
    ],
    ids=["bucket", "key"],
)
def test_code_that_is_not_there_is_refused(lam, bucket, functions, where, code):
    name = functions.make("python")
    before = settled(lam, name)
    with refused("InvalidParameterValueException", status=400) as caught:
        lam.update_function_code(FunctionName=name, **where(bucket))
    message = caught.value.response["Error"]["Message"]
    assert message.startswith(f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: ")
    after = settled(lam, name)
    assert (after["CodeSha256"], after["RevisionId"]) == (before["CodeSha256"], before["RevisionId"])
    with refused("InvalidParameterValueException", status=400):
        lam.create_function(**{"FunctionName": unique("wrong"), "Role": ROLE, **KINDS["python"](), "Code": where(bucket)})


def test_a_version_that_is_not_there_is_refused(lam, s3, functions, stored):
    bucket, key, ids, _ = stored
    s3.delete_object(Bucket=bucket, Key=key, VersionId=ids[0])
    name = functions.make("python", Code={"ZipFile": python_package(9)})
    with refused("InvalidParameterValueException", status=400):
        lam.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key=key, S3ObjectVersion=ids[0])
    assert live(lam, name) == code_sha256(python_package(9))


@pytest.mark.parametrize("body", [b"this is no zip", b"", python_package(2)[:-25]], ids=["text", "nothing", "truncated"])
def test_code_that_is_no_zip_is_refused_and_changes_nothing(lam, s3, bucket, functions, body):
    name = functions.make("python")
    s3.put_object(Bucket=bucket, Key="app.zip", Body=body)
    with refused("InvalidParameterValueException", status=400):
        lam.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="app.zip")
    assert live(lam, name) == functions.created["CodeSha256"]
    assert asked(lam, name, "version") == 1


def test_code_that_unzips_to_more_than_250_mib_is_refused(lam, s3, bucket, functions):
    name = functions.make("python")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("zeros", "w") as entry:
            for _ in range(251):
                entry.write(bytes(1024 * 1024))
    s3.put_object(Bucket=bucket, Key="large.zip", Body=out.getvalue())
    with refused("InvalidParameterValueException", status=400) as caught:
        lam.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="large.zip")
    assert "262144000" in caught.value.response["Error"]["Message"]
    assert live(lam, name) == functions.created["CodeSha256"]


def test_code_whose_checksum_lies_never_goes_live(lam, functions):
    name = functions.make("python")
    sent = bytearray(package({"app.py": "x = 1\n" * 50, "helper.py": "VERSION = 2\n"}))
    central = sent.rindex(b"PK\x01\x02")
    sent[central + 16] ^= 0xFF
    local = sent.rindex(b"PK\x03\x04", 0, central)
    sent[local + 14] ^= 0xFF
    try:
        lam.update_function_code(FunctionName=name, ZipFile=bytes(sent))
    except lam.exceptions.InvalidParameterValueException:
        pass
    else:
        assert settled(lam, name)["LastUpdateStatus"] == "Failed"
    assert asked(lam, name, "version") == 1


def test_two_sources_or_none_are_refused(lam, functions, stored):
    bucket, key, _, _ = stored
    name = functions.make("python")
    for arguments in ({"ZipFile": python_package(2), "S3Bucket": bucket, "S3Key": key}, {}, {"S3Bucket": bucket}):
        with refused("InvalidParameterValueException", status=400):
            lam.update_function_code(FunctionName=name, **arguments)
    assert live(lam, name) == functions.created["CodeSha256"]


def test_a_request_over_the_limit_is_refused_and_the_connection_stays_in_step(signer, lam, functions):
    name = functions.make("python")
    local = Signer(signer.endpoint, signer.access_key, signer.secret_key, service="lambda", region=signer.region)
    connection = local.connection(timeout=30)
    body = b'{"ZipFile": "' + b"A" * 70_167_211 + b'"}'
    answer = local.send(connection, "PUT", f"/2015-03-31/functions/{name}/code", body=body, headers={"content-type": "application/json"})
    assert answer.status == 413, answer.text
    assert answer.headers["x-amzn-errortype"].startswith(("RequestEntityTooLargeException", "RequestTooLargeException"))
    if answer.headers.get("connection", "").lower() != "close":
        assert local.send(connection, "GET", f"/2015-03-31/functions/{name}").json["Configuration"]["FunctionName"] == name
    connection.close()
    assert live(lam, name) == functions.created["CodeSha256"]


# --- Dry runs, revisions, conflicts ------------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(lam, functions):
    name = functions.make("python")
    before = settled(lam, name)
    answer = lam.update_function_code(FunctionName=name, ZipFile=python_package(2), DryRun=True)
    assert status_of(answer) == 200
    assert answer["FunctionName"] == name
    after = lam.get_function(FunctionName=name)["Configuration"]
    for field in ("CodeSha256", "CodeSize", "RevisionId", "LastModified", "LastUpdateStatus"):
        assert after[field] == before[field], field
    assert asked(lam, name, "version") == 1


def test_a_dry_run_still_looks_at_the_code(lam, bucket, functions):
    name = functions.make("python")
    with refused("InvalidParameterValueException", status=400):
        lam.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="nothing.zip", DryRun=True)
    with refused("InvalidParameterValueException", status=400):
        lam.update_function_code(FunctionName=name, ZipFile=b"no zip", DryRun=True)
    with refused("PreconditionFailedException", status=412):
        lam.update_function_code(FunctionName=name, ZipFile=python_package(2), RevisionId=STALE, DryRun=True)


def test_an_update_with_a_stale_revision_is_refused(lam, functions):
    name = functions.make("python")
    with refused("PreconditionFailedException", status=412) as caught:
        lam.update_function_code(FunctionName=name, ZipFile=python_package(2), RevisionId=STALE)
    assert "revisionid" in caught.value.response["Error"]["Message"].lower().replace(" ", "")
    assert live(lam, name) == functions.created["CodeSha256"]


def test_an_update_with_the_current_revision_goes_through(lam, functions):
    name = functions.make("python")
    revision = settled(lam, name)["RevisionId"]
    answer = lam.update_function_code(FunctionName=name, ZipFile=python_package(2), RevisionId=revision)
    assert answer["RevisionId"] != revision
    settled(lam, name)
    with refused("PreconditionFailedException", status=412):
        lam.update_function_code(FunctionName=name, ZipFile=python_package(3), RevisionId=revision)
    assert asked(lam, name, "version") == 2


def test_the_revision_changes_with_the_update_and_again_when_it_is_done(lam, functions):
    name = functions.make("python")
    seen = [settled(lam, name)["RevisionId"]]
    seen.append(lam.update_function_code(FunctionName=name, ZipFile=python_package(2))["RevisionId"])
    seen.append(settled(lam, name)["RevisionId"])
    assert len(set(seen)) == 3


def test_sending_the_same_code_is_an_update_like_any_other(lam, functions):
    name = functions.make("python")
    revision = settled(lam, name)["RevisionId"]
    answer = lam.update_function_code(FunctionName=name, ZipFile=python_package(1))
    assert answer["LastUpdateStatus"] == "InProgress"
    assert answer["RevisionId"] != revision
    assert settled(lam, name)["CodeSha256"] == functions.created["CodeSha256"]


def test_an_update_during_an_update_conflicts(lam, functions):
    name = functions.make("python")
    lam.update_function_code(FunctionName=name, ZipFile=python_package(2))
    with refused("ResourceConflictException", status=409) as caught:
        lam.update_function_code(FunctionName=name, ZipFile=python_package(3))
    message = caught.value.response["Error"]["Message"]
    assert message.startswith("The operation cannot be performed at this time. An update is in progress for resource: ")
    with refused("ResourceConflictException", status=409):
        lam.update_function_configuration(FunctionName=name, Description="no")
    settled(lam, name)
    assert asked(lam, name, "version") == 2
    lam.update_function_code(FunctionName=name, ZipFile=python_package(3))
    settled(lam, name)
    assert asked(lam, name, "version") == 3


def test_the_old_code_answers_until_the_update_succeeded(lam, functions):
    name = functions.make("python")
    lam.update_function_code(FunctionName=name, ZipFile=python_package(2))
    answers = []
    for _ in range(400):
        before = lam.get_function(FunctionName=name)["Configuration"]["LastUpdateStatus"]
        says = asked(lam, name, "version")
        after = lam.get_function(FunctionName=name)["Configuration"]["LastUpdateStatus"]
        if before == after:
            assert says == (1 if after == "InProgress" else 2)
        answers.append(says)
        if before == "Successful":
            break
        time.sleep(0.02)
    assert answers[-1] == 2
    assert answers == sorted(answers)


def test_no_invocation_fails_while_code_is_replaced(lam, functions, pool):
    name = functions.make("python")
    futures = []
    for version in (2, 3):
        lam.update_function_code(FunctionName=name, ZipFile=python_package(version))
        futures += [pool.submit(asked, lam, name, "version") for _ in range(5)]
        settled(lam, name)
        futures += [pool.submit(asked, lam, name, "version") for _ in range(3)]
    assert {future.result() for future in futures} <= {1, 2, 3}
    assert asked(lam, name, "version") == 3


def test_many_functions_are_updated_at_once_from_one_object(lam, s3, bucket, functions, pool):
    s3.put_object(Bucket=bucket, Key="app.zip", Body=python_package(2))
    names = [functions.make("python", wait=False) for _ in range(6)]
    list(pool.map(lambda name: settled(lam, name), names))
    answers = list(pool.map(lambda name: lam.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="app.zip"), names))
    assert {answer["CodeSha256"] for answer in answers} == {code_sha256(python_package(2))}
    assert {state["LastUpdateStatus"] for state in pool.map(lambda name: settled(lam, name), names)} == {"Successful"}
    assert list(pool.map(lambda name: asked(lam, name, "version"), names)) == [2] * 6


def test_an_update_can_publish(lam, functions):
    name = functions.make("python")
    answer = lam.update_function_code(FunctionName=name, ZipFile=python_package(2), Publish=True)
    assert answer["Version"] == "1"
    settled(lam, name)
    assert lam.get_function(FunctionName=name, Qualifier="1")["Configuration"]["CodeSha256"] == code_sha256(python_package(2))


def test_an_update_can_change_the_architecture(lam, functions):
    name = functions.make("shell")
    lam.update_function_code(FunctionName=name, ZipFile=KINDS["shell"]()["Code"]["ZipFile"], Architectures=["arm64"])
    assert settled(lam, name)["Architectures"] == ["arm64"]


# --- Code that stays in its bucket -------------------------------------------------------------------------------------------------


def test_referenced_code_names_its_object(lam, functions, stored):
    bucket, key, ids, packages = stored
    name = functions.make("python", Code={"ZipFile": python_package(9)})
    where = {"S3Bucket": bucket, "S3Key": key, "S3ObjectVersion": ids[1]}
    lam.update_function_code(FunctionName=name, **where, S3ObjectStorageMode="REFERENCE")
    settled(lam, name)
    told = lam.get_function(FunctionName=name)
    assert told["Code"]["ResolvedS3Object"] == where
    assert told["Configuration"]["CodeSha256"] == code_sha256(packages[1])
    assert asked(lam, name, "version") == 2


def test_an_update_that_leaves_the_mode_out_copies_again(lam, functions, stored):
    bucket, key, ids, _ = stored
    name = functions.make("python", Code={"ZipFile": python_package(9)})
    where = {"S3Bucket": bucket, "S3Key": key, "S3ObjectVersion": ids[0]}
    lam.update_function_code(FunctionName=name, **where, S3ObjectStorageMode="REFERENCE")
    settled(lam, name)
    assert "ResolvedS3Object" in lam.get_function(FunctionName=name)["Code"]
    lam.update_function_code(FunctionName=name, **where)
    settled(lam, name)
    assert "ResolvedS3Object" not in lam.get_function(FunctionName=name)["Code"]


def test_a_reference_needs_a_bucket_with_versions(lam, s3, bucket, functions):
    s3.put_object(Bucket=bucket, Key="app.zip", Body=python_package(2))
    name = functions.make("python")
    with refused("InvalidParameterValueException", status=400):
        lam.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="app.zip", S3ObjectStorageMode="REFERENCE")
    assert live(lam, name) == functions.created["CodeSha256"]


def test_the_code_of_a_version_can_be_downloaded(lam, functions):
    name = functions.make("python")
    lam.publish_version(FunctionName=name)
    lam.update_function_code(FunctionName=name, ZipFile=python_package(2))
    settled(lam, name)
    with urllib.request.urlopen(lam.get_function(FunctionName=name, Qualifier="1")["Code"]["Location"], timeout=20) as answer:
        assert answer.read() == python_package(1)


# --- What is in the package --------------------------------------------------------------------------------------------------------


def test_files_keep_their_mode(lam, functions):
    files = {"app.py": PYTHON, "helper.py": "VERSION = 1\n", "plain.txt": "plain", "bin/tool": "#!/bin/sh\n"}
    name = functions.make("python", Code={"ZipFile": package(files, modes={"plain.txt": 0o644, "bin/tool": 0o755})})
    assert asked(lam, name, "stat", path="plain.txt") == {"mode": "0o644", "size": 5}
    assert asked(lam, name, "stat", path="bin/tool")["mode"] == "0o755"


def test_a_package_may_hold_directories(lam, functions):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.mkdir("lib")
        archive.writestr("lib/part.py", "VALUE = 'deep'\n")
        archive.writestr("app.py", "from lib.part import VALUE\n\ndef handler(event, context):\n    return VALUE\n")
    name = functions.make("python", Code={"ZipFile": out.getvalue()})
    assert invoke(lam, name)["json"] == "deep"


def test_a_package_may_have_something_in_front(lam, functions):
    """Self-extracting archives: the directory's offsets count from the first entry."""
    sent = b"#!/bin/false\n" + python_package(1)
    name = functions.make("python", Code={"ZipFile": sent})
    assert functions.created["CodeSize"] == len(sent)
    assert asked(lam, name, "version") == 1


def test_a_file_that_an_update_leaves_out_is_gone(lam, functions):
    name = functions.make("python", Code={"ZipFile": python_package(1, **{"extra.txt": "x"})})
    assert asked(lam, name, "stat", path="extra.txt")["size"] == 1
    lam.update_function_code(FunctionName=name, ZipFile=python_package(2))
    settled(lam, name)
    assert invoke(lam, name, {"ask": "stat", "path": "extra.txt"})["json"]["errorType"] == "FileNotFoundError"


def test_a_bootstrap_must_be_executable(lam, functions):
    name = functions.make("shell", Code={"ZipFile": package({"bootstrap": "#!/bin/sh\n"}, modes={"bootstrap": 0o644})})
    answer = invoke(lam, name)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"].startswith("Runtime.")


def test_a_custom_runtime_needs_a_bootstrap(lam, functions):
    name = functions.make("shell", Code={"ZipFile": package({"other": "x"})})
    answer = invoke(lam, name)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == "Runtime.InvalidEntrypoint"
