//! `ocsp` and `fail_if_cert_revoked`, against responders that answer what they are told to, and against OpenSSL's.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use blackbox_exporter::config::{self, Ocsp as Whom, Prober};
use blackbox_exporter::metrics::Metric;
use blackbox_exporter::net::Network;
use blackbox_exporter::prober::Outcome;
use blackbox_exporter::reason::Reason;
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::{denying, probe, probe_with_many_silent_authorities, probe_with_silent_authority, serve, tls};
use crate::http::site::read_request;
use crate::interim::endless;
use crate::support::pki::{self, Cert, Made, Ocsp, pem, tlv};
use crate::support::probing::{expect, log_of, say};
use crate::support::programs::{find, openssl, run};
use crate::support::{has, spawn};

const SERIAL: [u8; 2] = [0x12, 0x34];
const Y2020: f64 = 1_577_836_800.0;
const Y2050: f64 = 2_524_608_000.0;

/// Answers every request with the same response, and counts.
#[derive(Clone)]
struct Responder {
    address: SocketAddr,
    response: Arc<Mutex<(String, Vec<u8>)>>,
    asked: Arc<AtomicUsize>,
}

impl Responder {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let responder = Self {
            address: listener.local_addr().unwrap(),
            response: Arc::default(),
            asked: Arc::default(),
        };
        let server = responder.clone();
        spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let asked = read_request(&mut stream).await.unwrap();
                assert_eq!(asked.line(), "POST /ocsp HTTP/1.1");
                assert_eq!(asked.header("Content-Type"), Some("application/ocsp-request"));
                assert!(asked.body.ends_with(&tlv(2, &[&SERIAL])), "{:x?}", asked.body);
                server.asked.fetch_add(1, Ordering::Relaxed);
                let (status, body) = server.response.lock().unwrap().clone();
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&body).await;
            }
        });
        responder
    }

    fn say(&self, body: Vec<u8>) {
        *self.response.lock().unwrap() = ("200 OK".to_owned(), body);
    }

    fn url(&self) -> String {
        format!("http://{}/ocsp", self.address)
    }
}

/// A server that staples this.
async fn stapling(chain: &[&Made], response: Vec<u8>) -> String {
    let mut presented = pki::certified(chain);
    presented.ocsp = Some(response);
    let config = pki::server_config(presented, &[&TLS12, &TLS13]);
    pki::serve(config).await.to_string()
}

fn tcp(root: &Made, whom: Whom) -> config::Module {
    let mut raw = super::tcp(root);
    raw.revocation.ocsp = whom;
    raw
}

/// A responder, an authority, and a certificate that the responder is asked about.
async fn scene() -> (Responder, Made, Made) {
    let responder = Responder::start().await;
    let root = Cert::ca("Root").self_signed();
    let leaf = Cert::leaf()
        .serial(&SERIAL)
        .authority(&responder.url(), "")
        .by(&root);
    (responder, root, leaf)
}

