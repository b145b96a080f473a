//! Judges an answer in upstream's order: status, headers, body, CEL (each only if all before passed), version, TLS.

use gostd::http_date;
use tokio::time::Instant;

use super::body::{BodyReadError, BodyReader, MOST_KEPT};
use super::explain::{self, Answered};
use super::redirect::Chain;
use super::response::HttpResponse;
use crate::check::cel::{self, CelFailure};
use crate::check::regexp::Search;
use crate::log;
use crate::metrics::Metric;
use crate::module::Http;
use crate::module::http::{Compression, HeaderRule};
use crate::net::headers::Headers;
use crate::probe_log::{excerpt, text};
use crate::prober::{Probe, advice};
use crate::reason::Reason;

/// Most bytes of what was judged that a log line shows.
const SHOWN: usize = 200;

/// Judges the last answer and reads its body. True when all checks passed.
pub(super) async fn judge(probe: &mut Probe<'_>, module: &Http, chain: &mut Chain) -> bool {
    let unfollowed = chain.unfollowed;
    let Some(response) = &mut chain.response else {
        return false;
    };
    let status = response.status;
    probe.samples.set(Metric::HttpStatusCode, f64::from(status));
    probe
        .samples
        .set(Metric::HttpContentLength, response.told_length as f64);
    expose_last_modified(probe, &response.headers);
    log!(probe.log, Debug, "Received HTTP response", "status_code" => status);
    let status_passes = status_passes(probe, module, status);
    probe.judged(status_passes);
    let mut success = status_passes;
    if !success && unfollowed && module.follow_redirects {
        // What it stopped at is not a status that somebody chose.
        let places = advice::http::places(probe.timeline.attempt());
        log!(probe.log, Error, "Stopped after ten redirects", "places" => places);
        probe.fail(Reason::HttpRedirects);
    } else if !success {
        probe.fail(Reason::HttpStatus);
    }
    if success && !(module.headers_unwanted.is_empty() && module.headers_wanted.is_empty()) {
        success = headers_pass(probe, module, &response.headers).await;
        probe.samples.set_bool(Metric::FailedDueToRegex, !success);
        if !success {
            probe.fail(Reason::HeaderRegexp);
        }
    }
    let body = std::mem::replace(&mut response.body, super::response::ResponseBody::Closed);
    let mut reader = BodyReader::new(body, module.body_size_limit, probe.deadline);
    if module.includes_body {
        reader.include();
    }
    let explains = probe.attempt.findings.is_some();
    if explains {
        reader.keep(explain::KEPT);
    }
    if let Err(error) = reader.decompress(module.compression).await {
        log!(probe.log, Error, "Failed to get decompressor for HTTP response body", "err" => text(&error));
        probe.fail(error.reason());
        if success {
            unreadable(probe, module, &response.headers, reader.count, &error);
        }
        success = false;
    }
    if success && module.looks_at_body() {
        // Boxed: most probes do not look at the body.
        success = Box::pin(body_passes(probe, module, &response.headers, &mut reader)).await;
    }
    if !unfollowed {
        if let Err(error) = reader.discard(!status_passes || explains).await {
            log!(probe.log, Error, "Failed to read HTTP response body", "err" => text(&error));
            probe.fail(error.reason());
            if success {
                unreadable(probe, module, &response.headers, reader.count, &error);
            }
            success = false;
        }
        if let Some(error) = reader.closing_error() {
            log!(probe.log, Error, "Error while closing response from server", "error" => text(error));
        }
        probe
            .samples
            .set(Metric::HttpUncompressedBodyLength, reader.count as f64);
    }
    if !unfollowed {
        probe.attempt.body = reader.included().map(Box::new);
    }
    if !status_passes {
        let line = advice::http::status(&advice::http::InvalidStatus {
            status,
            headers: &response.headers,
            module,
            hops: probe.timeline.attempt(),
            unfollowed,
            to_proxy: chain.to_proxy,
            body: reader.head(),
        });
        probe.advise(line);
    }
    let version_passes = version_passes(probe, module, response, success);
    if let Some(findings) = &mut probe.attempt.findings {
        let from = Instant::now();
        let (body, is_cut) = reader.into_beginning();
        let answer = Answered {
            status,
            protocol: &response.protocol,
            headers: &response.headers,
            body,
            is_cut,
            version_passes,
        };
        Box::pin(explain::explain(findings, module, answer, probe.deadline)).await;
        findings.looked(from);
    }
    version_passes && success
}

