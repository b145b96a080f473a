//! One connection that carries one request at a time (RFC 9113): what its peer sends, frame by frame. What goes out is the
//! [`Sender`]'s.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop;

use super::error::Http2Error;
use super::frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, FrameHead, GOAWAY, HEADERS, MAX_FRAME, PADDED, PING,
    PRIORITY, PRIORITY_FRAME, PRIORITY_UPDATE, PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM, WINDOW_UPDATE,
    be32,
};
use super::hpack::{Decoder, Field, encode};
use super::sender::Sender;
use crate::buffer::{Buffer, UNIT};
use crate::http1::RequestBody;
use crate::memory::Held;

/// The window of the stream that is opened for the peer, as Go's client does it.
const STREAM_WINDOW: u32 = 4 << 20;

/// Whose client a connection is like, where servers do what they should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// That of Go's `net/http`.
    Http,
    /// That of grpc-go, which passes over frames about streams that it does not know, and over pushes.
    Grpc,
}

impl Manner {
    /// Most bytes of the header blocks of one answer, and of its fields.
    fn max_headers(self) -> usize {
        match self {
            Self::Http => 10 << 20,
            // compat: grpc-go takes sixteen times as much and means to take far less.
            Self::Grpc => 1 << 20,
        }
    }
}

/// How much memory a field takes while a head is made of it, for each byte that is counted: the smallest ones are kept in lists
/// that have just doubled.
const COPIES: usize = 8;

/// What the setting of the largest frame may be (RFC 9113, section 6.5.2).
const FRAME_SIZES: std::ops::Range<u32> = 1 << 14..1 << 24;

const TOO_LARGE: Http2Error = Http2Error::Malformed("response header list larger than advertised limit");

/// A connection with its one stream.
pub struct Connection<S> {
    manner: Manner,
    io: S,
    buffer: Buffer,
    sender: Sender,
    decoder: Decoder,
    got_settings: bool,
    /// Whether ours were acknowledged.
    settled: bool,
    /// How many streams the peer allows, and how large a list of fields may be, as far as it says so.
    max_streams: Option<u32>,
    max_list: Option<u32>,
    /// The stream of the request; 0 before there is one.
    stream: u32,
    goaway: Option<(u32, u32, String)>,
    /// A header block that goes on in the next frame, its stream, and whether that ends with it.
    block: Option<(Vec<u8>, u32, bool)>,
    /// Bytes of the fields so far, 32 more counted for each (RFC 9113, section 6.5.2).
    header_bytes: usize,
    /// The memory for them.
    held: Held,
    /// Bytes that were decoded for nobody, and not counted yet against the turn of this task.
    work: usize,
    /// Bytes of a DATA frame that were not handed out, its padding, and whether the stream ends with it.
    data: Option<DataFrame>,
    /// Bytes taken out since the windows were opened last.
    taken: u32,
    /// Whether the peer has ended the stream.
    pub ended: bool,
    /// Whether there were bytes in the last frame of data.
    pub had_data: bool,
    /// Whether a header block of the answer came.
    had_headers: bool,
}

#[derive(Debug)]
struct DataFrame {
    left: usize,
    padding: usize,
    ends: bool,
}

