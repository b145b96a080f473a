//! Requests to what the configuration names beside targets: token servers, receivers of spans and logs.

use std::io;
use std::sync::LazyLock;

use reqwest::{RequestBuilder, Response};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::reqwest_error::cause;
use crate::memory;

/// hyper reads interim responses (1xx) and what else comes before a response for up to half a second without letting another task run.
/// So these connections have threads of their own: a peer that sends them without end holds up requests to the others at most. Servers that
/// only a certificate names are asked without hyper.
static THREADS: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(4)
        .thread_name("fetch")
        .on_thread_park(memory::when_parked)
        .enable_all()
        .build()
});

/// Sends a request and awaits the head of its response.
///
/// # Errors
/// Why there is none, without the URL.
pub async fn send(request: RequestBuilder) -> Result<Response, String> {
    let threads = THREADS.as_ref().map_err(ToString::to_string)?;
    // Dropped, it ends the request.
    let mut sent = JoinSet::new();
    sent.spawn_on(request.send(), threads.handle());
    match sent.join_next().await {
        Some(Ok(response)) => response.map_err(cause),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("no response".to_owned()),
    }
}
