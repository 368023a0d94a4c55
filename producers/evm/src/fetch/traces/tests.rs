#![allow(clippy::unwrap_used)]

use crypto_intel_schemas::TransactionStatus;
use serde_json::{Value, json};

use super::*;
use crate::block::Transaction;

const A: &str = "0x00000000000000000000000000000000000000aa";
const B: &str = "0x00000000000000000000000000000000000000bb";
const C: &str = "0x00000000000000000000000000000000000000cc";

fn block() -> BlockData {
    let transaction = |byte| Transaction {
        hash: B256::repeat_byte(byte),
        from: None,
        to: None,
        value: U256::ZERO,
        method: None,
        input_length: 0,
        status: TransactionStatus::Success,
        contract: None,
        has_receipt: true,
        details: crate::details::Details::default(),
    };
    BlockData {
        header: Header {
            number: 5,
            hash: B256::repeat_byte(5),
            parent_hash: B256::ZERO,
            timestamp: 0,
            gas_used: 0,
            gas_limit: 0,
            base_fee_per_gas: None,
            miner: None,
            has_bloom: false,
            hash_holds: true,
        },
        transactions: vec![transaction(0x10), transaction(0x11)],
        logs: Vec::new(),
        data: Vec::new(),
        payments: Vec::new(),
        unverified: Vec::new(),
    }
}

fn flat(kind: &str, action: Value, place: &[u32], more: Value) -> Value {
    let mut trace = json!({
        "type": kind, "action": action, "traceAddress": place, "subtraces": 0,
        "blockHash": B256::repeat_byte(5), "blockNumber": 5, "transactionPosition": 0,
        "transactionHash": B256::repeat_byte(0x10), "result": { "output": "0x" },
    });
    for (name, value) in more.as_object().unwrap() {
        trace[name] = value.clone();
    }
    trace
}

fn call(value: &str, place: &[u32], more: Value) -> Value {
    let action = json!({
        "callType": "call", "from": A, "to": B, "value": value, "gas": "0x1", "input": "0x",
    });
    flat("call", action, place, more)
}

fn seen(payments: &[InternalPayment]) -> Vec<(u32, u32, &str, u64, Vec<u32>)> {
    payments
        .iter()
        .map(|payment| {
            let value = u64::try_from(payment.value).unwrap();
            let place = payment.trace_address.clone();
            (payment.tx_index, payment.sub_index, payment.call_type.as_str(), value, place)
        })
        .collect()
}

#[test]
fn flat_traces_give_what_moved_and_was_not_reverted() {
    let none = json!({});
    let delegate = json!({ "callType": "delegatecall", "from": A, "to": B, "value": "0x9" });
    let create = json!({ "from": A, "value": "0x4", "init": "0x" });
    let end = json!({ "address": B, "refundAddress": C, "balance": "0x5" });
    let self_end = json!({ "address": B, "refundAddress": B, "balance": "0x5" });
    let reward = json!({ "author": A, "value": "0x1bc16d674ec80000", "rewardType": "block" });
    let traces = json!([
        call("0x1", &[], none.clone()),
        call("0x2", &[0], none.clone()),
        call("0x0", &[0, 0], none.clone()),
        flat("call", delegate, &[0, 1], none.clone()),
        call("0x3", &[1], json!({ "error": "Reverted", "result": null })),
        call("0x3", &[1, 0], none.clone()),
        call("0x6", &[10], none.clone()),
        flat("create", create, &[11], json!({ "result": { "address": C, "code": "0x" } })),
        flat("suicide", end, &[12], json!({ "result": null })),
        flat("suicide", self_end, &[13], json!({ "result": null })),
        call("0x7", &[], json!({ "transactionPosition": 1 })),
        call("0x8", &[0], json!({ "transactionPosition": 1 })),
        flat(
            "reward",
            reward,
            &[],
            json!({ "transactionPosition": null, "transactionHash": null })
        ),
    ]);
    let payments = from_trace_block(&traces.to_string(), &block().header).unwrap();
    assert_eq!(
        seen(&payments),
        [
            (0, 0, "call", 2, vec![0]),
            (0, 1, "call", 6, vec![10]),
            (0, 2, "create", 4, vec![11]),
            (0, 3, "selfdestruct", 5, vec![12]),
            (1, 0, "call", 8, vec![0]),
        ]
    );
}

#[test]
fn a_transaction_that_was_reverted_moved_nothing() {
    let error = json!({ "error": "Reverted" });
    let traces = json!([call("0x1", &[], error), call("0x2", &[0], json!({}))]);
    assert_eq!(from_trace_block(&traces.to_string(), &block().header).unwrap().len(), 0);
}

