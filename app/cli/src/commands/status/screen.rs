//! The status for people.

use crypto_intel_schemas::Bucket;
use crypto_intel_service::now_us;

use super::Status;
use crate::{
    commands::streams::percent,
    observe::BackupRecord,
    output::{ago, bytes, table, thousands},
};

pub(super) fn show(status: &Status) -> String {
    let now = now_us();
    let mut parts = Vec::new();
    if status.chains.is_empty() {
        parts.push("no chain is configured: [evm.chains.NAME]".to_owned());
    } else {
        parts.push(chains(status));
    }
    parts.extend(endpoints(status, now));
    parts.push(streams(status));
    parts.extend(readers(status));
    parts.push(leases(status, now));
    parts.extend(status.database.iter().map(|reason| format!("database: {reason}")));
    parts.push(alerts(status, now));
    parts.extend(status.dead_letters.map(|count| {
        let hint = if count == 0 { "" } else { ": `crypto-intel dlq list`" };
        format!("dead letters: {count}{hint}")
    }));
    parts.extend(status.backup.as_ref().map(|record| backup(record, now)));
    if !status.problems.is_empty() {
        parts.push(format!("could not be read:\n  {}", status.problems.join("\n  ")));
    }
    parts.join("\n\n")
}

fn backup(record: &BackupRecord, now: i64) -> String {
    let mut text = match record.finished_at_us {
        Some(at_us) => format!("last backup: {} ago", ago(now, at_us)),
        None => "no backup was ever finished".to_owned(),
    };
    if record.failed_at_us > record.finished_at_us {
        let error = record.error.as_deref().unwrap_or_default();
        text.push_str(&format!("\nlast backup failed: {error}"));
    }
    text
}

fn chains(status: &Status) -> String {
    table(
        &["chain", "block", "hash", "finalized", "age"],
        status.chains.iter().map(|chain| match &chain.head {
            Some(head) => [
                chain.chain.clone(),
                thousands(head.block_number),
                head.block_hash.chars().take(14).collect(),
                thousands(head.finalized_number),
                format!("{} s", head.block_age_seconds),
            ],
            None => [
                chain.chain.clone(),
                format!("nothing published; {}", chain.why.as_deref().unwrap_or_default()),
                String::new(),
                String::new(),
                String::new(),
            ],
        }),
    )
}

fn endpoints(status: &Status, now: i64) -> Option<String> {
    if status.endpoints.is_empty() {
        return None;
    }
    Some(table(
        &["chain", "endpoint", "state", "head", "told"],
        status.endpoints.iter().map(|endpoint| {
            let error = endpoint.error.as_ref().map(|error| format!(": {error}"));
            [
                endpoint.chain.clone(),
                endpoint.endpoint.clone(),
                format!("{}{}", endpoint.reason, error.unwrap_or_default()),
                endpoint.head.map_or_else(String::new, thousands),
                format!("{} ago", ago(now, endpoint.told_at_us)),
            ]
        }),
    ))
}

/// Streams, without the key-value buckets, and how far persist is behind them.
fn streams(status: &Status) -> String {
    let streams = status.streams.iter().filter(|stream| !Bucket::is_stream(&stream.name));
    table(
        &["stream", "messages", "size", "full", "not stored yet"],
        streams.map(|stream| {
            let lag = status.positions.iter().find(|lag| lag.stream == stream.name);
            let state = stream.state.as_ref();
            let missing = || "missing: `crypto-intel streams apply`".to_owned();
            [
                stream.name.clone(),
                state.map_or_else(missing, |state| thousands(state.messages)),
                state.map_or_else(String::new, |state| bytes(state.bytes)),
                percent(stream.fill_ratio),
                lag.and_then(|lag| lag.messages_behind).map_or_else(String::new, thousands),
            ]
        }),
    )
}

fn readers(status: &Status) -> Option<String> {
    if status.readers.is_empty() {
        return None;
    }
    Some(table(
        &["reader", "stream", "messages behind"],
        status.readers.iter().map(|reader| {
            let of = reader.of.as_ref().map(|of| format!(" to {of}")).unwrap_or_default();
            [
                format!("{}{of}", reader.role),
                reader.stream.clone(),
                thousands(reader.messages_behind),
            ]
        }),
    ))
}

fn leases(status: &Status, now: i64) -> String {
    if status.leases.is_empty() {
        return "no role is active: nobody holds a lease".to_owned();
    }
    table(
        &["task", "led by", "since"],
        status.leases.iter().map(|lease| {
            [lease.task.clone(), lease.owner.clone(), format!("{} ago", ago(now, lease.since_us))]
        }),
    )
}

fn alerts(status: &Status, now: i64) -> String {
    if status.alerts.is_empty() {
        return "no alerts yet".to_owned();
    }
    table(
        &["alert", "severity", "rule", "code", "title"],
        status.alerts.iter().map(|alert| {
            [
                format!("{} ago, {}", ago(now, alert.at_us), alert.state),
                alert.severity.to_owned(),
                alert.rule.clone(),
                alert.code.clone(),
                alert.title.clone(),
            ]
        }),
    )
}
