//! The http prober: one request, its redirects, and the verdict on the last answer.

mod body;
mod brotli;
mod connect;
mod credentials;
mod decode;
pub(super) mod error;
mod explain;
mod http3;
mod judge;
mod redirect;
mod request;
mod response;
mod round_trip;
mod trace;

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use gostd::address::push_ipv4;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::resolve::judge_names;
use super::{Failed, Phase, Probe, Verdict, advice, choose_address};
use crate::config;
use crate::log;
use crate::metrics::Metric;
use crate::module::Http;
use crate::module::http::{BodySource, Credentials, HttpProtocol};
use crate::net::headers::is_token;
use crate::net::http1::{FileBody, RequestBody};
use crate::net::tls::Prepared;
use crate::net::tls::facts::{Ending, FactSet};
use crate::net::url::{Url, idna_host_port};
use crate::net::{Address, file};
use crate::probe_log::text;
use crate::reason::Reason;
use error::RoundTripError;
pub(crate) use redirect::method_after;
use request::HttpRequest;
use trace::RoundTripTrace;

/// What the shortest phase takes.
const INSTANT: Duration = Duration::from_nanos(1);

/// What the round trips of one probe share.
#[derive(Debug)]
struct Client<'a> {
    module: &'a Http,
    /// The TLS settings, once they were read.
    tls: Option<Prepared>,
    /// The name that the first host is asked for in TLS, if it is not the target's.
    named: Option<&'a str>,
    /// Host and port of the first URL; redirects elsewhere do not get the server name.
    first_host: String,
    /// Host of the target as written.
    target_name: String,
    /// The target's address, if it was looked up here.
    target: Option<Target>,
    /// The `Authorization` of an OAuth2 token that does not say when it expires.
    token: Option<config::Secret>,
    /// A round trip each.
    traces: Vec<RoundTripTrace>,
}

/// The address that was chosen for the target's name, or several that are dialled in turn.
#[derive(Debug)]
struct Target {
    port: String,
    /// The chosen one in front.
    addresses: Vec<Address>,
    /// Whether they are those of every port of the host: the scrape says so.
    every_port: bool,
}

/// Probes the target as the module says.
pub async fn probe(probe: &mut Probe<'_>, module: &Http) -> Verdict {
    expose_nothing(probe, module);
    let mut url = {
        let target = target_url(probe, module);
        probe.read_url(&target)?
    };
    probe.timeline.begin_hop(url.safe_text());
    judge_names(probe, probe.hostname)?;
    let addresses = resolve(probe, module, &url).await?;
    for name in &module.secret_headers {
        module
            .headers
            .values(name)
            .for_each(|value| probe.secrets.hide(value));
    }
    let setup = Instant::now();
    let client = client(probe, module, &url, addresses).await;
    let mut client = client.map_err(|failed| unready(probe, setup, failed))?;
    let address = client.target.as_ref().and_then(|target| target.addresses.first());
    let mut dialled = match address.filter(|_| module.protocol != HttpProtocol::Http3) {
        Some(address) => host_of(address, url.port()),
        None => url.host.clone(),
    };
    // `host:` is `host`.
    if dialled.ends_with(':') {
        dialled.pop();
    }
    client.first_host.clone_from(&dialled);
    // Even with a colon and no port: that is what upstream says.
    let host = std::mem::replace(&mut url.host, dialled);
    let body = open_body(probe, module).await;
    let body = body.map_err(|failed| unready(probe, setup, failed))?;
    if !is_token(module.method.as_bytes()) {
        let reason = format!("net/http: invalid method {:?}", module.method);
        log!(probe.log, Error, "Error creating request", "err" => reason);
        return Err(probe.fail(Reason::ConfigError));
    }
    // Boxed, as its copies are: otherwise the probe would hold room for each of them while it waits.
    let first = Box::new(HttpRequest {
        method: Cow::Borrowed(&module.method),
        url,
        host: probe
            .hostname
            .map(ToOwned::to_owned)
            .or_else(|| module.host.clone())
            .unwrap_or_else(|| idna_host_port(&host).into_owned()),
        headers: Cow::Borrowed(&module.headers),
        crossed_hosts: false,
    });
    // Boxed: a future is copied into each one that waits for it.
    let mut chain = Box::pin(client.follow(probe, first, body)).await;
    probe.samples.set(Metric::HttpRedirects, chain.redirects as f64);
    let status = chain.response.as_ref().map(|response| response.status);
    // A token that is not accepted is not kept for the next probe. A host that was not shown it judges something else.
    if status == Some(401)
        && !chain.crossed_hosts
        && let Some(Credentials::OAuth2(source)) = &module.credentials
    {
        source.forget();
    }
    let first_byte = client.traces.last().and_then(|trace| trace.response_start);
    let from = first_byte.unwrap_or_else(Instant::now);
    let mut success = judge::judge(probe, module, &mut chain).await;
    if chain.response.is_some()
        && let Some(trace) = client.traces.last_mut()
    {
        // What arrived at once was transferred in no time; 0 would mean that nothing was.
        let end = probe.end(trace.sent.unwrap_or(from)).max(from + INSTANT);
        trace.end = Some(end);
        probe.timeline.record(Phase::Transfer, from, end);
    }
    trace::expose(probe, &client.traces);
    let tls = chain.response.as_ref().map(|response| response.tls.as_ref());
    if let (Some(facts), Some(findings)) = (&tls, &mut probe.attempt.findings) {
        explain::encryption(findings, module, facts.is_some(), success);
    }
    match tls {
        Some(Some(facts)) => {
            probe.samples.set_bool(Metric::HttpSsl, true);
            facts.expose(&mut probe.samples, FactSet::Http);
            if module.fail_if_ssl {
                if success {
                    let line = advice::http::encryption(true, probe.timeline.attempt());
                    probe.advise(line);
                }
                log!(probe.log, Error, "Final request was over SSL");
                probe.fail(Reason::SslPresent);
                success = false;
            }
        }
        _ if module.fail_if_not_ssl && success => {
            let line = advice::http::encryption(false, probe.timeline.attempt());
            probe.advise(line);
            log!(probe.log, Error, "Final request was not over SSL");
            probe.fail(Reason::SslAbsent);
            success = false;
        }
        // compat: an expiry alert must not vanish because the certificate has expired.
        None => {
            if let Some(facts) = &probe.attempt.tls
                && facts.ending != Ending::Complete
            {
                facts.expose(&mut probe.samples, FactSet::Http);
            }
        }
        Some(None) => {}
    }
    if success {
        Ok(())
    } else {
        Err(probe.fail(Reason::Other))
    }
}

