//! Who may be connected: a number of seats, fairly shared by the addresses of callers.
//!
//! As long as there are free seats everybody gets one, except for the last few, which are for other addresses than the
//! one that has the rest. When none is free, the connection goes that has been without a request for longest: one of the
//! caller's own when its address has its share already, else one of the address that has most. Whoever finds none to take
//! the seat of waits for the next one that becomes free.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::memory;

/// Maximum connections that wait for a seat. Beyond it, the newest is closed of the address from which most wait.
const WAITING: usize = 1024;
/// Maximum seats that one address alone cannot take. A scraper that has all its probes in flight is mostly one address, so
/// they are few; they are enough for others to ask how the exporter is.
const RESERVED: usize = 64;

/// All seats.
#[derive(Debug)]
pub struct Seats {
    most: usize,
    started: Instant,
    /// Read without the lock by every request that ends.
    someone_waits: AtomicBool,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    count: usize,
    /// By address, in the order of their coming.
    by_address: HashMap<IpAddr, BTreeMap<u64, Arc<Occupant>>>,
    waiting: VecDeque<(IpAddr, oneshot::Sender<Seat>)>,
}

/// What is known of the connection that has a seat.
#[derive(Debug)]
struct Occupant {
    /// Since when it has had no request, in milliseconds since the start; `BUSY` while it has one.
    idle_since: AtomicU64,
    leave: Notify,
    /// For how many rounds it has been as it is: with a request, or without one.
    rounds: AtomicU8,
    settled: Notify,
}

const BUSY: u64 = u64::MAX;
/// How long a round takes.
const ROUND: Duration = Duration::from_secs(1);
/// From how many rounds on a connection is settled.
const SETTLED: u8 = 2;
/// From how many on their memory is worth giving back.
const CROWD: usize = 16;
/// How many connections are told so in one go.
const BATCH: usize = 256;

/// A seat, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
    number: u64,
    occupant: Arc<Occupant>,
}

impl Seat {
    /// The address, or network, that has it.
    pub fn party(&self) -> IpAddr {
        self.address
    }
}

