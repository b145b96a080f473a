//! Past probes, kept whole and rendered only when someone looks at them.
//!
//! The last results are kept up to a count, and as many failures that were older than those. Both together stay below a
//! number of bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::entry::{Entry, Name, Subject};
use super::wall::Wall;
use crate::metrics::Labels;
use crate::module::Module;
use crate::prober::Outcome;

/// The history itself.
#[derive(Debug)]
pub struct History {
    limit: usize,
    max_bytes: usize,
    kept: Mutex<Kept>,
    /// How each target does; empty when no results are kept.
    pub wall: Wall,
}

#[derive(Debug, Default)]
struct Kept {
    next_id: i64,
    bytes: usize,
    recent: VecDeque<(Arc<Entry>, usize)>,
    /// Failures that are older than all of `recent`.
    failures: VecDeque<(Arc<Entry>, usize)>,
}

impl History {
    /// Keeps `limit` results and `limit` older failures, below `max_bytes` in all.
    pub fn new(limit: usize, max_bytes: usize) -> Self {
        Self {
            limit,
            max_bytes,
            kept: Mutex::default(),
            wall: Wall::default(),
        }
    }

    /// Adds a result, the newest.
    pub fn add(&self, module: &Module, target: &str, hostname: Option<&str>, outcome: Outcome) -> Arc<Entry> {
        let module = Subject::of(module);
        let weight = weight(&outcome) + module.weight() + target.len() + hostname.map_or(0, str::len);
        let mut entry = Entry::new(module, target, hostname, outcome);
        let mut kept = self.lock();
        entry.id = kept.next_id;
        let entry = Arc::new(entry);
        kept.next_id += 1;
        kept.bytes += weight;
        kept.recent.push_back((Arc::clone(&entry), weight));
        if kept.recent.len() > self.limit {
            kept.age();
        }
        if kept.failures.len() > self.limit {
            kept.forget_failure();
        }
        while kept.bytes > self.max_bytes && kept.recent.len() + kept.failures.len() > 0 {
            if kept.recent.len() > kept.failures.len() {
                kept.age();
            } else {
                kept.forget_failure();
            }
        }
        drop(kept);
        if self.limit > 0 {
            self.wall.add(&entry);
        }
        entry
    }

    /// All that is kept, oldest first.
    pub fn list(&self) -> Vec<Arc<Entry>> {
        let kept = self.lock();
        kept.oldest_first().cloned().collect()
    }

    /// The result of that number.
    pub fn by_id(&self, id: i64) -> Option<Arc<Entry>> {
        let kept = self.lock();
        kept.oldest_first().find(|entry| entry.id == id).cloned()
    }

    /// The newest result of a target, of any module, `hostname` and parameters where `name` has none. Parameters that the result does
    /// not have do not count; nor do `hostname` and parameters if there is no result with them: upstream ignores them.
    // compat: upstream gives the oldest one, which is rarely the one that is asked for.
    pub fn newest_of(&self, name: Name<'_>) -> Option<Arc<Entry>> {
        let fits = |entry: &&Arc<Entry>| {
            let of = entry.name();
            of.target == name.target && (name.module.is_empty() || of.module == name.module)
        };
        let named = |entry: &&Arc<Entry>| {
            let of = entry.name();
            let count = of.given.iter().filter(|one| name.given.contains(one)).count();
            let is_named = (name.hostname.is_none() || of.hostname == name.hostname)
                && (name.given.is_empty() || count > 0 && count == of.given.len());
            is_named.then_some(count)
        };
        let kept = self.lock();
        // Of those that are named best, the last one.
        kept.oldest_first().filter(fits).max_by_key(named).cloned()
    }

    /// The results of a target, newest first.
    pub fn of(&self, name: Name<'_>) -> Vec<Arc<Entry>> {
        let kept = self.lock();
        let is_wanted = |entry: &&Arc<Entry>| entry.name() == name;
        kept.oldest_first().rev().filter(is_wanted).cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn oldest_first(&self) -> impl DoubleEndedIterator<Item = &Arc<Entry>> {
        self.failures.iter().chain(&self.recent).map(|(entry, _)| entry)
    }

    /// The oldest of the recent results makes room; a failure lives on among the failures.
    fn age(&mut self) {
        match self.recent.pop_front() {
            Some(old) if !old.0.outcome.success => self.failures.push_back(old),
            Some((_, weight)) => self.bytes -= weight,
            None => {}
        }
    }

    fn forget_failure(&mut self) {
        if let Some((_, weight)) = self.failures.pop_front() {
            self.bytes -= weight;
        }
    }
}

/// About how many bytes an outcome takes.
fn weight(outcome: &Outcome) -> usize {
    let samples: usize = outcome
        .samples
        .labels()
        .map(|labels| match labels {
            Labels::None | Labels::Static(_) => 0,
            Labels::Values(values) => values.iter().map(|value| 24 + value.len()).sum(),
            Labels::Pairs(pairs) => pairs
                .iter()
                .map(|(name, value)| 48 + name.len() + value.len())
                .sum(),
        })
        .sum();
    let hops: usize = outcome
        .timeline
        .hops
        .iter()
        .map(|hop| {
            let failed = hop.failed.as_ref().map(|failed| &failed.line);
            let texts = [Some(&hop.name), hop.address.as_ref(), hop.result.as_ref(), failed];
            let texts: usize = texts.into_iter().flatten().map(String::len).sum();
            size_of_val(hop) + size_of_val(hop.phases.as_slice()) + texts
        })
        .sum();
    // Chains share the presented certificates, and hops those of the same server.
    let handshakes = || outcome.timeline.hops.iter().filter_map(|hop| hop.tls.as_deref());
    let mut presented: Vec<_> = handshakes().flat_map(|tls| &tls.presented).collect();
    presented.sort_by_key(|certificate| Arc::as_ptr(certificate));
    presented.dedup_by_key(|certificate| Arc::as_ptr(certificate));
    let certificates: usize = presented
        .iter()
        .map(|certificate| size_of_val(&***certificate) + certificate.der().len())
        .sum();
    let handshakes: usize = handshakes()
        .map(|tls| size_of_val(tls) + tls.stapled.as_ref().map_or(0, |stapled| stapled.len()))
        .sum();
    size_of::<Entry>()
        + size_of_val(outcome.log.events())
        + outcome.log.bytes()
        + outcome.advice.as_ref().map_or(0, String::len)
        + outcome.body.as_ref().map_or(0, |body| body.text.len())
        + samples
        + hops
        + certificates
        + handshakes
}
