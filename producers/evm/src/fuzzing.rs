//! Entry points for fuzzing: parses untrusted input as the producer does. Not part of the API.

use std::{collections::HashSet, fmt::Write as _};

use crypto_intel_schemas::{Address, B256, Event};
use crypto_intel_service::prometheus::Registry;
use serde_json::value::RawValue;

use crate::{
    block::{BlockData, Header},
    config::{ChainConfig, LogsMode, transactions_mode::TransactionsMode},
    decode::{BlockContext, Decoder},
    endpoint::EndpointError,
    enrich::{assets::AssetList, prices::PriceCache},
    log_query::LogQuery,
    metrics::Metrics,
    source::encode::Bodies,
    verify::{Checks, Demand, HeaderPart, LogsAnswer, assemble, level::LogProof, read_header},
};

/// A log that anyone may have emitted.
#[derive(Debug, Clone)]
pub struct HostileLog {
    /// The contract.
    pub address: Address,
    /// At most four are read.
    pub topics: Vec<B256>,
    /// Arbitrary bytes.
    pub data: Vec<u8>,
}

/// Parses and decodes untrusted input.
#[derive(Debug)]
pub struct Target {
    decoders: Vec<Decoder>,
    prices: PriceCache,
}

impl Target {
    /// Decoders of a chain with a list of tokens and of all transactions, one of which also publishes every log raw.
    ///
    /// # Errors
    /// Never in practice: the built-in list is tested.
    pub fn new() -> anyhow::Result<Self> {
        let metrics = Metrics::new(&Registry::new())?.of_chain("ethereum");
        let assets = AssetList::load(None)?;
        let decoders = [LogsMode::Known, LogsMode::All].map(|logs| {
            let config = ChainConfig {
                logs,
                transactions: TransactionsMode::All,
                max_log_data_bytes: 256,
                ..ChainConfig::default()
            };
            Decoder::new("ethereum", &config, assets.of_chain("ethereum"), metrics.clone())
        });
        Ok(Self { decoders: decoders.into(), prices: PriceCache::new(300) })
    }

    /// Parses one text as a block and another as its receipts or logs. Returns the number of events; `None` when they
    /// are refused.
    ///
    /// # Errors
    /// When an invariant is violated; says which.
    pub fn answers(&self, block: &[u8], logs: &[u8]) -> Result<Option<usize>, String> {
        let (Ok(block), Ok(logs)) = (str::from_utf8(block), str::from_utf8(logs)) else {
            return Ok(None);
        };
        let refusal = EndpointError::from_rpc("node", "eth_getLogs", (-32000, logs, None));
        if refusal.to_string().len() > 4_096 {
            return Err("a quoted refusal is too long".to_owned());
        }
        let Ok(Some(header)) = read_header(block) else { return Ok(None) };
        let mut events = None;
        let strict = Checks::strict(LogProof::ReceiptsRoot);
        let lenient = Checks {
            log_indexes: false,
            header: Demand::Noted,
            transactions: Demand::Noted,
            ..Checks::strict(LogProof::Off)
        };
        for checks in [strict, Checks::strict(LogProof::Bloom), lenient] {
            for answer in [LogsAnswer::Receipts(logs), LogsAnswer::Logs(logs)] {
                let read = assemble(header, block, answer, checks);
                if let Ok(read) = read {
                    *events.get_or_insert(0) += self.events(&read)?;
                }
            }
        }
        for checks in [strict, lenient] {
            if let Some(read) = filtered(header, block, logs, checks) {
                *events.get_or_insert(0) += self.events(&read)?;
            }
        }
        Ok(events)
    }

    /// Decodes logs of one block. Returns the number of events.
    ///
    /// # Errors
    /// When an invariant is violated; says which.
    pub fn logs(&self, logs: &[HostileLog]) -> Result<usize, String> {
        let hash = B256::repeat_byte(7);
        let block = format!(
            r#"{{"number":"0x10","hash":"{hash}","parentHash":"{hash}","timestamp":"0x10","transactions":[]}}"#
        );
        let mut texts = String::from("[");
        for (index, log) in logs.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let topics: Vec<String> =
                log.topics.iter().map(|topic| format!("\"{topic}\"")).collect();
            let data = alloy_primitives::hex::encode(&log.data);
            let written = write!(
                texts,
                r#"{comma}{{"address":"{:#x}","topics":[{}],"data":"0x{data}","transactionHash":"{hash}","transactionIndex":"0x0","logIndex":"{index:#x}"}}"#,
                log.address,
                topics.join(",")
            );
            written.map_err(|error| error.to_string())?;
        }
        texts.push(']');
        let header = read_header(&block).map_err(|error| error.to_string())?;
        let header = header.ok_or("no header")?;
        let checks = Checks::strict(LogProof::Presence);
        let read = assemble(header, &block, LogsAnswer::Logs(&texts), checks)
            .map_err(|error| format!("a valid answer is refused: {error}"))?;
        self.events(&read)
    }

    /// Checks that every event survives encoding and that ids are unique.
    fn events(&self, block: &BlockData) -> Result<usize, String> {
        let context = BlockContext::new(1, self.prices.now());
        let mut count = 0;
        for decoder in &self.decoders {
            let mut ids = HashSet::new();
            let mut broken = None;
            decoder.decode(block, &context, &mut |event| {
                count += 1;
                if !Event::decode(&event.encode()).is_ok_and(|read| read == event) {
                    broken = Some(format!("changed by encoding: {event:?}"));
                }
                if !ids.insert((event.kind(), event.id().to_owned())) {
                    broken = Some(format!("two events have the id {}", event.id()));
                }
            });
            let bodies = Bodies::of(decoder, block, &context).len();
            if bodies != ids.len() && broken.is_none() {
                broken = Some(format!("{} events but {bodies} bodies", ids.len()));
            }
            if let Some(broken) = broken {
                return Err(broken);
            }
        }
        Ok(count)
    }
}

/// The block of a narrow scope that asks for whatever there is.
fn filtered(header: Header, block: &str, logs: &str, checks: Checks) -> Option<BlockData> {
    let logs: Vec<&RawValue> = serde_json::from_str(logs).ok()?;
    let part = HeaderPart::read(header, block, checks).ok()?;
    part.with_logs(logs.into_iter().map(RawValue::get), &[LogQuery::default()]).ok()
}
