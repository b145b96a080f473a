//! Which step took the time of a probe that ran out of it.

use std::time::Duration;

use crate::display::duration;
use crate::prober::{Failure, Phase, Probe};
use crate::reason::Reason;

use super::tls::LOST;

/// For a probe to which nothing came in time on a connection that was made: that making it took over a third of the time. What did not
/// come may have been on the way.
pub(super) fn slow_line(probe: &Probe<'_>, failure: Failure) -> Option<String> {
    let is_silence = matches!(
        failure.reason,
        Reason::TlsHandshake | Reason::RequestTimeout | Reason::ExpectTimeout
    );
    if !is_silence || !probe.deadline.left().is_zero() {
        return None;
    }
    let phases = &probe.timeline.attempt().last()?.phases;
    let connects = phases.iter().filter(|span| span.phase == Phase::Connect);
    let (took, all) = (
        connects.map(|span| span.length).sum::<Duration>(),
        probe.start.elapsed(),
    );
    (took > all / 3).then(|| {
        format!(
            "Of {}, connecting alone took {}: the line is slow, or loses packets (`mtr -n HOST`). If that is normal, raise the timeout of the module and scrape_timeout; if not, the service may still hang.",
            duration(all),
            duration(took)
        )
    })
}

/// For a probe that ran into its deadline: what took most of the time, if one step did.
pub(super) fn longest(probe: &Probe<'_>) -> Option<String> {
    if !probe.deadline.left().is_zero() {
        return None;
    }
    let hops = probe.timeline.attempt();
    // Of several addresses, another one may have taken the time.
    if !std::ptr::eq(hops.last()?, probe.timeline.hops.last()?) {
        return None;
    }
    let spans = || hops.iter().flat_map(|hop| &hop.phases);
    let total = |phase| {
        let of_phase = spans().filter(|span| span.phase == phase);
        of_phase.map(|span| span.length).sum::<Duration>()
    };
    let longest = spans().map(|span| span.phase).max_by_key(|phase| total(*phase))?;
    let (took, all) = (total(longest), probe.start.elapsed());
    if took < all / 2 {
        return None;
    }
    let (what, remedy) = match longest {
        Phase::Resolve if probe.module.name_server.is_some() => {
            ("name resolution", "look at the name server that resolver names")
        }
        Phase::Resolve => ("name resolution", "look at the name servers in /etc/resolv.conf"),
        Phase::Token => (
            "waiting for an OAuth2 token",
            "look at the service behind token_url",
        ),
        Phase::Connect | Phase::Setup => ("connecting", "a firewall may drop the packets"),
        Phase::Tls => (
            "the TLS handshake",
            "the server accepts connections and does not respond in TLS",
        ),
        Phase::Processing => (
            "the server's processing",
            "the service is slow, or hangs; look at it",
        ),
        Phase::Transfer => (
            "the transfer",
            "the response or the dialogue is long, slow or without end",
        ),
        Phase::Rtt | Phase::Request | Phase::Check => (
            "waiting for the response",
            "the service is slow, or hangs; look at it",
        ),
    };
    // Their first packets are small: they pass where large ones do not.
    let lost = match longest {
        Phase::Processing | Phase::Transfer => format!(", or {LOST}"),
        _ => String::new(),
    };
    Some(format!(
        "Of {}, {what} took {}: {remedy}{lost}. If that is normal, raise the timeout of the module and scrape_timeout.",
        duration(all),
        duration(took)
    ))
}
