//! `quickdeploy watch`: the program runs for the whole test, and is told about saves by the file system.

use std::time::Duration;

use local_cloud::{Action, Fault};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::schema;
use crate::world::{World, sha256};

/// A running `quickdeploy watch --json`.
pub(crate) struct Watching {
    pub(crate) child: Child,
    events: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    pub(crate) async fn start(world: &World) -> Self {
        Self::start_with(world, &[]).await
    }

    pub(crate) async fn start_with(world: &World, flags: &[&str]) -> Self {
        let mut watching = Self::begin(world, flags);
        assert_eq!(watching.next().await["event"], "watching");
        watching
    }

    /// Without waiting for anything.
    pub(crate) fn begin(world: &World, flags: &[&str]) -> Self {
        Self::of(world.command(&[&["watch", "--json"], flags].concat()).spawn().unwrap())
    }

    /// One that was started in another way.
    pub(crate) fn of(mut child: Child) -> Self {
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, events }
    }

    /// The next event, which is this one.
    pub(crate) async fn expect(&mut self, event: &str) -> Value {
        let next = self.next().await;
        assert_eq!(next["event"], event, "{next:#}");
        next
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(30), self.events.next_line()).await;
        let line = line.expect("no event for 30 s").unwrap();
        schema::described_line(&line.expect("the program has ended"))
    }

    /// Ends it by Ctrl-C; what else it had to say.
    pub(crate) async fn stop(mut self) -> Vec<Value> {
        interrupt(&self.child);
        let mut rest = Vec::new();
        while let Some(line) = self.events.next_line().await.unwrap() {
            rest.push(schema::described_line(&line));
        }
        assert_eq!(self.child.wait().await.unwrap().code(), Some(0));
        rest
    }
}

