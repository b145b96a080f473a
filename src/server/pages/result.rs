//! The page of one probe: what it did, how long each step took, whom it met, and how to repeat it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use askama::Template;
use gostd::calendar::rfc3339;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::home::Summary;
use super::picture;
use crate::carried;
use crate::display::{duration, short};
use crate::net::tls_facts::{Certificate, TlsFacts};
use crate::server::debug;
use crate::server::history::Entry;

/// What must not stand as it is in a value of a query: whatever a shell, curl or a chat that the command is pasted into could take
/// for its own.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/')
    .remove(b'@')
    .remove(b',');
/// Most characters of a text from outside.
const LONG: usize = 1000;
/// Most chains that are shown.
const CHAINS: usize = 4;
/// Most certificates of a chain that are shown.
const CERTIFICATES: usize = 20;
/// Fewer days left than this are worth a colour.
const SOON: i64 = 30;
const DAY: i64 = 86_400;

#[derive(Template)]
#[template(path = "probe.html")]
pub struct Result {
    probe: Summary,
    reason: Option<String>,
    hops: Vec<HopView>,
    tls: Option<TlsView>,
    command: String,
    metrics: String,
    module_text: String,
}

struct HopView {
    name: String,
    address: Option<String>,
    result: Option<String>,
    phases: Vec<PhaseView>,
}

struct PhaseView {
    name: &'static str,
    length: String,
    picture: String,
}

struct TlsView {
    protocol: String,
    chains: Vec<ChainView>,
}

struct ChainView {
    title: String,
    certificates: Vec<CertificateView>,
}

struct CertificateView {
    subject: String,
    issuer: String,
    names: String,
    until: String,
    left: String,
    class: &'static str,
}

impl Result {
    /// The page of `entry`; `base` is how the caller reached the endpoints.
    pub fn new(entry: &Entry, base: &str) -> Self {
        let outcome = &entry.outcome;
        let whole = outcome.duration;
        let hops = outcome.timeline.hops.iter().map(|hop| HopView {
            name: short(&hop.name, LONG),
            address: hop.address.as_deref().map(|address| short(address, LONG)),
            result: hop.result.as_deref().map(|result| short(result, LONG)),
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
        Self {
            probe: Summary::new(entry, LONG),
            reason: outcome.reason().map(|reason| short(&reason, LONG)),
            hops: hops.collect(),
            tls: outcome.tls.as_ref().map(TlsView::new),
            command: command(entry, base),
            metrics: debug::metrics_text(entry),
            module_text: debug::module_text(entry),
        }
    }
}

impl TlsView {
    fn new(facts: &TlsFacts) -> Self {
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
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let days = (certificate.not_after - now).div_euclid(DAY);
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
            left: if days < 0 {
                format!("expired {} days ago", -days)
            } else {
                format!("{days} days left")
            },
            class: match days {
                ..0 => "bad",
                0..SOON => "warn",
                _ => "good",
            },
        }
    }
}

/// The command that runs this probe again and shows its log.
fn command(entry: &Entry, base: &str) -> String {
    let parameter =
        |name: &str, value: &str| format!("{name}={}", percent_encode(&carried::bytes(value), ESCAPED));
    let mut query = vec![
        parameter("module", &entry.module.name),
        parameter("target", &entry.target),
    ];
    query.extend(
        entry
            .hostname
            .as_deref()
            .map(|hostname| parameter("hostname", hostname)),
    );
    query.push("debug=true".to_owned());
    let url = format!("{base}probe?{}", query.join("&"));
    // -g: brackets and braces are not patterns. Within single quotes a shell takes everything but the quote as it is.
    format!("curl -g '{}'", url.replace('\'', "%27"))
}
