//! Who may be connected: a number of seats, fairly shared by the addresses of callers.
//!
//! As long as there are free seats everybody gets one, except for the last few, which are for other addresses than the
//! one that has the rest. When none is free, the connection goes that has been without a request for longest: one of the
//! caller's own when its address has its share already, else one of the address that has most. A connection of the caller's own that
//! has just come is left time for its first request. Whoever finds none to take the seat of waits for the next one that becomes free.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::shares::{Rule, Share, Shares, Taken};
use crate::memory;

/// Maximum seats that one address alone cannot take. A scraper that has all its probes in flight is mostly one address, so
/// they are few; they are enough for others to ask how the exporter is.
const RESERVED: usize = 64;

/// All seats.
pub type Seats = Shares<Seating>;
/// A seat, until it is dropped.
pub type Seat = Share<Seating>;

/// How they are shared.
#[derive(Debug)]
pub struct Seating {
    most: usize,
    started: Instant,
}

/// What is known of the connection that has a seat.
#[derive(Debug)]
pub struct Occupant {
    /// Since when it has had no request, in milliseconds since the start; `BUSY` while it has one.
    idle_since: AtomicU64,
    /// Whether it has had no request yet.
    is_new: AtomicBool,
    /// For how many rounds it has been as it is: with a request, or without one.
    rounds: AtomicU8,
    /// Whether it is parked without a request.
    is_parked: AtomicBool,
    settled: Notify,
}

const BUSY: u64 = u64::MAX;
/// How long its own address leaves a connection for the first request.
const GRACE: Duration = Duration::from_secs(1);
/// How long a round takes.
const ROUND: Duration = Duration::from_secs(1);
/// From how many rounds on a connection is settled.
const SETTLED: u8 = 2;
/// From how many on their memory is worth giving back.
const CROWD: usize = 16;
/// How many connections are told so in one go.
const BATCH: usize = 256;

impl Seating {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(BUSY - 1)
    }
}

impl Rule for Seating {
    type Holder = Occupant;
    type Waiter = ();

    /// One address alone leaves an eighth of the seats to the others, at most [`RESERVED`].
    fn admits(&self, taken: &mut Taken<Self>, party: IpAddr) -> bool {
        let own = taken.held_by(party);
        let is_full = taken.count() >= self.most;
        if !is_full && own < self.most - RESERVED.min(self.most / 8) {
            return true;
        }
        let has_its_share = own >= taken.fair(self.most, party).max(1);
        let most = taken.has_most().filter(|_| is_full && !has_its_share);
        let now = self.now();
        taken.dismiss(most.unwrap_or(party), |occupant| {
            let since = occupant.idle_since.load(Ordering::Relaxed);
            let is_young = u128::from(now.saturating_sub(since)) < GRACE.as_millis();
            let may_ask = most.is_none() && is_young && occupant.is_new.load(Ordering::Relaxed);
            (since != BUSY && !may_ask).then_some(since)
        })
    }

    fn give(&self, _: IpAddr, (): &(), _: bool) -> Occupant {
        Occupant {
            idle_since: AtomicU64::new(self.now()),
            is_new: AtomicBool::new(true),
            rounds: AtomicU8::new(0),
            is_parked: AtomicBool::new(false),
            settled: Notify::new(),
        }
    }
}

impl Seats {
    /// `most` seats.
    pub fn of(most: usize) -> Arc<Self> {
        Arc::new(Self::new(Seating {
            most: most.max(1),
            started: Instant::now(),
        }))
    }

