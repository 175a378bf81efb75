//! What a run read of the artifact is not read again, and is never believed for another artifact: by the cloud's own
//! count of requests and bytes.

use std::path::{Path, PathBuf};

use aws_sdk_s3::types::MetadataDirective;
use local_cloud::{Action, Fault};
use serde_json::Value;

use crate::interrupts::seen;
use crate::watch::Watching;
use crate::world::{BUCKET, KEY, Ran, World, config, zip_of};

const GATE: u32 = 1;
const OLD: &str = "exports.handler = async () => 'start';\n";

/// An artifact of some megabytes with the project's files at its end, behind `entries` that a build made.
async fn with_build(entries: usize, bytes: usize) -> World {
    let world = World::with_functions(&["a"]).await;
    put(&world, zip(entries, bytes, OLD)).await;
    world
}

fn zip(entries: usize, bytes: usize, start: &str) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let built: Vec<_> = (0..entries)
        .map(|number| {
            let content = (0..bytes / entries).map(|_| random.u8(..)).collect();
            (format!("node_modules/a-package-with-a-name/lib/internal/module-{number:06}.js"), content)
        })
        .collect();
    let own = [("start.js", start), ("stop.js", "exports.handler = async () => 'stop';\n")]
        .into_iter()
        .chain([("util.js", "exports.handler = async () => 'util';\n")]);
    let built = built.iter().map(|(name, content): &(String, Vec<u8>)| (name.as_str(), content.clone()));
    zip_of(built.chain(own.map(|(name, content)| (name, content.as_bytes().to_vec()))))
}

async fn put(world: &World, zip: Vec<u8>) {
    world.s3.put_object().bucket(BUCKET).key(KEY).body(zip.into()).send().await.unwrap();
}

/// What was asked of the artifact since the requests were last cleared, and how many bytes came.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    heads: usize,
    gets: usize,
    bytes: u64,
}

fn asked(world: &World) -> Asked {
    let gets = world.requests("GetObject");
    Asked {
        heads: world.requests("HeadObject").len(),
        gets: gets.len(),
        bytes: gets.iter().map(|record| record.bytes_out).sum(),
    }
}

const ONE_HEAD: Asked = Asked { heads: 1, gets: 0, bytes: 0 };

/// A run of `diff`, by itself in the log.
async fn diff(world: &World) -> Ran {
    world.cloud.clear_requests();
    world.run(&["diff"]).await.expect_code(0)
}

async fn assert_known(world: &World, what: &str) {
    let ran = diff(world).await;
    assert_eq!((ran.stdout.as_str(), asked(world)), ("", ONE_HEAD), "{what}");
}

/// The files in which tails are kept.
fn kept(project: &Path) -> Vec<PathBuf> {
    let tails = std::fs::read_dir(project.join(".quickdeploy/tails")).into_iter().flatten();
    tails.map(|entry| entry.unwrap().path()).collect()
}

