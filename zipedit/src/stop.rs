//! When an edit has to give up: at a deadline, or when its caller says so.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::DEADLINE_MARGIN;

/// Ends an edit before its commit. Cheap to clone; clones share the token.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    deadline: Option<Instant>,
    token: CancellationToken,
}

/// Why it was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Deadline,
    Token,
}

impl Stopped {
    /// How long an edit that was stopped still waits for each thing that shouldn't be left open: an upload that is being
    /// created and would have to be aborted, the answer to a commit that was sent, and a look at what became of it. These
    /// three come after each other at the most, and before a deadline there is [`DEADLINE_MARGIN`] for them.
    fn grace(self) -> Duration {
        match self {
            Stopped::Deadline => DEADLINE_MARGIN.mul_f32(0.3),
            Stopped::Token => Duration::from_secs(3),
        }
    }
}

impl Stop {
    /// Never, unless by [`Stop::now`].
    #[must_use]
    pub fn never() -> Self {
        Self::default()
    }

    /// After this time from now on.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(time), token: CancellationToken::new() }
    }

    /// Stops the edits that were given this.
    pub fn now(&self) {
        self.token.cancel();
    }

    /// The work's result, or why it was ended before it had one.
    pub(crate) async fn or_result_of<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        let deadline = async {
            match self.deadline {
                // A timer may round up, and let work begin for which there is no time.
                Some(deadline) if deadline <= Instant::now() => {}
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.token.cancelled() => Err(Stopped::Token),
            () = deadline => Err(Stopped::Deadline),
            result = work => Ok(result),
        }
    }

    /// The result of work that is worth some more waiting when it was begun: a commit, and what puts things in order.
    pub(crate) async fn or_late_result_of<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        let mut work = std::pin::pin!(work);
        match self.or_result_of(&mut work).await {
            Ok(result) => Ok(result),
            Err(stopped) => tokio::time::timeout(stopped.grace(), work).await.map_err(|_| stopped),
        }
    }
}
