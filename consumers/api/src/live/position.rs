//! Where a client stands in each stream, and the text that says so.

use std::{fmt, str::FromStr};

use crypto_intel_nats::Position;
use crypto_intel_schemas::Stream;

use super::kind_set::KindSet;

/// The streams that are followed.
pub(crate) const STREAMS: [Stream; COUNT] =
    [Stream::Evm, Stream::Market, Stream::Signals, Stream::Status, Stream::Alert, Stream::Notify];
pub(crate) const COUNT: usize = 6;
/// Maximum length of a resume token.
const MAX_TOKEN_BYTES: usize = 512;

/// A followed stream, by its place in [`STREAMS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(u8);

impl Slot {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..COUNT as u8).map(Self)
    }

    pub(crate) fn of(stream: Stream) -> Option<Self> {
        Self::all().find(|slot| slot.stream() == stream)
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) const fn stream(self) -> Stream {
        STREAMS[self.0 as usize]
    }

    /// The subjects that are read: no ticks, and no copies for watched addresses.
    pub(crate) fn filters(self) -> Vec<&'static str> {
        let subjects = self.stream().subjects().iter().copied();
        subjects
            .filter(|subject| !["tick.", "watch."].iter().any(|not| subject.starts_with(not)))
            .collect()
    }
}

/// A set of followed streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct SlotSet(u8);

impl SlotSet {
    /// The streams that hold live events of these kinds.
    pub(crate) fn of_kinds(kinds: KindSet) -> Self {
        let mut set = Self::default();
        for (stream, _) in kinds.iter().flat_map(|kind| kind.streams()) {
            if let Some(slot) = Slot::of(*stream) {
                set.0 |= 1 << slot.0;
            }
        }
        set
    }

    pub(crate) const fn contains(self, slot: Slot) -> bool {
        self.0 & (1 << slot.0) != 0
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Slot> {
        Slot::all().filter(move |slot| self.contains(*slot))
    }
}

/// A position in every followed stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Positions([Position; COUNT]);

impl Positions {
    pub(crate) const fn at(&self, slot: Slot) -> Position {
        self.0[slot.index()]
    }

    pub(crate) const fn set(&mut self, slot: Slot, position: Position) {
        self.0[slot.index()] = position;
    }

    /// In each stream the one that is further back.
    pub(crate) fn earlier(mut self, other: &Self) -> Self {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own = (*own).min(*other);
        }
        self
    }

    /// Of these streams its own place, of the others that of `other`.
    pub(crate) fn only(mut self, streams: SlotSet, other: &Self) -> Self {
        for slot in Slot::all().filter(|slot| !streams.contains(*slot)) {
            self.set(slot, other.at(slot));
        }
        self
    }

    /// Whether it is at least as far as the other in all of these streams.
    pub(crate) fn has_reached(&self, other: &Self, streams: SlotSet) -> bool {
        streams.iter().all(|slot| self.at(slot).sequence >= other.at(slot).sequence)
    }

    /// The text for clients, of these streams.
    pub(crate) fn token(&self, streams: SlotSet) -> String {
        let mut token = ResumeToken::default();
        streams.iter().for_each(|slot| token.0[slot.index()] = Some(self.at(slot)));
        token.to_string()
    }
}

/// What a client gives to go on where it was: `EVM.812345.1764400000123456,ALERT.17`; stream, sequence and, where it is
/// known, the store time of that message, which tells a recreated stream from the old one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ResumeToken([Option<Position>; COUNT]);

impl ResumeToken {
    pub(crate) const fn at(&self, slot: Slot) -> Option<Position> {
        self.0[slot.index()]
    }
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for slot in Slot::all() {
            let Some(position) = self.at(slot) else { continue };
            write!(formatter, "{separator}{}.{}", slot.stream(), position.sequence)?;
            if position.stored_at_us > 0 {
                write!(formatter, ".{}", position.stored_at_us)?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl FromStr for ResumeToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = |part: &str| {
            let shown: String = part.chars().take(64).collect();
            format!(
                "{shown:?} is no place in a stream: give the `resume` of a message, such as EVM.812345"
            )
        };
        if text.len() > MAX_TOKEN_BYTES {
            return Err(refused(text));
        }
        let mut token = Self::default();
        for part in text.split(',').map(str::trim) {
            let mut fields = part.split('.');
            let stream = fields.next().and_then(Stream::named).and_then(Slot::of);
            let sequence = fields.next().and_then(|text| text.parse().ok());
            let (Some(slot), Some(sequence)) = (stream, sequence) else {
                return Err(refused(part));
            };
            let stored_at_us = match fields.next().map(str::parse) {
                None => 0,
                Some(Ok(time)) if time >= 0 => time,
                Some(_) => return Err(refused(part)),
            };
            if fields.next().is_some() {
                return Err(refused(part));
            }
            token.0[slot.index()] = Some(Position { sequence, stored_at_us });
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::Kind;

    use super::*;

    #[test]
    fn tokens_are_read_as_they_are_written() {
        for text in ["EVM.812345", "EVM.1.1764400000123456,ALERT.17", "NOTIFY.0"] {
            assert_eq!(text.parse::<ResumeToken>().unwrap().to_string(), text);
        }
        let spaced: ResumeToken = "MARKET.7, EVM.9".parse().unwrap();
        assert_eq!(spaced.to_string(), "EVM.9,MARKET.7");
    }

    #[test]
    fn other_texts_are_refused_and_named() {
        let long = "EVM.1,".repeat(200);
        for text in [
            "",
            "EVM",
            "EVM.",
            "evm.1",
            "EVM.-1",
            "EVM.1.x",
            "EVM.1.-5",
            "EVM.1.2.3",
            "DLQ.1",
            &long,
        ] {
            let refused = text.parse::<ResumeToken>().unwrap_err();
            assert!(refused.contains("no place in a stream"), "{refused}");
        }
    }

    #[test]
    fn kinds_lead_to_their_streams() {
        let streams = |kinds: &[Kind]| -> Vec<Stream> {
            SlotSet::of_kinds(KindSet::of(kinds)).iter().map(Slot::stream).collect()
        };
        // The history lane is not live.
        assert_eq!(streams(&[Kind::Erc20Transfer]), [Stream::Evm]);
        assert_eq!(streams(&[Kind::Alert, Kind::Whale]), [Stream::Signals, Stream::Alert]);
    }

    #[test]
    fn readers_take_neither_ticks_nor_copies() {
        let evm = Slot::of(Stream::Evm).unwrap();
        assert_eq!(evm.filters(), ["evm.>", "balance.>"]);
    }

    #[test]
    fn the_earlier_place_is_taken_stream_by_stream() {
        let at = |evm: u64, alert: u64| {
            let mut positions = Positions::default();
            positions
                .set(Slot::of(Stream::Evm).unwrap(), Position { sequence: evm, stored_at_us: 1 });
            positions.set(
                Slot::of(Stream::Alert).unwrap(),
                Position { sequence: alert, stored_at_us: 1 },
            );
            positions
        };
        let both = SlotSet::of_kinds(KindSet::of(&[Kind::Swap, Kind::Alert]));
        assert_eq!(at(5, 9).earlier(&at(7, 3)).token(both), "EVM.5.1,ALERT.3.1");
        assert!(at(5, 9).has_reached(&at(5, 8), both) && !at(5, 9).has_reached(&at(6, 8), both));
    }
}
