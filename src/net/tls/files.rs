//! Files that are read again only when they changed.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io};

/// What tells one version of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of the file at `path`.
    pub fn of(path: &str) -> io::Result<Self> {
        let meta = fs::metadata(path)?;
        Ok(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    /// Whether a later change is sure to change this stamp: clocks of file systems are coarse, so a file that was changed just now
    /// may change again without a trace.
    pub fn is_settled(&self) -> bool {
        const COARSEST: Duration = Duration::from_secs(2);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let settled = now.saturating_sub(COARSEST).as_secs();
        i64::try_from(settled).is_ok_and(|settled| self.changed.0 < settled && self.modified.0 < settled)
    }
}
