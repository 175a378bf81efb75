//! Moments as people read them: in local time, with how long ago that is.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use chrono::{Datelike as _, Local};

/// `22 Nov 17:28`, local time; `22 Nov 2025` in another year.
pub(crate) fn moment(time: SystemTime, now: SystemTime) -> String {
    let (time, now) = (chrono::DateTime::<Local>::from(time), chrono::DateTime::<Local>::from(now));
    let format = if time.year() == now.year() { "%e %b %H:%M" } else { "%e %b %Y" };
    time.format(format).to_string().trim_start().to_owned()
}

/// `just now`, `5 min ago`, `3 h ago`, `12 days ago`.
pub(crate) fn ago(time: SystemTime, now: SystemTime) -> String {
    let seconds = now.duration_since(time).unwrap_or(Duration::ZERO).as_secs();
    match seconds {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// RFC 3339, UTC: for programs.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    DateTime::from(time).fmt(DateTimeFormat::DateTime).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_has_the_unit_that_suits_it() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000_000);
        let cases =
            [(0, "just now"), (61, "1 min ago"), (7200, "2 h ago"), (100_000, "27 h ago"), (1_000_000, "11 days ago")];
        for (seconds, text) in cases {
            assert_eq!(ago(now - Duration::from_secs(seconds), now), text);
        }
        assert_eq!(ago(now + Duration::from_secs(5), now), "just now", "clocks differ a little");
    }

    #[test]
    fn a_moment_of_this_year_has_a_time_and_others_have_their_year() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        assert!(moment(now, now).contains(':'));
        let text = moment(now - Duration::from_secs(400 * 86_400), now);
        assert!(text.ends_with("2025"), "{text}");
    }

    #[test]
    fn programs_get_utc() {
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)), "1970-01-01T00:00:01.5Z");
    }
}
