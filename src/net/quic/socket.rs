//! The UDP socket of one QUIC connection, one datagram at a time.
//!
//! quinn's own asks the kernel for many datagrams in one piece and keeps 3 MiB for them, per connection; here it is 47 KiB.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use crate::reason::Reason;

/// A call that failed, and how.
pub(super) type FailedCall = (&'static str, io::Error);

/// A socket that is connected to the one peer, so that the system says when nobody is there.
#[derive(Debug)]
pub(super) struct Socket {
    socket: UdpSocket,
    /// Takes the first error that says so.
    refused: Mutex<Option<oneshot::Sender<FailedCall>>>,
}

impl Socket {
    /// Takes a socket that is connected. The second half hears of the first packet that a host sends back instead of a peer.
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<(Arc<Self>, oneshot::Receiver<FailedCall>)> {
        let (refused, hears) = oneshot::channel();
        let socket = Self {
            socket: UdpSocket::from_std(socket)?,
            refused: Mutex::new(Some(refused)),
        };
        Ok((Arc::new(socket), hears))
    }

    /// Reads what the network says, without end: when a packet comes back, the system wakes only who waits for errors.
    pub(super) async fn listen(&self) -> Infallible {
        let said = || match self.socket.take_error()? {
            Some(error) => Ok(error),
            None => Err(io::ErrorKind::WouldBlock.into()),
        };
        while let Ok(error) = self.socket.async_io(Interest::ERROR, said).await {
            self.note("read", error);
        }
        std::future::pending().await
    }

    /// Notes an error that came from the network. What was sent may have been too large for the path, which says nothing of the peer.
    fn note(&self, call: &'static str, error: io::Error) {
        let tells = |call| {
            matches!(
                Reason::of_call(call, &error),
                Reason::ConnectRefused | Reason::ConnectUnreachable
            )
        };
        // Sending also returns what came back for an earlier packet.
        let Some(call) = ["read", call].into_iter().find(|call| tells(call)) else {
            return;
        };
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refused) = refused.take() {
            // Nobody waits once there is a connection.
            let _ = refused.send((call, error));
        }
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable {
            socket: self,
            waiting: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.socket.try_send(transmit.contents) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            // Packets get lost: what was not sent is sent again.
            Err(error) => {
                self.note("send", error);
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut received = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            let mut into = ReadBuf::new(buffer);
            let mut polled = self.socket.poll_recv_from(cx, &mut into);
            // The network's word about an earlier packet goes before what a peer has sent, once.
            if let Poll::Ready(Err(error)) = polled {
                self.note("read", error);
                polled = self.socket.poll_recv_from(cx, &mut into);
            }
            let from = match polled {
                Poll::Ready(Ok(from)) => from,
                Poll::Pending | Poll::Ready(Err(_)) if received > 0 => break,
                waiting => return waiting.map_ok(|_| 0),
            };
            let length = into.filled().len();
            *meta = RecvMeta {
                addr: from,
                len: length,
                stride: length,
                ecn: None,
                dst_ip: None,
            };
            received += 1;
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Waits until something can be sent. Each has its own waker, as quinn wants it.
struct Writable {
    socket: Arc<Socket>,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl fmt::Debug for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writable").finish_non_exhaustive()
    }
}

impl UdpPoller for Writable {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, waiting } = &mut *self;
        let waiting = waiting.get_or_insert_with(|| {
            let socket = Arc::clone(socket);
            Box::pin(async move { socket.socket.writable().await })
        });
        let writable = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(writable)
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    /// As from another host: when the packet comes back, the one who sent it waits already.
    #[tokio::test]
    async fn a_packet_that_comes_back_is_heard_of_at_once() {
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        ours.connect(gone).unwrap();
        ours.set_nonblocking(true).unwrap();
        let sender = ours.try_clone().unwrap();
        let (socket, hears) = Socket::new(ours).unwrap();
        let listener = tokio::spawn(async move { socket.listen().await });
        tokio::task::yield_now().await;
        sender.send(b"hello").unwrap();
        let (call, error) = tokio::time::timeout(Duration::from_secs(5), hears)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((call, error.kind()), ("read", io::ErrorKind::ConnectionRefused));
        listener.abort();
    }
}
