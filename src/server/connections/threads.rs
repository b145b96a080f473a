//! Which threads serve connections: as few as have time for all of them, each with a runtime of its own. Threads that share a runtime wake each
//! other for every few events, and free what another one has made: that takes a sixth of the CPU time of a probe.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// Which part of their time the threads that serve have worked, over [`SOON`], when there are to be twice as many.
const ENOUGH: f64 = 0.8;
const SOON: Duration = Duration::from_millis(20);
/// Which part of its time each of half of them would work, over [`CALM`], when half are enough again.
const LITTLE: f64 = 0.6;
const CALM: Duration = Duration::from_secs(1);

/// The threads.
#[derive(Debug)]
pub struct Threads {
    /// The first one is that of who made this.
    runtimes: Vec<Handle>,
    /// How many of them serve.
    serving: AtomicUsize,
    /// How many places were dealt out.
    dealt: AtomicUsize,
    seen: Mutex<Seen>,
}

/// When the threads were last looked at: to see whether they are too few, and whether they are too many.
#[derive(Debug)]
struct Seen {
    soon: Look,
    calm: Look,
}

/// For how long all threads together had worked at that time.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    worked: Duration,
}

impl Look {
    fn now(runtimes: &[Handle]) -> Self {
        Self {
            at: Instant::now(),
            worked: runtimes.iter().map(worked).sum(),
        }
    }

    /// How many threads would have been busy since then all the time.
    fn busy_since(self, then: Self) -> f64 {
        let worked = self.worked.saturating_sub(then.worked);
        worked.as_secs_f64() / (self.at - then.at).as_secs_f64()
    }
}

/// Where a connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    thread: usize,
    /// How many threads it was one of. When there are more or fewer, connections are dealt out again.
    of: usize,
}

impl Place {
    /// The thread that accepts connections.
    pub const FIRST: Self = Self { thread: 0, of: 1 };

    /// Whether it is the same thread.
    pub fn is_with(self, other: Self) -> bool {
        self.thread == other.thread
    }
}

impl Threads {
    /// The thread of the calling runtime, and others.
    pub fn new(others: Vec<Handle>) -> Self {
        let runtimes: Vec<_> = [Handle::current()].into_iter().chain(others).collect();
        let look = Look::now(&runtimes);
        Self {
            runtimes,
            serving: AtomicUsize::new(1),
            dealt: AtomicUsize::new(0),
            seen: Mutex::new(Seen {
                soon: look,
                calm: look,
            }),
        }
    }

    /// A place for a connection that stays there, however many threads will have to serve.
    pub fn any(&self) -> Place {
        self.deal(self.runtimes.len())
    }

    /// A place for a request that any thread may serve.
    pub fn next(&self) -> Place {
        self.deal(self.serving())
    }

    /// Where the next request of a connection is best served.
    pub fn best(&self, place: Place) -> Place {
        match self.serving() {
            of if of == place.of => place,
            of => self.deal(of),
        }
    }

    /// Whether the next request of a connection is best served where it is.
    pub fn is_best(&self, place: Place) -> bool {
        self.serving() == place.of
    }

    fn deal(&self, of: usize) -> Place {
        let dealt = self.dealt.fetch_add(1, Ordering::Relaxed);
        let thread = dealt.checked_rem(of).unwrap_or_default();
        Place { thread, of }
    }

    /// How many threads serve.
    fn serving(&self) -> usize {
        // Who finds it locked takes what was last found.
        if self.runtimes.len() > 1
            && let Ok(mut seen) = self.seen.try_lock()
        {
            self.look(&mut seen);
        }
        self.serving.load(Ordering::Relaxed)
    }

    /// Looks whether there are to be more threads, or fewer.
    fn look(&self, seen: &mut Seen) {
        if seen.soon.at.elapsed() < SOON {
            return;
        }
        let now = Look::now(&self.runtimes);
        let (serving, most) = (self.serving.load(Ordering::Relaxed), self.runtimes.len());
        let half = serving / 2;
        let wanted = if serving < most && now.busy_since(seen.soon) > ENOUGH * serving as f64 {
            seen.calm = now;
            most.min(2 * serving)
        } else if now.at - seen.calm.at >= CALM {
            let is_little = now.busy_since(seen.calm) < LITTLE * half as f64;
            seen.calm = now;
            if is_little { half } else { serving }
        } else {
            serving
        };
        seen.soon = now;
        self.serving.store(wanted, Ordering::Relaxed);
    }

    /// The runtime that serves there.
    pub fn at(&self, place: Place) -> &Handle {
        // Invariant: there are so many.
        #[allow(clippy::indexing_slicing)]
        &self.runtimes[place.thread]
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

/// For how long the thread of a runtime has worked, or waited for a core.
fn worked(runtime: &Handle) -> Duration {
    let metrics = runtime.metrics();
    (0..metrics.num_workers())
        .map(|worker| metrics.worker_total_busy_duration(worker))
        .sum()
}
