//! HTTP/1 connections. While hyper serves one, it holds two buffers of 8 KiB for it. One that waits for longer than a second, for the
//! outcome of a probe or for its next request, is parked: taken from hyper, and served by it again when there is something to
//! do. A probe that is parked goes on here; hyper then reads a request made for it, and is given the response that is ready. A
//! connection without a request is returned, and nothing is kept here.

use std::convert::Infallible;
use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use http::header::CONNECTION;
use http::{HeaderMap, Method, Request, Response, Version};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1::{Builder, Connection};
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;

use super::guard::Guarded;
use super::heads::MAX_HEADERS;
use super::leaving::Leaving;
use super::outgoing::Outgoing;
use super::requests::Requests;
use crate::net::headers::has_token;

/// Largest head of a request, in bytes: Go's limit, slack included.
const MAX_HEAD: usize = (1 << 20) + 4096;

/// Serves a connection until it ends, or returns it when it waits for its next request, at once if `goes` says so. `answering` belongs to
/// the service.
#[allow(
    clippy::manual_async_fn,
    reason = "an `async fn` holds its arguments twice, and connections are many"
)]
pub(crate) fn serve<S, B>(
    mut stream: Box<Guarded<S>>,
    mut service: B,
    answering: Answering,
    requests: Requests,
    goes: impl Fn() -> bool,
    stop: &mut watch::Receiver<()>,
) -> impl Future<Output = Option<S>>
where
    S: Leaving,
    B: HttpService<Incoming, ResBody = Outgoing, Error = Infallible> + Unpin,
{
    async move {
        let (mut stopping, mut may_go) = (false, true);
        let is_idle = || requests.are_over() && answering.is_none();
        loop {
            // Boxed: a connection that is parked does not hold the room for it.
            let mut connection = Box::new(
                Builder::new()
                    .half_close(S::HALF_CLOSE)
                    .timer(TokioTimer::new())
                    .header_read_timeout(None)
                    .max_buf_size(MAX_HEAD)
                    .max_headers(MAX_HEADERS)
                    .title_case_headers(true)
                    .serve_connection(TokioIo::new(stream), service),
            );
            let resumed = loop {
                tokio::select! {
                    biased;
                    // How a connection ends is the peer's business.
                    _ = &mut *connection => return None,
                    _ = stop.changed(), if !stopping => {
                        stopping = true;
                        Pin::new(&mut *connection).graceful_shutdown();
                    }
                    () = requests.caller().seat.settled(), if !stopping => {
                        let request = answering.request();
                        if request.is_some() && requests.are_waiting_to_be_answered()
                            || is_idle()
                        {
                            break request;
                        }
                    }
                    // Nothing wakes this: it is looked at whenever the connection has done something.
                    () = when(|| is_idle() && goes()), if may_go && !stopping => break None,
                }
            };
            (stream, service) = unread(connection);
            if let Some(request) = resumed {
                if !finish(&answering, &mut stream, &requests).await {
                    return None;
                }
                // From here on nothing else is waited for: the end of the exporter, too, is for this answer.
                stopping = stop.has_changed().unwrap_or(true);
                stream.put_back(request.head(!stopping).as_bytes());
            } else {
                match stream.unguarded() {
                    Ok(stream) => return Some(stream),
                    // What was read begins no request, and would be taken from hyper again at once.
                    Err(unread) => (stream, may_go) = (unread, false),
                }
            }
        }
    }
}

/// Waits for an answer; false when the caller has left, and the request ends with it.
async fn finish<S: Leaving>(answering: &Answering, stream: &mut Guarded<S>, requests: &Requests) -> bool {
    let (mut finished, mut left) = (pin!(answering.finish()), pin!(stream.left()));
    let mut has_left = false;
    poll_fn(|cx| {
        if finished.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        has_left = has_left || left.as_mut().poll(cx).is_ready();
        // It may have ended with its caller only while it waited for its turn.
        if has_left && requests.ends_with_caller() {
            return Poll::Ready(false);
        }
        Poll::Pending
    })
    .await
}

/// Ready if it is so when polled.
fn when(is_so: impl Fn() -> bool) -> impl Future<Output = ()> {
    poll_fn(move |_| if is_so() { Poll::Ready(()) } else { Poll::Pending })
}

