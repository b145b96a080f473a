//! Hostile peers of every prober that talks over a stream or with datagrams: each probe ends by its deadline, says why it
//! failed, and all of them together stay below a bound of memory. (ICMP has no peer that a test could script: `icmp.rs`.)

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blackbox_exporter::net::Network;
use blackbox_exporter::prober::{self, ProbeRequest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::http::http3;
use crate::http::site::read_request;
use crate::support::peer::{self, Move, perform, send};
use crate::support::pki;
use crate::support::process::memory_of;
use crate::support::tls_peer::SelfSigned;
use crate::support::{BUSY, log, module, probe, spawn};

/// The timeout of each probe.
const TIMEOUT: Duration = Duration::from_secs(4);
/// How much later a probe may end on a busy machine.
const GRACE: Duration = Duration::from_secs(4);
/// Most memory that the whole table takes at its worst moment, the peers and the test program itself included.
const MEMORY: u64 = 256 << 20;
/// What tells the process that it is the one to be measured.
const MEASURED: &str = "HOSTILE_PEERS_ARE_MEASURED";

/// A peer that does to everyone who connects.
enum Peer {
    /// These moves.
    Tcp(Vec<Move>),
    /// These moves, on a unix socket.
    Unix(Vec<Move>),
    /// These moves after the upgrade to a websocket.
    Websocket(Vec<Move>),
    /// Answers each datagram with these, forever.
    Udp(Vec<u8>),
    /// Answers requests over HTTP/3 with these bytes, and with more zeros than are read.
    Http3(Vec<u8>),
}

/// Sends a text a byte at a time, so slowly that no probe sees its end.
fn slowly(text: &str) -> Vec<Move> {
    let bytes = text.bytes().cycle().take(100);
    bytes
        .flat_map(|byte| [send([byte]), Move::Pause(Duration::from_millis(50))])
        .collect()
}

fn endless(head: &str, piece: impl AsRef<[u8]>) -> Vec<Move> {
    let piece = piece.as_ref();
    vec![send(head), Move::Forever(piece.repeat(1 + 65_536 / piece.len()))]
}

fn chunked(piece: &str) -> Vec<Move> {
    endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", piece)
}

/// Letters that come without a pattern, and are the same each time.
fn coins(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut toss = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 31 == 0 { b'a' } else { b'b' }
    };
    (0..count).map(|_| toss()).collect()
}

/// 200 MB of zeros in 200 kB; the checksum at the end is wrong.
fn bomb() -> Vec<Move> {
    use std::io::Write as _;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![0; 1_000_000]).unwrap();
    encoder.flush().unwrap();
    let mut body = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    body.extend(encoder.get_ref().repeat(200));
    body.extend(b"\x03\0\0\0\0\0\0\0\0\0");
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n";
    vec![Move::ReadLine, send(head), send(body), Move::Pause(TIMEOUT)]
}

/// A frame of HTTP/2.
fn h2(kind: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, 0, 0, 0, 0, stream]);
    frame.extend(payload);
    frame
}

/// HTTP/2's SETTINGS, then a beginning, then the same frame forever.
fn endless_h2(beginning: Vec<u8>, frame: Vec<u8>) -> Vec<Move> {
    let begun = [h2(4, 0, &[]), beginning].concat();
    vec![send(begun), Move::Forever(frame.repeat(1 + 65_536 / frame.len()))]
}

/// Performs the moves, and reads whatever comes meanwhile.
async fn play(mut stream: impl AsyncRead + AsyncWrite + Unpin, moves: Vec<Move>) {
    for one in moves {
        if !perform(&mut stream, one, &mut Vec::new()).await {
            return;
        }
    }
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// Answers an upgrade.
async fn upgrade(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let request = read_request(stream).await.unwrap();
    let key = request.header("Sec-WebSocket-Key");
    let accept = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.unwrap());
    let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, accept.as_bytes()));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

