/// Elements whose content is no text for readers.
const HIDDEN: [&str; 2] = ["script", "style"];
/// Longest tag: a search without a limit would make a text of many `<` slow.
const MAX_TAG_BYTES: usize = 4_096;
/// Characters with a name in HTML that news use.
const NAMED: [(&str, &str); 21] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("hellip", "…"),
    ("mdash", "—"),
    ("ndash", "–"),
    ("lsquo", "\u{2018}"),
    ("rsquo", "\u{2019}"),
    ("ldquo", "\u{201c}"),
    ("rdquo", "\u{201d}"),
    ("bull", "•"),
    ("middot", "·"),
    ("euro", "€"),
    ("pound", "£"),
    ("copy", "©"),
    ("reg", "®"),
    ("trade", "™"),
    ("times", "×"),
];

/// A text of a feed without HTML: tags, scripts and comments go, entities become characters, and white space becomes
/// one space.
pub(super) fn plain_text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(found) = rest.find(['<', '&']) {
        text.push_str(&rest[..found]);
        rest = &rest[found..];
        rest = if rest.starts_with('<') {
            skip_tag(rest, &mut text)
        } else {
            take_entity(rest, &mut text)
        };
    }
    text.push_str(rest);
    let visible: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Skips a tag, comment or hidden element; a `<` that begins none is text.
fn skip_tag<'a>(rest: &'a str, text: &mut String) -> &'a str {
    if let Some(comment) = rest.strip_prefix("<!--") {
        return comment.find("-->").map_or("", |end| &comment[end + 3..]);
    }
    let begins =
        rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
    let end = rest.bytes().take(MAX_TAG_BYTES).position(|byte| byte == b'>');
    let Some(end) = end.filter(|_| begins) else {
        text.push('<');
        return &rest[1..];
    };
    let tag = &rest[1..end];
    let name = tag.trim_start_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next();
    let name = name.unwrap_or_default().to_ascii_lowercase();
    // Words on both sides of a paragraph's end are two words, those around bold type may be one.
    if !matches!(
        name.as_str(),
        "a" | "b" | "i" | "em" | "strong" | "span" | "u" | "sup" | "sub" | "code" | "font"
    ) {
        text.push(' ');
    }
    let after = &rest[end + 1..];
    if HIDDEN.contains(&name.as_str()) && !tag.starts_with('/') && !tag.ends_with('/') {
        let closing = after.match_indices("</").map(|(place, _)| &after[place..]).find(|tail| {
            let written = tail.as_bytes().get(2..2 + name.len());
            written.is_some_and(|written| written.eq_ignore_ascii_case(name.as_bytes()))
        });
        return closing.unwrap_or_default();
    }
    after
}

/// Takes an entity; an `&` that begins none is text.
fn take_entity<'a>(rest: &'a str, text: &mut String) -> &'a str {
    let end = rest.bytes().take(12).position(|byte| byte == b';');
    if let Some(end) = end {
        let name = &rest[1..end];
        let code = match name.strip_prefix('#') {
            Some(code) => match code.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => code.parse().ok(),
            },
            None => None,
        };
        if let Some(character) = code.and_then(char::from_u32) {
            text.push(character);
            return &rest[end + 1..];
        }
        if let Some((_, character)) = NAMED.iter().find(|(known, _)| *known == name) {
            text.push_str(character);
            return &rest[end + 1..];
        }
    }
    text.push('&');
    &rest[1..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_text() {
        for (html, text) in [
            ("plain", "plain"),
            ("<p>One</p><p>two</p>", "One two"),
            ("bit<b>coin</b>", "bitcoin"),
            ("a<br/>b", "a b"),
            ("AT&amp;T &#8364;5 &#x20AC;6 &nbsp; &unknown; & &", "AT&T €5 €6 &unknown; & &"),
            ("1 < 2 > 0 <3", "1 < 2 > 0 <3"),
            ("x<script>alert('</p>')</script>y<STYLE>a{}</STYLE>z", "x y z"),
            ("a<!-- <b> hidden --> b", "a b"),
            ("cut <a href=\"x", "cut <a href=\"x"),
            ("<script>endless", ""),
            ("ünïcode &ü; \u{1f680}", "ünïcode &ü; \u{1f680}"),
            ("line\n\tone\u{7}", "line one"),
        ] {
            assert_eq!(plain_text(html), text, "{html}");
        }
    }
}
