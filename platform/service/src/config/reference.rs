use serde_json::Value as Json;

/// A place in a JSON Schema, with references resolved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SchemaNode<'a> {
    root: &'a Json,
    node: &'a Json,
}

impl<'a> SchemaNode<'a> {
    pub(crate) fn root(schema: &'a Json) -> Self {
        Self { root: schema, node: schema }
    }

    /// The schema of a property, in any alternative of a union.
    pub(crate) fn child(self, key: &str) -> Option<Self> {
        let direct = self.node.get("properties").and_then(|properties| properties.get(key));
        let any = self.node.get("additionalProperties").filter(|schema| schema.is_object());
        direct
            .or(any)
            .map(|node| Self { root: self.root, node }.resolved())
            .or_else(|| self.alternatives().find_map(|alternative| alternative.child(key)))
    }

    /// The schema at a path of keys.
    pub(crate) fn at(self, keys: &[String]) -> Option<Self> {
        keys.iter().try_fold(self, |node, key| node.child(key))
    }

    /// Whether text is a value here: such an environment variable is never read as a number.
    pub(crate) fn takes_text(self) -> bool {
        let text = self.is_of_type("string")
            || self.node.get("type").is_none()
                && self.node.get("const").is_some_and(Json::is_string);
        text || self.alternatives().any(Self::takes_text)
    }

    /// Whether this is a list, and then what its items are.
    pub(crate) fn items(self) -> Option<Self> {
        let items = self.node.get("items").filter(|_| self.is_of_type("array"));
        items
            .map(|node| Self { root: self.root, node }.resolved())
            .or_else(|| self.alternatives().find_map(Self::items))
    }

    pub(crate) fn is_boolean(self) -> bool {
        self.is_of_type("boolean") || self.alternatives().any(Self::is_boolean)
    }

    /// Whether the keys here are names that people give, such as those of chains.
    pub(crate) fn has_names(self) -> bool {
        self.node.get("additionalProperties").is_some_and(Json::is_object)
            || self.alternatives().any(Self::has_names)
    }

    fn is_of_type(self, name: &str) -> bool {
        match self.node.get("type") {
            Some(Json::String(kind)) => kind == name,
            Some(Json::Array(kinds)) => kinds.iter().any(|kind| kind == name),
            _ => false,
        }
    }

    pub(crate) fn is_secret(self) -> bool {
        self.node.get("format").is_some_and(|format| format == "secret")
            || self.alternatives().any(Self::is_secret)
    }

    fn alternatives(self) -> impl Iterator<Item = Self> {
        ["anyOf", "oneOf", "allOf"]
            .into_iter()
            .filter_map(move |name| self.node.get(name)?.as_array())
            .flatten()
            .map(move |node| Self { root: self.root, node }.resolved())
    }

    fn resolved(self) -> Self {
        let target = self
            .node
            .get("$ref")
            .and_then(Json::as_str)
            .and_then(|reference| self.root.pointer(reference.strip_prefix('#')?));
        target.map_or(self, |node| Self { root: self.root, node }.resolved())
    }

    fn description(self) -> Option<&'a str> {
        self.node.get("description").and_then(Json::as_str)
    }

    fn type_name(self) -> String {
        if self.is_secret() {
            return "secret".to_owned();
        }
        if let Some(Json::Array(values)) = self.node.get("enum") {
            return values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" ");
        }
        let constants: Vec<String> = self
            .alternatives()
            .filter_map(|alternative| alternative.node.get("const"))
            .map(|value| format!("`{value}`"))
            .collect();
        if !constants.is_empty() {
            return constants.join(" ");
        }
        match self.node.get("type") {
            Some(Json::String(kind)) if kind == "array" => "list".to_owned(),
            Some(Json::String(kind)) if kind == "object" => "table".to_owned(),
            Some(Json::String(kind)) => kind.clone(),
            Some(Json::Array(kinds)) => kinds
                .iter()
                .filter_map(Json::as_str)
                .filter(|kind| *kind != "null")
                .collect::<Vec<_>>()
                .join(" or "),
            _ => {
                let names: Vec<String> = self
                    .alternatives()
                    .filter(|alternative| {
                        alternative.node.get("type").is_none_or(|kind| kind != "null")
                    })
                    .map(Self::type_name)
                    .collect();
                names.join(" or ")
            }
        }
    }
}

