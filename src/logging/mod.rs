//! The program's logger on standard error, and [how its lines are printed](lines).
//!
//! Writing never blocks the caller: a thread of its own drains a bounded buffer, and lines that do not fit, or that a closed or full
//! standard error refuses, are counted and left out.

mod lines;

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::probe_log::{Level, LogValue};

pub use lines::{Line, LogFormat, TARGET, render, render_probe};

/// The program's logger. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logger {
    least: Level,
    format: LogFormat,
    sink: Arc<Sink>,
}

impl Logger {
    /// A logger on standard error.
    pub fn stderr(least: Level, format: LogFormat) -> Self {
        Self::new(least, format, Box::new(std::io::stderr()))
    }

    /// A logger that writes to `target` from a thread of its own.
    pub fn new(least: Level, format: LogFormat, target: Box<dyn std::io::Write + Send>) -> Self {
        let sink = Arc::new(Sink::default());
        let writer = Arc::clone(&sink);
        let started = std::thread::Builder::new()
            .name("log writer".to_owned())
            .spawn(move || writer.drain(target, format));
        if started.is_err() {
            // No thread to be had: every line is counted as dropped.
            sink.lock().closed = true;
        }
        Self { least, format, sink }
    }

    /// The shape of its lines.
    pub fn format(&self) -> LogFormat {
        self.format
    }

    /// Whether a line of that level is written.
    pub fn enabled(&self, level: Level) -> bool {
        level >= self.least
    }

    /// Writes a line; use the [`say!`](crate::say) macro, which knows the place.
    pub fn write(&self, level: Level, source: &str, message: &str, attributes: &[(&str, LogValue)]) {
        if !self.enabled(level) {
            return;
        }
        let line = Line {
            at: SystemTime::now(),
            level,
            source,
            message,
        };
        let mut text = String::with_capacity(160);
        let attributes = attributes.iter().map(|(key, value)| (*key, value));
        render(&mut text, self.format, line, attributes);
        self.sink.push(&text, 1);
    }

    /// Writes lines that are rendered already, whatever their level.
    pub fn write_rendered(&self, text: &str) {
        if !text.is_empty() {
            self.sink
                .push(text, text.bytes().filter(|b| *b == b'\n').count() as u64);
        }
    }

    /// How many lines were left out because standard error was too slow, full or closed.
    pub fn dropped(&self) -> u64 {
        self.sink.dropped.load(Ordering::Relaxed)
    }

    /// The same as [`flush`](Self::flush), without holding up other tasks.
    pub async fn written(&self, patience: Duration) {
        let logger = self.clone();
        // It does not panic, and whether it was cancelled at the end matters to nobody.
        let _ = tokio::task::spawn_blocking(move || logger.flush(patience)).await;
    }

    /// Waits until everything is written, but not longer than `patience`.
    pub fn flush(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut state = self.sink.lock();
        while (state.writing || !state.text.is_empty()) && !state.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self
                .sink
                .written
                .wait_timeout(state, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
    }
}

/// Most text that waits for a slow standard error, in bytes, but for a text that waits alone.
const BUFFER: usize = 4 << 20;

/// What callers and the writing thread share.
#[derive(Debug, Default)]
struct Sink {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    text: String,
    lines: u64,
    writing: bool,
    closed: bool,
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, text: &str, lines: u64) {
        let mut state = self.lock();
        let is_full = !state.text.is_empty() && state.text.len() + text.len() > BUFFER;
        if state.closed || is_full {
            self.dropped.fetch_add(lines, Ordering::Relaxed);
            return;
        }
        let was_empty = state.text.is_empty();
        state.text.push_str(text);
        state.lines += lines;
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// The writing thread: it ends with the process.
    fn drain(&self, mut target: Box<dyn std::io::Write + Send>, format: LogFormat) {
        let mut batch = String::new();
        let (told, pace) = (&mut 0, OncePerMinute::default());
        loop {
            let mut state = self.lock();
            state.writing = false;
            self.written.notify_all();
            while state.text.is_empty() {
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            batch.clear();
            std::mem::swap(&mut batch, &mut state.text);
            let lines = std::mem::take(&mut state.lines);
            state.writing = true;
            drop(state);
            self.tell_of_losses(&mut batch, format, told, &pace);
            let done = target.write_all(batch.as_bytes()).and_then(|()| target.flush());
            if done.is_err() {
                self.dropped.fetch_add(lines, Ordering::Relaxed);
            }
        }
    }
}

impl Sink {
    /// Appends a line about the lines that were left out since it was said the last time.
    fn tell_of_losses(&self, batch: &mut String, format: LogFormat, told: &mut u64, pace: &OncePerMinute) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped == *told || pace.due().is_none() {
            return;
        }
        let line = Line {
            at: SystemTime::now(),
            level: Level::Warn,
            source: concat!(file!(), ":", line!()),
            message: "Log lines were dropped because standard error was too slow, full or closed",
        };
        let count = LogValue::from(dropped - *told);
        render(batch, format, line, std::iter::once(("lines", &count)));
        *told = dropped;
    }
}

/// Lets a message through once per minute, and tells how many were held back meanwhile.
#[derive(Debug, Default)]
pub struct OncePerMinute {
    state: Mutex<(Option<Instant>, u64)>,
}

impl OncePerMinute {
    /// `Some(held back since the last time)` when it is time to say it again.
    pub fn due(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, held_back) = &mut *state;
        if last.is_some_and(|at| at.elapsed() < Duration::from_secs(60)) {
            *held_back += 1;
            return None;
        }
        *last = Some(Instant::now());
        Some(std::mem::take(held_back))
    }
}

/// Writes a line of the program's own log: `say!(logger, Info, "Listening on", "address" => text(address))`.
#[macro_export]
macro_rules! say {
    ($logger:expr, $level:ident, $message:expr $(, $key:literal => $value:expr)* $(,)?) => {
        if $logger.enabled($crate::probe_log::Level::$level) {
            $logger.write(
                $crate::probe_log::Level::$level,
                concat!(file!(), ":", line!()),
                $message,
                &[$(($key, $crate::probe_log::LogValue::from($value))),*],
            );
        }
    };
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// What is written goes into it.
    struct Channel(mpsc::Sender<Vec<u8>>);

    impl std::io::Write for Channel {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Logger {
        /// A logger, and what it has written since it was asked the last time.
        pub(crate) fn kept() -> (Self, impl Fn() -> String) {
            let (sender, written) = mpsc::channel();
            let logger = Self::new(Level::Info, LogFormat::Logfmt, Box::new(Channel(sender)));
            let own = logger.clone();
            let read = move || {
                own.flush(Duration::from_secs(5));
                String::from_utf8(written.try_iter().flatten().collect()).unwrap()
            };
            (logger, read)
        }
    }

    /// A standard error that refuses everything.
    struct Full;

    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let logger = Logger::new(Level::Info, LogFormat::Logfmt, Box::new(Full));
        say!(logger, Info, "lost");
        say!(logger, Debug, "not even tried");
        logger.flush(Duration::from_secs(5));
        assert_eq!(logger.dropped(), 1);
    }

    #[test]
    fn lines_come_out_in_order() {
        let (logger, written) = Logger::kept();
        for word in ["one", "two", "three"] {
            logger.write(Level::Info, "x.rs:1", word, &[]);
        }
        let text = written();
        let words: Vec<_> = text.lines().map(|l| l.rsplit('=').next().unwrap()).collect();
        assert_eq!(words, ["one", "two", "three"]);
    }
}
