//! Bodies of several parts, by the letter of RFC 7578: a service refuses what is a little wrong, and says little of it.

/// One part.
#[derive(Debug)]
pub(super) struct Part<'b> {
    pub(super) name: String,
    /// Of a file.
    pub(super) file: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) body: &'b [u8],
}

/// The parts of a body.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse<'b>(content_type: &str, body: &'b [u8]) -> Result<Vec<Part<'b>>, String> {
    let boundary = content_type
        .strip_prefix("multipart/form-data; boundary=")
        .ok_or_else(|| format!("Content-Type is {content_type}"))?;
    if boundary.is_empty() || boundary.len() > 70 {
        return Err(format!("a boundary of {} characters", boundary.len()));
    }
    let delimiter = format!("--{boundary}");
    let mut rest = body
        .strip_prefix(delimiter.as_bytes())
        .ok_or("the body does not begin with the boundary")?;
    let mut parts: Vec<Part<'b>> = Vec::new();
    loop {
        if let Some(end) = rest.strip_prefix(b"--") {
            return match end {
                b"" | b"\r\n" if !parts.is_empty() => Ok(parts),
                _ => Err("something follows the last boundary".to_owned()),
            };
        }
        rest = rest.strip_prefix(b"\r\n").ok_or("no line ends after a boundary")?;
        let head_end = find(rest, b"\r\n\r\n").ok_or("a part without an empty line")?;
        let (head, after) = (&rest[..head_end], &rest[head_end + 4..]);
        let inner = format!("\r\n{delimiter}");
        let body_end = find(after, inner.as_bytes()).ok_or("a part that does not end")?;
        let part = part(head, &after[..body_end])?;
        if parts.iter().any(|known| known.name == part.name) {
            return Err(format!("{} comes twice", part.name));
        }
        parts.push(part);
        rest = &after[body_end + inner.len()..];
    }
}

fn part<'b>(head: &[u8], body: &'b [u8]) -> Result<Part<'b>, String> {
    let head = std::str::from_utf8(head).map_err(|_| "headers that are no text")?;
    let (mut name, mut file, mut content_type) = (None, None, None);
    for line in head.split("\r\n") {
        let (key, value) = line.split_once(": ").ok_or_else(|| format!("header {line:?}"))?;
        match key.to_ascii_lowercase().as_str() {
            "content-disposition" => {
                let rest = value.strip_prefix("form-data").ok_or("no form-data")?;
                name = quoted(rest, "; name=\"");
                file = quoted(rest, "; filename=\"");
            }
            "content-type" => content_type = Some(value.to_owned()),
            other => return Err(format!("header {other} in a part")),
        }
    }
    let name = name.ok_or("a part without a name")?;
    Ok(Part { name, file, content_type, body })
}

fn quoted(text: &str, before: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once('"')?.0.to_owned())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Width and height of a PNG picture; `None` for anything else.
pub(super) fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let header = rest.get(4..16).filter(|header| &header[..4] == b"IHDR")?;
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    Some((number(4)?, number(8)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_body_by_the_letter_is_read() {
        let form = "multipart/form-data; boundary=b";
        let good = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
                    --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.png\"\r\nContent-Type: image/png\r\n\r\n2\r\n--b--\r\n";
        let parts = parse(form, good.as_bytes()).unwrap();
        assert_eq!((parts.len(), parts[0].body, parts[0].file.as_deref()), (2, &b"1"[..], None));
        assert_eq!(parts[1].file.as_deref(), Some("x.png"));
        for wrong in [
            good.replace("\r\n\r\n", "\n\n"),
            good.replace("--b--", "--b"),
            good.replace("name=\"f\"", "name=\"a\""),
            good.replace("form-data; name=\"a\"", "form-data"),
            format!("\r\n{good}"),
            good.replace("--b--\r\n", "--b--more"),
        ] {
            assert!(parse(form, wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(parse("application/json", good.as_bytes()).is_err());
    }
}
