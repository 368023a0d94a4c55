//! Ten wallets on a real EVM node: every transaction, transfer, balance and NFT of theirs is what the node itself says.

use std::path::Path;

use alloy_primitives::{Address, U256};
use crypto_intel_sandbox::{
    Anvil, AnvilOptions,
    evm::{Contracts, OddContract, address_word, call_data, call_transaction, execute_transaction},
};
use crypto_intel_testkit::{Python, SeededRandom, anvil, eventually, python, sql_client};
use futures::TryStreamExt as _;
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::servers::Servers;

const ETHER: u128 = 1_000_000_000_000_000_000;
const GAS: &str = "0x30d40";
/// NFTs of each kind that change hands.
const UNIQUE: u64 = 5;
const ITEMS: u64 = 3;

/// The rows that the other program compares, by the name of their file.
const ROWS: [(&str, &str); 7] = [
    (
        "balances",
        "SELECT block_number, lpad(to_hex(block_tag), 8, '0') AS block_tag, hex_text(address) AS address, \
         hex_text(token) AS token, raw, is_on_chain(chain, block_number, block_tag) AS canonical FROM balances",
    ),
    (
        "newest",
        "SELECT hex_text(address) AS address, hex_text(token) AS token, raw \
         FROM wallets CROSS JOIN LATERAL wallet_balances(address)",
    ),
    (
        "nfts",
        "SELECT hex_text(address) AS wallet, hex_text(token) AS token, token_id, amount \
         FROM wallets CROSS JOIN LATERAL wallet_nfts(address)",
    ),
    (
        "transactions",
        "SELECT hex_text(tx_hash) AS tx_hash, succeeded, tx_type, fee, hex_text(contract) AS contract FROM transactions",
    ),
    (
        "tokens",
        "SELECT hex_text(block_hash) AS block_hash, log_index, hex_text(token) AS token, standard, \
         hex_text(sender) AS sender, hex_text(recipient) AS recipient, token_id, value FROM v_token_transfers",
    ),
    (
        "native",
        "SELECT hex_text(tx_hash) AS tx_hash, hex_text(sender) AS sender, hex_text(recipient) AS recipient, value \
         FROM native_transfers",
    ),
    (
        "internal",
        "SELECT hex_text(tx_hash) AS tx_hash, hex_text(sender) AS sender, hex_text(recipient) AS recipient, value \
         FROM internal_transfers",
    ),
];

/// The node, and who and what is on it.
struct World {
    node: Anvil,
    /// Not watched: deploys, and mints.
    owner: Address,
    /// Accounts, and a contract wallet.
    wallets: Vec<Address>,
    proxy: Address,
    contracts: Contracts,
    odd: Address,
    collection: Address,
    random: SeededRandom,
}

impl World {
    async fn begin() -> Option<Self> {
        let options = AnvilOptions { manual_mining: true, ..AnvilOptions::default() };
        let node = anvil(options).await?;
        node.rpc().call("evm_setAutomine", json!([true])).await.unwrap();
        let accounts: Vec<Address> =
            node.accounts().await.unwrap().iter().map(|account| account.parse().unwrap()).collect();
        let owner = accounts[0];
        let contracts = Contracts::deploy(node.rpc(), owner).await.unwrap();
        let deploy =
            async |contract: OddContract| contract.deploy(node.rpc(), owner).await.unwrap();
        let odd = deploy(OddContract::OddToken).await;
        let collection = deploy(OddContract::Collection).await;
        let proxy = deploy(OddContract::Wallet).await;
        let wallets = accounts[1..].iter().copied().chain([proxy]).collect();
        let random = SeededRandom::from_environment();
        let world = Self { node, owner, wallets, proxy, contracts, odd, collection, random };
        for wallet in &world.wallets {
            world.send(&world.contracts.mint(owner, *wallet, 1_000_000_000)).await;
            let words = [address_word(*wallet), U256::from(ETHER)];
            world.send(&call_transaction(owner, odd, "mint(address,uint256)", &words)).await;
        }
        world.send(&pay(owner, proxy, 50 * ETHER)).await;
        Some(world)
    }

    async fn send(&self, transaction: &Value) {
        self.node.send(transaction).await.unwrap();
    }

    fn pick(&mut self) -> Address {
        self.wallets[self.random.random_range(0..self.wallets.len() as u64) as usize]
    }

    /// An account that can sign.
    fn signer(&mut self) -> Address {
        self.wallets[self.random.random_range(0..self.wallets.len() as u64 - 1) as usize]
    }

