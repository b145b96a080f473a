//! Giving memory back. The allocator keeps what was freed, each thread for itself; after a burst of probes that is most of
//! what the process has.

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::pages;
use super::usage::Usage;

/// How often it is looked whether there is something to give back.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// From how many probes on, the end of half of them is worth it.
const BURST: usize = 8;
/// From how many probes on their end is worth giving back what the program itself has become for them, too.
const CROWD: usize = 1000;
/// How often then: what one thread gives back may make something of another free.
const ROUNDS: u32 = 3;
/// How often memory is given back at most while it is short.
const AT_MOST_EVERY: Duration = Duration::from_millis(200);

/// How memory is given back.
static WAYS: OnceLock<Ways> = OnceLock::new();
/// Threads besides those of the runtime that asks them.
static OTHERS: OnceLock<Vec<Handle>> = OnceLock::new();
/// Counts how often all threads were asked.
static ASKED: AtomicU64 = AtomicU64::new(0);
/// When a thread was last asked for want of memory, in milliseconds.
static LAST: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// What this thread was last asked.
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// How memory is given back: what only the program can do, as it knows its allocator.
#[derive(Debug)]
pub struct Ways {
    /// Makes the allocator of the calling thread give back what it has left.
    pub collect: fn(),
    /// Makes the allocator of the C library give back what nobody has, whichever thread had it.
    pub trim: fn(),
    /// Gives back pages that hold nothing but what is in their file.
    pub unmap: fn(Range<usize>),
}

/// Says how. Without it nothing is given back.
pub fn give_back_with(ways: Ways) {
    let _ = WAYS.set(ways);
}

/// Gives back the pages of the program and its libraries, most of which are not read again soon: after the start, or after many
/// probes. What is read again comes again, from the page cache as a rule.
pub fn give_back_program() {
    if let Some(ways) = WAYS.get()
        && let Ok(smaps) = std::fs::read_to_string("/proc/self/smaps")
    {
        pages::unchanged(&smaps).into_iter().for_each(ways.unmap);
    }
}

/// Does something that takes much memory for a moment, and gives back at once what this thread has left of it.
pub fn thrifty<T>(act: impl FnOnce() -> T) -> T {
    let made = act();
    collect();
    made
}

fn collect() {
    if let Some(ways) = WAYS.get() {
        (ways.collect)();
    }
}

/// Asks every thread to give back what it has left, when it next has nothing to do. What the C library has is given back at once.
fn give_back() {
    ASKED.fetch_add(1, Ordering::Relaxed);
    if let Some(ways) = WAYS.get() {
        (ways.trim)();
    }
}

/// Asks every thread, and wakes those that sleep, which give nothing back.
pub fn give_back_everywhere() {
    give_back();
    for runtime in [Handle::current()]
        .iter()
        .chain(OTHERS.get().into_iter().flatten())
    {
        for _ in 0..2 * runtime.metrics().num_workers() {
            runtime.spawn(tokio::task::yield_now());
        }
    }
}

/// Says that there are other threads besides those of the runtime that asks them.
pub fn others_give_back(others: Vec<Handle>) {
    let _ = OTHERS.set(others);
}

/// Gives memory back when half of what was running has ended, and when memory has grown and stays so. Ends with `of`.
pub async fn give_back_after_bursts<T>(of: Weak<T>, running: fn(&T) -> usize) {
    let usage = Usage::open(None);
    let (mut peak, mut crowd, mut before, mut left) = (0, 0, usage.now(), 0);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(running) = of.upgrade().map(|of| running(&of)) else {
            return;
        };
        let now = usage.now();
        peak = peak.max(running);
        crowd = crowd.max(peak);
        let ended = peak >= BURST && running <= peak / 2;
        if ended || now > before + before / 4 {
            (peak, left) = (running, ROUNDS);
        }
        before = before.min(now).max(now / 2);
        if left > 0 {
            left -= 1;
            give_back_everywhere();
            before = now;
            if left == 0 && running == 0 && crowd >= CROWD {
                crowd = 0;
                // An error means that the program ends.
                let _ = tokio::task::spawn_blocking(give_back_program).await;
            }
        }
    }
}

/// A thread of the runtime has nothing to do.
pub fn when_parked() {
    let asked = ASKED.load(Ordering::Relaxed);
    if DONE.replace(asked) != asked {
        collect();
    }
}

/// Memory is short: this thread gives back now, the others soon.
pub(super) fn give_back_soon() {
    static START: OnceLock<Instant> = OnceLock::new();
    let now = START.get_or_init(Instant::now).elapsed() + AT_MOST_EVERY;
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let last = LAST.load(Ordering::Relaxed);
    let is_due = u128::from(now.saturating_sub(last)) >= AT_MOST_EVERY.as_millis();
    if is_due
        && LAST
            .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    {
        give_back();
        when_parked();
    }
}
