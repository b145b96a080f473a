//! Peers that misbehave: a result or a clear error inside the deadline, with the phases that were reached.

use std::time::Duration;

use blackbox_exporter::metrics::Metric;
use blackbox_exporter::prober::Outcome;

use crate::support::peer::{Move, Peer, send};
use crate::support::{closed, exposition, has, log, probe};

const MODULE: &str = "prober: http\ntimeout: 60s\nhttp: {preferred_ip_protocol: ip4}";

async fn against(moves: Vec<Move>) -> Outcome {
    within("60s", moves).await
}

async fn within(timeout: &str, moves: Vec<Move>) -> Outcome {
    // Four lines: the request line, Host, User-Agent, Connection; then the empty one.
    let mut all = vec![Move::ReadLine; 5];
    all.extend(moves);
    let peer = Peer::play(all).await;
    let yaml = MODULE.replace("60s", timeout);
    probe(&yaml, &format!("http://{}/", peer.address)).await
}

#[tokio::test]
async fn a_reset_at_any_byte_of_an_answer() {
    let answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n5\r\nhello\r\n0\r\nX-B: c\r\n\r\n";
    for end in 0..answer.len() {
        for last in [Move::Reset, Move::Close] {
            let outcome = against(vec![send(&answer[..end]), last.clone()]).await;
            assert!(!outcome.success, "{last:?} after {:?}", &answer[..end]);
            assert!(
                log(&outcome).iter().any(|line| line.starts_with("ERROR")),
                "{last:?} after {end} bytes"
            );
        }
    }
    let in_trailer = answer.find("X-B").unwrap();
    let outcome = against(vec![send(&answer[..in_trailer]), Move::Close]).await;
    let reason = outcome.reason().unwrap_or_default();
    assert!(
        reason.ends_with("http: unexpected EOF reading trailer"),
        "{reason}"
    );
    let outcome = against(vec![Move::Trickle(answer.into()), Move::Close]).await;
    assert!(outcome.success, "{:?}", log(&outcome));
}

#[tokio::test]
async fn what_never_ends_is_ended() {
    let head = "HTTP/1.1 200 OK\r\n";
    // The last is ended by the deadline, all others by a limit, long before it.
    #[rustfmt::skip]
    let rows: [(&str, Vec<Move>, &str); 6] = [
        ("1xx", vec![Move::Forever(b"HTTP/1.1 103 Early\r\n\r\n".repeat(1000))], "headers exceeded"),
        ("headers", vec![send(head), Move::Forever(b"X-A: b\r\n".repeat(1000))], "headers exceeded"),
        ("a header", vec![send(head), send("X-A: "), Move::Forever(vec![b'x'; 65536])], "headers exceeded"),
        (
            "a chunk line",
            vec![
                send(head),
                send("Transfer-Encoding: chunked\r\n\r\n"),
                Move::Forever(vec![b'0'; 65536]),
            ],
            "header line too long",
        ),
        (
            "chunk extensions",
            vec![
                send(head),
                send("Transfer-Encoding: chunked\r\n\r\n"),
                Move::Forever(format!("1;{}\r\nx\r\n", "e".repeat(2000)).into_bytes()),
            ],
            "too much non-data",
        ),
        ("a body", vec![send(head), send("\r\n"), Move::Forever(vec![b'x'; 65536])], "while reading the body"),
    ];
    for (name, moves, reason) in rows {
        let timeout = if name == "a body" { "300ms" } else { "60s" };
        let outcome = within(timeout, moves).await;
        let lines = log(&outcome).join("\n");
        assert!(!outcome.success && lines.contains(reason), "{name}: {lines}");
    }
}

#[tokio::test]
async fn silence_is_ended_by_the_deadline_and_says_where() {
    for (sent, reason) in [
        ("", "while waiting for the response"),
        ("HTTP/1.1 2", "while reading the response headers"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
            "while reading the body",
        ),
    ] {
        let peer = Peer::play(vec![
            Move::ReadLine,
            send(sent),
            Move::Pause(Duration::from_secs(5)),
        ])
        .await;
        let yaml = "prober: http\ntimeout: 200ms\nhttp: {preferred_ip_protocol: ip4}";
        let outcome = probe(yaml, &format!("http://{}/", peer.address)).await;
        let lines = log(&outcome).join("\n");
        assert!(lines.contains(reason), "{sent:?}: {lines}");
        has(&lines, ["context deadline exceeded"]);
        assert!(outcome.duration < Duration::from_secs(3));
        has(
            exposition(&outcome),
            ["probe_http_duration_seconds{phase=\"processing\"}"],
        );
    }
}

#[tokio::test]
async fn odd_answers_that_go_takes_are_taken() {
    #[rustfmt::skip]
    let rows = [
        ("HTTP/1.0 200 OK\r\n\r\nhello", 200.0, 1.0),
        ("HTTP/1.2 299 \r\nContent-Length: 0\r\n\r\n", 299.0, 1.2),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", 200.0, 1.1),
        ("HTTP/1.1 200 OK\r\nX-A: one\r\n  two\r\nContent-Length: 0\r\n\r\n", 200.0, 1.1),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 200.0, 1.1),
        ("HTTP/1.1 042 Odd\r\nContent-Length: 0\r\n\r\n", 42.0, 1.1),
    ];
    for (answer, status, version) in rows {
        let outcome = against(vec![send(answer), Move::Close]).await;
        assert_eq!(
            outcome.samples.value(Metric::HttpStatusCode),
            Some(status),
            "{answer:?}"
        );
        assert_eq!(
            outcome.samples.value(Metric::HttpVersion),
            Some(version),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn contradictory_lengths_are_no_answer() {
    for headers in [
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: -1",
        "Content-Length: x",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        let outcome = against(vec![
            send(format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nx")),
            Move::Close,
        ])
        .await;
        assert!(!outcome.success);
        assert_eq!(
            outcome.samples.value(Metric::HttpStatusCode),
            Some(0.0),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn nobody_there() {
    let address = closed();
    let outcome = probe(MODULE, &format!("http://{address}/")).await;
    let lines = log(&outcome).join("\n");
    let want = format!("dial tcp {address}: connect: connection refused");
    assert!(lines.contains(&want), "{lines}");
}
