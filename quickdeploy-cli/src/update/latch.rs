//! Waiting until each of several has come by.

use tokio::sync::watch;

/// Opens when every [`Ticket`] that it gave out is gone, and none are left to be given out.
#[derive(Debug)]
pub(crate) struct Latch {
    left: watch::Sender<usize>,
}

/// Held until its holder has come by.
#[derive(Debug)]
pub(crate) struct Ticket<'a>(&'a Latch);

impl Latch {
    /// For so many.
    pub(crate) fn of(number: usize) -> Self {
        Self { left: watch::Sender::new(number) }
    }

    /// One of its tickets.
    pub(super) fn ticket(&self) -> Ticket<'_> {
        Ticket(self)
    }

    /// Waits until all have come by.
    pub(crate) async fn open(&self) {
        // The sender is this latch itself: it can't be gone.
        let _ = self.left.subscribe().wait_for(|left| *left == 0).await;
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.left.send_modify(|left| *left = left.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_opens_when_the_last_has_come_by() {
        let latch = Latch::of(2);
        let tickets = [latch.ticket(), latch.ticket()];
        let [one, other] = tickets;
        drop(one);
        assert!(futures::FutureExt::now_or_never(latch.open()).is_none(), "one has not come by");
        drop(other);
        latch.open().await;
    }

    #[tokio::test]
    async fn one_for_nobody_is_open() {
        Latch::of(0).open().await;
    }
}
