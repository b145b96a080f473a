//! The tcp prober: connect, with TLS if asked, and hold the dialogue.

use std::net::IpAddr;

use tokio::time::Instant;

use super::{Failed, Phase, Probe, Verdict, choose_address};
use crate::log;
use crate::module::Tcp;
use crate::net::tls::{Alpn, HandshakeError, Prepared, Session, Stream};
use crate::net::tls_facts::FactSet;
use crate::net::{dial, port, split_host_port};
use crate::probe_log::text;
use crate::prober::query_response::{self, Connection, Upgrade};

/// Probes the target as the module says.
///
/// # Errors
/// [`Failed`] after the reason was logged.
pub async fn probe(probe: &mut Probe<'_>, module: &Tcp) -> Verdict {
    probe.timeline.begin_hop(probe.target);
    let target = probe.target;
    let (connection, host) = match dial(probe, module, target).await {
        Ok(dialled) => dialled,
        Err(error) => {
            probe.timeline.hop().result = Some(error.clone());
            log!(probe.log, Error, "Error dialing TCP", "err" => error);
            return Err(Failed);
        }
    };
    log!(probe.log, Debug, "Successfully dialed");
    let upgrade = Upgrade {
        config: &module.tls_config,
        server_name: server_name(probe, module, host),
    };
    query_response::run(probe, connection, module.tls, &module.steps, upgrade).await
}

/// The name of the server for TLS: what the module says, else what the request says, else the target's host.
fn server_name<'a>(probe: &Probe<'a>, module: &'a Tcp, host: &'a str) -> &'a str {
    let hostname = probe.hostname.filter(|name| !name.is_empty());
    module.tls_config.server_name().or(hostname).unwrap_or(host)
}

/// Connects, and returns the target's host too. The error says what failed, at which address and why.
async fn dial<'t>(
    probe: &mut Probe<'_>,
    module: &Tcp,
    target: &'t str,
) -> Result<(Box<dyn Connection>, &'t str), String> {
    let (host, port) = split_host_port(target).map_err(|error| {
        log!(probe.log, Error, "Error splitting target address and port", "err" => text(&error));
        error.to_string()
    })?;
    let found = choose_address(probe, host, module.preference).await;
    let (address, _) = found.map_err(|error| error.to_string())?;
    let source = source_address(probe, module)?;
    let prepared = match module.tls {
        false => {
            log!(probe.log, Debug, "Dialing TCP without TLS");
            None
        }
        true => Some(prepare_tls(probe, module).await?),
    };
    let number = port::lookup(port, port::Protocol::Tcp).map_err(|error| format!("dial tcp: {error}"))?;
    let to = address.with_port(number);
    probe.timeline.hop().address = Some(to.to_string());
    let from = Instant::now();
    let dialled = dial::tcp(probe.network, probe.deadline, to, source).await;
    probe.timeline.record(Phase::Connect, from, Instant::now());
    let stream = dialled.map_err(|error| error.to_string())?;
    let Some(prepared) = prepared else {
        return Ok((Box::new(stream), host));
    };
    let name = server_name(probe, module, host);
    let handshake = prepared.handshake(stream, name, Alpn::None, probe.deadline);
    let stream = handshaken(probe, handshake).await?;
    Ok((Box::new(stream), host))
}

/// The source address, if the module has one.
fn source_address(probe: &mut Probe<'_>, module: &Tcp) -> Result<Option<IpAddr>, String> {
    let Some(source) = &module.source_ip_address else {
        return Ok(None);
    };
    let Ok(ip) = source.parse::<IpAddr>() else {
        log!(probe.log, Error, "Error parsing source ip address", "srcIP" => source.to_string());
        return Err(format!("error parsing source ip address: {source}"));
    };
    log!(probe.log, Debug, "Using local address", "srcIP" => text(ip));
    Ok(Some(ip.to_canonical()))
}

async fn prepare_tls(probe: &mut Probe<'_>, module: &Tcp) -> Result<Prepared, String> {
    match module
        .tls_config
        .prepare(&probe.network.roots, probe.deadline)
        .await
    {
        Ok(prepared) => {
            log!(probe.log, Debug, "Dialing TCP with TLS");
            Ok(prepared)
        }
        Err(error) => {
            log!(probe.log, Error, "Error creating TLS configuration", "err" => text(&error));
            Err(error.to_string())
        }
    }
}

/// Waits for the handshake of a connection that begins with TLS, and exposes what it told, also when it failed.
pub(super) async fn handshaken<S>(
    probe: &mut Probe<'_>,
    handshake: impl Future<Output = Result<Session<S>, Box<HandshakeError>>>,
) -> Result<Stream<S>, String> {
    let from = Instant::now();
    let ended = handshake.await;
    probe.timeline.record(Phase::Tls, from, Instant::now());
    let (facts, result) = match ended {
        Ok(session) => (Some(session.facts), Ok(session.stream)),
        Err(failed) => (failed.facts, Err(failed.error.to_string())),
    };
    if let Some(facts) = facts {
        facts.expose(&mut probe.samples, FactSet::Stream);
        probe.tls = Some(facts);
    }
    result
}
