//! The ways in which a request can go wrong.

use std::time::Duration;

use local_cloud::Action;

use super::scenario::Scenario;

/// Whether only one request is hit, or all from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lasting {
    Once,
    FromThereOn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ConnectionRefused,
    ResetBefore,
    ResetAfter,
    Stall,
    StallAfter,
    InternalError,
    InternalErrorAfter,
    SlowDown,
    Conflict,
    PreconditionFailed,
    AccessDenied,
    NoSuchKey,
    NoSuchUpload,
    ExpiredToken,
    ErrorInside200,
    CutBody,
    StalledBody,
    ShortBody,
}

impl Kind {
    pub(super) const ALL: [Kind; 18] = [
        Kind::ConnectionRefused,
        Kind::ResetBefore,
        Kind::ResetAfter,
        Kind::Stall,
        Kind::StallAfter,
        Kind::InternalError,
        Kind::InternalErrorAfter,
        Kind::SlowDown,
        Kind::Conflict,
        Kind::PreconditionFailed,
        Kind::AccessDenied,
        Kind::NoSuchKey,
        Kind::NoSuchUpload,
        Kind::ExpiredToken,
        Kind::ErrorInside200,
        Kind::CutBody,
        Kind::StalledBody,
        Kind::ShortBody,
    ];

    pub(super) fn action(self, lasting: Lasting) -> Action {
        let answer = |status, code| Action::Respond { status, code };
        match self {
            Kind::ConnectionRefused => Action::GoAway(match lasting {
                Lasting::Once => Duration::from_millis(120),
                Lasting::FromThereOn => Duration::from_secs(600),
            }),
            Kind::ResetBefore => Action::ResetBefore,
            Kind::ResetAfter => Action::ResetAfter,
            Kind::Stall => Action::Stall,
            Kind::StallAfter => Action::StallAfter,
            Kind::InternalError => answer(500, "InternalError"),
            Kind::InternalErrorAfter => Action::RespondAfter { status: 500, code: "InternalError" },
            Kind::SlowDown => answer(503, "SlowDown"),
            Kind::Conflict => answer(409, "ConditionalRequestConflict"),
            Kind::PreconditionFailed => answer(412, "PreconditionFailed"),
            Kind::AccessDenied => answer(403, "AccessDenied"),
            Kind::NoSuchKey => answer(404, "NoSuchKey"),
            Kind::NoSuchUpload => answer(404, "NoSuchUpload"),
            Kind::ExpiredToken => answer(400, "ExpiredToken"),
            Kind::ErrorInside200 => Action::ErrorInside200 { code: "InternalError" },
            Kind::CutBody => Action::CutBody { after: 10 },
            Kind::StalledBody => Action::StallBody { after: 10 },
            Kind::ShortBody => Action::ShortBody { missing: 1 },
        }
    }

    /// Whether an answer to this operation can go wrong in this way at all.
    pub(super) fn concerns(self, operation: &str) -> bool {
        let has_body = matches!(
            operation,
            "GetObject"
                | "GetObjectTagging"
                | "CreateMultipartUpload"
                | "UploadPartCopy"
                | "CompleteMultipartUpload"
                | "CopyObject"
        );
        match self {
            Kind::ErrorInside200 => matches!(operation, "UploadPartCopy" | "CompleteMultipartUpload" | "CopyObject"),
            Kind::CutBody | Kind::StalledBody | Kind::ShortBody => has_body,
            // Only of a request with a condition.
            Kind::Conflict => matches!(operation, "PutObject" | "CompleteMultipartUpload" | "CopyObject"),
            Kind::PreconditionFailed => {
                matches!(operation, "PutObject" | "CompleteMultipartUpload" | "CopyObject" | "UploadPartCopy")
            }
            Kind::NoSuchUpload => matches!(
                operation,
                "UploadPart" | "UploadPartCopy" | "CompleteMultipartUpload" | "AbortMultipartUpload"
            ),
            _ => true,
        }
    }

    /// Whether it is over by itself, so that nobody needs to hear of it. That somebody else wrote just now is nothing to
    /// an edit, which goes on top of it; what takes the place of a whole artifact must not hide what it hasn't seen.
    pub(super) fn passes_by_itself(self, scenario: Scenario, lasting: Lasting) -> bool {
        if matches!(self, Kind::Conflict | Kind::PreconditionFailed) && scenario.takes_the_place_of_a_whole() {
            return false;
        }
        lasting == Lasting::Once
            && matches!(
                self,
                Kind::ConnectionRefused
                    | Kind::ResetBefore
                    | Kind::ResetAfter
                    | Kind::InternalError
                    | Kind::InternalErrorAfter
                    | Kind::SlowDown
                    | Kind::Conflict
                    | Kind::PreconditionFailed
                    | Kind::ErrorInside200
                    | Kind::CutBody
            )
    }

    /// Whether what was asked for is done, and the client doesn't learn of it.
    pub(super) fn acts_without_telling(self) -> bool {
        matches!(
            self,
            Kind::ResetAfter
                | Kind::StallAfter
                | Kind::InternalErrorAfter
                | Kind::CutBody
                | Kind::StalledBody
                | Kind::ShortBody
        )
    }

    /// How long after the fault the client is stopped, where nothing else ends it.
    pub(super) fn patience(self, lasting: Lasting) -> Option<Duration> {
        match (self, lasting) {
            (Kind::Stall | Kind::StallAfter | Kind::StalledBody, _) => Some(Duration::from_millis(100)),
            (_, Lasting::Once) => None,
            (_, Lasting::FromThereOn) => Some(Duration::from_secs(2)),
        }
    }
}
