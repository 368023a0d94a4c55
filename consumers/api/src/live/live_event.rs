//! An event of a stream as the hub holds it: decoded once, written once in each form.

use std::sync::OnceLock;

use crypto_intel_nats::{Position, StreamMessage};
use crypto_intel_schemas::{AccountAddress, B256, Decimal, DecodeError, Event, FieldValue, Kind};
use serde::Serialize;

use super::position::Slot;

/// What an event takes beside its body, bytes: its struct, its places in the ring and in lists, its allocations.
const OVERHEAD_BYTES: usize = 400;
/// How much larger its JSON is than its body, at most, in nearly all cases.
const JSON_GROWTH: usize = 2;

/// What is moved: a contract's token, or the chain's own currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Token {
    Native,
    Contract(AccountAddress),
}

/// A block that a marker tells of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BlockMark {
    pub(crate) chain: String,
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) removed: bool,
    pub(crate) incarnation: u32,
    #[serde(skip)]
    pub(crate) block_time_us: i64,
    #[serde(skip)]
    pub(crate) finalized_number: u64,
}

/// One event of a followed stream.
#[derive(Debug)]
pub(crate) struct LiveEvent {
    pub(crate) slot: Slot,
    pub(crate) position: Position,
    pub(crate) kind: Kind,
    pub(crate) chain: Option<Box<str>>,
    /// It belongs to a block, whose marker is still to come or is this event.
    pub(crate) is_in_block: bool,
    pub(crate) mark: Option<BlockMark>,
    pub(crate) addresses: Box<[AccountAddress]>,
    pub(crate) tokens: Box<[Token]>,
    /// Millionths of a US dollar, truncated.
    pub(crate) micro_usd: Option<u128>,
    pub(crate) is_watched: bool,
    body: Box<[u8]>,
    json: OnceLock<Box<str>>,
}

impl LiveEvent {
    /// Reads a message. With `with_json` its JSON is written now, while it is decoded anyway.
    pub(crate) fn read(
        slot: Slot,
        message: &StreamMessage,
        with_json: impl Fn(Kind) -> bool,
    ) -> Result<Self, DecodeError> {
        let event = Event::decode(&message.payload)?;
        let kind = event.kind();
        let json = OnceLock::new();
        if with_json(kind) {
            // Nothing was set before.
            let _ = json.set(text_of(&event));
        }
        let block = event.block_fields();
        let chain = block.map(|block| block.chain.into()).or_else(|| text_field(&event, "chain"));
        Ok(Self {
            slot,
            position: message.position(),
            kind,
            chain,
            is_in_block: block.is_some() && !kind.is_lasting(),
            mark: mark_of(&event),
            addresses: event.touched().iter().copied().collect(),
            tokens: tokens_of(&event).into(),
            micro_usd: micro_usd_of(&event),
            is_watched: !event.watched().is_empty() || kind == Kind::Balance,
            // A copy: what the client hands out holds the whole buffer that it was received in.
            body: message.payload.as_ref().into(),
            json,
        })
    }

    /// The MessagePack body, as in the stream.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The JSON, as everywhere in the API.
    pub(crate) fn json(&self) -> &str {
        self.json.get_or_init(|| match Event::decode(&self.body) {
            Ok(event) => text_of(&event),
            // It was decoded when it came.
            Err(_) => "null".into(),
        })
    }

    /// What it takes of memory, bytes, at most in nearly all cases.
    pub(crate) fn weight(&self) -> usize {
        OVERHEAD_BYTES + self.body.len() * (1 + JSON_GROWTH)
    }
}

fn text_of(event: &Event) -> Box<str> {
    let mut text = Vec::with_capacity(1_024);
    event.write_json(&mut text);
    String::from_utf8(text).unwrap_or_default().into_boxed_str()
}

fn text_field(event: &Event, name: &str) -> Option<Box<str>> {
    match event.field(name) {
        Some(FieldValue::Text(text)) => Some(text.into()),
        _ => None,
    }
}

fn mark_of(event: &Event) -> Option<BlockMark> {
    let Event::Block(block) = event else { return None };
    Some(BlockMark {
        chain: block.chain.clone(),
        number: block.block_number,
        hash: block.block_hash,
        removed: block.removed,
        incarnation: block.incarnation,
        block_time_us: block.block_time_us,
        finalized_number: block.finalized_number,
    })
}

