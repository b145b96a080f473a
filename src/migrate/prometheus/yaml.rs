//! The mappings, lists and texts of a file, as Prometheus reads YAML, in as many steps as a file without tricks needs.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};

use crate::config::yaml::{Content, Document, Id};

/// Most entries and rules of a file that are looked at; aliases repeat them.
const MOST_STEPS: usize = 50_000_000;

/// Most mappings that one takes in by `<<`, directly or through others.
const MOST_MERGED: usize = 1000;

/// A file, and how much of it may still be looked at.
pub(super) struct Yaml<'d, 't> {
    document: &'d Document<'t>,
    /// How many more steps are made.
    left: Cell<usize>,
}

impl<'d, 't> Yaml<'d, 't> {
    pub fn of(document: &'d Document<'t>) -> Self {
        let left = Cell::new(MOST_STEPS);
        Self { document, left }
    }

    /// Whether aliases have repeated too much of the file.
    pub fn is_endless(&self) -> bool {
        self.left.get() == 0
    }

    /// False when aliases have repeated too much of the file.
    pub fn spend(&self, steps: usize) -> bool {
        let left = self.left.get().saturating_sub(steps);
        self.left.set(left);
        left > 0
    }

    pub fn get(&self, node: Id, key: &str) -> Option<Id> {
        let mut found = None;
        self.walk(node, &mut HashSet::new(), &mut |name, value, _| {
            if name == key {
                found = Some(value);
            }
        });
        found
    }

    pub fn root(&self) -> Id {
        self.document.root()
    }

    /// The text of a scalar.
    pub fn scalar(&self, node: Id) -> Option<String> {
        self.document.text(node).map(str::to_owned)
    }

    pub fn text(&self, node: Id, key: &str) -> Option<String> {
        self.scalar(self.get(node, key)?)
    }

    /// The entries of a list, if it is one.
    pub fn items(&self, list: Option<Id>) -> &'d [Id] {
        let document = self.document;
        match list.map(|list| &document.node(document.target(list)).content) {
            Some(Content::Sequence(items)) => items,
            _ => &[],
        }
    }

    /// The texts in a list.
    pub fn texts(&self, node: Id, key: &str) -> Vec<String> {
        self.get(node, key)
            .map_or_else(Vec::new, |list| self.values(list))
    }

    pub fn values(&self, list: Id) -> Vec<String> {
        let items = self.items(Some(list)).iter();
        items.filter_map(|item| self.scalar(*item)).collect()
    }

    /// Key, value and line of a mapping's entries, each key once.
    pub fn entries(&self, node: Option<Id>) -> BTreeMap<&'d str, (Id, usize)> {
        let mut entries = BTreeMap::new();
        if let Some(node) = node {
            self.walk(node, &mut HashSet::new(), &mut |name, value, line| {
                entries.insert(name, (value, line));
            });
        }
        entries
    }

    /// Gives the entries of a mapping and of those that it takes in by `<<`, where they are taken in. The last one of a
    /// key counts, as Prometheus reads YAML.
    fn walk(&self, node: Id, seen: &mut HashSet<Id>, each: &mut dyn FnMut(&'d str, Id, usize)) {
        let document = self.document;
        let target = document.target(node);
        let Content::Mapping(entries) = &document.node(target).content else {
            return;
        };
        // An alias can stand in what it is an alias of.
        if !seen.insert(target) {
            return;
        }
        if seen.len() > MOST_MERGED {
            self.spend(MOST_STEPS);
            return;
        }
        for (key, value) in entries {
            if !self.spend(1) {
                return;
            }
            if document.is_merge(*key) {
                match self.items(Some(*value)) {
                    [] => self.walk(*value, seen, each),
                    parts => parts.iter().rev().for_each(|part| self.walk(*part, seen, each)),
                }
            } else if let Some(name) = document.text(*key) {
                each(name, *value, document.node(*key).at.line);
            }
        }
    }

    pub fn line(&self, node: Id) -> usize {
        self.document.node(node).at.line
    }
}
