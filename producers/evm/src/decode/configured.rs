//! Events of configured ABIs.

use crypto_intel_schemas::Event;

use super::{Decoding, body, known, logs::Odd};
use crate::block::LogRecord;

impl Decoding<'_> {
    /// Decodes a log by the configured ABIs that match it. `built_in` is the result of the built-in decoders: a log is
    /// odd only if no decoder understood it.
    pub(super) fn configured(
        &self,
        log: &LogRecord,
        built_in: Result<(), Odd>,
        sink: &mut impl FnMut(Event),
    ) -> Result<(), Odd> {
        let abis = &self.decoder.abis;
        let Some(topic) = log.topics().first().filter(|_| !abis.is_empty()) else {
            return built_in;
        };
        let data = self.block.log_data(log);
        // If the log is already an event of a built-in ABI, the next event needs another id.
        let mut count = u32::from(built_in.is_ok() && known::is_contract_event(topic));
        let mut decoded = false;
        let mut malformed = false;
        let mut too_large = false;
        for event in abis.of(topic, &log.address, self.block.header.number) {
            let Ok(fields) = event.decode(log.topics(), data) else {
                malformed = true;
                continue;
            };
            if fields.size() > self.decoder.max_fields_bytes {
                too_large = true;
                continue;
            }
            let sub_index = (count > 0).then_some(count);
            sink(Event::ContractEvent(body!(log self, log, sub_index, ContractEvent {
                abi: event.abi.clone(),
                name: event.name.clone(),
                signature: event.signature.clone(),
                fields,
            })));
            decoded = true;
            count += 1;
        }
        if too_large {
            return Err(Odd("decoded event larger than a message may be"));
        }
        match built_in {
            Err(_) if decoded => Ok(()),
            Ok(()) if malformed && !decoded && !known::is_decoded(topic) => {
                Err(Odd("event of a configured ABI in another form"))
            }
            other => other,
        }
    }
}
