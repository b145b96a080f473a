//! One query and its answer, over a connection that was opened for it.

use std::io;
use std::ops::Deref;
use std::sync::LazyLock;

use miekg_dns::message::{Message, ReadError};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::DnsError;
use super::place::Place;
use crate::memory::{self, Use};
use crate::net::Deadline;
use crate::net::arrivals::Datagrams;
use crate::net::dns::{self, Ask, CarryError, DohMethod};
use crate::prober::connect::Stream;

/// Octets of a header.
const HEADER: usize = 12;

/// An answer of so many octets is read aside.
const LONG: usize = 8192;

/// A way to ask.
#[derive(Debug)]
pub(super) enum DnsConnection {
    /// A connected socket: the system drops what other addresses send.
    Udp(Datagrams),
    /// A stream of messages with their lengths in front, perhaps within TLS (RFC 7858).
    Stream(Box<Stream>),
    /// HTTP/2, or else HTTP/1.1; gone once it was asked.
    Http {
        stream: Option<Box<Stream>>,
        speaks_http2: bool,
    },
    Http3(quinn::Connection),
    Quic(quinn::Connection),
}

/// What is asked, and how.
#[derive(Debug)]
pub(super) struct DnsQuery<'a> {
    pub message: Vec<u8>,
    pub id: u16,
    /// The longest answer over UDP.
    pub udp_size: u16,
    /// Whether the header of a truncated answer is enough of it.
    pub forgives_truncation: bool,
    /// The host and path of DNS over HTTPS.
    pub place: &'a Place,
    /// How DNS over HTTPS asks.
    pub method: DohMethod,
}

impl DnsQuery<'_> {
    fn http(&self) -> Ask<'_> {
        Ask {
            authority: &self.place.authority,
            path: &self.place.path,
            method: self.method,
            message: &self.message,
        }
    }
}

/// Answers of at least [`LONG`] octets that are read and judged at the same time.
static LONG_ANSWERS: LazyLock<Semaphore> = LazyLock::new(|| {
    let places = memory::most(Use::Bodies).map_or(64, |most| most / LONG_ANSWER);
    Semaphore::new(places.clamp(1, 64))
});

/// What a long answer takes, in bytes: sixty-five thousand octets can be thousands of records, or sets of all types of records.
const LONG_ANSWER: usize = 32 << 20;

/// An answer; a long one keeps its place among the long ones.
#[derive(Debug)]
pub(super) struct DnsResponse {
    message: Message,
    _place: Option<SemaphorePermit<'static>>,
}

impl DnsResponse {
    fn short(message: Message) -> Self {
        Self {
            message,
            _place: None,
        }
    }
}

impl Deref for DnsResponse {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl DnsConnection {
    /// The identifier of a query: 0 where the connection tells answers apart (RFC 8484, RFC 9250), else any.
    pub(super) fn id(&self) -> u16 {
        match self {
            Self::Udp(_) | Self::Stream(_) => rand::random(),
            Self::Http { .. } | Self::Http3(_) | Self::Quic(_) => 0,
        }
    }

