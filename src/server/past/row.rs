//! How one target does: since when it fails or passes, how often, and its last results.
//!
//! A row is updated by every probe; what a page shows of it is made when somebody looks.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::entry::{Entry, Name};
use crate::config::Prober;
use crate::display::short;
use crate::module::Given;

/// How many of its last results a row has.
pub const STRIP: usize = 60;
/// Most characters of a reason.
const REASON: usize = 300;
/// A probe is slow that took so many times what is usual, and longer than what nobody would notice.
const SLOW: f32 = 3.0;
const NOTICEABLE: f32 = 0.1;

/// What a row takes besides its texts.
const FIXED: usize = size_of::<Row>() + STRIP * size_of::<Beat>() + 64;

/// How a target does, what is worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// The last probe failed.
    Failing,
    /// The last probe passed, but took far longer than usual.
    Slow,
    /// The last probe passed.
    Passing,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Failing, Self::Slow, Self::Passing];

    /// Its name in URLs and on pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Slow => "slow",
            Self::Passing => "passing",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// One result of the strip.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    /// Seconds.
    pub duration: f32,
    /// Whether the probe passed.
    pub passed: bool,
}

/// How one target does with one module.
#[derive(Clone, Debug)]
pub struct Row {
    /// Of this row among all.
    pub id: u64,
    /// Grows with every change of any row.
    pub version: u64,
    /// The module's name.
    pub module: Arc<str>,
    /// The module's prober.
    pub prober: Prober,
    /// The target, what is not UTF-8 [carried](crate::carried).
    pub target: Arc<str>,
    /// The `hostname` parameter.
    pub hostname: Option<Arc<str>>,
    /// What the scrapes have set of the module.
    pub given: Arc<[Given]>,
    /// How it does.
    pub state: State,
    /// Why the last probe failed, if it did.
    pub reason: Option<Box<str>>,
    /// When the last probe ended.
    pub at: SystemTime,
    /// The same moment, for telling how long ago that was.
    pub ended: Instant,
    /// Since when all probes passed, or all failed.
    pub since: Instant,
    /// For how long it was the other way before that, if it was.
    pub before: Option<Duration>,
    /// How many probes passed.
    pub passed: u64,
    /// How many probes failed.
    pub failed: u64,
    /// The last results, oldest first.
    pub strip: Vec<Beat>,
    /// What a probe that passes usually takes, in seconds.
    usual: f32,
}

impl Row {
    /// The row of a target with its first result.
    pub(super) fn new(id: u64, version: u64, entry: &Entry) -> Self {
        let module = &entry.module;
        let passed = entry.outcome.success;
        let mut row = Self {
            id,
            version,
            module: Arc::clone(&module.name),
            prober: module.raw.prober,
            target: (&*entry.target).into(),
            hostname: entry.hostname.as_deref().map(Into::into),
            given: Arc::clone(&module.given),
            state: if passed { State::Passing } else { State::Failing },
            reason: None,
            at: entry.at,
            ended: entry.ended,
            since: entry.ended,
            before: None,
            passed: 0,
            failed: 0,
            strip: Vec::new(),
            usual: 0.0,
        };
        row.update(entry);
        row
    }

    /// How long the last probe took, in seconds.
    pub fn duration(&self) -> f32 {
        self.strip.last().map_or(0.0, |beat| beat.duration)
    }

    /// Which target it is about.
    pub fn name(&self) -> Name<'_> {
        Name {
            module: &self.module,
            target: &self.target,
            hostname: self.hostname.as_deref(),
            given: &self.given,
        }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let given = self.given.iter();
        let given = given.map(|given| size_of_val(given) + given.name.len() + given.value.len());
        FIXED
            + given.sum::<usize>()
            + self.target.len()
            + self.hostname.as_deref().map_or(0, str::len)
            + self.reason.as_deref().map_or(0, str::len)
    }

    /// Adds the result of a probe.
    pub(super) fn update(&mut self, entry: &Entry) {
        let passed = entry.outcome.success;
        let duration = entry.outcome.duration.as_secs_f32();
        if passed == (self.state == State::Failing) {
            self.before = Some(entry.ended.saturating_duration_since(self.since));
            self.since = entry.ended;
        }
        self.state = if !passed {
            State::Failing
        } else if self.passed > 0 && duration > self.usual * SLOW && duration > self.usual + NOTICEABLE {
            State::Slow
        } else {
            State::Passing
        };
        if passed {
            let weight = if self.passed == 0 { 1.0 } else { 1.0 / 16.0 };
            self.usual += (duration - self.usual) * weight;
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        let reason = entry.outcome.reason();
        self.reason = reason.map(|reason| short(&reason, REASON).into());
        (self.at, self.ended) = (entry.at, entry.ended);
        if self.strip.len() == STRIP {
            self.strip.remove(0);
        }
        self.strip.push(Beat { duration, passed });
    }
}
