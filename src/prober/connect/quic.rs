//! Connecting over QUIC: the address, the socket and the handshake in one step.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use tokio::time::Instant;

use super::{ConnectError, ConnectFailure, Spans, Tls, failed, record, vantage};
use crate::net::port::{self, Protocol};
use crate::net::quic::{self, QuicError};
use crate::net::tls::{HandshakeError, TlsError};
use crate::net::{Address, dial};
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
        let port = port::find(port, Protocol::Udp, probe.deadline).await?;
        let to = address.with_port(port);
        spans.peer = Some(to);
        let opened = dial::quic(probe.network, to, &vantage);
        let socket = opened.map_err(|error| error.of(address, port))?;
        let (connection, span) = shake(probe, address, to, socket, tls).await;
        spans.tls = Some(span);
        connection
    };
    let connected = connected.await;
    connected.map_err(|error| failed(probe, true, &vantage, spans, error))
}

/// Shakes hands with `to`, which is that `address`, over a socket; also says from when to when.
pub(in crate::prober) async fn shake(
    probe: &mut Probe<'_>,
    address: &Address,
    to: SocketAddr,
    socket: UdpSocket,
    tls: &Tls<'_>,
) -> (Result<quinn::Connection, ConnectError>, (Instant, Instant)) {
    let from = Instant::now();
    let connecting = quic::connect(tls.prepared, to, tls.name, socket, tls.alpn);
    let connected = probe.deadline.within(connecting).await;
    let span = record(probe, Phase::Tls, from);
    let connection = match connected {
        Ok(Ok((connection, facts))) => {
            probe.learn(Some(facts));
            Ok(connection)
        }
        Ok(Err(QuicError::Dial(error))) => Err(ConnectError::Dial(error.of(address, to.port()))),
        Ok(Err(QuicError::Handshake(failed))) => {
            probe.learn(failed.facts.clone());
            Err(ConnectError::Tls(failed))
        }
        Err(timed_out) => {
            let progress = quic::UNFINISHED;
            let error = TlsError::TimedOut { timed_out, progress };
            Err(ConnectError::Tls(HandshakeError::unheard(error)))
        }
    };
    (connection, span)
}
