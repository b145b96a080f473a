//! One target of each kind, for bench/instructions.py. Each answers in one piece, and when the prober waits for it already, so
//! that a probe reads as often every time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket, UnixListener};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// Longer than the exporter takes to wait for an answer, however slowly it runs within valgrind.
const PAUSE: Duration = Duration::from_millis(10);

const PAGE: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n\r\nhello hello hello\n";

/// Serves until it is killed; `ca.crt` and the socket `unix` are in `folder`. Prints a kind and its target per line, then `ready`.
pub async fn kinds(folder: &Path) {
    let (http, at) = listener().await;
    println!("http http://{at}/");
    tokio::spawn(each(http, |stream| talk(stream, "", |_| PAGE.into())));

    let (https, at) = listener().await;
    println!("https https://localhost:{}/", at.port());
    let acceptor = acceptor(folder);
    tokio::spawn(each(https, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                talk(stream, "", |_| PAGE.into()).await;
            }
        }
    }));

    let (tcp, at) = listener().await;
    println!("tcp {at}");
    tokio::spawn(each(tcp, |stream| talk(stream, "", |_| Vec::new())));

    let (dialogue, at) = listener().await;
    println!("dialogue {at}");
    tokio::spawn(each(dialogue, |stream| talk(stream, GREETING, reply)));

    let (websocket, at) = listener().await;
    println!("websocket ws://{at}/");
    tokio::spawn(each(websocket, |stream| talk(stream, "", upgrade)));

    let path = folder.join("unix");
    let unix = UnixListener::bind(&path).unwrap();
    println!("unix {}", path.display());
    tokio::spawn(async move {
        while let Ok((stream, _)) = unix.accept().await {
            tokio::spawn(talk(stream, GREETING, reply));
        }
    });

    let dns = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    println!("dns {}", dns.local_addr().unwrap());
    tokio::spawn(names(dns));

    let (grpc, at) = listener().await;
    println!("grpc {at}");
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("", tonic_health::ServingStatus::Serving)
        .await;
    println!("ready");
    tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming(tonic::transport::server::TcpIncoming::from(grpc))
        .await
        .unwrap();
}

const GREETING: &str = "220 mail.example ESMTP ready\r\n";

/// What a mail server says.
fn reply(request: &str) -> Vec<u8> {
    match request {
        _ if request.starts_with("EHLO") => "250-mail.example\r\n250 STARTTLS\r\n".into(),
        _ => "221 bye\r\n".into(),
    }
}

/// The upgrade, and a text message behind it.
fn upgrade(request: &str) -> Vec<u8> {
    let Some(key) = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
    else {
        return Vec::new();
    };
    let accept = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, accept.as_bytes()));
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade";
    let mut answer = format!("{head}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").into_bytes();
    // The last frame of a text of five bytes.
    answer.extend(b"\x81\x05ready");
    answer
}

async fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn each<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    serve: impl Fn(tokio::net::TcpStream) -> F,
) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        tokio::spawn(serve(stream));
    }
}

/// Sends `greeting`, then what `answer` has for each request, until the other side leaves.
async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    greeting: &str,
    answer: impl Fn(&str) -> Vec<u8>,
) {
    let mut buffer = vec![0; 16 * 1024];
    if !greeting.is_empty() {
        sleep(PAUSE).await;
    }
    if stream.write_all(greeting.as_bytes()).await.is_err() {
        return;
    }
    // The requests are short: each comes in one piece.
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let answer = answer(&String::from_utf8_lossy(&buffer[..length]));
        sleep(PAUSE).await;
        if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("ca.crt"), made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    // Each probe is a full handshake; a ticket would be one message more to read, or not.
    config.send_tls13_tickets = 0;
    TlsAcceptor::from(Arc::new(config))
}

/// One A record for whatever is asked.
async fn names(socket: UdpSocket) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        // The identifier; response, recursion desired and available; one question and one answer.
        let mut response = buffer[..2].to_vec();
        response.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        // The question ends four bytes behind the empty label of its name.
        let end = (12..length).find(|&at| buffer[at] == 0).unwrap() + 5;
        response.extend(&buffer[12..end]);
        // Its name again, A, IN, 300 seconds, four bytes.
        response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1]);
        sleep(PAUSE).await;
        socket.send_to(&response, from).await.unwrap();
    }
}
