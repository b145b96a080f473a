//! The moving parts of the side-by-side benchmark that no off-the-shelf program offers; `bench/run.py` drives it.
//!
//! ```text
//! bench-peer serve GRPC_PORT HANG_PORT      a gRPC health server, and a port that accepts and stays silent
//! bench-peer flood ADDRESS PATH COUNT       opens COUNT requests, says `ready`, and holds them until stdin ends
//! bench-peer watch ADDRESS PATH COUNT       COUNT requests one after the other; prints their latencies in seconds
//! bench-peer pace ADDRESS PATH RATE SECONDS RATE requests a second; prints how many
//! bench-peer floor http|tcp ADDRESS CONNECTIONS SECONDS [RATE]
//!                                           the bare connect-ask-close loop, as often as it can or RATE times a second
//! bench-peer least http|tcp ADDRESS PORT    the same for each request that comes to PORT, answered with 1.5 KiB: the
//!                                           least that something which is scraped has to do
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark's tool may fail loudly"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut runtime = match words.as_slice() {
        // As the exporter's.
        ["least", ..] => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    runtime.enable_all().build().unwrap().block_on(run(&words));
}

async fn run(words: &[&str]) {
    match words {
        ["serve", grpc, hang] => serve(grpc.parse().unwrap(), hang.parse().unwrap()).await,
        ["flood", address, path, count] => {
            flood(address.parse().unwrap(), path, count.parse().unwrap()).await
        }
        ["watch", address, path, count] => {
            watch(address.parse().unwrap(), path, count.parse().unwrap()).await
        }
        ["pace", address, path, rate, seconds] => {
            let pace = Pace::new(PACED, Some(rate.parse().unwrap()), seconds.parse().unwrap());
            paced(address.parse().unwrap(), path, pace).await;
        }
        ["floor", kind, address, connections, seconds, rate @ ..] => {
            let rate = rate.first().map(|rate| rate.parse().unwrap());
            let pace = Pace::new(connections.parse().unwrap(), rate, seconds.parse().unwrap());
            floor(*kind == "http", address.parse().unwrap(), pace).await;
        }
        ["least", kind, address, port] => {
            least(*kind == "http", address.parse().unwrap(), port.parse().unwrap()).await
        }
        _ => panic!("usage: see the top of bench/peer.rs"),
    }
}

async fn serve(grpc: u16, hang: u16) {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("", tonic_health::ServingStatus::Serving)
        .await;
    let address = SocketAddr::from(([127, 0, 0, 1], grpc));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve(address),
    );
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], hang))).unwrap();
    let listener: TcpListener = socket.listen(4096).unwrap();
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => {
                // Held until the other side leaves.
                tokio::spawn(async move { while let Ok(1..) = stream.read(&mut [0; 64]).await {} });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn request(path: &str, keep: bool) -> String {
    let connection = if keep { "keep-alive" } else { "close" };
    format!(
        "GET {path} HTTP/1.1\r\nHost: bench\r\nX-Prometheus-Scrape-Timeout-Seconds: 60\r\nConnection: {connection}\r\n\r\n"
    )
}

async fn flood(address: SocketAddr, path: &str, count: usize) {
    let request = request(path, true);
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        held.push(stream);
    }
    println!("ready");
    // Until the driver closes our standard input.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await
        .unwrap()
        .unwrap();
}

async fn watch(address: SocketAddr, path: &str, count: usize) {
    let request = request(path, false);
    for _ in 0..count {
        let start = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        println!("{:.6}", start.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn probe(http: bool, address: SocketAddr, buffer: &mut [u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    if http {
        let request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        while stream.read(buffer).await.unwrap() > 0 {}
    }
}

async fn least(http: bool, address: SocketAddr, port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let text = format!(
        "{}probe_success 1\n",
        "# as long as a probe's answer\n".repeat(50)
    );
    let answer: Arc<str> = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into();
    loop {
        let (mut scraper, _) = listener.accept().await.unwrap();
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let (mut request, mut buffer) = (vec![0; 4096], vec![0; 16 * 1024]);
            // wrk sends a request at a time, in one piece.
            while let Ok(1..) = scraper.read(&mut request).await {
                probe(http, address, &mut buffer).await;
                scraper.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }
}

/// How many connections share a rate.
const PACED: usize = 16;

/// When which connection asks, and for how long.
#[derive(Clone, Copy)]
struct Pace {
    connections: usize,
    /// Between two requests of one connection; `None` for no time at all.
    interval: Option<Duration>,
    end: Instant,
}

impl Pace {
    fn new(connections: usize, rate: Option<f64>, seconds: u64) -> Self {
        Self {
            connections,
            interval: rate.map(|rate| Duration::from_secs_f64(connections as f64 / rate)),
            end: Instant::now() + Duration::from_secs(seconds),
        }
    }

    /// The turns of one connection: its first comes when its part of the interval has passed.
    fn turns(self, connection: usize) -> Turns {
        Turns {
            interval: self.interval.map(|interval| {
                let first = interval * connection as u32 / self.connections as u32;
                tokio::time::interval_at(tokio::time::Instant::now() + first, interval)
            }),
            end: self.end,
        }
    }
}

struct Turns {
    interval: Option<tokio::time::Interval>,
    end: Instant,
}

impl Turns {
    /// Waits for the next turn; false when the time is up.
    async fn next(&mut self) -> bool {
        if let Some(interval) = &mut self.interval {
            interval.tick().await;
        }
        Instant::now() < self.end
    }
}

async fn paced(address: SocketAddr, path: &str, pace: Pace) {
    let asked: Arc<AtomicU64> = Arc::default();
    let mut workers = JoinSet::new();
    for connection in 0..pace.connections {
        let (asked, request) = (Arc::clone(&asked), request(path, true));
        workers.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut turns, mut buffer) = (pace.turns(connection), vec![0; 64 * 1024]);
            while turns.next().await {
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut length = 0;
                let text = loop {
                    let more = stream.read(&mut buffer[length..]).await.unwrap();
                    assert!(more > 0, "closed before the end of an answer");
                    length += more;
                    if let Some(text) = whole(&buffer[..length]) {
                        break text;
                    }
                };
                assert!(text.contains("probe_success 1\n"), "{text}");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
    println!("{}", asked.load(Ordering::Relaxed));
}

/// The text of an answer, in chunks or with a length, when all of it is there. No line of it ends with `\r\n`.
fn whole(answer: &[u8]) -> Option<String> {
    let answer = std::str::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    match head.split_once("Content-Length: ") {
        Some((_, length)) => {
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            (body.len() >= length).then(|| body.to_owned())
        }
        None if body.ends_with("\r\n0\r\n\r\n") => Some(body.split("\r\n").skip(1).step_by(2).collect()),
        None => None,
    }
}

async fn floor(http: bool, address: SocketAddr, pace: Pace) {
    let done: Arc<AtomicU64> = Arc::default();
    let mut workers = JoinSet::new();
    for connection in 0..pace.connections {
        let done = Arc::clone(&done);
        workers.spawn(async move {
            let (mut turns, mut buffer) = (pace.turns(connection), vec![0; 16 * 1024]);
            while turns.next().await {
                probe(http, address, &mut buffer).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while workers.join_next().await.is_some() {}
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let (user, system): (f64, f64) = (fields[11].parse().unwrap(), fields[12].parse().unwrap());
    println!(
        "{} {} {}",
        done.load(Ordering::Relaxed),
        user / 100.0,
        system / 100.0
    );
}
