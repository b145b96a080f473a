//! The websocket prober.

use super::{Failed, Probe, Verdict};
use crate::log;
use crate::module::Websocket;

/// Probes the target as the module says.
pub async fn probe(probe: &mut Probe<'_>, _module: &Websocket) -> Verdict {
    log!(probe.log, Error, "The websocket prober is not there yet");
    Err(Failed)
}
