//! Topics of the events that are decoded. Each constant is checked against its signature by a test.

use std::collections::BTreeSet;

use alloy_primitives::b256;
use crypto_intel_schemas::{B256, Kind};

/// `Transfer(address,address,uint256)`, of ERC-20 and ERC-721.
pub(crate) const TRANSFER: B256 =
    b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// `TransferSingle(address,address,address,uint256,uint256)`, of ERC-1155.
pub(crate) const TRANSFER_SINGLE: B256 =
    b256!("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");
/// `TransferBatch(address,address,address,uint256[],uint256[])`, of ERC-1155.
pub(crate) const TRANSFER_BATCH: B256 =
    b256!("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb");
/// `Approval(address,address,uint256)`, of ERC-20 and ERC-721.
pub(crate) const APPROVAL: B256 =
    b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");
/// `ApprovalForAll(address,address,bool)`, of ERC-721 and ERC-1155.
pub(crate) const APPROVAL_FOR_ALL: B256 =
    b256!("17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31");
/// `Sync(uint112,uint112)`, of a Uniswap V2 pool.
pub(crate) const SYNC: B256 =
    b256!("1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1");
/// `Swap(address,uint256,uint256,uint256,uint256,address)`, of Uniswap V2.
pub(crate) const SWAP_V2: B256 =
    b256!("d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822");
/// `Mint(address,uint256,uint256)`, of Uniswap V2.
pub(crate) const MINT_V2: B256 =
    b256!("4c209b5fc8ad50758f13e2e1088ba56a560dff690a1c6fef26394f4c03821c4f");
/// `Burn(address,uint256,uint256,address)`, of Uniswap V2.
pub(crate) const BURN_V2: B256 =
    b256!("dccd412f0b1252819cb1fd330b93224ca42612892bb3f4f789976e6d81936496");
/// `PairCreated(address,address,address,uint256)`, of a Uniswap V2 factory.
pub(crate) const PAIR_CREATED: B256 =
    b256!("0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9");
/// `Swap(address,address,int256,int256,uint160,uint128,int24)`, of Uniswap V3.
pub(crate) const SWAP_V3: B256 =
    b256!("c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67");
/// `Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)`, of Pancake V3.
pub(crate) const SWAP_PANCAKE_V3: B256 =
    b256!("19b47279256b2a23a1665c810c8d55a1758940ee09377d4f8d26497a3577dc83");
/// `Mint(address,address,int24,int24,uint128,uint256,uint256)`, of Uniswap V3.
pub(crate) const MINT_V3: B256 =
    b256!("7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde");
/// `Burn(address,int24,int24,uint128,uint256,uint256)`, of Uniswap V3.
pub(crate) const BURN_V3: B256 =
    b256!("0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c");
/// `Collect(address,address,int24,int24,uint128,uint128)`, of Uniswap V3.
pub(crate) const COLLECT_V3: B256 =
    b256!("70935338e69775456a85ddef226c395fb668b63fa0115f5f20610b388e6ca9c0");
/// `Initialize(uint160,int24)`, of Uniswap V3.
pub(crate) const INITIALIZE_V3: B256 =
    b256!("98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95");
/// `PoolCreated(address,address,uint24,int24,address)`, of a Uniswap V3 factory.
pub(crate) const POOL_CREATED: B256 =
    b256!("783cca1c0412dd0d695e784568c96da2e9c22ff989357a2e8b1d9b2b4e6b7118");
/// `Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)`, of Uniswap V4.
pub(crate) const SWAP_V4: B256 =
    b256!("40e9cecb9f5f1f1c5b9c97dec2917b7ee92e57ba5563708daca94dd84ad7112f");
/// `ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)`, of Uniswap V4.
pub(crate) const MODIFY_V4: B256 =
    b256!("f208f4912782fd25c7f114ca3723a2d5dd6f3bcc3ac8db5af63baa85f711d5ec");
/// `Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)`, of Uniswap V4.
pub(crate) const INITIALIZE_V4: B256 =
    b256!("dd466e674ea557f56295e2d0218a125ea4b4f0f6f3307b95f85e6110838d6438");
/// `Deposit(address,uint256)`, of wrapped native tokens.
pub(crate) const DEPOSIT: B256 =
    b256!("e1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c");
/// `Withdrawal(address,uint256)`, of wrapped native tokens.
pub(crate) const WITHDRAWAL: B256 =
    b256!("7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65");
/// `AnswerUpdated(int256,uint256,uint256)`, of Chainlink feeds.
pub(crate) const ANSWER_UPDATED: B256 =
    b256!("0559884fd3a460db3073b7fc896cc77986f16e378210ded43186175bf646fc5f");

