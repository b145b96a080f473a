//! The body of an HTTP/1 answer, taken out of its framing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

use super::framing::Framing;
use super::head::HeadParser;
use super::reader::ResponseReader;

/// Longest line in front of a chunk, and most bytes of a trailer, as Go has it.
const MAX_LINE: usize = 4096;

/// A body that is read as it comes. An early or malformed end is an error.
pub struct Body<S> {
    reader: ResponseReader<S>,
    state: State,
    /// What a read has taken of chunks and waits to have more of.
    gathered: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Done,
    Length(u64),
    UntilClose,
    /// Before the line with a chunk's size.
    ChunkSize {
        excess: u64,
    },
    /// So many bytes of a chunk are still to come.
    Chunk {
        left: u64,
        excess: u64,
    },
    /// Before the line end behind a chunk.
    ChunkEnd {
        excess: u64,
    },
    Trailer,
}

/// What is wrong with the framing of a body. Displays in Go's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum BodyError {
    #[error("unexpected EOF")]
    UnexpectedEof,
    #[error("chunked line ends with bare LF")]
    BareLineFeed,
    #[error("invalid CR in chunked line")]
    CarriageReturn,
    #[error("header line too long")]
    LineTooLong,
    #[error("invalid byte in chunk length")]
    BadSize,
    #[error("empty hex number for chunk length")]
    EmptySize,
    #[error("http chunk length too large")]
    SizeTooLarge,
    #[error("malformed chunked encoding")]
    MalformedChunk,
    #[error("chunked encoding contains too much non-data")]
    TooMuchOverhead,
    #[error("http: unexpected EOF reading trailer")]
    TrailerEof,
    #[error("http: suspiciously long trailer after chunked body")]
    TrailerTooLong,
    #[error("malformed trailer after chunked body")]
    Trailer,
}

impl From<BodyError> for io::Error {
    fn from(error: BodyError) -> Self {
        let kind = match error {
            BodyError::UnexpectedEof => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl<S: AsyncRead + Unpin> Body<S> {
    /// The body that `reader` comes to next.
    pub fn new(reader: ResponseReader<S>, framing: Framing) -> Self {
        let state = match framing {
            Framing::Empty => State::Done,
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunked => State::ChunkSize { excess: 0 },
            Framing::UntilClose => State::UntilClose,
        };
        Self {
            reader,
            state,
            gathered: Vec::new(),
        }
    }

    /// Makes sure that there is something to read, or errs at the end.
    fn poll_some(&mut self, cx: &mut Context<'_>, at_end: BodyError) -> Poll<io::Result<()>> {
        if self.reader.data().is_empty() && ready!(self.reader.poll_fill(cx))? == 0 {
            return Poll::Ready(Err(at_end.into()));
        }
        Poll::Ready(Ok(()))
    }

    /// Reads the size of the next chunk.
    fn poll_chunk_size(&mut self, cx: &mut Context<'_>, excess: u64) -> Poll<io::Result<State>> {
        let line = loop {
            let data = self.reader.data();
            match data.iter().take(MAX_LINE).position(|b| *b == b'\n') {
                Some(end) => break data.get(..end).unwrap_or_default(),
                None if data.len() >= MAX_LINE => return Poll::Ready(Err(BodyError::LineTooLong.into())),
                None => {}
            }
            if ready!(self.reader.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(BodyError::UnexpectedEof.into()));
            }
        };
        let used = line.len() + 1;
        let size = chunk_size(line)?;
        self.reader.consume(used);
        // Sixteen bytes a chunk and twice the data are a fair price; a peer that sends more is not talking.
        let fair = size.saturating_mul(2).saturating_add(16);
        let excess = (excess + used as u64).saturating_sub(fair);
        Poll::Ready(match size {
            _ if excess > 16 * 1024 => Err(BodyError::TooMuchOverhead.into()),
            0 => Ok(State::Trailer),
            left => Ok(State::Chunk { left, excess }),
        })
    }

    fn poll_chunk_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.reader.data().len() < 2 {
            if ready!(self.reader.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(BodyError::UnexpectedEof.into()));
            }
        }
        if !self.reader.data().starts_with(b"\r\n") {
            return Poll::Ready(Err(BodyError::MalformedChunk.into()));
        }
        self.reader.consume(2);
        Poll::Ready(Ok(()))
    }

    fn poll_trailer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.reader.data().len() < 2 {
            if ready!(self.reader.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(BodyError::TrailerEof.into()));
            }
        }
        if self.reader.data().starts_with(b"\r\n") {
            self.reader.consume(2);
            return Poll::Ready(Ok(()));
        }
        let length = loop {
            let data = self.reader.data();
            let shown = data.get(..MAX_LINE).unwrap_or(data);
            match shown.windows(4).position(|w| w == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None if data.len() >= MAX_LINE => return Poll::Ready(Err(BodyError::TrailerTooLong.into())),
                None => {}
            }
            if ready!(self.reader.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(BodyError::TrailerTooLong.into()));
            }
        };
        let trailer = self.reader.data().get(..length).unwrap_or_default();
        // A trailer has the form of a head without its first line.
        let head = [b"HTTP/1.1 200\n", trailer].concat();
        let read = HeadParser::default().advance(&head);
        self.reader.consume(length);
        Poll::Ready(read.map(|_| ()).map_err(|_| BodyError::Trailer.into()))
    }
}

