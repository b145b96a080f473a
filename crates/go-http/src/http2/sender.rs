//! What goes out on a connection: requests, their bodies as the peer's windows allow it, and answers to the peer's frames.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::error::Http2Error;
use super::frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, MAX_FRAME, SETTINGS, WINDOW_UPDATE, be32,
    push_frame,
};
use crate::http1::{FileBody, RequestBody};

/// How much of a request may wait to be written.
const MAX_OUT: usize = 64 << 10;

/// Most answers to pings and settings that may wait to be written.
const MAX_REPLIES: usize = 256 << 10;

/// The windows that the peer opens until it says otherwise.
const INITIAL_WINDOW: i64 = 65_535;

/// The window of the whole connection that is opened for the peer, as Go's client does it.
const CONNECTION_WINDOW: u32 = 1 << 30;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The sending half of a connection.
pub(super) struct Sender {
    out: Vec<u8>,
    /// Bytes of `out` that were written.
    written: usize,
    needs_flush: bool,
    /// Why nothing can be written any more. What the peer said before is still read.
    pub(super) write_error: Option<std::io::Error>,
    /// The stream of the request.
    stream: u32,
    body: Outgoing,
    connection_window: i64,
    stream_window: i64,
    initial_window: i64,
}

/// What is still to be sent of the request's body.
enum Outgoing {
    Done,
    /// The peer may want to be asked first.
    Held(Pin<Box<Sleep>>, RequestBody),
    Sending(RequestBody),
}

impl Sender {
    /// Begins a connection with these settings.
    pub(super) fn new(settings: &[u8]) -> Self {
        let mut out = PREFACE.to_vec();
        push_frame(&mut out, SETTINGS, 0, 0, settings);
        push_frame(&mut out, WINDOW_UPDATE, 0, 0, &CONNECTION_WINDOW.to_be_bytes());
        Self {
            out,
            written: 0,
            needs_flush: false,
            write_error: None,
            stream: 0,
            body: Outgoing::Done,
            connection_window: INITIAL_WINDOW,
            stream_window: INITIAL_WINDOW,
            initial_window: INITIAL_WINDOW,
        }
    }

    /// Begins a request with this header block and body. A body is held back for `patience` if there is one, until the peer
    /// says that it wants it.
    pub(super) fn begin(
        &mut self,
        stream: u32,
        headers: &[u8],
        body: RequestBody,
        patience: Option<Duration>,
    ) {
        let ends = if matches!(body, RequestBody::Empty) {
            END_STREAM
        } else {
            0
        };
        let mut blocks = headers.chunks(MAX_FRAME).peekable();
        let mut kind = HEADERS;
        while let Some(block) = blocks.next() {
            let last = if blocks.peek().is_none() { END_HEADERS } else { 0 };
            let flags = last | if kind == HEADERS { ends } else { 0 };
            push_frame(&mut self.out, kind, flags, stream, block);
            kind = CONTINUATION;
        }
        self.stream = stream;
        self.stream_window = self.initial_window;
        self.body = match (body, patience) {
            (RequestBody::Empty, _) => Outgoing::Done,
            (body, Some(patience)) => Outgoing::Held(Box::pin(tokio::time::sleep(patience)), body),
            (body, None) => Outgoing::Sending(body),
        };
    }

    /// The peer wants the body, or has answered without it.
    pub(super) fn release_body(&mut self) {
        self.body = match std::mem::replace(&mut self.body, Outgoing::Done) {
            Outgoing::Held(_, body) => Outgoing::Sending(body),
            other => other,
        };
    }

    /// Sends a frame after what waits already.
    pub(super) fn push(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        push_frame(&mut self.out, kind, flags, stream, payload);
    }

    /// A setting of the peer; those that do not concern the sending are passed over.
    pub(super) fn take_setting(&mut self, key: u16, value: u32) -> Result<(), Http2Error> {
        match key {
            4 if value > 0x7fff_ffff => {
                return Err(Http2Error::Connection("FLOW_CONTROL_ERROR: initial window"));
            }
            4 => {
                self.stream_window += i64::from(value) - self.initial_window;
                self.initial_window = i64::from(value);
            }
            _ => {}
        }
        Ok(())
    }

    /// The peer opens a window, which should not be too large.
    pub(super) fn take_window(
        &mut self,
        stream: u32,
        payload: &[u8],
        may_overflow: bool,
    ) -> Result<(), Http2Error> {
        let Some(more) = be32(payload).map(|more| i64::from(more & 0x7fff_ffff)) else {
            return Err(Http2Error::Connection("FRAME_SIZE_ERROR: WINDOW_UPDATE"));
        };
        let window = match stream {
            0 => &mut self.connection_window,
            _ if stream == self.stream => &mut self.stream_window,
            _ => return Ok(()),
        };
        *window += more;
        if more == 0 && stream != 0 {
            return Err(Http2Error::Malformed("a window that opens by nothing"));
        }
        if more == 0 || *window > 0x7fff_ffff && !may_overflow {
            return Err(Http2Error::Connection("FLOW_CONTROL_ERROR: window"));
        }
        Ok(())
    }

