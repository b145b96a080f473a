//! How each kind of setting is read and written: text, truth values, numbers, lists, durations, sizes, secrets.

mod anything;
mod collections;
mod quantities;

pub(crate) use serde_json::Value as Json;

use go_yaml::Id;
use go_yaml::scalar::{Scalar, old_boolean};

use super::decode::Decoder;
use super::environment::Purpose;
use super::schema::{self, Sections};
use super::secret::Secret;
use super::tree::Tree;
use super::yaml_version::YamlVersion;

pub use anything::Anything;
pub(crate) use collections::{ByValue, Nilable};
pub(crate) use quantities::{Duration, DurationOrNumber, Size, Within};

/// Something that stands in a configuration file under a key or in a list.
pub(crate) trait Value {
    /// Reads the node into this place. `false` when nothing was put there, because the node is null or wrong: lists
    /// leave such an entry out.
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool;

    /// What it may be, as JSON Schema: text, if nothing else.
    fn schema(_sections: &mut Sections) -> Json {
        schema::text()
    }

    /// Whether it is Go's zero value, which `omitempty` leaves out.
    fn is_zero(&self) -> bool {
        false
    }

    /// As it is printed.
    fn tree(&self) -> Tree;
}

/// Reads and writes a `T` whose type alone does not say how.
pub(crate) trait Codec<T> {
    fn decode(place: &mut T, node: Id, d: &mut Decoder<'_, '_>) -> bool;
    fn schema(_sections: &mut Sections) -> Json {
        schema::text()
    }
    fn is_zero(place: &T) -> bool;
    fn tree(place: &T) -> Tree;
}

/// A [`Codec`] that differs from what the type says in some of this.
pub(crate) trait Variant<T: Value> {
    fn decode(place: &mut T, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        place.decode(node, d)
    }
    fn schema(sections: &mut Sections) -> Json {
        T::schema(sections)
    }
    fn is_zero(place: &T) -> bool {
        place.is_zero()
    }
    fn tree(place: &T) -> Tree {
        place.tree()
    }
}

impl<T: Value, V: Variant<T>> Codec<T> for V {
    fn decode(place: &mut T, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        V::decode(place, node, d)
    }
    fn schema(sections: &mut Sections) -> Json {
        V::schema(sections)
    }
    fn is_zero(place: &T) -> bool {
        V::is_zero(place)
    }
    fn tree(place: &T) -> Tree {
        V::tree(place)
    }
}

/// As the type says.
pub(crate) struct AsIs;

impl<T: Value> Variant<T> for AsIs {}

/// As the type says, with references replaced: what a probe sends.
pub(crate) struct Sent;

impl<T: Value> Variant<T> for Sent {
    fn decode(place: &mut T, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.expanding(Some(Purpose::Sent), |d| place.decode(node, d))
    }
}

/// As the type says, without references: names of files among what is sent.
pub(crate) struct Literal;

impl<T: Value> Variant<T> for Literal {
    fn decode(place: &mut T, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.expanding(None, |d| place.decode(node, d))
    }
}

impl Value for String {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| match d.text(node) {
            Some(text) => {
                d.note_file(node, &text);
                *self = text.into_owned();
                true
            }
            None => false,
        })
    }
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
    fn tree(&self) -> Tree {
        Tree::text(self.as_str())
    }
}

/// A text that need not be UTF-8.
pub(crate) struct Bytes;

impl Codec<Vec<u8>> for Bytes {
    fn decode(place: &mut Vec<u8>, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| match d.bytes(node) {
            Some(bytes) => {
                *place = bytes.into_owned();
                true
            }
            None => false,
        })
    }
    fn is_zero(place: &Vec<u8>) -> bool {
        place.is_empty()
    }
    fn tree(place: &Vec<u8>) -> Tree {
        Tree::Text(place.clone())
    }
}

/// As [`Bytes`], with references replaced.
pub(crate) struct SentBytes;

impl Codec<Vec<u8>> for SentBytes {
    fn decode(place: &mut Vec<u8>, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.expanding(Some(Purpose::Sent), |d| Bytes::decode(place, node, d))
    }
    fn is_zero(place: &Vec<u8>) -> bool {
        Bytes::is_zero(place)
    }
    fn tree(place: &Vec<u8>) -> Tree {
        Bytes::tree(place)
    }
}

