//! `/probe`: from a request to a module, a target and a timeout; and from an outcome to an answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use gostd::query::Query;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use tokio::sync::Semaphore;

use crate::blocking::holding;
use crate::config::files::targets::{DEFAULT_MODULE, decoded};
use crate::logging::render_probe;
use crate::memory::{self, Use};
use crate::metrics::encode;
use crate::module::http::HttpProtocol;
use crate::module::{Kind, Module, ParamError, ParamInput, Values};
use crate::net::quic;
use crate::prober::{self, Also, ProbeRequest};
use crate::reason::Reason;
use crate::say;
use crate::server::answer::Response;
use crate::server::mount::Mount;
use crate::server::past::debug;
use crate::server::{Exporter, answer, exposition, pages};
use crate::strconv::{NumError, parse_float, quote};
use crate::trace::Tracing;

/// Where a scraper names its timeout.
const SCRAPE_TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
/// The scrape timeout when the scraper names none, in seconds.
const DEFAULT_SCRAPE_TIMEOUT: f64 = 120.0;
/// The same for a browser, to which it is the probe's timeout.
pub(crate) const PAGE_TIMEOUT: f64 = 10.0;

/// Runs one probe and answers with what it measured. A failed probe is an answer like any other.
pub fn probe<'a>(exporter: &'a Exporter, mount: Mount<'a>) -> impl Future<Output = Response> + Send + 'a {
    answer(exporter, mount).unwrap_or_else(ProbeRefusal::into_response)
}

async fn answer(exporter: &Exporter, mount: Mount<'_>) -> Result<Response, ProbeRefusal> {
    let (query, headers) = (mount.query(), &mount.request.headers);
    let serving = exporter.store.current();
    let [named, target, debug, hostname] = query.firsts(["module", "target", "debug", "hostname"]);
    let name = if named.is_empty() { DEFAULT_MODULE } else { &named };
    let Some(module) = serving.modules.get(name) else {
        if serving.config.modules.contains_key(name) {
            return Err(without_prober(query, headers, exporter.settings.timeout_offset));
        }
        exporter.instruments.unknown_module();
        say!(exporter.logger, Debug, "Unknown module", "module" => name.to_owned());
        if pages::wants_html(headers) {
            return Ok(pages::unknown_module(exporter, name, &target));
        }
        return Err(bad_request(format!("Unknown module {}", quote(name))));
    };
    let values = match &module.params {
        None => None,
        Some(params) => params
            .judge(|param| asked(query, param))
            .map_err(|refused| refuse(exporter, name, &refused))?,
    };
    let (debug, offset) = (debug == "true", exporter.settings.timeout_offset);
    // compat: a person before a page waits for ten seconds where upstream lets them wait for two minutes.
    let default = if debug && module.timeout.is_none() && pages::wants_html(headers) {
        PAGE_TIMEOUT + offset
    } else {
        DEFAULT_SCRAPE_TIMEOUT
    };
    let seconds = timeout_seconds(headers, default, own_seconds(module), offset)?;
    if target.is_empty() {
        return Err(bad_request("Target parameter is missing".to_owned()));
    }
    let target = decoded(&target);
    let varied;
    let module = match values {
        None => module,
        Some(values) => {
            varied = vary(exporter, module, values, duration(seconds)).await?;
            &varied
        }
    };
    let hostname = Some(&*hostname).filter(|hostname| !hostname.is_empty());
    refuse_conflicting_host(module, hostname)?;
    let request = ProbeRequest {
        target: &target,
        hostname,
        timeout: duration(seconds),
    };
    let also = Also {
        seconds: Some(seconds),
        ..Also::default()
    };
    let outcome = run(exporter, module, &request, headers, also).await?;

    if debug {
        let entry = exporter.history.add(module, &target, hostname, outcome);
        if pages::wants_html(headers) {
            return Ok(pages::result(exporter, &entry, mount));
        }
        let text = debug::text(&entry, exporter.logger.format());
        return Ok(answer::pieces(StatusCode::OK, answer::PLAIN, text));
    }
    let response = exposition::answer(headers, 4096, |format, body| {
        encode::probe(&outcome.samples, format, body);
    });
    exporter.history.add(module, &target, hostname, outcome);
    Ok(response)
}

/// What a query gives for a parameter.
fn asked(query: Query<'_>, param: &str) -> ParamInput {
    let mut values = query.values(param).filter(|value| !value.is_empty());
    match (values.next(), values.next()) {
        (None, _) => ParamInput::Nothing,
        (Some(value), None) => ParamInput::Once(value.into_owned()),
        (Some(_), Some(_)) => ParamInput::Several,
    }
}

/// Maximum modules that are made concurrently of the values of scrapes.
const MAKERS: usize = 2;
static MAKERS_FREE: Semaphore = Semaphore::const_new(MAKERS);

