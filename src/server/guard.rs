//! A connection that watches its peer: one that takes too long over a request's head, or over reading an answer, is
//! closed, and so is one that idles. hyper's own limit does not tell a slow head from an idle connection, which a scraper
//! keeps for its next scrape.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::seats::Seat;

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

/// The requests of one connection; shared by the connection and the services behind it.
#[derive(Clone, Debug)]
pub struct Requests(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    abandoned: Abandoned,
    /// The seat of the connection, which is to know whether there is a request.
    seat: Option<Arc<Seat>>,
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// Whether the latest one ends with its caller.
    ends_with_caller: AtomicBool,
}

/// What becomes of a request whose caller has closed its side. It may wait for the answer nevertheless; one that is gone
/// looks the same until something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// It ends.
    Ends,
    /// It is answered.
    IsAnswered,
}

impl Requests {
    /// None yet; `abandoned` holds for all of them but those that [end with their caller](Self::end_with_caller).
    pub fn new(abandoned: Abandoned, seat: Option<Arc<Seat>>) -> Self {
        Self(Arc::new(Counts {
            abandoned,
            seat,
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            ends_with_caller: AtomicBool::new(false),
        }))
    }

    /// How many have begun and ended.
    fn now(&self) -> (usize, usize) {
        let Counts { begun, ended, .. } = &*self.0;
        (begun.load(Ordering::Relaxed), ended.load(Ordering::Relaxed))
    }

    fn ends_with_caller(&self) -> bool {
        self.0.ends_with_caller.load(Ordering::Relaxed)
    }

    /// The request under way ends when its caller has closed its side.
    pub fn end_with_caller(&self) {
        self.0.ends_with_caller.store(true, Ordering::Relaxed);
    }

