//! Signals.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::logging::Logger;
use crate::probe_log::text;
use crate::say;
use crate::server::Exporter;

/// The signals that the exporter listens for.
#[derive(Debug)]
pub struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
    hangup: Option<Signal>,
}

impl Signals {
    /// Listens from now on: before anyone can know that the exporter is there, because a SIGHUP that nobody listens for
    /// ends the process.
    pub fn listen(logger: &Logger) -> Self {
        // A signal that cannot be listened for is one that never comes.
        let listen = |kind| {
            signal(kind)
                .inspect_err(|error| say!(logger, Warn, "Cannot listen for a signal", "err" => text(error)))
                .ok()
        };
        Self {
            terminate: listen(SignalKind::terminate()),
            interrupt: listen(SignalKind::interrupt()),
            hangup: listen(SignalKind::hangup()),
        }
    }

    /// Reloads on SIGHUP.
    pub fn reload_on_hangup(&mut self, exporter: &Arc<Exporter>) {
        let (mut hangup, exporter) = (self.hangup.take(), Arc::clone(exporter));
        tokio::spawn(async move {
            loop {
                next(&mut hangup).await;
                // The log says how it went.
                let _ = exporter.reload().await;
            }
        });
    }

    /// Waits for SIGTERM or SIGINT.
    pub async fn told_to_stop(&mut self) {
        tokio::select! {
            () = next(&mut self.terminate) => {}
            () = next(&mut self.interrupt) => {}
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
