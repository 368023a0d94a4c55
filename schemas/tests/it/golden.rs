//! Golden vectors: what is on the wire, byte for byte. `UPDATE_GOLDEN=1` rewrites them and keeps
//! each replaced one in `golden/retired`, which must always decode.

use std::{collections::BTreeSet, fs, path::Path};

use crypto_intel_schemas::{Event, Kind, samples};

use crate::drift::{folder, is_update, names, pretty};

struct Vector {
    name: String,
    event: Event,
}

fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for &kind in Kind::ALL {
        let name = format!("{kind}.v{}", kind.version());
        vectors
            .push(Vector { name: format!("{name}.minimal"), event: samples::sample_minimal(kind) });
        vectors.push(Vector { name, event: samples::sample(kind) });
    }
    vectors
}

#[test]
fn golden_vectors_are_what_the_codec_writes_and_reads() {
    if is_update("UPDATE_GOLDEN") {
        update(&folder("golden"));
    }
    let golden = folder("golden");
    for Vector { name, event } in vectors() {
        let body = fs::read(golden.join(format!("{name}.msgpack"))).expect(&name);
        assert_eq!(Event::decode(&body).expect(&name), event, "{name}: decoding");
        assert_eq!(event.encode(), body, "{name}: encoding. On purpose? See README.md");
        let text = fs::read_to_string(golden.join(format!("{name}.json"))).expect(&name);
        assert_eq!(pretty(&event.to_json()), text, "{name}: JSON");
    }
}

#[test]
fn current_and_retired_vectors_decode_to_their_json() {
    if is_update("UPDATE_GOLDEN") {
        return eprintln!("skipped: the vectors are being written");
    }
    let golden = folder("golden");
    let mut folders = vec![golden.clone()];
    folders.extend(Some(golden.join("retired")).filter(|retired| retired.exists()));
    let mut decoded = 0;
    for folder in folders {
        for name in names(&folder).iter().filter(|name| name.ends_with(".msgpack")) {
            let body = fs::read(folder.join(name)).unwrap();
            let event = Event::decode(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
            let path = folder.join(name).with_extension("json");
            let json: serde_json::Value =
                serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            assert_eq!(event.to_json(), json, "{name}");
            assert_eq!(Event::from_json(&json).unwrap(), event, "{name}");
            decoded += 1;
        }
    }
    assert!(decoded >= 2 * Kind::ALL.len(), "only {decoded} vectors");
}

#[test]
fn golden_folder_holds_nothing_else() {
    if is_update("UPDATE_GOLDEN") {
        return eprintln!("skipped: the vectors are being written");
    }
    let mut expected = BTreeSet::new();
    for Vector { name, .. } in vectors() {
        expected.insert(format!("{name}.json"));
        expected.insert(format!("{name}.msgpack"));
    }
    // A kind's earlier versions stay beside its newest.
    let is_earlier_version = |name: &String| {
        Kind::ALL.iter().any(|kind| {
            (1..kind.version()).any(|version| name.starts_with(&format!("{kind}.v{version}.")))
        })
    };
    let mut found = names(&folder("golden"));
    found.retain(|name| !is_earlier_version(name));
    assert_eq!(found, expected);
}

/// Writes every vector; one that changes is first copied to `retired` under the hash of its bytes.
fn update(golden: &Path) {
    for Vector { name, event } in vectors() {
        let path = golden.join(format!("{name}.msgpack"));
        let body = event.encode();
        if let Ok(before) = fs::read(&path)
            && before != body
        {
            retire(golden, &name, &before);
        }
        fs::write(&path, &body).unwrap();
        fs::write(path.with_extension("json"), pretty(&event.to_json())).unwrap();
    }
}

fn retire(golden: &Path, name: &str, body: &[u8]) {
    let retired = golden.join("retired");
    fs::create_dir_all(&retired).unwrap();
    let code = crypto_intel_schemas::short_code(&format!("{body:?}")).to_ascii_lowercase();
    let path = retired.join(format!("{name}.{code}.msgpack"));
    fs::write(&path, body).unwrap();
    fs::copy(golden.join(format!("{name}.json")), path.with_extension("json")).unwrap();
}
