//! A small file of the system that is read once and again when it has changed, so that a probe never parses it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use gostd::stamp::Stamp;
use tokio::time::Instant;

/// How long a file is believed without looking at it again; Go's resolver waits as long.
const MAX_AGE: Duration = Duration::from_secs(5);

/// A parsed file, looked at every five seconds at most.
#[derive(Debug)]
pub struct Watched<T>(Arc<File<T>>);

#[derive(Debug)]
struct File<T> {
    path: PathBuf,
    parse: fn(io::Result<String>) -> T,
    current: ArcSwap<Snapshot<T>>,
    /// When it was looked at; `None` while somebody looks.
    looked: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Snapshot<T> {
    version: Version,
    value: Arc<T>,
}

/// The stamp of a file, if there is one; `None` when it could not be read, so that it is read again.
type Version = Option<Option<Stamp>>;

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the file now; a missing or unreadable one is for `parse` to judge.
    pub fn new(path: impl Into<PathBuf>, parse: fn(io::Result<String>) -> T) -> Self {
        let path = path.into();
        let (version, text) = read(&path);
        let current = ArcSwap::from_pointee(Snapshot {
            version,
            value: Arc::new(parse(text)),
        });
        Self(Arc::new(File {
            path,
            parse,
            current,
            looked: Mutex::new(Some(Instant::now())),
        }))
    }

    /// What the file says. Whoever comes first after five seconds looks whether it changed; the others do not wait. A look that hangs
    /// is the only one, and keeps nobody but him.
    pub async fn load(&self) -> Arc<T> {
        if self.0.is_due() {
            let file = Arc::clone(&self.0);
            // It does not panic, and whether it was cancelled at the end matters to nobody.
            let _ = tokio::task::spawn_blocking(move || file.look()).await;
        }
        Arc::clone(&self.0.current.load().value)
    }
}

impl<T> File<T> {
    fn is_due(&self) -> bool {
        let mut looked = self.looked();
        let is_due = looked.is_some_and(|at| at.elapsed() >= MAX_AGE);
        if is_due {
            *looked = None;
        }
        is_due
    }

    /// Blocks.
    fn look(&self) {
        let before = self.current.load_full();
        if Some(Stamp::of(&self.path)) != before.version {
            let (version, text) = read(&self.path);
            let value = match &text {
                // As Go does it for the hosts file: there is a file, and what it says is not known, mostly for want of descriptors.
                Err(error) if !is_answer(error) => Arc::clone(&before.value),
                _ => Arc::new((self.parse)(text)),
            };
            self.current.store(Arc::new(Snapshot { version, value }));
        }
        *self.looked() = Some(Instant::now());
    }

    fn looked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is for `parse` to judge that a file cannot be read: there is none, or it is not for this user.
fn is_answer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
}

fn read(path: &Path) -> (Version, io::Result<String>) {
    let stamp = Stamp::of(path);
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let is_known = text.as_ref().err().is_none_or(is_answer);
    (is_known.then_some(stamp), text)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_noticed_after_five_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let watched = Watched::new(&path, |text| text.unwrap_or_else(|_| "missing".into()));
        assert_eq!(*watched.load().await, "missing");
        fs::write(&path, "one").unwrap();
        assert_eq!(*watched.load().await, "missing", "not looked at yet");
        tokio::time::advance(MAX_AGE).await;
        assert_eq!(*watched.load().await, "one");
        // As long as before, and as old.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "two").unwrap();
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        tokio::time::advance(MAX_AGE).await;
        assert_eq!(*watched.load().await, "two");
        // It is there, and cannot be read now.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        tokio::time::advance(MAX_AGE).await;
        assert_eq!(*watched.load().await, "two");
        assert_eq!(watched.0.current.load().version, None, "is read again");
        fs::remove_dir(&path).unwrap();
        tokio::time::advance(MAX_AGE).await;
        assert_eq!(*watched.load().await, "missing");
    }

    #[tokio::test]
    async fn a_look_that_hangs_keeps_one_thread_and_one_caller() {
        static LOOKS: AtomicUsize = AtomicUsize::new(0);
        static HANGS: Barrier = Barrier::new(2);
        let parse = |_| match LOOKS.fetch_add(1, Ordering::SeqCst) {
            1 => {
                HANGS.wait();
                1
            }
            look => look,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let watched = Watched::new(&path, parse);
        fs::write(&path, "one").unwrap();
        let due = || *watched.0.looked() = Instant::now().checked_sub(MAX_AGE);
        due();
        let waits = tokio::time::timeout(Duration::from_millis(50), watched.load()).await;
        assert!(waits.is_err());
        for _ in 0..3 {
            assert_eq!(*watched.load().await, 0, "as it was before");
        }
        // What the look came to is there, though nobody waits for it.
        HANGS.wait();
        while watched.0.looked().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*watched.load().await, 1);
        assert_eq!(LOOKS.load(Ordering::SeqCst), 2);
    }
}
