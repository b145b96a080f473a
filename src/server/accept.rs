//! Connections: accepting them, their limits, and their end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Exporter;
use super::connections::guard::{Guarded, PATIENCE};
use super::connections::http1::{self, Answering};
use super::connections::leaving::Leaving;
use super::connections::listen::Listener;
use super::connections::requests::{Abandoned, Caller, Requests};
use super::connections::seats::Seats;
use super::connections::threads::{Place, Threads};
use super::front::Prefix;
use super::origin::HostNames;
use super::respond::Responder;
use super::web::{Gate, why_failed};
use crate::logging::OncePerMinute;
use crate::memory::{self, Use};
use crate::os_error;
use crate::probe_log::text;
use crate::say;

/// Largest header list of a request over HTTP/2, in bytes, 32 more counted for each field: twice the longest URL. A field
/// that repeats another takes a byte on the way and a hundred here.
const MAX_HEAD_LIST: u32 = 128 << 10;
/// Most bytes of answers that wait to be written over one HTTP/2 connection.
const MAX_SEND_BUFFER: usize = 64 << 10;
/// What a connection takes, in bytes, those of the kernel included: with TLS, and without.
const ROOM: (usize, usize) = (48 << 10, 12 << 10);
/// Most requests at the same time over one HTTP/2 connection: Go's limit.
const MAX_STREAMS: u32 = 250;
/// How long connections may take to end after the last probe was answered.
const FAREWELL: Duration = Duration::from_secs(1);

/// What serves connections.
#[derive(Debug)]
pub struct Server {
    exporter: Arc<Exporter>,
    responder: Arc<Responder>,
    /// The gate, if callers speak TLS.
    tls: Option<Arc<Gate>>,
    seats: Arc<Seats>,
    threads: Threads,
    trouble: OncePerMinute,
    refusals: OncePerMinute,
}

impl Server {
    /// Serves at most `max_connections` connections at the same time.
    pub fn new(
        exporter: Arc<Exporter>,
        prefix: Prefix,
        names: HostNames,
        gate: Option<Arc<Gate>>,
        max_connections: usize,
        threads: Threads,
    ) -> Self {
        let tls = gate.clone().filter(|gate| gate.tls().is_some());
        let each = if tls.is_some() { ROOM.0 } else { ROOM.1 };
        let seats =
            memory::most(Use::Connections).map_or(max_connections, |bytes| max_connections.min(bytes / each));
        let responder = Responder::new(Arc::clone(&exporter), prefix, names, gate);
        Self {
            exporter,
            responder: Arc::new(responder),
            tls,
            seats: Seats::of(seats),
            threads,
            trouble: OncePerMinute::default(),
            refusals: OncePerMinute::default(),
        }
    }

    /// Serves until `stop` says so, then lets the probes that are running end.
    pub async fn serve(self, listeners: Vec<Listener>, mut stop: watch::Receiver<bool>) {
        let server = Arc::new(self);
        let (ending, _) = watch::channel(());
        let ending = Arc::new(ending);
        tokio::spawn(Seats::watch(Arc::downgrade(&server.seats), PATIENCE.idle));
        let accepting: Vec<_> = listeners
            .into_iter()
            .map(|listener| {
                let (server, ending, stop) = (Arc::clone(&server), Arc::clone(&ending), stop.clone());
                tokio::spawn(async move { server.accept(listener, &ending, stop).await })
            })
            .collect();
        // An error means that nobody can say it any more.
        let _ = stop.wait_for(|stop| *stop).await;
        for task in accepting {
            // Listeners close here: from now on connections are refused.
            let _ = task.await;
        }
        // An error means that there is no connection.
        let _ = ending.send(());
        let answered = async {
            server.exporter.instruments.no_probe_in_flight().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            () = ending.closed() => {}
            () = answered => {}
        }
    }

