//! The form of each subject.

use std::fmt::Write as _;

use crate::{
    event::chunk::CHUNK_TOKEN,
    kinds::Kind,
    types::{
        account_address::AccountAddress,
        alert_types::{AlertState, Severity},
    },
};

/// Everything of the live lane of all chains.
pub const EVM_ALL: &str = "evm.>";
/// Everything of the history lane of all chains.
pub const HISTORY_ALL: &str = "history.>";
/// All balances of watched wallets.
pub const BALANCE_ALL: &str = "balance.>";
/// Everything polled about markets.
pub const MARKET_ALL: &str = "market.>";
/// All metrics of gas prices.
pub const GAS_ALL: &str = "gas.>";
/// All metrics of protocols and pools.
pub const DEFI_ALL: &str = "defi.>";
/// All metrics of chains and their nodes.
pub const NETWORK_ALL: &str = "network.>";
/// All articles.
pub const NEWS_ALL: &str = "news.>";
/// All transfers that providers report.
pub const WHALE_ALL: &str = "whale.>";
/// Health of all polled providers.
pub const PROVIDER_STATUS_ALL: &str = "status.provider.>";
/// All named indices.
pub const SENTIMENT_ALL: &str = "sentiment.>";
/// Health of all RPC endpoints of all chains.
pub const NODE_STATUS_ALL: &str = "status.node.>";
/// All alerts.
pub const ALERT_ALL: &str = "alert.>";
/// All messages to send.
pub const NOTIFY_OUT_ALL: &str = "notify.out.>";
/// Outcomes of all messages.
pub const NOTIFY_DONE_ALL: &str = "notify.done.>";
/// Everything that was changed through the API or by a command.
pub const AUDIT_ALL: &str = "audit.>";

/// All messages that could not be processed.
pub const DEAD_LETTER_ALL: &str = "dlq.>";

/// What the subjects of polled events with a past begin with. On the history lane they are in the place of a chain.
pub const POLLED_FAMILIES: &[&str] = &["market", "gas", "defi", "network", "sentiment"];

/// Which lane of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// In chain order, fenced: what rules read.
    Live,
    /// Final blocks fetched late.
    History,
}

impl Lane {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Live => "evm",
            Self::History => "history",
        }
    }
}

/// `evm.<chain>.<kind>` or `history.<chain>.<kind>`.
#[must_use]
pub fn chain(lane: Lane, chain: &str, kind: Kind) -> String {
    join(&[lane.prefix(), chain, kind.as_str()])
}

/// `evm.<chain>.event.<name>` or `history.<chain>.event.<name>`, the name in snake case.
#[must_use]
pub fn chain_event(lane: Lane, chain: &str, name: &str) -> String {
    join(&[lane.prefix(), chain, Kind::ContractEvent.as_str(), &token(&snake_case(name))])
}

/// Filter of a kind's events of a chain: as [`chain`], or of every name for `event`.
#[must_use]
pub fn chain_filter(lane: Lane, slug: &str, kind: Kind) -> String {
    match kind {
        Kind::ContractEvent => join(&[lane.prefix(), slug, kind.as_str(), "*"]),
        kind => chain(lane, slug, kind),
    }
}

/// `evm.<chain>.>`: the filter of a chain's fence and of a chain's reader.
#[must_use]
pub fn chain_all(lane: Lane, chain: &str) -> String {
    join(&[lane.prefix(), chain, ">"])
}

/// `history.<chain>.chunk`: many events of the history lane in one message.
#[must_use]
pub fn history_chunk(chain: &str) -> String {
    join(&[Lane::History.prefix(), chain, CHUNK_TOKEN])
}

/// `history.<family>.chunk`: the past of polled events whose live subject is this one, and the end of its own subject
/// there, such as `price.bitcoin` of the family `market`.
#[must_use]
pub fn past_of(live: &str) -> (String, &str) {
    let (family, tail) = live.split_once('.').unwrap_or((live, ""));
    (history_chunk(family), tail)
}

/// The subject in the live lane of an event on the history lane: `evm.base.log` of `history.base.log`,
/// `market.price.bitcoin` of `history.market.price.bitcoin`; `None` for any other subject.
#[must_use]
pub fn live_of(past: &str) -> Option<String> {
    let tail = past.strip_prefix("history.")?;
    let family = tail.split('.').next().unwrap_or_default();
    Some(match POLLED_FAMILIES.contains(&family) {
        true => tail.to_owned(),
        false => format!("{}.{tail}", Lane::Live.prefix()),
    })
}

/// `watch.<chain>.<address>.<kind>`.
#[must_use]
pub fn watch(chain: &str, address: &AccountAddress, kind: Kind) -> String {
    format!("watch.{chain}.{address}.{kind}")
}

