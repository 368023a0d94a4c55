//! What people were last told about an alert at a destination, and where: what follows changes that message.

use alloy_primitives::B256;
use crypto_intel_schemas::{Alert, AlertState, Labels, Notification, Severity};
use serde::{Deserialize, Serialize};

use super::delivery::delivery_id;
use crate::channel::{Capabilities, Place};

/// The first message about an alert, as it reads now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Anchor {
    /// The service's id of the message.
    pub(crate) message_id: String,
    /// Number of the last word about the alert.
    pub(crate) n: u32,
    /// The highest severity that was told.
    pub(crate) severity: Severity,
    pub(crate) title: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lines: Vec<String>,
    /// What a silence of it matches.
    pub(crate) rule: String,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub(crate) labels: Labels,
    /// What people call it.
    pub(crate) code: String,
    /// The block that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) block_hash: Option<B256>,
    /// Whether the message has a picture.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) has_picture: bool,
    /// Whether the last word was that it is not on the chain any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_gone: bool,
}

/// How far the change of the first message has come, in the record of what follows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Edited {
    /// It has not been changed, or need not be.
    #[default]
    No,
    /// It reads as it should.
    Yes,
    /// It cannot be changed: a new message takes its place.
    Lost,
}

/// What an edit is worth alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Editing {
    /// All that has to be said.
    Alone,
    /// A reply follows, because an edit does not ring.
    ThenReply,
}

impl Anchor {
    /// After a message was sent or changed. `before`: the anchor until then.
    pub(crate) fn after(
        before: Option<Self>,
        alert: &Alert,
        edited: Edited,
        message_id: &str,
        has_picture: bool,
    ) -> Self {
        let is_gone = before.as_ref().is_some_and(|before| before.is_gone_by(alert));
        let told = before.as_ref().map(|before| before.severity).max(Some(alert.severity));
        let (kept, earlier) = match before {
            Some(before) if edited != Edited::Lost => {
                (Some((before.message_id, before.has_picture)), before.lines)
            }
            Some(before) => (None, before.lines),
            None => (None, Vec::new()),
        };
        let (message_id, has_picture) =
            kept.unwrap_or_else(|| (message_id.to_owned(), has_picture));
        // A correction says what happened; the first message's own lines stay below it.
        let lines = match alert.state {
            AlertState::Fired => alert.lines.clone(),
            AlertState::Corrected | AlertState::Resolved => earlier,
        };
        Self {
            message_id,
            has_picture,
            n: alert.n,
            severity: told.unwrap_or(alert.severity),
            title: alert.title.clone(),
            lines,
            rule: alert.rule.clone(),
            labels: alert.labels.clone(),
            code: alert.code.clone(),
            block_hash: alert.block_hash,
            is_gone,
        }
    }

    /// Whether an alert says that what was told is not on the chain any more: it names the same block and title, and
    /// is a correction.
    pub(crate) fn is_gone_by(&self, alert: &Alert) -> bool {
        alert.state == AlertState::Corrected
            && !self.is_gone
            && alert.title == self.title
            && alert.block_hash == self.block_hash
    }

    /// What an edit is worth alone. It is enough for an end, and for a move to another block that changes nothing
    /// else; all else has to ring.
    pub(crate) fn editing(&self, alert: &Alert) -> Editing {
        let is_silent = match alert.state {
            AlertState::Resolved => true,
            AlertState::Corrected => {
                !self.is_gone
                    && alert.title == self.title
                    && alert.block_hash != self.block_hash
                    && alert.lines.len() <= 1
            }
            AlertState::Fired => false,
        };
        if is_silent && alert.severity <= self.severity {
            Editing::Alone
        } else {
            Editing::ThenReply
        }
    }

    /// Whether this word about the alert was told already, or a later one.
    pub(crate) const fn tells(&self, alert: &Alert) -> bool {
        self.n >= alert.n
    }

