//! A peer as a process of its own, on a port of its own, from its first answer to its end.
//!
//! It runs on a leash (`tests/peers/leash.py`): when this process lets go of it, in whatever way it ends, the server and
//! what it started end too.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use quickdeploy_tests::binaries::root;
use quickdeploy_tests::site::Site;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::installation::Peer;

/// A peer may take so long until it answers, on a machine with better things to do.
const PATIENCE: Duration = Duration::from_secs(90);
/// And so long to end.
const FAREWELL: Duration = Duration::from_secs(15);

/// A running peer, with clients. It ends when it is dropped.
pub(crate) struct Server {
    site: Site,
    leash: Child,
    directory: TempDir,
}

impl Deref for Server {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Server {
    /// Starts `peer`, with an empty bucket. `None`: it isn't installed, and that was said.
    pub(super) async fn start(peer: &Peer) -> Option<Self> {
        let server = Self::start_with(peer, &[]).await?;
        server.make_bucket().await;
        Some(server)
    }

    /// Starts `peer` with nothing in it. `environment` goes over its own.
    pub(crate) async fn start_with(peer: &Peer, environment: &[(&str, &str)]) -> Option<Self> {
        let programs = peer.programs()?;
        // Another process may take the port between its choice and its use.
        for _ in 0..3 {
            let server = Self::on(free_port(), peer, &programs, environment).await;
            if server.is_some() {
                return server;
            }
        }
        panic!("`{}` ended three times before it answered", peer.name);
    }

    /// `None`: it ended again.
    async fn on(port: u16, peer: &Peer, programs: &Path, environment: &[(&str, &str)]) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let filled = |text: &str| {
            text.replace("{port}", &port.to_string()).replace("{directory}", directory.path().to_str().unwrap())
        };
        let log = File::create(directory.path().join("log")).unwrap();
        let leash = Command::new(programs.join("python"))
            .arg(root().join("tests/peers/leash.py"))
            .arg(programs.join(peer.command[0]))
            .args(peer.command[1..].iter().map(|argument| filled(argument)))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", directory.path())
            .envs(peer.environment.iter().chain(environment).map(|(name, value)| (*name, filled(value))))
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let site = Site::new(format!("http://127.0.0.1:{port}"));
        let mut server = Self { site, leash, directory };
        server.answers(SocketAddr::from(([127, 0, 0, 1], port))).await.then_some(server)
    }

    /// Waits until it answers; whether it does, rather than having ended.
    async fn answers(&mut self, address: SocketAddr) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if self.leash.try_wait().unwrap().is_some() {
                println!("{}", self.last_words());
                return false;
            }
            // First a connection: requests to nobody would use up what the client may spend on retries.
            let listens = tokio::net::TcpStream::connect(address).await.is_ok();
            if listens && let Ok(Ok(_)) = timeout(Duration::from_secs(20), self.site.s3.list_buckets().send()).await {
                return true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("no answer from {} within {PATIENCE:?}:\n{}", self.endpoint, self.last_words());
    }

    /// The end of what it printed.
    fn last_words(&self) -> String {
        let log = std::fs::read(self.directory.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.leash.stdin.take());
        let begin = Instant::now();
        while matches!(self.leash.try_wait(), Ok(None)) && begin.elapsed() < FAREWELL {
            std::thread::sleep(Duration::from_millis(20));
        }
        // What the leash couldn't end in that time; nothing happens to one that is over.
        let _ = self.leash.kill();
        if std::thread::panicking() {
            println!("the end of what {} printed:\n{}", self.endpoint, self.last_words());
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
