//! A store that isn't AWS's is asked which preconditions it heeds, before anything is written to it.

use std::process::Stdio;

use local_cloud::{Action, BuiltinFunction, Fault, LocalCloud, Record};
use serde_json::Value;
use tokio::process::Command;

use crate::interrupts::{interrupt, seen};
use crate::watch::Watching;
use crate::world::{BUCKET, KEY, PROGRAM, Ran, World, config};

/// What other stores ignore: moto, MiniStack, and one that ignores everything.
const MOTO: [(&str, &str); 2] =
    [("CompleteMultipartUpload", "if-match"), ("UploadPartCopy", "x-amz-copy-source-if-match")];
const MINISTACK: [(&str, &str); 2] = [("CopyObject", "if-match"), ("CopyObject", "if-none-match")];
const ALL: [(&str, &str); 9] = [
    ("GetObject", "if-match"),
    ("PutObject", "if-match"),
    ("PutObject", "if-none-match"),
    ("UploadPartCopy", "x-amz-copy-source-if-match"),
    ("CompleteMultipartUpload", "if-match"),
    ("CompleteMultipartUpload", "if-none-match"),
    ("CopyObject", "if-match"),
    ("CopyObject", "if-none-match"),
    ("CopyObject", "x-amz-copy-source-if-match"),
];

/// The program without the variable by which the other tests trust the local cloud.
fn asking(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.command(arguments);
    command.env_remove("QUICKDEPLOY_STORE_CHECK");
    command
}

async fn ask(world: &World, arguments: &[&str]) -> Ran {
    Ran::of(&asking(world, arguments).output().await.unwrap())
}

async fn assert_the_next_deployment_asks_nothing(world: &World) {
    world.cloud.clear_requests();
    world.write("start.js", "// two\n");
    ask(world, &[]).await.expect_code(0);
    assert_eq!(questions(world).len(), 0);
    assert_eq!(world.entry("start.js").await.unwrap(), "// two\n");
}

