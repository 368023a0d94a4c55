//! What many clients are sent alike: the bytes are made once, but for the id that each gave its subscription.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{
    format::{Format, Recipient},
    live_event::{BlockMark, LiveEvent},
    position::{Positions, SlotSet},
};

/// A frame is cut when it is this large, so that no client waits long for its first byte; one event alone may be larger.
pub(crate) const MAX_FRAME_BYTES: usize = 64 << 10;
/// Ids for which a frame keeps its bytes; clients of one program use the same few.
const MAX_KEPT_IDS: usize = 4;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameType {
    Events,
    Snapshot,
    Gap,
}

impl FrameType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Snapshot => "snapshot",
            Self::Gap => "gap",
        }
    }
}

/// One message for everybody in a cohort.
#[derive(Debug)]
pub(crate) struct Frame {
    frame_type: FrameType,
    /// Where a client stands that has it.
    pub(crate) to: Positions,
    /// How many events it holds.
    pub(crate) events: usize,
    /// When the newest of them was stored, microseconds.
    pub(crate) stored_at_us: i64,
    token: String,
    fields: Fields,
    kept: Mutex<Vec<(Recipient, Message)>>,
}

/// The fields of a message behind `type` and `id`.
#[derive(Debug)]
enum Fields {
    /// Without the opening brace.
    Json(String),
    /// Of a map, and how many they are.
    MessagePack { count: u32, bytes: Vec<u8> },
}

impl Frame {
    /// A message of these fields without events, after which a client stands at `to`.
    pub(crate) fn of_fields(
        format: Format,
        frame_type: FrameType,
        fields: &Map<String, Value>,
        to: Positions,
        token: String,
    ) -> Self {
        let fields = match format {
            Format::Json => {
                let text = serde_json::to_string(fields).unwrap_or_default();
                Fields::Json(text.trim_start_matches('{').to_owned())
            }
            Format::MessagePack => {
                let mut bytes = Vec::new();
                for (name, value) in fields {
                    put_text(&mut bytes, name);
                    // Writing to memory cannot fail.
                    let _ = rmp_serde::encode::write(&mut bytes, value);
                }
                Fields::MessagePack { count: fields.len() as u32, bytes }
            }
        };
        let kept = Mutex::default();
        Self { frame_type, to, events: 0, stored_at_us: 0, token, fields, kept }
    }

    /// Its size in memory, bytes, without kept copies.
    pub(crate) const fn bytes(&self) -> usize {
        match &self.fields {
            Fields::Json(text) => text.len(),
            Fields::MessagePack { bytes, .. } => bytes.len(),
        }
    }

    /// The message for one recipient.
    pub(crate) fn message_for(&self, recipient: &Recipient) -> Message {
        let mut kept = self.kept.lock();
        if let Some((_, message)) = kept.iter().find(|(known, _)| known == recipient) {
            return message.clone();
        }
        let message = self.render(recipient);
        if kept.len() < MAX_KEPT_IDS {
            kept.push((recipient.clone(), message.clone()));
        }
        message
    }

    fn render(&self, recipient: &Recipient) -> Message {
        let name = self.frame_type.as_str();
        match (&self.fields, recipient) {
            (Fields::Json(rest), Recipient::Socket { id }) => {
                let id = serde_json::to_string(&**id).unwrap_or_default();
                Message::Text(format!("{{\"type\":\"{name}\",\"id\":{id},{rest}").into())
            }
            (Fields::Json(rest), Recipient::Stream) => {
                let event = event_line(self.frame_type);
                let text =
                    format!("id: {}\n{event}data: {{\"type\":\"{name}\",{rest}\n\n", self.token);
                Message::Text(Utf8Bytes::from(text))
            }
            (Fields::MessagePack { count, bytes }, recipient) => {
                let mut message = Vec::with_capacity(bytes.len() + 64);
                let has_id = matches!(recipient, Recipient::Socket { .. });
                // Writing to memory cannot fail.
                let _ = rmp::encode::write_map_len(&mut message, count + 1 + u32::from(has_id));
                put_text(&mut message, "type");
                put_text(&mut message, name);
                if let Recipient::Socket { id } = recipient {
                    put_text(&mut message, "id");
                    put_text(&mut message, id);
                }
                message.extend_from_slice(bytes);
                Message::Binary(message.into())
            }
        }
    }
}

