//! The contract holds in other languages: Python decodes the golden vectors without our code.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::drift::folder;

#[test]
fn golden_vectors_decode_in_python() {
    let Some(python) = python() else { return };
    let output = check(&python, &folder("golden"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let vectors = 2 * crypto_intel_schemas::Kind::ALL.len();
    assert!(said.contains(&format!("{vectors} vectors agree, 1 chunks")), "{said}");
}

#[test]
fn python_check_notices_a_changed_byte() {
    let Some(python) = python() else { return };
    let copy = tempfile::tempdir().unwrap();
    let name = "transfer.erc20.v1";
    for extension in ["json", "msgpack"] {
        let file = format!("{name}.{extension}");
        fs::copy(folder("golden").join(&file), copy.path().join(&file)).unwrap();
    }
    assert!(check(&python, copy.path()).status.success(), "the copy itself is sound");
    let path = copy.path().join(format!("{name}.msgpack"));
    let mut body = fs::read(&path).unwrap();
    // The last byte of the transferred value, whose key and 32-byte head are before it.
    let key = b"\xa5value\xc4\x20";
    let value = body.windows(key.len()).position(|window| window == key).unwrap() + key.len();
    body[value + 31] ^= 1;
    fs::write(&path, body).unwrap();
    let output = check(&python, copy.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("value"), "{said}");
}

fn check(python: &Path, golden: &Path) -> Output {
    Command::new(python)
        .arg(folder("tests/golden.py"))
        .args([golden, &folder("json")])
        .output()
        .expect("start python")
}

/// A Python that has msgpack and zstandard; without one the test is skipped, or fails where it is required.
fn python() -> Option<PathBuf> {
    let found = candidates().into_iter().find(|python| {
        let probe = Command::new(python).args(["-c", "import msgpack, zstandard"]).output();
        probe.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        let message =
            "no Python with msgpack and zstandard: set CRYPTO_INTEL_PYTHON, or make .tools/python";
        let required = std::env::var("CRYPTO_INTEL_REQUIRE").unwrap_or_default();
        let is_required = required.split(',').any(|part| part.trim() == "python");
        assert!(!is_required, "{message}");
        eprintln!("skipped: {message}");
    }
    found
}

fn candidates() -> Vec<PathBuf> {
    let configured = std::env::var_os("CRYPTO_INTEL_PYTHON").filter(|path| !path.is_empty());
    if let Some(configured) = configured {
        return vec![PathBuf::from(configured)];
    }
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|ancestor| ancestor.join(".tools/python/bin/python"))
        .filter(|python| python.exists())
        .chain([PathBuf::from(OsString::from("python3"))])
        .collect()
}
