//! The unix prober.

use super::{Failed, Probe, Verdict};
use crate::log;
use crate::module::Unix;

/// Probes the target as the module says.
pub async fn probe(probe: &mut Probe<'_>, _module: &Unix) -> Verdict {
    log!(probe.log, Error, "The unix prober is not there yet");
    Err(Failed)
}
