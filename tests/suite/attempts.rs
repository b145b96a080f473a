//! `attempts`: a failed probe is made again, in plain sight and within its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use blackbox_exporter::config;
use blackbox_exporter::metrics::Metric;
use blackbox_exporter::prober::Outcome;
use blackbox_exporter::reason::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dns::{reply, udp_server};
use crate::support::peer::listen;
use crate::support::{Exporter, exposition, has, lacks, log, probe, spawn};

/// A server that gives those who connect these answers in turn, and the last one to all others; it answers when something was
/// asked, or at once.
pub async fn answering(answers: &'static [&'static str], waits: bool) -> (String, Arc<AtomicUsize>) {
    let seen = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&seen);
    let serve = move |mut stream: TcpStream| {
        let turn = counted.fetch_add(1, Ordering::Relaxed);
        let answer = answers.get(turn).or(answers.last()).unwrap();
        async move {
            let mut request = [0; 4096];
            if waits {
                let _ = stream.read(&mut request).await;
            }
            let _ = stream.write_all(answer.as_bytes()).await;
            // An answer of nothing is silence.
            if answer.is_empty() {
                let _ = stream.read(&mut request).await;
            }
        }
    };
    (listen(serve).await.to_string(), seen)
}

/// How often it was made, and whether the first attempt succeeded.
fn told(outcome: &Outcome) -> (Option<f64>, Option<f64>) {
    let value = |metric| outcome.samples.value(metric);
    (value(Metric::Attempts), value(Metric::FirstAttemptSuccess))
}

const GREETING: &str = "prober: tcp\ntimeout: 20s\ntcp: {query_response: [{expect: '^ready$'}]}";

#[tokio::test]
async fn a_probe_is_made_until_it_succeeds() {
    const ROWS: [(&[&str], usize, bool, f64, f64); 4] = [
        (&["ready\n"], 3, true, 1.0, 1.0),
        (&["busy\n", "ready\n"], 3, true, 2.0, 0.0),
        (&["busy\n", "busy\n", "ready\n"], 3, true, 3.0, 0.0),
        (&["busy\n"], 3, false, 3.0, 0.0),
    ];
    for (answers, most, good, attempts, first) in ROWS {
        let (target, seen) = answering(answers, false).await;
        let outcome = probe(&format!("{GREETING}\nattempts: {most}"), &target).await;
        let lines = log(&outcome).join("\n");
        assert_eq!(outcome.success, good, "{lines}");
        assert_eq!(told(&outcome), (Some(attempts), Some(first)), "{lines}");
        assert_eq!(seen.load(Ordering::Relaxed) as f64, attempts);
        assert_eq!(outcome.timeline.hops.len() as f64, attempts);
        let failures = lines.matches("Attempt failed, the probe is made again").count();
        assert_eq!(failures as f64, attempts - 1.0, "{lines}");
        assert_eq!(outcome.failure.is_none(), good);
        if attempts > 1.0 {
            let first = outcome.timeline.hops[0].shown().unwrap().into_owned();
            has(&first, ["attempt 1 failed: expect_mismatch"]);
            assert!(outcome.duration > Duration::from_millis(200));
        }
        // All else is that of the last attempt.
        let failed = outcome.samples.value(Metric::FailedDueToRegex);
        assert_eq!(failed, Some(f64::from(u8::from(!good))));
    }
}

/// A body of an earlier attempt is not the last one's.
#[tokio::test]
async fn the_body_is_that_of_the_last_attempt() {
    const UNAVAILABLE: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nfirst";
    let yaml = "prober: http\nhttp: {include_response_body: true}\nattempts: 2";
    for (answers, body) in [
        (&[UNAVAILABLE, "nonsense\n"][..], None),
        (&[UNAVAILABLE], Some("first")),
    ] {
        let (address, _) = answering(answers, true).await;
        let outcome = probe(yaml, &format!("http://{address}/")).await;
        assert_eq!(told(&outcome).0, Some(2.0));
        let got = outcome.body.as_ref().map(|body| body.text.as_str());
        assert_eq!(got, body, "{:#?}", log(&outcome));
    }
}

#[tokio::test]
async fn without_the_field_nothing_is_made_again_or_told() {
    let (target, seen) = answering(&["busy\n", "ready\n"], false).await;
    for more in ["", "\nattempts: 1"] {
        let outcome = probe(&format!("{GREETING}{more}"), &target).await;
        assert_eq!(outcome.success, !more.is_empty());
        assert_eq!(told(&outcome), (None, None));
        lacks(exposition(&outcome), ["attempt"]);
    }
    assert_eq!(seen.load(Ordering::Relaxed), 2);
}

