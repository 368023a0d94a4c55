mod client;
mod error;
mod hint;
mod interpret;

pub use error::FetchError;

pub(crate) use client::{Answer, Fetcher};
pub(crate) use error::REFUSED_REST;
pub(crate) use interpret::{Interpreted, interpret};
