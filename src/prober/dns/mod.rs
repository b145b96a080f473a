//! The dns prober: one query over UDP, TCP, TLS, HTTPS or QUIC, and the judgement of its answer.
//!
//! Messages are read and printed by the crate miekg-dns, because modules match records as that Go package prints them.

pub(super) mod error;
mod exchange;
mod explain;
mod facts;
mod place;
mod validate;

use std::net::IpAddr;

use miekg_dns::Message;
use miekg_dns::record::types;
use tokio::time::Instant;

use self::error::DnsError;
use self::exchange::{DnsConnection, DnsQuery, DnsResponse};
use self::place::Place;
use self::validate::Verdicts;
use super::advice::dns::Asked;
use super::connect::{Route, Tls, To, connect, datagrams, prepare, quic};
use super::resolve::judge_names;
use super::{Failed, Phase, Probe, Verdict, advice, choose_address};
use crate::config::dns_names::type_name;
use crate::log;
use crate::metrics::Metric;
use crate::module::{Dns, DnsTransport, NameError, Query};
use crate::net::tls::{Alpn, Prepared};
use crate::net::{Address, Deadline};
use crate::probe_log::{EXCERPT, excerpt_of, text};
use crate::reason::Reason;

/// Longest answer over UDP without EDNS: that of RFC 1035. What is longer than was asked for is cut by the system, and
/// then cannot be read.
const MAX_DATAGRAM: u16 = 512;

/// Probes the target as the module says.
///
/// # Errors
/// [`Failed`] after the reason was logged.
pub async fn probe(probe: &mut Probe<'_>, module: &Dns) -> Verdict {
    for phase in [Phase::Resolve, Phase::Connect, Phase::Request] {
        probe.samples.set_label(Metric::DnsDuration, phase.label(), 0.0);
    }
    probe.samples.set_zero(&[
        Metric::DnsAnswerRrs,
        Metric::DnsAuthorityRrs,
        Metric::DnsAdditionalRrs,
        Metric::DnsQuerySucceeded,
    ]);
    let Some(transport) = module.transport() else {
        log!(probe.log, Error, "Configuration error: Expected transport protocol udp or tcp", "protocol" => module.transport_protocol.clone());
        return Err(probe.fail(Reason::ConfigError));
    };
    let place = server(probe, module, transport)?;
    let query_name = module.name_for(probe.target);
    let found = choose_address(probe, &place.host, module.preference).await?;
    let (address, took) = (found.address.clone(), found.took);
    let addresses = found.dialled(probe);
    probe
        .samples
        .set_label(Metric::DnsDuration, Phase::Resolve.label(), took.as_secs_f64());

    let family = if address.ip.is_ipv4() { '4' } else { '6' };
    let suffix = if transport == DnsTransport::Tcp && module.tls.is_some() {
        "-tls"
    } else {
        ""
    };
    let dial_protocol = format!("{}{family}{suffix}", transport.name());
    let tls = match (&module.tls, transport) {
        (None, _) => None,
        (Some(_), DnsTransport::Udp) => {
            log!(probe.log, Error, "Configuration error: Expected transport protocol tcp for DoT", "protocol" => transport.name());
            return Err(probe.fail(Reason::ConfigError));
        }
        (Some(tls), _) => {
            let prepared = prepare(probe, tls, "Failed to create TLS configuration").await;
            let prepared = prepared.map_err(|error| probe.fail(error.reason()))?;
            Some((prepared, tls.server_name().unwrap_or(&place.host)))
        }
    };
    let source = probe.source(&module.source, "Using local address");
    let source = source.map_err(|_| probe.fail(Reason::ConfigError))?;
    let target_ip = address.joined(&place.port);
    probe.timeline.hop().address = Some(target_ip.clone());
    log!(
        probe.log, Debug, "Making DNS query", "target" => target_ip.clone(), "dial_protocol" => dial_protocol,
        "query" => query_name.to_string(), "type" => module.query_type, "class" => module.query_class,
    );

    let server = Server {
        addresses: &addresses,
        place: &place,
        source,
        tls,
    };
    let asked = Asked {
        server: &place.host,
        port: &place.port,
        path: &place.path,
        name: &query_name,
        module,
        transport,
    };
    let query = module.query_for(&query_name);
    let mut over = transport;
    let (answer, truncated) = match ask(probe, module, &server, &mut over, query).await {
        Ok(answered) => answered,
        Err(error) => {
            if !matches!(error, DnsError::Connect(_)) {
                let asked = Asked {
                    transport: over,
                    ..asked
                };
                let line = advice::dns::no_response(&probe.attempt.facts, &error, &asked);
                probe.advise(line);
            }
            probe.timeline.hop().result = Some(error.to_string());
            log!(probe.log, Error, "Error while sending a DNS query", "err" => format!("query {target_ip} over {}: {error}", over.name()));
            return Err(probe.fail(error.reason()));
        }
    };
    log!(probe.log, Debug, "Got response", "response" => excerpt_of(&*answer, EXCERPT));
    expose(probe, module, &answer);
    facts::expose(&mut probe.samples, module, &answer, truncated);
    probe.timeline.hop().result = Some(answer.summary());
    let mut verdicts = probe.attempt.findings.is_some().then(Verdicts::default);
    let (log, facts) = (&mut probe.log, &mut probe.attempt.facts);
    let judged = validate::answer(&answer, &asked, log, facts, verdicts.as_mut()).await;
    if let (Some(findings), Some(verdicts)) = (&mut probe.attempt.findings, verdicts) {
        let from = Instant::now();
        Box::pin(explain::explain(
            findings,
            module,
            &answer,
            &verdicts,
            probe.deadline,
        ))
        .await;
        findings.looked(from);
    }
    judged.map_err(|reason| probe.fail(reason))
}

