//! A signed webhook: the notification itself.

use crypto_intel_schemas::{Event, Notification};

/// Receivers may refuse more than 20 kB.
const MAX_BYTES: usize = 20_000;

/// The notification as JSON: the same bytes in every attempt. Lines are left out from the end until it is small enough.
pub(crate) fn json(notification: &Notification) -> Vec<u8> {
    let mut notification = notification.clone();
    let mut left_out = 0_usize;
    loop {
        let json = bytes(notification.clone());
        if json.len() < MAX_BYTES {
            return json;
        }
        let alert = &mut notification.alert;
        if left_out > 0 {
            alert.lines.pop();
        }
        if alert.lines.pop().is_some() {
            left_out += 1;
            alert.lines.push(format!("… {left_out} lines left out"));
        } else if alert.links.pop().is_none() {
            alert.title.truncate(alert.title.floor_char_boundary(MAX_BYTES / 4));
            alert.labels = crypto_intel_schemas::Labels::default();
            return bytes(notification);
        }
    }
}

fn bytes(notification: Notification) -> Vec<u8> {
    Event::from(notification).to_json().to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::{super::samples, *};
    use crate::records::delivery::notification;

    #[test]
    fn it_is_the_event_that_the_schema_describes() {
        let message = notification(&samples::alert(), "desk");
        let value: serde_json::Value = serde_json::from_slice(&json(&message)).unwrap();
        assert_eq!(value["kind"], "notification");
        assert_eq!(value["alert"]["title"], samples::alert().title);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn it_is_always_small_enough(alert in samples::long()) {
            let json = json(&notification(&alert, "desk"));
            prop_assert!(json.len() < MAX_BYTES, "{}", json.len());
            prop_assert!(!json.is_empty());
        }
    }
}
