//! One budget of memory for the whole process: what callers and targets make it hold is admitted here, so that the kernel
//! never has to kill it.
//!
//! Two things are looked at. Every kind of use has a share of the limit, and takes from it what it is expected to need
//! before it begins: heads of requests, probes, bodies that are kept, answers. And the memory that the process really
//! uses is measured, every few milliseconds while there is work: when it reaches the limit, nothing is admitted, and what
//! is growing is told that there is [no more](is_short).
//!
//! Without `--memory.limit` and without the limit of a cgroup there is no budget, and everything is admitted.

mod idle;
mod limit;
mod pages;
mod pool;
mod usage;

/// What the threads of a process share; loom's in `tests/model`.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
}

use std::sync::OnceLock;

use pool::{Exhausted, Pool};
use usage::Usage;

pub use idle::{
    Ways, give_back_after_bursts, give_back_everywhere, give_back_program, give_back_with, others_give_back,
    thrifty, when_parked,
};
pub use limit::{Limit, find};

/// What memory is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Use {
    Answers,
    Bodies,
    Connections,
    Heads,
    Probes,
}

impl Use {
    /// All of them, sorted by name.
    pub const ALL: [Self; 5] = [
        Self::Answers,
        Self::Bodies,
        Self::Connections,
        Self::Heads,
        Self::Probes,
    ];

    /// Its name in `/metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Bodies => "bodies",
            Self::Connections => "connections",
            Self::Heads => "heads",
            Self::Probes => "probes",
        }
    }

    /// Its share, in hundredths of what the limit leaves. The rest is for the history and for what nobody foresaw.
    fn share(self) -> u64 {
        match self {
            Self::Answers => 5,
            Self::Bodies | Self::Heads => 10,
            Self::Connections => 25,
            Self::Probes => 35,
        }
    }
}

/// The share of the history, in hundredths.
const HISTORY: u64 = 10;
/// The share of spans that wait for their endpoint, and the same of logs, in hundredths.
const TRACES: u64 = 2;
/// The share of modules that were made of parameters, in hundredths.
const VARIANTS: u64 = 1;
/// The least that there is to share out, however low the limit: without it, nothing could be done at all.
const LEAST: u64 = 8 << 20;

/// From how many bytes on what a peer makes us hold is large: these become five megabytes in the worst case.
const LARGE: usize = 256 << 10;

/// The budget of this process.
#[derive(Debug)]
struct Budget {
    /// As it was at the start.
    limit: u64,
    /// What the limit leaves above what the idle process needs.
    room: u64,
    usage: Usage,
    pools: [Pool; 5],
}

static BUDGET: OnceLock<Budget> = OnceLock::new();

/// Memory that was set aside, until this is dropped.
#[derive(Debug)]
pub struct Share {
    of: Use,
    bytes: usize,
}

/// Sets the limit of this process, once. What it uses now is what it needs when nothing happens.
pub fn limit_to(limit: Limit) {
    // A second exporter in one process, in tests, has the budget of the first.
    let _ = BUDGET.set(Budget::new(limit));
    go_http::memory::take_with(|bytes| {
        let share = take(Use::Bodies, bytes).ok_or(Short)?;
        Ok(Box::new(share))
    });
}

/// The limit in bytes, if there is one.
pub fn limit() -> Option<u64> {
    BUDGET.get().map(Budget::limit)
}

/// How much is used, in bytes, as the limit counts it; `None` without a limit.
pub fn used() -> Option<u64> {
    BUDGET.get().map(|budget| budget.usage.now())
}

/// Whether the limit leaves less than what any work needs.
pub fn is_too_low() -> bool {
    BUDGET.get().is_some_and(|budget| budget.room <= LEAST)
}

/// The most that the history may take, if there is a limit.
pub fn history_share() -> Option<usize> {
    BUDGET.get().map(|budget| share(budget.room, HISTORY))
}

/// The most that spans, and the most that logs, may take which wait for their endpoint, if there is a limit.
pub fn traces_share() -> Option<usize> {
    BUDGET.get().map(|budget| share(budget.room, TRACES))
}

