//! Configuration: read, documented, without secrets.

pub(crate) mod address;
pub(crate) mod load;
pub(crate) mod reference;
pub(crate) mod secret;
