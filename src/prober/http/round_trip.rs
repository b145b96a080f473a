//! One request and its answer: connection, proxies, TLS, the agreed protocol.

use tokio::time::Instant;

use super::Client;
use super::credentials;
use super::error::RoundTripError;
use super::request::{Request, check_sendable};
use super::response::{Response, ResponseBody};
use super::stream::{Stream, count_failure};
use super::trace::Trace;
use crate::log;
use crate::module::http::Protocol;
use crate::net::dial::{self, Counters};
use crate::net::headers::{Headers, has_token, lists_contain};
use crate::net::http1::{self, RequestBody, RequestLine, write_head};
use crate::net::http2::{self, Http2Error};
use crate::net::port;
use crate::net::proxy::{self, basic};
use crate::net::resolve::ResolveError;
use crate::net::tls::{Alpn, Session};
use crate::net::tls_facts::TlsFacts;
use crate::net::url::{Url, idna_ascii, punycode_host_port, remove_zone, valid_host_header};
use crate::net::{Address, Deadline};
use crate::prober::{Phase, Probe};

/// How often a request is sent again that an HTTP/2 peer refused unread.
const RETRIES: usize = 3;

/// Where a connection goes: to the target or to a proxy.
struct Destination<'a> {
    host: &'a str,
    port: &'a str,
}

impl<'a> Destination<'a> {
    fn of(url: &'a Url) -> Self {
        Self {
            host: url.hostname(),
            port: url.port_or_default(),
        }
    }

