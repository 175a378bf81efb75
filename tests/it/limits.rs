//! Memory, open connections and time stay bounded: for artifacts of 250 MB with 70,000 entries, whichever way they are
//! edited, for 10,000 changed files, and on a network of 1 KB/s.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_lambda::types::{FunctionCode, Runtime};
use bytes::Bytes;
use local_cloud::{Action, Fault, Link};
use quickdeploy_tests::archives::{archive, noise};
use quickdeploy_tests::cli::{cli, interrupt, write};
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use tokio::process::Child;

const KEY: &str = "artifact.zip";
const MIB: u64 = 1 << 20;

/// The most that a process used.
#[derive(Debug, Default)]
struct Peak {
    /// Resident memory, in bytes.
    memory: u64,
    sockets: usize,
    took: Duration,
}

/// Watches the process to its end. Its resident peak only ever grows, so the last look sees nearly all of it.
async fn watched(mut child: Child) -> (std::process::Output, Peak) {
    let start = Instant::now();
    let process = format!("/proc/{}", child.id().unwrap());
    let mut peak = Peak::default();
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak.memory = peak.memory.max(resident.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) << 10);
        let open = std::fs::read_dir(format!("{process}/fd")).into_iter().flatten().flatten();
        let is_socket = |to: std::path::PathBuf| to.to_string_lossy().starts_with("socket:");
        peak.sockets = peak.sockets.max(open.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(is_socket)).count());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    peak.took = start.elapsed();
    (child.wait_with_output().await.unwrap(), peak)
}

