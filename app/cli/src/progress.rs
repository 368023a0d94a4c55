//! Progress of long commands: a bar with its end in sight on a terminal, nothing for machines.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

use crate::output::Output;

/// A spinner beside a message, for an unknown duration.
pub(crate) fn spinner(output: Output) -> ProgressBar {
    if output == Output::Json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(250));
    spinner
}

/// A bar over blocks; invisible without a terminal.
pub(crate) fn blocks(output: Output, total: u64, what: &str) -> ProgressBar {
    counted(output, total, what, "blocks")
}

/// A bar over a number of units; invisible without a terminal.
pub(crate) fn counted(output: Output, total: u64, what: &str, unit: &str) -> ProgressBar {
    let template = format!(
        "{{prefix}} {{bar:32}} {{human_pos}}/{{human_len}} {unit}  {{rate}}  {{eta}} left  {{msg}}"
    );
    bar(output, Some(total), what, &template)
}

/// A counter of bytes without a known total; invisible without a terminal.
pub(crate) fn transfer(output: Output, what: &str) -> ProgressBar {
    bar(output, None, what, "{prefix:<14} {spinner} {binary_bytes}  {binary_bytes_per_sec}  {msg}")
}

/// A bar over bytes with a known total; invisible without a terminal.
pub(crate) fn bytes(output: Output, total: u64, what: &str) -> ProgressBar {
    let template = "{prefix:<14} {bar:32} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
    bar(output, Some(total), what, template)
}

/// One step after the other, as text; invisible without a terminal.
pub(crate) fn steps(output: Output, what: &str) -> ProgressBar {
    bar(output, None, what, "{prefix:<14} {spinner} {msg}  {elapsed}")
}

fn bar(output: Output, total: Option<u64>, what: &str, template: &str) -> ProgressBar {
    if output == Output::Json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    // The template is constant; with a broken one the default style shows the same numbers.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("rate", put_rate));
    }
    bar.set_prefix(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// Whole units: the digits behind the point only flicker.
fn put_rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // Nothing to be done where a terminal takes no text.
    let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
}
