//! Who is told of an alert, and when: see ADR 24.

pub(crate) mod matcher;
pub(crate) mod silences;
