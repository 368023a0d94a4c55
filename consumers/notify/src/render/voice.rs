use jiff::{Timestamp, tz::TimeZone};

use super::words::{Language, Words};
use crate::config::Policy;

/// How a destination is spoken to: its language, and its clock.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    pub(crate) words: &'static Words,
    zone: TimeZone,
}

impl Voice {
    /// That of a destination. A time zone that does not exist is refused when the configuration is checked.
    pub(crate) fn of(policy: &Policy) -> Self {
        let zone = zone(&policy.time_zone).unwrap_or(TimeZone::UTC);
        Self { words: policy.language.words(), zone }
    }

    /// The destination's clock.
    pub(crate) fn zone(&self) -> TimeZone {
        self.zone.clone()
    }

    /// A moment on the destination's clock; `None` for one that is not known.
    pub(crate) fn time(&self, at_us: i64) -> Option<String> {
        if at_us <= 0 {
            return None;
        }
        let zoned = Timestamp::from_microsecond(at_us).ok()?.to_zoned(self.zone.clone());
        Some(zoned.strftime(self.words.time).to_string())
    }
}

impl Default for Voice {
    fn default() -> Self {
        Self { words: Language::En.words(), zone: TimeZone::UTC }
    }
}

/// A time zone by its IANA name.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::{Alert, AlertState};

    use super::*;
    use crate::render::{
        layout::{DigestForm, alert_layout, digest_layout},
        samples, telegram,
    };

    #[test]
    fn times_are_on_the_destinations_clock_also_in_summer() {
        let policy = Policy {
            language: Language::Es,
            time_zone: "Europe/Madrid".to_owned(),
            ..Policy::default()
        };
        let (winter, summer) = (1_764_424_800_000_000, 1_751_374_800_000_000);
        let madrid = Voice::of(&policy);
        assert_eq!(madrid.time(winter).as_deref(), Some("29/11/2025 15:00:00 CET"));
        assert_eq!(madrid.time(summer).as_deref(), Some("01/07/2025 15:00:00 CEST"));
        let utc = Voice::default();
        assert_eq!(utc.time(winter).as_deref(), Some("2025-11-29 14:00:00 UTC"));
        assert_eq!(utc.time(0), None);
        assert!(zone("Europe/Madird").is_none());
    }

    #[test]
    fn what_is_added_to_a_rules_text_is_in_the_destinations_language() {
        let policy = Policy {
            language: Language::Es,
            time_zone: "Europe/Madrid".to_owned(),
            ..Policy::default()
        };
        let voice = Voice::of(&policy);
        let alert = Alert {
            state: AlertState::Corrected,
            event_at_us: 1_764_424_800_000_000,
            ..samples::alert()
        };
        let html = telegram::html(&alert_layout(&alert, true, &voice), telegram::TEXT_UNITS);
        assert!(
            html.starts_with("↻ posible repetición de #K7Q2A\n✏️ <b>12,500,000 USDC"),
            "{html}"
        );
        assert!(html.ends_with("#K7Q2A · 29/11/2025 15:00:00 CET · corregida"), "{html}");
        let many = samples::many(1_234);
        let form = DigestForm { lines: 2, title_units: 20 };
        let digest =
            telegram::html(&digest_layout(&many, form, false, &voice), telegram::TEXT_UNITS);
        assert!(digest.contains("<b>1234 alertas</b>"), "{digest}");
        assert!(digest.contains("… y 1232 más"), "{digest}");
    }
}
