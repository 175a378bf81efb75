#!/usr/bin/env python3
"""The original QuickBuild algorithm, ported to Python 3: what `zipedit` is compared with, in results and in cost.

It downloads the whole artifact, writes a new one entry by entry with `zipfile`, and uploads that. Kept from the
original:

- the event `{"src": "s3://bucket/key", "changes": {"name": "new text"}}` and the answer `{"added": n, "modified": n}`;
- an entry named in `changes` keeps its place, and its attributes, time and compression method with its `ZipInfo`;
- a new name gets mode 0755 (`0o100755 << 16`), host Unix and 1980-01-01, is compressed with deflate, and goes to the end;
- every other entry is inflated and deflated again;
- no condition on the upload: of two writers at the same time, one loses its change.

Of entries with the same name only the last is kept, as a reader sees it: to copy them all is an accident of the loop.
What `zipfile` does stays as it is, such as giving mode 0600 to an entry whose attributes are 0.

As a Lambda function: handler `original.handler`. As a command:

    original.py --endpoint-url http://127.0.0.1:4580 EVENT.json     the object that EVENT.json names; "-" is stdin
    original.py --file artifact.zip EVENT.json                      a local file, in place; "src" may be left out

The answer goes to stdout. boto3 is needed only where S3 is.
"""

import argparse
import io
import json
import os
import shutil
import sys
import tempfile
import zipfile

NEW_ENTRY_ATTRIBUTES = 0o100755 << 16
HOST_UNIX = 3


def rewrite(old, new, changes):
    """Writes the archive `old` with `changes` to `new`, both binary files, and returns the answer's counts."""
    missing = dict(changes)
    modified = 0
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as target:
        target.comment = source.comment
        for info in source.infolist():
            if source.NameToInfo[info.filename] is not info:
                continue
            if info.filename in missing:
                content = missing.pop(info.filename).encode()
                modified += 1
            else:
                content = source.read(info)
            target.writestr(info, content)
        for name, text in missing.items():
            info = zipfile.ZipInfo(name)  # its time is 1980-01-01
            info.create_system = HOST_UNIX
            info.external_attr = NEW_ENTRY_ATTRIBUTES
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, text.encode())
    return {"added": len(missing), "modified": modified}


def edit_object(event, client):
    """Downloads, rewrites and uploads the object that the event names."""
    bucket, key = event["src"].removeprefix("s3://").split("/", 1)
    old = io.BytesIO(client.get_object(Bucket=bucket, Key=key)["Body"].read())
    new = io.BytesIO()
    answer = rewrite(old, new, event["changes"])
    client.put_object(Bucket=bucket, Key=key, Body=new.getvalue())
    return answer


def edit_file(path, changes):
    """Rewrites a local archive and puts the new one in its place."""
    folder = os.path.dirname(os.path.abspath(path))
    with open(path, "rb") as old, tempfile.NamedTemporaryFile(dir=folder, delete=False) as new:
        try:
            answer = rewrite(old, new, changes)
            shutil.copymode(path, new.name)
        except BaseException:
            os.unlink(new.name)
            raise
    os.replace(new.name, path)
    return answer


def s3_client(endpoint_url=None):
    """An S3 client with the credentials of the environment."""
    import boto3
    from botocore.config import Config

    # Stores on loopback have no host name per bucket.
    style = {"addressing_style": "path"} if endpoint_url else {}
    return boto3.client("s3", endpoint_url=endpoint_url, config=Config(s3=style))


def handler(event, context):
    """The Lambda function."""
    return edit_object(event, s3_client(os.environ.get("AWS_ENDPOINT_URL")))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("event", metavar="EVENT.json", type=argparse.FileType("rb"))
    parser.add_argument("--endpoint-url", default=os.environ.get("AWS_ENDPOINT_URL"))
    parser.add_argument("--file", metavar="ARTIFACT.zip", help="edit this file instead of an object")
    options = parser.parse_args(arguments)
    event = json.load(options.event)
    if options.file:
        answer = edit_file(options.file, event["changes"])
    else:
        answer = edit_object(event, s3_client(options.endpoint_url))
    json.dump(answer, sys.stdout)
    print()


if __name__ == "__main__":
    main()
