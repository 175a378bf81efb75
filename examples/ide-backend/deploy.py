"""An IDE backend's "Save": the changed files go into the artifact by the zipedit function, then every function that
runs the artifact is pointed at the version that came of it.

    python deploy.py s3://BUCKET/KEY FUNCTION... < changes.json
"""

import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

lambda_ = boto3.client("lambda", config=Config(retries={"mode": "standard", "max_attempts": 5}))


class ZipeditError(Exception):
    """What zipedit threw. `type` is one of the stable names, such as `Conflict`; the artifact is as it was."""

    def __init__(self, type, message):
        super().__init__(message)
        self.type = type


def edit(src, changes, zipedit="zipedit", **options):
    """Edits the artifact. `changes`: name -> text, {"base64": ...}, {"text": ..., "mode": ...}, or None to delete."""
    event = json.dumps({"src": src, "changes": changes, **options})
    # The same event twice leaves the same artifact, so a call that nobody answered is simply made again.
    for attempt in range(1, 4):
        answer = lambda_.invoke(FunctionName=zipedit, Payload=event)
        payload = json.load(answer["Payload"])
        if "FunctionError" not in answer:
            return payload
        error = ZipeditError(payload["errorType"], payload["errorMessage"])
        # Another writer was faster, several times in a row.
        if error.type != "Conflict" or attempt == 3:
            raise error
        time.sleep(0.1 * 2**attempt * random.random())


def update(name, src, version_id):
    """Points a function at a version of the artifact, and waits until it runs it."""
    bucket, key = src.removeprefix("s3://").split("/", 1)
    # Without the version, a function could get what somebody else has written meanwhile.
    version = {"S3ObjectVersion": version_id} if version_id else {}
    sent = lambda_.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key=key, **version)
    pause = 0.2
    while True:
        time.sleep(pause)
        pause = min(pause * 1.5, 1)
        # GetFunction has a quota of its own; GetFunctionConfiguration shares one with the updates.
        now = lambda_.get_function(FunctionName=name)["Configuration"]
        if now["LastUpdateStatus"] == "InProgress":
            continue
        if now["LastUpdateStatus"] == "Failed":
            raise RuntimeError(f"{name}: {now['LastUpdateStatusReason']}")
        if now["CodeSha256"] != sent["CodeSha256"]:
            raise RuntimeError(f"{name}: somebody else updated it meanwhile")
        return {"name": name, "codeSha256": now["CodeSha256"]}


def deploy(src, changes, functions):
    """One save, from the changed files to functions that run them."""
    edited = edit(src, changes)

    def updated(name):
        try:
            return update(name, src, edited["versionId"])
        except Exception as error:  # One function's failure leaves the others alone.
            return {"name": name, "error": str(error)}

    with ThreadPoolExecutor(max_workers=10) as pool:
        return {**edited, "functions": list(pool.map(updated, functions))}


if __name__ == "__main__":
    src, *functions = sys.argv[1:]
    try:
        done = deploy(src, json.load(sys.stdin), functions)
        print(json.dumps(done))
        sys.exit(any("error" in function for function in done["functions"]))
    except ZipeditError as error:
        print(json.dumps({"errorType": error.type, "errorMessage": str(error)}))
        sys.exit(1)
