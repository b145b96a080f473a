//! The icmp prober.

use super::{Failed, Probe, Verdict};
use crate::log;
use crate::module::Icmp;

/// Probes the target as the module says.
pub async fn probe(probe: &mut Probe<'_>, _module: &Icmp) -> Verdict {
    log!(probe.log, Error, "The icmp prober is not there yet");
    Err(Failed)
}

/// The shared ICMP sockets of this process.
#[derive(Debug, Default)]
pub struct Engine;
