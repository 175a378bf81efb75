//! Whether the store keeps writers apart: asked once per process and bucket, before the first edit that writes there.
//!
//! S3 does, and is never asked. Other stores that speak its protocol may take a request and ignore its precondition, see
//! [`zipedit::S3Store::probe`].

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde_json::json;
use zipedit::{Precondition, S3Store, Stop};

use crate::STORE_CHECK;
use crate::log;

/// What follows from a store that ignores preconditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consequence {
    Refuse,
    Warn,
    /// It isn't asked.
    Off,
}

/// What is known of the stores that this process writes to.
#[derive(Debug)]
pub(crate) struct StoreCheck {
    consequence: Consequence,
    /// Buckets that need not be asked about again.
    settled: Mutex<BTreeSet<String>>,
}

impl StoreCheck {
    pub(crate) fn from_environment() -> Self {
        Self::new(std::env::var(STORE_CHECK).ok().as_deref())
    }

    fn new(value: Option<&str>) -> Self {
        let consequence = match value {
            Some("off") => Consequence::Off,
            Some("warn") => Consequence::Warn,
            None | Some("" | "refuse") => Consequence::Refuse,
            Some(other) => {
                let details = json!({ "value": other, "known": ["refuse", "warn", "off"] });
                log::line("WARN", "", &format!("{STORE_CHECK} is taken for `refuse`"), &details);
                Consequence::Refuse
            }
        };
        Self { consequence, settled: Mutex::default() }
    }

    /// Makes sure that an edit of `store` in `bucket` can't undo what another writes.
    ///
    /// # Errors
    /// [`zipedit::Error::PreconditionsIgnored`], and what keeps the store from being asked.
    pub(crate) async fn check(
        &self,
        store: &S3Store,
        bucket: &str,
        request_id: &str,
        stop: &Stop,
    ) -> Result<(), zipedit::Error> {
        if self.consequence == Consequence::Off || self.settled().contains(bucket) {
            return Ok(());
        }
        if let Some(endpoint) = store.foreign_endpoint().await? {
            let probed = store.probe(Precondition::OF_EDITS, stop).await?;
            let names = |of: &mut dyn Iterator<Item = Precondition>| of.map(|one| one.to_string()).collect::<Vec<_>>();
            if !probed.left_behind().is_empty() {
                let details = json!({ "endpoint": endpoint, "leftBehind": probed.left_behind() });
                log::line("WARN", request_id, "what the store was asked with could not be removed", &details);
            }
            if self.consequence == Consequence::Refuse {
                probed.refuse_ignored(zipedit::Store::location(store))?;
            }
            let ignored = names(&mut probed.ignored());
            let unknown = names(&mut probed.unknown().map(|(one, _)| one));
            if !ignored.is_empty() || !unknown.is_empty() {
                let details = json!({ "endpoint": endpoint, "ignored": ignored, "unknown": unknown });
                log::line("WARN", request_id, "the store may not keep writers apart", &details);
            }
        }
        self.settled().insert(bucket.to_owned());
        Ok(())
    }

    fn settled(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_trusted_only_by_a_word_that_is_known() {
        for (value, consequence) in [
            (None, Consequence::Refuse),
            (Some(""), Consequence::Refuse),
            (Some("refuse"), Consequence::Refuse),
            (Some("warn"), Consequence::Warn),
            (Some("off"), Consequence::Off),
            (Some("OFF!"), Consequence::Refuse),
        ] {
            assert_eq!(StoreCheck::new(value).consequence, consequence, "{value:?}");
        }
    }
}
