//! Signals.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::logging::Logger;
use crate::probe_log::text;
use crate::say;
use crate::server::Exporter;

/// The signals that stop the exporter.
#[derive(Debug)]
pub struct Stop {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

impl Stop {
    /// Listens from now on. Whoever does so must look at them at any time: nothing else ends the process any more.
    pub fn listen(logger: &Logger) -> Self {
        Self {
            terminate: listen(SignalKind::terminate(), logger),
            interrupt: listen(SignalKind::interrupt(), logger),
        }
    }

    /// Waits for SIGTERM or SIGINT.
    pub async fn told(&mut self) {
        tokio::select! {
            () = next(&mut self.terminate) => {}
            () = next(&mut self.interrupt) => {}
        }
    }
}

/// The signal that asks for a reload.
#[derive(Debug)]
pub struct Hangup(Option<Signal>);

impl Hangup {
    /// Listens from now on: before anyone can know that the exporter is there, because a SIGHUP that nobody listens for
    /// ends the process.
    pub fn listen(logger: &Logger) -> Self {
        Self(listen(SignalKind::hangup(), logger))
    }

    /// Reloads on SIGHUP.
    pub fn reload(self, exporter: &Arc<Exporter>) {
        let (Self(mut hangup), exporter) = (self, Arc::clone(exporter));
        tokio::spawn(async move {
            loop {
                next(&mut hangup).await;
                // The log says how it went.
                let _ = exporter.reload().await;
            }
        });
    }
}

/// A signal that cannot be listened for is one that never comes.
fn listen(kind: SignalKind, logger: &Logger) -> Option<Signal> {
    signal(kind)
        .inspect_err(|error| say!(logger, Warn, "Cannot listen for a signal", "err" => text(error)))
        .ok()
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
