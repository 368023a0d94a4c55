//! Progress of long commands: a bar with its end in sight on a terminal, nothing for machines.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

/// A sign of life beside a message, where nobody knows how long it takes.
pub(crate) fn spinner(output: Output) -> ProgressBar {
    if output == Output::Json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(250));
    spinner
}

/// A bar over blocks; invisible where nobody looks at it.
pub(crate) fn blocks(output: Output, total: u64, what: &str) -> ProgressBar {
    bar(output, total, what, "blocks")
}

/// A bar over so many of a unit; invisible where nobody looks at it.
pub(crate) fn bar(output: Output, total: u64, what: &str, unit: &str) -> ProgressBar {
    if output == Output::Json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    let template = format!(
        "{{prefix}} {{bar:32}} {{human_pos}}/{{human_len}} {unit}  {{per_sec}}  {{eta}} left  {{msg}}"
    );
    // The template is constant; with a broken one the default style shows the same numbers.
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
