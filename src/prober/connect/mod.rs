//! From a [`Route`] to a connection that is ready to use: the one place where probers resolve names other than the target's,
//! dial, pass through proxies and shake hands, and where each of these steps is timed, drawn and judged by the target policy.

pub(super) mod error;
mod proxy;
mod quic;
mod resetting;
mod stream;

use std::fmt;
use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use gostd::address::socket_text;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::resolve::expose_address;
use super::{Phase, Probe, advice};
use crate::config::module::vantage::Addresses;
use crate::log;
use crate::metrics::Metric;
use crate::net::arrivals::{self, Datagrams};
use crate::net::dial::{self, Counters, DialCause, DialError, Opened, Vantage};
use crate::net::port::{self, Protocol};
use crate::net::resolve::ResolveError;
use crate::net::tls::facts::TlsFacts;
use crate::net::tls::{Alpn, ClientTls, HandshakeError, Prepared, Session, TlsError};
use crate::net::url::idna_ascii;
use crate::net::{Address, Preference};
use crate::probe_log::text;

pub(super) use error::ConnectError;
pub(super) use proxy::ProxyRoute;
pub(super) use quic::{quic, shake};
pub(super) use stream::Stream;

/// Where a connection leads, and what is spoken on it before it is used.
#[derive(Debug)]
pub(super) struct Route<'a> {
    /// The target, or the proxy before it.
    pub to: To<'a>,
    /// The source address, if it is not that of the module's vantage.
    pub source: Option<IpAddr>,
    /// What is asked of a proxy, if it leads to one.
    pub via: Option<ProxyRoute<'a>>,
    /// TLS with the target.
    pub tls: Option<Tls<'a>>,
    /// Who counts the connection.
    pub counters: Option<&'a Arc<Counters>>,
    /// Whether the connection ends with a reset.
    pub resets: bool,
}

impl<'a> Route<'a> {
    /// A route that leads straight to its end.
    pub(super) fn direct(to: To<'a>, tls: Option<Tls<'a>>) -> Self {
        Self {
            to,
            source: None,
            via: None,
            tls,
            counters: None,
            resets: false,
        }
    }
}

/// Who is dialled.
#[derive(Debug)]
pub(super) enum To<'a> {
    /// Addresses in the order in which they are tried. The policy has judged the name that has them, if there is one.
    Addresses { addresses: &'a [Address], port: &'a str },
    /// A host other than the target's: whatever addresses it has, in the order of the preference.
    Host {
        host: &'a str,
        port: &'a str,
        preference: Preference,
    },
    /// The path of a unix socket, or an abstract name with `@` in front.
    Unix(&'a [u8]),
}

impl<'a> To<'a> {
    /// Addresses of a target as Go's dialer takes them where it is not bound to a family: `::`, which is this machine, has another
    /// form.
    pub(super) fn target(addresses: &'a [Address], port: &'a str) -> Self {
        match addresses {
            [address] if address.ip == Ipv6Addr::UNSPECIFIED => Self::Host {
                host: "::",
                port,
                preference: Preference::new("", true),
            },
            _ => Self::Addresses { addresses, port },
        }
    }
}

/// How TLS is spoken.
#[derive(Debug)]
pub(super) struct Tls<'a> {
    pub prepared: &'a Prepared,
    /// The name that the peer must prove to have.
    pub name: &'a str,
    pub alpn: Alpn,
}

impl<'a> Tls<'a> {
    /// TLS without an application protocol.
    pub(super) fn named(prepared: &'a Prepared, name: &'a str) -> Self {
        Self {
            prepared,
            name,
            alpn: Alpn::None,
        }
    }
}

/// A connection that is ready to use.
#[derive(Debug)]
pub(super) struct Connected {
    pub stream: Stream,
    /// Facts of the innermost TLS layer. Boxed: they are handed up through several futures, mostly as none.
    pub facts: Option<Box<TlsFacts>>,
    /// Whether the proxy forwards requests, and expects them to name the target.
    pub forwards: bool,
    pub spans: Spans,
}

/// When the steps began and ended, and who was reached. What did not happen is not there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spans {
    pub resolve: Option<(Instant, Instant)>,
    pub connect: Option<(Instant, Instant)>,
    /// The last handshake.
    pub tls: Option<(Instant, Instant)>,
    /// The address that was dialled; of several, the one that accepted.
    pub peer: Option<SocketAddr>,
}

