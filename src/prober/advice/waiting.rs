//! Which step took the time of a probe that ran out of it.

use std::time::Duration;

use crate::display::duration;
use crate::prober::{Phase, Probe};

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
    Some(format!(
        "Of {}, {what} took {}: {remedy}. If that is normal, raise the timeout of the module and scrape_timeout.",
        duration(all),
        duration(took)
    ))
}
