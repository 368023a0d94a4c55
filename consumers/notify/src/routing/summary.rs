//! What is told when a silence or an inhibition ends: how much it kept back, and what of it still lasts.

use std::collections::BTreeMap;

use crypto_intel_schemas::{Alert, Severity, Silence};

use super::{
    open::Open,
    weekly::{WeeklySilence, Window},
};
use crate::render::Words;

/// Lasting alerts that a summary names.
const MAX_NAMED: usize = 12;

/// Deliveries that were kept back, with the key of their alert and its rule.
pub(super) type Deliveries = BTreeMap<String, (String, String)>;

/// What has ended.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    /// A silence.
    Silence { id: String, why: String },
    /// A window of a silence that comes every week.
    Weekly { name: String, window: Window, cause: String, why: String },
    /// The alert that explained others.
    Inhibition { alert: String, fired_n: u32, code: String, rule: String, title: String },
}

impl Ended {
    pub(super) fn silence(silence: &Silence) -> Self {
        let why = format!("{} ({})", silence.reason, silence.author);
        Self::Silence { id: silence.id.clone(), why }
    }

    pub(super) fn weekly(silence: &WeeklySilence, window: Window) -> Self {
        let (name, why) = (silence.name.clone(), silence.reason.clone());
        Self::Weekly { name, window, cause: silence.cause(window), why }
    }

    pub(super) fn inhibition(open: &Open) -> Self {
        let alert = &open.alert;
        Self::Inhibition {
            alert: alert.alert.clone(),
            fired_n: open.record.fired_n,
            code: alert.code.clone(),
            rule: alert.rule.clone(),
            title: alert.title.clone(),
        }
    }

    /// What tells it from others, and names its messages.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Silence { id, .. } => format!("silence:{id}"),
            Self::Weekly { cause, .. } => format!("silence:{cause}"),
            Self::Inhibition { alert, fired_n, .. } => format!("inhibition:{alert}:{fired_n}"),
        }
    }

    /// As deliveries name it: id of the silence, or code of the alert.
    pub(super) fn cause(&self) -> &str {
        match self {
            Self::Silence { id, .. } => id,
            Self::Weekly { cause, .. } => cause,
            Self::Inhibition { code, .. } => code,
        }
    }

    /// Whether it is told also where nothing lasts.
    pub(super) const fn is_told_always(&self) -> bool {
        !matches!(self, Self::Inhibition { .. })
    }

    const fn rule(&self) -> &'static str {
        match self {
            Self::Silence { .. } | Self::Weekly { .. } => "silence",
            Self::Inhibition { .. } => "inhibition",
        }
    }

    fn title(&self, words: &Words) -> String {
        match self {
            Self::Silence { id: name, .. } | Self::Weekly { name, .. } => {
                words.notices.silence_over.replace("{}", name)
            }
            Self::Inhibition { rule, .. } => words.notices.inhibition_over.replace("{}", rule),
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::Silence { why, .. } | Self::Weekly { why, .. } => why,
            Self::Inhibition { title, .. } => title,
        }
    }
}

/// The message, in the words of its destination.
pub(super) fn summary(
    ended: &Ended,
    deliveries: &Deliveries,
    lasting: &[Alert],
    words: &Words,
    now: i64,
) -> Alert {
    let notices = &words.notices;
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, rule) in deliveries.values() {
        *rules.entry(rule).or_default() += 1;
    }
    let rules: Vec<String> =
        rules.iter().map(|(rule, count)| format!("{rule} {}", words.number(*count))).collect();
    let mut lines = vec![
        notices.why.replace("{}", ended.why()),
        notices.kept_of_rules.replace("{}", &rules.join(", ")),
    ];
    for alert in lasting.iter().take(MAX_NAMED) {
        let what = format!("{} · {} #{}", alert.title, alert.rule, alert.code);
        lines.push(notices.still.replace("{}", &what));
    }
    if lasting.len() > MAX_NAMED {
        lines.push(words.counted(&notices.more_last, lasting.len() - MAX_NAMED));
    }
    let kept = words.counted(&notices.kept_back, deliveries.len());
    let lasts = match lasting.len() {
        0 => notices.none_of_it_lasts.to_owned(),
        count => words.counted(&notices.still_last, count),
    };
    Alert {
        alert: ended.key(),
        code: ended.cause().to_owned(),
        rule: ended.rule().to_owned(),
        severity: lasting.iter().map(|alert| alert.severity).max().unwrap_or(Severity::Info),
        n: 1,
        title: format!("{}: {kept}, {lasts}", ended.title(words)),
        lines,
        event_at_us: now,
        observed_at_us: now,
        seen_at_us: now,
        ..Alert::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Language;

    #[test]
    fn it_is_told_in_the_language_of_its_destination() {
        let ended = Ended::Silence { id: "K7Q2M".into(), why: "upgrade (ana)".into() };
        let kept = Deliveries::from([
            ("a".to_owned(), ("a".to_owned(), "depeg".to_owned())),
            ("b".to_owned(), ("b".to_owned(), "depeg".to_owned())),
        ]);
        let lasting = Alert { title: "USDC".into(), rule: "depeg".into(), ..Alert::empty() };
        let told = |language: Language, lasting: &[Alert]| {
            let alert = summary(&ended, &kept, lasting, language.words(), 5);
            (alert.title, alert.lines.join("; "))
        };
        let (title, lines) = told(Language::En, std::slice::from_ref(&lasting));
        assert_eq!(title, "Silence K7Q2M is over: 2 messages kept back, 1 alert still lasts");
        assert_eq!(lines, "why: upgrade (ana); kept back: depeg 2; still: USDC · depeg #");
        let (title, lines) = told(Language::Es, &[]);
        assert_eq!(
            title,
            "El silencio K7Q2M ha terminado: 2 mensajes retenidos, nada sigue activo"
        );
        assert_eq!(lines, "motivo: upgrade (ana); retenidos: depeg 2");
    }
}
