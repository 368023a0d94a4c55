//! Addresses and what they sent each other, around one of them. Every step is bounded, and whatever was left out is said.
//!
//! Services, such as exchanges, deal with everybody: behind them everything is connected with everything. They are shown, and
//! are not gone through.

use std::collections::{BTreeMap, HashMap, HashSet};

use crypto_intel_schemas::Address;
use crypto_intel_store::{LabelBook, PairFilter, PairLine, Pairs, Store, StoreError};

/// Rows of each table and side that are read of the address in the middle, and of those beside it.
const ROWS_OF_ROOT: u32 = 5_000;
const ROWS_OF_OTHERS: u32 = 500;
/// So many addresses beside the one in the middle are gone through.
const MAX_EXPANDED: usize = 20;
/// An address with more counterparties is a service, whether a label says so or not.
const HUB_DEGREE: usize = 100;
/// Edges of one answer.
const MAX_EDGES: usize = 2_000;

/// Categories of labels whose addresses are not gone through.
const SERVICES: [&str; 11] = [
    "bridge",
    "burn",
    "defi",
    "dex",
    "exchange",
    "exchange_deposit",
    "mev",
    "miner",
    "mixer",
    "router",
    "token",
];

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct GraphQuestion {
    pub(crate) root: Address,
    /// 1: those that it dealt with; 2: those that they dealt with, too.
    pub(crate) depth: u32,
    /// So many addresses at most.
    pub(crate) nodes: usize,
    /// Only between addresses where one sent the other at least so much.
    pub(crate) min_usd: f64,
    pub(crate) chains: Option<Vec<String>>,
    pub(crate) verified: bool,
    pub(crate) since_us: i64,
    pub(crate) until_us: i64,
}

/// Why something is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cut {
    /// Addresses have more rows than were read.
    Rows,
    /// There are more addresses.
    Nodes,
    /// More addresses could be gone through.
    Expanded,
    /// There are more edges.
    Edges,
}

/// Why an address was not gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A label says that it is a service.
    Service,
    /// It dealt with too many.
    Hub,
}

/// An address of the graph.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) address: Address,
    pub(crate) level: u32,
    pub(crate) stop: Option<Stop>,
    /// Distinct counterparties, of addresses whose rows were read.
    pub(crate) degree: Option<usize>,
}

/// The graph.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<PairLine>,
    /// Addresses that were found, also those that are not shown.
    pub(crate) found: usize,
    pub(crate) cut: BTreeMap<Cut, String>,
}

/// Reads and puts it together.
///
/// # Errors
/// When the database does not answer, or a question takes too long.
pub(crate) async fn graph(store: &Store, question: &GraphQuestion) -> Result<Graph, StoreError> {
    let mut making = Making::new(question);
    let pairs = store.pairs_of(&[question.root], &question.filter(ROWS_OF_ROOT)).await?;
    making.add(&[question.root], pairs, ROWS_OF_ROOT);
    let fan = if question.depth > 1 { (question.nodes / 4).max(5) } else { question.nodes };
    let beside = making.take(question.root, fan, 1);
    if question.depth > 1 {
        let labels = store.labels_of(&beside).await?;
        let through = making.passable(&beside, &labels);
        let pairs = store.pairs_of(&through, &question.filter(ROWS_OF_OTHERS)).await?;
        making.add(&through, pairs, ROWS_OF_OTHERS);
        for address in through {
            if !making.stops_at(address) {
                making.take(address, fan, 2);
            }
        }
    }
    Ok(making.finish())
}

impl GraphQuestion {
    fn filter(&self, rows: u32) -> PairFilter {
        PairFilter {
            chains: self.chains.clone(),
            verified: self.verified,
            since_us: self.since_us,
            until_us: self.until_us,
            rows,
        }
    }
}

/// A graph while it is made.
struct Making<'q> {
    question: &'q GraphQuestion,
    /// Of each pair what was read of the end that has more of it.
    pairs: HashMap<(Address, Address), PairLine>,
    /// With whom each address dealt whose rows were read, the largest first.
    beside: HashMap<Address, Vec<Address>>,
    nodes: Vec<Node>,
    known: HashSet<Address>,
    cut: BTreeMap<Cut, String>,
}

impl<'q> Making<'q> {
    fn new(question: &'q GraphQuestion) -> Self {
        let root = Node { address: question.root, level: 0, stop: None, degree: None };
        Self {
            question,
            pairs: HashMap::new(),
            beside: HashMap::new(),
            nodes: vec![root],
            known: HashSet::from([question.root]),
            cut: BTreeMap::new(),
        }
    }

