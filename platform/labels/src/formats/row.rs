use crypto_intel_schemas::AccountAddress;

use super::Common;
use crate::{
    category::parse_category,
    label::{Label, clean_name, parse_chain},
};

/// What a line or an entry says, as text.
#[derive(Debug, Clone, Default)]
pub(super) struct Row<'a> {
    pub(super) address: &'a str,
    pub(super) name: &'a str,
    pub(super) categories: Vec<&'a str>,
    pub(super) chain: &'a str,
    pub(super) detail: &'a str,
    pub(super) confidence: &'a str,
}

impl Row<'_> {
    /// Its labels: one for each category.
    pub(super) fn labels(&self, common: &Common) -> Result<Vec<Label>, String> {
        let address: AccountAddress = self.address.parse()?;
        // Case is a part of addresses of other families.
        let is_lowered = address.evm().is_none()
            && !self.address.contains(|letter: char| letter.is_ascii_uppercase());
        if is_lowered {
            let address = self.address;
            return Err(format!(
                "{address} was written in lower case, which makes it another address: take a list that keeps the letters as they are"
            ));
        }
        let chain = if self.chain.is_empty() { common.chain.as_deref() } else { Some(self.chain) };
        let chain = parse_chain(chain.unwrap_or_default())?;
        let confidence = match self.confidence {
            "" => None,
            text => Some(parse_confidence(text)?),
        };
        let mut categories: Vec<String> = Vec::new();
        let own = self.categories.iter().filter(|text| !text.trim().is_empty());
        for text in own {
            let category = parse_category(text)?;
            if !categories.contains(&category) {
                categories.push(category);
            }
        }
        if categories.is_empty() {
            categories.extend(common.category.clone());
        }
        if categories.is_empty() {
            return Err(
                "no category: fill the column category (or tags), or give --category for all lines"
                    .to_owned(),
            );
        }
        let label = |category| Label {
            chain: chain.clone(),
            address,
            category,
            name: clean_name(self.name),
            detail: self.detail.to_owned(),
            confidence,
        };
        Ok(categories.into_iter().map(label).collect())
    }
}

/// Percent, or a part of 1 such as `0.8`.
fn parse_confidence(text: &str) -> Result<u8, String> {
    let number: Option<f64> = text.trim().trim_end_matches('%').parse().ok();
    let percent = number.map(|number| match text.contains('.') && number <= 1.0 {
        true => number * 100.0,
        false => number,
    });
    match percent {
        Some(percent) if (1.0..=100.0).contains(&percent) => Ok(percent.round() as u8),
        _ => Err(format!("{text:?} is no confidence: write 1 to 100 percent")),
    }
}