/// Keeps what is to be done about a body that could not be read.
fn unreadable(probe: &mut Probe<'_>, module: &Http, headers: &Headers, count: u64, error: &BodyReadError) {
    let of = advice::http::InvalidBody {
        headers,
        module,
        head: &[],
    };
    let line = match error {
        BodyReadError::TooLarge(limit) => Some(advice::http::too_large(*limit)),
        BodyReadError::TooLargeToKeep(most) => Some(advice::http::too_large_for_cel(*most < MOST_KEPT)),
        BodyReadError::Compressed(_) => Some(of.undecodable()),
        BodyReadError::Io { .. } if module.compression != Compression::Identity => Some(of.undecodable()),
        BodyReadError::Io { is_cut: true, .. } => Some(of.ended(count)),
        _ => None,
    };
    probe.advise(line);
}

fn status_passes(probe: &mut Probe<'_>, module: &Http, status: u16) -> bool {
    let passes = module.accepts(status);
    let valid = &module.valid_status_codes;
    if passes {
        return true;
    }
    if valid.is_empty() {
        log!(probe.log, Error, "Invalid HTTP response status code, wanted 2xx", "status_code" => status);
    } else {
        let codes: Vec<String> = valid.iter().map(ToString::to_string).collect();
        log!(
            probe.log, Error, "Invalid HTTP response status code",
            "status_code" => status, "valid_status_codes" => format!("[{}]", codes.join(" ")),
        );
    }
    false
}

async fn headers_pass(probe: &mut Probe<'_>, module: &Http, headers: &Headers) -> bool {
    let unwanted = module.headers_unwanted.iter().map(|rule| (rule, false));
    let wanted = module.headers_wanted.iter().map(|rule| (rule, true));
    for (rule, wanted) in unwanted.chain(wanted) {
        let passes = header_passes(probe, rule, wanted, headers).await;
        if !probe.judged(passes) {
            return false;
        }
    }
    true
}

async fn header_passes(probe: &mut Probe<'_>, rule: &HeaderRule, wanted: bool, headers: &Headers) -> bool {
    if rule.passes(headers, wanted).await {
        return true;
    }
    let values: Vec<&[u8]> = headers.values(&rule.name).collect();
    let line = advice::http::header(&rule.header, &rule.regexp, wanted, &values);
    probe.advise(line);
    let Some(first) = values.first() else {
        log!(probe.log, Error, "Missing required header", "header" => rule.header.clone());
        return false;
    };
    let message = if wanted {
        "Header did not match regular expression"
    } else {
        "Header matched regular expression"
    };
    log!(
        probe.log, Error, message,
        "header" => rule.header.clone(), "regexp" => rule.regexp.source().to_owned(), "value_count" => values.len(),
        "value" => excerpt(first, SHOWN),
    );
    false
}

