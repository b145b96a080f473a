//! A busy exporter notices late what arrived. What it says of the target is what the target took all the same.

use std::net::SocketAddr;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use blackbox_exporter::net::Network;
use blackbox_exporter::prober::{self, ProbeRequest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

use crate::dns::{address, framed, reply};
use crate::support::peer::{Move, Peer, send};
use crate::support::process::value;
use crate::support::tls_peer::SelfSigned;
use crate::support::{exposition, log, module, spawn};

/// How long a probe's thread does something else whenever the probe waits.
const HELD: Duration = Duration::from_secs(1);
/// How long targets think.
const TAKEN: Duration = Duration::from_millis(100);
/// What a phase takes in which the target thinks, and in which it does not.
const THINKING: Range<f64> = 0.1..1.0;
const PROMPT: Range<f64> = 1e-9..1.0;

/// The exposition of a successful probe that is held up.
async fn held_up(yaml: &str, target: impl ToString) -> String {
    let (module, target) = (module(&format!("timeout: 60s\n{yaml}")), target.to_string());
    let probing = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let network = Network::system();
        let request = ProbeRequest {
            target: &target,
            hostname: None,
            timeout: Duration::from_secs(60),
        };
        let outcome = runtime.unwrap().block_on(async {
            let mut probing = pin!(prober::run(&network, &module, request));
            std::future::poll_fn(|cx| {
                let polled = probing.as_mut().poll(cx);
                if polled.is_pending() {
                    std::thread::sleep(HELD);
                }
                polled
            })
            .await
        });
        assert!(outcome.success, "{:#?}", log(&outcome));
        exposition(&outcome)
    });
    probing.await.unwrap()
}

/// Each phase took as long as it may, although the probe was held up twice.
fn check(exposition: &str, phases: &[(&str, Range<f64>)]) {
    for (series, bounds) in phases {
        let took = value(exposition, series);
        assert!(bounds.contains(&took), "{series} {took}: {exposition}");
    }
    let whole = value(exposition, "probe_duration_seconds");
    assert!(whole > 2.0 * HELD.as_secs_f64(), "{exposition}");
}

/// Answers one request over HTTP/1.1 after a while.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = [0; 4096];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    tokio::time::sleep(TAKEN).await;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await
        .unwrap();
    stream.flush().await.unwrap();
    let _ = stream.read(&mut request).await;
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_http_server() {
    let (listener, address) = listen().await;
    spawn(async move { answer(listener.accept().await.unwrap().0).await });
    let exposition = held_up("prober: http", address).await;
    check(
        &exposition,
        &[
            ("probe_http_duration_seconds{phase=\"connect\"}", PROMPT),
            ("probe_http_duration_seconds{phase=\"processing\"}", THINKING),
            ("probe_http_duration_seconds{phase=\"transfer\"}", PROMPT),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_http_server_behind_tls() {
    let (listener, address) = listen().await;
    let certificate = SelfSigned::local();
    let acceptor = TlsAcceptor::from(Arc::new(certificate.server(&["http/1.1"])));
    spawn(async move {
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await;
        answer(stream.unwrap()).await;
    });
    let yaml = "prober: http\nhttp: {tls_config: {insecure_skip_verify: true}}";
    let exposition = held_up(yaml, format!("https://{address}")).await;
    check(
        &exposition,
        &[
            ("probe_http_duration_seconds{phase=\"connect\"}", PROMPT),
            ("probe_http_duration_seconds{phase=\"tls\"}", PROMPT),
            ("probe_http_duration_seconds{phase=\"processing\"}", THINKING),
            ("probe_http_duration_seconds{phase=\"transfer\"}", PROMPT),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_slow_body() {
    let peer = Peer::play(vec![
        Move::ReadLine,
        send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"),
        Move::Pause(HELD + TAKEN),
        send("k"),
    ]);
    let exposition = held_up("prober: http", peer.await.target()).await;
    let transfer = 1.0..2.0;
    check(
        &exposition,
        &[
            ("probe_http_duration_seconds{phase=\"processing\"}", PROMPT),
            ("probe_http_duration_seconds{phase=\"transfer\"}", transfer),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_name_server() {
    let answer = |query: &[u8]| reply(query, 0, [1, 0, 0], &address(1));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let over_udp = socket.local_addr().unwrap();
    spawn(async move {
        let mut query = [0; 512];
        let (length, from) = socket.recv_from(&mut query).await.unwrap();
        tokio::time::sleep(TAKEN).await;
        socket.send_to(&answer(&query[..length]), from).await.unwrap();
    });
    let (listener, over_tcp) = listen().await;
    spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut query = [0; 512];
        let length = stream.read(&mut query).await.unwrap();
        tokio::time::sleep(TAKEN).await;
        stream
            .write_all(&framed(&answer(&query[2..length])))
            .await
            .unwrap();
        let _ = stream.read(&mut query).await;
    });
    for (transport, server) in [("udp", over_udp), ("tcp", over_tcp)] {
        let yaml = format!(
            "prober: dns\ndns: {{query_name: example.test, query_type: A, transport_protocol: {transport}}}"
        );
        let exposition = held_up(&yaml, server).await;
        let took = |phase| {
            value(
                &exposition,
                &format!("probe_dns_duration_seconds{{phase=\"{phase}\"}}"),
            )
        };
        assert!(PROMPT.contains(&took("connect")), "{exposition}");
        assert!(THINKING.contains(&took("request")), "{exposition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_websocket_server() {
    let (listener, address) = listen().await;
    spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        tokio::time::sleep(TAKEN).await;
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let yaml = "prober: websocket\nwebsocket: {insecure_skip_accept: true}";
    let exposition = held_up(yaml, format!("ws://{address}")).await;
    check(
        &exposition,
        &[
            ("probe_websocket_duration_seconds{phase=\"connect\"}", PROMPT),
            ("probe_websocket_duration_seconds{phase=\"processing\"}", THINKING),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_connects() {
    let (listener, address) = listen().await;
    let yaml = "prober: tcp\ntcp: {count: 3, interval: 10ms}";
    let exposition = held_up(yaml, address).await;
    drop(listener);
    check(&exposition, &[("probe_tcp_duration_rtt_max_seconds", PROMPT)]);
}