    /// A transaction of some kind, each kind as often as the others.
    fn some_transaction(&mut self) -> Value {
        let (from, to) = (self.signer(), self.pick());
        let amount = u128::from(self.random.random_range(0..1_000_u64)) + 1;
        let (kind, id) = (self.random.random_range(0..14), self.random.random_range(0..UNIQUE));
        let word = |number: u64| U256::from(number);
        match kind {
            0 => pay(from, to, amount * 1_000_000_000),
            1 => self.contracts.transfer(from, to, amount),
            // More than anybody has.
            2 => self.contracts.transfer(from, to, u128::MAX),
            3 => self.contracts.approve(from, to, amount),
            4 => {
                let words = [address_word(to), U256::from(amount * 1_000)];
                call_transaction(from, self.odd, "transfer(address,uint256)", &words)
            }
            5 => call_transaction(
                self.owner,
                self.collection,
                "give(address,uint256)",
                &[address_word(to), word(id)],
            ),
            6 => {
                let words = [address_word(to), word(id % ITEMS), word(10)];
                call_transaction(
                    self.owner,
                    self.collection,
                    "mint(address,uint256,uint256)",
                    &words,
                )
            }
            7 => {
                // Fails where it has none.
                let words = [address_word(to), word(id % ITEMS), word(1)];
                call_transaction(from, self.collection, "move(address,uint256,uint256)", &words)
            }
            8 => execute_transaction(from, self.proxy, to, amount * 1_000_000, &[]),
            9 => {
                let words = [address_word(to), U256::from(amount)];
                let data = call_data("transfer(address,uint256)", &words);
                execute_transaction(from, self.proxy, self.contracts.token, 0, &data)
            }
            10 => pay(from, self.proxy, amount * 1_000_000),
            // Creates a contract whose code reverts whatever it is asked.
            11 => {
                let code = "0x600580600b6000396000f360006000fd";
                json!({ "from": from, "data": code, "value": "0x5", "gas": GAS })
            }
            12 => {
                let authorization = json!({
                    "chainId": "0x7a69", "address": self.collection, "nonce": "0x0", "yParity": "0x0", "r": "0x1", "s": "0x1",
                });
                json!({ "from": from, "to": to, "value": "0x3", "gas": GAS, "authorizationList": [authorization] })
            }
            _ => {
                json!({ "from": from, "to": to, "value": "0x9", "gas": GAS, "gasPrice": "0x77359400" })
            }
        }
    }

    async fn traffic(&mut self, transactions: usize) {
        for _ in 0..transactions {
            let transaction = self.some_transaction();
            self.send(&transaction).await;
        }
    }

    async fn odd(&self, signature: &str, number: u64) {
        self.send(&call_transaction(self.owner, self.odd, signature, &[U256::from(number)])).await;
    }
}

fn pay(from: Address, to: Address, wei: u128) -> Value {
    json!({ "from": from, "to": to, "value": format!("{wei:#x}"), "gas": GAS })
}

/// Writes the rows as CSV.
async fn export(servers: &Servers, folder: &Path) {
    let client = sql_client(&servers.database_url).await;
    for (name, query) in ROWS {
        let copy = format!("COPY ({query}) TO STDOUT (FORMAT csv, HEADER)");
        let chunks: Vec<bytes::Bytes> =
            client.copy_out(&copy).await.unwrap().try_collect().await.unwrap();
        std::fs::write(folder.join(format!("{name}.csv")), chunks.concat()).unwrap();
    }
}

