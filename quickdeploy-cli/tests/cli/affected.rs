//! `affected = "traced"`: only the functions that may load or read something of what changed are updated.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::{FunctionCode, Runtime, S3ObjectStorageMode};
use local_cloud::{Action, Fault};
use serde_json::{Value, json};

use crate::world::{BUCKET, KEY, Ran, World, sha256, zip_of};

const FILES: [(&str, &str); 6] = [
    ("a.js", "const shared = require('./lib/shared');\nrequire('./lib/of-a');\nexports.handler = async () => 'a';\n"),
    ("b.js", "const shared = require('./lib/shared');\nexports.handler = async () => 'b';\n"),
    ("lib/shared.js", "exports.shared = 1;\n"),
    ("lib/of-a.js", "exports.a = 1;\n"),
    ("page.html", "<p>\n"),
    ("public/app.js", "console.log('in a browser');\n"),
];

/// A project of these files, of which two functions with a handler each run the artifact.
async fn world_of(files: &[(&str, &str)], in_artifact_only: &[(&str, &str)]) -> World {
    let world = World::with_functions(&[]).await;
    for name in ["start.js", "stop.js", "util.js"] {
        std::fs::remove_file(world.project.path().join(name)).unwrap();
    }
    for (name, content) in files {
        world.write(name, content);
    }
    configure(&world, "affected = \"traced\"\n");
    let entries = in_artifact_only.iter().chain(files).map(|(name, content)| (*name, content.as_bytes().to_vec()));
    put(&world, zip_of(entries)).await;
    for name in ["a", "b"] {
        create(&world, name, None).await;
    }
    world.cloud.clear_requests();
    world
}

async fn world() -> World {
    world_of(&FILES, &[]).await
}

fn configure(world: &World, more: &str) {
    let config = format!(
        "artifact = \"s3://{BUCKET}/{KEY}\"\nfunctions = [\"a\", \"b\"]\nvia = \"direct\"\nexclude = [\"node_modules\"]\n"
    );
    world.write("quickdeploy.toml", &format!("{config}{more}"));
}

async fn put(world: &World, artifact: Vec<u8>) {
    world.s3.put_object().bucket(BUCKET).key(KEY).body(artifact.into()).send().await.unwrap();
}

async fn create(world: &World, name: &str, mode: Option<S3ObjectStorageMode>) {
    let code = FunctionCode::builder().s3_bucket(BUCKET).s3_key(KEY).set_s3_object_storage_mode(mode).build();
    let create = world.lambda.create_function().function_name(name).role("arn:aws:iam::000000000000:role/test");
    create.runtime(Runtime::Nodejs22x).handler(format!("{name}.handler")).code(code).send().await.unwrap();
}

/// As on a machine that never deployed this.
fn forget(world: &World) {
    std::fs::remove_dir_all(world.project.path().join(".quickdeploy")).unwrap();
}

fn statuses(ran: &Ran) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let document = ran.json();
    let functions = document["functions"].as_array().unwrap();
    functions.iter().map(|function| (text(&function["name"]), text(&function["status"]))).collect()
}

fn both(a: &str, b: &str) -> BTreeMap<String, String> {
    [("a".to_owned(), a.to_owned()), ("b".to_owned(), b.to_owned())].into()
}

