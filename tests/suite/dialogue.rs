//! `query_response` of the tcp and unix probers against scripted peers.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use blackbox_exporter::carried;
use blackbox_exporter::config::{self, Label, Prober, QueryResponse};
use blackbox_exporter::metrics::Metric;
use blackbox_exporter::net::Network;
use blackbox_exporter::net::policy::Policy;
use blackbox_exporter::prober::{self, Outcome, ProbeRequest};

use crate::support::peer::{Move, Peer, listen, send};
use crate::support::probing::{PATIENT, compile, expect, expect_info, log_of, run, say};
use crate::support::{has, spawn};

fn bytes(bytes: &[u8]) -> QueryResponse {
    QueryResponse {
        expect_bytes: bytes.to_vec(),
        ..QueryResponse::default()
    }
}

fn labelled(regexp: &str, labels: &[(&str, &str)]) -> QueryResponse {
    let labels = labels.iter().map(|(name, value)| Label {
        name: (*name).into(),
        value: (*value).into(),
    });
    QueryResponse {
        labels: Some(labels.collect()),
        ..expect(regexp)
    }
}

fn answering(step: QueryResponse, text: &str) -> QueryResponse {
    QueryResponse {
        send: text.into(),
        ..step
    }
}

fn tcp(steps: Vec<QueryResponse>) -> config::Module {
    let mut module = config::Module::new(Prober::Tcp);
    module.tcp.query_response = steps;
    module
}

async fn talk(steps: Vec<QueryResponse>, moves: Vec<Move>) -> (Outcome, Vec<u8>) {
    let peer = Peer::play(moves).await;
    let outcome = run(tcp(steps), &peer.target(), PATIENT).await;
    (outcome, peer.received().await)
}

