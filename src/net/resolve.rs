//! From a target's host name to the one address that a probe dials.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Address, Deadline, Preference, TimedOut};
use crate::log;
use crate::metrics::Metric;
use crate::probe_log::text;
use crate::prober::{Failed, Phase, Probe};

/// Looks names up in the hosts file and the system's name servers. Nothing is cached.
#[derive(Debug, Default)]
pub struct Resolver;

/// Why a name has no address to dial.
#[derive(Debug)]
pub enum ResolveError {
    /// The name does not exist or has no address of the wanted family.
    NotFound(String),
    /// The deadline.
    TimedOut(TimedOut),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(why) => f.write_str(why),
            Self::TimedOut(timed_out) => write!(f, "{timed_out}"),
        }
    }
}

impl std::error::Error for ResolveError {}

impl Resolver {
    /// The address to dial for `host`: upstream's `chooseProtocol` without its metrics.
    ///
    /// # Errors
    /// No such name, no address of the wanted family, a failing name server, or the deadline.
    pub async fn lookup(
        &self,
        host: &str,
        preference: Preference,
        deadline: Deadline,
    ) -> Result<Address, ResolveError> {
        let found = deadline
            .within(tokio::net::lookup_host((host, 0)))
            .await
            .map_err(ResolveError::TimedOut)?;
        let found: Vec<IpAddr> = found
            .map_err(|e| ResolveError::NotFound(format!("lookup {host}: {e}")))?
            .map(|a| a.ip())
            .collect();
        let wanted = found.iter().find(|ip| ip.is_ipv6() == preference.ip6);
        let chosen = wanted.or(if preference.fallback { found.last() } else { None });
        chosen
            .map(|ip| Address::new(*ip))
            .ok_or_else(|| ResolveError::NotFound(format!("lookup {host}: no suitable address")))
    }
}

/// Resolves the target of a probe as upstream's `chooseProtocol`: logs it, exposes `probe_ip_protocol`,
/// `probe_dns_lookup_time_seconds` and `probe_ip_addr_hash`, and returns the address with the time it took.
/// On failure the reason is in the log already and `took` is exposed, but the prober's own `resolve` phase stays as it is.
///
/// # Errors
/// [`Failed`] after the reason was logged.
pub async fn choose_address(
    probe: &mut Probe<'_>,
    host: &str,
    preference: Preference,
) -> Result<(Address, Duration), Failed> {
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
            probe
                .samples
                .set(Metric::IpProtocol, if address.ip.is_ipv4() { 4.0 } else { 6.0 });
            probe
                .samples
                .set(Metric::IpAddrHash, f64::from(ip_hash(address.ip)));
            log!(probe.log, Debug, "Resolved target address", "target" => host.to_owned(), "ip" => text(&address));
            Ok((address, took))
        }
        Err(error) => {
            log!(probe.log, Error, "Resolution with IP protocol failed", "target" => host.to_owned(), "err" => text(&error));
            Err(Failed)
        }
    }
}

/// FNV-1a, 32 bits, of the 4 or 16 bytes of an address.
pub fn ip_hash(ip: IpAddr) -> u32 {
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
