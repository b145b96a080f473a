//! Values under names that the user chose: request headers, metadata, parameters. Some names say that the value is a secret.

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::ops::{Deref, DerefMut};

use go_yaml::Id;

use super::confidential;
use super::decode::Decoder;
use super::environment::Purpose;
use super::schema::{self, Sections};
use super::tree::Tree;
use super::value::Value;

/// A map whose values under names like `Authorization`, `Cookie` or `X-Api-Key` are not printed, neither as configuration
/// nor by `{:?}`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Named<V>(BTreeMap<String, V>);

impl<V> From<BTreeMap<String, V>> for Named<V> {
    fn from(map: BTreeMap<String, V>) -> Self {
        Self(map)
    }
}

impl<V> Deref for Named<V> {
    type Target = BTreeMap<String, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<V> DerefMut for Named<V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'a, V> IntoIterator for &'a Named<V> {
    type Item = (&'a String, &'a V);
    type IntoIter = btree_map::Iter<'a, String, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<V: fmt::Debug> fmt::Debug for Named<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in &self.0 {
            if confidential::names_secret(name) {
                map.entry(name, &confidential::MASK);
            } else {
                map.entry(name, value);
            }
        }
        map.finish()
    }
}

impl<V: Value + Default> Value for Named<V> {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.expanding(Some(Purpose::Sent), |d| self.0.decode(node, d))
    }

    fn schema(sections: &mut Sections) -> serde_json::Value {
        schema::map(&V::schema(sections))
    }
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn tree(&self) -> Tree {
        // compat: upstream masks nothing by its name.
        let entries = self.0.iter().map(|(name, value)| {
            let mut tree = value.tree();
            if confidential::names_secret(name) {
                hide(&mut tree);
            }
            (name.clone(), tree)
        });
        Tree::Map(entries.collect())
    }
}

/// Masks every text. Which files hold secrets is none.
fn hide(tree: &mut Tree) {
    match tree {
        Tree::Text(text) => confidential::MASK.as_bytes().clone_into(text),
        Tree::List(list) => list.iter_mut().for_each(hide),
        Tree::Section(entries) | Tree::Map(entries) => {
            let values = entries.iter_mut().filter(|(key, _)| key != "files");
            values.for_each(|(_, value)| hide(value));
        }
        Tree::Keyed(entries) => entries.iter_mut().for_each(|(_, value)| hide(value)),
        Tree::Null | Tree::Bool(_) | Tree::Int(_) | Tree::Plain(_) => {}
    }
}
