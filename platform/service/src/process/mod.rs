//! The life of a process and of the roles in it.

pub(crate) mod context;
pub(crate) mod shutdown;
pub(crate) mod stop;
pub(crate) mod supervise;
