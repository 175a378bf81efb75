//! Charts, as SVG.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::function::{Which, time};
use super::targets::wall_of;
use crate::engine::{Edited, Editor};
use crate::link::Network;
use crate::project::SIZES;
use crate::results::Results;
use crate::stats::Stats;
use crate::tools::TOOLS;

const OURS: RGBColor = RGBColor(0x0b, 0x6e, 0x4f);
const THEIRS: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);
const INK: RGBColor = RGBColor(0x22, 0x2b, 0x35);
const FONT: &str = "sans-serif";
const WIDTH: i32 = 900;

type DrawingError = DrawingAreaErrorKind<io::Error>;

/// Edit to live for every tool and size, as bars on a logarithmic axis that begins at 0.1 s.
///
/// # Errors
/// The file can't be written.
pub(super) fn bars(results: &Results, network: Network, path: &Path) -> Result<()> {
    draw_bars(results, network, path).map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))
}

fn draw_bars(results: &Results, network: Network, path: &Path) -> Result<(), DrawingError> {
    const ROW: i32 = 19;
    const LEFT: i32 = 260;
    const RIGHT: i32 = 70;
    const TOP: i32 = 60;
    let mut bars = Vec::new();
    for size in SIZES {
        for tool in &TOOLS {
            if let Some(wall) = wall_of(results, size, network, tool.name) {
                bars.push((size, tool, wall));
            }
        }
    }
    let groups: BTreeSet<u32> = bars.iter().map(|(size, ..)| *size).collect();
    let rows = bars.len() + groups.len();
    let height = TOP + i32::try_from(rows).unwrap_or_default() * ROW;
    let root = SVGBackend::new(path, (WIDTH.unsigned_abs(), height.unsigned_abs())).into_drawing_area();
    root.fill(&WHITE)?;
    let text = |size: i32| TextStyle::from((FONT, size).into_font()).color(&INK);
    root.draw_text("From the edit to four live functions, in seconds", &text(17), (16, 10))?;
    let subtitle = format!("one line of one handler, {network}; logarithmic, shorter is better");
    root.draw_text(&subtitle, &text(12), (16, 34))?;
    let most = bars.iter().map(|(_, _, wall)| *wall).fold(1.0, f64::max);
    let (from, to) = (0.1_f64.log10(), most.log10());
    let (mut y, mut last) = (TOP, None);
    for (size, tool, wall) in bars {
        if last != Some(size) {
            y += if last.is_some() { ROW } else { 0 };
            root.draw_text(&format!("{size} MB"), &text(13), (16, y))?;
            last = Some(size);
        }
        let share = ((wall.log10() - from) / (to - from)).clamp(0.005, 1.0);
        let end = LEFT + (f64::from(WIDTH - LEFT - RIGHT) * share) as i32;
        let colour = if tool.is_ours() { OURS } else { THEIRS };
        root.draw(&Rectangle::new([(LEFT, y), (end, y + ROW - 5)], colour.filled()))?;
        root.draw_text(tool.title, &text(12), (84, y))?;
        root.draw_text(&format!("{wall:.2}"), &text(12), (end + 6, y))?;
        y += ROW;
    }
    root.present()
}

/// The medians of both editors' later edits over what was varied, both axes logarithmic.
///
/// # Errors
/// The file can't be written.
pub(super) fn lines(edits: &[Edited], varied: &str, path: &Path) -> Result<()> {
    draw_lines(edits, varied, path).map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))
}

fn draw_lines(edits: &[Edited], varied: &str, path: &Path) -> Result<(), DrawingError> {
    let both = Editor::ALL.map(|editor| medians(edits, editor));
    let bounds = |figure: fn(&(f64, f64)) -> f64| Stats::of(both.iter().flatten().map(figure));
    let (Some(x), Some(y)) = (bounds(|it| it.0), bounds(|it| it.1)) else { return Ok(()) };
    let root = SVGBackend::new(path, (WIDTH.unsigned_abs(), 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "An edit by the function, from the third on, in ms (both axes logarithmic)",
            (FONT, 17).into_font().color(&INK),
        )
        .margin(14)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d((x.min..x.max * 1.1).log_scale(), (y.min / 2.0..y.max * 2.0).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .label_style((FONT, 12))
        .x_desc(varied)
        .y_desc("ms")
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    for (points, (name, colour)) in both.iter().zip([("zipedit", OURS), ("the original, in Python 3", THEIRS)]) {
        let line = chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(3)))?;
        line.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3)));
        chart.draw_series(points.iter().map(|&at| Circle::new(at, 4, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(THEIRS)
        .label_font((FONT, 13))
        .draw()?;
    root.present()
}

fn medians(edits: &[Edited], editor: Editor) -> Vec<(f64, f64)> {
    let mut values: Vec<u64> = edits.iter().map(|edit| edit.of).collect();
    values.sort_unstable();
    values.dedup();
    let median = |of: u64| time(edits, of, editor, Which::Later).map(|stats| (of as f64, stats.median));
    values.into_iter().filter_map(median).collect()
}