/// Every option of a configuration as Markdown tables, one per section: key, type, default,
/// meaning. `schema` is the JSON Schema of the configuration, `defaults` its default value.
#[must_use]
pub fn markdown_reference(schema: &schemars::Schema, defaults: &Json) -> String {
    let mut sections = Vec::new();
    collect(SchemaNode::root(schema.as_value()), Some(defaults), "", &mut sections);
    let mut text = String::new();
    for section in sections {
        let heading = if section.name.is_empty() {
            "Top level".to_owned()
        } else {
            format!("[{}]", section.name)
        };
        text.push_str(&format!("## {heading}\n\n"));
        if let Some(description) = section.description {
            text.push_str(&format!("{}\n\n", description.trim()));
        }
        if !section.rows.is_empty() {
            text.push_str("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
            section.rows.iter().for_each(|row| text.push_str(row));
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

struct Section {
    name: String,
    description: Option<String>,
    rows: Vec<String>,
}

fn collect(node: SchemaNode<'_>, defaults: Option<&Json>, name: &str, sections: &mut Vec<Section>) {
    let index = sections.len();
    sections.push(Section {
        name: name.to_owned(),
        description: node.description().map(str::to_owned),
        rows: Vec::new(),
    });
    let alternatives: Vec<SchemaNode<'_>> = node.alternatives().collect();
    for shape in std::iter::once(node).chain(alternatives) {
        let properties = shape.node.get("properties").and_then(Json::as_object);
        for (key, child) in properties.into_iter().flatten() {
            let described = SchemaNode { root: node.root, node: child };
            let child = described.resolved();
            let default = defaults.and_then(|values| values.get(key));
            let path = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            let meaning = described.description().or(child.description()).unwrap_or_default();
            if let Some(entry) = map_entry(child) {
                collect(entry, None, &format!("{path}.NAME"), sections);
            } else if child.node.get("properties").is_some() {
                collect(child, default, &path, sections);
            } else {
                let row = row(key, child, default, meaning);
                if !sections[index].rows.contains(&row) {
                    sections[index].rows.push(row);
                }
            }
        }
    }
}

/// The schema of a map's values, where the values are tables themselves.
fn map_entry(node: SchemaNode<'_>) -> Option<SchemaNode<'_>> {
    let entry = node.node.get("additionalProperties").filter(|schema| schema.is_object())?;
    let entry = SchemaNode { root: node.root, node: entry }.resolved();
    let is_table = entry.node.get("properties").is_some()
        || entry.alternatives().any(|alternative| alternative.node.get("properties").is_some());
    is_table.then_some(entry)
}

fn row(key: &str, node: SchemaNode<'_>, default: Option<&Json>, meaning: &str) -> String {
    let default = match default.or_else(|| node.node.get("default")) {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) if text.is_empty() => String::new(),
        Some(value) => format!("`{value}`"),
    };
    let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let type_name = node.type_name().replace('|', "\\|");
    format!("| `{key}` | {type_name} | {default} | {meaning} |\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, serde::Serialize, schemars::JsonSchema)]
    #[allow(dead_code)]
    struct Options {
        /// How long.
        ///
        /// In milliseconds.
        timeout_ms: u64,
        /// Where.
        url: crate::Secret,
        inner: std::collections::BTreeMap<String, Inner>,
    }

    /// One of many.
    #[derive(Default, serde::Serialize, schemars::JsonSchema)]
    struct Inner {
        /// Whether.
        on: Option<bool>,
    }

    #[test]
    fn every_option_has_a_row_with_type_default_and_meaning() {
        let schema = schemars::schema_for!(Options);
        let defaults =
            serde_json::to_value(Options { timeout_ms: 5, ..Options::default() }).unwrap();
        let text = markdown_reference(&schema, &defaults);
        assert!(
            text.contains("| `timeout_ms` | integer | `5` | How long. In milliseconds. |"),
            "{text}"
        );
        assert!(text.contains("| `url` | secret |  | Where. |"), "{text}");
        assert!(text.contains("## [inner.NAME]\n\nOne of many."), "{text}");
        assert!(text.contains("| `on` | boolean |"), "{text}");
    }
}
