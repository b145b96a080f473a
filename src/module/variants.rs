//! Modules that were made of the parameters of scrapes, kept for the next scrape with the same values: so tokens and sessions last
//! longer than one probe, and nothing is compiled again. One place for all modules of a configuration, of a fixed size.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::Module;
use crate::memory;

/// Their maximum size in bytes without a limit of memory.
const MOST: usize = 4 << 20;
/// What a module takes at least without its values, in bytes.
const MODULE: usize = 16 << 10;

/// Values that the rules of a module's parameters allow, one per rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Values(pub(super) Vec<Option<String>>);

impl Values {
    /// Bytes of all of them.
    fn bytes(&self) -> usize {
        let texts: usize = self.0.iter().flatten().map(String::len).sum();
        size_of_val(self.0.as_slice()) + texts
    }
}

/// The kept modules.
#[derive(Debug, Default)]
pub(super) struct Variants(Mutex<Kept>);

type Key = (Arc<str>, Values);

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    /// Oldest first.
    order: VecDeque<Arc<Key>>,
    made: HashMap<Arc<Key>, Arc<Module>>,
}

impl Variants {
    /// The module of that name with these values, if it is kept.
    pub(super) fn find(&self, name: &Arc<str>, values: &Values) -> Option<Arc<Module>> {
        let key = (Arc::clone(name), values.clone());
        self.lock().made.get(&key).cloned()
    }

    /// Keeps a module; the oldest ones make room for it.
    pub(super) fn keep(&self, name: &Arc<str>, values: Values, module: &Arc<Module>) {
        let most = memory::variants_share().unwrap_or(MOST).min(MOST);
        let key = Arc::new((Arc::clone(name), values));
        let weight = weight(&key);
        if weight > most {
            return;
        }
        let mut kept = self.lock();
        if kept.made.contains_key(&key) {
            return;
        }
        while kept.bytes + weight > most {
            let Some(oldest) = kept.order.pop_front() else {
                break;
            };
            kept.made.remove(&oldest);
            kept.bytes = kept.bytes.saturating_sub(self::weight(&oldest));
        }
        kept.bytes += weight;
        kept.order.push_back(Arc::clone(&key));
        kept.made.insert(key, Arc::clone(module));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About how many bytes go to a module with such values: each value stands in what was written, in what was compiled and in the key.
fn weight(key: &Key) -> usize {
    MODULE + 4 * key.1.bytes()
}
