mod client;
mod error;
mod fault;
mod interpret;
mod pages;

pub use error::FetchError;

pub(crate) use client::{Answer, Ask, Fetcher};
pub(crate) use interpret::{Interpreted, interpret};
pub(crate) use pages::{Page, Pages};
