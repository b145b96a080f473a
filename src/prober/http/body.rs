//! Reads the body of an answer: decompressed, limited, counted, and kept only when a check will look at it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use go_http::gzip_head::{self, DecompressError};
use go_http::inflate::Inflate;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::brotli::Brotli;
use super::decode::{BodyStream, Paced, buffered};
use super::response::ResponseBody;
use crate::check::cel;
use crate::check::regexp::{PIECE, Search};
use crate::memory::{self, Use};
use crate::module::http::Compression;
use crate::net::beside::beside;
use crate::net::dial::SystemError;
use crate::net::http2::Http2Error;
use crate::net::{Deadline, TimedOut};
use crate::prober::BodyExcerpt;
use crate::reason::Reason;

/// Most bytes of a body that are kept for checks. compat: upstream keeps any number.
pub(super) const MOST_KEPT: usize = 256 << 20;

/// A body that is being read.
pub(super) struct BodyReader {
    source: Source,
    limit: Option<u64>,
    /// Bytes read so far.
    pub(super) count: u64,
    deadline: Deadline,
    /// Whether the body is decompressed by what upstream closes with its error.
    inflated: bool,
    /// What is wrong behind the limit, as far as upstream decompresses ahead.
    ahead: Option<BodyReadError>,
    /// The beginning of it, if somebody wants to know.
    head: Vec<u8>,
    /// Its maximum length in bytes.
    most: usize,
    /// Whether it is kept for people, and what is set aside for it.
    kept: Option<memory::Share>,
}

/// Most bytes of a body that are kept to say what is wrong with it.
const HEAD: usize = 4096;

/// From how many bytes on it takes milliseconds to move a buffer, and to give it back.
const LARGE: usize = 4 << 20;

/// How much of a body is kept for people, in bytes.
const INCLUDED: usize = 64 << 10;

enum Source {
    Empty,
    Closed,
    Stream(BodyStream),
    /// It ended with an error, which every further read repeats.
    Failed(BodyReadError),
}

/// Why a body could not be read to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum BodyReadError {
    #[error("http: read on closed response body")]
    Closed,
    #[error("unsupported compression algorithm")]
    UnknownCompression,
    #[error("{0}")]
    Compressed(DecompressError),
    #[error("http: request body too large: more than the {0} bytes of body_size_limit")]
    TooLarge(u64),
    #[error("{}", cel::too_large(*.0))]
    TooLargeToKeep(usize),
    #[error("{}", memory::Short)]
    NoMemory,
    #[error("{text}")]
    Io {
        text: String,
        reason: Reason,
        /// Whether the peer ended it too early.
        is_cut: bool,
    },
    #[error("context deadline exceeded: {0} while reading the body")]
    TimedOut(TimedOut),
}

impl BodyReadError {
    /// Its place among the reasons of failures.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::UnknownCompression | Self::Compressed(_) => Reason::BodyDecoding,
            Self::TooLarge(_) | Self::TooLargeToKeep(_) => Reason::BodyTooLarge,
            Self::NoMemory => Reason::OutOfResources,
            Self::TimedOut(_) => Reason::RequestTimeout,
            Self::Io { reason, .. } => *reason,
            Self::Closed => Reason::ProtocolError,
        }
    }
}

impl BodyReader {
    /// Prepares to read `body` as it comes.
    pub(super) fn new(body: ResponseBody, limit: Option<u64>, deadline: Deadline) -> Self {
        let source = match body {
            ResponseBody::Closed => Source::Closed,
            ResponseBody::Empty => Source::Empty,
            ResponseBody::Stream(stream) => {
                Source::Stream(Box::into_pin(stream as Box<dyn AsyncBufRead + Send>))
            }
        };
        Self {
            source,
            limit,
            count: 0,
            deadline,
            inflated: false,
            ahead: None,
            head: Vec::new(),
            most: HEAD,
            kept: None,
        }
    }

    /// From now on more of the beginning is kept, for people.
    pub(super) fn include(&mut self) {
        let share = memory::take_some(Use::Bodies, INCLUDED);
        self.most = share.bytes().max(HEAD);
        self.kept = Some(share);
    }

    /// The beginning that was kept for people, if it was to be.
    pub(super) fn included(&self) -> Option<BodyExcerpt> {
        let most = self.kept.as_ref()?.bytes().max(HEAD);
        let head = self.head.get(..most).unwrap_or(&self.head);
        Some(BodyExcerpt {
            text: String::from_utf8_lossy(head).into_owned(),
            cut: self.is_longer_than(head.len()),
        })
    }

