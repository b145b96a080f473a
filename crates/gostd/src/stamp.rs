//! What tells one version of a file from another without reading it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::calendar::unix_now;

/// Device, inode, size and times of a file; symbolic links are followed. Take it before reading: a change in between is seen
/// the next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    file: (u64, u64, u64),
    modified: (i64, i64),
    changed: (i64, i64),
    unsettled: u64,
}

impl Stamp {
    /// Of the file at `path`; `None` when there is none. That of a file which was changed just now equals no other: clocks of
    /// file systems are coarse, so it may change again without a trace.
    pub fn of(path: impl AsRef<Path>) -> Option<Self> {
        const COARSEST_SECONDS: i64 = 2;
        static UNSETTLED: AtomicU64 = AtomicU64::new(1);
        let meta = std::fs::metadata(path).ok()?;
        let settled = meta.ctime().max(meta.mtime()).saturating_add(COARSEST_SECONDS) < unix_now();
        Some(Self {
            file: (meta.dev(), meta.ino(), meta.size()),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            unsettled: if settled {
                0
            } else {
                UNSETTLED.fetch_add(1, Ordering::Relaxed)
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_changed_just_now_may_be_another_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(Stamp::of(&path), None);
        std::fs::write(&path, "text").unwrap();
        assert_ne!(Stamp::of(&path), Stamp::of(&path));
        // Nobody changes that.
        assert_eq!(Stamp::of("/etc/passwd"), Stamp::of("/etc/passwd"));
    }
}
