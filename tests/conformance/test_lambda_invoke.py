"""Invoke: the three runtimes, what goes in and out, and what happens when a function misbehaves."""

import base64
import json
import re
import time

import pytest

from conftest import client
from lambda_support import BOOTSTRAP, Functions, asked, invoke, python_package, settled
from support import package, refused, status_of, until

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def node(lam):
    made = Functions(lam)
    yield made.make("node", Timeout=10, Environment={"Variables": {"COLOUR": "blue"}})
    made.clean()


@pytest.fixture(scope="module")
def shell(lam):
    made = Functions(lam)
    yield made.make("shell", Timeout=10)
    made.clean()


# --- In and out --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [{"a": [1, 2.5, "ü😀", None, True]}, [], "text", 42, None, {}], ids=repr)
@pytest.mark.parametrize("kind", ["probe", "node"])
def test_an_event_goes_in_and_an_answer_comes_out(lam, request, kind, event):
    name = request.getfixturevalue(kind)
    answer = lam.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    assert (status_of(answer), answer["StatusCode"], answer["ExecutedVersion"]) == (200, 200, "$LATEST")
    assert "FunctionError" not in answer and "LogResult" not in answer
    assert json.loads(answer["Payload"].read()) == event


def test_a_custom_runtime_answers(lam, shell):
    assert invoke(lam, shell, {"to": "the shell"})["json"] == {"shell": {"to": "the shell"}}


def test_a_custom_runtime_is_told_its_deadline_and_arn(lam, shell):
    answer = invoke(lam, shell, {"headers": True})["json"]
    assert 0 < answer["deadline"] - time.time() * 1000 <= 10_500
    assert answer["arn"].endswith(f":function:{shell}")
    assert answer["handler"] == "main"


def test_a_callback_handler_answers(lam, functions):
    name = functions.make("node", Handler="index.callback")
    assert invoke(lam, name)["json"] == {"called": "back"}


def test_es_modules_are_loaded(lam, functions):
    name = functions.make("node", Code={"ZipFile": package({"index.mjs": "export const handler = async (event) => ({ module: event });\n"})})
    assert invoke(lam, name, {"a": 1})["json"] == {"module": {"a": 1}}


def test_a_handler_may_live_in_a_directory(lam, functions):
    code = {"ZipFile": package({"src/start.js": "exports.run = async () => require('../util').name;\n", "util.js": "exports.name = 'util';\n"})}
    assert invoke(lam, functions.make("node", Code=code, Handler="src/start.run"))["json"] == "util"


def test_a_python_handler_may_live_in_a_directory(lam, functions):
    code = {"ZipFile": package({"src/start.py": "def run(event, context):\n    return 'ran'\n"})}
    assert invoke(lam, functions.make("python", Code=code, Handler="src/start.run"))["json"] == "ran"


def test_an_invocation_without_a_payload_is_an_empty_event(lam, probe):
    answer = lam.invoke(FunctionName=probe)
    assert status_of(answer) == 200
    assert json.loads(answer["Payload"].read()) == {}


def test_a_handler_that_returns_nothing_answers_null(lam, probe):
    assert invoke(lam, probe, {"ask": "nothing"})["raw"] == b"null"


def test_a_payload_that_is_no_json_is_refused(lam, probe):
    with refused("InvalidRequestContentException", status=400):
        lam.invoke(FunctionName=probe, Payload=b"{not json")


def test_a_payload_may_have_six_megabytes(lam, probe):
    assert asked(lam, probe, "size", filler="x" * 5_000_000) > 5_000_000
    with refused("RequestTooLargeException", "RequestEntityTooLargeException", status=413):
        lam.invoke(FunctionName=probe, Payload=json.dumps({"filler": "x" * 6_300_000}).encode())


def test_an_answer_may_have_six_megabytes(lam, probe):
    assert len(asked(lam, probe, "large", size=6_000_000)) == 6_000_000
    answer = invoke(lam, probe, {"ask": "large", "size": 6_300_000})
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == "Function.ResponseSizeTooLarge"
    assert asked(lam, probe, "nothing") is None


def test_a_dry_run_invokes_nothing(lam, probe, tmp_path):
    path = tmp_path / "ran"
    event = json.dumps({"ask": "write", "path": str(path), "text": "x"}).encode()
    answer = lam.invoke(FunctionName=probe, InvocationType="DryRun", Payload=event)
    assert (status_of(answer), answer["StatusCode"], answer["Payload"].read()) == (204, 204, b"")
    assert asked(lam, probe, "nothing") is None
    assert not path.exists()


