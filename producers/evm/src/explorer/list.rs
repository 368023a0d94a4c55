use super::config::ExplorerKind;

/// A list of what touched an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    /// `txlist`
    Transactions,
    /// `txlistinternal`
    Internal,
    /// `tokentx`
    Erc20,
    /// `tokennfttx`
    Erc721,
    /// `token1155tx`
    Erc1155,
    /// `alchemy_getAssetTransfers` from it: payments and tokens.
    Sent,
    /// The same to it.
    Received,
    /// The same from it, inside contracts, which only some chains have.
    SentInside,
    /// The same to it.
    ReceivedInside,
}

impl List {
    /// Those of an explorer.
    pub(crate) const fn of(kind: ExplorerKind) -> &'static [Self] {
        match kind {
            ExplorerKind::Etherscan | ExplorerKind::Blockscout | ExplorerKind::Routescan => {
                &[Self::Transactions, Self::Internal, Self::Erc20, Self::Erc721, Self::Erc1155]
            }
            ExplorerKind::Alchemy => {
                &[Self::Sent, Self::Received, Self::SentInside, Self::ReceivedInside]
            }
        }
    }

    /// The `action` that asks for it.
    pub(crate) const fn action(self) -> &'static str {
        match self {
            Self::Transactions => "txlist",
            Self::Internal => "txlistinternal",
            Self::Erc20 => "tokentx",
            Self::Erc721 => "tokennfttx",
            Self::Erc1155 => "token1155tx",
            Self::Sent | Self::Received | Self::SentInside | Self::ReceivedInside => {
                "alchemy_getAssetTransfers"
            }
        }
    }

    /// Whether all transactions of an address are in it, failed ones included.
    pub(crate) const fn has_transactions(self) -> bool {
        matches!(self, Self::Transactions)
    }

    /// Whether it takes this one, among others, to know all payments.
    pub(crate) const fn has_payments(self) -> bool {
        !matches!(self, Self::Erc20 | Self::Erc721 | Self::Erc1155)
    }
}