/// What the request needs could not be prepared: that is where the probe failed, and not in resolving the name.
fn unready(probe: &mut Probe<'_>, from: Instant, failed: Failed) -> Failed {
    probe.timeline.record(Phase::Setup, from, Instant::now());
    failed
}

/// The families that every answer has, as long as nothing is known.
fn expose_nothing(probe: &mut Probe<'_>, module: &Http) {
    probe.samples.set_zero(&[
        Metric::HttpContentLength,
        Metric::HttpUncompressedBodyLength,
        Metric::HttpRedirects,
        Metric::HttpSsl,
        Metric::HttpStatusCode,
        Metric::HttpVersion,
        Metric::FailedDueToRegex,
    ]);
    if module.has_cel() {
        probe.samples.set(Metric::FailedDueToCel, 0.0);
    }
}

/// The target as a URL: `http://` is meant when there is neither `http://` nor `https://`, and HTTP/3 makes `https://`
/// of it.
fn target_url<'t>(probe: &mut Probe<'t>, module: &Http) -> Cow<'t, str> {
    let target = probe.target;
    let has = |scheme: &str| {
        let start = target.as_bytes().get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    if module.protocol == HttpProtocol::Http3 && has("http://") {
        let converted = format!("https://{}", target.get("http://".len()..).unwrap_or_default());
        log!(
            probe.log, Warn, "Converting HTTP to HTTPS for HTTP/3 compatibility",
            "original_target" => converted.replacen("https://", "http://", 1), "converted_target" => converted.clone(),
        );
        return converted.into();
    }
    if has("http://") || has("https://") {
        return target.into();
    }
    if let Some((scheme, meant)) = advice::target::foreign_scheme(target) {
        log!(probe.log, Warn, "The target's scheme is unknown and was taken as the host", "scheme" => scheme.to_owned(), "probably_meant" => meant);
    }
    format!("http://{target}").into()
}

/// An address as the host of a URL.
fn host_of(address: &Address, port: &str) -> String {
    let mut host = String::with_capacity(24);
    match address.ip {
        IpAddr::V4(ip) => push_ipv4(&mut host, ip),
        IpAddr::V6(_) => host = format!("[{address}]"),
    }
    if !port.is_empty() {
        host.push(':');
        host.push_str(port);
    }
    host
}

