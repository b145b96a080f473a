//! A mapping of the source, out of which settings are taken one by one: what nobody took is named.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::draft::{Draft, is_empty};
use super::values::text;
use crate::migrate::milliseconds;

/// Most packets of one probe, as the configuration allows them.
const MOST_PACKETS: u64 = 1000;

/// What is left of a mapping, and where it stands.
pub(super) struct Settings {
    place: String,
    rest: Map<String, Value>,
}

impl Settings {
    /// The settings of a value; none if it is no mapping.
    pub(super) fn new(place: impl Into<String>, value: Value) -> Self {
        let rest = match value {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self {
            place: place.into(),
            rest,
        }
    }

    /// Where they stand, for a note.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Notes what of them is lost.
    pub(super) fn lost(&self, draft: &mut Draft, what: impl Display) {
        draft.lost(format!("{}: {what}", self.place));
    }

    /// Reads each entry of a list, which has a name: `probe "web"` is where it stands. An error says why one is left out.
    pub(super) fn each(
        &mut self,
        list: &str,
        kind: &str,
        draft: &mut Draft,
        read: fn(Self, &str, &mut Draft) -> Result<(), String>,
    ) {
        for entry in self.items(list) {
            let mut entry = Self::new("", entry);
            let name = entry.text("name").unwrap_or_default();
            let place = format!("{kind} {name:?}");
            entry.place.clone_from(&place);
            if let Err(reason) = read(entry, &name, draft) {
                draft.lost(format!("{place}: {reason}"));
            }
        }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.rest.remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn put(&mut self, key: &str, value: Value) {
        self.rest.insert(key.to_owned(), value);
    }

    /// The non-empty text of a field, or its number as text. Anything else stays, to be named.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.rest.get(key)? {
            Value::String(_) | Value::Number(_) => {
                self.take(key).as_ref().map(text).filter(|text| !text.is_empty())
            }
            _ => None,
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.truth(key).unwrap_or(false)
    }

    /// A truth value, if it is one; it stays otherwise.
    pub(super) fn truth(&mut self, key: &str) -> Option<bool> {
        let truth = self.rest.get(key)?.as_bool()?;
        self.rest.remove(key);
        Some(truth)
    }

    pub(super) fn whole(&mut self, key: &str) -> Option<u64> {
        let number = self.rest.get(key)?.as_u64()?;
        self.rest.remove(key);
        Some(number)
    }

    /// `count`, where there are several packets; the rest is lost.
    pub(super) fn packets(&mut self, key: &str, draft: &mut Draft) -> Option<u64> {
        let count = self.whole(key).filter(|count| *count > 1)?;
        if count > MOST_PACKETS {
            self.lost(draft, format_args!("`{key}` {count}: it sends {MOST_PACKETS}"));
        }
        Some(count.min(MOST_PACKETS))
    }

    /// A number of seconds, in milliseconds, unless it is 0.
    pub(super) fn seconds(&mut self, key: &str) -> Option<u64> {
        let seconds = self.take(key)?.as_f64().filter(|seconds| *seconds > 0.0)?;
        Some((seconds * 1000.0) as u64)
    }

    /// A duration, in milliseconds; it stays when it is none.
    pub(super) fn period(&mut self, key: &str) -> Option<u64> {
        let period = milliseconds(&text(self.rest.get(key)?))?;
        self.rest.remove(key);
        Some(period)
    }

    /// The entries of a list; of one value, where the source leaves the brackets out.
    pub(super) fn items(&mut self, key: &str) -> Vec<Value> {
        match self.take(key) {
            Some(Value::Array(items)) => items,
            one => one.into_iter().collect(),
        }
    }

    /// The entries of a list that have a name, under this key, and a `value`.
    pub(super) fn named_values(&mut self, list: &str, key: &str) -> Vec<(String, String)> {
        let entries = self.items(list).into_iter().map(|entry| {
            let mut entry = Self::new("", entry);
            let mut field = |key| entry.text(key).unwrap_or_default();
            (field(key), field("value"))
        });
        entries.collect()
    }

    /// The fields of `headers`; names those that are no texts.
    pub(super) fn headers(&mut self, draft: &mut Draft) -> Map<String, Value> {
        let mut headers = Map::new();
        // Anything but a mapping stays, to be named.
        for (name, value) in self.section("headers").rest {
            match value {
                Value::Array(_) | Value::Object(_) => {
                    self.lost(draft, format_args!("the header {name:?}: its value is no text"));
                }
                value => drop(headers.insert(name, text(&value).into())),
            }
        }
        headers
    }

    /// The settings below a key; anything but a mapping stays.
    pub(super) fn section(&mut self, key: &str) -> Self {
        let value = match self.rest.get(key) {
            Some(Value::Object(_)) => self.take(key).unwrap_or_default(),
            _ => Value::Null,
        };
        Self::new(format!("{}: {key}", self.place), value)
    }

    /// Leaves out what is off, empty or 0, in files that list every setting.
    pub(super) fn drop_zeros(&mut self) {
        self.rest.retain(|_, value| {
            !(is_empty(value) || *value == Value::Bool(false) || *value == 0 || *value == "")
        });
    }

    /// Names what was not taken, without what means nothing here: keys, separated by blanks.
    pub(super) fn finish(self, draft: &mut Draft, meaningless: &str) {
        for (key, value) in &self.rest {
            if !is_empty(value) && !meaningless.split_whitespace().any(|other| other == key) {
                self.lost(draft, format_args!("`{key}`"));
            }
        }
    }
}
