//! Sections that many modules have in common, most often because nobody wrote them.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use go_yaml::Id;

use super::decode::Decoder;
use super::schema::Sections;
use super::tree::Tree;
use super::value::Value;

/// A section that takes no memory of its own where it was not written: all those share one, which is equal to itself without
/// a look inside. A change makes a copy first.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shared<T>(Arc<T>);

/// A section that can be [`Shared`].
pub trait Unwritten: Default + Eq + 'static {
    /// The one that was not written.
    fn unwritten() -> &'static Arc<Self>;
}

/// Makes sections [`Unwritten`].
macro_rules! unwritten {
    ($($section:ty),*) => {$(
        impl $crate::config::codec::shared::Unwritten for $section {
            fn unwritten() -> &'static std::sync::Arc<Self> {
                static UNWRITTEN: std::sync::LazyLock<std::sync::Arc<$section>> =
                    std::sync::LazyLock::new(std::sync::Arc::default);
                &UNWRITTEN
            }
        }
    )*};
}

pub(crate) use unwritten;

impl<T: Unwritten> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::clone(T::unwritten()))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> From<T> for Shared<T> {
    fn from(section: T) -> Self {
        Self(Arc::new(section))
    }
}

impl<T: Value + Clone> Value for Shared<T> {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        // A null section keeps its defaults, and shares them.
        !d.document().is_null(node) && T::decode(self, node, d)
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
