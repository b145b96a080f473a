//! What was met lately, and what was met before that: a bounded memory of what never changes.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;

/// Two generations. What is met again moves to the young one; when that is full, the old one is forgotten.
#[derive(Debug)]
pub(super) struct Recent<T> {
    young: HashSet<T>,
    old: HashSet<T>,
    /// How many a generation holds.
    room: usize,
}

impl<T: Eq + Hash> Recent<T> {
    pub fn new(room: usize) -> Self {
        Self {
            young: HashSet::new(),
            old: HashSet::new(),
            room,
        }
    }

    /// What is known under this key.
    pub fn find<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&T>
    where
        T: Borrow<Q>,
    {
        if let Some(known) = self.old.take(key) {
            self.keep(known);
        }
        self.young.get(key)
    }

    pub fn keep(&mut self, one: T) {
        if self.young.len() >= self.room {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_met_again_stays_and_the_rest_goes() {
        let mut recent = Recent::new(100);
        for i in 0..2000 {
            recent.keep(i);
            assert!(recent.find(&0).is_some(), "after {i}");
        }
        assert!(recent.find(&1).is_none());
        assert!(recent.young.len() + recent.old.len() <= 200);
    }
}
