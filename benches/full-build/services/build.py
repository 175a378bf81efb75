"""A full build by the real services: a CodeBuild project, then a change set of a stack. Prints its phases and their seconds.

    build.py --codebuild-project NAME [--stack NAME [--parameter KEY=VALUE]...]

Credentials, region and endpoint come from where the AWS CLI has them. The stack is updated with its own template and
parameters, but for those that are given: most often the key of what the build has uploaded. `{number}` in a value is the
build's number, CODEBUILD_BUILD_NUMBER in its buildspec.
"""

import argparse
import json
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError


def build(project):
    """Runs a build to its end: its number, and its phases, as CodeBuild tells them."""
    client = boto3.client("codebuild")
    build_id = client.start_build(projectName=project)["build"]["id"]
    while True:
        current = client.batch_get_builds(ids=[build_id])["builds"][0]
        if current["buildComplete"]:
            break
        print(current.get("currentPhase"), file=sys.stderr)
        time.sleep(1)
    if current["buildStatus"] != "SUCCEEDED":
        sys.exit(f"the build {build_id} ended as {current['buildStatus']}: see its log")
    phases = [
        (phase["phaseType"].lower(), (phase["endTime"] - phase["startTime"]).total_seconds())
        for phase in current["phases"]
        if "endTime" in phase
    ]
    return current["buildNumber"], phases


def deploy(stack, given):
    """Updates a stack by a change set: what each step took."""
    client = boto3.client("cloudformation")
    known = client.describe_stacks(StackName=stack)["Stacks"][0]
    parameters = [
        {"ParameterKey": key, "ParameterValue": given[key]} if key in given
        else {"ParameterKey": key, "UsePreviousValue": True}
        for key in (parameter["ParameterKey"] for parameter in known.get("Parameters", []))
    ]
    unknown = given.keys() - {parameter["ParameterKey"] for parameter in parameters}
    if unknown:
        sys.exit(f"the stack {stack} has no parameter {', '.join(sorted(unknown))}")
    begin = time.monotonic()
    change_set = client.create_change_set(
        StackName=stack, ChangeSetName=f"benches-{int(time.time())}", UsePreviousTemplate=True, Parameters=parameters,
        Capabilities=known.get("Capabilities", []),
    )["Id"]
    try:
        client.get_waiter("change_set_create_complete").wait(ChangeSetName=change_set, WaiterConfig={"Delay": 1})
    except WaiterError:
        reason = client.describe_change_set(ChangeSetName=change_set).get("StatusReason", "").rstrip(".")
        client.delete_change_set(ChangeSetName=change_set)
        sys.exit(f"the change set of {stack} can't be executed: {reason}. Give what differs with --parameter")
    yield "change-set", time.monotonic() - begin
    begin = time.monotonic()
    client.execute_change_set(ChangeSetName=change_set)
    client.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    yield "execute", time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codebuild-project", required=True)
    parser.add_argument("--stack")
    parser.add_argument("--parameter", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    given = dict(parameter.split("=", 1) for parameter in options.parameter)
    try:
        number, phases = build(options.codebuild_project)
        if options.stack:
            given = {key: value.replace("{number}", str(number)) for key, value in given.items()}
            phases += deploy(options.stack, given)
    except (BotoCoreError, ClientError) as error:
        sys.exit(str(error))
    json.dump(phases, sys.stdout)
    print()


main()
