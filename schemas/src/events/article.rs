use crate::{
    event::{
        body::event,
        event_kind::EventKind,
        ids::polled_event_id,
        polled_values::{check_line, check_name, distinct_words, one_line, one_line_or_none},
    },
    kinds::Kind,
    sample_values::{BLOCK_TIME_US, OBSERVED_AT_US},
    streams::Stream,
    subjects::forms as subjects,
    types::link::canonical_link,
};

/// Bounds of texts, characters.
const MAX_TITLE: usize = 300;
const MAX_SUMMARY: usize = 500;
const MAX_PERSON: usize = 200;
const MAX_TAG: usize = 64;
/// Maximum number of assets, and of tags.
const MAX_ASSETS: usize = 50;
const MAX_TAGS: usize = 30;

event! {
    /// An article, of which only the summary is kept. Its `event_at_us` is the time of publication.
    pub struct Article: base {
        /// Its title, one line.
        pub title: String,
        /// Where it is, in canonical form: scheme and host in lower case, no fragment, no `utm_*` parameters.
        pub link: String,
        /// Who wrote it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub author: Option<String>,
        /// Who published it, where the provider collects articles of others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub publisher: Option<String>,
        /// What it is about, one line of at most 500 characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub summary: Option<String>,
        /// Asset ids of the catalogue that it is about, such as `bitcoin`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub assets: Vec<String>,
        /// The provider's words for what it is about, lower case.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub tags: Vec<String>,
    }
}

impl EventKind for Article {
    const NAME: &'static str = "article";
    const SCHEMA: &'static str = "news.article/1";
    const SUBJECT: &'static str = "news.<provider>";
    const STREAMS: &'static [(Stream, &'static str)] = &[(Stream::Signals, subjects::NEWS_ALL)];
    const SOURCE: &'static str = "";
    const POLLED: bool = true;

    fn subject(&self) -> String {
        subjects::article(&self.source)
    }

    fn key(&self) -> String {
        self.link.clone()
    }

    fn normalise(&mut self) {
        // What is no link stays as it is, for the check to name it.
        if let Ok(link) = canonical_link(&self.link) {
            self.link = link;
        }
        self.title = one_line(&self.title, MAX_TITLE);
        self.author = one_line_or_none(self.author.as_deref(), MAX_PERSON);
        self.publisher = one_line_or_none(self.publisher.as_deref(), MAX_PERSON);
        self.summary = one_line_or_none(self.summary.as_deref(), MAX_SUMMARY);
        self.tags = distinct_words(&self.tags, MAX_TAGS, MAX_TAG);
        let mut assets = std::mem::take(&mut self.assets);
        assets.sort();
        assets.dedup();
        self.assets = assets;
    }

    fn check(&self) -> Result<(), String> {
        let link = canonical_link(&self.link).map_err(|error| format!("link: {error}"))?;
        if link != self.link {
            return Err(format!("link {:?} is not in its canonical form, {link:?}", self.link));
        }
        check_line("title", &self.title, MAX_TITLE)?;
        for (field, text, most) in [
            ("author", &self.author, MAX_PERSON),
            ("publisher", &self.publisher, MAX_PERSON),
            ("summary", &self.summary, MAX_SUMMARY),
        ] {
            text.as_deref().map_or(Ok(()), |text| check_line(field, text, most))?;
        }
        for (field, list, most) in
            [("assets", &self.assets, MAX_ASSETS), ("tags", &self.tags, MAX_TAGS)]
        {
            if list.len() > most {
                return Err(format!("{} {field} are more than {most}", list.len()));
            }
        }
        self.tags.iter().try_for_each(|tag| check_line("tag", tag, MAX_TAG))?;
        self.assets.iter().try_for_each(|asset| check_name("asset", asset))
    }

    fn sample() -> Self {
        let link = "https://news.example/2024/10/bitcoin-etf-inflows?id=7";
        Article {
            id: polled_event_id("news-example", Kind::Article, link, BLOCK_TIME_US),
            title: "Bitcoin ETFs take in 470 million dollars".to_owned(),
            link: link.to_owned(),
            author: Some("Ada Example".to_owned()),
            publisher: Some("The Example Ledger".to_owned()),
            summary: Some("It is the fifth day of inflows in a row.".to_owned()),
            assets: vec!["bitcoin".to_owned(), "ethereum".to_owned()],
            tags: vec!["etf".to_owned(), "markets".to_owned()],
            ..Article::at("news-example", BLOCK_TIME_US, OBSERVED_AT_US)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_article_is_brought_into_its_form() {
        let mut article = Article {
            title: format!(" A\n {}", "b".repeat(400)),
            link: "HTTPS://News.Example/a?utm_source=rss#top".to_owned(),
            author: Some(" ".to_owned()),
            summary: Some("c ".repeat(400)),
            assets: ["solana", "bitcoin", "solana"].map(str::to_owned).into(),
            tags: ["ETF", "etf", "Layer 2"].map(str::to_owned).into(),
            ..Article::sample()
        };
        assert!(article.check().is_err());
        article.normalise();
        assert_eq!(article.check(), Ok(()));
        assert_eq!(article.link, "https://news.example/a");
        assert_eq!(article.key(), article.link);
        assert_eq!(article.title.chars().count(), 300);
        assert!(article.title.starts_with("A bb") && article.title.ends_with('…'));
        assert_eq!(article.author, None);
        assert!(article.summary.as_ref().is_some_and(|text| text.chars().count() <= 500));
        assert_eq!(article.assets, ["bitcoin", "solana"]);
        assert_eq!(article.tags, ["etf", "layer 2"]);
    }

    #[test]
    fn what_cannot_be_mended_is_refused() {
        let refused = |change: fn(&mut Article), part: &str| {
            let mut article = Article::sample();
            change(&mut article);
            article.normalise();
            let error = article.check().err().unwrap_or_default();
            assert!(error.contains(part), "{part}: {error}");
        };
        refused(|article| article.title = " ".to_owned(), "title");
        refused(|article| article.link = "javascript:alert(1)".to_owned(), "link");
        refused(|article| article.assets = vec!["BTC".to_owned()], "asset");
        refused(|article| article.assets = (0..51).map(|at| format!("a{at}")).collect(), "assets");
    }
}