    /// Writes what can be written now.
    pub(super) fn poll_send<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Result<(), Http2Error> {
        loop {
            self.queue_body(cx)?;
            if self.write_error.is_some() {
                self.out.clear();
                self.written = 0;
                return Ok(());
            }
            if self.out.len() - self.written > MAX_REPLIES {
                return Err(Http2Error::Connection("ENHANCE_YOUR_CALM: answers are not read"));
            }
            let rest = self.out.get(self.written..).unwrap_or_default();
            if rest.is_empty() && !self.needs_flush {
                return Ok(());
            }
            let io = Pin::new(&mut *io);
            let done = if rest.is_empty() {
                io.poll_flush(cx).map_ok(|()| {
                    self.needs_flush = false;
                    0
                })
            } else {
                io.poll_write(cx, rest).map_ok(|bytes| {
                    self.needs_flush = true;
                    bytes
                })
            };
            match done {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) if self.needs_flush => {
                    self.write_error = Some(std::io::ErrorKind::WriteZero.into());
                }
                Poll::Ready(Ok(bytes)) => self.written += bytes,
                Poll::Ready(Err(error)) => self.write_error = Some(error),
            }
            // Also while a rest remains: a peer that pings all the time need never read everything that waits.
            if 2 * self.written >= self.out.len() {
                self.out.drain(..self.written);
                self.written = 0;
            }
        }
    }

    /// Puts more of the body behind what waits to be written, as far as the peer's windows allow it.
    fn queue_body(&mut self, cx: &mut Context<'_>) -> Result<(), Http2Error> {
        if let Outgoing::Held(patience, _) = &mut self.body
            && patience.as_mut().poll(cx).is_ready()
        {
            self.release_body();
        }
        while self.out.len() < MAX_OUT {
            let window = self.connection_window.min(self.stream_window);
            let room = usize::try_from(window).unwrap_or(0).min(MAX_FRAME);
            let Outgoing::Sending(body) = &mut self.body else {
                return Ok(());
            };
            // Where the end may be next, it is looked for before there is room for more: an empty frame with the end needs none.
            if let RequestBody::File(from) = body
                && from.first.is_empty()
            {
                let mut piece = vec![0; MAX_FRAME];
                let mut into = ReadBuf::new(&mut piece);
                match Pin::new(&mut from.file).poll_read(cx, &mut into) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(read) => {
                        read.map_err(|error| Http2Error::Source(FileBody::unreadable(&from.path, &error)))?;
                    }
                }
                let bytes = into.filled().len();
                piece.truncate(bytes);
                from.first = Bytes::from(piece);
                if bytes == 0 {
                    *body = RequestBody::Empty;
                }
            }
            let (piece, ends) = match body {
                RequestBody::Empty => (Bytes::new(), true),
                RequestBody::Bytes(left) if room == 0 && !left.is_empty() => return Ok(()),
                RequestBody::Bytes(left) => (left.split_to(room.min(left.len())), left.is_empty()),
                RequestBody::File(_) if room == 0 => return Ok(()),
                RequestBody::File(from) => (from.first.split_to(room.min(from.first.len())), false),
            };
            let flags = if ends { END_STREAM } else { 0 };
            push_frame(&mut self.out, DATA, flags, self.stream, &piece);
            let sent = i64::try_from(piece.len()).unwrap_or_default();
            self.connection_window -= sent;
            self.stream_window -= sent;
            if ends {
                self.body = Outgoing::Done;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;

    use super::super::frame::{ACK, PING};
    use super::*;

    #[tokio::test]
    async fn what_was_written_takes_no_memory() {
        const PINGS: usize = 100;
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        let mut sender = Sender::new(&[]);
        let (mut most, mut read) = (0, vec![0; PINGS * 17]);
        for round in 0..1000 {
            for _ in 0..PINGS {
                sender.push(PING, ACK, 0, b"12345678");
            }
            let sent = poll_fn(|cx| Poll::Ready(sender.poll_send(&mut ours, cx)));
            sent.await.unwrap();
            most = most.max(sender.out.len());
            // As much as is sent, except in the first rounds.
            if round > 10 {
                theirs.read_exact(&mut read).await.unwrap();
            }
        }
        assert!(most < 64 << 10, "{most} bytes");
    }
}
