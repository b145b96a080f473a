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
mod tests {
    use std::collections::VecDeque;

    use tokio::sync::{Notify, watch};

    use super::super::slots::CAPACITY;
    use super::*;
    use crate::packet::Report;

    /// A packet on its way back, with the moment it arrives.
    type Packet = (Instant, SocketAddr, (u16, u16), Vec<u8>, Option<Report>);

    /// A network that does with each request what a rule says: answers after a while, several times, or never.
    struct Simulated {
        rule: fn(SocketAddr, u16) -> Vec<Back>,
        queue: Mutex<VecDeque<Packet>>,
        arrived: Notify,
        /// Most packets in the queue; what comes when it is full is lost.
        capacity: usize,
        /// Whether there is room for a request, for those who wait for it.
        has_room: watch::Sender<bool>,
    }

    const ID: u16 = 4711;

    /// What comes back for one request.
    struct Back {
        after: Duration,
        from: Option<SocketAddr>,
        id: Option<u16>,
        sequence: Option<u16>,
        payload: Option<Vec<u8>>,
        report: Option<Report>,
    }

    const UNREACHABLE: Report = Report {
        family: super::super::packet::AddressFamily::V4,
        icmp_type: 3,
        code: 1,
        info: 0,
        reporter: None,
    };

    fn reply(after: u64) -> Back {
        Back {
            after: Duration::from_millis(after),
            from: None,
            id: None,
            sequence: None,
            payload: None,
            report: None,
        }
    }

    impl Wire for Arc<Simulated> {
        fn try_send(&self, to: SocketAddr, id: u16, sequence: u16, payload: &[u8]) -> io::Result<()> {
            if !*self.has_room.borrow() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let mut queue = self.queue.lock().unwrap();
            for back in (self.rule)(to, sequence) {
                if queue.len() >= self.capacity {
                    continue;
                }
                let at = Instant::now() + back.after;
                let from = back.from.unwrap_or(to);
                let payload = back.payload.unwrap_or_else(|| payload.to_vec());
                let place = queue.partition_point(|(other, ..)| *other <= at);
                queue.insert(
                    place,
                    (
                        at,
                        from,
                        (back.id.unwrap_or(id), back.sequence.unwrap_or(sequence)),
                        payload,
                        back.report,
                    ),
                );
            }
            self.arrived.notify_one();
            Ok(())
        }

        async fn when_writable(&self, mut write: impl FnMut() -> io::Result<()> + Send) -> io::Result<()> {
            let mut room = self.has_room.subscribe();
            loop {
                room.wait_for(|has_room| *has_room).await.unwrap();
                match write() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    written => return written,
                }
            }
        }

