//! Numbers and names as people read them.

use std::borrow::Cow;
use std::time::Duration;

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 function`, `1,234 functions`.
pub(crate) fn plural(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {what}{ending}", count(number as u64))
}

/// `812 B`, `64.2 KiB`, `61.0 MiB`: binary units, as S3's part sizes are.
pub(crate) fn bytes(number: u64) -> String {
    if number < 1024 {
        return format!("{number} B");
    }
    let mut value = number as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        // Also moves on when the value would be printed as `1024.0`.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// `42 ms`, `1.3 s`, `2 min 5 s`.
pub(crate) fn duration(time: Duration) -> String {
    let ms = time.as_millis();
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

/// `0.4%`, `12%`: how much `part` is of `whole`. `—` when there is no whole.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "—".to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        p if part > 0 && p < 0.01 => "<0.01%".to_owned(),
        p if p < 1.0 => format!("{p:.2}%"),
        p if p < 10.0 => format!("{p:.1}%"),
        p => format!("{p:.0}%"),
    }
}

/// A file's name as it may be printed: one that holds a line break or an escape sequence must not be obeyed.
pub(crate) fn printable(name: &str) -> Cow<'_, str> {
    if !name.contains(char::is_control) {
        return Cow::Borrowed(name);
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(name.chars().map(escaped).collect())
}

/// The first characters of a CodeSha256, enough to tell two apart by eye.
pub(crate) fn short_sha(sha: &str) -> &str {
    sha.char_indices().nth(8).map_or(sha, |(end, _)| &sha[..end])
}

/// At most `width` characters: the middle gives way, because the ends of function names and paths tell them apart.
pub(super) fn middle_cut(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let keep = width.saturating_sub(1);
    let (front, back) = (keep / 2, keep - keep / 2);
    let head = text.chars().take(front);
    let tail = text.chars().skip(length - back);
    head.chain(std::iter::once('…')).chain(tail).take(width).collect()
}

/// Breaks lines between words so that they fit into `width` columns when every line begins at column `indent`. The
/// first line is not indented, as its label is; a word that is too long stays whole.
pub(super) fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut wrapped = String::with_capacity(text.len() + text.len() / 8);
    for (number, line) in text.lines().enumerate() {
        let mut column = indent;
        if number > 0 {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
        }
        for (place, word) in line.split(' ').enumerate() {
            let length = word.chars().count();
            if place > 0 && column + 1 + length > width {
                wrapped.push('\n');
                wrapped.push_str(&" ".repeat(indent));
                column = indent;
            } else if place > 0 {
                wrapped.push(' ');
                column += 1;
            }
            wrapped.push_str(word);
            column += length;
        }
    }
    wrapped
}

/// At most `width` characters: the end gives way.
pub(super) fn end_cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!([0, 12, 999, 1000, 1_234_567].map(count), ["0", "12", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn bytes_never_read_1024() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (62_914_560, "60.0 MiB"),
            (1 << 30, "1.0 GiB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        let cases = [(0, "0 ms"), (999, "999 ms"), (1340, "1.3 s"), (125_000, "2 min 5 s")];
        for (ms, text) in cases {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn a_small_share_is_not_rounded_to_nothing() {
        assert_eq!(percent(1, 100_000_000), "<0.01%");
        assert_eq!(percent(0, 100), "0.00%");
        assert_eq!(percent(4, 1000), "0.40%");
        assert_eq!(percent(50, 100), "50%");
        assert_eq!(percent(1, 0), "—");
    }

    #[test]
    fn cutting_keeps_both_ends_and_the_width() {
        assert_eq!(middle_cut("short", 5), "short");
        assert_eq!(middle_cut("ec2-controller-start", 11), "ec2-c…start");
        assert_eq!(middle_cut("ünïcödé-names", 6).chars().count(), 6);
        assert_eq!(middle_cut("abc", 1), "…");
        assert_eq!(end_cut("abcd", 3), "ab…");
    }

    #[test]
    fn lines_break_between_words_and_keep_their_indent() {
        assert_eq!(wrap("one two three", 10, 2), "one two\n  three");
        assert_eq!(wrap("a-word-that-is-too-long b", 10, 2), "a-word-that-is-too-long\n  b");
        assert_eq!(wrap("one\ntwo", 80, 4), "one\n    two");
    }

    #[test]
    fn names_with_control_characters_are_printed_escaped() {
        assert_eq!(printable("ünï códe.js"), "ünï códe.js");
        assert_eq!(printable("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
    }

    #[test]
    fn a_short_sha_of_a_shorter_one_is_itself() {
        assert_eq!(short_sha("abc"), "abc");
        assert_eq!(short_sha("0123456789="), "01234567");
    }
}
