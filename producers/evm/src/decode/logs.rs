use alloy_primitives::keccak256;
use crypto_intel_schemas::{Bytes, Event};

use super::{Scope, body, known};
use crate::block::LogRecord;

/// A known topic in a form that is not the standard's; the reason is on the raw log.
pub(super) struct Odd(pub(super) &'static str);

impl Scope<'_> {
    pub(super) fn log(&self, log: &LogRecord, sink: &mut impl FnMut(Event)) {
        let decoded = match log.topics().first() {
            Some(&known::TRANSFER) => self.transfer(log, sink),
            Some(&known::TRANSFER_SINGLE) => self.transfer_single(log, sink),
            Some(&known::TRANSFER_BATCH) => self.transfer_batch(log, sink),
            Some(&known::APPROVAL) => self.approval(log, sink),
            Some(&known::APPROVAL_FOR_ALL) => self.approval_for_all(log, sink),
            _ => Ok(()),
        };
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

    fn raw_log(&self, log: &LogRecord, reason: Option<&str>) -> Event {
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