/// The module with the values of a scrape. Making it takes up to some milliseconds, so it is done elsewhere than where probes are
/// served, and waits for its turn at most as long as the probe may take.
async fn vary(
    exporter: &Exporter,
    module: &Arc<Module>,
    values: Values,
    most: Duration,
) -> Result<Arc<Module>, ProbeRefusal> {
    let Some(params) = &module.params else {
        return Ok(Arc::clone(module));
    };
    if let Some(known) = params.known(module, &values) {
        return Ok(known);
    }
    let turn = tokio::time::timeout(most, MAKERS_FREE.acquire()).await;
    let Ok(Ok(turn)) = turn else {
        return Err(ProbeRefusal::TooMany);
    };
    let making = Arc::clone(module);
    let made = holding(turn, move || Some(making.params.as_ref()?.make(&making, values)));
    match made.await {
        Ok(Some(Ok(made))) => Ok(made),
        Ok(Some(Err(refused))) => Err(refuse(exporter, &module.name, &refused)),
        // It panicked, or the process ends.
        Ok(None) | Err(_) => Err(ProbeRefusal::TooMany),
    }
}

/// Counts and words a refused parameter.
fn refuse(exporter: &Exporter, module: &str, refused: &ParamError) -> ProbeRefusal {
    exporter.instruments.modules.param_refused(module, &refused.param);
    bad_request(format!("Parameter {}: {}", quote(&refused.param), refused.reason))
}

/// Runs a probe if there is room for it; counts it, writes its lines to the log and hands on its trace.
pub(crate) async fn run(
    exporter: &Exporter,
    module: &Module,
    request: &ProbeRequest<'_>,
    headers: &HeaderMap,
    also: Also<'_>,
) -> Result<prober::Outcome, ProbeRefusal> {
    let Some(in_flight) = exporter.instruments.start_probe(exporter.settings.max_in_flight) else {
        exporter
            .instruments
            .modules
            .probe_failed(module, Reason::TooManyProbes);
        return Err(ProbeRefusal::TooMany);
    };
    let Some(_memory) = memory::take(Use::Probes, expected_memory(module)) else {
        exporter
            .instruments
            .modules
            .probe_failed(module, Reason::OutOfResources);
        return Err(ProbeRefusal::NoMemory);
    };
    let target = request.target;
    let also = Also {
        trace: Tracing::begin(module, headers),
        ..also
    };
    let exports = exporter.exports.as_deref();
    let traced = exports
        .zip(also.trace.as_ref())
        .map(|(exports, trace)| Box::new(exports.begin(module, target, &trace.context)));
    let outcome = prober::run_with(&exporter.network, module, request, also).await;
    in_flight.finish(module, &outcome, request.timeout);
    say_shortages(exporter);
    if let Some(traced) = traced {
        traced.finish();
    }
    if let Some(exports) = exports {
        exports.finished(module, target, &outcome);
    }
    if let Some(least) = exporter.settings.probe_log
        && outcome.log.events().iter().any(|event| event.level >= least)
    {
        let mut lines = String::new();
        let (format, events) = (exporter.logger.format(), outcome.log.events());
        let trace = outcome.trace.as_ref().map(|context| context.trace);
        render_probe(&mut lines, format, events, least, &module.name, target, trace);
        exporter.logger.write_rendered(&lines);
    }
    Ok(outcome)
}

/// Says, once per minute, that probes failed because this machine ran out of something.
fn say_shortages(exporter: &Exporter) {
    let shortages = &exporter.network.shortages;
    if !shortages.is_news() || exporter.shortage.due().is_none() {
        return;
    }
    for (resource, times) in shortages.tell() {
        say!(
            exporter.logger,
            Warn,
            "Probes failed because this machine ran out of a resource",
            "resource" => resource.name(),
            "times_since_start" => times,
            "advice" => resource.advice(),
        );
    }
}

/// A module of which only its name is written: upstream finds out that it has no prober after everything else.
fn without_prober(query: Query<'_>, headers: &HeaderMap, offset: f64) -> ProbeRefusal {
    if let Err(refusal) = timeout_seconds(headers, DEFAULT_SCRAPE_TIMEOUT, 0.0, offset) {
        return refusal;
    }
    bad_request(match &*query.first("target") {
        "" => "Target parameter is missing".to_owned(),
        _ => "Unknown prober \"\"".to_owned(),
    })
}

/// What a probe that waits for its target takes, in bytes, the buffers of the kernel included; what a target makes it hold
/// besides is counted where it grows.
fn expected_memory(module: &Module) -> usize {
    match &module.kind {
        Kind::Icmp(_) => 4 << 10,
        Kind::Dns(_) | Kind::Tcp(_) | Kind::Unix(_) => 16 << 10,
        Kind::Http(http) if http.protocol == HttpProtocol::Http3 => (28 << 10) + quic::expected_memory(),
        Kind::Http(_) | Kind::Websocket(_) => 28 << 10,
        Kind::Grpc(_) => 32 << 10,
    }
}

/// Why a request starts no probe.
#[derive(Debug)]
pub(crate) enum ProbeRefusal {
    /// It asks for something that is not there.
    BadRequest(String),
    /// The scraper's timeout is no number.
    Timeout(NumError),
    /// As many probes run as may.
    TooMany,
    /// The budget of memory has no room for another.
    NoMemory,
}