/// The number in front of a chunk, without its extension.
fn chunk_size(line: &[u8]) -> Result<u64, BodyError> {
    let Some(line) = line.strip_suffix(b"\r") else {
        return Err(if line.contains(&b'\r') {
            BodyError::CarriageReturn
        } else {
            BodyError::BareLineFeed
        });
    };
    if line.contains(&b'\r') {
        return Err(BodyError::CarriageReturn);
    }
    let end = line.iter().rposition(|b| !matches!(b, b' ' | b'\t'));
    let mut digits = end.and_then(|end| line.get(..=end)).unwrap_or_default();
    if let Some(extension) = digits.iter().position(|b| *b == b';') {
        digits = digits.get(..extension).unwrap_or_default();
    }
    if digits.is_empty() {
        return Err(BodyError::EmptySize);
    }
    let mut size: u64 = 0;
    for (i, digit) in digits.iter().enumerate() {
        let value = char::from(*digit).to_digit(16).ok_or(BodyError::BadSize)?;
        if i == 16 {
            return Err(BodyError::SizeTooLarge);
        }
        size = size << 4 | u64::from(value);
    }
    Ok(size)
}

impl<S: AsyncRead + Unpin> AsyncBufRead for Body<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let available = loop {
            this.state = match this.state {
                State::Done | State::Length(0) => break 0,
                State::Length(left) => {
                    ready!(this.poll_some(cx, BodyError::UnexpectedEof))?;
                    break left;
                }
                State::UntilClose => {
                    if this.reader.data().is_empty() && ready!(this.reader.poll_fill(cx))? == 0 {
                        State::Done
                    } else {
                        break u64::MAX;
                    }
                }
                State::ChunkSize { excess } => ready!(this.poll_chunk_size(cx, excess))?,
                State::Chunk { left: 0, excess } => State::ChunkEnd { excess },
                State::Chunk { left, .. } => {
                    ready!(this.poll_some(cx, BodyError::UnexpectedEof))?;
                    break left;
                }
                State::ChunkEnd { excess } => {
                    ready!(this.poll_chunk_end(cx))?;
                    State::ChunkSize { excess }
                }
                State::Trailer => {
                    ready!(this.poll_trailer(cx))?;
                    State::Done
                }
            };
        };
        let data = this.reader.data();
        let shown = usize::try_from(available).unwrap_or(usize::MAX).min(data.len());
        Poll::Ready(Ok(data.get(..shown).unwrap_or_default()))
    }

    fn consume(self: Pin<&mut Self>, bytes: usize) {
        let this = self.get_mut();
        this.reader.consume(bytes);
        match &mut this.state {
            State::Length(left) | State::Chunk { left, .. } => *left = left.saturating_sub(bytes as u64),
            _ => {}
        }
    }
}

