//! `quickdeploy watch` with `compile`: what is deployed is made from sources that aren't.
#![cfg(unix)]

use std::time::Duration;

use crate::watch::{Watching, files, interrupt};
use crate::world::{BUCKET, KEY, World, config, sha256, zip_of};

/// Copies the sources to `dist`. Fails when there is `BROKEN` in one; waits as long as there is `log/hold`.
const COMPILER: &str = "\
mkdir -p dist log/read
rm -f log/read/*
cp src/*.js log/read/
sources=$(cat log/read/*.js)
echo run >> log/runs
while [ -e log/hold ]; do sleep 0.01; done
case $sources in *BROKEN*) echo 'src/start.js(1,2): error: BROKEN is not defined' >&2; exit 2;; esac
cp log/read/*.js dist/
";

/// A project with sources in `src`, of which `compile` makes what is deployed, in a git-ignored `dist`.
async fn compiled(compiler: &str) -> World {
    let world = World::with_functions(&["start", "stop"]).await;
    world.write("compile.sh", compiler);
    world.write("src/start.js", &handler("first"));
    world.write(".gitignore", "dist\nlog\n");
    configure(&world, "compile = \"sh compile.sh\"\n[map]\ndist = \"\"\n");
    world
}

fn configure(world: &World, more: &str) {
    world.write("quickdeploy.toml", &format!("{}{more}", config(&["start"], "direct")));
}

fn handler(answer: &str) -> String {
    format!("exports.handler = async () => '{answer}';\n")
}

/// How often the compiler was run.
fn runs(world: &World) -> usize {
    let log = std::fs::read_to_string(world.project.path().join("log/runs")).unwrap_or_default();
    log.lines().count()
}

/// Waits until the compiler runs for the `nth` time.
async fn run_number(world: &World, nth: usize) {
    let waiting = async {
        while runs(world) < nth {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("{} runs", runs(world)));
}

/// It has compiled, deployed, and waits for saves.
async fn start(world: &World) -> Watching {
    let mut watching = Watching::begin(world, &[]);
    watching.expect("compiling").await;
    watching.expect("compiled").await;
    watching.expect("watching").await;
    watching
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_of_a_source_is_compiled_and_what_comes_of_it_goes_live() {
    let world = compiled(COMPILER).await;
    let mut watching = start(&world).await;
    assert_eq!(world.entry("start.js").await.unwrap(), handler("first"));

    world.write("src/start.js", &handler("second"));
    assert_eq!(watching.expect("compiling").await["compile"], "sh compile.sh");
    watching.expect("compiled").await;
    assert_eq!(files(&watching.expect("live").await), ["start.js"]);
    assert_eq!(world.entry("start.js").await.unwrap(), handler("second"));
    assert_eq!(world.live("start").await.0, sha256(&world.artifact().await));
    assert_eq!(world.entry("src/start.js").await, None);

    // A new directory of sources is watched, and outputs in a new directory are taken.
    world.write("compile.sh", &format!("{COMPILER}cp -r src/. dist/\n"));
    watching.expect("compiling").await;
    watching.expect("compiled").await;
    world.write("src/lib/deep.js", "exports.x = 1;\n");
    let mut last = serde_json::Value::Null;
    while world.entry("lib/deep.js").await.is_none() {
        last = watching.next().await;
        assert!(["compiling", "compiled", "live"].contains(&last["event"].as_str().unwrap()), "{last:#}");
    }
    while last["event"] != "live" {
        last = watching.next().await;
    }
    world.write("src/lib/deep.js", "exports.x = 2;\n");
    loop {
        let event = watching.next().await;
        if event["event"] == "live" && world.entry("lib/deep.js").await.unwrap() == "exports.x = 2;\n" {
            break;
        }
    }
    assert!(watching.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_does_not_compile_changes_nothing_and_the_next_one_goes_live() {
    let world = compiled(COMPILER).await;
    let mut watching = start(&world).await;
    world.cloud.clear_requests();

    world.write("src/start.js", "BROKEN\n");
    watching.expect("compiling").await;
    let failed = watching.expect("failed").await;
    let error = &failed["error"];
    assert_eq!(error["errorType"], "CompileFailed");
    assert_eq!(error["message"], "`sh compile.sh` ended with exit code 2: nothing was deployed");
    assert_eq!(error["causes"][0], "it says:\nsrc/start.js(1,2): error: BROKEN is not defined");
    world.assert_nothing_was_changed();

    // Saved as it was: tried again, because that is what was asked for.
    world.write("src/start.js", "BROKEN\n");
    watching.expect("compiling").await;
    watching.expect("failed").await;
    world.assert_nothing_was_changed();

    world.write("src/start.js", &handler("mended"));
    watching.expect("compiling").await;
    watching.expect("compiled").await;
    assert_eq!(files(&watching.expect("live").await), ["start.js"]);
    assert_eq!(world.entry("start.js").await.unwrap(), handler("mended"));
    assert!(watching.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_compile_at_the_start_is_waited_for() {
    let world = compiled(COMPILER).await;
    world.write("src/start.js", "BROKEN\n");
    let mut watching = Watching::begin(&world, &[]);
    watching.expect("compiling").await;
    watching.expect("failed").await;
    world.assert_nothing_was_changed();
    world.write("src/start.js", &handler("mended"));
    watching.expect("compiling").await;
    watching.expect("compiled").await;
    watching.expect("watching").await;
    assert_eq!(world.entry("start.js").await.unwrap(), handler("mended"));
    assert!(watching.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_rewrites_its_visible_outputs_does_not_run_in_circles() {
    for output in ["cp src/*.js dist/", "rm -rf dist; cp -r src dist", "cp src/*.js dist/; date +//%N >> dist/start.js"]
    {
        let world = compiled(&format!("mkdir -p dist log\necho run >> log/runs\n{output}\n")).await;
        world.write(".gitignore", "log\n");
        let mut watching = start(&world).await;
        // What the first run wrote may have been somebody's save: that is settled by another one.
        for answer in ["second", "third"] {
            world.write("src/start.js", &handler(answer));
            loop {
                if watching.next().await["event"] == "live"
                    && world.entry("start.js").await.unwrap().starts_with(&handler(answer))
                {
                    break;
                }
            }
        }
        // Ctrl-C may come while what the follow-up has written is deployed.
        let rest = watching.stop().await;
        let failed =
            |event: &serde_json::Value| event["event"] == "failed" && event["error"]["errorType"] != "Interrupted";
        assert!(!rest.iter().any(failed), "{rest:#?}");
        // One at the start and for each save, and what it takes to tell outputs from saves.
        assert!((3..=6).contains(&runs(&world)), "{output}: {} runs", runs(&world));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_while_it_compiles_is_compiled_next() {
    let world = compiled(COMPILER).await;
    let mut watching = start(&world).await;
    world.write("log/hold", "");
    world.write("src/start.js", &handler("second"));
    watching.expect("compiling").await;
    run_number(&world, 2).await;
    // The compiler has read its sources when it counts its run.
    world.write("src/start.js", &handler("third"));
    world.write("src/new.js", "exports.x = 1;\n");
    std::fs::remove_file(world.project.path().join("log/hold")).unwrap();
    let third = async {
        loop {
            let event = watching.next().await;
            assert_ne!(event["event"], "failed", "{event:#}");
            if event["event"] == "live" && world.entry("new.js").await.is_some() {
                break;
            }
        }
    };
    third.await;
    assert_eq!(world.entry("start.js").await.unwrap(), handler("third"));
    let rest = watching.stop().await;
    assert!(rest.iter().all(|event| event["event"] != "live"), "{rest:#?}");
    assert_eq!(runs(&world), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_while_it_compiles_ends_what_the_compiler_has_started() {
    let world = compiled("mkdir -p dist log\n[ -e log/runs ] && { sleep 600 & echo $! > log/pid; wait; }\necho run >> log/runs\ncp src/*.js dist/\n").await;
    let mut watching = start(&world).await;
    world.cloud.clear_requests();
    world.write("src/start.js", &handler("second"));
    watching.expect("compiling").await;
    let pid = world.project.path().join("log/pid");
    let pid = loop {
        match std::fs::read_to_string(&pid) {
            Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let is_alive = || std::path::Path::new("/proc").join(&pid).join("stat").exists();
    if std::path::Path::new("/proc/self/stat").exists() {
        assert!(is_alive());
    }
    interrupt(&watching.child);
    assert!(watching.stop().await.is_empty());
    // Its new parent may take a moment to take note of its end.
    let gone = async {
        while is_alive() && !is_a_zombie(&pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("it still runs");
    world.assert_nothing_was_changed();
}

fn is_a_zombie(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|rest| rest.starts_with('Z'))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_changes_no_output_deploys_nothing() {
    let world = compiled(COMPILER).await;
    let mut watching = start(&world).await;
    world.cloud.clear_requests();
    world.write("src/types.d.ts", "export type A = number;\n");
    watching.expect("compiling").await;
    watching.expect("compiled").await;
    world.assert_nothing_was_changed();
    // An output that is saved by hand goes out as it is. At once: it may still be read for the compiler's sake.
    world.write("log/new.js", &handler("by hand"));
    let path = |name: &str| world.project.path().join(name);
    std::fs::rename(path("log/new.js"), path("dist/start.js")).unwrap();
    assert_eq!(files(&watching.expect("live").await), ["start.js"]);
    assert!(watching.stop().await.is_empty());
    assert_eq!(runs(&world), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_that_share_the_compiler_share_its_runs() {
    let world = compiled(COMPILER).await;
    let other = zip_of([("start.js", b"1".to_vec())].into_iter());
    world.s3.put_object().bucket(BUCKET).key("other.zip").body(other.into()).send().await.unwrap();
    world.write(
        "quickdeploy.toml",
        &format!(
            "compile = \"sh compile.sh\"\nvia = \"direct\"\nfunctions = [\"start\"]\n\
             [artifacts.a]\nartifact = \"s3://{BUCKET}/{KEY}\"\nmap = {{ dist = \"\" }}\n\
             [artifacts.b]\nartifact = \"s3://{BUCKET}/other.zip\"\nmap = {{ dist = \"\" }}\nfunctions = [\"stop\"]\n"
        ),
    );
    let mut watching = Watching::begin(&world, &[]);
    let mut lines = Vec::new();
    while lines.iter().filter(|event| *event == "watching").count() < 2 {
        lines.push(watching.next().await["event"].as_str().unwrap().to_owned());
    }
    assert_eq!(runs(&world), 1, "{lines:?}");
    world.write("src/start.js", &handler("second"));
    let mut live = 0;
    while live < 2 {
        live += usize::from(watching.next().await["event"] == "live");
    }
    watching.stop().await;
    assert_eq!(runs(&world), 2);
    assert_eq!(world.entry("start.js").await.unwrap(), handler("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_compiler_files_go_out_as_they_are() {
    let world = compiled(COMPILER).await;
    world.write("dist/start.js", &handler("as it is"));
    let mut watching = Watching::start_with(&world, &["--no-compile"]).await;
    assert_eq!(world.entry("start.js").await.unwrap(), handler("as it is"));
    world.write("src/start.js", &handler("not compiled"));
    world.write("dist/start.js", &handler("compiled by something else"));
    assert_eq!(files(&watching.expect("live").await), ["start.js"]);
    assert!(watching.stop().await.is_empty());
    assert_eq!(runs(&world), 0);
}
