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
    /// Why a digest is one message.
    pub(crate) folded: Folded,
    /// Alerts of a digest that have no line in it, and where they are listed.
    pub(crate) not_shown: Plural,
    /// What a fallback is told: `{name}` is the destination, `{why}` the reason.
    pub(crate) handed_over: HandedOver,
    /// Of a message that a person sends once more.
    pub(crate) sent_again: &'static str,
    /// What the router adds, and tells of itself.
    pub(crate) notices: Notices,
    /// On buttons, and what they read afterwards.
    pub(crate) acknowledge: &'static str,
    pub(crate) silence: &'static str,
    pub(crate) acknowledged: &'static str,
    pub(crate) silenced: &'static str,
    pub(crate) not_allowed: &'static str,
    pub(crate) failed: &'static str,
    thousands: char,
    /// Numbers of this many digits or fewer are not grouped.
    ungrouped_digits: usize,
    /// Year, month, day, time and zone, by the names of `strftime`.
    pub(crate) time: &'static str,
}

/// Why a message comes to a fallback.
#[derive(Debug)]
pub(crate) struct HandedOver {
    pub(crate) waits: &'static str,
    pub(crate) dead: &'static str,
    pub(crate) expired: &'static str,
    pub(crate) doubtful: &'static str,
}

/// Why several alerts are one message.
#[derive(Debug)]
pub(crate) struct Folded {
    /// More came than may be sent one by one.
    pub(crate) flood: &'static str,
    /// Their route tells them together.
    pub(crate) group: &'static str,
    /// They came in quiet hours.
    pub(crate) quiet: &'static str,
}

/// What the router adds to alerts, and its own messages.
#[derive(Debug)]
pub(crate) struct Notices {
    /// A message that a person sends to try a destination.
    pub(crate) test: &'static str,
    pub(crate) test_line: &'static str,
    /// A reminder: for how long the alert lasts.
    pub(crate) lasts: &'static str,
    /// An escalation: how long no one acknowledged.
    pub(crate) not_acknowledged: &'static str,
    /// A sign of life, and what lasts.
    pub(crate) reached: &'static str,
    pub(crate) nothing_lasts: &'static str,
    pub(crate) last: Plural,
    /// The end of a silence or an inhibition.
    pub(crate) silence_over: &'static str,
    pub(crate) inhibition_over: &'static str,
    pub(crate) why: &'static str,
    pub(crate) kept_of_rules: &'static str,
    pub(crate) kept_back: Plural,
    pub(crate) none_of_it_lasts: &'static str,
    pub(crate) still_last: Plural,
    pub(crate) still: &'static str,
    pub(crate) more_last: Plural,
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
    folded: Folded {
        flood: "folded: more came than may be sent one by one",
        group: "told together, as one group",
        quiet: "told together: they came in quiet hours",
    },
    not_shown: Plural {
        one: "… and {} more, in the table alerts",
        other: "… and {} more, in the table alerts",
    },
    handed_over: HandedOver {
        waits: "for {name}, which takes nothing now, and is told later: {why}",
        dead: "for {name}, which was not told: {why}",
        expired: "for {name}, which was not told in time: {why}",
        doubtful: "for {name}, which was perhaps not told: {why}",
    },
    sent_again: "sent again by hand: it may have been told before",
    notices: Notices {
        test: "Test message",
        test_line: "Alerts for the destination {} arrive here.",
        lasts: "lasts for {}, not acknowledged",
        not_acknowledged: "not acknowledged within {}",
        reached: "Alerts reach you here",
        nothing_lasts: "no alert lasts",
        last: Plural { one: "{} alert lasts", other: "{} alerts last" },
        silence_over: "Silence {} is over",
        inhibition_over: "{} is over",
        why: "why: {}",
        kept_of_rules: "kept back: {}",
        kept_back: Plural { one: "{} message kept back", other: "{} messages kept back" },
        none_of_it_lasts: "none of it lasts",
        still_last: Plural { one: "{} alert still lasts", other: "{} alerts still last" },
        still: "still: {}",
        more_last: Plural { one: "and {} more that lasts", other: "and {} more that last" },
    },
    acknowledge: "✅ Acknowledge",
    silence: "🔕 Silence 1 h",
    acknowledged: "✅ acknowledged by",
    silenced: "🔕 silenced by",
    not_allowed: "Your user id is not in allowed_users of this destination.",
    failed: "That did not work, try again in a minute.",
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
    folded: Folded {
        flood: "resumen: llegaron más de las que se pueden enviar una a una",
        group: "juntas, porque son un grupo",
        quiet: "juntas: llegaron en horas de silencio",
    },
    not_shown: Plural {
        one: "… y {} más, en la tabla alerts",
        other: "… y {} más, en la tabla alerts",
    },
    handed_over: HandedOver {
        waits: "para {name}, que ahora no recibe nada y la tendrá más tarde: {why}",
        dead: "para {name}, que no la recibió: {why}",
        expired: "para {name}, que no la recibió a tiempo: {why}",
        doubtful: "para {name}, que quizá no la recibió: {why}",
    },
    sent_again: "enviada otra vez a mano: puede que ya se conociera",
    notices: Notices {
        test: "Mensaje de prueba",
        test_line: "Las alertas del destino {} llegan aquí.",
        lasts: "dura ya {}, nadie la ha aceptado",
        not_acknowledged: "nadie la ha aceptado en {}",
        reached: "Las alertas llegan aquí",
        nothing_lasts: "ninguna alerta sigue activa",
        last: Plural { one: "{} alerta sigue activa", other: "{} alertas siguen activas" },
        silence_over: "El silencio {} ha terminado",
        inhibition_over: "{} ha terminado",
        why: "motivo: {}",
        kept_of_rules: "retenidos: {}",
        kept_back: Plural { one: "{} mensaje retenido", other: "{} mensajes retenidos" },
        none_of_it_lasts: "nada sigue activo",
        still_last: Plural { one: "{} alerta sigue activa", other: "{} alertas siguen activas" },
        still: "sigue: {}",
        more_last: Plural { one: "y {} más que sigue", other: "y {} más que siguen" },
    },
    acknowledge: "✅ Recibida",
    silence: "🔕 Silenciar 1 h",
    acknowledged: "✅ la tiene",
    silenced: "🔕 silenciada por",
    not_allowed: "Tu id de usuario no está en allowed_users de este destino.",
    failed: "No ha funcionado, prueba otra vez dentro de un minuto.",
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
