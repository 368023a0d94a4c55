use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fewer digits than these together would be alike by chance.
const FEWEST_DIGITS: u8 = 6;
const ADDRESS_DIGITS: u8 = 40;

/// What is taken for an imitation of a counterparty of a watched wallet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LookAlikeConfig {
    /// Whether look-alikes are searched for. Default: true.
    pub enabled: bool,
    /// Hex digits at the beginning that two addresses have in common. Default: 4.
    pub first_digits: u8,
    /// Hex digits at the end that two addresses have in common; with those at the beginning at least 6. Default: 4.
    pub last_digits: u8,
    /// A payment of at most so many US dollars is dust. Default: 1.
    pub dust_usd: f64,
    /// The last counterparties that are remembered of each wallet. Default: 100.
    pub counterparties: usize,
    /// Wallets of each chain whose counterparties are remembered; the one that began first is forgotten first. Default: 10000.
    pub wallets: usize,
}

impl Default for LookAlikeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            first_digits: 4,
            last_digits: 4,
            dust_usd: 1.0,
            counterparties: 100,
            wallets: 10_000,
        }
    }
}

impl LookAlikeConfig {
    /// What is wrong, with the key and how to correct it.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let digits = self.first_digits.saturating_add(self.last_digits);
        if !(FEWEST_DIGITS..ADDRESS_DIGITS).contains(&digits) {
            problems.push(format!(
                "evm.look_alikes: first_digits and last_digits are {digits} together: use {FEWEST_DIGITS} to {}",
                ADDRESS_DIGITS - 1
            ));
        }
        if !(self.dust_usd.is_finite() && self.dust_usd >= 0.0) {
            problems.push("evm.look_alikes.dust_usd: use 0 or more US dollars".to_owned());
        }
        if self.counterparties == 0 || self.wallets == 0 {
            problems.push(
                "evm.look_alikes: counterparties and wallets are at least 1; enabled = false turns the search off"
                    .to_owned(),
            );
        }
        problems
    }
}
