//! What waits to be posted: encoded records, up to a number of bytes. What does not fit is counted and left out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::losses::{Cause, Losses};
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
    pub(super) losses: Losses,
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

/// What is posted together. Its bytes count until it is dropped, and then it is lost unless it was [settled](Self::settle).
#[derive(Debug)]
pub(super) struct Batch<'q> {
    queue: &'q Queue,
    parts: Vec<Part>,
    bytes: usize,
    is_settled: bool,
}

/// Bytes of a full batch.
pub(super) const BATCH: usize = 256 << 10;

impl Queue {
    /// A queue of at most so many bytes.
    pub(super) fn new(most: usize, losses: Losses) -> Self {
        Self {
            state: Mutex::default(),
            news: Notify::new(),
            most,
            losses,
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
        let cause = match () {
            () if state.closed => Some(Cause::End),
            () if state.bytes + state.taken + bytes > self.most => Some(Cause::Full),
            () => memory::is_short().then_some(Cause::Memory),
        };
        if let Some(cause) = cause {
            drop(state);
            self.losses.add(records, cause);
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

    /// Nothing more is taken in.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// Nobody posts what still waits.
    pub(super) fn abandon(&self) {
        let waiting = {
            let mut state = self.lock();
            state.bytes = 0;
            std::mem::take(&mut state.waiting)
        };
        let records = waiting.iter().map(|part| part.records).sum();
        self.losses.add(records, Cause::End);
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
            is_settled: false,
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

    /// The endpoint took it, or it is among the losses.
    pub(super) fn settle(mut self) {
        self.is_settled = true;
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
        if !self.is_settled {
            self.queue.losses.add(self.records(), Cause::End);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::Logger;

    /// A queue, and what it logs.
    fn queue(most: usize) -> (Queue, impl Fn() -> String) {
        let (logger, log) = Logger::kept();
        let losses = Losses::new("Things were dropped", "http://there".to_owned(), &logger);
        (Queue::new(most, losses), log)
    }

    #[test]
    fn it_holds_what_it_may_and_counts_the_rest() {
        let (queue, log) = queue(1000 + 10 * size_of::<Part>());
        for _ in 0..12 {
            queue.push(vec![0; 100], 3);
        }
        assert_eq!(queue.losses.since_start(), 6);
        let mut batch = queue.take().unwrap();
        assert_eq!((batch.records(), batch.encoded().len()), (30, 1000));
        assert!(queue.take().is_none());
        queue.push(vec![0; 100], 1);
        assert_eq!(queue.losses.since_start(), 7, "what is on its way counts");
        batch.settle();
        queue.push(vec![0; 100], 1);
        assert_eq!(queue.losses.since_start(), 7);
        queue.close();
        queue.push(vec![0; 1], 1);
        assert_eq!(queue.losses.since_start(), 8);
        let batch = queue.take().unwrap();
        assert_eq!(batch.records(), 1);
        drop(batch);
        assert_eq!(
            queue.losses.since_start(),
            9,
            "what was on its way at the end is lost"
        );
        queue.losses.say();
        let lines = log();
        let lines: Vec<_> = lines
            .lines()
            .map(|line| line.split_once("msg=").unwrap().1)
            .collect();
        assert_eq!(
            lines,
            [
                "\"Things were dropped\" dropped=7 endpoint=http://there err=\"the queue is full: the endpoint does not take them fast enough\" dropped_since_start=9",
                "\"Things were dropped\" dropped=2 endpoint=http://there err=\"the exporter ends before the endpoint took them\" dropped_since_start=9",
            ]
        );
    }

    /// What was lost after it was said is said a minute later.
    #[tokio::test(start_paused = true)]
    async fn every_loss_is_said_once_per_minute() {
        let (queue, log) = queue(10);
        let second = std::time::Duration::from_secs(1);
        // How many are lost, and what is said after so many seconds.
        let rows: [(u64, u32, &[u64]); 4] = [(1, 1, &[1]), (2, 1, &[]), (3, 59, &[5]), (0, 120, &[])];
        let told = async {
            for (lost, seconds, said) in rows {
                (0..lost).for_each(|_| queue.push(vec![0; 100], 1));
                tokio::time::sleep(seconds * second).await;
                let lines = log();
                let count = |line: &str| line.split_once("dropped=")?.1.split_once(' ')?.0.parse().ok();
                let counts: Vec<u64> = lines.lines().filter_map(count).collect();
                assert_eq!(counts, said, "{lines}");
            }
        };
        tokio::select! {
            () = told => {}
            () = queue.losses.watch() => unreachable!(),
        }
    }
}
