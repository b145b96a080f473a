//! One past probe, and what tells its target apart from others.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::config;
use crate::module::{Given, Module};
use crate::prober::Outcome;

/// One past probe.
#[derive(Debug)]
pub struct Entry {
    /// Counted from 0.
    pub id: i64,
    /// The module as it was then.
    pub module: Subject,
    /// The target, decoded, what is not UTF-8 [carried](crate::carried).
    pub target: Box<str>,
    /// The `hostname` parameter.
    pub hostname: Option<Box<str>>,
    /// When the probe ended.
    pub at: SystemTime,
    /// The same moment, for telling how long ago that was: the clock may have been set since.
    pub ended: Instant,
    /// All that is known of it.
    pub outcome: Outcome,
}

impl Entry {
    /// A probe that has just ended, and is in no history yet.
    pub fn new(module: Subject, target: &str, hostname: Option<&str>, outcome: Outcome) -> Self {
        Self {
            id: 0,
            module,
            target: target.into(),
            hostname: hostname.map(Into::into),
            at: SystemTime::now(),
            ended: Instant::now(),
            outcome,
        }
    }

    /// Which target it is about.
    pub fn name(&self) -> Name<'_> {
        Name {
            module: &self.module.name,
            target: &self.target,
            hostname: self.hostname.as_deref(),
            given: &self.module.given,
        }
    }
}

/// The module of a past probe: what is shown of it. The compiled one is not kept, which may be large.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name.
    pub name: Arc<str>,
    /// What was written, with what the scrape has set.
    pub raw: Arc<config::Module>,
    /// What the scrape has set.
    pub given: Arc<[Given]>,
}

impl Subject {
    /// What is kept of a module.
    pub fn of(module: &Module) -> Self {
        Self {
            name: Arc::clone(&module.name),
            raw: Arc::clone(&module.raw),
            given: Arc::clone(&module.given),
        }
    }

    /// About how many bytes nobody else holds: a module that a scrape has made has a section of its own.
    pub(crate) fn weight(&self) -> usize {
        const SECTION: usize = 4 << 10;
        let texts = self
            .given
            .iter()
            .map(|given| given.name.len() + 2 * given.value.len());
        match self.given.len() {
            0 => 0,
            _ => SECTION + texts.sum::<usize>(),
        }
    }
}

/// What tells targets apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name<'n> {
    /// The module's name.
    pub module: &'n str,
    /// The target, what is not UTF-8 [carried](crate::carried).
    pub target: &'n str,
    /// The `hostname` parameter.
    pub hostname: Option<&'n str>,
    /// What the scrape has set.
    pub given: &'n [Given],
}