fn tokens_of(event: &Event) -> Vec<Token> {
    let contract = |address: crypto_intel_schemas::Address| Token::Contract(address.into());
    match event {
        Event::NativeTransfer(_) | Event::InternalTransfer(_) | Event::Transaction(_) => {
            vec![Token::Native]
        }
        Event::Erc20Transfer(event) => vec![contract(event.address)],
        Event::Erc721Transfer(event) => vec![contract(event.address)],
        Event::Erc1155Transfer(event) => vec![contract(event.address)],
        Event::Approval(event) => vec![contract(event.address)],
        Event::Liquidity(event) => {
            event.token0.into_iter().chain(event.token1).map(contract).collect()
        }
        Event::Balance(event) => parse_token(&event.asset).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// A token as clients and balances write it.
pub(crate) fn parse_token(text: &str) -> Option<Token> {
    match text {
        "native" => Some(Token::Native),
        text => text.parse().ok().map(Token::Contract),
    }
}

fn micro_usd_of(event: &Event) -> Option<u128> {
    let value = ["usd", "amount_usd"].into_iter().find_map(|name| match event.field(name) {
        Some(FieldValue::Decimal(value)) => Some(value),
        _ => None,
    });
    value.and_then(micro_usd)
}

/// Millionths of a dollar, truncated: exact for all that is compared with a bound in cents. `None` for negative values.
pub(crate) fn micro_usd(value: &Decimal) -> Option<u128> {
    const PLACES: usize = 6;
    let text = value.as_str();
    if text.starts_with('-') {
        return None;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let kept = &fraction[..fraction.len().min(PLACES)];
    // What does not fit is more than any bound.
    let units = format!("{whole}{kept:0<PLACES$}").parse();
    Some(units.unwrap_or(u128::MAX))
}

#[cfg(test)]
pub(crate) mod tests {
    use crypto_intel_schemas::{Stream, samples, subjects};

    use super::*;

    /// A sample as a message of its stream.
    pub(crate) fn message(event: &Event, sequence: u64) -> StreamMessage {
        StreamMessage {
            subject: subjects::of(event),
            schema: None,
            headers: None,
            payload: event.encode().into(),
            sequence,
            stored_at_us: 1_764_400_000_000_000 + sequence as i64,
            remaining: 0,
        }
    }

    /// The same as the hub holds it.
    pub(crate) fn live(event: &Event, sequence: u64) -> LiveEvent {
        let stream = event.kind().streams()[0].0;
        let slot = Slot::of(stream).unwrap();
        LiveEvent::read(slot, &message(event, sequence), |_| false).unwrap()
    }

    #[test]
    fn an_event_is_the_same_json_whenever_it_is_written() {
        for kind in Kind::ALL {
            let event = samples::sample(*kind);
            let slot = Slot::of(Stream::Evm).unwrap();
            let early = LiveEvent::read(slot, &message(&event, 7), |_| true).unwrap();
            let late = LiveEvent::read(slot, &message(&event, 7), |_| false).unwrap();
            assert_eq!(early.json(), event.to_json().to_string(), "{kind}");
            assert_eq!(early.json(), late.json(), "{kind}");
            assert_eq!(early.body(), event.encode(), "{kind}");
        }
    }

    #[test]
    fn what_filters_ask_for_is_known() {
        let transfer = live(&samples::sample(Kind::Erc20Transfer), 1);
        assert_eq!(transfer.chain.as_deref(), Some("ethereum"));
        assert_eq!(transfer.micro_usd, Some(12_498_750_250_000));
        assert!(transfer.is_in_block && transfer.is_watched && transfer.mark.is_none());
        assert!(matches!(*transfer.tokens, [Token::Contract(_)]));
        let marker = live(&samples::sample(Kind::Block), 2);
        assert_eq!(marker.mark.as_ref().map(|mark| mark.removed), Some(false));
        let whale = live(&samples::sample(Kind::Whale), 3);
        assert!(whale.chain.is_some() && whale.micro_usd.is_some() && !whale.is_in_block);
        assert!(!live(&samples::sample(Kind::Reorg), 4).is_in_block);
    }

    #[test]
    fn dollars_are_compared_in_millionths() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1", Some(1_000_000)),
            ("0.0000019", Some(1)),
            ("12498750.25", Some(12_498_750_250_000)),
            ("-1", None),
            (&"9".repeat(60), Some(u128::MAX)),
        ] {
            assert_eq!(micro_usd(&Decimal::parse(text).unwrap()), expected, "{text}");
        }
    }
}
