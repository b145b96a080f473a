//! One shared socket and the pings that wait for answers on it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::PingCounters;
use super::moment::Moment;
use super::slots::{Asked, Number, PingOutcome, Slots};
use super::wire::{Arrival, Left, Wire};

/// How long a socket without room for a packet is passed over.
const CLOGGED_FOR: Duration = Duration::from_millis(50);
/// After so many packets sent without anyone reading, the sender reads, however busy the reader's thread is: the
/// kernel's buffer for an unprivileged process has room for a few hundred replies only.
const UNREAD_LIMIT: usize = 64;
/// Packets that are read in one go before other tasks get their turn.
const BATCH: usize = 256;

/// A shared socket and the pings that wait on it.
#[derive(Debug)]
pub struct Lane<W> {
    /// The socket.
    pub wire: W,
    /// How many pings hold a place here; counted by the engine.
    pub(super) users: AtomicUsize,
    slots: Mutex<Slots>,
    unread: AtomicUsize,
    start: Instant,
    /// Nanoseconds after `start` until which the socket is passed over.
    clogged_until: AtomicU64,
    figures: Arc<PingCounters>,
}

impl<W: Wire> Lane<W> {
    /// A lane over a socket, whose sequence numbers begin at `first`.
    pub fn new(wire: W, first: u16, figures: Arc<PingCounters>) -> Self {
        Self {
            wire,
            users: AtomicUsize::new(0),
            slots: Mutex::new(Slots::new(first)),
            unread: AtomicUsize::new(0),
            start: Instant::now(),
            clogged_until: AtomicU64::new(0),
            figures,
        }
    }

    /// Whether nobody waits here.
    pub fn is_idle(&self) -> bool {
        self.slots().is_idle()
    }

    /// Forgets late answers, which cannot come any more once the socket has another identifier.
    pub(super) fn forget(&self) {
        self.slots().forget();
    }

    /// Whether a packet found no room a moment ago.
    pub fn is_clogged(&self) -> bool {
        self.now() < self.clogged_until.load(Ordering::Relaxed)
    }

    /// Whether as many pings wait here as may.
    pub fn is_full(&self) -> bool {
        self.slots().is_full()
    }