async fn resolve(probe: &mut Probe<'_>, module: &Http, url: &Url) -> Result<Vec<Address>, Failed> {
    if !module.resolves && probe.module.ip_address.is_none() {
        return Ok(Vec::new());
    }
    let found = choose_address(probe, url.hostname(), module.preference).await;
    let took = probe.samples.value(Metric::DnsLookupTime).unwrap_or_default();
    probe
        .samples
        .add_label(Metric::HttpDuration, Phase::Resolve.label(), took);
    Ok(found?.dialled(probe))
}

async fn client<'m, 'p: 'm>(
    probe: &mut Probe<'p>,
    module: &'m Http,
    url: &Url,
    addresses: Vec<Address>,
) -> Result<Client<'m>, Failed> {
    let host_header = probe.hostname.or(module.host.as_deref());
    let mut client = Client {
        module,
        tls: None,
        named: module.tls.server_name().or(host_header),
        first_host: String::new(),
        target_name: url.hostname().to_owned(),
        target: (!addresses.is_empty()).then(|| Target {
            port: url.port_or_default().to_owned(),
            addresses,
            every_port: probe.module.ip_address.is_some(),
        }),
        token: None,
        traces: Vec::with_capacity(1),
    };
    if module.tls_is_configured
        && let Err(error) = Box::pin(client.prepared_tls(probe)).await
    {
        let failed = match module.protocol {
            HttpProtocol::Http3 => "Error creating TLS config for HTTP/3",
            _ => "Error generating HTTP client",
        };
        if let RoundTripError::Tls(error) = &error {
            probe.advise(advice::tls::alone(error));
        }
        log!(probe.log, Error, failed, "err" => text(&error));
        return Err(probe.fail(error.reason()));
    }
    if module.protocol == HttpProtocol::Http3 && !module.tls.is_at_least_tls13() {
        log!(
            probe.log,
            Debug,
            "Setting TLS Version to 1.3 because HTTP/3 requires TLS 1.3 minimum"
        );
    }
    let named = module.credentials.as_ref().and_then(Credentials::only_named);
    if let Some(what) = named.filter(|_| module.protocol != HttpProtocol::Http3) {
        let reason = format!("unable to use {what}: {}", config::WITHOUT_MANAGER);
        log!(probe.log, Error, "Error generating HTTP client", "err" => reason);
        return Err(probe.fail(Reason::ConfigError));
    }
    Ok(client)
}

impl Client<'_> {
    /// The name that the first host is asked for in TLS; empty: the URL's.
    fn server_name(&self) -> &str {
        self.named.unwrap_or(&self.target_name)
    }

    /// The TLS settings, read once per probe.
    async fn prepared_tls(&mut self, probe: &Probe<'_>) -> Result<Prepared, RoundTripError> {
        if let Some(prepared) = &self.tls {
            return Ok(prepared.clone());
        }
        let read = self.module.tls.prepare(&probe.network.roots, probe.deadline);
        let prepared = read.await.map_err(RoundTripError::Tls)?;
        self.tls = Some(prepared.clone());
        Ok(prepared)
    }
}

/// The body of the request. A file is opened in a future of its own, which few probes need.
async fn open_body(probe: &mut Probe<'_>, module: &Http) -> Result<RequestBody, Failed> {
    match &module.body {
        BodySource::Empty => Ok(RequestBody::Empty),
        BodySource::Inline(bytes) => Ok(RequestBody::Bytes(bytes.clone())),
        BodySource::File(path) => Box::pin(open_file(probe, module, path)).await,
    }
}

async fn open_file(probe: &mut Probe<'_>, module: &Http, path: &str) -> Result<RequestBody, Failed> {
    let mut file = match file::open(path, probe.deadline).await {
        Ok(file) => file,
        Err(error) => {
            log!(probe.log, Error, "Error creating request", "err" => text(&error));
            return Err(probe.fail(Reason::FileError));
        }
    };
    let mut first = Bytes::new();
    // With these methods an empty file is no body, as Go finds out by reading a byte.
    if matches!(
        module.method.as_str(),
        "GET" | "HEAD" | "DELETE" | "OPTIONS" | "PROPFIND" | "SEARCH"
    ) {
        let mut byte = [0; 1];
        match probe.deadline.within(file.read(&mut byte)).await {
            Ok(Ok(0)) => return Ok(RequestBody::Empty),
            Ok(Ok(_)) => first = Bytes::copy_from_slice(&byte),
            // Reported when it is read again, once there is a connection: that is when upstream reads it.
            Ok(Err(_)) => {}
            Err(timed_out) => {
                log!(probe.log, Error, "Error creating request", "err" => format!("read {path}: {timed_out}"));
                return Err(probe.fail(Reason::FileError));
            }
        }
    }
    let path = path.to_owned();
    Ok(RequestBody::File(Box::new(FileBody { first, file, path })))
}