    /// Tells connections that they have been as they are for a while, and gives back what they then do without. Ends those that
    /// are parked and have had no request for longer than `idle`. Returns when there are no seats any more.
    pub async fn watch(seats: Weak<Self>, idle: Duration) {
        let idle = u64::try_from(idle.as_millis()).unwrap_or(BUSY);
        let mut before = 0;
        loop {
            tokio::time::sleep(ROUND).await;
            let Some(seats) = seats.upgrade() else { return };
            if before >= CROWD {
                memory::give_back_everywhere();
            }
            // Some that came without a request have been waited for long enough.
            while seats.let_one_in() {}
            let long_ago = seats.rule().now().saturating_sub(idle);
            let over = seats.holdings(|occupant| occupant.is_parked_since(long_ago));
            over.iter().for_each(|seat| seat.leave());
            let settled = seats.holdings(Occupant::becomes_settled);
            before = settled.len();
            for batch in settled.chunks(BATCH) {
                batch.iter().for_each(|seat| seat.holder().settled.notify_one());
                tokio::task::yield_now().await;
            }
        }
    }
}

impl Occupant {
    /// Ends a round: whether it became settled with it. Neither a timer per connection nor a reading of the clock per request is as
    /// cheap.
    fn becomes_settled(&self) -> bool {
        let rounds = self.rounds.load(Ordering::Relaxed);
        if rounds < SETTLED {
            self.rounds.store(rounds + 1, Ordering::Relaxed);
        }
        rounds + 1 == SETTLED
    }

    /// Whether it is parked, and had its last request before that time.
    fn is_parked_since(&self, time: u64) -> bool {
        self.is_parked.load(Ordering::Relaxed) && self.idle_since.load(Ordering::Relaxed) < time
    }

    fn is_idle_since(&self, since: u64) {
        self.idle_since.store(since, Ordering::Relaxed);
        self.is_new.store(false, Ordering::Relaxed);
        self.rounds.store(0, Ordering::Relaxed);
    }
}

impl Seat {
    /// A request has begun.
    pub fn is_busy(&self) {
        self.holder().is_idle_since(BUSY);
    }

    /// No request is left.
    pub fn is_idle(&self) {
        self.holder().is_idle_since(self.shares().rule().now());
        self.shares().let_one_in();
    }

    /// The connection is parked without a request from now on, or no more.
    pub fn is_parked(&self, is_parked: bool) {
        self.holder().is_parked.store(is_parked, Ordering::Relaxed);
    }

    /// Ready when the connection has had its request, or none, for one to two seconds.
    pub fn settled(&self) -> Notified<'_> {
        self.holder().settled.notified()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::server::connections::shares::WAITING;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn now(seats: &Arc<Seats>, address: &str) -> Option<Seat> {
        seats.take(ip(address), ()).now_or_never().flatten()
    }