/// A connection that could not be made.
#[derive(Debug)]
pub(super) struct ConnectFailure {
    pub error: ConnectError,
    /// How far it came.
    pub spans: Spans,
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// The TLS settings of a module, whose files are read now.
///
/// # Errors
/// Why they cannot be used, after it was logged as `failed`.
pub(super) async fn prepare(
    probe: &mut Probe<'_>,
    tls: &ClientTls,
    failed: &'static str,
) -> Result<Prepared, TlsError> {
    let prepared = tls.prepare(&probe.network.roots, probe.deadline).await;
    prepared.inspect_err(|error| {
        probe.advise(advice::tls::alone(error));
        log!(probe.log, Error, failed, "err" => text(error));
    })
}

/// Connects. What the last handshake told is in `tls` of [`Probe::attempt`] afterwards, also when it failed.
///
/// # Errors
/// See [`ConnectError`].
pub(super) async fn connect(
    probe: &mut Probe<'_>,
    route: Route<'_>,
) -> Result<Connected, Box<ConnectFailure>> {
    let mut spans = Spans::default();
    let is_target = matches!(route.to, To::Addresses { .. }) && route.via.is_none();
    let source = route.source;
    match make(probe, route, &mut spans).await {
        Ok((stream, facts, forwards)) => {
            // What became of another address or an earlier hop does not matter any more.
            probe.attempt.facts.forget();
            Ok(Connected {
                stream,
                facts,
                forwards,
                spans,
            })
        }
        Err(error) => {
            let vantage = vantage(probe, source);
            Err(failed(probe, is_target, &vantage, spans, error))
        }
    }
}

/// A connection that could not be made, after it was said what helps.
fn failed(
    probe: &mut Probe<'_>,
    is_target: bool,
    vantage: &Vantage,
    spans: Spans,
    error: ConnectError,
) -> Box<ConnectFailure> {
    advise(probe, is_target, vantage, &error);
    Box::new(ConnectFailure { error, spans })
}

/// Says what helps when a connection could not be made.
pub(super) fn advise(probe: &mut Probe<'_>, is_target: bool, vantage: &Vantage, error: &ConnectError) {
    // What is known of the target's name says nothing of a proxy or a later hop.
    let elsewhere = advice::Facts::default();
    let facts = match is_target {
        true => &probe.attempt.facts,
        false => &elsewhere,
    };
    let without_tls = advice::tls::without(&probe.module.kind);
    let line = advice::connect::advice(facts, vantage, without_tls, error);
    probe.advise(line);
}

/// A socket for datagrams to the target and from it.
///
/// # Errors
/// No such port, or the dialling.
pub(super) async fn datagrams(
    probe: &mut Probe<'_>,
    address: &Address,
    port: &str,
    source: Option<IpAddr>,
) -> Result<Datagrams, Box<ConnectFailure>> {
    let mut spans = Spans::default();
    let vantage = vantage(probe, source);
    let opened = async {
        let port = port::find(port, Protocol::Udp, probe.deadline).await?;
        let to = address.with_port(port);
        let from = Instant::now();
        let opened = dial::udp(probe.network, probe.deadline, to, &vantage).await;
        spans.connect = Some(record(probe, Phase::Connect, from));
        let socket = opened.map_err(|error| error.of(address, port))?;
        Ok(Datagrams::new(socket, probe.arrivals.clone()))
    };
    let opened = opened.await;
    opened.map_err(|error| failed(probe, true, &vantage, spans, error))
}

async fn make(
    probe: &mut Probe<'_>,
    route: Route<'_>,
    spans: &mut Spans,
) -> Result<(Stream, Option<Box<TlsFacts>>, bool), ConnectError> {
    if let Some(via) = &route.via {
        via.judge(probe).await?;
    }
    let reached = reach(probe, &route, spans).await;
    if let (Some(counters), Err(error)) = (route.counters, &reached) {
        count_failure(counters, error);
    }
    let mut stream = reached.map_err(|error| match route.via {
        Some(_) => ConnectError::Proxy(Box::new(error)),
        None => error,
    })?;
    let (mut facts, mut forwards) = (None, false);
    if let Some(via) = &route.via {
        if let Some(tls) = &via.tls {
            let session = encrypt_stream(probe, stream, tls, spans).await;
            let session = session.map_err(|error| ConnectError::Proxy(Box::new(error)))?;
            (stream, facts) = (session.0, Some(session.1));
        }
        forwards = via.ask(probe, &mut stream).await?;
    }
    if let Some(tls) = &route.tls {
        let session = encrypt_stream(probe, stream, tls, spans).await?;
        (stream, facts) = (session.0, Some(session.1));
    }
    Ok((stream, facts, forwards))
}

/// Dials whoever the route leads to first.
async fn reach(probe: &mut Probe<'_>, route: &Route<'_>, spans: &mut Spans) -> Result<Stream, ConnectError> {
    if let Some(counters) = route.counters {
        counters.attempt();
    }
    match &route.to {
        To::Addresses { addresses, port } => {
            let port = port::find(port, Protocol::Tcp, probe.deadline).await?;
            dial(probe, addresses, port, route, spans).await
        }
        To::Host {
            host,
            port,
            preference,
        } => {
            let port = port::find(port, Protocol::Tcp, probe.deadline).await?;
            let host = match idna_ascii(host) {
                none if none.is_empty() => "0.0.0.0".into(), // This machine, as in Go.
                host => host,
            };
            let addresses = match Address::parse(&host) {
                Some(address) => {
                    let judged = probe.network.policy.check_name(&host);
                    judged.map_err(|refusal| ResolveError::refused(&host, refusal))?;
                    literal(address)
                }
                None => {
                    let from = Instant::now();
                    let resolver = &probe.network.resolver;
                    let found = resolver
                        .candidates(&host, *preference, probe.deadline, probe.via())
                        .await;
                    spans.resolve = Some(record(probe, Phase::Resolve, from));
                    found?
                }
            };
            dial(probe, &addresses, port, route, spans).await
        }
        To::Unix(path) => {
            let from = Instant::now();
            let dialled = dial::unix(probe.network, probe.deadline, path).await;
            spans.connect = Some(record(probe, Phase::Connect, from));
            Ok(Stream::unix(dialled?, probe.arrivals.clone()))
        }
    }
}

/// What is dialled for an address: for `::`, which is this machine, also its other form, as in Go.
fn literal(address: Address) -> Vec<Address> {
    let other = (address.ip == Ipv6Addr::UNSPECIFIED).then(|| Address::new(Ipv4Addr::UNSPECIFIED.into()));
    iter::once(address).chain(other).collect()
}

/// Where a connection of this probe comes from.
pub(super) fn vantage(probe: &Probe<'_>, source: Option<IpAddr>) -> Vantage {
    Vantage {
        source: source.or(probe.module.vantage.source),
        ..probe.module.vantage.clone()
    }
}

/// Opens a TCP connection to the first address that accepts one.
async fn dial(
    probe: &mut Probe<'_>,
    addresses: &[Address],
    port: u16,
    route: &Route<'_>,
    spans: &mut Spans,
) -> Result<Stream, ConnectError> {
    let vantage = vantage(probe, route.source);
    let mut from = Instant::now();
    let (dialled, tried) = match addresses {
        [address] => {
            let to = address.with_port(port);
            spans.peer = Some(to);
            let dialled = dial::tcp(probe.network, probe.deadline, to, &vantage).await;
            let dialled = dialled.map_err(|error| error.of(address, port));
            if let Ok(opened) = &dialled {
                from = opened.from;
            }
            (dialled.map(|opened| (opened, to)), 1)
        }
        // Boxed: few probes dial several addresses.
        addresses => Box::pin(dial_several(probe, addresses, port, &vantage)).await,
    };
    match &dialled {
        Ok((opened, _)) => probe.arrivals.note(opened.at),
        Err(_) => probe.arrivals.note(Instant::now()),
    }
    spans.connect = Some(record(probe, Phase::Connect, from));
    if let Ok((_, peer)) = &dialled {
        spans.peer = Some(*peer);
    }
    if matches!(route.to, To::Addresses { .. }) {
        if let Ok((_, peer)) = &dialled
            && addresses.len() > 1
        {
            // Of several addresses, the one that accepted.
            expose_address(probe, peer.ip().to_canonical());
        }
        if probe.module.addresses == Addresses::Any {
            probe.samples.set(Metric::AddressesTried, f64::from(tried));
        }
    }
    if let Some(peer) = spans.peer {
        probe.timeline.hop().address = Some(socket_text(peer));
    }
    let (opened, _) = dialled?;
    let stream = arrivals::StampedStream::new(opened.stream, probe.arrivals.clone());
    Ok(Stream::tcp(stream, route.counters, route.resets))
}

/// Of several addresses those are dialled that the policy allows. What goes wrong with one is told when another is tried. The
/// number is that of the addresses that were tried.
async fn dial_several(
    probe: &mut Probe<'_>,
    addresses: &[Address],
    port: u16,
    vantage: &Vantage,
) -> (Result<(Opened, SocketAddr), DialError>, u32) {
    let mut allowed = addresses.to_vec();
    if let Err(refusal) = probe.network.policy.keep_allowed(&mut allowed, Some(port)) {
        let address = addresses.first().map(|address| address.joined(port));
        let error = DialError {
            network: "tcp",
            address: address.unwrap_or_default(),
            from: vantage.source,
            cause: DialCause::Refused(refusal),
        };
        return (Err(error), 1);
    }
    let to: Vec<_> = allowed.iter().map(|address| address.with_port(port)).collect();
    let dialled = dial::several(probe.network, probe.deadline, &to, vantage).await;
    let (failed, dialled) = match dialled {
        Ok(dialled) => (dialled.failed, Ok((dialled.opened, dialled.address))),
        Err(mut failed) => {
            let first = (!failed.is_empty()).then(|| failed.remove(0));
            (failed, Err(first))
        }
    };
    // Exact: a name has 128 addresses of a family at most.
    let tried = 1 + u32::try_from(failed.len()).unwrap_or(u32::MAX - 1);
    for error in failed {
        log!(probe.log, Debug, "Could not connect to one of several addresses", "err" => text(error));
    }
    let dialled = dialled.map_err(|first| {
        first.unwrap_or_else(|| DialError {
            network: "tcp",
            address: port.to_string(),
            from: vantage.source,
            cause: DialCause::TimedOut(probe.deadline.timed_out()),
        })
    });
    (dialled, tried)
}

/// Speaks TLS on a connection of any kind.
///
/// # Errors
/// Why the handshake failed; what it told before is in `tls` of [`Probe::attempt`], too.
pub(super) async fn encrypt<S: AsyncRead + AsyncWrite + Unpin + Send>(
    probe: &mut Probe<'_>,
    stream: S,
    tls: &Tls<'_>,
    spans: &mut Spans,
) -> Result<Session<S>, Box<HandshakeError>> {
    let from = Instant::now();
    let handshake = tls.prepared.handshake(stream, tls.name, tls.alpn, probe.deadline);
    let ended = handshake.await;
    spans.tls = Some(record(probe, Phase::Tls, from));
    probe.learn(match &ended {
        Ok(session) => Some(session.facts.clone()),
        Err(error) => error.facts.clone(),
    });
    ended
}

async fn encrypt_stream(
    probe: &mut Probe<'_>,
    mut stream: Stream,
    tls: &Tls<'_>,
    spans: &mut Spans,
) -> Result<(Stream, Box<TlsFacts>), ConnectError> {
    stream.watch_records();
    let Session { stream, facts } = Box::pin(encrypt(probe, stream, tls, spans)).await?;
    Ok((Stream::Tls(Box::new(stream)), Box::new(facts)))
}

/// Draws a phase that has ended.
fn record(probe: &mut Probe<'_>, phase: Phase, from: Instant) -> (Instant, Instant) {
    let to = probe.end(from);
    probe.timeline.record(phase, from, to);
    (from, to)
}

/// Counts a connection that could not be dialled, by its reason.
fn count_failure(counters: &Counters, error: &ConnectError) {
    Counters::add(match error {
        ConnectError::Resolve(error) if !error.is_refusal() => &counters.failed_resolution,
        ConnectError::Dial(DialError {
            cause: DialCause::TimedOut(_) | DialCause::NoAnswer(_),
            ..
        }) => &counters.failed_timeout,
        ConnectError::Dial(DialError {
            cause: DialCause::Io { error, .. },
            ..
        }) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // go-conntrack counts a refusal under both reasons.
            Counters::add(&counters.failed_unknown);
            &counters.failed_refused
        }
        _ => &counters.failed_unknown,
    });
}
