"""Functions: made, described, listed, reconfigured, deleted."""

import json
import re
import urllib.request

import pytest

from lambda_support import KINDS, ROLE, asked, invoke, node_package, python_package, settled, shell_package
from support import code_sha256, headers_of, package, refused, status_of, unique


def test_a_function_is_made_described_and_deleted(lam, functions):
    name = functions.make("python", wait=False, Description="about", Timeout=7, MemorySize=256)
    created = functions.created
    assert status_of(created) == 201
    assert created["FunctionName"] == name
    assert re.fullmatch(rf"arn:aws:lambda:us-east-1:\d{{12}}:function:{name}", created["FunctionArn"])
    assert (created["Runtime"], created["Handler"], created["Role"]) == ("python3.12", "app.handler", ROLE)
    assert (created["Description"], created["Timeout"], created["MemorySize"]) == ("about", 7, 256)
    assert (created["Version"], created["PackageType"], created["Architectures"]) == ("$LATEST", "Zip", ["x86_64"])
    assert created["EphemeralStorage"] == {"Size": 512}
    assert created["TracingConfig"] == {"Mode": "PassThrough"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", created["LastModified"])
    assert created["RevisionId"]
    now = settled(lam, name)
    assert (now["State"], now["LastUpdateStatus"]) == ("Active", "Successful")
    assert status_of(lam.delete_function(FunctionName=name)) == 204
    with refused("ResourceNotFoundException", status=404):
        lam.get_function(FunctionName=name)


def test_a_new_function_is_pending_at_first(functions):
    functions.make("python", wait=False)
    created = functions.created
    assert (created["State"], created["StateReasonCode"]) == ("Pending", "Creating")


def test_the_waiters_of_the_sdk_are_satisfied(lam, functions):
    name = functions.make("python", wait=False)
    lam.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    lam.update_function_code(FunctionName=name, ZipFile=python_package(2))
    lam.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})


def test_the_defaults_are_those_of_lambda(lam, functions):
    functions.make("shell", wait=False)
    assert (functions.created["Timeout"], functions.created["MemorySize"], functions.created["Description"]) == (3, 128, "")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_size_and_digest_are_those_of_the_package(lam, functions, kind):
    name = functions.make(kind)
    sent = KINDS[kind]()["Code"]["ZipFile"]
    for told in (functions.created, lam.get_function(FunctionName=name)["Configuration"], lam.get_function_configuration(FunctionName=name)):
        assert (told["CodeSize"], told["CodeSha256"]) == (len(sent), code_sha256(sent))


def test_the_code_can_be_downloaded(lam, functions):
    sent = python_package(5)
    name = functions.make("python", Code={"ZipFile": sent})
    code = lam.get_function(FunctionName=name)["Code"]
    assert code["RepositoryType"] == "S3"
    with urllib.request.urlopen(code["Location"], timeout=20) as answer:
        assert answer.read() == sent


def test_a_function_is_found_by_name_and_by_arn(lam, functions):
    name = functions.make("python")
    arn = functions.created["FunctionArn"]
    account = arn.split(":")[4]
    for alias in (name, arn, f"{account}:function:{name}", f"{arn}:$LATEST"):
        assert lam.get_function(FunctionName=alias)["Configuration"]["FunctionName"] == name
    assert lam.get_function(FunctionName=name, Qualifier="$LATEST")["Configuration"]["Version"] == "$LATEST"


@pytest.mark.parametrize("verb", ["get_function", "get_function_configuration", "delete_function", "update_function_code", "invoke", "publish_version"])
def test_a_missing_function_is_named_in_the_error(lam, verb):
    name = unique("missing")
    arguments = {"ZipFile": python_package()} if verb == "update_function_code" else {}
    with refused("ResourceNotFoundException", status=404) as caught:
        getattr(lam, verb)(FunctionName=name, **arguments)
    error = caught.value.response
    assert f"function:{name}" in error["Error"]["Message"]
    assert error["Error"]["Message"].startswith("Function not found: arn:aws:lambda:us-east-1:")
    assert headers_of(error)["x-amzn-errortype"].startswith("ResourceNotFoundException")


