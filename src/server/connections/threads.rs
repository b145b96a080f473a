//! Which threads serve a connection: one thread as long as it has time, all when it has not. Threads that share events wake each other
//! for every few of them, which takes a quarter of the CPU time of a probe at 2,000 per second.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// How much of one core all threads together may take, over [`SOON`], while one serves.
const ENOUGH: f64 = 0.8;
const SOON: Duration = Duration::from_millis(20);
/// How little they take, over [`CALM`], when one is enough again.
const LITTLE: f64 = 0.6;
const CALM: Duration = Duration::from_secs(1);

/// The threads.
#[derive(Debug)]
pub struct Threads {
    one: Handle,
    all: Option<Handle>,
    are_all: AtomicBool,
    seen: Mutex<Seen>,
}

/// When the threads were last looked at, and for how long they had worked until then.
#[derive(Debug)]
struct Seen {
    at: Instant,
    worked: Duration,
}

/// Where a connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one thread.
    One,
    /// The other runtime, which has a thread for each core.
    All,
}

impl Threads {
    /// The calling runtime is that of the one thread. Without the other runtime, it serves everything.
    pub fn new(all: Option<Handle>) -> Self {
        let one = Handle::current();
        let seen = Seen {
            at: Instant::now(),
            worked: worked(&one) + all.as_ref().map(worked).unwrap_or_default(),
        };
        Self {
            one,
            all,
            are_all: AtomicBool::new(false),
            seen: Mutex::new(seen),
        }
    }

    /// Where many callers at once are served in any case.
    pub fn most(&self) -> Place {
        if self.all.is_some() {
            Place::All
        } else {
            Place::One
        }
    }

    /// Where the next request is best served.
    pub fn best(&self) -> Place {
        let Some(all) = &self.all else { return Place::One };
        // Who finds it locked takes what was last found.
        if let Ok(mut seen) = self.seen.try_lock() {
            self.look(all, &mut seen);
        }
        if self.are_all.load(Ordering::Relaxed) {
            Place::All
        } else {
            Place::One
        }
    }

    fn look(&self, all: &Handle, seen: &mut Seen) {
        let are_all = self.are_all.load(Ordering::Relaxed);
        let (span, limit) = if are_all { (CALM, LITTLE) } else { (SOON, ENOUGH) };
        let now = Instant::now();
        let passed = now.saturating_duration_since(seen.at);
        if passed < span {
            return;
        }
        let worked = worked(&self.one) + worked(all);
        let share = worked.saturating_sub(seen.worked).as_secs_f64() / passed.as_secs_f64();
        *seen = Seen { at: now, worked };
        self.are_all.store(share > limit, Ordering::Relaxed);
    }

    /// The runtime that serves there.
    pub fn at(&self, place: Place) -> &Handle {
        match (place, &self.all) {
            (Place::All, Some(all)) => all,
            _ => &self.one,
        }
    }

    /// Takes a connection there.
    ///
    /// # Errors
    /// The system refuses; the connection is closed.
    pub fn take(&self, stream: TcpStream, place: Place) -> io::Result<TcpStream> {
        let stream = stream.into_std()?;
        let _there = self.at(place).enter();
        TcpStream::from_std(stream)
    }
}

/// For how long the threads of a runtime have worked, those that waited for a core included.
fn worked(runtime: &Handle) -> Duration {
    let metrics = runtime.metrics();
    (0..metrics.num_workers())
        .map(|worker| metrics.worker_total_busy_duration(worker))
        .sum()
}
