//! Dialogues that go on in TLS, or are in TLS from the beginning.

use blackbox_exporter::config::{self, Prober, QueryResponse};
use blackbox_exporter::metrics::Metric;

use crate::support::has;
use crate::support::peer::{Move, send};
use crate::support::probing::{PATIENT, expect_info, log_of, run};
use crate::support::tls_peer::Identity;

fn step(expect: &str, say: &str) -> QueryResponse {
    QueryResponse {
        expect: Some(expect.to_owned()).filter(|e| !e.is_empty()),
        send: say.into(),
        ..QueryResponse::default()
    }
}

fn starttls() -> QueryResponse {
    QueryResponse {
        starttls: true,
        ..QueryResponse::default()
    }
}

fn tcp(identity: &Identity, steps: Vec<QueryResponse>) -> config::Module {
    let mut module = config::Module::new(Prober::Tcp);
    module.tcp.query_response = steps;
    module.tcp.tls_config.ca.clone_from(&identity.authority);
    module
}

#[tokio::test]
async fn smtp_goes_on_in_tls() {
    use Move::ReadLine;
    let identity = Identity::local();
    let outside = vec![
        send("220 mail.test ESMTP server\r\n"),
        ReadLine,
        send("250-mail.test\r\n250-STARTTLS\r\n250 HELP\r\n"),
        ReadLine,
        send("220 2.0.0 Ready\r\n"),
    ];
    let inside = vec![
        ReadLine,
        send("250-mail.test\r\n250-AUTH PLAIN\r\n250 HELP\r\n"),
        ReadLine,
        send("221 bye\r\n"),
    ];
    let (address, server) = identity.play(outside, inside).await;
    let mut banner = step("^220 ([^ ]+) ESMTP (.+)$", "EHLO prober\r");
    banner.labels = Some(vec![config::Label {
        name: "host".into(),
        value: "$1".into(),
    }]);
    let steps = vec![
        banner,
        step("^250-STARTTLS", "STARTTLS\r"),
        step("^220", ""),
        starttls(),
        step("", "EHLO prober\r"),
        step("^250-AUTH", "QUIT\r"),
        step("^221", ""),
    ];
    let outcome = run(tcp(&identity, steps), &address.to_string(), PATIENT).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    let (before, after) = server.await.unwrap();
    assert_eq!(before, b"EHLO prober\r\nSTARTTLS\r\n");
    assert_eq!(after, b"EHLO prober\r\nQUIT\r\n");
    assert_eq!(expect_info(&outcome), ["host=mail.test"]);
    assert!(outcome.samples.value(Metric::SslEarliestCertExpiry).is_some());
}

#[tokio::test]
async fn lines_from_before_the_handshake_do_not_count_after_it() {
    let identity = Identity::local();
    let mut ready = step("^220", "");
    ready.starttls = true;
    let (address, _server) = identity
        .play(
            vec![send("220 go\r\n250 injected\r\n")],
            vec![send("250 inside\r\n")],
        )
        .await;
    let mut said = step("^250 (.*)$", "");
    said.labels = Some(vec![config::Label {
        name: "said".into(),
        value: "$1".into(),
    }]);
    let outcome = run(tcp(&identity, vec![ready, said]), &address.to_string(), PATIENT).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    assert_eq!(expect_info(&outcome), ["said=inside"]);
}

/// compat: upstream crashes in all of these.
#[tokio::test]
async fn tls_inside_tls_is_refused() {
    let identity = Identity::local();
    let mut from_the_start = tcp(&identity, vec![starttls()]);
    from_the_start.tcp.tls = true;
    let twice = tcp(&identity, vec![starttls(), starttls()]);
    for module in [from_the_start, twice] {
        let (address, _server) = identity.play(vec![], vec![]).await;
        let outcome = run(module, &address.to_string(), PATIENT).await;
        assert!(!outcome.success);
        let log = log_of(&outcome);
        has(&log, ["TLS Handshake (client) failed", "in TLS already"]);
        assert!(outcome.samples.value(Metric::SslEarliestCertExpiry).is_some());
    }
}

/// compat: upstream crashes.
#[tokio::test]
async fn unix_without_its_authority_fails_with_its_reason() {
    let mut module = config::Module::new(Prober::Unix);
    module.unix.tls = true;
    module.unix.tls_config.ca_file = "/nowhere/ca.pem".into();
    let outcome = run(module, "/nowhere/at.sock", PATIENT).await;
    let log = log_of(&outcome);
    assert!(!outcome.success);
    has(&log, ["Error creating TLS configuration", "/nowhere/ca.pem"]);
}

#[tokio::test]
async fn a_dialogue_in_tls_from_the_start() {
    let identity = Identity::local();
    let (address, server) = identity
        .play(vec![], vec![send("ready\n"), Move::ReadLine, send("\x00\x01")])
        .await;
    let mut exact = step("", "");
    exact.expect_bytes = b"\x00\x01".to_vec();
    let mut module = tcp(&identity, vec![step("^ready$", "go"), exact]);
    module.tcp.tls = true;
    let target = format!("localhost:{}", address.port());
    module.tcp.preferred_ip_protocol = "ip4".into();
    let outcome = run(module, &target, PATIENT).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    assert_eq!(server.await.unwrap().1, b"go\n");
}

#[tokio::test]
async fn a_refused_certificate_leaves_its_facts() {
    let (identity, other) = (Identity::local(), Identity::local());
    let (address, _server) = identity.play(vec![], vec![]).await;
    let outcome = run(tcp(&other, vec![starttls()]), &address.to_string(), PATIENT).await;
    assert!(!outcome.success);
    assert!(outcome.samples.value(Metric::SslEarliestCertExpiry).is_some());
    has(log_of(&outcome), ["certificate signed by unknown authority"]);
}
