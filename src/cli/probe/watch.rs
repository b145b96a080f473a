//! `probe --watch`: every target again and again; on a terminal a live view, a line per target, else a line per result.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::execute;
use crossterm::terminal::{
    self, Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use super::report::{Look, colour};
use super::{Done, Job, network, probe_once};
use crate::cli::print;
use crate::config;
use crate::display::{duration, short};
use crate::prober::Phase;

/// Results of a sparkline.
const RESULTS: usize = 24;
/// Characters of the bar of phases.
const BAR: usize = 12;
/// How often the view is drawn when nothing happens: ages grow.
const TICK: Duration = Duration::from_millis(500);

/// What is known of a target.
#[derive(Debug)]
struct Row {
    target: String,
    module: Arc<str>,
    /// The last results: whether it passed, and how long it took.
    results: VecDeque<(bool, Duration)>,
    phases: Vec<(Phase, Duration)>,
    reason: String,
    passed: u64,
    failed: u64,
}

/// Probes every `interval` until a key, a signal or a closed pipe ends it.
///
/// # Errors
/// The terminal, the output or the signals cannot be used.
pub async fn watch(
    jobs: Vec<Job>,
    rules: config::Policy,
    most: Option<Duration>,
    at_once: usize,
    interval: Duration,
) -> io::Result<()> {
    let mut rows: Vec<Row> = jobs.iter().map(Row::new).collect();
    let (told, mut results) = mpsc::channel(64);
    let shared = Arc::new(network(rules));
    let places = Arc::new(Semaphore::new(at_once));
    for (index, job) in jobs.into_iter().enumerate() {
        let (told, network, places) = (told.clone(), Arc::clone(&shared), Arc::clone(&places));
        tokio::spawn(async move {
            let mut job = job;
            let mut turns = tokio::time::interval(interval);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                turns.tick().await;
                let Ok(place) = places.acquire().await else { return };
                let done = probe_once(&network, job, most).await;
                drop(place);
                let seen = Seen::of(&done);
                job = done.job;
                if told.send((index, seen)).await.is_err() {
                    return;
                }
            }
        });
    }
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut screen = if io::stdout().is_terminal() {
        Some(Screen::open()?)
    } else {
        None
    };
    let mut tick = tokio::time::interval(TICK);
    let mut last_drawn = Instant::now();
    loop {
        let keys = async {
            match &mut screen {
                Some(screen) => screen.keys.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some((index, seen)) = results.recv() => {
                let Some(row) = rows.get_mut(index) else { continue };
                row.add(seen);
                if screen.is_none() && !row.print()? {
                    return Ok(());
                }
                // Thousands of results per second are drawn ten times per second.
                if last_drawn.elapsed() < TICK / 5 {
                    continue;
                }
            }
            key = keys => match (key, &mut screen) {
                (Some(Key::Quit) | None, _) => return Ok(()),
                (Some(Key::Up), Some(screen)) => screen.first = screen.first.saturating_sub(1),
                (Some(Key::Down), Some(screen)) => screen.first = (screen.first + 1).min(rows.len().saturating_sub(1)),
                (_, None) => {}
            },
            _ = tick.tick() => {}
            _ = terminated.recv() => return Ok(()),
            _ = interrupted.recv() => return Ok(()),
        }
        if let Some(screen) = &screen {
            screen.draw(&rows, interval)?;
            last_drawn = Instant::now();
        }
    }
}

/// One result.
#[derive(Debug)]
struct Seen {
    success: bool,
    took: Duration,
    phases: Vec<(Phase, Duration)>,
    reason: String,
}

impl Seen {
    fn of(done: &Done) -> Self {
        let spans = done.outcome.timeline.hops.iter().flat_map(|hop| &hop.phases);
        Self {
            success: done.outcome.success,
            took: done.outcome.duration,
            phases: spans.map(|span| (span.phase, span.length)).collect(),
            reason: done.outcome.reason().unwrap_or_default(),
        }
    }
}

impl Row {
    fn new(job: &Job) -> Self {
        Self {
            target: short(&job.target, 300),
            module: Arc::clone(&job.module.name),
            results: VecDeque::new(),
            phases: Vec::new(),
            reason: String::new(),
            passed: 0,
            failed: 0,
        }
    }

    fn add(&mut self, seen: Seen) {
        if seen.success {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        if self.results.len() == RESULTS {
            self.results.pop_front();
        }
        self.results.push_back((seen.success, seen.took));
        self.phases = seen.phases;
        self.reason = short(&seen.reason, 500);
    }

    /// Whether the last probe failed; `None` before the first.
    fn fails(&self) -> Option<bool> {
        self.results.back().map(|(success, _)| !success)
    }

    /// A line for a pipe or a file; `false` when nobody reads any more.
    fn print(&self) -> io::Result<bool> {
        let Some((success, took)) = self.results.back() else {
            return Ok(true);
        };
        let verdict = if *success { "success" } else { "failure" };
        let line = format!(
            "{verdict}  {}  {}  {}  {}",
            self.target,
            self.module,
            duration(*took),
            self.reason
        );
        print(format!("{}\n", line.trim_end())).map_err(io::Error::other)
    }

    /// A line of the view.
    fn line(&self, look: Look, widths: Widths) -> String {
        let verdict = match self.fails() {
            None => look.paint("2", "…      "),
            Some(false) => look.paint("32", "success"),
            Some(true) => look.paint("1;31", "failure"),
        };
        let took = self
            .results
            .back()
            .map_or_else(String::new, |(_, took)| duration(*took));
        format!(
            "{verdict}  {}  {}  {}  {took:>9}  {}  {:>5}/{:<4}  {}",
            fit(&self.target, widths.target),
            fit(&self.module, widths.module),
            self.sparkline(look),
            self.bar(look),
            self.passed,
            self.failed,
            self.reason,
        )
    }

    /// The last results: the height is the duration beside the longest one's, failures are full and red.
    fn sparkline(&self, look: Look) -> String {
        const HEIGHTS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
        let longest = self
            .results
            .iter()
            .filter(|(success, _)| *success)
            .map(|(_, took)| took.as_secs_f64());
        let longest = longest.fold(1e-9, f64::max);
        let mut out = " ".repeat(RESULTS - self.results.len());
        for (success, took) in &self.results {
            // At most 7.
            let height = (took.as_secs_f64() / longest * 7.0).round() as usize;
            let (colour, mark) = if *success {
                ("32", HEIGHTS.get(height).copied().unwrap_or("█"))
            } else {
                ("31", "█")
            };
            out.push_str(&look.paint(colour, mark));
        }
        out
    }

    /// Where the time of the last probe went.
    fn bar(&self, look: Look) -> String {
        let whole: f64 = self.phases.iter().map(|(_, length)| length.as_secs_f64()).sum();
        let mut out = String::new();
        let (mut drawn, mut until) = (0, 0.0);
        for (phase, length) in &self.phases {
            until += length.as_secs_f64();
            let end = ((until / whole.max(1e-9) * BAR as f64).round() as usize).min(BAR);
            out.push_str(&look.paint(colour(*phase), &"█".repeat(end.saturating_sub(drawn))));
            drawn = end.max(drawn);
        }
        out.push_str(&" ".repeat(BAR - drawn));
        out
    }
}

/// So many characters, cut or filled.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() > width {
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        return format!("{kept}…");
    }
    format!("{text:<width$}")
}

