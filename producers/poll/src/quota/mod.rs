//! How much may be asked of a provider: windows, what of them is used, and who may go when.

pub(crate) mod calendar;
pub(crate) mod ledger;
pub(crate) mod limits;
#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod pace;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod record;
pub(crate) mod signals;
mod sliding;
pub(crate) mod spare;
pub(crate) mod store;
pub(crate) mod usage;
