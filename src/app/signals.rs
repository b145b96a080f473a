//! Signals.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

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

/// Reloads on SIGHUP.
pub fn reload_on_hangup(exporter: &Arc<Exporter>) {
    let mut hangup = listen(exporter, SignalKind::hangup());
    let reloading = Arc::clone(exporter);
    tokio::spawn(async move {
        loop {
            next(&mut hangup).await;
            // The log says how it went.
            let _ = reloading.reload().await;
        }
    });
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
