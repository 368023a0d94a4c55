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

/// The message in a channel's markup, at most `budget` units. Whole lines are dropped, from the end
/// of the body, then links; first and last lines stay. Nothing is ever cut inside markup.
pub(super) fn fitted(layout: &Layout, budget: usize, markup: &impl Markup) -> String {
    let mut body = layout.body.clone();
    let mut links = layout.links.clone();
    let mut dropped = 0_usize;
    loop {
        let lines = assemble(layout, &body, dropped, &links);
        let breaks = lines.len().saturating_sub(1);
        let length: usize = lines.iter().map(|line| markup.length(line)).sum::<usize>() + breaks;
        let can_shrink = !body.is_empty() || !links.is_empty();
        if length <= budget || !can_shrink {
            let lines: Vec<String> = lines.iter().map(|line| markup.line(line)).collect();
            return lines.join("\n");
        }
        if body.pop().is_some() {
            dropped += 1;
        } else {
            links.pop();
        }
    }
}

/// Whether nothing has to be left out.
pub(super) fn fits(layout: &Layout, budget: usize, markup: &impl Markup) -> bool {
    let lines = assemble(layout, &layout.body, 0, &layout.links);
    let length: usize = lines.iter().map(|line| markup.length(line)).sum();
    length + lines.len().saturating_sub(1) <= budget
}

fn assemble(layout: &Layout, body: &[Line], dropped: usize, links: &Line) -> Vec<Line> {
    let mut lines = layout.head.clone();
    lines.extend_from_slice(body);
    if dropped > 0 {
        lines.push(vec![Span::Text(format!("… {dropped} lines left out"))]);
    }
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
