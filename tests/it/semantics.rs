//! `docs/SEMANTICS.md`: its sentences are tests. Those that no other file has are here.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_sdk_lambda::types::{FunctionCode, Runtime};
use bytes::Bytes;
use local_cloud::{Action, Fault};
use quickdeploy_tests::archives::{contents, project};
use quickdeploy_tests::binaries::root;
use quickdeploy_tests::cli::{cli, write};
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use sha2::{Digest as _, Sha256};
use zipedit::{Error, Object as _, Options, Stamp, Stop, Store as _, edit};

use crate::strategies::puts;

const KEY: &str = "artifact.zip";

#[test]
fn every_sentence_is_a_test() {
    let text = std::fs::read_to_string(root().join("docs/SEMANTICS.md")).unwrap();
    let sentences: Vec<String> = text.split("**").skip(1).step_by(2).map(name_of).collect();
    assert!(sentences.len() > 20, "the sentences are not in bold any more");
    let mut tests = BTreeSet::new();
    for directory in ["zipedit", "zipedit-lambda", "quickdeploy-cli", "tests"] {
        collect_tests(&root().join(directory), &mut tests);
    }
    let missing: Vec<_> = sentences.iter().filter(|sentence| !tests.contains(*sentence)).collect();
    assert!(missing.is_empty(), "sentences of docs/SEMANTICS.md without a test of their name: {missing:#?}");
}

/// `A put, or two.` → `a_put_or_two`.
fn name_of(sentence: &str) -> String {
    let words = sentence.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("_")
}

