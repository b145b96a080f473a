//! Requests to what the configuration names beside targets: token servers, receivers of spans and logs.

use std::io;
use std::panic::catch_unwind;

use reqwest::{RequestBuilder, Response};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::reqwest_error::cause;
use crate::blocking::threads_left;
use crate::memory;
use crate::os_error::SystemError;

/// How many they are.
const WORKERS: usize = 4;

/// hyper reads interim responses (1xx) and what else comes before a response for up to half a second without letting another task run.
/// So these connections have threads of their own: a peer that sends them without end holds up requests to the others at most. Servers that
/// only a certificate names are asked without hyper.
static THREADS: OnceCell<Runtime> = OnceCell::const_new();

/// The threads. When the system has no files or threads left for them, the next request tries again.
async fn threads() -> Result<&'static Runtime, String> {
    let begun = || catch_unwind(begin).unwrap_or_else(|_| Err(io::ErrorKind::WouldBlock.into()));
    let threads = THREADS.get_or_try_init(|| async { begun() }).await;
    threads.map_err(|error| format!("no files or threads left: {}", SystemError(&error)))
}

/// Where tokio gets only some of its threads, it panics and leaves them behind.
fn begin() -> io::Result<Runtime> {
    threads_left(WORKERS + 1)?;
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("fetch")
        .on_thread_park(memory::when_parked)
        .enable_all()
        .build()
}

/// Sends a request and awaits the head of its response.
///
/// # Errors
/// Why there is none, without the URL.
pub async fn send(request: RequestBuilder) -> Result<Response, String> {
    let threads = threads().await?;
    // Dropped, it ends the request.
    let mut sent = JoinSet::new();
    sent.spawn_on(request.send(), threads.handle());
    match sent.join_next().await {
        Some(Ok(response)) => response.map_err(cause),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("no response".to_owned()),
    }
}
