//! HTTP/3 (RFC 9114): one request over one QUIC connection.
//!
//! compat: upstream's HTTP/3 client leaves the module's credentials and `http_headers` out; here they are sent.

mod quic;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3::error::StreamError;
use http::StatusCode;
use quinn::crypto::rustls::QuicClientConfig;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::quic::{Held, TooMuch};
use super::Client;
use super::error::RoundTripError;
use super::request::Request;
use super::response::{Response, ResponseBody};
use super::trace::Trace;
use crate::net::buffer::poll_read_buffered;
use crate::net::headers::Headers;
use crate::net::http1::{Head, RequestBody};
use crate::net::tls::{Alpn, Prepared, TlsError};
use crate::net::tls_facts::{Ending, TlsFacts};
use crate::net::url::{punycode_host_port, valid_host_header};
use crate::prober::{Phase, Probe};

/// Most bytes of an answer's fields, each counted with 32 more (RFC 9114, 4.2.2), as its peer is told.
///
/// compat: upstream's limit is 10 MiB. The map that the library fills has no room for more than 24,576 fields and panics.
const MAX_FIELDS: u64 = 512 << 10;

/// Most bytes of a connection that wait to be read. A stream's share is quinn's own, about half of it.
const MOST_UNREAD: u32 = 2 << 20;

/// How many answers may precede the final one, as in quic-go.
const MOST_INTERIM: usize = 5;

/// How much of a file is sent at once.
const PIECE: usize = 32 << 10;

/// A QUIC connection that is ready for a request.
struct Connected {
    endpoint: quinn::Endpoint,
    connection: quinn::Connection,
    facts: TlsFacts,
}

/// What a body needs to stay alive.
struct Hold {
    _endpoint: quinn::Endpoint,
    connection: quinn::Connection,
    _sender: SendRequest<quic::OpenStreams, Bytes>,
    driver: JoinHandle<()>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // H3_NO_ERROR.
        self.connection.close(0x100_u32.into(), b"");
        self.driver.abort();
    }
}

impl Client<'_> {
    /// Sends a request over HTTP/3 and reads the head of its answer.
    pub(super) async fn over_http3(
        &mut self,
        probe: &mut Probe<'_>,
        request: &Request,
        headers: &Headers,
        body: RequestBody,
        name: &str,
    ) -> Result<Response, RoundTripError> {
        if request.url.scheme != "https" {
            return Err(RoundTripError::Request(format!(
                "http3: unsupported protocol scheme: {}",
                request.url.scheme
            )));
        }
        let to = self.quic_address(probe, request).await?;
        probe.timeline.hop().address = Some(to.to_string());
        let prepared = self.prepared_tls(probe).await?;
        let from = Instant::now();
        let trace = self.trace();
        // There is no connection apart from its encryption.
        trace.start.get_or_insert(from);
        trace.dns_done.get_or_insert(from);
        trace.connect_done = Some(from);
        trace.tls_start = Some(from);
        let connected = probe.deadline.within(connect(&prepared, to, name)).await;
        let done = Instant::now();
        self.trace().tls_done = Some(done);
        probe.timeline.record(Phase::Tls, from, done);
        let connected = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err((error, facts))) => {
                self.failed_tls = facts.clone();
                probe.tls = facts;
                return Err(error);
            }
            Err(timed_out) => {
                let step = format!("waiting for the QUIC handshake with {to}");
                return Err(RoundTripError::TimedOut { step, timed_out });
            }
        };
        probe.tls = Some(connected.facts.clone());
        self.trace().got_conn = Some(Instant::now());
        let waited = probe
            .deadline
            .within(exchange(connected, request, headers, body, self.trace()))
            .await;
        let answered = self.trace().response_start;
        probe
            .timeline
            .record(Phase::Processing, done, answered.unwrap_or_else(Instant::now));
        waited.unwrap_or_else(|timed_out| {
            Err(RoundTripError::TimedOut {
                step: "waiting for the answer".to_owned(),
                timed_out,
            })
        })
    }
}

