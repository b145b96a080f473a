//! Configuration data on its way out: what [`write`](super::write) prints.

use crate::carried;

/// A value to be printed as YAML.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Text, or bytes that are not UTF-8, which become `!!binary`.
    Text(Vec<u8>),
    List(Vec<Tree>),
    /// Known keys in the order in which they are printed.
    Section(Vec<(String, Tree)>),
    /// The user's keys; they are sorted when they are printed.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// Puts another text where one stands.
    pub fn replace(&mut self, old: &[u8], new: &[u8]) {
        match self {
            Self::Text(text) if text == old => new.clone_into(text),
            Self::List(items) => items.iter_mut().for_each(|item| item.replace(old, new)),
            Self::Section(entries) | Self::Map(entries) => {
                entries.iter_mut().for_each(|(_, value)| value.replace(old, new));
            }
            _ => {}
        }
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(carried::bytes(&text.into()).into_owned())
    }
}