    /// What was read of these addresses.
    fn add(&mut self, asked: &[Address], read: Pairs, rows: u32) {
        if let Some(first) = read.cut.iter().min() {
            let detail = format!(
                "of {} addresses, such as {first:#x}, the newest {rows} transfers of each table and side were read: \
                 ask for a shorter time",
                read.cut.len()
            );
            self.cut.insert(Cut::Rows, detail);
        }
        // Dollars and transfers with each counterparty, both ways.
        let mut sums: HashMap<Address, HashMap<Address, (f64, u64)>> =
            asked.iter().map(|address| (*address, HashMap::new())).collect();
        for line in read.lines {
            if dollars(&line) < self.question.min_usd {
                continue;
            }
            let other = if line.from == line.asked { line.to } else { line.from };
            let sum = sums.entry(line.asked).or_default().entry(other).or_default();
            *sum = (sum.0 + dollars(&line), sum.1 + line.transfers);
            let pair = (line.from, line.to);
            if self.pairs.get(&pair).is_none_or(|known| known.transfers < line.transfers) {
                self.pairs.insert(pair, line);
            }
        }
        for (address, sums) in sums {
            let mut beside: Vec<(Address, (f64, u64))> = sums.into_iter().collect();
            beside.sort_by(|(one, (one_usd, one_count)), (two, (two_usd, two_count))| {
                two_usd.total_cmp(one_usd).then(two_count.cmp(one_count)).then(one.cmp(two))
            });
            if let Some(node) = self.nodes.iter_mut().find(|node| node.address == address) {
                node.degree = Some(beside.len());
                let is_hub = node.level > 0 && beside.len() > HUB_DEGREE;
                node.stop = node.stop.or(is_hub.then_some(Stop::Hub));
            }
            self.beside.insert(address, beside.into_iter().map(|(other, _)| other).collect());
        }
    }

    /// Shows the first of those that an address dealt with; answers those that are new.
    fn take(&mut self, address: Address, fan: usize, level: u32) -> Vec<Address> {
        let beside = self.beside.get(&address).cloned().unwrap_or_default();
        let mut new = Vec::new();
        for other in beside.into_iter().filter(|other| !self.known.contains(other)) {
            if new.len() >= fan || self.nodes.len() + new.len() >= self.question.nodes {
                break;
            }
            new.push(other);
        }
        self.known.extend(&new);
        self.nodes.extend(new.iter().map(|address| Node {
            address: *address,
            level,
            stop: None,
            degree: None,
        }));
        new
    }

    /// Those of these addresses that can be gone through.
    fn passable(&mut self, beside: &[Address], labels: &LabelBook) -> Vec<Address> {
        let is_service = |address: &Address| {
            let mut said = labels.all(address).iter();
            *address == Address::ZERO || said.any(|line| SERVICES.contains(&line.category.as_str()))
        };
        let services: HashSet<Address> = beside.iter().copied().filter(is_service).collect();
        for node in &mut self.nodes {
            node.stop = services.contains(&node.address).then_some(Stop::Service);
        }
        let mut through: Vec<Address> =
            beside.iter().copied().filter(|address| !services.contains(address)).collect();
        if through.len() > MAX_EXPANDED {
            let detail = format!(
                "{MAX_EXPANDED} of {} addresses beside the one in the middle were gone through, those with the most dollars",
                through.len()
            );
            self.cut.insert(Cut::Expanded, detail);
            through.truncate(MAX_EXPANDED);
        }
        through
    }

    fn stops_at(&self, address: Address) -> bool {
        self.nodes.iter().any(|node| node.address == address && node.stop.is_some())
    }

    fn finish(mut self) -> Graph {
        let passed = self.nodes.iter().filter(|node| node.stop.is_none());
        let mut found: HashSet<Address> =
            passed.filter_map(|node| self.beside.get(&node.address)).flatten().copied().collect();
        found.extend(&self.known);
        if found.len() > self.nodes.len() {
            let detail = format!(
                "{} of {} addresses are shown, those with the most dollars and then the most transfers",
                self.nodes.len(),
                found.len()
            );
            self.cut.insert(Cut::Nodes, detail);
        }
        let known = &self.known;
        let mut edges: Vec<PairLine> = self
            .pairs
            .into_values()
            .filter(|line| known.contains(&line.from) && known.contains(&line.to))
            .collect();
        edges.sort_by(|one, two| {
            let by_size = dollars(two).total_cmp(&dollars(one));
            by_size
                .then(two.transfers.cmp(&one.transfers))
                .then((one.from, one.to).cmp(&(two.from, two.to)))
        });
        if edges.len() > MAX_EDGES {
            let detail = format!("{MAX_EDGES} of {} edges are shown", edges.len());
            self.cut.insert(Cut::Edges, detail);
            edges.truncate(MAX_EDGES);
        }
        Graph { nodes: self.nodes, edges, found: found.len(), cut: self.cut }
    }
}

