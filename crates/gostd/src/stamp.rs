//! What tells one version of a file from another without reading it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, makedev, openat2, statx};

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
        let meta = std::fs::metadata(path).ok()?;
        Some(Self::new(
            (meta.dev(), meta.ino(), meta.size()),
            (meta.mtime(), meta.mtime_nsec()),
            (meta.ctime(), meta.ctime_nsec()),
        ))
    }

    /// As [`of`](Self::of), from what the kernel has in memory: waits for no disk and no file server. `None` also when that is not
    /// enough to tell, and before Linux 5.12.
    pub fn at_hand(path: impl AsRef<Path>) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = openat2(CWD, path.as_ref(), flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let meta = statx(&file, c"", flags, StatxFlags::BASIC_STATS).ok()?;
        Some(Self::new(
            (
                makedev(meta.stx_dev_major, meta.stx_dev_minor),
                meta.stx_ino,
                meta.stx_size,
            ),
            (meta.stx_mtime.tv_sec, meta.stx_mtime.tv_nsec.into()),
            (meta.stx_ctime.tv_sec, meta.stx_ctime.tv_nsec.into()),
        ))
    }

    fn new(file: (u64, u64, u64), modified: (i64, i64), changed: (i64, i64)) -> Self {
        const COARSEST_SECONDS: i64 = 2;
        static UNSETTLED: AtomicU64 = AtomicU64::new(1);
        let settled = changed.0.max(modified.0).saturating_add(COARSEST_SECONDS) < unix_now();
        Self {
            file,
            modified,
            changed,
            unsettled: if settled {
                0
            } else {
                UNSETTLED.fetch_add(1, Ordering::Relaxed)
            },
        }
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

    #[test]
    fn what_is_at_hand_is_the_same() {
        let read = Stamp::of("/etc/passwd");
        match Stamp::at_hand("/etc/passwd") {
            None => println!("skipped: this kernel has no RESOLVE_CACHED, or does not let it be used"),
            found => assert_eq!(found, read),
        }
        assert_eq!(Stamp::at_hand("/nowhere/passwd"), None);
    }
}
