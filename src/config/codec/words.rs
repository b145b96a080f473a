//! Settings that are one of a few words. [`words!`] makes the enum, its names, and how they are read and printed.

use go_yaml::Id;

use super::decode::Decoder;
use super::meant::one_of;
use super::schema::{self, Sections};
use super::tree::Tree;
use super::value::{Codec, Json};

/// One of a few words.
pub(crate) trait Word: Copy + 'static {
    /// All of them with their names, in the order in which they are listed. One without a name is what no word means.
    const NAMES: &'static [(&'static str, Self)];

    /// What is said of a word that is none of them.
    fn unknown(word: &str) -> String;

    /// What helps who wrote it.
    fn help(word: &str) -> String {
        one_of(word.trim(), names::<Self>())
    }

    /// Whether a word is written so.
    fn is_written(name: &str, word: &str) -> bool {
        name == word
    }

    /// Whether it is what no word means.
    fn is_zero(self) -> bool {
        false
    }

    /// What it may be, as JSON Schema.
    fn schema() -> Json {
        schema::words(names::<Self>())
    }

    /// Reads one.
    fn read(node: Id, d: &mut Decoder<'_, '_>) -> Option<Self> {
        let mut known = None;
        d.enter(node, |d, node| {
            let Some(word) = d.text(node) else { return false };
            let mut named = Self::NAMES.iter().filter(|(name, _)| !name.is_empty());
            known = named.find(|(name, _)| Self::is_written(name, &word));
            if known.is_none() {
                d.report(node, Self::unknown(&word), Some(Self::help(&word)));
            }
            known.is_some()
        });
        known.map(|(_, known)| *known)
    }
}

/// The words.
fn names<W: Word>() -> impl Iterator<Item = &'static str> + Clone {
    W::NAMES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !name.is_empty())
}

/// A word or, if none is written, nothing.
pub(crate) struct OptionalWord;

impl<W: Word + super::value::Value> Codec<Option<W>> for OptionalWord {
    fn decode(place: &mut Option<W>, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        *place = W::read(node, d);
        place.is_some()
    }
    fn schema(_: &mut Sections) -> Json {
        <W as Word>::schema()
    }
    fn is_zero(place: &Option<W>) -> bool {
        place.is_none()
    }
    fn tree(place: &Option<W>) -> Tree {
        place.map_or(Tree::Null, |word| word.tree())
    }
}

/// Makes an enum of words. Behind its name stands what is said of another `{word}`; behind the words, what of [`Word`] it does
/// in its own way.
macro_rules! words {
    ($(#[$about:meta])* pub enum $words:ident: $unknown:literal {
        $($(#[$doc:meta])* $word:ident = $name:literal,)*
    } $($more:tt)*) => {
        $(#[$about])*
        pub enum $words {
            $($(#[$doc])* $word,)*
        }

        impl $words {
            /// All of them, in the order in which they are listed.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$word),*];

            /// As it is written in a configuration.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$word => $name,)*
                }
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|word| word.name() == name)
            }
        }

        impl $crate::config::codec::words::Word for $words {
            const NAMES: &'static [(&'static str, Self)] = &[$(($name, Self::$word)),*];

            fn unknown(word: &str) -> String {
                format!($unknown, word = word)
            }
            $($more)*
        }

        impl $crate::config::codec::value::Value for $words {
            fn decode(
                &mut self,
                node: $crate::config::yaml::Id,
                d: &mut $crate::config::codec::decode::Decoder<'_, '_>,
            ) -> bool {
                let read = $crate::config::codec::words::Word::read(node, d);
                *self = read.unwrap_or(*self);
                read.is_some()
            }
            fn schema(_: &mut $crate::config::codec::schema::Sections) -> serde_json::Value {
                <Self as $crate::config::codec::words::Word>::schema()
            }
            fn is_zero(&self) -> bool {
                $crate::config::codec::words::Word::is_zero(*self)
            }
            fn tree(&self) -> $crate::config::codec::tree::Tree {
                $crate::config::codec::tree::Tree::text(self.name())
            }
        }
    };
}
pub(crate) use words;