fn ignore(world: &World, preconditions: &[(&str, &'static str)]) {
    for (operation, header) in preconditions {
        world.cloud.faults().ignore(*operation, header);
    }
}

/// The requests about the store's own object, in their order.
fn questions(world: &World) -> Vec<Record> {
    let all = world.cloud.requests().into_iter();
    all.filter(|request| request.resource.as_deref().is_some_and(|it| it.contains(".quickdeploy-probe-"))).collect()
}

/// The keys in the bucket, once for each version, and what is half done there.
async fn there(world: &World) -> (Vec<String>, usize) {
    let versions = world.s3.list_object_versions().bucket(BUCKET).send().await.unwrap();
    assert!(versions.delete_markers().is_empty());
    let uploads = world.s3.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    let keys = versions.versions().iter().map(|version| version.key().unwrap().to_owned()).collect();
    (keys, uploads.uploads().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_asked_before_the_first_write_and_then_trusted() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// one\n");
    ask(&world, &["--dry-run"]).await.expect_code(0);
    assert_eq!(questions(&world).len(), 0, "a dry run has nothing to trust anybody with");

    ask(&world, &[]).await.expect_code(0);
    let asked: Vec<String> = questions(&world).into_iter().map(|request| request.operation).collect();
    assert_eq!(asked.len(), 9, "{asked:?}");
    let all = world.cloud.requests();
    let patched = all
        .iter()
        .position(|it| it.operation == "PutObject" && it.resource.as_deref() == Some("artifacts/app/app.zip"));
    let last = all.iter().rposition(|it| questions(&world).iter().any(|asked| asked.id == it.id));
    assert!(last < patched, "it was written to before the last answer was there");
    assert_eq!(there(&world).await, (vec![KEY.to_owned(); 2], 0));

    // From now on it is known, by the next commands as well.
    assert_the_next_deployment_asks_nothing(&world).await;
    // A rollback rests on something else.
    ask(&world, &["rollback"]).await.expect_code(0);
    let asked: Vec<String> = questions(&world).into_iter().map(|request| request.operation).collect();
    assert_eq!(asked.iter().filter(|operation| *operation == "CopyObject").count(), 3, "{asked:?}");
    assert_eq!(there(&world).await, (vec![KEY.to_owned(); 4], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_preconditions_is_found_out_and_not_written_to() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// one\n");
    world.run(&[]).await.expect_code(0);
    let (before, live, kept) = (world.artifact().await, world.live("a").await, there(&world).await);
    world.write("start.js", "// two\n");
    let url = format!("s3://{BUCKET}/{KEY}");
    let patch = ["patch", &url, "--put", "start.js=start.js"];
    for (ignored, arguments, named) in [
        (&MOTO[..], &["deploy"][..], "If-Match of CompleteMultipartUpload"),
        (&MOTO[1..], &["deploy", "--via", "direct"], "x-amz-copy-source-if-match of UploadPartCopy"),
        (&MOTO, &patch, "If-Match of CompleteMultipartUpload"),
        (&MOTO, &["full"], "If-Match of CompleteMultipartUpload"),
        (&MOTO, &["watch"], "If-Match of CompleteMultipartUpload"),
        (&MINISTACK, &["rollback"], "If-Match of CopyObject"),
        (&ALL, &["deploy"], "If-Match of PutObject"),
        (&ALL, &["rollback"], "If-None-Match of CopyObject"),
    ] {
        world.cloud.faults().clear();
        ignore(&world, ignored);
        // Each time another store, at the same address.
        let _ = std::fs::remove_file(world.project.path().join(".quickdeploy/stores.json"));
        let ran = ask(&world, arguments).await.expect_code(1);
        let told = format!("{arguments:?}: {}", ran.stderr);
        // On a terminal of any width.
        let words = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(named) && words.contains("nothing was written"), "{told}");
        assert!(words.contains("--store-check warn"), "{told}");
        assert_eq!((world.artifact().await, world.live("a").await), (before.clone(), live.clone()), "{told}");
        assert_eq!(there(&world).await, kept, "{told}");
    }
    let document = ask(&world, &["deploy", "--json"]).await.expect_code(1).json();
    assert_eq!(document["error"]["errorType"], "PreconditionsIgnored");

    // What a command doesn't rest on is no reason to refuse it.
    world.cloud.faults().clear();
    ignore(&world, &MINISTACK);
    for verb in ["full", "deploy"] {
        let ran = ask(&world, &[verb]).await.expect_code(0);
        assert!(!ran.stderr.contains("ignores"), "{}", ran.stderr);
    }
    assert_eq!(world.entry("start.js").await.unwrap(), "// two\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_it_all_the_same_is_warned_each_time() {
    let world = World::with_functions(&["a"]).await;
    ignore(&world, &MOTO);
    let warned = |ran: &Ran| {
        let words = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("warning") && words.contains("ignores x-amz-copy-source-if-match"), "{words}");
    };
    world.write("start.js", "// by the flag\n");
    warned(&ask(&world, &["--store-check", "warn"]).await.expect_code(0));
    world.write("start.js", "// by the variable\n");
    let ran = asking(&world, &[]).env("QUICKDEPLOY_STORE_CHECK", "warn").output().await.unwrap();
    warned(&Ran::of(&ran).expect_code(0));
    world.write("quickdeploy.toml", &format!("{}store-check = \"warn\"\n", config(&["a"], "direct")));
    world.write("start.js", "// by the file\n");
    warned(&ask(&world, &[]).await.expect_code(0));
    assert_eq!(world.entry("start.js").await.unwrap(), "// by the file\n");
    // The flag wins over the file.
    world.write("start.js", "// not written\n");
    ask(&world, &["--store-check", "refuse"]).await.expect_code(1);
    assert_eq!(world.entry("start.js").await.unwrap(), "// by the file\n");

    world.cloud.clear_requests();
    let ran = ask(&world, &["--store-check", "off"]).await.expect_code(0);
    assert!(!ran.stderr.contains("ignores"), "{}", ran.stderr);
    assert_eq!(questions(&world).len(), 0, "it was not to be asked");
    let ran = ask(&world, &["--store-check", "yes"]).await.expect_code(2);
    assert!(ran.stderr.contains("refuse, warn, off"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_a_warning_and_asked_again() {
    let world = World::with_functions(&["a"]).await;
    let denied = Action::Respond { status: 403, code: "AccessDenied" };
    world.cloud.faults().inject(Fault::on("UploadPartCopy").always().then(denied));
    for content in ["// one\n", "// two\n"] {
        world.cloud.clear_requests();
        world.write("start.js", content);
        let ran = ask(&world, &[]).await.expect_code(0);
        let words = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("heeds x-amz-copy-source-if-match of UploadPartCopy is not known"), "{words}");
        assert_eq!(world.entry("start.js").await.unwrap(), content);
        assert!(!questions(&world).is_empty());
    }
    // Only that.
    assert!(!questions(&world).iter().any(|request| request.operation == "CompleteMultipartUpload"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_nothing_is_written() {
    let world = World::with_functions(&["a"]).await;
    let (before, kept) = (world.artifact().await, there(&world).await);
    world.write("start.js", "// one\n");
    world.cloud.faults().inject(Fault::on("UploadPartCopy").always().then(Action::ResetBefore));
    let document = ask(&world, &["--json"]).await.expect_code(1).json();
    assert_eq!(document["error"]["errorType"], "Unreachable", "{document:#}");
    world.cloud.faults().clear();
    assert_eq!((world.artifact().await, there(&world).await), (before, kept));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_while_the_store_is_asked_leaves_nothing() {
    let world = World::with_functions(&["a"]).await;
    let (before, kept) = (world.artifact().await, there(&world).await);
    world.write("start.js", "// one\n");
    world.cloud.faults().inject(Fault::on("UploadPartCopy").then(Action::Stall));
    let child = asking(&world, &["--json"]).spawn().unwrap();
    seen(&world, "UploadPartCopy").await;
    interrupt(&child);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "Interrupted");
    assert_eq!((world.artifact().await, there(&world).await), (before, kept));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_asks_once_and_warns_once() {
    let world = World::with_functions(&["a"]).await;
    ignore(&world, &MOTO);
    world.write("quickdeploy.toml", &format!("{}store-check = \"warn\"\n", config(&["a"], "direct")));
    let mut command = asking(&world, &["watch", "--json"]);
    let mut watching = Watching::of(command.stderr(Stdio::piped()).spawn().unwrap());
    watching.expect("watching").await;
    world.cloud.clear_requests();
    world.write("start.js", "exports.handler = async () => 1;\n");
    watching.expect("live").await;
    let asked = questions(&world).len();
    assert!(asked > 0, "the first save is the first write");
    world.write("start.js", "exports.handler = async () => 2;\n");
    watching.expect("live").await;
    assert_eq!(questions(&world).len(), asked);
    watching.stop().await;
}

/// A world whose zipedit function asks.
async fn with_asking_function() -> World {
    let mut zipedit = BuiltinFunction::new("asking", [PROGRAM, "__bootstrap"]);
    zipedit.environment.insert("QUICKDEPLOY_STORE_CHECK".into(), "refuse".into());
    let world = World::in_cloud(&["a"], LocalCloud::builder().function(zipedit)).await;
    world.write("quickdeploy.toml", &format!("{}zipedit = \"asking\"\n", config(&["a"], "lambda")));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_zipedit_function_asks_once_per_process() {
    let world = with_asking_function().await;
    world.write("start.js", "// one\n");
    ask(&world, &[]).await.expect_code(0);
    assert_eq!(questions(&world).len(), 9, "the function asks, and nobody else");
    assert_eq!(there(&world).await, (vec![KEY.to_owned(); 2], 0));
    assert_the_next_deployment_asks_nothing(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_zipedit_function_does_not_write_to_a_store_that_ignores_preconditions() {
    let world = with_asking_function().await;
    let (before, kept) = (world.artifact().await, there(&world).await);
    ignore(&world, &MOTO);
    world.write("start.js", "// one\n");
    let document = ask(&world, &["--json"]).await.expect_code(1).json();
    assert_eq!(document["error"]["errorType"], "PreconditionsIgnored", "{document:#}");
    assert!(document["error"]["hints"].to_string().contains("QUICKDEPLOY_STORE_CHECK=warn"), "{document:#}");
    assert_eq!((world.artifact().await, there(&world).await), (before, kept));
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_a_store_ignores_and_what_to_do() {
    let world = World::with_functions(&["a"]).await;
    let finding = |document: &Value| {
        let all = document["findings"].as_array().unwrap().clone();
        let of_it: Vec<Value> = all.into_iter().filter(|finding| finding["check"] == "preconditions").collect();
        assert_eq!(of_it.len(), 1, "{document:#}");
        of_it.into_iter().next().unwrap()
    };
    let kept = there(&world).await;
    let healthy = ask(&world, &["doctor", "--json"]).await.expect_code(0).json();
    assert_eq!(finding(&healthy)["level"], "ok", "{healthy:#}");
    assert_eq!(there(&world).await, kept);

    ignore(&world, &MINISTACK);
    let document = ask(&world, &["doctor", "--json"]).await.expect_code(0).json();
    let found = finding(&document);
    assert_eq!(found["level"], "warning");
    assert!(found["message"].as_str().unwrap().contains("If-Match of CopyObject"), "{found:#}");
    assert!(found["message"].as_str().unwrap().contains("rollback"), "{found:#}");

    world.cloud.faults().clear();
    ignore(&world, &MOTO);
    let document = ask(&world, &["doctor", "--json"]).await.expect_code(1).json();
    let found = finding(&document);
    assert_eq!(found["level"], "failed");
    assert!(found["message"].as_str().unwrap().contains("If-Match of CompleteMultipartUpload"), "{found:#}");
    assert!(found["mend"].to_string().contains("--store-check warn"), "{found:#}");
    let warned = ask(&world, &["doctor", "--json", "--store-check", "warn"]).await.expect_code(0).json();
    assert_eq!(finding(&warned)["level"], "warning");
    assert_eq!(there(&world).await, kept);
}
