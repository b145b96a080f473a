//! Values of no particular type, as YAML gave them: what Go holds in an `any`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use go_yaml::scalar::{self, Scalar};
use go_yaml::{Content, Id};
use gostd::float::push_float;
use gostd::json;

use super::{Json, Value};
use crate::config::codec::decode::Decoder;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::tree::Tree;

/// A value of no particular type (`claims` of oauth2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Anything {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// Above the range of `Int`.
    Uint(u64),
    /// The bits of a number: so values can be compared.
    Float(u64),
    /// A date or a moment in RFC 3339.
    Time(String),
    /// Text, or bytes of `!!binary`.
    Text(Vec<u8>),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
    /// A mapping with a key that is not a text. JSON has none.
    Keyed(Vec<(Self, Self)>),
}

impl Anything {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into_bytes())
    }

    /// Appends what Go's `encoding/json` makes of it.
    ///
    /// # Errors
    /// Go's, of a value that JSON does not have.
    pub fn push_json(&self, out: &mut String) -> Result<(), String> {
        let mut separator = "";
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Uint(number) => out.push_str(&number.to_string()),
            Self::Float(bits) => match f64::from_bits(*bits) {
                number if number.is_finite() => json::push_number(out, number),
                number => return Err(format!("json: unsupported value: {}", go_float(number))),
            },
            Self::Time(text) => json::push_string(out, text.as_bytes()),
            Self::Text(text) => json::push_string(out, text),
            Self::List(items) => {
                out.push('[');
                for item in items {
                    out.push_str(std::mem::replace(&mut separator, ","));
                    item.push_json(out)?;
                }
                out.push(']');
            }
            Self::Map(entries) => {
                out.push('{');
                for (key, value) in entries {
                    out.push_str(std::mem::replace(&mut separator, ","));
                    json::push_string(out, key.as_bytes());
                    out.push(':');
                    value.push_json(out)?;
                }
                out.push('}');
            }
            Self::Keyed(_) => {
                return Err("json: unsupported type: map[interface {}]interface {}".to_owned());
            }
        }
        Ok(())
    }

    /// Where it is printed among the keys of a mapping: numbers and truth values by value, then null, then texts.
    fn rank(&self) -> (bool, f64, &[u8]) {
        match self {
            Self::Bool(truth) => (false, f64::from(u8::from(*truth)), &[]),
            Self::Int(number) => (false, *number as f64, &[]),
            Self::Uint(number) => (false, *number as f64, &[]),
            Self::Float(bits) => (false, f64::from_bits(*bits), &[]),
            Self::Text(text) => (true, 0.0, text),
            Self::Time(text) => (true, 1.0, text.as_bytes()),
            _ => (false, f64::INFINITY, &[]),
        }
    }

    fn of(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Null => Self::Null,
            Scalar::Bool(truth) => Self::Bool(truth),
            Scalar::Int(number) => Self::Int(number),
            Scalar::Uint(number) => Self::Uint(number),
            Scalar::Float(number) => Self::Float(number.to_bits()),
            Scalar::Timestamp(text) => scalar::moment(text).map_or_else(|| Self::text(text), Self::Time),
            Scalar::Text(text) => Self::text(text),
            Scalar::Bytes(bytes) => Self::Text(bytes),
        }
    }
}

/// Go's shortest form of a number.
fn go_float(number: f64) -> String {
    if number == 0.0 && number.is_sign_negative() {
        return "-0".to_owned();
    }
    let mut out = Vec::new();
    push_float(&mut out, number);
    String::from_utf8_lossy(&out).into_owned()
}

/// What a key is, and whether Go holds it as a string.
fn key(d: &Decoder<'_, '_>, key: Id) -> (Anything, bool) {
    let node = d.document().node(d.document().target(key));
    let Content::Scalar { text, plain } = &node.content else {
        return (Anything::Null, false);
    };
    let tag = node.tag.as_deref();
    match scalar::resolve(tag, text, *plain) {
        Ok(Scalar::Text(text)) => (Anything::text(text), matches!(tag, None | Some("!" | "!!str"))),
        Ok(other) => (Anything::of(other), false),
        // It has been reported.
        Err(_) => (Anything::Null, false),
    }
}

impl Value for Anything {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            let document = d.document();
            match &document.node(node).content {
                Content::Scalar { .. } => match d.scalar(node, "a value") {
                    Some(scalar) => *self = Self::of(scalar),
                    None => return false,
                },
                Content::Sequence(_) => {
                    let mut list = Vec::new();
                    *self = match list.decode(node, d) {
                        true => Self::List(list),
                        false => Self::Null,
                    };
                }
                Content::Mapping(entries)
                    if !entries.iter().all(|(k, _)| document.is_merge(*k) || key(d, *k).1) =>
                {
                    let mut keyed: Vec<(Self, Self)> = Vec::new();
                    d.mapping(node, &mut |d, name, _, value| {
                        let (name, _) = key(d, name);
                        let mut entry = Self::Null;
                        if entry.decode(value, d) {
                            keyed.retain(|(other, _)| *other != name);
                            keyed.push((name, entry));
                        }
                    });
                    // Where keys are texts, one that is null is passed over.
                    for (_, value) in entries.iter().filter(|(key, _)| document.is_null(*key)) {
                        let mut entry = Self::Null;
                        entry.decode(*value, d);
                        keyed.push((Self::Null, entry));
                    }
                    *self = Self::Keyed(keyed);
                }
                Content::Mapping(_) | Content::Alias(_) => {
                    let mut map = BTreeMap::new();
                    map.decode(node, d);
                    *self = Self::Map(map);
                }
            }
            true
        })
    }

    fn schema(_: &mut Sections) -> Json {
        schema::anything()
    }
    fn is_zero(&self) -> bool {
        *self == Self::Null
    }
    fn tree(&self) -> Tree {
        match self {
            Self::Null => Tree::Null,
            Self::Bool(truth) => Tree::Bool(*truth),
            Self::Int(number) => Tree::Int(*number),
            Self::Uint(number) => Tree::Plain(number.to_string()),
            Self::Float(bits) => Tree::Plain(match f64::from_bits(*bits) {
                number if number.is_nan() => ".nan".to_owned(),
                f64::INFINITY => ".inf".to_owned(),
                f64::NEG_INFINITY => "-.inf".to_owned(),
                number => go_float(number),
            }),
            Self::Time(text) => Tree::Plain(text.clone()),
            Self::Text(text) => Tree::Text(text.clone()),
            Self::List(list) => Tree::List(list.iter().map(Value::tree).collect()),
            Self::Map(map) => Tree::Map(
                map.iter()
                    .map(|(key, value)| (key.clone(), value.tree()))
                    .collect(),
            ),
            Self::Keyed(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by(|(a, _), (b, _)| a.rank().partial_cmp(&b.rank()).unwrap_or(Ordering::Equal));
                Tree::Keyed(
                    entries
                        .iter()
                        .map(|(key, value)| (key.tree(), value.tree()))
                        .collect(),
                )
            }
        }
    }
}
