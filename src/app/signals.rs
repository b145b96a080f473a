//! Signals, and a configuration file that changes by itself.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Flags;
use crate::probe_log::text;
use crate::say;
use crate::server::Exporter;

/// Waits for SIGTERM or SIGINT.
pub async fn until_told_to_stop(exporter: &Exporter) {
    let (mut terminate, mut interrupt) = (
        listen(exporter, SignalKind::terminate()),
        listen(exporter, SignalKind::interrupt()),
    );
    tokio::select! {
        () = next(&mut terminate) => {}
        () = next(&mut interrupt) => {}
    }
}

/// Reloads on SIGHUP, and at an interval if the flags say so.
pub fn watch_configuration(exporter: &Arc<Exporter>, flags: &Flags) {
    let mut hangup = listen(exporter, SignalKind::hangup());
    let reloading = Arc::clone(exporter);
    tokio::spawn(async move {
        loop {
            next(&mut hangup).await;
            // The log says how it went.
            let _ = reloading.reload().await;
        }
    });
    if flags.auto_reload {
        let reloading = Arc::clone(exporter);
        let interval = flags.auto_reload_interval.max(std::time::Duration::from_secs(1));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let _ = reloading.reload().await;
            }
        });
    }
}

/// A signal that cannot be listened for is one that never comes.
fn listen(exporter: &Exporter, kind: SignalKind) -> Option<Signal> {
    signal(kind)
        .inspect_err(|error| say!(exporter.logger, Warn, "Cannot listen for a signal", "err" => text(error)))
        .ok()
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
