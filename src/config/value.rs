//! How each kind of setting is read and written: text, truth values, numbers, lists, durations, sizes, secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use serde_json::Value as Json;

use super::Secret;
use super::decode::{Decoder, Reader};
use super::schema::{self, Sections};
use super::section::{Fields, Section};
use super::tree::Tree;
use super::units;
use super::yaml::scalar::{Scalar, old_boolean};
use super::yaml::{Content, Id};
use crate::strconv;

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

impl<S: Section> Value for S {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.section(node, self)
    }
    fn schema(sections: &mut Sections) -> Json {
        schema::section::<S>(sections)
    }
    fn is_zero(&self) -> bool {
        Fields::is_zero(self)
    }
    fn tree(&self) -> Tree {
        let mut out = Vec::new();
        self.write(&mut out);
        Tree::Section(out)
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

impl Value for Secret {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| match d.text(node) {
            Some(text) => {
                *self = Secret::new(text);
                true
            }
            None => false,
        })
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
            let is_v2 = d.reader() == Reader::V2;
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
pub(crate) struct Family;

impl Variant<String> for Family {
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

/// Nanoseconds, written as Go's `time.Duration`.
pub(crate) struct Duration;

impl Variant<i64> for Duration {
    fn decode(place: &mut i64, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        const WANTED: &str = "a duration";
        d.enter(node, |d, node| {
            let parsed = match d.scalar(node, WANTED) {
                None | Some(Scalar::Null) => return false,
                Some(Scalar::Text(text)) => units::parse_duration(text),
                Some(Scalar::Bytes(bytes)) => {
                    std::str::from_utf8(&bytes).ok().and_then(units::parse_duration)
                }
                Some(_) => None,
            };
            match parsed {
                Some(nanoseconds) => *place = nanoseconds,
                None => {
                    let written = d.document().text(node).unwrap_or_default();
                    let help = match written.parse::<f64>() {
                        Ok(_) => format!("a duration needs a unit: {written}s"),
                        Err(_) => "units are ns, us, ms, s, m and h: 500ms, 5s, 1m30s, 1.5h".to_owned(),
                    };
                    d.report(node, format!("{written:?} is not a duration"), help);
                }
            }
            parsed.is_some()
        })
    }

    fn schema(_: &mut Sections) -> Json {
        schema::duration()
    }
    fn tree(place: &i64) -> Tree {
        Tree::text(strconv::duration(*place))
    }
}

/// As [`Duration`], but a number without a unit is nanoseconds: so exporter-toolkit's older reader of YAML takes it.
pub(crate) struct DurationOrNumber;

impl Variant<i64> for DurationOrNumber {
    fn decode(place: &mut i64, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| match d.scalar(node, "a duration") {
            None => false,
            Some(Scalar::Int(_) | Scalar::Float(_)) => place.decode(node, d),
            Some(_) => <Duration as Variant<_>>::decode(place, node, d),
        })
    }

    fn schema(_: &mut Sections) -> Json {
        serde_json::json!({"anyOf": [schema::number(), schema::duration()]})
    }
    fn tree(place: &i64) -> Tree {
        <Duration as Variant<_>>::tree(place)
    }
}

/// Bytes, written with units of 1024 (alecthomas/units `Base2Bytes`).
pub(crate) struct Size;

impl Variant<i64> for Size {
    fn decode(place: &mut i64, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            let Some(text) = d.bytes(node) else { return false };
            let text = String::from_utf8_lossy(&text);
            match units::parse_size(&text) {
                Some(bytes) => *place = bytes,
                None => {
                    let help = "a size is a number with a unit: 512B, 10KB, 10MB, 1.5GiB (steps of 1024)";
                    d.report(node, format!("{text:?} is not a size"), help);
                    return false;
                }
            }
            true
        })
    }
    fn schema(_: &mut Sections) -> Json {
        schema::text()
    }
    fn tree(place: &i64) -> Tree {
        Tree::text(units::format_size(*place))
    }
}

impl<T: Value + Default> Value for Vec<T> {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            self.clear();
            if d.document().is_null(node) {
                return true;
            }
            let is_list = matches!(d.document().node(node).content, Content::Sequence(_));
            d.sequence(node, &mut |d, item| {
                let mut entry = T::default();
                if entry.decode(item, d) {
                    self.push(entry);
                }
            });
            self.shrink_to_fit();
            is_list
        })
    }

    fn schema(sections: &mut Sections) -> Json {
        schema::list(&T::schema(sections))
    }
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
    fn tree(&self) -> Tree {
        Tree::List(self.iter().map(Value::tree).collect())
    }
}

