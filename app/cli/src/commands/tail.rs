//! `crypto-intel tail [SUBJECT] [--since T] [--limit N]`

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use crypto_intel_nats::{ReaderOptions, Start, StreamMessage, StreamReader};
use crypto_intel_schemas::Event;
use crypto_intel_service::now_us;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{connect_nats, prepare};
use crate::{
    args::{Arguments, TailArguments},
    output::line,
    times::{parse_beginning, time_text},
};

/// Events that may wait for a slow terminal.
const BUFFER: usize = 1_000;

pub(crate) async fn run(
    arguments: &Arguments,
    options: &TailArguments,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let subject = options.subject.as_deref().unwrap_or(">");
    let start = match options.since.as_deref() {
        None => Start::New,
        since => match parse_beginning("--since", since, now_us())? {
            None => Start::First,
            Some(since_us) => Start::Time(since_us),
        },
    };
    let nats = connect_nats(&config, "tail").await?;
    let streams = nats
        .streams_with(subject)
        .await
        .context("ask NATS for its streams (is this user allowed to?)")?;
    if streams.is_empty() {
        bail!("no stream takes {subject:?}; `crypto-intel streams status` lists the streams");
    }
    let (sender, mut events) = mpsc::channel(BUFFER);
    for stream in streams {
        let options = ReaderOptions::new(stream, "tail", start).filters([subject]);
        let mut reader = StreamReader::open(&nats, options).await.context("open the stream")?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Ok(batch) = reader.next(BUFFER).await {
                for message in batch.messages {
                    if sender.send(message).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
    drop(sender);
    let mut left = options.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(message) = events.recv().await else { bail!("the connection to NATS was closed") };
        line(&describe(&message).to_string())?;
        left -= 1;
    }
    Ok(ExitCode::SUCCESS)
}

/// A message as one JSON object: where it stands, then the event's own fields.
pub(crate) fn describe(message: &StreamMessage) -> Value {
    let mut object = json!({
        "subject": message.subject,
        "sequence": message.sequence,
        "stored_at": time_text(message.stored_at_us),
    });
    let event = match Event::decode(&message.payload) {
        Ok(event) => event.to_json(),
        Err(error) => json!({ "undecodable": error.to_string(), "bytes": message.payload.len() }),
    };
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), event) {
        object.extend(fields);
    }
    object
}
