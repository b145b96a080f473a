//! A QUIC connection (RFC 9000) to one address, with the facts of its TLS.

mod socket;

use std::any::Any;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::crypto::{self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session};
use quinn::{ConnectError, ConnectionError, ConnectionId, Side};
use quinn_proto::TransportError;
use quinn_proto::transport_parameters::TransportParameters;

use super::dial::{DialCause, DialError};
use super::tls::facts::{Ending, TlsFacts};
use super::tls::{Alpn, HandshakeError, Prepared, Seen, TlsError};
use super::url::idna_ascii;
use crate::memory::{self, Use};

/// How far a handshake had come that the deadline ended.
pub const UNFINISHED: &str = "no end of the QUIC handshake";

/// Most bytes of a connection that wait to be read, when memory is not limited; twice what quic-go begins with.
const MOST_UNREAD: usize = 1 << 20;

/// What a connection takes besides: its state, and room for what it receives at once.
const CONNECTION: usize = 128 << 10;

/// Most bytes of a connection that wait to be read. Under a limit of memory, about a hundred connections fit into it.
fn window() -> usize {
    memory::most(Use::Probes).map_or(MOST_UNREAD, |bytes| (bytes / 100).clamp(64 << 10, MOST_UNREAD))
}

/// How much memory a connection may take.
pub fn expected_memory() -> usize {
    window() + CONNECTION
}

/// Why there is no connection.
#[derive(Debug)]
pub enum QuicError {
    /// The system's word: nothing listens there, or no way leads there.
    Dial(DialError),
    /// The handshake failed.
    Handshake(Box<HandshakeError>),
}

/// Connects to `to`, which is asked for `name`, over a [socket for it](super::dial::quic).
///
/// # Errors
/// See [`QuicError`].
pub async fn connect(
    prepared: &Prepared,
    to: SocketAddr,
    name: &str,
    socket: UdpSocket,
    alpn: Alpn,
) -> Result<(quinn::Connection, TlsFacts), QuicError> {
    let early = |error| QuicError::Handshake(HandshakeError::unheard(error));
    let plain = |text: String| early(TlsError::Handshake(text));
    let from = socket.local_addr().ok().map(|address| address.ip());
    let from = from.filter(|ip| !ip.is_unspecified());
    let dialled = |call, error| {
        QuicError::Dial(DialError {
            network: "udp",
            address: to.to_string(),
            from,
            cause: DialCause::Io { call, error },
        })
    };
    let name = &*idna_ascii(name);
    let (mut tls, recorder) = prepared.client_config(Some(name), alpn).map_err(early)?;
    let suite = Arc::new(Suite::default());
    tls.key_log = Arc::clone(&suite) as Arc<dyn rustls::KeyLog>;
    let quic = QuicClientConfig::try_from(tls).map_err(|error| plain(error.to_string()))?;
    let runtime = Arc::new(quinn::TokioRuntime);
    let unopened = |error| plain(format!("opening a UDP socket: {error}"));
    let (socket, refused) = socket::Socket::new(socket).map_err(unopened)?;
    let config = quinn::EndpointConfig::default();
    let ours = Arc::clone(&socket);
    let endpoint = quinn::Endpoint::new_with_abstract_socket(config, None, socket, runtime);
    let endpoint = endpoint.map_err(unopened)?;
    let mut config = quinn::ClientConfig::new(Arc::new(Watched {
        config: Arc::new(quic),
        suite: Arc::clone(&suite),
    }));
    config.transport_config(Arc::new(transport()));
    let sni = name.trim_matches(['[', ']']).trim_end_matches('.');
    // What cannot be sent as a name is not sent; the certificate is judged by the real one.
    let connecting = endpoint
        .connect_with(config.clone(), to, sni)
        .or_else(|_| endpoint.connect_with(config, to, &to.ip().to_string()))
        .map_err(|error| plain(error.to_string()))?;
    let connected = tokio::select! {
        biased;
        connected = connecting => connected,
        Ok((call, error)) = refused => return Err(dialled(call, error)),
        never = ours.listen() => match never {},
    };
    let mut facts = TlsFacts {
        version: Some("TLS 1.3"),
        cipher: suite.name(),
        alpn: alpn.protocols().into_iter().next(),
        ..recorder.facts()
    };
    match connected {
        Ok(connection) => Ok((connection, facts)),
        Err(told) => {
            let mut seen = Seen::Nothing;
            let error = recorder.refusal().unwrap_or_else(|| {
                facts.ending = Ending::Broken;
                seen = alert_in(&told).map_or(Seen::Nothing, Seen::Alert);
                TlsError::Handshake(format!("dial udp {to}: quic: {told}"))
            });
            let facts = Some(facts).filter(|facts| !facts.presented.is_empty());
            Err(QuicError::Handshake(Box::new(HandshakeError {
                error,
                facts,
                seen,
            })))
        }
    }
}

/// The alert of TLS by which a peer ended a handshake (RFC 9001, section 4.8).
fn alert_in(error: &ConnectionError) -> Option<u8> {
    let ConnectionError::ConnectionClosed(close) = error else {
        return None;
    };
    let code = u64::from(close.error_code).checked_sub(0x100)?;
    u8::try_from(code).ok()
}

/// What a server may send before it is read. It opens a stream for control, two for QPACK, and some of reserved types.
fn transport() -> quinn::TransportConfig {
    let window = u32::try_from(window()).unwrap_or(u32::MAX);
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(0_u32.into())
        .max_concurrent_uni_streams(16_u32.into())
        .datagram_receive_buffer_size(None)
        .stream_receive_window(window.into())
        .receive_window(window.into());
    transport
}

/// Learns the cipher suite, which neither library names: the length of the traffic secrets tells the hash, and only
/// ChaCha20-Poly1305 may protect any number of packets.
#[derive(Debug, Default)]
struct Suite {
    secret: AtomicUsize,
    most_packets: AtomicU64,
}

impl Suite {
    fn name(&self) -> Option<&'static str> {
        let is_endless = self.most_packets.load(Ordering::Relaxed) == u64::MAX;
        match (self.secret.load(Ordering::Relaxed), is_endless) {
            (48, _) => Some("TLS_AES_256_GCM_SHA384"),
            (32, true) => Some("TLS_CHACHA20_POLY1305_SHA256"),
            (32, false) => Some("TLS_AES_128_GCM_SHA256"),
            _ => None,
        }
    }
}

impl rustls::KeyLog for Suite {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        // The secret of the handshake is as long, and there also when the certificate is refused.
        if label == "CLIENT_HANDSHAKE_TRAFFIC_SECRET" {
            self.secret.store(secret.len(), Ordering::Relaxed);
        }
    }
}

/// A configuration whose sessions tell what their keys can do.
struct Watched {
    config: Arc<QuicClientConfig>,
    suite: Arc<Suite>,
}

impl crypto::ClientConfig for Watched {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let session = Arc::clone(&self.config).start_session(version, server_name, params)?;
        Ok(Box::new(WatchedSession {
            session,
            suite: Arc::clone(&self.suite),
        }))
    }
}

struct WatchedSession {
    session: Box<dyn Session>,
    suite: Arc<Suite>,
}

impl Session for WatchedSession {
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.session.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.session.handshake_data()
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.session.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.session.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.session.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        self.session.read_handshake(buf)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.session.transport_parameters()
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        let keys = self.session.write_handshake(buf)?;
        let most = keys.packet.local.confidentiality_limit();
        self.suite.most_packets.store(most, Ordering::Relaxed);
        Some(keys)
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.session.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.session.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.session.export_keying_material(output, label, context)
    }
}
