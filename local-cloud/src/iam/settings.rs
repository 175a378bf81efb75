//! What a user of the local cloud can set about its IAM.

use std::time::Duration;

/// How the local IAM behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IamSettings {
    /// For how long Lambda can't assume a new role yet. AWS takes seconds, and says no number; the default is none.
    pub propagation: Duration,
}
