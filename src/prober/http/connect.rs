//! From a URL to a connection over which its request can go: addresses, proxies, TLS.

use tokio::time::Instant;

use super::Client;
use super::error::RoundTripError;
use super::request::Request;
use super::stream::{Stream, count_failure};
use crate::module::http::Protocol;
use crate::net::dial::{self, Counters};
use crate::net::headers::{Headers, has_token};
use crate::net::http2::Http2Error;
use crate::net::port;
use crate::net::proxy;
use crate::net::resolve::ResolveError;
use crate::net::tls::{Alpn, Session};
use crate::net::tls_facts::TlsFacts;
use crate::net::url::{Url, idna_ascii};
use crate::net::{Address, Deadline};
use crate::prober::{Phase, Probe};

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
pub(super) struct Connection {
    pub(super) stream: Stream,
    /// Facts of the innermost TLS layer.
    pub(super) tls: Option<TlsFacts>,
    /// Whether requests are for a proxy to forward.
    pub(super) to_proxy: bool,
}

impl Connection {
    /// Whether HTTP/2 was agreed on.
    pub(super) fn speaks_http2(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|facts| facts.alpn.as_deref() == Some(b"h2"))
    }
}

impl Client<'_> {
    /// Connects to where the request goes, through a proxy if there is one, and speaks TLS if the URL says so.
    pub(super) async fn connect(
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
        if connection.to_proxy && connection.speaks_http2() {
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
        let waited = deadline.within(Box::pin(made)).await;
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
}

/// Whether the request asks for a WebSocket, which HTTP/2 cannot carry.
fn is_websocket(headers: &Headers) -> bool {
    let value = |name| headers.value(name).unwrap_or_default();
    has_token(value("Connection"), "upgrade") && value("Upgrade").eq_ignore_ascii_case(b"websocket")
}
