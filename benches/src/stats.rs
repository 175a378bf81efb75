//! Medians and spread of a few runs.

use serde::{Deserialize, Serialize};

/// Of the same figure of some runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// Half of them are no more than this.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The most.
    pub(crate) max: f64,
    /// How many.
    pub(crate) runs: usize,
}

impl Stats {
    /// `None` of no runs.
    #[must_use]
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (&min, &max) = (figures.first()?, figures.last()?);
        let runs = figures.len();
        let median = f64::midpoint(figures[(runs - 1) / 2], figures[runs / 2]);
        Some(Self { median, min, max, runs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Stats::of([]), None);
        assert_eq!(Stats::of([3.0, 1.0, 9.0]), Some(Stats { median: 3.0, min: 1.0, max: 9.0, runs: 3 }));
        assert_eq!(Stats::of([4.0, 1.0]), Some(Stats { median: 2.5, min: 1.0, max: 4.0, runs: 2 }));
    }
}
