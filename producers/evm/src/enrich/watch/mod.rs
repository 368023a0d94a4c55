//! Watch-lists: addresses that people want to hear of, kept in the bucket `watchlist` and changed while
//! producers run. An event that touches one carries its labels and is also on
//! `watch.<chain>.<address>.<kind>`.

mod addresses;
mod cache;
mod list;

pub use list::{Added, Watchlist};

pub(crate) use cache::{WatchView, WatchlistCache};
