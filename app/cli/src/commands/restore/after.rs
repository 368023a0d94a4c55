//! What the roles do once they run again, said from what is really there.

use crypto_intel_nats::{Nats, StreamState};
use crypto_intel_store::PositionRow;

use super::Targets;
use crate::args::{RestoreArguments, RestorePart};
use crate::commands::{backup::manifest::Manifest, status};
use crate::config::AppConfig;
use crate::output::thousands;

pub(super) async fn next(
    config: &AppConfig,
    options: &RestoreArguments,
    targets: &Targets,
    manifest: &Manifest,
) -> Vec<String> {
    let mut next = vec![
        "`crypto-intel streams apply && crypto-intel migrate` makes what the backup does not hold (the bucket leases), \
         then start the roles"
            .to_owned(),
    ];
    if let Some(store) = &targets.store {
        match store.positions().await {
            Ok(positions) => next.extend(persist(&positions, targets.nats.as_ref()).await),
            Err(error) => next.push(format!("positions cannot be read: {error}")),
        }
    }
    if options.only == Some(RestorePart::Database) {
        return next;
    }
    if let Some(nats) = &targets.nats {
        next.extend(chains(config, nats).await);
    }
    next.push(format!(
        "poll asks at its next slot; what it was not asked for since {} is missing",
        manifest.made_at
    ));
    next.push(
        "alerts goes on at its snapshot: what fired and was sent after the backup may be sent once more, where a rule's \
         max_event_age still lets it fire"
            .to_owned(),
    );
    next
}

/// Where persist goes on.
async fn persist(positions: &[PositionRow], nats: Option<&Nats>) -> Vec<String> {
    let mut lines = Vec::new();
    for position in positions.iter().filter(|position| position.sequence > 0) {
        let Some(nats) = nats else {
            let (stream, sequence) = (&position.stream, position.sequence);
            lines
                .push(format!("persist goes on in {stream} after message {}", thousands(sequence)));
            continue;
        };
        let state = nats.stream_state(&position.stream).await;
        lines.push(match state {
            Ok(state) => {
                let stored = nats.get(&position.stream, position.sequence).await;
                let same = stored.is_ok_and(|message| {
                    message.is_some_and(|message| message.stored_at_us == position.stored_at_us)
                });
                persist_line(position, &state, same)
            }
            Err(error) => format!("persist waits for {}: {error}", position.stream),
        });
    }
    lines
}

/// As `StreamReader` decides it.
fn persist_line(position: &PositionRow, state: &StreamState, is_same_message: bool) -> String {
    let (stream, sequence) = (&position.stream, position.sequence);
    let number = thousands;
    if is_same_message {
        return format!(
            "persist goes on in {stream} after message {} and reads {} more",
            number(sequence),
            number(state.last_sequence - sequence)
        );
    }
    if state.last_sequence < sequence || state.first_sequence <= sequence {
        return format!(
            "persist reads {stream} from its first message: it is not the stream of position {}; rows that are there stay single",
            number(sequence)
        );
    }
    let lost = if sequence + 1 < state.first_sequence {
        format!(
            ": {} to {} are gone, `crypto-intel audit CHAIN` finds what is missing of chains",
            number(sequence + 1),
            number(state.first_sequence - 1)
        )
    } else {
        String::new()
    };
    format!("persist goes on in {stream} at message {}{lost}", number(state.first_sequence))
}

async fn chains(config: &AppConfig, nats: &Nats) -> Vec<String> {
    match status::chains(config, nats).await {
        Ok(chains) => chains
            .iter()
            .filter_map(|chain| {
                let head = chain.head.as_ref()?;
                Some(format!(
                    "evm goes on with {} after block {}: it fetches what came since, in order or, where that is long, \
                     beside live",
                    chain.chain,
                    thousands(head.block_number)
                ))
            })
            .collect(),
        Err(error) => vec![format!("last blocks cannot be read: {error:#}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(first_sequence: u64, last_sequence: u64) -> StreamState {
        StreamState {
            first_sequence,
            last_sequence,
            messages: last_sequence + 1 - first_sequence,
            ..StreamState::default()
        }
    }

    fn position(sequence: u64) -> PositionRow {
        PositionRow { stream: "EVM".to_owned(), sequence, stored_at_us: 5, updated_at_us: 5 }
    }

    #[test]
    fn says_what_persist_will_do() {
        let line = persist_line(&position(1_500), &state(1, 2_000), true);
        assert_eq!(line, "persist goes on in EVM after message 1,500 and reads 500 more");
        let line = persist_line(&position(1_500), &state(1, 1_000), false);
        assert!(line.starts_with("persist reads EVM from its first message"), "{line}");
        let line = persist_line(&position(1_500), &state(1_801, 2_000), false);
        assert!(line.contains("1,501 to 1,800 are gone"), "{line}");
        let line = persist_line(&position(1_500), &state(1_501, 1_500), false);
        assert_eq!(line, "persist goes on in EVM at message 1,501");
    }
}
