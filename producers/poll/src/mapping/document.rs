use jaq_json::Val;

use super::{feed::read_feed, filter::read_json};
use crate::catalogue::Format;

/// Reads the body of an answer into what the filters see.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_document(format: Format, body: &[u8]) -> Result<Val, String> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match (format, first) {
        (_, None) => Err("is empty".to_owned()),
        (Format::Json, Some(b'<')) => Err("is a web page or XML, not JSON".to_owned()),
        (Format::Json, _) => read_json(body),
        (Format::Feed, _) => read_feed(body),
        (Format::Text, _) => {
            let text =
                std::str::from_utf8(body).map_err(|error| format!("is not UTF-8: {error}"))?;
            Ok(Val::utf8_str(text.to_owned()))
        }
    }
}