/// Whom a probe asks. The policy judges what a scrape has it ask for: the target, or a parameter, as it is written and as it is sent.
fn server(probe: &mut Probe<'_>, module: &Dns, transport: DnsTransport) -> Result<Place, Failed> {
    let server = module.server.as_deref().unwrap_or(probe.target);
    let asked = type_name(module.query_type).unwrap_or("");
    let query_name = module.name_for(probe.target);
    probe
        .timeline
        .begin_hop(format!("{asked} {query_name} at {server}"));
    judge_names(probe, None)?;
    let is_given =
        module.asks_for_target() || probe.module.given_names.iter().any(|name| *name == *query_name);
    let policy = &probe.network.policy;
    let judge = || {
        policy.check_name(&query_name)?;
        // What cannot be asked for is not sent.
        let sent = module.query_for(&query_name).map(|query| query.name());
        sent.map_or(Ok(()), |sent| policy.check_name(&sent))
    };
    if is_given && let Err(refusal) = judge() {
        probe.timeline.hop().result = Some(refusal.to_string());
        probe.advise(advice::policy());
        log!(probe.log, Error, "Query name refused", "err" => text(&refusal));
        return Err(probe.fail(Reason::PolicyRefused));
    }
    Place::read(server, transport, module.tls.is_some(), &module.path).map_err(|error| {
        probe.timeline.hop().result = Some(error.to_owned());
        log!(probe.log, Error, "Error parsing the server's URL", "err" => error);
        probe.fail(Reason::ConfigError)
    })
}

/// How to reach the server.
struct Server<'a> {
    /// Over UDP and QUIC the first one is asked.
    addresses: &'a [Address],
    place: &'a Place,
    source: Option<IpAddr>,
    /// The TLS settings and the name that the server must prove to have.
    tls: Option<(Prepared, &'a str)>,
}

/// A query over UDP that nothing came back to yet.
type Unanswered<'a> = Option<(DnsConnection, DnsQuery<'a>)>;

/// Asks until there is an answer, or as often as the module says; all but the last attempt have a share of the time that is
/// left. Over UDP the same query is sent again, so that an answer to any of them is one, however slow the line is. Also returns
/// whether the first answer was truncated. `over` is how it was asked last.
async fn ask(
    probe: &mut Probe<'_>,
    module: &Dns,
    server: &Server<'_>,
    over: &mut DnsTransport,
    query: Result<Query, NameError>,
) -> Result<(DnsResponse, bool), DnsError> {
    let whole = probe.deadline;
    let mut retries = 0;
    let mut unanswered = None;
    let answered = loop {
        let left = module.retries - retries;
        if left > 0 {
            probe.deadline = Deadline::after(Instant::now(), whole.left() / (left + 1));
        }
        let mut last = *over;
        let answered = ask_once(probe, module, server, &mut last, &query, &mut unanswered).await;
        probe.deadline = whole;
        match answered {
            Err(error) if left > 0 && error.may_pass() && !whole.left().is_zero() => {
                log!(probe.log, Debug, "No answer, asking again", "err" => text(&error), "retries_left" => left);
                retries += 1;
            }
            answered => {
                *over = last;
                break answered;
            }
        }
    };
    if module.retries > 0 {
        probe.samples.set(Metric::DnsRetries, f64::from(retries));
    }
    answered
}

/// Asks, and once more over TCP if the module says so and the answer was truncated.
async fn ask_once<'a>(
    probe: &mut Probe<'_>,
    module: &Dns,
    server: &Server<'a>,
    over: &mut DnsTransport,
    query: &Result<Query, NameError>,
    unanswered: &mut Unanswered<'a>,
) -> Result<(DnsResponse, bool), DnsError> {
    let answer = exchange(probe, module, server, *over, query, unanswered).await?;
    let truncated = answer.is_truncated();
    if truncated && *over == DnsTransport::Udp && module.tcp_on_truncation {
        log!(
            probe.log,
            Debug,
            "The response was truncated, repeating the query over TCP"
        );
        *over = DnsTransport::Tcp;
        let answer = exchange(probe, module, server, *over, query, &mut None).await?;
        return Ok((answer, true));
    }
    Ok((answer, truncated))
}

