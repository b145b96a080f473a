//! Frames (RFC 9114, section 7) as they come on a stream.

use std::task::{Context, Poll, ready};

use tokio::io::AsyncRead;
use tokio::time::Instant;

use super::error::{FRAME_ERROR, FRAME_UNEXPECTED, Http3Error};
use crate::buffer::Buffer;
use crate::memory::Held;

pub(super) const DATA: u64 = 0;
pub(super) const HEADERS: u64 = 1;
pub(super) const SETTINGS: u64 = 4;
pub(super) const GOAWAY: u64 = 7;

/// Longest frame of settings, as in quic-go.
const MAX_SETTINGS: u64 = 8 << 10;

/// Appends a number (RFC 9000, section 16).
pub(super) fn put_number(out: &mut Vec<u8>, number: u64) {
    match number {
        0..0x40 => out.extend(u8::try_from(number)),
        0x40..0x4000 => out.extend(u16::try_from(number | 0x4000).unwrap_or_default().to_be_bytes()),
        0x4000..0x4000_0000 => {
            out.extend(
                u32::try_from(number | 0x8000_0000)
                    .unwrap_or_default()
                    .to_be_bytes(),
            );
        }
        _ => out.extend((number | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// Takes a number off the front; `None` as long as it is not whole.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let length = 1 << (bytes.first()? >> 6);
    let (number, rest) = bytes.split_at_checked(length)?;
    let mut value = 0;
    for byte in number {
        value = value << 8 | u64::from(*byte);
    }
    *bytes = rest;
    // Without the two bits of the length.
    Some(value & (u64::MAX >> 2 >> (64 - 8 * length)))
}

/// Appends a frame.
pub(super) fn put_frame(out: &mut Vec<u8>, kind: u64, payload: &[u8]) {
    put_number(out, kind);
    put_number(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// What comes on a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// There is something in [`Frames::data`].
    Data,
    /// A frame of another kind that has a meaning, and its payload; or one of data without any.
    Whole(u64, Vec<u8>),
}

/// Reads a stream frame by frame. Kinds without a meaning are skipped, as are those that are about pushes, none of which is
/// allowed; only a frame of data may be longer than what is held.
pub(super) struct Frames<S> {
    pub(super) io: S,
    buffer: Buffer,
    state: State,
    /// The memory for the payload.
    held: Held,
    /// Longest frame of fields.
    max_headers: u64,
    /// When the first byte came.
    pub(super) began: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// Before a frame.
    Between,
    /// So many bytes of data are still to come.
    Data(u64),
    /// So many bytes are skipped.
    Skip(u64),
    /// So many bytes of this payload are still to come.
    Whole(u64, u64, Vec<u8>),
}

impl<S: AsyncRead + Unpin> Frames<S> {
    /// Reads on where `io` is. Frames of fields may have so many bytes.
    pub(super) fn new(io: S, max_headers: u64) -> Self {
        Self {
            io,
            max_headers,
            buffer: Buffer::default(),
            state: State::Between,
            held: Held::default(),
            began: None,
        }
    }

    /// Bytes of the present frame of data.
    pub(super) fn data(&self) -> &[u8] {
        let data = self.buffer.data();
        match self.state {
            State::Data(left) => usize::try_from(left)
                .ok()
                .and_then(|left| data.get(..left))
                .unwrap_or(data),
            _ => &[],
        }
    }

    /// Marks bytes of [`data`](Self::data) as used.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.buffer.consume(bytes);
        if let State::Data(left) = &mut self.state {
            *left = left.saturating_sub(bytes as u64);
        }
    }

    /// The number that a stream of one direction begins with.
    pub(super) fn poll_kind(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<u64>, Http3Error>> {
        loop {
            let mut rest = self.buffer.data();
            let before = rest.len();
            if let Some(kind) = take_number(&mut rest) {
                let used = before - rest.len();
                self.buffer.consume(used);
                return Poll::Ready(Ok(Some(kind)));
            }
            if !ready!(self.poll_fill(cx))? {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// Waits for the next frame, or for more of the present one's data; `None` at the end.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, Http3Error>> {
        loop {
            if !self.data().is_empty() {
                return Poll::Ready(Ok(Some(Frame::Data)));
            }
            let data = self.buffer.data();
            match &mut self.state {
                State::Data(0) | State::Skip(0) => {
                    self.state = State::Between;
                    continue;
                }
                State::Whole(kind, 0, payload) => {
                    let frame = Frame::Whole(*kind, std::mem::take(payload));
                    self.held.release();
                    self.state = State::Between;
                    return Poll::Ready(Ok(Some(frame)));
                }
                State::Skip(left) if !data.is_empty() => {
                    let bytes = data.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= bytes as u64;
                    self.buffer.consume(bytes);
                    continue;
                }
                State::Whole(_, left, payload) if !data.is_empty() => {
                    let bytes = data.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    // While it grows, both the old and the new one are there.
                    self.held
                        .hold((payload.len() + bytes) * 3)
                        .map_err(Http3Error::Read)?;
                    payload.extend_from_slice(data.get(..bytes).unwrap_or_default());
                    *left -= bytes as u64;
                    self.buffer.consume(bytes);
                    continue;
                }
                State::Between => {
                    if self.begin()? {
                        continue;
                    }
                }
                State::Data(_) | State::Skip(_) | State::Whole(..) => {}
            }
            let is_between = matches!(self.state, State::Between) && self.buffer.data().is_empty();
            if !ready!(self.poll_fill(cx))? {
                return Poll::Ready(if is_between {
                    Ok(None)
                } else {
                    Err(Http3Error::Truncated)
                });
            }
        }
    }

    /// Reads kind and length of the next frame, if they are there.
    fn begin(&mut self) -> Result<bool, Http3Error> {
        let mut rest = self.buffer.data();
        let before = rest.len();
        let (Some(kind), Some(length)) = (take_number(&mut rest), take_number(&mut rest)) else {
            return Ok(false);
        };
        let used = before - rest.len();
        self.buffer.consume(used);
        let most = match kind {
            HEADERS => self.max_headers,
            SETTINGS => MAX_SETTINGS,
            GOAWAY => 8,
            _ => u64::MAX,
        };
        self.state = match kind {
            // An empty frame is not the end.
            DATA if length == 0 => State::Whole(DATA, 0, Vec::new()),
            DATA => State::Data(length),
            HEADERS if length > most => return Err(Http3Error::HeadersTooLarge),
            SETTINGS | GOAWAY if length > most => {
                return Err(Http3Error::Connection(FRAME_ERROR, "frame too large"));
            }
            HEADERS | SETTINGS | GOAWAY => State::Whole(kind, length, Vec::new()),
            // Kinds of HTTP/2 (section 7.2.8).
            2 | 6 | 8 | 9 => {
                return Err(Http3Error::Connection(
                    FRAME_UNEXPECTED,
                    "a frame of a reserved type",
                ));
            }
            _ => State::Skip(length),
        };
        Ok(true)
    }

    /// Reads more; false at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Http3Error>> {
        let bytes = ready!(self.buffer.poll_fill(&mut self.io, cx)).map_err(Http3Error::Read)?;
        if bytes > 0 {
            self.began.get_or_insert_with(Instant::now);
        }
        Poll::Ready(Ok(bytes > 0))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn numbers_are_written_and_read() {
        // RFC 9000, appendix A.1.
        let rows: &[(&[u8], u64)] = &[
            (b"\x25", 37),
            (b"\x7b\xbd", 15_293),
            (b"\x9d\x7f\x3e\x7d", 494_878_333),
            (b"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", 151_288_809_941_952_652),
        ];
        for (bytes, number) in rows {
            let mut out = Vec::new();
            put_number(&mut out, *number);
            assert_eq!(out, *bytes);
            let mut rest = *bytes;
            assert_eq!(take_number(&mut rest), Some(*number));
            assert!(rest.is_empty());
            assert_eq!(take_number(&mut &bytes[..bytes.len() - 1]), None);
        }
        // Longer than it need be.
        assert_eq!(take_number(&mut &b"\x40\x25"[..]), Some(37));
    }

    /// What is read of a stream, whole and byte by byte.
    async fn read(wire: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        for piece in [wire.len().max(1), 1] {
            let (mut peer, ours) = tokio::io::duplex(wire.len().max(1));
            let sending = async move {
                for bytes in wire.chunks(piece) {
                    tokio::io::AsyncWriteExt::write_all(&mut peer, bytes)
                        .await
                        .unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let reading = async {
                let (mut frames, mut seen, mut body) =
                    (Frames::new(ours, 10 << 20), Vec::new(), String::new());
                loop {
                    let frame = poll_fn(|cx| frames.poll_frame(cx)).await;
                    let end = match frame {
                        Ok(Some(Frame::Data)) => {
                            body.push_str(std::str::from_utf8(frames.data()).unwrap());
                            let bytes = frames.data().len();
                            frames.consume(bytes);
                            continue;
                        }
                        Ok(Some(Frame::Whole(DATA, payload))) => {
                            assert!(payload.is_empty());
                            continue;
                        }
                        Ok(Some(Frame::Whole(kind, payload))) => {
                            seen.push(format!("{body} {kind} {}", payload.len()));
                            continue;
                        }
                        Ok(None) => "end".to_owned(),
                        Err(error) => error.to_string(),
                    };
                    seen.push(format!("{body} {end}"));
                    return seen;
                }
            };
            all.push(tokio::join!(reading, sending).0);
        }
        assert_eq!(all[0], all[1], "whole and byte by byte");
        all.remove(0)
    }

    #[tokio::test]
    async fn frames_are_told_apart() {
        const CUT: &str = "unexpected EOF: the peer ended the stream within a frame";
        #[rustfmt::skip]
        let rows: &[(&[u8], &[&str])] = &[
            (b"", &[" end"]),
            (b"\x01\x02\0\0\0\x02hi", &[" 1 2", "hi end"]),
            // Empty frames of data are nothing, wherever they are.
            (b"\0\0\0\x01a\0\0\0\x03zzz\0\0", &["azzz end"]),
            (b"\x40\x21\x40\x02xx\0\x01a", &["a end"]),
            (b"\x03\x01\0\x05\x02\0\0\x0d\x01\0\0\x01a", &["a end"]),
            (b"\x04\0\x07\x01\0", &[" 4 0", " 7 1", " end"]),
            (b"\0\x05hell", &[&format!("hell {CUT}")]),
            (b"\0", &[&format!(" {CUT}")]),
            (b"\x21\x05x", &[&format!(" {CUT}")]),
            (b"\x01\x05x", &[&format!(" {CUT}")]),
            (b"\x06\x08", &[" connection error: H3_FRAME_UNEXPECTED: a frame of a reserved type"]),
            (b"\x04\x80\x01\0\0", &[" connection error: H3_FRAME_ERROR: frame too large"]),
            (b"\x01\x80\xa0\0\x01", &[" server response headers exceeded 10485760 bytes"]),
        ];
        for (wire, want) in rows {
            assert_eq!(read(wire).await, *want, "{wire:?}");
        }
    }
}
