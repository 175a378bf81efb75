"""The runtime client for Python functions.

Loads the handler, then takes one invocation after the other from the Lambda Runtime API. It behaves as AWS's own
client does, in what handlers and callers can see: the context object, errors and their names, the format of the log.
"""

import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
ROOT = os.environ["LAMBDA_TASK_ROOT"]
PREFIX = "/2018-06-01/runtime/"


class RuntimeApi:
    """The Runtime API over one kept connection."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(API)

    def call(self, method, route, body=None, headers=None):
        self.connection.request(method, PREFIX + route, body, headers or {})
        response = self.connection.getresponse()
        return response.headers, response.read()

    def post_error(self, route, shown):
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Function-Error-Type": shown["errorType"],
        }
        self.call("POST", route, json.dumps(shown).encode(), headers)


class InitError(Exception):
    """The handler can't be loaded: named as AWS names it."""

    def __init__(self, kind, message, stack=()):
        super().__init__(message)
        self.shown = error_response("Runtime." + kind, message, list(stack))


class ClientContext:
    """What a mobile client says about itself."""

    def __init__(self, given):
        self.custom = given.get("custom")
        self.env = given.get("env")
        self.client = given.get("client")


class Identity:
    """The Cognito identity of the caller."""

    def __init__(self, given):
        self.cognito_identity_id = given.get("cognitoIdentityId")
        self.cognito_identity_pool_id = given.get("cognitoIdentityPoolId")


class Context:
    """The second argument of a handler."""

    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        client = headers.get("Lambda-Runtime-Client-Context")
        self.client_context = ClientContext(json.loads(client)) if client else None
        self.identity = Identity(json.loads(headers.get("Lambda-Runtime-Cognito-Identity") or "{}"))
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(self._deadline - int(time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))


def error_response(kind, message, stack, request_id=""):
    return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": stack}


def stack_below(error, file):
    """The frames of a traceback, without those of this file and of the import machinery."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != file and "importlib" not in frame.filename]
    return traceback.format_list(own)


def log_error(shown):
    lines = [f"[ERROR] {shown['errorType']}: {shown['errorMessage']}"]
    if shown["stackTrace"]:
        lines += ["Traceback (most recent call last):", "".join(shown["stackTrace"]).rstrip("\n")]
    print("\n".join(lines), flush=True)


class LogHandler(logging.Handler):
    """Writes records as AWS does: level, time, request id, message."""

    request_id = ""

    def emit(self, record):
        sys.stdout.write(self.format(record) + "\n")
        sys.stdout.flush()

    def format(self, record):
        record.aws_request_id = LogHandler.request_id
        return super().format(record)


def set_up_logging():
    handler = LogHandler()
    pattern = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
    formatter = logging.Formatter(pattern, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)


def load_handler(text):
    try:
        module_name, function_name = text.rsplit(".", 1)
    except ValueError as error:
        raise InitError("MalformedHandlerName", f"Bad handler '{text}': {error}") from error
    module_name = module_name.replace("/", ".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        raise InitError("ImportModuleError", message, stack_below(error, __file__)) from error
    except SyntaxError as error:
        stack = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text or ""}\n']
        message = f"Syntax error in module '{module_name}': {error}"
        raise InitError("UserCodeSyntaxError", message, stack) from error
    try:
        return getattr(module, function_name)
    except AttributeError as error:
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        raise InitError("HandlerNotFound", message) from error


def encode(result):
    try:
        return json.dumps(result, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        message = f"Unable to marshal response: {error}"
        raise InitError("MarshalError", message) from error


def handle(api, handler, headers, body):
    request_id = headers["Lambda-Runtime-Aws-Request-Id"]
    LogHandler.request_id = request_id
    os.environ["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id") or ""
    shown = None
    try:
        answer = encode(handler(json.loads(body), Context(headers)))
    except InitError as error:
        shown = dict(error.shown, requestId=request_id)
    except Exception as error:  # every error of the handler is the caller's to see
        shown = error_response(type(error).__name__, str(error), stack_below(error, __file__), request_id)
    if shown:
        log_error(shown)
    sys.stdout.flush()
    sys.stderr.flush()
    if shown:
        api.post_error(f"invocation/{request_id}/error", shown)
    else:
        api.call("POST", f"invocation/{request_id}/response", answer, {"Content-Type": "application/json"})


def main():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    # The code, in the place of this file's directory.
    sys.path[0] = ROOT
    set_up_logging()
    api = RuntimeApi()
    try:
        handler = load_handler(os.environ.get("_HANDLER", ""))
    except InitError as error:
        shown = error.shown
    except Exception as error:  # the module's own error while it loads
        shown = error_response(type(error).__name__, str(error), stack_below(error, __file__))
    else:
        shown = None
    if shown:
        log_error(shown)
        api.post_error("init/error", shown)
        sys.exit(1)
    while True:
        headers, body = api.call("GET", "invocation/next")
        handle(api, handler, headers, body)


if __name__ == "__main__":
    try:
        main()
    except (ConnectionError, http.client.HTTPException):
        # The local cloud is gone.
        sys.exit(1)
