//! Lists, mappings, and what may be missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use go_yaml::{Content, Id};

use super::{Json, Value, Variant};
use crate::config::codec::decode::Decoder;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::tree::Tree;

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
            d.mapping(node, &mut |d, _, key, value| {
                let mut entry = T::default();
                let good = entry.decode(value, d);
                if good || d.document().is_null(value) && !self.contains_key(&*key) {
                    self.insert(key.into_owned(), entry);
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
        // Nothing else must judge what is reported already.
        *self = good.then_some(value);
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

impl<T: Value + Default> Variant<Option<T>> for ByValue {
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
