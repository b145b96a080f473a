//! Which threads serve: one, and more when it is busy.

use std::time::{Duration, Instant};

use http_body_util::Empty;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::web::{Certificates, TLS, http2};
use super::{MODULES, silent};
use crate::support::{Exporter, folder, spawn};

/// How long a loaded machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A thread besides that of the test, which ends with it.
struct Other(Option<Runtime>);

impl Other {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self(Some(runtime.unwrap()))
    }

    async fn beside_an_exporter() -> (Self, Exporter) {
        let other = Self::new();
        let folder = folder(&[("blackbox.yml", MODULES)]);
        let exporter = Exporter::start_beside(other.handles(), folder, &[]).await;
        (other, exporter.unwrap())
    }

    fn handles(&self) -> Vec<Handle> {
        self.0.iter().map(|runtime| runtime.handle().clone()).collect()
    }

    /// How many connections it serves, and requests over HTTP/2.
    fn serves(&self) -> usize {
        self.0.as_ref().unwrap().metrics().num_alive_tasks()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// The first thread has work for a while.
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

/// Two connections: where two threads serve, each has one of them.
async fn two(exporter: &Exporter) -> [TcpStream; 2] {
    [connect(exporter).await, connect(exporter).await]
}

/// Asks over them while the first thread has work, until the other one serves one of them.
async fn until_busy(other: &Other, streams: &mut [TcpStream; 2]) {
    let until = async {
        while other.serves() != 1 {
            work().await;
            for stream in &mut *streams {
                ask(stream, "").await;
            }
        }
    };
    timeout(PATIENCE, until).await.expect("the other one serves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_go_where_there_is_time() {
    let (other, exporter) = Other::beside_an_exporter().await;
    let mut streams = two(&exporter).await;
    for stream in &mut streams {
        ask(stream, "").await;
    }
    assert_eq!(other.serves(), 0);
    until_busy(&other, &mut streams).await;
    let back = async {
        while other.serves() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            for stream in &mut streams {
                ask(stream, "").await;
            }
        }
    };
    timeout(PATIENCE, back).await.expect("the first thread serves");
    for stream in &mut streams {
        ask(stream, "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_empty_line_behind_a_request_keeps_a_connection_where_it_is() {
    let (other, exporter) = Other::beside_an_exporter().await;
    let mut staying = two(&exporter).await;
    for stream in &mut staying {
        ask(stream, "\r\n").await;
    }
    let mut streams = two(&exporter).await;
    until_busy(&other, &mut streams).await;
    for _ in 0..2 {
        for stream in &mut staying {
            ask(stream, "\r\n").await;
        }
    }
    assert_eq!(other.serves(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn requests_over_one_http_2_connection_are_dealt_out() {
    let other = Other::new();
    let (exporter, client) = Certificates::new().start_beside(other.handles(), TLS, &[]).await;
    let (sender, _connection) = http2(&exporter, &client).await;
    let at_rest = other.serves();
    let (_silent, target) = silent().await;
    let path = format!("https://x.test/probe?module=http_2xx&target=http://{target}");
    let dealt_out = async {
        loop {
            work().await;
            let mut waiting = JoinSet::new();
            for _ in 0..2 {
                let mut sender = sender.clone();
                let request = http::Request::get(&path).body(Empty::new()).unwrap();
                waiting.spawn(async move { sender.send_request(request).await });
            }
            let answered = timeout(Duration::from_millis(100), waiting.join_next()).await;
            assert!(answered.is_err(), "{answered:?}");
            if other.serves() > at_rest {
                return;
            }
        }
    };
    timeout(PATIENCE, dealt_out).await.expect("the other one serves");
}