    /// `host:port` as Go's `net.JoinHostPort` writes it, the host in ASCII.
    fn text(&self) -> String {
        let host = idna_ascii(self.host);
        if host.contains(':') {
            format!("[{host}]:{}", self.port)
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

/// A connection over which the request can go.
struct Connection {
    stream: Stream,
    /// Facts of the innermost TLS layer.
    tls: Option<TlsFacts>,
    /// Whether requests are for a proxy to forward.
    to_proxy: bool,
}

impl Client<'_> {
    /// Sends `request` and reads the head of its answer. A trace is kept also when it fails.
    pub(super) async fn round_trip(
        &mut self,
        probe: &mut Probe<'_>,
        request: &Request,
        body: RequestBody,
    ) -> Result<Response, RoundTripError> {
        log!(probe.log, Debug, "Making HTTP request", "url" => request.url.to_string(), "host" => request.host.clone());
        self.traces.push(Trace {
            tls: request.url.scheme == "https",
            ..Trace::default()
        });
        let is_first_host = request.url.host == self.first_host;
        if !is_first_host {
            log!(
                probe.log, Debug, "Address does not match first address, not sending TLS ServerName",
                "first" => self.first_host.clone(), "address" => request.url.host.clone(),
            );
        }
        let headers = self.headers(probe, request).await?;
        check_sendable(request, &headers)?;
        if self.module.protocol == Protocol::Http3 {
            let name = self.tls_name(request, is_first_host);
            return self.over_http3(probe, request, &headers, body, &name).await;
        }
        let proxy = self
            .module
            .proxies
            .for_url(&request.url)
            .map_err(RoundTripError::Cgi)?;
        let mut body = Some(body);
        for attempt in 0.. {
            let sent = body.take().unwrap_or(RequestBody::Empty);
            body = sent.again();
            let connection = self
                .connect(probe, request, proxy, is_first_host, &headers)
                .await?;
            match self
                .exchange(probe, request, connection, proxy, &headers, sent)
                .await
            {
                // compat: upstream tries again and again until the deadline.
                Err(RoundTripError::Http2(error))
                    if error.invites_retry() && attempt < RETRIES && body.is_some() => {}
                ended => return ended,
            }
        }
        Err(RoundTripError::Http2(Http2Error::Closed))
    }

    /// The header fields of the request, with those that are added on the way.
    async fn headers(&self, probe: &Probe<'_>, request: &Request) -> Result<Headers, RoundTripError> {
        let mut headers = request.headers.clone();
        credentials::add_headers(&mut headers, &self.module.more_headers).await?;
        if !self.module.more_headers.is_empty() && self.module.follow_redirects && request.crossed_hosts {
            credentials::strip_sensitive(&mut headers);
        }
        if let Some(credentials) = &self.module.credentials
            && !request.crossed_hosts
        {
            credentials::add(&mut headers, credentials, probe).await?;
        }
        Ok(headers)
    }

    /// The name that the peer is asked for in TLS.
    fn tls_name(&self, request: &Request, is_first_host: bool) -> String {
        if is_first_host && !self.server_name.is_empty() {
            self.server_name.clone()
        } else {
            request.url.hostname().to_owned()
        }
    }

    /// The trace of this round trip.
    pub(super) fn trace(&mut self) -> &mut Trace {
        if self.traces.is_empty() {
            self.traces.push(Trace::default());
        }
        // Invariant: not empty.
        #[allow(clippy::expect_used)]
        self.traces.last_mut().expect("a trace was pushed")
    }

    async fn connect(
        &mut self,
        probe: &mut Probe<'_>,
        request: &Request,
        proxy: Option<&Url>,
        is_first_host: bool,
        headers: &Headers,
    ) -> Result<Connection, RoundTripError> {
        let target = Destination::of(&request.url);
        let tls_name = self.tls_name(request, is_first_host);
        let alpn = match self.module.protocol {
            Protocol::Http2 if !is_websocket(headers) => Alpn::Http2,
            _ => Alpn::Http1,
        };
        let mut connection = Connection {
            stream: self
                .dial(
                    probe,
                    proxy.map_or(Destination::of(&request.url), Destination::of),
                    proxy,
                )
                .await?,
            tls: None,
            to_proxy: false,
        };
        if let Some(proxy) = proxy {
            if proxy.scheme == "https" {
                // Upstream asks for the target's name here too, because the server name is set on all connections.
                let name = if is_first_host && !self.server_name.is_empty() {
                    &self.server_name
                } else {
                    proxy.hostname()
                }
                .to_owned();
                connection = self
                    .encrypt(probe, connection.stream, &name, alpn)
                    .await
                    .map_err(|e| RoundTripError::Proxy(Box::new(e)))?;
            }
            connection.to_proxy = self
                .tunnel(
                    probe.deadline,
                    &mut connection.stream,
                    proxy,
                    &target,
                    &request.url,
                )
                .await?;
        }
        if connection.to_proxy && speaks_http2(connection.tls.as_ref()) {
            return Err(RoundTripError::Http2(Http2Error::Request(
                "unsupported scheme: the proxy agreed on HTTP/2".to_owned(),
            )));
        }
        if request.url.scheme == "https" {
            connection = self.encrypt(probe, connection.stream, &tls_name, alpn).await?;
        }
        self.trace().got_conn = Some(Instant::now());
        Ok(connection)
    }

    /// Opens a TCP connection; one address, one attempt.
    async fn dial(
        &mut self,
        probe: &mut Probe<'_>,
        to: Destination<'_>,
        proxy: Option<&Url>,
    ) -> Result<Stream, RoundTripError> {
        let by_proxy = |error: RoundTripError| match proxy {
            Some(_) => RoundTripError::Proxy(Box::new(error)),
            None => error,
        };
        let counters = &probe.network.connections;
        Counters::add(&counters.attempted);
        let port = port::lookup(to.port, port::Protocol::Tcp).map_err(|error| {
            Counters::add(&counters.failed_unknown);
            by_proxy(RoundTripError::Port(error))
        })?;
        self.check_policy(probe, to.host).map_err(|refusal| {
            Counters::add(&counters.failed_unknown);
            by_proxy(refusal)
        })?;
        let address = match self.known_address(to.host, to.port) {
            Some(address) => address,
            None => self.resolve(probe, to.host).await.map_err(|error| {
                Counters::add(&counters.failed_resolution);
                by_proxy(error)
            })?,
        };
        let now = Instant::now();
        let trace = self.trace();
        if trace.dns_done.is_none() {
            trace.start = Some(now);
            trace.dns_done = Some(now);
        }
        let to = address.with_port(port);
        probe.timeline.hop().address = Some(to.to_string());
        let dialled = dial::tcp(probe.network, probe.deadline, to, None).await;
        let done = Instant::now();
        self.trace().connect_done = Some(done);
        probe.timeline.record(Phase::Connect, now, done);
        match dialled {
            Ok(stream) => Ok(Stream::new(stream, counters)),
            Err(error) => {
                count_failure(counters, &error);
                Err(by_proxy(RoundTripError::Dial(error)))
            }
        }
    }

    /// Whether the network may be asked for this host. A redirect may name an address, which is not looked up; that of the
    /// target was found for a name that was judged.
    pub(super) fn check_policy(&self, probe: &Probe<'_>, host: &str) -> Result<(), RoundTripError> {
        let named = Address::parse(host);
        let is_target = self
            .target
            .as_ref()
            .is_some_and(|target| named.as_ref() == Some(&target.address));
        if is_target {
            return Ok(());
        }
        let checked = probe.network.policy.check_name(host);
        checked.map_err(|refusal| RoundTripError::Resolve(ResolveError::refused(host, refusal)))
    }

    /// An address that needs no lookup: a literal, or the target's own name, which was looked up already.
    pub(super) fn known_address(&self, host: &str, port: &str) -> Option<Address> {
        // compat: upstream looks the target's name up again when a redirect names it.
        let target = self
            .target
            .as_ref()
            .filter(|target| target.host.eq_ignore_ascii_case(host) && target.port == port);
        Address::parse(host).or_else(|| target.map(|target| target.address.clone()))
    }

    pub(super) async fn resolve(
        &mut self,
        probe: &mut Probe<'_>,
        host: &str,
    ) -> Result<Address, RoundTripError> {
        let from = Instant::now();
        self.trace().start = Some(from);
        // compat: upstream lets the operating system choose the family from the second hop on.
        let host = idna_ascii(host);
        let found = probe
            .network
            .resolver
            .lookup(&host, self.module.preference, probe.deadline)
            .await;
        let done = Instant::now();
        self.trace().dns_done = Some(done);
        probe.timeline.record(Phase::Resolve, from, done);
        found.map_err(RoundTripError::Resolve)
    }

    /// Makes the tunnel that the request needs; true if the proxy forwards requests instead.
    async fn tunnel(
        &self,
        deadline: Deadline,
        stream: &mut Stream,
        proxy: &Url,
        target: &Destination<'_>,
        url: &Url,
    ) -> Result<bool, RoundTripError> {
        let address = target.text();
        let made = async {
            match (proxy.scheme.as_str(), url.scheme.as_str()) {
                ("socks5" | "socks5h", _) => {
                    let host = idna_ascii(target.host);
                    let port =
                        port::lookup(target.port, port::Protocol::Tcp).map_err(RoundTripError::Port)?;
                    proxy::socks5(stream, &host, port, proxy.user.as_ref())
                        .await
                        .map_err(RoundTripError::Tunnel)?;
                    Ok(false)
                }
                (_, "https") => {
                    let headers = self.module.proxies.connect_headers(proxy);
                    proxy::connect(stream, &address, &headers)
                        .await
                        .map_err(RoundTripError::Tunnel)?;
                    Ok(false)
                }
                _ => Ok(true),
            }
        };
        let waited = deadline.within(made).await;
        waited.unwrap_or_else(|timed_out| {
            Err(RoundTripError::TimedOut {
                step: format!("waiting for the proxy's tunnel to {address}"),
                timed_out,
            })
        })
    }

    /// Speaks TLS on a connection.
    async fn encrypt(
        &mut self,
        probe: &mut Probe<'_>,
        stream: Stream,
        name: &str,
        alpn: Alpn,
    ) -> Result<Connection, RoundTripError> {
        let prepared = self.prepared_tls(probe).await?;
        let from = Instant::now();
        self.trace().tls_start = Some(from);
        let mut stream = stream;
        stream.watch_records();
        let ended = prepared.handshake(stream, name, alpn, probe.deadline).await;
        let done = Instant::now();
        self.trace().tls_done = Some(done);
        probe.timeline.record(Phase::Tls, from, done);
        match ended {
            Ok(Session { stream, facts }) => {
                probe.tls = Some(facts.clone());
                Ok(Connection {
                    stream: Stream::Tls(Box::new(stream)),
                    tls: Some(facts),
                    to_proxy: false,
                })
            }
            Err(failed) => {
                self.failed_tls = failed.facts.clone();
                probe.tls = failed.facts;
                Err(RoundTripError::Tls(failed.error))
            }
        }
    }

    async fn exchange(
        &mut self,
        probe: &mut Probe<'_>,
        request: &Request,
        connection: Connection,
        proxy: Option<&Url>,
        headers: &Headers,
        body: RequestBody,
    ) -> Result<Response, RoundTripError> {
        let expects_continue = headers
            .value("Expect")
            .is_some_and(|value| has_token(value, "100-continue"));
        let Connection {
            stream,
            tls,
            to_proxy,
        } = connection;
        let speaks_http2 = speaks_http2(tls.as_ref());
        let sent = Instant::now();
        let mut first_byte = None;
        let exchange = async {
            if speaks_http2 {
                over_http2(stream, request, headers, body, expects_continue, &mut first_byte).await
            } else {
                let proxy = proxy.filter(|_| to_proxy);
                over_http1(
                    stream,
                    request,
                    headers,
                    body,
                    expects_continue,
                    proxy,
                    &mut first_byte,
                )
                .await
            }
        };
        let waited = probe.deadline.within(exchange).await;
        self.trace().response_start = first_byte;
        let answered = first_byte.unwrap_or_else(Instant::now);
        probe.timeline.record(Phase::Processing, sent, answered);
        let mut response = waited.unwrap_or_else(|timed_out| {
            Err(RoundTripError::TimedOut {
                step: match first_byte {
                    Some(_) => "reading the head of the answer".to_owned(),
                    None => "waiting for the answer".to_owned(),
                },
                timed_out,
            })
        })?;
        response.tls = tls;
        Ok(response)
    }
}

async fn over_http1(
    stream: Stream,
    request: &Request,
    headers: &Headers,
    body: RequestBody,
    expects_continue: bool,
    proxy: Option<&Url>,
    first_byte: &mut Option<Instant>,
) -> Result<Response, RoundTripError> {
    let head = request_head(request, headers, &body, proxy)?;
    let answer = http1::exchange(stream, &request.method, head, body, expects_continue, first_byte)
        .await
        .map_err(RoundTripError::Http1)?;
    let body = match answer.has_body {
        true => ResponseBody::Stream(Box::new(answer.body)),
        false => ResponseBody::Empty,
    };
    Ok(Response::new(answer.head, answer.told_length, body))
}

async fn over_http2(
    stream: Stream,
    request: &Request,
    headers: &Headers,
    body: RequestBody,
    expects_continue: bool,
    first_byte: &mut Option<Instant>,
) -> Result<Response, RoundTripError> {
    let host = punycode_host_port(request.host()).map_err(RoundTripError::Host)?;
    if !valid_host_header(&host) {
        return Err(RoundTripError::Request("http2: invalid Host header".to_owned()));
    }
    let sent = http2::Request {
        method: &request.method,
        scheme: &request.url.scheme,
        authority: &host,
        path: &request.url.request_uri(),
        headers,
    };
    let answer = http2::exchange(stream, sent, body, expects_continue, first_byte)
        .await
        .map_err(RoundTripError::Http2)?;
    let body = match answer.has_body {
        true => ResponseBody::Stream(Box::new(answer.body)),
        false => ResponseBody::Empty,
    };
    Ok(Response::new(answer.head, answer.told_length, body))
}

/// Whether HTTP/2 was agreed on.
fn speaks_http2(tls: Option<&TlsFacts>) -> bool {
    tls.is_some_and(|facts| facts.alpn.as_deref() == Some(b"h2"))
}

/// Whether the request asks for a WebSocket, which HTTP/2 cannot carry.
fn is_websocket(headers: &Headers) -> bool {
    let value = |name| headers.value(name).unwrap_or_default();
    has_token(value("Connection"), "upgrade") && value("Upgrade").eq_ignore_ascii_case(b"websocket")
}

/// The head of a request. `proxy` is the one that forwards it.
fn request_head(
    request: &Request,
    headers: &Headers,
    body: &RequestBody,
    proxy: Option<&Url>,
) -> Result<Vec<u8>, RoundTripError> {
    let host = punycode_host_port(request.host()).map_err(RoundTripError::Host)?;
    let host = match (valid_host_header(&host), proxy) {
        (true, _) => remove_zone(&host),
        (false, None) => "".into(),
        (false, Some(_)) => {
            return Err(RoundTripError::Request("http: invalid Host header".to_owned()));
        }
    };
    let mut target = request.url.request_uri();
    if proxy.is_some() && request.url.opaque.is_empty() {
        target = [request.url.scheme.as_bytes(), b"://", host.as_bytes(), &target].concat();
    }
    let mut extra = Vec::new();
    let connection = headers.value("Connection").unwrap_or_default();
    let switches = headers.has_text("Upgrade") && lists_contain(headers.values("Connection"), "upgrade");
    if !has_token(connection, "close") && !switches {
        extra.push(("Connection", "close"));
    }
    let authorization = proxy.and_then(|p| p.user.as_ref()).map(basic);
    if let Some(authorization) = &authorization {
        extra.push(("Proxy-Authorization", authorization.as_str()));
    }
    let line = RequestLine {
        method: &request.method,
        target: &target,
        host: &host,
    };
    let mut head = Vec::with_capacity(512);
    write_head(&mut head, line, headers, body, &extra);
    Ok(head)
}