/// Events have no name of their own, so that `onmessage` gets them; the others have one.
const fn event_line(frame_type: FrameType) -> &'static str {
    match frame_type {
        FrameType::Events | FrameType::Snapshot => "",
        FrameType::Gap => "event: gap\n",
    }
}

fn put_text(message: &mut Vec<u8>, text: &str) {
    let _ = rmp::encode::write_str(message, text);
}

/// Where frames of a cohort, or of one client, begin and end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Where the client stands before them.
    pub(crate) from: Positions,
    /// Where it stands after the last.
    pub(crate) to: Positions,
    /// The streams that count.
    pub(crate) streams: SlotSet,
}

/// Writes events into as few frames as they fit in; `more` says whether others follow the last of them.
pub(crate) fn frames_of(
    format: Format,
    events: &[Arc<LiveEvent>],
    blocks: &[BlockMark],
    span: Span,
    more: bool,
) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut rest = events;
    let mut reached = span.from;
    loop {
        let (part, behind) = rest.split_at(fitting(format, rest));
        rest = behind;
        part.iter().for_each(|event| reached.set(event.slot, event.position));
        let is_last = rest.is_empty();
        if is_last {
            reached = span.to;
        }
        // Which blocks are whole is known with the last part.
        let blocks = if is_last { blocks } else { &[] };
        let part =
            Content { frame_type: FrameType::Events, events: part, blocks, more: more || !is_last };
        frames.push(one_frame(format, &part, reached, span.streams));
        if is_last {
            return frames;
        }
    }
}

/// What one frame holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) frame_type: FrameType,
    pub(crate) events: &'a [Arc<LiveEvent>],
    /// Blocks that are whole with these events.
    pub(crate) blocks: &'a [BlockMark],
    /// Whether it is not the last of what belongs together.
    pub(crate) more: bool,
}

/// Writes one frame, however large, after which a client stands at `to`.
pub(crate) fn one_frame(
    format: Format,
    content: &Content<'_>,
    to: Positions,
    streams: SlotSet,
) -> Frame {
    let token = to.token(streams);
    let stored = content.events.iter().map(|event| event.position.stored_at_us);
    Frame {
        frame_type: content.frame_type,
        to,
        events: content.events.len(),
        stored_at_us: stored.max().unwrap_or(0),
        fields: fields_of(format, content, &token),
        token,
        kept: Mutex::default(),
    }
}

/// How many events fit into one frame, at least one.
fn fitting(format: Format, events: &[Arc<LiveEvent>]) -> usize {
    let mut bytes = 0;
    for (count, event) in events.iter().enumerate() {
        bytes += match format {
            Format::Json => event.json().len() + 1,
            Format::MessagePack => event.body().len(),
        };
        if bytes > MAX_FRAME_BYTES && count > 0 {
            return count;
        }
    }
    events.len()
}

fn fields_of(format: Format, content: &Content<'_>, token: &str) -> Fields {
    let Content { events, blocks, more, .. } = *content;
    match format {
        Format::Json => {
            let bytes: usize = events.iter().map(|event| event.json().len() + 1).sum();
            let mut text = String::with_capacity(bytes + 256);
            text.push_str("\"events\":[");
            for (place, event) in events.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                text.push_str(event.json());
            }
            text.push_str("],\"blocks\":");
            text.push_str(&serde_json::to_string(blocks).unwrap_or_default());
            text.push_str(",\"resume\":\"");
            text.push_str(token);
            text.push_str(if more { "\",\"more\":true}" } else { "\",\"more\":false}" });
            Fields::Json(text)
        }
        Format::MessagePack => {
            let bodies: usize = events.iter().map(|event| event.body().len()).sum();
            let mut bytes = Vec::with_capacity(bodies + 256);
            put_text(&mut bytes, "events");
            let _ = rmp::encode::write_array_len(&mut bytes, events.len() as u32);
            events.iter().for_each(|event| bytes.extend_from_slice(event.body()));
            put_text(&mut bytes, "blocks");
            let _ = rmp_serde::encode::write_named(&mut bytes, blocks);
            put_text(&mut bytes, "resume");
            put_text(&mut bytes, token);
            put_text(&mut bytes, "more");
            let _ = rmp::encode::write_bool(&mut bytes, more);
            Fields::MessagePack { count: 4, bytes }
        }
    }
}

#[cfg(test)]
mod tests {
    use crypto_intel_nats::Position;
    use crypto_intel_schemas::{Event, Kind, Stream, samples};
    use serde_json::Value;

