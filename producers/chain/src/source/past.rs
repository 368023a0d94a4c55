//! What a family says of the past of addresses.

use crypto_intel_schemas::{Covers, Finder};

use crate::source::{bodies::Prepared, header::Span};

/// Blocks of the past that are looked into for some addresses.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// These.
    pub span: Span,
    /// Up to here more will be, so that it may be asked about at once.
    pub last: u64,
    /// Whether each of them is looked into.
    pub every_block: bool,
}

/// In which blocks addresses may have been active.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    /// Their numbers, in order.
    pub numbers: Vec<u64>,
    /// For each address, in the order in which they were asked about: what will be complete once these blocks are published.
    pub covers: Vec<Covers>,
}

/// A block of the past for some addresses.
#[derive(Debug)]
pub struct Touching<D> {
    /// The block with only those events that touch any of them.
    pub prepared: Prepared<D>,
    /// What was said of the addresses and the block does not have.
    pub doubts: Vec<Doubt>,
    /// Whether payments of the block may be missing.
    pub lacks_payments: bool,
}

/// What an explorer says of an address and a block does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The address, as it stands in subjects.
    pub address: String,
    /// The block.
    pub number: u64,
    /// Who says it.
    pub by: Finder,
    /// Whether only the payments that they name are in doubt.
    pub payments_only: bool,
    /// What is missing.
    pub text: String,
}
