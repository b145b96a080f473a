//! Lines and bytes from a connection, by the rules of Go's `bufio.Scanner`.

use std::future::poll_fn;
use std::io;

use bytes::{Buf, BytesMut};

use super::WireError;
use crate::net::buffer::poll_read_piece;
use crate::net::{AnyStream, Deadline};

/// Most bytes of a line, without its newline but with its carriage return.
pub(super) const LONGEST_LINE: usize = MOST - 1;

/// Most bytes that are held while a line is not complete.
const MOST: usize = 64 * 1024;

/// Most bytes of a prompt: a longer text that is not ended is looked at when it is.
const LONGEST_PROMPT: usize = 4096;

/// How much is read at a time.
const PIECE: usize = 8 << 10;

/// A connection with what came from it and was not asked for yet.
pub(super) struct LineReader<'c> {
    pub connection: Box<dyn AnyStream + 'c>,
    buffer: BytesMut,
    /// How much of the buffer is known to have no newline.
    scanned: usize,
    /// How much of the buffer was handed out as [`Piece::Open`].
    shown: usize,
    /// Why nothing more will come.
    end: Option<End>,
}

/// What was read.
pub(super) enum Piece {
    /// A line without its newline and one carriage return before that. The last one need not be ended: it counts when the
    /// peer closes, and when the deadline comes.
    Line(Vec<u8>),
    /// The beginning of a line. It stays in the buffer until [`LineReader::accept`].
    Open(Vec<u8>),
}

enum End {
    /// The peer finished.
    Closed,
    /// The deadline passed; an unfinished line was handed out.
    Late(WireError),
}

impl<'c> LineReader<'c> {
    pub fn new(connection: Box<dyn AnyStream + 'c>) -> Self {
        Self {
            connection,
            buffer: BytesMut::new(),
            scanned: 0,
            shown: 0,
            end: None,
        }
    }

    /// The next line; `None` at the end. With `prompts`, what came of a line before its end, each time that more came.
    pub async fn next(&mut self, deadline: Deadline, prompts: bool) -> Result<Option<Piece>, WireError> {
        // Lines that never end are always there to be read: the clock is looked at for each.
        if self.end.is_none() && deadline.left().is_zero() {
            return Err(WireError::TimedOut(deadline.timed_out()));
        }
        loop {
            let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|b| *b == b'\n') {
                let line = self.take(self.scanned + at);
                self.buffer.advance(1);
                return Ok(Some(Piece::Line(without_return(line))));
            }
            self.scanned = self.buffer.len();
            let has_more = (self.shown + 1..=LONGEST_PROMPT).contains(&self.buffer.len());
            if prompts && has_more && self.end.is_none() {
                self.shown = self.buffer.len();
                return Ok(Some(Piece::Open(self.buffer.to_vec())));
            }
            match self.end.take() {
                None => {}
                Some(End::Late(error)) => return Err(error),
                Some(End::Closed) => {
                    self.end = Some(End::Closed);
                    let line = self.take(self.buffer.len());
                    return Ok((!line.is_empty()).then(|| Piece::Line(without_return(line))));
                }
            }
            if self.buffer.len() >= MOST {
                return Err(WireError::TooLong);
            }
            match self.fill(MOST - self.buffer.len(), deadline).await {
                Ok(()) => {}
                Err(WireError::End) => self.end = Some(End::Closed),
                // compat: a line that the peer leaves unfinished is judged when the time is over; upstream never looks at it.
                Err(late @ WireError::TimedOut(_)) if !self.buffer.is_empty() => {
                    self.end = Some(End::Late(late));
                    let line = self.take(self.buffer.len());
                    return Ok(Some(Piece::Line(without_return(line))));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the [`Piece::Open`] that was handed out last.
    pub fn accept(&mut self) {
        self.take(self.buffer.len());
    }

    /// Whether the last line was judged because the time was over.
    pub fn is_late(&self) -> bool {
        matches!(self.end, Some(End::Late(_)))
    }

    /// The next `count` bytes, or fewer and the reason.
    pub async fn bytes(&mut self, count: usize, deadline: Deadline) -> (Vec<u8>, Option<WireError>) {
        while self.buffer.len() < count {
            let error = match self.end.take() {
                Some(End::Closed) => Err(WireError::End),
                Some(End::Late(error)) => Err(error),
                None => self.fill(count - self.buffer.len(), deadline).await,
            };
            if let Err(error) = error {
                return (self.take(self.buffer.len()), Some(error));
            }
        }
        (self.take(count), None)
    }

    /// Waits for more, at most `most` bytes.
    async fn fill(&mut self, most: usize, deadline: Deadline) -> Result<(), WireError> {
        let Self {
            connection, buffer, ..
        } = self;
        let fill = poll_fn(|cx| {
            poll_read_piece::<PIECE>(connection, cx, most, |piece| buffer.extend_from_slice(piece))
        });
        match deadline.within(fill).await {
            Ok(Ok(0)) => Err(WireError::End),
            Ok(Ok(_)) => Ok(()),
            // TLS without its own goodbye: an end like any other, as Go has it.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(WireError::End),
            Ok(Err(error)) => Err(WireError::Io(error)),
            Err(timed_out) => Err(WireError::TimedOut(timed_out)),
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        (self.scanned, self.shown) = (0, 0);
        self.buffer.split_to(count.min(self.buffer.len())).to_vec()
    }
}

fn without_return(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    line
}
