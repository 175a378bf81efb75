"""What somebody without QuickDeploy does, with boto3 and the standard library; the endpoint comes from the environment.

    with_boto3.py create STACK TEMPLATE S3_URL FILE...   packages the files, uploads them, creates the stack
    with_boto3.py read S3_URL [VERSION]                  downloads an artifact; prints {name: text}, every entry read
    with_boto3.py invoke FUNCTION EVENT                  prints the answer

`create` gives the template `ArtifactBucket` and `ArtifactKey`.
"""

import io
import json
import pathlib
import sys
import zipfile

import boto3


def place(url):
    bucket, key = url.removeprefix("s3://").split("/", 1)
    return {"Bucket": bucket, "Key": key}


def create(stack, template, url, *files):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in map(pathlib.Path, files):
            archive.write(file, file.name)
    boto3.client("s3").put_object(**place(url), Body=package.getvalue())
    cloudformation = boto3.client("cloudformation")
    parameters = {f"Artifact{name}": value for name, value in place(url).items()}
    cloudformation.create_stack(
        StackName=stack, TemplateBody=pathlib.Path(template).read_text(), Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return {output["OutputKey"]: output["OutputValue"] for output in cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]}


def read(url, version=None):
    chosen = {"VersionId": version} if version else {}
    body = boto3.client("s3").get_object(**place(url), **chosen)["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def invoke(function, event):
    answer = boto3.client("lambda").invoke(FunctionName=function, Payload=event)
    if "FunctionError" in answer:
        sys.exit(f"{function}: {answer['Payload'].read().decode()}")
    return json.load(answer["Payload"])


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    print(json.dumps({"create": create, "read": read, "invoke": invoke}[verb](*arguments)))
