use super::{
    layout::{Layout, Line, Span},
    text::utf16_len,
};

/// How a channel writes one line, and how long that is by its own count.
pub(super) trait Markup {
    /// The line in the channel's markup.
    fn line(&self, line: &Line) -> String;

    /// Its length as the channel bounds it, in UTF-16 units.
    fn length(&self, line: &Line) -> usize;
}

/// What of a message fits.
pub(super) struct Shrunk {
    /// With a line that says how many are missing.
    pub(super) body: Vec<Line>,
    pub(super) links: Line,
}

/// The message in a channel's markup, at most `budget` units.
pub(super) fn fitted(layout: &Layout, budget: usize, markup: &impl Markup) -> String {
    let shrunk = shrunk(layout, budget, markup);
    let lines = assemble(layout, &shrunk.body, &shrunk.links);
    let lines: Vec<String> = lines.iter().map(|line| markup.line(line)).collect();
    lines.join("\n")
}

/// Whole lines are dropped, from the end of the body, then links; first and last lines stay. Nothing is ever cut inside
/// markup.
pub(super) fn shrunk(layout: &Layout, budget: usize, markup: &impl Markup) -> Shrunk {
    let mut kept = layout.body.len();
    let mut links = layout.links.clone();
    loop {
        let body = with_notice(layout, kept);
        let is_smallest = kept == 0 && links.is_empty();
        if is_smallest || length(&assemble(layout, &body, &links), markup) <= budget {
            return Shrunk { body, links };
        }
        if kept > 0 {
            kept -= 1;
        } else {
            links.pop();
        }
    }
}

/// The first lines of the body, and how many are missing.
fn with_notice(layout: &Layout, kept: usize) -> Vec<Line> {
    let mut body = layout.body[..kept].to_vec();
    let dropped = layout.body.len() - kept;
    if dropped > 0 {
        let words = layout.words;
        body.push(vec![Span::Text(words.counted(&words.lines_left_out, dropped))]);
    }
    body
}

fn length(lines: &[Line], markup: &impl Markup) -> usize {
    let breaks = lines.len().saturating_sub(1);
    lines.iter().map(|line| markup.length(line)).sum::<usize>() + breaks
}

/// Whether nothing has to be left out.
pub(super) fn fits(layout: &Layout, budget: usize, markup: &impl Markup) -> bool {
    length(&assemble(layout, &layout.body, &layout.links), markup) <= budget
}

fn assemble(layout: &Layout, body: &[Line], links: &Line) -> Vec<Line> {
    let mut lines = layout.head.clone();
    lines.extend_from_slice(body);
    if !links.is_empty() {
        let mut line = Line::new();
        for span in links {
            if !line.is_empty() {
                line.push(Span::Text(" · ".to_owned()));
            }
            line.push(span.clone());
        }
        lines.push(line);
    }
    lines.push(layout.foot.clone());
    lines
}

/// Length of what is seen of a line, where the channel does not count markup.
pub(super) fn seen_length(line: &Line) -> usize {
    line.iter()
        .map(|span| match span {
            Span::Text(text) | Span::Bold(text) => utf16_len(text),
            Span::Link { label, .. } => utf16_len(label),
        })
        .sum()
}

/// Without any markup: links as label and address.
pub(super) struct Plain;

impl Markup for Plain {
    fn line(&self, line: &Line) -> String {
        line.iter()
            .map(|span| match span {
                Span::Text(text) | Span::Bold(text) => text.clone(),
                Span::Link { label, url } => format!("{label}: {url}"),
            })
            .collect()
    }

    fn length(&self, line: &Line) -> usize {
        utf16_len(&self.line(line))
    }
}
