//! `/events`, and callers that mean no good with it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{MODULES, REFUSED};
use crate::support::Exporter;
use crate::support::probing::passed;

/// Maximum number of open pages.
const PLACES: usize = 32;

/// Opens a page's events from one of this machine's addresses.
async fn open(exporter: &Exporter, from: &str, query: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(exporter.address).await.unwrap();
    let head = format!(
        "GET /events?{query} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n",
        exporter.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn status(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8_lossy(&line[9..12]).into_owned()
}

/// However much there is to tell: with many rows, which take their time to be looked at, and probes all the time, there is always
/// news after one event.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_is_told_at_a_pace() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let loaded = exporter.running.exporter.store.current();
    for index in 0..5000 {
        let outcome = passed();
        let target = format!("https://target-{index:05}.example.com/with/a/path");
        let history = &exporter.running.exporter.history;
        history.add(loaded.modules.get("tcp_plain").unwrap(), &target, None, outcome);
    }
    exporter.probe("tcp_plain", REFUSED).await;
    let started = std::time::Instant::now();
    let stream = open(&exporter, "127.0.0.1", "since=0").await;
    let mut seen = Vec::new();
    while started.elapsed() < Duration::from_secs(3) {
        exporter.probe("tcp_plain", REFUSED).await;
        let mut bytes = [0; 65536];
        while let Ok(length @ 1..) = stream.try_read(&mut bytes) {
            seen.extend_from_slice(&bytes[..length]);
        }
    }
    let seen = String::from_utf8_lossy(&seen);
    let events = seen.matches("\ndata: ").count();
    let most = started.elapsed().as_secs() / 2 + 2;
    assert!(
        events >= 1 && events as u64 <= most,
        "{events} events, {most} at most: {seen}"
    );
}

/// One address cannot keep the pages of others from being told.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_share_the_places_of_open_pages() {
    let exporter = Exporter::start(MODULES, &[]).await;
    exporter.probe("tcp_plain", REFUSED).await;
    let mut greedy = Vec::new();
    for _ in 0..PLACES {
        let mut stream = open(&exporter, "127.0.0.1", "since=0").await;
        assert_eq!(status(&mut stream).await, "200");
        greedy.push(stream);
    }
    let mut one_more = open(&exporter, "127.0.0.1", "since=0").await;
    assert_eq!(status(&mut one_more).await, "503");
    let mut honest = open(&exporter, "127.0.0.2", "since=0").await;
    assert_eq!(status(&mut honest).await, "200");
    // The oldest of the other address made room: its events end.
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), async {
        while !rest.ends_with(b"0\r\n\r\n") {
            assert!(greedy[0].read_buf(&mut rest).await.unwrap() > 0);
        }
    })
    .await
    .expect("the oldest page is told to go");
}

/// A page that is closed makes room at once, and not when the next event cannot be written.
#[tokio::test(flavor = "multi_thread")]
async fn closed_pages_make_room() {
    let exporter = Exporter::start(MODULES, &[]).await;
    exporter.probe("tcp_plain", REFUSED).await;
    for _ in 0..3 {
        let mut pages = Vec::new();
        for _ in 0..PLACES {
            // The places of the last round are free, sooner or later, but long before anything is written again.
            let opened = async {
                loop {
                    let mut stream = open(&exporter, "127.0.0.1", "since=0").await;
                    if status(&mut stream).await == "200" {
                        return stream;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            pages.push(
                tokio::time::timeout(Duration::from_secs(10), opened)
                    .await
                    .expect("no room"),
            );
        }
    }
}

/// An open page is a connection without a request: it gives way.
#[tokio::test(flavor = "multi_thread")]
async fn open_pages_do_not_fill_the_port() {
    let exporter = Exporter::start(MODULES, &["--web.max-connections=4"]).await;
    exporter.probe("tcp_plain", REFUSED).await;
    let mut pages = Vec::new();
    for _ in 0..4 {
        let mut stream = open(&exporter, "127.0.0.1", "since=0").await;
        assert_eq!(status(&mut stream).await, "200");
        pages.push(stream);
    }
    let asking = exporter.get("/-/healthy");
    let answer = tokio::time::timeout(Duration::from_secs(10), asking).await;
    assert_eq!(answer.expect("no seat").status, 200);
}

/// As every endpoint: behind the password, and under the allowed names only.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_behind_the_rules_of_all_endpoints() {
    let exporter = Exporter::start(MODULES, &["--web.allowed-hosts=exporter.test"]).await;
    let accept = ("Accept", "text/event-stream");
    let head =
        "GET /events HTTP/1.1\r\nHost: evil.test\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n";
    let answer = crate::support::parse(&exporter.raw(head.as_bytes()).await);
    assert_eq!(answer.status, 421);
    // A script, or a browser that wants a page, does not get a stream without an end.
    assert_eq!(exporter.get("/events").await.status, 200);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("blackbox.yml"), MODULES).unwrap();
    let hash = bcrypt::hash("open sesame", 4).unwrap();
    std::fs::write(
        folder.path().join("web.yml"),
        format!("basic_auth_users: {{ann: '{hash}'}}\n"),
    )
    .unwrap();
    let exporter = Exporter::start_in(folder, &["--web.config.file={dir}/web.yml"])
        .await
        .unwrap();
    assert_eq!(exporter.request("GET", "/events", &[accept]).await.status, 401);
}