impl Value for Secret {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            match d.expanding(Some(Purpose::Secret), |d| d.text(node)) {
                Some(text) => {
                    *self = Secret::new(text);
                    true
                }
                None => false,
            }
        })
    }

    fn schema(_: &mut Sections) -> Json {
        schema::secret()
    }
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
    fn tree(&self) -> Tree {
        if self.is_empty() {
            Tree::Null
        } else {
            Tree::text("<secret>")
        }
    }
}

impl Value for bool {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        const WANTED: &str = "true or false";
        d.enter(node, |d, node| {
            let is_v2 = d.version() == YamlVersion::V2;
            if is_v2 && let Some(truth) = d.document().old_truth(node) {
                *self = truth;
                return true;
            }
            let truth = match d.scalar(node, WANTED) {
                Some(Scalar::Null) if is_v2 => Some(false),
                None | Some(Scalar::Null) => return false,
                Some(Scalar::Bool(truth)) => Some(truth),
                Some(Scalar::Text(text)) if !is_v2 => old_boolean(text),
                Some(Scalar::Bytes(bytes)) if !is_v2 => {
                    std::str::from_utf8(&bytes).ok().and_then(old_boolean)
                }
                Some(_) => None,
            };
            match truth {
                Some(truth) => *self = truth,
                None => d.mismatch(node, WANTED),
            }
            truth.is_some()
        })
    }

    fn schema(_: &mut Sections) -> Json {
        schema::truth()
    }
    fn is_zero(&self) -> bool {
        !self
    }
    fn tree(&self) -> Tree {
        Tree::Bool(*self)
    }
}

impl Value for i64 {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        const WANTED: &str = "a whole number";
        d.enter(node, |d, node| {
            let number = match d.scalar(node, WANTED) {
                None | Some(Scalar::Null) => return false,
                Some(Scalar::Int(number)) => Some(number),
                // Upstream cuts the fraction off.
                Some(Scalar::Float(number)) if number <= i64::MAX as f64 => Some(number as i64),
                Some(_) => None,
            };
            match number {
                Some(number) => *self = number,
                None => d.mismatch(node, WANTED),
            }
            number.is_some()
        })
    }

    fn schema(_: &mut Sections) -> Json {
        schema::number()
    }
    fn is_zero(&self) -> bool {
        *self == 0
    }
    fn tree(&self) -> Tree {
        Tree::Int(*self)
    }
}

/// A family of addresses; upstream takes any text, and all but `ip6` and nothing mean ip4.
pub(crate) struct IpProtocol;

impl Variant<String> for IpProtocol {
    fn decode(place: &mut String, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            let good = place.decode(node, d);
            if good && !matches!(place.as_str(), "" | "ip4" | "ip6") {
                let message = format!("{place:?} means ip4, as every value except ip6 does");
                let meant = if place.contains('6') { "ip6" } else { "ip4" };
                d.warn_here(node, message, format!("write {meant}"));
            }
            good
        })
    }
}

const RE2: &str = "regular expression (RE2)";

/// A regular expression or a list of them.
pub(crate) struct Regexp;

impl Variant<String> for Regexp {
    fn schema(_: &mut Sections) -> Json {
        schema::expression(RE2)
    }
}

impl Variant<Vec<String>> for Regexp {
    fn schema(_: &mut Sections) -> Json {
        schema::list(&schema::expression(RE2))
    }
}

/// An expression over JSON.
pub(crate) struct Cel;

impl Variant<Option<String>> for Cel {
    fn schema(_: &mut Sections) -> Json {
        schema::expression("CEL expression")
    }
}

/// As [`Regexp`], but the empty one is printed as null.
pub(crate) struct Pattern;

fn pattern_tree(pattern: &str) -> Tree {
    if pattern.is_empty() {
        Tree::Null
    } else {
        Tree::text(pattern)
    }
}

impl Variant<Option<String>> for Pattern {
    fn schema(_: &mut Sections) -> Json {
        schema::expression(RE2)
    }
    fn tree(place: &Option<String>) -> Tree {
        pattern_tree(place.as_deref().unwrap_or_default())
    }
}

impl Variant<Vec<String>> for Pattern {
    fn schema(_: &mut Sections) -> Json {
        schema::list(&schema::expression(RE2))
    }
    fn tree(place: &Vec<String>) -> Tree {
        Tree::List(place.iter().map(|p| pattern_tree(p)).collect())
    }
}
