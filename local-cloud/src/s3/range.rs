//! The two ways to ask for a part of an object: the forgiving `Range` of GET and HEAD, and the strict
//! `x-amz-copy-source-range` of a part copy.

use std::ops::Range;

use super::Refusal;

/// What a `Range` header asks for. `None` is the whole object: S3 ignores a header that it can't read, and several
/// ranges in one.
pub(crate) fn requested(header: &str, size: u64) -> Result<Option<Range<u64>>, Refusal> {
    let Some((first, last)) = parsed(header) else { return Ok(None) };
    let range = match (first, last) {
        (Some(first), Some(last)) if first > last => return Ok(None),
        (Some(first), last) => first..last.map_or(size, |last| last.saturating_add(1).min(size)),
        (None, Some(suffix)) => size.saturating_sub(suffix)..size,
        (None, None) => return Ok(None),
    };
    if range.is_empty() {
        return Err(Refusal::new("InvalidRange", 416, "The requested range is not satisfiable")
            .with("RangeRequested", header)
            .with("ActualObjectSize", size.to_string())
            .header("content-range", &format!("bytes */{size}")));
    }
    Ok(Some(range))
}

/// `bytes=first-last`, `bytes=first-` or `bytes=-suffix`.
fn parsed(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            // A position beyond any object is as good as the largest.
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    Some((number(first)?, number(last)?))
}

/// What an `x-amz-copy-source-range` asks for: exactly `bytes=first-last`, within the object.
pub(crate) fn copied(header: &str, size: u64) -> Result<Range<u64>, Refusal> {
    let malformed = || {
        let message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy";
        Refusal::invalid_argument(message, "x-amz-copy-source-range", header)
    };
    let (Some(first), Some(last)) = parsed(header).ok_or_else(malformed)? else { return Err(malformed()) };
    if first > last {
        return Err(malformed());
    }
    if first >= size {
        return Err(Refusal::invalid_request("The specified copy range is invalid for the source object size"));
    }
    if last >= size {
        let message = format!("Range specified is not valid for source object of size: {size}");
        return Err(Refusal::invalid_argument(message, "x-amz-copy-source-range", header));
    }
    Ok(first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_readable_range_is_clamped_to_the_object() {
        for (header, expected) in [
            ("bytes=0-4", 0..5),
            ("bytes=5-", 5..10),
            ("bytes=-3", 7..10),
            ("bytes=-100", 0..10),
            ("bytes=0-100", 0..10),
            ("bytes=9-9", 9..10),
            ("bytes=0-99999999999999999999999", 0..10),
        ] {
            assert_eq!(requested(header, 10).unwrap(), Some(expected), "{header}");
        }
    }

    #[test]
    fn an_unreadable_range_is_the_whole_object() {
        for header in ["bytes=0-1,3-4", "bytes=a-b", "items=0-1", "bytes=5-2", "bytes=-", "bytes", ""] {
            assert_eq!(requested(header, 10).unwrap(), None, "{header}");
        }
    }

    #[test]
    fn a_range_with_no_byte_of_the_object_is_refused() {
        for (header, size) in [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-0", 0), ("bytes=-5", 0), ("bytes=0-", 0)]
        {
            assert_eq!(requested(header, size).unwrap_err().code(), "InvalidRange", "{header} of {size}");
        }
    }

    #[test]
    fn a_copy_range_is_exact() {
        assert_eq!(copied("bytes=2-9", 10).unwrap(), 2..10);
        for (header, code) in [
            ("bytes=2-10", "InvalidArgument"),
            ("bytes=2-", "InvalidArgument"),
            ("bytes=-2", "InvalidArgument"),
            ("bytes=5-2", "InvalidArgument"),
            ("2-5", "InvalidArgument"),
            ("bytes=0-1,3-4", "InvalidArgument"),
            ("bytes=10-11", "InvalidRequest"),
        ] {
            assert_eq!(copied(header, 10).unwrap_err().code(), code, "{header}");
        }
    }
}
