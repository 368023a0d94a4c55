//! Reads balances from the chain: as many in one call as the chain can, at one block.

use std::{collections::HashSet, sync::Arc};

use crypto_intel_schemas::{Address, U256};
use futures::{StreamExt as _, stream};
use serde_json::json;

use super::{
    fold::Top,
    holding::{Asset, Holding},
};
use crate::{
    endpoint::{Class, Endpoint, EndpointError},
    fetch::{
        Fetcher,
        error::{BlockId, FetchError},
    },
    hex::Hex,
    multicall::{self, Aggregated, At, ContractCall},
};

/// `balanceOf(address)`
const BALANCE_OF: [u8; 4] = [0x70, 0xa0, 0x82, 0x31];
/// `getEthBalance(address)` of Multicall3.
const NATIVE_BALANCE: [u8; 4] = [0x4d, 0x23, 0x01, 0xcc];
/// Single requests under way at once, where there is no Multicall3: the same endpoint also serves blocks.
const SINGLES: usize = 8;
/// Tokens that are remembered because they fail.
const MAX_FAILING: usize = 10_000;

/// What a token answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Balance(U256),
    /// It refused.
    Reverted,
    /// It answered something that is no number: most likely it is no token.
    NotANumber,
}

impl Answer {
    /// The label in metrics, and the `problem` of an event.
    pub(super) const fn outcome(self) -> &'static str {
        match self {
            Self::Balance(_) => "read",
            Self::Reverted => "reverted",
            Self::NotANumber => "not_a_number",
        }
    }

    fn of(bytes: Option<&[u8]>) -> Self {
        match bytes {
            None => Self::Reverted,
            Some(bytes) => match <[u8; 32]>::try_from(bytes) {
                Ok(word) => Self::Balance(U256::from_be_bytes(word)),
                Err(_) => Self::NotANumber,
            },
        }
    }
}

/// Answers at one block.
#[derive(Debug)]
pub(super) struct Readings {
    /// The block at whose end it was so.
    pub(super) block: Top,
    pub(super) answers: Vec<(Holding, Answer)>,
}

/// Why one endpoint did not read.
#[derive(Debug)]
enum Fault {
    /// It does not have the state of the block, or no longer.
    NoState(String),
    Endpoint(EndpointError),
}

impl From<EndpointError> for Fault {
    fn from(error: EndpointError) -> Self {
        Self::Endpoint(error)
    }
}

/// Reads balances on one chain.
#[derive(Debug)]
pub(super) struct BalanceReader {
    chain: String,
    fetcher: Fetcher,
    configured: Option<Address>,
    /// As configured, until it turns out not to be there.
    multicall: Option<Address>,
    /// Tokens that failed when they were asked alone: they are asked last, and not alone again.
    failing: HashSet<Address>,
}

impl BalanceReader {
    pub(super) fn new(chain: &str, fetcher: Fetcher, multicall: Option<Address>) -> Self {
        Self {
            chain: chain.to_owned(),
            fetcher,
            configured: multicall,
            multicall,
            failing: HashSet::new(),
        }
    }

    /// What was learnt may have changed: Multicall3 is deployed, tokens answer again.
    pub(super) fn begin_round(&mut self) {
        self.multicall = self.configured;
        self.failing.clear();
    }

