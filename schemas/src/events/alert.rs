use alloy_primitives::B256;

use crate::{
    event::{
        body::event,
        event_kind::EventKind,
        fields::{AsField, FieldType, FieldValue},
        ids::short_code,
    },
    events::erc20_transfer::Erc20Transfer,
    sample_values::{
        BLOCK_HASH, BLOCK_NUMBER, BLOCK_TIME_US, CHAIN, OBSERVED_AT_US, TX_HASH, decimal,
    },
    streams::Stream,
    subjects::forms as subjects,
    types::{
        alert_types::{AlertAddress, AlertState, Chart, ChartPoint, ChartShape, Link, Severity},
        labels::Labels,
    },
};

event! {
    /// A rule fired, or its alert was corrected or resolved. Text carries no markup: each channel
    /// escapes and lays it out.
    pub struct Alert: base {
        /// Key of the alert: the same for fired, corrected and resolved, and across replays. For a
        /// chain event it is a hash over rule, transaction, kind, index in the transaction and block.
        pub alert: String,
        /// Five characters derived from the key, which people can read out.
        pub code: String,
        /// Id of the rule.
        pub rule: String,
        /// Urgency.
        pub severity: Severity,
        /// Fired, corrected or resolved.
        pub state: AlertState,
        /// 1 for the first message of this alert, then one more for each further one.
        pub n: u32 = 1,
        /// First line: what a lock screen shows.
        pub title: String,
        /// Further lines.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub lines: Vec<String>,
        /// Links, such as the transaction in an explorer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub links: Vec<Link>,
        /// What routes, silences and inhibitions match: the labels of the rule, its chain, and the values of its
        /// `group_by` by their fields' names. `rule` and `severity` are fields of their own.
        #[serde(default, skip_serializing_if = "Labels::is_empty")]
        pub labels: Labels,
        /// Addresses that its events touch, at most 64: subscriptions to an address match them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub addresses: Vec<AlertAddress>,
        /// Whether it tells of a condition that lasts until its alert is resolved; else of something that happened.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pub ongoing: bool,
        /// What its rule saw over its window, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chart: Option<Chart>,
        /// Destinations by their configured names.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub routes: Vec<String>,
        /// Id of the event that it is about.
        pub event_id: String,
        /// Chain of that event, for chain events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chain: Option<String>,
        /// Block of that event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub block_number: Option<u64>,
        /// Hash of that block.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::HashText>")]
        pub block_hash: Option<B256>,
        /// Transaction of that event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<crate::types::json_hex::HashText>")]
        pub tx_hash: Option<B256>,
        /// When the pipeline first saw that event, microseconds: the start of its latency.
        pub seen_at_us: i64,
    }
}

impl EventKind for Alert {
    const NAME: &'static str = "alert";
    const SCHEMA: &'static str = "alert/1";
    const SUBJECT: &'static str = "alert.<severity>.<rule>.<alert>.<state>.<n>";
    const STREAMS: &'static [(Stream, &'static str)] = &[(Stream::Alert, subjects::ALERT_ALL)];
    const SOURCE: &'static str = "alerts";
    const NOT_IN_RULES: &'static [&'static str] = &["addresses", "chart", "routes", "seen_at_us"];

    fn subject(&self) -> String {
        subjects::alert(self.severity, &self.rule, &self.alert, self.state, self.n)
    }

    fn sample() -> Self {
        let key = "9f2c41d07be83a65".to_owned();
        Alert {
            id: format!("{key}:fired:1"),
            code: short_code(&key),
            alert: key,
            rule: "large-erc20-transfer".to_owned(),
            severity: Severity::Critical,
            state: AlertState::Fired,
            n: 1,
            title: "12.5M USDC from an exchange to vitalik.eth".to_owned(),
            lines: vec!["value $12,498,750.25".to_owned(), "from 0x28c6…1d60".to_owned()],
            links: vec![Link {
                label: "tx".to_owned(),
                url: format!("https://etherscan.io/tx/{TX_HASH:#x}"),
            }],
            labels: Labels::from([("chain", CHAIN), ("team", "trading")]),
            addresses: vec![AlertAddress {
                address: "0x28c6c06298d514db089934071355e5743bf21d60".to_owned(),
                usd: Some(decimal("12498750.25")),
            }],
            ongoing: true,
            chart: Some(Chart {
                shape: ChartShape::Bars,
                points: vec![
                    ChartPoint { at_us: BLOCK_TIME_US - 60_000_000, value: decimal("1250.5") },
                    ChartPoint { at_us: BLOCK_TIME_US, value: decimal("12498750.25") },
                ],
            }),
            routes: vec!["ops".to_owned(), "trading".to_owned()],
            event_id: Erc20Transfer::sample().id,
            chain: Some(CHAIN.to_owned()),
            block_number: Some(BLOCK_NUMBER),
            block_hash: Some(BLOCK_HASH),
            tx_hash: Some(TX_HASH),
            seen_at_us: OBSERVED_AT_US,
            ..Alert::at("alerts", BLOCK_TIME_US, OBSERVED_AT_US)
        }
    }
}

/// Within a notification.
impl AsField for Alert {
    const TYPE: FieldType = FieldType::Structure;

    fn as_field(&self) -> FieldValue<'_> {
        FieldValue::Absent
    }
}
