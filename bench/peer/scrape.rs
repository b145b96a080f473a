//! What a scraper does: many requests at once, one after the other, or at a pace.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::pace::Pace;

/// Of a scraper that waits long.
pub fn request(path: &str, keep: bool) -> String {
    let connection = if keep { "keep-alive" } else { "close" };
    format!(
        "GET {path} HTTP/1.1\r\nHost: bench\r\nX-Prometheus-Scrape-Timeout-Seconds: 60\r\nConnection: {connection}\r\n\r\n"
    )
}

/// Opens `count` requests, prints `ready`, and holds them until standard input ends.
pub async fn flood(address: SocketAddr, path: &str, count: usize) {
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

/// Prints the latencies of `count` requests, one after the other, in seconds.
pub async fn watch(address: SocketAddr, path: &str, count: usize) {
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

/// Asks at a pace, over connections that stay, and prints how often.
pub async fn paced(address: SocketAddr, path: &str, pace: Pace) {
    let asked: Arc<AtomicU64> = Arc::default();
    let mut workers = JoinSet::new();
    for connection in 0..pace.connections {
        let (asked, request) = (Arc::clone(&asked), request(path, true));
        workers.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut turns, mut buffer) = (pace.turns(connection), Vec::new());
            while turns.next().await {
                stream.write_all(request.as_bytes()).await.unwrap();
                let text = receive(&mut stream, &mut buffer).await;
                let text = text.expect("closed before the end of an answer");
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

/// The text of the next answer; `None` when the connection ends before. `buffer` is only kept from one call to the next.
pub async fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    buffer.clear();
    loop {
        buffer.reserve(16 * 1024);
        match stream.read_buf(buffer).await {
            Err(_) | Ok(0) => return None,
            Ok(_) => {}
        }
        if let Some(text) = whole(buffer) {
            return Some(text);
        }
    }
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
