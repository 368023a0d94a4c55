//! Malformed data on a connection, and how it is reported.

use crypto_intel_evm::{ChainConfig, EndpointConfig, check_endpoint};
use crypto_intel_service::Secret;
use crypto_intel_testkit::{Broker, eventually};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{CHAIN_ID, Replay as _, chain_config, generator, node, push_new, start_evm};

/// A websocket server that answers each request by `answer`.
async fn socket(answer: impl Fn(&Value) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(Message::Text(request))) = socket.next().await {
            let text = answer(&serde_json::from_str(&request).unwrap());
            if socket.send(Message::text(text)).await.is_err() {
                return;
            }
        }
    });
    url
}

fn result_of(request: &Value) -> Value {
    match request["method"].as_str().unwrap() {
        "eth_chainId" => json!(format!("{CHAIN_ID:#x}")),
        _ => json!({
            "number": "0x7", "hash": format!("0x{}", "07".repeat(32)), "parentHash": format!("0x{}", "06".repeat(32)),
            "timestamp": "0x1", "gasUsed": "0x0", "gasLimit": "0x1", "transactions": [],
            "logsBloom": format!("0x{}", "00".repeat(256)),
        }),
    }
}

async fn check(url: &str) -> Result<u64, String> {
    let config =
        ChainConfig { chain_id: CHAIN_ID, request_timeout_ms: 1_000, ..ChainConfig::default() };
    let report = check_endpoint("x", &config, &EndpointConfig::at(url)).await;
    report.map(|report| report.head).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_null_is_none_and_an_id_as_text_is_a_number() {
    let with_null = |request: &Value| {
        json!({ "jsonrpc": "2.0", "id": request["id"], "result": result_of(request), "error": null })
            .to_string()
    };
    assert_eq!(check(&socket(with_null).await).await.unwrap(), 7);
    let as_text = |request: &Value| {
        let id = request["id"].to_string();
        json!({ "jsonrpc": "2.0", "id": id, "result": result_of(request) }).to_string()
    };
    assert_eq!(check(&socket(as_text).await).await.unwrap(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_or_fits_no_question_is_quoted() {
    let page = check(&socket(|_| "<html>bad gateway</html>".to_owned()).await).await.unwrap_err();
    for part in ["<html>bad gateway</html>", "cannot read its frame", "expected value"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let stray = |_: &Value| json!({ "id": "abc", "result": "0x7a69" }).to_string();
    let stray = check(&socket(stray).await).await.unwrap_err();
    for part in ["eth_chainId", "nothing within 1000 ms", "fits no request", "abc"] {
        assert!(stray.contains(part), "{part} in {stray}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_to_a_port_without_it_says_what_to_write() {
    let node = node().await;
    for (scheme, hint) in [("wss", "write ws://"), ("https", "write http://")] {
        let url = node.http_url().replace("http", scheme);
        let error = check(&url).await.unwrap_err();
        assert!(error.contains(hint), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blanks_around_a_url_do_not_matter() {
    let node = node().await;
    push_new(&node, &mut generator(77), 3);
    for url in [node.ws_url(), node.http_url()] {
        assert_eq!(check(&format!(" {url} \n")).await.unwrap(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_redirect_is_followed() {
    let target = node().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let location = format!("{}/hush", target.http_url());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4_096]).await;
        let answer = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    });
    let mut endpoint = EndpointConfig::at(url);
    endpoint.headers.insert("x-api-key".to_owned(), Secret::new("secret"));
    let config = ChainConfig { chain_id: CHAIN_ID, ..ChainConfig::default() };
    let error = check_endpoint("x", &config, &endpoint).await.unwrap_err().to_string();
    assert_eq!(target.total_calls(), 0, "nothing is sent to the other host");
    let host = target.http_url().replace("http://", "");
    assert!(error.contains("307") && error.contains(&host) && !error.contains("hush"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_token_says_nothing_about_an_endpoints_blocks() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(78);
    push_new(&node, &mut blocks, 3);
    node.never_answer("eth_call", true);
    let mut config = chain_config(&[node.ws_url()]);
    config.request_timeout_ms = 300;
    config.breaker.failures = 1;
    let producer = start_evm(&broker.nats, config);
    eventually(async || {
        (producer.metric("crypto_intel_evm_token_lookups_total", &["failed"]) >= 1.0).then_some(())
    })
    .await;
    push_new(&node, &mut blocks, 3);
    broker.at_head(node.chain()).await;
    assert!(node.calls("eth_call") >= 1);
    assert_eq!(producer.metric("crypto_intel_evm_endpoint_breaker_state", &["node0"]), 0.0);
    producer.stop().await;
}
