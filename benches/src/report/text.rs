//! Tables and figures as people read them.

use crate::stats::Stats;

/// A table in Markdown.
#[derive(Debug)]
pub(super) struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headers: &[&str]) -> Self {
        Self { headers: headers.iter().map(|&header| header.to_owned()).collect(), rows: Vec::new() }
    }

    /// A row; cells that it lacks are empty.
    pub(super) fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.headers.len(), String::new());
        self.rows.push(cells);
    }

    pub(super) fn write(&self, out: &mut Vec<String>) {
        out.push(format!("| {} |", self.headers.join(" | ")));
        out.push(format!("|---|{}", "---:|".repeat(self.headers.len() - 1)));
        out.extend(self.rows.iter().map(|row| format!("| {} |", row.join(" | "))));
        out.push(String::new());
    }
}

/// The median with its unit, and the spread of several runs.
pub(super) fn spread(stats: Option<Stats>, unit: &str, digits: usize) -> String {
    match stats {
        None => "—".to_owned(),
        Some(Stats { median, min, max, runs }) if runs > 1 => {
            format!("{median:.digits$} {unit} ({min:.digits$}–{max:.digits$})")
        }
        Some(Stats { median, .. }) => format!("{median:.digits$} {unit}"),
    }
}

/// The median alone.
pub(super) fn median(stats: Option<Stats>, shown: impl Fn(f64) -> String) -> String {
    stats.map_or_else(|| "—".to_owned(), |stats| shown(stats.median))
}

/// How many times the second the first is.
pub(super) fn times(one: Option<Stats>, other: Option<Stats>, digits: usize) -> String {
    match (one, other) {
        (Some(one), Some(other)) => format!("{:.digits$}", one.median / other.median),
        _ => String::new(),
    }
}

/// Bytes, in units of 1,024.
pub(super) fn bytes(count: f64) -> String {
    match count {
        count if count >= 1_073_741_824.0 => format!("{:.2} GiB", count / 1_073_741_824.0),
        count if count >= 1_048_576.0 => format!("{:.1} MiB", count / 1_048_576.0),
        count if count >= 1_024.0 => format!("{:.1} KiB", count / 1_024.0),
        count => format!("{count:.0} B"),
    }
}

/// A number with commas.
pub(super) fn amount(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// With a capital letter.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_legible() {
        let amounts = [999.0, 70_000.0, 1_234_567.0].map(amount);
        assert_eq!(amounts, ["999", "70,000", "1,234,567"]);
        assert_eq!([1_023.0, 1_536.0, 3e9].map(bytes), ["1023 B", "1.5 KiB", "2.79 GiB"]);
        let one = Stats { median: 1.0, min: 1.0, max: 1.0, runs: 1 };
        assert_eq!(spread(Some(one), "s", 2), "1.00 s");
        assert_eq!(spread(Some(Stats { max: 2.0, runs: 2, ..one }), "ms", 1), "1.0 ms (1.0–2.0)");
        assert_eq!(spread(None, "s", 2), "—");
    }
}