    /// From now on more of the beginning is kept, to be explained.
    pub(super) fn keep(&mut self, most: usize) {
        self.most = self.most.max(most);
    }

    /// All of the beginning that was kept, and whether the body has more.
    pub(super) fn into_beginning(self) -> (Bytes, bool) {
        let is_cut = self.is_longer_than(self.head.len());
        (Bytes::from(self.head), is_cut)
    }

    /// Whether the body has more than its first `bytes`, as far as that is known.
    fn is_longer_than(&self, bytes: usize) -> bool {
        self.count > bytes as u64 || matches!(self.source, Source::Failed(_))
    }

    /// The beginning of what was searched, or discarded with a look at it.
    pub(super) fn head(&self) -> &[u8] {
        self.head.get(..HEAD).unwrap_or(&self.head)
    }

    /// From now on the body is read decompressed. When it has no head of gzip, it is read on as it comes, without the
    /// piece that was to have the head; that is what upstream counts.
    pub(super) async fn decompress(&mut self, compression: Compression) -> Result<(), BodyReadError> {
        match compression {
            Compression::Identity => return Ok(()),
            Compression::Unknown => return Err(BodyReadError::UnknownCompression),
            Compression::Deflate | Compression::Brotli | Compression::Gzip => {}
        }
        let mut stream: BodyStream = match std::mem::replace(&mut self.source, Source::Empty) {
            Source::Stream(stream) => stream,
            Source::Empty => Box::pin(tokio::io::empty()),
            source => {
                self.source = source;
                return match compression {
                    Compression::Gzip => Err(BodyReadError::Closed),
                    _ => Ok(()),
                };
            }
        };
        let decompressed = match compression {
            Compression::Brotli => buffered(Brotli::new(Paced::new(stream))),
            Compression::Gzip => {
                let head = match self.deadline.within(gzip_head::read(&mut stream)).await {
                    Ok(Ok(head)) => head,
                    Ok(Err(gzip_head::ReadError::Wrong(wrong))) => {
                        self.source = Source::Stream(stream);
                        return Err(BodyReadError::Compressed(wrong));
                    }
                    Ok(Err(gzip_head::ReadError::Io(error))) => return self.fail(io_error(error)),
                    Err(timed_out) => return self.fail(BodyReadError::TimedOut(timed_out)),
                };
                buffered(Inflate::gzip(Paced::new(io::Cursor::new(head).chain(stream))))
            }
            _ => buffered(Inflate::deflate(Paced::new(stream))),
        };
        self.source = Source::Stream(decompressed);
        self.inflated = compression != Compression::Brotli;
        Ok(())
    }

    /// What closing the body tells: Go's decompressor of deflate repeats why it could not go on. What is wrong around its
    /// stream, in the frame of gzip, is not its concern.
    pub(super) fn closing_error(&self) -> Option<&BodyReadError> {
        let error = match &self.source {
            Source::Failed(BodyReadError::TooLarge(_)) => self.ahead.as_ref()?,
            Source::Failed(error) => error,
            _ => return None,
        };
        let is_told = matches!(
            error,
            BodyReadError::Compressed(DecompressError::Data(_) | DecompressError::DataCut)
                | BodyReadError::Io { .. }
                | BodyReadError::TimedOut(_)
        );
        Some(error).filter(|_| is_told && self.inflated)
    }

    fn fail(&mut self, error: BodyReadError) -> Result<(), BodyReadError> {
        self.source = Source::Failed(error.clone());
        Err(error)
    }

    /// Reads all that is left and searches it. With `most` it is kept as well, which fails beyond so many bytes.
    pub(super) async fn search(
        &mut self,
        search: &mut Search<'_>,
        most: Option<usize>,
    ) -> Result<Bytes, BodyReadError> {
        let mut kept = Vec::new();
        let (mut head, beginning) = (std::mem::take(&mut self.head), self.most);
        let mut share = memory::take_some(Use::Bodies, 0);
        let read = self.read(|data| {
            begin(&mut head, data, beginning);
            if let Some(most) = most {
                let length = kept.len() + data.len();
                if length > most {
                    return Err(BodyReadError::TooLargeToKeep(most));
                }
                // The buffer grows by doubling.
                if length > kept.capacity() && !share.grow((2 * length).saturating_sub(share.bytes())) {
                    return Err(BodyReadError::NoMemory);
                }
                if length > kept.capacity() && length > LARGE {
                    beside(|| kept.reserve(length));
                }
                kept.extend_from_slice(data);
            }
            Ok(search.feed(data))
        });
        let read = read.await;
        self.head = head;
        if read.is_err() && kept.capacity() > LARGE {
            beside(|| drop(std::mem::take(&mut kept)));
        }
        read.map(|()| Bytes::from(kept))
    }

