use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use crypto_intel_evm::EnsName;
use crypto_intel_schemas::{Address, WatchChain, WatchKind};

/// `watch`
#[derive(Debug, Clone, Args)]
pub struct WatchArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: WatchAction,
}

/// What `watch` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum WatchAction {
    /// Watch an address, or change how it is called. Counts from the next block on.
    Add {
        /// 0x and 40 hex digits, or a name such as vitalik.eth, which the endpoints of the chain `ethereum` are asked for.
        #[arg(required_unless_present = "file")]
        #[arg(value_parser = parse_address_or_name)]
        address: Option<AddressOrName>,
        /// Many at once, or `-` for standard input: a line each, `ADDRESS`, `ADDRESS,LABEL` or
        /// `ADDRESS,LABEL,TAG,TAG…`. Empty lines and those that begin with `#` are passed over.
        /// The other options hold for all of them.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "label", "backfill"])]
        file: Option<PathBuf>,
        /// Slug of a chain, or `all`.
        #[arg(long, default_value = "all", value_name = "CHAIN")]
        chain: WatchChain,
        /// Also a chain that this configuration does not have, because that of the producer does.
        #[arg(long)]
        force: bool,
        /// What events and alerts call it [default: the address].
        #[arg(long)]
        label: Option<String>,
        /// What it has in common with others; may be given several times. Events carry it as `#TAG`.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// The group that it belongs to. Events carry it as `@GROUP`.
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        /// Whose it is, for people.
        #[arg(long, value_name = "NAME")]
        owner: Option<String>,
        /// Remarks, for people.
        #[arg(long, value_name = "TEXT")]
        notes: Option<String>,
        /// What it is.
        #[arg(long, value_enum, default_value_t = WatchedThing::Wallet)]
        kind: WatchedThing,
        /// Also fetch its past, from the first block or from this one on: every log that names it,
        /// and what else touches it in the same blocks.
        #[arg(
            long,
            value_name = "FROM",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "0"
        )]
        backfill: Option<u64>,
        /// With `--backfill`: look into every block. Payments in the chain's own currency leave no
        /// logs; this finds all of them, and takes as long as a backfill of everything.
        #[arg(long, requires = "backfill")]
        every_block: bool,
        /// With `--backfill`: only queue; do not wait until the producer has published it.
        #[arg(long, requires = "backfill")]
        detach: bool,
    },
    /// Watch an address no longer, or all of a group.
    Remove {
        /// 0x and 40 hex digits.
        #[arg(required_unless_present_any = ["tag", "group"])]
        #[arg(value_parser = parse_address)]
        address: Option<Address>,
        /// All that have this tag, on every chain or on that of `--chain`.
        #[arg(long, value_name = "TAG", conflicts_with = "address")]
        tag: Option<String>,
        /// All of this group.
        #[arg(long, value_name = "GROUP", conflicts_with = "address")]
        group: Option<String>,
        /// As it was added [default: `all`; with `--tag` or `--group` whatever it is].
        #[arg(long, value_name = "CHAIN")]
        chain: Option<WatchChain>,
    },
    /// What is watched.
    List {
        /// Only this group.
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        /// Also what addresses call themselves by the Ethereum Name Service, where that name means them; asked of the endpoints
        /// of the chain `ethereum`, and kept for a day.
        #[arg(long)]
        names: bool,
    },
    /// Watch what a table says (CSV, as `export` writes it), or change how it is called.
    Import {
        /// With a line of column names: address, chains, label, kind, group, owner, tags, notes; only `address` has to be there, and
        /// several chains or tags are separated by `|`. `-` is standard input.
        file: PathBuf,
        /// Also chains that this configuration does not have, because that of the producer does.
        #[arg(long)]
        force: bool,
    },
    /// The list as a table (CSV) on standard output.
    Export {
        /// Only this group.
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
    },
    /// What of an address is complete: which blocks, by what means, and what is still queued.
    Show {
        /// 0x and 40 hex digits.
        #[arg(value_parser = parse_address)]
        address: Address,
    },
    /// Ask for the past of addresses that are watched, many at once; a producer publishes it.
    Backfill {
        /// 0x and 40 hex digits.
        #[arg(required_unless_present_any = ["tag", "group"], value_parser = parse_address)]
        addresses: Vec<Address>,
        /// All that have this tag.
        #[arg(long, value_name = "TAG")]
        tag: Option<String>,
        /// All of this group.
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        /// Only on this chain [default: wherever they are watched].
        #[arg(long, value_name = "CHAIN")]
        chain: Option<String>,
        /// From this block on.
        #[arg(long, default_value_t = 0, value_name = "BLOCK")]
        from: u64,
        /// Look into every block.
        #[arg(long)]
        every_block: bool,
    },
}

/// How people say which address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressOrName {
    /// The address.
    Address(Address),
    /// A name that means one.
    Name(EnsName),
}

/// What a watched address is, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WatchedThing {
    /// An account of a person.
    Wallet,
    /// A token's contract.
    Token,
    /// A DEX pool.
    Pool,
    /// Any other contract.
    Contract,
}

impl From<WatchedThing> for WatchKind {
    fn from(thing: WatchedThing) -> Self {
        match thing {
            WatchedThing::Wallet => Self::Wallet,
            WatchedThing::Token => Self::Token,
            WatchedThing::Pool => Self::Pool,
            WatchedThing::Contract => Self::Contract,
        }
    }
}

/// An address, or a name that means one: a name has a point.
///
/// # Errors
/// Says what is expected.
fn parse_address_or_name(text: &str) -> Result<AddressOrName, String> {
    if text.contains('.') {
        return text.parse().map(AddressOrName::Name);
    }
    parse_address(text).map(AddressOrName::Address)
}

/// An address as people write it.
///
/// # Errors
/// Says what is expected.
pub(super) fn parse_address(text: &str) -> Result<Address, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    text.parse().map_err(|_| {
        format!(
            "an address is 0x and 40 hex digits, this has {} characters{}",
            digits.chars().count(),
            if text.starts_with("0x") { " after 0x" } else { "" }
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_told_what_one_is() {
        assert!(parse_address("0x00000000219ab540356cbb839cbe05303d7705fa").is_ok());
        let error = parse_address("0x12").unwrap_err();
        assert_eq!(error, "an address is 0x and 40 hex digits, this has 2 characters after 0x");
    }
}
