//! Timestamps in the forms that Lambda uses, all UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment split into calendar fields (proleptic Gregorian, UTC).
struct Civil {
    year: i64,
    month: u32,
    day: u32,
    hour: u64,
    minute: u64,
    second: u64,
    millisecond: u32,
}

/// Splits a moment. Days become a date by Howard Hinnant's `civil_from_days`.
fn civil(at: SystemTime) -> Civil {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = since_epoch.as_secs();
    let days = i64::try_from(seconds / 86_400).unwrap_or(0) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    Civil {
        year: era * 400 + year_of_era + i64::from(month <= 2),
        month: u32::try_from(month).unwrap_or(1),
        day: u32::try_from(day_of_year - (153 * shifted_month + 2) / 5 + 1).unwrap_or(1),
        hour: seconds % 86_400 / 3_600,
        minute: seconds % 3_600 / 60,
        second: seconds % 60,
        millisecond: since_epoch.subsec_millis(),
    }
}

/// `2026-11-22T14:03:05.123+0000`, the form of `LastModified`.
pub(super) fn last_modified(at: SystemTime) -> String {
    format!("{}+0000", date_time(at))
}

/// `2026-11-22T14:03:05.123Z`, the form in logs and error messages.
pub(super) fn rfc3339(at: SystemTime) -> String {
    format!("{}Z", date_time(at))
}

/// `2026/11/22`, the beginning of a log stream's name.
pub(super) fn date_path(at: SystemTime) -> String {
    let c = civil(at);
    format!("{:04}/{:02}/{:02}", c.year, c.month, c.day)
}

/// Milliseconds since 1970.
pub(crate) fn epoch_millis(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis()).unwrap_or(u64::MAX)
}

fn date_time(at: SystemTime) -> String {
    let c = civil(at);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}",
        c.year, c.month, c.day, c.hour, c.minute, c.second, c.millisecond
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis)
    }

    #[test]
    fn moments_are_written_as_calendar_dates() {
        assert_eq!(rfc3339(at(0, 0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(at(951_782_400, 7)), "2000-02-29T00:00:00.007Z");
        assert_eq!(last_modified(at(1_700_000_000, 120)), "2023-11-14T22:13:20.120+0000");
        assert_eq!(date_path(at(1_735_689_599, 0)), "2024/12/31");
        assert_eq!(rfc3339(at(4_107_542_400, 0)), "2100-03-01T00:00:00.000Z");
    }
}
