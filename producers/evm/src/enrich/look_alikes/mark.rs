use crypto_intel_labels::LOOK_ALIKE;
use crypto_intel_schemas::{Address, Event};

use super::touch::Side;

/// An imitation in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Which event of its block.
    pub(crate) event: u32,
    /// The side that is the imitation.
    pub(super) side: Side,
    /// Whom it imitates.
    pub(super) imitated: Address,
}

/// Says of an event that one of its sides is a look-alike. A name that a list has for it stays.
pub(crate) fn put_mark(event: &mut Event, mark: &Mark) {
    let Some(labels) = event.party_labels_mut() else { return };
    let (label, tags) = match mark.side {
        Side::From => (labels.from_label, labels.from_tags),
        Side::To => (labels.to_label, labels.to_tags),
    };
    if !tags.iter().any(|tag| tag == LOOK_ALIKE) {
        tags.push(LOOK_ALIKE.to_owned());
    }
    if label.is_none() {
        let text = format!("{:#x}", mark.imitated);
        let (begin, end) = (text.get(..6).unwrap_or_default(), text.get(38..).unwrap_or_default());
        *label = Some(format!("imitates {begin}…{end}"));
    }
}
