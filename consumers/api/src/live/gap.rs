//! What a client is told where it does not get everything.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    format::Format,
    frame::{Frame, FrameType},
    position::{Positions, SlotSet},
};

/// Why a client does not get some sequences of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GapReason {
    /// It read too slowly, and what it did not read is not in memory any more.
    Slow,
    /// The stream does not hold them any more, or they are further back than a client may go.
    Retention,
    /// The stream was recreated.
    Reset,
}

impl GapReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Retention => "retention",
            Self::Reset => "reset",
        }
    }
}

/// Sequences of a stream that a client does not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Gap {
    pub(crate) stream: &'static str,
    /// The first that is missing; absent where a stream was recreated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<u64>,
    /// The last that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<u64>,
    pub(crate) reason: GapReason,
    /// Where the API has what is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) get: Option<String>,
}

/// The message that tells of a gap, after which a client stands at `to`.
pub(crate) fn gap_frame(format: Format, gap: &Gap, to: Positions, streams: SlotSet) -> Frame {
    let token = to.token(streams);
    let mut fields = match serde_json::to_value(gap) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    fields.insert("resume".to_owned(), Value::from(token.clone()));
    Frame::of_fields(format, FrameType::Gap, &fields, to, token)
}

#[cfg(test)]
mod tests {
    use crypto_intel_nats::Position;
    use crypto_intel_schemas::{Kind, Stream};
    use tokio_tungstenite::tungstenite::Message;

    use super::{
        super::{filter::tests::of, format::Recipient, position::Slot},
        *,
    };

    #[test]
    fn a_gap_names_what_is_missing_and_where_it_is() {
        let mut to = Positions::default();
        let evm = Slot::of(Stream::Evm).unwrap();
        to.set(evm, Position { sequence: 9, stored_at_us: 5 });
        let gap = Gap {
            stream: "EVM",
            from: Some(5),
            to: Some(9),
            reason: GapReason::Retention,
            get: Some("/api/v1/transactions?since=1&until=2".to_owned()),
        };
        for format in [Format::Json, Format::MessagePack] {
            let frame = gap_frame(format, &gap, to, of(&[Kind::Swap]).streams());
            let message: Value = match frame.message_for(&Recipient::Socket { id: "a".into() }) {
                Message::Text(text) => serde_json::from_str(&text).unwrap(),
                Message::Binary(bytes) => rmp_serde::from_slice(&bytes).unwrap(),
                other => panic!("{other:?}"),
            };
            let expected = serde_json::json!({
                "type": "gap", "id": "a", "stream": "EVM", "from": 5, "to": 9, "reason": "retention",
                "get": "/api/v1/transactions?since=1&until=2", "resume": "EVM.9.5",
            });
            assert_eq!(message, expected);
        }
    }
}