/// What a peer said about the stream.
#[derive(Debug)]
pub enum Event {
    /// A header block.
    Headers(Vec<Field>),
    /// There is something in [`Connection::data`].
    Data,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Begins a connection.
    pub fn new(io: S, manner: Manner) -> Self {
        let mut settings = Vec::new();
        let list = u32::try_from(manner.max_headers()).unwrap_or_default();
        for (key, value) in [(2_u16, 0_u32), (4, STREAM_WINDOW), (6, list)] {
            settings.extend_from_slice(&key.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        Self {
            manner,
            io,
            buffer: Buffer::default(),
            sender: Sender::new(&settings),
            decoder: Decoder::default(),
            got_settings: false,
            settled: false,
            max_streams: None,
            max_list: None,
            stream: 0,
            goaway: None,
            block: None,
            header_bytes: 0,
            held: Held::default(),
            work: 0,
            data: None,
            taken: 0,
            ended: false,
            had_data: false,
            had_headers: false,
        }
    }

    /// Begins a request with this header block and body, after the last one if there was one. A body is held back for
    /// `patience` if there is one, until the peer says that it wants it.
    pub(super) fn begin(&mut self, headers: &[u8], body: RequestBody, patience: Option<Duration>) {
        self.stream = if self.stream == 0 { STREAM } else { self.stream + 2 };
        self.sender.begin(self.stream, headers, body, patience);
        self.header_bytes = 0;
        self.held.release();
        self.data = None;
        self.ended = false;
        self.had_data = false;
        self.had_headers = false;
    }

    /// Waits for the peer's settings and until it allows a stream, as grpc-go does, and begins a request.
    ///
    /// # Errors
    /// The connection ended first, or the peer does not take so many fields.
    pub async fn begin_when_allowed(
        &mut self,
        fields: &[(&str, &[u8])],
        body: RequestBody,
    ) -> Result<(), Http2Error> {
        std::future::poll_fn(|cx| self.poll_settled(cx)).await?;
        let size: usize = fields
            .iter()
            .map(|(name, value)| name.len() + value.len() + 32)
            .sum();
        if let Some(most) = self.max_list
            && usize::try_from(most).is_ok_and(|most| size > most)
        {
            return Err(Http2Error::ListTooLong(most));
        }
        let mut block = Vec::with_capacity(256);
        for (name, value) in fields {
            encode(&mut block, name.as_bytes(), value);
        }
        self.begin(&block, body, None);
        Ok(())
    }

    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Http2Error>> {
        loop {
            self.sender.poll_send(&mut self.io, cx)?;
            ready!(self.poll_work(cx));
            if self.got_settings && self.max_streams != Some(0) {
                return Poll::Ready(match self.goaway {
                    Some(_) => Err(self.closed()),
                    None => Ok(()),
                });
            }
            if self.has_frame() {
                self.next_frame()?;
                self.end_data();
            } else if ready!(self.buffer.poll_fill(&mut self.io, cx)).map_err(|e| self.read_failed(e))? == 0 {
                return Poll::Ready(Err(self.closed()));
            }
        }
    }

    /// Says goodbye, as far as the peer takes it at once.
    pub fn farewell(&mut self) {
        self.sender.push(GOAWAY, 0, 0, &[0; 8]);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let _ = self.sender.poll_send(&mut self.io, &mut cx);
    }

    /// The peer wants the body, or has answered without it.
    pub(super) fn release_body(&mut self) {
        self.sender.release_body();
    }

    /// Bytes of the present DATA frame.
    pub fn data(&self) -> &[u8] {
        let left = self.data.as_ref().map_or(0, |frame| frame.left);
        let data = self.buffer.data();
        data.get(..left).unwrap_or(data)
    }

    /// Marks bytes of [`data`](Self::data) as used.
    pub fn consume(&mut self, bytes: usize) {
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
            for stream in [0, self.stream] {
                self.sender
                    .push(WINDOW_UPDATE, 0, stream, &self.taken.to_be_bytes());
            }
            self.taken = 0;
        }
    }

    /// Sends what is to be sent and waits for the next thing about the stream; `None` at its end.
    ///
    /// # Errors
    /// The stream or the connection ended, or what came is not HTTP/2.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, Http2Error>> {
        loop {
            self.sender.poll_send(&mut self.io, cx)?;
            ready!(self.poll_work(cx));
            if !self.data().is_empty() {
                return Poll::Ready(Ok(Some(Event::Data)));
            }
            if self.data.is_some() {
                self.end_data();
                continue;
            }
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            if self.has_frame() {
                if let Some(event) = self.next_frame()? {
                    return Poll::Ready(Ok(Some(event)));
                }
                continue;
            }
            if self.goaway.as_ref().is_some_and(|(last, ..)| *last < self.stream) {
                return Poll::Ready(Err(self.closed()));
            }
            if ready!(self.buffer.poll_fill(&mut self.io, cx)).map_err(|e| self.read_failed(e))? == 0 {
                return Poll::Ready(Err(self.closed()));
            }
        }
    }

