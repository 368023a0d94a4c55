mod client;
mod error;
mod hint;
mod interpret;

pub use error::FetchError;

pub(crate) use client::{Answer, Fetcher};
pub(crate) use interpret::{Interpreted, interpret};
