//! The protocols of the services that have one address for all their operations.

pub(crate) mod json;
pub(crate) mod query;
pub(crate) mod xml;

/// The longest request body that these services read, in bytes. The longest that AWS takes is a batch of `PutLogEvents`: 1
/// MiB of text, in JSON up to six times as long.
pub(crate) const MAX_REQUEST_BYTES: usize = 8 << 20;

/// What every operation may want to know of its request besides its input.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The access key id that signed the request.
    pub(crate) key_id: String,
    /// The region of the credential scope.
    pub(crate) region: String,
    /// How the client reached the cloud, as in `http://127.0.0.1:4566`.
    pub(crate) endpoint: String,
    /// The id that the answer carries.
    pub(crate) request_id: String,
}
