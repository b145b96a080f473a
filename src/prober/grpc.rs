//! The grpc prober.

use super::{Failed, Probe, Verdict};
use crate::log;
use crate::module::Grpc;

/// Probes the target as the module says.
pub async fn probe(probe: &mut Probe<'_>, _module: &Grpc) -> Verdict {
    log!(probe.log, Error, "The grpc prober is not there yet");
    Err(Failed)
}
