//! What the writer of an artifact says of itself.
//!
//! An object's user metadata is carried over from one version to the next, because it belongs to the artifact. Keys that
//! begin with `quickdeploy-` don't: they say who wrote one version, when, and by what, and would be a lie about the
//! next. So they are never carried over, and a writer may put its own in their place.

use std::collections::{BTreeMap, HashMap};

/// Metadata keys that begin so belong to one version of an object.
pub const STAMP_PREFIX: &str = "quickdeploy-";

/// S3 takes 2 KB of user metadata: the bytes of all keys and values. Whether `x-amz-meta-` counts is not said, so it is
/// counted.
const LIMIT: usize = 2048;
const HEADER_PREFIX: usize = "x-amz-meta-".len();

/// The longest value, in bytes.
const LONGEST: usize = 256;
/// The longest one that lasts.
const LONGEST_LASTING: usize = 1500;

/// User metadata for the versions that one writer writes.
///
/// ```
/// # fn main() -> Result<(), zipedit::StampError> {
/// let stamp = zipedit::Stamp::new().with("quickdeploy-by", "me@example.com")?.with("quickdeploy-verb", "deploy")?;
/// # assert!(zipedit::Stamp::new().with("commit", "abc").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp(BTreeMap<String, String>);

/// A key or a value that is none for a [`Stamp`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the metadata `{key}` {reason}")]
pub struct StampError {
    /// The key.
    pub key: String,
    /// What is wrong with it, or with its value.
    pub reason: &'static str,
}

impl Stamp {
    /// Says nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `key`, which has to begin with [`STAMP_PREFIX`], or replaces its value.
    ///
    /// # Errors
    /// When the key has other characters than `a-z`, `0-9` and `-`, or the value is empty, longer than 256 bytes or not
    /// printable ASCII: S3 would store something else than was sent.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Result<Self, StampError> {
        let (key, value) = (key.into(), value.into());
        let wrong = |reason| Err(StampError { key: key.escape_debug().take(64).collect(), reason });
        let Some(name) = key.strip_prefix(STAMP_PREFIX) else {
            return wrong("is not one that may be set: it has to begin with `quickdeploy-`");
        };
        check_name(&key, name)?;
        check_value(&key, &value, LONGEST)?;
        self.0.insert(key, value);
        Ok(self)
    }

    /// Adds metadata of the artifact itself, which later writers carry over: what it was built from, say. So its key does
    /// not begin with [`STAMP_PREFIX`].
    ///
    /// # Errors
    /// As [`Stamp::with`], but that a value may have 1,500 bytes.
    pub fn lasting(mut self, key: impl Into<String>, value: impl Into<String>) -> Result<Self, StampError> {
        let (key, value) = (key.into(), value.into());
        let wrong = |reason| Err(StampError { key: key.escape_debug().take(64).collect(), reason });
        if key.starts_with(STAMP_PREFIX) {
            return wrong("would not last: `quickdeploy-` is for single versions");
        }
        check_name(&key, &key)?;
        check_value(&key, &value, LONGEST_LASTING)?;
        self.0.insert(key, value);
        Ok(self)
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The metadata of a successor: what `carried` has and may be carried over, and this. Where both are more than S3
    /// takes, this is left out: no edit fails for it.
    pub(crate) fn onto(&self, carried: Option<&HashMap<String, String>>) -> Option<HashMap<String, String>> {
        let kept = carried.into_iter().flatten().filter(|(key, _)| !key.starts_with(STAMP_PREFIX));
        let mut metadata: HashMap<String, String> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
        let size = |(key, value): (&String, &String)| HEADER_PREFIX + key.len() + value.len();
        if metadata.iter().map(size).sum::<usize>() + self.0.iter().map(size).sum::<usize>() <= LIMIT {
            metadata.extend(self.0.clone());
        }
        Some(metadata).filter(|metadata| !metadata.is_empty())
    }
}

fn check_name(key: &str, name: &str) -> Result<(), StampError> {
    if name.is_empty() || key.len() > 64 || !name.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
        return Err(StampError {
            key: key.escape_debug().take(64).collect(),
            reason: "has to have up to 64 characters of a-z, 0-9 and `-`",
        });
    }
    Ok(())
}

fn check_value(key: &str, value: &str, longest: usize) -> Result<(), StampError> {
    let wrong = |reason| Err(StampError { key: key.escape_debug().take(64).collect(), reason });
    if value.is_empty() || value.len() > longest {
        return wrong(if longest == LONGEST {
            "has to have a value of 1 to 256 bytes"
        } else {
            "has to have a value of 1 to 1,500 bytes"
        });
    }
    if !value.bytes().all(|it| matches!(it, b' '..=b'~')) || value.trim() != value {
        return wrong("has to have a value of printable ASCII, without blanks around it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(of: &[(&str, &str)]) -> HashMap<String, String> {
        of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_another_writer_said_of_itself_is_not_carried_over_whether_or_not_this_one_says_something() {
        let carried = metadata(&[("commit", "abc"), ("quickdeploy-by", "her"), ("quickdeploy-from", "v1")]);
        assert_eq!(Stamp::new().onto(Some(&carried)), Some(metadata(&[("commit", "abc")])));
        let me = Stamp::new().with("quickdeploy-by", "me").unwrap();
        assert_eq!(me.onto(Some(&carried)), Some(metadata(&[("commit", "abc"), ("quickdeploy-by", "me")])));
        assert_eq!(Stamp::new().onto(Some(&metadata(&[("quickdeploy-by", "her")]))), None);
    }

    #[test]
    fn a_stamp_that_would_be_too_much_for_s3_is_left_out_as_a_whole() {
        let long = "x".repeat(1900);
        let carried = metadata(&[("note", &long)]);
        let stamp = Stamp::new().with("quickdeploy-by", "me").unwrap().with("quickdeploy-at", "y".repeat(99)).unwrap();
        assert_eq!(stamp.onto(Some(&carried)), Some(carried));
    }

    #[test]
    fn what_lasts_is_carried_over_until_another_writer_says_it_anew() {
        let first = Stamp::new().lasting("built-from", "1;a=b").unwrap().with("quickdeploy-by", "me").unwrap();
        let object = first.onto(None).unwrap();
        let carried = Stamp::new().with("quickdeploy-by", "her").unwrap().onto(Some(&object));
        assert_eq!(carried, Some(metadata(&[("built-from", "1;a=b"), ("quickdeploy-by", "her")])));
        let again = Stamp::new().lasting("built-from", "1;a=c").unwrap().onto(Some(&object));
        assert_eq!(again, Some(metadata(&[("built-from", "1;a=c")])));
        assert!(Stamp::new().lasting("quickdeploy-by", "me").is_err());
        assert!(Stamp::new().lasting("built-from", "x".repeat(1501)).is_err());
    }

    #[test]
    fn only_keys_of_its_own_and_values_that_s3_keeps_are_taken() {
        for (key, value) in [
            ("commit", "abc"),
            ("quickdeploy-", "abc"),
            ("quickdeploy-By", "abc"),
            ("quickdeploy-a b", "abc"),
            ("quickdeploy-by", ""),
            ("quickdeploy-by", "J\u{f6}rg"),
            ("quickdeploy-by", " me"),
            ("quickdeploy-by", "me\nx-amz-acl: public-read"),
        ] {
            assert!(Stamp::new().with(key, value).is_err(), "{key}: {value}");
        }
        assert!(Stamp::new().with("quickdeploy-by", "x".repeat(257)).is_err());
        assert!(Stamp::new().with("quickdeploy-by", "Ada Lovelace <ada@example.com>").is_ok());
    }
}
