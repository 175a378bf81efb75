//! A `diff` that found nothing changed is not made again, and never hides a change.

use std::path::{Path, PathBuf};

use aws_sdk_s3::types::MetadataDirective;

use crate::world::{BUCKET, KEY, Ran, World, config, zip_of};

/// The files in which it is kept that nothing had changed.
fn kept(project: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(project.join(".quickdeploy/unchanged")).into_iter().flatten();
    files.map(|entry| entry.unwrap().path()).collect()
}

/// Whether a run found that it need not compare.
fn is_told_again(ran: &Ran) -> bool {
    ran.stderr.contains("neither index nor directory read")
}

/// Runs `diff` until it is known that nothing has changed: files that are younger than the index are read once more.
async fn known(world: &World) -> Ran {
    for _ in 0..20 {
        let ran = world.run(&["diff", "-v"]).await.expect_code(0);
        if is_told_again(&ran) {
            world.cloud.clear_requests();
            return ran;
        }
    }
    panic!("it is compared every time");
}

async fn diff(world: &World) -> Ran {
    world.run(&["diff", "-v"]).await.expect_code(0)
}

async fn put(world: &World, key: &str, files: &[(&str, &str)]) {
    let zip = zip_of(files.iter().map(|(name, content)| (*name, content.as_bytes().to_vec())));
    world.s3.put_object().bucket(BUCKET).key(key).body(zip.into()).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_after_one_that_found_nothing_asks_for_the_etag_and_tells_the_same() {
    let world = World::with_functions(&["a"]).await;
    let text = world.run(&["diff"]).await.expect_code(0);
    let document = world.run(&["diff", "--json"]).await.expect_code(0);
    known(&world).await;
    // Neither the artifact's end, which is gone, nor the artifact is read.
    std::fs::remove_dir_all(world.project.path().join(".quickdeploy/tails")).unwrap();
    let again = world.run(&["diff"]).await.expect_code(0);
    assert_eq!((again.stdout, again.stderr), (text.stdout, text.stderr));
    assert_eq!(world.run(&["diff", "--json"]).await.expect_code(0).json(), document.json());
    assert_eq!((world.requests("HeadObject").len(), world.requests("GetObject").len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_file_is_found_and_so_is_its_end() {
    let world = World::with_functions(&["a"]).await;
    let path = |name: &str| world.project.path().join(name);
    let start = std::fs::read_to_string(path("start.js")).unwrap();
    let same_length = start.replace("start", "START");
    known(&world).await;

    world.write("start.js", &same_length);
    assert_eq!(diff(&world).await.stdout, format!("M start.js  {} B\n", start.len()));
    world.write("start.js", &start);
    assert_eq!(diff(&world).await.stdout, "");
    known(&world).await;

    // Not even times that are put back hide it.
    let times = std::fs::metadata(path("start.js")).unwrap().modified().unwrap();
    world.write("start.js", &same_length);
    std::fs::File::options().write(true).open(path("start.js")).unwrap().set_modified(times).unwrap();
    assert_eq!(diff(&world).await.stdout, format!("M start.js  {} B\n", start.len()));
    world.write("start.js", &start);
    known(&world).await;

    world.write("deep/new.js", "// new\n");
    assert_eq!(diff(&world).await.stdout, "A deep/new.js  7 B\n");
    std::fs::remove_file(path("deep/new.js")).unwrap();
    known(&world).await;

    std::fs::rename(path("start.js"), path("begin.js")).unwrap();
    let ran = diff(&world).await;
    assert!(ran.stdout.starts_with("A begin.js"), "{ran:?}");
    std::fs::rename(path("begin.js"), path("start.js")).unwrap();
    known(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_project_deployed_is_found_to_be_gone() {
    let world = World::with_functions(&["a"]).await;
    world.run(&[]).await.expect_code(0);
    known(&world).await;
    std::fs::remove_file(world.project.path().join("stop.js")).unwrap();
    assert_eq!(diff(&world).await.stdout, "D stop.js\n");
    // Hidden, it stays in the artifact; shown again, it is to be deleted.
    world.write(".gitignore", "stop.js\n");
    for _ in 0..3 {
        assert_eq!(diff(&world).await.stdout, "");
    }
    std::fs::remove_file(world.project.path().join(".gitignore")).unwrap();
    assert_eq!(diff(&world).await.stdout, "D stop.js\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn ignore_files_and_the_configuration_count_at_once() {
    let world = World::with_functions(&["a"]).await;
    world.write(".quickdeployignore", "hidden.js\n");
    world.write("hidden.js", "// hidden\n");
    known(&world).await;
    world.write(".quickdeployignore", "");
    assert_eq!(diff(&world).await.stdout, "A hidden.js  10 B\n");
    world.write(".quickdeployignore", "hidden.js\n");
    known(&world).await;

    let plain = config(&["a"], "direct");
    world.write("quickdeploy.toml", &format!("{plain}include = [\"hidden.js\"]\n"));
    assert_eq!(diff(&world).await.stdout, "A hidden.js  10 B\n");
    world.write("quickdeploy.toml", &format!("{plain}map = {{ '' = 'moved/' }}\n"));
    let ran = diff(&world).await;
    assert!(ran.stdout.starts_with("A moved/start.js"), "{ran:?}");
    world.write("quickdeploy.toml", &plain);
    known(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_artifact_is_compared_with_and_so_is_the_old_one_when_it_is_back() {
    let world = World::with_functions(&["a"]).await;
    let old = world.artifact().await;
    known(&world).await;
    put(&world, KEY, &[("start.js", "// theirs\n")]).await;
    let ran = diff(&world).await;
    assert!(ran.stdout.contains("M start.js") && ran.stdout.contains("A stop.js"), "{ran:?}");
    world.s3.put_object().bucket(BUCKET).key(KEY).body(old.into()).send().await.unwrap();
    assert!(!is_told_again(&diff(&world).await), "what was kept had become untrue, and was removed");
    known(&world).await;

    world.s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    let ran = world.run(&["diff"]).await.expect_code(1);
    assert!(ran.stderr.contains("the first artifact comes from a full build"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_build_that_the_artifact_tells_of_is_compared_with_under_the_same_etag_too() {
    let world = World::with_functions(&["a"]).await;
    known(&world).await;
    let before = world.etag().await;
    let copy = world.s3.copy_object().bucket(BUCKET).key(KEY).copy_source(format!("{BUCKET}/{KEY}"));
    let copy =
        copy.metadata_directive(MetadataDirective::Replace).metadata("built-from", "1;package.json=0011223344556677");
    copy.send().await.unwrap();
    assert_eq!(world.etag().await, before, "the test is about an ETag that stays");
    let warned = |ran: &Ran| ran.stderr.contains("warning: `package.json` has changed");
    assert!(warned(&diff(&world).await));
    // What it warned of is told again, too.
    assert!(warned(&known(&world).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_beside_the_package_is_read_every_time() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &format!("{}exclude = [\"package.json\"]\n", config(&["a"], "direct")));
    world.write("package.json", "{\"dependencies\":{}}\n");
    let built = world.s3.copy_object().bucket(BUCKET).key(KEY).copy_source(format!("{BUCKET}/{KEY}"));
    let built = built.metadata_directive(MetadataDirective::Replace).metadata("built-from", "1");
    built.send().await.unwrap();
    std::fs::remove_file(world.project.path().join("package.json")).unwrap();
    let warned = |ran: &Ran| ran.stderr.contains("warning: `package.json` has changed");
    assert!(!warned(&known(&world).await));
    world.write("package.json", "{\"dependencies\":{\"left-pad\":\"1.3.0\"}}\n");
    assert!(warned(&diff(&world).await));
    std::fs::remove_file(world.project.path().join("package.json")).unwrap();
    assert!(!warned(&diff(&world).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_more_is_compared_every_time() {
    let world = World::with_functions(&["a"]).await;
    put(&world, KEY, &[("start.js", "exports.handler = async () => 'start';\n"), ("built.js", "// built\n")]).await;
    for name in ["stop.js", "util.js"] {
        std::fs::remove_file(world.project.path().join(name)).unwrap();
    }
    let ran = known(&world).await;
    assert!(ran.stderr.contains("1 more entries are in the artifact only"), "{}", ran.stderr);
    assert_eq!(world.run(&["diff", "--delete"]).await.expect_code(0).stdout, "D built.js\n");
    let functions = world.run(&["diff", "--functions", "--json"]).await.expect_code(0).json();
    assert_eq!(functions["functions"][0]["name"], "a");
    assert!(is_told_again(&diff(&world).await), "neither has removed what was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_damaged_is_as_good_as_none() {
    let world = World::with_functions(&["a"]).await;
    known(&world).await;
    let [file] = kept(world.project.path()).try_into().unwrap();
    let whole = std::fs::read(&file).unwrap();
    let replaced = |from: &str, to: &str| {
        let text = String::from_utf8_lossy(&whole[32..]).replace(from, to);
        [&whole[..32], text.as_bytes()].concat()
    };
    let flipped = {
        let mut bytes = whole.clone();
        bytes[7] ^= 1;
        bytes
    };
    for (what, content) in [
        ("another seal", flipped),
        ("another count", replaced("\"unchanged\":3", "\"unchanged\":4")),
        ("git was asked", replaced("\"git\":false", "\"git\":true")),
        ("another field", replaced("{", "{\"new\":1,")),
        ("cut", whole[..whole.len() - 1].to_vec()),
        ("cut in the seal", whole[..10].to_vec()),
        ("empty", Vec::new()),
    ] {
        assert_ne!(content, whole, "{what}");
        std::fs::write(&file, content).unwrap();
        let ran = diff(&world).await;
        assert!(!is_told_again(&ran) && ran.stderr.contains("no difference, 3 unchanged"), "{what}: {ran:?}");
        assert_eq!(std::fs::read(&file).unwrap(), whole, "{what}: kept again");
        assert!(is_told_again(&diff(&world).await), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_from_here_is_compared_with() {
    let world = World::with_functions(&["a"]).await;
    known(&world).await;
    world.write("start.js", "// edited\n");
    world.run(&[]).await.expect_code(0);
    let ran = known(&world).await;
    assert!(ran.stderr.contains("no difference, 3 unchanged"), "{}", ran.stderr);
    world.write("start.js", "exports.handler = async () => 'start';\n");
    assert_eq!(diff(&world).await.stdout, "M start.js  39 B\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_artifact_of_a_project_is_known_by_itself() {
    let world = World::with_functions(&["a"]).await;
    put(&world, "app/worker.zip", &[("job.js", "// job\n")]).await;
    world.write("worker/job.js", "// job\n");
    world.write(
        "quickdeploy.toml",
        "[artifacts.api]\nartifact = \"s3://artifacts/app/app.zip\"\nfunctions = [\"a\"]\nexclude = [\"/worker\"]\n\
         affected = \"all\"\n\
         [artifacts.worker]\nartifact = \"s3://artifacts/app/worker.zip\"\nfunctions = [\"a\"]\nroot = \"worker\"\n\
         affected = \"all\"\n",
    );
    known(&world).await;
    for _ in 0..20 {
        if diff(&world).await.stderr.matches("neither index nor directory read").count() == 2 {
            break;
        }
    }
    assert_eq!(kept(world.project.path()).len(), 2);
    world.write("worker/job.js", "// JOB\n");
    let ran = diff(&world).await;
    assert_eq!(ran.stdout, "[api]\n[worker]\nM job.js  7 B\n");
    assert!(is_told_again(&ran), "the other one is still known");
    assert_eq!(kept(world.project.path()).len(), 1);
}
