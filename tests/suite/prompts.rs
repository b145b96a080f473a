//! `prompt: true` in `query_response`: text that no newline ends is matched as soon as it came.

use std::time::Duration;

use blackbox_exporter::config::{self, Prober, QueryResponse};
use blackbox_exporter::metrics::Metric;
use blackbox_exporter::prober::Outcome;

use crate::support::peer::{Move, Peer, perform, send};
use crate::support::probing::{PATIENT, log_of, run};
use crate::support::tls_peer::Identity;
use crate::support::{has, spawn};

/// Much longer than a dialogue takes, much shorter than the timeout that a prompt must not wait for.
const AT_ONCE: Duration = Duration::from_secs(15);

fn prompt(regexp: &str, answer: &str) -> QueryResponse {
    QueryResponse {
        expect: Some(regexp.into()),
        prompt: true,
        send: answer.into(),
        ..QueryResponse::default()
    }
}

fn line(regexp: &str, answer: &str) -> QueryResponse {
    QueryResponse {
        prompt: false,
        ..prompt(regexp, answer)
    }
}

/// A login as telnet servers, routers and terminal servers ask for it.
fn login() -> Vec<QueryResponse> {
    vec![
        prompt("^login: $", "probe"),
        prompt("^Password: ?$", "hush"),
        line("^Welcome", ""),
        prompt("^router[>#] $", "exit"),
        line("^bye$", ""),
    ]
}

/// The other side of it.
fn router() -> Vec<Move> {
    vec![
        send("Router 7\r\n\r\nlogin: "),
        Move::ReadLine,
        Move::Trickle(b"Password: ".to_vec()),
        Move::ReadLine,
        send("\r\nWelcome\r\nrouter"),
        Move::Pause(Duration::from_millis(20)),
        send("> "),
        Move::ReadLine,
        send("bye\r\n"),
    ]
}

const ANSWERS: &[u8] = b"probe\nhush\nexit\n";

fn tcp(steps: Vec<QueryResponse>) -> config::Module {
    let mut module = config::Module::new(Prober::Tcp);
    module.tcp.query_response = steps;
    module
}

fn is_good_and_quick(outcome: &Outcome) {
    assert!(outcome.success, "{}", log_of(outcome));
    assert!(outcome.duration < AT_ONCE, "{}", log_of(outcome));
    assert_eq!(outcome.samples.value(Metric::FailedDueToRegex), Some(0.0));
}

#[tokio::test]
async fn prompts_are_answered_at_once() {
    let peer = Peer::play(router()).await;
    let outcome = run(tcp(login()), &peer.target(), PATIENT).await;
    is_good_and_quick(&outcome);
    assert_eq!(peer.received().await, ANSWERS);
}

#[tokio::test]
async fn prompts_are_answered_at_once_in_tls() {
    let identity = Identity::local();
    let (address, peer) = identity.play(vec![], router()).await;
    let mut module = tcp(login());
    module.tcp.tls = true;
    module.tcp.tls_config.ca = identity.authority.clone();
    let outcome = run(module, &address.to_string(), PATIENT).await;
    is_good_and_quick(&outcome);
    assert_eq!(peer.await.unwrap().1, ANSWERS);
    // And in TLS that began in the middle.
    let (address, peer) = identity
        .play(vec![send("ready? "), Move::ReadLine], router())
        .await;
    let begin = QueryResponse {
        starttls: true,
        ..prompt(r"ready\? $", "yes")
    };
    let mut module = tcp([vec![begin], login()].concat());
    module.tcp.tls_config.ca = identity.authority.clone();
    let outcome = run(module, &address.to_string(), PATIENT).await;
    is_good_and_quick(&outcome);
    assert_eq!(peer.await.unwrap(), (b"yes\n".to_vec(), ANSWERS.to_vec()));
}

#[tokio::test]
async fn prompts_are_answered_at_once_on_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let peer = spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        for one in router() {
            assert!(perform(&mut stream, one, &mut received).await);
        }
        received
    });
    let mut module = config::Module::new(Prober::Unix);
    module.unix.query_response = login();
    let outcome = run(module, path.to_str().unwrap(), PATIENT).await;
    is_good_and_quick(&outcome);
    assert_eq!(peer.await.unwrap(), ANSWERS);
}

#[tokio::test]
async fn what_is_no_prompt_is_judged_by_the_line() {
    let long = format!("{}$ ", "x".repeat(4095));
    let rows: Vec<(&str, Vec<Move>, bool)> = vec![
        (
            "the line goes on",
            vec![send("login: soon\nx$ "), Move::Close],
            true,
        ),
        ("another prompt", vec![send("login: "), Move::Close], false),
        (
            "too long, and ended",
            vec![send(&long), send("\n"), Move::Close],
            true,
        ),
        ("the peer's end ends it", vec![send(&long), Move::Close], true),
    ];
    let steps = || vec![prompt(r"x\$ $", ""), line("^never$", "")];
    for (name, moves, good) in rows {
        let peer = Peer::play(moves).await;
        // The second step never succeeds; that the first one did shows in what the probe waits for.
        let outcome = run(tcp(steps()), &peer.target(), PATIENT).await;
        let passed = log_of(&outcome).contains("regexp=\"^never$\"");
        assert_eq!(passed, good, "{name}: {}", log_of(&outcome));
    }
    // Too long, and not ended: it is waited for.
    let peer = Peer::play(vec![send(&long)]).await;
    let outcome = run(tcp(steps()), &peer.target(), Duration::from_millis(200)).await;
    let log = log_of(&outcome);
    has(&log, ["waited for until the deadline"]);
}

#[tokio::test]
async fn without_it_the_probe_says_what_it_waited_for() {
    let peer = Peer::play(router()).await;
    let steps = vec![line("^login: $", "probe"), line("^Password: ?$", "")];
    let outcome = run(tcp(steps), &peer.target(), Duration::from_millis(300)).await;
    assert!(!outcome.success);
    let advice = outcome.advice.clone().unwrap();
    has(&advice, ["set prompt: true"]);
    has(log_of(&outcome), ["set prompt: true"]);
}

#[test]
fn it_needs_an_expression() {
    let parsed =
        config::parse("modules:\n  m: {prober: tcp, tcp: {query_response: [{send: a, prompt: true}]}}\n");
    assert_eq!(parsed.problems[0].message, "prompt has no effect without expect");
    let text = "modules:\n  m: {prober: unix, unix: {query_response: [{expect: a, prompt: true}]}}\n";
    let parsed = config::parse(text);
    assert_eq!(parsed.problems, []);
    has(config::write::config(&parsed.config), ["prompt: true"]);
}
