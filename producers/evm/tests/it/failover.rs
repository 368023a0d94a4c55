//! Which endpoint serves, and what is sent to which.

use std::time::{Duration, Instant};

use crypto_intel_evm::{BreakerConfig, ChainConfig, EndpointConfig, Role, check_endpoint};
use crypto_intel_sandbox::{
    ScriptedNode,
    node::{RateLimit, RateLimitForm},
};
use crypto_intel_schemas::{Event, NodeStatus};
use crypto_intel_service::Secret;
use crypto_intel_testkit::{Broker, RunningRole, assert_same_set, eventually};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    harness::{CHAIN_ID, Replay as _, chain_config, generator, node, node_of, push_new, start_evm},
    stream::transfers_of,
};

/// Maximum time for a change of the serving endpoint, on a loaded machine.
const SOON: Duration = Duration::from_secs(15);

/// Two endpoints of one chain, the second one a fallback.
async fn two() -> (Broker, ScriptedNode, ScriptedNode, ChainConfig) {
    let (broker, primary) = (Broker::start().await, node().await);
    let fallback = node_of(primary.chain().clone()).await;
    let mut config = chain_config(&[primary.ws_url(), fallback.ws_url()]);
    config.endpoints[1].role = Role::Fallback;
    config.lag_ms = 500;
    config.breaker = BreakerConfig { failures: 3, open_seconds: 1, successes: 2 };
    (broker, primary, fallback, config)
}

async fn until_serves(producer: &RunningRole, endpoint: &str) -> Duration {
    let started = Instant::now();
    let metric = "crypto_intel_evm_endpoint_serving";
    eventually(async || (producer.metric(metric, &[endpoint]) >= 1.0).then_some(())).await;
    started.elapsed()
}

