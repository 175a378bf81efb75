//! `quickdeploy history`: what S3 keeps, and who, when and what by that alone.

use aws_sdk_s3::types::StorageClass;
use serde_json::{Value, json};

use crate::world::{BUCKET, KEY, Ran, World, zip_of};

async fn history(world: &World, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = ["history", "--json"].iter().chain(arguments).copied().collect();
    world.run(&arguments).await.expect_code(0).json()
}

/// Runs the program as somebody whom git knows.
async fn run_as(world: &World, email: &str, arguments: &[&str]) -> Ran {
    let mut command = world.command(arguments);
    command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "user.email").env("GIT_CONFIG_VALUE_0", email);
    Ran::of(&command.output().await.unwrap()).expect_code(0)
}

fn column<'a>(history: &'a Value, name: &str) -> Vec<&'a Value> {
    history["versions"].as_array().unwrap().iter().map(|row| &row[name]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_tells_who_wrote_it_by_what_and_what_changed() {
    let world = World::with_functions(&["a", "b"]).await;
    world.write("start.js", "// edited\n");
    world.write("new.js", "// new\n");
    run_as(&world, "ada@example.com", &[]).await;
    std::fs::remove_file(world.project.path().join("new.js")).unwrap();
    run_as(&world, "bob@example.com", &[]).await;
    run_as(&world, "ada@example.com", &["rollback"]).await;

    let history = history(&world, &[]).await;

    assert_eq!(column(&history, "writer"), ["rollback", "deploy", "deploy", "other"]);
    assert_eq!(column(&history, "current"), [true, false, false, false]);
    assert_eq!(
        column(&history, "by"),
        [&json!("ada@example.com"), &json!("bob@example.com"), &json!("ada@example.com"), &Value::Null]
    );
    let changed = |row: usize, kind: &str| history["versions"][row]["changes"]["changes"][kind]["names"].clone();
    assert_eq!((changed(2, "added"), changed(2, "modified")), (json!(["new.js"]), json!(["start.js"])));
    assert_eq!(changed(1, "deleted"), json!(["new.js"]));
    assert_eq!(changed(0, "added"), json!(["new.js"]));
    assert_eq!(history["versions"][0]["from"], history["versions"][2]["versionId"]);
    assert_eq!(history["versions"][3]["entries"], 3);
    let runs = |row: usize| history["versions"][row]["functions"].clone();
    let certain = |name: &str| json!({ "name": name, "certain": true, "referenced": false });
    assert_eq!(runs(0), json!([certain("a"), certain("b")]));
    assert_eq!(history["more"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tail_is_read_per_version_once_and_for_all() {
    let world = World::with_functions(&["a"]).await;
    for number in 0..4 {
        world.write("start.js", &format!("// {number}\n"));
        world.run(&[]).await.expect_code(0);
    }
    world.cloud.clear_requests();
    let first = history(&world, &["-n", "3"]).await;
    assert_eq!(first["more"], true);
    assert_eq!(world.requests("GetObject").len(), 4, "three rows, and the one that the last is compared with");
    assert_eq!((world.requests("HeadObject").len(), world.requests("ListObjectVersions").len()), (0, 1));

    world.cloud.clear_requests();
    assert_eq!(history(&world, &["-n", "3"]).await, first);
    assert_eq!(world.requests("GetObject").len(), 0);
    history(&world, &["-n", "4"]).await;
    assert_eq!(world.requests("GetObject").len(), 2, "the next row, and the one before it");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_changes_only_the_heads_are_read() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// edited\n");
    world.run(&[]).await.expect_code(0);
    world.cloud.clear_requests();
    let history = history(&world, &["--no-changes"]).await;
    assert_eq!(column(&history, "writer"), ["deploy", "other"]);
    assert_eq!((world.requests("GetObject").len(), world.requests("HeadObject").len()), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_archived_or_is_no_zip_has_its_row_all_the_same() {
    let world = World::with_functions(&["a"]).await;
    let artifact = world.artifact().await;
    let put = |body: Vec<u8>| world.s3.put_object().bucket(BUCKET).key(KEY).body(body.into());
    put(b"no zip".to_vec()).send().await.unwrap();
    put(artifact.clone()).storage_class(StorageClass::Glacier).send().await.unwrap();
    world.s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    // Another key that begins the same is another artifact.
    world.s3.put_object().bucket(BUCKET).key(format!("{KEY}.bak")).body(artifact.into()).send().await.unwrap();
    let ran = world.run(&["history", "--json"]).await.expect_code(0);
    let history = ran.json();
    assert_eq!(column(&history, "deleteMarker"), [true, false, false, false]);
    assert!(history["versions"][1]["error"].as_str().unwrap().contains("Glacier"), "{history}");
    assert!(history["versions"][2]["error"].as_str().unwrap().contains("not a zip"), "{history}");
    assert_eq!(history["versions"][3]["entries"], 3);
    assert!(ran.stderr.contains("deleted"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_another_tool_copied_along_is_not_believed() {
    let world = World::with_functions(&["a"]).await;
    let other = zip_of([("start.js", b"theirs".to_vec())].into_iter());
    let put = world.s3.put_object().bucket(BUCKET).key(KEY).body(other.into());
    put.metadata("quickdeploy-by", "ada@example.com")
        .metadata("quickdeploy-verb", "deploy")
        .metadata("quickdeploy-at", "2020-01-01T00:00:00Z")
        .send()
        .await
        .unwrap();
    let history = history(&world, &[]).await;
    assert_eq!((column(&history, "writer")[0], column(&history, "by")[0]), (&json!("other"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_versions_are_all_read() {
    let world = World::with_functions(&["a"]).await;
    for number in 0..1100 {
        let put = world.s3.put_object().bucket(BUCKET).key(KEY).body(vec![0; number % 7 + 1].into());
        put.send().await.unwrap();
    }
    world.cloud.clear_requests();
    let history = history(&world, &["-n", "2000", "--no-changes"]).await;
    assert_eq!(history["versions"].as_array().unwrap().len(), 1101);
    assert_eq!(world.requests("ListObjectVersions").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn for_people_a_line_per_version_and_what_is_known_below() {
    let world = World::with_functions(&["app-api"]).await;
    world.write("start.js", "// edited\n");
    run_as(&world, "ada@example.com", &[]).await;
    let ran = world.run(&["history"]).await.expect_code(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("* ") && lines[0].ends_with("deploy by ada@example.com"), "{}", ran.stdout);
    assert_eq!(lines[1].trim(), "~ start.js");
    assert_eq!(lines[2].trim(), "runs in app-api");
    assert!(lines[3].ends_with("by another program"), "{}", ran.stdout);
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
}
