//! The icmp prober: one echo request, one reply; several are in [`many`]. The sockets are in [`net::icmp`](crate::net::icmp).

mod many;

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use tokio::time::Instant;

use super::connect::vantage;
use super::{Chosen, Phase, Probe, Verdict, advice, choose_address};
use crate::log;
use crate::metrics::Metric;
use crate::module::Icmp;
use crate::net::dial::{SystemError, is_misaddressed};
use crate::net::icmp::{
    AddressFamily, Interface, OpenError, PingOutcome, PrepareError, Privilege, Report, Shape,
};
use crate::net::{Address, TimedOut};
use crate::probe_log::text;
use crate::reason::Reason;

const NOT_UNPRIVILEGED: &str = "Unable to do unprivileged listen on socket, will attempt privileged";

/// Pings the target, once or as often as the module says.
pub async fn probe(probe: &mut Probe<'_>, module: &Icmp) -> Verdict {
    for phase in [Phase::Resolve, Phase::Setup, Phase::Rtt] {
        probe.samples.set_label(Metric::IcmpDuration, phase.label(), 0.0);
    }
    let target = probe.target.to_owned();
    let Chosen { address, took, .. } = choose_address(probe, &target, module.preference).await?;
    set_phase(probe, Phase::Resolve, took.as_secs_f64());
    probe.timeline.hop().address = Some(address.to_string());
    let source = probe.source(&module.source, "Using source address");
    let source = source.map_err(|_| probe.fail(Reason::ConfigError))?;
    let source = source.or(probe.module.vantage.source);
    ping(probe, module, &address, source).await
}