/// For comparing; what is shown is exact.
fn dollars(line: &PairLine) -> f64 {
    line.usd.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u16) -> Address {
        let mut bytes = [0; 20];
        bytes[18..].copy_from_slice(&number.to_be_bytes());
        Address::from(bytes)
    }

    fn line(asked: u16, from: u16, to: u16, usd: u32) -> PairLine {
        PairLine {
            asked: address(asked),
            from: address(from),
            to: address(to),
            transfers: 1,
            priced: 1,
            usd: usd.to_string(),
            between_us: (1, 2),
            assets: 1,
            top_assets: Vec::new(),
        }
    }

    fn question(depth: u32, nodes: usize, min_usd: f64) -> GraphQuestion {
        GraphQuestion {
            root: address(1),
            depth,
            nodes,
            min_usd,
            chains: None,
            verified: true,
            since_us: 0,
            until_us: 1,
        }
    }

    fn read(lines: Vec<PairLine>) -> Pairs {
        Pairs { lines, cut: Vec::new() }
    }

    fn numbers(nodes: &[Node]) -> Vec<u64> {
        let number = |node: &Node| u64::from_be_bytes(node.address[12..].try_into().unwrap());
        nodes.iter().map(number).collect()
    }

    #[test]
    fn the_largest_are_shown_and_the_others_told() {
        let question = question(1, 3, 5.0);
        let mut making = Making::new(&question);
        let lines = vec![line(1, 1, 2, 10), line(1, 3, 1, 30), line(1, 1, 4, 20), line(1, 1, 5, 4)];
        making.add(&[address(1)], read(lines), 9);
        making.take(address(1), 3, 1);
        let graph = making.finish();
        assert_eq!(numbers(&graph.nodes), [1, 3, 4]);
        assert_eq!(
            graph.edges.iter().map(|edge| edge.usd.as_str()).collect::<Vec<_>>(),
            ["30", "20"]
        );
        assert_eq!((graph.found, graph.nodes[0].degree), (4, Some(3)), "5 is below the least");
        assert!(graph.cut[&Cut::Nodes].starts_with("3 of 4 "), "{:?}", graph.cut);
    }

    #[test]
    fn a_hub_is_shown_and_not_gone_through() {
        let question = question(2, 500, 0.0);
        let mut making = Making::new(&question);
        making.add(&[address(1)], read(vec![line(1, 1, 2, 10), line(1, 1, 3, 5)]), 9);
        let beside = making.take(address(1), 50, 1);
        let through = making.passable(&beside, &LabelBook::default());
        assert_eq!(through, [address(2), address(3)]);
        let mut lines: Vec<PairLine> = (10..=110).map(|other| line(2, 2, other, 1)).collect();
        // Both ends tell of a pair, the one that was read less of less.
        lines.extend([line(2, 1, 2, 10), line(2, 2, 3, 7), line(3, 2, 3, 7), line(3, 3, 200, 1)]);
        making.add(&through, Pairs { lines, cut: vec![address(2)] }, 9);
        assert!(making.stops_at(address(2)) && !making.stops_at(address(3)));
        making.take(address(3), 50, 2);
        let graph = making.finish();
        assert_eq!(numbers(&graph.nodes), [1, 2, 3, 200]);
        assert_eq!(
            graph.edges.len(),
            4,
            "once each, those between shown addresses: {:?}",
            graph.edges
        );
        assert_eq!(graph.nodes[1].stop, Some(Stop::Hub));
        assert_eq!(graph.cut.keys().copied().collect::<Vec<_>>(), [Cut::Rows]);
    }

    #[test]
    fn the_zero_address_is_no_way_between_others() {
        let question = question(2, 500, 0.0);
        let mut making = Making::new(&question);
        making.add(&[address(1)], read(vec![line(1, 0, 1, 10)]), 9);
        let beside = making.take(address(1), 50, 1);
        assert!(making.passable(&beside, &LabelBook::default()).is_empty());
        assert_eq!(making.finish().nodes[1].stop, Some(Stop::Service));
    }
}
