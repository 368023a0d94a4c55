use alloy_primitives::keccak256;
use crypto_intel_schemas::{B256, Bytes, Event};

use super::{Decoding, body, known};
use crate::block::LogRecord;

/// A known topic in a non-standard form; the reason goes into the raw log.
pub(super) struct Odd(pub(super) &'static str);

impl Decoding<'_> {
    pub(super) fn log(&self, log: &LogRecord, sink: &mut impl FnMut(Event)) {
        let decoded = match log.topics().first() {
            Some(&known::TRANSFER) => self.transfer(log, sink),
            Some(&known::TRANSFER_SINGLE) => self.transfer_single(log, sink),
            Some(&known::TRANSFER_BATCH) => self.transfer_batch(log, sink),
            Some(&known::APPROVAL) => self.approval(log, sink),
            Some(&known::APPROVAL_FOR_ALL) => self.approval_for_all(log, sink),
            Some(topic) => match self.single(topic, log) {
                Some(event) => event.map(&mut *sink),
                None => Ok(()),
            },
            None => Ok(()),
        };
        let decoded = self.configured(log, decoded, sink);
        let wanted = self.decoder.every_log || self.decoder.raw_contracts.contains(&log.address);
        match decoded {
            Err(Odd(reason)) => {
                self.decoder.metrics.oddity(reason);
                sink(self.raw_log(log, Some(reason)));
            }
            Ok(()) if wanted => sink(self.raw_log(log, None)),
            Ok(()) => {}
        }
    }

    /// Logs that become exactly one event; `None` for an unknown topic.
    fn single(&self, topic: &B256, log: &LogRecord) -> Option<Result<Event, Odd>> {
        Some(match *topic {
            known::SYNC => self.sync(log),
            known::SWAP_V2 => self.swap_v2(log),
            known::SWAP_V3 => self.swap_v3(log),
            known::SWAP_PANCAKE_V3 => self.swap_pancake_v3(log),
            known::SWAP_V4 => self.swap_v4(log),
            known::MINT_V2 => self.mint_v2(log),
            known::BURN_V2 => self.burn_v2(log),
            known::PAIR_CREATED => self.pair_created(log),
            known::MINT_V3 => self.mint_v3(log),
            known::BURN_V3 => self.burn_v3(log),
            known::COLLECT_V3 => self.collect_v3(log),
            known::INITIALIZE_V3 => self.initialize_v3(log),
            known::POOL_CREATED => self.pool_created(log),
            known::MODIFY_V4 => self.modify_v4(log),
            known::INITIALIZE_V4 => self.initialize_v4(log),
            known::DEPOSIT => self.deposit(log),
            known::WITHDRAWAL => self.withdrawal(log),
            known::ANSWER_UPDATED => self.answer_updated(log),
            _ => return None,
        })
    }

    pub(super) fn raw_log(&self, log: &LogRecord, reason: Option<&str>) -> Event {
        let data = self.block.log_data(log);
        let limit = self.decoder.max_log_data_bytes;
        let truncated = data.len() > limit;
        let kept = if truncated { &data[..limit] } else { data };
        let event = body!(log self, log, None, Log {
            topics: log.topics().to_vec(),
            data: Bytes::copy_from_slice(kept),
            reason: reason.map(ToOwned::to_owned),
            truncated,
            data_length: truncated.then_some(data.len() as u64),
            data_keccak: truncated.then(|| keccak256(data)),
        });
        Event::Log(event)
    }
}
