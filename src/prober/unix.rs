//! The unix prober: connect to a socket of this machine, with TLS if asked, and hold the dialogue.

use super::connect::{Route, Tls, To, connect, prepare};
use super::resolve::judge_names;
use super::tcp::NoConnection;
use super::{Probe, Verdict};
use crate::carried;
use crate::log;
use crate::module::Unix;
use crate::net::AnyStream;
use crate::prober::query_response::{self, Upgrade};

/// Probes the target as the module says.
///
/// # Errors
/// [`Failed`](super::Failed) after the reason was logged.
pub async fn probe(probe: &mut Probe<'_>, module: &Unix) -> Verdict {
    probe.timeline.begin_hop(probe.target);
    judge_names(probe, None)?;
    let connection = match dial(probe, module).await {
        Ok(connection) => connection,
        Err((reason, error)) => {
            probe.timeline.hop().result = Some(error.clone());
            log!(probe.log, Error, "Error dialing unix", "err" => error);
            return Err(probe.fail(reason));
        }
    };
    log!(probe.log, Debug, "Successfully dialed");
    let upgrade = Upgrade {
        config: &module.tls_config,
        server_name: module.tls_config.server_name().unwrap_or(""),
    };
    query_response::run(probe, connection, module.tls, &module.steps, upgrade).await
}

async fn dial(probe: &mut Probe<'_>, module: &Unix) -> Result<Box<dyn AnyStream>, NoConnection> {
    let prepared = match module.tls {
        false => {
            log!(probe.log, Debug, "Dialing unix without TLS");
            None
        }
        true => {
            let prepared = prepare(probe, &module.tls_config, "Error creating TLS configuration").await;
            // compat: upstream loses the error here, and crashes on the connection that it does not have.
            let prepared = prepared.map_err(|error| (error.reason(), error.to_string()))?;
            log!(probe.log, Debug, "Dialing unix with TLS");
            Some(prepared)
        }
    };
    // As in Go, where the name is taken from the address: what stands before its last colon.
    let from_path = probe
        .target
        .rsplit_once(':')
        .map_or(probe.target, |(path, _)| path);
    let name = module.tls_config.server_name().unwrap_or(from_path);
    let path = carried::bytes(probe.target);
    let tls = prepared.as_ref().map(|prepared| Tls::named(prepared, name));
    let connected = connect(probe, Route::direct(To::Unix(&path), tls)).await;
    query_response::expose_tls(probe);
    match connected {
        Ok(connected) => Ok(Box::new(connected.stream)),
        Err(failure) => {
            let mut words = failure.to_string();
            if failure.error.is_permission_denied() {
                words = format!(
                    "permission denied connecting to unix socket {}: {words}",
                    probe.target
                );
            }
            Err((failure.error.reason(), words))
        }
    }
}
