//! The function alone: what its edits took, and what they moved.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::text::{Table, amount, bytes, median, spread, times};
use super::{charts, paragraph};
use crate::engine::{Edited, Editor};
use crate::results::Results;
use crate::stats::Stats;

/// Which edits of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The first, by a process that has just started.
    First,
    /// The second. The local cloud may have to make checksums of ranges that weren't copied before.
    Second,
    /// From the third on.
    Later,
}

impl Which {
    fn of(edit: &Edited) -> Self {
        match edit.nth {
            0 | 1 => Self::First,
            2 => Self::Second,
            _ => Self::Later,
        }
    }
}

/// Those of `edits` by this editor, of this value of what is varied.
pub(super) fn chosen(edits: &[Edited], of: u64, editor: Editor, which: Which) -> impl Iterator<Item = &Edited> {
    edits.iter().filter(move |it| (it.of, it.editor, Which::of(it)) == (of, editor, which))
}

/// What they took, in ms.
pub(super) fn time(edits: &[Edited], of: u64, editor: Editor, which: Which) -> Option<Stats> {
    Stats::of(chosen(edits, of, editor, which).map(|edit| edit.ms))
}

/// Writes the section.
///
/// # Errors
/// The chart can't be written.
pub(super) fn write(results: &Results, directory: &Path, out: &mut Vec<String>) -> Result<()> {
    if results.by_size.is_empty() {
        return Ok(());
    }
    paragraph(
        out,
        &[
            "## The function alone",
            "",
            "One line of one handler, by the function `zipedit` and by a Python 3 port of the original, each called as a Lambda function",
            "beside S3. The first edit of an artifact is made by a new process, all others by the same one. `later` are those from the",
            "third on: what they take is the function's, and the requests'. In the first two the local cloud also makes the checksums of",
            "parts that it hasn't copied before, as of all 240 MB in the first. CPU, memory and requests are those of later edits; memory is",
            "the most that the process has had by then.",
            "",
            "`moved` are the artifact's own bytes, read from S3 and written to it; HTTP's headers, and XML, are beside them. What zipedit",
            "has to move is what changed, compressed, and the directory; in a first edit the directory twice, and 512 KiB of tail. S3 doesn't",
            "copy runs of less than 5 MiB: what of them is fetched and uploaded is in `moved`, and named. An artifact of 8 MiB or less is",
            "written whole, by one PUT.",
        ],
    );
    charts::lines(&results.by_size, "the artifact's size, in MB", &directory.join("function-by-size.svg"))?;
    paragraph(out, &["![By size](charts/function-by-size.svg)"]);
    tables(&results.by_size, "zip, MB", out);
    Ok(())
}

/// What edits took, and what they moved, by what was varied.
pub(super) fn tables(edits: &[Edited], varied: &str, out: &mut Vec<String>) {
    times_table(edits, varied).write(out);
    bytes_table(edits, varied).write(out);
}

fn values(edits: &[Edited]) -> BTreeSet<u64> {
    edits.iter().map(|edit| edit.of).collect()
}

fn times_table(edits: &[Edited], varied: &str) -> Table {
    let mut table = Table::new(&[
        varied,
        "editor",
        "later edits",
        "×",
        "second edit",
        "×",
        "first edit",
        "cold start",
        "CPU",
        "memory",
        "requests",
    ]);
    for of in values(edits) {
        let ours = |which: Which| time(edits, of, Editor::Zipedit, which);
        for editor in Editor::ALL {
            let it = |which: Which| time(edits, of, editor, which);
            let later = |figure: fn(&Edited) -> Option<f64>| {
                Stats::of(chosen(edits, of, editor, Which::Later).filter_map(figure))
            };
            let start = Stats::of(chosen(edits, of, editor, Which::First).filter_map(|edit| edit.init_ms));
            let ms = |ms: f64| format!("{ms:.1} ms");
            table.row(vec![
                amount(of as f64),
                editor.title().to_owned(),
                spread(it(Which::Later), "ms", 1),
                times(it(Which::Later), ours(Which::Later), 1),
                spread(it(Which::Second), "ms", 1),
                times(it(Which::Second), ours(Which::Second), 1),
                median(it(Which::First), ms),
                median(start, ms),
                median(later(|edit| Some(edit.cpu_ms)), ms),
                median(later(|edit| edit.memory_mib), |mib| format!("{mib:.0} MiB")),
                median(later(|edit| Some(edit.requests as f64)), amount),
            ]);
        }
    }
    table
}

