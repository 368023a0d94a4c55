//! What the schedules of the shipped providers use of their quotas.

use crate::{
    catalogue::{CatalogueError, Category, Endpoint, Provider, WithKeys, shipped_providers},
    quota::limits::{Limits, Window},
};

/// Days of the longest month.
const MAX_MONTH_DAYS: u64 = 31;

/// What the schedule of a provider uses of its quota, when nothing fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Name of the provider.
    pub(crate) name: String,
    /// What it is about.
    pub(crate) category: Category,
    /// `none`, `optional` or `required`.
    pub(crate) key: &'static str,
    /// Whether it is polled unless the configuration says otherwise, once its key is there if it requires one.
    pub(crate) enabled: bool,
    /// Number of its endpoints.
    pub(crate) endpoints: usize,
    /// Requests in a day, where each answer has all the pages that it may have.
    pub(crate) requests_per_day: u64,
    /// Every window of its quota with the percentage used of it, rounded up, by all that share it.
    pub(crate) shares: Vec<(&'static str, u64)>,
}

impl Budget {
    /// The window of which the most is used.
    pub(crate) fn tightest(&self) -> Option<(&'static str, u64)> {
        self.shares.iter().copied().max_by_key(|(_, percent)| *percent)
    }
}

/// The budgets of all shipped providers by name, with or without a key where they need none.
///
/// # Errors
/// When a shipped file cannot be used.
pub(crate) fn budgets(with_keys: WithKeys) -> Result<Vec<Budget>, CatalogueError> {
    let shipped = shipped_providers(with_keys)?;
    let mut budgets = Vec::new();
    for (file, provider) in &shipped {
        let shares_quota =
            |other: &&Provider| other.quota_of == provider.quota_of && other.keys == provider.keys;
        let sharing = shipped.iter().map(|(_, other)| other).filter(shares_quota);
        let endpoints: Vec<&Endpoint> =
            sharing.flat_map(|other| &other.endpoints).map(AsRef::as_ref).collect();
        let key = match &file.key {
            None => "none",
            Some(key) if key.required => "required",
            Some(_) => "optional",
        };
        budgets.push(Budget {
            name: provider.name.clone(),
            category: file.category,
            key,
            enabled: file.enabled,
            endpoints: provider.endpoints.len(),
            requests_per_day: requests_per_day(provider),
            shares: shares(&endpoints, &provider.limits),
        });
    }
    Ok(budgets)
}

fn requests_per_day(provider: &Provider) -> u64 {
    let day_us = Window::Day.length().as_micros();
    let requests = provider.endpoints.iter().map(|endpoint| {
        let slots = day_us.div_ceil(endpoint.every.as_micros().max(1));
        slots * u128::from(endpoint.page_limit)
    });
    u64::try_from(requests.sum::<u128>()).unwrap_or(u64::MAX)
}

fn shares(endpoints: &[&Endpoint], limits: &Limits) -> Vec<(&'static str, u64)> {
    let share = |(window, limit): (Window, u32)| {
        let length_us = match window {
            Window::Month => Window::Day.length().as_micros() * u128::from(MAX_MONTH_DAYS),
            other => other.length().as_micros(),
        };
        // In thousandths of a unit.
        let used = endpoints.iter().map(|endpoint| {
            let units = u128::from(endpoint.weight.get()) * u128::from(endpoint.page_limit);
            units * 1_000 * length_us / endpoint.every.as_micros().max(1)
        });
        let percent = (used.sum::<u128>() * 100).div_ceil(u128::from(limit.max(1)) * 1_000);
        (window.as_str(), u64::try_from(percent).unwrap_or(u64::MAX))
    };
    limits.windows().map(share).collect()
}
