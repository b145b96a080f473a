//! A socket as the pings see it, so that tests lose, reorder, duplicate and delay packets without one.

use std::io;
use std::net::SocketAddr;
use std::time::SystemTime;

use super::packet::Report;

/// What a socket hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// An echo reply.
    Reply {
        /// Who sent it, port 0.
        from: SocketAddr,
        /// Its identifier.
        id: u16,
        /// Its sequence number.
        sequence: u16,
        /// Its payload.
        payload: &'a [u8],
        /// TTL or hop limit with which it arrived.
        hop_limit: Option<u8>,
        /// When the kernel received it.
        at: Option<SystemTime>,
    },
    /// A request did not arrive.
    Failure {
        /// Whom it was for, port 0.
        to: SocketAddr,
        /// Its identifier; `None` when the socket has one for all, which is the right one then.
        id: Option<u16>,
        /// Its sequence number.
        sequence: u16,
        /// Why.
        report: Report,
    },
    /// A packet that is nobody's answer.
    Noise,
}

/// A socket that sends echo requests and hears what comes back.
pub trait Wire: Send + Sync + 'static {
    /// Whether it also hears answers to other programs' requests.
    fn hears_others(&self) -> bool {
        false
    }

    /// Sends a request without waiting; `WouldBlock` when there is no room.
    fn try_send(&self, to: SocketAddr, id: u16, sequence: u16, payload: &[u8]) -> io::Result<()>;

    /// Waits until there is room and calls `write`, until it returns something else than `WouldBlock`.
    fn when_writable(
        &self,
        write: impl FnMut() -> io::Result<()> + Send,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Reads one packet or error without waiting; `WouldBlock` when there is none.
    fn try_receive(&self, sink: &mut dyn FnMut(Arrival<'_>)) -> io::Result<()>;

    /// Waits until there is something to read and calls `read` for it.
    fn when_readable(&self, read: impl FnMut() -> Left + Send)
    -> impl Future<Output = io::Result<()>> + Send;
}

/// Whether a socket was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It would have blocked.
    Nothing,
    /// There may be more.
    More,
}
