//! The shares of `--memory.limit`.

#[path = "../../../src/memory/pool.rs"]
mod pool;
mod sync {
    pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
}

use std::sync::atomic::{AtomicUsize, Ordering};

use loom::sync::Arc;
use loom::thread;

use self::pool::{Pool, Exhausted};

/// Two threads that want more than the share together: never is more given than there is, and all is there again at the end.
#[test]
fn never_is_more_taken_than_there_is() {
    loom::model(|| {
        let pool = Arc::new(Pool::new(10));
        // Not loom's: what is checked adds no order of its own.
        let held = std::sync::Arc::new(AtomicUsize::new(0));
        let (other, others) = (Arc::clone(&pool), std::sync::Arc::clone(&held));
        let thread = thread::spawn(move || use_some(&other, &others, 5));
        use_some(&pool, &held, 6);
        thread.join().unwrap();
        assert_eq!(pool.left(), 10);
    });
}

fn use_some(pool: &Pool, held: &AtomicUsize, bytes: usize) {
    if pool.take(bytes, || true).is_ok() {
        let now = held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        assert!(now <= 10, "{now} of 10");
        thread::yield_now();
        held.fetch_sub(bytes, Ordering::Relaxed);
        pool.give(bytes);
    }
}

/// What is refused is not taken, whoever says no, and takes nothing from others meanwhile.
#[test]
fn what_is_refused_is_not_taken() {
    loom::model(|| {
        let pool = Arc::new(Pool::new(10));
        let other = Arc::clone(&pool);
        let thread = thread::spawn(move || other.take(4, || false));
        let own = pool.take(11, || true);
        assert_eq!(own, Err(Exhausted::Share));
        assert_eq!(thread.join().unwrap(), Err(Exhausted::Process));
        assert_eq!((pool.left(), pool.refused()), (10, 2));
        assert_eq!(pool.take(10, || true), Ok(()));
    });
}