/// Waits until what is stored is what the node says: how many of each the other program counted.
async fn until_true(world: &World, servers: &Servers, python: &Python) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let setup = json!({
        "wallets": world.wallets,
        "tokens": [world.contracts.token, world.odd],
        "collections": [world.collection],
        "unique": (0..UNIQUE).collect::<Vec<_>>(),
        "items": (0..ITEMS).collect::<Vec<_>>(),
    });
    std::fs::write(folder.path().join("wallets.json"), setup.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/wallets_truth.py");
    let arguments = [world.node.http_url(), folder.path().display().to_string()];
    let told = eventually(async || {
        export(servers, folder.path()).await;
        let told = python.run_async(&script, &arguments).await;
        told.inspect_err(|error| eprintln!("{error:#}\n{}", servers.log_tail()))
    })
    .await;
    eprintln!("{told}");
    serde_json::from_str(&told).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_wallets_are_what_the_node_says() {
    let Some(python) = python(&[]) else { return };
    let Some(mut world) = World::begin().await else { return };
    let settings = format!(
        "[evm.chains.local]\nchain_id = 31337\nstart = 0\nfinality_tags = false\nfinality_depth = 20\n\
         traces = \"trace_block\"\nbalances_seconds = 4\nbalances_calls = 25\n\
         endpoints = [{{ url = \"{}\" }}]\nstale_seconds = 3600\n",
        world.node.ws_url()
    );
    let servers = Servers::start(&settings).await;
    let list: String = world.wallets.iter().map(|wallet| format!("{wallet:#x},wallet\n")).collect();
    let file = servers.folder().join("wallets.csv");
    std::fs::write(&file, list).unwrap();
    servers.succeed(&["watch", "add", "--file", file.to_str().unwrap()]);
    let mut process = servers.run(&["evm", "persist"]);

    // Without Multicall3: one request for each balance.
    world.traffic(60).await;
    let told = until_true(&world, &servers, &python).await;
    assert!(told["balances"].as_u64().unwrap() >= 20, "each wallet has two assets: {told}");

    // With it, and a producer that dies in the middle.
    OddContract::place_multicall(world.node.rpc(), world.owner).await.unwrap();
    world.traffic(40).await;
    process.kill();
    world.traffic(20).await;
    let mut process = servers.run(&["evm", "persist"]);
    world.traffic(40).await;
    until_true(&world, &servers, &python).await;

    // Reorganisations, of blocks at which balances were read.
    for depth in [1, 4] {
        let other: Vec<(Value, u64)> =
            (0..depth).map(|place| (world.some_transaction(), place)).collect();
        world.node.reorg(depth, &other).await.unwrap();
        world.traffic(3).await;
        until_true(&world, &servers, &python).await;
    }
    // One that nothing tells of but the markers: the new blocks are empty.
    world.traffic(1).await;
    until_true(&world, &servers, &python).await;
    world.node.reorg(2, &[]).await.unwrap();
    world.node.mine(1).await.unwrap();
    until_true(&world, &servers, &python).await;

    // A token that refuses, answers rubbish, and uses up all gas does not stop the others.
    let wallet = world.wallets[0];
    for mood in [1, 2, 3] {
        world.odd("setMood(uint256)", mood).await;
        let words = [address_word(wallet), U256::from(1_000)];
        let sender = world.wallets[1];
        world.send(&call_transaction(sender, world.odd, "transfer(address,uint256)", &words)).await;
        world.send(&world.contracts.transfer(sender, wallet, 7)).await;
        let client = sql_client(&servers.database_url).await;
        let block = world.node.block_number().await.unwrap() as i64;
        let (odd, token) = (world.odd.to_vec(), world.contracts.token.to_vec());
        eventually(async || {
            let read = async |token: &Vec<u8>| {
                let query = "SELECT problem FROM balances WHERE address = $1 AND token = $2 AND block_number >= $3::bigint - 1 \
                             ORDER BY block_number DESC LIMIT 1";
                let row = client.query_opt(query, &[&wallet.to_vec(), token, &block]).await.unwrap();
                row.map(|row| row.get::<_, Option<String>>(0))
            };
            read(&odd).await.flatten().is_some() && read(&token).await == Some(None)
        })
        .await;
    }
    world.odd("setMood(uint256)", 0).await;
    // No event tells of this one: the schedule does.
    world.odd("grow(uint256)", 3).await;
    world.traffic(60).await;
    let told = until_true(&world, &servers, &python).await;
    for (name, least) in [
        ("blocks", 200),
        ("transactions", 100),
        ("tokens", 60),
        ("native", 25),
        ("internal", 4),
        ("nfts", 5),
    ] {
        assert!(told[name].as_u64().unwrap() >= least, "{name}: {told}");
    }
    assert!(
        told["on_chain"].as_u64() < told["balances"].as_u64(),
        "some were read at blocks that left: {told}"
    );

    // What was read is what was moved, but for the odd token.
    let client = sql_client(&servers.database_url).await;
    let query = "SELECT DISTINCT hex_text(token), reason FROM balance_differences('-infinity') ORDER BY 1, 2";
    let rows = client.query(query, &[]).await.unwrap();
    let found: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let odd = format!("{:#x}", world.odd);
    let reasons =
        ["fee on transfer or rebasing token", "rebasing token, or moved without an event"];
    // Which of them depends on what the random traffic moved between two readings.
    let is_expected =
        |(token, reason): &(String, String)| *token == odd && reasons.contains(&reason.as_str());
    assert!(!found.is_empty() && found.iter().all(is_expected), "{found:?}");

    // As people ask.
    let wallet = format!("{:#x}", world.proxy);
    let held: Value =
        serde_json::from_str(&servers.succeed(&["--json", "balances", &wallet])).unwrap();
    let held = held.as_array().unwrap();
    assert_eq!(held.len(), 3, "{held:?}");
    let said = world.node.rpc().call("eth_getBalance", json!([wallet, "latest"])).await.unwrap();
    let said = U256::from_str_radix(said.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let native = held.iter().find(|asset| asset["asset"] == "native").unwrap();
    assert_eq!(native["raw"], said.to_string());
    assert_eq!((&native["label"], &native["usd"]), (&json!("wallet"), &Value::Null));
    let text = servers.succeed(&["balances", "--chain", "local"]);
    assert!(text.contains("SBXD ?") && text.contains("no price"), "{text}");
    assert!(servers.succeed(&["balances", "--chain", "other"]).contains("nothing is known"));
    process.kill();
}