    /// Where a message that follows stands.
    pub(crate) fn place(&self, alert: &Alert, edited: Edited, can: Capabilities) -> Place<'_> {
        let changes = alert.state != AlertState::Fired;
        match edited {
            Edited::Lost => Place::New,
            Edited::No if can.edits && changes => {
                let Self { message_id, lines: earlier, has_picture, .. } = self;
                Place::Edit { message_id, earlier, has_picture: *has_picture }
            }
            Edited::No => Place::Reply { to: &self.message_id, is_edited: false },
            Edited::Yes => Place::Reply { to: &self.message_id, is_edited: true },
        }
    }
}

/// Whether a message takes part in the sequence of its alert. What a person sends again does not.
pub(crate) fn is_in_sequence(notification: &Notification) -> bool {
    notification.id == delivery_id(&notification.alert, &notification.destination)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired() -> Alert {
        Alert {
            alert: "k".into(),
            title: "12 USDC moved".into(),
            lines: vec!["from a to b".into()],
            severity: Severity::Warning,
            block_hash: Some(B256::repeat_byte(1)),
            ..Alert::empty()
        }
    }

    fn correction(line: &str) -> Alert {
        Alert { state: AlertState::Corrected, n: 2, lines: vec![line.into()], ..fired() }
    }

    const EDITS: Capabilities = Capabilities {
        digest_alerts: 1,
        edits: true,
        replies: true,
        buttons: false,
        is_idempotent: false,
        has_rooms: false,
        has_incidents: false,
    };

    #[test]
    fn only_an_end_and_a_move_go_without_a_reply() {
        let anchor = Anchor::after(None, &fired(), Edited::No, "7", true);
        let other_block = Some(B256::repeat_byte(2));
        let moved = Alert { block_hash: other_block, ..correction("Moved to block 7") };
        assert_eq!(anchor.editing(&moved), Editing::Alone);
        let over = Alert { state: AlertState::Resolved, n: 2, ..fired() };
        assert_eq!(anchor.editing(&over), Editing::Alone);
        let gone = correction("No longer on chain");
        assert!(anchor.is_gone_by(&gone) && !anchor.is_gone_by(&moved));
        let changed = Alert { title: "13 USDC moved".into(), ..moved.clone() };
        let raised = Alert { severity: Severity::Critical, ..over.clone() };
        for rings in [&gone, &changed, &raised] {
            assert_eq!(anchor.editing(rings), Editing::ThenReply, "{rings:?}");
        }
        let after = Anchor::after(Some(anchor), &gone, Edited::Yes, "8", false);
        assert!(after.is_gone && after.message_id == "7", "{after:?}");
        let back = Alert { n: 3, ..correction("Back on chain, in block 5") };
        assert_eq!(after.editing(&back), Editing::ThenReply);
        assert!(!after.is_gone_by(&back), "it is back in the same block");
    }

    #[test]
    fn a_lost_message_is_replaced_and_the_first_lines_stay() {
        let anchor = Anchor::after(None, &fired(), Edited::No, "7", true);
        let gone = correction("No longer on chain");
        let place = anchor.place(&gone, Edited::No, EDITS);
        let earlier = &["from a to b".to_owned()][..];
        assert_eq!(place, Place::Edit { message_id: "7", earlier, has_picture: true });
        assert_eq!(anchor.place(&gone, Edited::Lost, EDITS), Place::New);
        let reply = Place::Reply { to: "7", is_edited: true };
        assert_eq!(anchor.place(&gone, Edited::Yes, EDITS), reply);
        let replaced = Anchor::after(Some(anchor), &gone, Edited::Lost, "9", false);
        assert_eq!((replaced.message_id.as_str(), replaced.n), ("9", 2));
        assert_eq!(replaced.lines, ["from a to b"]);
        let next = Alert { n: 3, ..gone.clone() };
        assert!(replaced.tells(&fired()) && replaced.tells(&gone) && !replaced.tells(&next));
    }
}
