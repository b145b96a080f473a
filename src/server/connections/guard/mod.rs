//! A connection that watches its peer: one that takes too long over a request's head, or over reading an answer, is
//! closed, and so is one that idles. hyper's own limit does not tell a slow head from an idle connection, which a scraper
//! keeps for its next scrape.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::alarm::{Alarm, expired};
use super::heads::{HeadRoom, SMALL_HEAD};
use super::held::Held;
use super::leaving::Leaving;
use super::requests::{Requests, refusal};
use crate::memory;

/// How much of the next request is read while a parked connection waits for its answer.
const MOST_AHEAD: usize = SMALL_HEAD;
/// What is answered to a head that there is no memory for.
const NO_MEMORY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n\
    Connection: close\r\n\r\nToo little memory left for request headers of this size, see --memory.limit\n";

/// How long a peer may take, in each case.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the first byte of a request, or from the start of the connection, to the end of the request's head.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For the next part of an answer to be taken.
    pub write: Duration,
}

/// With HTTP/1. A scraper that keeps its connection gives it up after five minutes itself.
pub const PATIENCE: Patience = Patience {
    head: Duration::from_secs(30),
    idle: Duration::from_secs(360),
    write: Duration::from_secs(60),
};
/// With HTTP/2: frames come at any time, and between two requests they look like those within one.
const PATIENCE_FOR_FRAMES: Patience = Patience {
    head: PATIENCE.idle,
    ..PATIENCE
};

/// The connection.
#[derive(Debug)]
pub struct Guarded<S> {
    stream: S,
    patience: &'static Patience,
    requests: Requests,
    /// How many requests had begun and ended when the timer for reading was last set.
    seen: (usize, usize),
    /// A head is under way: its first byte came, or the connection is new.
    partial: bool,
    /// The peer closed its side, which was not passed on while its request was answered.
    withheld_end: bool,
    reading: Alarm,
    writing: Option<Pin<Box<Sleep>>>,
    /// For the next piece of an answer to be taken, and how many were when it was set. Over HTTP/2, a peer that gives no
    /// window takes nothing while nothing is written.
    taking: Option<(usize, Pin<Box<Sleep>>)>,
    head: HeadRoom,
    /// The next bytes begin a request of HTTP/1.
    at_start: bool,
    held: Held,
    /// What was read of the next request while the connection was parked.
    ahead: Vec<u8>,
    /// The last bytes that hyper was given.
    last: [u8; 3],
    /// How many requests had begun when an answer was last written.
    answered: usize,
    /// What is written instead of what hyper writes.
    instead: Option<String>,
}

impl<S> Guarded<S> {
    /// Guards a new connection. Over HTTP/1, writing fails when the peer has left before a request that ends with it was answered.
    pub fn new(stream: S, requests: Requests) -> Self {
        let many = requests.are_many();
        Self {
            stream,
            patience: if many { &PATIENCE_FOR_FRAMES } else { &PATIENCE },
            requests,
            seen: (0, 0),
            partial: true,
            withheld_end: false,
            reading: Alarm::default(),
            writing: None,
            taking: None,
            head: HeadRoom::default(),
            at_start: !many,
            held: Held::default(),
            ahead: Vec::new(),
            last: [0; 3],
            answered: 0,
            instead: None,
        }
    }

    /// What is read next, before anything else.
    pub fn put_back(&mut self, bytes: &[u8]) {
        self.held.put_back(bytes);
    }

    /// The connection itself, unless something is still to be read here.
    ///
    /// # Errors
    /// There is.
    pub fn unguarded(self: Box<Self>) -> Result<S, Box<Self>> {
        if self.held.is_empty() && self.ahead.is_empty() {
            Ok(self.stream)
        } else {
            Err(self)
        }
    }

    /// Whether hyper was given something behind the last head: that did not end with an empty line then. Behind a body that cannot be
    /// told: there, the next request begins with the next bytes that come.
    fn begins_next(&self) -> bool {
        !self.requests.had_body() && !matches!(self.last, [_, b'\n', b'\n'] | [b'\n', b'\r', b'\n'])
    }

    /// Notes the end of what hyper is given.
    fn note(&mut self, given: &[u8]) {
        let kept = self.last.len().saturating_sub(given.len());
        self.last.rotate_right(kept);
        let end = given.get(given.len().saturating_sub(self.last.len())..);
        for (last, byte) in self.last.iter_mut().skip(kept).zip(end.unwrap_or_default()) {
            *last = *byte;
        }
    }

    /// Whether hyper writes a refusal of its own, or one that Go words otherwise. `bytes` is the first that it writes.
    fn refuses(&mut self, bytes: &[u8]) -> bool {
        if self.instead.is_some() {
            return true;
        }
        let (begun, _) = self.requests.now();
        let is_hypers =
            begun == std::mem::replace(&mut self.answered, begun) && self.requests.taken().is_none();
        self.instead = self.requests.refusal().or_else(|| {
            let head = if is_hypers {
                bytes.strip_prefix(b"HTTP/1.1 ")?
            } else {
                return None;
            };
            let end = head.iter().position(|byte| *byte == b'\r')?;
            let own = head
                .get(end..)?
                .starts_with(b"\r\nConnection: close\r\nContent-Length: 0\r\nDate: ");
            let words = std::str::from_utf8(head.get(..end)?).ok()?;
            own.then(|| refusal(words))
        });
        self.instead.is_some()
    }