impl<T: Value + Default> Value for BTreeMap<String, T> {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            self.clear();
            if d.document().is_null(node) {
                return true;
            }
            let is_map = matches!(d.document().node(node).content, Content::Mapping(_));
            d.mapping(node, &mut |d, key, value| {
                let mut entry = T::default();
                let good = entry.decode(value, d);
                if good || d.document().is_null(value) && !self.contains_key(&key) {
                    self.insert(key, entry);
                }
            });
            is_map
        })
    }

    fn schema(sections: &mut Sections) -> Json {
        schema::map(&T::schema(sections))
    }
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
    fn tree(&self) -> Tree {
        Tree::Map(self.iter().map(|(k, v)| (k.clone(), v.tree())).collect())
    }
}

/// A pointer of Go's: null and absent are the same.
impl<T: Value + Default> Value for Option<T> {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        if d.document().is_null(node) {
            *self = None;
            return true;
        }
        let mut value = self.take().unwrap_or_default();
        let good = value.decode(node, d);
        *self = Some(value);
        good
    }

    fn schema(sections: &mut Sections) -> Json {
        T::schema(sections)
    }
    fn is_zero(&self) -> bool {
        self.is_none()
    }
    fn tree(&self) -> Tree {
        self.as_ref().map_or(Tree::Null, Value::tree)
    }
}

/// Shared, until one of those who share it changes.
impl<T: Value + Clone> Value for Arc<T> {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        Self::make_mut(self).decode(node, d)
    }

    fn schema(sections: &mut Sections) -> serde_json::Value {
        T::schema(sections)
    }
    fn is_zero(&self) -> bool {
        T::is_zero(self)
    }
    fn tree(&self) -> Tree {
        T::tree(self)
    }
}

/// A section that is held by value in Go: `None` is its zero value.
pub(crate) struct ByValue;

impl<T: Section> Variant<Option<T>> for ByValue {
    fn decode(place: &mut Option<T>, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        !d.document().is_null(node) && place.get_or_insert_default().decode(node, d)
    }
    fn is_zero(place: &Option<T>) -> bool {
        place.as_ref().is_none_or(Value::is_zero)
    }
}

/// A list or mapping of which null and empty mean different things to a prober, and are printed alike: not at all.
pub(crate) struct Nilable;

impl<T: Value + Default> Variant<Option<T>> for Nilable {
    fn is_zero(place: &Option<T>) -> bool {
        place.as_ref().is_none_or(Value::is_zero)
    }
}

/// A regular expression or a list of them: the empty one is printed as null.
pub(crate) struct Pattern;

fn pattern_tree(pattern: &str) -> Tree {
    if pattern.is_empty() {
        Tree::Null
    } else {
        Tree::text(pattern)
    }
}

impl Variant<Option<String>> for Pattern {
    fn tree(place: &Option<String>) -> Tree {
        pattern_tree(place.as_deref().unwrap_or_default())
    }
}

impl Variant<Vec<String>> for Pattern {
    fn tree(place: &Vec<String>) -> Tree {
        Tree::List(place.iter().map(|p| pattern_tree(p)).collect())
    }
}

/// Anything (`claims` of oauth2), kept as JSON.
impl Value for Json {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            match &d.document().node(node).content {
                Content::Scalar { .. } => match d.scalar(node, "a value") {
                    None => return false,
                    Some(Scalar::Null) => *self = Self::Null,
                    Some(Scalar::Bool(truth)) => *self = truth.into(),
                    Some(Scalar::Int(number)) => *self = number.into(),
                    Some(Scalar::Uint(number)) => *self = number.into(),
                    Some(Scalar::Float(number)) => *self = number.into(),
                    Some(Scalar::Timestamp(text) | Scalar::Text(text)) => *self = text.into(),
                    Some(Scalar::Bytes(bytes)) => *self = String::from_utf8_lossy(&bytes).into(),
                },
                Content::Sequence(_) => {
                    let mut list = Vec::new();
                    *self = if list.decode(node, d) {
                        Self::Array(list)
                    } else {
                        Self::Null
                    };
                }
                Content::Mapping(_) | Content::Alias(_) => {
                    let mut map: BTreeMap<String, Self> = BTreeMap::new();
                    map.decode(node, d);
                    *self = Self::Object(map.into_iter().collect());
                }
            }
            true
        })
    }

    fn schema(_: &mut Sections) -> Json {
        schema::anything()
    }
    fn is_zero(&self) -> bool {
        self.is_null()
    }
    fn tree(&self) -> Tree {
        match self {
            Self::Null => Tree::Null,
            Self::Bool(truth) => Tree::Bool(*truth),
            Self::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Tree::Int(number),
                (None, number) => Tree::Float(number.unwrap_or_default()),
            },
            Self::String(text) => Tree::text(text.as_str()),
            Self::Array(list) => Tree::List(list.iter().map(Value::tree).collect()),
            Self::Object(map) => Tree::Map(map.iter().map(|(k, v)| (k.clone(), v.tree())).collect()),
        }
    }
}
