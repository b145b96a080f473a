//! Looks at files on a file system that may hang: no worker and no request waits for it without end, and it keeps one thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::server::runs::Runs;

/// How long requests wait for a look.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at the same files.
#[derive(Debug)]
pub struct Looks<T> {
    runs: Arc<Runs<T>>,
    /// Whether a look took longer than requests wait.
    hangs: Arc<AtomicBool>,
}

impl<T> Default for Looks<T> {
    fn default() -> Self {
        Self {
            runs: Arc::default(),
            hangs: Arc::default(),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Looks<T> {
    /// What `look`, which blocks, finds now; `None` when it takes too long. While a look hangs, nobody waits for the next.
    pub async fn latest(
        &self,
        look: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Option<Result<T, String>> {
        if self.hangs.load(Ordering::Relaxed) && self.runs.goes_on() {
            return None;
        }
        let hangs = Arc::clone(&self.hangs);
        let found = self.runs.share(async move {
            let found = tokio::task::spawn_blocking(look).await;
            hangs.store(false, Ordering::Relaxed);
            found.unwrap_or_else(|error| Err(error.to_string()))
        });
        let found = tokio::time::timeout(PATIENCE, found).await.ok();
        if found.is_none() {
            self.hangs.store(true, Ordering::Relaxed);
        }
        found
    }
}