#[tokio::test]
async fn whole_conversations() {
    use Move::{Close, Read, ReadLine};
    type Row = (&'static str, Vec<QueryResponse>, Vec<Move>, &'static [u8]);
    let rows: Vec<Row> = vec![
        ("nothing", vec![], vec![send("220 hello\r\n")], b""),
        (
            "irc",
            vec![
                say("NICK prober"),
                answering(expect("PING :([^ ]+)"), "PONG ${1}"),
                expect("^:[^ ]+ 001"),
            ],
            vec![
                send(":irc NOTICE AUTH :*** Looking up\r\n"),
                ReadLine,
                send("PING :42.irc\r\n"),
                ReadLine,
                send(":irc 001 prober :Welcome\r\n"),
            ],
            b"NICK prober\nPONG 42.irc\n",
        ),
        (
            "ftp",
            vec![
                expect("^220[ -]"),
                say("USER anonymous\r"),
                expect("^331"),
                say("QUIT\r"),
                expect("^221"),
            ],
            vec![
                send("220-Welcome\r\n220 ftp\r\n"),
                ReadLine,
                send("331 password?\r\n"),
                ReadLine,
                send("221 bye\r\n"),
                Close,
            ],
            b"USER anonymous\r\nQUIT\r\n",
        ),
        (
            "pop3",
            vec![expect(r"^\+OK (.*)$"), say("QUIT\r"), expect(r"^\+OK")],
            vec![
                send("+OK ready <1.2@mail>\r\n"),
                ReadLine,
                send("+OK bye\r\n"),
                Close,
            ],
            b"QUIT\r\n",
        ),
        (
            "imap",
            vec![
                expect(r"^\* OK"),
                say("a1 LOGOUT\r"),
                expect(r"^\* BYE"),
                expect("^a1 OK"),
            ],
            vec![
                send("* OK ready\r\n"),
                ReadLine,
                send("* BYE out\r\na1 OK done\r\n"),
                Close,
            ],
            b"a1 LOGOUT\r\n",
        ),
        (
            "postgresql",
            vec![
                QueryResponse {
                    send: b"\x00\x00\x00\x08\x04\xd2\x16\x2f".to_vec(),
                    ..QueryResponse::default()
                },
                bytes(b"S"),
            ],
            vec![Read(9), send("S")],
            b"\x00\x00\x00\x08\x04\xd2\x16\x2f\n",
        ),
        (
            "zookeeper, without a line end",
            vec![say("ruok"), expect("^imok$")],
            vec![ReadLine, send("imok"), Close],
            b"ruok\n",
        ),
        (
            "bytes around a line",
            vec![
                bytes(b"\x00\xff"),
                expect("^one (.)$"),
                bytes(b"two"),
                expect("^$"),
            ],
            vec![send(b"\x00\xffone \xfe\r\ntwo\n")],
            b"",
        ),
        (
            "everything in one step",
            vec![answering(
                QueryResponse {
                    expect_bytes: b"ok".to_vec(),
                    ..expect("^(.*)!$")
                },
                "<$1>",
            )],
            vec![send(b"caf\xe9!\nok"), ReadLine],
            b"<caf\xe9>\n",
        ),
        (
            "nothing to expand without a match",
            vec![say("$1 ${2} $$")],
            vec![ReadLine],
            b"$1 ${2} $$\n",
        ),
        (
            "an empty expansion sends nothing",
            vec![answering(expect("(x)?"), "$1"), say("end")],
            vec![send("a\n"), ReadLine],
            b"end\n",
        ),
    ];
    for (name, steps, moves, want) in rows {
        let (outcome, received) = talk(steps, moves).await;
        assert!(outcome.success, "{name}: {}", log_of(&outcome));
        assert_eq!(
            received.escape_ascii().to_string(),
            want.escape_ascii().to_string(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_fails_and_how() {
    use Move::Close;
    let long = "x".repeat(65_535);
    let rows: Vec<(&str, Vec<QueryResponse>, Vec<Move>, &str, f64, f64)> = vec![
        (
            "no line matches",
            vec![expect("^220")],
            vec![send("500 no\r\n501"), Close],
            "Regexp did not match",
            1.0,
            0.0,
        ),
        (
            "nothing comes",
            vec![expect("")],
            vec![Close],
            "Regexp did not match",
            1.0,
            0.0,
        ),
        (
            "one line for two steps",
            vec![expect("one"), expect("one")],
            vec![send("one\n"), Close],
            "Regexp did not match",
            1.0,
            0.0,
        ),
        (
            "wrong bytes",
            vec![bytes(b"PONG")],
            vec![send("PING")],
            "Bytes did not match",
            0.0,
            1.0,
        ),
        (
            "no bytes",
            vec![bytes(b"PONG")],
            vec![Close],
            "Error reading from connection",
            0.0,
            0.0,
        ),
        (
            "too few bytes",
            vec![bytes(b"PONG")],
            vec![send("PO"), Close],
            "Read less data than expected",
            0.0,
            0.0,
        ),
        (
            "a line too long",
            vec![expect("^x")],
            vec![send(&long), send("y\n")],
            "Error reading from connection",
            0.0,
            0.0,
        ),
        (
            "a line without end",
            vec![expect("^x")],
            vec![Move::Forever(vec![b'x'; 65_536])],
            "Error reading from connection",
            0.0,
            0.0,
        ),
        (
            "a reset",
            vec![expect("one"), expect("two")],
            vec![send("one\n"), Move::Pause(Duration::from_millis(50)), Move::Reset],
            "Error reading from connection",
            0.0,
            0.0,
        ),
    ];
    for (name, steps, moves, message, regex, exact) in rows {
        let (outcome, _) = talk(steps, moves).await;
        let log = log_of(&outcome);
        assert!(!outcome.success, "{name}");
        assert!(log.contains(message), "{name}: {log}");
        assert_eq!(
            outcome.samples.value(Metric::FailedDueToRegex),
            Some(regex),
            "{name}"
        );
        assert_eq!(
            outcome.samples.value(Metric::FailedDueToBytes),
            Some(exact),
            "{name}"
        );
    }
    let (outcome, _) = talk(vec![expect("^x+$")], vec![send(&long), send("\n")]).await;
    assert!(outcome.success, "the longest line: {}", log_of(&outcome));
}

/// compat: upstream takes what one read gives, and does not see what came together with a line.
#[tokio::test]
async fn bytes_are_awaited_and_found_behind_a_line() {
    let moves = vec![
        send("hello\nPO"),
        Move::Pause(Duration::from_millis(50)),
        send("NG"),
    ];
    let (outcome, _) = talk(vec![expect("^hello$"), bytes(b"PONG")], moves).await;
    assert!(outcome.success, "{}", log_of(&outcome));
}

/// compat: upstream crashes on a second step with labels, and on values that are not UTF-8.
#[tokio::test]
async fn labels_of_several_steps_are_merged() {
    let steps = vec![
        labelled("^(.)(.)$", &[("b", "$1"), ("a-b", "${2}!"), ("c", "<$9>")]),
        labelled("^(.*)$", &[("b", "$1"), ("d", "x")]),
        expect("never"),
    ];
    let (outcome, _) = talk(steps, vec![send(b"pq\n\xff\n"), Move::Close]).await;
    assert!(!outcome.success);
    assert_eq!(expect_info(&outcome), ["a-b=q!", "b=\u{fffd}", "c=<>", "d=x"]);
}

#[tokio::test]
async fn every_byte_may_be_the_last() {
    const TALK: &[u8] = b"220 ready\r\n\x00\x01OK done\r\n";
    let steps = || vec![expect("^220"), say("go"), bytes(b"\x00\x01"), expect("^OK done$")];
    for cut in 0..=TALK.len() {
        for end in [Move::Close, Move::Reset] {
            let closes = matches!(end, Move::Close);
            let mut moves = vec![send(&TALK[..cut])];
            if cut > "220 ready\r\n".len() {
                // What was not read would turn a close into a reset.
                moves.push(Move::ReadLine);
            }
            moves.extend([Move::Pause(Duration::from_millis(3)), end]);
            let peer = Peer::play(moves).await;
            let outcome = run(tcp(steps()), &peer.target(), PATIENT).await;
            // Closed in an orderly way, a last line counts without its end.
            let enough = if closes { TALK.len() - 2 } else { TALK.len() };
            if cut < enough {
                assert!(!outcome.success, "{cut}: {}", log_of(&outcome));
            } else if closes {
                assert!(outcome.success, "{cut}: {}", log_of(&outcome));
            }
        }
    }
}

#[tokio::test]
async fn a_trickle_is_a_line_in_the_end() {
    let steps = vec![
        expect("^220 slow$"),
        say("go"),
        bytes(b"\x00\x01"),
        expect("^OK$"),
    ];
    let (outcome, received) = talk(
        steps,
        vec![
            Move::Trickle(b"hello\n220 slow\r\n\x00".to_vec()),
            Move::ReadLine,
            Move::Trickle(b"\x01OK\n".to_vec()),
        ],
    )
    .await;
    assert!(outcome.success, "{}", log_of(&outcome));
    assert_eq!(received, b"go\n");
}

#[tokio::test]
async fn the_deadline_ends_every_wait() {
    let short = Duration::from_millis(200);
    for (name, step) in [("line", expect("x")), ("bytes", bytes(b"x"))] {
        let peer = Peer::play(vec![]).await;
        let outcome = run(tcp(vec![step]), &peer.target(), short).await;
        assert!(!outcome.success, "{name}");
        let log = log_of(&outcome);
        assert!(log.contains("Error reading from connection"), "{name}: {log}");
        assert!(log.contains("timeout"), "{name}: {log}");
        assert!(outcome.duration >= short, "{name}");
        assert!(outcome.duration < PATIENT, "{name}");
    }
}

/// compat: upstream never looks at a line that is not ended when the time is over.
#[tokio::test]
async fn an_unfinished_line_is_judged_at_the_deadline() {
    let short = Duration::from_millis(200);
    for (regexp, success) in [("^login: $", true), ("^password", false)] {
        let peer = Peer::play(vec![send("hello\nlogin: ")]).await;
        let outcome = run(tcp(vec![expect(regexp)]), &peer.target(), short).await;
        assert_eq!(outcome.success, success, "{regexp}: {}", log_of(&outcome));
    }
}

#[tokio::test]
async fn dialling_fails_with_what_and_where() {
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let mut foreign = tcp(vec![]);
    foreign.tcp.source_ip_address = "any".into();
    let mut mapped = tcp(vec![]);
    mapped.tcp.source_ip_address = "::ffff:127.0.0.1".into();
    #[rustfmt::skip]
    let rows = [
        (tcp(vec![]), nobody.as_str(), vec!["Error dialing TCP", &nobody, "refused"]),
        (tcp(vec![]), "127.0.0.1", vec!["Error splitting target address and port", "missing port in address"]),
        (tcp(vec![]), "127.0.0.1:nosuch", vec!["Error dialing TCP", "unknown port"]),
        (foreign, nobody.as_str(), vec!["Error parsing source ip address", "any"]),
        (mapped, nobody.as_str(), vec![r#"Using local address srcIP="127.0.0.1""#]),
    ];
    for (module, target, words) in rows {
        let outcome = run(module, target, PATIENT).await;
        let log = log_of(&outcome);
        assert!(!outcome.success);
        for word in words {
            assert!(log.contains(word), "{word} in {log}");
        }
        assert_eq!(
            outcome.samples.value(Metric::FailedDueToRegex),
            None,
            "{target}: not before the dialogue"
        );
    }
}

#[tokio::test]
async fn unix_sockets_by_path_and_by_abstract_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &[u8]| [folder.path().as_os_str().as_bytes(), b"/", name].concat();
    let name = |rest: &[u8]| [format!("@blackbox-test-{}", std::process::id()).as_bytes(), rest].concat();
    for target in [path(b"talk.sock"), path(b"t\xff.sock"), name(b""), name(b"\xff")] {
        let bind = match target.strip_prefix(b"@") {
            Some(name) => [b"\0", name].concat(),
            None => target.clone(),
        };
        let target = carried::text(&target);
        let listener = tokio::net::UnixListener::bind(OsStr::from_bytes(&bind)).unwrap();
        let peer = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            for one in [send("hello you\n"), Move::ReadLine] {
                crate::support::peer::perform(&mut stream, one, &mut received).await;
            }
            received
        });
        let mut module = config::Module::new(Prober::Unix);
        module.unix.query_response = vec![answering(labelled(r"^(\w+) (\w+)$", &[("who", "$2")]), "bye $2")];
        let outcome = run(module, &target, PATIENT).await;
        assert!(outcome.success, "{target}: {}", log_of(&outcome));
        assert_eq!(peer.await.unwrap(), b"bye you\n");
        assert_eq!(expect_info(&outcome), ["who=you"]);
        assert_eq!(outcome.samples.value(Metric::IpProtocol), None);
    }
    let mut long = folder.path().to_str().unwrap().to_owned();
    long.push_str(&"/x".repeat(60));
    for target in [long.as_str(), "/nowhere/at.sock", "@nobody-has-this"] {
        let outcome = run(config::Module::new(Prober::Unix), target, PATIENT).await;
        let log = log_of(&outcome);
        has(&log, ["Error dialing unix", target]);
    }
    // Upstream cuts the path at the NUL.
    let path = path(b"there.sock");
    let _listener = tokio::net::UnixListener::bind(OsStr::from_bytes(&path)).unwrap();
    let target = carried::text(&[&path, &b"\0x"[..]].concat()).into_owned();
    let outcome = run(config::Module::new(Prober::Unix), &target, PATIENT).await;
    has(log_of(&outcome), ["Error dialing unix"]);
}

#[tokio::test]
async fn several_connects_are_counted_and_one_is_talked_over() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let serve = spawn(async move {
        let mut accepted = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // Writing fails when the peer has closed already.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"hello\n").await;
            accepted.push(stream);
        }
    });
    let mut module = tcp(vec![expect("hello")]);
    (module.tcp.repeat.count, module.tcp.repeat.interval) = (3, 5_000_000);
    let outcome = run(module.clone(), &target, PATIENT).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    let value = |outcome: &Outcome, metric| outcome.samples.value(metric);
    let counts = [
        Metric::TcpPacketsSent,
        Metric::TcpPacketsReceived,
        Metric::TcpPacketLoss,
    ];
    assert_eq!(
        counts.map(|m| value(&outcome, m)),
        [Some(3.0), Some(3.0), Some(0.0)]
    );
    assert!(value(&outcome, Metric::TcpRttMin) <= value(&outcome, Metric::TcpRttMax));
    serve.abort();
    let _ = serve.await;
    let outcome = run(module, &target, PATIENT).await;
    assert_eq!(
        counts.map(|m| value(&outcome, m)),
        [Some(3.0), Some(0.0), Some(1.0)]
    );
    let log = log_of(&outcome);
    assert!(!outcome.success && log.contains("connection refused"), "{log}");
    let plain = run(tcp(vec![]), &target, PATIENT).await;
    assert_eq!(counts.map(|m| value(&plain, m)), [None; 3]);
}

/// Connects for which there is no time are neither sent nor lost, nor are those that nobody may make.
#[tokio::test]
async fn connects_that_were_not_tried_do_not_count() {
    let made = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&made);
    let address = listen(move |mut stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"hello\n").await;
        }
    })
    .await;
    let counts = |outcome: &Outcome| {
        let metrics = [
            Metric::TcpPacketsSent,
            Metric::TcpPacketsReceived,
            Metric::TcpPacketLoss,
        ];
        metrics.map(|metric| outcome.samples.value(metric))
    };
    let mut module = tcp(vec![expect("hello")]);
    (module.tcp.repeat.count, module.tcp.repeat.interval) = (3, 1_200_000_000);
    let outcome = run(module.clone(), &address.to_string(), Duration::from_secs(2)).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    assert_eq!(counts(&outcome), [Some(2.0), Some(2.0), Some(0.0)]);
    assert_eq!(made.load(Ordering::Relaxed), 2);
    for target in ["127.0.0.1:no-such-service", "127.0.0.1:9"] {
        let denied = "policy: {deny: {ports: [9]}}\nmodules: {}\n";
        let rules = blackbox_exporter::module::parse(denied, "test.yml").unwrap();
        let network = Network::governed_by(Policy::of(rules.config.policy.clone()));
        let request = ProbeRequest {
            target,
            hostname: None,
            timeout: PATIENT,
        };
        let outcome = prober::run(&network, &compile(module.clone()), request).await;
        assert_eq!(
            counts(&outcome),
            [Some(0.0), Some(0.0), None],
            "{}",
            log_of(&outcome)
        );
    }
}
