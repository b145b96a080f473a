//! The tcp prober: connect, with TLS if asked, and hold the dialogue.

mod many;
mod socks;
mod starttls;

use super::connect::{Route, Stream, Tls, To, connect, prepare};
use super::resolve::judge_names;
use super::{Probe, Verdict, choose_address};
use crate::log;
use crate::module::Tcp;
use crate::net::split_host_port;
use crate::probe_log::text;
use crate::prober::query_response::{self, Upgrade};
use crate::reason::Reason;

/// Probes the target as the module says.
///
/// # Errors
/// [`Failed`](super::Failed) after the reason was logged.
pub async fn probe(probe: &mut Probe<'_>, module: &Tcp) -> Verdict {
    // Of several addresses, the hop of each has begun.
    if probe.attempt.fixed.is_none() {
        probe.timeline.begin_hop(probe.target);
    }
    judge_names(probe, probe.hostname.filter(|_| module.speaks_tls()))?;
    let target = probe.target;
    // Boxed: what connecting needs is gone while the peer is waited for.
    let (stream, host) = match Box::pin(dial(probe, module, target)).await {
        Ok(dialled) => dialled,
        Err((reason, error)) => {
            probe.timeline.hop().result = Some(error.clone());
            log!(probe.log, Error, "Error dialing TCP", "err" => error);
            return Err(probe.fail(reason));
        }
    };
    log!(probe.log, Debug, "Successfully dialed");
    let upgrade = Upgrade {
        config: &module.tls_config,
        server_name: server_name(probe, module, host),
    };
    match module.starttls {
        Some(protocol) => Box::pin(starttls::run(probe, stream, protocol, &module.steps, upgrade)).await,
        None => query_response::run(probe, Box::new(stream), module.tls, &module.steps, upgrade).await,
    }
}

/// The name of the server for TLS: what the module says, else what the request says, else the target's host.
fn server_name<'a>(probe: &Probe<'a>, module: &'a Tcp, host: &'a str) -> &'a str {
    let hostname = probe.hostname.filter(|name| !name.is_empty());
    module.tls_config.server_name().or(hostname).unwrap_or(host)
}

/// Why there is no connection: the reason, and what failed, at which address and why.
pub(super) type NoConnection = (Reason, String);

/// Connects, and returns the target's host too.
async fn dial<'t>(
    probe: &mut Probe<'_>,
    module: &Tcp,
    target: &'t str,
) -> Result<(Stream, &'t str), NoConnection> {
    let (host, port) = split_host_port(target).map_err(|error| {
        log!(probe.log, Error, "Error splitting target address and port", "err" => text(&error));
        (Reason::ConfigError, error.to_string())
    })?;
    let proxy = module.proxy.as_ref();
    let is_far = probe.module.ip_address.is_none() && proxy.is_some_and(|proxy| socks::resolves(proxy, host));
    let addresses = if is_far {
        log!(probe.log, Debug, "The proxy resolves the target address", "target" => host.to_owned());
        Vec::new()
    } else {
        let found = choose_address(probe, host, module.preference).await;
        found
            .map_err(|error| (error.reason(), error.to_string()))?
            .dialled(probe)
    };
    let source = probe.source(&module.source, "Using local address");
    let source = source.map_err(|given| {
        let reason = format!("error parsing source ip address: {given}");
        (Reason::ConfigError, reason)
    })?;
    let prepared = match module.tls {
        false => {
            log!(probe.log, Debug, "Dialing TCP without TLS");
            None
        }
        true => {
            let prepared = prepare(probe, &module.tls_config, "Error creating TLS configuration").await;
            let prepared = prepared.map_err(|error| (error.reason(), error.to_string()))?;
            log!(probe.log, Debug, "Dialing TCP with TLS");
            Some(prepared)
        }
    };
    let name = server_name(probe, module, host);
    let asked = proxy.map(|proxy| (proxy, socks::asked(&addresses, host)));
    let (to, via) = match &asked {
        None => (
            To::Addresses {
                addresses: &addresses,
                port,
            },
            None,
        ),
        Some((proxy, asked)) => (
            socks::to(proxy, module.preference),
            Some(socks::via(proxy, asked, port, !is_far)),
        ),
    };
    let route = Route {
        source,
        via,
        resets: module.resets,
        ..Route::direct(to, prepared.as_ref().map(|prepared| Tls::named(prepared, name)))
    };
    let before = match (module.count, addresses.as_slice()) {
        (1, _) | (_, []) => None,
        (_, several) => Some(many::connect_before(probe, module, several, port, source).await),
    };
    let connected = connect(probe, route).await;
    if let Some(before) = before {
        before.expose(probe, &connected);
    }
    query_response::expose_tls(probe);
    let connected = connected.map_err(|failure| (failure.error.reason(), failure.to_string()))?;
    Ok((connected.stream, host))
}