fn via(world: &World, via: &str) {
    world.write("quickdeploy.toml", &config(&["a"], via));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_asks_for_the_artifacts_etag_and_reads_nothing_of_it() {
    // The second one's directory is longer than what is read at first.
    for (entries, gets, at_least) in [(50, 1, 512 << 10), (6000, 2, 600 << 10)] {
        let world = with_build(entries, 3 << 20).await;
        assert_eq!(diff(&world).await.stdout, "");
        let first = asked(&world);
        assert_eq!((first.heads, first.gets), (0, gets));
        assert!(first.bytes >= at_least, "{first:?}");
        assert_known(&world, "diff after diff").await;

        world.cloud.clear_requests();
        world.run(&["--dry-run"]).await.expect_code(0);
        assert_eq!(asked(&world).gets, 0, "deploy");
        assert_eq!(kept(world.project.path()).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_patch_has_written_need_not_be_read() {
    // By one put, and by copies inside S3.
    for bytes in [100 << 10, 10 << 20] {
        for way in ["direct", "lambda", "auto"] {
            let world = with_build(50, bytes).await;
            via(&world, way);
            for edit in 0..3 {
                world.write("start.js", &format!("// edited {edit}\n"));
                world.write("new.js", &format!("// new {edit}\n"));
                let document = world.run(&["--json"]).await.expect_code(0).json();
                let case = format!("{bytes} bytes, edit {edit} by {}", document["patch"]["via"]);
                assert_known(&world, &case).await;
                assert_eq!(world.entry("start.js").await.unwrap(), format!("// edited {edit}\n"), "{case}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_patch_of_a_known_artifact_reads_nothing_of_it() {
    let world = with_build(50, 10 << 20).await;
    diff(&world).await;
    world.write("start.js", "// edited\n");
    world.cloud.clear_requests();
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!((&document["patch"]["strategy"], &document["patch"]["bytesRead"]), (&"splice".into(), &0.into()));
    assert_eq!((asked(&world).gets, asked(&world).bytes), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_somebody_else_wrote_is_read_and_then_known() {
    let world = with_build(50, 1 << 20).await;
    assert_known_after_reading(&world).await;
    put(&world, zip(51, 1 << 20, "// theirs\n")).await;
    let ran = diff(&world).await;
    assert_eq!(ran.stdout, "M start.js  39 B\n");
    let found = asked(&world);
    assert_eq!((found.heads, found.gets), (1, 1));
    assert_eq!(diff(&world).await.stdout, "M start.js  39 B\n");
    assert_eq!(asked(&world), ONE_HEAD);
    // And it is theirs that is built upon.
    world.run(&[]).await.expect_code(0);
    let entries = zip::ZipArchive::new(std::io::Cursor::new(world.artifact().await)).unwrap().len();
    assert_eq!((entries, world.entry("start.js").await.as_deref()), (54, Some(OLD)));
}

async fn assert_known_after_reading(world: &World) {
    diff(world).await;
    assert_known(world, "diff after diff").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_wrote_during_the_functions_edit_is_not_taken_for_ours() {
    let world = with_build(50, 1 << 20).await;
    via(&world, "lambda");
    diff(&world).await;
    world.write("start.js", "// ours\n");
    world.cloud.faults().inject(Fault::on("Invoke").then(Action::Hold { gate: GATE }));
    let deploying = world.command(&["--json"]).spawn().unwrap();
    seen(&world, "Invoke").await;
    put(&world, zip(60, 1 << 20, "// theirs\n")).await;
    world.cloud.faults().open(GATE);
    let ran = Ran::of(&deploying.wait_with_output().await.unwrap()).expect_code(0);
    assert_eq!(ran.json()["artifact"]["entries"], 63, "the function edited theirs");

    assert_eq!(diff(&world).await.stdout, "");
    assert_eq!((asked(&world).gets, world.entry("start.js").await.as_deref()), (1, Some("// ours\n")));
    assert_known(&world, "the one after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_file_that_is_damaged_cut_or_another_artifacts_is_read_over() {
    let world = with_build(50, 1 << 20).await;
    assert_known_after_reading(&world).await;
    let [file] = kept(world.project.path()).try_into().unwrap();
    let whole = std::fs::read(&file).unwrap();
    // From here on it isn't known either that nothing has changed, for which S3 would be asked first.
    world.write("start.js", "// edited\n");
    assert!(diff(&world).await.stdout.starts_with("M start.js"));
    let other = whole.windows(BUCKET.len()).position(|window| window == BUCKET.as_bytes()).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (what, content) in [
        ("damaged at its end", flipped(whole.len() - 30)),
        ("damaged in the tail", flipped(whole.len() / 2)),
        ("damaged in the header", flipped(20)),
        ("another artifact's", flipped(other)),
        ("another version's", flipped(8)),
        ("cut", whole[..whole.len() - 1].to_vec()),
        ("cut in the header", whole[..10].to_vec()),
        ("empty", Vec::new()),
    ] {
        std::fs::write(&file, content).unwrap();
        world.write("start.js", &format!("// {what}\n"));
        let ran = diff(&world).await;
        assert!(ran.stdout.starts_with("M start.js"), "{what}: {ran:?}");
        let found = asked(&world);
        assert_eq!((found.heads, found.gets), (0, 1), "{what}: read as if nothing had been kept");
        assert_eq!(std::fs::read(&file).unwrap(), whole, "{what}: kept again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_plans_on_what_is_there_and_not_on_what_was_kept_of_another_artifact() {
    // Rightly made, but of an artifact that was there before: ETag and size say so.
    let world = with_build(50, 1 << 20).await;
    diff(&world).await;
    let [file] = kept(world.project.path()).try_into().unwrap();
    let old = std::fs::read(&file).unwrap();
    put(&world, zip(70, 1 << 20, OLD)).await;
    diff(&world).await;
    std::fs::write(&file, old).unwrap();
    world.write("start.js", "// edited\n");
    world.run(&[]).await.expect_code(0);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(world.artifact().await)).unwrap();
    assert_eq!(archive.len(), 73);
    for at in 0..archive.len() {
        std::io::copy(&mut archive.by_index(at).unwrap(), &mut std::io::sink()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_changed_under_the_same_etag_is_carried_over() {
    for bytes in [100 << 10, 10 << 20] {
        let world = with_build(50, bytes).await;
        diff(&world).await;
        let before = world.etag().await;
        let copy = world.s3.copy_object().bucket(BUCKET).key(KEY).copy_source(format!("{BUCKET}/{KEY}"));
        let copy = copy.metadata_directive(MetadataDirective::Replace).metadata("owner", "somebody");
        copy.content_type("application/x-new")
            .tagging("team=new")
            .tagging_directive("REPLACE".into())
            .send()
            .await
            .unwrap();
        assert_eq!(world.etag().await, before, "the test is about an ETag that stays");

        world.write("start.js", "// edited\n");
        world.cloud.clear_requests();
        world.run(&[]).await.expect_code(0);
        assert_eq!(asked(&world).gets, 0, "the bytes are known");
        let head = world.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
        assert_eq!(head.metadata().unwrap().get("owner").map(String::as_str), Some("somebody"));
        assert_eq!((head.content_type(), head.tag_count()), (Some("application/x-new"), Some(1)));
        assert_ne!(head.e_tag().unwrap(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_refused_is_no_obstacle_and_a_missing_artifact_is_told_as_ever() {
    let world = with_build(50, 1 << 20).await;
    diff(&world).await;
    let refused = Action::Respond { status: 403, code: "AccessDenied" };
    world.cloud.faults().inject(Fault::on("HeadObject").then(refused));
    assert_eq!(diff(&world).await.stdout, "");
    assert_eq!(asked(&world).gets, 1);

    world.s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    let ran = world.run(&["diff"]).await.expect_code(1);
    let first = Ran::of(&world.command(&["diff", "--json"]).output().await.unwrap());
    assert_eq!(serde_json::from_str::<Value>(&first.stdout).unwrap()["error"]["errorType"], "ArtifactNotFound");
    assert!(ran.stderr.contains("the first artifact comes from a full build"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_that_cannot_be_written_costs_the_saving_only() {
    let world = with_build(50, 1 << 20).await;
    world.write(".quickdeploy", "a file in the directory's place\n");
    for _ in 0..2 {
        world.cloud.clear_requests();
        let ran = world.run(&["diff", "-v"]).await.expect_code(0);
        assert!(ran.stderr.contains("the end of s3://artifacts/app/app.zip is not kept"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
        assert_eq!((asked(&world).heads, asked(&world).gets), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_artifact_of_a_project_has_its_own() {
    let world = with_build(50, 1 << 20).await;
    let other = "app/worker.zip";
    let zip = zip_of([("job.js", b"// job\n".to_vec())].into_iter());
    world.s3.put_object().bucket(BUCKET).key(other).body(zip.into()).send().await.unwrap();
    world.write("worker/job.js", "// job\n");
    world.write(
        "quickdeploy.toml",
        "[artifacts.api]\nartifact = \"s3://artifacts/app/app.zip\"\nfunctions = [\"a\"]\nexclude = [\"/worker\"]\n\
         [artifacts.worker]\nartifact = \"s3://artifacts/app/worker.zip\"\nfunctions = [\"a\"]\nroot = \"worker\"\n\
         affected = \"all\"\n",
    );
    let diff = async || {
        world.cloud.clear_requests();
        world.run(&["diff"]).await.expect_code(0).stdout
    };
    assert_eq!(diff().await, "[api]\n[worker]\n");
    assert_eq!(asked(&world).gets, 2);
    assert_eq!(kept(world.project.path()).len(), 2);
    assert_eq!(diff().await, "[api]\n[worker]\n");
    assert_eq!(asked(&world), Asked { heads: 2, ..ONE_HEAD });
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_begins_with_what_is_known_and_leaves_what_is_known() {
    for way in ["direct", "lambda"] {
        let world = with_build(50, 3 << 20).await;
        via(&world, way);
        diff(&world).await;
        world.cloud.clear_requests();
        let mut watching = Watching::start(&world).await;
        assert_eq!(asked(&world).gets, 0);
        for edit in 0..2 {
            world.cloud.clear_requests();
            world.write("start.js", &format!("// saved {edit}\n"));
            watching.expect("live").await;
        }
        watching.stop().await;
        assert_known(&world, way).await;
    }
}
