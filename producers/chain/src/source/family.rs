//! Families of chains.

/// The words for a family of chains in names of keys, probes and streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The role's name: keys of leases and cursors, probes and metrics begin with it.
    pub name: &'static str,
    /// The stream that holds the live lane.
    pub stream: &'static str,
}