/// Connects, asks and waits for the answer. What the steps took is exposed however they end: a query that could not be
/// sent belongs to the connect phase.
async fn exchange<'a>(
    probe: &mut Probe<'_>,
    module: &Dns,
    server: &Server<'a>,
    transport: DnsTransport,
    query: &Result<Query, NameError>,
    unanswered: &mut Unanswered<'a>,
) -> Result<DnsResponse, DnsError> {
    let started = Instant::now();
    let deadline = probe.deadline;
    let sent = async {
        let (mut connection, asked, connected) = match unanswered.take() {
            Some((connection, asked)) => (connection, asked, started),
            None => {
                let connection = reach(probe, module, server, transport).await?;
                let connected = probe.end(started);
                let query = query.as_ref().map_err(|error| DnsError::Name(*error))?;
                let id = connection.id();
                let asked = DnsQuery {
                    message: query.with_id(id),
                    id,
                    udp_size: module.edns.map_or(MAX_DATAGRAM, |edns| edns.udp_size),
                    forgives_truncation: module.tcp_on_truncation,
                    place: server.place,
                    method: module.method,
                };
                (connection, asked, connected)
            }
        };
        let from = Instant::now();
        connection.send(&asked, deadline).await?;
        Ok((connection, asked, connected, from))
    };
    let sent = sent.await;
    let connected = match &sent {
        Ok((_, _, connected, _)) => *connected,
        Err(_) => Instant::now(),
    };
    add_phase(probe, Phase::Connect, started, connected);
    let (mut connection, asked, _, from) = sent?;
    let received = connection.receive(&asked, deadline).await;
    let ended = probe.end(from);
    add_phase(probe, Phase::Request, from, ended);
    probe.timeline.record(Phase::Request, from, ended);
    if transport == DnsTransport::Udp && matches!(received, Err(DnsError::TimedOut { .. })) {
        *unanswered = Some((connection, asked));
    } else {
        connection.close(deadline).await;
    }
    received
}

/// Adds what a step took to its phase: a probe may ask several times.
fn add_phase(probe: &mut Probe<'_>, phase: Phase, from: Instant, to: Instant) {
    probe
        .samples
        .add_label(Metric::DnsDuration, phase.label(), (to - from).as_secs_f64());
}

async fn reach(
    probe: &mut Probe<'_>,
    module: &Dns,
    server: &Server<'_>,
    transport: DnsTransport,
) -> Result<DnsConnection, DnsError> {
    let (addresses, source, port) = (server.addresses, server.source, &server.place.port);
    let tls = |alpn| {
        let (prepared, name) = server.tls.as_ref()?;
        Some(Tls { prepared, name, alpn })
    };
    let reached = match (transport, addresses) {
        (DnsTransport::Udp, [address, ..]) => datagrams(probe, address, port, source)
            .await
            .map(DnsConnection::Udp),
        (DnsTransport::Quic, [address, ..]) if let Some(tls) = tls(Alpn::Doq) => {
            quic(probe, address, port, source, &tls)
                .await
                .map(DnsConnection::Quic)
        }
        (DnsTransport::Https, [address, ..])
            if module.http3
                && let Some(tls) = tls(Alpn::Http3) =>
        {
            quic(probe, address, port, source, &tls)
                .await
                .map(DnsConnection::Http3)
        }
        (transport, addresses) => {
            let alpn = match transport {
                DnsTransport::Https => Alpn::Http2,
                _ => Alpn::None,
            };
            let to = To::Addresses { addresses, port };
            let route = Route {
                source,
                ..Route::direct(to, tls(alpn))
            };
            let connected = connect(probe, route).await;
            connected.map(|connected| {
                let speaks_http2 = connected
                    .facts
                    .is_some_and(|facts| facts.alpn.as_deref() == Some(b"h2"));
                let stream = Box::new(connected.stream);
                match transport {
                    DnsTransport::Https => DnsConnection::Http {
                        stream: Some(stream),
                        speaks_http2,
                    },
                    _ => DnsConnection::Stream(stream),
                }
            })
        }
    };
    reached.map_err(DnsError::Connect)
}

fn expose(probe: &mut Probe<'_>, module: &Dns, answer: &Message) {
    let sections = [
        (Metric::DnsAnswerRrs, &answer.answer),
        (Metric::DnsAuthorityRrs, &answer.authority),
        (Metric::DnsAdditionalRrs, &answer.additional),
    ];
    for (metric, records) in sections {
        // Exact: no message has 2^32 records.
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        probe.samples.set(metric, f64::from(count));
    }
    probe.samples.set(Metric::DnsQuerySucceeded, 1.0);
    if module.query_type == types::SOA {
        let serial = answer.answer.iter().rev().find_map(|record| record.serial);
        probe
            .samples
            .set(Metric::DnsSerial, f64::from(serial.unwrap_or(0)));
    }
}