async fn deploy(world: &World) -> Ran {
    world.run(&["--json"]).await.expect_code(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handlers_own_file_updates_its_function_and_a_shared_one_both() {
    let world = world().await;
    let before = world.live("b").await;
    world.write("lib/of-a.js", "exports.a = 2;\n");
    let ran = deploy(&world).await;
    assert_eq!(statuses(&ran), both("live", "unaffected"));
    assert_eq!(ran.json()["functions"][0]["reason"], "a.js → lib/of-a.js");
    assert_eq!(ran.json()["functions"][1]["reason"], "does not load the changed file");
    assert_eq!(world.live("b").await, before);

    world.write("lib/shared.js", "exports.shared = 2;\n");
    assert_eq!(statuses(&deploy(&world).await), both("live", "live"));
    assert_eq!(world.live("a").await, world.live("b").await);
    assert_eq!(world.live("b").await.0, sha256(&world.artifact().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_left_on_older_code_is_known_for_that_on_any_machine() {
    let world = world().await;
    world.write("lib/of-a.js", "exports.a = 2;\n");
    deploy(&world).await;

    forget(&world);
    world.cloud.clear_requests();
    let ran = deploy(&world).await;
    assert_eq!(statuses(&ran), both("current", "unaffected"));
    world.assert_nothing_was_changed();
    // Only the ends of the two zips that the functions run were read, and the artifact's for the comparison.
    let downloads = world.requests("DownloadCode");
    assert_eq!(downloads.iter().map(|download| download.status).collect::<Vec<_>>(), [206, 206]);
    assert_eq!(world.requests("GetObject").len(), 1);

    // And the change that b never got reaches it together with the first one that it loads.
    forget(&world);
    world.write("b.js", "require('./lib/of-a');\n");
    assert_eq!(statuses(&deploy(&world).await), both("unaffected", "live"));
    assert_eq!(world.live("b").await.0, sha256(&world.artifact().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_remembers_the_artifact_asks_for_nothing_more_than_without_tracing() {
    let world = world().await;
    // It learns the hash here.
    world.write("lib/shared.js", "exports.shared = 2;\n");
    deploy(&world).await;
    let mut requests = Vec::new();
    for (edit, affected) in [("// 1\n", "all"), ("// 22\n", "traced")] {
        configure(&world, &format!("affected = \"{affected}\"\n"));
        world.write("lib/shared.js", edit);
        world.cloud.clear_requests();
        assert_eq!(statuses(&deploy(&world).await), both("live", "live"));
        let count = |operation: &str| world.requests(operation).len();
        requests.push(["GetObject", "PutObject", "DownloadCode", "UpdateFunctionCode"].map(count));
    }
    assert_eq!(requests[0], requests[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computed_require_affects_its_function_whatever_changed() {
    let world = world().await;
    world.write("b.js", "exports.handler = async (event) => require(event.name);\n");
    deploy(&world).await;
    world.write("lib/of-a.js", "exports.a = 2;\n");
    let ran = deploy(&world).await;
    assert_eq!(statuses(&ran), both("live", "live"));
    assert_eq!(ran.json()["functions"][1]["reason"], "may load any file: b.js:1 requires a computed name");

    configure(&world, "affected = \"traced\"\nassume-static = [\"b.js\"]\n");
    world.write("lib/of-a.js", "exports.a = 3;\n");
    assert_eq!(statuses(&deploy(&world).await), both("live", "unaffected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_read_as_data_affects_every_function() {
    let world = world().await;
    for (name, content) in [("page.html", "<b>\n"), ("public/app.js", "alert();\n"), ("new.json", "{}\n")] {
        world.write(name, content);
        assert_eq!(statuses(&deploy(&world).await), both("live", "live"), "{name}");
    }
    std::fs::remove_file(world.project.path().join("public/app.js")).unwrap();
    assert_eq!(statuses(&deploy(&world).await), both("live", "live"));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_updated_on_demand() {
    let world = world().await;
    world.write("lib/of-a.js", "exports.a = 2;\n");
    let ran = world.run(&["deploy", "--all", "--json"]).await.expect_code(0);
    assert_eq!(statuses(&ran), both("live", "live"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_affected_function_that_failed_is_picked_up_by_the_next_run() {
    let world = world().await;
    world.write("lib/shared.js", "exports.shared = 2;\n");
    let refused = Action::Respond { status: 403, code: "AccessDeniedException" };
    world.cloud.faults().inject(Fault::on("UpdateFunctionCode").about("b").always().then(refused));
    assert_eq!(statuses(&world.run(&["--json"]).await.expect_code(1)), both("live", "failed"));
    world.cloud.faults().clear();
    assert_eq!(statuses(&deploy(&world).await), both("current", "live"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_runs_and_can_not_be_read_counts_as_affected() {
    let world = world().await;
    let refused = Action::Respond { status: 403, code: "AccessDenied" };
    world.cloud.faults().inject(Fault::on("DownloadCode").always().then(refused));
    world.write("lib/of-a.js", "exports.a = 2;\n");
    let ran = deploy(&world).await;
    assert_eq!(statuses(&ran), both("live", "live"));
    let reason = ran.json()["functions"][1]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("what it runs could not be read: ") && reason.ends_with("HTTP status 403"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_installed_here_is_read_from_the_artifact_in_one_go() {
    let packages = [
        ("node_modules/p/package.json", r#"{"main": "lib/main"}"#),
        ("node_modules/p/lib/main.js", "require('./next');\n"),
        ("node_modules/p/lib/next.js", "exports.p = 1;\n"),
    ];
    let files = [("a.js", "require('p'); require('./own');\n"), ("b.js", "require('p');\n"), ("own.js", "\n")];
    let world = world_of(&files, &packages).await;
    // Incompressible and before everything else, so that the packages don't come with the artifact's tail.
    let mut random = fastrand::Rng::with_seed(1);
    let large: Vec<u8> = (0..700_000).map(|_| random.u8(..)).collect();
    let text = |(name, content): &(&'static str, &'static str)| (*name, content.as_bytes().to_vec());
    let entries = packages.iter().map(text).chain([("large.bin", large)]).chain(files.iter().map(text));
    put(&world, zip_of(entries)).await;
    assert_eq!(statuses(&deploy(&world).await), both("live", "live"));

    world.write("own.js", "// edited\n");
    world.cloud.clear_requests();
    let ran = world.run(&["--json", "--dry-run"]).await.expect_code(0);
    assert_eq!(statuses(&ran), both("stale", "unaffected"));
    assert_eq!(world.requests("GetObject").len(), 1, "the packages; the tail was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_references_the_object_is_compared_with_its_version() {
    let world = world_of(&FILES, &[]).await;
    world.lambda.delete_function().function_name("b").send().await.unwrap();
    create(&world, "b", Some(S3ObjectStorageMode::Reference)).await;
    world.write("lib/of-a.js", "exports.a = 2;\n");
    assert_eq!(statuses(&deploy(&world).await), both("live", "unaffected"));
    forget(&world);
    world.cloud.clear_requests();
    assert_eq!(statuses(&deploy(&world).await), both("current", "unaffected"));
    world.assert_nothing_was_changed();
    assert_eq!(world.requests("GetObject").len(), 2, "the artifact's tail and that of the version");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_another_changed_meanwhile_is_looked_at_again() {
    let world = world().await;
    let conflict = Action::Respond { status: 412, code: "PreconditionFailed" };
    world.cloud.faults().inject(Fault::on("PutObject").times(1).then(conflict));
    world.write("lib/of-a.js", "exports.a = 2;\n");
    world.cloud.clear_requests();
    let ran = deploy(&world).await;
    // Nobody had changed it after all.
    assert_eq!(statuses(&ran), both("live", "unaffected"));
    assert_eq!(ran.json()["patch"]["attempts"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_files_in_another_zip_are_no_reason_to_update() {
    let world = world().await;
    let mut files = FILES.to_vec();
    files.reverse();
    put(&world, zip_of(files.iter().map(|(name, content)| (*name, content.as_bytes().to_vec())))).await;
    world.cloud.clear_requests();
    let ran = deploy(&world).await;
    assert!(statuses(&ran).values().all(|status| status != "live"), "{ran:?}");
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_says_what_each_file_affects_and_why() {
    let world = world().await;
    world.write("lib/shared.js", "exports.shared = 2;\n");
    world.write("lib/of-a.js", "exports.a = 2;\n");
    let ran = world.run(&["diff", "--json"]).await.expect_code(0);
    assert_eq!(
        ran.json()["affects"],
        json!([
            { "name": "lib/of-a.js", "affects": [{ "function": "a", "why": "a.js → lib/of-a.js" }] },
            { "name": "lib/shared.js", "affects": [
                { "function": "a", "why": "a.js → lib/shared.js" },
                { "function": "b", "why": "b.js → lib/shared.js" },
            ] },
        ])
    );
    assert_eq!(
        ran.json()["functions"],
        json!([
            { "name": "a", "affected": true, "reason": "a.js → lib/of-a.js" },
            { "name": "b", "affected": true, "reason": "b.js → lib/shared.js" },
        ])
    );
    let shown = world.run(&["diff"]).await.expect_code(0);
    assert_eq!(
        shown.stdout,
        "M lib/of-a.js  15 B\n    a: a.js → lib/of-a.js\n\
         M lib/shared.js  20 B\n    a: a.js → lib/shared.js\n    b: b.js → lib/shared.js\n"
    );
    assert!(shown.stderr.contains("Affects 2 of 2 functions"), "{}", shown.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn diff_looks_at_functions_only_when_they_are_traced_or_asked_for() {
    let world = world().await;
    configure(&world, "");
    world.write("lib/of-a.js", "exports.a = 2;\n");
    let ran = world.run(&["diff", "--json"]).await.expect_code(0);
    assert_eq!(ran.json()["affects"], Value::Null);
    assert!(world.requests("GetFunction").is_empty());
    let ran = world.run(&["diff", "--functions", "--json"]).await.expect_code(0);
    assert_eq!(ran.json()["functions"][1]["affected"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_location_is_never_shown() {
    let world = world().await;
    world.write("lib/of-a.js", "exports.a = 2;\n");
    for arguments in [&["diff", "-v"] as &[&str], &["-v", "--json"]] {
        let ran = world.run(arguments).await.expect_code(0);
        assert!(!ran.stdout.contains("2015-03-31/code") && !ran.stderr.contains("2015-03-31/code"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_artifacts_are_traced_without_being_asked() {
    let world = world().await;
    world.write(
        "quickdeploy.toml",
        &format!(
            "via = \"direct\"\n[artifacts.only]\nartifact = \"s3://{BUCKET}/{KEY}\"\nfunctions = [\"a\", \"b\"]\n"
        ),
    );
    world.write("lib/of-a.js", "exports.a = 2;\n");
    let document = deploy(&world).await.json();
    let statuses: Vec<&Value> =
        document["artifacts"][0]["functions"].as_array().unwrap().iter().map(|function| &function["status"]).collect();
    assert_eq!(statuses, ["live", "unaffected"]);
}

async fn standing(world: &World) -> Value {
    world.run(&["status", "--exit-code", "--json"]).await.expect_code(0).json()
}

fn states(document: &Value) -> Vec<(&str, &str)> {
    let functions = document["functions"].as_array().unwrap();
    functions.iter().map(|it| (it["name"].as_str().unwrap(), it["state"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_knows_who_was_left_on_older_code_on_purpose() {
    let world = world().await;
    world.write("lib/of-a.js", "exports.a = 'longer';\n");
    deploy(&world).await;
    world.cloud.clear_requests();
    let document = standing(&world).await;
    assert_eq!(states(&document), [("a", "live"), ("b", "unaffected")]);
    assert_eq!((&document["clean"], &document["functions"][0]["reason"]), (&json!(true), &Value::Null));
    assert_eq!(document["functions"][1]["reason"], "does not load the changed file");
    assert_eq!(document["functions"][1]["versionsBehind"], 1);
    // Only the one that doesn't run the artifact was read, and of that the end.
    assert_eq!(world.requests("DownloadCode").iter().map(|it| it.status).collect::<Vec<_>>(), [206]);
    assert_eq!(world.requests("GetObject").len(), 0, "the artifact's tail was kept");

    let shown = world.run(&["status"]).await.expect_code(0);
    assert!(shown.stdout.contains("Not affected b: does not load the changed file\n"), "{}", shown.stdout);
    assert!(shown.stderr.contains("nothing to do: 1 function live, 1 not affected"), "{}", shown.stderr);

    // On a machine that never deployed this, too.
    forget(&world);
    assert_eq!(states(&standing(&world).await), [("a", "live"), ("b", "unaffected")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_reads_no_function_that_runs_the_artifact() {
    let world = world().await;
    world.write("lib/shared.js", "exports.shared = 'longer';\n");
    deploy(&world).await;
    world.cloud.clear_requests();
    assert_eq!(states(&standing(&world).await), [("a", "live"), ("b", "live")]);
    assert!(world.requests("DownloadCode").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_why_a_function_is_stale() {
    let world = world().await;
    world.write("lib/shared.js", "exports.shared = 'longer';\n");
    world.run(&["--function", "a"]).await.expect_code(0);
    // What isn't deployed yet makes nobody stale.
    world.write("a.js", "// edited, and not deployed\n");
    let ran = world.run(&["status", "--exit-code", "--json"]).await.expect_code(1);
    let document = ran.json();
    assert_eq!(states(&document), [("a", "live"), ("b", "stale")]);
    assert_eq!(document["functions"][1]["reason"], "b.js → lib/shared.js");
    let shown = world.run(&["status"]).await.expect_code(0);
    assert!(shown.stdout.contains("Stale b: b.js → lib/shared.js\n"), "{}", shown.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_updates_those_that_the_step_back_affects() {
    let world = world().await;
    let original = world.live("b").await;
    world.write("lib/of-a.js", "exports.a = 2;\n");
    deploy(&world).await;
    let dry = world.run(&["rollback", "--dry-run", "--json"]).await.expect_code(0);
    assert_eq!(statuses(&dry), both("stale", "unaffected"));
    world.cloud.clear_requests();
    let ran = world.run(&["rollback", "--json"]).await.expect_code(0);
    // `b` had never left the version that it went back to.
    assert_eq!(world.requests("UpdateFunctionCode").len(), 1);
    assert_eq!(statuses(&ran)["a"], "live");
    assert_eq!(ran.json()["functions"][0]["reason"], "a.js → lib/of-a.js");
    assert_eq!((world.live("a").await, world.live("b").await), (original.clone(), original));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_leaves_who_loads_nothing_of_it_and_updates_all_on_demand() {
    let world = world().await;
    let before = world.live("b").await;
    for content in ["exports.a = 'one';\n", "exports.a = 'the newest';\n"] {
        world.write("lib/of-a.js", content);
        deploy(&world).await;
    }
    let ran = world.run(&["rollback", "--json"]).await.expect_code(0);
    assert_eq!(statuses(&ran), both("live", "unaffected"));
    assert_eq!(ran.json()["functions"][1]["reason"], "does not load the changed file");
    assert!(ran.stderr.contains("1 of 2 functions updated, 1 not affected"), "{}", ran.stderr);
    assert_eq!(world.live("b").await, before);
    // What it left alone, `status` leaves alone, too.
    let states_now = world.run(&["status", "--json"]).await.expect_code(0).json();
    assert_eq!(states(&states_now), [("a", "live"), ("b", "unaffected")]);

    let ran = world.run(&["deploy", "--all", "--json"]).await.expect_code(0);
    assert_eq!(statuses(&ran), both("live", "live"));
    let ran = world.run(&["rollback", "--all", "--json"]).await.expect_code(0);
    assert_eq!(statuses(&ran), both("live", "live"));
    assert_eq!(world.live("a").await, world.live("b").await);
    assert_eq!(world.live("b").await.0, sha256(&world.artifact().await));
}
