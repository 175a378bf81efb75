//! `kill -9` at every request: the process is gone from one moment to the next, with the request asked for or carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_lambda::types::{FunctionCode, Runtime};
use bytes::Bytes;
use futures::StreamExt as _;
use local_cloud::{Action, Fault, Record};
use quickdeploy_tests::archives::{contents, noise, project};
use quickdeploy_tests::cli::{cli, write};
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use tokio::process::{Child, Command};

use super::At;

pub(super) const KEY: &str = "artifact.zip";

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    PatchSmall,
    PatchSplice,
    PatchRewrite,
    Deploy,
    Rollback,
    Full,
}

impl Verb {
    pub(super) const ALL: [Verb; 6] =
        [Verb::PatchSmall, Verb::PatchSplice, Verb::PatchRewrite, Verb::Deploy, Verb::Rollback, Verb::Full];

    pub(super) fn arguments(self) -> Vec<String> {
        let patch = |names: &[&str]| {
            let puts = names.iter().flat_map(|name| ["--put".to_owned(), format!("{name}=edited.js")]);
            ["patch".to_owned(), format!("s3://{BUCKET}/{KEY}")].into_iter().chain(puts).collect()
        };
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        match self {
            Verb::PatchSmall | Verb::PatchSplice => patch(&["handlers/stop.js", "added.js"]),
            Verb::PatchRewrite => patch(&[
                "node_modules/package-00000/index.js",
                "node_modules/package-00010/index.js",
                "node_modules/package-00020/index.js",
            ]),
            Verb::Deploy => words(&["deploy", "--via", "direct"]),
            Verb::Rollback => words(&["rollback"]),
            Verb::Full => words(&["full"]),
        }
    }
}

/// A cloud and a directory in which the verb can be run.
pub(super) struct Stage {
    pub(super) cloud: Cloud,
    directory: tempfile::TempDir,
    pub(super) before: Bytes,
}

impl Stage {
    pub(super) async fn set(verb: Verb) -> Self {
        let cloud = Cloud::start().await;
        cloud.keep_versions().await;
        let directory = tempfile::tempdir().unwrap();
        let before = match verb {
            Verb::PatchSmall | Verb::Deploy | Verb::Rollback | Verb::Full => project(3, 1000),
            Verb::PatchSplice | Verb::PatchRewrite => project(22, 400_000),
        };
        if verb == Verb::Rollback {
            cloud.put(KEY, project(4, 1000)).await;
        }
        cloud.put(KEY, before.clone()).await;
        let stage = Self { cloud, directory, before };
        match verb {
            Verb::PatchSmall | Verb::PatchSplice | Verb::PatchRewrite => stage.write("edited.js", b"// edited\n"),
            Verb::Deploy | Verb::Rollback => {
                let handler = b"exports.handler = async () => 1;\n";
                stage.write("handlers/stop.js", handler);
                stage.configure("").await;
            }
            Verb::Full => {
                stage.write("index.js", b"exports.handler = async () => 1;\n");
                stage.write("large.bin", &noise(1, 17 << 20));
                stage.configure("build = \"true\"\n").await;
            }
        }
        stage.cloud.clear_requests();
        stage
    }

    fn write(&self, name: &str, content: &[u8]) {
        write(self.directory.path(), name, content);
    }

    async fn configure(&self, more: &str) {
        self.write(
            "quickdeploy.toml",
            format!("artifact = \"s3://{BUCKET}/{KEY}\"\nfunctions = [\"app\"]\n{more}").as_bytes(),
        );
        let create = self.cloud.lambda.create_function().function_name("app").handler("index.handler");
        let code = FunctionCode::builder().s3_bucket(BUCKET).s3_key(KEY).build();
        let create = create.runtime(Runtime::Nodejs22x).role("arn:aws:iam::000000000000:role/app").code(code);
        create.send().await.unwrap();
        self.cloud.settled("app").await;
    }

    pub(super) fn command(&self, arguments: &[String]) -> Command {
        cli(&self.cloud, self.directory.path(), arguments)
    }

