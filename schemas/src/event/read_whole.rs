use rmp_serde::decode::ReadRefReader;
use serde::Deserialize;

/// Maximum nesting that is read. Our bodies have 4 levels; newer ones may have more, but a hostile one
/// of thousands of levels must not overflow the stack, as it would at the library's own limit.
const MAX_DEPTH: usize = 64;

pub(crate) fn deserializer(body: &[u8]) -> rmp_serde::Deserializer<ReadRefReader<'_, [u8]>> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(body);
    deserializer.set_max_depth(MAX_DEPTH);
    deserializer
}

/// Reads one value that fills `body` to its end: two bodies in one message are not one event.
pub(crate) fn read_whole<'de, T: Deserialize<'de>>(
    body: &'de [u8],
) -> Result<T, rmp_serde::decode::Error> {
    let mut deserializer = deserializer(body);
    let value = T::deserialize(&mut deserializer)?;
    // The reader does not expose its remaining bytes, but at the end there is no marker to read.
    match <()>::deserialize(&mut deserializer) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(value),
        _ => Err(serde::de::Error::custom("bytes follow the end of the body")),
    }
}
