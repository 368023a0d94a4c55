mod client;
mod error;
mod interpret;
mod retry_after;

pub use error::FetchError;

pub(crate) use client::Fetcher;
pub(crate) use error::REFUSED_PAUSE;
pub(crate) use interpret::{Interpreted, interpret};