impl<S: AsyncRead + Unpin> Body<S> {
    /// Whether a read that has something goes on, as Go's: within a chunk, and to the next one if its size is there.
    fn goes_on(&self) -> bool {
        let data = self.reader.data();
        let line = match self.state {
            State::Chunk { left: 0, .. } | State::ChunkEnd { .. } => data.get(2..),
            State::ChunkSize { .. } => Some(data),
            State::Chunk { .. } => return true,
            State::Done | State::Length(_) | State::UntilClose | State::Trailer => None,
        };
        line.is_some_and(|line| line.contains(&b'\n'))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Body<S> {
    /// Reads as much as Go at once. That is what is lost of a body that should be gzip and is not.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let has = this.gathered.len();
            let room = into.remaining().saturating_sub(has);
            if room == 0 || has > 0 && !this.goes_on() {
                break;
            }
            let data = match ready!(Pin::new(&mut *this).poll_fill_buf(cx)) {
                Ok(data) => data.get(..room).unwrap_or(data).to_vec(),
                Err(error) if has == 0 => return Poll::Ready(Err(error)),
                // It is told again.
                Err(_) => break,
            };
            if data.is_empty() {
                break;
            }
            Pin::new(&mut *this).consume(data.len());
            this.gathered.extend(data);
        }
        into.put_slice(&std::mem::take(&mut this.gathered));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What is read of `wire`, whole and byte by byte, and how it ends.
    async fn read(framing: Framing, wire: &[u8]) -> (Vec<u8>, Option<String>) {
        let mut ends = Vec::new();
        for piece in [wire.len().max(1), 1] {
            let mut builder = Vec::new();
            let (mut peer, ours) = tokio::io::duplex(wire.len().max(1));
            let mut body = Body::new(ResponseReader::new(ours), framing);
            let send = async move {
                for bytes in wire.chunks(piece) {
                    peer.write_all(bytes).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let (result, ()) = tokio::join!(body.read_to_end(&mut builder), send);
            ends.push((builder, result.err().map(|e| e.to_string())));
        }
        assert_eq!(ends[0], ends[1], "whole and byte by byte");
        ends.remove(0)
    }

    #[tokio::test]
    async fn framings_end_where_they_should() {
        let c = Framing::Chunked;
        #[rustfmt::skip]
        let rows: &[(Framing, &str, &str, Option<&str>)] = &[
            (Framing::Empty, "x", "", None),
            (Framing::Length(2), "abc", "ab", None),
            (Framing::Length(4), "abc", "abc", Some("unexpected EOF")),
            (Framing::UntilClose, "abc", "abc", None),
            (c, "5\r\nhello\r\n0\r\n\r\nmore", "hello", None),
            (c, "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nA: b\r\n\r\n", "hello", None),
            (c, "A  \r\n0123456789\r\n00\r\n\r\n", "0123456789", None),
            (c, "5\r\nhello\r\n", "hello", Some("unexpected EOF")),
            (c, "5\r\nhello\r\n0\r\n", "hello", Some("http: unexpected EOF reading trailer")),
            (c, "5\r\nhel", "hel", Some("unexpected EOF")),
            (c, "3\r\nhello\r\n0\r\n\r\n", "hel", Some("malformed chunked encoding")),
            (c, "xyz\r\n", "", Some("invalid byte in chunk length")),
            (c, "\r\n", "", Some("empty hex number for chunk length")),
            (c, "5\nhello", "", Some("chunked line ends with bare LF")),
            (c, "ffffffffffffffffff\r\n", "", Some("http chunk length too large")),
            (c, "0\r\nA\r\n\r\n", "", Some("malformed trailer after chunked body")),
            (c, "0\r\nA: b\r\n", "", Some("http: suspiciously long trailer after chunked body")),
        ];
        for (framing, wire, want, error) in rows {
            let (got, end) = read(*framing, wire.as_bytes()).await;
            assert_eq!(
                (String::from_utf8_lossy(&got).as_ref(), end.as_deref()),
                (*want, *error),
                "{wire:?}"
            );
        }
    }

    #[tokio::test]
    async fn chunks_are_read_together_until_one_has_to_be_waited_for() {
        // framing, what arrives in pieces, room, what is read at once
        #[rustfmt::skip]
        let rows: &[(Framing, &[&str], usize, &[&str])] = &[
            (Framing::Chunked, &["3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"], 9, &["abcde", ""]),
            (Framing::Chunked, &["3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"], 4, &["abcd", "e", ""]),
            (Framing::Chunked, &["3\r\nabc\r\n2", "\r\nde\r\n0\r\n\r\n"], 9, &["abc", "de", ""]),
            (Framing::Chunked, &["3\r\nabc\r", "\n2\r\nde\r\n0\r\n\r\n"], 9, &["abc", "de", ""]),
            (Framing::Chunked, &["3\r\nabc\r\n2\r\n", "d", "e\r\n0\r\n\r\n"], 9, &["abcde", ""]),
            (Framing::Chunked, &["3\r\nabc\r\nx\r\n"], 9, &["abc", "invalid byte in chunk length"]),
            (Framing::Length(5), &["abc", "de"], 9, &["abc", "de", ""]),
            (Framing::UntilClose, &["abc", "de"], 9, &["abc", "de", ""]),
        ];
        for (framing, pieces, room, want) in rows {
            let (mut peer, ours) = tokio::io::duplex(64);
            let mut body = Body::new(ResponseReader::new(ours), *framing);
            let send = async move {
                for piece in *pieces {
                    peer.write_all(piece.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let read = async {
                for want in *want {
                    let mut into = vec![0; *room];
                    let got = match body.read(&mut into).await {
                        Ok(bytes) => String::from_utf8_lossy(&into[..bytes]).into_owned(),
                        Err(error) => error.to_string(),
                    };
                    assert_eq!(got, *want, "{framing:?} {pieces:?} {room}");
                }
            };
            tokio::join!(send, read);
        }
    }

    #[tokio::test]
    async fn a_peer_that_sends_hardly_any_data_is_stopped() {
        let wire = format!("1;{}\r\nx\r\n", "e".repeat(2000)).repeat(20);
        let (_, end) = read(Framing::Chunked, wire.as_bytes()).await;
        assert_eq!(
            end.as_deref(),
            Some("chunked encoding contains too much non-data")
        );
        let wire = "1\r\nx\r\n".repeat(20_000) + "0\r\n\r\n";
        let (got, end) = read(Framing::Chunked, wire.as_bytes()).await;
        assert_eq!((got.len(), end), (20_000, None));
    }
}
