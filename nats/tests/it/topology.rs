use std::collections::BTreeMap;

use crypto_intel_nats::{Bucket, Change, StreamOverride, Topology, TopologyConfig, TopologyError};
use crypto_intel_sandbox::{NatsOptions, NatsServer};
use crypto_intel_schemas::Stream;
use crypto_intel_testkit::{Broker, connect_to, small_topology};

use crate::messages::message;

fn with_evm(limits: StreamOverride) -> Topology {
    let streams = BTreeMap::from([("EVM".to_owned(), limits)]);
    small_topology().with_config(&TopologyConfig { replicas: None, streams }).unwrap()
}

#[tokio::test]
async fn apply_creates_everything_once() {
    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let nats = connect_to(server.url(), "test").await;
    let topology = small_topology();
    let missing = topology.diff(&nats).await.unwrap();
    assert!(missing.iter().all(crypto_intel_nats::Difference::is_missing));
    assert_eq!(missing.len(), 32);
    let changes = topology.apply(&nats, false).await.unwrap();
    assert!(changes.iter().all(|change| matches!(change, Change::Created { .. })), "{changes:?}");
    assert_eq!(changes.len(), 32);
    assert_eq!(topology.diff(&nats).await.unwrap(), []);
    assert_eq!(topology.apply(&nats, false).await.unwrap(), []);
    let status = topology.status(&nats).await.unwrap();
    assert!(status.iter().all(|stream| stream.state.is_some()));
}

#[tokio::test]
async fn embedded_definitions_are_the_files() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = Topology::load_dir(folder).unwrap();
    let embedded = Topology::embedded().unwrap();
    let mut names = (files.stream_names(), embedded.stream_names());
    names.0.sort_unstable();
    names.1.sort_unstable();
    assert_eq!(names.0, names.1);
}

#[tokio::test]
async fn other_clients_accept_the_definitions() {
    use async_nats::jetstream::{consumer, stream};

    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let nats = connect_to(server.url(), "test").await;
    let mut read = 0;
    for entry in ["streams", "kv"].iter().flat_map(|kind| folder.join(kind).read_dir().unwrap()) {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut config: stream::Config = serde_json::from_str(&text).unwrap();
        config.max_bytes = 1 << 20;
        nats.jetstream().create_stream(config).await.unwrap();
        read += 1;
    }
    assert_eq!(read, 31);
    let text = std::fs::read_to_string(folder.join("consumers/ALERT.notify.json")).unwrap();
    let config: consumer::pull::Config = serde_json::from_str(&text).unwrap();
    nats.jetstream().create_consumer_on_stream(config, "ALERT").await.unwrap();
    let differences = Topology::embedded().unwrap().diff(&nats).await.unwrap();
    assert!(
        differences.iter().all(|difference| difference.field == "max_bytes"),
        "{differences:?}"
    );
}

#[tokio::test]
async fn growing_is_applied_and_shrinking_is_refused() {
    let broker = Broker::start().await;
    let nats = &broker.nats;
    let larger = StreamOverride { max_bytes: Some(128 << 20), ..StreamOverride::default() };
    let changes = with_evm(larger).apply(nats, false).await.unwrap();
    let fields = vec!["max_bytes".to_owned()];
    let object = "EVM".to_owned();
    assert_eq!(changes, [Change::Updated { object: object.clone(), fields: fields.clone() }]);
    let smaller = StreamOverride { max_bytes: Some(1 << 20), ..StreamOverride::default() };
    let topology = with_evm(smaller);
    let changes = topology.apply(nats, false).await.unwrap();
    assert_eq!(changes, [Change::Refused { object: object.clone(), fields: fields.clone() }]);
    assert_eq!(nats.stream_state("EVM").await.unwrap().max_bytes, Some(128 << 20));
    let changes = topology.apply(nats, true).await.unwrap();
    assert_eq!(changes, [Change::Updated { object, fields }]);
    assert_eq!(nats.stream_state("EVM").await.unwrap().max_bytes, Some(1 << 20));
}

#[tokio::test]
async fn a_stream_with_other_storage_is_recreated_only_when_allowed() {
    let broker = Broker::start().await;
    let nats = &broker.nats;
    nats.jetstream().delete_stream("STATUS").await.unwrap();
    let config = async_nats::jetstream::stream::Config {
        name: "STATUS".to_owned(),
        subjects: vec!["status.>".to_owned(), "check.>".to_owned(), "tick.status".to_owned()],
        storage: async_nats::jetstream::stream::StorageType::Memory,
        ..Default::default()
    };
    nats.jetstream().create_stream(config).await.unwrap();
    nats.publish(message("check.dns", 0)).await.unwrap();
    let changes = small_topology().apply(nats, false).await.unwrap();
    assert!(
        changes.iter().any(|change| matches!(change, Change::Refused { fields, .. } if fields.contains(&"storage".to_owned()))),
        "{changes:?}"
    );
    assert_eq!(nats.stream_state("STATUS").await.unwrap().messages, 1);
    let changes = small_topology().apply(nats, true).await.unwrap();
    assert!(
        changes
            .iter()
            .any(|change| matches!(change, Change::Recreated { object, .. } if object == "STATUS")),
        "{changes:?}"
    );
    assert_eq!(small_topology().diff(nats).await.unwrap(), []);
}