/// 70,000 entries, 250 MB.
fn large() -> Bytes {
    let content = noise(1, 3400);
    archive((0..70_000).map(|at| (format!("node_modules/package-{at:05}/index.js"), content.clone())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_250_mb_and_70_000_entries_takes_a_few_parts_of_memory_and_a_few_connections() {
    let cloud = Cloud::start().await;
    let body = large();
    assert!(body.len() > 240_000_000);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "edited.js", "// edited\n");
    let url = format!("s3://{BUCKET}/{KEY}");
    for (strategy, limit) in [("splice", 160 * MIB), ("rewrite", 320 * MIB)] {
        cloud.put(KEY, body.clone()).await;
        if strategy == "rewrite" {
            let refused = Action::Respond { status: 501, code: "NotImplemented" };
            cloud.faults().inject(Fault::on("UploadPartCopy").always().then(refused));
        }
        let put = "node_modules/package-00100/index.js=edited.js";
        let child = cli(&cloud, folder.path(), &["patch", &url, "--put", put, "--json"]).spawn().unwrap();
        let (output, peak) = watched(child).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(document.to_string().contains(&format!("\"strategy\":\"{strategy}\"")), "{document}");
        println!(
            "{strategy} of {} MB: {} MiB, {} sockets, {:.1?}",
            body.len() / 1_000_000,
            peak.memory / MIB,
            peak.sockets,
            peak.took
        );
        assert!(peak.memory < limit && peak.sockets <= 64, "{strategy}: {peak:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_changed_files_are_patched_in_bounded_memory() {
    let cloud = Cloud::start().await;
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..10_000).map(|at| format!("src/{:02}/file-{at:05}.js", at % 100)).collect();
    cloud.put(KEY, archive(names.iter().map(|name| (name.clone(), b"old".to_vec())))).await;
    for name in &names {
        write(folder.path(), name, format!("exports.name = '{name}';\n"));
    }
    let url = format!("s3://{BUCKET}/{KEY}");
    let puts = names.iter().flat_map(|name| ["--put".to_owned(), format!("{name}={name}")]);
    let arguments: Vec<String> = ["patch".to_owned(), url, "--json".to_owned()].into_iter().chain(puts).collect();
    let (output, peak) = watched(cli(&cloud, folder.path(), &arguments).spawn().unwrap()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!("10,000 files: {} MiB, {} sockets, {:.1?}", peak.memory / MIB, peak.sockets, peak.took);
    assert!(peak.memory < 200 * MIB && peak.sockets <= 64, "{peak:?}");
    let held: BTreeMap<_, _> = quickdeploy_tests::archives::contents(&cloud.get(KEY).await);
    assert!(names.iter().all(|name| held[name].0 == format!("exports.name = '{name}';\n").into_bytes()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_changed_files_go_live_in_bounded_memory() {
    let cloud = Cloud::start().await;
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..10_000).map(|at| format!("src/{:02}/file-{at:05}.js", at % 100)).collect();
    cloud.put(KEY, archive(names.iter().map(|name| (name.clone(), b"old".to_vec())))).await;
    let code = FunctionCode::builder().s3_bucket(BUCKET).s3_key(KEY).build();
    let create = cloud.lambda.create_function().function_name("app").handler("src/00/file-00000.handler").code(code);
    create.runtime(Runtime::Nodejs22x).role("arn:aws:iam::000000000000:role/app").send().await.unwrap();
    cloud.settled("app").await;
    let config = format!("artifact = \"s3://{BUCKET}/{KEY}\"\nfunctions = [\"app\"]\nvia = \"direct\"\n");
    write(folder.path(), "quickdeploy.toml", config);
    for name in &names {
        write(folder.path(), name, format!("exports.name = '{name}';\n"));
    }
    for (run, changed) in [("all changed", true), ("nothing changed", false)] {
        cloud.clear_requests();
        let (output, peak) = watched(cli(&cloud, folder.path(), &["deploy", "--quiet"]).spawn().unwrap()).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("10,000 files, {run}: {} MiB, {} sockets, {:.1?}", peak.memory / MIB, peak.sockets, peak.took);
        assert!(peak.memory < 160 * MIB && peak.sockets <= 16, "{run}: {peak:?}");
        assert_eq!(cloud.requests().iter().any(|it| it.operation == "PutObject"), changed, "{run}");
        // However many files: what an edit asks for, and one function's update.
        assert!(cloud.requests().len() < 20, "{run}: {:#?}", cloud.requests());
    }
    let artifact = cloud.get(KEY).await;
    let held: BTreeMap<_, _> = quickdeploy_tests::archives::contents(&artifact);
    assert!(names.iter().all(|name| held[name].0 == format!("exports.name = '{name}';\n").into_bytes()));
    assert_eq!(cloud.settled("app").await.code_size(), i64::try_from(artifact.len()).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_network_of_1_kb_a_second_a_small_edit_gets_through_and_ctrl_c_is_heeded() {
    let cloud = Cloud::start().await;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "edited.js", noise(1, 2000));
    let url = format!("s3://{BUCKET}/{KEY}");
    let patch = ["patch", &url, "--put", "edited.js=edited.js"];
    cloud.put(KEY, archive([("a.js".to_owned(), b"a".to_vec())])).await;
    cloud.faults().set_link(Link { up: Some(1000), down: Some(1000), ..Link::default() });
    let (output, peak) = watched(cli(&cloud, folder.path(), &patch).spawn().unwrap()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!("2 KB up at 1 KB/s: {:.1?}", peak.took);
    assert!(peak.took > Duration::from_secs(2), "the network wasn't slow");

    // An artifact that would take minutes to read.
    cloud.faults().set_link(Link::default());
    let body = archive([("node_modules/package-0/index.js".to_owned(), noise(2, 200_000))]);
    cloud.put(KEY, body.clone()).await;
    cloud.faults().set_link(Link { up: Some(1000), down: Some(1000), ..Link::default() });
    let child = cli(&cloud, folder.path(), &patch).spawn().unwrap();
    while !cloud.operations().iter().any(|operation| operation == "GetObject") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pressed = Instant::now();
    interrupt(&child);
    let output = child.wait_with_output().await.unwrap();
    println!("Ctrl-C in a read at 1 KB/s: over after {:.1?}", pressed.elapsed());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing was changed"));
    // The artifact itself would take more than three minutes.
    assert!(pressed.elapsed() < Duration::from_secs(60));
    cloud.faults().set_link(Link::default());
    assert_eq!(cloud.get(KEY).await, body);
}
