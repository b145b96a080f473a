//! How much memory is in use, as the kernel counts it when it looks for somebody to kill: what it cannot take back by
//! dropping pages of files.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::limit::Cgroup;

/// How old a figure of the process may be, in microseconds: two threads fill some megabytes in it.
const PROCESS_AGE: u64 = 1_000;
/// How old a figure of the cgroup may be, which costs more to read: it is only asked how far it is above the process'.
const CGROUP_AGE: u64 = 20_000;

/// Measures, no more often than makes sense.
#[derive(Debug)]
pub struct Usage {
    page: u64,
    statm: Option<File>,
    cgroup: Option<Cgroup>,
    started: Instant,
    process_at: AtomicU64,
    process: AtomicU64,
    cgroup_at: AtomicU64,
    /// What the cgroup has above this process: buffers of sockets, tables of pages, other processes.
    besides: AtomicU64,
    /// What the cgroup allows; 0 when it is not asked for that.
    limit: AtomicU64,
}

impl Usage {
    /// Opens what is read later.
    pub fn open(cgroup: Option<Cgroup>) -> Self {
        Self {
            page: rustix::param::page_size() as u64,
            statm: File::open("/proc/self/statm").ok(),
            cgroup,
            started: Instant::now(),
            process_at: AtomicU64::new(0),
            process: AtomicU64::new(0),
            cgroup_at: AtomicU64::new(0),
            besides: AtomicU64::new(0),
            limit: AtomicU64::new(0),
        }
    }

    /// What the cgroup allowed when it was last looked at, if that counts.
    pub fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    /// In bytes.
    pub fn now(&self) -> u64 {
        // 0 means "never".
        let now = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX) + CGROUP_AGE;
        if is_due(&self.process_at, now, PROCESS_AGE) {
            let process = self.process().unwrap_or(0);
            self.process.store(process, Ordering::Relaxed);
            if let Some(cgroup) = &self.cgroup
                && is_due(&self.cgroup_at, now, CGROUP_AGE)
                && let Some(all) = cgroup.used()
            {
                self.besides.store(all.saturating_sub(process), Ordering::Relaxed);
                if let Some(limit) = cgroup.left() {
                    self.limit.store(limit, Ordering::Relaxed);
                }
            }
        }
        self.process.load(Ordering::Relaxed) + self.besides.load(Ordering::Relaxed)
    }

    /// The pages of this process that belong to no file.
    fn process(&self) -> Option<u64> {
        let mut text = [0; 128];
        let length = self.statm.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(text.get(..length)?).ok()?;
        let mut fields = text.split(' ').skip(1).map(|field| field.parse::<u64>().ok());
        let (resident, of_files) = (fields.next()??, fields.next()??);
        Some(resident.saturating_sub(of_files) * self.page)
    }
}

/// Whether it is time to look again; for one caller only.
fn is_due(at: &AtomicU64, now: u64, age: u64) -> bool {
    let before = at.load(Ordering::Relaxed);
    now.saturating_sub(before) >= age
        && at
            .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
}