/// The most that modules made of parameters may take, if there is a limit.
pub fn variants_share() -> Option<usize> {
    BUDGET.get().map(|budget| share(budget.room, VARIANTS))
}

/// How much of the limit one kind of use may take in all.
pub fn most(of: Use) -> Option<usize> {
    BUDGET.get().map(|budget| budget.pool(of).most)
}

/// How often memory was refused.
pub fn refused(of: Use) -> u64 {
    BUDGET.get().map_or(0, |budget| budget.pool(of).refused())
}

/// Whether the limit is reached. Whoever holds more and more of what a peer sends asks now and then, and stops.
pub fn is_short() -> bool {
    BUDGET.get().is_some_and(Budget::is_short)
}

/// As [`is_short`], for who has read so many bytes from a peer. What has become large may double in one step: it may not
/// grow any more when half of the room is taken.
pub fn is_short_for(bytes: usize) -> bool {
    BUDGET.get().is_some_and(|budget| {
        let limit = budget.limit();
        let most = if bytes > LARGE {
            limit - budget.room.min(limit) / 2
        } else {
            limit
        };
        budget.is_above(most)
    })
}

/// Sets memory aside. `None` when there is not so much.
pub fn take(of: Use, bytes: usize) -> Option<Share> {
    let mut share = Share { of, bytes: 0 };
    share.grow(bytes).then_some(share)
}

/// Sets aside what there is of its share, at most `bytes`.
pub fn take_some(of: Use, bytes: usize) -> Share {
    let mut share = Share { of, bytes: 0 };
    let Some(budget) = BUDGET.get() else {
        share.bytes = bytes;
        return share;
    };
    share.grow(bytes.min(budget.pool(of).left()));
    share
}

impl Share {
    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets more aside; false when there is not so much.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let granted = BUDGET.get().is_none_or(|budget| budget.grant(self.of, bytes));
        if granted {
            self.bytes += bytes;
        }
        granted
    }

    /// Gives so many bytes back.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        if let Some(budget) = BUDGET.get() {
            budget.pool(self.of).give(bytes);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(budget) = BUDGET.get() {
            budget.pool(self.of).give(self.bytes);
        }
    }
}

impl Budget {
    fn new(limit: Limit) -> Self {
        let usage = Usage::open(limit.cgroup);
        let room = limit.bytes.saturating_sub(usage.now()).max(LEAST);
        let pools = Use::ALL.map(|of| Pool::new(share(room, of.share())));
        Self {
            limit: limit.bytes,
            room,
            usage,
            pools,
        }
    }

    /// As it is now: a cgroup may be resized.
    fn limit(&self) -> u64 {
        self.usage.limit().unwrap_or(self.limit)
    }

    fn pool(&self, of: Use) -> &Pool {
        let [answers, bodies, connections, heads, probes] = &self.pools;
        match of {
            Use::Answers => answers,
            Use::Bodies => bodies,
            Use::Connections => connections,
            Use::Heads => heads,
            Use::Probes => probes,
        }
    }

    fn grant(&self, of: Use, bytes: usize) -> bool {
        let has_room = || self.usage.now() + bytes as u64 <= self.limit();
        let taken = self.pool(of).take(bytes, has_room);
        if taken == Err(Exhausted::Process) {
            idle::give_back_soon();
        }
        taken.is_ok()
    }

    fn is_short(&self) -> bool {
        self.is_above(self.limit())
    }

    fn is_above(&self, most: u64) -> bool {
        let short = self.usage.now() >= most;
        if short {
            idle::give_back_soon();
        }
        short
    }
}

fn share(room: u64, hundredths: u64) -> usize {
    usize::try_from(room / 100 * hundredths).unwrap_or(usize::MAX)
}

/// Why something that grew was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of memory: the exporter has reached its limit (--memory.limit)")]
pub struct Short;

impl From<Short> for std::io::Error {
    fn from(short: Short) -> Self {
        Self::new(std::io::ErrorKind::OutOfMemory, short)
    }
}
