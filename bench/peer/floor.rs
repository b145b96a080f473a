//! What no prober can do without: the bare loop, and the same for something that is scraped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::pace::Pace;

async fn probe(http: bool, address: SocketAddr, buffer: &mut [u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    if http {
        let request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        while stream.read(buffer).await.unwrap() > 0 {}
    }
}

/// Does `probe` for each request that comes to `port`, and answers it with fixed bytes.
pub async fn least(http: bool, address: SocketAddr, port: u16) {
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

/// Does `probe` at a pace; prints how often, and the seconds of CPU time in user and system mode.
pub async fn floor(http: bool, address: SocketAddr, pace: Pace) {
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
