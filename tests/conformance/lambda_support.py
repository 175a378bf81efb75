"""Functions to deploy: one program in each runtime, and how to wait for them."""

from __future__ import annotations

import base64
import json
import shutil
import time

import pytest

from support import package, status_of, unique

#: Any role does: the judged servers have no IAM.
ROLE = "arn:aws:iam::000000000000:role/conformance"

#: A Python handler that does what the event asks for.
PYTHON = """\
import json, os, sys, time

import helper

STARTED = time.time()
CALLS = 0


def handler(event, context):
    global CALLS
    CALLS += 1
    ask = event.get("ask", "echo") if isinstance(event, dict) else "echo"
    if ask == "echo":
        return event
    if ask == "version":
        return helper.VERSION
    if ask == "env":
        return {name: os.environ.get(name) for name in event["names"]}
    if ask == "context":
        return {
            "function_name": context.function_name, "function_version": context.function_version,
            "invoked_function_arn": context.invoked_function_arn, "memory_limit_in_mb": context.memory_limit_in_mb,
            "aws_request_id": context.aws_request_id, "log_group_name": context.log_group_name,
            "log_stream_name": context.log_stream_name, "remaining": context.get_remaining_time_in_millis(),
        }
    if ask == "log":
        print(event["line"])
        print("to stderr: " + event["line"], file=sys.stderr)
        return "logged"
    if ask == "raise":
        raise ValueError("as asked")
    if ask == "exit":
        sys.stdout.flush()
        os._exit(3)
    if ask == "sleep":
        time.sleep(event["seconds"])
        return "slept"
    if ask == "large":
        return "x" * event["size"]
    if ask == "size":
        return len(json.dumps(event))
    if ask == "client":
        return {"custom": context.client_context.custom, "env": context.client_context.env}
    if ask == "here":
        with open("helper.py") as source:
            return {"same": os.path.samefile(os.getcwd(), os.environ["LAMBDA_TASK_ROOT"]), "first": source.read()}
    if ask == "temporary":
        import tempfile
        with tempfile.NamedTemporaryFile("w+") as out:
            out.write("kept")
            out.seek(0)
            return out.read()
    if ask == "process":
        return {"pid": os.getpid(), "calls": CALLS}
    if ask == "write":
        with open(event["path"], "w") as out:
            out.write(event["text"])
        return "written"
    if ask == "stat":
        found = os.stat(os.path.join(os.environ["LAMBDA_TASK_ROOT"], event["path"]))
        return {"mode": oct(found.st_mode & 0o777), "size": found.st_size}
    if ask == "unserialisable":
        return object()
    return None
"""

NODE = """\
const helper = require('./helper');
exports.handler = async (event, context) => {
  const ask = event && event.ask || 'echo';
  if (ask === 'echo') return event;
  if (ask === 'version') return helper.VERSION;
  if (ask === 'env') return Object.fromEntries(event.names.map((name) => [name, process.env[name] ?? null]));
  if (ask === 'context') return {
    functionName: context.functionName, functionVersion: context.functionVersion, awsRequestId: context.awsRequestId,
    memoryLimitInMB: context.memoryLimitInMB, invokedFunctionArn: context.invokedFunctionArn,
    remaining: context.getRemainingTimeInMillis(),
  };
  if (ask === 'log') { console.log(event.line); return 'logged'; }
  if (ask === 'raise') throw new TypeError('as asked');
  if (ask === 'sleep') { await new Promise((done) => setTimeout(done, event.seconds * 1000)); return 'slept'; }
  return null;
};
exports.callback = (event, context, done) => done(null, { called: 'back' });
"""

