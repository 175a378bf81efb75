use std::io::Cursor;

use crate::world::{World, zip_of};

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_in_s3_is_patched_without_a_configuration() {
    let world = World::with_functions(&[]).await;
    std::fs::remove_file(world.project.path().join("quickdeploy.toml")).unwrap();
    world.write("local.js", "// local\n");
    let arguments =
        ["patch", "s3://artifacts/app/app.zip", "--put", "src/x.js=local.js", "--delete", "util.js", "--json"];
    let document = world.run(&arguments).await.expect_code(0).json();
    assert_eq!((&document["added"], &document["deleted"]), (&1.into(), &1.into()));
    assert_eq!(document["etag"], world.etag().await);
    assert_eq!(world.entry("src/x.js").await.unwrap(), "// local\n");
    assert_eq!(world.entry("util.js").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_etag_is_refused_and_nothing_is_written() {
    let world = World::with_functions(&[]).await;
    let before = world.etag().await;
    world.cloud.clear_requests();
    let arguments = ["patch", "s3://artifacts/app/app.zip", "--put", "x.js=start.js", "--if-match", "\"0\"", "--json"];
    let ran = world.run(&arguments).await.expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "PreconditionFailed");
    world.assert_nothing_was_changed();
    assert_eq!(world.etag().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_file_is_patched_with_modes_and_an_overlay() {
    let world = World::with_functions(&[]).await;
    let path = world.project.path().join("local.zip");
    std::fs::write(&path, zip_of([("a.txt", b"a".to_vec())].into_iter())).unwrap();
    let overlay = zip_of([("b.txt", b"b".to_vec())].into_iter());
    std::fs::write(world.project.path().join("overlay.zip"), overlay).unwrap();
    let arguments =
        ["patch", "local.zip", "--put", "run.js=start.js", "--mode", "run.js=0700", "--overlay", "overlay.zip"];
    world.run(&arguments).await.expect_code(0);
    let mut archive = zip::ZipArchive::new(Cursor::new(std::fs::read(&path).unwrap())).unwrap();
    assert_eq!(archive.by_name("run.js").unwrap().unix_mode().unwrap() & 0o777, 0o700);
    assert_eq!(std::io::read_to_string(archive.by_name("b.txt").unwrap()).unwrap(), "b");
    assert_eq!(archive.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_escape_are_refused_by_name() {
    let world = World::with_functions(&[]).await;
    for name in ["../x", "/x", "C:\\x", "a\\b", "a//b"] {
        let put = format!("{name}=start.js");
        let ran = world.run(&["patch", "s3://artifacts/app/app.zip", "--put", &put, "--json"]).await.expect_code(1);
        assert_eq!(ran.json()["error"]["errorType"], "InvalidEntryName", "{name}");
    }
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_local_file_leaves_it_as_it_is() {
    let world = World::with_functions(&[]).await;
    let path = world.project.path().join("local.zip");
    let before = zip_of([("a.txt", b"a".to_vec())].into_iter());
    std::fs::write(&path, &before).unwrap();
    world.run(&["patch", "local.zip", "--put", "a.txt=start.js", "--dry-run"]).await.expect_code(0);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etag_may_come_without_its_quotes() {
    let world = World::with_functions(&[]).await;
    let etag = world.etag().await;
    let bare = etag.trim_matches('"');
    let put = ["patch", "s3://artifacts/app/app.zip", "--put", "x.js=start.js", "--if-match", bare];
    world.run(&put).await.expect_code(0);
    assert_ne!(world.etag().await, etag);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_is_there_already_is_not_called_a_patch() {
    let world = World::with_functions(&[]).await;
    let delete = ["patch", "s3://artifacts/app/app.zip", "--delete", "never-was.js"];
    let ran = world.run(&delete).await.expect_code(0);
    assert!(ran.stderr.contains("Unchanged") && !ran.stderr.contains("Patched"), "{}", ran.stderr);
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_put_twice_is_wrong_usage() {
    let world = World::with_functions(&[]).await;
    let arguments = ["patch", "s3://artifacts/app/app.zip", "--put", "x=start.js", "--put", "x=stop.js", "--json"];
    let ran = world.run(&arguments).await.expect_code(2);
    assert_eq!(ran.json()["error"]["errorType"], "Usage");
    world.assert_nothing_was_changed();
}
