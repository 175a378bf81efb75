//! Ctrl-C that leaves nothing half done.
//!
//! Until the artifact is committed, a first Ctrl-C (or SIGTERM) ends the run and nothing has changed. From then on, a
//! first one only says what is still being finished, because functions that half run the new code and half the old are
//! what nobody asked for; a second one stops at once, and the next run picks up what is stale.
//!
//! What a first one brings to its end (an upload that is discarded, a commit whose answer is waited for, a function that
//! was invoked) may take a while, when the network is gone: it is told then, and a second one ends that, too. Where nobody
//! listens for a second one, the process is ended all the same, [`GRACE`] later: see [`insisted`].

use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::watch;
use zipedit::Stop;

use crate::error::{Error, Result};
use crate::ui::Ui;

/// What is brought to its end in this time need not be told.
const UNTOLD: Duration = Duration::from_millis(500);
/// After a second interrupt, what is under way has so long to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Signals belong to the process, so it counts them.
static COUNT: LazyLock<watch::Sender<u32>> = LazyLock::new(|| watch::Sender::new(0));

/// Counts Ctrl-C and SIGTERM from now on.
#[derive(Clone, Debug)]
pub(crate) struct Interrupts {
    count: watch::Receiver<u32>,
}

impl Interrupts {
    /// Takes both signals over for the rest of the process.
    pub(crate) fn listen() -> Self {
        tokio::spawn(async {
            // Without signals to wait for, nobody is told that there was one.
            if let Ok(mut signals) = Signals::listen() {
                loop {
                    signals.next().await;
                    COUNT.send_modify(|count| *count += 1);
                }
            }
        });
        Self { count: COUNT.subscribe() }
    }

    /// For work inside of something that deals with interrupts itself.
    pub(crate) fn never() -> Self {
        let (_, count) = watch::channel(0);
        Self { count }
    }

    /// Waits for the `nth` interrupt since the start, 1 being the first.
    pub(crate) async fn nth(&self, nth: u32) {
        let mut count = self.count.clone();
        if count.wait_for(|count| *count >= nth).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Does `work`, which an interrupt brings to its end by `stop`: waited for all the same, so that nothing is left open.
    ///
    /// # Errors
    ///
    /// A second interrupt. `what` was being changed, and may or may not have been by then.
    pub(crate) async fn stopping<T>(
        &self,
        ui: &Ui,
        what: &str,
        stop: &Stop,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = work.as_mut() => return Ok(done),
            () = self.nth(1) => stop.now(),
        }
        let told = async {
            tokio::time::sleep(UNTOLD).await;
            ui.warning(
                format!("interrupted: waiting until it is certain what became of {what}"),
                &["press Ctrl-C again to end at once".to_owned()],
            );
            std::future::pending::<()>().await;
        };
        tokio::select! {
            done = work => Ok(done),
            () = self.nth(2) => Err(left(what)),
            () = told => Err(left(what)),
        }
    }

    /// How many there have been.
    pub(crate) fn so_far(&self) -> u32 {
        *self.count.borrow()
    }
}

/// Ctrl-C and SIGTERM. Listened to without a gap, so that one right after another is not lost.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for a second interrupt that what is under way doesn't heed.
pub(crate) async fn insisted() -> Error {
    // The sender is never dropped.
    let _ = COUNT.subscribe().wait_for(|count| *count >= 2).await;
    tokio::time::sleep(GRACE).await;
    Error::new("Interrupted", "interrupted twice: ended in the middle of what was under way")
        .hint("`quickdeploy status` shows how things stand, `quickdeploy doctor` what was left behind")
}

/// The run was ended before it was known whether `what` has changed.
fn left(what: &str) -> Error {
    Error::new("Interrupted", format!("interrupted twice: it is not certain whether {what} was changed"))
        .hint("it is whole, as it was or as it was to be: the same command again finds out")
        .hint("an upload may be left behind: `quickdeploy doctor` finds it")
}

/// The run was ended before it had changed anything.
pub(crate) fn nothing_changed() -> Error {
    Error::new("Interrupted", "interrupted: nothing was changed")
}