impl ProbeRefusal {
    pub(crate) fn into_response(self) -> Response {
        match self {
            Self::BadRequest(message) => answer::error(StatusCode::BAD_REQUEST, &message),
            Self::Timeout(error) => answer::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                &format!("Failed to parse timeout from Prometheus header: {error}"),
            ),
            Self::NoMemory => answer::no_memory("probe"),
            Self::TooMany => {
                let mut response = answer::error(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Too many probes in flight, see --probe.max-in-flight",
                );
                let soon = HeaderValue::from_static("1");
                response.headers_mut().insert(RETRY_AFTER, soon);
                response
            }
        }
    }
}

fn bad_request(message: String) -> ProbeRefusal {
    ProbeRefusal::BadRequest(message)
}

/// How long the probe may take, in seconds: the scrape timeout less the offset, or the module's timeout if that is
/// shorter.
fn timeout_seconds(headers: &HeaderMap, default: f64, module: f64, offset: f64) -> Result<f64, ProbeRefusal> {
    let given = headers.get(SCRAPE_TIMEOUT);
    let given = given.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let mut scrape = match given.filter(|value| !value.is_empty()) {
        Some(value) => parse_float(&value).map_err(ProbeRefusal::Timeout)?,
        None => 0.0,
    };
    if scrape == 0.0 {
        scrape = default;
    }
    let most = scrape - offset;
    Ok(if module > 0.0 && (module < most || most < 0.0) {
        module
    } else if most < 0.0 {
        // compat: upstream gives the probe no time at all when the offset is larger than the scrape timeout.
        if scrape > 0.0 { scrape } else { module }
    } else {
        most
    })
}

/// The timeout of a module as it is written: 0 or less is none.
fn own_seconds(module: &Module) -> f64 {
    match module.timeout {
        Some(timeout) => timeout.as_secs_f64(),
        None => 0.0 - Duration::from_nanos(module.raw.timeout.unsigned_abs()).as_secs_f64(),
    }
}

/// Seconds as a duration. An invalid time is zero, one that is too long is no limit.
fn duration(seconds: f64) -> Duration {
    if seconds > 0.0 {
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    } else {
        Duration::ZERO
    }
}

/// `hostname` must not contradict a Host header of the module.
pub(crate) fn refuse_conflicting_host(module: &Module, hostname: Option<&str>) -> Result<(), ProbeRefusal> {
    let (Kind::Http(_), Some(hostname)) = (&module.kind, hostname) else {
        return Ok(());
    };
    let headers = &module.raw.http.headers;
    let conflict = headers
        .iter()
        .find(|(name, value)| name.eq_ignore_ascii_case("host") && *value != hostname);
    match conflict {
        Some((_, value)) => Err(bad_request(format!(
            "host header defined both in module configuration ({value}) and with URL-parameter 'hostname' ({hostname})"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout(header: Option<&str>, module: Option<f64>, offset: f64) -> f64 {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert("x-prometheus-scrape-timeout-seconds", value.parse().unwrap());
        }
        timeout_seconds(&headers, DEFAULT_SCRAPE_TIMEOUT, module.unwrap_or(0.0), offset).unwrap()
    }

    #[test]
    fn time_outs_are_upstreams() {
        for (header, module, offset, expected) in [
            (None, None, 0.5, 119.5),
            (Some(""), None, 0.5, 119.5),
            (Some("10.25"), None, 0.5, 9.75),
            (Some("0"), None, 0.5, 119.5),
            (Some("10"), Some(2.0), 0.5, 2.0),
            (Some("2.4"), Some(2.0), 0.5, 1.9),
            (Some("-1"), Some(2.0), 0.5, 2.0),
            (Some("0.3"), Some(2.0), 0.5, 2.0),
            (Some("0.5"), Some(2.0), 0.5, 0.0),
            (Some("Inf"), Some(2.0), 0.5, 2.0),
            (Some("3"), None, -2.0, 5.0),
            (Some("5"), None, 5.0, 0.0),
            // Upstream: 0.
            (Some("3"), None, 5.0, 3.0),
            (Some("-1"), None, 0.5, 0.0),
            (Some("-Inf"), Some(-1.0), 0.5, -1.0),
            (Some("10"), Some(-1.0), 0.5, 9.5),
        ] {
            assert_eq!(
                timeout(header, module, offset),
                expected,
                "{header:?} {module:?} {offset}"
            );
        }
    }

    #[test]
    fn no_number_stays_one() {
        assert!(timeout(Some("NaN"), Some(2.0), 0.5).is_nan());
    }

    #[test]
    fn odd_numbers_are_no_durations() {
        assert_eq!(duration(f64::NAN), Duration::ZERO);
        assert_eq!(duration(-1.0), Duration::ZERO);
        assert_eq!(duration(f64::INFINITY), Duration::MAX);
        assert_eq!(duration(0.25), Duration::from_millis(250));
    }
}
