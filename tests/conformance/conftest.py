"""Which server is judged, with which clients, and what is known to be wrong with it.

The server comes from the environment (`ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, …); `--peer` names the implementation, so that the deviations
listed for it in `peers.toml` are expected failures. They are strict: a check that suddenly passes fails the run until its line is removed,
unless it says that it shows only sometimes.
"""

from __future__ import annotations

import os
import pathlib
import tomllib
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from support import Signer, unique

REGION = "us-east-1"
PEERS = tomllib.loads(pathlib.Path(__file__).with_name("peers.toml").read_text())


def pytest_addoption(parser):
    parser.addoption(
        "--peer", choices=sorted(PEERS), default=os.environ.get("CONFORMANCE_PEER", "local-cloud"),
        help="the implementation behind ENDPOINT_URL (default: local-cloud, or $CONFORMANCE_PEER)",
    )


def pytest_report_header(config):
    return f"conformance: {config.getoption('--peer')} at {endpoint()}"


def pytest_collection_modifyitems(config, items):
    peer = PEERS[config.getoption("--peer")]
    deviations = dict(peer.get("deviations", {}))
    unused = set(deviations)
    for item in items:
        service = "lambda" if item.path.name.startswith("test_lambda") else "s3"
        if service not in peer["services"]:
            item.add_marker(pytest.mark.skip(reason=f"{config.getoption('--peer')} has no {service}"))
        # An entry names one case, or a whole check, or a whole file.
        for name in (item.name, item.originalname, item.path.name):
            if name in deviations:
                unused.discard(name)
                reason, strict = deviations[name], True
                if isinstance(reason, dict):
                    reason, strict = reason["sometimes"], False
                item.add_marker(pytest.mark.xfail(reason=reason, strict=strict, raises=(Exception, pytest.fail.Exception)))
                break
    whole_suite = not config.option.keyword and config.args_source.name != "ARGS"
    if whole_suite and unused:
        raise pytest.UsageError(f"peers.toml lists checks that don't exist: {', '.join(sorted(unused))}")


def endpoint() -> str:
    return os.environ.get("ENDPOINT_URL", "http://127.0.0.1:4566")


def credentials() -> tuple[str, str]:
    return os.environ.get("AWS_ACCESS_KEY_ID", "test"), os.environ.get("AWS_SECRET_ACCESS_KEY", "test")


def client(service: str, *, attempts: int = 1, access_key: str | None = None, secret_key: str | None = None, **config):
    """A client of the judged server. One attempt unless told otherwise: a check must see the first answer."""
    own = credentials()
    return boto3.client(
        service, endpoint_url=endpoint(), region_name=REGION,
        aws_access_key_id=access_key or own[0], aws_secret_access_key=secret_key or own[1],
        config=Config(
            retries={"mode": "standard", "total_max_attempts": attempts}, connect_timeout=5, read_timeout=30 if service == "lambda" else 10,
            max_pool_connections=64, signature_version=config.pop("signature_version", "s3v4" if service == "s3" else "v4"),
            s3={"addressing_style": "path"}, **config,
        ),
    )


@pytest.fixture(scope="session")
def s3():
    return client("s3")


@pytest.fixture(scope="session")
def lam():
    """Retries throttling: Lambda's control plane takes 15 calls a second, and this suite is faster than that."""
    return client("lambda", attempts=10)


@pytest.fixture(scope="session")
def patient_s3():
    """Leaves out checksums nobody asked for, as clients before 2025 did."""
    return client("s3", request_checksum_calculation="when_required", response_checksum_validation="when_required")


@pytest.fixture(scope="session")
def signer():
    return Signer(endpoint(), *credentials(), region=REGION)


@pytest.fixture(scope="session")
def pool():
    with ThreadPoolExecutor(32) as threads:
        yield threads


def empty_and_delete(s3, bucket: str) -> None:
    """Removes a bucket with everything in it; at the end of a check, so it never hides what the check found."""
    try:
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            versions = page.get("Versions", []) + page.get("DeleteMarkers", [])
            if versions:
                names = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions]
                s3.delete_objects(Bucket=bucket, Delete={"Objects": names, "Quiet": True})
        s3.delete_bucket(Bucket=bucket)
    except ClientError as error:
        print(f"left behind: {bucket}: {error}")


@pytest.fixture
def make_bucket(s3):
    """Makes buckets of this check's own; they go when it ends."""
    made = []

    def make(*, versioned: bool = False) -> str:
        name = unique("bucket")
        s3.create_bucket(Bucket=name)
        made.append(name)
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    yield make
    for name in made:
        empty_and_delete(s3, name)


@pytest.fixture
def bucket(make_bucket):
    return make_bucket()


@pytest.fixture
def versioned(make_bucket):
    return make_bucket(versioned=True)


@pytest.fixture
def functions(lam):
    from lambda_support import Functions

    made = Functions(lam)
    yield made
    made.clean()


@pytest.fixture(scope="session")
def probe(lam):
    """A Python function that is invoked and never changed, by everyone."""
    from lambda_support import Functions

    made = Functions(lam)
    yield made.make("python", Timeout=10, MemorySize=256, Environment={"Variables": {"COLOUR": "red", "EMPTY": ""}})
    made.clean()