async fn ping(probe: &mut Probe<'_>, module: &Icmp, address: &Address, source: Option<IpAddr>) -> Verdict {
    let setup = Instant::now();
    if let Err(refusal) = probe.network.policy.check_address(address.ip) {
        probe.advise(advice::policy());
        return not_written(
            probe,
            Reason::PolicyRefused,
            format!("write {address}: {refusal}"),
        );
    }
    log!(probe.log, Debug, "Creating socket");
    let family = AddressFamily::of(address.ip);
    let shape = Shape {
        family,
        // Go takes `::` for any address, of IPv4 too.
        source: source.filter(|ip| *ip != Ipv6Addr::UNSPECIFIED),
        ttl: module.ttl,
        // compat: upstream needs a raw socket for it; an unprivileged one can set the flag as well.
        dont_fragment: module.dont_fragment && family == AddressFamily::V4,
        dscp: probe.module.vantage.dscp,
        interface: probe.module.vantage.interface.as_deref().map(Interface::new),
    };
    let (payload, wrong_size) = match &module.payload {
        Ok(payload) => (Arc::clone(payload), None),
        Err(size) => (Arc::default(), Some(size)),
    };
    let duplicates = (module.count > 1).then(Arc::default);
    let mut sent = match probe
        .network
        .icmp
        .prepare(shape, address.with_port(0), &payload, duplicates.clone())
    {
        Ok(sent) => sent,
        Err(error) => {
            if let PrepareError::Open(OpenError::Refused {
                unprivileged, raw, ..
            }) = &error
            {
                probe.network.shortages.note("socket", unprivileged);
                probe.network.shortages.note("socket", raw);
            }
            let why = match &error {
                PrepareError::Open(OpenError::Refused { unprivileged, .. }) => {
                    Some(text(SystemError(unprivileged)))
                }
                PrepareError::Open(error @ OpenError::OtherFamily(..)) => Some(text(error)),
                PrepareError::Full => None,
            };
            if let Some(why) = why {
                log!(probe.log, Debug, NOT_UNPRIVILEGED, "err" => why);
            }
            probe.advise(advice::icmp::no_socket(&error, &vantage(probe, source)));
            probe.timeline.hop().result = Some(error.to_string());
            probe.timeline.record(Phase::Setup, setup, Instant::now());
            log!(probe.log, Error, "Error listening to socket", "err" => text(&error));
            return Err(probe.fail(unopened(&error)));
        }
    };
    let is_raw = match sent.privilege() {
        Privilege::Unprivileged => false,
        Privilege::Raw(why) => {
            log!(probe.log, Debug, NOT_UNPRIVILEGED, "err" => why.clone());
            true
        }
    };
    log!(probe.log, Debug, "Creating ICMP packet", "seq" => sent.sequence(), "id" => sent.id());
    let start = Instant::now();
    set_phase(probe, Phase::Setup, (start - setup).as_secs_f64());
    probe.timeline.record(Phase::Setup, setup, start);
    log!(probe.log, Debug, "Writing out packet");
    if let (IpAddr::V6(ip), Some(_)) = (address.ip, &address.zone)
        && !ip.is_unicast_link_local()
    {
        // Upstream waits for a reply from the address with its zone, which the system never names.
        let reason = format!("ping {address}: only a link-local address has a zone");
        return not_written(probe, Reason::ConfigError, reason);
    }
    if let Some(zone) = &address.zone
        && address.lacks_zone()
    {
        // compat: upstream sends to the address without a zone, which no reply can come from, and waits.
        probe.advise(advice::lacks_interface(address.ip));
        let reason = format!("ping {address}: no interface with an IPv6 address has the name {zone}");
        return not_written(probe, Reason::ConfigError, reason);
    }
    if shape.ttl > 0 {
        match (family, is_raw) {
            (AddressFamily::V4, true) if shape.dont_fragment => {
                log!(probe.log, Debug, "Overriding TTL (raw IPv4)", "ttl" => shape.ttl);
            }
            (AddressFamily::V4, _) => {
                log!(probe.log, Debug, "Setting TTL (IPv4 unprivileged)", "ttl" => shape.ttl)
            }
            (AddressFamily::V6, _) => {
                log!(probe.log, Debug, "Setting TTL (IPv6 unprivileged)", "ttl" => shape.ttl)
            }
        }
    }
    if let Some(size) = wrong_size {
        // compat: upstream's handler panics at a negative size, and allocates a positive one whatever it is.
        let most = family.max_payload();
        let reason =
            format!("write {address}: message too long: payload_size {size} is not between 0 and {most}");
        return not_written(probe, Reason::ConfigError, reason);
    }
    if let Some(duplicates) = &duplicates {
        return many::ping(probe, module, address, source, sent, &payload, duplicates).await;
    }
    let sending = probe.network.icmp.send(sent, &payload);
    sent = match probe.deadline.within(sending).await {
        Ok(Ok(sent)) => sent,
        Ok(Err(error)) => {
            let line = advice_unsent(probe, &error, address, payload.len(), source);
            probe.advise(line);
            let reason = unsent(&error, address.ip, source);
            return not_written(probe, reason, send_error(address, &error, payload.len()));
        }
        Err(timed_out) => {
            let reason = format!("write {address}: i/o timeout: no room in the send buffers: {timed_out}");
            return not_written(probe, Reason::OutOfResources, reason);
        }
    };
    log!(probe.log, Debug, "Waiting for reply packets");
    let answer = probe.deadline.within(sent.answer()).await;
    finish(probe, module, address, start, answer)
}

