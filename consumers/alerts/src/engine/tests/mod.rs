#![allow(clippy::unwrap_used, clippy::expect_used)]

mod alerts;
mod cooldowns;
mod failures;
mod history;
mod labels;
mod model;
mod polled;
mod reorgs;
mod rule_specs;
mod switch;
mod trigger_model;
mod triggers;
mod world;

use bytes::Bytes;
use crypto_intel_schemas::{
    Address, AlertState, B256, Block, ChartShape, Decimal, Erc20Transfer, NativeTransfer, Price,
    Tick, U256, Uint256, chain_event_id, log_event_id, transaction_event_id,
};
use prometheus::Registry;

use super::*;

const SECOND: i64 = 1_000_000;
const START: i64 = 1_700_000_000 * SECOND;

/// A stream that is made up as it is read.
struct Play {
    engine: Engine,
    metrics: Metrics,
    sequence: u64,
    now_us: i64,
    alerts: Vec<Alert>,
    /// Time, subject and body of every message.
    messages: Vec<(i64, String, Vec<u8>)>,
}

/// A transfer: transaction, payer, amount.
type Moved = (u8, u8, u64);

const RULE: &str = r#"
[[rule]]
id = "large"
on = "evm.*.transfer.erc20"
when = 'value >= u256("100")'
severity = "warning"
title = "{{ value|num }} of {{ symbol|default('a token') }}"
lines = ["from {{ from|short }}"]
routes = ["ops"]
"#;

impl Play {
    fn new(rules: &str) -> Self {
        let rules = RuleSet::parse(&[("test.toml", rules)], None)
            .unwrap_or_else(|problems| panic!("{}", problems[0]));
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let stream = rules.rules[0].stream;
        let engine = Engine::new(Arc::new(rules), stream, &metrics);
        Self {
            engine,
            metrics,
            sequence: 0,
            now_us: START,
            alerts: Vec::new(),
            messages: Vec::new(),
        }
    }

    fn feed_body(&mut self, subject: &str, body: Vec<u8>) -> Result<Applied, DecodeError> {
        self.sequence += 1;
        self.messages.push((self.now_us, subject.to_owned(), body.clone()));
        let message = StreamMessage {
            subject: subject.to_owned(),
            schema: None,
            headers: None,
            payload: Bytes::from(body),
            sequence: self.sequence,
            stored_at_us: self.now_us,
            remaining: 0,
        };
        self.engine.apply(&message, &mut self.alerts)
    }

    fn feed(&mut self, event: impl Into<Event>) -> Applied {
        let event = event.into();
        self.feed_body(&subjects::of(&event), event.encode()).unwrap()
    }

    fn tick(&mut self) {
        self.feed(Tick { stream: "evm".into(), ..Tick::at("alerts", self.now_us, self.now_us) });
    }

    /// Puts other rules in force.
    fn switch(&mut self, rules: &str) {
        let rules = RuleSet::parse(&[("test.toml", rules)], None)
            .unwrap_or_else(|problems| panic!("{}", problems[0]));
        self.engine.switch(Arc::new(rules), &self.metrics, &mut self.alerts);
    }

    /// A block with its transfers and marker; an even incarnation retracts.
    fn block(&mut self, number: u64, hash: u8, incarnation: u32, moved: &[Moved]) {
        self.events(number, hash, incarnation, moved);
        self.marker(number, hash, incarnation);
    }

    fn events(&mut self, number: u64, hash: u8, incarnation: u32, moved: &[Moved]) {
        for (log_index, (transaction, from, amount)) in moved.iter().enumerate() {
            let block_hash = B256::repeat_byte(hash);
            let log_index = log_index as u32;
            self.feed(Erc20Transfer {
                id: log_event_id("base", &block_hash, Kind::Erc20Transfer, log_index, None),
                chain: "base".into(),
                event_at_us: self.now_us,
                observed_at_us: self.now_us + 7,
                block_time_us: self.now_us,
                block_number: number,
                block_hash,
                removed: incarnation.is_multiple_of(2),
                incarnation,
                tx_hash: B256::repeat_byte(*transaction),
                log_index,
                from: Address::repeat_byte(*from),
                value: Uint256(U256::from(*amount)),
                ..Erc20Transfer::empty()
            });
        }
    }

    fn marker(&mut self, number: u64, hash: u8, incarnation: u32) {
        let block_hash = B256::repeat_byte(hash);
        self.feed(Block {
            id: chain_event_id("base", &block_hash, Kind::Block),
            chain: "base".into(),
            block_number: number,
            block_hash,
            removed: incarnation.is_multiple_of(2),
            incarnation,
            finalized_number: number.saturating_sub(64),
            ..Block::empty()
        });
    }

    fn take(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.alerts)
    }

    /// Rule, state, number and first line of what was said.
    fn said(&mut self) -> Vec<String> {
        let said = |alert: &Alert| {
            let line = alert.lines.first().cloned().unwrap_or_default();
            format!("{} {} {line}", alert.state.as_str(), alert.n)
        };
        self.take().iter().map(said).collect()
    }
}