    /// Sends the query; over HTTP and QUIC that is one step with receiving.
    ///
    /// # Errors
    /// The system's error, the end of the connection, or the deadline.
    pub(super) async fn send(&mut self, asked: &DnsQuery<'_>, deadline: Deadline) -> Result<(), DnsError> {
        let sending = async {
            match self {
                Self::Udp(socket) => {
                    let sent = socket.send(&asked.message).await;
                    sent.map(|_| ()).map_err(CarryError::Send)
                }
                Self::Stream(stream) => dns::send(stream, &asked.message).await,
                Self::Http { .. } | Self::Http3(_) | Self::Quic(_) => Ok(()),
            }
        };
        match deadline.within(sending).await {
            Ok(sent) => sent.map_err(DnsError::Carry),
            Err(timed_out) => Err(DnsError::TimedOut { timed_out, strays: 0 }),
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

    /// Waits for the answer. Over UDP, answers with other identifiers are passed over; but whatever comes and is no answer
    /// at all ends the waiting, as it does upstream.
    ///
    /// # Errors
    /// The system's error, the end of the connection, the deadline, or an answer that cannot be used.
    pub(super) async fn receive(
        &mut self,
        asked: &DnsQuery<'_>,
        deadline: Deadline,
    ) -> Result<DnsResponse, DnsError> {
        let mut strays = 0;
        let receiving = async {
            let carried = match self {
                Self::Udp(socket) => loop {
                    let answer = receive_datagram(socket, asked).await?;
                    if answer.id == asked.id {
                        return Ok(answer);
                    }
                    strays += 1;
                },
                Self::Stream(stream) => dns::receive(stream).await,
                Self::Http { stream, speaks_http2 } => match stream.take() {
                    Some(stream) => Box::pin(dns::over_http(*stream, *speaks_http2, asked.http())).await,
                    None => Err(CarryError::Closed),
                },
                Self::Http3(connection) => Box::pin(dns::over_http3(connection.clone(), asked.http())).await,
                Self::Quic(connection) => dns::over_quic(connection, &asked.message).await,
            };
            read(carried.map_err(DnsError::Carry)?, asked.id).await
        };
        let received = deadline.within(receiving).await;
        received.unwrap_or_else(|timed_out| Err(DnsError::TimedOut { timed_out, strays }))
    }
}

async fn receive_datagram(socket: &Datagrams, asked: &DnsQuery<'_>) -> Result<DnsResponse, DnsError> {
    let size = usize::from(asked.udp_size);
    // One octet more than is read, to know of an answer that was cut.
    let mut buffer = vec![0; size + 1];
    let length = socket.receive(&mut buffer).await;
    let length = length.map_err(|error| DnsError::Carry(CarryError::Receive(error)))?;
    buffer.truncate(length.min(size));
    let (octets, answer) = parse(buffer).await?;
    answer.or_else(|error| {
        let header = octets.get(..HEADER).filter(|_| asked.forgives_truncation);
        match header.map(Message::read) {
            Some(Ok(message)) if message.is_truncated() => Ok(DnsResponse::short(message)),
            _ if length > size => Err(DnsError::Cut {
                error,
                size: asked.udp_size,
            }),
            _ => Err(DnsError::Read(error)),
        }
    })
}

/// The answer that came by itself.
async fn read(octets: Vec<u8>, id: u16) -> Result<DnsResponse, DnsError> {
    let (_, answer) = parse(octets).await?;
    let answer = answer.map_err(DnsError::Read)?;
    if answer.id == id {
        Ok(answer)
    } else {
        Err(DnsError::Stray {
            sent: id,
            received: answer.id,
        })
    }
}

/// Reads an answer, a long one when it has a place among them. Gives the octets back.
async fn parse(octets: Vec<u8>) -> Result<(Vec<u8>, Result<DnsResponse, ReadError>), DnsError> {
    if octets.len() < LONG {
        let answer = Message::read(&octets).map(DnsResponse::short);
        return Ok((octets, answer));
    }
    // It is never closed.
    let place = LONG_ANSWERS.acquire().await.ok();
    // Thousands of records, each perhaps with a name of 255 octets: not on a thread that serves others.
    let reading = tokio::task::spawn_blocking(move || {
        let message = Message::read(&octets);
        (octets, message, place)
    });
    let failed = |error: tokio::task::JoinError| CarryError::Receive(io::Error::from(error));
    let (octets, message, place) = reading.await.map_err(|error| DnsError::Carry(failed(error)))?;
    let answer = message.map(|message| DnsResponse {
        message,
        _place: place,
    });
    Ok((octets, answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::tests::while_and_after;

    #[test]
    fn a_long_answer_that_nobody_waits_for_keeps_its_place() {
        let free = || LONG_ANSWERS.available_permits();
        let all = free();
        assert_eq!(while_and_after(parse(vec![0; LONG]), free), (all - 1, all));
    }
}
