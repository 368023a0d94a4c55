use chrono::{DateTime, Utc};
use feed_rs::{
    model::{Entry, Link, Text},
    parser,
};
use jaq_json::Val;
use serde_json::{Value, json};

use super::{filter::read_json, plain_text::plain_text};

/// Most entries that are read of one feed.
const MAX_ENTRIES: usize = 1_000;

/// Reads RSS or Atom into one form: `{title, entries: [{id, title, link, authors, published, updated, summary,
/// categories}]}`. Texts come without HTML, times in RFC 3339; what a feed does not say is null.
///
/// Entities that the document defines itself stay as they are written, and reading needs no recursion: neither
/// size nor depth grows beyond that of the answer.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_feed(body: &[u8]) -> Result<Val, String> {
    // The parser would take JSON Feed as well, whose depth is not limited.
    let first =
        body.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf));
    if first != Some(&b'<') {
        return Err("is not XML, so it is no feed".to_owned());
    }
    let feed = parser::parse(body).map_err(|error| format!("is no feed (RSS or Atom): {error}"))?;
    let entries: Vec<Value> = feed.entries.iter().take(MAX_ENTRIES).map(entry).collect();
    let document = json!({ "title": text(feed.title.as_ref()), "entries": entries });
    read_json(document.to_string().as_bytes())
}

fn entry(entry: &Entry) -> Value {
    let content = entry.content.as_ref().and_then(|content| content.body.as_deref());
    let summary = text(entry.summary.as_ref()).or_else(|| content.map(plain_text));
    let authors = entry.authors.iter().filter_map(|author| author.name.as_deref()).map(plain_text);
    let categories = entry
        .categories
        .iter()
        .map(|category| plain_text(category.label.as_deref().unwrap_or(category.term.as_str())));
    json!({
        "id": entry.id,
        "title": text(entry.title.as_ref()),
        "link": link(&entry.links),
        "authors": filled(authors),
        "published": time(entry.published),
        "updated": time(entry.updated),
        "summary": summary.filter(|summary| !summary.is_empty()),
        "categories": filled(categories),
    })
}

/// The address of the article itself rather than that of comments or pictures.
fn link(links: &[Link]) -> Option<&str> {
    let own = links.iter().find(|link| matches!(link.rel.as_deref(), None | Some("alternate")));
    own.or(links.first()).map(|link| link.href.trim())
}

fn text(text: Option<&Text>) -> Option<String> {
    text.map(|text| plain_text(&text.content)).filter(|text| !text.is_empty())
}

fn time(time: Option<DateTime<Utc>>) -> Option<String> {
    time.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

fn filled(texts: impl Iterator<Item = String>) -> Vec<String> {
    texts.filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(body: &str) -> Value {
        serde_json::from_str(&read_feed(body.as_bytes()).unwrap().to_string()).unwrap()
    }

    #[test]
    fn rss_and_atom_have_one_form() {
        let rss = r#"<?xml version="1.0"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>
            <title>News &amp; more</title><link>https://example.org</link><description>d</description>
            <item><title><![CDATA[Bitcoin &#8217;s <b>rise</b>]]></title><link>https://example.org/1?a=1&amp;b=2</link>
            <guid isPermaLink="false">one</guid><pubDate>Tue, 14 Nov 2023 22:13:19 +0000</pubDate>
            <dc:creator>A. Writer</dc:creator><category>Markets</category>
            <description>&lt;p&gt;First &lt;a href="x"&gt;line&lt;/a&gt;.&lt;/p&gt;&lt;p&gt;Second&lt;/p&gt;</description></item>
            <item><link>https://example.org/2</link></item></channel></rss>"#;
        let seen = read(rss);
        assert_eq!(seen["title"], "News & more");
        assert_eq!(
            seen["entries"][0],
            json!({
                "id": "one", "title": "Bitcoin \u{2019}s rise", "link": "https://example.org/1?a=1&b=2",
                "authors": ["A. Writer"], "published": "2023-11-14T22:13:19Z", "updated": "2023-11-14T22:13:19Z",
                "summary": "First line. Second", "categories": ["Markets"],
            })
        );
        assert_eq!(seen["entries"][1]["title"], Value::Null);

        let atom = r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><entry><id>urn:1</id>
            <title type="html">A &lt;i&gt;title&lt;/i&gt;</title><link rel="self" href="https://example.org/self"/>
            <link rel="alternate" href="https://example.org/1"/><author><name>B</name></author>
            <updated>2026-08-01T10:00:00+02:00</updated><content type="html">&lt;p&gt;Body&lt;/p&gt;</content>
            <category term="t" label="Label"/></entry></feed>"#;
        let entry = &read(atom)["entries"][0];
        assert_eq!(
            (&entry["title"], &entry["link"]),
            (&json!("A title"), &json!("https://example.org/1"))
        );
        assert_eq!(
            (&entry["updated"], &entry["summary"]),
            (&json!("2026-08-01T08:00:00Z"), &json!("Body"))
        );
        assert_eq!((&entry["authors"], &entry["categories"]), (&json!(["B"]), &json!(["Label"])));
    }

    #[test]
    fn hostile_documents_neither_grow_nor_overflow_the_stack() {
        let mut laughs = String::from("<!DOCTYPE x [<!ENTITY a0 \"ha\">");
        for level in 1..40 {
            laughs += &format!("<!ENTITY a{level} \"&a{0};&a{0};\">", level - 1);
        }
        laughs += "]><rss version=\"2.0\"><channel><title>&a39;</title><item><title>&a39;</title></item></channel></rss>";
        let seen =
            read_feed(laughs.as_bytes()).map_or_else(|error| error, |value| value.to_string());
        assert!(seen.len() < 1_000, "{} characters", seen.len());
        for (begin, end) in
            [("<a>", "</a>"), ("<item>", "</item>"), ("<description>", "</description>")]
        {
            let deep = begin.repeat(50_000) + &end.repeat(50_000);
            let rss = format!("<rss version=\"2.0\"><channel><item>{deep}</item></channel></rss>");
            let _ = read_feed(rss.as_bytes());
            let _ = read_feed(&rss.as_bytes()[..rss.len() / 3]);
        }
    }

    #[test]
    fn what_is_no_feed_is_refused() {
        for body in
            ["{\"version\": \"https://jsonfeed.org/version/1\"}", "<html></html>", "<rss", "hello"]
        {
            assert!(read_feed(body.as_bytes()).unwrap_err().contains("feed"), "{body}");
        }
    }
}
