//! Who waits under which sequence number.
//!
//! A ping is known by its sequence number, which no other ping of the same lane has while it waits; an answer must also come after
//! its request was sent, from the address that was asked, zone included, and carry the same identifier and payload. Numbers of pings
//! that were given up are not used again for the same address for a minute, so that a late answer is never taken for the answer to
//! another ping.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::moment::Moment;
use super::packet::Report;

/// Most pings that wait on one socket: half of the sequence numbers, so that a free one is found quickly.
pub(super) const CAPACITY: usize = 32_768;
/// How long the number of a ping that was given up stays reserved for the address it was sent to.
const QUARANTINE: Duration = Duration::from_secs(60);

/// The answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PingOutcome {
    /// The reply.
    Reply {
        /// From just before sending to the kernel's receipt.
        round_trip: Duration,
        /// TTL or hop limit with which it arrived.
        hop_limit: Option<u8>,
    },
    /// The request did not arrive.
    Failure(Report),
}

/// Names one ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// The sequence number on the wire.
    pub(super) sequence: u16,
    /// Tells it from others that have the same sequence number at other times.
    serial: u64,
}

/// A ping whose answer came.
#[derive(Debug)]
pub(super) struct Asked {
    /// When its request went out.
    pub(super) sent: Moment,
    /// Who wants to know.
    pub(super) answer: oneshot::Sender<PingOutcome>,
}

/// A ping that waits.
#[derive(Debug)]
struct Waiter {
    serial: u64,
    to: SocketAddr,
    id: u16,
    payload: Arc<[u8]>,
    /// Where further answers to the same request are counted, if anywhere.
    duplicates: Option<Arc<AtomicU64>>,
    /// When its request went out, if it did.
    sent: Option<Moment>,
    /// Who wants to know.
    answer: oneshot::Sender<PingOutcome>,
}

#[derive(Debug)]
enum Slot {
    Waiting(Waiter),
    /// It was answered, and whoever asked counts further answers.
    Answered {
        serial: u64,
        to: SocketAddr,
        id: u16,
        payload: Arc<[u8]>,
        duplicates: Arc<AtomicU64>,
    },
    GivenUp {
        to: SocketAddr,
        id: u16,
        at: Instant,
    },
}

/// The sequence numbers of one socket.
#[derive(Debug)]
pub(super) struct Slots {
    by_sequence: HashMap<u16, Slot>,
    waiting: usize,
    /// How many are answered and count duplicates.
    counting: usize,
    next: u16,
    serial: u64,
}

impl Slots {
    /// All are free; the first one given is `first`.
    pub(super) fn new(first: u16) -> Self {
        Self {
            by_sequence: HashMap::new(),
            waiting: 0,
            counting: 0,
            next: first,
            serial: 0,
        }
    }