def test_an_event_is_accepted_and_carried_out_later(lam, probe, tmp_path):
    path = tmp_path / "ran"
    event = json.dumps({"ask": "write", "path": str(path), "text": "later"}).encode()
    answer = lam.invoke(FunctionName=probe, InvocationType="Event", Payload=event)
    assert (status_of(answer), answer["StatusCode"], answer["Payload"].read()) == (202, 202, b"")
    assert "FunctionError" not in answer
    until(lambda: path.exists() and path.read_text() == "later")


def test_an_event_that_will_fail_is_accepted_all_the_same(lam, probe):
    answer = lam.invoke(FunctionName=probe, InvocationType="Event", Payload=b'{"ask": "raise"}')
    assert answer["StatusCode"] == 202 and "FunctionError" not in answer


def test_an_event_does_not_wait_for_the_function(lam, functions):
    name = functions.make("python", Timeout=10)
    asked(lam, name, "nothing")
    started = time.monotonic()
    lam.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"ask": "sleep", "seconds": 2}')
    assert time.monotonic() - started < 1.5


def test_an_event_may_have_one_megabyte(lam, probe):
    with refused("RequestTooLargeException", "RequestEntityTooLargeException", status=413):
        lam.invoke(FunctionName=probe, InvocationType="Event", Payload=json.dumps("x" * 1_200_000).encode())


# --- Logs --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["probe", "node", "shell"])
def test_the_log_has_start_end_and_report(lam, request, kind):
    name = request.getfixturevalue(kind)
    answer = invoke(lam, name, {"ask": "log", "line": "a line of the log"}, LogType="Tail")
    log = answer["log"]
    started = re.search(rf"^START RequestId: ({UUID}) Version: \$LATEST$", log, re.MULTILINE)
    assert started, log
    request_id = started.group(1)
    assert f"END RequestId: {request_id}\n" in log
    report = re.search(rf"^REPORT RequestId: {request_id}\t(.*)$", log, re.MULTILINE)
    assert report, log
    fields = dict(field.split(": ", 1) for field in report.group(1).strip().split("\t"))
    assert re.fullmatch(r"\d+\.\d+ ms", fields["Duration"])
    assert re.fullmatch(r"\d+ ms", fields["Billed Duration"])
    assert fields["Memory Size"] == ("256 MB" if kind == "probe" else "128 MB")
    assert re.fullmatch(r"\d+ MB", fields["Max Memory Used"])
    assert answer["ResponseMetadata"]["RequestId"] == request_id
    said = "handling" if kind == "shell" else "a line of the log"
    assert log.index("START") < log.index(said) < log.index("END RequestId") < log.index("REPORT")


def test_the_log_has_both_streams(lam, probe):
    log = invoke(lam, probe, {"ask": "log", "line": "hello"}, LogType="Tail")["log"]
    assert "hello\n" in log and "to stderr: hello\n" in log


def test_the_log_is_its_last_four_kilobytes(lam, probe):
    log = invoke(lam, probe, {"ask": "log", "line": "x" * 10_000}, LogType="Tail")["log"]
    assert 3_000 < len(log.encode()) <= 4096
    assert "REPORT RequestId: " in log and "START RequestId: " not in log


def test_a_log_belongs_to_one_invocation(lam, probe):
    invoke(lam, probe, {"ask": "log", "line": "first one"}, LogType="Tail")
    assert "first one" not in invoke(lam, probe, {"ask": "log", "line": "second"}, LogType="Tail")["log"]


def test_the_log_comes_only_when_asked_for(lam, probe):
    assert "LogResult" not in lam.invoke(FunctionName=probe, Payload=b"{}", LogType="None")


# --- Surroundings ------------------------------------------------------------------------------------------------------------------


def test_a_python_function_knows_its_context(lam, probe):
    answer = invoke(lam, probe, {"ask": "context"})
    told = answer["json"]
    assert (told["function_name"], told["function_version"]) == (probe, "$LATEST")
    assert told["invoked_function_arn"].endswith(f":function:{probe}")
    assert str(told["memory_limit_in_mb"]) == "256"
    assert told["log_group_name"] == f"/aws/lambda/{probe}"
    assert told["log_stream_name"]
    assert told["aws_request_id"] == answer["ResponseMetadata"]["RequestId"]
    assert 5_000 < told["remaining"] <= 10_000


def test_a_node_function_knows_its_context(lam, node):
    answer = invoke(lam, node, {"ask": "context"})
    told = answer["json"]
    assert (told["functionName"], told["functionVersion"]) == (node, "$LATEST")
    assert told["awsRequestId"] == answer["ResponseMetadata"]["RequestId"]
    assert str(told["memoryLimitInMB"]) == "128"
    assert 5_000 < told["remaining"] <= 10_000


