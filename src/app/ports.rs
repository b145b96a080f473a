//! The ports that the exporter listens on.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::cli::Flags;
use crate::logging::Logger;
use crate::probe_log::text;
use crate::say;
use crate::server::connections::listen::{self, Listener};
use crate::server::web::{Gate, Http2};

/// Open ports.
pub struct Ports {
    /// What accepts connections.
    pub listeners: Vec<Listener>,
    /// Their addresses.
    pub addresses: Vec<SocketAddr>,
    /// What the web configuration file wants, if there is one.
    pub gate: Option<Arc<Gate>>,
}

/// Opens the ports, reads the web configuration file, and says where the exporter listens and how.
///
/// # Errors
/// A port that cannot be opened, or a web configuration file that cannot be used.
pub async fn open(flags: &Flags, logger: &Logger) -> Result<Ports, String> {
    let listeners = listeners(flags, logger)
        .await
        .map_err(|error| error.to_string())?;
    let (mut addresses, mut places) = (Vec::new(), Vec::new());
    for listener in &listeners {
        addresses.extend(listener.address().map_err(|error| error.to_string())?);
        places.push(listener.place().map_err(|error| error.to_string())?);
    }
    for place in &places {
        say!(logger, Info, "Listening on", "address" => text(place));
    }
    let gate = if flags.web_config_file.is_empty() {
        None
    } else {
        let (path, log, open) = (flags.web_config_file.clone(), logger.clone(), flags.open_healthy);
        let opened = tokio::task::spawn_blocking(move || Gate::open(Path::new(&path), open, &log));
        let gate = opened.await.map_err(|error| error.to_string())?;
        Some(Arc::new(gate.map_err(|error| error.to_string())?))
    };
    for place in &places {
        match gate.as_ref().and_then(|gate| gate.tls()) {
            Some(http2) => {
                let http2 = http2 == Http2::Offered;
                say!(logger, Info, "TLS is enabled.", "http2" => http2, "address" => text(place));
            }
            None => say!(logger, Info, "TLS is disabled.", "http2" => false, "address" => text(place)),
        }
    }
    Ok(Ports {
        listeners,
        addresses,
        gate,
    })
}

async fn listeners(flags: &Flags, logger: &Logger) -> Result<Vec<Listener>, listen::ListenError> {
    if flags.systemd_socket {
        say!(
            logger,
            Info,
            "Listening on systemd activated listeners instead of port listeners."
        );
        return listen::systemd();
    }
    let mut listeners = Vec::with_capacity(flags.listen_addresses.len());
    for address in &flags.listen_addresses {
        listeners.push(Listener::Tcp(listen::tcp(address).await?));
    }
    Ok(listeners)
}