async fn assert_complete(broker: &Broker, node: &ScriptedNode) {
    let replayed = broker.at_head(node.chain()).await;
    assert_same_set(
        transfers_of(node.chain().blocks().iter().map(AsRef::as_ref)),
        replayed.transfers(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_primary_is_replaced_within_its_bound_and_comes_back() {
    let (broker, primary, _fallback, config) = two().await;
    let mut blocks = generator(61);
    push_new(&primary, &mut blocks, 3);
    let producer = start_evm(&broker.nats, config);
    broker.at_head(primary.chain()).await;
    until_serves(&producer, "node0").await;
    primary.freeze_head(true);
    // One block only: `lag_ms` decides, not `lag_blocks`.
    push_new(&primary, &mut blocks, 1);
    let started = Instant::now();
    broker.at_head(primary.chain()).await;
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert!(until_serves(&producer, "node1").await < SOON);
    assert!(producer.metric("crypto_intel_evm_endpoint_switches_total", &["behind"]) >= 1.0);
    primary.freeze_head(false);
    assert!(until_serves(&producer, "node0").await < SOON, "it comes back by itself");
    push_new(&primary, &mut blocks, 2);
    assert_complete(&broker, &primary).await;
    assert_eq!(broker.replay().await.markers.len(), 6, "behind is not forked");
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_primary_does_not_hold_up_heads() {
    let (broker, primary, fallback, mut config) = two().await;
    let mut blocks = generator(62);
    push_new(&primary, &mut blocks, 3);
    config.silence_seconds = 600;
    let producer = start_evm(&broker.nats, config);
    broker.at_head(primary.chain()).await;
    eventually(async || (fallback.head_subscriptions() > 0).then_some(())).await;
    primary.go_silent(true);
    push_new(&primary, &mut blocks, 2);
    let started = Instant::now();
    assert_complete(&broker, &primary).await;
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limited_primary_is_left_alone_for_as_long_as_it_asked() {
    for form in [RateLimitForm::JsonRpc, RateLimitForm::Http] {
        let (broker, primary, fallback, mut config) = two().await;
        if form == RateLimitForm::Http {
            config.endpoints[0].url = Secret::new(primary.http_url());
        }
        // Requests for finality go to the serving endpoint; they are not counted here.
        config.finality_poll_ms = 600_000;
        config.silence_seconds = 600;
        config.http_poll_ms = 100;
        let mut blocks = generator(63);
        push_new(&primary, &mut blocks, 3);
        let producer = start_evm(&broker.nats, config);
        broker.at_head(primary.chain()).await;
        until_serves(&producer, "node0").await;
        primary.rate_limit(RateLimit { requests: u64::MAX, form, retry_after_seconds: 3 });
        push_new(&primary, &mut blocks, 1);
        broker.at_head(primary.chain()).await;
        until_serves(&producer, "node1").await;
        let asked = primary.total_calls();
        push_new(&primary, &mut blocks, 6);
        broker.at_head(primary.chain()).await;
        assert!(primary.total_calls() <= asked + 2, "{form:?}: it is left alone");
        assert!(fallback.calls("eth_getBlockReceipts") >= 7);
        primary.rate_limit(RateLimit { requests: 0, form, retry_after_seconds: 0 });
        // The breaker's trial needs requests.
        eventually(async || {
            push_new(&primary, &mut blocks, 1);
            (producer.metric("crypto_intel_evm_endpoint_serving", &["node0"]) >= 1.0).then_some(())
        })
        .await;
        assert_complete(&broker, &primary).await;
        producer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_breaker_opens_on_invalid_answers_and_closes_after_valid_ones() {
    let (broker, primary, _fallback, config) = two().await;
    let mut blocks = generator(64);
    push_new(&primary, &mut blocks, 3);
    let producer = start_evm(&broker.nats, config);
    broker.at_head(primary.chain()).await;
    primary.answer_empty_receipts(true);
    let breaker = "crypto_intel_evm_endpoint_breaker_state";
    eventually(async || {
        push_new(&primary, &mut blocks, 1);
        (producer.metric(breaker, &["node0"]) >= 2.0).then_some(())
    })
    .await;
    assert_complete(&broker, &primary).await;
    primary.answer_empty_receipts(false);
    eventually(async || {
        push_new(&primary, &mut blocks, 1);
        let closed = producer.metric(breaker, &["node0"]) == 0.0;
        let serves = producer.metric("crypto_intel_evm_endpoint_serving", &["node0"]) >= 1.0;
        (closed && serves).then_some(())
    })
    .await;
    assert_complete(&broker, &primary).await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_kept_and_nothing_is_lost() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(65);
    push_new(&node, &mut blocks, 30);
    let mut config = chain_config(&[node.http_url()]);
    config.endpoints[0].requests_per_second = Some(20.0);
    let started = Instant::now();
    let producer = start_evm(&broker.nats, config);
    broker.at_head(node.chain()).await;
    let (asked, seconds) = (node.total_calls() as f64, started.elapsed().as_secs_f64());
    assert!(asked <= 20.0 * seconds + 5.0, "{asked} requests in {seconds} s");
    assert!(asked >= 60.0, "two for each block: {asked}");
    assert_complete(&broker, &node).await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_say_which_endpoint_serves_and_why() {
    let (broker, primary, fallback, mut config) = two().await;
    let mut blocks = generator(66);
    push_new(&primary, &mut blocks, 3);
    fallback.wrong_chain_id(Some(5));
    config.status_seconds = 1;
    let producer = start_evm(&broker.nats, config);
    broker.at_head(primary.chain()).await;
    let newest = async |endpoint: &str| -> Option<NodeStatus> {
        let subject = format!("status.node.testchain.{endpoint}");
        let message = broker.nats.last_on_subject("STATUS", &subject).await.unwrap()?;
        match Event::decode(&message.payload).unwrap() {
            Event::NodeStatus(status) => Some(status),
            other => panic!("{other:?}"),
        }
    };
    let serving = eventually(async || {
        newest("node0").await.filter(|status| status.serving && status.head == Some(3))
    })
    .await;
    assert_eq!((serving.reason.as_str(), serving.breaker.as_str()), ("serving", "closed"));
    assert_eq!((serving.role.as_str(), serving.lag_blocks), ("primary", Some(0)));
    let refused =
        eventually(async || newest("node1").await.filter(|status| status.error.is_some())).await;
    assert_eq!((refused.reason.as_str(), refused.role.as_str()), ("disconnected", "fallback"));
    let error = refused.error.unwrap();
    assert!(error.contains("serves chain id 5, but chain_id is 31337"), "{error}");
    producer.stop().await;
}

/// The first bytes that a client sends.
async fn first_words(scheme: &str, change: impl FnOnce(&mut EndpointConfig)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut words = vec![0; 4_096];
        let length = stream.read(&mut words).await.unwrap();
        String::from_utf8_lossy(&words[..length]).to_lowercase()
    });
    let mut endpoint = EndpointConfig::at(format!("{scheme}://{address}/v2/{{key}}"));
    change(&mut endpoint);
    let config = ChainConfig { chain_id: CHAIN_ID, ..ChainConfig::default() };
    let error = check_endpoint("x", &config, &endpoint).await.unwrap_err().to_string();
    assert!(!error.contains("hush"), "{error}");
    heard.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_headers_reach_the_endpoint_and_no_error() {
    for scheme in ["ws", "http"] {
        let words = first_words(scheme, |endpoint| {
            endpoint.key = Secret::new("hush");
            let bearer = Secret::new("Bearer {key}");
            endpoint.headers.insert("authorization".to_owned(), bearer);
        })
        .await;
        assert!(words.contains(" /v2/hush "), "{words}");
        assert!(words.contains("authorization: bearer hush\r\n"), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_goes_through_a_proxy() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(67);
    push_new(&node, &mut blocks, 3);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = chain_config(&[node.ws_url()]);
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    config.endpoints[0].proxy = Secret::new(proxy);
    let proxied = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4_096];
        let length = client.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        let target = request.split_whitespace().nth(1).unwrap();
        let mut server = TcpStream::connect(target).await.unwrap();
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        request
    });
    let producer = start_evm(&broker.nats, config);
    assert_complete(&broker, &node).await;
    producer.stop().await;
    assert!(proxied.await.unwrap().starts_with("CONNECT 127.0.0.1:"));
}
