//! Damages valid bodies. Shared with `examples/fuzz_decode.rs`.

use rand::{RngExt, rngs::StdRng};

/// Bytes with a meaning of their own in MessagePack: nil, the never used one, bin, ext, str, array and map of
/// 32-bit lengths, the largest fixed array and map, 64-bit integers, floats.
const MARKERS: [u8; 14] =
    [0xc0, 0xc1, 0xc4, 0xc6, 0xc9, 0xcb, 0xcf, 0xd3, 0xd9, 0xdb, 0xdd, 0xdf, 0x8f, 0x9f];

/// Maximum length of a damaged body, bytes.
const MAX_LENGTH: usize = 8192;

/// One of `corpus`, damaged 1 to 8 times.
pub(crate) fn mutated(corpus: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut body = corpus[random.random_range(0..corpus.len())].clone();
    for _ in 0..random.random_range(1..=8) {
        mutate(&mut body, corpus, random);
        body.truncate(MAX_LENGTH);
    }
    body
}

fn mutate(body: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut StdRng) {
    if body.is_empty() {
        body.push(random.random());
        return;
    }
    let at = random.random_range(0..body.len());
    let end = (at + random.random_range(1..=16)).min(body.len());
    match random.random_range(0..9) {
        0 => body[at] ^= 1 << random.random_range(0..8),
        1 => body[at] = random.random(),
        2 => body[at] = MARKERS[random.random_range(0..MARKERS.len())],
        3 => body.truncate(at),
        4 => drop(body.drain(at..end)),
        5 => body.insert(at, random.random()),
        6 => {
            let repeated = body[at..end].repeat(random.random_range(1..64));
            body.splice(at..at, repeated);
        }
        7 => body[at..end].fill(0xff),
        _ => {
            let other = &corpus[random.random_range(0..corpus.len())];
            let from = random.random_range(0..=other.len());
            body.splice(at.., other[from..].iter().copied());
        }
    }
}
