//! The http prober.

use super::{Failed, Probe, Verdict};
use crate::log;
use crate::module::Http;

/// Probes the target as the module says.
pub async fn probe(probe: &mut Probe<'_>, _module: &Http) -> Verdict {
    log!(probe.log, Error, "The http prober is not there yet");
    Err(Failed)
}
