//! Invalid provider files are reported at start, with place and correction.

use crypto_intel_poll::{Config, ProviderSettings, Trial, check_facts, providers};
use crypto_intel_service::Secret;
use serde_json::json;

/// The source file of the README.
fn example() -> String {
    let readme = include_str!("../../README.md");
    let begin = readme.find("```toml\n").unwrap() + "```toml\n".len();
    let end = begin + readme[begin..].find("```").unwrap();
    readme[begin..end].to_owned()
}

/// What is said of a file in the folder of the configuration.
fn problem_of_own(file: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.toml"), file).unwrap();
    let catalogue = Some(folder.path().to_owned());
    match providers(&Config { catalogue, ..Config::default() }) {
        Ok(summaries) => format!("fine: {summaries:?}"),
        Err(error) => format!("{error:#}"),
    }
}

/// As that, without reading all the other files.
fn problem_of(file: &str) -> String {
    Trial::new("own.toml", file, [].into())
        .map_or_else(|error| error.to_string(), |_| "fine".to_owned())
}

fn problem_with(name: &str, settings: ProviderSettings) -> String {
    let config = Config { providers: [(name.to_owned(), settings)].into(), ..Config::default() };
    providers(&config).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn the_built_in_sources_are_fine_and_some_are_polled_without_a_key() {
    let summaries = providers(&Config::default()).unwrap();
    for name in ["alternative_me", "binance", "coingecko"] {
        let found = summaries.iter().find(|summary| summary.name == name).unwrap();
        assert!(found.enabled && !found.has_key, "{name}");
    }
}

#[test]
fn the_example_of_the_readme_is_a_source() {
    let shown = problem_of_own(&example());
    assert!(shown.starts_with("fine") && shown.contains("\"example\""), "{shown}");
    let wrong = problem_of_own(&example().replace("https://api.example.org", "ftp://x"));
    assert!(wrong.contains("own.toml") && wrong.contains("must begin with https://"), "{wrong}");
}

#[test]
fn a_wrong_file_is_named_with_place_and_problem() {
    let change = |from: &str, to: &str| {
        let file = example();
        assert!(file.contains(from), "{from}");
        problem_of(&file.replace(from, to))
    };
    for (from, to, problem) in [
        ("weight = 1\n", "wieght = 1\n", "unknown field `wieght`"),
        ("name = \"prices\"", "name = \"a b\"", "must be 1 to 64 of"),
        ("kind = \"price\"", "kind = \"block\"", "it can be price or index"),
        ("https://api.example.org", "ftp://x", "must begin with https://"),
        ("weight = 1\n", "weight = 9\n", "above quota.burst 5"),
        ("\"/v1/prices\"", "\"v1\"", "must begin with /"),
        ("header = \"x-api-key\"", "", "must have one of header, query"),
        ("header = \"x-api-key\"", "query = \"k\"\nprefix = \"Bearer \"", "goes with header alone"),
        ("category = \"market\"", "category = \"markt\"", "unknown variant `markt`"),
        (
            "facts = \"API documentation and a recorded answer, 2026-08\"",
            "facts = \" \"",
            "facts must say",
        ),
        ("per_minute = 30\n", "", "quota must have a window"),
        ("burst = 5 ", "# burst = 5 ", "quota.burst is missing"),
        ("per_minute = 30\n", "of = \"binance\"\n", "takes the whole quota of binance"),
        ("path = \"/v1/prices\"", "", "either path or path_jq"),
        ("path = \"/v1/prices\"", "path = \"/{key}\"", "must have path = true"),
        ("headers = {} ", "body = \"{}\" ", "a body needs method"),
        ("headers = {} ", "method = \"POST\"\nbody = \"{\" ", "body is not JSON"),
        ("headers = {} ", "each = \"assetz\" ", "there is no parameter assetz"),
        ("headers = {} ", "format = \"feed\" ", "is not XML, so it is no feed"),
        (".prices[] |", ".prices[ |", "expected"),
        ("asset: .id", "asset: .nonsense", "lacks asset; produced: {"),
        ("asset: .id", "assset: .id", "unknown field \"assset\""),
        ("price: .value,", "price: (.value * 1),", "floating point"),
        ("at_s: .time", "at_ms: .time", "another unit"),
        (".prices[] | {", ".nothing[]? | {", "gives nothing for the example"),
        ("fault = '.error'", "fault = '.prices'", "takes the example for a fault"),
        ("# fault = '.error // .problem'", "fault = '.prices'", "takes the example for a fault"),
        ("'.assets | join(\",\")'", "'.assets'", "must give one text"),
        ("step_seconds = 3600", "step_seconds = 59", "history: step_seconds must be 60 or more"),
        ("max_points = 500", "max_points = 5001", "history: max_points must be 1 to 5000"),
        (", at_s: (.open_time + 3600)", "", "history: filter jq.events: must give the time"),
        ("'$parameters.range.from_s'", "'$parameters.range'", "history: must give one text"),
        ("order = \"newest\"", "order = \"new\"", "unknown variant `new`"),
        (".candles[] |", ".candle[]? |", "history: filter jq.events: gives nothing"),
    ] {
        let shown = change(from, to);
        assert!(shown.contains("own.toml") && shown.contains(problem), "{from} -> {to}: {shown}");
    }
    let shown = change("asset: .id", "asset: .nonsense");
    let line = 1 + example().lines().position(|line| line.starts_with("events = ")).unwrap();
    assert!(shown.contains(&format!("own.toml:{line}: ")), "{shown}");
    let of_history = change("max_points = 500", "max_points = 5001");
    let line_of =
        |begin: &str| 1 + example().lines().position(|line| line.starts_with(begin)).unwrap();
    let place = format!("own.toml:{}: endpoint prices: history: ", line_of("max_points"));
    assert!(of_history.starts_with(&place), "{of_history}");
    let filter = example().lines().nth(line - 1).unwrap().to_owned();
    let lines = "events = '''\n.prices[]\n| nonsense\n'''";
    let undefined = change(&filter, lines);
    assert!(undefined.contains(&format!("own.toml:{}: ", line + 2)), "{undefined}");
    assert!(shown.contains("endpoint prices") && shown.contains(".prices[] | {asset"), "{shown}");
}

#[test]
fn wrong_settings_are_named() {
    let settings = ProviderSettings::default;
    let shown = problem_with("coingeko", settings());
    assert!(shown.contains("poll.providers.coingeko") && shown.contains("coingecko"), "{shown}");
    let key = Secret::new("abc");
    let shown = problem_with("binance", ProviderSettings { key: key.clone(), ..settings() });
    assert!(shown.contains("takes no key"), "{shown}");
    let base_url = Some("http://example.org".into());
    let shown = problem_with("coingecko", ProviderSettings { key, base_url, ..settings() });
    assert!(shown.contains("must be https") && !shown.contains("abc"), "{shown}");
    let parameters = [("asets".to_owned(), json!([]))].into();
    let shown = problem_with("coingecko", ProviderSettings { parameters, ..settings() });
    assert!(shown.contains("parameters.asets") && shown.contains("assets, quotes"), "{shown}");
    let parameters = [("assets".to_owned(), json!("bitcoin"))].into();
    let shown = problem_with("coingecko", ProviderSettings { parameters, ..settings() });
    assert!(shown.contains("simple-price"), "{shown}");
    let per_minute = Some(60);
    let shown = problem_with("coingecko_global", ProviderSettings { per_minute, ..settings() });
    assert!(shown.contains("under [poll.providers.coingecko]"), "{shown}");
    let every_seconds = Some(0);
    let shown = problem_with("coingecko", ProviderSettings { every_seconds, ..settings() });
    assert!(shown.contains("every_seconds must be above 0"), "{shown}");
}

#[test]
fn a_shared_quota_is_that_of_a_provider_which_is_there_and_has_one() {
    let quota = "[quota] ";
    let problem = |owner: &str| {
        let example = example();
        let (before, rest) = example.split_once(quota).unwrap();
        let (_, after) = rest.split_once("[headers]").unwrap();
        problem_of(&format!("{before}{quota}\nof = \"{owner}\"\n[headers]{after}"))
    };
    let shown = problem("binanze");
    assert!(shown.contains("own.toml") && shown.contains("no such provider"), "{shown}");
    let shown = problem("coingecko_global");
    assert!(shown.contains("itself that of coingecko"), "{shown}");
    assert_eq!(problem("binance"), "fine");
}

#[test]
fn only_the_named_sources_are_polled() {
    let config = |only: &[&str]| Config {
        only: only.iter().map(|name| (*name).to_owned()).collect(),
        ..Config::default()
    };
    let summaries = providers(&config(&["binance"])).unwrap();
    let enabled: Vec<&str> = summaries
        .iter()
        .filter(|summary| summary.enabled)
        .map(|summary| summary.name.as_str())
        .collect();
    assert_eq!(enabled, ["binance"]);
    let shown = providers(&config(&["binnance"])).unwrap_err().to_string();
    assert!(shown.contains("poll.only") && shown.contains("binance"), "{shown}");
}

#[test]
fn a_file_of_ones_own_replaces_a_built_in_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = example().replace("name = \"example\"", "name = \"binance\"");
    std::fs::write(folder.path().join("mine.toml"), file).unwrap();
    let config = Config { catalogue: Some(folder.path().to_owned()), ..Config::default() };
    let summaries = providers(&config).unwrap();
    let binance = summaries.iter().find(|summary| summary.name == "binance").unwrap();
    assert!(binance.file.ends_with("mine.toml") && binance.takes_key, "{binance:?}");
    let named = summaries.iter().filter(|summary| summary.name == "binance").count();
    assert_eq!(named, 1);
}

