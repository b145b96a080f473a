//! `ocsp`: what a responder says of the server's certificate, by the server's hand or asked.

use std::sync::Arc;

use super::time;
use crate::calendar::unix_now;
use crate::config::Ocsp;
use crate::log;
use crate::metrics::Metric;
use crate::net::revocation::Way;
use crate::net::tls::facts::{Certificate, TlsFacts};
use crate::net::x509::{OcspAnswer, OcspError, OcspResponse, OcspStatus, ocsp_request};
use crate::probe_log::text;
use crate::prober::Probe;

/// From this size on a response is judged beside the threads that serve.
const LARGE: usize = 8 << 10;
/// How many responders of a certificate are asked.
const MOST_RESPONDERS: usize = 4;

/// Judges what is known of the server's certificate; whether it is revoked.
pub(super) async fn check(probe: &mut Probe<'_>, way: Way<'_>, whom: Ocsp, facts: &TlsFacts) -> bool {
    probe
        .samples
        .set_bool(Metric::SslOcspStapled, facts.stapled.is_some());
    let Some((leaf, issuer)) = facts.leaf_and_issuer() else {
        return false;
    };
    let Some(issuer) = issuer else {
        log!(probe.log, Warn, "OCSP needs the issuer's certificate, which the server did not send", "issuer" => text(leaf.issuer()));
        return false;
    };
    let mut best = match whom {
        Ocsp::Query => ask(probe, way, leaf, issuer).await,
        Ocsp::Staple | Ocsp::Off => None,
    };
    if let Some(stapled) = &facts.stapled
        && worth(best) < Worth::Verdict
    {
        match judge(stapled, leaf, issuer).await {
            Ok(answer) => best = better(best, answer),
            Err(error) => {
                log!(probe.log, Warn, "The stapled OCSP response is not valid", "subject" => text(leaf.subject()), "err" => text(error));
            }
        }
    }
    best.is_some_and(|answer| expose(probe, leaf, answer))
}

/// What an answer is worth beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// There is none.
    Nothing,
    /// It is out of date: only its times are shown.
    Times,
    /// The responder does not know the certificate.
    Unknown,
    /// Good or revoked.
    Verdict,
}

fn worth(answer: Option<OcspAnswer>) -> Worth {
    match answer.map(|answer| (answer.status, answer.check_time(unix_now()))) {
        None => Worth::Nothing,
        Some((OcspStatus::Revoked(_), _) | (OcspStatus::Good, Ok(()))) => Worth::Verdict,
        Some((OcspStatus::Unknown, Ok(()))) => Worth::Unknown,
        Some((_, Err(_))) => Worth::Times,
    }
}

/// The answer that is worth more; of equals, the first.
fn better(best: Option<OcspAnswer>, answer: OcspAnswer) -> Option<OcspAnswer> {
    Some(answer)
        .filter(|_| worth(Some(answer)) > worth(best))
        .or(best)
}

/// Asks the responders that the certificate names in order, until one says good or revoked; else what is worth most of what they said.
async fn ask(
    probe: &mut Probe<'_>,
    way: Way<'_>,
    leaf: &Arc<Certificate>,
    issuer: &Arc<Certificate>,
) -> Option<OcspAnswer> {
    if leaf.ocsp_urls().next().is_none() {
        log!(probe.log, Debug, "The certificate names no OCSP responder", "subject" => text(leaf.subject()));
    }
    let request = ocsp_request(leaf, issuer);
    let mut best = None;
    for url in leaf.ocsp_urls().take(MOST_RESPONDERS) {
        let response = match way.network.ocsp.get(&url, &request, way).await {
            Ok(response) => response,
            Err(error) => {
                log!(probe.log, Warn, "Failed to query the OCSP responder", "url" => url, "subject" => text(leaf.subject()), "err" => error);
                continue;
            }
        };
        match judge(&response.bytes, leaf, issuer).await {
            Ok(answer) => {
                if let Some(next_update) = answer.next_update {
                    way.network
                        .ocsp
                        .keep(&url, &request, &response.bytes, next_update);
                }
                best = better(best, answer);
                if worth(best) == Worth::Verdict {
                    break;
                }
            }
            Err(error) => {
                log!(probe.log, Warn, "The OCSP response is not valid", "url" => url, "subject" => text(leaf.subject()), "err" => text(error));
            }
        }
    }
    best
}

/// What a response says of the certificate, if its signature counts and it is not from the future.
async fn judge(
    response: &Arc<[u8]>,
    leaf: &Arc<Certificate>,
    issuer: &Arc<Certificate>,
) -> Result<OcspAnswer, OcspError> {
    let judge = |response: &[u8], leaf: &Certificate, issuer: &Certificate| {
        let answer = OcspResponse::parse(response)?.answer(leaf, issuer, unix_now())?;
        match answer.check_time(unix_now()) {
            Err(OcspError::Early) => Err(OcspError::Early),
            Ok(()) | Err(_) => Ok(answer),
        }
    };
    if response.len() < LARGE {
        return judge(response, leaf, issuer);
    }
    let (response, leaf, issuer) = (Arc::clone(response), Arc::clone(leaf), Arc::clone(issuer));
    let judged = tokio::task::spawn_blocking(move || judge(&response, &leaf, &issuer)).await;
    judged.unwrap_or_else(|error| Err(OcspError::Signer(error.to_string())))
}

/// Exposes an answer; whether the certificate is revoked. One that is out of date still has its times, but it says nothing good: only
/// what was revoked then is revoked now.
fn expose(probe: &mut Probe<'_>, leaf: &Certificate, answer: OcspAnswer) -> bool {
    // Seconds of dates fit a float without loss.
    #[allow(clippy::cast_precision_loss)]
    let seconds = |at: i64| at as f64;
    probe
        .samples
        .set(Metric::SslOcspThisUpdate, seconds(answer.this_update));
    if let Some(next_update) = answer.next_update {
        probe.samples.set(Metric::SslOcspNextUpdate, seconds(next_update));
    }
    let status = match (answer.status, answer.check_time(unix_now())) {
        (OcspStatus::Revoked(at), _) => {
            log!(probe.log, Warn, "Certificate is revoked", "subject" => text(leaf.subject()), "revocation_time" => time(at));
            1.0
        }
        (_, Err(error)) => {
            log!(probe.log, Warn, "The OCSP response is not valid", "subject" => text(leaf.subject()), "this_update" => time(answer.this_update), "err" => text(error));
            return false;
        }
        (OcspStatus::Good, Ok(())) => 0.0,
        (OcspStatus::Unknown, Ok(())) => {
            log!(probe.log, Warn, "The OCSP responder does not know the certificate", "subject" => text(leaf.subject()));
            2.0
        }
    };
    probe.samples.set(Metric::SslOcspStatus, status);
    matches!(answer.status, OcspStatus::Revoked(_))
}
