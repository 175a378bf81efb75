//! Ctrl-C that leaves nothing half done.
//!
//! Until the artifact is committed, a first Ctrl-C (or SIGTERM) ends the run and nothing has changed. From then on, a
//! first one only says what is still being finished, because functions that half run the new code and half the old are
//! what nobody asked for; a second one stops at once, and the next run picks up what is stale.

use tokio::sync::watch;
use zipedit::Stop;

use crate::error::Error;

/// Counts Ctrl-C and SIGTERM from now on.
#[derive(Clone, Debug)]
pub(crate) struct Interrupts {
    count: watch::Receiver<u32>,
}

impl Interrupts {
    /// Takes both signals over for the rest of the process.
    pub(crate) fn listen() -> Self {
        let (sender, count) = watch::channel(0);
        tokio::spawn(async move {
            if let Ok(mut signals) = Signals::listen() {
                loop {
                    signals.next().await;
                    sender.send_modify(|count| *count += 1);
                }
            }
            // Without signals to wait for, nobody may be told that there was one.
            std::future::pending::<()>().await;
        });
        Self { count }
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
    pub(crate) async fn stopping<T>(&self, stop: &Stop, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = work.as_mut() => done,
            () = self.nth(1) => {
                stop.now();
                work.await
            }
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

/// The run was ended before it had changed anything.
pub(crate) fn nothing_changed() -> Error {
    Error::new("Interrupted", "interrupted: nothing was changed")
}
