//! The dns prober: one query over UDP, TCP or TLS, and the judgement of its answer.
//!
//! Messages are read and printed by the crate miekg-dns, because modules match records as that Go package prints them.

mod exchange;
mod validate;

use std::net::IpAddr;

use miekg_dns::Message;
use miekg_dns::record::types;
use tokio::time::Instant;

use self::exchange::{Connection, ExchangeError};
use super::connect::{Route, Tls, To, connect, datagrams};
use super::{Failed, Phase, Probe, Verdict, choose_address};
use crate::config::dns_names::type_name;
use crate::log;
use crate::metrics::Metric;
use crate::module::Dns;
use crate::net::port::Protocol;
use crate::net::tls::Prepared;
use crate::net::{Address, split_host_port};
use crate::probe_log::{EXCERPT, excerpt_of, text};

/// Probes the target as the module says.
///
/// # Errors
/// [`Failed`] after the reason was logged.
pub async fn probe(probe: &mut Probe<'_>, module: &Dns) -> Verdict {
    for phase in [Phase::Resolve, Phase::Connect, Phase::Request] {
        probe.samples.set_label(Metric::DnsDuration, phase.label(), 0.0);
    }
    for metric in [
        Metric::DnsAnswerRrs,
        Metric::DnsAuthorityRrs,
        Metric::DnsAdditionalRrs,
        Metric::DnsQuerySucceeded,
    ] {
        probe.samples.set(metric, 0.0);
    }
    let Some(protocol) = module.protocol() else {
        log!(probe.log, Error, "Configuration error: Expected transport protocol udp or tcp", "protocol" => module.transport_protocol.clone());
        return Err(Failed);
    };
    let target = probe.target;
    let asked = type_name(module.query_type).unwrap_or("");
    probe
        .timeline
        .begin_hop(format!("{asked} {} at {target}", module.query_name));
    // A target that is no host and port is a host, IPv6 addresses without brackets among them.
    let default_port = if module.tls.is_some() { "853" } else { "53" };
    let (host, port) = split_host_port(target).unwrap_or((target, default_port));
    let found = choose_address(probe, host, module.preference).await?;
    let (address, took) = (found.address.clone(), found.took);
    let addresses = found.dialled(probe);
    probe
        .samples
        .set_label(Metric::DnsDuration, Phase::Resolve.label(), took.as_secs_f64());

    let family = if address.ip.is_ipv4() { '4' } else { '6' };
    let suffix = if module.tls.is_some() { "-tls" } else { "" };
    let dial_protocol = format!("{}{family}{suffix}", protocol.name());
    let tls = match (&module.tls, protocol) {
        (None, _) => None,
        (Some(_), Protocol::Udp) => {
            log!(probe.log, Error, "Configuration error: Expected transport protocol tcp for DoT", "protocol" => protocol.name());
            return Err(Failed);
        }
        (Some(tls), Protocol::Tcp) => match tls.prepare(&probe.network.roots, probe.deadline).await {
            Ok(prepared) => Some((prepared, tls.server_name().unwrap_or(host))),
            Err(error) => {
                log!(probe.log, Error, "Failed to create TLS configuration", "err" => text(&error));
                return Err(Failed);
            }
        },
    };
    let source = source_address(probe, module)?;
    let target_ip = match address.ip {
        IpAddr::V4(_) => format!("{address}:{port}"),
        IpAddr::V6(_) => format!("[{address}]:{port}"),
    };
    probe.timeline.hop().address = Some(target_ip.clone());
    log!(
        probe.log, Debug, "Making DNS query", "target" => target_ip.clone(), "dial_protocol" => dial_protocol,
        "query" => module.query_name.clone(), "type" => module.query_type, "class" => module.query_class,
    );

    let server = Server {
        protocol,
        addresses: &addresses,
        port,
        source,
        tls,
    };
    let answer = match exchange(probe, module, server).await {
        Ok(answer) => answer,
        Err(error) => {
            probe.timeline.hop().result = Some(error.to_string());
            log!(probe.log, Error, "Error while sending a DNS query", "err" => format!("query {target_ip} over {}: {error}", protocol.name()));
            return Err(Failed);
        }
    };
    log!(probe.log, Debug, "Got response", "response" => excerpt_of(&answer, EXCERPT));
    expose(probe, module, &answer);
    probe.timeline.hop().result = Some(answer.summary());
    validate::answer(&answer, module, &mut probe.log).await
}

/// How to reach the server.
struct Server<'a> {
    protocol: Protocol,
    /// Over UDP, which knows no connections, the first one is asked.
    addresses: &'a [Address],
    port: &'a str,
    source: Option<IpAddr>,
    /// The TLS settings and the name that the server must prove to have.
    tls: Option<(Prepared, &'a str)>,
}

/// Connects, asks and waits for the answer. What the steps took is exposed however they end: a query that could not be
/// sent belongs to the connect phase.
async fn exchange(probe: &mut Probe<'_>, module: &Dns, server: Server<'_>) -> Result<Message, ExchangeError> {
    let started = Instant::now();
    let id = rand::random();
    let deadline = probe.deadline;
    let sent = async {
        let mut connection = reach(probe, server).await?;
        let query = module
            .query
            .as_ref()
            .map_err(|error| ExchangeError::Name(*error))?;
        let connected = Instant::now();
        connection.send(query, id, deadline).await?;
        Ok((connection, connected))
    };
    let sent = sent.await;
    let connected = match &sent {
        Ok((_, connected)) => *connected,
        Err(_) => Instant::now(),
    };
    set_phase(probe, Phase::Connect, started, connected);
    let (mut connection, _) = sent?;
    let received = connection.receive(id, deadline).await;
    let ended = Instant::now();
    set_phase(probe, Phase::Request, connected, ended);
    probe.timeline.record(Phase::Request, connected, ended);
    connection.close(deadline).await;
    received
}

fn set_phase(probe: &mut Probe<'_>, phase: Phase, from: Instant, to: Instant) {
    probe
        .samples
        .set_label(Metric::DnsDuration, phase.label(), (to - from).as_secs_f64());
}

async fn reach(probe: &mut Probe<'_>, server: Server<'_>) -> Result<Connection, ExchangeError> {
    let Server {
        addresses,
        port,
        source,
        ..
    } = server;
    let reached = match (server.protocol, addresses) {
        (Protocol::Udp, [address, ..]) => datagrams(probe, address, port, source).await.map(Connection::Udp),
        (Protocol::Udp | Protocol::Tcp, _) => {
            let to = To::Addresses { addresses, port };
            let tls = server.tls.as_ref();
            let route = Route {
                source,
                ..Route::direct(to, tls.map(|(prepared, name)| Tls::named(prepared, name)))
            };
            let connected = connect(probe, route).await;
            connected.map(|connected| Connection::Stream(Box::new(connected.stream)))
        }
    };
    reached.map_err(ExchangeError::Connect)
}

fn source_address(probe: &mut Probe<'_>, module: &Dns) -> Result<Option<IpAddr>, Failed> {
    let written = &module.source_ip_address;
    if written.is_empty() {
        return Ok(None);
    }
    let Ok(address) = written.parse::<IpAddr>() else {
        log!(probe.log, Error, "Error parsing source ip address", "srcIP" => written.clone());
        return Err(Failed);
    };
    let address = address.to_canonical();
    log!(probe.log, Debug, "Using local address", "srcIP" => text(address));
    Ok(Some(address))
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
