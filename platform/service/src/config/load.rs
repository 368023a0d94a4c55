use std::{
    fmt,
    path::{Path, PathBuf},
};

use figment::{
    Error as FigmentError, Figment, Metadata, Profile, Provider, Source,
    error::Kind as FigmentKind,
    value::{Dict, Map, Value},
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::{config::reference::SchemaNode, config::secret::UNREADABLE};

/// Prefix of environment variables that set configuration: `CRYPTO_INTEL__NATS__URL`.
const ENVIRONMENT_PREFIX: &str = "CRYPTO_INTEL__";

/// Suffix of a key whose value is the path of a file that holds the secret.
const FILE_SUFFIX: &str = "_file";

/// Everything that is wrong with the configuration; each line names key, place and remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// One sentence per problem.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("bad configuration")?;
        self.problems.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    fn one(problem: impl Into<String>) -> Self {
        Self { problems: vec![problem.into()] }
    }
}

/// Reads a configuration: built-in defaults, then `file`, then `environment` (variables with the
/// prefix `CRYPTO_INTEL__`, `__` between keys), then `overrides` (from flags; a JSON object).
///
/// A secret may be given as the path of a file: `password_file` instead of `password`. A file that cannot be read is a
/// [`problem`](crate::Secret::problem) of that secret, not of the configuration.
///
/// # Errors
/// Unknown keys (with the nearest known one), wrong types, unreadable files.
pub fn load<T: DeserializeOwned + JsonSchema>(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    overrides: &Json,
) -> Result<T, ConfigError> {
    load_completed(file, environment, overrides, |_| Json::Null)
}

/// As [`load`]; `complete` is shown all that was given, secrets included, and what it returns fills in
/// where nothing was given.
///
/// # Errors
/// As [`load`].
pub fn load_completed<T: DeserializeOwned + JsonSchema>(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    overrides: &Json,
    complete: impl FnOnce(&Json) -> Json,
) -> Result<T, ConfigError> {
    let schema = schemars::schema_for!(T);
    let root = SchemaNode::root(schema.as_value());
    let mut figment = Figment::new();
    let mut named = Dict::new();
    if let Some(path) = file {
        let layer = Layer::file(path, root)?;
        named.clone_from(&layer.values);
        figment = figment.merge(layer);
    }
    figment = figment.merge(Layer::environment(environment, root, &named)?);
    figment = figment.merge(Layer::overrides(overrides));
    let explained = |errors: FigmentError| ConfigError {
        problems: errors.into_iter().map(|error| explain(&error)).collect(),
    };
    let given: Json = figment.extract().map_err(explained)?;
    figment = figment.join(Layer {
        metadata: Metadata::named("built-in presets"),
        values: dict(&complete(&given)),
    });
    figment.extract().map_err(explained)
}

/// One source of values.
struct Layer {
    metadata: Metadata,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, FigmentError> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

impl Layer {
    fn file(path: &Path, schema: SchemaNode<'_>) -> Result<Self, ConfigError> {
        let place = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError::one(format!("{place}: {error} (`crypto-intel init` writes one)"))
        })?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::one(format!("{place}: {}", error.to_string().trim_end()))
        })?;
        let mut values = dict(&table);
        let base = path.parent().unwrap_or(Path::new("."));
        read_secret_files(&mut values, schema, base, &place.to_string())?;
        let metadata = Metadata::from("file", Source::File(path.to_owned()));
        Ok(Self { metadata, values })
    }

    /// `named` is what the file gives: its names are written there as people write them.
    fn environment(
        variables: impl IntoIterator<Item = (String, String)>,
        schema: SchemaNode<'_>,
        named: &Dict,
    ) -> Result<Self, ConfigError> {
        let mut values = Dict::new();
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            let keys: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
            let value = environment_value(&text, schema.at(&keys));
            insert(&mut values, &as_named(keys, schema, named), value);
        }
        read_secret_files(&mut values, schema, Path::new("."), "environment")?;
        Ok(Self { metadata: Metadata::named("environment"), values })
    }

    fn overrides(overrides: &Json) -> Self {
        Self { metadata: Metadata::named("command line"), values: dict(overrides) }
    }
}

