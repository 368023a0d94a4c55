use std::collections::BTreeMap;

use crypto_intel_schemas::{Alert, AlertState, Severity};

use super::{text::clean_to, voice::Voice, words::Words};
use crate::channel::{MessageContent, Place, Together};

/// A piece of a line. Texts are clean (one line, nothing hidden) but not escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Span {
    /// As it is.
    Text(String),
    /// Bold.
    Bold(String),
    /// A link to an `http` or `https` address.
    Link { label: String, url: String },
}

/// A line of a message.
pub(crate) type Line = Vec<Span>;

/// A message without any channel's markup.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// What a lock screen shows; always kept.
    pub(crate) head: Vec<Line>,
    /// Further lines; dropped from the end when the channel's budget is too small.
    pub(crate) body: Vec<Line>,
    /// Links; dropped from the end after the body.
    pub(crate) links: Line,
    /// Rule, code, time and state; always kept.
    pub(crate) foot: Line,
    /// The same without the time, for services that show it on each reader's own clock.
    pub(crate) timeless_foot: Line,
    /// Whether it arrives without sound.
    pub(crate) silent: bool,
    /// For what has to be said when lines are left out.
    pub(crate) words: &'static Words,
}

const TITLE_UNITS: usize = 300;
const LINE_UNITS: usize = 512;
const RULE_UNITS: usize = 64;
const CODE_UNITS: usize = 16;
const LABEL_UNITS: usize = 40;
const MAX_LINKS: usize = 8;
const MAX_URL_BYTES: usize = 1_024;
/// What happened to an alert, in a digest's line.
const HAPPENED_UNITS: usize = 160;
/// Rules that a digest's first line counts one by one.
const DIGEST_RULES: usize = 5;
/// Lines of what follows a message that was changed.
const BRIEF_LINES: usize = 3;

/// What of a digest a channel takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DigestForm {
    /// Alerts with a line; what is beyond is only counted.
    pub(crate) lines: usize,
    /// Length of their titles.
    pub(crate) title_units: usize,
}

/// How a message reads.
pub(crate) fn layout(content: &MessageContent<'_>, digest: DigestForm) -> Layout {
    let [alert] = content.alerts else {
        let words = &content.voice.words.folded;
        let mut layout = digest_layout(content.alerts, digest, content.repeat, content.voice);
        let foot = match content.together {
            Together::Flood => words.flood,
            Together::Group => words.group,
            Together::Quiet => words.quiet,
        };
        // What had to be folded comes thick and fast: it rings no more than once for what is urgent, elsewhere.
        let most = content.alerts.iter().map(|alert| alert.severity).max().unwrap_or_default();
        layout.silent = content.together == Together::Flood || most == Severity::Info;
        layout.foot = vec![text(foot.to_owned())];
        layout.timeless_foot.clone_from(&layout.foot);
        return layout;
    };
    let mut layout = alert_layout(alert, content.repeat, content.voice);
    match content.place {
        Place::New | Place::Reply { is_edited: false, .. } => {}
        Place::Reply { is_edited: true, .. } => {
            layout.body.truncate(BRIEF_LINES);
            layout.links.clear();
        }
        Place::Edit { earlier, .. } => {
            let kept = earlier.iter().filter(|line| !alert.lines.contains(line));
            let kept = body_lines(kept);
            if !kept.is_empty() {
                layout.body.push(vec![text(content.voice.words.before.to_owned())]);
                layout.body.extend(kept);
            }
        }
    }
    layout
}

/// How an alert reads. `repeat`: an earlier attempt may have arrived.
pub(super) fn alert_layout(alert: &Alert, repeat: bool, voice: &Voice) -> Layout {
    let mut head = Vec::new();
    if repeat {
        head.push(vec![repeat_mark(&alert.code, voice)]);
    }
    let title = title(alert, TITLE_UNITS, voice);
    head.push(vec![text(format!("{} ", emoji(alert))), Span::Bold(title)]);
    let name =
        format!("{} #{}", clean_to(&alert.rule, RULE_UNITS), clean_to(&alert.code, CODE_UNITS));
    let state = match alert.state {
        AlertState::Fired => None,
        AlertState::Corrected => Some(voice.words.corrected),
        AlertState::Resolved => Some(voice.words.resolved),
    };
    let time = voice.time(alert.event_at_us);
    let foot = |time: Option<&str>| {
        let parts: Vec<&str> = [Some(name.as_str()), time, state].into_iter().flatten().collect();
        vec![text(parts.join(" · "))]
    };
    let silent = alert.severity == Severity::Info;
    let body = body_lines(&alert.lines);
    let (foot, timeless_foot) = (foot(time.as_deref()), foot(None));
    let links = links(alert);
    Layout { head, body, links, foot, timeless_foot, silent, words: voice.words }
}

fn body_lines<'a>(lines: impl IntoIterator<Item = &'a String>) -> Vec<Line> {
    lines
        .into_iter()
        .map(|line| clean_to(line, LINE_UNITS))
        .filter(|line| !line.is_empty())
        .map(|line| vec![text(line)])
        .collect()
}