def test_a_name_is_taken_once(lam, functions):
    name = functions.make("python")
    with refused("ResourceConflictException", status=409) as caught:
        lam.create_function(FunctionName=name, Role=ROLE, **KINDS["python"](2))
    assert caught.value.response["Error"]["Message"].startswith("Function already exist: ")
    assert lam.get_function(FunctionName=name)["Configuration"]["CodeSha256"] == functions.created["CodeSha256"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Runtime": "cobol85"}, "InvalidParameterValueException"),
        ({"Runtime": "PYTHON3.12"}, "InvalidParameterValueException"),
        ({"Role": "r1"}, "ValidationException"),
        ({"Architectures": ["X86_64"]}, "ValidationException"),
        ({"Code": {"ZipFile": b"this is no zip"}}, "InvalidParameterValueException"),
        ({"Code": {"ZipFile": python_package()[:-30]}}, "InvalidParameterValueException"),
        ({"Timeout": 901}, "ValidationException"),
        ({"MemorySize": 20_000}, "ValidationException"),
        ({"FunctionName": "not a name"}, "ValidationException"),
    ],
    ids=["runtime", "upper case", "role", "architecture", "no zip", "truncated", "timeout", "memory", "name"],
)
def test_a_function_outside_the_rules_is_refused(lam, change, code):
    arguments = {"FunctionName": unique("wrong"), "Role": ROLE, **KINDS["python"](), **change}
    with refused(code, status=400):
        lam.create_function(**arguments)
    if "FunctionName" not in change:
        with refused("ResourceNotFoundException"):
            lam.get_function(FunctionName=arguments["FunctionName"])


@pytest.mark.parametrize("missing", ["Runtime", "Handler"])
def test_a_zip_function_needs_a_runtime_and_a_handler(lam, missing):
    arguments = {"FunctionName": unique("wrong"), "Role": ROLE, **KINDS["python"]()}
    del arguments[missing]
    with refused("InvalidParameterValueException", status=400):
        lam.create_function(**arguments)


def test_a_function_needs_code(lam):
    with refused("InvalidParameterValueException", status=400):
        lam.create_function(FunctionName=unique("wrong"), Role=ROLE, Runtime="python3.12", Handler="app.handler", Code={})


def test_functions_are_listed_page_by_page(lam, functions):
    made = {functions.make("shell", wait=False) for _ in range(3)}
    seen, marker = [], {}
    for _ in range(200):
        page = lam.list_functions(MaxItems=2, **marker)
        assert len(page["Functions"]) <= 2
        seen += [function["FunctionName"] for function in page["Functions"]]
        if not page.get("NextMarker"):
            break
        marker = {"Marker": page["NextMarker"]}
    assert made <= set(seen)
    assert len(seen) == len(set(seen))


def test_the_configuration_is_changed(lam, functions):
    name = functions.make("python", Environment={"Variables": {"OLD": "1"}})
    answer = lam.update_function_configuration(
        FunctionName=name, Timeout=9, MemorySize=512, Description="new", Environment={"Variables": {"NEW": "2"}}
    )
    assert answer["LastUpdateStatus"] == "InProgress"
    now = settled(lam, name)
    assert (now["Timeout"], now["MemorySize"], now["Description"]) == (9, 512, "new")
    assert now["Environment"] == {"Variables": {"NEW": "2"}}
    assert (now["Handler"], now["CodeSha256"]) == ("app.handler", functions.created["CodeSha256"])
    assert now["RevisionId"] != functions.created["RevisionId"]


def test_a_changed_handler_answers(lam, functions):
    sent = package({"app.py": "def one(event, context):\n    return 1\n\ndef two(event, context):\n    return 2\n"})
    name = functions.make("python", Code={"ZipFile": sent}, Handler="app.one")
    assert invoke(lam, name)["json"] == 1
    lam.update_function_configuration(FunctionName=name, Handler="app.two")
    settled(lam, name)
    assert invoke(lam, name)["json"] == 2


