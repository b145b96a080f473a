//! How every target does: one row per module, target, `hostname` and what the scrape has set of the module. A row is some 600 bytes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::entry::{Entry, Name};
use super::row::Row;

/// Most rows, and most bytes of them; beyond it those go that were not probed for longest.
const ROWS: usize = 20_000;
const BYTES: usize = 16 << 20;
/// A target that was not probed for that long is no longer one.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// All rows.
#[derive(Debug, Default)]
pub struct Wall {
    hasher: RandomState,
    rows: Mutex<Rows>,
}

#[derive(Debug)]
struct Rows {
    by_key: HashMap<u64, Arc<Row>>,
    bytes: usize,
    version: u64,
    next_id: u64,
}

impl Default for Rows {
    /// Counts from the time in microseconds, which a process before this one did not reach: a page that stayed open knows its rows.
    fn default() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let first = now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or_default());
        Self {
            by_key: HashMap::default(),
            bytes: 0,
            version: first,
            next_id: first,
        }
    }
}

impl Wall {
    /// Adds the result of a probe.
    pub fn add(&self, entry: &Entry) {
        let key = self.key(entry.name());
        let mut rows = self.lock();
        rows.version += 1;
        let version = rows.version;
        if let Some(row) = rows.by_key.get_mut(&key) {
            let before = row.bytes();
            let row = Arc::make_mut(row);
            row.version = version;
            row.update(entry);
            let after = row.bytes();
            rows.bytes = (rows.bytes + after).saturating_sub(before);
            return;
        }
        let row = Row::new(rows.next_id, version, entry);
        rows.next_id += 1;
        rows.bytes += row.bytes();
        rows.by_key.insert(key, Arc::new(row));
        if rows.by_key.len() > ROWS || rows.bytes > BYTES {
            rows.make_room();
        }
    }

    /// The version of the newest row.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// All rows in no particular order, and the version of the newest.
    pub fn rows(&self) -> (Vec<Arc<Row>>, u64) {
        let mut rows = self.lock();
        rows.forget(|row| row.ended.elapsed() > FORGOTTEN);
        (rows.by_key.values().cloned().collect(), rows.version)
    }

    /// Two targets with one key in 2^64: the newer one's results would go to the older one's row.
    fn key(&self, name: Name<'_>) -> u64 {
        self.hasher.hash_one(name)
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    /// Takes away the sixteenth part that was not probed for longest: looking for it takes long, and so is done rarely.
    fn make_room(&mut self) {
        while self.by_key.len() > ROWS || self.bytes > BYTES {
            let mut ends: Vec<Instant> = self.by_key.values().map(|row| row.ended).collect();
            let share = ends.len().div_ceil(16).min(ends.len().saturating_sub(1));
            let (_, last, _) = ends.select_nth_unstable(share);
            let last = *last;
            self.forget(|row| row.ended <= last);
        }
    }

    fn forget(&mut self, is_gone: impl Fn(&Row) -> bool) {
        let bytes = &mut self.bytes;
        self.by_key.retain(|_, row| {
            let gone = is_gone(row);
            if gone {
                *bytes = bytes.saturating_sub(row.bytes());
            }
            !gone
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Samples;
    use crate::module::parse;
    use crate::probe_log::ProbeLog;
    use crate::prober::{Outcome, Timeline};
    use crate::server::past::entry::Subject;
    use crate::server::past::row::{STRIP, State};

    fn name(target: &str) -> Name<'_> {
        Name {
            module: "m",
            target,
            hostname: None,
            given: &[],
        }
    }

    impl Wall {
        fn row(&self, name: Name<'_>) -> Option<Arc<Row>> {
            self.lock().by_key.get(&self.key(name)).cloned()
        }
    }

    fn entry(target: &str, success: bool, milliseconds: u64) -> Entry {
        let loaded = parse("modules: {m: {prober: tcp}}", "test").unwrap();
        let outcome = Outcome {
            advice: None,
            body: None,
            success,
            duration: Duration::from_millis(milliseconds),
            samples: Samples::new(),
            log: ProbeLog::default(),
            timeline: Timeline::new(ping_engine::Moment::now()),
            tls: None,
            failure: (!success).then_some(crate::prober::Failure {
                reason: crate::reason::Reason::Other,
                phase: "",
                step: None,
            }),
            trace: None,
            findings: None,
        };
        Entry::new(
            Subject::of(loaded.modules.get("m").unwrap()),
            target,
            None,
            outcome,
        )
    }

    #[test]
    fn a_row_knows_how_its_target_does() {
        let wall = Wall::default();
        let states = [
            (true, 10),
            (true, 12),
            (true, 500),
            (false, 1),
            (false, 1),
            (true, 11),
        ]
        .map(|(passed, duration)| {
            wall.add(&entry("a", passed, duration));
            wall.row(name("a")).unwrap().state
        });
        use State::{Failing, Passing, Slow};
        assert_eq!(states, [Passing, Passing, Slow, Failing, Failing, Passing]);
        let row = wall.row(name("a")).unwrap();
        assert_eq!((row.passed, row.failed, row.strip.len()), (4, 2, 6));
        assert!(row.before.is_some());
        assert_eq!(wall.rows().0.len(), 1);
        assert!(
            wall.row(Name {
                hostname: Some("host"),
                ..name("a")
            })
            .is_none()
        );
    }

    #[test]
    fn a_page_of_an_earlier_process_knows_no_row_of_this_one() {
        let earlier = Wall::default();
        earlier.add(&entry("a", true, 1));
        earlier.add(&entry("b", true, 1));
        std::thread::sleep(Duration::from_millis(1));
        let wall = Wall::default();
        wall.add(&entry("c", true, 1));
        let (known, row) = (earlier.rows(), wall.row(name("c")).unwrap());
        assert!(row.version > known.1);
        assert!(known.0.iter().all(|known| known.id != row.id));
    }

    #[test]
    fn rows_and_their_bytes_are_bounded() {
        let wall = Wall::default();
        for index in 0..400 {
            wall.add(&entry(&format!("{index:060000}"), true, 1));
        }
        let rows = wall.lock();
        let counted: usize = rows.by_key.values().map(|row| row.bytes()).sum();
        assert_eq!(rows.bytes, counted);
        assert!(
            counted <= BYTES && rows.by_key.len() > 200,
            "{} rows",
            rows.by_key.len()
        );
        drop(rows);
        assert!(wall.row(name(&format!("{:060000}", 399))).is_some());
        assert!(wall.row(name(&format!("{:060000}", 0))).is_none());
        for _ in 0..2 * STRIP {
            wall.add(&entry("long", true, 1));
        }
        assert_eq!(wall.row(name("long")).unwrap().strip.len(), STRIP);
    }
}
