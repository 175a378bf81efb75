//! Handlers in JavaScript and Python, run by the interpreters of this machine.

use serde_json::{Value, json};

use crate::support::{Bench, installed};

const INDEX_JS: &str = r#"
const util = require('./lib/util');
exports.handler = async (event, context) => {
  console.log('got', event);
  if (event.boom) throw new TypeError('boom');
  return { doubled: util.double(event.n), id: context.awsRequestId, left: context.getRemainingTimeInMillis() };
};
exports.callback = (event, context, callback) => setTimeout(() => callback(null, 'called back'), 5);
exports.failing = (event, context, callback) => callback(new RangeError('out of range'));
exports.silent = () => { setTimeout(() => console.log('late'), 20); };
exports.rejecting = async () => { Promise.reject(new Error('forgotten')); await new Promise((r) => setTimeout(r, 2000)); };
exports.uncaught = async () => { setTimeout(() => { throw new Error('thrown'); }, 5); await new Promise((r) => setTimeout(r, 2000)); };
exports.exiting = () => process.exit(4);
exports.streaming = awslambda.streamifyResponse(async (event, out) => { out.write('"str'); out.end('eamed"'); });
exports.number = 7;
"#;

const NODE_FILES: &[(&str, &str)] = &[
    ("index.js", INDEX_JS),
    ("lib/util.js", "exports.double = (n) => 2 * n;"),
    ("module.mjs", "import { basename } from 'node:path'; export const handler = async () => basename('/a/b');"),
    ("esm/package.json", r#"{ "type": "module" }"#),
    ("esm/app.js", "const value = await Promise.resolve('top level'); export const handler = async () => value;"),
    ("syntax.js", "exports.handler = ("),
    ("needs.js", "require('not-there');"),
    ("throws.js", "throw new Error('at load');"),
];

#[tokio::test]
async fn node_handlers_answer() {
    if !installed("node") {
        return;
    }
    let bench = Bench::start().await;
    bench.create("f", "nodejs22.x", "index.handler", NODE_FILES).await;
    let answer = bench.invoke("f", &json!({ "n": 21 })).await;
    assert!(answer.log.contains("\tINFO\tgot { n: 21 }\n"), "{}", answer.log);
    let value = answer.value();
    assert_eq!(value["doubled"], 42);
    assert!(value["left"].as_u64().unwrap() > 1_000);
    for (handler, expected) in [
        ("index.callback", json!("called back")),
        ("index.silent", Value::Null),
        ("index.streaming", json!("streamed")),
        ("module.handler", json!("b")),
        ("esm/app.handler", json!("top level")),
    ] {
        bench.set_handler("f", handler).await;
        assert_eq!(bench.invoke("f", &json!({})).await.value(), expected, "{handler}");
    }
}

#[tokio::test]
async fn node_errors_have_their_names() {
    if !installed("node") {
        return;
    }
    let bench = Bench::start().await;
    bench.create("f", "nodejs22.x", "index.handler", NODE_FILES).await;
    let failed = bench.invoke("f", &json!({ "boom": true })).await;
    assert_eq!((failed.error_type(), failed.error_message()), ("TypeError", "boom"));
    assert!(failed.result["trace"][1].as_str().unwrap().contains("index.js:5"));
    assert!(failed.log.contains("\tERROR\tInvoke Error \t{\"errorType\":\"TypeError\""), "{}", failed.log);
    for (handler, expected) in [
        ("index.failing", "RangeError"),
        ("index.rejecting", "Runtime.UnhandledPromiseRejection"),
        ("index.uncaught", "Error"),
        ("index.exiting", "Runtime.ExitError"),
        ("index.missing", "Runtime.HandlerNotFound"),
        ("index.number", "Runtime.HandlerNotFound"),
        ("absent.handler", "Runtime.ImportModuleError"),
        ("needs.handler", "Runtime.ImportModuleError"),
        ("syntax.handler", "Runtime.UserCodeSyntaxError"),
        ("throws.handler", "Error"),
        ("nodot", "Runtime.MalformedHandlerName"),
    ] {
        bench.set_handler("f", handler).await;
        assert_eq!(bench.invoke("f", &json!({})).await.error_type(), expected, "{handler}");
    }
}

const APP_PY: &str = r#"
import logging
import os
import sys

from package import helper

logging.getLogger().setLevel("INFO")


def handler(event, context):
    print("got", event)
    logging.info("noted é")
    if event.get("boom"):
        raise ValueError("boom")
    if event.get("exit"):
        os._exit(4)
    return {"doubled": helper.double(event["n"]), "id": context.aws_request_id,
            "left": context.get_remaining_time_in_millis(), "name": context.function_name, "text": "é"}


def unmarshallable(event, context):
    return {1, 2}
"#;

const PYTHON_FILES: &[(&str, &str)] = &[
    ("app.py", APP_PY),
    ("package/__init__.py", ""),
    ("package/helper.py", "def double(n):\n    return 2 * n\n\n\ndef handler(event, context):\n    return __name__\n"),
    ("syntax.py", "def ("),
    ("needs.py", "import not_there"),
    ("throws.py", "raise KeyError('at load')"),
];

#[tokio::test]
async fn python_handlers_answer() {
    if !installed("python3") {
        return;
    }
    let bench = Bench::start().await;
    bench.create("f", "python3.12", "app.handler", PYTHON_FILES).await;
    let answer = bench.invoke("f", &json!({ "n": 21 })).await;
    assert!(answer.log.contains("\ngot {'n': 21}\n"), "{}", answer.log);
    assert!(answer.log.contains("\tnoted é\n"), "{}", answer.log);
    let value = answer.value();
    assert_eq!((&value["doubled"], &value["name"], &value["text"]), (&json!(42), &json!("f"), &json!("é")));
    assert!(value["left"].as_u64().unwrap() > 1_000);
    for handler in ["package/helper.handler", "package.helper.handler"] {
        bench.set_handler("f", handler).await;
        assert_eq!(bench.invoke("f", &json!({})).await.value(), "package.helper", "{handler}");
    }
}

#[tokio::test]
async fn python_errors_have_their_names() {
    if !installed("python3") {
        return;
    }
    let bench = Bench::start().await;
    bench.create("f", "python3.12", "app.handler", PYTHON_FILES).await;
    let failed = bench.invoke("f", &json!({ "boom": true })).await;
    assert_eq!((failed.error_type(), failed.error_message()), ("ValueError", "boom"));
    assert!(failed.result["stackTrace"][0].as_str().unwrap().contains("raise ValueError"));
    assert!(failed.log.contains("[ERROR] ValueError: boom\nTraceback (most recent call last):\n"), "{}", failed.log);
    assert_eq!(bench.invoke("f", &json!({ "exit": true })).await.error_type(), "Runtime.ExitError");
    for (handler, expected) in [
        ("app.unmarshallable", "Runtime.MarshalError"),
        ("app.missing", "Runtime.HandlerNotFound"),
        ("absent.handler", "Runtime.ImportModuleError"),
        ("needs.handler", "Runtime.ImportModuleError"),
        ("syntax.handler", "Runtime.UserCodeSyntaxError"),
        ("throws.handler", "KeyError"),
        ("nodot", "Runtime.MalformedHandlerName"),
    ] {
        bench.set_handler("f", handler).await;
        assert_eq!(bench.invoke("f", &json!({})).await.error_type(), expected, "{handler}");
    }
}
