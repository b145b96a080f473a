//! Connections: accepting them, their limits, and their end.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower_service::Service;

use super::Exporter;
use super::front::Prefix;
use super::guard::{Guarded, Patience, Requests};
use crate::logging::OncePerMinute;
use crate::os_error;
use crate::say;

/// Largest head of a request, in bytes: Go's limit, slack included.
const MAX_HEAD: usize = (1 << 20) + 4096;
/// Most header lines of a request.
const MAX_HEADERS: usize = 256;
/// How long a peer may take. A scraper that keeps its connection gives it up after five minutes itself.
const PATIENCE: Patience = Patience {
    head: Duration::from_secs(30),
    idle: Duration::from_secs(360),
    write: Duration::from_secs(60),
};
/// How long connections may take to end after the last probe was answered.
const FAREWELL: Duration = Duration::from_secs(1);

/// What serves connections.
#[derive(Clone, Debug)]
pub struct Server {
    exporter: Arc<Exporter>,
    router: Router,
    prefix: Arc<Prefix>,
    connections: Arc<Semaphore>,
    trouble: Arc<OncePerMinute>,
}

impl Server {
    /// Serves at most `max_connections` connections at one time.
    pub fn new(exporter: Arc<Exporter>, prefix: Prefix, max_connections: usize) -> Self {
        Self {
            router: super::router(Arc::clone(&exporter)),
            exporter,
            prefix: Arc::new(prefix),
            connections: Arc::new(Semaphore::new(max_connections.clamp(1, Semaphore::MAX_PERMITS))),
            trouble: Arc::default(),
        }
    }

    /// Serves until `stop` says so, then lets the probes that are running end.
    pub async fn serve(self, listeners: Vec<TcpListener>, mut stop: watch::Receiver<bool>) {
        let graceful = Arc::new(GracefulShutdown::new());
        let accepting: Vec<_> = listeners
            .into_iter()
            .map(|listener| {
                let (server, graceful, stop) = (self.clone(), Arc::clone(&graceful), stop.clone());
                tokio::spawn(async move { server.accept(listener, &graceful, stop).await })
            })
            .collect();
        // An error means that nobody can say it any more.
        let _ = stop.wait_for(|stop| *stop).await;
        for task in accepting {
            // Listeners close here: from now on connections are refused.
            let _ = task.await;
        }
        let Ok(graceful) = Arc::try_unwrap(graceful) else {
            return;
        };
        let answered = async {
            self.exporter.instruments.no_probe_in_flight().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            () = graceful.shutdown() => {}
            () = answered => {}
        }
    }

    async fn accept(
        &self,
        listener: TcpListener,
        graceful: &GracefulShutdown,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let next = async {
                let permit = Arc::clone(&self.connections).acquire_owned().await;
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                next = next => next,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    self.complain(&error).await;
                    continue;
                }
            };
            let (server, watcher) = (self.clone(), graceful.watcher());
            tokio::spawn(async move {
                server.connection(stream, watcher).await;
                drop(permit);
            });
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
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    async fn connection(&self, stream: TcpStream, watcher: hyper_util::server::graceful::Watcher) {
        // A connection whose options cannot be set still works.
        let _ = stream.set_nodelay(true);
        let requests = Requests::default();
        let stream = TokioIo::new(Guarded::new(stream, requests.clone(), PATIENCE));
        let service = hyper::service::service_fn(move |request| {
            let (server, request_guard) = (self.clone(), requests.begin());
            async move {
                let response = server.answer(request).await;
                drop(request_guard);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(stream, service);
        // How a connection ends is the peer's business.
        let _ = watcher.watch(connection).await;
    }

    async fn answer(&self, mut request: Request<Incoming>) -> Response {
        if let Err(response) = self.prefix.route(&mut request) {
            return *response;
        }
        match self.router.clone().call(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
