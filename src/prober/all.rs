//! `addresses: all`: the probe of an icmp or tcp module, once for each address of the target.

use std::mem::take;

use super::{Attempt, Chosen, Probe, Verdict, choose_address, judged};
use crate::log;
use crate::metrics::{Labels, Metric};
use crate::module::Kind;
use crate::net::{Address, Deadline, split_host_port};
use crate::probe_log::text;
use crate::reason::Reason;

use tokio::time::{Instant, timeout_at};

/// Most addresses of a target that are probed.
const MOST: usize = 32;

/// Probes every address of the target that the policy allows, one after the other, each for its share of the time that is
/// left. All must succeed. What is told of a single probe is that of the first one that failed, or else of the first.
///
/// # Errors
/// [`Failed`](super::Failed) after the reason was logged.
pub(super) async fn probe(probe: &mut Probe<'_>) -> Verdict {
    let target = probe.target;
    let host = match &probe.module.kind {
        Kind::Tcp(tcp) => split_host_port(target)
            .ok()
            .map(|(host, _)| (host, tcp.preference)),
        Kind::Icmp(icmp) => Some((target, icmp.preference)),
        // No others have the setting.
        _ => None,
    };
    // A target without a port has no addresses to be probed; the prober says so.
    let Some((host, preference)) = host else {
        return judged(probe).await;
    };
    probe.timeline.begin_hop(target);
    let found = choose_address(probe, host, preference).await?;
    let addresses = addresses(probe, &found);
    let (whole, before) = (probe.deadline, probe.samples.clone());
    let explains = probe.attempt.findings.is_some();
    let mut outcomes = Vec::with_capacity(addresses.len());
    let mut described = None;
    let mut ended = Ok(());
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(1);
        if left > 1 {
            probe.deadline = Deadline::after(Instant::now(), whole.left() / left);
        }
        // Nothing that is known of one address says anything of the next.
        probe.samples = before.clone();
        probe.attempt = Attempt {
            fixed: Some(Box::new(Chosen {
                address: address.clone(),
                others: Vec::new(),
                took: found.took,
            })),
            findings: explains.then(Box::default),
            ..Attempt::default()
        };
        if index > 0 {
            probe.timeline.begin_attempt();
        }
        probe.timeline.hop().name = format!("{target} at {address}");
        // A backstop, as in the runner, which would lose what is known of the addresses before this one.
        let verdict = match timeout_at(probe.deadline.at(), judged(probe)).await {
            Ok(verdict) => verdict,
            Err(_) => {
                log!(probe.log, Error, "Probe of an address timed out", "address" => text(address));
                Err(probe.fail(Reason::RequestTimeout))
            }
        };
        probe.deadline = whole;
        outcomes.push((address, verdict.is_ok()));
        if described.is_none() || ended.is_ok() && verdict.is_err() {
            described = Some((
                take(&mut probe.samples),
                take(&mut probe.attempt),
                probe.timeline.place(),
            ));
        }
        if ended.is_ok() {
            ended = verdict;
        }
    }
    if let Some((samples, attempt, place)) = described {
        probe.samples = samples;
        probe.attempt = attempt;
        probe.timeline.describe(place);
    }
    probe.attempt.fixed = None;
    for (address, succeeded) in &outcomes {
        let labels = Labels::Values(Box::new([address.to_string().into()]));
        let value = f64::from(u8::from(*succeeded));
        probe.samples.set_labels(Metric::AddressSuccess, labels, value);
    }
    let failed: Vec<String> = outcomes
        .iter()
        .filter(|(_, succeeded)| !succeeded)
        .map(|(address, _)| address.to_string())
        .collect();
    if !failed.is_empty() {
        let of_all = format!("{} of {} addresses failed", failed.len(), outcomes.len());
        log!(probe.log, Error, "Not every address of the target is well", "failed" => failed.join(" "), "err" => of_all);
    }
    ended
}

/// The addresses that are probed, each once.
fn addresses(probe: &mut Probe<'_>, found: &Chosen) -> Vec<Address> {
    let mut all: Vec<Address> = vec![found.address.clone()];
    for other in &found.others {
        if !all.contains(other) {
            all.push(other.clone());
        }
    }
    if all.len() > MOST {
        log!(probe.log, Warn, "Too many addresses, the others are not probed", "probed" => MOST, "addresses" => text(all.len()));
        all.truncate(MOST);
    }
    all
}