    /// Counts what was decoded for nobody against the turn of this task: three kilobytes may become ten mebibytes.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(left) = self.work.checked_sub(UNIT) {
            ready!(coop::poll_proceed(cx)).made_progress();
            self.work = left;
        }
        Poll::Ready(())
    }

    /// Ends the DATA frame whose bytes were handed out. Its padding came with them, and is thrown away.
    fn end_data(&mut self) {
        let Some(frame) = self.data.take() else { return };
        self.buffer.consume(frame.padding);
        self.open_windows(frame.padding);
        self.ended = frame.ends;
    }

    fn read_failed(&mut self, error: std::io::Error) -> Http2Error {
        match self.closed() {
            Http2Error::Closed => Http2Error::Read(error),
            better => better,
        }
    }

    /// The best word for the end of the connection.
    fn closed(&mut self) -> Http2Error {
        match (self.goaway.take(), self.sender.write_error.take()) {
            (Some((last_stream, code, debug)), _) => Http2Error::GoAway {
                code,
                last_stream,
                is_unread: last_stream < self.stream || self.stream == 0,
                debug,
            },
            (None, Some(error)) => Http2Error::Write(error),
            (None, None) => Http2Error::Closed,
        }
    }

    /// What the peer sent instead of its settings, which come first in HTTP/2: at most 64 bytes.
    pub fn instead(&self) -> &[u8] {
        let data = self.buffer.data();
        match FrameHead::parse(data) {
            Some(head) if !self.got_settings && (head.kind != SETTINGS || head.length > MAX_FRAME) => {
                data.get(..64).unwrap_or(data)
            }
            _ => &[],
        }
    }

    /// Whether a whole frame is in the buffer. Of DATA too: bytes of a frame that is cut do not count in Go.
    fn has_frame(&self) -> bool {
        let data = self.buffer.data();
        FrameHead::parse(data)
            .is_some_and(|head| head.length > MAX_FRAME || data.len() >= FrameHead::LENGTH + head.length)
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
        if let Some((_, stream, _)) = &self.block
            && (head.kind != CONTINUATION || head.stream != *stream)
        {
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
        check_place(&head)?;
        match head.kind {
            HEADERS => self.take_headers(&head, &payload),
            CONTINUATION => self.continue_headers(head.flags, &payload),
            RST_STREAM if head.stream == self.stream && self.stream != 0 => {
                Err(Http2Error::Reset(be32(&payload).unwrap_or_default()))
            }
            SETTINGS => self.take_settings(&head, &payload).map(|()| None),
            PUSH_PROMISE if self.manner == Manner::Http => {
                Err(Http2Error::Connection("PROTOCOL_ERROR: push promised"))
            }
            PING => {
                if head.flags & ACK == 0 {
                    self.sender.push(PING, ACK, 0, &payload);
                }
                Ok(None)
            }
            GOAWAY => self.take_goaway(&payload).map(|()| None),
            WINDOW_UPDATE => {
                let may_overflow = self.manner == Manner::Grpc;
                self.sender.take_window(head.stream, &payload, may_overflow)?;
                Ok(None)
            }
            PRIORITY_UPDATE if be32(&payload).is_some_and(|stream| stream & 0x7fff_ffff == 0) => Err(
                Http2Error::Connection("PROTOCOL_ERROR: PRIORITY_UPDATE for no stream"),
            ),
            // PRIORITY, other streams, and what may be invented.
            _ => Ok(None),
        }
    }

    fn begin_data(&mut self, head: &FrameHead) -> Result<(), Http2Error> {
        let is_own = head.stream == self.stream;
        // Of a stream that might once have been.
        let is_old = head.stream != 0 && !is_own && head.stream < self.stream + 2;
        let is_passed_over = is_old || self.manner == Manner::Grpc && head.stream != 0;
        if !is_passed_over && (!is_own || !self.had_headers) {
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
        self.data = Some(if is_own && !self.ended {
            self.had_data = left > 0;
            DataFrame {
                left,
                padding,
                ends: head.flags & END_STREAM != 0,
            }
        } else {
            // Nobody's data are read like padding.
            DataFrame {
                left: 0,
                padding: left + padding,
                ends: self.ended,
            }
        });
        Ok(())
    }

    fn take_headers(&mut self, head: &FrameHead, payload: &[u8]) -> Result<Option<Event>, Http2Error> {
        if head.stream == 0 {
            return Err(Http2Error::Connection("PROTOCOL_ERROR: HEADERS of no stream"));
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
            return Err(Http2Error::Malformed("padding too large"));
        };
        let block = block.get(..length).unwrap_or_default().to_vec();
        self.block = Some((block, head.stream, head.flags & END_STREAM != 0));
        self.continue_headers(head.flags, &[])
    }

    fn continue_headers(&mut self, flags: u8, more: &[u8]) -> Result<Option<Event>, Http2Error> {
        let Some((mut block, stream, ends)) = self.block.take() else {
            return Err(Http2Error::Connection(
                "PROTOCOL_ERROR: CONTINUATION without HEADERS",
            ));
        };
        block.extend_from_slice(more);
        let most = self.manner.max_headers();
        if block.len() > most {
            return Err(TOO_LARGE);
        }
        if flags & END_HEADERS == 0 {
            self.block = Some((block, stream, ends));
            return Ok(None);
        }
        if stream != self.stream || self.ended {
            // Nobody asked, but the table that all blocks share goes on.
            let mut size = 0;
            self.decoder.decode(&block, |(name, value)| {
                size += name.len() + value.len() + 32;
                if size > most { Err(TOO_LARGE) } else { Ok(()) }
            })?;
            self.work += size;
            return Ok(None);
        }
        self.had_headers = true;
        let (mut fields, mut size) = (Vec::new(), self.header_bytes);
        // A byte may stand for a field of 4 KB: nothing is read beyond the limit.
        let Self { decoder, held, .. } = self;
        decoder.decode(&block, |field| {
            size += field.0.len() + field.1.len() + 32;
            if size > most {
                return Err(TOO_LARGE);
            }
            held.hold(size * COPIES).map_err(Http2Error::Read)?;
            fields.push(field);
            Ok(())
        })?;
        self.header_bytes = size;
        self.ended = ends;
        Ok(Some(Event::Headers(fields)))
    }

    fn take_settings(&mut self, head: &FrameHead, payload: &[u8]) -> Result<(), Http2Error> {
        let is_ack = head.flags & ACK != 0;
        if !payload.len().is_multiple_of(6) || is_ack && !payload.is_empty() {
            return Err(Http2Error::Connection("FRAME_SIZE_ERROR: SETTINGS"));
        }
        self.got_settings = true;
        let is_http = self.manner == Manner::Http;
        if is_ack {
            // Ours were sent once.
            if is_http && self.settled {
                return Err(Http2Error::Connection(
                    "PROTOCOL_ERROR: SETTINGS acknowledged twice",
                ));
            }
            self.settled = true;
            return Ok(());
        }
        for setting in payload.chunks_exact(6) {
            let (key, value) = match setting {
                [a, b, rest @ ..] => (u16::from_be_bytes([*a, *b]), be32(rest).unwrap_or_default()),
                _ => continue,
            };
            match key {
                2 | 8 if is_http && value > 1 => {
                    return Err(Http2Error::Connection(
                        "PROTOCOL_ERROR: a setting of a wrong value",
                    ));
                }
                5 if is_http && !FRAME_SIZES.contains(&value) => {
                    return Err(Http2Error::Connection(
                        "PROTOCOL_ERROR: a setting of a wrong value",
                    ));
                }
                3 => self.max_streams = Some(value),
                6 => self.max_list = Some(value),
                _ => self.sender.take_setting(key, value)?,
            }
        }
        self.sender.push(SETTINGS, ACK, 0, &[]);
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
        // This request will not be answered. As in Go's client, an answer that has come along counts all the same.
        if self.manner == Manner::Grpc && last < self.stream {
            return Err(self.closed());
        }
        Ok(())
    }
}

/// Refuses frames whose length or stream their kind does not have (RFC 9113, section 6).
fn check_place(head: &FrameHead) -> Result<(), Http2Error> {
    let fits = match head.kind {
        PRIORITY_FRAME => head.length == 5,
        RST_STREAM | WINDOW_UPDATE => head.length == 4,
        PING => head.length == 8,
        PRIORITY_UPDATE => head.length >= 4,
        _ => true,
    };
    if !fits {
        return Err(Http2Error::Connection(
            "FRAME_SIZE_ERROR: a frame of a wrong length",
        ));
    }
    let is_placed = match head.kind {
        PRIORITY_FRAME | RST_STREAM | PUSH_PROMISE => head.stream != 0,
        SETTINGS | PING | GOAWAY | PRIORITY_UPDATE => head.stream == 0,
        _ => true,
    };
    if !is_placed {
        return Err(Http2Error::Connection(
            "PROTOCOL_ERROR: a frame on a wrong stream",
        ));
    }
    Ok(())
}
