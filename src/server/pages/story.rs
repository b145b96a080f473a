//! What a probe did, as its own page and the page of its target show it: hops with their phases, certificates.

use std::time::{Duration, UNIX_EPOCH};

use gostd::calendar::rfc3339;

use super::picture;
use crate::calendar::unix_now;
use crate::display::{Validity, age, duration, short, validity};
use crate::module::Given;
use crate::net::tls::facts::{Certificate, TlsFacts};
use crate::prober::{Hop, Outcome};
use crate::server::past::entry::Entry;
use crate::trace::Link;

/// Most characters of a text from outside.
pub const LONG: usize = 1000;
/// Most chains that are shown.
const CHAINS: usize = 4;
/// Most certificates of a chain that are shown.
const CERTIFICATES: usize = 20;

/// Most characters of a parameter.
const GIVEN: usize = 80;
/// Most characters of the name of a module.
const NAME: usize = 200;

/// A past probe in one line.
pub struct Summary {
    pub id: i64,
    pub target: String,
    pub module: String,
    pub duration: String,
    pub at: String,
    pub age: String,
    pub picture: String,
    pub reason: String,
    success: bool,
}

impl Summary {
    /// What is said of it in a list, or on top of its own page with a longer `target`.
    pub fn new(entry: &Entry, target: usize) -> Self {
        let outcome = &entry.outcome;
        let phases = outcome.timeline.hops.iter().flat_map(|hop| &hop.phases);
        Self {
            id: entry.id,
            target: short(&entry.target, target),
            module: short(&entry.module.name, NAME),
            duration: duration(outcome.duration),
            at: rfc3339(entry.at),
            age: age(entry.ended.elapsed()),
            picture: picture::line(phases, outcome.duration),
            reason: outcome
                .reason()
                .map(|reason| short(&reason, NAME))
                .unwrap_or_default(),
            success: outcome.success,
        }
    }

    pub fn class(&self) -> &'static str {
        if self.success { "good" } else { "bad" }
    }

    pub fn word(&self) -> &'static str {
        if self.success { "Success" } else { "Failure" }
    }
}

/// What a scrape has set, as a line each.
pub fn given(given: &[Given]) -> Vec<String> {
    let lines = given
        .iter()
        .map(|given| format!("{}={}", short(&given.name, GIVEN), short(&given.value, GIVEN)));
    lines.collect()
}

/// What to do about a failure.
pub struct Advice {
    pub line: String,
    /// Where its reason is explained.
    pub link: String,
    pub reason: &'static str,
}

impl Advice {
    /// What is said of a probe that failed.
    pub fn new(outcome: &Outcome) -> Option<Self> {
        let reason = outcome.failure?.reason;
        Some(Self {
            line: short(outcome.advice.as_deref()?, LONG),
            link: reason.link(),
            reason: reason.name(),
        })
    }
}

/// One hop.
pub struct HopView {
    pub name: String,
    pub address: Option<String>,
    pub result: Option<String>,
    pub phases: Vec<PhaseView>,
}

/// One phase of it.
pub struct PhaseView {
    pub name: &'static str,
    pub length: String,
    pub picture: String,
}

/// The trace of a probe.
pub struct TraceView {
    pub id: String,
    pub link: Option<String>,
}

impl TraceView {
    /// The trace of `outcome`, if it has one, and `link` to it.
    pub fn new(outcome: &Outcome, link: Option<&Link>) -> Option<Self> {
        let context = outcome.trace.as_ref()?;
        Some(Self {
            id: context.trace.to_string(),
            link: link.map(|link| link.of(context)),
        })
    }
}

/// The last TLS handshake of a hop.
pub struct TlsView {
    /// The hop, where there are several.
    pub hop: Option<String>,
    pub protocol: String,
    pub chains: Vec<ChainView>,
}

/// A chain of certificates.
pub struct ChainView {
    pub title: String,
    pub certificates: Vec<CertificateView>,
}

