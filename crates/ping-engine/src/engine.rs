//! All ICMP sockets of the process.
//!
//! Every ping has an identifier of its own, as in upstream: devices that translate addresses keep a mapping per identifier,
//! and mix up those that live long. Raw sockets send any identifier, so all pings of a shape share one. An unprivileged socket has the
//! kernel's, so it serves one ping at a time; when that is over, the socket gets another identifier and serves the next.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::lane::{Lane, Ticket};
use super::slots::PingOutcome;
use super::socket::{OpenError, Privilege, Shape, Socket};

/// Most unprivileged sockets for pings of the same shape. Beyond it, and when no more can be opened, pings share sockets and
/// identifiers.
const MAX_LANES: usize = 4096;
/// Most raw sockets for pings of the same shape. A second one is opened only when the first has no room: when thirty thousand
/// pings wait on it, or when its send buffer is full of packets for hosts that do not answer ARP.
const MAX_RAW_LANES: usize = 64;
/// How long an unused socket is kept.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the engine did so far.
#[derive(Debug, Default)]
pub struct PingCounters {
    /// Pings under way now.
    pub in_flight: AtomicU64,
    /// Requests sent.
    pub sent: AtomicU64,
    /// Replies that somebody waited for.
    pub answered: AtomicU64,
    /// Requests that ended with an ICMP error.
    pub refused: AtomicU64,
    /// Requests without any answer in time.
    pub lost: AtomicU64,
    /// Answers that nobody waited for (any more): late, doubled or forged.
    pub unexpected: AtomicU64,
    /// Packets that the kernel dropped because we read too slowly.
    pub dropped: AtomicU64,
    /// Sockets open now.
    pub sockets: AtomicU64,
}

impl PingCounters {
    /// Adds one to a figure.
    pub fn add(figure: &AtomicU64) {
        figure.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a ping cannot even be tried.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// There is no socket for it.
    #[error("{0}")]
    Open(OpenError),
    /// All sockets are full.
    #[error("all sockets are full of waiting pings")]
    Full,
}

/// The sockets of one shape.
#[derive(Debug, Default)]
struct Pool {
    lanes: Vec<Arc<Lane<Socket>>>,
    /// Those that serve no ping.
    free: Vec<Arc<Lane<Socket>>>,
    /// Where the next ping that must share looks first.
    next: usize,
}

impl Pool {
    fn is_raw(&self) -> bool {
        let first = self.lanes.first();
        first.is_some_and(|lane| matches!(lane.wire.privilege(), Privilege::Raw(_)))
    }

    /// A free socket under a new identifier.
    fn renewed(&mut self) -> Option<Arc<Lane<Socket>>> {
        while let Some(lane) = self.free.pop() {
            if lane.wire.renew().is_ok() {
                lane.forget();
                return Some(lane);
            }
            // Its task goes when nobody has needed it for a while.
            self.lanes.retain(|other| !Arc::ptr_eq(other, &lane));
        }
        None
    }

    /// A socket that others use, too.
    fn shared(&mut self, is_good: impl Fn(&Lane<Socket>) -> bool) -> Option<Arc<Lane<Socket>>> {
        let count = self.lanes.len();
        // A raw socket is the first that has room: each further one hears all that the first does.
        let start = if self.is_raw() { 0 } else { self.next };
        self.next = self.next.wrapping_add(1);
        (0..count)
            .filter_map(|step| self.lanes.get(start.wrapping_add(step) % count))
            .find(|lane| is_good(lane))
            .cloned()
    }
}

type Pools = HashMap<Shape, Pool>;

/// The ICMP sockets of this process. They are opened when they are needed and closed when they are not.
#[derive(Debug, Default)]
pub struct Engine {
    pools: Arc<Mutex<Pools>>,
    figures: Arc<PingCounters>,
}

/// One ping, or one of several of a probe. Dropping it gives it up.
#[derive(Debug)]
pub struct Ping {
    /// There until it is dropped.
    ticket: Option<Ticket<Socket>>,
    lane: Arc<Lane<Socket>>,
    shape: Shape,
    id: u16,
    pools: Arc<Mutex<Pools>>,
}

impl Engine {
    /// What it did so far.
    pub fn figures(&self) -> &PingCounters {
        &self.figures
    }

    /// A place for a ping on a socket of that shape, under an identifier of its own. Further answers to it are counted in
    /// `duplicates`, if given.
    ///
    /// # Errors
    /// No socket is allowed, or all are full.
    pub fn prepare(
        &self,
        shape: Shape,
        to: SocketAddr,
        payload: &Arc<[u8]>,
        duplicates: Option<Arc<AtomicU64>>,
    ) -> Result<Ping, PrepareError> {
        let mut all = lock(&self.pools);
        let pool = all.entry(shape).or_default();
        let has_room = |lane: &Lane<Socket>| !lane.is_clogged() && !lane.is_full();
        let found = if pool.is_raw() {
            pool.shared(has_room)
        } else {
            pool.renewed()
        };
        let most = if pool.is_raw() { MAX_RAW_LANES } else { MAX_LANES };
        let opened = match found {
            Some(lane) => Ok(lane),
            None if pool.lanes.len() < most => self.open(shape, pool).map_err(PrepareError::Open),
            None => Err(PrepareError::Full),
        };
        // Better a socket that is shared, or must be waited for, than none.
        let lane = opened.or_else(|error| {
            let spare = pool
                .shared(has_room)
                .or_else(|| pool.shared(|lane| !lane.is_full()));
            spare.ok_or(error)
        })?;
        let id = lane.wire.id();
        self.place(lane, shape, to, id, payload, duplicates)
            .ok_or(PrepareError::Full)
    }

