//! A small file of the system that is read once and again when it has changed, so that a probe never parses it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use gostd::stamp::Stamp;
use tokio::time::Instant;

/// How long a file is believed without looking at it again; Go's resolver waits as long.
const MAX_AGE: Duration = Duration::from_secs(5);

/// A parsed file, looked at every five seconds at most.
#[derive(Debug)]
pub struct Watched<T> {
    path: PathBuf,
    parse: fn(io::Result<String>) -> T,
    current: ArcSwap<Snapshot<T>>,
    looked: Mutex<Instant>,
}

#[derive(Debug)]
struct Snapshot<T> {
    version: Option<Stamp>,
    value: Arc<T>,
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the file now; a missing or unreadable one is for `parse` to judge.
    pub fn new(path: impl Into<PathBuf>, parse: fn(io::Result<String>) -> T) -> Self {
        let path = path.into();
        let current = ArcSwap::from_pointee(read(&path, parse));
        Self {
            path,
            parse,
            current,
            looked: Mutex::new(Instant::now()),
        }
    }

    /// What the file says. Whoever comes first after five seconds looks whether it changed; the others do not wait.
    pub async fn load(&self) -> Arc<T> {
        if self.is_due() {
            let (path, parse, known) = (self.path.clone(), self.parse, self.current.load().version);
            let fresh =
                tokio::task::spawn_blocking(move || (Stamp::of(&path) != known).then(|| read(&path, parse)));
            if let Ok(Some(snapshot)) = fresh.await {
                self.current.store(Arc::new(snapshot));
            }
        }
        Arc::clone(&self.current.load().value)
    }

    fn is_due(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked.elapsed() >= MAX_AGE;
        if is_due {
            *looked = Instant::now();
        }
        is_due
    }
}

fn read<T>(path: &PathBuf, parse: fn(io::Result<String>) -> T) -> Snapshot<T> {
    let version = Stamp::of(path);
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Snapshot {
        version,
        value: Arc::new(parse(text)),
    }
}

#[cfg(test)]
mod tests {
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
        fs::remove_file(&path).unwrap();
        tokio::time::advance(MAX_AGE).await;
        assert_eq!(*watched.load().await, "missing");
    }
}