/// Regular expressions, then CEL. compat: both see the whole body; upstream leaves nothing of it for CEL.
async fn body_passes(
    probe: &mut Probe<'_>,
    module: &Http,
    headers: &Headers,
    reader: &mut BodyReader,
) -> bool {
    let mut search = Search::new(module.body_unwanted.iter().chain(&module.body_wanted));
    let body = reader
        .search(
            &mut search,
            module.has_cel().then(|| module.most_judged().min(MOST_KEPT)),
        )
        .await;
    if module.has_body_regexps() {
        let passes = match &body {
            Ok(_) => {
                let head = reader.head();
                let of = advice::http::InvalidBody {
                    headers,
                    module,
                    head,
                };
                regexps_pass(probe, &of, &mut search)
            }
            Err(error) => {
                unreadable(probe, module, headers, reader.count, error);
                log!(probe.log, Error, "Error reading HTTP body", "err" => text(error));
                probe.fail(error.reason());
                false
            }
        };
        probe.samples.set_bool(Metric::FailedDueToRegex, !passes);
        if !passes {
            probe.fail(Reason::BodyRegexp);
            return false;
        }
    }
    if !module.has_cel() {
        return true;
    }
    let passes = match body {
        Ok(body) => {
            let (unwanted, wanted) = (module.cel_unwanted.as_ref(), module.cel_wanted.as_ref());
            let judged = cel::judge(body, unwanted, wanted, probe.deadline, &mut probe.log).await;
            let all = unwanted.iter().chain(&wanted).count();
            for _ in 0..judged.as_ref().map_or_else(|(passed, _)| *passed, |()| all) {
                probe.judged(true);
            }
            if let Err((_, wrong)) = &judged {
                probe.judged(false);
                if matches!(wrong, CelFailure::TooLarge { .. }) {
                    probe.fail(Reason::BodyTooLarge);
                }
                let of = advice::http::InvalidBody {
                    headers,
                    module,
                    head: reader.head(),
                };
                probe.advise(of.json(wrong));
            }
            judged.is_ok()
        }
        Err(error) => {
            unreadable(probe, module, headers, reader.count, &error);
            log!(probe.log, Error, "Error reading HTTP body", "err" => text(&error));
            probe.fail(error.reason());
            false
        }
    };
    if !passes {
        probe.fail(Reason::BodyJson);
    }
    probe.samples.set_bool(Metric::FailedDueToCel, !passes);
    passes
}

/// `search` looked for those that are unwanted and for those that are wanted, in this order.
fn regexps_pass(probe: &mut Probe<'_>, of: &advice::http::InvalidBody<'_>, search: &mut Search<'_>) -> bool {
    let module = of.module;
    for (index, regexp) in module.body_unwanted.iter().enumerate() {
        if !probe.judged(!search.matches(index)) {
            probe.advise(of.unwanted(regexp));
            log!(probe.log, Error, "Body matched regular expression", "regexp" => regexp.source().to_owned());
            return false;
        }
    }
    for (index, regexp) in (module.body_unwanted.len()..).zip(&module.body_wanted) {
        if !probe.judged(search.matches(index)) {
            probe.advise(of.missing(regexp));
            log!(probe.log, Error, "Body did not match regular expression", "regexp" => regexp.source().to_owned(), "body" => excerpt(of.head, SHOWN));
            return false;
        }
    }
    true
}

fn expose_last_modified(probe: &mut Probe<'_>, headers: &Headers) {
    let value = headers.value("Last-Modified").unwrap_or_default();
    if let Some(seconds) = http_date::parse_http(value) {
        probe.samples.set(Metric::HttpLastModified, seconds as f64);
    }
}

fn version_passes(probe: &mut Probe<'_>, module: &Http, response: &HttpResponse, success: bool) -> bool {
    let protocol = response.protocol.as_str();
    let number = protocol.strip_prefix("HTTP/").unwrap_or(protocol);
    match number.parse::<f64>() {
        Ok(number) => probe.samples.set(Metric::HttpVersion, number),
        Err(error) => {
            log!(probe.log, Error, "Error parsing version number from HTTP version", "err" => text(&error));
        }
    }
    let valid = &module.valid_http_versions;
    if valid.is_empty() || valid.iter().any(|v| v == protocol) {
        return true;
    }
    if success {
        probe.advise(advice::http::version(protocol, module));
    }
    log!(probe.log, Error, "Invalid HTTP version number", "version" => protocol.to_owned());
    probe.fail(Reason::HttpVersion);
    false
}
