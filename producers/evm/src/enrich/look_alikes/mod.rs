//! Look-alikes (address poisoning): addresses that imitate a counterparty of a watched wallet by their first and last digits,
//! and send it nothing, dust or fake tokens, so that it copies the wrong address from its history.

pub(crate) mod config;
mod load;
mod mark;
mod state;
mod touch;

pub(crate) use load::LookAlikes;
pub(crate) use mark::{Mark, put_mark};
pub(crate) use touch::{Dust, Touch, touches_of};