    /// Whether nobody waits, nor counts duplicates.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0 && self.counting == 0
    }

    /// Reserves a number for a ping. `None` when too many wait already.
    pub(super) fn reserve(
        &mut self,
        to: SocketAddr,
        id: u16,
        payload: &Arc<[u8]>,
        duplicates: Option<Arc<AtomicU64>>,
        answer: oneshot::Sender<PingOutcome>,
    ) -> Option<Number> {
        let sequence = self.free(to)?;
        self.serial += 1;
        let serial = self.serial;
        let waiter = Waiter {
            serial,
            to,
            id,
            payload: Arc::clone(payload),
            duplicates,
            sent: None,
            answer,
        };
        self.by_sequence.insert(sequence, Slot::Waiting(waiter));
        self.waiting += 1;
        Some(Number { sequence, serial })
    }

    /// Whether as many wait as may.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= CAPACITY
    }

    /// The next sequence number that may be used for an address.
    fn free(&mut self, to: SocketAddr) -> Option<u16> {
        if self.is_full() {
            return None;
        }
        let start = self.next;
        let sequence = (0..=u16::MAX)
            .map(|step| start.wrapping_add(step))
            .find(|sequence| match self.by_sequence.get(sequence) {
                None => true,
                Some(Slot::Waiting(_) | Slot::Answered { .. }) => false,
                Some(Slot::GivenUp { to: old, at, .. }) => *old != to || at.elapsed() >= QUARANTINE,
            })?;
        self.next = sequence.wrapping_add(1);
        Some(sequence)
    }

    /// Notes when the request of a ping goes out, and returns its payload; `None` when it does not wait any more.
    pub(super) fn set_sent(&mut self, number: Number, sent: Option<Moment>) -> Option<Arc<[u8]>> {
        match self.by_sequence.get_mut(&number.sequence)? {
            Slot::Waiting(waiter) if waiter.serial == number.serial => {
                waiter.sent = sent;
                Some(Arc::clone(&waiter.payload))
            }
            _ => None,
        }
    }

    /// Takes the ping of a number out if its request was sent, to `from`; the number of a ping that was given up is free again. `id` and
    /// `payload` are compared where they are known.
    ///
    /// # Errors
    /// Nobody waits for it; `true` when it has the number and the identifier of one of these pings.
    pub(super) fn take(
        &mut self,
        sequence: u16,
        from: SocketAddr,
        id: Option<u16>,
        payload: Option<&[u8]>,
    ) -> Result<Asked, bool> {
        let is_own = |own: u16| id.is_none_or(|id| id == own);
        let is_answer =
            |to: &SocketAddr, sent: &[u8]| *to == from && payload.is_none_or(|payload| *payload == *sent);
        let sent = match self.by_sequence.get(&sequence) {
            Some(Slot::Waiting(waiter)) if is_own(waiter.id) => match waiter.sent {
                Some(sent) if is_answer(&waiter.to, &waiter.payload) => sent,
                // What was not sent yet can only be guessed.
                _ => return Err(true),
            },
            Some(Slot::Answered {
                to,
                id,
                payload: sent,
                duplicates,
                ..
            }) if is_own(*id) => {
                if payload.is_some() && is_answer(to, sent) {
                    duplicates.fetch_add(1, Ordering::Relaxed);
                }
                return Err(true);
            }
            Some(Slot::GivenUp { to, id, .. }) if is_own(*id) => {
                if *to == from {
                    self.by_sequence.remove(&sequence);
                }
                return Err(true);
            }
            _ => return Err(false),
        };
        let Some(Slot::Waiting(waiter)) = self.by_sequence.remove(&sequence) else {
            return Err(true);
        };
        self.waiting -= 1;
        if let Some(duplicates) = &waiter.duplicates {
            let answered = Slot::Answered {
                serial: waiter.serial,
                to: waiter.to,
                id: waiter.id,
                payload: Arc::clone(&waiter.payload),
                duplicates: Arc::clone(duplicates),
            };
            self.by_sequence.insert(sequence, answered);
            self.counting += 1;
        }
        Ok(Asked {
            sent,
            answer: waiter.answer,
        })
    }

    /// Gives a ping up if it still waits; `true` when an answer may yet come.
    pub(super) fn give_up(&mut self, number: Number) -> bool {
        match self.by_sequence.get(&number.sequence) {
            Some(Slot::Waiting(Waiter { serial, .. }) | Slot::Answered { serial, .. })
                if *serial == number.serial => {}
            _ => return false,
        }
        let Some(Slot::Waiting(waiter)) = self.by_sequence.remove(&number.sequence) else {
            self.counting -= 1;
            return false;
        };
        self.waiting -= 1;
        if waiter.sent.is_none() {
            return false;
        }
        let given_up = Slot::GivenUp {
            to: waiter.to,
            id: waiter.id,
            at: Instant::now(),
        };
        self.by_sequence.insert(number.sequence, given_up);
        true
    }

    /// Forgets the pings that were given up: their identifier is not the socket's any more.
    pub(super) fn forget(&mut self) {
        self.by_sequence
            .retain(|_, slot| !matches!(slot, Slot::GivenUp { .. }));
    }

    /// Lets the numbers begin again at `next`.
    #[cfg(test)]
    pub(super) fn rewind(&mut self, next: u16) {
        self.next = next;
    }

    /// Whether no number is taken, not even by a ping that was given up.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_sequence.is_empty()
    }
}
