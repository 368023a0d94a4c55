//! What is added to the rules' own texts, by language.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A language of messages. The texts of rules stay as they are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Spanish, as in Spain.
    Es,
}

/// The words of one language. `{}` stands for a number or a name.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) corrected: &'static str,
    pub(crate) resolved: &'static str,
    /// What a digest says of an alert that has ended.
    pub(crate) over: &'static str,
    pub(crate) repeat_of: &'static str,
    /// Above the earlier lines of a message that was changed.
    pub(crate) before: &'static str,
    pub(crate) alert: &'static str,
    pub(crate) alerts: Plural,
    pub(crate) more_rules: Plural,
    pub(crate) lines_left_out: Plural,
    pub(crate) folded: &'static str,
    /// Alerts of a digest that have no line in it, and where they are listed.
    pub(crate) not_shown: Plural,
    pub(crate) acknowledge: &'static str,
    pub(crate) silence: &'static str,
    pub(crate) for_another: &'static str,
    thousands: char,
    /// Numbers of this many digits or fewer are not grouped.
    ungrouped_digits: usize,
    /// Year, month, day, time and zone, by the names of `strftime`.
    pub(crate) time: &'static str,
}

/// A text that depends on a number.
#[derive(Debug)]
pub(crate) struct Plural {
    one: &'static str,
    other: &'static str,
}

const EN: Words = Words {
    corrected: "corrected",
    resolved: "resolved",
    over: "over",
    repeat_of: "↻ possible repeat of",
    before: "before:",
    alert: "alert",
    alerts: Plural { one: "{} alert", other: "{} alerts" },
    more_rules: Plural { one: "{} more rule", other: "{} more rules" },
    lines_left_out: Plural { one: "… {} line left out", other: "… {} lines left out" },
    folded: "folded: more came than may be sent one by one",
    not_shown: Plural {
        one: "… and {} more, see `crypto-intel alerts list`",
        other: "… and {} more, see `crypto-intel alerts list`",
    },
    acknowledge: "✅ Acknowledge",
    silence: "🔕 Silence 1 h",
    for_another: "for",
    thousands: ',',
    ungrouped_digits: 3,
    time: "%Y-%m-%d %H:%M:%S %Z",
};

const ES: Words = Words {
    corrected: "corregida",
    resolved: "resuelta",
    over: "terminada",
    repeat_of: "↻ posible repetición de",
    before: "antes:",
    alert: "alerta",
    alerts: Plural { one: "{} alerta", other: "{} alertas" },
    more_rules: Plural { one: "{} regla más", other: "{} reglas más" },
    lines_left_out: Plural { one: "… {} línea omitida", other: "… {} líneas omitidas" },
    folded: "resumen: llegaron más de las que se pueden enviar una a una",
    not_shown: Plural {
        one: "… y {} más: `crypto-intel alerts list`",
        other: "… y {} más: `crypto-intel alerts list`",
    },
    acknowledge: "✅ Recibida",
    silence: "🔕 Silenciar 1 h",
    for_another: "para",
    thousands: '.',
    // 1234, but 12.345.
    ungrouped_digits: 4,
    time: "%d/%m/%Y %H:%M:%S %Z",
};

impl Language {
    pub(crate) const fn words(self) -> &'static Words {
        match self {
            Self::En => &EN,
            Self::Es => &ES,
        }
    }
}

impl Words {
    /// A number as it is written in this language.
    pub(crate) fn number(&self, number: usize) -> String {
        let digits = number.to_string();
        if digits.len() <= self.ungrouped_digits {
            return digits;
        }
        let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                grouped.push(self.thousands);
            }
            grouped.push(digit);
        }
        grouped
    }

    /// A text for a number.
    pub(crate) fn counted(&self, plural: &Plural, number: usize) -> String {
        let text = if number == 1 { plural.one } else { plural.other };
        text.replace("{}", &self.number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_plurals_are_those_of_the_language() {
        let (en, es) = (Language::En.words(), Language::Es.words());
        assert_eq!(en.number(999), "999");
        assert_eq!((en.number(1_234), es.number(1_234)), ("1,234".into(), "1234".into()));
        assert_eq!(es.number(1_234_567), "1.234.567");
        assert_eq!(en.counted(&en.alerts, 1), "1 alert");
        assert_eq!(es.counted(&es.alerts, 12_345), "12.345 alertas");
    }
}