        fn try_receive(&self, sink: &mut dyn FnMut(Arrival<'_>)) -> io::Result<()> {
            let mut queue = self.queue.lock().unwrap();
            let is_due = queue.front().is_some_and(|(at, ..)| *at <= Instant::now());
            let packet = if is_due { queue.pop_front() } else { None };
            drop(queue);
            let Some((_, from, (id, sequence), payload, report)) = packet else {
                return Err(io::ErrorKind::WouldBlock.into());
            };
            match report {
                Some(report) => sink(Arrival::Failure {
                    to: from,
                    id: Some(id),
                    sequence,
                    report,
                }),
                None => sink(Arrival::Reply {
                    from,
                    id,
                    sequence,
                    payload: &payload,
                    hop_limit: Some(64),
                    at: None,
                }),
            }
            Ok(())
        }

        async fn when_readable(&self, mut read: impl FnMut() -> Left + Send) -> io::Result<()> {
            loop {
                let next = self.queue.lock().unwrap().front().map(|(at, ..)| *at);
                match next {
                    Some(at) if at <= Instant::now() => break,
                    Some(at) => tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = self.arrived.notified() => {}
                    },
                    None => self.arrived.notified().await,
                }
            }
            read();
            Ok(())
        }
    }

    struct Bed {
        lane: Arc<Lane<Arc<Simulated>>>,
        figures: Arc<PingCounters>,
        payload: Arc<[u8]>,
    }

    fn bed(first: u16, capacity: usize, rule: fn(SocketAddr, u16) -> Vec<Back>) -> Bed {
        let figures = Arc::new(PingCounters::default());
        let wire = Arc::new(Simulated {
            rule,
            queue: Mutex::new(VecDeque::new()),
            arrived: Notify::new(),
            capacity,
            has_room: watch::Sender::new(true),
        });
        let lane = Arc::new(Lane::new(wire, first, Arc::clone(&figures)));
        let serving = Arc::clone(&lane);
        tokio::spawn(async move { serving.serve(Duration::from_secs(60), || true).await });
        Bed {
            lane,
            figures,
            payload: Arc::from(&b"payload"[..]),
        }
    }

    fn host(last: u8) -> SocketAddr {
        ([192, 0, 2, last], 0).into()
    }

    impl Bed {
        /// Round trip in milliseconds, or how it failed.
        async fn ping(&self, to: SocketAddr, wait: u64) -> Result<u64, &'static str> {
            let mut ticket = self.lane.reserve(to, ID, &self.payload, None).ok_or("full")?;
            ticket.try_send().map_err(|_| "not sent")?;
            match tokio::time::timeout(Duration::from_millis(wait), ticket.answer()).await {
                Ok(Some(PingOutcome::Reply { round_trip, .. })) => Ok(round_trip.as_millis() as u64),
                Ok(Some(PingOutcome::Failure(_))) => Err("unreachable"),
                Ok(None) => Err("closed"),
                Err(_) => Err("lost"),
            }
        }

        fn figures(&self) -> [u64; 6] {
            let f = &self.figures;
            [
                &f.sent,
                &f.answered,
                &f.refused,
                &f.lost,
                &f.unexpected,
                &f.in_flight,
            ]
            .map(|figure| figure.load(Ordering::Relaxed))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_ping_gets_its_own_answer() {
        let bed = bed(65_530, 1000, |to, sequence| match to.ip().to_string().as_str() {
            "192.0.2.1" => vec![reply(30)],
            // Reordered: every second answer is late.
            "192.0.2.2" => vec![reply(if sequence % 2 == 0 { 50 } else { 5 })],
            // Doubled.
            "192.0.2.3" => vec![reply(10), reply(20)],
            "192.0.2.5" => vec![Back {
                report: Some(UNREACHABLE),
                ..reply(15)
            }],
            "192.0.2.6" => vec![Back {
                payload: Some(b"other".to_vec()),
                ..reply(5)
            }],
            "192.0.2.7" => vec![Back {
                from: Some(host(99)),
                ..reply(5)
            }],
            "192.0.2.9" => vec![Back {
                id: Some(ID + 1),
                ..reply(5)
            }],
            "192.0.2.8" => vec![Back {
                sequence: Some(sequence.wrapping_add(1)),
                ..reply(5)
            }],
            _ => vec![],
        });
        let pings = (0..20).map(|_| bed.ping(host(1), 1000));
        assert_eq!(futures_util::future::join_all(pings).await, vec![Ok(30); 20]);
        let reordered = futures_util::future::join_all((0..4).map(|_| bed.ping(host(2), 1000))).await;
        assert_eq!(reordered, [Ok(50), Ok(5), Ok(50), Ok(5)]);
        assert_eq!(bed.ping(host(3), 1000).await, Ok(10));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(bed.figures(), [25, 25, 0, 0, 1, 0], "the second copy is counted");
        let rows = [
            ("lost", 4, "lost"),
            ("unreachable", 5, "unreachable"),
            ("other payload", 6, "lost"),
            ("other sender", 7, "lost"),
            ("other number", 8, "lost"),
            ("other identifier", 9, "lost"),
        ];
        for (what, last, want) in rows {
            assert_eq!(bed.ping(host(last), 1000).await, Err(want), "{what}");
        }
        assert_eq!(bed.figures(), [31, 25, 1, 5, 5, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_not_sent_has_no_answer() {
        // The reply to the next request comes with each, and a report about the one after it.
        let bed = bed(0, 1000, |_, sequence| {
            let report = Back {
                sequence: Some(sequence.wrapping_add(2)),
                report: Some(UNREACHABLE),
                ..reply(10)
            };
            let forged = Back {
                sequence: Some(sequence.wrapping_add(1)),
                ..reply(10)
            };
            vec![forged, report, reply(100)]
        });
        let mut tickets: Vec<_> = (0..3)
            .map(|_| bed.lane.reserve(host(1), ID, &bed.payload, None).unwrap())
            .collect();
        for (turn, ticket) in tickets.iter_mut().enumerate() {
            ticket.try_send().unwrap();
            let answer = ticket.answer().await;
            let Some(PingOutcome::Reply { round_trip, .. }) = answer else {
                panic!("{turn}: {answer:?}");
            };
            assert_eq!(round_trip.as_millis(), 100, "{turn}");
            assert!(ticket.try_send().is_err(), "{turn}: it is sent once");
        }
        assert_eq!(bed.figures(), [3, 3, 0, 0, 6, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waits_for_room_has_no_answer_yet() {
        let bed = bed(0, 1000, |_, sequence| match sequence {
            // Somebody knows the next number.
            0 => vec![
                reply(10),
                Back {
                    sequence: Some(1),
                    ..reply(500)
                },
            ],
            _ => vec![reply(100)],
        });
        assert_eq!(bed.ping(host(1), 1000).await, Ok(10));
        bed.lane.wire.has_room.send_replace(false);
        let mut ticket = bed.lane.reserve(host(1), ID, &bed.payload, None).unwrap();
        let refused = ticket.try_send().map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::WouldBlock));
        let room = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            bed.lane.wire.has_room.send_replace(true);
        };
        let (sent, ()) = tokio::join!(ticket.send(), room);
        sent.unwrap();
        let answer = ticket.answer().await;
        let Some(PingOutcome::Reply { round_trip, .. }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(round_trip.as_millis(), 100, "without the wait for room");
        assert_eq!(bed.figures(), [2, 2, 0, 0, 1, 1]);
        // Who leaves while it waits for room has lost nothing.
        bed.lane.wire.has_room.send_replace(false);
        let ticket = bed.lane.reserve(host(1), ID, &bed.payload, None).unwrap();
        let waited = tokio::time::timeout(Duration::from_secs(1), ticket.send()).await;
        assert!(waited.is_err());
        drop(ticket);
        assert_eq!(bed.figures(), [2, 2, 0, 0, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_to_know_is_told_of_duplicates() {
        let bed = bed(0, 1000, |_, _| vec![reply(10), reply(20), reply(30)]);
        let duplicates = Arc::new(AtomicU64::new(0));
        let counted = Some(Arc::clone(&duplicates));
        let mut ticket = bed.lane.reserve(host(1), ID, &bed.payload, counted).unwrap();
        ticket.try_send().unwrap();
        assert!(matches!(ticket.answer().await, Some(PingOutcome::Reply { .. })));
        // A lane that nobody waits on is read when somebody does.
        let mut other = bed.lane.reserve(host(1), ID, &bed.payload, None).unwrap();
        other.try_send().unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(matches!(other.answer().await, Some(PingOutcome::Reply { .. })));
        assert_eq!(duplicates.load(Ordering::Relaxed), 2);
        drop((ticket, other));
        assert!(bed.lane.slots().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_is_nobody_elses_even_after_the_numbers_wrapped() {
        // The first ping is answered after two seconds, when it was given up; all others never.
        let bed = bed(
            7,
            1000,
            |_, sequence| if sequence == 7 { vec![reply(2000)] } else { vec![] },
        );
        assert_eq!(bed.ping(host(1), 100).await, Err("lost"));
        // All other numbers are used up by pings to others, so that the next one would be number 7 again.
        for _ in 0..usize::from(u16::MAX) {
            drop(bed.lane.reserve(host(2), ID, &bed.payload, None).unwrap());
        }
        let ticket = bed.lane.reserve(host(1), ID, &bed.payload, None).unwrap();
        assert_eq!(ticket.sequence(), 8, "7 may still be answered");
        drop(ticket);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(bed.figures()[4], 1, "the late answer met nobody");
        bed.lane.slots().rewind(7);
        assert_eq!(
            bed.lane
                .reserve(host(1), ID, &bed.payload, None)
                .unwrap()
                .sequence(),
            7
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_has_room_for_so_many() {
        let bed = bed(0, 10, |_, _| vec![]);
        let tickets: Vec<_> = (0..CAPACITY)
            .map(|_| bed.lane.reserve(host(1), ID, &bed.payload, None).unwrap())
            .collect();
        assert!(bed.lane.reserve(host(1), ID, &bed.payload, None).is_none());
        assert_eq!(bed.figures.in_flight.load(Ordering::Relaxed), CAPACITY as u64);
        drop(tickets);
        assert!(bed.lane.is_idle());
        assert!(
            bed.lane.slots().is_empty(),
            "nothing was sent, so nothing can be late"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn bursts_do_not_fill_the_receive_buffer() {
        // All answers are there at once, and the buffer has room for a hundred.
        let bed = bed(0, 100, |_, _| vec![reply(0)]);
        let tickets: Vec<_> = (0..10_000)
            .map(|_| {
                let ticket = bed.lane.reserve(host(1), ID, &bed.payload, None).unwrap();
                // The reader's task gets no turn in this loop.
                ticket.try_send().unwrap();
                ticket
            })
            .collect();
        for mut ticket in tickets {
            assert!(matches!(ticket.answer().await, Some(PingOutcome::Reply { .. })));
        }
        assert_eq!(bed.figures(), [10_000, 10_000, 0, 0, 0, 0]);
    }
}