    use super::{
        super::{filter::tests::of, live_event::tests::live, position::Slot},
        *,
    };

    fn span(to: u64) -> Span {
        let mut reached = Positions::default();
        let evm = Slot::of(Stream::Evm).unwrap();
        reached.set(evm, Position { sequence: to, stored_at_us: 5 });
        Span { from: Positions::default(), to: reached, streams: of(&[Kind::Swap]).streams() }
    }

    fn events(count: u64) -> Vec<Arc<LiveEvent>> {
        (1..=count).map(|n| Arc::new(live(&samples::sample(Kind::Swap), n))).collect()
    }

    fn json_of(frame: &Frame, id: &str) -> Value {
        let Message::Text(text) = frame.message_for(&Recipient::Socket { id: id.into() }) else {
            panic!("no text")
        };
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_frame_holds_events_blocks_and_the_place_behind_them() {
        let marker = live(&samples::sample(Kind::Block), 3);
        let blocks = vec![marker.mark.clone().unwrap()];
        let frames = frames_of(Format::Json, &events(2), &blocks, span(3), false);
        assert_eq!(frames.len(), 1);
        let message = json_of(&frames[0], "a \"quoted\" id");
        assert_eq!(message["type"], "events");
        assert_eq!(message["id"], "a \"quoted\" id");
        assert_eq!(message["events"][1], samples::sample(Kind::Swap).to_json());
        assert_eq!(
            message["blocks"][0]["hash"],
            samples::sample(Kind::Block).to_json()["block_hash"]
        );
        assert_eq!(message["resume"], "EVM.3.5");
        assert_eq!(message["more"], false);
        assert_eq!((frames[0].events, frames[0].stored_at_us > 0), (2, true));
    }

    #[test]
    fn large_frames_are_cut_and_each_part_can_be_resumed() {
        let frames = frames_of(Format::Json, &events(300), &[], span(400), false);
        assert!(frames.len() > 1);
        let mut told = 0;
        for (place, frame) in frames.iter().enumerate() {
            assert!(frame.bytes() < MAX_FRAME_BYTES + 1_024, "{}", frame.bytes());
            let message = json_of(frame, "a");
            told += message["events"].as_array().unwrap().len() as u64;
            let is_last = place + 1 == frames.len();
            assert_eq!(message["more"], !is_last);
            let resume = message["resume"].as_str().unwrap();
            let sequence = if is_last { 400 } else { told };
            assert!(resume.starts_with(&format!("EVM.{sequence}.")), "{resume} after {told}");
        }
        assert_eq!(told, 300);
    }

    #[test]
    fn messagepack_holds_the_bodies_of_the_stream() {
        let frames = frames_of(Format::MessagePack, &events(2), &[], span(3), false);
        let recipient = Recipient::Socket { id: "a".into() };
        let Message::Binary(bytes) = frames[0].message_for(&recipient) else { panic!("no bytes") };
        let body = samples::sample(Kind::Swap).encode();
        assert_eq!(bytes.windows(body.len()).filter(|window| *window == body).count(), 2);
        #[derive(serde::Deserialize)]
        struct Read {
            id: String,
            events: Vec<serde::de::IgnoredAny>,
            resume: String,
            more: bool,
        }
        let read: Read = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!((read.id.as_str(), read.events.len()), ("a", 2));
        assert_eq!((read.resume.as_str(), read.more), ("EVM.3.5", false));
    }

    #[test]
    fn server_sent_events_carry_their_place_as_id() {
        let frames = frames_of(Format::Json, &events(1), &[], span(3), false);
        let Message::Text(text) = frames[0].message_for(&Recipient::Stream) else {
            panic!("no text")
        };
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "id: EVM.3.5");
        let data: Value = serde_json::from_str(lines[1].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], "events");
        assert!(data.get("id").is_none() && text.ends_with("}\n\n"));
        assert_eq!(Event::from_json(&data["events"][0]).unwrap(), samples::sample(Kind::Swap));
    }

    #[test]
    fn recipients_with_one_id_share_the_bytes() {
        let frames = frames_of(Format::Json, &events(1), &[], span(3), false);
        let message = |id: &str| match frames[0].message_for(&Recipient::Socket { id: id.into() }) {
            Message::Text(text) => text.as_str().as_ptr() as usize,
            _ => panic!("no text"),
        };
        let (first, second, other) = (message("a"), message("a"), message("b"));
        assert_eq!(first, second);
        assert_ne!(first, other);
    }
}
