//! The one moving line on a terminal: a spinner, or a bar once it is known how much there is to do.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Ui;

/// Something going on. Dropping it takes the line away.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    ui: &'a Ui,
    bar: Option<ProgressBar>,
}

impl<'a> Progress<'a> {
    /// Draws a spinner with `what`, when anyone is looking.
    pub(super) fn start(ui: &'a Ui, what: &str) -> Self {
        if !ui.animated {
            return Self { ui, bar: None };
        }
        let Ok(mut shown) = ui.bar.lock() else { return Self { ui, bar: None } };
        if shown.is_some() {
            // One line moves at a time: what is part of something larger that is shown, isn't.
            return Self { ui, bar: None };
        }
        let bar =
            ProgressBar::new_spinner().with_style(style("{spinner:>12.green} {msg}")).with_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(90));
        *shown = Some(bar.clone());
        drop(shown);
        Self { ui, bar: Some(bar) }
    }

    /// Turns it into a bar of `total` steps.
    pub(crate) fn of(&self, total: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_style(style("{spinner:>12.green} {msg} [{bar:24}] {pos}/{len}").progress_chars("=> "));
        }
    }

    /// Turns it into a bar of `total` bytes, with their rate.
    pub(crate) fn of_bytes(&self, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_style(
                style("{spinner:>12.green} {msg} [{bar:12}] {bytes} of {total_bytes}, {binary_bytes_per_sec}")
                    .progress_chars("=> "),
            );
        }
    }

    /// So many more are done.
    pub(crate) fn advance_by(&self, number: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(number);
        }
    }

    /// Says something else from now on.
    pub(crate) fn say(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    /// One more step is done.
    pub(crate) fn advance(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            if let Ok(mut shown) = self.ui.bar.lock() {
                *shown = None;
            }
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates above are constant and valid; the default is only for the compiler.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
