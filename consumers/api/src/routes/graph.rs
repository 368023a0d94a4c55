//! Who dealt with whom around an address.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use axum::{Json, extract::State};
use crypto_intel_schemas::Address;
use crypto_intel_store::{LabelBook, PairAsset, PairLine, WalletRow};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    graph::{Cut, GraphQuestion, Node, Stop, graph},
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::Window,
    parameters::{
        Asked, parameters,
        reader::Needed,
        values::{AddressValue, Between, ChainSlug, Dollars, Flag, Moment},
    },
    problem::{Problem, ProblemKind},
    state::ApiState,
};

/// How long a request may wait for its turn.
const MAX_WAIT: Duration = Duration::from_secs(1);

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Chain, cost::GRAPH).by_position_of(OF_CHAINS);
    OpenApiRouter::new().routes(guard.of(routes!(around)))
}

type Depth = Between<1, 2, 1>;
type Nodes = Between<2, 500, 100>;

parameters! {
    /// Which graph.
    pub(crate) struct GraphParameters {
        /// The address in the middle.
        pub(crate) address: Needed<AddressValue>,
        /// Only of this chain; may be repeated.
        pub(crate) chain: Vec<ChainSlug>,
        /// 1: with whom it dealt; 2: with whom they dealt, too.
        pub(crate) depth: Option<Depth>,
        /// So many addresses at most.
        pub(crate) limit: Option<Nodes>,
        /// Only edges of at least so many US dollars.
        pub(crate) min_usd: Option<Dollars>,
        /// With false tokens that are not on the list of known ones, too: anybody may claim that they moved.
        pub(crate) verified: Option<Flag>,
        /// From then on; seven days before `until` without a word.
        pub(crate) since: Option<Moment>,
        /// Up to then; now without a word.
        pub(crate) until: Option<Moment>,
    }
}

/// Addresses and what they sent each other.
#[derive(Debug, Serialize, ToSchema)]
struct GraphAnswer {
    /// The address in the middle.
    root: String,
    /// The time that was looked at.
    window: Window,
    /// How far the tables had read each stream.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    as_of: BTreeMap<String, u64>,
    /// The address in the middle, then the others, nearer ones first, of those the ones with the most dollars.
    nodes: Vec<NodeItem>,
    /// What was sent, the most dollars first.
    edges: Vec<EdgeItem>,
    /// How many addresses were found, also those that are not shown.
    found_nodes: usize,
    /// What was left out; empty where this is all.
    truncated: Vec<Truncation>,
}

/// An address of a graph.
#[derive(Debug, Serialize, ToSchema)]
struct NodeItem {
    /// The address.
    address: String,
    /// 0 for the one in the middle, 1 for those that it dealt with, 2 for theirs.
    level: u32,
    /// What it is called by the watch-list, else by labels.
    label: Option<String>,
    /// Tags of its entries in the watch-list.
    tags: Vec<String>,
    /// On which lists it is: what sources say that it is, such as `exchange`, `sanctioned` first.
    categories: Vec<String>,
    /// Whether it is watched now.
    watched: bool,
    /// Why it was not gone through: `service` or `hub`.
    stop: Option<&'static str>,
    /// With how many it dealt, where that was read.
    counterparties: Option<usize>,
}

/// What one address sent to another.
#[derive(Debug, Serialize, ToSchema)]
struct EdgeItem {
    /// Who sent.
    from: String,
    /// Who received.
    to: String,
    /// How many transfers.
    transfers: u64,
    /// How many of them have a price.
    priced: u64,
    /// Sum of those, US dollars as decimal text.
    usd: String,
    /// The first of them, microseconds UTC.
    first_at_us: i64,
    /// The last of them, microseconds UTC.
    last_at_us: i64,
    /// How many different assets.
    assets: u64,
    /// Of them the five with the most dollars.
    top_assets: Vec<AssetItem>,
}

/// An asset of an edge.
#[derive(Debug, Serialize, ToSchema)]
struct AssetItem {
    /// The chain.
    chain: String,
    /// Contract of the token; null for the chain's own currency.
    token: Option<String>,
    /// Its symbol, where it is known.
    symbol: Option<String>,
    /// How many transfers.
    transfers: u64,
    /// Sum of those with a price, US dollars as decimal text.
    usd: String,
}

/// What a graph lacks.
#[derive(Debug, Serialize, ToSchema)]
struct Truncation {
    /// `rows`, `nodes`, `expanded` or `edges`.
    what: &'static str,
    /// The same for people.
    detail: String,
}