/// Each attempt has its share, and all of them end with the probe's time.
#[tokio::test]
async fn one_deadline_holds_for_all() {
    let (target, seen) = answering(&[""], false).await;
    let yaml = GREETING.replace("20s", "3s");
    let outcome = probe(&format!("{yaml}\nattempts: 3"), &target).await;
    assert!(!outcome.success);
    assert_eq!(outcome.failure.unwrap().reason, Reason::ExpectTimeout);
    assert_eq!((told(&outcome).0, seen.load(Ordering::Relaxed)), (Some(3.0), 3));
    let seconds = outcome.duration.as_secs_f64();
    assert!((2.9..10.0).contains(&seconds), "{seconds}");
    // The second one answers, where a single attempt would have waited for the first.
    let (target, _) = answering(&["", "ready\n"], false).await;
    let outcome = probe(&format!("{yaml}\nattempts: 2"), &target).await;
    assert!(outcome.success, "{:#?}", log(&outcome));
    assert_eq!(told(&outcome), (Some(2.0), Some(0.0)));
}

#[tokio::test]
async fn what_cannot_pass_is_not_tried_again() {
    let outcome = probe("prober: tcp\nattempts: 5", "127.0.0.1").await;
    assert_eq!(outcome.failure.unwrap().reason, Reason::ConfigError);
    assert_eq!(told(&outcome), (Some(1.0), Some(0.0)));
    let config = "modules: {m: {prober: http, attempts: 5}}\npolicy: {deny: {networks: [127.0.0.1]}}\n";
    let exporter = Exporter::start(config, &[]).await;
    let answer = exporter.get("/probe?module=m&target=http://127.0.0.1/").await;
    has(answer.text(), ["\nprobe_attempts 1\n"]);
}

#[tokio::test]
async fn every_prober_can() {
    const HTTP: [&str; 2] = [
        "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ];
    let (site, _) = answering(&HTTP, true).await;
    let asked = Arc::<AtomicUsize>::default();
    let server = udp_server(move |query| {
        let rcode = if asked.fetch_add(1, Ordering::Relaxed) == 0 {
            2
        } else {
            0
        };
        vec![reply(query, rcode, [0, 0, 0], &[])]
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    spawn(async move {
        for answer in ["busy\n", "ready\n"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    for (module, target) in [
        ("prober: http".to_owned(), format!("http://{site}/")),
        (
            "prober: dns\ndns: {query_name: a.test}".to_owned(),
            server.to_string(),
        ),
        (GREETING.replace("tcp", "unix"), path.to_str().unwrap().to_owned()),
    ] {
        let outcome = probe(&format!("{module}\nattempts: 3"), &target).await;
        let lines = log(&outcome).join("\n");
        assert!(outcome.success, "{module}: {lines}");
        assert_eq!(told(&outcome), (Some(2.0), Some(0.0)), "{module}: {lines}");
    }
    // The peers of these are not there: it is enough that they come back.
    for module in ["grpc", "websocket", "icmp"] {
        let target = match module {
            "websocket" => "ws://127.0.0.1:1/",
            "icmp" => "no-such-host.invalid",
            _ => "127.0.0.1:1",
        };
        let outcome = probe(&format!("prober: {module}\nattempts: 2\ntimeout: 20s"), target).await;
        assert_eq!(
            told(&outcome),
            (Some(2.0), Some(0.0)),
            "{module}: {:#?}",
            log(&outcome)
        );
    }
}

#[test]
fn it_is_read_printed_and_judged() {
    let parsed = config::parse("modules: {m: {prober: icmp, attempts: 3}}");
    assert_eq!(parsed.problems, []);
    has(config::write::config(&parsed.config), ["attempts: 3"]);
    for attempts in [0, -1, 11] {
        let text = format!("modules:\n  m: {{prober: tcp, attempts: {attempts}}}\n");
        let parsed = config::parse(&text);
        let want = format!("\"attempts\" is {attempts}, not between 1 and 10");
        assert_eq!(parsed.problems[0].message, want);
    }
    // The packets of one attempt must fit into its share.
    let text = "modules:\n  m: {prober: icmp, timeout: 2s, attempts: 3, icmp: {count: 5}}\n";
    assert_eq!(config::parse(text).warnings.len(), 1);
}
