//! Single flight: of several tasks that lack the same answer, one fetches it while the others wait.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Lock = tokio::sync::Mutex<()>;

/// What is being fetched. It holds nothing for keys that nobody fetches.
#[derive(Debug)]
pub struct SingleFlight<K>(Mutex<HashMap<K, Weak<Lock>>>);

/// Other tasks wait as long as it is held.
pub type Lead = OwnedMutexGuard<()>;

impl<K> Default for SingleFlight<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone> SingleFlight<K> {
    /// The lead, for the first task that asks. The others get none, but not before the first one is done: the answer is kept then,
    /// or it cannot be kept and each of them fetches its own.
    pub async fn lead(&self, key: &K) -> Option<Lead> {
        let lock = self.lock_of(key);
        match Arc::clone(&lock).try_lock_owned() {
            Ok(lead) => Some(lead),
            Err(_) => {
                drop(lock.lock().await);
                None
            }
        }
    }

    fn lock_of(&self, key: &K) -> Arc<Lock> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::<Lock>::default();
        locks.insert(key.clone(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn one_leads_and_others_wait_for_it() {
        let flights = SingleFlight::default();
        let lead = flights.lead(&"a").await;
        assert!(lead.is_some());
        assert!(flights.lead(&"b").await.is_some());
        let mut second = pin!(flights.lead(&"a"));
        let waits = poll_fn(|cx| Poll::Ready(second.as_mut().poll(cx).is_pending())).await;
        assert!(waits);
        drop(lead);
        assert!(second.await.is_none());
        assert!(flights.lead(&"a").await.is_some());
        assert_eq!(flights.0.lock().unwrap().len(), 1);
    }
}
