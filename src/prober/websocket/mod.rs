//! The websocket prober: upgrade a connection, then exchange messages.

pub(super) mod error;
mod handshake;
mod request;

use bytes::Bytes;
use go_http::websocket::{Frames, MessageKind};
use tokio::time::Instant;

use super::connect::prepare;
use super::{Phase, Probe, Verdict, advice, choose_address};
use crate::config::WITHOUT_MANAGER;
use crate::log;
use crate::metrics::Metric;
use crate::module::{Step, Websocket};
use crate::net::AnyStream;
use crate::probe_log::{EXCERPT, excerpt_bytes, text};
use crate::reason::Reason;
use error::WebsocketError;

/// Probes the target as the module says.
///
/// # Errors
/// [`Failed`](super::Failed) after the reason was logged.
pub async fn probe(probe: &mut Probe<'_>, module: &Websocket) -> Verdict {
    let url = probe.read_url(probe.target)?;
    let shown = url.redacted("xxxxx");
    probe.timeline.begin_hop(shown.clone());
    log!(probe.log, Debug, "probing websocket", "target" => shown);
    probe.samples.set_zero(&[
        Metric::WebsocketConnectionUpgraded,
        Metric::WebsocketStatusCode,
        Metric::WebsocketFailedDueToRegex,
    ]);
    let prepared = prepare(probe, &module.tls_config, "Error creating TLS config").await;
    let prepared = prepared.map_err(|error| probe.fail(error.reason()))?;
    let found = choose_address(probe, url.hostname(), module.preference).await?;
    let took = found.took;
    let addresses = found.dialled(probe);
    probe.samples.add_label(
        Metric::WebsocketDuration,
        Phase::Resolve.label(),
        took.as_secs_f64(),
    );
    if let Some(what) = module.tokens.as_ref().and_then(|tokens| tokens.only_named()) {
        let reason = format!("unable to use {what}: {WITHOUT_MANAGER}");
        log!(probe.log, Error, "Error getting an OAuth2 token", "err" => reason);
        return Err(probe.fail(Reason::ConfigError));
    }
    let headers = match request::headers(probe, module, &url.host).await {
        Ok(headers) => headers,
        Err(error) => {
            probe.advise(advice::http::no_token(&error));
            log!(probe.log, Error, "Error getting an OAuth2 token", "err" => text(&error));
            return Err(probe.fail(Reason::AuthToken));
        }
    };
    let dialling = handshake::Dialling {
        url: &url,
        addresses: &addresses,
        tls: &prepared,
        server_name: module.tls_config.server_name(),
        headers: &headers,
        skips_accept: module.skips_accept,
    };
    let from = Instant::now();
    let mut connected = None;
    let dialled = handshake::dial(probe, dialling, &mut connected).await;
    // Everything but the connecting: TLS and the upgrade.
    match connected {
        Some(connected) => record(probe, Phase::Processing, connected),
        // As upstream. What failed before does not belong to the phase.
        None => expose(probe, Phase::Processing, from, probe.end(from)),
    }
    let mut frames = match dialled {
        Ok(frames) => frames,
        Err(error) => {
            if let (WebsocketError::Refused { code: 401, .. }, Some(tokens)) = (&error, &module.tokens) {
                tokens.forget();
            }
            probe.advise(advice::websocket::no_connection(&error, &url.scheme));
            probe.timeline.hop().result = Some(error.to_string());
            log!(probe.log, Error, "Error dialing websocket", "err" => text(&error));
            return Err(probe.fail(error.reason()));
        }
    };
    probe.samples.set_bool(Metric::WebsocketConnectionUpgraded, true);
    let verdict = if module.steps.is_empty() {
        Ok(())
    } else {
        let from = Instant::now();
        let verdict = talk(probe, &mut frames, &module.steps).await;
        probe.explain_unreached(&module.steps);
        probe
            .samples
            .set_bool(Metric::WebsocketFailedDueToRegex, verdict.is_err());
        record(probe, Phase::Transfer, from);
        verdict
    };
    // Whether the peer still listens is no matter of the probe.
    let _ = probe.deadline.within(frames.shut_down()).await;
    verdict
}

/// Exposes a phase that has ended, and draws it.
fn record(probe: &mut Probe<'_>, phase: Phase, from: Instant) {
    let to = probe.end(from);
    expose(probe, phase, from, to);
    probe.timeline.record(phase, from, to);
}

/// Exposes a phase.
fn expose(probe: &mut Probe<'_>, phase: Phase, from: Instant, to: Instant) {
    let seconds = to.saturating_duration_since(from).as_secs_f64();
    probe
        .samples
        .add_label(Metric::WebsocketDuration, phase.label(), seconds);
}

/// Runs the steps: each one that expects reads exactly one message.
async fn talk(probe: &mut Probe<'_>, frames: &mut Frames<Box<dyn AnyStream>>, steps: &[Step]) -> Verdict {
    let mut sent = false;
    for (number, step) in steps.iter().enumerate() {
        probe.attempt.step = Some(number + 1);
        probe.explain_step(number + 1);
        let send = match &step.expect {
            None => step.send.expand(None),
            Some(expect) => {
                let regexp = &expect.regexp;
                probe.explain_expect(regexp);
                // compat: the deadline holds for reading too; upstream waits forever.
                let message = match frames.message(probe.deadline).await {
                    Ok(message) => Bytes::from(message),
                    Err(error) => {
                        probe.explain_text("Reading ended", error.to_string().as_bytes());
                        let waiting = format!(
                            "waiting for a message that matches {:?}: {error}",
                            regexp.source()
                        );
                        probe.advise(advice::websocket::no_message(&error, regexp, sent));
                        log!(probe.log, Error, "Error reading message", "err" => waiting);
                        return Err(probe.fail(Reason::from(&error)));
                    }
                };
                probe.explain_text("Read", &message);
                let found = match regexp.captures_within(&message, probe.deadline).await {
                    Ok(found) => found,
                    Err(timed_out) => {
                        let searching = format!("searching it for {:?}: {timed_out}", regexp.source());
                        log!(probe.log, Error, "Error reading message", "err" => searching);
                        return Err(probe.fail(Reason::ExpectTimeout));
                    }
                };
                let Some(found) = found else {
                    probe.explain(|finding| finding.add_nearest(regexp, &message));
                    probe.advise(advice::dialogue::mismatch(regexp, &message));
                    log!(probe.log, Error, "Regexp did not match", "regexp" => regexp.source().to_owned(), "line" => excerpt_bytes(&message, EXCERPT));
                    return Err(probe.fail(Reason::ExpectMismatch));
                };
                log!(probe.log, Debug, "regexp matched", "regexp" => regexp.source().to_owned(), "line" => excerpt_bytes(&message, EXCERPT));
                probe.explain(|finding| finding.add_match(regexp, &found));
                step.send.expand(Some(&found))
            }
        };
        if send.is_empty() {
            probe.explain_passed();
            continue;
        }
        let kind = match step.binary {
            true => MessageKind::Binary,
            false => MessageKind::Text,
        };
        if let Err(error) = frames.send(kind, &send, probe.deadline).await {
            log!(probe.log, Error, "Error sending message", "err" => format!("sending {} bytes: {error}", send.len()));
            return Err(probe.fail(Reason::from(&error)));
        }
        sent = true;
        probe.explain_text("Sent", &send);
        probe.explain_passed();
    }
    Ok(())
}
