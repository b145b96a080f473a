//! The connection before TLS, read no further than asked: under the deadline, and a bounded number of bytes in all.

use std::future::poll_fn;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWriteExt;

use super::error::StartTlsError;
use crate::log;
use crate::net::buffer::poll_read_piece;
use crate::net::{AnyStream, Deadline};
use crate::probe_log::{EXCERPT, ProbeLog, excerpt};
use crate::prober::query_response::WireError;

/// Most bytes that a server may say before the handshake.
pub(super) const MOST: usize = 64 << 10;

/// How much is read at a time.
const PIECE: usize = 1 << 10;

/// A connection in the clear, with what came and was not asked for yet.
pub(super) struct Wire<'c, 'l> {
    pub connection: Box<dyn AnyStream + 'c>,
    /// What is awaited, for the texts of errors.
    pub awaited: &'static str,
    log: &'l mut ProbeLog,
    deadline: Deadline,
    buffer: BytesMut,
    /// The last line of what is awaited, while more of it must follow.
    last: Vec<u8>,
    /// Bytes received so far.
    received: usize,
}

impl<'c, 'l> Wire<'c, 'l> {
    pub fn new(connection: Box<dyn AnyStream + 'c>, deadline: Deadline, log: &'l mut ProbeLog) -> Self {
        Self {
            connection,
            awaited: "the server",
            log,
            deadline,
            buffer: BytesMut::new(),
            last: Vec::new(),
            received: 0,
        }
    }

    /// Sends a message, and says what is awaited for it.
    pub async fn send(&mut self, message: &[u8], awaited: &'static str) -> Result<(), StartTlsError> {
        self.awaited = awaited;
        self.last.clear();
        log!(self.log, Debug, "Sending line", "line" => excerpt(message.trim_ascii_end(), EXCERPT));
        let write = async {
            self.connection.write_all(message).await?;
            self.connection.flush().await
        };
        match self.deadline.within(write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(StartTlsError::Wire(WireError::Io(error))),
            Err(timed_out) => Err(StartTlsError::Wire(WireError::TimedOut(timed_out))),
        }
    }

    /// The next line, without its end.
    pub async fn line(&mut self) -> Result<Vec<u8>, StartTlsError> {
        let mut line = self.through(b'\n').await?;
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        log!(self.log, Debug, "Read line", "line" => excerpt(&line, EXCERPT));
        self.last.clone_from(&line);
        Ok(line)
    }

    /// What comes next, up to this byte and with it.
    pub async fn through(&mut self, end: u8) -> Result<Vec<u8>, StartTlsError> {
        // Very many lines come in one read.
        tokio::task::consume_budget().await;
        let mut scanned = 0;
        loop {
            let fresh = self.buffer.get(scanned..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == end) {
                return Ok(self.buffer.split_to(scanned + at + 1).to_vec());
            }
            scanned = self.buffer.len();
            self.fill().await?;
        }
    }

    /// The next `count` bytes.
    pub async fn bytes(&mut self, count: usize) -> Result<Vec<u8>, StartTlsError> {
        if count > MOST {
            return Err(StartTlsError::TooMuch { most: MOST });
        }
        while self.buffer.len() < count {
            self.fill().await?;
        }
        let bytes = self.buffer.get(..count).unwrap_or_default().to_vec();
        self.buffer.advance(bytes.len());
        Ok(bytes)
    }

    /// The next so many bytes.
    pub async fn array<const N: usize>(&mut self) -> Result<[u8; N], StartTlsError> {
        let bytes = self.bytes(N).await?;
        // Invariant: that many were asked for.
        bytes
            .try_into()
            .map_err(|_| StartTlsError::Malformed("it is too short".into()))
    }

    /// How many bytes came that nobody asked for.
    pub fn surplus(&self) -> usize {
        self.buffer.len()
    }

    /// Waits for more.
    async fn fill(&mut self) -> Result<(), StartTlsError> {
        if self.received >= MOST {
            return Err(StartTlsError::TooMuch { most: MOST });
        }
        let most = MOST - self.received;
        let (connection, buffer) = (&mut self.connection, &mut self.buffer);
        let fill = poll_fn(|cx| {
            poll_read_piece::<PIECE>(connection, cx, most, |piece| buffer.extend_from_slice(piece))
        });
        let error = match self.deadline.within(fill).await {
            Ok(Ok(0)) => WireError::End,
            Ok(Ok(count)) => {
                self.received += count;
                return Ok(());
            }
            Ok(Err(error)) => WireError::Io(error),
            Err(timed_out) => WireError::TimedOut(timed_out),
        };
        let said = [&*self.last, &*self.buffer]
            .into_iter()
            .rfind(|said| !said.is_empty());
        Err(match said {
            Some(said) => StartTlsError::Unfinished {
                said: said.to_vec(),
                error,
            },
            None => StartTlsError::Wire(error),
        })
    }
}
