//! Tables of a version before the lean rows become tables of this version, while nothing is lost.

use std::{fs, path::Path};

use crypto_intel_schemas::{Address, Block, Event};
use crypto_intel_testkit::Broker;
use tokio_postgres::Client;

use crate::{
    chain::Chain,
    harness::Servers,
    rebuilds::{forget, swapped},
};

/// The last migration whose tables have the earlier rows.
const LAST_EARLIER: u32 = 18;

/// A database as an earlier version migrated it.
async fn earlier_tables(client: &Client) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut files: Vec<(u32, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let (number, _) = name[1..].split_once("__").unwrap();
            (number.parse().unwrap(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort_unstable();
    for (number, sql) in files {
        if number <= LAST_EARLIER {
            client.batch_execute(&sql).await.unwrap();
        }
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digits: String = bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("'\\x{digits}'")
}

fn time(time_us: i64) -> String {
    format!("timestamptz 'epoch' + interval '{time_us} microseconds'")
}

/// An `INSERT` of a row of an earlier version; `own` are the columns of its table beside those that all have.
fn insert(table: &str, event: &Event, own: &[(&str, String)]) -> String {
    let block = event.block_fields().unwrap();
    let mut fields = vec![
        ("chain", format!("'{}'", block.chain)),
        ("chain_id", "7".to_owned()),
        ("block_number", block.block_number.to_string()),
        ("block_hash", hex(block.block_hash)),
        ("block_time", time(block.block_time_us)),
    ];
    fields.extend_from_slice(own);
    let (columns, values): (Vec<&str>, Vec<String>) = fields.into_iter().unzip();
    format!("INSERT INTO {table} ({}) VALUES ({});", columns.join(", "), values.join(", "))
}

fn marker_rows(event: &Event, marker: &Block, canonical: bool) -> String {
    let gas = [
        ("transactions", "0".to_owned()),
        ("gas_used", "1".to_owned()),
        ("gas_limit", "2".to_owned()),
    ];
    let mut own = vec![
        ("parent_hash", hex(marker.parent_hash)),
        ("observed_at", time(marker.observed_at_us)),
        ("revision", (1 + marker.block_number).to_string()),
        ("finalized_number", "0".to_owned()),
        ("incarnation", if canonical { "1" } else { "2" }.to_owned()),
        ("event_rows", marker.rows.to_string()),
        ("canonical", canonical.to_string()),
        ("partial", "false".to_owned()),
    ];
    own.extend(gas.clone());
    let block = insert("blocks", event, &own);
    if canonical { block + &insert("block_gas", event, &gas) } else { block }
}

/// The row that an earlier version stored for an event.
fn earlier_row(event: &Event) -> String {
    let party = |byte| hex(Address::repeat_byte(byte));
    let seen = ("observed_at", "now()".to_owned());
    let tx = [seen.clone(), ("tx_index", "0".into()), ("tx_hash", hex([1; 32]))];
    let log = |index: u32| [&tx[..], &[("log_index", index.to_string())]].concat();
    let transfer = |index: u32, standard: &str, value: String| {
        let own = [
            ("sub_index", if standard == "erc20" { "0" } else { "1" }.to_owned()),
            ("token_verified", "false".into()),
            ("standard", format!("'{standard}'")),
            ("token", party(1)),
            ("sender", party(2)),
            ("recipient", party(3)),
            ("value", value),
            ("decimals", "3".into()),
            ("amount", "7".into()),
        ];
        insert("token_transfers", event, &[log(index), own.to_vec()].concat())
    };
    let insert_with = |table: &str, columns: &[(&str, String)], own: &[(&str, String)]| {
        insert(table, event, &[columns, own].concat())
    };
    match event {
        Event::Block(marker) => marker_rows(event, marker, true),
        Event::Erc20Transfer(body) => transfer(body.log_index, "erc20", "7000".into()),
        Event::Erc1155Transfer(body) => transfer(body.log_index, "erc1155", "7000".into()),
        Event::NativeTransfer(_) => {
            let own = [
                ("sender", party(2)),
                ("recipient", party(3)),
                ("value", "7".into()),
                ("status", "'success'".into()),
            ];
            insert_with("native_transfers", &tx, &own)
        }
        Event::Approval(body) => {
            let own = [
                ("standard", "'unknown'".into()),
                ("token", party(1)),
                ("owner", party(2)),
                ("spender", party(3)),
            ];
            insert_with("approvals", &log(body.log_index), &own)
        }
        Event::Log(body) => {
            let own = [("truncated", "false".into()), ("address", party(1)), ("data", "''".into())];
            insert_with("logs", &log(body.log_index), &own)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_an_earlier_version_become_lean_ones_by_a_swap() {
    let (broker, database) = tokio::join!(Broker::start(), crate::server());
    let Broker { server: broker, nats } = broker;
    let servers = Servers { broker, database: database.unwrap(), nats };
    let client = servers.sql().await;
    earlier_tables(&client).await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 12, 8).await;
    for batch in chain.reorganise(2, 4) {
        chain.publish(&servers.nats, &batch).await;
    }
    chain.play(&servers.nats, 8, 8).await;
    let rows: String = chain.events().map(earlier_row).collect();
    client.batch_execute(&rows).await.unwrap();
    // The stream begins in the middle of the sixth block from the end.
    let end = servers.nats.stream_state("EVM").await.unwrap().last_sequence;
    forget(&servers, "EVM", end - 5 * 13 - 6).await;

    let done = swapped(&servers).await.unwrap();
    assert!(done.copied.blocks >= 13 && done.copied.rows > 100, "{done:?}");
    servers.assert_stored(&[&chain]).await;
    let copied = "SELECT count(*) FROM v_token_transfers WHERE standard = 'erc1155' AND amount = 7 \
                  AND block_number < 10";
    assert_eq!(servers.number(copied).await, 9);
    let statuses =
        "SELECT count(*) FROM v_native_transfers WHERE status = 'success' AND block_number < 10";
    assert_eq!(servers.number(statuses).await, 9);
    assert!(servers.store().await.migrate(false).await.unwrap().applied.is_empty());

    let persist = servers.persist("live").await;
    for batch in chain.reorganise(3, 5) {
        chain.publish(&servers.nats, &batch).await;
    }
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}