impl Peer {
    /// Starts it; returns its address.
    async fn start(self, folder: &std::path::Path, name: &str) -> String {
        match self {
            Self::Unix(moves) => {
                let path = folder.join(name);
                let listener = UnixListener::bind(&path).unwrap();
                spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        spawn(play(stream, moves.clone()));
                    }
                });
                path.display().to_string()
            }
            Self::Udp(answer) => {
                let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                let address = socket.local_addr().unwrap();
                spawn(async move {
                    let (_, from) = socket.recv_from(&mut [0; 512]).await.unwrap();
                    while !answer.is_empty() && socket.send_to(&answer, from).await.is_ok() {
                        tokio::task::yield_now().await;
                    }
                });
                address.to_string()
            }
            Self::Http3(answer) => {
                let answer = [answer, vec![0; 2 << 20]].concat();
                http3::play(folder, answer, Vec::new()).to_string()
            }
            Self::Tcp(moves) => listen(moves, false).await.to_string(),
            Self::Websocket(moves) => listen(moves, true).await.to_string(),
        }
    }
}

async fn listen(moves: Vec<Move>, upgrades: bool) -> SocketAddr {
    peer::listen(move |mut stream| {
        let mut moves = moves.clone();
        if matches!(moves.last(), Some(Move::Reset)) {
            stream.set_zero_linger().unwrap();
            // What was sent before must arrive before.
            moves.insert(moves.len() - 1, Move::Pause(Duration::from_millis(50)));
        }
        async move {
            if upgrades {
                upgrade(&mut stream).await;
            }
            play(stream, moves).await;
        }
    })
    .await
}

const HTTP: &str = "prober: http\nhttp: {preferred_ip_protocol: ip4}";
const GZIP: &str = "prober: http\nhttp: {preferred_ip_protocol: ip4, compression: gzip}";
const LIMITED: &str =
    "prober: http\nhttp: {preferred_ip_protocol: ip4, compression: gzip, body_size_limit: 1MB}";
const MATCHED: &str =
    "prober: http\nhttp: {preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: [secret]}";
/// No automaton of a sensible size can tell in one pass which `a` was 200 letters ago.
const HARD: &str =
    "prober: http\nhttp: {preferred_ip_protocol: ip4, fail_if_body_matches_regexp: ['[ab]*a[ab]{200}[cd]']}";
const HARD_MESSAGE: &str =
    "prober: websocket\nwebsocket: {query_response: [{expect: '[ab]*a[ab]{200}[cd]'}]}";
const HTTPS: &str =
    "prober: http\nhttp: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}";
const HTTP3: &str = "prober: http\nhttp: {preferred_ip_protocol: ip4, enable_http3: true, enable_http2: false, \
                     tls_config: {insecure_skip_verify: true}}";
const TCP: &str = "prober: tcp\ntcp: {query_response: [{expect: '^welcome'}]}";
const BYTES: &str = "prober: tcp\ntcp: {query_response: [{expect_bytes: welcome}]}";
const TLS: &str = "prober: tcp\ntcp: {tls: true, tls_config: {insecure_skip_verify: true}}";
const UNIX: &str = "prober: unix\nunix: {query_response: [{expect: '^welcome'}]}";
const WEBSOCKET: &str = "prober: websocket\nwebsocket: {query_response: [{expect: '^welcome'}]}";
const GRPC: &str = "prober: grpc\ngrpc: {preferred_ip_protocol: ip4}";
const DNS_UDP: &str = "prober: dns\ndns: {query_name: a.test, query_type: A}";
const DNS_TCP: &str = "prober: dns\ndns: {query_name: a.test, query_type: A, transport_protocol: tcp}";
const DNS_TLS: &str =
    "prober: dns\ndns: {query_name: a.test, query_type: A, transport_protocol: tcp, dns_over_tls: true}";

/// What a probe says that was ended by its deadline.
const LATE: &str = "timeout of 4s ran out";

