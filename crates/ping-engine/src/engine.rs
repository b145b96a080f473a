//! All ICMP sockets of the process: a few shared ones instead of one for each ping.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::lane::{Lane, Ticket};
use super::socket::{OpenError, Shape, Socket};

/// Most sockets for pings of the same shape. A second one is opened only when the first has no room: when thirty thousand
/// pings wait on it, or when its send buffer is full of packets for hosts that do not answer ARP.
const MAX_LANES: usize = 64;
/// How long an unused socket is kept.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the engine did so far.
#[derive(Debug, Default)]
pub struct Figures {
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

impl Figures {
    /// Adds one to a figure.
    pub fn add(figure: &AtomicU64) {
        figure.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a ping cannot even be tried.
#[derive(Debug)]
pub enum PrepareError {
    /// There is no socket for it.
    Open(OpenError),
    /// All sockets are full.
    Full,
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => write!(f, "{error}"),
            Self::Full => write!(f, "{} sockets are full of waiting pings", MAX_LANES),
        }
    }
}

impl std::error::Error for PrepareError {}

type Lanes = HashMap<Shape, Vec<Arc<Lane<Socket>>>>;

/// The shared ICMP sockets of this process. They are opened when they are needed and closed when they are not.
#[derive(Debug, Default)]
pub struct Engine {
    lanes: Arc<Mutex<Lanes>>,
    figures: Arc<Figures>,
}

impl Engine {
    /// What it did so far.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// A place for a ping on a socket of that shape.
    ///
    /// # Errors
    /// No socket is allowed, or all are full.
    pub fn prepare(
        &self,
        shape: Shape,
        to: SocketAddr,
        payload: &Arc<[u8]>,
    ) -> Result<Ticket<Socket>, PrepareError> {
        let mut all = lock(&self.lanes);
        let lanes = all.entry(shape).or_default();
        let mut free = lanes.iter().filter(|lane| !lane.is_clogged());
        if let Some(ticket) = free.find_map(|lane| lane.reserve(to, payload)) {
            return Ok(ticket);
        }
        let opened = if lanes.len() < MAX_LANES {
            Socket::open(shape, Arc::clone(&self.figures)).map_err(PrepareError::Open)
        } else {
            Err(PrepareError::Full)
        };
        match opened {
            Ok(socket) => {
                let lane = Arc::new(Lane::new(socket, rand::random(), Arc::clone(&self.figures)));
                lanes.push(Arc::clone(&lane));
                self.serve(shape, Arc::clone(&lane));
                lane.reserve(to, payload).ok_or(PrepareError::Full)
            }
            // Better a socket that must be waited for than none.
            Err(error) => lanes
                .iter()
                .find_map(|lane| lane.reserve(to, payload))
                .ok_or(error),
        }
    }

    /// Sends a ping, from another socket if its own has no room. Returns the ticket that the answer comes to.
    ///
    /// # Errors
    /// What the system says about this packet.
    pub async fn send(
        &self,
        shape: Shape,
        mut ticket: Ticket<Socket>,
        payload: &Arc<[u8]>,
    ) -> io::Result<Ticket<Socket>> {
        for _ in 0..MAX_LANES {
            match ticket.try_send() {
                Ok(()) => return Ok(ticket),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => match self.prepare(shape, ticket.to(), payload) {
                    Ok(other) if !other.lane().is_clogged() => ticket = other,
                    _ => break,
                },
            }
        }
        ticket.send().await?;
        Ok(ticket)
    }

    /// Starts the task that reads a lane until nobody has needed it for a while.
    fn serve(&self, shape: Shape, lane: Arc<Lane<Socket>>) {
        let (lanes, figures) = (Arc::clone(&self.lanes), Arc::clone(&self.figures));
        Figures::add(&figures.sockets);
        tokio::spawn(async move {
            // Places are given under the same lock, so nobody gets one on a lane that goes away.
            let is_needed = || {
                let mut lanes = lock(&lanes);
                let is_needed = !lane.is_idle();
                if !is_needed && let Some(same) = lanes.get_mut(&shape) {
                    same.retain(|other| !Arc::ptr_eq(other, &lane));
                    if same.is_empty() {
                        lanes.remove(&shape);
                    }
                }
                is_needed
            };
            lane.serve(PATIENCE, is_needed).await;
            figures.sockets.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn lock(lanes: &Mutex<Lanes>) -> MutexGuard<'_, Lanes> {
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}
