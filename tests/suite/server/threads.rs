//! Which threads serve: one, and all when it is busy.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::MODULES;
use crate::support::{Exporter, folder, spawn};

/// How long a loaded machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Threads besides those of the test, which end with it.
struct Others(Option<Runtime>);

impl Others {
    async fn beside_an_exporter() -> (Self, Exporter) {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let others = Some(runtime.handle().clone());
        let exporter = Exporter::start_beside(others, folder(&[("blackbox.yml", MODULES)]), &[])
            .await
            .unwrap();
        (Self(Some(runtime)), exporter)
    }

    /// How many connections they serve.
    fn serve(&self) -> usize {
        self.0.as_ref().unwrap().metrics().num_alive_tasks()
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// The one thread has work for a while.
async fn work() {
    let working = spawn(async {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(200) {
            let part = Instant::now();
            while part.elapsed() < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
            tokio::task::yield_now().await;
        }
    });
    working.await.unwrap();
}

/// Asks whether the exporter is healthy, over a connection that stays open.
async fn ask(stream: &mut TcpStream, more: &str) {
    let request = format!("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n{more}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nHealthy") {
        assert_ne!(
            stream.read_buf(&mut answer).await.unwrap(),
            0,
            "{}",
            answer.escape_ascii()
        );
    }
    assert_eq!(answer.windows(9).filter(|part| part == b"HTTP/1.1 ").count(), 1);
}

async fn connect(exporter: &Exporter) -> TcpStream {
    TcpStream::connect(exporter.address).await.unwrap()
}

/// Asks over a new connection, until the others serve one.
async fn until_busy(others: &Others, exporter: &Exporter) -> TcpStream {
    let until = async {
        loop {
            work().await;
            let mut stream = connect(exporter).await;
            ask(&mut stream, "").await;
            if others.serve() == 1 {
                return stream;
            }
        }
    };
    timeout(PATIENCE, until).await.expect("the others serve")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_goes_where_there_is_time() {
    let (others, exporter) = Others::beside_an_exporter().await;
    let mut stream = connect(&exporter).await;
    ask(&mut stream, "").await;
    let other = until_busy(&others, &exporter).await;
    let there = async {
        while others.serve() < 2 {
            work().await;
            ask(&mut stream, "").await;
        }
    };
    timeout(PATIENCE, there).await.expect("it goes there");
    drop(other);
    let back = async {
        loop {
            match others.serve() {
                0 => return,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
            ask(&mut stream, "").await;
        }
    };
    timeout(PATIENCE, back).await.expect("the one thread serves");
    ask(&mut stream, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_empty_line_behind_a_request_keeps_a_connection_where_it_is() {
    let (others, exporter) = Others::beside_an_exporter().await;
    let mut stream = connect(&exporter).await;
    ask(&mut stream, "\r\n").await;
    let _other = until_busy(&others, &exporter).await;
    ask(&mut stream, "\r\n").await;
    ask(&mut stream, "\r\n").await;
    assert_eq!(others.serve(), 1);
}
