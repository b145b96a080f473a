//! The threads of the exporter, and what happens when one panics or cannot be had.

use std::io;
use std::num::NonZero;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};

use crate::logging::Logger;
use crate::memory;
use crate::say;

/// Maximum threads that serve: each has files and memory of its own.
const MOST: usize = 16;
/// How often a thread for what blocks gets something to do: tokio ends those that had nothing for ten seconds.
const OCCUPIED: Duration = Duration::from_secs(8);
/// How long what still blocks may keep the process.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Runs `serve` on one thread of its own, and hands it the runtimes of the others, if there are. When they have nothing to do they give back
/// memory, if that was asked for.
///
/// # Errors
/// There are no threads to be had.
pub fn run<F>(serve: impl FnOnce(Vec<Handle>) -> F) -> io::Result<ExitCode>
where
    F: Future<Output = ExitCode>,
{
    // tokio panics where the system has no thread left; what it says is the error, and needs no trace.
    panic::set_hook(Box::new(|_| {}));
    let ran = panic::catch_unwind(AssertUnwindSafe(|| on_threads(serve)));
    ran.unwrap_or_else(|panic| {
        let reason = panic.downcast::<String>();
        Err(io::Error::other(reason.map_or_else(
            |_| "an internal error".to_owned(),
            |reason| *reason,
        )))
    })
}

fn on_threads<F>(serve: impl FnOnce(Vec<Handle>) -> F) -> io::Result<ExitCode>
where
    F: Future<Output = ExitCode>,
{
    let one = thread()?;
    let others = (1..count()).map(|_| thread()).collect::<io::Result<Vec<_>>>()?;
    let handles: Vec<_> = others.iter().map(|other| other.handle().clone()).collect();
    memory::others_give_back(handles.clone());
    let code = one.block_on(serve(handles));
    // A look-up or a file system that hangs must not keep the process.
    let since = Instant::now();
    for runtime in others.into_iter().chain([one]) {
        runtime.shutdown_timeout(SHUTDOWN.saturating_sub(since.elapsed()));
    }
    Ok(code)
}

/// How many threads may serve: as many as there are cores, if the environment does not say otherwise as for other programs that use tokio.
fn count() -> usize {
    let said = std::env::var("TOKIO_WORKER_THREADS").ok();
    let said = said.and_then(|said| said.parse().ok());
    let cores = || available_parallelism().map_or(1, NonZero::get);
    said.unwrap_or_else(cores).min(MOST)
}

/// A runtime with one thread, and another one in which it goes on while something computes for long.
fn thread() -> io::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .on_thread_park(memory::when_parked)
        .build()?;
    runtime.spawn(keep_a_thread());
    Ok(runtime)
}

/// Keeps one thread for what blocks. Where the system has none left, what has to wait for it waits; if there were not one, tokio
/// would panic. Under load there is always something that blocks.
async fn keep_a_thread() {
    loop {
        // An error means that the program ends.
        let _ = tokio::task::spawn_blocking(memory::when_parked).await;
        tokio::time::sleep(OCCUPIED).await;
    }
}

/// A bug must not end the exporter, and its message must not break the form of the log.
pub fn log_panics(logger: &Logger) {
    let logger = logger.clone();
    panic::set_hook(Box::new(move |panic| {
        let reason = panic.payload_as_str().unwrap_or("unknown").to_owned();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        match is_out_of_threads(&reason) {
            true => say!(
                logger,
                Error,
                "This machine ran out of threads; raise their limit (ulimit -u, TasksMax=, pids.max)",
                "err" => reason,
            ),
            false => {
                say!(logger, Error, "Internal error; please report it", "err" => reason, "place" => place)
            }
        }
    }));
}

/// Whether a panic says that the system has no thread left, for which tokio and the standard library have no error.
fn is_out_of_threads(reason: &str) -> bool {
    ["OS can't spawn worker thread", "failed to spawn thread"]
        .iter()
        .any(|start| reason.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_for_want_of_threads_is_no_bug() {
        let want = io::Error::from_raw_os_error(libc::EAGAIN);
        assert!(is_out_of_threads(&format!(
            "OS can't spawn worker thread: {want}"
        )));
        assert!(is_out_of_threads(&format!("failed to spawn thread: {want:?}")));
        assert!(!is_out_of_threads("index out of bounds"));
    }
}
