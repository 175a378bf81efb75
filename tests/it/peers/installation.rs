//! Which implementations there are, where `tests/peers/install.py` has put them, and what happens where it hasn't.

use std::path::{Path, PathBuf};

use quickdeploy_tests::binaries::root;

/// An independent implementation.
#[derive(Debug)]
pub(crate) struct Peer {
    /// As its file of pins is called, and the suite's `--peer`.
    pub(crate) name: &'static str,
    /// What starts it: the program in its environment's `bin`, with its arguments. `{port}` stands for the port.
    pub(super) command: &'static [&'static str],
    /// What it finds in its environment. `{port}` stands for the port, `{directory}` for an empty one.
    pub(super) environment: &'static [(&'static str, &'static str)],
}

/// S3, Lambda that runs real processes, CloudFormation, and with `AUTH` signatures and IAM policies.
pub(crate) static MINISTACK: Peer = Peer {
    name: "ministack",
    command: &["ministack"],
    environment: &[
        ("AUTH", "true"),
        ("GATEWAY_PORT", "{port}"),
        // Without it, it listens on all interfaces.
        ("BIND_HOST", "127.0.0.1"),
        ("MINISTACK_HOST", "127.0.0.1"),
        // What its functions find there: else they would call AWS itself.
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:{port}"),
        // They run under the template's role, which has no right to delete what a store is asked with.
        ("QUICKDEPLOY_STORE_CHECK", "off"),
        ("S3_DATA_DIR", "{directory}/s3"),
        ("STATE_DIR", "{directory}/state"),
        ("TMPDIR", "{directory}"),
    ],
};

/// S3 whose own tests are recorded against AWS.
pub(crate) static LOCALSTACK: Peer = Peer {
    name: "localstack",
    command: &["python", "-m", "localstack.runtime.main"],
    environment: &[
        ("GATEWAY_LISTEN", "127.0.0.1:{port}"),
        ("FILESYSTEM_ROOT", "{directory}/localstack"),
        ("SERVICES", "s3"),
        ("STRICT_SERVICE_LOADING", "1"),
        ("SKIP_SSL_CERT_DOWNLOAD", "1"),
        ("DISABLE_EVENTS", "1"),
        ("DNS_ADDRESS", "0"),
    ],
};

/// The widely used one.
pub(crate) static MOTO: Peer =
    Peer { name: "moto", command: &["moto_server", "-H", "127.0.0.1", "-p", "{port}"], environment: &[] };

impl Peer {
    /// Where its programs are. `None`: it isn't installed, and that was said.
    ///
    /// # Panics
    /// When it isn't, but `QUICKDEPLOY_REQUIRE_PEERS` names it: there, a test that is skipped would pass for one that ran.
    pub(super) fn programs(&self) -> Option<PathBuf> {
        programs_of(self.name)
    }
}

/// The directory of the AWS CLI and of a Python with boto3; as [`Peer::programs`].
pub(super) fn clients() -> Option<PathBuf> {
    programs_of("clients")
}

fn programs_of(name: &str) -> Option<PathBuf> {
    let home = installations().join(name);
    let pins = std::fs::read_to_string(root().join(format!("tests/peers/{name}.txt"))).expect("the pins are there");
    let said = match std::fs::read_to_string(home.join("installed.txt")) {
        Ok(installed) if installed == pins => return Some(home.join("bin")),
        Ok(_) => format!("{} has other versions than tests/peers/{name}.txt", home.display()),
        Err(_) => format!("`{name}` is not installed in {}", home.display()),
    };
    let required = std::env::var("QUICKDEPLOY_REQUIRE_PEERS").unwrap_or_default();
    assert!(!required.split_whitespace().any(|required| required == name), "{said}");
    println!("skipped: {said}; `python3 tests/peers/install.py {name}` installs it");
    None
}

fn installations() -> PathBuf {
    std::env::var_os("QUICKDEPLOY_PEERS")
        .map_or_else(|| root().join("target/peers"), |named| root().join(Path::new(&named)))
}
