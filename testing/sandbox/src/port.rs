//! Free ports below the ephemeral range.

use std::net::TcpListener;

use anyhow::bail;
use rand::RngExt as _;

const LOWEST_PORT: u16 = 12_000;
const USUAL_EPHEMERAL_START: u16 = 32_768;

/// Picks a port of 127.0.0.1 that is free at this moment and lies below the range from which the system takes
/// the local ports of outgoing connections.
///
/// Another process may take it before the caller does: on "address in use", pick another one.
///
/// # Errors
/// Fails when some hundred random ports in a row are taken.
pub fn free_port() -> anyhow::Result<u16> {
    let end = ephemeral_start();
    let mut random = rand::rng();
    for _ in 0..500 {
        let port = random.random_range(LOWEST_PORT..end);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port found on 127.0.0.1 between {LOWEST_PORT} and {end}")
}

/// Where the ephemeral range begins, when that leaves room below it.
fn ephemeral_start() -> u16 {
    let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse::<u16>().ok())
        .unwrap_or(USUAL_EPHEMERAL_START);
    if start > LOWEST_PORT + 1_000 { start } else { USUAL_EPHEMERAL_START }
}
