//! From a URL to a connection over which its request can go.

use std::net::{SocketAddr, UdpSocket};

use tokio::time::Instant;

use super::Client;
use super::error::RoundTripError;
use super::request::HttpRequest;
use super::trace::RoundTripTrace;
use crate::module::http::HttpProtocol;
use crate::net::headers::{Headers, has_token};
use crate::net::http2::Http2Error;
use crate::net::resolve::ResolveError;
use crate::net::tls::Alpn;
use crate::net::tls::facts::TlsFacts;
use crate::net::url::{Url, idna_ascii};
use crate::net::{Address, Preference, dial, port};
use crate::prober::connect::{self, ConnectError, Connected, ProxyRoute, Route, Spans, Stream, Tls, To};
use crate::prober::{Phase, Probe};

/// A connection over which the request can go. Its parts are boxed, because the futures that use it hold room for them several
/// times.
pub(super) struct HttpConnection {
    pub(super) stream: Box<Stream>,
    /// Facts of the innermost TLS layer.
    pub(super) tls: Option<Box<TlsFacts>>,
    /// Whether requests are for a proxy to forward.
    pub(super) to_proxy: bool,
}

impl HttpConnection {
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
        request: &HttpRequest<'_>,
        proxy: Option<&Url>,
        is_first_host: bool,
        headers: &Headers,
    ) -> Result<HttpConnection, RoundTripError> {
        let url = &request.url;
        let name = match url.scheme == "https" {
            true => self.tls_name(request, is_first_host),
            false => String::new(),
        };
        let alpn = match self.module.protocol {
            HttpProtocol::Http2 if !is_websocket(headers) => Alpn::Http2,
            _ => Alpn::Http1,
        };
        let proxy_speaks_tls = proxy.is_some_and(|proxy| proxy.scheme == "https");
        let prepared = match url.scheme == "https" || proxy_speaks_tls {
            true => Some(self.prepared_tls(probe).await?),
            false => None,
        };
        let tls = |name| prepared.as_ref().map(|prepared| Tls { prepared, name, alpn });
        let via = proxy.map(|proxy| ProxyRoute {
            proxy,
            // Upstream asks for the target's name here too, because the server name is set on all connections.
            tls: tls(match is_first_host && !self.server_name().is_empty() {
                true => self.server_name(),
                false => proxy.hostname(),
            })
            .filter(|_| proxy_speaks_tls),
            proxies: Some(&self.module.proxies),
            host: url.hostname(),
            port: url.port_or_default(),
            needs_tunnel: url.scheme == "https",
            is_chosen: self.names_chosen_address(url.hostname()),
        });
        let to = match (proxy, self.known_addresses(url)) {
            // The preference is about targets: it orders the addresses of a proxy, and rules none out.
            (Some(proxy), _) => To::Host {
                host: proxy.hostname(),
                port: proxy.port_or_default(),
                preference: Preference {
                    fallback: true,
                    ..self.module.preference
                },
            },
            // compat: upstream lets the operating system choose the family from the second hop on.
            (None, []) => To::Host {
                host: url.hostname(),
                port: url.port_or_default(),
                preference: match is_first_host && self.target.is_none() {
                    // It was not resolved before, so nothing chose a family: as upstream, any will do.
                    true => Preference {
                        fallback: true,
                        ..self.module.preference
                    },
                    false => self.module.preference,
                },
            },
            (None, addresses) => To::target(addresses, url.port_or_default()),
        };
        let route = Route {
            via,
            counters: Some(&probe.network.connections),
            ..Route::direct(to, tls(&name).filter(|_| url.scheme == "https"))
        };
        let made = connect::connect(probe, route).await;
        let connected = match made {
            Ok(connected) => connected,
            Err(failure) => {
                self.trace().note(&failure.spans);
                return Err(RoundTripError::Connect(failure.error));
            }
        };
        let Connected {
            stream,
            facts,
            forwards,
            spans,
        } = connected;
        self.trace().note(&spans);
        let from = spans.connect.map_or_else(Instant::now, |(from, _)| from);
        self.trace().got_conn = Some(probe.end(from));
        let connection = HttpConnection {
            stream: Box::new(stream),
            tls: facts,
            to_proxy: forwards,
        };
        if connection.to_proxy && connection.speaks_http2() {
            return Err(RoundTripError::Http2(Http2Error::Request(
                "unsupported scheme: the proxy agreed on HTTP/2".to_owned(),
            )));
        }
        Ok(connection)
    }

    /// Where a request over QUIC goes, one address and one attempt, and the socket for it.
    pub(super) async fn quic_address(
        &mut self,
        probe: &mut Probe<'_>,
        request: &HttpRequest<'_>,
    ) -> Result<(Address, SocketAddr, UdpSocket), RoundTripError> {
        let (host, number) = (request.url.hostname(), request.url.port_or_default());
        let number = port::find(number, port::Protocol::Udp, probe.deadline).await;
        let number = number.map_err(|error| RoundTripError::Connect(error.into()))?;
        let address = match self.known_addresses(&request.url).first() {
            Some(address) => address.clone(),
            None => {
                let preference = match self.target.is_none() && request.url.host == self.first_host {
                    // It was not resolved before: as quic-go chooses.
                    true => Preference::new("ip4", true),
                    false => self.module.preference,
                };
                self.quic_host(probe, &idna_ascii(host), preference).await?
            }
        };
        let to = address.with_port(number);
        let socket = dial::quic(probe.network, to, &probe.module.vantage);
        let socket = socket
            .map_err(|error| self.unconnected(probe, ConnectError::Dial(error.of(&address, number))))?;
        Ok((address, to, socket))
    }

    /// The one address of a host that is dialled over QUIC.
    async fn quic_host(
        &mut self,
        probe: &mut Probe<'_>,
        host: &str,
        preference: Preference,
    ) -> Result<Address, RoundTripError> {
        let failed = |error| RoundTripError::Connect(ConnectError::Resolve(error));
        if let Some(address) = Address::parse(host) {
            let judged = probe.network.policy.check_name(host);
            judged.map_err(|refusal| failed(ResolveError::refused(host, refusal)))?;
            return Ok(address);
        }
        let from = Instant::now();
        let resolver = &probe.network.resolver;
        let found = resolver
            .lookup(host, preference, probe.deadline, probe.via())
            .await;
        let to = Instant::now();
        probe.timeline.record(Phase::Resolve, from, to);
        self.trace().note(&Spans {
            resolve: Some((from, to)),
            ..Spans::default()
        });
        Ok(found.map_err(failed)?.chosen)
    }

    /// The address that was chosen for the target, if a URL names it or the target: that one alone is dialled then (or those
    /// that the module allows in its place), and for its name the policy has been asked.
    fn known_addresses(&self, url: &Url) -> &[Address] {
        // compat: upstream looks the target's name up again when a redirect names it.
        let Some(target) = &self.target else {
            return &[];
        };
        let host = url.hostname();
        let is_target = self.target_name.eq_ignore_ascii_case(host)
            && (target.every_port || target.port == url.port_or_default())
            || self.names_chosen_address(host);
        if is_target { &target.addresses } else { &[] }
    }

    fn names_chosen_address(&self, host: &str) -> bool {
        let target = self.target.as_ref();
        target.is_some_and(|target| Address::parse(host).as_ref() == target.addresses.first())
    }
}

impl RoundTripTrace {
    /// Takes over when the steps of a connection were.
    fn note(&mut self, spans: &Spans) {
        if let Some((from, to)) = spans.resolve {
            (self.start, self.dns_done) = (Some(from), Some(to));
        }
        if let Some((from, to)) = spans.connect {
            if self.dns_done.is_none() {
                (self.start, self.dns_done) = (Some(from), Some(from));
            }
            self.connect_done = Some(to);
        }
        if let Some((from, to)) = spans.tls {
            (self.tls_start, self.tls_done) = (Some(from), Some(to));
        }
    }
}

/// Whether the request asks for a WebSocket, which HTTP/2 cannot carry.
fn is_websocket(headers: &Headers) -> bool {
    let value = |name| headers.value(name).unwrap_or_default();
    has_token(value("Connection"), "upgrade") && value("Upgrade").eq_ignore_ascii_case(b"websocket")
}
