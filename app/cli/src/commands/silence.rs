//! `crypto-intel silence add|list|end`

use std::process::ExitCode;

use anyhow::Context as _;
use crypto_intel_notify::{Matcher, NewSilence, RecurringSilence, Silences, recurring_silences};
use crypto_intel_schemas::Silence;
use crypto_intel_service::now_us;
use serde_json::{Value, json};

use super::{connect_nats, prepare};
use crate::{
    args::{Arguments, SilenceAction},
    changes::{ANONYMOUS, Change},
    output::{Output, table},
    times::time_text,
};

/// Who made the silences that recur.
const RECURRING: &str = "routes file";

pub(crate) async fn run(
    arguments: &Arguments,
    action: &SilenceAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let nats = connect_nats(&config, "silence").await?;
    let silences = Silences::open(&nats).await?;
    match action {
        SilenceAction::Add { matchers, duration, reason, delay, by } => {
            let matchers = read_matchers(matchers)?;
            let mut new = NewSilence::lasting(matchers, *duration, name(by.as_ref()), reason);
            if let Some(delay) = delay {
                let delay_us = i64::try_from(delay.as_micros()).context("--in is too long")?;
                new.starts_us = new.starts_us.saturating_add(delay_us);
                new.ends_us = new.ends_us.saturating_add(delay_us);
            }
            let silence = silences.add(new).await?;
            let change = Change::new("silence.add").of(&silence.id).by(&silence.author);
            change.to(&silence).tell(&nats).await?;
            output.show(&describe(&silence), |_| {
                format!(
                    "silence {} until {}: {}",
                    silence.id,
                    time_text(silence.ends_us),
                    silence.matchers.join(" ")
                )
            })?;
        }
        SilenceAction::List { all } => {
            let now = now_us();
            let mut list = silences.list().await?;
            list.retain(|silence| *all || silence.ends_us > now);
            let recurring = recurring_silences(&config.notify, now).unwrap_or_else(|problems| {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                eprintln!(
                    "the file of routes is wrong, its silences are not listed: {}",
                    problems.join("\n")
                );
                Vec::new()
            });
            let described: Vec<Value> =
                list.iter().map(describe).chain(recurring.iter().map(describe_recurring)).collect();
            output.show(&described, |_| show_list(&list, &recurring, now))?;
        }
        SilenceAction::End { id, by } => {
            let ended = silences.end(id, name(by.as_ref())).await?;
            if let Some(silence) = &ended {
                let change = Change::new("silence.end").of(&silence.id).by(name(by.as_ref()));
                change.to(silence).tell(&nats).await?;
            }
            let report = json!({ "id": id, "ended": ended.is_some() });
            output.show(&report, |_| match ended {
                Some(_) => format!("{id}: ended; what it kept back and still lasts is told"),
                None => format!("{id}: was over already"),
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The matchers of a command line.
pub(super) fn read_matchers(texts: &[String]) -> anyhow::Result<Vec<Matcher>> {
    texts.iter().map(|text| Matcher::parse(text).map_err(Into::into)).collect()
}

pub(super) fn name(by: Option<&String>) -> &str {
    by.map_or(ANONYMOUS, String::as_str)
}

fn show_list(list: &[Silence], recurring: &[RecurringSilence], now: i64) -> String {
    if list.is_empty() && recurring.is_empty() {
        return "no silence is in force".to_owned();
    }
    let rows = list.iter().map(|silence| {
        [
            silence.id.clone(),
            state(silence.starts_us, silence.ends_us, now).to_owned(),
            time_text(silence.starts_us),
            time_text(silence.ends_us),
            silence.matchers.join(" "),
            silence.author.clone(),
            silence.reason.clone(),
        ]
    });
    let recurring = recurring.iter().map(|silence| {
        [
            silence.name.clone(),
            format!("{}, recurs", state(silence.starts_us, silence.ends_us, now)),
            time_text(silence.starts_us),
            time_text(silence.ends_us),
            silence.matchers.join(" "),
            RECURRING.to_owned(),
            silence.reason.clone(),
        ]
    });
    table(&["id", "state", "from", "until", "matches", "by", "why"], rows.chain(recurring))
}

fn state(starts_us: i64, ends_us: i64, now: i64) -> &'static str {
    match now {
        now if now < starts_us => "to come",
        now if now < ends_us => "in force",
        _ => "over",
    }
}

/// A silence of the file of routes: the fields of others, with the window that lasts or comes next.
fn describe_recurring(silence: &RecurringSilence) -> Value {
    json!({
        "id": silence.name,
        "recurring": true,
        "matchers": silence.matchers,
        "starts_at": time_text(silence.starts_us),
        "ends_at": time_text(silence.ends_us),
        "author": RECURRING,
        "reason": silence.reason,
    })
}

fn describe(silence: &Silence) -> Value {
    json!({
        "id": silence.id,
        "recurring": false,
        "matchers": silence.matchers,
        "starts_at": time_text(silence.starts_us),
        "ends_at": time_text(silence.ends_us),
        "author": silence.author,
        "reason": silence.reason,
        "ended_by": silence.ended_by,
        "told_at": silence.told_us.map(time_text),
    })
}
