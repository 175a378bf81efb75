//! What the Lambda's executable weighs: in the zip, at its start, and in memory while it edits the largest artifacts.

use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use local_cloud::{Action, Fault};
use quickdeploy_tests::archives::noise;
use quickdeploy_tests::binaries::bootstrap;
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use release::Executable;
use serde_json::json;

const MIB: u64 = 1 << 20;

#[test]
fn zipped_it_has_no_more_than_4_mb() {
    let zipped = release::zipped(&std::fs::read(bootstrap()).unwrap()).unwrap().len();
    println!("bootstrap: {zipped} bytes zipped");
    assert!(zipped <= 4_000_000, "{zipped} bytes");
}

#[test]
fn lambda_has_what_it_needs() {
    let executable = Executable::read(&std::fs::read(bootstrap()).unwrap()).unwrap();
    println!("bootstrap: {executable:?}");
    executable.check(None).unwrap();
}

#[test]
fn it_starts_with_no_more_than_10_ms_of_cpu() {
    // The Runtime API, as far as the first poll.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut best = u64::MAX;
    for _ in 0..5 {
        let mut child = start(&listener);
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 512];
        let read = connection.read(&mut request).unwrap();
        assert!(request[..read].starts_with(b"GET /2018-06-01/runtime/invocation/next"));
        best = best.min(cpu_ms(child.id()));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
    println!("bootstrap: {best} ms of CPU to its first poll");
    assert!(best <= 10, "{best} ms");
}

fn start(listener: &TcpListener) -> Child {
    Command::new(bootstrap())
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr().unwrap().to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "zipedit")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/zipedit")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// CPU time of a process so far, by the kernel's count in nanoseconds.
fn cpu_ms(pid: u32) -> u64 {
    let schedstat = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).unwrap();
    let nanoseconds: u64 = schedstat.split_whitespace().next().unwrap().parse().unwrap();
    nanoseconds / 1_000_000
}

/// The most memory that a running `bootstrap` below this process ever had, in bytes.
fn peak_rss() -> u64 {
    let me = std::process::id().to_string();
    let mut peaks = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let status = std::fs::read_to_string(process.path().join("status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let ours = field("PPid:") == Some(&me) && field("Name:") == Some("bootstrap");
        if let (true, Some(peak)) = (ours, field("VmHWM:")) {
            peaks.push(peak.trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024);
        }
    }
    peaks.into_iter().max().expect("a bootstrap is running")
}

/// 20,000 entries, 240 MB, stored as they don't compress.
fn large_artifact() -> PathBuf {
    let path = quickdeploy_tests::programs::cache().join("20000-entries-240-mb.zip");
    if !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let files = (0..20_000_u64).map(|at| (format!("node_modules/package-{at:05}/lib/index.js"), noise(at, 11_900)));
        let own = [("handler.js".to_owned(), b"exports.handler = async () => 1;\n".to_vec())];
        let archive = quickdeploy_tests::archives::archive(files.chain(own));
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, archive).unwrap();
        std::fs::rename(&unfinished, &path).unwrap();
    }
    path
}

#[tokio::test]
async fn it_splices_240_mb_of_20_000_entries_in_32_mib_and_rewrites_them_in_64() {
    let event = json!({ "src": format!("{BUCKET}/artifact.zip"), "changes": { "handler.js": "exports.handler = async () => 2;\n" } });
    for (strategy, limit) in [("splice", 32 * MIB), ("rewrite", 64 * MIB)] {
        let cloud = Cloud::with_zipedit(bootstrap()).await;
        cloud.put("artifact.zip", std::fs::read(large_artifact()).unwrap().into()).await;
        if strategy == "rewrite" {
            let fault =
                Fault::on("UploadPartCopy").always().then(Action::Respond { status: 501, code: "NotImplemented" });
            cloud.faults().inject(fault);
        }
        let answer = cloud.invoke("zipedit", &event).await.unwrap();
        assert_eq!((&answer["strategy"], &answer["modified"]), (&json!(strategy), &json!(1)));
        let peak = peak_rss();
        println!("bootstrap: {strategy} of {} bytes with {:.1} MiB", answer["size"], peak as f64 / MIB as f64);
        assert!(peak <= limit, "{strategy}: {peak} bytes");
    }
}