    /// Another place for the same probe: on the same socket and under the same identifier, or, when that is full, on another.
    ///
    /// # Errors
    /// No other socket is allowed, or all are full.
    pub fn another(
        &self,
        first: &Ping,
        to: SocketAddr,
        payload: &Arc<[u8]>,
        duplicates: Option<Arc<AtomicU64>>,
    ) -> Result<Ping, PrepareError> {
        let all = lock(&self.pools);
        let lane = Arc::clone(&first.lane);
        let place = self.place(lane, first.shape, to, first.id, payload, duplicates.clone());
        drop(all);
        place.map_or_else(|| self.prepare(first.shape, to, payload, duplicates), Ok)
    }

    /// To be called under the lock of the pools, which places are counted under.
    fn place(
        &self,
        lane: Arc<Lane<Socket>>,
        shape: Shape,
        to: SocketAddr,
        id: u16,
        payload: &Arc<[u8]>,
        duplicates: Option<Arc<AtomicU64>>,
    ) -> Option<Ping> {
        let ticket = lane.reserve(to, id, payload, duplicates)?;
        lane.users.fetch_add(1, Ordering::Relaxed);
        Some(Ping {
            ticket: Some(ticket),
            lane,
            shape,
            id,
            pools: Arc::clone(&self.pools),
        })
    }

    /// Sends a ping, from another socket if its own has no room. Returns the ping that the answer comes to.
    ///
    /// # Errors
    /// What the system says about this packet.
    pub async fn send(&self, mut ping: Ping, payload: &Arc<[u8]>) -> io::Result<Ping> {
        for _ in 0..MAX_RAW_LANES {
            let Some(ticket) = &ping.ticket else { break };
            match ticket.try_send() {
                Ok(()) => return Ok(ping),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => match self.prepare(ping.shape, ticket.to(), payload, ticket.duplicates()) {
                    Ok(other) if !other.lane.is_clogged() => ping = other,
                    _ => break,
                },
            }
        }
        if let Some(ticket) = &ping.ticket {
            ticket.send().await?;
        }
        Ok(ping)
    }

    fn open(&self, shape: Shape, pool: &mut Pool) -> Result<Arc<Lane<Socket>>, OpenError> {
        let socket = Socket::open(shape, Arc::clone(&self.figures))?;
        let lane = Arc::new(Lane::new(socket, rand::random(), Arc::clone(&self.figures)));
        pool.lanes.push(Arc::clone(&lane));
        self.serve(shape, Arc::clone(&lane));
        Ok(lane)
    }

    /// Starts the task that reads a lane until nobody has needed it for a while.
    fn serve(&self, shape: Shape, lane: Arc<Lane<Socket>>) {
        let (pools, figures) = (Arc::clone(&self.pools), Arc::clone(&self.figures));
        PingCounters::add(&figures.sockets);
        tokio::spawn(async move {
            // Places are given under the same lock, so nobody gets one on a lane that goes away.
            let is_needed = || {
                let mut pools = lock(&pools);
                let is_needed = lane.users.load(Ordering::Relaxed) > 0;
                if !is_needed && let Some(pool) = pools.get_mut(&shape) {
                    pool.lanes.retain(|other| !Arc::ptr_eq(other, &lane));
                    pool.free.retain(|other| !Arc::ptr_eq(other, &lane));
                    if pool.lanes.is_empty() {
                        pools.remove(&shape);
                    }
                }
                is_needed
            };
            lane.serve(PATIENCE, is_needed).await;
            figures.sockets.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

impl Ping {
    /// Its identifier.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Its sequence number.
    pub fn sequence(&self) -> u16 {
        self.ticket.as_ref().map_or(0, Ticket::sequence)
    }

    /// What kind of socket it goes through.
    pub fn privilege(&self) -> &Privilege {
        self.lane.wire.privilege()
    }

    /// Waits for the answer, for as long as the caller does. `None` when the socket is gone, which it is not before its pings.
    pub async fn answer(&mut self) -> Option<PingOutcome> {
        self.ticket.as_mut()?.answer().await
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        self.ticket = None;
        let mut pools = lock(&self.pools);
        if self.lane.users.fetch_sub(1, Ordering::Relaxed) == 1
            && let Some(pool) = pools.get_mut(&self.shape)
            && !pool.is_raw()
        {
            pool.free.push(Arc::clone(&self.lane));
        }
    }
}

fn lock(pools: &Mutex<Pools>) -> MutexGuard<'_, Pools> {
    pools.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::slots::CAPACITY;
    use super::*;
    use crate::AddressFamily;

    #[tokio::test]
    async fn pings_beyond_a_full_raw_socket_get_another() {
        let engine = Engine::default();
        let shape = Shape {
            family: AddressFamily::V4,
            source: None,
            ttl: 0,
            dont_fragment: true,
            dscp: None,
            interface: None,
        };
        let (to, payload) = (SocketAddr::from(([127, 0, 0, 1], 0)), Arc::from(&b"ping"[..]));
        let prepare = || engine.prepare(shape, to, &payload, None);
        let Ok(first) = prepare() else {
            println!("skipped: needs sockets for pings");
            return;
        };
        if !matches!(first.privilege(), Privilege::Raw(_)) {
            println!("skipped: needs net.ipv4.ping_group_range without the group of this process");
            return;
        }
        let others: Vec<_> = (1..CAPACITY).map(|_| prepare().unwrap()).collect();
        assert!(others.iter().all(|ping| Arc::ptr_eq(&ping.lane, &first.lane)));
        let beyond = [prepare(), engine.another(&first, to, &payload, None)];
        for ping in beyond {
            assert!(!Arc::ptr_eq(&ping.unwrap().lane, &first.lane));
        }
    }
}
