//! The dns prober.

use super::{Failed, Probe, Verdict};
use crate::log;
use crate::module::Dns;

/// Probes the target as the module says.
pub async fn probe(probe: &mut Probe<'_>, _module: &Dns) -> Verdict {
    log!(probe.log, Error, "The dns prober is not there yet");
    Err(Failed)
}
