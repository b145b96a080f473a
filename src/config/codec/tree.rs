//! Configuration data on its way out: what [`write`](crate::config::write) prints.

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

    /// The path of the first text that `is_wanted`: `http.headers.Cookie`, or with the index of an entry, `http.list[0]`.
    pub fn find(&self, is_wanted: &impl Fn(&[u8]) -> bool) -> Option<String> {
        match self {
            Self::Text(text) => is_wanted(text).then(String::new),
            Self::List(items) => items.iter().enumerate().find_map(|(index, item)| {
                let below = item.find(is_wanted)?;
                Some(format!("[{index}]{below}"))
            }),
            Self::Section(entries) | Self::Map(entries) => entries.iter().find_map(|(name, value)| {
                let below = value.find(is_wanted)?;
                let dot = if below.is_empty() || below.starts_with('[') {
                    ""
                } else {
                    "."
                };
                Some(format!("{name}{dot}{below}"))
            }),
            _ => None,
        }
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(carried::bytes(&text.into()).into_owned())
    }
}
