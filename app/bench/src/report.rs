//! The table for people and `summary.json` for machines.

use std::{fs, path::Path};

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::usage::Others;

/// If other processes use more of the machine than this, a missed goal proves nothing.
const BUSY_SHARE: f64 = 0.1;

/// Everything measured so far.
#[derive(Debug)]
pub(crate) struct Report {
    summary: Map<String, Value>,
    text: String,
    others: Others,
}

/// One line of a table.
#[derive(Debug)]
pub(crate) struct Line {
    what: String,
    cells: Vec<String>,
}

/// What a measurement says about a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is reached.
    Met,
    /// It is not.
    Missed,
    /// It is not, but other processes used much of the machine.
    MissedOnBusyMachine,
    /// The conditions of the goal are not met.
    NotJudged,
}

impl Verdict {
    /// Verdict on a goal that is reached or not.
    pub(crate) const fn of(is_met: bool) -> Self {
        if is_met { Self::Met } else { Self::Missed }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::MissedOnBusyMachine => "missed on a busy machine",
            Self::NotJudged => "not to be judged here",
        }
    }
}

impl Line {
    /// A line without cells.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), cells: Vec::new() }
    }

    /// With a cell that is text.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.cells.push(text.into());
        self
    }

    /// With a count, with thousands separators.
    pub(crate) fn count(self, value: u64) -> Self {
        self.text(thousands(value as f64))
    }

    /// With a number: large ones with thousands separators, small ones with two digits after the point.
    pub(crate) fn number(self, value: f64) -> Self {
        self.text(digits(value))
    }

    /// With a number and how many times that of the first line it is.
    pub(crate) fn grown(self, value: f64, first: f64) -> Self {
        let ratio = if first > 0.0 { format!(" (×{:.2})", value / first) } else { String::new() };
        self.text(digits(value) + &ratio)
    }
}

impl Report {
    /// An empty report.
    pub(crate) fn new() -> Self {
        Self { summary: Map::new(), text: String::new(), others: Others::new() }
    }

    /// A figure for `summary.json`. Ratios have keys that end in `_ratio`.
    pub(crate) fn put(&mut self, key: impl Into<String>, value: f64) {
        let rounded =
            if value.abs() < 100.0 { (value * 1_000.0).round() / 1_000.0 } else { value.round() };
        self.summary.insert(key.into(), rounded.into());
    }

    /// A text for `summary.json`.
    pub(crate) fn put_text(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.summary.insert(key.into(), Value::String(value.into()));
    }

    /// Prints a line of plain text.
    pub(crate) fn say(&mut self, text: &str) {
        println!("{text}");
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// A table of what one thing costs: (end of its key, what it is, value).
    pub(crate) fn costs(&mut self, key: &str, costs: &[(&str, &str, f64)]) {
        let mut lines = Vec::new();
        for (suffix, what, value) in costs {
            self.put(format!("{key}_{suffix}"), *value);
            lines.push(Line::new(*what).number(*value));
        }
        self.table(&["its cost", ""], &lines);
    }

    /// Says what was measured against a goal.
    pub(crate) fn judge(&mut self, key: &str, verdict: Verdict, goal: &str) {
        let verdict = match verdict {
            Verdict::Missed if self.others.share() > BUSY_SHARE => Verdict::MissedOnBusyMachine,
            other => other,
        };
        self.put_text(format!("{key}_goal"), verdict.text());
        self.say(&format!("**{}**: {goal}", verdict.text()));
    }

    /// Prints a table in Markdown.
    pub(crate) fn table(&mut self, heads: &[&str], lines: &[Line]) {
        let columns = heads.len();
        let mut rows: Vec<Vec<String>> =
            vec![heads.iter().map(|head| (*head).to_owned()).collect()];
        for line in lines {
            let mut row = vec![line.what.clone()];
            row.extend(line.cells.iter().cloned());
            row.resize(columns, String::new());
            rows.push(row);
        }
        let widths: Vec<usize> = (0..columns)
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for (index, row) in rows.iter().enumerate() {
            text.push_str(&markdown(row, &widths));
            if index == 0 {
                let rules = widths.iter().enumerate().map(|(column, width)| match column {
                    0 => format!(" {} |", "-".repeat(*width)),
                    _ => format!(" {}: |", "-".repeat(width - 1)),
                });
                text.push_str(&format!("|{}\n", rules.collect::<String>()));
            }
        }
        self.say(&format!("\n{text}"));
    }

    /// Writes `summary.json` and `table.md` into a folder.
    pub(crate) fn finish(mut self, folder: &Path) -> anyhow::Result<()> {
        let others = self.others.share();
        self.put("others_ratio", others);
        self.say(&format!("\nshare of all cores' time that others took meanwhile: {others:.2}"));
        if others > BUSY_SHARE {
            self.say("Ratios are unsure then, and rates and latencies are not this machine's own.");
        }
        let place = folder.display();
        fs::create_dir_all(folder).with_context(|| format!("make {place}"))?;
        let json = serde_json::to_string_pretty(&Value::Object(self.summary))?;
        for (name, content) in [("summary.json", json + "\n"), ("table.md", self.text)] {
            fs::write(folder.join(name), content)
                .with_context(|| format!("write {place}/{name}"))?;
        }
        println!("written: {place}/summary.json, {place}/table.md");
        Ok(())
    }
}

fn markdown(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
        0 => format!(" {cell:<width$} |"),
        _ => format!(" {cell:>width$} |"),
    });
    format!("|{}\n", cells.collect::<String>())
}

fn digits(value: f64) -> String {
    if value >= 1_000.0 { thousands(value) } else { format!("{value:.2}") }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_thousands_separators() {
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!(thousands(123.0), "123");
        assert_eq!(Line::new("a").number(0.8123).count(12).cells, ["0.81", "12"]);
        assert_eq!(
            Line::new("a").grown(2_500.0, 1_000.0).grown(1.0, 0.0).cells,
            ["2,500 (×2.50)", "1.00"]
        );
    }

    #[test]
    fn a_table_is_markdown_with_numbers_to_the_right() {
        let mut report = Report::new();
        report.table(&["what", "n"], &[Line::new("one").number(1_000.0), Line::new("none")]);
        let expected =
            "\n| what |     n |\n| ---- | ----: |\n| one  | 1,000 |\n| none |       |\n\n";
        assert_eq!(report.text, expected);
    }
}
