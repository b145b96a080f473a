//! The URL and the address of a probe's target.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Failed, Phase, Probe, Verdict, advice};
use crate::carried;
use crate::config::module::vantage::Addresses;
use crate::log;
use crate::metrics::{Labels, Metric};
use crate::net::resolve::{Found, ResolveError};
use crate::net::url::Url;
use crate::net::{Address, Preference};
use crate::probe_log::text;
use crate::reason::Reason;

impl From<ResolveError> for Failed {
    /// [`choose_address`] has logged it and said why.
    fn from(_: ResolveError) -> Self {
        Self(())
    }
}

impl Probe<'_> {
    /// Reads the target as a URL.
    ///
    /// # Errors
    /// [`Failed`] after the reason was logged.
    pub(super) fn read_url(&mut self, target: &str) -> Result<Url, Failed> {
        Url::parse(&carried::bytes(target)).map_err(|error| {
            self.advise(advice::target::no_url(&error));
            log!(self.log, Error, "Could not parse target URL", "err" => text(&error));
            self.fail(Reason::ConfigError)
        })
    }
}

/// What the name of a target has.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The address that is dialled.
    pub address: Address,
    /// Its other addresses, the best of the same family first.
    pub others: Vec<Address>,
    /// How long the resolving took.
    pub took: Duration,
}

impl Chosen {
    /// The addresses that are dialled in turn: the chosen one, and with `addresses: any` the others.
    pub fn dialled(self, probe: &Probe<'_>) -> Vec<Address> {
        let mut all = vec![self.address];
        if probe.module.addresses == Addresses::Any {
            all.extend(self.others);
        }
        all
    }
}

/// With `addresses: random`, another address of the family of the one that was chosen.
fn pick(mut found: Found) -> Found {
    let is_ipv4 = found.chosen.ip.is_ipv4();
    let alike: Vec<usize> = (0..found.others.len())
        .filter(|i| {
            let other = found.others.get(*i);
            other.is_some_and(|other| other.ip.is_ipv4() == is_ipv4)
        })
        .collect();
    // One more, for the one that was chosen.
    let lot = rand::random_range(0..=alike.len());
    if let Some(other) = alike.get(lot).and_then(|i| found.others.get_mut(*i)) {
        std::mem::swap(&mut found.chosen, other);
    }
    found
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
) -> Result<Chosen, ResolveError> {
    if let Some(fixed) = probe.attempt.fixed.clone() {
        expose_address(probe, fixed.address.ip);
        return Ok(*fixed);
    }
    probe.samples.set(Metric::IpProtocol, 0.0);
    probe.samples.set(Metric::DnsLookupTime, 0.0);
    probe.samples.set(Metric::IpAddrHash, 0.0);
    log!(probe.log, Debug, "Resolving target address", "target" => host.to_owned(), "ip_protocol" => preference.name());
    let from = Instant::now();
    let found = find(probe, host, preference).await;
    let to = Instant::now();
    let took = to - from;
    probe.samples.set(Metric::DnsLookupTime, took.as_secs_f64());
    probe.timeline.record(Phase::Resolve, from, to);
    match found {
        Ok(found) => {
            let Found { chosen, others } = match probe.module.addresses {
                Addresses::Random => pick(found),
                Addresses::First | Addresses::Any | Addresses::All => found,
            };
            let is_ipv4 = chosen.ip.is_ipv4();
            let other = others.iter().find(|other| other.ip.is_ipv4() != is_ipv4);
            probe.attempt.facts.other_family = other.map(|other| other.ip);
            expose_address(probe, chosen.ip);
            log!(probe.log, Debug, "Resolved target address", "target" => host.to_owned(), "ip" => chosen.clone());
            Ok(Chosen {
                address: chosen,
                others,
                took,
            })
        }
        Err(error) => {
            let line = advice::resolve::advice(&error, &probe.module.vantage, Some(preference));
            probe.advise(line);
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
            probe.fail(error.reason());
            Err(error)
        }
    }
}

/// What a name has, or the address that the scrape says: the policy is asked about both.
async fn find(probe: &Probe<'_>, host: &str, preference: Preference) -> Result<Found, ResolveError> {
    let (network, deadline) = (probe.network, probe.deadline);
    let Some(ip) = probe.module.ip_address else {
        let (resolver, via) = (&network.resolver, probe.via());
        return match probe.module.addresses {
            Addresses::First => resolver.lookup(host, preference, deadline, via).await,
            // Whatever the order in which the name server lists them.
            Addresses::Random | Addresses::Any | Addresses::All => {
                let lookup = resolver.lookup_allowed(host, preference, deadline, via);
                Box::pin(lookup).await
            }
        };
    };
    let judged = network.policy.check_name(host);
    judged.map_err(|refusal| ResolveError::refused(host, refusal))?;
    let address = ip.to_string();
    network
        .resolver
        .lookup(&address, preference, deadline, None)
        .await
}

/// Asks the policy about the names that the scrape gave besides the target: `hostname`, where the prober tells it to peers, and
/// those among the parameters of the module. They become a `Host` header, a server name or a query.
///
/// # Errors
/// [`Failed`] after the reason was logged.
pub fn judge_names(probe: &mut Probe<'_>, hostname: Option<&str>) -> Verdict {
    let given = probe.module.given_names.iter().map(String::as_str);
    let mut names = hostname.into_iter().chain(given);
    let judged = names.try_for_each(|name| probe.network.policy.check_host_header(name));
    judged.map_err(|refusal| {
        probe.timeline.hop().result = Some(refusal.to_string());
        probe.advise(advice::policy());
        log!(probe.log, Error, "Hostname refused", "err" => text(&refusal));
        probe.fail(Reason::PolicyRefused)
    })
}

/// Exposes which address a probe is about.
pub fn expose_address(probe: &mut Probe<'_>, ip: IpAddr) {
    let protocol = if ip.is_ipv4() { 4.0 } else { 6.0 };
    let samples = &mut probe.samples;
    samples.set(Metric::IpProtocol, protocol);
    samples.set(Metric::IpAddrHash, f64::from(ip_hash(ip)));
    if probe.module.exposition.resolved_address {
        let protocol = if ip.is_ipv4() { "4" } else { "6" };
        let labels = [ip.to_string().into(), protocol.into()];
        samples.remove(Metric::IpInfo);
        samples.set_labels(Metric::IpInfo, Labels::Values(labels.into()), 1.0);
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
