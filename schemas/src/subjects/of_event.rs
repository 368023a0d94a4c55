use crate::event::Event;

/// The subject of an event in the live lane.
#[must_use]
pub fn of(event: &Event) -> String {
    event.subject()
}
