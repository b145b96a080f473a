//! Texts of YAML, read by a package and written again as JSON, which is the same to every reader: the exporter then judges
//! the configuration behind that package's reader. Texts come in as a JSON list, and go out as one: JSON, or the error.

use serde::Deserialize;
use serde_json::{Map, Value};

pub fn run(who: &str) {
    let read: Vec<Result<String, String>> = texts()
        .iter()
        .map(|text| read(who, text).and_then(merged).map(|value| value.to_string()))
        .collect();
    println!("{}", serde_json::to_string(&read).unwrap());
}

/// Whether each text is YAML to a package: a key that stands twice is no matter here, since `go-yaml` leaves it to the decoder.
pub fn syntax(who: &str) {
    let is_yaml = |text: &String| match who {
        "go-yaml" => go_yaml::Document::parse(text).is_ok(),
        _ => match std::panic::catch_unwind(|| read(who, text)) {
            Ok(Err(error)) => error.to_lowercase().contains("duplicate"),
            Ok(Ok(_)) => true,
            Err(_) => false,
        },
    };
    let read: Vec<bool> = texts().iter().map(is_yaml).collect();
    println!("{}", serde_json::to_string(&read).unwrap());
}

fn texts() -> Vec<String> {
    serde_json::from_reader(std::io::stdin()).unwrap()
}

/// The first document, as upstream reads it.
fn read(who: &str, text: &str) -> Result<Value, String> {
    macro_rules! like_serde_yaml {
        ($package:ident) => {
            match $package::Deserializer::from_str(text).next() {
                Some(document) => {
                    // Its own values first, which refuse a key that stands twice.
                    let value = $package::Value::deserialize(document).map_err(|error| error.to_string())?;
                    serde_json::to_value(value).map_err(|error| error.to_string())
                }
                None => Ok(Value::Null),
            }
        };
    }
    match who {
        "serde_yaml" => like_serde_yaml!(serde_yaml),
        "serde_norway" => like_serde_yaml!(serde_norway),
        "serde_yaml_ng" => like_serde_yaml!(serde_yaml_ng),
        "serde-saphyr" => {
            let documents: Vec<Value> =
                serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
            Ok(documents.into_iter().next().unwrap_or_default())
        }
        "saphyr" => {
            use saphyr::LoadableYamlNode;
            let documents = saphyr::Yaml::load_from_str(text).map_err(|error| error.to_string())?;
            documents.first().map_or(Ok(Value::Null), from_saphyr)
        }
        _ => panic!("{who}?"),
    }
}

fn from_saphyr(node: &saphyr::Yaml<'_>) -> Result<Value, String> {
    use saphyr::{Scalar, Yaml};
    Ok(match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => Value::from(*value),
        Yaml::Value(Scalar::Integer(value)) => Value::from(*value),
        Yaml::Value(Scalar::FloatingPoint(value)) => Value::from(value.0),
        Yaml::Value(Scalar::String(text)) => Value::from(text.as_ref()),
        Yaml::Sequence(items) => Value::Array(items.iter().map(from_saphyr).collect::<Result<_, _>>()?),
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = match from_saphyr(key)? {
                    Value::String(key) => key,
                    other => other.to_string(),
                };
                map.insert(key, from_saphyr(value)?);
            }
            Value::Object(map)
        }
        Yaml::Tagged(_, node) => from_saphyr(node)?,
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => return Err(format!("{node:?}")),
    })
}

/// The same with `<<` obeyed, which most packages leave to the caller.
fn merged(value: Value) -> Result<Value, String> {
    match value {
        Value::Array(items) => Ok(Value::Array(
            items.into_iter().map(merged).collect::<Result<_, _>>()?,
        )),
        Value::Object(mut map) => {
            let parts = match map.remove("<<") {
                None => Vec::new(),
                Some(Value::Array(parts)) => parts,
                Some(part) => vec![part],
            };
            let mut all = map
                .into_iter()
                .map(|(key, value)| Ok((key, merged(value)?)))
                .collect::<Result<Map<_, _>, String>>()?;
            for part in parts {
                let Value::Object(part) = merged(part)? else {
                    return Err("map merge requires a map".into());
                };
                for (key, value) in part {
                    all.entry(key).or_insert(value);
                }
            }
            Ok(Value::Object(all))
        }
        scalar => Ok(scalar),
    }
}