/// All of them.
pub(crate) const ALL: &[B256] = &[
    TRANSFER,
    TRANSFER_SINGLE,
    TRANSFER_BATCH,
    APPROVAL,
    APPROVAL_FOR_ALL,
    SYNC,
    SWAP_V2,
    MINT_V2,
    BURN_V2,
    PAIR_CREATED,
    SWAP_V3,
    SWAP_PANCAKE_V3,
    MINT_V3,
    BURN_V3,
    COLLECT_V3,
    INITIALIZE_V3,
    POOL_CREATED,
    SWAP_V4,
    MODIFY_V4,
    INITIALIZE_V4,
    DEPOSIT,
    WITHDRAWAL,
    ANSWER_UPDATED,
];

/// The first topics of the events that become one of some kinds; events of built-in ABIs where those are wanted.
pub(crate) fn topics_of(has_kind: impl Fn(Kind) -> bool, built_in_events: bool) -> BTreeSet<B256> {
    let mut topics = BTreeSet::new();
    let mut add = |is_wanted: bool, of_kind: &[B256]| {
        if is_wanted {
            topics.extend(of_kind);
        }
    };
    add(has_kind(Kind::Erc20Transfer) || has_kind(Kind::Erc721Transfer), &[TRANSFER]);
    add(has_kind(Kind::Erc1155Transfer), &[TRANSFER_SINGLE, TRANSFER_BATCH]);
    add(has_kind(Kind::Approval), &[APPROVAL, APPROVAL_FOR_ALL]);
    add(has_kind(Kind::Swap), &[SWAP_V2, SWAP_V3, SWAP_PANCAKE_V3, SWAP_V4]);
    let liquidity = [
        SYNC,
        MINT_V2,
        BURN_V2,
        PAIR_CREATED,
        MINT_V3,
        BURN_V3,
        COLLECT_V3,
        INITIALIZE_V3,
        POOL_CREATED,
        MODIFY_V4,
        INITIALIZE_V4,
    ];
    add(has_kind(Kind::Liquidity), &liquidity);
    add(has_kind(Kind::ContractEvent) && built_in_events, &[DEPOSIT, WITHDRAWAL, ANSWER_UPDATED]);
    topics
}

/// Whether a topic is decoded without configuration.
pub(crate) fn is_decoded(topic: &B256) -> bool {
    ALL.contains(topic)
}

/// Whether a topic is decoded as an event of a built-in ABI.
pub(crate) fn is_contract_event(topic: &B256) -> bool {
    [DEPOSIT, WITHDRAWAL, ANSWER_UPDATED].contains(topic)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn every_topic_belongs_to_a_kind() {
        let all: BTreeSet<B256> = ALL.iter().copied().collect();
        assert_eq!(topics_of(|_| true, true), all);
        assert!(topics_of(|_| false, true).is_empty());
    }

    #[test]
    fn topics_are_the_hashes_of_their_signatures() {
        for (topic, signature) in [
            (TRANSFER, "Transfer(address,address,uint256)"),
            (TRANSFER_SINGLE, "TransferSingle(address,address,address,uint256,uint256)"),
            (TRANSFER_BATCH, "TransferBatch(address,address,address,uint256[],uint256[])"),
            (APPROVAL, "Approval(address,address,uint256)"),
            (APPROVAL_FOR_ALL, "ApprovalForAll(address,address,bool)"),
            (SYNC, "Sync(uint112,uint112)"),
            (SWAP_V2, "Swap(address,uint256,uint256,uint256,uint256,address)"),
            (MINT_V2, "Mint(address,uint256,uint256)"),
            (BURN_V2, "Burn(address,uint256,uint256,address)"),
            (PAIR_CREATED, "PairCreated(address,address,address,uint256)"),
            (SWAP_V3, "Swap(address,address,int256,int256,uint160,uint128,int24)"),
            (
                SWAP_PANCAKE_V3,
                "Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)",
            ),
            (MINT_V3, "Mint(address,address,int24,int24,uint128,uint256,uint256)"),
            (BURN_V3, "Burn(address,int24,int24,uint128,uint256,uint256)"),
            (COLLECT_V3, "Collect(address,address,int24,int24,uint128,uint128)"),
            (INITIALIZE_V3, "Initialize(uint160,int24)"),
            (POOL_CREATED, "PoolCreated(address,address,uint24,int24,address)"),
            (SWAP_V4, "Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)"),
            (MODIFY_V4, "ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)"),
            (
                INITIALIZE_V4,
                "Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)",
            ),
            (DEPOSIT, "Deposit(address,uint256)"),
            (WITHDRAWAL, "Withdrawal(address,uint256)"),
            (ANSWER_UPDATED, "AnswerUpdated(int256,uint256,uint256)"),
        ] {
            assert_eq!(topic, keccak256(signature), "{signature}");
        }
    }
}
