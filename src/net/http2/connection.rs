//! The frames of one connection that carries one request (RFC 9113).

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::error::Http2Error;
use super::hpack::{Decoder, Field};
use crate::net::buffer::Buffer;
use crate::net::http1::RequestBody;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// The one stream of a connection.
const STREAM: u32 = 1;

/// Largest frame that either side sends unasked.
const MAX_FRAME: usize = 16 << 10;

/// Windows that are opened for the peer, as Go's client does it.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// Most bytes of the header blocks of one answer, and of its fields.
const MAX_HEADERS: usize = 10 << 20;

/// How much of a request may wait to be written.
const MAX_OUT: usize = 64 << 10;

/// Most answers to pings and settings that may wait to be written.
const MAX_REPLIES: usize = 256 << 10;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection with its one stream.
pub(super) struct Connection<S> {
    io: S,
    buffer: Buffer,
    out: Vec<u8>,
    /// Bytes of `out` that were written.
    written: usize,
    needs_flush: bool,
    write_error: Option<std::io::Error>,
    decoder: Decoder,
    body: Outgoing,
    connection_window: i64,
    stream_window: i64,
    initial_window: i64,
    max_frame: usize,
    got_settings: bool,
    goaway: Option<(u32, u32, String)>,
    /// A header block that goes on in the next frame, and whether the stream ends with it.
    block: Option<(Vec<u8>, bool)>,
    header_bytes: usize,
    /// Bytes of a DATA frame that were not handed out, its padding, and whether the stream ends with it.
    data: Option<DataFrame>,
    /// Bytes taken out since the windows were opened last.
    taken: u32,
    pub(super) ended: bool,
    /// When the last header block of the answer came.
    pub(super) headers_at: Option<Instant>,
}

#[derive(Debug)]
struct DataFrame {
    left: usize,
    padding: usize,
    ends: bool,
}

/// What is still to be sent of the request's body.
enum Outgoing {
    Done,
    /// The peer may want to be asked first.
    Held(Pin<Box<Sleep>>, RequestBody),
    Sending(RequestBody),
}

/// What a peer said about the stream.
pub(super) enum Event {
    /// A header block.
    Headers(Vec<Field>),
    /// There is something in [`Connection::data`].
    Data,
}

impl<S> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

struct FrameHead {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl FrameHead {
    const LENGTH: usize = 9;

    fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [a, b, c, kind, flags, s1, s2, s3, s4, ..] => Some(Self {
                length: usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c),
                kind: *kind,
                flags: *flags,
                stream: u32::from_be_bytes([*s1, *s2, *s3, *s4]) & 0x7fff_ffff,
            }),
            _ => None,
        }
    }
}

fn push_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    out.extend_from_slice(length.get(1..).unwrap_or_default());
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