/// The names of the functions that a test attribute precedes.
fn collect_tests(directory: &Path, tests: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && name != "node_modules" {
            collect_tests(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let mut is_test = false;
            for line in std::fs::read_to_string(&path).unwrap().lines().map(str::trim) {
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    is_test = true;
                } else if let Some((_, function)) = line.split_once("fn ")
                    && std::mem::take(&mut is_test)
                {
                    tests.extend(function.split_once('(').map(|(name, _)| name.to_owned()));
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_gets_the_whole_old_or_the_whole_new_artifact_while_it_is_edited() {
    for body in [project(3, 1000), project(22, 400_000)] {
        let cloud = Arc::new(Cloud::start().await);
        cloud.put(KEY, body).await;
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let reading = tokio::spawn({
            let (cloud, over, count) = (Arc::clone(&cloud), Arc::clone(&over), Arc::clone(&seen));
            async move {
                let mut seen = BTreeSet::new();
                while !over.load(Ordering::Relaxed) {
                    // Whole: the reader checks every header and CRC.
                    let found = contents(&cloud.get(KEY).await);
                    let both = ["one.js", "two.js"].map(|name| found.get(name).map(|(content, _)| content.clone()));
                    assert_eq!(both[0], both[1], "one change of an edit is there without the other");
                    seen.insert(both[0].clone());
                    count.store(seen.len(), Ordering::Relaxed);
                }
            }
        });
        for round in 0.. {
            let content = format!("round {round}");
            let changes = puts([("one.js", content.as_str()), ("two.js", content.as_str())]);
            edit(&cloud.store(KEY), &changes, &Options::new()).await.unwrap();
            if round >= 8 && seen.load(Ordering::Relaxed) > 1 {
                break;
            }
            assert!(round < 1000, "the reader never saw an edit go by");
        }
        over.store(true, Ordering::Relaxed);
        reading.await.unwrap();
    }
}

#[tokio::test]
async fn an_edit_that_fails_before_its_commit_leaves_the_object_untouched() {
    for (operation, body) in [
        ("CreateMultipartUpload", project(22, 400_000)),
        ("UploadPart", project(22, 400_000)),
        ("UploadPartCopy", project(22, 400_000)),
        ("CompleteMultipartUpload", project(22, 400_000)),
        ("PutObject", project(3, 1000)),
    ] {
        let cloud = Cloud::start().await;
        cloud.keep_versions().await;
        let put = cloud.s3.put_object().bucket(BUCKET).key(KEY).body(body.clone().into());
        put.metadata("commit", "abc").tagging("team=one").content_type("application/zip").send().await.unwrap();
        let before = everything(&cloud).await;
        let refused = Action::Respond { status: 403, code: "AccessDenied" };
        cloud.faults().inject(Fault::on(operation).always().then(refused));
        let error = edit(&cloud.store(KEY), &puts([("util.js", "new")]), &Options::new()).await.unwrap_err();
        assert_eq!(error.kind(), "AccessDenied", "{operation}: {error}");
        cloud.faults().clear();
        assert_eq!(everything(&cloud).await, before, "{operation}");
        assert_eq!(cloud.get(KEY).await, body, "{operation}");
        assert_eq!(cloud.open_uploads().await, 0, "{operation}");
    }
}

/// Whatever S3 tells of the object, and how many versions there are.
async fn everything(cloud: &Cloud) -> String {
    let head = cloud.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    let tags = cloud.s3.get_object_tagging().bucket(BUCKET).key(KEY).send().await.unwrap();
    let versions = cloud.s3.list_object_versions().bucket(BUCKET).send().await.unwrap();
    let head = (head.e_tag(), head.version_id(), head.last_modified(), head.metadata(), head.content_type());
    format!("{head:?} {:?} {}", tags.tag_set(), versions.versions().len())
}

#[tokio::test]
async fn a_writer_that_never_gets_its_turn_gives_up_and_has_changed_nothing() {
    let cloud = Cloud::start().await;
    let body = project(3, 1000);
    cloud.put(KEY, body.clone()).await;
    let raced = Action::Respond { status: 412, code: "PreconditionFailed" };
    cloud.faults().inject(Fault::on("PutObject").always().then(raced));
    let error = edit(&cloud.store(KEY), &puts([("util.js", "new")]), &Options::new()).await.unwrap_err();
    let Error::Conflict { attempts, .. } = error else { panic!("{error}") };
    assert_eq!(cloud.operations().iter().filter(|operation| *operation == "PutObject").count(), attempts as usize);
    cloud.faults().clear();
    assert_eq!(cloud.get(KEY).await, body);
}

#[tokio::test]
async fn a_replacement_never_hides_what_it_has_not_seen() {
    let cloud = Cloud::start().await;
    for whole in [project(5, 1000), project(22, 400_000)] {
        cloud.put(KEY, project(3, 1000)).await;
        let store = cloud.store(KEY).stamped(Stamp::new().with("quickdeploy-at", "now").unwrap());
        let seen = store.head().await.unwrap();
        edit(&cloud.store(KEY), &puts([("theirs.js", "theirs")]), &Options::new()).await.unwrap();
        let theirs = cloud.get(KEY).await;

        let read = |range: std::ops::Range<u64>| {
            let part = whole.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
            std::future::ready(Ok(part))
        };
        let error = store.replace(&seen, whole.len() as u64, read, |_| (), &Stop::never()).await.unwrap_err();
        assert!(matches!(error, Error::Overtaken { .. }), "{error}");
        assert_eq!(cloud.get(KEY).await, theirs);
        assert_eq!(cloud.open_uploads().await, 0);

        // Having seen it, it takes its place.
        let seen = store.head().await.unwrap();
        let written = store.replace(&seen, whole.len() as u64, read, |_| (), &Stop::never()).await.unwrap();
        assert_eq!((cloud.get(KEY).await, written.size()), (whole.clone(), whole.len() as u64));
    }
}

#[tokio::test]
async fn an_answer_names_what_is_in_the_bucket_at_that_moment() {
    let cloud = Cloud::start().await;
    cloud.keep_versions().await;
    for body in [project(3, 1000), project(22, 400_000)] {
        cloud.put(KEY, body).await;
        let report = edit(&cloud.store(KEY), &puts([("util.js", "new")]), &Options::new()).await.unwrap();
        let head = cloud.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
        assert_eq!(Some(report.etag.as_str()), head.e_tag());
        assert_eq!(report.version_id.as_deref(), head.version_id());
        assert_eq!(i64::try_from(report.size).ok(), head.content_length());
        assert_eq!(report.entries, contents(&cloud.get(KEY).await).len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_get_the_version_that_the_deployment_wrote_or_one_that_came_after() {
    let cloud = Cloud::start().await;
    cloud.keep_versions().await;
    cloud.put(KEY, project(3, 1000)).await;
    for name in ["one", "two", "three"] {
        let code = FunctionCode::builder().s3_bucket(BUCKET).s3_key(KEY).build();
        let create = cloud.lambda.create_function().function_name(name).handler("util.handler").code(code);
        create.runtime(Runtime::Nodejs22x).role("arn:aws:iam::000000000000:role/app").send().await.unwrap();
        cloud.settled(name).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let config = format!("artifact = \"s3://{BUCKET}/{KEY}\"\nfunctions = [\"one\", \"two\", \"three\"]\n");
    write(directory.path(), "quickdeploy.toml", config);
    write(directory.path(), "util.js", "exports.handler = async () => 'edited';\n");
    // The functions are only updated when somebody else has written.
    cloud.faults().inject(Fault::on("UpdateFunctionCode").times(3).then(Action::Hold { gate: 1 }));
    cloud.clear_requests();
    let deploying = cli(&cloud, directory.path(), &["deploy", "--via", "direct", "--json"]).spawn().unwrap();
    while !cloud.operations().iter().any(|operation| operation == "PutObject")
        || !cloud.requests().iter().any(|request| request.operation == "UpdateFunctionCode")
    {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let written = cloud.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    edit(&cloud.store(KEY), &puts([("later.js", "later")]), &Options::new()).await.unwrap();
    let later = cloud.get(KEY).await;
    cloud.faults().open(1);
    let output = deploying.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["artifact"]["versionId"].as_str(), written.version_id(), "what it wrote");
    assert_eq!(answer["newer"]["size"], later.len(), "what came after");
    for name in ["one", "two", "three"] {
        let function = cloud.lambda.get_function_configuration().function_name(name).send().await.unwrap();
        assert_eq!(function.code_sha256(), Some(sha256(&later).as_str()), "{name}");
    }
}

/// As Lambda shows it.
fn sha256(bytes: &Bytes) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(bytes))
}