    /// Reads all that is left and forgets it, except for its beginning if that is `wanted` to say what is wrong.
    pub(super) async fn discard(&mut self, wanted: bool) -> Result<(), BodyReadError> {
        let (mut head, beginning) = (std::mem::take(&mut self.head), self.most);
        let wanted = wanted || self.kept.is_some();
        let read = self.read(|data| {
            if wanted {
                begin(&mut head, data, beginning);
            }
            Ok(false)
        });
        let read = read.await;
        self.head = head;
        read
    }

    /// Hands out what is left piece by piece to `take`, which says whether it took its time.
    async fn read(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<bool, BodyReadError>,
    ) -> Result<(), BodyReadError> {
        let stream = match &mut self.source {
            Source::Empty => return Ok(()),
            Source::Closed => return Err(BodyReadError::Closed),
            Source::Failed(error) => return Err(error.clone()),
            Source::Stream(stream) => stream,
        };
        let (limit, count) = (self.limit, &mut self.count);
        let reading = async {
            loop {
                let data = stream.fill_buf().await.map_err(io_error)?;
                if data.is_empty() {
                    return Ok(());
                }
                if memory::is_short() {
                    return Err(BodyReadError::NoMemory);
                }
                let piece = data.len().min(PIECE);
                let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(*count));
                let bytes = piece.min(usize::try_from(room).unwrap_or(usize::MAX));
                let took_time = take(data.get(..bytes).unwrap_or_default())?;
                *count += bytes as u64;
                stream.consume(bytes);
                if bytes < piece {
                    return Err(BodyReadError::TooLarge(limit.unwrap_or_default()));
                }
                if took_time {
                    tokio::task::yield_now().await;
                } else {
                    // Few compressed bytes can become very many: let others have their turn.
                    tokio::task::consume_budget().await;
                }
            }
        };
        let ended = match self.deadline.within(reading).await {
            Ok(ended) => ended,
            Err(timed_out) => Err(BodyReadError::TimedOut(timed_out)),
        };
        if self.inflated && matches!(ended, Err(BodyReadError::TooLarge(_))) {
            let looking = Box::pin(look_ahead(stream, WINDOW - self.count % WINDOW));
            let most = self.deadline.left().min(LOOKING);
            self.ahead = tokio::time::timeout(most, looking).await.ok().flatten();
        }
        self.source = match &ended {
            Ok(()) => Source::Empty,
            Err(error) => Source::Failed(error.clone()),
        };
        ended
    }
}

/// Go's inflate decompresses as far as its window goes before it hands out anything of it.
const WINDOW: u64 = 32 << 10;

/// How long the rest of the window is waited for: the verdict is known, and a server that streams sends it some time or never.
const LOOKING: Duration = Duration::from_millis(50);

/// What is wrong in the next `left` bytes.
async fn look_ahead(stream: &mut BodyStream, mut left: u64) -> Option<BodyReadError> {
    while left > 0 {
        let data = match stream.fill_buf().await {
            Ok([]) => return None,
            Ok(data) => data.len(),
            Err(error) => return Some(io_error(error)),
        };
        let taken = data.min(usize::try_from(left).unwrap_or(usize::MAX));
        stream.consume(taken);
        left -= taken as u64;
    }
    None
}

/// Adds to the beginning of a body as long as there is room.
fn begin(head: &mut Vec<u8>, data: &[u8], most: usize) {
    let room = most.saturating_sub(head.len());
    head.extend_from_slice(data.get(..room).unwrap_or(data));
}