fn value(outcome: &Outcome, metric: Metric) -> Option<f64> {
    outcome.samples.value(metric)
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn responses_are_judged_stapled_or_asked_for() {
    let (responder, root, leaf) = scene().await;
    let plain = serve(&[&leaf]).await;

    const SIGNING: &[&str] = &["1.3.6.1.5.5.7.3.9"];
    let other = Cert::ca("Root").self_signed();
    let delegate = Cert::bare("Responder").purposes(SIGNING).by(&root);
    let unfit = Cert::bare("Responder").purposes(&["1.3.6.1.5.5.7.3.1"]).by(&root);
    let over = Cert::bare("Responder")
        .purposes(SIGNING)
        .years(2020, 2021)
        .by(&root);
    let strange = Cert::bare("Responder").purposes(SIGNING).by(&other);
    let critical = Cert::bare("Responder")
        .purposes(SIGNING)
        .extension("1.2.3.4", true, &[5, 0])
        .by(&root);
    let good = Ocsp::of(&SERIAL, "good");
    let damaged = |at: usize| {
        let mut response = good.by(&root, &root);
        let end = response.len() - at;
        response[end] ^= 1;
        response
    };
    // Status, whether the times are exposed, a line of the log.
    #[rustfmt::skip]
    let rows: [(&str, Vec<u8>, Option<f64>, bool, &str); 21] = [
        ("good", good.by(&root, &root), Some(0.0), true, ""),
        ("by the key", good.clone().by_key().by(&root, &root), Some(0.0), true, ""),
        (
            "revoked",
            Ocsp::of(&SERIAL, "revoked").by(&root, &root),
            Some(1.0),
            true,
            "WARN Certificate is revoked subject=\"CN=leaf\" revocation_time=TIME",
        ),
        ("unknown", Ocsp::of(&SERIAL, "unknown").by(&root, &root), Some(2.0), true, "does not know the certificate"),
        ("out of date", good.clone().years(2020, Some(2021)).by(&root, &root), None, true, "the OCSP response is out of date"),
        (
            "revoked before",
            Ocsp::of(&SERIAL, "revoked")
                .years(2020, Some(2021))
                .by(&root, &root),
            Some(1.0),
            true,
            "Certificate is revoked",
        ),
        ("from the future", good.clone().years(2049, Some(2050)).by(&root, &root), None, false, "not yet valid"),
        ("old, without end", good.clone().years(2020, None).by(&root, &root), None, true, "out of date"),
        ("about another", Ocsp::of(&[7], "good").by(&root, &root), None, false, "about another certificate"),
        ("of another issuer", good.by(&other, &root), None, false, "about another certificate"),
        ("by another of that name", good.by(&root, &other), None, false, "ECDSA verification failure"),
        ("by another key", good.clone().by_key().by(&root, &other), None, false, "neither the issuer nor sent its certificate"),
        ("by a delegate", good.clone().with(&delegate).by(&root, &delegate), Some(0.0), true, ""),
        ("by a delegate's key", good.clone().by_key().with(&other).with(&delegate).by(&root, &delegate), Some(0.0), true, ""),
        ("by a server", good.clone().with(&unfit).by(&root, &unfit), None, false, "not for signing OCSP responses"),
        ("by a former delegate", good.clone().with(&over).by(&root, &over), None, false, "has expired"),
        ("by another's delegate", good.clone().with(&strange).by(&root, &strange), None, false, "the responder's certificate: "),
        ("by a delegate with riders", good.clone().with(&critical).by(&root, &critical), None, false, "critical extension"),
        ("try later", tlv(0x30, &[&tlv(0x0a, &[&[3]])]), None, false, "the responder answered tryLater"),
        ("garbage", b"<html>".to_vec(), None, false, "malformed OCSP response"),
        ("a damaged signature", damaged(1), None, false, "ECDSA verification failure"),
    ];
    for (name, response, status, times, line) in rows {
        responder.say(response.clone());
        let target = stapling(&[&leaf], response).await;
        for (whom, target) in [(Whom::Staple, &target), (Whom::Query, &plain)] {
            let outcome = probe(&Network::system(), tcp(&root, whom), target).await;
            let told = log_of(&outcome);
            assert!(outcome.success, "{name}: {told}");
            let stapled = f64::from(u8::from(whom == Whom::Staple));
            assert_eq!(value(&outcome, Metric::SslOcspStapled), Some(stapled), "{name}");
            assert_eq!(
                value(&outcome, Metric::SslOcspStatus),
                status,
                "{name}, {whom:?}: {told}"
            );
            let this_update = value(&outcome, Metric::SslOcspThisUpdate);
            assert_eq!(this_update, times.then_some(Y2020), "{name}, {whom:?}: {told}");
            assert!(told.contains(line), "{name}, {whom:?}: {told}");
        }
    }
    responder.say(good.by(&root, &root));
    let outcome = probe(&Network::system(), tcp(&root, Whom::Query), &plain).await;
    assert_eq!(value(&outcome, Metric::SslOcspNextUpdate), Some(Y2050));
    // Without the field nothing is said and nobody asked.
    let asked = responder.asked.load(Ordering::Relaxed);
    let outcome = probe(&Network::system(), tcp(&root, Whom::Off), &plain).await;
    assert_eq!(value(&outcome, Metric::SslOcspStapled), None);
    assert_eq!(responder.asked.load(Ordering::Relaxed), asked);
}

#[tokio::test]
async fn what_the_responder_says_goes_before_what_is_stapled() {
    let (responder, root, leaf) = scene().await;
    let target = stapling(&[&leaf], Ocsp::of(&SERIAL, "good").by(&root, &root)).await;
    let ask = async |status: &str, want: f64| {
        let outcome = probe(&Network::system(), tcp(&root, Whom::Query), &target).await;
        assert_eq!(
            value(&outcome, Metric::SslOcspStatus),
            Some(want),
            "{status}: {}",
            log_of(&outcome)
        );
        log_of(&outcome)
    };
    responder.say(Ocsp::of(&SERIAL, "revoked").by(&root, &root));
    ask("revoked", 1.0).await;
    *responder.response.lock().unwrap() = ("503 Busy".to_owned(), Vec::new());
    let told = ask("busy", 0.0).await;
    has(&told, ["err=\"unexpected status code 503\""]);
    responder.say(vec![0x30; (64 << 10) + 1]);
    let told = ask("large", 0.0).await;
    has(&told, ["the response is larger than 64 KiB"]);
}

#[tokio::test]
async fn a_verdict_goes_before_what_is_none() {
    let (first, second) = (Responder::start().await, Responder::start().await);
    let root = Cert::ca("Root").self_signed();
    let urls = format!("{} {}", first.url(), second.url());
    let leaf = Cert::leaf().serial(&SERIAL).authority(&urls, "").by(&root);
    let say = |status: &str| match status.strip_prefix("old ") {
        _ if status.is_empty() => b"<html>".to_vec(),
        Some(status) => Ocsp::of(&SERIAL, status).years(2020, Some(2021)).by(&root, &root),
        None => Ocsp::of(&SERIAL, status).by(&root, &root),
    };
    // What the first, the second and the staple say, and the status.
    for (one, two, staple, want) in [
        ("old good", "revoked", "", Some(1.0)),
        ("old good", "", "revoked", Some(1.0)),
        ("unknown", "old good", "revoked", Some(1.0)),
        ("unknown", "good", "revoked", Some(0.0)),
        ("old good", "unknown", "", Some(2.0)),
        ("", "old good", "", None),
    ] {
        first.say(say(one));
        second.say(say(two));
        let target = stapling(&[&leaf], say(staple)).await;
        let outcome = probe(&Network::system(), tcp(&root, Whom::Query), &target).await;
        let row = format!("{one}, {two}, {staple}: {}", log_of(&outcome));
        assert_eq!(value(&outcome, Metric::SslOcspStatus), want, "{row}");
        assert_eq!(value(&outcome, Metric::SslOcspThisUpdate), Some(Y2020), "{row}");
    }
}

#[tokio::test]
async fn a_good_response_is_kept_until_it_is_due() {
    let (responder, root, leaf) = scene().await;
    let target = serve(&[&leaf]).await;
    let good = Ocsp::of(&SERIAL, "good");
    for (response, asked) in [
        (good.by(&root, &root), 1),
        (good.clone().years(2020, Some(2021)).by(&root, &root), 3),
        (good.clone().years(2020, None).by(&root, &root), 3),
        (b"garbage".to_vec(), 3),
    ] {
        responder.say(response);
        responder.asked.store(0, Ordering::Relaxed);
        let network = Network::system();
        for _ in 0..3 {
            probe(&network, tcp(&root, Whom::Query), &target).await;
        }
        assert_eq!(responder.asked.load(Ordering::Relaxed), asked);
    }
}

#[tokio::test]
async fn probes_that_ask_the_same_at_one_time_ask_once() {
    let (responder, root, leaf) = scene().await;
    let target = serve(&[&leaf]).await;
    responder.say(Ocsp::of(&SERIAL, "good").by(&root, &root));
    let network = Network::system();
    let (first, second) = tokio::join!(
        probe(&network, tcp(&root, Whom::Query), &target),
        probe(&network, tcp(&root, Whom::Query), &target),
    );
    for outcome in [first, second] {
        let status = value(&outcome, Metric::SslOcspStatus);
        assert_eq!(status, Some(0.0), "{}", log_of(&outcome));
    }
    assert_eq!(responder.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_policy_and_the_deadline_hold_for_responders() {
    let (responder, root, leaf) = scene().await;
    let target = serve(&[&leaf]).await;
    let network = denying(&format!("ports: [{}]", responder.address.port()));
    let outcome = probe(&network, tcp(&root, Whom::Query), &target).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    has(
        log_of(&outcome),
        ["address 127.0.0.1: refused by the target policy: port "],
    );
    assert_eq!(network.policy.refused(), 1);
    assert_eq!(responder.asked.load(Ordering::Relaxed), 0);

    let certificate = |url: &str| Cert::leaf().authority(url, "").by(&root);
    probe_with_silent_authority(tcp(&root, Whom::Query), certificate).await;
}

#[tokio::test]
async fn silent_responders_hold_up_no_other_one() {
    let root = Cert::ca("Root").self_signed();
    let certificate = |url: &str| Cert::leaf().authority(url, "").by(&root);
    probe_with_many_silent_authorities(
        tcp(&root, Whom::Query),
        certificate,
        Some("no response within 10s"),
    )
    .await;
}

/// Not by the clock: a response's head has a limit, as those of targets.
#[tokio::test]
async fn interim_responses_of_a_responder_come_to_an_end() {
    let root = Cert::ca("Root").self_signed();
    let url = format!("http://{}/", endless());
    let target = serve(&[&Cert::leaf().authority(&url, "").by(&root)]).await;
    let outcome = probe(&Network::system(), tcp(&root, Whom::Query), &target).await;
    assert!(outcome.success);
    has(log_of(&outcome), ["headers exceeded 65536 bytes"]);
}

#[tokio::test]
async fn every_prober_that_speaks_tls_fails_for_a_revoked_certificate() {
    let root = Cert::ca("Root").self_signed();
    let leaf = Cert::leaf().serial(&SERIAL).by(&root);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (status, revoked) in [("good", false), ("revoked", true)] {
        let staple = Ocsp::of(&SERIAL, status).by(&root, &root);
        let mut presented = pki::certified(&[&leaf]);
        presented.ocsp = Some(staple);
        let config = pki::server_config(presented, &[&TLS12, &TLS13]);
        let address = pki::saying(config, answer.to_vec()).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        spawn(async move {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(address).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
        for prober in [
            Prober::Http,
            Prober::Tcp,
            Prober::Unix,
            Prober::Grpc,
            Prober::Websocket,
            Prober::Dns,
        ] {
            let mut raw = config::Module::new(prober);
            raw.revocation = config::Revocation {
                ocsp: Whom::Staple,
                fail_if_cert_revoked: true,
            };
            let tls = tls(&root);
            let target = match prober {
                Prober::Http => {
                    *raw.http.client.tls_config = tls;
                    format!("https://{address}")
                }
                Prober::Grpc => {
                    raw.grpc.tls = true;
                    *raw.grpc.tls_config = tls;
                    address.to_string()
                }
                Prober::Websocket => {
                    raw.websocket.http_config = Some(config::HttpClient {
                        tls_config: tls.into(),
                        ..config::HttpClient::default()
                    });
                    format!("wss://{address}")
                }
                Prober::Dns => {
                    raw.dns.query_name = "a.test".to_owned();
                    raw.dns.transport_protocol = "tcp".to_owned();
                    raw.dns.dns_over_tls = true;
                    *raw.dns.tls_config = tls;
                    address.to_string()
                }
                Prober::Unix => {
                    raw.unix.tls = true;
                    *raw.unix.tls_config = tls;
                    path.to_str().unwrap().to_owned()
                }
                _ => {
                    raw.tcp.tls = true;
                    *raw.tcp.tls_config = tls;
                    address.to_string()
                }
            };
            let outcome = probe(&Network::system(), raw, &target).await;
            let told = log_of(&outcome);
            assert_eq!(
                value(&outcome, Metric::SslOcspStatus),
                Some(f64::from(u8::from(revoked))),
                "{prober:?}: {told}"
            );
            let line = "ERROR A certificate of the server is revoked subject=\"CN=leaf\"";
            assert_eq!(told.contains(line), revoked, "{prober:?}: {told}");
            if matches!(prober, Prober::Http | Prober::Tcp | Prober::Unix) {
                assert_eq!(outcome.success, !revoked, "{prober:?}: {told}");
            } else {
                assert!(!outcome.success);
            }
        }
    }
}

/// OpenSSL answers, and staples what it answered.
/// A dialogue that has passed has no step in which anything failed.
#[tokio::test]
async fn no_step_failed_when_the_certificate_is_revoked() {
    let root = Cert::ca("Root").self_signed();
    let mut presented = pki::certified(&[&Cert::leaf().serial(&SERIAL).by(&root)]);
    presented.ocsp = Some(Ocsp::of(&SERIAL, "revoked").by(&root, &root));
    let server = pki::server_config(presented, &[&TLS13]);
    let target = pki::saying(server, b"ready\n".to_vec()).await.to_string();
    for (wanted, reason, step) in [
        ("ready", Reason::TlsCertRevoked, None),
        ("steady", Reason::ExpectMismatch, Some(2)),
    ] {
        let mut raw = tcp(&root, Whom::Staple);
        raw.revocation.fail_if_cert_revoked = true;
        raw.tcp.query_response = vec![say("hello"), expect(wanted)];
        let outcome = probe(&Network::system(), raw, &target).await;
        let failure = outcome.failure.map(|of| (of.reason, of.step));
        assert_eq!(failure, Some((reason, step)), "{}", log_of(&outcome));
    }
}

#[tokio::test]
async fn openssl_as_responder_and_as_server() {
    let Some(program) = find("openssl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let root = Cert::ca("Root").self_signed();
    let delegate = Cert::bare("Responder").purposes(&["1.3.6.1.5.5.7.3.9"]).by(&root);
    std::fs::write(at("root.pem"), pem("CERTIFICATE", &root.der)).unwrap();
    std::fs::write(at("responder.pem"), pem("CERTIFICATE", &delegate.der)).unwrap();
    std::fs::write(
        at("responder.key"),
        pem("PRIVATE KEY", &delegate.key.serialize_der()),
    )
    .unwrap();
    let index = "V\t400101000000Z\t\t01\tunknown\t/CN=leaf\n\
                 R\t400101000000Z\t240101000000Z,keyCompromise\t02\tunknown\t/CN=leaf\n";
    std::fs::write(at("index.txt"), index).unwrap();
    let arguments =
        "ocsp -index index.txt -CA root.pem -rsigner responder.pem -rkey responder.key -ndays 1 -port 0";
    let (_responder, port) = openssl(folder.path(), arguments).await;
    let url = format!("http://127.0.0.1:{port}/");
    let leaf = |serial: u8| Cert::leaf().serial(&[serial]).authority(&url, "").by(&root);
    let (fine, revoked, unknown) = (leaf(1), leaf(2), leaf(3));
    for (made, want) in [(&fine, 0.0), (&revoked, 1.0), (&unknown, 2.0)] {
        let target = serve(&[made]).await;
        let outcome = probe(&Network::system(), tcp(&root, Whom::Query), &target).await;
        assert_eq!(
            value(&outcome, Metric::SslOcspStatus),
            Some(want),
            "{}",
            log_of(&outcome)
        );
        let (from, until) = (
            value(&outcome, Metric::SslOcspThisUpdate),
            value(&outcome, Metric::SslOcspNextUpdate),
        );
        assert_eq!(until.unwrap() - from.unwrap(), 86_400.0);

        std::fs::write(at("cert.pem"), pem("CERTIFICATE", &made.der)).unwrap();
        std::fs::write(at("key.pem"), pem("PRIVATE KEY", &made.key.serialize_der())).unwrap();
        let asking = "ocsp -issuer root.pem -cert cert.pem -CAfile root.pem -respout staple -url";
        run(&program, asking.split(' ').chain([&*url]), folder.path());
        for version in ["-tls1_2", "-tls1_3"] {
            let arguments = format!(
                "s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -status_file staple {version}"
            );
            let (_server, port) = openssl(folder.path(), &arguments).await;
            let target = format!("127.0.0.1:{port}");
            let outcome = probe(&Network::system(), tcp(&root, Whom::Staple), &target).await;
            assert_eq!(value(&outcome, Metric::SslOcspStapled), Some(1.0), "{version}");
            assert_eq!(
                value(&outcome, Metric::SslOcspStatus),
                Some(want),
                "{version}: {}",
                log_of(&outcome)
            );
        }
    }
}
