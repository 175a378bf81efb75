//! Which version of the zipedit function is there, as far as that is known without asking the function itself.
//!
//! The stack is told the version of the program that made it, and the template puts it at the end of the function's
//! description: everybody who lists functions sees it, and it comes with the `GetFunction` that is made anyway.

/// Version of this program.
pub(crate) const OURS: &str = env!("CARGO_PKG_VERSION");

/// The version in `Edits a zip artifact where it lies in S3 (zipedit 1.2.3)`.
pub(crate) fn in_description(description: &str) -> Option<&str> {
    let (_, rest) = description.rsplit_once("(zipedit ")?;
    rest.strip_suffix(')').filter(|version| numbers(version).is_some())
}

/// Whether a version is older than another. One that says nothing is older than everything.
pub(crate) fn is_older(this: &str, than: &str) -> bool {
    numbers(this) < numbers(than)
}

/// `1.2.3` as numbers.
fn numbers(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(is_older("0.9.0", "0.10.0") && !is_older("0.10.0", "0.9.0"));
        assert!(is_older("", "0.0.1"));
        assert!(!is_older(OURS, OURS));
    }

    #[test]
    fn the_version_is_at_the_end_of_the_description() {
        assert_eq!(in_description("Edits a zip artifact where it lies in S3 (zipedit 1.2.3)"), Some("1.2.3"));
        assert_eq!(in_description("Edits a zip artifact where it lies in S3"), None);
        assert_eq!(in_description("ours (zipedit fork)"), None);
    }
}
