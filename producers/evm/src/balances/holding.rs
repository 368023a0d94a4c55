use crypto_intel_schemas::{Address, Balance, Event};

/// What can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Asset {
    /// The chain's own currency.
    Native,
    /// An ERC-20 token.
    Token(Address),
}

/// An asset in the hands of a watched wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Holding {
    pub(super) wallet: Address,
    pub(super) asset: Asset,
}

impl Asset {
    /// The `asset` of an event.
    pub(super) fn text(self) -> String {
        match self {
            Self::Native => Balance::NATIVE.to_owned(),
            Self::Token(token) => format!("{token:#x}"),
        }
    }

    fn read(text: &str) -> Option<Self> {
        if text == Balance::NATIVE {
            return Some(Self::Native);
        }
        text.parse().ok().map(Self::Token)
    }
}

impl Holding {
    /// What a balance is of; `None` for an asset that this version does not know.
    pub(super) fn of(balance: &Balance) -> Option<Self> {
        Some(Self { wallet: balance.address, asset: Asset::read(&balance.asset)? })
    }
}

/// What an event that touches a wallet may have changed of it: each asset that it moved, and the native currency where it
/// paid a fee or may have been paid inside a contract, which no event says where there are no traces.
pub(super) fn changed_by(event: &Event, wallet: Address) -> Vec<Holding> {
    let mut assets = Vec::new();
    let sent = event.transaction_fields().is_some_and(|sent| sent.tx_from == Some(wallet));
    let is_native = match event {
        Event::Erc20Transfer(body) => {
            if body.from == wallet || body.to == wallet {
                assets.push(Asset::Token(body.address));
            }
            sent
        }
        Event::Approval(_) => sent,
        // The contract that says something is not what it is said of: a watched token has no part in its holders' doings.
        event => sent || event.log_fields().is_none_or(|log| log.address != wallet),
    };
    if is_native {
        assets.push(Asset::Native);
    }
    assets.into_iter().map(|asset| Holding { wallet, asset }).collect()
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::{Approval, Erc20Transfer, NativeTransfer, Swap};

    use super::*;

    #[test]
    fn what_an_event_may_have_changed() {
        let (wallet, token, other) =
            (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
        let transfer = Erc20Transfer {
            address: token,
            from: wallet,
            to: other,
            tx_from: Some(other),
            ..Erc20Transfer::empty()
        };
        let sent = Erc20Transfer { tx_from: Some(wallet), ..transfer.clone() };
        let approval = Approval { tx_from: Some(other), address: token, ..Approval::empty() };
        let swap = Swap { tx_from: Some(other), address: other, ..Swap::empty() };
        let (native, of_token) = (Asset::Native, Asset::Token(token));
        for (event, party, expected) in [
            (Event::from(transfer.clone()), wallet, vec![of_token]),
            (Event::from(sent), wallet, vec![of_token, native]),
            (Event::from(transfer), token, vec![]),
            (Event::from(approval.clone()), wallet, vec![]),
            (Event::from(Approval { tx_from: Some(wallet), ..approval }), wallet, vec![native]),
            (Event::from(NativeTransfer::empty()), wallet, vec![native]),
            (Event::from(swap.clone()), wallet, vec![native]),
            (Event::from(swap), other, vec![native]),
        ] {
            let assets: Vec<Asset> =
                changed_by(&event, party).into_iter().map(|holding| holding.asset).collect();
            assert_eq!(assets, expected, "{} and {party}", event.kind());
        }
    }
}
