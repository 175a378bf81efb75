"""The original's client, ported to Python 3: the function edits the artifact, then all functions are updated at once.

What changed is told, as it has no diff of its own.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

BUCKET, KEY = os.environ["BUCKET"], os.environ["KEY"]
# The function rewrites the whole artifact, which takes longer than boto3 waits by default.
CLIENT = boto3.client("lambda", config=Config(read_timeout=900, retries={"total_max_attempts": 1}))


def update(function):
    CLIENT.update_function_code(FunctionName=function, S3Bucket=BUCKET, S3Key=KEY)


def main():
    if os.environ["DELETED"]:
        sys.exit("the original can't delete")
    changes = {}
    for name in os.environ["CHANGED"].split():
        with open(os.path.join("project", name), encoding="utf-8") as file:
            changes[name] = file.read()
    if changes:
        event = json.dumps({"src": f"s3://{BUCKET}/{KEY}", "changes": changes})
        answer = CLIENT.invoke(FunctionName="original", Payload=event)
        if "FunctionError" in answer:
            sys.exit(answer["Payload"].read().decode())
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(update, os.environ["FUNCTIONS"].split()))


main()