pub(crate) fn interrupt(child: &Child) {
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

pub(crate) fn files(event: &Value) -> Vec<&str> {
    event["files"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_goes_live_with_a_warm_edit_that_reads_nothing() {
    let world = World::with_functions(&["start", "stop"]).await;
    let mut watching = Watching::start(&world).await;
    world.cloud.clear_requests();
    world.write("start.js", "exports.handler = async () => 'saved';\n");
    let live = watching.next().await;
    assert_eq!((&live["event"], files(&live)), (&"live".into(), vec!["start.js"]), "{live:#}");
    assert_eq!(world.entry("start.js").await.unwrap(), "exports.handler = async () => 'saved';\n");
    let expected = sha256(&world.artifact().await);
    for name in ["start", "stop"] {
        assert_eq!(world.live(name).await.0, expected);
    }
    let patch = &live["deploy"]["patch"];
    // A look whether it is still the same object, and the commit.
    assert_eq!((&patch["bytesRead"], &patch["requests"]), (&0.into(), &2.into()), "{patch:#}");
    // Nothing was asked between the save and the update: who runs the artifact was known.
    assert!(world.requests("ListCodeSigningConfigs").is_empty() && world.requests("ListFunctions").is_empty());
    assert!(watching.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editors_atomic_rename_a_new_directory_and_a_deletion_are_saves() {
    let world = World::with_functions(&["start"]).await;
    let mut watching = Watching::start(&world).await;

    world.write(".start.js.swp", "exports.handler = async () => 'renamed';\n");
    let path = |name: &str| world.project.path().join(name);
    std::fs::rename(path(".start.js.swp"), path("start.js")).unwrap();
    assert_eq!(files(&watching.next().await), ["start.js"]);

    world.write("lib/deep/new.js", "exports.x = 1;\n");
    assert_eq!(files(&watching.next().await), ["lib/deep/new.js"]);
    world.write("lib/deep/new.js", "exports.x = 2;\n");
    assert_eq!(files(&watching.next().await), ["lib/deep/new.js"]);
    assert_eq!(world.entry("lib/deep/new.js").await.unwrap(), "exports.x = 2;\n");

    std::fs::remove_dir_all(path("lib")).unwrap();
    assert_eq!(files(&watching.next().await), ["lib/deep/new.js"]);
    assert_eq!(world.entry("lib/deep/new.js").await, None);
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_files_and_saves_without_a_change_deploy_nothing() {
    let world = World::with_functions(&["start"]).await;
    world.write(".quickdeployignore", "*.log\n/dist\n");
    let mut watching = Watching::start(&world).await;
    world.cloud.clear_requests();
    world.write("debug.log", "x");
    world.write("dist/out.js", "x");
    world.write(".quickdeploy/something", "x");
    let unchanged = std::fs::read_to_string(world.project.path().join("stop.js")).unwrap();
    world.write("stop.js", &unchanged);
    // Later than all of these: what they would have caused comes before it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.write("start.js", "exports.handler = async () => 'saved';\n");
    assert_eq!(files(&watching.next().await), ["start.js"]);
    assert_eq!(world.requests("PutObject").len(), 1);
    assert!(watching.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_during_a_deployment_are_all_in_the_one_that_follows() {
    let world = World::with_functions(&["start"]).await;
    let mut watching = Watching::start(&world).await;
    world.cloud.clear_requests();
    world.cloud.faults().inject(Fault::on("UpdateFunctionCode").then(Action::Hold { gate: 1 }));
    world.write("start.js", "exports.handler = async () => 'first';\n");
    while world.requests("UpdateFunctionCode").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for number in 0..5 {
        world.write("stop.js", &format!("exports.handler = async () => {number};\n"));
        world.write("util.js", &format!("exports.x = {number};\n"));
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    world.cloud.faults().open(1);
    assert_eq!(files(&watching.next().await), ["start.js"]);
    assert_eq!(files(&watching.next().await), ["stop.js", "util.js"]);
    assert_eq!(world.entry("util.js").await.unwrap(), "exports.x = 4;\n");
    assert_eq!(world.live("start").await.0, sha256(&world.artifact().await));
    assert!(watching.stop().await.is_empty());
    assert_eq!(world.requests("PutObject").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_fails_is_told_and_goes_out_with_the_next_one() {
    let world = World::with_functions(&["start"]).await;
    let mut watching = Watching::start(&world).await;
    world
        .cloud
        .faults()
        .inject(Fault::on("PutObject").nth(1).then(Action::Respond { status: 403, code: "AccessDenied" }));
    world.write("start.js", "exports.handler = async () => 'refused';\n");
    let failed = watching.next().await;
    assert_eq!((&failed["event"], &failed["error"]["errorType"]), (&"failed".into(), &"AccessDenied".into()));
    world.write("stop.js", "exports.handler = async () => 'next';\n");
    let live = watching.next().await;
    assert_eq!((&live["event"], files(&live)), (&"live".into(), vec!["start.js", "stop.js"]), "{live:#}");
    assert_eq!(world.entry("start.js").await.unwrap(), "exports.handler = async () => 'refused';\n");
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_failed_is_updated_by_the_next_save() {
    let world = World::with_functions(&["start", "stop"]).await;
    let mut watching = Watching::start(&world).await;
    world.cloud.functions().fail_next_update("stop", "EniLimitExceeded", "no more interfaces");
    world.write("start.js", "exports.handler = async () => 'one';\n");
    let failed = watching.next().await;
    assert_eq!(failed["event"], "failed", "{failed:#}");
    assert_eq!(failed["deploy"]["functions"][1]["status"], "failed");
    world.write("start.js", "exports.handler = async () => 'two';\n");
    assert_eq!(watching.next().await["event"], "live");
    let expected = sha256(&world.artifact().await);
    assert_eq!([world.live("start").await.0, world.live("stop").await.0], [expected.clone(), expected]);
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_deploy_meanwhile_is_not_taken_back_by_a_save_of_another_file() {
    let world = World::with_functions(&["start"]).await;
    let mut watching = Watching::start(&world).await;
    world.write("../theirs.js", "exports.handler = async () => 'theirs';\n");
    let theirs = world.project.path().join("../theirs.js");
    let put = format!("stop.js={}", theirs.display());
    let artifact = format!("s3://{}/{}", crate::world::BUCKET, crate::world::KEY);
    world.run(&["patch", &artifact, "--put", &put]).await.expect_code(0);
    std::fs::remove_file(theirs).unwrap();
    for text in ["one", "two"] {
        world.write("start.js", &format!("exports.handler = async () => '{text}';\n"));
        assert_eq!(files(&watching.next().await), ["start.js"]);
    }
    assert_eq!(world.entry("stop.js").await.unwrap(), "exports.handler = async () => 'theirs';\n");
    assert_eq!(world.live("start").await.0, sha256(&world.artifact().await));
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_configuration_is_read_and_watching_goes_on() {
    let world = World::with_functions(&["start", "stop"]).await;
    world.write("quickdeploy.toml", &crate::world::config(&["start"], "direct"));
    let mut watching = Watching::start(&world).await;
    world.write("quickdeploy.toml", &crate::world::config(&["start", "stop"], "direct"));
    let again = watching.next().await;
    assert_eq!((&again["event"], &again["functions"]), (&"watching".into(), &2.into()));
    world.write("start.js", "exports.handler = async () => 'both';\n");
    assert_eq!(watching.next().await["deploy"]["functions"].as_array().unwrap().len(), 2);
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_during_a_deployment_brings_the_functions_up_first() {
    let world = World::with_functions(&["start"]).await;
    let mut watching = Watching::start(&world).await;
    world.cloud.clear_requests();
    world.cloud.functions().delay_next_update("start", Duration::from_millis(600));
    world.write("start.js", "exports.handler = async () => 'last';\n");
    while world.requests("UpdateFunctionCode").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    interrupt(&watching.child);
    assert_eq!(watching.next().await["event"], "live");
    assert_eq!(watching.child.wait().await.unwrap().code(), Some(0));
    assert_eq!(world.live("start").await.0, sha256(&world.artifact().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_switch_is_one_deployment() {
    if std::process::Command::new("git").arg("--version").output().is_err() {
        eprintln!("skipped: git is not installed");
        return;
    }
    let world = World::with_functions(&["start"]).await;
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        let done = std::process::Command::new("git")
            .args(identity)
            .args(arguments)
            .current_dir(world.project.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    git(&["checkout", "-qb", "other"]);
    for name in ["start", "stop", "util"] {
        world.write(&format!("{name}.js"), "exports.handler = async () => 'other';\n");
    }
    world.write("lib/more.js", "exports.x = 1;\n");
    git(&["add", "."]);
    git(&["commit", "-qm", "two"]);
    git(&["checkout", "-q", "main"]);
    let mut watching = Watching::start(&world).await;
    git(&["checkout", "-q", "other"]);
    let live = watching.next().await;
    assert_eq!(files(&live), ["lib/more.js", "start.js", "stop.js", "util.js"], "{live:#}");
    git(&["checkout", "-q", "main"]);
    assert_eq!(watching.next().await["deploy"]["changes"]["deleted"][0], "lib/more.js");
    assert!(watching.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_under_gits_lock_is_one_deployment_however_long_it_takes() {
    let world = World::with_functions(&["start"]).await;
    world.write(".git/config", "");
    let mut watching = Watching::start(&world).await;
    world.write(".git/index.lock", "");
    for name in ["start", "stop", "util"] {
        world.write(&format!("{name}.js"), "exports.handler = async () => 'other';\n");
        // Longer than a save lasts: each file would be one of its own.
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
    std::fs::remove_file(world.project.path().join(".git/index.lock")).unwrap();
    assert_eq!(files(&watching.next().await), ["start.js", "stop.js", "util.js"]);
    assert!(watching.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn places_that_ignore_files_hide_and_those_behind_links_are_watched() {
    let world = World::with_functions(&["start"]).await;
    let path = |name: &str| world.project.path().join(name);
    world.write(".gitignore", "out\n.shared\n");
    world.write("out/js/start.js", "1;\n");
    world.write(".shared/lib/deep.js", "1;\n");
    world.write("src/own.js", "1;\n");
    #[cfg(unix)]
    std::os::unix::fs::symlink("../.shared", path("src/shared")).unwrap();
    let map = "[map]\n'out/js' = ''\nsrc = 'src'\n";
    world.write("quickdeploy.toml", &format!("{}{map}", crate::world::config(&["start"], "direct")));
    let mut watching = Watching::start(&world).await;
    if cfg!(unix) {
        world.write(".shared/lib/deep.js", "2;\n");
        assert_eq!(files(&watching.next().await), ["src/shared/lib/deep.js"]);
    }
    // A build often begins by deleting what it made before.
    std::fs::rename(path("out"), path("out.old")).unwrap();
    world.write("new/js/start.js", "2;\n");
    std::fs::rename(path("new"), path("out")).unwrap();
    while world.entry("start.js").await.unwrap() != "2;\n" {
        watching.next().await;
    }
    world.write("out/js/start.js", "3;\n");
    while world.entry("start.js").await.unwrap() != "3;\n" {
        watching.next().await;
    }
    watching.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_deployment_is_seen_to_work_by_an_invocation_and_by_what_is_logged() {
    if std::process::Command::new("node").arg("--version").output().is_err() {
        eprintln!("skipped: node is not installed");
        return;
    }
    let world = World::with_functions(&["start"]).await;
    let mut watching = Watching::start_with(&world, &["--invoke", "start", "--logs"]).await;
    world.write("start.js", "exports.handler = async () => { console.log('it runs'); return 'edited'; };\n");
    let (mut live, mut answered, mut logged) = (false, false, false);
    while !(live && answered && logged) {
        let line = watching.next().await;
        live |= line["event"] == "live";
        answered |= line["command"] == "invoke" && line.to_string().contains("edited");
        logged |= line["command"].is_null() && line["event"].is_null() && line.to_string().contains("it runs");
    }
    watching.stop().await;
}