#[tokio::test]
async fn foreign_streams_and_subjects_stay() {
    let broker = Broker::start().await;
    let nats = &broker.nats;
    let config = async_nats::jetstream::stream::Config {
        name: "THEIRS".to_owned(),
        subjects: vec!["theirs.>".to_owned()],
        ..Default::default()
    };
    nats.jetstream().create_stream(config).await.unwrap();
    assert_eq!(small_topology().apply(nats, true).await.unwrap(), []);
    assert!(nats.stream_state("THEIRS").await.is_ok());
}

#[tokio::test]
async fn a_server_with_too_little_room_is_an_error_that_names_the_limit() {
    let store = tempfile::tempdir().unwrap();
    let place = store.path().display();
    let options = NatsOptions {
        extra_conf: vec![format!("jetstream {{ store_dir: \"{place}\", max_file: 10MB }}")],
        ..NatsOptions::default()
    };
    let server = NatsServer::start(options).await.unwrap();
    let nats = connect_to(server.url(), "test").await;
    let error = Topology::embedded().unwrap().apply(&nats, false).await.unwrap_err();
    assert!(error.to_string().contains("max_bytes"), "{error}");
}

/// The enums in the code and the files for operators have the same names and subjects.
#[test]
fn streams_and_buckets_of_the_code_are_those_of_the_files() {
    let topology = Topology::embedded().unwrap();
    let mut known: Vec<String> = Stream::ALL.map(|stream| stream.name().to_owned()).to_vec();
    known.extend(Bucket::ALL.map(Bucket::stream));
    known.sort();
    let mut names = topology.stream_names();
    names.sort_unstable();
    assert_eq!(names, known);
    for stream in Stream::ALL {
        for subject in stream.subjects() {
            assert_eq!(topology.streams_with(subject), [stream.name()], "{subject}");
        }
        let file = format!("{}/streams/{stream}.json", env!("CARGO_MANIFEST_DIR"));
        let json: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(json["subjects"], serde_json::json!(stream.subjects()), "{stream}");
    }
}

#[test]
fn unknown_stream_in_the_configuration_is_an_error() {
    let streams = BTreeMap::from([("EVN".to_owned(), StreamOverride::default())]);
    let config = TopologyConfig { replicas: None, streams };
    let error = Topology::embedded().unwrap().with_config(&config).unwrap_err();
    assert!(matches!(&error, TopologyError::UnknownStream { name, .. } if name == "EVN"));
    assert!(error.to_string().contains("HISTORY"), "{error}");
}

#[tokio::test]
async fn a_foreign_stream_with_our_subjects_is_named_with_the_subject() {
    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let nats = connect_to(server.url(), "test").await;
    let legacy = async_nats::jetstream::stream::Config {
        name: "LEGACY".to_owned(),
        subjects: vec!["alert.critical.>".to_owned()],
        ..Default::default()
    };
    nats.jetstream().create_stream(legacy).await.unwrap();
    let topology = small_topology();
    let differences = topology.diff(&nats).await.unwrap();
    let overlaps = topology.overlaps(&nats, &differences).await.unwrap();
    let error = topology.apply(&nats, false).await.unwrap_err();
    for text in [overlaps[0].to_string(), error.to_string()] {
        assert!(text.contains("ALERT needs subject alert.>"), "{text}");
        assert!(text.contains("stream LEGACY takes"), "{text}");
    }
    assert_eq!(overlaps.len(), 1);
}

#[test]
fn limits_of_streams_are_found_whatever_the_case_of_their_names() {
    let streams = |name: &str| {
        let limit = StreamOverride { max_bytes: Some(5), ..StreamOverride::default() };
        TopologyConfig { replicas: None, streams: BTreeMap::from([(name.to_owned(), limit)]) }
    };
    let topology = Topology::embedded().unwrap().with_config(&streams("kv_prices")).unwrap();
    assert!(format!("{topology:?}").contains("Number(5)"), "the environment has no lower case");
    let error = Topology::embedded().unwrap().with_config(&streams("evmm")).unwrap_err();
    assert!(
        error.to_string().starts_with("streams.streams.evmm is not one of our streams"),
        "{error}"
    );
}
