//! Connecting over QUIC: the address, the socket and the handshake in one step.

use std::net::IpAddr;

use tokio::time::Instant;

use super::{ConnectError, ConnectFailure, Spans, Tls, failed, record, vantage};
use crate::net::port::{self, Protocol};
use crate::net::tls::{HandshakeError, Seen, TlsError};
use crate::net::{Address, dial, quic};
use crate::prober::{Phase, Probe};

/// A QUIC connection to the target. What the handshake told is in `tls` of [`Probe::attempt`] afterwards, also when it failed.
///
/// # Errors
/// No such port, the dialling, or the handshake.
pub(in crate::prober) async fn quic(
    probe: &mut Probe<'_>,
    address: &Address,
    port: &str,
    source: Option<IpAddr>,
    tls: &Tls<'_>,
) -> Result<quinn::Connection, Box<ConnectFailure>> {
    let mut spans = Spans::default();
    let vantage = vantage(probe, source);
    let connected = async {
        let port = port::find(port, Protocol::Udp, probe.deadline).await;
        let port = port.map_err(ConnectError::Port)?;
        let to = address.with_port(port);
        spans.peer = Some(to);
        let opened = dial::quic(probe.network, to, &vantage);
        let socket = opened.map_err(|error| ConnectError::Dial(error.of(address, port)))?;
        let from = Instant::now();
        let connecting = quic::connect(tls.prepared, to, tls.name, socket, tls.alpn);
        let connected = probe.deadline.within(connecting).await;
        spans.tls = Some(record(probe, Phase::Tls, from));
        let unfinished = |error, facts| {
            ConnectError::Tls(Box::new(HandshakeError {
                error,
                facts,
                seen: Seen::Nothing,
            }))
        };
        match connected {
            Ok(Ok((connection, facts))) => {
                probe.learn(Some(facts));
                Ok(connection)
            }
            Ok(Err(error)) => {
                probe.learn(error.facts.clone());
                Err(unfinished(error.error, error.facts))
            }
            Err(timed_out) => {
                let progress = quic::UNFINISHED;
                Err(unfinished(TlsError::TimedOut { timed_out, progress }, None))
            }
        }
    };
    let connected = connected.await;
    connected.map_err(|error| failed(probe, true, &vantage, spans, error))
}