    /// Runs the verb to its end.
    pub(super) async fn run(&self, verb: Verb) {
        let output = self.command(&verb.arguments()).output().await.unwrap();
        assert!(output.status.success(), "{verb:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The verb under way, when it has sent the request that the fault is for.
    pub(super) async fn at_the_fault(&self, verb: Verb, case: &str) -> Child {
        let mut child = self.command(&verb.arguments()).spawn().unwrap();
        while !self.cloud.requests().iter().any(|request| request.fault.is_some()) {
            assert_eq!(child.try_wait().unwrap(), None, "{case}: it ended before");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child
    }
}

/// Each request that each verb makes every time, and what the artifact has in it afterwards.
///
/// On a busy machine a connection times out now and then, and its request is sent again. That one more request isn't
/// there in the next run: so there are two, and what both of them made counts.
pub(super) async fn every_request() -> Vec<(Verb, At, BTreeMap<String, (Vec<u8>, Option<u32>)>)> {
    let mut cases = Vec::new();
    for verb in Verb::ALL {
        let ((first, after), (second, _)) = (requests_of(verb).await, requests_of(verb).await);
        println!("{verb:?}: {}", first.iter().map(|it| it.operation.as_str()).collect::<Vec<_>>().join(", "));
        let second: BTreeSet<_> = At::each(&second).into_iter().map(|at| (at.operation, at.nth)).collect();
        let both = At::each(&first).into_iter().filter(|at| second.contains(&(at.operation.clone(), at.nth)));
        cases.extend(both.map(|at| (verb, at, after.clone())));
    }
    cases
}

/// What the verb asks for when nothing goes wrong, and what it makes of the artifact.
async fn requests_of(verb: Verb) -> (Vec<Record>, BTreeMap<String, (Vec<u8>, Option<u32>)>) {
    let stage = Stage::set(verb).await;
    stage.run(verb).await;
    // GetFunction is asked for until it says what is waited for: how often is a matter of time.
    let mut requests = stage.cloud.requests();
    requests.retain(|request| request.operation != "GetFunction");
    (requests, contents(&stage.cloud.get(KEY).await))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_any_request_leaves_a_whole_artifact_and_the_next_run_converges() {
    let mut cases = Vec::new();
    for (verb, at, after) in every_request().await {
        for action in [Action::Stall, Action::StallAfter] {
            cases.push((verb, at.clone(), action, after.clone()));
        }
    }
    let count = cases.len();
    let done: Vec<_> = futures::stream::iter(cases)
        .map(|(verb, at, action, after)| async move {
            let stage = Stage::set(verb).await;
            stage.cloud.faults().inject(Fault::on(&at.operation).nth(at.nth).then(action));
            let case = format!("{verb:?} killed at {} {}, {action}", at.operation, at.nth);
            stage.at_the_fault(verb, &case).await.kill().await.unwrap();
            stage.cloud.faults().clear();

            let held = stage.cloud.get(KEY).await;
            let changed = held != stage.before;
            assert!(!changed || contents(&held) == after, "{case}: the artifact is neither the old nor the new one");
            let left = stage.cloud.open_uploads().await;
            let begun = matches!(verb, Verb::PatchSplice | Verb::PatchRewrite | Verb::Full);
            assert!(left <= usize::from(begun && !changed), "{case}: {left} uploads are left");

            // A rollback that is done has to be told where to: the version before it is the one that it took away.
            if verb != Verb::Rollback || !changed {
                stage.run(verb).await;
            }
            assert_eq!(contents(&stage.cloud.get(KEY).await), after, "{case}: another run doesn't get there");
            assert_eq!(stage.cloud.open_uploads().await, left, "{case}: another run leaves uploads");
            if left > 0 && verb == Verb::Full {
                let doctor = stage.command(&["doctor".to_owned(), "--json".to_owned()]).output().await.unwrap();
                let found: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
                let found = found.to_string();
                assert!(found.contains(&format!("{left} upload under way: s3://{BUCKET}/{KEY}")), "{case}: {found}");
            }
            (changed, left)
        })
        .buffer_unordered(6)
        .collect()
        .await;
    let changed = done.iter().filter(|(changed, _)| *changed).count();
    let left: usize = done.iter().map(|(_, left)| left).sum();
    println!("{count} kills: {changed} after the commit, {left} uploads left for the doctor");
    assert!(changed > 0 && changed < count && left > 0, "the kills came all at the same time");
}
