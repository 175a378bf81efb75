//! What a deployment cost in bytes, requests and round trips.

use serde::{Deserialize, Serialize};

use super::protocol::Request;

/// Sizes in bytes, headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bill {
    /// From the developer's machine.
    pub(crate) up: u64,
    /// To the developer's machine.
    pub(crate) down: u64,
    /// The developer's.
    pub(crate) requests: u64,
    /// The longest chain of the developer's requests of which each began when the one before had ended.
    pub(crate) round_trips: u64,
    /// Between functions and S3, both ways.
    pub(crate) inside: u64,
    /// Functions' requests.
    pub(crate) requests_inside: u64,
}

impl Bill {
    /// Of all requests of a deployment.
    #[must_use]
    pub(crate) fn of(requests: &[Request]) -> Self {
        let mut bill = Self::default();
        for request in requests {
            if request.developers {
                bill.up += request.up;
                bill.down += request.down;
                bill.requests += 1;
            } else {
                bill.inside += request.up + request.down;
                bill.requests_inside += 1;
            }
        }
        bill.round_trips = longest_chain(requests.iter().filter(|request| request.developers));
        bill
    }
}

/// What of functions' requests is an artifact's own bytes: read of it by `GetObject`, written by `PutObject` and
/// `UploadPart`. The rest are headers, and XML about it.
#[must_use]
pub(crate) fn artifacts_bytes(requests: &[Request]) -> u64 {
    let bytes = |request: &Request| match request.operation.as_str() {
        // An error's body is XML.
        "GetObject" if request.status < 300 => request.body_down,
        "PutObject" | "UploadPart" => request.body_up,
        _ => 0,
    };
    requests.iter().filter(|request| !request.developers).map(bytes).sum()
}

/// The longest chain is found as one packs most meetings into a room: always the one that ends first.
fn longest_chain<'a>(requests: impl Iterator<Item = &'a Request>) -> u64 {
    let mut requests: Vec<_> = requests.collect();
    requests.sort_by(|one, other| one.end.total_cmp(&other.end));
    let (mut chain, mut free) = (0, f64::NEG_INFINITY);
    for request in requests {
        if request.begin >= free {
            chain += 1;
            free = request.end;
        }
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(developers: bool, begin: f64, end: f64) -> Request {
        Request {
            operation: "GetObject".to_owned(),
            status: 200,
            developers,
            up: 10,
            down: 100,
            body_up: 1,
            body_down: 90,
            begin,
            end,
        }
    }

    #[test]
    fn requests_at_the_same_time_are_one_round_trip() {
        let requests = [(0.0, 5.0), (5.5, 9.0), (5.6, 12.0), (5.7, 8.0), (12.5, 13.0)];
        let mut requests: Vec<_> = requests.map(|(begin, end)| request(true, begin, end)).into();
        requests.push(request(false, 5.6, 5.7));
        let bill = Bill::of(&requests);
        let expected = Bill { up: 50, down: 500, requests: 5, round_trips: 3, inside: 110, requests_inside: 1 };
        assert_eq!(bill, expected);
    }

    #[test]
    fn an_artifacts_bytes_are_the_bodies_of_what_reads_and_writes_it() {
        let of = |operation: &str, status: u16, developers: bool| Request {
            operation: operation.to_owned(),
            status,
            ..request(developers, 0.0, 1.0)
        };
        let bytes = |request: Request| artifacts_bytes(&[request]);
        assert_eq!(["GetObject", "PutObject", "UploadPart"].map(|it| bytes(of(it, 200, false))), [90, 1, 1]);
        let others = ["UploadPartCopy", "CompleteMultipartUpload", "CreateMultipartUpload", "GetObjectTagging"];
        assert_eq!(others.map(|it| bytes(of(it, 200, false))), [0; 4]);
        // What was sent was moved, whatever came of it; what an error says is no artifact.
        assert_eq!(["GetObject", "UploadPart"].map(|it| bytes(of(it, 404, false))), [0, 1]);
        assert_eq!(bytes(of("GetObject", 206, true)), 0);
    }
}
