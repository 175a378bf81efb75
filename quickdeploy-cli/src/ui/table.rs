//! A plain table that fits its width: no borders, two blanks between columns, legible without colour.

use std::fmt::Write as _;

use owo_colors::OwoColorize;

use super::{end_cut, middle_cut};

/// Blanks between two columns.
const GAP: usize = 2;
/// No column is cut below this, however narrow the terminal.
const NARROWEST: usize = 8;

/// Which side of its column a text keeps to, and where it gives way when the column is too narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Left; names lose their middle.
    Left,
    /// Left; sentences lose their end.
    Text,
    Right,
}

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(columns: impl Into<Vec<(&'static str, Align)>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        let mut cells: Vec<String> = cells.into();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// The table in at most `width` columns, as long as no column would fall under 8: the widest columns give way.
    pub(crate) fn render(&self, width: usize) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        let heading: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let _ = writeln!(text, "{}", self.line(&heading, &widths).bold());
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            let _ = writeln!(text, "{}", self.line(&cells, &widths));
        }
        text.truncate(text.trim_end_matches('\n').len());
        text
    }

    fn widths(&self, width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| row[column].chars().count());
                cells.chain([self.columns[column].0.chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let room = width.saturating_sub(GAP * widths.len().saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            let Some(widest) = widths.iter_mut().max() else { break };
            if *widest <= NARROWEST {
                break;
            }
            *widest -= 1;
        }
        widths
    }

    fn line(&self, cells: &[&str], widths: &[usize]) -> String {
        let mut line = String::new();
        for (place, ((cell, &width), (_, align))) in cells.iter().zip(widths).zip(&self.columns).enumerate() {
            if place > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            let _ = match align {
                Align::Left => write!(line, "{:<width$}", middle_cut(cell, width)),
                Align::Text => write!(line, "{:<width$}", end_cut(cell, width)),
                Align::Right => write!(line, "{:>width$}", middle_cut(cell, width)),
            };
        }
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(names: &[&str]) -> Table {
        let mut table = Table::new([("FUNCTION", Align::Left), ("STATUS", Align::Left), ("TIME", Align::Right)]);
        for name in names {
            table.row([(*name).to_owned(), "live".to_owned(), "512 ms".to_owned()]);
        }
        table
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        assert_eq!(
            plain(&functions(&["start", "a-longer-name"]).render(80)),
            "FUNCTION       STATUS    TIME\nstart          live    512 ms\na-longer-name  live    512 ms"
        );
    }

    #[test]
    fn at_80_columns_no_line_is_longer_and_long_names_keep_both_ends() {
        let name = format!("{}-production-start", "ec2-controller".repeat(9));
        let text = plain(&functions(&[&name, "stop"]).render(80));
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(text.contains("ec2-controller"), "{text}");
        assert!(text.contains("-production-start"), "{text}");
    }

    #[test]
    fn a_text_that_is_too_long_keeps_its_beginning() {
        let mut table = Table::new([("NAME", Align::Left), ("ANSWER", Align::Text)]);
        table.row(["start".to_owned(), "the beginning matters".repeat(9)]);
        let text = plain(&table.render(40));
        assert_eq!(text.lines().last().unwrap(), "start  the beginning mattersthe beginni…");
    }

    #[test]
    fn a_row_that_lacks_cells_is_filled_up() {
        let mut table = functions(&[]);
        table.row(["only".to_owned()]);
        assert_eq!(plain(&table.render(80)).lines().last(), Some("only"));
    }
}
