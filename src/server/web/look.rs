//! Looks at files on a file system that may hang: no worker and no request waits for it without end, and it keeps one thread.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::server::runs::Runs;

/// How long requests wait for a look.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks at the same files.
#[derive(Debug)]
pub struct Looks<T>(Arc<Runs<T>>);

impl<T> Default for Looks<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + Sync + 'static> Looks<T> {
    /// What `look`, which blocks, finds now; `None` when it takes too long. While a look hangs, nobody waits for the next.
    pub async fn latest(
        &self,
        look: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Option<Result<T, String>> {
        let began = self.0.began().unwrap_or_else(Instant::now);
        let found = self.0.share(async move {
            let found = tokio::task::spawn_blocking(look).await;
            found.unwrap_or_else(|error| Err(error.to_string()))
        });
        tokio::time::timeout_at(began + PATIENCE, found).await.ok()
    }
}
