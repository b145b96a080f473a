//! The tcp prober.

use super::{Failed, Probe, Verdict};
use crate::log;
use crate::module::Tcp;

/// Probes the target as the module says.
pub async fn probe(probe: &mut Probe<'_>, _module: &Tcp) -> Verdict {
    log!(probe.log, Error, "The tcp prober is not there yet");
    Err(Failed)
}