#[derive(Clone, Copy, Debug)]
struct Widths {
    target: usize,
    module: usize,
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Quit,
    Up,
    Down,
}

/// The terminal, which is as it was when this is dropped.
#[derive(Debug)]
struct Screen {
    look: Look,
    keys: mpsc::Receiver<Key>,
    /// The first row that is shown.
    first: usize,
}

impl Screen {
    fn open() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let (told, keys) = mpsc::channel(16);
        // From here on dropping it restores the terminal.
        let screen = Self {
            look: Look::of_stdout(),
            keys,
            first: 0,
        };
        execute!(io::stdout(), EnterAlternateScreen, Hide, DisableLineWrap)?;
        // Reading blocks: the thread ends with the process.
        std::thread::spawn(move || {
            let mut bytes = [0; 64];
            loop {
                let read = io::stdin().read(&mut bytes);
                let Ok(length @ 1..) = read else {
                    let _ = told.blocking_send(Key::Quit);
                    return;
                };
                for key in keys_of(bytes.get(..length).unwrap_or_default()) {
                    if told.blocking_send(key).is_err() {
                        return;
                    }
                }
            }
        });
        Ok(screen)
    }

    /// Draws everything: failing targets first.
    fn draw(&self, rows: &[Row], interval: Duration) -> io::Result<()> {
        // A terminal that does not know its size says 0.
        let (width, height) = match terminal::size()? {
            (0, _) | (_, 0) => (80, 24),
            (width, height) => (usize::from(width), usize::from(height)),
        };
        let failing = rows.iter().filter(|row| row.fails() == Some(true)).count();
        let longest = |text: fn(&Row) -> &str| {
            rows.iter()
                .map(|row| text(row).chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths = Widths {
            target: longest(|row| &row.target).min(width / 3).max(8),
            module: longest(|row| &row.module).min(16),
        };
        let mut sorted: Vec<&Row> = rows.iter().collect();
        sorted.sort_by_key(|row| row.fails() != Some(true));
        let mut text = String::new();
        let title = format!(
            "{} targets, {failing} failing, every {}",
            rows.len(),
            duration(interval)
        );
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{}   {}\x1b[K\r\n\x1b[K\r\n",
            self.look.paint("1", &title),
            self.look.paint("2", "q quit, ↑↓ scroll")
        );
        for row in sorted.iter().skip(self.first).take(height.saturating_sub(3)) {
            let _ = write!(text, "{}\x1b[K\r\n", row.line(self.look, widths));
        }
        let mut out = io::stdout().lock();
        execute!(out, MoveTo(0, 0))?;
        out.write_all(text.as_bytes())?;
        execute!(out, Clear(ClearType::FromCursorDown))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Without a terminal there is nothing to restore.
        let _ = execute!(io::stdout(), EnableLineWrap, Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

/// The keys of what a terminal sends: `q`, Escape alone and Ctrl-C quit; arrows, `j` and `k` scroll.
fn keys_of(bytes: &[u8]) -> Vec<Key> {
    match bytes {
        b"\x1b[A" | b"\x1bOA" => vec![Key::Up],
        b"\x1b[B" | b"\x1bOB" => vec![Key::Down],
        b"\x1b" => vec![Key::Quit],
        [b'\x1b', ..] => Vec::new(),
        plain => plain
            .iter()
            .filter_map(|byte| match byte {
                b'q' | b'Q' | 3 | 4 => Some(Key::Quit),
                b'k' => Some(Key::Up),
                b'j' => Some(Key::Down),
                _ => None,
            })
            .collect(),
    }
}
