//! What Slack accepts as a message.

use serde_json::Value;

const MAX_BLOCKS: usize = 50;
const MAX_SECTION: usize = 3_000;
const MAX_HEADER: usize = 150;
const MAX_CONTEXT_ELEMENTS: usize = 10;
const MAX_TEXT: usize = 40_000;
/// Over all blocks; not documented.
const MAX_SUM: usize = 13_200;

/// The message, or Slack's error and what is wrong.
pub(super) fn check(body: &[u8]) -> Result<Value, (&'static str, String)> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|_| ("invalid_payload", "the body is not JSON".to_owned()))?;
    let text = body["text"].as_str().unwrap_or_default();
    if text.encode_utf16().count() > MAX_TEXT {
        return Err(("msg_too_long", "text is too long".to_owned()));
    }
    let Some(blocks) = body.get("blocks") else {
        return if text.is_empty() { Err(("no_text", "no text".to_owned())) } else { Ok(body) };
    };
    let invalid = |detail: String| ("invalid_blocks", detail);
    let blocks = blocks.as_array().ok_or_else(|| invalid("blocks is no list".to_owned()))?;
    if text.is_empty() {
        return Err((
            "missing_text_or_fallback_or_attachments",
            "no text beside blocks".to_owned(),
        ));
    }
    if blocks.is_empty() || blocks.len() > MAX_BLOCKS {
        return Err(invalid(format!("{} blocks", blocks.len())));
    }
    let mut sum = 0;
    for block in blocks {
        sum += units(block).map_err(invalid)?;
    }
    if sum > MAX_SUM {
        return Err(("msg_blocks_too_long", format!("{sum} units in all blocks")));
    }
    Ok(body)
}

/// The length of a block's texts.
fn units(block: &Value) -> Result<usize, String> {
    let kind = block["type"].as_str().unwrap_or_default();
    let of = |text: &Value, most: usize| -> Result<usize, String> {
        let known = matches!(text["type"].as_str(), Some("plain_text" | "mrkdwn"));
        let units = text["text"].as_str().unwrap_or_default().encode_utf16().count();
        match known && (1..=most).contains(&units) {
            true => Ok(units),
            false => Err(format!("{units} units in a {kind}: {text}")),
        }
    };
    match kind {
        "header" if block["text"]["type"] == "plain_text" => of(&block["text"], MAX_HEADER),
        "section" => of(&block["text"], MAX_SECTION),
        "context" => {
            let elements = block["elements"].as_array().map(Vec::as_slice).unwrap_or_default();
            if elements.is_empty() || elements.len() > MAX_CONTEXT_ELEMENTS {
                return Err(format!("{} elements in a context", elements.len()));
            }
            elements.iter().map(|element| of(element, MAX_SECTION)).sum()
        }
        other => Err(format!("a block of type {other:?}")),
    }
}

/// What people see: the texts of the blocks, or the text without them.
pub(super) fn text(body: &Value) -> String {
    let Some(blocks) = body["blocks"].as_array() else {
        return decode(body["text"].as_str().unwrap_or_default());
    };
    let texts = blocks.iter().flat_map(|block| {
        let elements = block["elements"].as_array().map(Vec::as_slice).unwrap_or_default();
        elements.iter().chain([&block["text"]]).filter_map(|text| {
            let shown = text["text"].as_str()?;
            Some(if text["type"] == "mrkdwn" { decode(shown) } else { shown.to_owned() })
        })
    });
    texts.collect::<Vec<String>>().join("\n")
}

fn decode(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