fn finish(
    probe: &mut Probe<'_>,
    module: &Icmp,
    address: &Address,
    start: Instant,
    answer: Result<Option<PingOutcome>, TimedOut>,
) -> Verdict {
    let (why, reason) = match answer {
        Ok(Some(PingOutcome::Reply {
            round_trip,
            hop_limit,
        })) => {
            set_phase(probe, Phase::Rtt, round_trip.as_secs_f64());
            probe.timeline.record(Phase::Rtt, start, start + round_trip);
            match (hop_limit, address.ip) {
                (Some(hops), _) => probe.samples.set(Metric::IcmpReplyHopLimit, f64::from(hops)),
                (None, IpAddr::V4(_)) => {
                    log!(
                        probe.log,
                        Debug,
                        "Cannot get TTL from the received packet. 'probe_icmp_reply_hop_limit' will be missing."
                    );
                }
                (None, IpAddr::V6(_)) => {
                    log!(
                        probe.log,
                        Debug,
                        "Cannot get Hop Limit from the received packet. 'probe_icmp_reply_hop_limit' will be missing."
                    );
                }
            }
            log!(probe.log, Debug, "Found matching reply packet");
            return Ok(());
        }
        Ok(Some(PingOutcome::Failure(report))) => {
            let facts = &probe.attempt.facts;
            let line = advice::icmp::report(facts, &report, address, module.ttl);
            probe.advise(line);
            // compat: upstream does not ask for ICMP errors and runs into its timeout.
            let reason = format!("ping {address}: {report}");
            log!(probe.log, Error, "Error reading from socket", "err" => reason.clone());
            (said_by(&report), reason)
        }
        Ok(None) => {
            let reason = format!("ping {address}: the socket was closed");
            log!(probe.log, Error, "Error reading from socket", "err" => reason.clone());
            (Reason::Other, reason)
        }
        Err(timed_out) => {
            let line = advice::icmp::silence(&probe.attempt.facts, address, module);
            probe.advise(line);
            let reason = format!("ping {address}: i/o timeout: no reply: {timed_out}");
            log!(probe.log, Warn, "Timeout reading from socket", "err" => reason.clone());
            (Reason::IcmpNoReply, reason)
        }
    };
    probe.timeline.hop().result = Some(reason);
    probe.timeline.record(Phase::Rtt, start, Instant::now());
    Err(probe.fail(why))
}

/// Tells why there was no ping.
fn not_written(probe: &mut Probe<'_>, why: Reason, reason: String) -> Verdict {
    probe.timeline.hop().result = Some(reason.clone());
    log!(probe.log, Warn, "Error writing to socket", "err" => reason);
    Err(probe.fail(why))
}

/// What it means that there is no socket.
fn unopened(error: &PrepareError) -> Reason {
    match error {
        PrepareError::Full => Reason::OutOfResources,
        PrepareError::Open(OpenError::OtherFamily(..)) => Reason::ConfigError,
        PrepareError::Open(OpenError::Refused {
            unprivileged, raw, ..
        }) => {
            let is_short = [unprivileged, raw]
                .iter()
                .any(|error| Reason::of_call("socket", error) == Reason::OutOfResources);
            // Mostly the right to ping, which the system gives.
            if is_short {
                Reason::OutOfResources
            } else {
                Reason::ConfigError
            }
        }
    }
}

/// The advice for a request that the system does not send.
fn advice_unsent(
    probe: &Probe<'_>,
    error: &io::Error,
    ip: &Address,
    payload: usize,
    source: Option<IpAddr>,
) -> Option<String> {
    let vantage = vantage(probe, source);
    advice::icmp::unsent(error, ip, payload, &probe.attempt.facts, &vantage)
}

/// What a request that the system does not send means.
fn unsent(error: &io::Error, ip: IpAddr, source: Option<IpAddr>) -> Reason {
    if is_misaddressed(error, ip, source) {
        return Reason::ConfigError;
    }
    match Reason::of_call("send", error) {
        Reason::ConnectUnreachable => Reason::IcmpUnreachable,
        reason => reason,
    }
}

/// What a router's word means (RFC 792, RFC 4443).
pub(super) fn said_by(report: &Report) -> Reason {
    match (report.family, report.icmp_type, report.code) {
        (AddressFamily::V4, 3, 4) | (AddressFamily::V6, 2, _) => Reason::IcmpTooBig,
        (AddressFamily::V4, 11, _) | (AddressFamily::V6, 3, _) => Reason::IcmpTimeExceeded,
        (AddressFamily::V4, 3, _) | (AddressFamily::V6, 1, _) => Reason::IcmpUnreachable,
        _ => Reason::ProtocolError,
    }
}

fn send_error(address: &Address, error: &io::Error, payload: usize) -> String {
    let cause = SystemError(error);
    if error.raw_os_error() == Some(libc::EMSGSIZE) {
        return format!(
            "write {address}: {cause}: a payload of {payload} bytes does not fit into one packet on this path"
        );
    }
    format!("write {address}: {cause}")
}

fn set_phase(probe: &mut Probe<'_>, phase: Phase, seconds: f64) {
    probe
        .samples
        .set_label(Metric::IcmpDuration, phase.label(), seconds);
}