/// With whom an address dealt, and with whom they dealt: sums by pairs of addresses. Services and addresses with more than 100
/// counterparties are shown and not gone through. Transfers to oneself, failed ones and those of nothing are left out.
#[utoipa::path(
    get,
    path = "/api/v1/graph",
    tag = "wallets",
    params(GraphParameters),
    responses((status = 200, body = GraphAnswer))
)]
async fn around(
    State(state): State<ApiState>,
    caller: Caller,
    AsOf(as_of): AsOf,
    asked: Asked<GraphParameters>,
) -> Result<Json<GraphAnswer>, Problem> {
    let wanted = asked.parameters;
    let window = Window::new(wanted.since, wanted.until)?;
    let chains: Vec<String> = wanted.chain.into_iter().map(|chain| chain.0).collect();
    let question = GraphQuestion {
        root: wanted.address.0.0,
        depth: Depth::or_default(wanted.depth),
        nodes: Nodes::or_default(wanted.limit) as usize,
        min_usd: wanted.min_usd.and_then(|usd| usd.0.parse().ok()).unwrap_or_default(),
        chains: caller.chains_of(&chains),
        verified: wanted.verified.is_none_or(|flag| flag.0),
        since_us: window.since_us,
        until_us: window.until_us,
    };
    let turn = tokio::time::timeout(MAX_WAIT, state.graphs.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        let problem = Problem::new(ProblemKind::Busy, "other graphs are being made");
        return Err(problem.after(MAX_WAIT));
    };
    let made = graph(&state.store, &question).await?;
    let addresses: Vec<Address> = made.nodes.iter().map(|node| node.address).collect();
    let (labels, watched) =
        tokio::join!(state.store.labels_of(&addresses), state.store.watched_of(&addresses));
    let names = Names { caller: &caller, labels: labels?, watched: by_address(watched?) };
    Ok(Json(GraphAnswer {
        root: text(&question.root),
        window,
        as_of,
        nodes: made.nodes.iter().map(|node| names.item(node)).collect(),
        edges: made.edges.into_iter().map(EdgeItem::from).collect(),
        found_nodes: made.found,
        truncated: made.cut.into_iter().map(Truncation::from).collect(),
    }))
}

fn text(address: &Address) -> String {
    format!("{address:#x}")
}

fn by_address(rows: Vec<WalletRow>) -> HashMap<Address, Vec<WalletRow>> {
    let mut entries: HashMap<Address, Vec<WalletRow>> = HashMap::new();
    for row in rows {
        entries.entry(row.address).or_default().push(row);
    }
    entries
}

/// What is said of addresses.
struct Names<'c> {
    caller: &'c Caller,
    labels: LabelBook,
    watched: HashMap<Address, Vec<WalletRow>>,
}

impl Names<'_> {
    fn item(&self, node: &Node) -> NodeItem {
        let sees = |chain: &str| chain == "all" || self.caller.sees(chain);
        let entries = self.watched.get(&node.address).into_iter().flatten();
        let entries: Vec<&WalletRow> = entries.filter(|row| sees(&row.chain)).collect();
        let said = self.labels.all(&node.address).iter();
        let said: Vec<_> = said.filter(|line| sees(&line.chain)).collect();
        let own = entries.iter().find_map(|row| row.label.clone());
        let tags: BTreeSet<String> =
            entries.iter().flat_map(|row| row.tags.iter().cloned()).collect();
        let categories: BTreeSet<(bool, &str)> = said
            .iter()
            .map(|line| (line.category != "sanctioned", line.category.as_str()))
            .collect();
        NodeItem {
            address: text(&node.address),
            level: node.level,
            label: own.or_else(|| said.iter().find_map(|line| line.name.clone())),
            tags: tags.into_iter().collect(),
            categories: categories.into_iter().map(|(_, category)| category.to_owned()).collect(),
            watched: !entries.is_empty(),
            stop: node.stop.map(|stop| match stop {
                Stop::Service => "service",
                Stop::Hub => "hub",
            }),
            counterparties: node.degree,
        }
    }
}

impl From<PairLine> for EdgeItem {
    fn from(line: PairLine) -> Self {
        Self {
            from: text(&line.from),
            to: text(&line.to),
            transfers: line.transfers,
            priced: line.priced,
            usd: line.usd,
            first_at_us: line.between_us.0,
            last_at_us: line.between_us.1,
            assets: line.assets,
            top_assets: line.top_assets.into_iter().map(AssetItem::from).collect(),
        }
    }
}

impl From<PairAsset> for AssetItem {
    fn from(asset: PairAsset) -> Self {
        Self {
            chain: asset.chain,
            token: asset.token.as_ref().map(text),
            symbol: asset.symbol,
            transfers: asset.transfers,
            usd: asset.usd,
        }
    }
}

impl From<(Cut, String)> for Truncation {
    fn from((cut, detail): (Cut, String)) -> Self {
        let what = match cut {
            Cut::Rows => "rows",
            Cut::Nodes => "nodes",
            Cut::Expanded => "expanded",
            Cut::Edges => "edges",
        };
        Self { what, detail }
    }
}
