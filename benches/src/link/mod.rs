//! A developer's uplink between two network namespaces of this machine, and where a program runs then.
//!
//! Each namespace has a TUN device; a process between them, the [`shaper`], passes packets on at the link's rate, after its
//! delay, and drops them when its queue is full. Real TCP runs at both ends: handshakes, slow start and queueing cost what
//! they cost. It needs Linux, root, and the program `ip`.

pub(crate) mod shaper;

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The addresses at the ends, of the range for benchmarks of networks (RFC 2544).
const DEVELOPER: &str = "198.18.77.1";
const CLOUD: &str = "198.18.77.2";

/// Between the developer and the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Network {
    /// Nothing.
    Loopback,
    /// 20 Mbit/s up, 100 Mbit/s down, 30 ms there and back.
    Uplink,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Uplink => "uplink",
        })
    }
}

/// What a link does to packets.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Shape {
    /// From the developer to the cloud, in Mbit/s.
    #[arg(long, default_value_t = 20.0)]
    up: f64,
    /// From the cloud to the developer, in Mbit/s.
    #[arg(long, default_value_t = 100.0)]
    down: f64,
    /// One way, in ms.
    #[arg(long, default_value_t = 15.0)]
    delay: f64,
    /// How long a packet waits at most before it is dropped, in ms.
    #[arg(long, default_value_t = 100.0)]
    queue: f64,
}

impl Shape {
    /// 20 Mbit/s up, 100 Mbit/s down, 30 ms there and back: the default, and that of [`Network::Uplink`].
    pub(crate) const UPLINK: Self = Self { up: 20.0, down: 100.0, delay: 15.0, queue: 100.0 };
}

/// A link that is up; it goes down when this is dropped.
#[derive(Debug)]
pub(crate) struct Link {
    developer: String,
    cloud: String,
    shaper: Option<Child>,
}

impl Link {
    /// Joins two namespaces.
    ///
    /// # Errors
    /// It is not possible here, and why.
    pub(crate) fn up(shape: Shape) -> Result<Self> {
        remove_orphans();
        let own = std::process::id();
        let mut link = Self { developer: format!("qd-dev-{own}"), cloud: format!("qd-cloud-{own}"), shaper: None };
        for namespace in [&link.developer, &link.cloud] {
            ip(&["netns", "add", namespace])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        let (developer, cloud) = (format!("qdd{own}"), format!("qdc{own}"));
        let mut shaper = Command::new(std::env::current_exe()?)
            .args(["shape", &developer, &cloud])
            .args(["--up", &shape.up.to_string(), "--down", &shape.down.to_string()])
            .args(["--delay", &shape.delay.to_string(), "--queue", &shape.queue.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = String::new();
        if let Some(stdout) = shaper.stdout.take() {
            BufReader::new(stdout).read_line(&mut ready)?;
        }
        link.shaper = Some(shaper);
        if ready.trim() != "ready" {
            bail!("no TUN devices: they need Linux with /dev/net/tun, and root");
        }
        for (device, namespace, own, other) in
            [(&developer, &link.developer, DEVELOPER, CLOUD), (&cloud, &link.cloud, CLOUD, DEVELOPER)]
        {
            // An open TUN device stays with its process when it moves to another namespace.
            ip(&["link", "set", device, "netns", namespace])?;
            ip(&["-n", namespace, "addr", "add", own, "peer", other, "dev", device])?;
            ip(&["-n", namespace, "link", "set", device, "txqueuelen", "2000", "up"])?;
        }
        Ok(link)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(mut shaper) = self.shaper.take() {
            // Its stdin ends.
            drop(shaper.stdin.take());
            let _ = shaper.wait();
        }
        for namespace in [&self.developer, &self.cloud] {
            let _ = ip(&["netns", "del", namespace]);
        }
    }
}

/// Removes the namespaces of harnesses that were killed.
fn remove_orphans() {
    let listed = Command::new("ip").args(["netns", "list"]).output().map(|output| output.stdout).unwrap_or_default();
    for name in String::from_utf8_lossy(&listed).lines().filter_map(|line| line.split_whitespace().next()) {
        let owner = name.strip_prefix("qd-dev-").or_else(|| name.strip_prefix("qd-cloud-"));
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            let _ = ip(&["netns", "del", name]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("cannot run `ip`: install iproute2")?;
    if !output.status.success() {
        bail!("`ip {}`: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Where tools and clouds run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    link: Option<&'a Link>,
}

impl<'a> Place<'a> {
    /// Both on this machine's loopback, or each at its end of the link.
    #[must_use]
    pub(crate) fn new(link: Option<&'a Link>) -> Self {
        Self { link }
    }

    /// The address that a cloud listens on for the developer; `None`: its own will do.
    #[must_use]
    pub(crate) fn forward(&self) -> Option<String> {
        self.link.map(|_| format!("{CLOUD}:0"))
    }

    /// A program beside the cloud.
    #[must_use]
    pub(crate) fn cloud_side(&self, program: impl AsRef<Path>) -> Command {
        self.within(program.as_ref(), |link| &link.cloud)
    }

    /// A program on the developer's machine.
    #[must_use]
    pub(crate) fn developer_side(&self, program: impl AsRef<Path>) -> Command {
        self.within(program.as_ref(), |link| &link.developer)
    }

    fn within(&self, program: &Path, namespace: impl Fn(&Link) -> &String) -> Command {
        match self.link {
            None => Command::new(program),
            Some(link) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace(link)]).arg(program);
                command
            }
        }
    }
}