fn be32(bytes: &[u8]) -> Option<u32> {
    bytes
        .get(..4)
        .and_then(|b| b.try_into().ok())
        .map(u32::from_be_bytes)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection on which a request with this header block and body is about to be sent. A body is held back for
    /// `patience` if there is one, until the peer says that it wants it.
    pub(super) fn new(io: S, headers: &[u8], body: RequestBody, patience: Option<Duration>) -> Self {
        let mut out = PREFACE.to_vec();
        let mut settings = Vec::new();
        let list = u32::try_from(MAX_HEADERS).unwrap_or_default();
        for (key, value) in [(2_u16, 0_u32), (4, STREAM_WINDOW), (6, list)] {
            settings.extend_from_slice(&key.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        push_frame(&mut out, SETTINGS, 0, 0, &settings);
        push_frame(&mut out, WINDOW_UPDATE, 0, 0, &CONNECTION_WINDOW.to_be_bytes());
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
            push_frame(&mut out, kind, flags, STREAM, block);
            kind = CONTINUATION;
        }
        let body = match (body, patience) {
            (RequestBody::Empty, _) => Outgoing::Done,
            (body, Some(patience)) => Outgoing::Held(Box::pin(tokio::time::sleep(patience)), body),
            (body, None) => Outgoing::Sending(body),
        };
        Self {
            io,
            buffer: Buffer::default(),
            out,
            written: 0,
            needs_flush: false,
            write_error: None,
            decoder: Decoder::default(),
            body,
            connection_window: 65_535,
            stream_window: 65_535,
            initial_window: 65_535,
            max_frame: MAX_FRAME,
            got_settings: false,
            goaway: None,
            block: None,
            header_bytes: 0,
            data: None,
            taken: 0,
            ended: false,
            headers_at: None,
        }
    }

    /// The peer wants the body, or has answered without it.
    pub(super) fn release_body(&mut self) {
        self.body = match std::mem::replace(&mut self.body, Outgoing::Done) {
            Outgoing::Held(_, body) => Outgoing::Sending(body),
            other => other,
        };
    }

    /// Bytes of the present DATA frame.
    pub(super) fn data(&self) -> &[u8] {
        let left = self.data.as_ref().map_or(0, |frame| frame.left);
        let data = self.buffer.data();
        data.get(..left).unwrap_or(data)
    }

    /// Marks bytes of [`data`](Self::data) as used.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.buffer.consume(bytes);
        if let Some(frame) = &mut self.data {
            frame.left = frame.left.saturating_sub(bytes);
        }
        self.open_windows(bytes);
    }

    fn open_windows(&mut self, bytes: usize) {
        self.taken = self
            .taken
            .saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if self.taken >= STREAM_WINDOW / 4 {
            for stream in [0, STREAM] {
                push_frame(&mut self.out, WINDOW_UPDATE, 0, stream, &self.taken.to_be_bytes());
            }
            self.taken = 0;
        }
    }

    /// Sends what is to be sent and waits for the next thing about the stream; `None` at its end.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, Http2Error>> {
        loop {
            self.poll_send(cx)?;
            if !self.data().is_empty() {
                return Poll::Ready(Ok(Some(Event::Data)));
            }
            if self.data.as_ref().is_some_and(|frame| frame.left == 0) {
                self.skip_padding();
                if self.data.is_none() {
                    continue;
                }
            }
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            if self.data.is_none() && self.has_frame() {
                if let Some(event) = self.next_frame()? {
                    return Poll::Ready(Ok(Some(event)));
                }
                continue;
            }
            if ready!(self.buffer.poll_fill(&mut self.io, cx)).map_err(|e| self.read_failed(e))? == 0 {
                return Poll::Ready(Err(self.closed()));
            }
        }
    }

    /// Padding is read like data and thrown away.
    fn skip_padding(&mut self) {
        let Some(frame) = &mut self.data else { return };
        let bytes = frame.padding.min(self.buffer.data().len());
        frame.padding -= bytes;
        let (finished, ends) = (frame.padding == 0, frame.ends);
        self.buffer.consume(bytes);
        self.open_windows(bytes);
        if finished {
            self.data = None;
            self.ended = ends;
        }
    }

    fn read_failed(&mut self, error: std::io::Error) -> Http2Error {
        match self.closed() {
            Http2Error::Closed => Http2Error::Read(error),
            better => better,
        }
    }

    /// The best word for the end of the connection.
    fn closed(&mut self) -> Http2Error {
        match (self.goaway.take(), self.write_error.take()) {
            (Some((last_stream, code, debug)), _) => Http2Error::GoAway {
                code,
                last_stream,
                debug,
            },
            (None, Some(error)) => Http2Error::Write(error),
            (None, None) => Http2Error::Closed,
        }
    }

    /// Whether a whole frame, or the beginning of a DATA frame, is in the buffer.
    fn has_frame(&self) -> bool {
        let data = self.buffer.data();
        FrameHead::parse(data).is_some_and(|head| {
            let needed = if head.kind == DATA {
                usize::from(head.flags & PADDED != 0)
            } else {
                head.length
            };
            head.length > MAX_FRAME || data.len() >= FrameHead::LENGTH + needed.min(head.length)
        })
    }

    /// Takes the next frame, if it is there.
    fn next_frame(&mut self) -> Result<Option<Event>, Http2Error> {
        if !self.has_frame() {
            return Ok(None);
        }
        let data = self.buffer.data();
        let Some(head) = FrameHead::parse(data) else {
            return Ok(None);
        };
        if head.length > MAX_FRAME {
            return Err(Http2Error::Connection("FRAME_SIZE_ERROR: frame too large"));
        }
        if !self.got_settings && head.kind != SETTINGS {
            return Err(Http2Error::Connection(
                "PROTOCOL_ERROR: the first frame is not SETTINGS",
            ));
        }
        if self.block.is_some() && (head.kind != CONTINUATION || head.stream != STREAM) {
            return Err(Http2Error::Connection("PROTOCOL_ERROR: header block interrupted"));
        }
        if head.kind == DATA {
            return self.begin_data(&head).map(|()| None);
        }
        let payload = data
            .get(FrameHead::LENGTH..FrameHead::LENGTH + head.length)
            .unwrap_or_default()
            .to_vec();
        self.buffer.consume(FrameHead::LENGTH + head.length);
        match head.kind {
            HEADERS => self.take_headers(&head, &payload),
            CONTINUATION => self.continue_headers(head.flags, &payload),
            RST_STREAM if head.stream == STREAM => {
                let code = be32(&payload).ok_or(Http2Error::Connection("FRAME_SIZE_ERROR: RST_STREAM"))?;
                Err(Http2Error::Reset(code))
            }
            SETTINGS => self.take_settings(&head, &payload).map(|()| None),
            PUSH_PROMISE => Err(Http2Error::Connection("PROTOCOL_ERROR: push promised")),
            PING if payload.len() != 8 => Err(Http2Error::Connection("FRAME_SIZE_ERROR: PING")),
            PING => {
                if head.flags & ACK == 0 {
                    push_frame(&mut self.out, PING, ACK, 0, &payload);
                }
                Ok(None)
            }
            GOAWAY => self.take_goaway(&payload).map(|()| None),
            WINDOW_UPDATE => self.take_window(&head, &payload).map(|()| None),
            // PRIORITY, other streams, and what may be invented.
            _ => Ok(None),
        }
    }

    fn begin_data(&mut self, head: &FrameHead) -> Result<(), Http2Error> {
        if head.stream != STREAM || self.headers_at.is_none() {
            return Err(Http2Error::Connection("PROTOCOL_ERROR: DATA before HEADERS"));
        }
        let padded = usize::from(head.flags & PADDED != 0);
        let padding = match self.buffer.data().get(FrameHead::LENGTH) {
            Some(padding) if padded == 1 => usize::from(*padding),
            _ => 0,
        };
        let Some(left) = head.length.checked_sub(padded + padding) else {
            return Err(Http2Error::Connection("PROTOCOL_ERROR: padding too large"));
        };
        self.buffer.consume(FrameHead::LENGTH + padded);
        self.open_windows(padded);
        self.data = Some(DataFrame {
            left,
            padding,
            ends: head.flags & END_STREAM != 0,
        });
        Ok(())
    }

    fn take_headers(&mut self, head: &FrameHead, payload: &[u8]) -> Result<Option<Event>, Http2Error> {
        if head.stream != STREAM {
            return Err(Http2Error::Connection(
                "PROTOCOL_ERROR: HEADERS of an unknown stream",
            ));
        }
        let bad = Http2Error::Connection("PROTOCOL_ERROR: padding too large");
        let (mut block, mut padding) = (payload, 0);
        if head.flags & PADDED != 0 {
            let Some((length, rest)) = block.split_first() else {
                return Err(bad);
            };
            (block, padding) = (rest, usize::from(*length));
        }
        if head.flags & PRIORITY != 0 {
            block = block.get(5..).unwrap_or_default();
        }
        let Some(length) = block.len().checked_sub(padding) else {
            return Err(bad);
        };
        let block = block.get(..length).unwrap_or_default().to_vec();
        self.block = Some((block, head.flags & END_STREAM != 0));
        self.continue_headers(head.flags, &[])
    }

    fn continue_headers(&mut self, flags: u8, more: &[u8]) -> Result<Option<Event>, Http2Error> {
        let Some((mut block, ends)) = self.block.take() else {
            return Err(Http2Error::Connection(
                "PROTOCOL_ERROR: CONTINUATION without HEADERS",
            ));
        };
        block.extend_from_slice(more);
        if self.header_bytes + block.len() > MAX_HEADERS {
            return Err(Http2Error::Malformed(
                "response header list larger than advertised limit",
            ));
        }
        if flags & END_HEADERS == 0 {
            self.block = Some((block, ends));
            return Ok(None);
        }
        self.headers_at = Some(Instant::now());
        self.header_bytes += block.len();
        let (mut fields, mut size) = (Vec::new(), self.header_bytes);
        self.decoder
            .decode(&block, |field| {
                size += field.0.len() + field.1.len() + 32;
                if size <= MAX_HEADERS {
                    fields.push(field);
                }
            })
            .map_err(|_| Http2Error::Connection("COMPRESSION_ERROR"))?;
        if size > MAX_HEADERS {
            return Err(Http2Error::Malformed(
                "response header list larger than advertised limit",
            ));
        }
        self.header_bytes = size;
        self.ended = ends;
        Ok(Some(Event::Headers(fields)))
    }

    fn take_settings(&mut self, head: &FrameHead, payload: &[u8]) -> Result<(), Http2Error> {
        if head.stream != 0 || !payload.len().is_multiple_of(6) {
            return Err(Http2Error::Connection("FRAME_SIZE_ERROR: SETTINGS"));
        }
        if head.flags & ACK != 0 {
            return Ok(());
        }
        self.got_settings = true;
        for setting in payload.chunks_exact(6) {
            let (key, value) = match setting {
                [a, b, rest @ ..] => (u16::from_be_bytes([*a, *b]), be32(rest).unwrap_or_default()),
                _ => continue,
            };
            match key {
                4 if value > 0x7fff_ffff => {
                    return Err(Http2Error::Connection("FLOW_CONTROL_ERROR: initial window"));
                }
                4 => {
                    self.stream_window += i64::from(value) - self.initial_window;
                    self.initial_window = i64::from(value);
                }
                5 => self.max_frame = usize::try_from(value).unwrap_or(MAX_FRAME).clamp(1, MAX_FRAME),
                _ => {}
            }
        }
        push_frame(&mut self.out, SETTINGS, ACK, 0, &[]);
        Ok(())
    }

    fn take_goaway(&mut self, payload: &[u8]) -> Result<(), Http2Error> {
        let last = be32(payload).map(|last| last & 0x7fff_ffff);
        let code = payload.get(4..).and_then(be32);
        let (Some(last), Some(code)) = (last, code) else {
            return Err(Http2Error::Connection("FRAME_SIZE_ERROR: GOAWAY"));
        };
        let debug = payload.get(8..).unwrap_or_default();
        let debug = String::from_utf8_lossy(debug.get(..200).unwrap_or(debug)).into_owned();
        self.goaway = Some((last, code, debug));
        if last < STREAM {
            // This request will not be answered.
            return Err(self.closed());
        }
        Ok(())
    }

    fn take_window(&mut self, head: &FrameHead, payload: &[u8]) -> Result<(), Http2Error> {
        let Some(more) = be32(payload).map(|more| i64::from(more & 0x7fff_ffff)) else {
            return Err(Http2Error::Connection("FRAME_SIZE_ERROR: WINDOW_UPDATE"));
        };
        let window = match head.stream {
            0 => &mut self.connection_window,
            STREAM => &mut self.stream_window,
            _ => return Ok(()),
        };
        *window += more;
        if more == 0 || *window > 0x7fff_ffff {
            return Err(Http2Error::Connection("FLOW_CONTROL_ERROR: window"));
        }
        Ok(())
    }

    /// Writes what can be written now.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Http2Error> {
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
            let io = Pin::new(&mut self.io);
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
            if self.written == self.out.len() {
                self.out.clear();
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
            let room = usize::try_from(window).unwrap_or(0).min(self.max_frame);
            let Outgoing::Sending(body) = &mut self.body else {
                return Ok(());
            };
            let mut piece = vec![0; room];
            let (bytes, ends) = match body {
                RequestBody::Empty => (0, true),
                RequestBody::Bytes(left) if room == 0 && !left.is_empty() => return Ok(()),
                RequestBody::Bytes(left) => {
                    piece = left.split_to(room.min(left.len())).to_vec();
                    (piece.len(), left.is_empty())
                }
                RequestBody::File { .. } if room == 0 => return Ok(()),
                RequestBody::File { first, .. } if !first.is_empty() => {
                    piece = first.split_to(room.min(first.len())).to_vec();
                    (piece.len(), false)
                }
                RequestBody::File { file, .. } => {
                    let mut into = ReadBuf::new(&mut piece);
                    match Pin::new(file).poll_read(cx, &mut into) {
                        Poll::Pending => return Ok(()),
                        Poll::Ready(read) => read.map_err(Http2Error::Source)?,
                    }
                    let bytes = into.filled().len();
                    (bytes, bytes == 0)
                }
            };
            let flags = if ends { END_STREAM } else { 0 };
            push_frame(
                &mut self.out,
                DATA,
                flags,
                STREAM,
                piece.get(..bytes).unwrap_or_default(),
            );
            let sent = i64::try_from(bytes).unwrap_or_default();
            self.connection_window -= sent;
            self.stream_window -= sent;
            if ends {
                self.body = Outgoing::Done;
            }
        }
        Ok(())
    }
}
