use serde_json::json;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn no_difference_is_exit_code_0() {
    let world = World::with_functions(&["a"]).await;
    let ran = world.run(&["diff", "--exit-code", "--json"]).await.expect_code(0);
    assert_eq!(ran.json()["different"], false);
    assert_eq!(ran.json()["changes"]["unchanged"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_exit_code_1_only_when_asked_for() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// edited\n");
    world.write("src/new.js", "// new\n");
    let ran = world.run(&["diff", "--exit-code"]).await.expect_code(1);
    assert_eq!(ran.stdout, "A src/new.js  7 B\nM start.js  10 B\n");
    let document = world.run(&["diff", "--json"]).await.expect_code(0).json();
    assert_eq!(document["changes"]["added"], json!([{ "name": "src/new.js", "size": 7 }]));
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_project_deployed_and_then_removed_is_deleted_and_what_a_build_added_is_not() {
    let world = World::with_functions(&["a"]).await;
    world.write("new.js", "// new\n");
    world.run(&[]).await.expect_code(0);
    std::fs::remove_file(world.project.path().join("new.js")).unwrap();
    let ran = world.run(&["diff"]).await.expect_code(0);
    assert_eq!(ran.stdout, "D new.js\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_dependency_manifest_is_warned_of() {
    let world = World::with_functions(&["a"]).await;
    world.write("package.json", "{\"dependencies\":{}}\n");
    world.run(&[]).await.expect_code(0);
    world.write("package.json", "{\"dependencies\":{\"left-pad\":\"1.3.0\"}}\n");
    let ran = world.run(&["diff"]).await.expect_code(0);
    assert!(
        ran.stderr.contains("warning: `package.json` has changed: a patch does not install dependencies"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("hint: a full build does: `quickdeploy full`"), "{}", ran.stderr);
}