def test_the_environment_is_that_of_lambda(lam, probe):
    names = [
        "COLOUR", "EMPTY", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_REGION", "AWS_DEFAULT_REGION", "_HANDLER",
    ]
    assert asked(lam, probe, "env", names=names) == {
        "COLOUR": "red", "EMPTY": "", "AWS_LAMBDA_FUNCTION_NAME": probe, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{probe}", "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1", "_HANDLER": "app.handler",
    }
    some = asked(lam, probe, "env", names=["LAMBDA_TASK_ROOT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_LAMBDA_LOG_STREAM_NAME"])
    assert all(some.values()), some


def test_a_node_function_has_its_variables(lam, node):
    told = asked(lam, node, "env", names=["COLOUR", "AWS_LAMBDA_FUNCTION_NAME", "AWS_REGION"])
    assert told == {"COLOUR": "blue", "AWS_LAMBDA_FUNCTION_NAME": node, "AWS_REGION": "us-east-1"}


def test_the_callers_environment_is_not_the_functions(lam, probe):
    assert asked(lam, probe, "env", names=["HOME_OF_THE_CALLER", "ENDPOINT_URL", "CONFORMANCE_PEER"]) == {
        "HOME_OF_THE_CALLER": None, "ENDPOINT_URL": None, "CONFORMANCE_PEER": None,
    }


def test_a_function_starts_in_its_package(lam, probe):
    assert asked(lam, probe, "here") == {"same": True, "first": "VERSION = 1\n"}


def test_a_function_has_room_for_temporary_files(lam, probe):
    assert asked(lam, probe, "temporary") == "kept"


def test_a_client_context_reaches_the_function(lam, probe):
    context = base64.b64encode(json.dumps({"custom": {"user": "me"}, "env": {"locale": "de"}}).encode()).decode()
    answer = invoke(lam, probe, {"ask": "client"}, ClientContext=context)
    assert answer["json"] == {"custom": {"user": "me"}, "env": {"locale": "de"}}


def test_a_changed_variable_is_seen(lam, functions):
    name = functions.make("python", Environment={"Variables": {"COLOUR": "red"}})
    assert asked(lam, name, "env", names=["COLOUR"]) == {"COLOUR": "red"}
    lam.update_function_configuration(FunctionName=name, Environment={"Variables": {"COLOUR": "green"}})
    settled(lam, name)
    assert asked(lam, name, "env", names=["COLOUR"]) == {"COLOUR": "green"}


def test_a_warm_process_is_used_again(lam, functions):
    name = functions.make("python")
    first, second = asked(lam, name, "process"), asked(lam, name, "process")
    assert first["pid"] == second["pid"]
    assert second["calls"] == first["calls"] + 1


def test_invocations_run_side_by_side(lam, functions, pool):
    name = functions.make("python", Timeout=10)
    list(pool.map(lambda _: asked(lam, name, "sleep", seconds=0.3), range(4)))
    started = time.monotonic()
    assert list(pool.map(lambda _: asked(lam, name, "sleep", seconds=1), range(4))) == ["slept"] * 4
    assert time.monotonic() - started < 3


def test_answers_do_not_get_mixed_up(lam, probe, pool):
    events = [{"number": n} for n in range(24)]
    assert list(pool.map(lambda event: invoke(lam, probe, event)["json"], events)) == events


# --- Misbehaviour ------------------------------------------------------------------------------------------------------------------


def test_a_python_exception_is_a_function_error(lam, probe):
    answer = invoke(lam, probe, {"ask": "raise"}, LogType="Tail")
    assert (status_of(answer), answer["StatusCode"], answer["FunctionError"]) == (200, 200, "Unhandled")
    error = answer["json"]
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "as asked")
    assert any("raise ValueError" in line for line in error["stackTrace"])
    assert "ValueError: as asked" in answer["log"]
    assert asked(lam, probe, "nothing") is None


def test_a_node_exception_is_a_function_error(lam, node):
    answer = invoke(lam, node, {"ask": "raise"})
    assert answer["FunctionError"] == "Unhandled"
    assert (answer["json"]["errorType"], answer["json"]["errorMessage"]) == ("TypeError", "as asked")
    assert any("as asked" in line for line in answer["json"]["trace"])
    assert asked(lam, node, "nothing") is None


def test_a_custom_runtime_can_report_an_error(lam, shell):
    answer = invoke(lam, shell, {"fail": True})
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"] == {"errorType": "Shell.Asked", "errorMessage": "as asked"}
    assert invoke(lam, shell, {"then": 1})["json"] == {"shell": {"then": 1}}