    async fn accept(
        self: &Arc<Self>,
        listener: Listener,
        ending: &watch::Sender<()>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.complain(&error).await;
                    continue;
                }
            };
            tokio::spawn(Arc::clone(self).welcome(stream, address, ending.subscribe()));
        }
    }

    /// A connection could not be accepted. The peer may have gone; but without file descriptors it is better to wait.
    async fn complain(&self, error: &io::Error) {
        let fleeting = matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
        );
        if fleeting {
            return;
        }
        if let Some(held_back) = self.trouble.due() {
            say!(
                self.exporter.logger,
                Error,
                "Error accepting a connection; retrying",
                "err" => os_error::describe(error),
                "held_back" => held_back,
            );
        }
        // Who waits for a seat has a file. Without one, whoever has a seat to come could not be accepted.
        let wait = if self.seats.send_away() { 10 } else { 100 };
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }

    /// Begins to serve a connection when it has a seat.
    async fn welcome(self: Arc<Self>, stream: TcpStream, address: IpAddr, end: watch::Receiver<()>) {
        let Some(seat) = self.seats.take(address, ()).await else {
            return;
        };
        let caller = Caller {
            address,
            seat: Arc::new(seat),
            lacks_certificate: false,
        };
        // A connection whose options cannot be set still works.
        let _ = stream.set_nodelay(true);
        // With TLS, a connection stays where it is.
        let place = if self.tls.is_some() {
            self.threads.any()
        } else {
            self.threads.best(Place::FIRST)
        };
        self.go_on(stream, (Place::FIRST, place), caller, end);
    }

    /// Goes on with a connection in another place.
    fn go_on(
        self: Arc<Self>,
        stream: TcpStream,
        (from, to): (Place, Place),
        caller: Caller,
        end: watch::Receiver<()>,
    ) {
        let taken = match from.is_with(to) {
            true => Ok(stream),
            false => self.threads.take(stream, to),
        };
        // Refused, it is closed: there is no memory for it.
        if let Ok(stream) = taken {
            let runtime = self.threads.at(to).clone();
            runtime.spawn(self.connection(stream, to, caller, end));
        }
    }

    /// Serves a connection until it ends, loses its seat, or goes on elsewhere.
    #[allow(
        clippy::manual_async_fn,
        reason = "an `async fn` holds its arguments twice, and connections are many"
    )]
    fn connection(
        self: Arc<Self>,
        mut stream: TcpStream,
        place: Place,
        caller: Caller,
        mut end: watch::Receiver<()>,
    ) -> impl Future<Output = ()> + Send {
        async move {
            if let Some(gate) = &self.tls {
                // Boxed: the connections without TLS need not hold the room for it.
                let served = Box::pin(self.encrypted(gate, stream, caller.clone(), end));
                return tokio::select! {
                    () = served => {}
                    () = caller.seat.lost() => {}
                };
            }
            loop {
                // Boxed: a connection that waits for its next request holds nothing of it.
                let served = Box::pin(self.http1(stream, Some(place), caller.clone(), &mut end));
                stream = tokio::select! {
                    idle = served => match idle {
                        Some(idle) => idle,
                        None => return,
                    },
                    () = caller.seat.lost() => return,
                };
                if !goes_on(&stream, &caller, &mut end).await {
                    return;
                }
                let best = self.threads.best(place);
                if best != place {
                    return self.go_on(stream, (place, best), caller, end);
                }
            }
        }
    }

    async fn encrypted(
        self: &Arc<Self>,
        gate: &Arc<Gate>,
        stream: TcpStream,
        mut caller: Caller,
        mut end: watch::Receiver<()>,
    ) {
        match tokio::time::timeout(PATIENCE.head, gate.handshake(stream)).await {
            Ok(Ok((mut stream, demands_certificate))) => {
                let session = stream.get_ref().1;
                caller.lacks_certificate = demands_certificate && session.peer_certificates().is_none();
                if session.alpn_protocol() == Some(b"h2") {
                    return self.http2(stream, caller, end).await;
                }
                loop {
                    let served = self.http1(stream, None, caller.clone(), &mut end);
                    stream = match Box::pin(served).await {
                        Some(idle) => idle,
                        None => return,
                    };
                    if !goes_on(&stream, &caller, &mut end).await {
                        return;
                    }
                }
            }
            Ok(Err(error)) => self.say_that_tls_failed(&caller, &error),
            Err(_too_slow) => {}
        }
    }

    /// Says so once per minute, and each time to those who debug. A caller that merely leaves, as a health check of a port does, is
    /// no trouble.
    fn say_that_tls_failed(&self, caller: &Caller, error: &io::Error) {
        let (client, why) = (text(caller.address), why_failed(error));
        let logger = &self.exporter.logger;
        let has_left = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        );
        match Some(&self.refusals)
            .filter(|_| !has_left)
            .and_then(OncePerMinute::due)
        {
            Some(held_back) => {
                say!(logger, Warn, "TLS handshake failed", "client" => client, "err" => why, "held_back" => held_back);
            }
            None => say!(logger, Debug, "TLS handshake failed", "client" => client, "err" => why),
        }
    }

    fn http1<S: Leaving>(
        self: &Arc<Self>,
        stream: S,
        place: Option<Place>,
        caller: Caller,
        end: &mut watch::Receiver<()>,
    ) -> impl Future<Output = Option<S>> {
        // compat: to a half-closed caller of a probe, Go answers with the probe that it cancelled. Here the connection ends.
        let requests = Requests::new(Abandoned::IsAnswered, caller);
        // Boxed: it is handed to hyper, and back.
        let stream = Box::new(Guarded::new(stream, requests.clone()));
        let answering = Answering::default();
        let service = {
            let responder = Arc::clone(&self.responder);
            let (requests, answering) = (requests.clone(), answering.clone());
            service_fn(move |request: Request<Incoming>| {
                answering.begin(request, |request| Box::pin(responder.respond(request, &requests)))
            })
        };
        let goes = move || place.is_some_and(|place| !self.threads.is_best(place));
        http1::serve(stream, service, answering, requests, goes, end)
    }

    async fn http2(self: &Arc<Self>, stream: impl Leaving, caller: Caller, mut end: watch::Receiver<()>) {
        let requests = Requests::new(Abandoned::Ends, caller);
        let stream = TokioIo::new(Guarded::new(stream, requests.clone()));
        let responder = Arc::clone(&self.responder);
        let service = service_fn(move |request: Request<Incoming>| {
            responder.respond(request, &requests).map(Ok::<_, Infallible>)
        });
        let mut connection = Box::pin(
            http2::Builder::new(Spread(Arc::clone(self)))
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .max_header_list_size(MAX_HEAD_LIST)
                .max_send_buf_size(MAX_SEND_BUFFER)
                .serve_connection(stream, service),
        );
        tokio::select! {
            biased;
            _ = &mut connection => return,
            _ = end.changed() => connection.as_mut().graceful_shutdown(),
        }
        // How a connection ends is the peer's business.
        let _ = connection.await;
    }
}

/// Serves each request of an HTTP/2 connection on the next thread: a scraper may send all that it has over one connection.
#[derive(Clone)]
struct Spread(Arc<Server>);

impl<F> Executor<F> for Spread
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, request: F) {
        let threads = &self.0.threads;
        threads.at(threads.next()).spawn(request);
    }
}

/// Parks a connection without a request: whether the next one begins.
async fn goes_on(stream: &impl Leaving, caller: &Caller, end: &mut watch::Receiver<()>) -> bool {
    caller.seat.is_parked(true);
    let goes_on = tokio::select! {
        has_left = poll_fn(|cx| stream.has_left(cx)) => !has_left,
        _ = end.changed() => false,
        () = caller.seat.lost() => false,
    };
    caller.seat.is_parked(false);
    goes_on
}
