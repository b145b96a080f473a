use std::collections::VecDeque;

use tokio::sync::{Notify, watch};

use super::*;
use crate::packet::Report;
use crate::slots::CAPACITY;

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
    family: crate::packet::AddressFamily::V4,
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
