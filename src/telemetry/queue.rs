//! What waits to be posted: encoded records, up to a number of bytes. What does not fit is counted and left out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::memory;

/// The queue of one endpoint.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Told when the first part comes, when a batch is full, and when the end has come.
    news: Notify,
    /// Most bytes that wait or are on their way.
    most: usize,
    /// Records that were left out.
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Part>,
    /// Of what waits.
    bytes: usize,
    /// Of what is on its way.
    taken: usize,
    closed: bool,
}

/// The records of one probe.
#[derive(Debug)]
struct Part {
    encoded: Vec<u8>,
    records: u64,
}

/// What is posted together. Its bytes count until it is dropped.
#[derive(Debug)]
pub(super) struct Batch<'q> {
    queue: &'q Queue,
    parts: Vec<Part>,
    bytes: usize,
}

/// Bytes of a full batch.
pub(super) const BATCH: usize = 256 << 10;

impl Queue {
    /// A queue of at most so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            state: Mutex::default(),
            news: Notify::new(),
            most,
            dropped: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what one probe has to tell.
    pub(super) fn push(&self, mut encoded: Vec<u8>, records: u64) {
        if records == 0 {
            return;
        }
        encoded.shrink_to_fit();
        let bytes = encoded.len() + size_of::<Part>();
        let mut state = self.lock();
        if state.closed || state.bytes + state.taken + bytes > self.most || memory::is_short() {
            drop(state);
            self.drop_records(records);
            return;
        }
        let before = state.bytes;
        state.bytes += bytes;
        state.waiting.push_back(Part { encoded, records });
        drop(state);
        if before == 0 || before < BATCH && before + bytes >= BATCH {
            self.news.notify_one();
        }
    }

    /// Counts records that were left out.
    pub(super) fn drop_records(&self, records: u64) {
        self.dropped.fetch_add(records, Ordering::Relaxed);
    }

    /// How many records were left out.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Nothing more is taken in.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// Whether nothing more is taken in.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits until there is something, and then a while for more, but not when a batch is full or the end has come.
    pub(super) async fn gather(&self, a_while: std::time::Duration) {
        loop {
            let (bytes, closed) = {
                let state = self.lock();
                (state.bytes, state.closed)
            };
            if closed || bytes >= BATCH {
                return;
            }
            if bytes == 0 {
                self.news.notified().await;
            } else if tokio::time::timeout(a_while, self.news.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Takes what fits into one batch.
    pub(super) fn take(&self) -> Option<Batch<'_>> {
        let mut state = self.lock();
        let mut batch = Batch {
            queue: self,
            parts: Vec::new(),
            bytes: 0,
        };
        while batch.bytes < BATCH
            && let Some(part) = state.waiting.pop_front()
        {
            batch.bytes += part.encoded.len() + size_of::<Part>();
            batch.parts.push(part);
        }
        state.bytes -= batch.bytes;
        state.taken += batch.bytes;
        // Its bytes are given back by the guard, which must not wait for this lock.
        drop(state);
        (!batch.parts.is_empty()).then_some(batch)
    }
}

impl Batch<'_> {
    /// How many records it has.
    pub(super) fn records(&self) -> u64 {
        self.parts.iter().map(|part| part.records).sum()
    }

    /// Its records, one behind the other. They are held once.
    pub(super) fn encoded(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.bytes);
        for part in &mut self.parts {
            all.append(&mut part.encoded);
            part.encoded = Vec::new();
        }
        all
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.queue.lock().taken -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_it_may_and_counts_the_rest() {
        let queue = Queue::new(1000 + 10 * size_of::<Part>());
        for _ in 0..12 {
            queue.push(vec![0; 100], 3);
        }
        assert_eq!(queue.dropped(), 6);
        let mut batch = queue.take().unwrap();
        assert_eq!((batch.records(), batch.encoded().len()), (30, 1000));
        assert!(queue.take().is_none());
        queue.push(vec![0; 100], 1);
        assert_eq!(queue.dropped(), 7, "what is on its way counts");
        drop(batch);
        queue.push(vec![0; 100], 1);
        assert_eq!(queue.dropped(), 7);
        queue.close();
        queue.push(vec![0; 1], 1);
        assert_eq!(queue.dropped(), 8);
        assert_eq!(queue.take().unwrap().records(), 1);
    }
}
