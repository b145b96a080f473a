//! Mappings with their duplicates and `<<`, and lists.

use std::borrow::Cow;
use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};

use go_yaml::scalar::{self, Scalar};
use go_yaml::{Content, Id};

use super::problems::brief;
use super::{Decoder, Step, YamlVersion};

/// Keys that a mapping has before `<<` adds others.
type Taken = HashSet<Vec<u8>>;

/// What is done with each entry of a mapping: its key, the key's text, and its value.
type Each<'e, 'd, 't> = dyn FnMut(&mut Decoder<'d, 't>, Id, Cow<'d, str>, Id) + 'e;

/// What the keys of a mapping are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// The fields of a section, each of which stands there once.
    Fields,
    /// The user's, or those of a mapping that is merged.
    Names,
}

/// Mappings up to this size are searched for duplicates without a table.
const FEW: usize = 16;

impl<'d, 't> Decoder<'d, 't> {
    /// Reads a mapping whose keys are fields; `each` gets the keys and their values.
    pub fn fields(&mut self, node: Id, each: &mut Each<'_, 'd, 't>) {
        self.map(node, Keys::Fields, &mut None, each);
    }

    /// Reads a mapping whose keys are the user's.
    pub fn mapping(&mut self, node: Id, each: &mut Each<'_, 'd, 't>) {
        self.map(node, Keys::Names, &mut None, each);
    }

    fn map(&mut self, node: Id, keys: Keys, taken: &mut Option<Taken>, each: &mut Each<'_, 'd, 't>) {
        let document = self.document;
        let Content::Mapping(entries) = &document.node(node).content else {
            return self.mismatch(node, "a mapping");
        };
        if self.has_duplicates(keys, entries) {
            return;
        }
        let mut merge = None;
        for (key, value) in entries {
            if document.is_merge(*key) {
                match self.version {
                    YamlVersion::V3 => merge = Some(*value),
                    YamlVersion::V2 => self.merge_here(*value, each),
                }
                continue;
            }
            let Some(name) = self.key(*key) else { continue };
            if let Some(taken) = taken
                && !taken.insert(name.as_bytes().to_vec())
            {
                continue;
            }
            self.path.push(Step::Key(*key));
            each(self, *key, name, *value);
            self.path.pop();
        }
        if let Some(merge) = merge {
            self.merge(entries, merge, taken, |d, node, taken| {
                d.map(node, Keys::Names, taken, each);
            });
        }
    }

    /// Reads a list; `each` gets the entries.
    pub fn sequence(&mut self, node: Id, each: &mut dyn FnMut(&mut Self, Id)) {
        let document = self.document;
        let Content::Sequence(items) = &document.node(node).content else {
            let help = match &document.node(node).content {
                Content::Scalar { text, .. } if !self.is_in_secret() => {
                    Some(format!("write a list: [{}]", brief(text)))
                }
                _ => None,
            };
            return self.mismatch_with(node, "a list", help);
        };
        // Null entries are left out.
        let mut index = 0;
        for item in items {
            self.path.push(Step::Index(index, *item));
            each(self, *item);
            self.path.pop();
            index += usize::from(!document.is_null(*item));
        }
    }

    /// The text of a key; a null key is passed over, as upstream does.
    fn key(&mut self, key: Id) -> Option<Cow<'d, str>> {
        let mut name = None;
        self.enter(key, |d, key| {
            name = d.expanding(None, |d| d.text(key));
            name.is_some()
        });
        name
    }

    fn has_duplicates(&mut self, keys: Keys, entries: &[(Id, Id)]) -> bool {
        let document = self.document;
        // Upstream does not look at what an alias stands for: of two keys the last one counts then, of two that are merged the first.
        let apart = self.version == YamlVersion::V3 && keys == Keys::Names;
        let identity = |key: Id| {
            let target = document.target(key);
            ((apart && target != key).then_some(target), document.text(key))
        };
        let may_repeat = |key: Id| self.version == YamlVersion::V2 && document.is_merge(key);
        let mut pairs: Vec<(Id, Id)> = Vec::new();
        if entries.len() <= FEW {
            for (index, (key, _)) in entries.iter().enumerate() {
                let mut before = entries.iter().take(index).filter(|(key, _)| !may_repeat(*key));
                pairs.extend(
                    before
                        .find(|(k, _)| identity(*k) == identity(*key))
                        .map(|(first, _)| (*first, *key)),
                );
            }
        } else {
            let mut seen: HashMap<_, Id> = HashMap::with_capacity(entries.len());
            for (key, _) in entries.iter().filter(|(key, _)| !may_repeat(*key)) {
                match seen.entry(identity(*key)) {
                    Entry::Occupied(first) => pairs.push((*first.get(), *key)),
                    Entry::Vacant(place) => {
                        place.insert(*key);
                    }
                }
            }
        }
        for (first, key) in &pairs {
            let (name, line) = (
                document.text(*key).unwrap_or_default(),
                document.node(*first).at.line,
            );
            self.report(*key, format!("key {name:?} already defined at line {line}"), None);
        }
        !pairs.is_empty()
    }

    /// The mappings that `<<` names; what is wrong has been reported when there are none.
    fn merged(&mut self, merged: Id) -> Vec<Id> {
        let document = self.document;
        let is_mapping =
            |node: &Id| matches!(document.node(document.target(*node)).content, Content::Mapping(_));
        let parts = match &document.node(merged).content {
            Content::Sequence(parts) => parts.clone(),
            _ => vec![merged],
        };
        if parts.iter().all(is_mapping) {
            return parts;
        }
        let message = "map merge requires map or sequence of maps as the value";
        self.report(merged, message, None);
        Vec::new()
    }

    /// Takes in what `<<` names as if it stood there: what comes later counts.
    fn merge_here(&mut self, merged: Id, each: &mut Each<'_, 'd, 't>) {
        for part in self.merged(merged).into_iter().rev() {
            self.enter(part, |d, node| {
                d.map(node, Keys::Names, &mut None, each);
                true
            });
        }
    }

    /// Takes in what `<<` names: keys that are there already win, then the first of several mappings.
    fn merge(
        &mut self,
        own: &[(Id, Id)],
        merged: Id,
        taken: &mut Option<Taken>,
        mut fill: impl FnMut(&mut Self, Id, &mut Option<Taken>),
    ) {
        let document = self.document;
        let mut outer = taken.take().or_else(|| {
            // Upstream compares by value: a key that reads as a number or truth value hides nothing.
            let text = |key: Id| match &document.node(key).content {
                Content::Scalar { text, plain } => {
                    match scalar::resolve(document.node(key).tag.as_deref(), text, *plain) {
                        Ok(Scalar::Text(text)) => Some(text.as_bytes().to_vec()),
                        Ok(Scalar::Bytes(bytes)) => Some(bytes),
                        _ => None,
                    }
                }
                _ => None,
            };
            Some(
                own.iter()
                    .filter_map(|(key, _)| text(document.target(*key)))
                    .collect(),
            )
        });
        for part in self.merged(merged) {
            self.enter(part, |d, node| {
                fill(d, node, &mut outer);
                true
            });
        }
        *taken = outer;
    }
}
