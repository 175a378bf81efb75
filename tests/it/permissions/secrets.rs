//! What must never be seen: no output of any command, at any verbosity, in success or failure, and no line of the
//! function's log holds the contents of files, secrets, session tokens or addresses that need no signature.

use local_cloud::{BuiltinFunction, LocalCloud};
use quickdeploy_tests::archives::archive;
use quickdeploy_tests::binaries::quickdeploy;
use quickdeploy_tests::cli::cli_at;
use quickdeploy_tests::cloud::{BUCKET, Cloud};

use super::stage::{create_function, role};

const CONTENT: &str = "canary-content-8f1e";
const SECRET: &str = "canary-secret-8f1e";
const TOKEN: &str = "canary-token-8f1e";

/// What none of the output may hold, and what that is.
const HIDDEN: &[(&str, &str)] = &[
    (CONTENT, "a file's content"),
    ("Y2FuYXJ5LWNvbnRlbnQ", "a file's content in base64"),
    (SECRET, "a secret access key"),
    (TOKEN, "a session token"),
    ("X-Amz-Signature=", "a presigned URL"),
    ("X-Amz-Security-Token=", "a presigned URL"),
    ("/2015-03-31/code/", "the presigned URL of a function's code"),
];

/// How a run goes wrong, if it does.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    /// The secret is not that of the access key.
    WrongSecret,
    /// The access key is nobody's.
    Unknown,
    /// Nothing listens there.
    Unreachable,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_output_holds_contents_secrets_tokens_or_presigned_urls() {
    let zipedit = BuiltinFunction::new("zipedit", [quickdeploy().as_os_str(), "__bootstrap".as_ref()]);
    let builder = LocalCloud::builder().function(zipedit).credential("AKIADEV", SECRET).enforce_iam();
    let cloud = Cloud::start_from(builder).await;
    cloud.keep_versions().await;
    let handler = |n: usize| format!("// {CONTENT} {n}\nexports.handler = async () => 1;\n").into_bytes();
    cloud.put("app/a.zip", archive([("index.js".to_owned(), handler(0))])).await;
    create_function(&cloud, BUCKET, "app/a.zip", &role(&cloud).await).await;
    let directory = tempfile::tempdir().unwrap();
    let config = format!("artifact = \"s3://{BUCKET}/app/a.zip\"\nfunctions = [\"app-api\"]\n");
    let mut runs = 0;
    for arguments in [
        &["diff"][..],
        &["--via", "direct"],
        &["--via", "lambda"],
        &["status"],
        &["history"],
        &["rollback"],
        &["logs"],
        &["invoke", "app-api"],
        &["doctor"],
        &["init", "app-api", "--dry-run", "--force"],
        &["patch", &format!("s3://{BUCKET}/app/a.zip"), "--put", "index.js=index.js"],
        &["patch", "no.zip", "--put", "index.js=index.js"],
        &["full"],
    ] {
        for more in [&["-v"][..], &["-v", "--json"]] {
            for trouble in [Trouble::None, Trouble::WrongSecret, Trouble::Unknown, Trouble::Unreachable] {
                runs += 1;
                std::fs::write(directory.path().join("index.js"), handler(runs)).unwrap();
                std::fs::write(directory.path().join("quickdeploy.toml"), &config).unwrap();
                let wrong = format!("{SECRET}-wrong");
                let endpoint = cloud.endpoint();
                let (key_id, secret, endpoint) = match trouble {
                    Trouble::None => ("AKIADEV", SECRET, endpoint.as_str()),
                    Trouble::WrongSecret => ("AKIADEV", wrong.as_str(), endpoint.as_str()),
                    Trouble::Unknown => ("AKIANOBODY", SECRET, endpoint.as_str()),
                    Trouble::Unreachable => ("AKIADEV", SECRET, "http://127.0.0.1:1"),
                };
                let output = cli_at(endpoint, directory.path(), arguments)
                    .args(more)
                    .env("AWS_ACCESS_KEY_ID", key_id)
                    .env("AWS_SECRET_ACCESS_KEY", secret)
                    .env("AWS_SESSION_TOKEN", TOKEN)
                    .env("AWS_MAX_ATTEMPTS", "1")
                    .env("RUST_LOG", "trace")
                    .env("RUST_BACKTRACE", "1")
                    .output();
                let output = tokio::time::timeout(std::time::Duration::from_secs(60), output).await.unwrap().unwrap();
                assert_ne!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
                let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
                for (hidden, what) in HIDDEN {
                    assert!(!said.contains(hidden), "{arguments:?} {more:?} {trouble:?} shows {what}:\n{said}");
                }
            }
        }
    }
    let logged = cloud.functions().logs("zipedit");
    assert!(logged.iter().any(|event| event.message.contains("edited")), "the function has logged");
    for event in &logged {
        for (hidden, what) in HIDDEN {
            assert!(!event.message.contains(hidden), "the function logs {what}: {}", event.message);
        }
    }
    println!("{runs} runs, {} log lines", logged.len());
}