impl Seats {
    /// `most` seats.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most: most.max(1),
            started: Instant::now(),
            someone_waits: AtomicBool::new(false),
            taken: Mutex::default(),
        })
    }

    /// A seat for a caller; `None` when it must go. Waits when all are taken by requests.
    pub async fn take(self: &Arc<Self>, caller: IpAddr) -> Option<Seat> {
        let address = party(caller);
        let next = {
            let mut taken = self.lock();
            if self.has_room(&taken, address) || self.make_room(&mut taken, address) {
                return Some(self.seat(&mut taken, address));
            }
            let (sender, next) = oneshot::channel();
            taken.waiting.push_back((address, sender));
            self.someone_waits.store(true, Ordering::Relaxed);
            if taken.waiting.len() > WAITING {
                taken.dismiss();
            }
            next
        };
        next.await.ok()
    }

    /// Sends all connections away that wait and are of the address from which most do; whether there were any.
    pub fn send_away(&self) -> bool {
        let mut taken = self.lock();
        let Some(most) = taken.waits_most() else {
            return false;
        };
        taken.waiting.retain(|(address, _)| *address != most);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One address alone leaves an eighth of the seats to the others, at most [`RESERVED`].
    fn has_room(&self, taken: &Taken, address: IpAddr) -> bool {
        taken.count < self.most && taken.held_by(address) < self.most - RESERVED.min(self.most / 8)
    }

    /// Takes the seat of a connection without a request, if there is one that must give way.
    fn make_room(&self, taken: &mut Taken, address: IpAddr) -> bool {
        let own = taken.held_by(address);
        let parties = taken.by_address.len() + usize::from(own == 0);
        let share = (self.most / parties).max(1);
        let from = if own >= share || taken.count < self.most {
            address
        } else {
            let most = taken.by_address.iter().max_by_key(|(_, held)| held.len());
            most.map_or(address, |(address, _)| *address)
        };
        let Some(held) = taken.by_address.get(&from) else {
            return false;
        };
        let idle = held
            .iter()
            .map(|(number, occupant)| (occupant.idle_since.load(Ordering::Relaxed), *number));
        let Some((since, number)) = idle.min() else {
            return false;
        };
        if since == BUSY {
            return false;
        }
        if let Some(occupant) = taken.remove(from, number) {
            occupant.leave.notify_one();
        }
        true
    }

    /// Tells connections that they have been as they are for a while, and gives back what they then do without. Ends with the
    /// seats.
    pub async fn tell_settled(seats: Weak<Self>) {
        let mut before = 0;
        loop {
            tokio::time::sleep(ROUND).await;
            let Some(seats) = seats.upgrade() else { return };
            if before >= CROWD {
                memory::give_back_everywhere();
            }
            let settled = seats.settled();
            before = settled.len();
            for batch in settled.chunks(BATCH) {
                batch.iter().for_each(|occupant| occupant.settled.notify_one());
                tokio::task::yield_now().await;
            }
        }
    }

    /// Ends a round: those that became settled with it. Neither a timer per connection nor a reading of the clock per request is
    /// as cheap.
    fn settled(&self) -> Vec<Arc<Occupant>> {
        let taken = self.lock();
        let all = taken.by_address.values().flat_map(BTreeMap::values);
        all.filter(|occupant| {
            let rounds = occupant.rounds.load(Ordering::Relaxed);
            if rounds < SETTLED {
                occupant.rounds.store(rounds + 1, Ordering::Relaxed);
            }
            rounds + 1 == SETTLED
        })
        .cloned()
        .collect()
    }

    fn seat(self: &Arc<Self>, taken: &mut Taken, address: IpAddr) -> Seat {
        let number = taken.next;
        let occupant = Arc::new(Occupant {
            idle_since: AtomicU64::new(self.now()),
            leave: Notify::new(),
            rounds: AtomicU8::new(0),
            settled: Notify::new(),
        });
        taken.next += 1;
        taken.count += 1;
        let held = taken.by_address.entry(address).or_default();
        held.insert(number, Arc::clone(&occupant));
        Seat {
            seats: Arc::clone(self),
            address,
            number,
            occupant,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(BUSY - 1)
    }

    /// A seat has become free, or a connection idle: seats one of those who wait, of the address that has least.
    fn let_one_in(self: &Arc<Self>) {
        let (sender, seat) = {
            let mut taken = self.lock();
            let order = taken.waiting_order();
            let next = order
                .into_iter()
                .find(|(_, address)| self.has_room(&taken, *address) || self.make_room(&mut taken, *address));
            let Some((address, sender)) = next.and_then(|(index, _)| taken.waiting.remove(index)) else {
                return;
            };
            self.someone_waits
                .store(!taken.waiting.is_empty(), Ordering::Relaxed);
            (sender, self.seat(&mut taken, address))
        };
        // Who has gone meanwhile gives the seat back here, to the next.
        drop(sender.send(seat));
    }
}

impl Taken {
    fn held_by(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).map_or(0, BTreeMap::len)
    }

    fn remove(&mut self, address: IpAddr, number: u64) -> Option<Arc<Occupant>> {
        let held = self.by_address.get_mut(&address)?;
        let occupant = held.remove(&number)?;
        if held.is_empty() {
            self.by_address.remove(&address);
        }
        self.count -= 1;
        Some(occupant)
    }

    fn waiting_order(&self) -> Vec<(usize, IpAddr)> {
        let waiting = self.waiting.iter().enumerate();
        let mut order: Vec<_> = waiting.map(|(index, (address, _))| (index, *address)).collect();
        order.sort_by_cached_key(|(_, address)| self.held_by(*address));
        order
    }

    /// The address from which most wait.
    fn waits_most(&self) -> Option<IpAddr> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for (address, _) in &self.waiting {
            *counts.entry(*address).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(address, _)| address)
    }

    /// Sends away the newest of those that wait from the address from which most do.
    fn dismiss(&mut self) {
        let most = self.waits_most();
        let newest = self
            .waiting
            .iter()
            .rposition(|(address, _)| most == Some(*address));
        if let Some(index) = newest {
            self.waiting.remove(index);
        }
    }
}

