//! The golden vector of a chunk. `UPDATE_GOLDEN=1` rewrites it; what another zstd would write may differ in its bytes, so only
//! reading is compared.

use std::fs;

use crypto_intel_schemas::{Chunk, ChunkWriter, Event, Kind, samples, subjects};
use serde_json::{Value, json};

use crate::drift::{folder, is_update, pretty};

/// Some events of a block, under the ends of their subjects.
fn events() -> Vec<(String, Event)> {
    let kinds = [Kind::NativeTransfer, Kind::Erc20Transfer, Kind::ContractEvent, Kind::Block];
    let named = |kind| {
        let event = samples::sample(kind);
        let subject = subjects::of(&event);
        let tail = subject.splitn(3, '.').nth(2).unwrap().to_owned();
        (tail, event)
    };
    kinds.into_iter().map(named).collect()
}

#[test]
fn the_golden_chunk_is_read_as_its_events() {
    let path = folder("golden/chunk").join("chunk.v1.zst");
    let listed: Vec<Value> =
        events().iter().map(|(tail, event)| json!([tail, event.to_json()])).collect();
    let listed = pretty(&Value::from(listed));
    if is_update("UPDATE_GOLDEN") {
        let mut writer = ChunkWriter::default();
        events().iter().for_each(|(tail, event)| writer.push(tail, &event.encode()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, writer.finish().unwrap()).unwrap();
        fs::write(path.with_extension("json"), &listed).unwrap();
    }
    let chunk = Chunk::read(&fs::read(&path).unwrap()).unwrap();
    let read: Vec<(String, Event)> = (0..chunk.events.len())
        .map(|place| {
            let body = &chunk.bytes[chunk.events[place].1.clone()];
            (chunk.tail(place).to_owned(), Event::decode(body).unwrap())
        })
        .collect();
    assert_eq!(read, events());
    assert_eq!(fs::read_to_string(path.with_extension("json")).unwrap(), listed);
}
