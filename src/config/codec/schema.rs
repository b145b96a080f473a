//! JSON Schemas of the configuration file and the targets file: each kind of value describes itself beside the code that reads
//! it, in the words of this file.

use serde_json::{Map, Value as Json, json};

/// The sections that were described so far, by name.
pub(crate) type Sections = Map<String, Json>;

/// The schema of a whole file, whose root is what `root` describes.
pub(crate) fn file(title: &str, root: impl FnOnce(&mut Sections) -> Json) -> Json {
    let mut sections = Sections::new();
    let root = root(&mut sections);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "allOf": [root],
        "$defs": sections,
    })
}

/// A text: every scalar is one.
pub(crate) fn text() -> Json {
    json!({"type": ["string", "number", "boolean", "null"]})
}

/// A text that is not shown.
pub(crate) fn secret() -> Json {
    json!({"type": ["string", "number", "boolean", "null"], "writeOnly": true})
}

/// Whether a field is a [`secret`].
pub(crate) fn is_secret(field: &Json) -> bool {
    field.get("writeOnly").is_some()
}

/// A text of a form; as a number it is not judged.
pub(crate) fn form(pattern: &str) -> Json {
    json!({"type": ["string", "number", "boolean", "null"], "pattern": pattern})
}

/// A text of a form, or a number from the first to the last.
pub(crate) fn form_within(pattern: &str, first: i64, last: i64) -> Json {
    json!({
        "type": ["string", "number", "boolean", "null"],
        "pattern": pattern,
        "minimum": first,
        "exclusiveMaximum": last + 1,
    })
}

/// A pattern of one of some words, in any case.
pub(crate) fn any_case<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let letters = |word: &str| -> String {
        let letter = |c: char| match c.is_ascii_alphabetic() {
            true => format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()),
            false => c.to_string(),
        };
        word.chars().map(letter).collect()
    };
    let words: Vec<String> = words.into_iter().map(letters).collect();
    format!("({})", words.join("|"))
}

/// A URL with one of some schemes, nothing, or what has a reference in it.
pub(crate) fn url<'a>(schemes: impl IntoIterator<Item = &'a str>) -> Json {
    form(&format!(r"^$|^{}://[^/?#]|\$\{{", any_case(schemes)))
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

/// A number from the first to the last.
pub(crate) fn within(first: i64, last: i64) -> Json {
    json!({"type": ["number", "null"], "minimum": first, "exclusiveMaximum": last + 1})
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

/// A mapping of texts whose keys have a form.
pub(crate) fn named(pattern: &str) -> Json {
    json!({"type": ["object", "null"], "propertyNames": {"pattern": pattern}, "additionalProperties": text()})
}

/// Anything.
pub(crate) fn anything() -> Json {
    Json::Object(Map::new())
}