#[test]
fn traces_of_another_block_or_none_are_not_believed() {
    let header = block().header;
    let other = json!([call("0x1", &[], json!({ "blockHash": B256::repeat_byte(6) }))]);
    let reason = |text: &str| from_trace_block(text, &header).unwrap_err().reason();
    assert_eq!(reason(&other.to_string()), "other_block");
    assert_eq!(reason("[]"), "empty_logs");
    assert_eq!(reason("null"), "malformed");
    assert_eq!(reason("{}"), "malformed");
    let debug = |text: &str| from_call_tracer(text, &block()).unwrap_err().reason();
    assert_eq!(debug("[]"), "other_block");
    assert_eq!(debug("[{\"error\":\"timeout\"}]"), "malformed");
}

#[test]
fn both_kinds_of_trace_give_the_same_payments() {
    let frame = |kind: &str, value: &str, calls: Value| json!({ "type": kind, "from": A, "to": B, "value": value, "calls": calls, "gas": "0x1" });
    let mut reverted = frame("CALL", "0x3", json!([frame("CALL", "0x3", json!([]))]));
    reverted["error"] = "execution reverted".into();
    let tree = frame(
        "CALL",
        "0x1",
        json!([
            frame("CALL", "0x2", json!([frame("DELEGATECALL", "0x9", json!([]))])),
            reverted,
            frame("CREATE2", "0x4", json!([])),
        ]),
    );
    let traced = json!([
        { "txHash": B256::repeat_byte(0x10), "result": tree },
        { "result": frame("CALL", "0x7", json!([frame("CALL", "0x8", json!([]))])) },
    ]);
    let payments = from_call_tracer(&traced.to_string(), &block()).unwrap();
    assert!(payments.is_whole);
    assert_eq!(
        seen(&payments.found),
        [(0, 0, "call", 2, vec![0]), (0, 1, "create", 4, vec![2]), (1, 0, "call", 8, vec![0]),]
    );
}

#[test]
fn a_deep_call_hides_no_payment() {
    let mut tree = String::from(r#"{"type":"CALL","value":"0x5"}"#);
    for _ in 0..1_000 {
        tree = format!(
            r#"{{"calls":[{tree}],"input":"0x[{{\"","value":"0x2","type":"CALL","from":"{A}","to":"{B}","logs":[{{"a":[]}}]}}"#
        );
    }
    let tree =
        tree.replace(r#""value":"0x5""#, &format!(r#""value":"0x5","from":"{A}","to":"{C}""#));
    let plain = json!({ "type": "CALL", "from": A, "to": B, "value": "0x1", "calls": [
        { "type": "CALL", "from": A, "to": B, "value": "0x7" },
    ] });
    let text = format!(r#"[{{"result":{tree}}},{{"result":{plain}}}]"#);
    let payments = from_call_tracer(&text, &block()).unwrap().found;
    assert_eq!(payments.len(), 1_001, "1,000 calls below the outermost one, and the neighbour's");
    let (deepest, neighbour) = (&payments[999], &payments[1_000]);
    assert_eq!((deepest.trace_address.len(), deepest.value), (1_000, U256::from(5)));
    assert_eq!((neighbour.tx_index, neighbour.value), (1, U256::from(7)));
    let endless = format!(r#"[{{"result":{}"#, r#"{"calls":["#.repeat(100_000));
    assert_eq!(from_call_tracer(&endless, &block()).unwrap_err().reason(), "malformed");
}

#[test]
fn a_transaction_that_cannot_be_traced_hides_no_other() {
    let inner = json!({ "type": "CALL", "from": A, "to": B, "value": "0x8" });
    let outer = json!({ "type": "CALL", "from": A, "to": B, "value": "0x7", "calls": [inner] });
    let second = json!({ "txHash": B256::repeat_byte(0x11), "result": outer });
    let timed_out = json!({ "txHash": B256::repeat_byte(0x10), "error": "execution timeout" });
    let both = from_call_tracer(&json!([timed_out, second]).to_string(), &block()).unwrap();
    assert!(!both.is_whole);
    assert_eq!(seen(&both.found), [(1, 0, "call", 8, vec![0])]);
    let alone = from_call_tracer(&json!([second]).to_string(), &block()).unwrap();
    assert_eq!(seen(&alone.found), [(1, 0, "call", 8, vec![0])], "nothing is moved to another");
    let nameless = json!([{ "result": outer }]).to_string();
    assert_eq!(from_call_tracer(&nameless, &block()).unwrap_err().reason(), "malformed");
}

proptest::proptest! {
    #[test]
    fn odd_answers_never_panic(text in r#"[\[\]{}",:\\ a0n]{0,60}"#) {
        let _ = from_call_tracer(&text, &block());
        let _ = from_call_tracer(&format!(r#"[{{"result":{{"calls":[{text}"#), &block());
    }
}
