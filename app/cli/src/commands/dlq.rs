//! `crypto-intel dlq list|show|retry|remove`

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use crypto_intel_nats::{
    DeadLetter, Nats, list_dead_letters, remove_dead_letter, show_dead_letter,
};
use crypto_intel_notify::hand_back_dead_letter;
use crypto_intel_schemas::Event;
use crypto_intel_service::now_us;
use serde_json::{Value, json};

use super::{connect_nats, prepare};
use crate::{
    args::{Arguments, DeadLetterAction},
    changes::Change,
    output::{Output, ago, table},
    times::time_text,
};

pub(crate) async fn run(
    arguments: &Arguments,
    action: &DeadLetterAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let nats = connect_nats(&config, "dlq").await?;
    match action {
        DeadLetterAction::List { limit } => {
            let mut letters =
                list_dead_letters(&nats, None, *limit).await.context("read the dead letters")?;
            letters.reverse();
            let described: Vec<Value> =
                letters.iter().map(|letter| describe(letter, false)).collect();
            output.show(&described, |_| show_list(&letters))?;
        }
        DeadLetterAction::Show { sequence } => {
            let letter = letter(&nats, *sequence).await?;
            let described = describe(&letter, true);
            output.show(&described, |value| {
                serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string())
            })?;
        }
        DeadLetterAction::Retry { sequences, to } => {
            let known = config.notify.languages();
            for sequence in sequences {
                let letter = letter(&nats, *sequence).await?;
                let told = hand_back_dead_letter(&nats, &known, &letter, to.as_deref())
                    .await
                    .with_context(|| format!("hand back dead letter {sequence}"))?;
                let report = json!({ "sequence": sequence, "destinations": told });
                tell(&nats, "dead_letter.retry", &letter).await?;
                output.show(&report, |_| format!("{sequence}: handed to {}", told.join(", ")))?;
            }
        }
        DeadLetterAction::Remove { sequences } => {
            for sequence in sequences {
                let letter = letter(&nats, *sequence).await?;
                remove(&nats, *sequence).await?;
                tell(&nats, "dead_letter.remove", &letter).await?;
                let report = json!({ "sequence": sequence, "removed": true });
                output.show(&report, |_| format!("{sequence}: removed"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn letter(nats: &Nats, sequence: u64) -> anyhow::Result<DeadLetter> {
    match show_dead_letter(nats, sequence).await.context("read the dead letter")? {
        Some(letter) => Ok(letter),
        None => bail!(missing(sequence)),
    }
}

async fn tell(nats: &Nats, action: &str, letter: &DeadLetter) -> anyhow::Result<()> {
    let change = Change::new(action).of(letter.dlq_sequence.to_string());
    change.from(Some(&describe(letter, false))).tell(nats).await
}

async fn remove(nats: &Nats, sequence: u64) -> anyhow::Result<()> {
    if !remove_dead_letter(nats, sequence).await.context("remove the dead letter")? {
        bail!(missing(sequence));
    }
    Ok(())
}

fn missing(sequence: u64) -> String {
    format!("no dead letter has the sequence {sequence}; `crypto-intel dlq list` shows them")
}

fn show_list(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return "no dead letters".to_owned();
    }
    let now = now_us();
    let rows = letters.iter().map(|letter| {
        [
            letter.dlq_sequence.to_string(),
            format!("{} ago", ago(now, letter.at_us)),
            letter.consumer.clone(),
            format!("{} #{}", letter.stream, letter.sequence),
            letter.subject.clone(),
            letter.error.clone(),
        ]
    });
    format!(
        "{}\n`crypto-intel dlq show SEQUENCE` shows one whole, `dlq retry` sends those of notify after all",
        table(&["sequence", "when", "consumer", "message", "subject", "error"], rows)
    )
}

fn describe(letter: &DeadLetter, whole: bool) -> Value {
    let mut value = json!({
        "sequence": letter.dlq_sequence,
        "at": time_text(letter.at_us),
        "consumer": letter.consumer,
        "stream": letter.stream,
        "stream_sequence": letter.sequence,
        "stored_at": time_text(letter.stored_at_us),
        "subject": letter.subject,
        "schema": letter.schema,
        "error": letter.error,
        "bytes": letter.payload.len(),
    });
    if whole {
        match Event::decode(&letter.payload) {
            Ok(event) => value["event"] = event.to_json(),
            Err(error) => value["undecodable"] = error.to_string().into(),
        }
        let hex: String = letter.payload.iter().map(|byte| format!("{byte:02x}")).collect();
        value["payload_hex"] = hex.into();
    }
    value
}