async fn connect(
    prepared: &Prepared,
    to: SocketAddr,
    name: &str,
) -> Result<Connected, (RoundTripError, Option<TlsFacts>)> {
    let plain = |text: String| (RoundTripError::Http3(text), None);
    let (mut tls, recorder) = prepared
        .client_config(Some(name), Alpn::Http3)
        .map_err(|error| (RoundTripError::Tls(error), None))?;
    let secret = Arc::new(SecretLength::default());
    tls.key_log = Arc::clone(&secret) as Arc<dyn rustls::KeyLog>;
    let quic = QuicClientConfig::try_from(tls).map_err(|_| {
        plain("tls_config: HTTP/3 requires TLS 1.3, which max_version does not allow".to_owned())
    })?;
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let endpoint = quinn::Endpoint::client(SocketAddr::new(any, 0))
        .map_err(|error| plain(format!("opening a UDP socket: {error}")))?;
    let mut config = quinn::ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::new(transport()));
    let sni = name.trim_matches(['[', ']']).trim_end_matches('.');
    // What cannot be sent as a name is not sent; the certificate is judged by the real one.
    let connecting = endpoint
        .connect_with(config.clone(), to, sni)
        .or_else(|_| endpoint.connect_with(config, to, &to.ip().to_string()))
        .map_err(|error| plain(error.to_string()))?;
    let mut facts = TlsFacts {
        version: Some("TLS 1.3"),
        alpn: Some(b"h3".to_vec()),
        ..TlsFacts::default()
    };
    let connected = connecting.await;
    let learnt = recorder.facts();
    facts.presented = learnt.presented;
    facts.chains = learnt.chains;
    facts.ending = learnt.ending;
    facts.cipher = secret.cipher();
    match connected {
        Ok(connection) => Ok(Connected {
            endpoint,
            connection,
            facts,
        }),
        Err(error) => {
            let error = match recorder.refusal() {
                Some(refusal) => RoundTripError::Tls(refusal),
                None => {
                    facts.ending = Ending::Broken;
                    RoundTripError::Tls(TlsError::Handshake(format!("dial udp {to}: quic: {error}")))
                }
            };
            Err((error, Some(facts).filter(|facts| !facts.presented.is_empty())))
        }
    }
}

/// What a server may send before it is read. It opens a stream for control, two for QPACK, and some of reserved types.
fn transport() -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(0_u32.into())
        .max_concurrent_uni_streams(16_u32.into())
        .receive_window(MOST_UNREAD.into());
    transport
}

/// Learns the length of the traffic secrets, which tells the hash of the cipher suite.
///
/// compat: with it ChaCha20-Poly1305 cannot be told from AES-128; neither library says which it is.
#[derive(Debug, Default)]
struct SecretLength(AtomicUsize);

impl SecretLength {
    fn cipher(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Relaxed) {
            48 => Some("TLS_AES_256_GCM_SHA384"),
            32 => Some("TLS_AES_128_GCM_SHA256"),
            _ => None,
        }
    }
}

impl rustls::KeyLog for SecretLength {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == "CLIENT_TRAFFIC_SECRET_0" {
            self.0.store(secret.len(), Ordering::Relaxed);
        }
    }
}

async fn exchange(
    connected: Connected,
    request: &Request,
    headers: &Headers,
    body: RequestBody,
    trace: &mut Trace,
) -> Result<Response, RoundTripError> {
    let head = request_head(request, headers, &body)?;
    let Connected {
        endpoint,
        connection,
        facts,
    } = connected;
    let held = Arc::new(Held::default());
    let quic = quic::Connection::new(connection.clone(), Arc::clone(&held));
    let (mut driver, mut sender) = h3::client::builder()
        .max_field_section_size(MAX_FIELDS)
        .build(quic)
        .await
        .map_err(|error| RoundTripError::Http3(error.to_string()))?;
    let driver = tokio::spawn(async move {
        std::future::poll_fn(|cx| driver.poll_close(cx)).await;
    });
    let mut stream = sender.send_request(head).await.map_err(failed)?;
    let hold = Hold {
        _endpoint: endpoint,
        connection,
        _sender: sender,
        driver,
    };
    send_body(&mut stream, body).await?;
    let answer = final_answer(&mut stream, &mut trace.response_start).await?;
    let mut head = Head {
        protocol: "HTTP/3.0".to_owned(),
        version: (3, 0),
        status: answer.status().as_u16(),
        ..Head::default()
    };
    for (name, value) in answer.headers() {
        head.headers.add_bytes(name.as_str().as_bytes(), value.as_bytes());
    }
    let told = head.headers.value("Content-Length");
    let told = told.and_then(|value| std::str::from_utf8(value).ok()?.parse::<u64>().ok());
    let no_body = request.method == "HEAD" || matches!(head.status, 204 | 304);
    let body = if no_body {
        ResponseBody::Empty
    } else {
        ResponseBody::Stream(Box::new(Body {
            stream,
            piece: Bytes::new(),
            left: told,
            held,
            _hold: hold,
        }))
    };
    let told = told.and_then(|told| i64::try_from(told).ok()).unwrap_or(-1);
    let mut response = Response::new(head, told, body);
    response.tls = Some(facts);
    Ok(response)
}

