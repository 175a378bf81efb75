//! `quickdeploy watch` holds back what is no valid source.

use crate::watch::{Watching, files};
use crate::world::{BUCKET, KEY, World, zip_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_half_written_is_held_back_and_goes_out_with_the_next_save() {
    let world = World::with_functions(&["start"]).await;
    let mut watching = Watching::start(&world).await;
    world.cloud.clear_requests();
    world.write("start.js", "exports.handler = async () => {\n  const a = ;\n");
    let failed = watching.expect("failed").await;
    assert_eq!(files(&failed), ["start.js"]);
    let error = &failed["error"];
    assert_eq!(error["errorType"], "SyntaxError");
    assert_eq!(error["message"], "start.js:2:13: Unexpected token");
    assert_eq!(error["causes"][0], "in the line\n  const a = ;\n            ^");
    world.assert_nothing_was_changed();

    // Another file alone doesn't go out either: they may belong together.
    world.write("stop.js", "exports.handler = async () => 'other';\n");
    assert_eq!(files(&watching.expect("failed").await), ["start.js", "stop.js"]);
    world.assert_nothing_was_changed();

    world.write("start.js", "exports.handler = async () => {\n  const a = 1;\n};\n");
    assert_eq!(files(&watching.expect("live").await), ["start.js", "stop.js"]);
    assert_eq!(world.entry("stop.js").await.unwrap(), "exports.handler = async () => 'other';\n");
    assert!(watching.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn python_and_package_json_are_looked_at_and_several_files_are_told_together() {
    let world = World::with_functions(&["start"]).await;
    let mut watching = Watching::start(&world).await;
    world.write("lib/job.py", "def f():\n    return (1\n");
    let failed = watching.expect("failed").await;
    assert!(failed["error"]["message"].as_str().unwrap().starts_with("lib/job.py:2:14: "), "{failed:#}");
    world.write("package.json", "{ \"type\": \"module\", }\n");
    let failed = watching.expect("failed").await;
    assert_eq!(failed["error"]["message"], "syntax errors in 2 files");
    assert_eq!(failed["error"]["causes"].as_array().unwrap().len(), 2);
    std::fs::remove_file(world.project.path().join("package.json")).unwrap();
    watching.expect("failed").await;
    world.write("lib/job.py", "def f():\n    return (1)\n");
    assert_eq!(files(&watching.expect("live").await), ["lib/job.py", "package.json"]);
    assert!(watching.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_at_the_start_is_waited_for() {
    let world = World::with_functions(&["start"]).await;
    world.write("start.js", "exports.handler = (");
    let mut watching = Watching::begin(&world, &[]);
    watching.expect("failed").await;
    world.assert_nothing_was_changed();
    // At once, as editors do: who looks in the middle of it may find it broken in another way.
    world.write(".start.js.swp", "exports.handler = () => 1;\n");
    std::fs::rename(world.project.path().join(".start.js.swp"), world.project.path().join("start.js")).unwrap();
    while watching.next().await["event"] != "watching" {}
    assert_eq!(world.entry("start.js").await.unwrap(), "exports.handler = () => 1;\n");
    assert!(watching.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_file_that_was_deployed_before_goes_out_and_so_does_everything_with_no_check() {
    let world = World::with_functions(&["start"]).await;
    let template = |text: &str| format!("exports.handler = {{{{ {text} }}}};\n");
    let artifact = zip_of([("start.js", template("one").into_bytes())].into_iter());
    world.s3.put_object().bucket(BUCKET).key(KEY).body(artifact.into()).send().await.unwrap();
    world.write("start.js", &template("one"));
    let mut watching = Watching::start(&world).await;
    world.write("start.js", &template("two"));
    assert_eq!(files(&watching.expect("live").await), ["start.js"]);
    watching.stop().await;

    let mut watching = Watching::start_with(&world, &["--no-check"]).await;
    world.write("stop.js", "exports.handler = (");
    assert_eq!(files(&watching.expect("live").await), ["stop.js"]);
    watching.stop().await;
}
