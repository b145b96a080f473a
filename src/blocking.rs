//! Work that blocks, on a thread of its own.

use std::sync::Mutex;
use std::{io, thread};

use tokio::task::{JoinError, spawn_blocking};

/// Runs `work`, which cannot be cancelled, and holds its permit until it ends, even if nobody waits for it any more.
///
/// # Errors
/// It panicked, or the process ends.
pub async fn holding<T: Send + 'static>(
    permit: impl Send + 'static,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    spawn_blocking(move || {
        let _until_it_ends = permit;
        work()
    })
    .await
}

/// Whether the system has so many threads left. For libraries that begin threads and panic, or leave some behind, where it has not.
///
/// # Errors
/// It has not.
pub fn threads_left(count: usize) -> io::Result<()> {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        // All of them wait for the last one.
        let _closed = gate.lock();
        (0..count).try_for_each(|_| {
            let waiting = thread::Builder::new().spawn_scoped(scope, || drop(gate.lock()));
            waiting.map(drop)
        })
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::Poll;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn threads_are_left() {
        threads_left(4).unwrap();
    }

    /// What `free` says when nobody waits any more for `waiting`, whose work has not ended, and when the work has ended.
    pub(crate) fn while_and_after<F: Future>(waiting: F, free: impl Fn() -> usize) -> (usize, usize) {
        // The only thread that may block hangs, and then works in the order in which it was asked.
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (release, hang) = mpsc::channel::<()>();
            let hanging = spawn_blocking(move || hang.recv());
            {
                let mut waiting = pin!(waiting);
                let is_pending = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
                assert!(is_pending);
            }
            let during = free();
            drop(release);
            assert!(hanging.await.unwrap().is_err());
            spawn_blocking(|| ()).await.unwrap();
            (during, free())
        })
    }
}
