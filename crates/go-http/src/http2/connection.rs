//! One connection that carries one request (RFC 9113): what its peer sends, frame by frame. What goes out is the
//! [`Sender`]'s.

use std::fmt;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::error::Http2Error;
use super::frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, FrameHead, GOAWAY, HEADERS, MAX_FRAME, PADDED, PING,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM, WINDOW_UPDATE, be32,
};
use super::hpack::{Decoder, Field};
use super::sender::Sender;
use crate::buffer::Buffer;
use crate::http1::RequestBody;

/// The window of the stream that is opened for the peer, as Go's client does it.
const STREAM_WINDOW: u32 = 4 << 20;

/// Most bytes of the header blocks of one answer, and of its fields.
const MAX_HEADERS: usize = 10 << 20;

const TOO_LARGE: Http2Error = Http2Error::Malformed("response header list larger than advertised limit");

/// A connection with its one stream.
pub(super) struct Connection<S> {
    io: S,
    buffer: Buffer,
    sender: Sender,
    decoder: Decoder,
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

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection on which a request with this header block and body is about to be sent. A body is held back for
    /// `patience` if there is one, until the peer says that it wants it.
    pub(super) fn new(io: S, headers: &[u8], body: RequestBody, patience: Option<Duration>) -> Self {
        let mut settings = Vec::new();
        let list = u32::try_from(MAX_HEADERS).unwrap_or_default();
        for (key, value) in [(2_u16, 0_u32), (4, STREAM_WINDOW), (6, list)] {
            settings.extend_from_slice(&key.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        Self {
            io,
            buffer: Buffer::default(),
            sender: Sender::new(&settings, headers, body, patience),
            decoder: Decoder::default(),
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
        self.sender.release_body();
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
                self.sender
                    .push(WINDOW_UPDATE, 0, stream, &self.taken.to_be_bytes());
            }
            self.taken = 0;
        }
    }

    /// Sends what is to be sent and waits for the next thing about the stream; `None` at its end.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, Http2Error>> {
        loop {
            self.sender.poll_send(&mut self.io, cx)?;
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
        match (self.goaway.take(), self.sender.write_error.take()) {
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
                    self.sender.push(PING, ACK, 0, &payload);
                }
                Ok(None)
            }
            GOAWAY => self.take_goaway(&payload).map(|()| None),
            WINDOW_UPDATE => self.sender.take_window(head.stream, &payload).map(|()| None),
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
            return Err(TOO_LARGE);
        }
        if flags & END_HEADERS == 0 {
            self.block = Some((block, ends));
            return Ok(None);
        }
        self.headers_at = Some(Instant::now());
        self.header_bytes += block.len();
        let (mut fields, mut size) = (Vec::new(), self.header_bytes);
        // A byte may stand for a field of 4 KB: nothing is read beyond the limit.
        self.decoder.decode(&block, |field| {
            size += field.0.len() + field.1.len() + 32;
            if size > MAX_HEADERS {
                return Err(TOO_LARGE);
            }
            fields.push(field);
            Ok(())
        })?;
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
            self.sender.take_setting(key, value)?;
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
        if last < STREAM {
            // This request will not be answered.
            return Err(self.closed());
        }
        Ok(())
    }
}