/// Text, number, truth or list, as the option there wants it.
fn environment_value(text: &str, option: Option<SchemaNode<'_>>) -> Value {
    let Some(option) = option.filter(|option| !option.takes_text()) else {
        return Value::from(text);
    };
    if option.is_boolean() && matches!(text.to_ascii_lowercase().as_str(), "true" | "false") {
        return Value::from(text.eq_ignore_ascii_case("true"));
    }
    if let Some(items) = option.items().filter(|_| !text.trim_start().starts_with('[')) {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        return Value::from(
            parts.map(|part| environment_value(part, Some(items))).collect::<Vec<_>>(),
        );
    }
    // Numbers, booleans and lists in TOML's inline syntax; never fails, text stays text.
    text.parse().unwrap_or_else(|never: std::convert::Infallible| match never {})
}

/// A variable's name has no lower case and no hyphen: where keys are names, the file's way to write one counts.
fn as_named(keys: Vec<String>, schema: SchemaNode<'_>, named: &Dict) -> Vec<String> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let mut place = Some((schema, named));
    keys.into_iter()
        .map(|key| {
            let Some((node, values)) = place.take() else { return key };
            let written = if node.has_names() && !values.contains_key(&key) {
                values.keys().find(|name| plain(name) == plain(&key)).cloned()
            } else {
                None
            };
            let key = written.unwrap_or(key);
            place = node.child(&key).zip(values.get(&key).and_then(Value::as_dict));
            key
        })
        .collect()
}

fn dict(values: &impl serde::Serialize) -> Dict {
    Value::serialize(values).ok().and_then(Value::into_dict).unwrap_or_default()
}

fn insert(values: &mut Dict, keys: &[String], value: Value) {
    let Some((first, rest)) = keys.split_first() else { return };
    if rest.is_empty() {
        values.insert(first.clone(), value);
        return;
    }
    let entry = values.entry(first.clone()).or_insert_with(|| Value::from(Dict::new()));
    if entry.as_dict().is_none() {
        *entry = Value::from(Dict::new());
    }
    if let Value::Dict(_, inner) = entry {
        insert(inner, rest, value);
    }
}

/// The secrets whose files cannot be read, each with its key and why; `given` is what the loader showed.
#[must_use]
pub fn unreadable_secrets(given: &Json) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect_unreadable(given, "", &mut found);
    found
}

fn collect_unreadable(given: &Json, key: &str, found: &mut Vec<(String, String)>) {
    let place = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match given {
        Json::Object(entries) => {
            if let Some(problem) = entries.get(UNREADABLE).and_then(Json::as_str) {
                found.push((key.to_owned(), problem.to_owned()));
                return;
            }
            for (name, value) in entries {
                collect_unreadable(value, &place(name), found);
            }
        }
        Json::Array(entries) => {
            for (index, value) in entries.iter().enumerate() {
                collect_unreadable(value, &place(&index.to_string()), found);
            }
        }
        _ => {}
    }
}

/// Replaces `name_file` by `name` with the file's content, wherever `name` is a secret.
fn read_secret_files(
    values: &mut Dict,
    schema: SchemaNode<'_>,
    base: &Path,
    place: &str,
) -> Result<(), ConfigError> {
    let keys: Vec<String> = values.keys().cloned().collect();
    for key in keys {
        let secret = key
            .strip_suffix(FILE_SUFFIX)
            .filter(|stem| schema.child(stem).is_some_and(SchemaNode::is_secret));
        if let Some(stem) = secret {
            let path = values.remove(&key).and_then(Value::into_string).ok_or_else(|| {
                ConfigError::one(format!("{key} in {place} must be the path of a file"))
            })?;
            if values.contains_key(stem) {
                return Err(ConfigError::one(format!(
                    "{key} in {place}: {stem} is given, too; give one of them"
                )));
            }
            let path: PathBuf = base.join(path);
            let value = match std::fs::read_to_string(&path) {
                Ok(text) => Value::from(text.trim_end_matches(['\r', '\n'])),
                Err(error) => {
                    let path = path.display();
                    let problem = format!("{key} in {place}: cannot read {path}: {error}");
                    Value::from(Dict::from([(UNREADABLE.to_owned(), Value::from(problem))]))
                }
            };
            values.insert(stem.to_owned(), value);
        } else if let (Some(value), Some(child)) = (values.get_mut(&key), schema.child(&key)) {
            read_secret_files_in(value, child, base, place)?;
        }
    }
    Ok(())
}

