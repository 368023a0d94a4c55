//! Rows of a block, from a node.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::http::RpcClient;

/// The event of ERC-20 and ERC-721 transfers.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// The rows of a block with the list that they are in.
pub(super) async fn of_block(
    node: &RpcClient,
    number: u64,
) -> anyhow::Result<Vec<(&'static str, Value)>> {
    let at = format!("{number:#x}");
    let block = node.call("eth_getBlockByNumber", json!([at, true])).await?;
    let receipts = node.call("eth_getBlockReceipts", json!([at])).await?;
    let traces = node.call("trace_block", json!([at])).await.unwrap_or_default();
    let common = json!({
        "blockNumber": number.to_string(),
        "blockHash": block["hash"],
        "timeStamp": decimal(&block["timestamp"])?,
        "confirmations": "1",
    });
    let mut rows = Vec::new();
    for (transaction, receipt) in list(&block["transactions"]).zip(list(&receipts)) {
        let failed = if receipt["status"] == "0x1" { "0" } else { "1" };
        rows.push((
            "txlist",
            with(
                &common,
                json!({
                    "hash": transaction["hash"],
                    "from": transaction["from"],
                    "to": text(&transaction["to"]),
                    "contractAddress": text(&receipt["contractAddress"]),
                    "value": decimal(&transaction["value"])?,
                    "isError": failed,
                    "txreceipt_status": if failed == "0" { "1" } else { "0" },
                }),
            ),
        ));
        for log in list(&receipt["logs"]).filter(|log| log["topics"][0] == TRANSFER) {
            let party = |place: usize| {
                format!(
                    "0x{}",
                    log["topics"][place]
                        .as_str()
                        .and_then(|text| text.get(26..))
                        .unwrap_or_default()
                )
            };
            rows.push((
                "tokentx",
                with(
                    &common,
                    json!({
                        "hash": transaction["hash"],
                        "contractAddress": log["address"],
                        "from": party(1),
                        "to": party(2),
                        "tokenSymbol": "\"odd\\\"",
                    }),
                ),
            ));
        }
    }
    for trace in list(&traces) {
        let is_inside = trace["traceAddress"].as_array().is_some_and(|place| !place.is_empty());
        let action = &trace["action"];
        if !is_inside || action["callType"].as_str().is_some_and(|kind| kind != "call") {
            continue;
        }
        rows.push((
            "txlistinternal",
            with(
                &common,
                json!({
                    "blockHash": "",
                    "hash": trace["transactionHash"],
                    "from": action["from"],
                    "to": text(&action["to"]),
                    "contractAddress": "",
                    "value": decimal(&action["value"])?,
                    "type": "call",
                    "isError": if trace["error"].is_null() { "0" } else { "1" },
                }),
            ),
        ));
    }
    Ok(rows)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn decimal(quantity: &Value) -> anyhow::Result<String> {
    let text = quantity.as_str().unwrap_or("0x0").trim_start_matches("0x");
    let number = u128::from_str_radix(text, 16).context("read a quantity of the node")?;
    Ok(number.to_string())
}

fn with(common: &Value, more: Value) -> Value {
    let mut row = common.clone();
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more);
    }
    row
}
