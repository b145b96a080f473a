//! Spans or logs that were not exported: counted, and said once per minute.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::logging::Logger;
use crate::say;

/// How often losses are said.
const PACE: Duration = Duration::from_secs(60);

/// Why records are lost.
#[derive(Debug)]
pub(super) enum Cause {
    /// The queue has no room for them.
    Full,
    /// There is too little memory to keep them.
    Memory,
    /// The endpoint refuses them, for this reason.
    Refused(String),
    /// The endpoint took them and says that it left them out.
    Rejected,
    /// The program ends before they were posted.
    End,
}

/// The losses on the way to one endpoint.
#[derive(Debug)]
pub(super) struct Losses {
    /// What the endpoint gets: spans, or logs.
    lost: &'static str,
    endpoint: String,
    logger: Logger,
    since_start: AtomicU64,
    unsaid: Mutex<Unsaid>,
    news: Notify,
}

/// What was lost since it was said the last time.
#[derive(Debug, Default)]
struct Unsaid {
    full: u64,
    memory: u64,
    refused: u64,
    /// What the endpoint said last.
    refusal: String,
    rejected: u64,
    end: u64,
}

impl Losses {
    /// None so far, of what goes to an endpoint; `lost` says what it is.
    pub(super) fn new(lost: &'static str, endpoint: String, logger: &Logger) -> Self {
        Self {
            lost,
            endpoint,
            logger: logger.clone(),
            since_start: AtomicU64::new(0),
            unsaid: Mutex::default(),
            news: Notify::new(),
        }
    }

    fn unsaid(&self) -> MutexGuard<'_, Unsaid> {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts records that are lost.
    pub(super) fn add(&self, records: u64, cause: Cause) {
        if records == 0 {
            return;
        }
        self.since_start.fetch_add(records, Ordering::Relaxed);
        let mut unsaid = self.unsaid();
        *match cause {
            Cause::Full => &mut unsaid.full,
            Cause::Memory => &mut unsaid.memory,
            Cause::Refused(why) => {
                unsaid.refusal = why;
                &mut unsaid.refused
            }
            Cause::Rejected => &mut unsaid.rejected,
            Cause::End => &mut unsaid.end,
        } += records;
        drop(unsaid);
        self.news.notify_one();
    }

    /// How many records were lost in all.
    pub(super) fn since_start(&self) -> u64 {
        self.since_start.load(Ordering::Relaxed)
    }

    /// Says what is lost, once per minute; without an end.
    pub(super) async fn watch(&self) {
        loop {
            self.news.notified().await;
            self.say();
            sleep(PACE).await;
        }
    }

    /// Says what was lost since it was said the last time, a line per cause.
    pub(super) fn say(&self) {
        let unsaid = std::mem::take(&mut *self.unsaid());
        for (records, why) in [
            (
                unsaid.full,
                "the queue is full: the endpoint does not take them fast enough",
            ),
            (unsaid.memory, "the exporter has too little memory left"),
            (unsaid.refused, unsaid.refusal.as_str()),
            (unsaid.rejected, "the endpoint rejects a part of them"),
            (unsaid.end, "the exporter ends before the endpoint took them"),
        ] {
            if records > 0 {
                say!(
                    self.logger,
                    Warn,
                    self.lost,
                    "dropped" => records,
                    "endpoint" => self.endpoint.clone(),
                    "err" => why.to_owned(),
                    "dropped_since_start" => self.since_start(),
                );
            }
        }
    }
}