/// `watch.<chain>.>`: all copies of a chain's events that touch a watched address.
#[must_use]
pub fn watch_chain_all(chain: &str) -> String {
    join(&["watch", chain, ">"])
}

/// `watch.<chain>.*.transfer.>`: copies of a chain's transfers that touch a watched address.
#[must_use]
pub fn watch_transfers(chain: &str) -> String {
    join(&["watch", chain, "*", "transfer", ">"])
}

/// The watched address of a copy's subject.
#[must_use]
pub fn watched_address(subject: &str) -> Option<AccountAddress> {
    let rest = subject.strip_prefix("watch.")?;
    rest.split('.').nth(1)?.parse().ok()
}

/// `balance.<chain>.<address>.<asset>`; the asset is `native` or a contract.
#[must_use]
pub fn balance(chain: &str, address: &AccountAddress, asset: &str) -> String {
    format!("balance.{chain}.{address}.{}", token(asset))
}

/// `balance.<chain>.>`: all balances on a chain.
#[must_use]
pub fn balance_chain_all(chain: &str) -> String {
    join(&["balance", chain, ">"])
}

/// `market.price.<asset>`.
#[must_use]
pub fn price(asset: &str) -> String {
    join(&["market", "price", &token(asset)])
}

/// `sentiment.<index>`.
#[must_use]
pub fn index(name: &str) -> String {
    join(&["sentiment", &token(name)])
}

/// `<family>.<what>.<key>`, of a metric that is named `<family>.<what>`.
#[must_use]
pub fn metric(family: &str, what: &str, key: &str) -> String {
    join(&[family, &token(what), &token(key)])
}

/// `news.<provider>`.
#[must_use]
pub fn article(provider: &str) -> String {
    join(&["news", &token(provider)])
}

/// `whale.<chain>`.
#[must_use]
pub fn whale(chain: &str) -> String {
    join(&["whale", &token(chain)])
}

/// `status.provider.<provider>`.
#[must_use]
pub fn provider_status(provider: &str) -> String {
    join(&["status", "provider", &token(provider)])
}

/// `status.node.<chain>.<endpoint>`.
#[must_use]
pub fn node_status(chain: &str, endpoint: &str) -> String {
    join(&["status", "node", chain, &token(endpoint)])
}

/// `tick.<stream>`; the stream in lower case.
#[must_use]
pub fn tick(stream: &str) -> String {
    join(&["tick", &token(&stream.to_ascii_lowercase())])
}

/// `alert.<severity>.<rule>.<alert key>.<state>.<n>`.
#[must_use]
pub fn alert(severity: Severity, rule: &str, key: &str, state: AlertState, n: u32) -> String {
    join(&["alert", severity.as_str(), &token(rule), &token(key), state.as_str(), &n.to_string()])
}

/// `notify.out.<destination>`.
#[must_use]
pub fn notify_out(destination: &str) -> String {
    join(&["notify", "out", &token(destination)])
}

/// `notify.out.<destination>.critical`: critical messages do not wait behind others.
#[must_use]
pub fn notify_out_critical(destination: &str) -> String {
    join(&["notify", "out", &token(destination), "critical"])
}

/// `notify.done.<destination>`.
#[must_use]
pub fn notify_done(destination: &str) -> String {
    join(&["notify", "done", &token(destination)])
}

/// `audit.<actor>.<thing>.<verb>`, of an action such as `silence.add`.
#[must_use]
pub fn audit(actor: &str, action: &str) -> String {
    let (thing, verb) = action.split_once('.').unwrap_or((action, ""));
    join(&["audit", &token(actor), &token(thing), &token(verb)])
}

/// `dlq.<consumer>.<stream>.<sequence>.<store time in µs>`; of one event of a chunk, how many follow it is one more token.
#[must_use]
pub fn dead_letter(
    consumer: &str,
    stream: &str,
    sequence: u64,
    stored_at_us: i64,
    remaining: u32,
) -> String {
    let of_message = format!("dlq.{}.{}.{sequence}.{stored_at_us}", token(consumer), token(stream));
    // Events of one message have one sequence.
    if remaining == 0 { of_message } else { format!("{of_message}.{remaining}") }
}

/// Lane, chain and kind of a chain event's subject; `None` for any other subject.
#[must_use]
pub fn parse_chain(subject: &str) -> Option<(Lane, &str, Kind)> {
    let (prefix, rest) = subject.split_once('.')?;
    let lane = match prefix {
        "evm" => Lane::Live,
        "history" => Lane::History,
        _ => return None,
    };
    let (slug, kind) = rest.split_once('.')?;
    let kind = match kind.split_once('.') {
        // What follows is the event's name.
        Some((event, name)) if event == Kind::ContractEvent.as_str() && !name.is_empty() => {
            Kind::ContractEvent
        }
        _ => kind.parse().ok().filter(|kind| *kind != Kind::ContractEvent)?,
    };
    Some((lane, slug, kind))
}

