//! Work that is done once for all who ask for it at the same time.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

/// How a run ends: with what was made, or why it could not be.
type Ended<T> = Result<T, String>;

/// One run at most goes on, and one waits for its end. Whoever asks meanwhile shares the result of the one that waits: the one
/// that goes on may have read files before they were changed. So a file that cannot be read to its end keeps one thread.
#[derive(Debug)]
pub struct Runs<T> {
    next: Mutex<Option<Shared<BoxFuture<'static, Ended<T>>>>>,
    turn: tokio::sync::Mutex<()>,
    /// When the run began that goes on.
    began: Mutex<Option<Instant>>,
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self {
            next: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            began: Mutex::default(),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Runs<T> {
    /// The result of a run that begins from now on. It does not need anybody to wait for it. `work` is not used when a run waits already.
    ///
    /// # Errors
    /// Those of `work`; that it panicked.
    pub fn share(
        self: &Arc<Self>,
        work: impl Future<Output = Ended<T>> + Send + 'static,
    ) -> Shared<BoxFuture<'static, Ended<T>>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let run = next.get_or_insert_with(|| {
            let own = Arc::clone(self);
            let run = tokio::spawn(async move {
                let _turn = own.turn.lock().await;
                // From here on somebody who asks may have changed the files since.
                let next = own.next.lock().unwrap_or_else(PoisonError::into_inner).take();
                drop(next);
                *own.began() = Some(Instant::now());
                let result = work.await;
                *own.began() = None;
                result
            });
            let result = run.map(|ended| ended.unwrap_or_else(|error| Err(error.to_string())));
            result.boxed().shared()
        });
        run.clone()
    }

    /// When the run began that goes on, if one does.
    pub fn began(&self) -> MutexGuard<'_, Option<Instant>> {
        self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