/// How a digest of alerts reads: counts per rule, then one line with its code per alert. Of an
/// alert whose first message and correction are both in it, only the latter is shown.
pub(super) fn digest_layout(
    alerts: &[Alert],
    form: DigestForm,
    repeat: bool,
    voice: &Voice,
) -> Layout {
    let shown = last_words(alerts);
    let mut per_rule = BTreeMap::<&str, usize>::new();
    for alert in &shown {
        *per_rule.entry(&alert.rule).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = per_rule.into_iter().collect();
    counts.sort_by_key(|(rule, count)| (std::cmp::Reverse(*count), *rule));
    let mut rules: Vec<String> = counts
        .iter()
        .take(DIGEST_RULES)
        .map(|(rule, count)| {
            format!("{} {}", clean_to(rule, LABEL_UNITS), voice.words.number(*count))
        })
        .collect();
    if counts.len() > DIGEST_RULES {
        rules.push(voice.words.counted(&voice.words.more_rules, counts.len() - DIGEST_RULES));
    }
    let mut head = Vec::new();
    if repeat {
        let first = alerts.first().map_or("", |alert| alert.code.as_str());
        head.push(vec![repeat_mark(first, voice)]);
    }
    head.push(vec![
        text("📦 ".to_owned()),
        Span::Bold(voice.words.counted(&voice.words.alerts, shown.len())),
        text(format!(" ({})", rules.join(", "))),
    ]);
    let listed = most_severe(&shown, form.lines);
    let mut body: Vec<Line> = listed
        .iter()
        .map(|alert| vec![text(digest_line(alert, form.title_units, voice))])
        .collect();
    if listed.len() < shown.len() {
        let rest = shown.len() - listed.len();
        body.push(vec![text(voice.words.counted(&voice.words.not_shown, rest))]);
    }
    // The longest of its kind: what is tried for its length needs no more.
    let foot = vec![text(voice.words.folded.flood.to_owned())];
    let (links, timeless_foot) = (Vec::new(), foot.clone());
    Layout { head, body, links, foot, timeless_foot, silent: true, words: voice.words }
}

/// What each alert is now, in the order of its first news.
fn last_words(alerts: &[Alert]) -> Vec<&Alert> {
    let mut shown: Vec<&Alert> = Vec::new();
    let mut places = BTreeMap::<&str, usize>::new();
    for alert in alerts {
        match places.get(alert.alert.as_str()) {
            Some(place) if shown[*place].n <= alert.n => shown[*place] = alert,
            Some(_) => {}
            None => {
                places.insert(&alert.alert, shown.len());
                shown.push(alert);
            }
        }
    }
    shown
}

/// So many of them that a reader should see, in their order.
fn most_severe<'a>(alerts: &[&'a Alert], count: usize) -> Vec<&'a Alert> {
    let mut places: Vec<usize> = (0..alerts.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(alerts[*place].severity));
    places.truncate(count);
    places.sort_unstable();
    places.into_iter().map(|place| alerts[place]).collect()
}

/// A correction or an end says what happened to what, which its title alone does not.
fn digest_line(alert: &Alert, title_units: usize, voice: &Voice) -> String {
    let (emoji, title) = (emoji(alert), title(alert, title_units, voice));
    let code = clean_to(&alert.code, CODE_UNITS);
    let unsaid = match alert.state {
        AlertState::Fired => return format!("{emoji} {title} #{code}"),
        AlertState::Corrected => voice.words.corrected,
        AlertState::Resolved => voice.words.over,
    };
    // What happened comes first, then, where it changed, what it was and what it is now.
    let happened = clean_to(&alert.lines.join(" "), HAPPENED_UNITS);
    let happened = if happened.is_empty() { unsaid } else { &happened };
    format!("{emoji} {title}: {happened} #{code}")
}

fn repeat_mark(code: &str, voice: &Voice) -> Span {
    text(format!("{} #{}", voice.words.repeat_of, clean_to(code, CODE_UNITS)))
}

fn text(text: String) -> Span {
    Span::Text(text)
}

const fn emoji(alert: &Alert) -> &'static str {
    match (alert.state, alert.severity) {
        (AlertState::Corrected, _) => "✏️",
        (AlertState::Resolved, _) => "✅",
        (AlertState::Fired, Severity::Critical) => "🚨",
        (AlertState::Fired, Severity::Warning) => "⚠️",
        (AlertState::Fired, Severity::Info) => "ℹ️",
    }
}

fn title(alert: &Alert, units: usize, voice: &Voice) -> String {
    let title = clean_to(&alert.title, units);
    if !title.is_empty() {
        return title;
    }
    let rule = clean_to(&alert.rule, units);
    if rule.is_empty() { voice.words.alert.to_owned() } else { rule }
}

pub(super) fn links(alert: &Alert) -> Line {
    alert.links.iter().take(MAX_LINKS).filter_map(link).collect()
}

/// `None` for what has nothing to show. An address that is not of the web stays as its label:
/// services drop such links anyway, without a word.
fn link(link: &crypto_intel_schemas::Link) -> Option<Span> {
    let label = clean_to(&link.label, LABEL_UNITS);
    let url = reqwest::Url::parse(&link.url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty())
        .map(String::from)
        .filter(|url| url.len() <= MAX_URL_BYTES);
    match url {
        Some(url) if label.is_empty() => Some(Span::Link { label: "link".to_owned(), url }),
        Some(url) => Some(Span::Link { label, url }),
        None => (!label.is_empty()).then_some(Span::Text(label)),
    }
}

#[cfg(test)]
mod tests;
