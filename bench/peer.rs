//! The moving parts of the side-by-side benchmark that no off-the-shelf program offers; `bench/run.py` drives it.
//!
//! ```text
//! bench-peer serve GRPC_PORT HANG_PORT      a gRPC health server, and a port that accepts and stays silent
//! bench-peer flood ADDRESS PATH COUNT       opens COUNT requests, says `ready`, and holds them until stdin ends
//! bench-peer watch ADDRESS PATH COUNT       COUNT requests one after the other; prints their latencies in seconds
//! bench-peer floor http|tcp ADDRESS CONNECTIONS SECONDS
//!                                           the bare connect-ask-close loop
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
        ["floor", kind, address, connections, seconds] => {
            let seconds = Duration::from_secs(seconds.parse().unwrap());
            floor(
                *kind == "http",
                address.parse().unwrap(),
                connections.parse().unwrap(),
                seconds,
            )
            .await;
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

async fn floor(http: bool, address: SocketAddr, connections: usize, length: Duration) {
    let done = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + length;
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let done = Arc::clone(&done);
        workers.spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            while Instant::now() < end {
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