    /// Reserves a sequence number for a ping with the identifier `id`; further answers to it are counted in `duplicates`, if
    /// given, until the ticket is dropped. `None` when too many wait here already.
    pub fn reserve(
        self: &Arc<Self>,
        to: SocketAddr,
        id: u16,
        payload: &Arc<[u8]>,
        duplicates: Option<Arc<AtomicU64>>,
    ) -> Option<Ticket<W>> {
        let (sender, answer) = oneshot::channel();
        let number = self
            .slots()
            .reserve(to, id, payload, duplicates.clone(), sender)?;
        self.figures.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Ticket {
            lane: Arc::clone(self),
            to,
            id,
            number,
            duplicates,
            answer,
        })
    }

    /// Reads what there is and hands answers to those who wait for them.
    pub fn read(&self) -> Left {
        self.unread.store(0, Ordering::Relaxed);
        for _ in 0..BATCH {
            match self.wire.try_receive(&mut |arrival| self.deliver(arrival)) {
                // What comes behind the last answer is nobody's: it wakes this task again, or is read before the next.
                Ok(()) if self.is_idle() => return Left::Nothing,
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Left::Nothing,
                // An error kept for this socket: it was about one packet, and its report is in the queue of errors.
                Err(_) => {}
            }
        }
        Left::More
    }

    /// Reads until nobody needs this lane any more: `is_needed` is asked every `patience` while nobody waits.
    pub async fn serve(&self, patience: Duration, is_needed: impl Fn() -> bool) {
        loop {
            let readable = self.wire.when_readable(|| self.read());
            match tokio::time::timeout(patience, readable).await {
                Ok(Ok(())) => tokio::task::yield_now().await,
                // The runtime is going down, or the socket broke: nothing can be heard any more.
                Ok(Err(_)) => return,
                Err(_) if self.is_idle() && !is_needed() => return,
                Err(_) => {}
            }
        }
    }

    fn deliver(&self, arrival: Arrival<'_>) {
        let (asked, report, stamp, hops) = match arrival {
            Arrival::Reply {
                from,
                id,
                sequence,
                payload,
                hop_limit,
                at,
            } => (
                self.slots().take(sequence, from, Some(id), Some(payload)),
                None,
                at,
                hop_limit,
            ),
            Arrival::Failure {
                to,
                id,
                sequence,
                report,
            } => (
                self.slots().take(sequence, to, id, None),
                Some(report),
                None,
                None,
            ),
            Arrival::Noise => return,
        };
        let Asked { sent, answer: asker } = match asked {
            Ok(asked) => asked,
            Err(is_ours) => {
                if is_ours || !self.wire.hears_others() {
                    PingCounters::add(&self.figures.unexpected);
                }
                return;
            }
        };
        let answer = match report {
            None => {
                PingCounters::add(&self.figures.answered);
                PingOutcome::Reply {
                    round_trip: sent.until(Moment::now(), stamp),
                    hop_limit: hops,
                }
            }
            Some(report) => {
                PingCounters::add(&self.figures.refused);
                PingOutcome::Failure(report)
            }
        };
        // Whoever waited may be gone; nobody misses the answer then.
        let _ = asker.send(answer);
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// One ping: a reserved sequence number. Dropping it gives the ping up.
#[derive(Debug)]
pub struct Ticket<W: Wire> {
    lane: Arc<Lane<W>>,
    to: SocketAddr,
    id: u16,
    number: Number,
    duplicates: Option<Arc<AtomicU64>>,
    answer: oneshot::Receiver<PingOutcome>,
}

impl<W: Wire> Ticket<W> {
    /// Its sequence number.
    pub fn sequence(&self) -> u16 {
        self.number.sequence
    }

    /// Whom it asks.
    pub fn to(&self) -> SocketAddr {
        self.to
    }

    /// Where further answers are counted.
    pub(super) fn duplicates(&self) -> Option<Arc<AtomicU64>> {
        self.duplicates.clone()
    }

    /// Sends the request. From now on an answer is waited for.
    ///
    /// # Errors
    /// `WouldBlock` when the socket has no room, or what the system says about this packet.
    pub fn try_send(&self) -> io::Result<()> {
        let sent = self.attempt();
        if let Err(error) = &sent
            && error.kind() == io::ErrorKind::WouldBlock
        {
            let until = self.lane.now() + CLOGGED_FOR.as_nanos() as u64;
            self.lane.clogged_until.store(until, Ordering::Relaxed);
        }
        sent?;
        self.note_sent();
        Ok(())
    }

    /// Sends the request as soon as there is room.
    ///
    /// # Errors
    /// What the system says about this packet.
    pub async fn send(&self) -> io::Result<()> {
        self.lane.wire.when_writable(|| self.attempt()).await?;
        self.note_sent();
        Ok(())
    }

    /// Sends the request if there is room. What is not sent has no answer.
    fn attempt(&self) -> io::Result<()> {
        let Some(payload) = self.set_sent(Some(Moment::now())) else {
            return Err(io::Error::other("this request was sent and answered"));
        };
        let sent = self
            .lane
            .wire
            .try_send(self.to, self.id, self.number.sequence, &payload);
        if sent.is_err() {
            self.set_sent(None);
        }
        sent
    }

    fn note_sent(&self) {
        PingCounters::add(&self.lane.figures.sent);
        if self.lane.unread.fetch_add(1, Ordering::Relaxed) >= UNREAD_LIMIT {
            self.lane.read();
        }
    }

    /// Notes when the request went out, and returns its payload.
    fn set_sent(&self, sent: Option<Moment>) -> Option<Arc<[u8]>> {
        self.lane.slots().set_sent(self.number, sent)
    }

    /// Waits for the answer, for as long as the caller does. `None` when the lane is gone, which it is not before its tickets.
    pub async fn answer(&mut self) -> Option<PingOutcome> {
        (&mut self.answer).await.ok()
    }
}

impl<W: Wire> Drop for Ticket<W> {
    fn drop(&mut self) {
        if self.lane.slots().give_up(self.number) {
            PingCounters::add(&self.lane.figures.lost);
        }
        self.lane.figures.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
