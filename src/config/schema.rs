//! JSON Schemas of the configuration file and the targets file, made of what the decoder reads them by: each kind of value
//! describes itself beside the code that reads it.

use serde_json::{Map, Value as Json, json};

use super::Config;
use super::section::Section;
use super::targets::Targets;
use super::tree::Tree;

/// The sections that were described so far, by name.
pub(crate) type Sections = Map<String, Json>;

/// The schema of the configuration file.
pub fn config() -> Json {
    whole::<Config>("Configuration of blackbox_exporter")
}

/// The schema of the targets file.
pub fn targets() -> Json {
    whole::<Targets>("Targets file of blackbox_exporter")
}

fn whole<S: Section + Default>(title: &str) -> Json {
    let mut sections = Sections::new();
    let root = section::<S>(&mut sections);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "allOf": [root],
        "$defs": sections,
    })
}

/// A section: a mapping with known keys.
pub(crate) fn section<S: Section + Default>(sections: &mut Sections) -> Json {
    let name = std::any::type_name::<S>().rsplit("::").next().unwrap_or_default();
    if !sections.contains_key(name) {
        // The name is taken before the fields are described, which may need it.
        sections.insert(name.to_owned(), Json::Null);
        let mut properties = Map::new();
        S::properties(&mut properties, sections);
        let mut written = Vec::new();
        S::default().write(&mut written);
        for (field, tree) in written {
            let default = match tree {
                Tree::Bool(truth) => Json::from(truth),
                Tree::Int(number) => Json::from(number),
                _ => continue,
            };
            if let Some(Json::Object(property)) = properties.get_mut(&field) {
                property.insert("default".to_owned(), default);
            }
        }
        let mut described = json!({
            "type": ["object", "null"],
            "properties": properties,
            "additionalProperties": false,
        });
        if let (Json::Object(described), required @ [_, ..]) = (&mut described, S::REQUIRED) {
            described.insert("required".to_owned(), json!(required));
        }
        if let (Json::Object(described), one_of @ [_, ..]) = (&mut described, S::ONE_OF) {
            let needs = |field: &&str| json!({"required": [field]});
            described.insert("anyOf".to_owned(), one_of.iter().map(needs).collect());
        }
        sections.insert(name.to_owned(), described);
    }
    json!({"$ref": format!("#/$defs/{name}")})
}

/// A text: every scalar is one.
pub(crate) fn text() -> Json {
    json!({"type": ["string", "number", "boolean", "null"]})
}

/// A text that is an expression in a language, which a comment names.
pub(crate) fn expression(language: &str) -> Json {
    json!({"type": ["string", "number", "boolean", "null"], "$comment": language})
}

/// Whether a field, or each entry of a list, is an [`expression`].
pub(crate) fn is_expression(field: &Json) -> bool {
    let entry = field.get("items").unwrap_or(field);
    entry.get("$comment").is_some()
}

/// A truth value, in the words of YAML 1.1 too.
pub(crate) fn truth() -> Json {
    let words = ["y", "yes", "on", "n", "no", "off"].into_iter().flat_map(|word| {
        let (first, rest) = word.split_at(1);
        let capital = format!("{}{rest}", first.to_uppercase());
        [word.to_owned(), capital, word.to_uppercase()]
    });
    let mut all = vec![json!(true), json!(false), Json::Null];
    for word in words.map(Json::from) {
        if !all.contains(&word) {
            all.push(word);
        }
    }
    json!({"enum": all})
}

/// A number; a fraction is cut off.
pub(crate) fn number() -> Json {
    json!({"type": ["number", "null"]})
}

/// A duration of Go's.
pub(crate) fn duration() -> Json {
    let pattern = r"^[-+]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$";
    json!({"type": ["string", "null"], "pattern": pattern})
}

/// One of some words.
pub(crate) fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Json {
    let words: Vec<Json> = words.into_iter().map(Json::from).chain([Json::Null]).collect();
    json!({"enum": words})
}

/// A list.
pub(crate) fn list(item: &Json) -> Json {
    json!({"type": ["array", "null"], "items": item})
}

/// A mapping whose keys are the user's.
pub(crate) fn map(value: &Json) -> Json {
    json!({"type": ["object", "null"], "additionalProperties": value})
}

/// Anything.
pub(crate) fn anything() -> Json {
    Json::Object(Map::new())
}