    /// Ready with an error when answers are on their way and the peer takes nothing of them for too long.
    fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(taken) = self.requests.taken() else {
            self.taking = None;
            return Poll::Pending;
        };
        if self.taking.as_ref().is_none_or(|(before, _)| *before != taken) {
            self.taking = Some((taken, Box::pin(sleep(self.patience.write))));
        }
        if let Some((_, timer)) = &mut self.taking {
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(io::Error::from(io::ErrorKind::TimedOut))
    }
}

impl<S: Leaving> Guarded<S> {
    /// Returns when the peer has left.
    pub async fn left(&mut self) {
        // hyper reads nothing meanwhile.
        self.reading = Alarm::default();
        poll_fn(|cx| {
            loop {
                match self.stream.has_left(cx) {
                    Poll::Ready(true) => return Poll::Ready(()),
                    // The end is seen only when nothing lies before it.
                    Poll::Ready(false) if self.ahead.len() < MOST_AHEAD => {
                        if ready!(self.read_ahead(cx)) == 0 {
                            return Poll::Ready(());
                        }
                    }
                    _ => return Poll::Pending,
                }
            }
        })
        .await;
    }

    /// Reads a little of what came behind the request: how many bytes, none at the end.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut bytes = [0; 256];
        let mut buffer = ReadBuf::new(&mut bytes);
        let _ = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        self.ahead.extend_from_slice(buffer.filled());
        Poll::Ready(buffer.filled().len())
    }

    /// Reads from the connection, or what was read ahead.
    fn poll_source(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() || buffer.remaining() == 0 {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let bytes = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(self.ahead.get(..bytes).unwrap_or_default());
        self.ahead.drain(..bytes);
        if self.ahead.is_empty() {
            self.ahead = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_give(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let now = self.requests.now();
        if now != self.seen {
            // The head that was under way is complete.
            let is_next = now.0 == now.1;
            let at_start = is_next && !self.requests.are_many();
            (self.seen, self.partial, self.reading.at) = (now, at_start && self.begins_next(), None);
            self.requests.next_begins(self.partial);
            if is_next {
                self.head = HeadRoom::default();
                self.at_start = at_start;
            }
        }
        if self.held.is_ready() && buffer.remaining() > 0 {
            self.held.hand_out(buffer);
            return Poll::Ready(Ok(()));
        }
        let answering = now.0 > now.1;
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        while let Poll::Ready(result) = self.poll_source(cx, buffer) {
            let read = buffer.filled().len() - before;
            if answering && !self.requests.ends_with_caller() && result.is_ok() && read == 0 && room > 0 {
                // hyper would take the end for the caller's. It is still there for whoever reads after the answer.
                self.withheld_end = true;
                return Poll::Pending;
            }
            if read > 0 && !self.partial {
                (self.partial, self.reading.at) = (true, None);
                self.requests.next_begins(true);
            }
            if read > 0 && !answering && !self.head.hold(read) {
                // The caller is told if it happens to read; it is not waited for. HTTP/2 has no such words.
                if !self.requests.are_many() {
                    let _ = Pin::new(&mut self.stream).poll_write(cx, NO_MEMORY);
                }
                return Poll::Ready(Err(memory::Short.into()));
            }
            if read == 0 && !self.held.is_empty() {
                // The end of half a line.
                self.held.end(buffer);
            } else if read > 0 && self.at_start && !answering {
                if !self.held.read_line(buffer, before, &self.requests) {
                    continue;
                }
                self.at_start = false;
            }
            return Poll::Ready(result);
        }
        if let Poll::Ready(error) = self.poll_taken(cx) {
            return Poll::Ready(Err(error));
        }
        if answering {
            return Poll::Pending;
        }
        let patience = if self.partial {
            self.patience.head
        } else {
            self.patience.idle
        };
        self.reading.poll(patience, cx).map(Err)
    }
}

impl<S: Leaving> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = self.poll_give(cx, buffer);
        self.note(buffer.filled().get(before..).unwrap_or_default());
        result
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    /// Writes the refusal.
    fn poll_refuse(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(words) = self.instead.as_mut().filter(|words| !words.is_empty()) {
            let result = Pin::new(&mut self.stream).poll_write(cx, words.as_bytes());
            if let Poll::Ready(Ok(written)) = result {
                words.drain(..written.min(words.len()));
            }
            ready!(self.watch(cx, result))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Passes a result on, and gives up on a peer that takes nothing for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            if self.writing.take().is_some() {
                self.requests.block(false);
            }
            return result;
        }
        self.requests.block(true);
        expired(&mut self.writing, self.patience.write, cx).map(Err)
    }
}

impl<S: Leaving> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.refuses(bytes) {
            ready!(self.poll_refuse(cx))?;
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.refuses(slices.first().map_or(&[], |slice| slice)) {
            ready!(self.poll_refuse(cx))?;
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes, and so comes past here, whenever something happens to the connection or its request.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (begun, ended) = self.requests.now();
        let ends_with_caller = self.requests.ends_with_caller();
        if self.withheld_end && (begun == ended || ends_with_caller) {
            self.withheld_end = false;
            cx.waker().wake_by_ref();
        }
        if (begun > ended && ends_with_caller || self.requests.answer_ends_with_caller())
            && !self.requests.are_many()
            && let Poll::Ready(true) = self.stream.has_left(cx)
        {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, result)
    }
}

#[cfg(test)]
mod tests;
