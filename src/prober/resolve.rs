//! The address of a probe's target.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Failed, Phase, Probe};
use crate::log;
use crate::metrics::Metric;
use crate::net::resolve::ResolveError;
use crate::net::{Address, Preference};
use crate::probe_log::text;

impl From<ResolveError> for Failed {
    /// [`choose_address`] has logged it.
    fn from(_: ResolveError) -> Self {
        Self
    }
}

/// Resolves the target of a probe as upstream's `chooseProtocol`: logs it, exposes `probe_ip_protocol`,
/// `probe_dns_lookup_time_seconds` and `probe_ip_addr_hash`, and returns the address with the time it took.
/// On failure that time is exposed too, but the prober's own `resolve` phase stays as it is.
///
/// # Errors
/// Why there is no address; that is logged, as upstream does: by the resolving, and once more by the prober.
pub async fn choose_address(
    probe: &mut Probe<'_>,
    host: &str,
    preference: Preference,
) -> Result<(Address, Duration), ResolveError> {
    probe.samples.set(Metric::IpProtocol, 0.0);
    probe.samples.set(Metric::DnsLookupTime, 0.0);
    probe.samples.set(Metric::IpAddrHash, 0.0);
    log!(probe.log, Debug, "Resolving target address", "target" => host.to_owned(), "ip_protocol" => preference.name());
    let from = Instant::now();
    let found = probe
        .network
        .resolver
        .lookup(host, preference, probe.deadline)
        .await;
    let to = Instant::now();
    let took = to - from;
    probe.samples.set(Metric::DnsLookupTime, took.as_secs_f64());
    probe.timeline.record(Phase::Resolve, from, to);
    match found {
        Ok(address) => {
            let protocol = if address.ip.is_ipv4() { 4.0 } else { 6.0 };
            probe.samples.set(Metric::IpProtocol, protocol);
            let hash = f64::from(ip_hash(address.ip));
            probe.samples.set(Metric::IpAddrHash, hash);
            log!(probe.log, Debug, "Resolved target address", "target" => host.to_owned(), "ip" => text(&address));
            Ok((address, took))
        }
        Err(error) => {
            const FAILED: &str = "Resolution with IP protocol failed";
            match (preference.fallback, error.is_unasked()) {
                (true, true) => {}
                (true, false) => {
                    log!(probe.log, Error, FAILED, "target" => host.to_owned(), "err" => text(&error));
                }
                (false, _) => {
                    log!(probe.log, Error, FAILED, "target" => host.to_owned(), "ip_protocol" => preference.name(), "err" => text(&error));
                }
            }
            log!(probe.log, Error, "Error resolving address", "err" => text(&error));
            Err(error)
        }
    }
}

/// FNV-1a, 32 bits, of the 4 or 16 bytes of an address.
fn ip_hash(ip: IpAddr) -> u32 {
    let fnv = |bytes: &[u8]| {
        bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        })
    };
    match ip.to_canonical() {
        IpAddr::V4(ip) => fnv(&ip.octets()),
        IpAddr::V6(ip) => fnv(&ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_upstreams() {
        assert_eq!(ip_hash("127.0.0.1".parse().unwrap()), 3_668_918_509);
        assert_eq!(ip_hash("::ffff:127.0.0.1".parse().unwrap()), 3_668_918_509);
    }
}