#[test]
fn facts_and_quotes_that_cannot_be_are_named() {
    let checked = |change: fn(&mut Config)| {
        let mut config = Config { only: vec!["coingecko".to_owned()], ..Config::default() };
        change(&mut config);
        check_facts(&config).map_err(|error| error.to_string())
    };
    assert_eq!(checked(|_| {}), Ok(()));
    assert_eq!(checked(|config| config.facts.required.push("price of bitcoin/usd".into())), Ok(()));
    let shown = checked(|config| config.facts.required.push("price of bitcoin".into()));
    let shown = shown.unwrap_err();
    assert!(shown.contains("poll.facts.required: no enabled provider gives"), "{shown}");
    assert!(shown.contains("price of bitcoin/usd"), "names what is near: {shown}");
    let shown = checked(|config| {
        config.prices.dollar_quotes.insert("eurt".into(), "bitcoin".into());
    });
    assert!(shown.unwrap_err().contains("poll.prices.dollar_quotes.eurt"));
}

/// The example, asking for assets of the registry.
fn example_with_assets(section: &str) -> String {
    let filter = "events = '.prices[] | {asset: .id";
    let file = example();
    assert!(file.contains(filter), "{filter}");
    file.replace(filter, "events = '.prices[] | {asset: ($assets.of[.id] // .id)")
        .replace("[[endpoints]]", &format!("[assets]\n{section}\n[[endpoints]]"))
}

