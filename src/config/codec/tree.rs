//! Configuration data on its way out: what [`write`](crate::config::write) prints.

use crate::carried;

/// A value to be printed as YAML.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    /// A scalar that is neither of these nor a text, as it is printed.
    Plain(String),
    /// Text, or bytes that are not UTF-8, which become `!!binary`.
    Text(Vec<u8>),
    List(Vec<Tree>),
    /// Known keys in the order in which they are printed.
    Section(Vec<(String, Tree)>),
    /// The user's keys; they are sorted when they are printed.
    Map(Vec<(String, Tree)>),
    /// A mapping whose keys are not all texts, in the order in which they are printed.
    Keyed(Vec<(Tree, Tree)>),
}

/// A step from a value to one in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To what is under a key.
    Key(String),
    /// To an entry of a list.
    Index(usize),
}

impl Tree {
    /// What is at that path, if it is printed.
    pub fn at(&mut self, path: &[Step]) -> Option<&mut Self> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        let below = match (self, first) {
            (Self::List(items), Step::Index(index)) => items.get_mut(*index),
            (Self::Section(entries) | Self::Map(entries), Step::Key(name)) => {
                let mut entries = entries.iter_mut();
                entries.find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        };
        below?.at(rest)
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
