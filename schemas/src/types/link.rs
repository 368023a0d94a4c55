//! The one form of a link.

use std::fmt::Write as _;

/// Maximum length of a link in its canonical form, bytes: it is part of a table's key.
const MAX_BYTES: usize = 2_048;

/// A text is not a link that can be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a link to a page: {problem}")]
pub struct LinkError {
    /// The text, cut.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// The one form of a link to a page, by which two sources that link to it are known to mean the same: scheme and host in
/// lower case, without the usual port, fragment and `utm_*` parameters; spaces, quotes and angle brackets are escaped. What
/// else follows the host is left as it is, because only its server knows what it means.
///
/// # Errors
/// When it is not an `http` or `https` link, names a user, or is too long.
pub fn canonical_link(text: &str) -> Result<String, LinkError> {
    let text = text.trim();
    canonical(text).map_err(|problem| LinkError { text: text.chars().take(100).collect(), problem })
}

fn canonical(text: &str) -> Result<String, &'static str> {
    if text.chars().any(char::is_control) {
        return Err("it has control characters");
    }
    let (scheme, rest) = text.split_once("://").ok_or("it does not begin with https://")?;
    let (scheme, usual_port) = match scheme.to_ascii_lowercase().as_str() {
        "https" => ("https", ":443"),
        "http" => ("http", ":80"),
        _ => return Err("it is neither http nor https"),
    };
    let rest = rest.split_once('#').map_or(rest, |(rest, _fragment)| rest);
    let end_of_host = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, rest) = rest.split_at(end_of_host);
    let host = host.to_lowercase();
    let host = host.strip_suffix(usual_port).unwrap_or(&host);
    check_host(host)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut link = format!("{scheme}://{host}");
    push_escaped(&mut link, if path.is_empty() { "/" } else { path });
    let mut separator = '?';
    for parameter in query.split('&').filter(|parameter| !is_tracking(parameter)) {
        link.push(separator);
        push_escaped(&mut link, parameter);
        separator = '&';
    }
    if link.len() > MAX_BYTES {
        return Err("it is longer than 2048 bytes");
    }
    Ok(link)
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if host.contains('@') {
        return Err("it names a user");
    }
    let is_of_host =
        |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']');
    let has_name = host.chars().any(char::is_alphanumeric);
    if has_name && !host.starts_with([':', '.']) && host.chars().all(is_of_host) {
        Ok(())
    } else {
        Err("it names no host")
    }
}

/// Whether a parameter only says where a reader came from; an empty one says nothing.
fn is_tracking(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    parameter.is_empty() || name.to_ascii_lowercase().starts_with("utm_")
}

fn push_escaped(link: &mut String, part: &str) {
    for letter in part.chars() {
        if matches!(letter, ' ' | '"' | '<' | '>') {
            // Writing to a string cannot fail.
            let _ = write!(link, "%{:02X}", u32::from(letter));
        } else {
            link.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn one_page_has_one_link() {
        for (written, expected) in [
            (" https://News.Example/A/b?id=7#top ", "https://news.example/A/b?id=7"),
            ("HTTPS://news.example", "https://news.example/"),
            ("https://news.example?utm_source=rss", "https://news.example/"),
            ("https://news.example:443/a", "https://news.example/a"),
            ("http://news.example:80/a", "http://news.example/a"),
            ("http://news.example:8080/a?&", "http://news.example:8080/a"),
            (
                "https://x.example/?utm_medium=a&b=1&UTM_term=c&d=%20",
                "https://x.example/?b=1&d=%20",
            ),
            ("https://x.example/a b?q=\"<c>\"", "https://x.example/a%20b?q=%22%3Cc%3E%22"),
            ("https://münze.example/ä", "https://münze.example/ä"),
            ("https://[2001:DB8::1]/a", "https://[2001:db8::1]/a"),
            (
                "https://x.example/a?u=https://y.example/#b",
                "https://x.example/a?u=https://y.example/",
            ),
        ] {
            let link = canonical_link(written).unwrap();
            assert_eq!(link, expected);
            assert_eq!(canonical_link(&link).unwrap(), link, "it is its own canonical form");
        }
    }

    #[test]
    fn what_is_no_link_to_a_page_is_refused() {
        for (text, problem) in [
            ("", "begin with"),
            ("/news/1", "begin with"),
            ("javascript:alert(1)", "begin with"),
            ("ftp://x.example/a", "neither http"),
            ("javascript://x.example/%0aalert(1)", "neither http"),
            ("https:///a", "no host"),
            ("https://:443/a", "no host"),
            ("https://x.example\\@y.example/", "a user"),
            ("https://user:word@x.example/", "a user"),
            ("https://x example/", "no host"),
            ("https://x.example/a\nb", "control"),
        ] {
            let error = canonical_link(text).unwrap_err();
            assert!(error.to_string().contains(problem), "{text}: {error}");
        }
        let long = format!("https://x.example/{}", "a".repeat(MAX_BYTES));
        assert!(canonical_link(&long).unwrap_err().to_string().len() < 200);
    }
}
