//! Server-sent events.

use crypto_intel_api::LiveConfig;
use crypto_intel_schemas::{Event, Kind};
use crypto_intel_testkit::{Broker, within};
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::{
    chain::{Identity, TestBlock, expected, history, publish},
    client::identities,
    server::{Api, http},
};

/// One block of the stream: its fields.
#[derive(Debug, Default, Clone)]
struct Told {
    id: Option<String>,
    event: Option<String>,
    data: Option<Value>,
}

/// A reader of `text/event-stream`.
struct Reader {
    body: futures::stream::BoxStream<'static, Vec<u8>>,
    text: String,
    resume: Option<String>,
    received: Vec<Identity>,
}

impl Reader {
    async fn open(api: &Api, query: &str, last: Option<&str>) -> Self {
        let url = api.url(&format!("/api/v1/stream?{query}"));
        let mut request = http().get(url);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = within(request.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        let body = futures::stream::unfold(response, |mut response| async move {
            let bytes = response.chunk().await.ok().flatten()?;
            Some((bytes.to_vec(), response))
        });
        Self { body: body.boxed(), text: String::new(), resume: None, received: Vec::new() }
    }

    async fn next(&mut self) -> Told {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let mut told = Told::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("id", id)) => told.id = Some(id.to_owned()),
                        Some(("event", event)) => told.event = Some(event.to_owned()),
                        Some(("data", data)) => told.data = serde_json::from_str(data).unwrap(),
                        _ => {}
                    }
                }
                if told.id.is_some() {
                    self.resume = told.id.clone();
                }
                return told;
            }
            let bytes = within(self.body.next()).await.expect("the stream goes on");
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    async fn until_has(&mut self, last: &Identity) {
        while !self.received.contains(last) {
            let told = self.next().await;
            if told.event.is_none()
                && let Some(data) = told.data
            {
                self.received.extend(identities(&data));
            }
        }
    }
}

#[tokio::test]
async fn a_reader_that_comes_back_goes_on_after_the_last_event() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let batches = history("base", 1, 40, 10);
    let keep = |event: &Event| event.kind() == Kind::Erc20Transfer;
    let all = expected(&batches, keep);
    let query = "service=onchain&kinds=transfer.erc20,transfer.native&chains=base";
    let mut reader = Reader::open(&api, query, None).await;
    assert!(reader.next().await.data.is_none(), "only when to come back");
    let subscribed = reader.next().await;
    assert_eq!(subscribed.event.as_deref(), Some("subscribed"));
    assert_eq!(
        subscribed.data.unwrap()["filters"]["kinds"],
        json!(["transfer.native", "transfer.erc20"])
    );
    publish(&broker, &batches[..20]).await;
    reader.until_has(&all[30]).await;
    let (resume, received) = (reader.resume.clone(), reader.received.clone());
    drop(reader);
    publish(&broker, &batches[20..]).await;
    let mut reader = Reader::open(&api, query, resume.as_deref()).await;
    reader.received = received;
    reader.until_has(all.last().unwrap()).await;
    assert_eq!(reader.received, all);
}

#[tokio::test]
async fn a_snapshot_comes_first() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let block = TestBlock::new("base", 1, 10).under(1);
    broker.publish(block.clone()).await;
    let all = expected([&block], |event| event.kind() == Kind::Erc20Transfer);
    crypto_intel_testkit::eventually(async || api.metric("received_total", &["EVM"]) == 11.0).await;
    let mut reader = Reader::open(&api, "kinds=transfer.erc20&snapshot=3", None).await;
    reader.until_has(all.last().unwrap()).await;
    assert_eq!(reader.received, all[all.len() - 3..]);
}

#[tokio::test]
async fn wrong_questions_are_problems() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    for (query, part) in [
        ("service=on_chain", "on_chain"),
        ("of=onchain", "there is no such parameter"),
        ("addresses=0x1", "addresses[0]"),
        ("token=ci_x", "logs"),
        ("snapshot=5000", "1000"),
        ("resume=EVM", "place"),
    ] {
        let response =
            http().get(api.url(&format!("/api/v1/stream?{query}"))).send().await.unwrap();
        assert_eq!(response.status(), 400, "{query}");
        let text = response.text().await.unwrap();
        assert!(text.contains(part), "{query}: {text}");
    }
}
