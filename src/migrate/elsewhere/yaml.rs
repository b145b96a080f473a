//! YAML as JSON-like data.

use serde_json::{Map, Value};

use crate::config::yaml::{Content, Document, Id};
use crate::migrate::{MigrateError, document};

/// YAML as data; plain scalars mean numbers, truth values and null where they look like it.
pub(super) fn yaml(text: &str) -> Result<Value, MigrateError> {
    let document = document(text)?;
    let mut left = 200_000;
    node(&document, document.root(), 0, &mut left)
        .ok_or_else(|| MigrateError::Syntax("nested too deeply or too long".to_owned()))
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

fn node(document: &Document<'_>, id: Id, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    if depth > 64 {
        return None;
    }
    let inner = |id: Id, left: &mut usize| node(document, id, depth + 1, left);
    Some(match &document.node(document.target(id)).content {
        Content::Scalar { text, plain: false } => Value::String(text.to_string()),
        Content::Scalar { text, .. } => match text.as_ref() {
            "" | "~" | "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            number => match number.parse::<i64>() {
                Ok(whole) if whole.to_string() == number => whole.into(),
                _ => number.into(),
            },
        },
        Content::Sequence(list) => {
            let list: Option<Vec<_>> = list.iter().map(|item| inner(*item, left)).collect();
            list?.into()
        }
        Content::Mapping(entries) => {
            let mut fields = Map::new();
            for (key, value) in entries {
                let value = inner(*value, left)?;
                let parts = match (document.is_merge(*key), value) {
                    (true, Value::Array(parts)) => parts,
                    (true, value) => vec![value],
                    (false, value) => {
                        fields.insert(document.text(*key)?.to_owned(), value);
                        continue;
                    }
                };
                // The mapping's own entries win.
                for (key, value) in parts.into_iter().filter_map(into_object).flatten() {
                    fields.entry(key).or_insert(value);
                }
            }
            fields.into()
        }
        Content::Alias(_) => Value::Null,
    })
}
