//! `exposition.certificates`: a series per certificate that was presented, on every hop, and the facts of TLS that upstream does not
//! expose for a prober.

use std::borrow::Cow;

use super::{Probe, Timeline};
use crate::config::Prober;
use crate::log;
use crate::metrics::{Labels, Metric};
use crate::net::tls::facts::{Certificate, Ending, FactSet, TlsFacts};
use crate::probe_log::{EXCERPT, excerpt_of, text};

/// Most certificates of a hop that are exposed.
const MOST: usize = 20;
/// Most bytes of a label.
const LONGEST: usize = 1024;

/// What the handshakes of all hops told.
fn handshakes(timeline: &Timeline) -> impl Iterator<Item = &TlsFacts> {
    timeline.attempt().iter().filter_map(|hop| hop.tls.as_deref())
}

/// Says where browsers would fetch the certificate that a server left out.
fn tell(probe: &mut Probe<'_>) {
    let is_incomplete = |facts: &&TlsFacts| facts.incomplete == Some(true);
    let tops: Vec<_> = handshakes(&probe.timeline)
        .filter(is_incomplete)
        .filter_map(|facts| Some((facts.presented.len(), facts.top().cloned()?)))
        .collect();
    for (sent, top) in tops {
        let place = top.issuer_urls().next().unwrap_or_default();
        log!(
            probe.log, Warn, "The server left out a certificate of its chain", "sent" => sent,
            "missing" => excerpt_of(top.issuer(), EXCERPT), "issuer_of" => excerpt_of(top.subject(), EXCERPT),
            "browsers_fetch_it_from" => text(place),
        );
    }
}

/// Exposes the certificates of all hops, each once per position, and what is known of the last handshake.
pub(super) fn expose(probe: &mut Probe<'_>) {
    tell(probe);
    let samples = &mut probe.samples;
    let mut incomplete = None;
    for facts in handshakes(&probe.timeline) {
        incomplete = incomplete.max(facts.incomplete);
        for (position, certificate) in facts.presented.iter().take(MOST).enumerate() {
            // Seconds of dates fit a float without loss.
            #[allow(clippy::cast_precision_loss)]
            let seconds = |at: i64| at as f64;
            let names = Names::new(position, certificate);
            let bits = certificate.key_bits().map(|bits| bits.to_string());
            samples.set_labels(
                Metric::SslCertNotAfter,
                names.labels(),
                seconds(certificate.not_after),
            );
            samples.set_labels(
                Metric::SslCertNotBefore,
                names.labels(),
                seconds(certificate.not_before),
            );
            samples.set_labels(
                Metric::SslCertInfo,
                names.with_key(certificate, bits.unwrap_or_default()),
                1.0,
            );
        }
    }
    if let Some(incomplete) = incomplete {
        samples.set_bool(Metric::SslChainIncomplete, incomplete);
    }
    // That of an earlier hop says nothing of this one.
    let last = probe.timeline.attempt().last();
    let Some(facts) = last.and_then(|hop| hop.tls.as_deref()) else {
        return;
    };
    if let Some(leaf) = facts.presented.first() {
        // Exact: a certificate of 64 KiB has no 2^52 of them.
        #[allow(clippy::cast_precision_loss)]
        samples.set(Metric::SslScts, leaf.embedded_timestamps() as f64);
    }
    match probe.module.prober() {
        Prober::Websocket | Prober::Dns => facts.expose(samples, FactSet::Http),
        Prober::Tcp | Prober::Unix | Prober::Grpc if facts.ending != Ending::Broken => {
            if let Some(cipher) = facts.cipher {
                samples.set_label(Metric::TlsCipherInfo, cipher, 1.0);
            }
        }
        _ => {}
    }
}

/// What names a certificate.
struct Names {
    position: String,
    issuer: String,
    serial: String,
    subject: String,
}

impl Names {
    fn new(position: usize, certificate: &Certificate) -> Self {
        Self {
            position: position.to_string(),
            issuer: cut(certificate.issuer()),
            serial: cut(certificate.serial()),
            subject: cut(certificate.subject()),
        }
    }

    fn labels(&self) -> Labels {
        values([&self.position, &self.issuer, &self.serial, &self.subject].map(|name| name.clone().into()))
    }

    fn with_key(self, certificate: &Certificate, bits: String) -> Labels {
        values([
            self.position.into(),
            self.issuer.into(),
            certificate.key_algorithm().into(),
            bits.into(),
            self.serial.into(),
            certificate.signature_algorithm().into(),
            self.subject.into(),
        ])
    }
}

fn values<const N: usize>(values: [Cow<'static, str>; N]) -> Labels {
    Labels::Values(values.into())
}

/// A label that a certificate made as long as it liked.
fn cut(mut label: String) -> String {
    label.truncate(label.floor_char_boundary(LONGEST));
    label
}