def test_a_configuration_with_a_stale_revision_is_refused(lam, functions):
    name = functions.make("python")
    revision = settled(lam, name)["RevisionId"]
    with refused("PreconditionFailedException", status=412):
        lam.update_function_configuration(FunctionName=name, Description="new", RevisionId="00000000-0000-0000-0000-000000000000")
    lam.update_function_configuration(FunctionName=name, Description="new", RevisionId=revision)
    assert settled(lam, name)["Description"] == "new"


def test_tags_come_with_the_function(lam, functions):
    name = functions.make("python", Tags={"stack": "one", "empty": ""})
    arn = functions.created["FunctionArn"]
    assert lam.get_function(FunctionName=name)["Tags"] == {"stack": "one", "empty": ""}
    lam.tag_resource(Resource=arn, Tags={"more": "2"})
    lam.untag_resource(Resource=arn, TagKeys=["empty"])
    assert lam.list_tags(Resource=arn)["Tags"] == {"stack": "one", "more": "2"}


def test_no_function_enforces_code_signing_unless_asked(lam, functions):
    name = functions.make("shell")
    answer = lam.get_function_code_signing_config(FunctionName=name)
    assert answer["FunctionName"] == name
    assert not answer.get("CodeSigningConfigArn")


def test_the_account_has_lambdas_limits(lam):
    limits = lam.get_account_settings()["AccountLimit"]
    assert (limits["CodeSizeUnzipped"], limits["CodeSizeZipped"]) == (262_144_000, 52_428_800)


def test_arm_functions_say_so(lam, functions):
    functions.make("shell", wait=False, Architectures=["arm64"])
    assert functions.created["Architectures"] == ["arm64"]


def test_environment_variables_that_belong_to_lambda_are_refused(lam):
    with refused("InvalidParameterValueException", status=400):
        lam.create_function(
            FunctionName=unique("wrong"), Role=ROLE, Environment={"Variables": {"AWS_REGION": "mars-1"}}, **KINDS["python"]()
        )


def test_environment_variables_have_at_most_four_kilobytes(lam):
    with refused("InvalidParameterValueException", status=400):
        lam.create_function(FunctionName=unique("wrong"), Role=ROLE, Environment={"Variables": {"BIG": "x" * 4096}}, **KINDS["python"]())


def test_a_name_can_be_used_again(lam, functions):
    name = functions.make("python")
    assert asked(lam, name, "version") == 1
    lam.delete_function(FunctionName=name)
    functions.make("python", FunctionName=name, Code={"ZipFile": python_package(2)})
    assert asked(lam, name, "version") == 2


def test_a_permission_is_kept_with_the_function(lam, functions):
    name = functions.make("shell")
    with refused("ResourceNotFoundException", status=404):
        lam.get_policy(FunctionName=name)
    lam.add_permission(FunctionName=name, StatementId="bucket", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
    (statement,) = json.loads(lam.get_policy(FunctionName=name)["Policy"])["Statement"]
    assert (statement["Sid"], statement["Action"], statement["Principal"]) == (
        "bucket", "lambda:InvokeFunction", {"Service": "s3.amazonaws.com"}
    )
    lam.remove_permission(FunctionName=name, StatementId="bucket")
    with refused("ResourceNotFoundException", status=404):
        lam.get_policy(FunctionName=name)


def test_an_image_function_has_no_zip(lam, functions):
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/conformance:latest"
    name = unique("image")
    created = lam.create_function(FunctionName=name, Role=ROLE, PackageType="Image", Code={"ImageUri": image})
    functions.made.append(name)
    assert created["PackageType"] == "Image" and "Runtime" not in created
    settled(lam, name)
    assert lam.get_function(FunctionName=name)["Code"]["ImageUri"] == image
    with refused("InvalidParameterValueException", status=400):
        lam.update_function_code(FunctionName=name, ZipFile=python_package())


def test_packages_of_every_runtime_are_different(lam, functions):
    """Guards the checks themselves: versions of a package must differ, or no check of an update means anything."""
    assert len({python_package(1), python_package(2), node_package(1), node_package(2), shell_package()}) == 5
