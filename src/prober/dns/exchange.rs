//! One query and its answer, over a connection that was opened for it.

use std::fmt;
use std::io;

use miekg_dns::message::{Message, ReadError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;

use crate::module::{NameError, Query};
use crate::net::dial::SystemError;
use crate::net::{Deadline, TimedOut};
use crate::prober::connect::{ConnectError, Failure, Stream};

/// Longest answer over UDP: that of RFC 1035, since the query has no OPT record that would allow more. What is longer
/// is cut by the system, and then cannot be read.
const MAX_DATAGRAM: usize = 512;

/// An answer of so many octets is read aside.
const LONG: usize = 8192;

/// A way to ask.
#[derive(Debug)]
pub(super) enum Connection {
    /// A connected socket: the system drops what other addresses send.
    Udp(UdpSocket),
    /// A stream of messages with their lengths in front, perhaps within TLS (RFC 7858).
    Stream(Box<Stream>),
}

/// Why there is no answer.
#[derive(Debug)]
#[allow(missing_docs)]
pub(super) enum ExchangeError {
    Connect(Box<Failure>),
    Name(NameError),
    /// The query could not be sent.
    Send(io::Error),
    /// The answer could not be received.
    Receive(io::Error),
    /// The peer closed the connection before or within the answer.
    Closed,
    /// The deadline; strays are answers to other queries, which are ignored.
    TimedOut {
        timed_out: TimedOut,
        strays: usize,
    },
    /// The answer cannot be read.
    Read(ReadError),
    /// The answer cannot be read because it is longer than a datagram may be.
    Cut(ReadError),
    /// The answer on a stream belongs to another query.
    Stray {
        sent: u16,
        received: u16,
    },
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(failure) => match &failure.error {
                ConnectError::Port(error) => error.fmt(f),
                ConnectError::Tls(error) => write!(f, "TLS handshake: {error}"),
                error => error.fmt(f),
            },
            Self::Name(error) => error.fmt(f),
            Self::Send(error) => write!(f, "sending the query: {}", SystemError(error)),
            Self::Receive(error) => write!(f, "waiting for the answer: {}", SystemError(error)),
            Self::Closed => f.write_str("waiting for the answer: the connection was closed"),
            Self::TimedOut { timed_out, strays: 0 } => {
                write!(f, "waiting for the answer: i/o timeout: {timed_out}")
            }
            Self::TimedOut { timed_out, strays } => write!(
                f,
                "waiting for the answer: i/o timeout: {timed_out}; {strays} answers with other identifiers were ignored"
            ),
            Self::Read(error) => error.fmt(f),
            Self::Cut(error) => write!(
                f,
                "{error}; it was cut after {MAX_DATAGRAM} octets, which is all that UDP has room for without EDNS \
                 (transport_protocol: tcp has room for more)"
            ),
            Self::Stray { sent, received } => {
                write!(
                    f,
                    "id mismatch: the answer has the identifier {received}, the query {sent}"
                )
            }
        }
    }
}

impl std::error::Error for ExchangeError {}

impl Connection {
    /// Sends the query under an identifier.
    ///
    /// # Errors
    /// The system's error, the end of the connection, or the deadline.
    pub(super) async fn send(
        &mut self,
        query: &Query,
        id: u16,
        deadline: Deadline,
    ) -> Result<(), ExchangeError> {
        let message = query.with_id(id);
        let sending = async {
            match self {
                Self::Udp(socket) => socket.send(&message).await.map(|_| ()),
                Self::Stream(stream) => send_framed(stream, &message).await,
            }
        };
        match deadline.within(sending).await {
            Ok(sent) => sent.map_err(ExchangeError::Send),
            Err(timed_out) => Err(ExchangeError::TimedOut { timed_out, strays: 0 }),
        }
    }

    /// Takes leave, where the protocol has words for that; how it goes does not matter any more.
    pub(super) async fn close(mut self, deadline: Deadline) {
        if let Self::Stream(stream) = &mut self
            && stream.is_encrypted()
        {
            let _ = deadline.within(stream.shutdown()).await;
        }
    }

    /// Waits for the answer to the query `id`. Over UDP, answers with other identifiers are passed over; but whatever
    /// comes and is no answer at all ends the waiting, as it does upstream.
    ///
    /// # Errors
    /// The system's error, the end of the connection, the deadline, or an answer that cannot be used.
    pub(super) async fn receive(&mut self, id: u16, deadline: Deadline) -> Result<Message, ExchangeError> {
        let mut strays = 0;
        let receiving = async {
            match self {
                Self::Udp(socket) => loop {
                    let answer = receive_datagram(socket).await?;
                    if answer.id == id {
                        return Ok(answer);
                    }
                    strays += 1;
                },
                Self::Stream(stream) => receive_framed(stream, id).await,
            }
        };
        let received = deadline.within(receiving).await;
        received.unwrap_or_else(|timed_out| Err(ExchangeError::TimedOut { timed_out, strays }))
    }
}

async fn send_framed(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    // Invariant: `Query` is never longer than a length of 16 bits can say.
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).await?;
    stream.flush().await
}

async fn receive_datagram(socket: &UdpSocket) -> Result<Message, ExchangeError> {
    // One octet more than is read, to know of an answer that was cut.
    let mut buffer = [0; MAX_DATAGRAM + 1];
    let length = socket.recv(&mut buffer).await.map_err(ExchangeError::Receive)?;
    let octets = buffer.get(..length.min(MAX_DATAGRAM)).unwrap_or_default();
    let failed = if length > MAX_DATAGRAM {
        ExchangeError::Cut
    } else {
        ExchangeError::Read
    };
    Message::read(octets).map_err(failed)
}

async fn receive_framed(stream: &mut (impl AsyncRead + Unpin), id: u16) -> Result<Message, ExchangeError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ExchangeError::Closed,
        _ => ExchangeError::Receive(error),
    };
    let length = stream.read_u16().await.map_err(failed)?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.map_err(failed)?;
    let answer = if buffer.len() < LONG {
        Message::read(&buffer)
    } else {
        // Thousands of records, each perhaps with a name of 255 octets: not on a thread that serves others.
        let reading = tokio::task::spawn_blocking(move || Message::read(&buffer));
        reading
            .await
            .map_err(|error| ExchangeError::Receive(error.into()))?
    };
    let answer = answer.map_err(ExchangeError::Read)?;
    if answer.id == id {
        Ok(answer)
    } else {
        Err(ExchangeError::Stray {
            sent: id,
            received: answer.id,
        })
    }
}