    fn has_lost(seat: &Seat) -> bool {
        seat.lost().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_connection_without_a_request_gives_way() {
        let seats = Seats::of(3);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(now(&seats, "192.0.2.1").unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        held[0].is_busy();
        let _fourth = now(&seats, "192.0.2.1").unwrap();
        assert_eq!(
            held.iter().map(has_lost).collect::<Vec<_>>(),
            [false, true, false]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_has_time_for_its_request() {
        let seats = Seats::of(2);
        tokio::spawn(Seats::watch(Arc::downgrade(&seats), Duration::from_secs(360)));
        let first = now(&seats, "192.0.2.1").unwrap();
        let second = now(&seats, "192.0.2.1").unwrap();
        first.is_busy();
        // Another address need not wait for that.
        let mut own = Box::pin(seats.take(ip("192.0.2.1"), ()));
        assert!(own.as_mut().now_or_never().is_none());
        assert!(now(&seats, "192.0.2.2").is_some());
        assert!(has_lost(&second));
        // That one has gone, and this one has come.
        let third = own.await.unwrap();
        let start = Instant::now();
        let fourth = seats.take(ip("192.0.2.1"), ()).await.unwrap();
        assert!(has_lost(&third) && start.elapsed() >= GRACE);
        fourth.is_busy();
        fourth.is_idle();
        assert!(now(&seats, "192.0.2.1").is_some());
        assert!(has_lost(&fourth) && !has_lost(&first));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_parked_for_too_long_loses_the_seat() {
        let seats = Seats::of(8);
        tokio::spawn(Seats::watch(Arc::downgrade(&seats), Duration::from_secs(360)));
        let [parked, busy, resumed, served] = [(); 4].map(|()| now(&seats, "192.0.2.1").unwrap());
        for seat in [&parked, &busy, &resumed] {
            seat.is_parked(true);
        }
        tokio::time::sleep(Duration::from_secs(300)).await;
        resumed.is_parked(false);
        resumed.is_busy();
        resumed.is_idle();
        resumed.is_parked(true);
        busy.is_busy();
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert!(!has_lost(&parked));
        tokio::time::sleep(Duration::from_secs(3)).await;
        let lost = [&parked, &busy, &resumed, &served].map(has_lost);
        assert_eq!(lost, [true, false, false, false]);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(has_lost(&resumed));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_holds_everything_makes_room_for_another() {
        let seats = Seats::of(16);
        // Seven eighths, busy all of them: nobody else waits.
        let greedy: Vec<_> = std::iter::from_fn(|| now(&seats, "192.0.2.1").inspect(Seat::is_busy)).collect();
        assert_eq!(greedy.len(), 14);
        let _other = now(&seats, "192.0.2.2").unwrap();
        let _mapped = now(&seats, "::ffff:192.0.2.2").unwrap();
        // Full of requests: one waits, and gets the first seat that a request leaves.
        let mut waiting = Box::pin(seats.take(ip("2001:db8::1"), ()));
        assert!(waiting.as_mut().now_or_never().is_none());
        greedy[3].is_idle();
        assert!(has_lost(&greedy[3]));
        assert!(waiting.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_scraper_has_nearly_all_seats() {
        let seats = Seats::of(10_000);
        let probes: Vec<_> = std::iter::from_fn(|| now(&seats, "192.0.2.1").inspect(Seat::is_busy)).collect();
        assert_eq!(probes.len(), 10_000 - 64);
        assert!(now(&seats, "192.0.2.2").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn slow_heads_of_one_do_not_keep_others_out() {
        let seats = Seats::of(8);
        let mut slow: Vec<Seat> = Vec::new();
        for _ in 0..100 {
            slow.extend(now(&seats, "192.0.2.1"));
            slow.retain(|seat| !has_lost(seat));
        }
        assert_eq!(slow.len(), 7);
        for host in 2..6 {
            let honest = now(&seats, &format!("192.0.2.{host}")).unwrap();
            honest.is_busy();
            assert!(!has_lost(&honest));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_most_is_sent_away() {
        let seats = Seats::of(1);
        let busy = now(&seats, "192.0.2.1").unwrap();
        busy.is_busy();
        let mut greedy: Vec<_> = (0..WAITING)
            .map(|_| Box::pin(seats.take(ip("192.0.2.1"), ())))
            .collect();
        assert!(
            greedy
                .iter_mut()
                .all(|waiting| waiting.as_mut().now_or_never().is_none())
        );
        let mut honest = Box::pin(seats.take(ip("192.0.2.2"), ()));
        assert!(honest.as_mut().now_or_never().is_none());
        let sent_away = greedy.pop().unwrap();
        assert!(sent_away.await.is_none());
        // The oldest of those who have equally little, then who has least.
        drop(busy);
        let first = greedy.remove(0).await.unwrap();
        first.is_busy();
        drop(greedy);
        drop(first);
        assert!(honest.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_most_makes_room_for_files() {
        let seats = Seats::of(1);
        let busy = now(&seats, "192.0.2.1").unwrap();
        busy.is_busy();
        assert!(!seats.send_away());
        let mut waiting: Vec<_> = ["192.0.2.1", "192.0.2.2", "192.0.2.1"]
            .into_iter()
            .map(|address| Box::pin(seats.take(ip(address), ())))
            .collect();
        assert!(
            waiting
                .iter_mut()
                .all(|waiting| waiting.as_mut().now_or_never().is_none())
        );
        assert!(seats.send_away());
        let sent_away = waiting
            .into_iter()
            .map(FutureExt::now_or_never)
            .map(|seat| seat.is_some());
        assert_eq!(sent_away.collect::<Vec<_>>(), [true, false, true]);
    }
}