/// Takes a connection from hyper, with what hyper has read and not used.
#[allow(
    clippy::boxed_local,
    reason = "what is taken out of a box in an `async fn` leaves its room there"
)]
fn unread<S, B>(connection: Box<Connection<TokioIo<Box<Guarded<S>>>, B>>) -> (Box<Guarded<S>>, B)
where
    S: Leaving,
    B: HttpService<Incoming, ResBody = Outgoing, Error = Infallible>,
{
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    stream.put_back(&parts.read_buf);
    (stream, parts.service)
}

/// Whether a request leaves its connection open, as hyper decides it.
pub(super) fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let connection = headers.get_all(CONNECTION).iter();
    connection.fold(version == Version::HTTP_11, |keeps, value| match keeps {
        true => !has_token(value.as_bytes(), "close"),
        false => has_token(value.as_bytes(), "keep-alive"),
    })
}

/// What hyper needs to know of a request to write its response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replayed {
    is_head: bool,
    version: Version,
    keeps_alive: bool,
}

impl Replayed {
    /// `None` for a request that cannot be read twice.
    pub(crate) fn of(request: &Request<Incoming>) -> Option<Self> {
        let is_head = request.method() == Method::HEAD;
        if !(is_head || request.method() == Method::GET) || !request.body().is_end_stream() {
            return None;
        }
        let version = request.version();
        Some(Self {
            is_head,
            version,
            keeps_alive: keeps_alive(version, request.headers()),
        })
    }

    /// A request that is answered in the same way.
    fn head(self, may_keep_alive: bool) -> String {
        let method = if self.is_head { "HEAD" } else { "GET" };
        let minor = u8::from(self.version == Version::HTTP_11);
        let connection = if self.keeps_alive && may_keep_alive {
            "keep-alive"
        } else {
            "close"
        };
        format!("{method} / HTTP/1.{minor}\r\nConnection: {connection}\r\n\r\n")
    }
}

/// The answer to the request under way, which the connection and its service share: hyper waits for it, or nobody does
/// while the connection is parked.
#[derive(Clone, Default)]
pub(crate) struct Answering(Arc<Mutex<Step>>);

/// How far the answer is.
#[derive(Default)]
enum Step {
    /// There is no request.
    #[default]
    None,
    Pending(Making, Option<Replayed>),
    /// Boxed: few connections have one.
    Ready(Box<Response<Outgoing>>),
}

/// What makes an answer.
pub(crate) type Making = Pin<Box<dyn Future<Output = Response<Outgoing>> + Send>>;

impl Answering {
    /// Answers the next request, unless its answer is ready already: then it was made for this answer.
    pub(crate) fn begin(
        &self,
        request: Request<Incoming>,
        answer: impl FnOnce(Request<Incoming>) -> Making,
    ) -> Self {
        let mut step = self.lock();
        if !matches!(*step, Step::Ready(_)) {
            let replayed = Replayed::of(&request);
            *step = Step::Pending(answer(request), replayed);
        }
        drop(step);
        self.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Step> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_none(&self) -> bool {
        matches!(*self.lock(), Step::None)
    }

    /// The request under way, if it can be parked.
    fn request(&self) -> Option<Replayed> {
        match &*self.lock() {
            Step::Pending(_, request) => *request,
            Step::None | Step::Ready(_) => None,
        }
    }

    /// Returns when the answer is ready, and keeps it.
    async fn finish(&self) {
        poll_fn(|cx| {
            let response = ready!(self.poll_made(cx));
            *self.lock() = Step::Ready(Box::new(response));
            Poll::Ready(())
        })
        .await;
    }

    fn poll_made(&self, cx: &mut Context<'_>) -> Poll<Response<Outgoing>> {
        let mut step = self.lock();
        let response = match &mut *step {
            Step::Pending(making, _) => ready!(making.as_mut().poll(cx)),
            Step::None | Step::Ready(_) => match mem::take(&mut *step) {
                Step::Ready(response) => *response,
                // Nobody waits without a request.
                Step::None | Step::Pending(..) => return Poll::Pending,
            },
        };
        *step = Step::None;
        Poll::Ready(response)
    }
}

impl Future for Answering {
    type Output = Result<Response<Outgoing>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_made(cx).map(Ok)
    }
}