/// A certificate.
pub struct CertificateView {
    pub subject: String,
    pub issuer: String,
    pub names: String,
    pub until: String,
    pub left: String,
    pub class: &'static str,
}

/// The hops of a probe.
pub fn hops(outcome: &Outcome) -> Vec<HopView> {
    let whole = outcome.duration;
    let hops = outcome.timeline.hops.iter().map(|hop| HopView {
        name: short(&hop.name, LONG),
        address: hop.address.as_deref().map(|address| short(address, LONG)),
        result: hop.shown().map(|result| short(&result, LONG)),
        phases: hop
            .phases
            .iter()
            .map(|phase| PhaseView {
                name: phase.phase.label(),
                length: duration(phase.length),
                picture: picture::bar(phase, whole),
            })
            .collect(),
    });
    hops.collect()
}

/// The phases of some probes, each once, with the class of its colour: a legend.
pub fn legend<'o>(outcomes: impl Iterator<Item = &'o Outcome>) -> Vec<(&'static str, &'static str)> {
    let mut legend: Vec<(&str, &str)> = Vec::new();
    let phases = outcomes
        .flat_map(|outcome| &outcome.timeline.hops)
        .flat_map(|hop| &hop.phases);
    for entry in phases.map(|span| (span.phase.label(), picture::class(span.phase))) {
        if !legend.contains(&entry) {
            legend.push(entry);
        }
    }
    legend
}

/// The handshakes of all hops.
pub fn handshakes(outcome: &Outcome) -> Vec<TlsView> {
    let hops = &outcome.timeline.hops;
    let view = |hop: &Hop| {
        let name = (hops.len() > 1).then(|| short(&hop.name, LONG));
        Some(TlsView::new(name, hop.tls.as_deref()?))
    };
    hops.iter().filter_map(view).collect()
}

impl TlsView {
    fn new(hop: Option<String>, facts: &TlsFacts) -> Self {
        let version = facts.version.unwrap_or("no version agreed");
        let cipher = facts
            .cipher
            .map(|cipher| format!(", {cipher}"))
            .unwrap_or_default();
        let alpn = facts
            .alpn
            .as_deref()
            .map(|alpn| format!(", {}", short(&String::from_utf8_lossy(alpn), 50)));
        let mut chains = Vec::new();
        for (index, chain) in facts.chains.iter().take(CHAINS).enumerate() {
            chains.push(ChainView::new(format!("Verified chain {}", index + 1), chain));
        }
        if chains.is_empty() && !facts.presented.is_empty() {
            chains.push(ChainView::new(
                "Presented, not verified".to_owned(),
                &facts.presented,
            ));
        }
        Self {
            hop,
            protocol: format!("{version}{cipher}{}", alpn.unwrap_or_default()),
            chains,
        }
    }
}

impl ChainView {
    fn new(title: String, certificates: &[std::sync::Arc<Certificate>]) -> Self {
        let shown = certificates
            .iter()
            .take(CERTIFICATES)
            .map(|certificate| CertificateView::new(certificate));
        Self {
            title,
            certificates: shown.collect(),
        }
    }
}

impl CertificateView {
    fn new(certificate: &Certificate) -> Self {
        let (validity, left) = validity(certificate.not_before, certificate.not_after, unix_now());
        let end = u64::try_from(certificate.not_after).unwrap_or(0);
        let names: Vec<&str> = certificate.dns_names().take(CERTIFICATES).collect();
        Self {
            subject: short(&certificate.subject(), LONG),
            issuer: short(&certificate.issuer(), LONG),
            names: short(&names.join(", "), LONG),
            until: UNIX_EPOCH
                .checked_add(Duration::from_secs(end))
                .map(|end| rfc3339(end).chars().take(10).collect())
                .unwrap_or_default(),
            left,
            class: match validity {
                Validity::Bad => "bad",
                Validity::Soon => "warn",
                Validity::Good => "good",
            },
        }
    }
}
