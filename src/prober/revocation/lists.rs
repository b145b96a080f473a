//! `check_revoked`: the certificates of a chain, looked up in the lists of revoked ones that they name.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::time;
use crate::calendar::unix_now;
use crate::log;
use crate::metrics::{Labels, Metric};
use crate::net::revocation::Way;
use crate::net::tls::facts::Certificate;
use crate::net::x509::{Revocation, RevocationList};
use crate::probe_log::text;
use crate::prober::Probe;

/// From this size on a list is looked through beside the threads that serve.
const LARGE: usize = 64 << 10;

/// What the lists say of a certificate.
#[derive(Debug, Default)]
struct Finding {
    /// Whether a list has the serial number.
    revoked: bool,
    /// Whether that means this certificate.
    counts: bool,
    available: bool,
    stale: bool,
    next_update: Option<i64>,
    /// Of the list that counts, or the last one tried.
    url: String,
    /// How long fetching lists took.
    fetching: Duration,
}

/// Looks the certificates of a chain up; whether one of them is revoked.
pub(super) async fn check(probe: &mut Probe<'_>, way: Way<'_>, chain: &[Arc<Certificate>]) -> bool {
    let mut fetching = Duration::ZERO;
    let mut revoked = false;
    for (position, certificate) in chain.iter().enumerate() {
        let issuer = chain.get(position + 1).unwrap_or(certificate);
        let finding = look_up(probe, way, position, certificate, issuer).await;
        fetching += finding.fetching;
        revoked |= finding.counts;
        expose(probe, position, certificate, finding);
    }
    probe.samples.set(Metric::SslCrlFetchTime, fetching.as_secs_f64());
    revoked
}

/// Tries the points in order until one gives a list that counts.
async fn look_up(
    probe: &mut Probe<'_>,
    way: Way<'_>,
    position: usize,
    certificate: &Arc<Certificate>,
    issuer: &Arc<Certificate>,
) -> Finding {
    let mut finding = Finding::default();
    let subject = || text(certificate.subject());
    if certificate.revocation_urls().next().is_none() {
        log!(probe.log, Debug, "No CRL distribution points", "subject" => subject());
    }
    for url in certificate.revocation_urls() {
        finding.url.clone_from(&url);
        let from = Instant::now();
        let got = way.network.revocation.get(&url, way).await;
        finding.fetching += from.elapsed();
        let list = match got {
            Ok(list) => list,
            Err(error) => {
                log!(probe.log, Warn, "Failed to fetch CRL", "url" => url, "subject" => subject(), "err" => error);
                continue;
            }
        };
        let revocation = match signed_and_searched(&list, certificate, issuer).await {
            Ok(revocation) => revocation,
            Err(error) => {
                log!(probe.log, Warn, "CRL signature verification failed", "url" => url, "subject" => subject(), "err" => error);
                continue;
            }
        };
        let now = unix_now();
        if list.this_update > now {
            let this_update = time(list.this_update);
            log!(probe.log, Warn, "CRL is not yet valid", "url" => url, "subject" => subject(), "this_update" => this_update);
            continue;
        }
        finding.available = true;
        finding.next_update = list.next_update;
        if let Some(next_update) = list.next_update.filter(|next| *next < now) {
            finding.stale = true;
            log!(probe.log, Warn, "CRL is stale", "url" => url, "subject" => subject(), "next_update" => time(next_update));
        }
        if let Some(Revocation { at, doubt }) = revocation {
            (finding.revoked, finding.counts) = (true, doubt.is_none());
            log!(probe.log, Warn, "Certificate is revoked", "subject" => subject(), "chain_pos" => position, "revocation_time" => time(at));
            if let Some(why) = doubt {
                log!(probe.log, Warn, "The CRL does not prove that", "url" => finding.url.clone(), "subject" => subject(), "err" => why);
            }
        }
        break;
    }
    finding
}

/// What a list that the issuer of the certificate signed says of it.
async fn signed_and_searched(
    list: &Arc<RevocationList>,
    certificate: &Arc<Certificate>,
    issuer: &Arc<Certificate>,
) -> Result<Option<Revocation>, String> {
    let look = |list: &RevocationList, certificate: &Certificate, issuer: &Certificate| {
        list.check_signature_from(issuer)?;
        Ok(list.look_up(certificate))
    };
    if list.size() < LARGE {
        return look(list, certificate, issuer);
    }
    let (list, certificate, issuer) = (Arc::clone(list), Arc::clone(certificate), Arc::clone(issuer));
    let looked = tokio::task::spawn_blocking(move || look(&list, &certificate, &issuer)).await;
    looked.unwrap_or_else(|error| Err(error.to_string()))
}

fn expose(probe: &mut Probe<'_>, position: usize, certificate: &Certificate, finding: Finding) {
    let names: Vec<&str> = certificate.dns_names().collect();
    let labels: Box<[Cow<'static, str>]> = [
        position.to_string(),
        finding.url,
        certificate.fingerprint(),
        certificate.issuer(),
        certificate.serial(),
        certificate.subject(),
        names.join(","),
    ]
    .map(Cow::Owned)
    .into();
    let mut set = |metric, value| {
        let labels = Labels::Values(labels.clone());
        probe.samples.set_labels(metric, labels, value);
    };
    set(Metric::SslCrlRevoked, f64::from(u8::from(finding.revoked)));
    set(Metric::SslCrlAvailable, f64::from(u8::from(finding.available)));
    set(Metric::SslCrlStale, f64::from(u8::from(finding.stale)));
    if let Some(next_update) = finding.next_update {
        // Seconds of dates fit a float without loss.
        #[allow(clippy::cast_precision_loss)]
        set(Metric::SslCrlNextUpdate, next_update as f64);
    }
}
