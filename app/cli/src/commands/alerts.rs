//! `crypto-intel alerts list|show|ack`: from the streams and buckets, so that no database is needed.

use std::process::ExitCode;

use anyhow::Context as _;
use crypto_intel_notify::{
    AlertStory, StoryDelivery, StoryMessage, acknowledge, list_alerts, show_alert,
};
use crypto_intel_service::now_us;
use serde_json::json;

use super::{
    connect_nats, prepare,
    silence::{name, read_matchers},
};
use crate::{
    args::{AlertsAction, Arguments},
    changes::Change,
    output::{Output, ago, table},
    times::{parse_moment, time_text},
};

pub(crate) async fn run(
    arguments: &Arguments,
    action: &AlertsAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let nats = connect_nats(&config, "alerts").await?;
    let destinations: Vec<String> = config.notify.destinations.keys().cloned().collect();
    match action {
        AlertsAction::List { matchers, since, limit } => {
            let since_us = parse_moment("--since", since, now_us())?;
            let matchers = read_matchers(matchers)?;
            let stories = list_alerts(&nats, since_us, &matchers, *limit).await?;
            output.show(&stories, |stories| show_list(stories))?;
        }
        AlertsAction::Show { code } => {
            let story = show_alert(&nats, &destinations, code).await?;
            output.show(&story, show_one)?;
        }
        AlertsAction::Ack { code, by } => {
            let story = show_alert(&nats, &destinations, code).await?;
            let by = name(by.as_ref());
            let before = acknowledge(&nats, &story.alert, by)
                .await
                .with_context(|| format!("acknowledge {code}"))?;
            let taken = before.as_ref().map_or(by, |before| before.by.as_str());
            let report = json!({ "alert": story.alert, "code": story.code, "by": taken, "new": before.is_none() });
            if before.is_none() {
                let change = Change::new("alert.acknowledge").of(&story.alert).by(by);
                change.tell(&nats).await?;
            }
            output.show(&report, |_| match &before {
                None => {
                    format!("{} is yours, {by}: it is neither repeated nor escalated", story.code)
                }
                Some(before) => format!(
                    "{} takes care of {} since {}",
                    before.by,
                    story.code,
                    time_text(before.at_us)
                ),
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_list(stories: &[AlertStory]) -> String {
    if stories.is_empty() {
        return "no alerts since then".to_owned();
    }
    let now = now_us();
    let rows = stories.iter().map(|story| {
        let last = story.messages.last();
        let title = last.map(|last| last.title.clone()).unwrap_or_default();
        let state = match (story.lasts, last) {
            (true, _) => "lasts",
            (false, Some(last)) => last.state.as_str(),
            (false, None) => "",
        };
        let taken = story.acknowledged.as_ref().map(|taken| format!(", taken by {}", taken.by));
        [
            story.code.clone(),
            format!("{} ago", ago(now, last.map_or(now, |last| last.stored_at_us))),
            story.severity.as_str().to_owned(),
            story.rule.clone(),
            format!("{state}{}", taken.unwrap_or_default()),
            told(story),
            title,
        ]
    });
    format!(
        "{}\n`crypto-intel alerts show CODE` shows one whole",
        table(&["code", "when", "severity", "rule", "state", "told", "title"], rows)
    )
}

/// Who was told of the newest message: `ops sent, desk silenced`.
fn told(story: &AlertStory) -> String {
    let mut ends = std::collections::BTreeMap::new();
    for one in &story.told {
        ends.insert(one.destination.as_str(), one.state.as_str());
    }
    let ends: Vec<String> = ends.iter().map(|(name, state)| format!("{name} {state}")).collect();
    if ends.is_empty() { "no one yet".to_owned() } else { ends.join(", ") }
}

fn show_one(story: &AlertStory) -> String {
    let mut lines = vec![format!(
        "{} · {} · {}{}",
        story.code,
        story.rule,
        story.severity.as_str(),
        if story.lasts { " · lasts" } else { "" }
    )];
    if let Some(taken) = &story.acknowledged {
        lines.push(format!("taken by {} at {}", taken.by, time_text(taken.at_us)));
    }
    if !story.labels.is_empty() {
        let labels: Vec<String> =
            story.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.push(labels.join(" "));
    }
    for message in &story.messages {
        lines.extend(["".to_owned(), describe(message)]);
        lines.extend(message.lines.iter().map(|line| format!("  {line}")));
        lines.push(format!("  {}", way(message)));
    }
    if story.told.is_empty() {
        lines.push("\nno one was told yet".to_owned());
    } else {
        let heading = ["message", "to", "end", "tries", "ms", "when", "message id", "why"];
        lines.push(format!("\n{}", table(&heading, story.told.iter().map(row))));
    }
    lines.join("\n")
}

fn describe(message: &StoryMessage) -> String {
    format!("{} {}: {}", message.state.as_str(), message.n, message.title)
}

/// How long each step took.
fn way(message: &StoryMessage) -> String {
    let ms = |from: i64, to: i64| (to - from) / 1_000;
    let block = message.block_number.map(|block| format!("block {block}, ")).unwrap_or_default();
    format!(
        "{block}event {} · seen +{} ms · rule +{} ms · stored +{} ms",
        time_text(message.event_at_us),
        ms(message.event_at_us, message.seen_at_us),
        ms(message.seen_at_us, message.decided_at_us),
        ms(message.decided_at_us, message.stored_at_us),
    )
}

fn row(told: &StoryDelivery) -> [String; 8] {
    let message = told.delivery.split(':').skip(1).collect::<Vec<_>>();
    let message = message.split_last().map(|(_, parts)| parts.join(" ")).unwrap_or_default();
    let when = if told.done_at_us > 0 { time_text(told.done_at_us) } else { "-".to_owned() };
    [
        message,
        told.destination.clone(),
        told.state.clone(),
        told.attempts.to_string(),
        told.seen_to_done_ms.map(|ms| ms.to_string()).unwrap_or_default(),
        when,
        told.message_id.clone().unwrap_or_default(),
        told.error.clone().unwrap_or_default(),
    ]
}