fn bytes_table(edits: &[Edited], varied: &str) -> Table {
    let mut table = Table::new(&[
        varied,
        "editor",
        "first edit: moved",
        "of what it has to",
        "runs that S3 can't copy",
        "without them",
        "headers, XML",
        "later edits: moved",
        "of what they have to",
        "headers, XML",
    ]);
    for of in values(edits) {
        for editor in Editor::ALL {
            let figure = |which: Which, figure: fn(&Edited) -> Option<f64>| {
                Stats::of(chosen(edits, of, editor, which).filter_map(figure))
            };
            let moved = |which: Which| median(figure(which, |edit| Some(edit.moved as f64)), bytes);
            let overhead = |which: Which| median(figure(which, |edit| Some(edit.overhead as f64)), bytes);
            // Of what is written whole, the share says nothing.
            let of_spliced = |which: Which, figure: fn(&Edited) -> Option<f64>, shown: fn(f64) -> String| {
                let ours = || chosen(edits, of, editor, which).filter(|edit| edit.done.is_some());
                let spliced = Stats::of(ours().filter(|edit| edit.is_spliced()).filter_map(figure));
                match spliced {
                    Some(spliced) if ours().all(Edited::is_spliced) => shown(spliced.median),
                    Some(spliced) => format!("{}; some: written whole", shown(spliced.median)),
                    None if ours().next().is_some() => "written whole".to_owned(),
                    None => String::new(),
                }
            };
            let share = |share: f64| format!("{share:.2}");
            let short_runs = |edit: &Edited| edit.done.map(|done| done.least.short_runs as f64);
            table.row(vec![
                amount(of as f64),
                editor.title().to_owned(),
                moved(Which::First),
                of_spliced(Which::First, Edited::over_least, share),
                of_spliced(Which::First, short_runs, bytes),
                of_spliced(Which::First, Edited::over_least_but_short_runs, share),
                overhead(Which::First),
                moved(Which::Later),
                of_spliced(Which::Later, Edited::over_least, share),
                overhead(Which::Later),
            ]);
        }
    }
    table
}

#[cfg(test)]
pub(super) mod tests {
    use zipedit::Strategy;

    use super::*;
    use crate::engine::Way;
    use crate::least::Least;

    /// The `nth` edit of an artifact of 240 MB.
    pub(in crate::report) fn edit(editor: Editor, nth: u32, ms: f64) -> Edited {
        let least = Least { needed: 1_000, short_runs: if nth == 1 { 900 } else { 0 } };
        Edited {
            editor,
            of: 240,
            nth,
            ms,
            init_ms: (nth == 1).then_some(6.0),
            cpu_ms: 3.0,
            memory_mib: Some(10.0),
            moved: if nth == 1 { 1_950 } else { 1_024 },
            overhead: 300,
            requests: 18,
            done: (editor == Editor::Zipedit).then_some(Way { strategy: Strategy::Splice, least }),
        }
    }

    fn rows(table: &Table) -> Vec<Vec<String>> {
        let mut lines = Vec::new();
        table.write(&mut lines);
        let cells = |line: &String| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        lines.iter().filter(|line| !line.is_empty()).skip(2).map(cells).collect()
    }

    #[test]
    fn the_second_edit_is_told_apart_from_later_ones() {
        let of_both = |nth: u32, ours: f64| [edit(Editor::Zipedit, nth, ours), edit(Editor::Original, nth, 8_000.0)];
        let edits = [of_both(1, 400.0), of_both(2, 200.0), of_both(3, 10.0), of_both(4, 8.0), of_both(5, 30.0)];
        let rows = rows(&times_table(edits.as_flattened(), "zip, MB"));
        assert_eq!(rows[0][2..8], ["10.0 ms (8.0–30.0)", "1.0", "200.0 ms", "1.0", "400.0 ms", "6.0 ms"]);
        assert_eq!(rows[1][2..6], ["8000.0 ms (8000.0–8000.0)", "800.0", "8000.0 ms", "40.0"]);
    }

    #[test]
    fn what_is_moved_is_shown_with_and_without_what_s3_cannot_copy_and_headers_beside_it() {
        let edits = [edit(Editor::Zipedit, 1, 1.0), edit(Editor::Zipedit, 3, 1.0), edit(Editor::Original, 3, 1.0)];
        let rows = rows(&bytes_table(&edits, "zip, MB"));
        assert_eq!(rows[0][2..], ["1.9 KiB", "1.95", "900 B", "1.05", "300 B", "1.0 KiB", "1.02", "300 B"]);
        assert_eq!(rows[1][2..], ["—", "", "", "", "—", "1.0 KiB", "", "300 B"]);
    }

    #[test]
    fn an_artifact_that_is_written_whole_has_no_share_of_what_it_has_to_move() {
        let mut edits = [1, 3, 4].map(|nth| edit(Editor::Zipedit, nth, 1.0));
        for edit in &mut edits {
            edit.done.as_mut().unwrap().strategy = Strategy::Small;
        }
        let row = &rows(&bytes_table(&edits, "zip, MB"))[0];
        assert_eq!([&row[3], &row[4], &row[5], &row[8]], ["written whole"; 4]);
    }
}