#: A custom runtime in the form of AWS's own tutorial: a shell loop over the Runtime API.
BOOTSTRAP = """\
#!/bin/sh
set -u
api="http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime"
headers="$(mktemp)"
while true; do
  event="$(curl -sS -L -D "$headers" "$api/invocation/next")"
  id="$(grep -i '^Lambda-Runtime-Aws-Request-Id:' "$headers" | tr -d '[:space:]' | cut -d: -f2)"
  echo "handling $id"
  case "$event" in
    *'"fail"'*)
      curl -sS -X POST "$api/invocation/$id/error" -H 'Lambda-Runtime-Function-Error-Type: Shell.Asked' \\
        -d '{"errorType": "Shell.Asked", "errorMessage": "as asked"}' > /dev/null ;;
    *'"headers"'*)
      deadline="$(grep -i '^Lambda-Runtime-Deadline-Ms:' "$headers" | tr -d '[:space:]' | cut -d: -f2)"
      arn="$(grep -i '^Lambda-Runtime-Invoked-Function-Arn:' "$headers" | tr -d '[:space:]' | cut -d: -f2-)"
      curl -sS -X POST "$api/invocation/$id/response" -d "{\\"deadline\\": $deadline, \\"arn\\": \\"$arn\\", \\"handler\\": \\"$_HANDLER\\"}" > /dev/null ;;
    *) curl -sS -X POST "$api/invocation/$id/response" -d "{\\"shell\\": $event}" > /dev/null ;;
  esac
done
"""


def python_package(version: int = 1, **extra) -> bytes:
    return package({"app.py": PYTHON, "helper.py": f"VERSION = {version}\n", **extra})


def node_package(version: int = 1, **extra) -> bytes:
    return package({"index.js": NODE, "helper.js": f"exports.VERSION = {version};\n", **extra})


def shell_package(bootstrap: str = BOOTSTRAP) -> bytes:
    return package({"bootstrap": bootstrap})


#: How each runtime's function is made.
KINDS = {
    "python": lambda version=1: {"Runtime": "python3.12", "Handler": "app.handler", "Code": {"ZipFile": python_package(version)}},
    "node": lambda version=1: {"Runtime": "nodejs20.x", "Handler": "index.handler", "Code": {"ZipFile": node_package(version)}},
    "shell": lambda version=1: {"Runtime": "provided.al2023", "Handler": "main", "Code": {"ZipFile": shell_package()}},
}


def settled(lam, name: str, *, seconds: float = 20.0) -> dict:
    """Waits until the function is neither being made nor updated, and gives its configuration. GetFunction has the largest quota."""
    end = time.monotonic() + seconds
    while True:
        now = lam.get_function(FunctionName=name)["Configuration"]
        if now["State"] != "Pending" and now.get("LastUpdateStatus") != "InProgress":
            return now
        assert time.monotonic() < end, now
        time.sleep(0.05)


class Functions:
    """Makes functions of a check's own, and removes them when it ends."""

    def __init__(self, lam):
        self.lam, self.made = lam, []

    def make(self, kind: str = "python", *, wait: bool = True, **arguments) -> str:
        if kind == "node" and not shutil.which("node"):
            pytest.skip("no Node.js on this machine")
        name = arguments.pop("FunctionName", None) or unique(kind)
        self.created = self.lam.create_function(**{"FunctionName": name, "Role": ROLE, **KINDS[kind](), **arguments})
        self.made.append(name)
        if wait:
            settled(self.lam, name)
        return name

    def clean(self) -> None:
        for name in self.made:
            try:
                self.lam.delete_function(FunctionName=name)
            except self.lam.exceptions.ResourceNotFoundException:
                pass


def invoke(lam, name: str, event=None, **arguments) -> dict:
    """Invokes and reads the payload into `answer["json"]`, the log into `answer["log"]`."""
    answer = lam.invoke(FunctionName=name, Payload=json.dumps(event if event is not None else {}).encode(), **arguments)
    answer["raw"] = answer["Payload"].read()
    answer["json"] = json.loads(answer["raw"]) if answer["raw"] else None
    answer["log"] = base64.b64decode(answer["LogResult"]).decode(errors="replace") if "LogResult" in answer else None
    return answer


def asked(lam, name: str, ask: str, **event):
    """What the function answers, which must not be an error."""
    answer = invoke(lam, name, {"ask": ask, **event})
    assert "FunctionError" not in answer, answer["json"]
    assert status_of(answer) == 200
    return answer["json"]