fn failed(error: StreamError) -> RoundTripError {
    RoundTripError::Http3(match error {
        StreamError::HeaderTooBig { .. } => {
            format!("server response headers exceeded {MAX_FIELDS} bytes, 32 more counted for each")
        }
        StreamError::Undefined { 0: error, .. } if error.is::<TooMuch>() => {
            format!("reading the answer: {error}")
        }
        error => error.to_string(),
    })
}

type Stream = RequestStream<<quic::OpenStreams as h3::quic::OpenStreams<Bytes>>::BidiStream, Bytes>;

/// Reads the head of the answer, 1xx ones passed over. The moment of the first head is stored.
async fn final_answer(
    stream: &mut Stream,
    first_head: &mut Option<Instant>,
) -> Result<http::Response<()>, RoundTripError> {
    for interim in 0..=MOST_INTERIM {
        let answer = stream.recv_response().await.map_err(failed)?;
        if interim == 0 {
            *first_head = Some(Instant::now());
        }
        if !answer.status().is_informational() || answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
    }
    Err(RoundTripError::Http3(
        "too many 1xx informational responses".to_owned(),
    ))
}

async fn send_body(stream: &mut Stream, body: RequestBody) -> Result<(), RoundTripError> {
    match body {
        RequestBody::Empty => {}
        RequestBody::Bytes(bytes) => stream.send_data(bytes).await.map_err(failed)?,
        RequestBody::File { first, mut file } => {
            if !first.is_empty() {
                stream.send_data(first).await.map_err(failed)?;
            }
            let mut piece = vec![0; PIECE];
            loop {
                let bytes = file.read(&mut piece).await;
                let bytes = bytes.map_err(|error| {
                    RoundTripError::Request(format!("reading the request's body: {error}"))
                })?;
                if bytes == 0 {
                    break;
                }
                let data = Bytes::copy_from_slice(piece.get(..bytes).unwrap_or_default());
                stream.send_data(data).await.map_err(failed)?;
            }
        }
    }
    stream.finish().await.map_err(failed)
}

fn request_head(
    request: &Request,
    headers: &Headers,
    body: &RequestBody,
) -> Result<http::Request<()>, RoundTripError> {
    let unsendable =
        |error: &dyn std::fmt::Display| RoundTripError::Request(format!("http3: cannot be sent: {error}"));
    let host = punycode_host_port(request.host()).map_err(RoundTripError::Host)?;
    if !valid_host_header(&host) {
        return Err(RoundTripError::Request("http3: invalid Host header".to_owned()));
    }
    let path = request.url.request_uri();
    let uri = http::Uri::builder()
        .scheme("https")
        .authority(host.as_ref())
        .path_and_query(path)
        .build()
        .map_err(|e| unsendable(&e))?;
    let mut head = http::Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in headers.sorted() {
        let is_connections = matches!(
            name,
            b"Host"
                | b"Content-Length"
                | b"Connection"
                | b"Proxy-Connection"
                | b"Transfer-Encoding"
                | b"Upgrade"
                | b"Keep-Alive"
        );
        let is_no_agent = name == b"User-Agent" && value.is_empty();
        if !is_connections && !is_no_agent {
            head = head.header(name, value);
        }
    }
    match body {
        RequestBody::Bytes(bytes) => head = head.header("content-length", bytes.len()),
        RequestBody::Empty if matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") => {
            head = head.header("content-length", 0);
        }
        _ => {}
    }
    head.body(()).map_err(|e| unsendable(&e))
}

/// A body that is read as it comes.
struct Body {
    stream: Stream,
    piece: Bytes,
    /// Bytes that must still come, when a length was told.
    left: Option<u64>,
    /// What is held besides it.
    held: Arc<Held>,
    _hold: Hold,
}

impl AsyncBufRead for Body {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.piece.is_empty() {
            match ready!(this.stream.poll_recv_data(cx)).map_err(|error| io::Error::other(failed(error)))? {
                Some(mut data) => {
                    this.piece = data.copy_to_bytes(data.remaining());
                    this.held.taken();
                }
                None if this.left.is_some_and(|left| left > 0) => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                None => return Poll::Ready(Ok(&[])),
            }
            if let Some(left) = &mut this.left {
                let bytes = this.piece.len() as u64;
                *left = left.checked_sub(bytes).ok_or_else(|| {
                    io::Error::other("http3: server replied with more than declared Content-Length")
                })?;
            }
        }
        Poll::Ready(Ok(&this.piece))
    }

    fn consume(self: Pin<&mut Self>, bytes: usize) {
        let this = self.get_mut();
        this.piece.advance(bytes.min(this.piece.len()));
    }
}

impl AsyncRead for Body {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        poll_read_buffered(self, cx, into)
    }
}