    /// The head of a request was read; the request lasts as long as what is returned.
    pub fn begin(&self) -> Request {
        let ends = self.0.abandoned == Abandoned::Ends;
        self.0.ends_with_caller.store(ends, Ordering::Relaxed);
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        if let Some(seat) = &self.0.seat {
            seat.is_busy();
        }
        Request(Arc::clone(&self.0))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Request(Arc<Counts>);

impl Drop for Request {
    fn drop(&mut self) {
        let ended = self.0.ended.fetch_add(1, Ordering::Relaxed) + 1;
        if ended == self.0.begun.load(Ordering::Relaxed)
            && let Some(seat) = &self.0.seat
        {
            seat.is_idle();
        }
    }
}

/// Whether the peer of a connection has left; pending as long as it has not.
pub type HasLeft<S> = fn(&S, &mut Context<'_>) -> Poll<bool>;

/// The connection.
#[derive(Debug)]
pub struct Guarded<S> {
    stream: S,
    has_left: Option<HasLeft<S>>,
    patience: Patience,
    requests: Requests,
    /// How many requests had begun and ended when the timer for reading was last set.
    seen: (usize, usize),
    /// A head is under way: its first byte came, or the connection is new.
    partial: bool,
    /// The peer closed its side, which was not passed on while its request was answered.
    withheld_end: bool,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Guarded<S> {
    /// Guards a new connection. With `has_left`, writing fails when the peer has left before a request that ends with it was
    /// answered.
    pub fn new(stream: S, requests: Requests, patience: Patience, has_left: Option<HasLeft<S>>) -> Self {
        Self {
            stream,
            has_left,
            patience,
            requests,
            seen: (0, 0),
            partial: true,
            withheld_end: false,
            reading: None,
            writing: None,
        }
    }
}

/// Ready with an error when the timer, which is set if it is not yet, has run out.
fn expired(timer: &mut Option<Pin<Box<Sleep>>>, patience: Duration, cx: &mut Context<'_>) -> Poll<io::Error> {
    let timer = timer.get_or_insert_with(|| Box::pin(sleep(patience)));
    ready!(timer.as_mut().poll(cx));
    Poll::Ready(io::Error::from(io::ErrorKind::TimedOut))
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let now = this.requests.now();
        if now != this.seen {
            // The head that was under way is complete.
            (this.seen, this.partial, this.reading) = (now, false, None);
        }
        let answering = now.0 > now.1;
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            let read = buffer.filled().len() - before;
            if answering && !this.requests.ends_with_caller() && result.is_ok() && read == 0 && room > 0 {
                // hyper would take the end for the caller's. It is still there for whoever reads after the answer.
                this.withheld_end = true;
                return Poll::Pending;
            }
            if read > 0 && !this.partial {
                (this.partial, this.reading) = (true, None);
            }
            return Poll::Ready(result);
        }
        if answering {
            return Poll::Pending;
        }
        let patience = if this.partial {
            this.patience.head
        } else {
            this.patience.idle
        };
        expired(&mut this.reading, patience, cx).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    /// Passes a result on, and gives up on a peer that takes nothing for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing = None;
            return result;
        }
        expired(&mut self.writing, self.patience.write, cx).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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
        if begun > ended
            && ends_with_caller
            && let Some(has_left) = self.has_left
            && let Poll::Ready(true) = has_left(&self.stream, cx)
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
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(30),
        idle: Duration::from_secs(360),
        write: Duration::from_secs(60),
    };

    fn guarded() -> (Guarded<DuplexStream>, DuplexStream, Requests) {
        let (ours, theirs) = duplex(64);
        let requests = Requests::new(Abandoned::IsAnswered, None);
        (
            Guarded::new(ours, requests.clone(), PATIENCE, None),
            theirs,
            requests,
        )
    }

    /// What reading comes to, and after how many seconds.
    async fn read(stream: &mut Guarded<DuplexStream>) -> (io::Result<usize>, u64) {
        let start = tokio::time::Instant::now();
        let result = stream.read(&mut [0; 16]).await;
        (result, start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_closed() {
        let (mut stream, _peer, _) = guarded();
        let (result, seconds) = read(&mut stream).await;
        assert_eq!(
            (result.unwrap_err().kind(), seconds),
            (io::ErrorKind::TimedOut, 30)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_in_small_pieces_gets_no_more_time() {
        let (mut stream, mut peer, _) = guarded();
        let dribble = tokio::spawn(async move {
            loop {
                sleep(Duration::from_secs(7)).await;
                if peer.write_all(b"X").await.is_err() {
                    return;
                }
            }
        });
        let start = tokio::time::Instant::now();
        while stream.read(&mut [0; 16]).await.is_ok() {}
        assert_eq!(start.elapsed().as_secs(), 30);
        drop(stream);
        dribble.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_last_and_the_next_may_be_waited_for() {
        let (mut stream, mut peer, requests) = guarded();
        peer.write_all(b"GET").await.unwrap();
        assert_eq!(read(&mut stream).await.0.unwrap(), 3);
        let request = requests.begin();
        let long = tokio::time::timeout(Duration::from_secs(3600), read(&mut stream)).await;
        assert!(long.is_err(), "a request under way was cut off");
        drop(request);
        let (result, seconds) = read(&mut stream).await;
        assert_eq!(
            (result.unwrap_err().kind(), seconds),
            (io::ErrorKind::TimedOut, 360)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_closes_their_side_may_wait_for_the_answer() {
        for (abandoned, waits) in [(Abandoned::IsAnswered, true), (Abandoned::Ends, false)] {
            let (mut stream, mut peer, requests) = guarded();
            peer.write_all(b"GET").await.unwrap();
            assert_eq!(read(&mut stream).await.0.unwrap(), 3);
            let request = requests.begin();
            if abandoned == Abandoned::Ends {
                requests.end_with_caller();
            }
            peer.shutdown().await.unwrap();
            let end = tokio::time::timeout(Duration::from_secs(3600), read(&mut stream)).await;
            assert_eq!(end.is_err(), waits, "{abandoned:?}");
            drop(request);
            assert_eq!(read(&mut stream).await.0.unwrap(), 0, "{abandoned:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_no_answer_is_given_up() {
        let (mut stream, _peer, _) = guarded();
        let start = tokio::time::Instant::now();
        let result = stream.write_all(&[0; 1000]).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 60);
    }
}