/// Name, module, `{}` of the target, peer, and what is said: where the speed of the machine decides whether a limit or the
/// deadline comes first, the step.
fn table() -> Vec<(&'static str, &'static str, &'static str, Peer, &'static str)> {
    use Peer::{Http3, Tcp, Udp, Unix, Websocket};
    let http = "http://{}/";
    let https = "https://{}/";
    let ws = "ws://{}/";
    let head = "HTTP/1.1 200 OK\r\n";
    // A DNS answer of another identifier, as a datagram and behind its length.
    let stray = b"\0\0\x81\x80\0\0\0\0\0\0\0\0";
    let framed = [b"\0\x0c", stray.as_slice()].concat();
    let redirect =
        "HTTP/1.1 302 Found\r\nLocation: /further\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    // Text of 65,535 bytes that is not the end of its message; a ping.
    let fragment = [[0, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff].as_slice(), &[b'x'; 65_535]].concat();
    let begun = Move::Send([1, 1, b'x'].to_vec());
    let long = [
        [0x81, 127, 0, 0, 0, 0, 0, 0x60, 0, 0].as_slice(),
        &coins(0x60_0000),
    ]
    .concat();
    vec![
        ("http silent", HTTP, http, Tcp(vec![]), LATE),
        // Each turn of it is one more field.
        (
            "http slow head",
            HTTP,
            http,
            Tcp(slowly("HTTP/1.1 200 OK\r\nSlow: ")),
            LATE,
        ),
        (
            "http endless line",
            HTTP,
            http,
            Tcp(endless("HTTP/1.1 200 ", "x")),
            "Error for HTTP request",
        ),
        (
            "http endless headers",
            HTTP,
            http,
            Tcp(endless(head, "X-A: b\r\n")),
            "Error for HTTP request",
        ),
        (
            "http endless chunks",
            HTTP,
            http,
            Tcp(chunked("5\r\nhello\r\n")),
            LATE,
        ),
        (
            "http endless chunks, matched",
            MATCHED,
            http,
            Tcp(chunked("5\r\nhello\r\n")),
            LATE,
        ),
        (
            "http body, hard to match",
            HARD,
            http,
            Tcp(vec![send("HTTP/1.1 200 OK\r\n\r\n"), send(coins(0x60_0000))]),
            LATE,
        ),
        (
            "http endless trailers",
            HTTP,
            http,
            Tcp(endless(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                "X-A: b\r\n",
            )),
            "HTTP response body",
        ),
        (
            "http maze",
            HTTP,
            http,
            Tcp(vec![Move::ReadLine, send(redirect), Move::Pause(GRACE)]),
            "http_redirects",
        ),
        // On closing, too, when time ran out within a block.
        ("http bomb", GZIP, http, Tcp(bomb()), "response"),
        ("http bomb, limited", LIMITED, http, Tcp(bomb()), "too large"),
        (
            "http reset",
            HTTP,
            http,
            Tcp(vec![
                Move::ReadLine,
                send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"),
                Move::Reset,
            ]),
            "reset",
        ),
        ("https silent", HTTPS, https, Tcp(vec![]), LATE),
        (
            "https endless noise",
            HTTPS,
            https,
            Tcp(endless("", "noise")),
            "tls",
        ),
        (
            "http3 endless head",
            HTTP3,
            https,
            Http3(http3::endless(1)),
            "response headers exceeded",
        ),
        ("tcp silent", TCP, "{}", Tcp(vec![]), LATE),
        ("tcp slow", TCP, "{}", Tcp(slowly("hello\n")), LATE),
        (
            "tcp endless line",
            TCP,
            "{}",
            Tcp(endless("", "x")),
            "token too long",
        ),
        ("tcp endless lines", TCP, "{}", Tcp(endless("", "hello\n")), LATE),
        (
            "tcp endless bytes",
            BYTES,
            "{}",
            Tcp(endless("", "x")),
            "did not match",
        ),
        (
            "tcp reset",
            TCP,
            "{}",
            Tcp(vec![send("wel"), Move::Reset]),
            "reset",
        ),
        ("tls silent", TLS, "{}", Tcp(vec![]), LATE),
        (
            "tls slow record",
            TLS,
            "{}",
            Tcp(slowly("\x16\x03\x03\x40\0")),
            LATE,
        ),
        (
            "tls endless records",
            TLS,
            "{}",
            Tcp(endless("", b"\x16\x03\x03\0\x04\x0b\xff\xff\xff")),
            "exceeds maximum",
        ),
        ("unix silent", UNIX, "{}", Unix(vec![]), LATE),
        (
            "unix endless line",
            UNIX,
            "{}",
            Unix(endless("", "x")),
            "token too long",
        ),
        ("websocket silent", WEBSOCKET, ws, Tcp(vec![]), LATE),
        (
            "websocket endless head",
            WEBSOCKET,
            ws,
            Tcp(endless("HTTP/1.1 101 Go\r\n", "X-A: b\r\n")),
            "Error dialing websocket",
        ),
        ("websocket no message", WEBSOCKET, ws, Websocket(vec![]), LATE),
        (
            "websocket long message, hard to match",
            HARD_MESSAGE,
            ws,
            Websocket(vec![send(long), Move::Pause(TIMEOUT + GRACE)]),
            LATE,
        ),
        (
            "websocket endless message",
            WEBSOCKET,
            ws,
            Websocket(vec![begun, Move::Forever(fragment)]),
            "Error reading message",
        ),
        (
            "websocket endless pings",
            WEBSOCKET,
            ws,
            Websocket(vec![Move::Forever([0x89, 0].repeat(30_000))]),
            "Error reading message",
        ),
        (
            "websocket reset",
            WEBSOCKET,
            ws,
            Websocket(vec![send([0x81, 9, b'w']), Move::Reset]),
            "reset",
        ),
        ("grpc silent", GRPC, "{}", Tcp(vec![]), LATE),
        ("grpc slow", GRPC, "{}", Tcp(slowly("\0\0\0\x04\0\0\0\0\0")), LATE),
        (
            "grpc endless noise",
            GRPC,
            "{}",
            Tcp(endless("", "noise")),
            "health check",
        ),
        (
            "grpc endless settings",
            GRPC,
            "{}",
            Tcp(endless_h2(vec![], h2(4, 0, &[]))),
            "health check",
        ),
        (
            "grpc endless pings",
            GRPC,
            "{}",
            Tcp(endless_h2(vec![], h2(6, 0, &[0; 8]))),
            "health check",
        ),
        (
            "grpc endless headers",
            GRPC,
            "{}",
            Tcp(endless_h2(h2(1, 1, &[0x88]), h2(9, 1, &[0x88; 16_384]))),
            "health check",
        ),
        (
            "grpc reset",
            GRPC,
            "{}",
            Tcp(vec![send(h2(4, 0, &[])), Move::Reset]),
            "health check",
        ),
        ("dns silent", DNS_UDP, "{}", Udp(vec![]), LATE),
        ("dns wrong identifiers", DNS_UDP, "{}", Udp(stray.to_vec()), LATE),
        (
            "dns wrong identifiers, tcp",
            DNS_TCP,
            "{}",
            Tcp(endless("", framed)),
            "id mismatch",
        ),
        (
            "dns slow message",
            DNS_TCP,
            "{}",
            Tcp(slowly("\u{7f}\u{7f}")),
            LATE,
        ),
        (
            "dns reset",
            DNS_TCP,
            "{}",
            Tcp(vec![send([0xff]), Move::Reset]),
            "reset",
        ),
        (
            "dns over tls, silent",
            DNS_TLS,
            "{}",
            Tcp(vec![]),
            "over tcp: TLS handshake: waiting for a response to the ClientHello",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_end_say_why_and_take_little_memory() {
    if std::env::var_os(MEASURED).is_none() {
        let _busy = BUSY.lock().await;
        // Other tests run in this process: in one of its own, what is measured is this.
        let name = "hostile::probes_end_say_why_and_take_little_memory";
        let mut again = Command::new(std::env::current_exe().unwrap());
        let again = again.args(["--exact", name, "--nocapture"]).env(MEASURED, "1");
        let output = again.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut probes = tokio::task::JoinSet::new();
    for (name, module, target, peer, reason) in table() {
        let target = target.replace("{}", &peer.start(folder.path(), name).await);
        // It connects eleven times, while all others keep the machine busy.
        let timeout = TIMEOUT * if name == "http maze" { 2 } else { 1 };
        probes.spawn(async move {
            let started = Instant::now();
            let outcome = probe(&format!("timeout: {timeout:?}\n{module}"), &target).await;
            (name, reason, started.elapsed(), outcome)
        });
    }
    let mut wrong = Vec::new();
    while let Some(ended) = probes.join_next().await {
        let (name, expected, elapsed, outcome) = ended.unwrap();
        let reason = outcome.reason().unwrap_or_default();
        println!("{name}: {elapsed:?}: {reason}");
        let is_told = !reason.is_empty() && reason.contains(expected);
        if outcome.success || !is_told || elapsed > TIMEOUT + GRACE {
            wrong.push(format!("{name}, after {elapsed:?}: {:?}", log(&outcome)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let peak = memory_of("self", "VmHWM:");
    println!("at most {} MiB", peak >> 20);
    assert!(peak < MEMORY, "{} MiB", peak >> 20);
}

/// A peer behind which another one answers, of which it passes on so many bytes and resets the connection then.
async fn cutting(server: SocketAddr, after: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = tokio::net::TcpStream::connect(server).await.unwrap();
        client.set_zero_linger().unwrap();
        let (mut from_client, mut to_client) = client.split();
        let (from_server, mut to_server) = server.split();
        let mut some = from_server.take(after as u64);
        let answer = async {
            let _ = tokio::io::copy(&mut some, &mut to_client).await;
            // What was sent before must arrive before.
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        tokio::select! {
            () = answer => {}
            _ = async {
                let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                std::future::pending::<()>().await
            } => {}
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_at_any_byte_is_told_at_once() {
    let _busy = BUSY.lock().await;
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello";
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let switch =
        "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let h2 = [h2(4, 0, &[]), h2(4, 0, &[]), h2(1, 1, &[0x88])].concat();
    let rows: [(&str, &str, &str, &[u8]); 7] = [
        ("http", HTTP, "http://{}/", text.as_bytes()),
        ("http chunks", HTTP, "http://{}/", chunks.as_bytes()),
        ("tcp", TCP, "{}", b"hello\r\nwelcome\n"),
        ("tcp bytes", BYTES, "{}", b"welcome"),
        ("websocket", WEBSOCKET, "ws://{}/", switch.as_bytes()),
        ("grpc", GRPC, "{}", &h2),
        ("dns", DNS_TCP, "{}", b"\0\x0c\0\0\x81\x80\0\0\0\0\0\0\0\0"),
    ];
    let compiled = |yaml: &str| module(&format!("timeout: 20s\n{yaml}"));
    let mut cuts = Vec::new();
    for (name, yaml, target, whole) in rows {
        let module = compiled(yaml);
        for after in 0..whole.len() {
            let peer = listen(vec![Move::Send(whole[..after].to_vec()), Move::Reset], false);
            cuts.push((name, Arc::clone(&module), target, after, peer.await));
        }
    }
    // A server's side of a handshake: about as much as this, whose end is not always in the same place.
    let identity = SelfSigned::local();
    let server = pki::serve(identity.server(&[])).await;
    let tls = compiled(TLS);
    for after in 0..600 {
        cuts.push(("tls", Arc::clone(&tls), "{}", after, cutting(server, after).await));
    }
    let (at_once, network) = (Arc::new(Semaphore::new(64)), Arc::new(Network::system()));
    let mut probes = tokio::task::JoinSet::new();
    for (name, module, target, after, address) in cuts {
        let target = target.replace("{}", &address.to_string());
        let (at_once, network) = (Arc::clone(&at_once), Arc::clone(&network));
        probes.spawn(async move {
            let _turn = at_once.acquire().await.unwrap();
            let request = ProbeRequest {
                target: &target,
                hostname: None,
                timeout: module.timeout.unwrap(),
            };
            let outcome = prober::run(&network, &module, request).await;
            (name, after, outcome)
        });
    }
    while let Some(ended) = probes.join_next().await {
        let (name, after, outcome) = ended.unwrap();
        let reason = outcome.reason().unwrap_or_default();
        assert!(
            !outcome.success
                && !reason.is_empty()
                && !["ran out", "(os error"].iter().any(|not| reason.contains(not)),
            "{name}, reset after {after} bytes: {:?}",
            log(&outcome)
        );
    }
}

#[tokio::test]
async fn an_answer_from_another_host_is_none() {
    // The right answer from the wrong port, forever.
    let asked = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = asked.local_addr().unwrap().to_string();
    spawn(async move {
        let mut query = [0; 512];
        let (length, from) = asked.recv_from(&mut query).await.unwrap();
        query[2] |= 0x80;
        while stranger.send_to(&query[..length], from).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let outcome = probe(&format!("timeout: {TIMEOUT:?}\n{DNS_UDP}"), &target).await;
    let reason = outcome.reason().unwrap_or_default();
    assert!(!outcome.success && reason.contains(LATE), "{:?}", log(&outcome));
}
