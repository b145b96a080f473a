//! The unix prober: connect to a socket of this machine, with TLS if asked, and hold the dialogue.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tokio::net::UnixStream;
use tokio::time::Instant;

use super::tcp::handshaken;
use super::{Failed, Phase, Probe, Verdict};
use crate::carried;
use crate::log;
use crate::module::Unix;
use crate::net::dial::{DialCause, DialError};
use crate::net::tls::Alpn;
use crate::probe_log::text;
use crate::prober::query_response::{self, Connection, Upgrade};

/// Probes the target as the module says.
///
/// # Errors
/// [`Failed`] after the reason was logged.
pub async fn probe(probe: &mut Probe<'_>, module: &Unix) -> Verdict {
    probe.timeline.begin_hop(probe.target);
    let connection = match dial(probe, module).await {
        Ok(connection) => connection,
        Err(error) => {
            probe.timeline.hop().result = Some(error.clone());
            log!(probe.log, Error, "Error dialing unix", "err" => error);
            return Err(Failed);
        }
    };
    log!(probe.log, Debug, "Successfully dialed");
    let upgrade = Upgrade {
        config: &module.tls_config,
        server_name: module.tls_config.server_name().unwrap_or(""),
    };
    query_response::run(probe, connection, module.tls, &module.steps, upgrade).await
}

async fn dial(probe: &mut Probe<'_>, module: &Unix) -> Result<Box<dyn Connection>, String> {
    let prepared = match module.tls {
        false => {
            log!(probe.log, Debug, "Dialing unix without TLS");
            None
        }
        true => match module
            .tls_config
            .prepare(&probe.network.roots, probe.deadline)
            .await
        {
            Ok(prepared) => {
                log!(probe.log, Debug, "Dialing unix with TLS");
                Some(prepared)
            }
            Err(error) => {
                // compat: upstream loses the error here, and crashes on the connection that it does not have.
                log!(probe.log, Error, "Error creating TLS configuration", "err" => text(&error));
                return Err(error.to_string());
            }
        },
    };
    let from = Instant::now();
    let path = carried::bytes(probe.target);
    if let Err(refusal) = probe
        .network
        .policy
        .check_unix(Path::new(OsStr::from_bytes(&path)))
    {
        return Err(format!("dial unix {}: {refusal}", probe.target));
    }
    let connected = probe.deadline.within(connect(&path)).await;
    probe.timeline.record(Phase::Connect, from, Instant::now());
    let fail = |cause| DialError {
        network: "unix",
        address: probe.target.to_owned(),
        cause,
    };
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            probe.network.shortages.note("connect", &error);
            let denied = error.kind() == io::ErrorKind::PermissionDenied;
            let error = fail(DialCause::Io {
                call: "connect",
                error,
            });
            return Err(if denied {
                format!(
                    "permission denied connecting to unix socket {}: {error}",
                    probe.target
                )
            } else {
                error.to_string()
            });
        }
        Err(timed_out) => return Err(fail(DialCause::TimedOut(timed_out)).to_string()),
    };
    let Some(prepared) = prepared else {
        return Ok(Box::new(stream));
    };
    // As in Go, where the name is taken from the address: what stands before its last colon.
    let from_path = probe
        .target
        .rsplit_once(':')
        .map_or(probe.target, |(path, _)| path);
    let name = module.tls_config.server_name().unwrap_or(from_path);
    let handshake = prepared.handshake(stream, name, Alpn::None, probe.deadline);
    Ok(Box::new(handshaken(probe, handshake).await?))
}

/// Connects to a path, or to an abstract name when it begins with `@`.
async fn connect(target: &[u8]) -> io::Result<UnixStream> {
    match target.strip_prefix(b"@") {
        Some(name) => UnixStream::connect(OsStr::from_bytes(&[b"\0", name].concat())).await,
        None => UnixStream::connect(OsStr::from_bytes(target)).await,
    }
}
