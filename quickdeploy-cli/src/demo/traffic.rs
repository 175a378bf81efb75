//! What a deploy moved, and over which link.

use std::time::Duration;

use local_cloud::{Record, Service};
use serde::Serialize;

use crate::ui::{Ui, bytes, percent};

/// What crossed which link during the deploy. In bytes, headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Traffic {
    /// From this machine to AWS, as it would be.
    up: u64,
    /// From AWS to this machine.
    down: u64,
    requests: usize,
    /// Between the zipedit function and S3, both of them in the cloud.
    inside: u64,
    requests_inside: usize,
}

impl Traffic {
    /// The deploy reads the artifact's tail before it invokes the function, and looks at the artifact after it has
    /// answered; in between, only the function speaks to S3.
    pub(crate) fn of(records: &[Record]) -> Self {
        let invocation = records.iter().find(|record| record.operation == "Invoke");
        let span = invocation.map(|invoke| invoke.began..invoke.began + Duration::from_secs_f64(invoke.ms / 1e3));
        let mut traffic = Self::default();
        for record in records {
            if record.service == Service::S3 && span.as_ref().is_some_and(|span| span.contains(&record.began)) {
                traffic.inside += record.bytes_in + record.bytes_out + record.header_bytes_in + record.header_bytes_out;
                traffic.requests_inside += 1;
            } else {
                traffic.up += record.bytes_in + record.header_bytes_in;
                traffic.down += record.bytes_out + record.header_bytes_out;
                traffic.requests += 1;
            }
        }
        traffic
    }

    /// Tells it, beside the artifact's `size` in bytes.
    pub(crate) fn show(&self, ui: &Ui, size: u64) {
        let requests = self.requests;
        let moved = self.up + self.down;
        ui.status(
            "Moved",
            format!("{} up, {} down over your link, in {requests} requests", bytes(self.up), bytes(self.down)),
        );
        // Below that, the requests themselves are larger than the artifact.
        if moved < size {
            ui.detail(format!("which is {} of the artifact's {}", percent(moved, size), bytes(size)));
        }
        let inside = self.requests_inside;
        ui.detail(format!("{} between the function and S3, in {inside} requests", bytes(self.inside)));
    }
}
