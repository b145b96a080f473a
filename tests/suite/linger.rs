//! `linger: 0`: connections of the tcp prober end with a reset, unless what was sent last might be lost by it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use blackbox_exporter::config::{self, Prober, QueryResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::has;
use crate::support::peer::listen;
use crate::support::probing::{PATIENT, expect, log_of, run, say};
use crate::support::tls_peer::Identity;

/// What came of one connection: all that was received, and its end.
type Ending = (Vec<u8>, io::Result<()>);

/// Greets everybody with this, responds to each piece with a line, and tells how each connection ended.
async fn host(greeting: &'static str, answers: bool) -> (SocketAddr, mpsc::UnboundedReceiver<Ending>) {
    let (sender, endings) = mpsc::unbounded_channel();
    let serve = move |mut stream: TcpStream| {
        let sender = sender.clone();
        async move {
            let mut all = Vec::new();
            let mut piece = [0; 1024];
            // Whichever call comes first after a reset fails of it, and no other.
            let mut said = stream.write_all(greeting.as_bytes()).await;
            let end = loop {
                if said.is_err() {
                    break said;
                }
                match stream.read(&mut piece).await {
                    Ok(0) => break Ok(()),
                    Ok(bytes) => all.extend(&piece[..bytes]),
                    Err(error) => break Err(error),
                }
                if answers {
                    said = stream.write_all(b"PONG\n").await;
                }
            };
            let _ = sender.send((all, end));
        }
    };
    (listen(serve).await, endings)
}

fn module(steps: Vec<QueryResponse>, linger: Option<i64>) -> config::Module {
    let mut module = config::Module::new(Prober::Tcp);
    module.tcp.query_response = steps;
    module.tcp.linger = linger;
    module
}

/// How the next connection ended.
async fn ending(endings: &mut mpsc::UnboundedReceiver<Ending>) -> (Vec<u8>, bool) {
    let (all, end) = tokio::time::timeout(PATIENT, endings.recv())
        .await
        .unwrap()
        .unwrap();
    match end {
        Ok(()) => (all, false),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
            (all, true)
        }
    }
}

#[tokio::test]
async fn connections_are_reset_unless_something_may_be_lost() {
    let talk = || vec![expect("^ready$"), say("PING"), expect("^PONG$")];
    let long = "x".repeat(200_000);
    let rows: Vec<(&str, Vec<QueryResponse>, Vec<u8>, bool)> = vec![
        ("nothing is said", vec![], vec![], true),
        ("the peer greets", vec![expect("^ready$")], vec![], true),
        ("the peer had the last word", talk(), b"PING\n".to_vec(), true),
        (
            "the probe had the last word",
            [talk(), vec![say("QUIT")]].concat(),
            b"PING\nQUIT\n".to_vec(),
            false,
        ),
        (
            "much was said",
            vec![expect("^ready$"), say(&long)],
            format!("{long}\n").into_bytes(),
            false,
        ),
    ];
    for (name, steps, received, resets) in rows {
        let (address, mut endings) = host("ready\n", name != "much was said").await;
        let outcome = run(module(steps.clone(), Some(0)), &address.to_string(), PATIENT).await;
        assert!(outcome.success, "{name}: {}", log_of(&outcome));
        let (all, was_reset) = ending(&mut endings).await;
        assert_eq!((all.len(), was_reset), (received.len(), resets), "{name}");
        assert!(all == received, "{name}");
    }
    // Without it, the end is orderly.
    let (address, mut endings) = host("", true).await;
    let outcome = run(module(vec![], None), &address.to_string(), PATIENT).await;
    assert!(outcome.success);
    assert_eq!(ending(&mut endings).await, (vec![], false));
}

#[tokio::test]
async fn every_connect_of_several_is_reset() {
    let (address, mut endings) = host("", false).await;
    let mut module = module(vec![], Some(0));
    (module.tcp.repeat.count, module.tcp.repeat.interval) = (4, 1_000_000);
    let outcome = run(module, &address.to_string(), PATIENT).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    for _ in 0..4 {
        assert_eq!(ending(&mut endings).await, (vec![], true));
    }
}

/// A session of TLS ends as the protocol wants it.
#[tokio::test]
async fn tls_says_goodbye() {
    let identity = Arc::new(Identity::local());
    let (address, mut ends) = identity.part("x", b"hello\n".to_vec()).await;
    let mut module = module(vec![say("x"), expect("^hello$")], Some(0));
    module.tcp.tls = true;
    module.tcp.tls_config.ca = identity.authority.clone();
    let outcome = run(module, &address.to_string(), PATIENT).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    let end = tokio::time::timeout(PATIENT, ends.recv()).await.unwrap().unwrap();
    assert_eq!(end.unwrap(), 0);
}

/// A deadline that ends a probe in the middle of its words does not take them back.
#[tokio::test]
async fn a_probe_that_is_cut_off_loses_nothing() {
    let (address, mut endings) = host("", false).await;
    let steps = vec![say("HELO"), expect("never")];
    let outcome = run(
        module(steps, Some(0)),
        &address.to_string(),
        Duration::from_millis(200),
    )
    .await;
    assert!(!outcome.success);
    assert_eq!(ending(&mut endings).await, (b"HELO\n".to_vec(), false));
}

#[test]
fn only_nought_is_allowed() {
    let parsed = config::parse("modules:\n  m: {prober: tcp, tcp: {linger: 5}}\n");
    assert!(
        parsed.problems[0].message.contains("can only be 0"),
        "{:?}",
        parsed.problems
    );
    let parsed = config::parse("modules:\n  m: {prober: tcp, tcp: {linger: 0}}\n");
    assert_eq!(parsed.problems, []);
    has(config::write::config(&parsed.config), ["linger: 0"]);
}