fn read_secret_files_in(
    value: &mut Value,
    schema: SchemaNode<'_>,
    base: &Path,
    place: &str,
) -> Result<(), ConfigError> {
    match value {
        Value::Dict(_, inner) => read_secret_files(inner, schema, base, place),
        Value::Array(_, entries) => match schema.items() {
            Some(items) => entries
                .iter_mut()
                .try_for_each(|entry| read_secret_files_in(entry, items, base, place)),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn explain(error: &FigmentError) -> String {
    let place = match error.metadata.as_ref() {
        Some(metadata) => match &metadata.source {
            Some(Source::File(path)) => format!(" in {}", path.display()),
            _ => format!(" in the {}", metadata.name),
        },
        None => String::new(),
    };
    let path = error.path.join(".");
    let key = if path.is_empty() { "configuration".to_owned() } else { path.clone() };
    match &error.kind {
        FigmentKind::UnknownField(name, known) => {
            let full = if path.is_empty() || path.ends_with(name.as_str()) {
                key.replace("configuration", name)
            } else {
                format!("{path}.{name}")
            };
            format!("unknown key {full}{place}{}", nearest(name, known))
        }
        FigmentKind::MissingField(name) => format!("missing key {key}.{name}{place}"),
        kind => format!("{key}{place}: {kind}"),
    }
}

fn nearest(name: &str, known: &[&str]) -> String {
    let best = known.iter().map(|key| (strsim::damerau_levenshtein(name, key), key)).min();
    match best {
        Some((distance, key)) if distance <= 1 + name.len() / 3 => format!("; did you mean {key}?"),
        _ if known.is_empty() => String::new(),
        _ => format!("; known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::config::secret::Secret;

    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        nats: Inner,
        channels: BTreeMap<String, Channel>,
        endpoints: Vec<Inner>,
        limits: BTreeMap<String, Limit>,
        rules: Vec<String>,
        numbers: Vec<u32>,
        enabled: bool,
    }

    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Limit {
        max_bytes: u64,
    }

    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        url: String,
        password: Secret,
        timeout_ms: u64,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(tag = "channel", rename_all = "lowercase", deny_unknown_fields)]
    enum Channel {
        Telegram { token: Secret, chat_id: i64 },
    }

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn load_text(text: &str, pairs: &[(&str, &str)]) -> Result<Outer, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crypto-intel.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("secret"), "hush\n").unwrap();
        load(Some(&path), environment(pairs), &serde_json::json!({}))
    }

    #[test]
    fn environment_wins_over_the_file_and_keeps_text_that_looks_like_a_number() {
        let config = load_text(
            "[nats]\nurl = 'a'\npassword = 'x'",
            &[("CRYPTO_INTEL__NATS__PASSWORD", "123"), ("CRYPTO_INTEL__NATS__TIMEOUT_MS", "5")],
        )
        .unwrap();
        assert_eq!(config.nats.url, "a");
        assert_eq!(config.nats.password.expose(), "123");
        assert_eq!(config.nats.timeout_ms, 5);
    }

    #[test]
    fn names_lists_and_truths_of_the_environment_mean_what_people_write() {
        let config = load_text(
            "[limits.EVM]\nmax_bytes = 1\n[limits.my-chain]\nmax_bytes = 1",
            &[
                ("CRYPTO_INTEL__LIMITS__EVM__MAX_BYTES", "5"),
                ("CRYPTO_INTEL__LIMITS__MY_CHAIN__MAX_BYTES", "6"),
                ("CRYPTO_INTEL__LIMITS__OTHER__MAX_BYTES", "7"),
                ("CRYPTO_INTEL__RULES", "a.toml, b.toml"),
                ("CRYPTO_INTEL__NUMBERS", "1,2"),
                ("CRYPTO_INTEL__ENABLED", "True"),
            ],
        )
        .unwrap();
        let limits: Vec<(&str, u64)> =
            config.limits.iter().map(|(name, limit)| (name.as_str(), limit.max_bytes)).collect();
        assert_eq!(limits, [("EVM", 5), ("my-chain", 6), ("other", 7)]);
        assert_eq!(config.rules, ["a.toml", "b.toml"]);
        assert_eq!(config.numbers, [1, 2]);
        assert!(config.enabled);
        let config = load_text("", &[("CRYPTO_INTEL__RULES", r#"["a,b.toml"]"#)]).unwrap();
        assert_eq!(config.rules, ["a,b.toml"]);
    }

    #[test]
    fn secrets_come_from_files_too() {
        let config = load_text("[nats]\npassword_file = 'secret'", &[]).unwrap();
        assert_eq!(config.nats.password.expose(), "hush");
        let text = "[channels.ops]\nchannel = 'telegram'\nchat_id = -5\ntoken_file = 'secret'";
        let config = load_text(text, &[]).unwrap();
        let expected = Channel::Telegram { token: Secret::new("hush"), chat_id: -5 };
        assert_eq!(config.channels["ops"], expected);
        let text = "[[endpoints]]\nurl = 'a'\npassword_file = 'secret'";
        assert_eq!(load_text(text, &[]).unwrap().endpoints[0].password.expose(), "hush");
        let both = "[nats]\npassword = 'a'\npassword_file = 'secret'";
        let error = load_text(both, &[]).unwrap_err().to_string();
        assert!(error.contains("give one of them"), "{error}");
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_a_problem_of_whoever_needs_it() {
        let text =
            "[nats]\nurl = 'a'\npassword_file = 'nowhere'\n[[endpoints]]\npassword_file = 'gone'";
        let config = load_text(text, &[]).unwrap();
        assert_eq!(config.nats.url, "a");
        let problem = config.nats.password.problem().unwrap();
        assert!(problem.contains("password_file") && problem.contains("nowhere"), "{problem}");
        assert!(config.endpoints[0].password.problem().unwrap().contains("gone"));
        assert!(!config.nats.password.is_empty());
        // Set elsewhere.
        let config = load_text(text, &[("CRYPTO_INTEL__NATS__PASSWORD", "x")]).unwrap();
        assert_eq!(config.nats.password.problem(), None);
        let given = serde_json::json!({ "a": [{ "b": { UNREADABLE: "why" } }], "c": "d" });
        assert_eq!(unreadable_secrets(&given), [("a.0.b".to_owned(), "why".to_owned())]);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_its_nearest_neighbour() {
        let error = load_text("[nats]\nurll = 'a'", &[]).unwrap_err().to_string();
        assert!(error.contains("unknown key nats.urll"), "{error}");
        assert!(error.contains("crypto-intel.toml"), "{error}");
        assert!(error.contains("did you mean url?"), "{error}");
        let error = load_text("", &[("CRYPTO_INTEL__NATSS__URL", "a")]).unwrap_err().to_string();
        assert!(error.contains("unknown key natss in the environment"), "{error}");
    }

    #[test]
    fn a_wrong_type_names_the_key_and_a_broken_file_its_line() {
        let error = load_text("[nats]\ntimeout_ms = 'soon'", &[]).unwrap_err().to_string();
        assert!(error.contains("nats.timeout_ms"), "{error}");
        let error = load_text("[nats\n", &[]).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }
}