#[test]
fn assets_of_a_file_are_resolved_by_the_registry() {
    let shown = problem_of(&example_with_assets("ids = \"ticker\"\nlist = [\"bitcoin\"]"));
    assert!(shown.starts_with("fine"), "{shown}");
    for (section, problem) in [
        ("ids = \"ticker\"\nlist = [\"bitcoins\"]", "\"bitcoins\" is not in the registry"),
        ("ids = \"registry\"\nlist = [\"bitcoin\"]", "assets.bitcoin.ids.example"),
        ("ids = \"symbol\"\nlist = [\"bitcoin\"]", "unknown variant `symbol`"),
        ("ids = \"key\"\nlist = []", "assets.list is empty"),
    ] {
        let shown = problem_of(&example_with_assets(section));
        assert!(shown.contains("own.toml") && shown.contains(problem), "{section}: {shown}");
    }
    let shared = "ids = \"registry\"\nids_of = \"coinmarketcap\"\nlist = [\"bitcoin\"]";
    let shown = problem_of(&example_with_assets(shared));
    assert!(shown.starts_with("fine"), "{shown}");
}

#[test]
fn the_configuration_replaces_the_list_and_adds_assets() {
    let folder = tempfile::tempdir().unwrap();
    let file = example_with_assets("ids = \"registry\"\nlist = [\"house\"]");
    std::fs::write(folder.path().join("own.toml"), file).unwrap();
    let own = folder.path().join("assets.txt");
    let text = "facts = \"ours\"\n[assets.house]\nname = \"House\"\nticker = \"HS\"\nids = { example = \"h\" }";
    std::fs::write(&own, text).unwrap();
    let config = |assets: Option<&[&str]>| {
        let list = assets.map(|list| list.iter().map(|key| (*key).to_owned()).collect());
        let settings = ProviderSettings { assets: list, ..ProviderSettings::default() };
        Config {
            catalogue: Some(folder.path().to_owned()),
            assets: Some(own.clone()),
            providers: [("example".to_owned(), settings)].into(),
            ..Config::default()
        }
    };
    providers(&config(None)).unwrap();
    let shown = providers(&config(Some(&["bitcoin"]))).unwrap_err().to_string();
    assert!(shown.contains("poll.providers.example.assets"), "{shown}");
    assert!(shown.contains("assets.bitcoin.ids.example"), "{shown}");
    let missing = Config { assets: Some(folder.path().join("no.toml")), ..Config::default() };
    let shown = providers(&missing).unwrap_err().to_string();
    assert!(shown.contains("no.toml: correct poll.assets"), "{shown}");
    let assets = Some(vec!["bitcoin".to_owned()]);
    let without =
        problem_with("binance", ProviderSettings { assets, ..ProviderSettings::default() });
    assert!(without.contains("has no [assets]"), "{without}");
}
