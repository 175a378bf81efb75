//! The link itself: `benches shape`, a process between two TUN devices. It ends when its stdin does.

use anyhow::Result;

use super::Shape;

/// The arguments of `benches shape`.
#[derive(Debug, clap::Args)]
pub(crate) struct Shaper {
    /// The name of the TUN device to make for the developer's side.
    developer: String,
    /// The name of the TUN device to make for the cloud's side.
    cloud: String,
    #[command(flatten)]
    shape: Shape,
}

/// Passes packets on until stdin ends.
///
/// # Errors
/// There are no TUN devices here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn shape(_: &Shaper) -> Result<()> {
    anyhow::bail!("links are shaped on Linux only")
}

/// Passes packets on until stdin ends.
///
/// # Errors
/// The TUN devices can't be made.
#[cfg(target_os = "linux")]
pub(crate) fn shape(shaper: &Shaper) -> Result<()> {
    linux::shape(shaper)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::Read as _;
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::{Duration, Instant};

    use anyhow::{Context as _, Result};
    use tun_rs::{DeviceBuilder, SyncDevice};

    use super::Shaper;

    /// An Ethernet header and check sequence, in bytes: the rate is that of a link, not of IP.
    const FRAME: usize = 18;

    pub(super) fn shape(shaper: &Shaper) -> Result<()> {
        let device = |name: &str| -> Result<Arc<SyncDevice>> {
            let built = DeviceBuilder::new().name(name).mtu(1500).build_sync();
            Ok(Arc::new(built.with_context(|| format!("cannot make the TUN device {name}"))?))
        };
        let (developer, cloud) = (device(&shaper.developer)?, device(&shaper.cloud)?);
        let delay = Duration::from_secs_f64(shaper.shape.delay / 1e3);
        let queue = Duration::from_secs_f64(shaper.shape.queue / 1e3);
        direction(&developer, &cloud, Way { mbit: shaper.shape.up, delay, queue });
        direction(&cloud, &developer, Way { mbit: shaper.shape.down, delay, queue });
        crate::say("ready");
        std::io::stdin().read_to_end(&mut Vec::new())?;
        Ok(())
    }

    #[derive(Clone, Copy)]
    struct Way {
        mbit: f64,
        delay: Duration,
        queue: Duration,
    }

    /// One thread gives each packet the time when it is due at the other end, another one lets it out then.
    fn direction(from: &Arc<SyncDevice>, to: &Arc<SyncDevice>, way: Way) {
        let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
        let to = Arc::clone(to);
        thread::spawn(move || {
            for (due, packet) in receiver {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                // A device that is not up yet drops packets, as an unplugged cable does.
                let _ = to.send(&packet);
            }
        });
        let from = Arc::clone(from);
        thread::spawn(move || {
            let mut packet = vec![0; 65_536];
            let mut line_free = Instant::now();
            loop {
                let length = match from.recv(&mut packet) {
                    Ok(length) => length,
                    // Not up yet.
                    Err(_) => {
                        thread::sleep(Duration::from_millis(1));
                        continue;
                    }
                };
                let now = Instant::now();
                line_free = line_free.max(now);
                if line_free - now > way.queue {
                    continue;
                }
                line_free += Duration::from_secs_f64((length + FRAME) as f64 * 8.0 / (way.mbit * 1e6));
                if sender.send((line_free + way.delay, packet[..length].to_vec())).is_err() {
                    return;
                }
            }
        });
    }
}