#[test]
fn an_alert_says_what_happened_where() {
    let mut play = Play::new(RULE);
    play.block(10, 1, 1, &[(1, 0xaa, 99), (2, 0xbb, 12_345)]);
    let alerts = play.take();
    let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
    assert_eq!(alert.title, "12,345 of a token");
    assert_eq!(alert.lines, ["from 0xbbbb…bbbb"]);
    assert_eq!((alert.rule.as_str(), alert.n, alert.state), ("large", 1, AlertState::Fired));
    assert_eq!((alert.block_number, alert.tx_hash), (Some(10), Some(B256::repeat_byte(2))));
    assert_eq!(alert.seen_at_us, START + 7, "latency is counted from the first sight");
    assert_eq!(alert.routes, ["ops"]);
    assert_eq!(alert.id, format!("alert:{}:fired:1", alert.alert));
}

#[test]
fn hostile_text_in_an_event_does_not_reach_people() {
    let mut play = Play::new(&RULE.replace("{{ value|num }}", "{{ chain }}"));
    let event = Erc20Transfer {
        chain: "base".into(),
        symbol: Some("US\u{202e}DC\n<b>@everyone".into()),
        value: Uint256(U256::from(100)),
        event_at_us: START,
        ..Erc20Transfer::empty()
    };
    play.feed(event);
    assert_eq!(play.take()[0].title, "base of USDC <b>@everyone");
}

#[test]
fn an_event_that_was_old_when_it_was_stored_is_no_news() {
    let mut play = Play::new(&(RULE.to_owned() + "max_event_age = '5m'\n"));
    let old = |age: i64, transaction: u8| Erc20Transfer {
        chain: "base".into(),
        tx_hash: B256::repeat_byte(transaction),
        value: Uint256(U256::from(100)),
        event_at_us: START - age * SECOND,
        ..Erc20Transfer::empty()
    };
    play.feed(old(301, 1));
    assert_eq!(play.take().len(), 0);
    play.feed(old(300, 2));
    assert_eq!(play.take().len(), 1);
    assert_eq!(play.engine.metrics[0].suppressed_age.get(), 1);
}

#[test]
fn each_event_of_a_transaction_has_its_own_alert_wherever_the_block_puts_it() {
    let mut play = Play::new(RULE);
    play.block(1, 1, 1, &[(7, 0xa, 100), (7, 0xb, 100)]);
    let first: Vec<String> = play.take().into_iter().map(|alert| alert.alert).collect();
    assert_ne!(first[0], first[1]);
    play.block(1, 1, 2, &[(7, 0xa, 100), (7, 0xb, 100)]);
    play.block(1, 3, 1, &[]);
    play.block(2, 2, 1, &[(1, 0xc, 5), (7, 0xa, 100), (9, 0xd, 5), (7, 0xb, 100)]);
    let mut moved: Vec<(String, u32)> =
        play.take().into_iter().map(|alert| (alert.alert, alert.n)).collect();
    moved.sort_by_key(|(alert, _)| first.iter().position(|first| first == alert));
    assert_eq!(moved, [(first[0].clone(), 2), (first[1].clone(), 2)]);
}

#[test]
fn a_block_that_was_seen_in_this_state_is_skipped() {
    let mut play = Play::new(RULE);
    play.block(1, 1, 1, &[(1, 0xa, 100)]);
    play.block(1, 1, 1, &[(1, 0xa, 100), (2, 0xb, 100)]);
    assert_eq!(play.said(), ["fired 1 from 0x0a0a…0a0a"]);
}

#[test]
fn transfers_of_the_coin_itself_and_prices_have_alerts_too() {
    let mut play = Play::new(
        "[[rule]]\nid = 'n'\non = 'evm.*.transfer.native'\nwhen = 'status != \"failed\"'\ntitle = 'x'",
    );
    play.feed(NativeTransfer {
        id: transaction_event_id("ethereum", &B256::ZERO, Kind::NativeTransfer, 0, None),
        chain: "ethereum".into(),
        chain_id: 1,
        event_at_us: START,
        tx_hash: B256::repeat_byte(5),
        ..NativeTransfer::empty()
    });
    let link = &play.take()[0].links[0];
    assert_eq!(link.url, format!("https://etherscan.io/tx/0x{}", "05".repeat(32)));

    let mut prices = Play::new(
        "[[rule]]\nid = 'p'\non = 'market.price.*'\nwhen = 'price > 100.0'\ntitle = '{{ price|usd }}'",
    );
    let price = |text: &str| Price {
        id: format!("t:price:btc:{text}"),
        asset: "btc".into(),
        price: Decimal::parse(text).unwrap(),
        ..Price::at("t", START, START)
    };
    prices.feed(price("99"));
    prices.feed(price("101.5"));
    let alerts = prices.take();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].title, "$101.5");
    assert_eq!(alerts[0].chain, None);
}

#[test]
fn a_body_that_is_no_event_is_reported_and_passed() {
    let mut play = Play::new(RULE);
    assert!(play.feed_body("evm.base.transfer.erc20", b"hello".to_vec()).is_err());
    assert_eq!(play.engine.position().sequence, 1);
    // What no rule reads is not even decoded.
    assert!(play.feed_body("evm.base.approval", b"hello".to_vec()).is_ok());
    play.block(1, 1, 1, &[(1, 0xa, 100)]);
    assert_eq!(play.take().len(), 1);
}
