//! Who may move an address's tokens.

use axum::extract::State;
use crypto_intel_schemas::{Address, Decimal, U256};
use crypto_intel_store::{ApprovalFilter, ApprovalKind, ApprovalLine, LabelBook};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{OfWallet, text};
use crate::{
    auth::{Caller, scopes::Scope},
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::Page,
    parameters::{
        Asked, At, parameters,
        values::{AddressValue, ChainSlug, Flag, Limit},
    },
    problem::Problem,
    state::ApiState,
    tokens::TokenFacts,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Chain, cost::LIST).by_position_of(OF_CHAINS);
    OpenApiRouter::new().routes(guard.of(routes!(approvals)))
}

parameters! {
    /// Which approvals.
    pub(crate) struct ApprovalParameters {
        /// Only of this chain; may be repeated.
        pub(crate) chain: Vec<ChainSlug>,
        /// Only of this token.
        pub(crate) token: Option<AddressValue>,
        /// With true only those that no amount bounds.
        pub(crate) unlimited: Option<Flag>,
        /// How many are answered.
        pub(crate) limit: Option<Limit>,
    }
}

/// What an approval lets be moved.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Moves {
    /// An amount of an ERC-20 token.
    Allowance,
    /// One NFT.
    Nft,
    /// Every NFT of a contract.
    Collection,
}

/// An approval that was not withdrawn.
#[derive(Debug, Serialize, ToSchema)]
struct Approval {
    /// The chain.
    chain: String,
    /// Contract of the token.
    token: String,
    /// Its symbol, where it is known.
    symbol: Option<String>,
    /// Whether the token is verified by the list of known ones.
    verified: bool,
    /// Who may move it.
    spender: String,
    /// What the spender is called by labels.
    spender_label: Option<String>,
    /// What the spender is, by labels, `sanctioned` first.
    spender_tags: Vec<String>,
    /// What may be moved.
    kind: Moves,
    /// How many were approved, in the smallest unit, decimal text; null of NFTs.
    value: Option<String>,
    /// The same in whole tokens, where the decimals are known.
    amount: Option<String>,
    /// Which NFT, decimal text.
    token_id: Option<String>,
    /// Whether no amount bounds it.
    unlimited: bool,
    /// Time of its block, microseconds UTC.
    block_time_us: i64,
    /// Its block.
    block_number: u64,
    /// Its transaction.
    tx_hash: String,
}

impl Approval {
    fn new(line: ApprovalLine, token: TokenFacts, labels: &LabelBook) -> Self {
        let value = line.value.as_deref().and_then(|value| U256::from_str_radix(value, 10).ok());
        let amount = value.zip(token.decimals);
        let amount = amount.map(|(value, decimals)| Decimal::from_units(value, decimals));
        Self {
            token: text(&line.token),
            symbol: token.symbol,
            verified: token.verified,
            spender: text(&line.spender),
            spender_label: labels.name(&line.chain, &line.spender).map(ToOwned::to_owned),
            spender_tags: labels.tags(&line.chain, &line.spender),
            kind: match line.kind {
                ApprovalKind::Allowance => Moves::Allowance,
                ApprovalKind::Nft => Moves::Nft,
                ApprovalKind::Collection => Moves::Collection,
            },
            amount: amount.map(|amount| amount.to_string()),
            value: line.value,
            token_id: line.token_id,
            unlimited: line.unlimited,
            block_time_us: line.block_time_us,
            block_number: line.block_number,
            tx_hash: format!("{:#x}", line.tx_hash),
            chain: line.chain,
        }
    }
}

/// Approvals of an address that no later one withdrew, newest first, however old they are. What a spender used of an amount since, and
/// an NFT that moved since, is not taken off: the chain says no approval of that. At most `limit`; the newest 10,000 approvals of
/// the address are looked through.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{address}/approvals",
    tag = "wallets",
    params(OfWallet, ApprovalParameters),
    responses((status = 200, body = Page<Approval>))
)]
async fn approvals(
    State(state): State<ApiState>,
    caller: Caller,
    At(address): At<AddressValue>,
    AsOf(as_of): AsOf,
    asked: Asked<ApprovalParameters>,
) -> Result<Page<Approval>, Problem> {
    let wanted = asked.parameters;
    let chains: Vec<String> = wanted.chain.into_iter().map(|chain| chain.0).collect();
    let filter = ApprovalFilter {
        chains: caller.chains_of(&chains),
        token: wanted.token.map(|token| token.0),
        unlimited: wanted.unlimited.is_some_and(|flag| flag.0),
    };
    let most = Limit::or_default(wanted.limit);
    let mut found = state.store.open_approvals(address.0, &filter, most + 1).await?;
    let mut warnings = Vec::new();
    if found.lines.len() > most as usize {
        found.lines.truncate(most as usize);
        warnings.push(format!("there are more than {most}: ask with a chain or a token"));
    }
    if found.looked_since_us.is_some() {
        warnings
            .push("only the newest 10,000 approvals of the address were looked through".to_owned());
    }
    let mut spenders: Vec<Address> = found.lines.iter().map(|line| line.spender).collect();
    spenders.sort_unstable();
    spenders.dedup();
    let labels = state.store.labels_of(&spenders).await?;
    let items = found.lines.into_iter().map(|line| {
        let token = state.tokens.get(&line.chain, &line.token).map(|(facts, _)| facts);
        Approval::new(line, token.unwrap_or_default(), &labels)
    });
    Ok(Page { as_of, warnings, ..Page::whole(items.collect()) })
}
