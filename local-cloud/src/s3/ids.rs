//! Identifiers: unique within a cloud and in the shapes that AWS gives them. They are no secrets.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static COUNT: AtomicU64 = AtomicU64::new(0);

/// `length` characters of `alphabet`. The randomly keyed hash of a counter: no two are alike, not even across restarts.
fn identifier(alphabet: &[u8], length: usize) -> String {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut text = String::with_capacity(length);
    let mut block = 0_u64;
    while text.len() < length {
        let mut bits = SEED.hash_one((count, block));
        block += 1;
        for _ in 0..10.min(length - text.len()) {
            let index = usize::try_from(bits % alphabet.len() as u64).unwrap_or(0);
            text.push(char::from(alphabet[index]));
            bits /= alphabet.len() as u64;
        }
    }
    text
}

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// As in `x-amz-version-id`.
pub(crate) fn version_id() -> String {
    identifier(ALPHANUMERIC, 32)
}

/// Whether a text could be the id of a version. AWS tells one that never was from one that is no id at all.
pub(crate) fn is_version_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// As in `UploadId`.
pub(crate) fn upload_id() -> String {
    identifier(ALPHANUMERIC, 96)
}

/// As in `x-amz-request-id`.
pub(crate) fn request_id() -> String {
    identifier(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", 16)
}

/// The name of a file of object bytes.
pub(crate) fn segment_id() -> String {
    identifier(b"0123456789abcdefghijklmnopqrstuvwxyz", 24)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn no_two_version_ids_are_alike() {
        let ids: HashSet<String> = (0..10_000).map(|_| super::version_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 32));
    }
}