fn io_error(error: io::Error) -> BodyReadError {
    if let Some(wrong) = error.get_ref().and_then(|cause| cause.downcast_ref()) {
        return BodyReadError::Compressed(*wrong);
    }
    if error.kind() == io::ErrorKind::OutOfMemory {
        return BodyReadError::NoMemory;
    }
    let reason = Reason::from(&error);
    let by_http2 = error.get_ref().and_then(|cause| cause.downcast_ref());
    BodyReadError::Io {
        text: SystemError(&error).to_string(),
        reason,
        is_cut: matches!(reason, Reason::PeerClosed | Reason::ConnectReset)
            || matches!(
                by_http2,
                Some(
                    Http2Error::Reset(_)
                        | Http2Error::GoAway { .. }
                        | Http2Error::Closed
                        | Http2Error::Read(_)
                )
            ),
    }
}

#[cfg(test)]
mod tests {

    use tokio::io::{AsyncWriteExt, BufReader};
    use tokio::time::Instant;

    use super::*;

    fn reader(body: impl AsyncBufRead + Send + Unpin + 'static, limit: Option<u64>) -> BodyReader {
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(30));
        BodyReader::new(ResponseBody::Stream(Box::new(body)), limit, deadline)
    }

    #[tokio::test]
    async fn so_much_is_kept_and_no_more() {
        // most, the limit of the module, how it ends
        #[rustfmt::skip]
        let rows = [
            (8, None, Ok(8)),
            (7, None, Err("body too large for CEL: more than 7 bytes")),
            (8, Some(7), Err("http: request body too large: more than the 7 bytes of body_size_limit")),
            (8, Some(8), Ok(8)),
        ];
        for (most, limit, want) in rows {
            let mut nothing = Search::new([]);
            let kept = reader(&b"12345678"[..], limit)
                .search(&mut nothing, Some(most))
                .await;
            let kept = kept.map(|kept| kept.len()).map_err(|error| error.to_string());
            assert_eq!(kept, want.map_err(ToOwned::to_owned), "{most} {limit:?}");
        }
    }

    /// A megabyte of members of gzip that hold nothing, and of blocks of deflate and brotli that hold nothing: others have their turn
    /// meanwhile, and the deadline ends what has no end.
    #[tokio::test]
    async fn compressed_nothing_does_not_hold_up_others() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static TURNS: AtomicUsize = AtomicUsize::new(0);
        tokio::spawn(async {
            loop {
                TURNS.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let member = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0".as_slice();
        let rows = [
            (Compression::Gzip, Vec::new(), member),
            (Compression::Deflate, Vec::new(), b"\0\0\0\xff\xff"),
            // An empty block of metadata a byte and a half.
            (Compression::Brotli, vec![0x0c], b"\x06"),
        ];
        for (compression, mut body, nothing) in rows {
            body.extend(nothing.repeat((1 << 20) / nothing.len()));
            let before = TURNS.load(Ordering::Relaxed);
            let mut reader = reader(io::Cursor::new(body), None);
            reader.decompress(compression).await.unwrap();
            let _ = reader.discard(false).await;
            let turns = TURNS.load(Ordering::Relaxed) - before;
            assert!(turns >= 50, "{compression:?}: {turns} turns in a megabyte");
            assert_eq!(reader.count, 0, "{compression:?}");
        }
    }

    #[tokio::test]
    async fn brotli_has_no_larger_windows_than_its_rfc() {
        // An empty stream with a window of 16 MiB, and the beginning of one with a window of a gibibyte.
        for (body, want) in [
            (b"\x3f".as_slice(), Ok(())),
            (
                b"\x11\x1e\x03",
                Err("brotli: WINDOW_BITS: the window is larger than RFC 7932 allows"),
            ),
        ] {
            let mut reader = reader(body, None);
            reader.decompress(Compression::Brotli).await.unwrap();
            let read = reader.discard(false).await.map_err(|error| error.to_string());
            assert_eq!(read, want.map_err(ToOwned::to_owned), "{body:?}");
        }
    }

    #[tokio::test]
    async fn an_endless_body_is_left_once_it_is_too_large_to_keep() {
        let (mut peer, body) = tokio::io::duplex(16);
        let sending = tokio::spawn(async move { while peer.write_all(&[b'x'; 16]).await.is_ok() {} });
        let mut reader = reader(BufReader::new(body), None);
        for _ in 0..2 {
            let error = reader.search(&mut Search::new([]), Some(1000)).await.unwrap_err();
            assert!(
                matches!(error, BodyReadError::TooLargeToKeep(1000)),
                "it is told again: {error}"
            );
        }
        assert!((985..=1000).contains(&reader.count), "{}", reader.count);
        // The stream is closed, which ends the peer.
        sending.await.unwrap();
    }
}