    /// Reads holdings at the end of a block; of the newest block, where no endpoint has that one's state.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub(super) async fn read(
        &mut self,
        block: Top,
        holdings: &[Holding],
    ) -> Result<Readings, FetchError> {
        let mut wanted: Vec<Holding> = holdings.to_vec();
        // A token that uses up all gas fails those that are asked after it.
        wanted.sort_by_key(|holding| self.is_failing(holding));
        let refusal = match self.read_at(block, &wanted).await {
            Ok(answers) => return Ok(Readings { block, answers }),
            Err(Fault::Endpoint(error)) => return Err(error.into()),
            Err(Fault::NoState(reason)) => reason,
        };
        let newest = self.newest().await?;
        tracing::debug!(
            chain = self.chain,
            block = block.number,
            newest = newest.number,
            reason = refusal,
            "no endpoint has the state of the block, balances are those of the newest one"
        );
        match self.read_at(newest, &wanted).await {
            Ok(answers) => Ok(Readings { block: newest, answers }),
            Err(Fault::Endpoint(error)) => Err(error.into()),
            Err(Fault::NoState(reason)) => Err(FetchError::Endpoint(EndpointError::Refused {
                endpoint: self.chain.clone(),
                method: "eth_call",
                code: 0,
                reason: format!("no endpoint reads at the hash of a block (EIP-1898): {reason}"),
            })),
        }
    }

    fn is_failing(&self, holding: &Holding) -> bool {
        matches!(holding.asset, Asset::Token(token) if self.failing.contains(&token))
    }

    async fn newest(&self) -> Result<Top, FetchError> {
        let head = self.fetcher.pool().head().ok_or(FetchError::NoEndpoint)?;
        let header = self.fetcher.header(BlockId::Hash(head.hash)).await?;
        Ok(Top { number: header.number, hash: header.hash, time_us: header.time_us() })
    }

    /// Asks the endpoints in their order.
    async fn read_at(
        &mut self,
        block: Top,
        holdings: &[Holding],
    ) -> Result<Vec<(Holding, Answer)>, Fault> {
        let mut last =
            Fault::Endpoint(EndpointError::Disconnected { endpoint: self.chain.clone() });
        for endpoint in self.fetcher.pool().ranked(Class::Calls) {
            match self.read_on(&endpoint, At::Block(block.hash), holdings).await {
                Ok(answers) => return Ok(answers),
                Err(fault) => {
                    if let Fault::Endpoint(error) = &fault {
                        let failure = FetchError::Endpoint(error.clone());
                        self.fetcher.note_failure(&endpoint, Class::Calls, &failure);
                    }
                    // That an endpoint lacks the state is the better reason: the newest block can still be read.
                    if !matches!(last, Fault::NoState(_)) {
                        last = fault;
                    }
                }
            }
        }
        Err(last)
    }

    async fn read_on(
        &mut self,
        endpoint: &Arc<Endpoint>,
        at: At,
        holdings: &[Holding],
    ) -> Result<Vec<(Holding, Answer)>, Fault> {
        let mut answers = Vec::with_capacity(holdings.len());
        let mut groups = vec![holdings.to_vec()];
        while let Some(group) = groups.pop() {
            let Some(multicall) = self.multicall.filter(|_| group.len() > 1) else {
                answers.extend(self.read_singly(endpoint, at, &group).await?);
                continue;
            };
            let calls: Vec<ContractCall> =
                group.iter().map(|holding| balance_call(holding, multicall)).collect();
            match multicall::aggregate(endpoint, &multicall, &calls, at).await? {
                Aggregated::Results(results) => {
                    let mut again = Vec::new();
                    for (holding, bytes) in group.iter().zip(results) {
                        // It may have failed because of another one that used up the gas.
                        if bytes.is_none() && !self.is_failing(holding) {
                            again.push(*holding);
                        } else {
                            answers.push((*holding, Answer::of(bytes.as_deref())));
                        }
                    }
                    answers.extend(self.read_again(endpoint, at, again).await?);
                }
                Aggregated::NoMulticall => {
                    tracing::info!(
                        chain = self.chain,
                        %multicall,
                        "no Multicall3 at this address, balances are read one by one: set evm.chains.<chain>.multicall if it is elsewhere"
                    );
                    self.multicall = None;
                    groups.push(group);
                }
                Aggregated::Refused(reason) => {
                    if !has_state(endpoint, at).await? {
                        return Err(Fault::NoState(reason));
                    }
                    let (first, second) = group.split_at(group.len() / 2);
                    groups.extend([first.to_vec(), second.to_vec()]);
                }
            }
        }
        Ok(answers)
    }

    /// Asks once for each token, and for its other holders only if it answers.
    async fn read_again(
        &mut self,
        endpoint: &Arc<Endpoint>,
        at: At,
        holdings: Vec<Holding>,
    ) -> Result<Vec<(Holding, Answer)>, Fault> {
        let mut seen = HashSet::new();
        let (first, others): (Vec<_>, Vec<_>) =
            holdings.into_iter().partition(|holding| seen.insert(holding.asset));
        let mut answers = self.read_singly(endpoint, at, &first).await?;
        let (failing, sound): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|holding| self.is_failing(holding));
        answers.extend(failing.into_iter().map(|holding| (holding, Answer::Reverted)));
        answers.extend(self.read_singly(endpoint, at, &sound).await?);
        Ok(answers)
    }

    async fn read_singly(
        &mut self,
        endpoint: &Arc<Endpoint>,
        at: At,
        holdings: &[Holding],
    ) -> Result<Vec<(Holding, Answer)>, Fault> {
        let reads = stream::iter(holdings.iter().copied()).map(|holding| {
            let endpoint = Arc::clone(endpoint);
            async move { (holding, single(&endpoint, at, &holding).await) }
        });
        let read: Vec<_> = reads.buffer_unordered(SINGLES).collect().await;
        let mut has_the_state = false;
        let mut answers = Vec::with_capacity(read.len());
        for (holding, answer) in read {
            match answer {
                Ok(answer) => answers.push((holding, answer)),
                Err(EndpointError::Refused { reason, .. }) => {
                    has_the_state = has_the_state || has_state(endpoint, at).await?;
                    if !has_the_state {
                        return Err(Fault::NoState(reason));
                    }
                    if let Asset::Token(token) = holding.asset
                        && self.failing.len() < MAX_FAILING
                    {
                        self.failing.insert(token);
                    }
                    answers.push((holding, Answer::Reverted));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(answers)
    }
}

fn balance_call(holding: &Holding, multicall: Address) -> ContractCall {
    match holding.asset {
        Asset::Native => ContractCall::with_address(multicall, &NATIVE_BALANCE, &holding.wallet),
        Asset::Token(token) => ContractCall::with_address(token, &BALANCE_OF, &holding.wallet),
    }
}

async fn single(endpoint: &Endpoint, at: At, holding: &Holding) -> Result<Answer, EndpointError> {
    match holding.asset {
        Asset::Native => native(endpoint, at, &holding.wallet).await.map(Answer::Balance),
        Asset::Token(token) => {
            let call = ContractCall::with_address(token, &BALANCE_OF, &holding.wallet);
            let bytes = multicall::call(endpoint, &call, at).await?;
            // Too much of an answer is none.
            Ok(bytes.map_or(Answer::NotANumber, |bytes| Answer::of(Some(&bytes))))
        }
    }
}

async fn native(endpoint: &Endpoint, at: At, wallet: &Address) -> Result<U256, EndpointError> {
    let method = "eth_getBalance";
    let params = (json!(wallet), at);
    let answer = endpoint.call_as(Class::Calls, method, params).await?;
    let balance = serde_json::from_str::<Hex<U256>>(answer.text());
    balance.map(|Hex(balance)| balance).map_err(|_| EndpointError::Answer {
        endpoint: endpoint.label().to_owned(),
        method,
        reason: "no hex number".to_owned(),
    })
}

/// Whether an endpoint has the state of a block: refusals have many texts, and this request only fails without it.
async fn has_state(endpoint: &Endpoint, at: At) -> Result<bool, EndpointError> {
    match native(endpoint, at, &Address::ZERO).await {
        Ok(_) => Ok(true),
        Err(EndpointError::Refused { .. } | EndpointError::Unsupported { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn selectors_are_those_of_their_signatures() {
        assert_eq!(BALANCE_OF, keccak256("balanceOf(address)")[..4]);
        assert_eq!(NATIVE_BALANCE, keccak256("getEthBalance(address)")[..4]);
    }

    #[test]
    fn only_one_word_is_a_balance() {
        let word = U256::from(7).to_be_bytes::<32>();
        assert_eq!(Answer::of(Some(&word)), Answer::Balance(U256::from(7)));
        assert_eq!(Answer::of(None), Answer::Reverted);
        for rubbish in [&[][..], &word[..31], &[word, word].concat()] {
            assert_eq!(Answer::of(Some(rubbish)), Answer::NotANumber);
        }
    }
}
