//! Functions that survive a restart.

use http::Method;
use serde_json::{Value, json};

use super::support::{Bench, damaged, encoded, zipped};

const FILES: &[(&str, &str)] = &[("app.py", "def handler(event, context): return 1\n")];
const OTHER: &[(&str, &str)] = &[("app.py", "def handler(event, context): return 2\n")];

async fn kept_in(directory: &std::path::Path) -> Bench {
    let bench = Bench::new();
    bench.lambda.keep_in(directory.join("lambda")).await.unwrap();
    bench
}

#[tokio::test]
async fn functions_are_as_they_were_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let bench = kept_in(directory.path()).await;
    bench.create("f", "python3.12", "app.handler", FILES).await;
    bench.send(Method::POST, "/2015-03-31/functions/f/versions", json!({})).await;
    let alias = json!({ "Name": "live", "FunctionVersion": "1" });
    bench.send(Method::POST, "/2015-03-31/functions/f/aliases", alias).await;
    bench.update_code("f", json!({ "ZipFile": encoded(&zipped(OTHER)) })).await;
    let before = (bench.configuration("f").await, bench.get("/2015-03-31/functions/f/aliases").await.body);
    let hash = |shown: &Value| shown["Configuration"]["CodeSha256"].clone();
    let published = hash(&bench.get("/2015-03-31/functions/f?Qualifier=live").await.body);

    let again = kept_in(directory.path()).await;
    let mut after = (again.configuration("f").await, again.get("/2015-03-31/functions/f/aliases").await.body);
    // The end of an update isn't written down by itself: its revision may be another one.
    after.0["RevisionId"] = before.0["RevisionId"].clone();
    assert_eq!(after, before);
    assert_eq!(hash(&again.get("/2015-03-31/functions/f?Qualifier=live").await.body), published);
    assert_ne!(published, after.0["CodeSha256"]);
}

#[tokio::test]
async fn code_is_kept_once_it_is_checked_and_at_the_latest_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let bench = kept_in(directory.path()).await;
    bench.create("f", "python3.12", "app.handler", FILES).await;
    let old = bench.configuration("f").await["CodeSha256"].clone();

    let suspended = crate::lambda::integrity::suspended().await;
    let input = json!({ "ZipFile": encoded(&zipped(OTHER)) });
    let new = bench.send(Method::PUT, "/2015-03-31/functions/f/code", input).await.body["CodeSha256"].clone();
    assert_eq!(kept_in(directory.path()).await.configuration("f").await["CodeSha256"], old);
    drop(suspended);
    bench.lambda.shutdown().await;
    assert_eq!(kept_in(directory.path()).await.configuration("f").await["CodeSha256"], new);
}

#[tokio::test]
async fn damaged_code_is_never_kept() {
    let directory = tempfile::tempdir().unwrap();
    let bench = kept_in(directory.path()).await;
    bench.create("f", "python3.12", "app.handler", FILES).await;
    let old = bench.configuration("f").await["CodeSha256"].clone();
    bench.update_code("f", json!({ "ZipFile": encoded(&damaged(OTHER)) })).await;
    bench.create_from("g", "python3.12", "app.handler", json!({ "ZipFile": encoded(&damaged(OTHER)) })).await;
    let again = kept_in(directory.path()).await;
    assert_eq!(again.configuration("f").await["CodeSha256"], old);
    assert_eq!(again.get("/2015-03-31/functions/g").await.status, 404);
}

#[tokio::test]
async fn packages_that_no_function_has_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let bench = kept_in(directory.path()).await;
    bench.create("f", "python3.12", "app.handler", FILES).await;
    let files = || std::fs::read_dir(directory.path().join("lambda")).unwrap().count();
    assert_eq!(files(), 2);
    bench.update_code("f", json!({ "ZipFile": encoded(&zipped(OTHER)) })).await;
    assert_eq!(files(), 2);
    bench.send(Method::DELETE, "/2015-03-31/functions/f", Value::Null).await;
    assert_eq!(files(), 1);
    let again = kept_in(directory.path()).await;
    assert_eq!(again.get("/2015-03-31/functions/f").await.status, 404);
}

#[tokio::test]
async fn layers_are_kept_and_functions_keep_those_that_were_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let bench = kept_in(directory.path()).await;
    let versions = "/2018-10-31/layers/deps/versions";
    for text in ["1", "2"] {
        let input = json!({ "Content": { "ZipFile": encoded(&zipped(&[("n", text)])) }, "LicenseInfo": "MIT" });
        assert_eq!(bench.send(Method::POST, versions, input).await.status, 201);
    }
    bench.create("f", "python3.12", "app.handler", FILES).await;
    let arn = "arn:aws:lambda:us-east-1:000000000000:layer:deps:1";
    let configuration = "/2015-03-31/functions/f/configuration";
    let set = bench.send(Method::PUT, configuration, json!({ "Layers": [arn] })).await;
    assert_eq!(set.status, 200);
    bench.send(Method::DELETE, &format!("{versions}/1"), Value::Null).await;
    let listed = bench.get(versions).await.body;

    let again = kept_in(directory.path()).await;
    assert_eq!(again.get(versions).await.body, listed);
    assert_eq!(listed["LayerVersions"][0]["Version"], 2);
    assert_eq!(again.configuration("f").await["Layers"], set.body["Layers"]);
    let input = json!({ "Content": { "ZipFile": encoded(&zipped(&[("n", "3")])) } });
    assert_eq!(again.send(Method::POST, versions, input).await.body["Version"], 3);

    // Two versions of the layer, the function, and the version that only the function has.
    let zips = || std::fs::read_dir(directory.path().join("lambda")).unwrap().count() - 1;
    assert_eq!(zips(), 4);
    again.send(Method::PUT, configuration, json!({ "Layers": [] })).await;
    assert_eq!(zips(), 3);
}

#[tokio::test]
async fn a_damaged_package_is_named() {
    let directory = tempfile::tempdir().unwrap();
    kept_in(directory.path()).await.create("f", "python3.12", "app.handler", FILES).await;
    let packages = std::fs::read_dir(directory.path().join("lambda")).unwrap();
    let package = packages.map(|entry| entry.unwrap().path()).find(|path| path.extension().unwrap() == "zip").unwrap();
    std::fs::write(&package, zipped(OTHER)).unwrap();
    let refused = Bench::new().lambda.keep_in(directory.path().join("lambda")).await.unwrap_err();
    assert_eq!(refused.0, package);
}