/// `AnswerUpdated` becomes `answer_updated`, `URI` becomes `uri`, `ERC20Paid` `erc20_paid`.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut text = String::with_capacity(name.len() + 4);
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| letters.get(before));
        let starts_word = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                let ends_capitals = (before.is_ascii_uppercase() || before.is_ascii_digit())
                    && letters.get(index + 1).is_some_and(char::is_ascii_lowercase);
                before.is_ascii_lowercase() || ends_capitals
            });
        if starts_word {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// Whether a text is a chain slug: 1 to 32 of `[a-z0-9-]`.
#[must_use]
pub fn is_chain_slug(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Escapes any text into one subject token, without loss: `[a-z0-9_-]` stay, every other byte
/// becomes `=` and two hex digits, the empty text becomes `=`.
#[must_use]
pub fn token(text: &str) -> String {
    if text.is_empty() {
        return "=".to_owned();
    }
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "={byte:02x}");
        }
    }
    escaped
}

/// Undoes [`token`]; `None` for text that it never produces.
#[must_use]
pub fn untoken(escaped: &str) -> Option<String> {
    if escaped == "=" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'=' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    // Refuses upper-case digits, a sign before a digit, and an escape of a byte that needs none.
    String::from_utf8(bytes).ok().filter(|text| token(text) == escaped)
}

fn join(tokens: &[&str]) -> String {
    tokens.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_escaped_without_loss() {
        for text in ["", "usdc", "BTC", "a.b", "über *>", "=", "a_b-c"] {
            let escaped = token(text);
            assert!(!escaped.is_empty() && !escaped.contains(['.', '*', '>', ' ']), "{escaped}");
            assert_eq!(untoken(&escaped).as_deref(), Some(text));
        }
        assert_eq!(token("a.b"), "a=2eb");
        for never_made in ["", "=z1", "=4", "=+f", "=2E", "=61", "A", "a.b", "=ff"] {
            assert_eq!(untoken(never_made), None, "{never_made}");
        }
    }

    #[test]
    fn chain_subjects_parse_back() {
        let subject = chain(Lane::History, "arbitrum-sepolia", Kind::Erc1155Transfer);
        assert_eq!(subject, "history.arbitrum-sepolia.transfer.erc1155");
        assert_eq!(
            parse_chain(&subject),
            Some((Lane::History, "arbitrum-sepolia", Kind::Erc1155Transfer))
        );
        assert_eq!(parse_chain("market.price.bitcoin"), None);
        assert_eq!(parse_chain("evm.base.nonsense"), None);
    }

    #[test]
    fn the_past_of_polled_events_keeps_their_subjects() {
        let (chunk, tail) = past_of("market.price.bitcoin");
        assert_eq!((chunk.as_str(), tail), ("history.market.chunk", "price.bitcoin"));
        for live in ["market.price.bitcoin", "sentiment.fear-greed", "evm.base.transfer.erc20"] {
            let (chunk, tail) = past_of(live.strip_prefix("evm.").unwrap_or(live));
            let stem = chunk.strip_suffix("chunk").unwrap_or_default();
            assert_eq!(live_of(&format!("{stem}{tail}")).as_deref(), Some(live));
        }
        assert_eq!(live_of("market.price.bitcoin"), None);
    }

    #[test]
    fn contract_events_carry_their_name_in_the_subject() {
        for (name, expected) in [
            ("AnswerUpdated", "answer_updated"),
            ("Deposit", "deposit"),
            ("URI", "uri"),
            ("ERC20Paid", "erc20_paid"),
            ("already_snake", "already_snake"),
            ("Odd$Name", "odd=24name"),
        ] {
            let subject = chain_event(Lane::Live, "base", name);
            assert_eq!(subject, format!("evm.base.event.{expected}"));
            assert_eq!(parse_chain(&subject), Some((Lane::Live, "base", Kind::ContractEvent)));
        }
        assert_eq!(chain_filter(Lane::Live, "*", Kind::ContractEvent), "evm.*.event.*");
        assert_eq!(parse_chain("evm.base.event"), None);
    }

    #[test]
    fn watch_subjects_carry_lower_case_hex() {
        let address = AccountAddress::from(alloy_primitives::Address::repeat_byte(0xAB));
        assert_eq!(
            watch("base", &address, Kind::Erc20Transfer),
            format!("watch.base.0x{}.transfer.erc20", "ab".repeat(20))
        );
    }
}