impl Seat {
    /// A request has begun.
    pub fn is_busy(&self) {
        self.occupant.idle_since.store(BUSY, Ordering::Relaxed);
        self.occupant.rounds.store(0, Ordering::Relaxed);
    }

    /// No request is left.
    pub fn is_idle(&self) {
        self.occupant
            .idle_since
            .store(self.seats.now(), Ordering::Relaxed);
        self.occupant.rounds.store(0, Ordering::Relaxed);
        if self.seats.someone_waits.load(Ordering::Relaxed) {
            self.seats.let_one_in();
        }
    }

    /// Returns when the connection has had its request, or none, for one to two seconds.
    pub async fn is_settled(&self) {
        self.occupant.settled.notified().await;
    }

    /// Returns when another has taken the seat.
    pub async fn lost(&self) {
        self.occupant.leave.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let waiting = {
            let mut taken = self.seats.lock();
            taken.remove(self.address, self.number);
            !taken.waiting.is_empty()
        };
        if waiting {
            self.seats.let_one_in();
        }
    }
}

/// Those who are one caller as far as fairness goes: an IPv4 address, or a network of IPv6 of which every host has as
/// many addresses as it likes.
pub fn party(caller: IpAddr) -> IpAddr {
    match caller.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn now(seats: &Arc<Seats>, address: &str) -> Option<Seat> {
        seats.take(ip(address)).now_or_never().flatten()
    }

    fn has_lost(seat: &Seat) -> bool {
        seat.lost().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_connection_without_a_request_gives_way() {
        let seats = Seats::new(3);
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
    async fn an_address_that_holds_everything_makes_room_for_another() {
        let seats = Seats::new(16);
        // Seven eighths, busy all of them: nobody else waits.
        let greedy: Vec<_> = std::iter::from_fn(|| now(&seats, "192.0.2.1").inspect(Seat::is_busy)).collect();
        assert_eq!(greedy.len(), 14);
        let _other = now(&seats, "192.0.2.2").unwrap();
        let _mapped = now(&seats, "::ffff:192.0.2.2").unwrap();
        // Full of requests: one waits, and gets the first seat that a request leaves.
        let mut waiting = Box::pin(seats.take(ip("2001:db8::1")));
        assert!(waiting.as_mut().now_or_never().is_none());
        greedy[3].is_idle();
        assert!(has_lost(&greedy[3]));
        assert!(waiting.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_scraper_has_nearly_all_seats() {
        let seats = Seats::new(10_000);
        let probes: Vec<_> = std::iter::from_fn(|| now(&seats, "192.0.2.1").inspect(Seat::is_busy)).collect();
        assert_eq!(probes.len(), 10_000 - 64);
        assert!(now(&seats, "192.0.2.2").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn slow_heads_of_one_do_not_keep_others_out() {
        let seats = Seats::new(8);
        let mut slow: Vec<Seat> = Vec::new();
        for _ in 0..100 {
            slow.push(now(&seats, "192.0.2.1").unwrap());
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
        let seats = Seats::new(1);
        let busy = now(&seats, "192.0.2.1").unwrap();
        busy.is_busy();
        let mut greedy: Vec<_> = (0..WAITING)
            .map(|_| Box::pin(seats.take(ip("192.0.2.1"))))
            .collect();
        assert!(
            greedy
                .iter_mut()
                .all(|waiting| waiting.as_mut().now_or_never().is_none())
        );
        let mut honest = Box::pin(seats.take(ip("192.0.2.2")));
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
        let seats = Seats::new(1);
        let busy = now(&seats, "192.0.2.1").unwrap();
        busy.is_busy();
        assert!(!seats.send_away());
        let mut waiting: Vec<_> = ["192.0.2.1", "192.0.2.2", "192.0.2.1"]
            .into_iter()
            .map(|address| Box::pin(seats.take(ip(address))))
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