def test_a_function_that_takes_too_long_is_stopped(lam, functions):
    name = functions.make("python", Timeout=1)
    asked(lam, name, "nothing")
    started = time.monotonic()
    answer = invoke(lam, name, {"ask": "sleep", "seconds": 8}, LogType="Tail")
    assert time.monotonic() - started < 4
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == "Sandbox.Timedout"
    assert re.fullmatch(rf"RequestId: {UUID} Error: Task timed out after 1\.00 seconds", answer["json"]["errorMessage"])
    assert "Task timed out after 1.00 seconds" in answer["log"]
    assert asked(lam, name, "process")["calls"] == 1


def test_a_process_that_ends_is_replaced(lam, functions):
    name = functions.make("python")
    before = asked(lam, name, "process")["pid"]
    answer = invoke(lam, name, {"ask": "exit"})
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == "Runtime.ExitError"
    assert re.fullmatch(rf"RequestId: {UUID} Error: Runtime exited with error: exit status 3", answer["json"]["errorMessage"])
    assert asked(lam, name, "process")["pid"] != before


def test_a_bootstrap_that_ends_at_once_is_an_error(lam, functions):
    name = functions.make("shell", Code={"ZipFile": package({"bootstrap": "#!/bin/sh\necho going away\nexit 7\n"})})
    answer = invoke(lam, name, LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == "Runtime.ExitError"
    assert answer["json"]["errorMessage"].endswith("Runtime exited with error: exit status 7")
    assert "going away" in answer["log"]


@pytest.mark.parametrize(
    ("kind", "files", "handler", "error", "message"),
    [
        ("python", {"app.py": "import nonesuch\n"}, "app.handler", "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'nonesuch'"),
        ("python", {"other.py": ""}, "app.handler", "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'app'"),
        ("python", {"app.py": "x = 1\n"}, "app.nothing", "Runtime.HandlerNotFound", "Handler 'nothing' missing on module 'app'"),
        ("python", {"app.py": "def broken(:\n"}, "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ("node", {"index.js": "require('nonesuch');\n"}, "index.handler", "Runtime.ImportModuleError", "Cannot find module 'nonesuch'"),
        ("node", {"other.js": ""}, "index.handler", "Runtime.ImportModuleError", "Cannot find module 'index'"),
        ("node", {"index.js": "exports.handler = 1;\n"}, "index.nothing", "Runtime.HandlerNotFound", "index.nothing is undefined or not exported"),
        ("node", {"index.js": "exports.handler = (\n"}, "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError"),
    ],
    ids=["import", "no module", "no handler", "syntax", "node import", "node no module", "node no handler", "node syntax"],
)
def test_code_that_does_not_load_says_why(lam, functions, kind, files, handler, error, message):
    answer = invoke(lam, functions.make(kind, Code={"ZipFile": package(files)}, Handler=handler))
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == error
    assert message in answer["json"]["errorMessage"]


def test_code_that_does_not_load_is_mended_by_an_update(lam, functions):
    name = functions.make("python", Code={"ZipFile": package({"app.py": "import nonesuch\n"})})
    assert invoke(lam, name)["FunctionError"] == "Unhandled"
    lam.update_function_code(FunctionName=name, ZipFile=python_package(2))
    settled(lam, name)
    assert asked(lam, name, "version") == 2


def test_an_answer_that_is_no_json_is_an_error(lam, probe):
    answer = invoke(lam, probe, {"ask": "unserialisable"})
    assert (answer["FunctionError"], answer["json"]["errorType"]) == ("Unhandled", "Runtime.MarshalError")


def test_a_changed_bootstrap_answers(lam, functions):
    name = functions.make("shell")
    changed = BOOTSTRAP.replace('{\\"shell\\": $event}', '{\\"changed\\": $event}')
    assert changed != BOOTSTRAP
    lam.update_function_code(FunctionName=name, ZipFile=package({"bootstrap": changed}))
    settled(lam, name)
    assert invoke(lam, name, 1)["json"] == {"changed": 1}


def test_a_function_without_concurrency_is_throttled(lam, functions):
    name = functions.make("python")
    lam.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    hasty = client("lambda", attempts=1)
    with refused("TooManyRequestsException", status=429):
        invoke(hasty, name)
    lam.delete_function_concurrency(FunctionName=name)
    assert asked(lam, name, "version") == 1


def test_a_deleted_function_answers_no_more(lam, functions):
    name = functions.make("python")
    asked(lam, name, "nothing")
    lam.delete_function(FunctionName=name)
    with refused("ResourceNotFoundException", status=404):
        invoke(lam, name)
