//! The web configuration file.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{MODULES, silent};
use crate::support::pki::Cert;
use crate::support::{Exporter, has, spawn};

/// A CA, a server's certificate and a client's, as files.
pub(super) struct Certificates {
    folder: tempfile::TempDir,
    ca: CertificateDer<'static>,
    client: (CertificateDer<'static>, Vec<u8>),
    /// What the client presents instead of its certificate, if anything.
    chain: Vec<CertificateDer<'static>>,
}

impl Certificates {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca_key = KeyPair::generate().unwrap();
        let mut ca_params = CertificateParams::new(vec![]).unwrap();
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = ca_params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca_params, ca_key);
        let issue = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params
                .subject_alt_names
                .push(SanType::IpAddress("127.0.0.1".parse().unwrap()));
            (params.signed_by(&key, &issuer).unwrap(), key)
        };
        let (server, server_key) = issue("localhost");
        let (client, client_key) = issue("client.test");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("blackbox.yml", MODULES);
        write("ca.pem", &ca.pem());
        write("server.pem", &server.pem());
        write("server.key", &server_key.serialize_pem());
        Self {
            ca: ca.der().clone(),
            client: (client.der().clone(), client_key.serialize_der()),
            chain: Vec::new(),
            folder,
        }
    }

    fn client_config(&self, with_certificate: bool, alpn: &[&[u8]]) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.ca.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = if with_certificate {
            let (certificate, key) = &self.client;
            let key = PrivateKeyDer::try_from(key.clone()).unwrap();
            let chain = if self.chain.is_empty() {
                vec![certificate.clone()]
            } else {
                self.chain.clone()
            };
            let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
            let pair = CertifiedKey::new(chain, key);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
        } else {
            builder.with_no_client_auth()
        };
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }

    /// An exporter with this web configuration file, and a way to shake hands with it.
    pub(super) async fn start(self, web: &str) -> (Exporter, Client) {
        self.start_with(web, &[]).await
    }

    /// As [`start`](Self::start), with these flags besides.
    async fn start_with(self, web: &str, flags: &[&str]) -> (Exporter, Client) {
        self.start_beside(Vec::new(), web, flags).await
    }

    /// As [`start_with`](Self::start_with), with other threads for when the test's are busy.
    pub(super) async fn start_beside(
        self,
        others: Vec<Handle>,
        web: &str,
        flags: &[&str],
    ) -> (Exporter, Client) {
        std::fs::write(self.folder.path().join("web.yml"), web).unwrap();
        let client = Client {
            plain: self.client_config(false, &[]),
            with_certificate: self.client_config(true, &[]),
            http2: self.client_config(false, &[b"h2"]),
        };
        let flags = [&["--web.config.file={dir}/web.yml"], flags].concat();
        let exporter = Exporter::start_beside(others, self.folder, &flags).await;
        (exporter.unwrap_or_else(|log| panic!("{log}")), client)
    }
}

pub(super) struct Client {
    pub(super) plain: Arc<rustls::ClientConfig>,
    with_certificate: Arc<rustls::ClientConfig>,
    http2: Arc<rustls::ClientConfig>,
}

async fn connect(
    exporter: &Exporter,
    config: &Arc<rustls::ClientConfig>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(exporter.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::clone(config))
        .connect(name, stream)
        .await
}

/// The status of an answer over TLS; `None` when it was refused.
pub(super) async fn status(exporter: &Exporter, config: &Arc<rustls::ClientConfig>) -> Option<u16> {
    let mut stream = connect(exporter, config).await.ok()?;
    stream
        .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .ok()?;
    let mut answer = String::new();
    // With TLS 1.3, the refusal of a client's certificate comes here.
    stream.read_to_string(&mut answer).await.ok()?;
    answer.get(9..12)?.parse().ok()
}

pub(super) const TLS: &str = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n";

#[tokio::test]
async fn speaks_tls_and_tells_plain_http_so() {
    let (exporter, client) = Certificates::new().start(TLS).await;
    assert_eq!(status(&exporter, &client.plain).await, Some(200));
    let answer = exporter.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(
        String::from_utf8_lossy(&answer),
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    );
    has(exporter.log(), ["msg=\"TLS is enabled.\" http2=true"]);
}

#[tokio::test]
async fn whoever_closes_their_side_of_tls_is_answered() {
    let hash = bcrypt::hash("open sesame", 4).unwrap();
    let web = format!("{TLS}basic_auth_users: {{ann: {hash}}}\n");
    let (exporter, client) = Certificates::new().start(&web).await;
    let authorization = basic("ann", "open sesame");
    for request in ["POST /-/reload", "GET /metrics"] {
        let mut stream = connect(&exporter, &client.plain).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        // A `close_notify`, and the end of the stream behind it.
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{request}: {answer}");
    }
}

#[tokio::test]
async fn a_probe_ends_when_its_scraper_leaves_over_tls() {
    let ways = [
        ("", ""),
        ("GET / HTTP/1.1\r\n\r\n", ""),
        ("", "GET /"),
        ("GET /", ""),
    ];
    let left = ways.map(|(at_once, later)| spawn(leave_over_tls(at_once, later)));
    for left in left {
        left.await.unwrap();
    }
}

/// Sends the beginning of another request behind the one for a probe, at once or later, and leaves.
async fn leave_over_tls(at_once: &'static str, later: &'static str) {
    let folder = Certificates::new();
    let module = "modules: {patient: {prober: tcp, timeout: 60s, tcp: {query_response: [{expect: never}]}}}";
    std::fs::write(folder.folder.path().join("blackbox.yml"), module).unwrap();
    let (exporter, client) = folder.start(TLS).await;
    let (peer, target) = silent().await;
    let mut stream = connect(&exporter, &client.plain).await.unwrap();
    let request = format!("GET /probe?module=patient&target={target} HTTP/1.1\r\nHost: x\r\n\r\n{at_once}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut connection, _) = peer.accept().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.write_all(later.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut rest));
    closed.await.expect("the probe is given up").ok();
}

#[tokio::test]
async fn what_cannot_be_spoken_is_said_at_the_start() {
    const NOTHING_LEFT: &str = "leave only TLS 1.0, TLS 1.1 or suites with CBC";
    // HTTP/2 has demands of its own.
    let with = |more: &str| {
        let tls = TLS.replace('}', &format!(", {more}}}"));
        format!("{tls}http_server_config: {{http2: false}}\n")
    };
    let rows = [
        ("min_version: TLS10, max_version: TLS11", NOTHING_LEFT),
        (
            "max_version: TLS12, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]",
            NOTHING_LEFT,
        ),
        ("curve_preferences: [CurveP521]", "has only CurveP521"),
    ];
    for (more, want) in rows {
        let folder = Certificates::new().folder;
        std::fs::write(folder.path().join("web.yml"), with(more)).unwrap();
        let started = Exporter::start_in(folder, &["--web.config.file={dir}/web.yml"]).await;
        let log = started.err().unwrap_or_else(|| panic!("{more}: it started"));
        assert!(log.contains(want), "{more}: {log}");
    }
    // Beside others it is passed over.
    let more = "min_version: TLS10, curve_preferences: [CurveP521, X25519]";
    let (exporter, client) = Certificates::new().start(&with(more)).await;
    assert_eq!(status(&exporter, &client.plain).await, Some(200));
}

#[tokio::test]
async fn asks_clients_for_certificates() {
    let section = "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, client_auth_type: ";
    #[rustfmt::skip]
    let rows = [
        ("RequireAndVerifyClientCert}", None, Some(200)),
        ("VerifyClientCertIfGiven}", Some(200), Some(200)),
        ("RequestClientCert}", Some(200), Some(200)),
        ("RequireAndVerifyClientCert, client_allowed_sans: [client.test]}", None, Some(200)),
        ("RequireAndVerifyClientCert, client_allowed_sans: [127.0.0.1]}", None, Some(200)),
        ("RequireAndVerifyClientCert, client_allowed_sans: [other.test]}", None, None),
    ];
    for (kind, without, with) in rows {
        let (exporter, client) = Certificates::new().start(&format!("{section}{kind}\n")).await;
        assert_eq!(status(&exporter, &client.plain).await, without, "{kind}");
        if without.is_none() {
            let line = "msg=\"TLS handshake failed\" client=127.0.0.1 err=\"tls: client didn't provide a certificate\" held_back=0";
            let told = async {
                while !exporter.log().contains(line) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), told)
                .await
                .unwrap_or_else(|_| panic!("{}", exporter.log()));
            has(exporter.log(), ["level=WARN"]);
        }
        assert_eq!(status(&exporter, &client.with_certificate).await, with, "{kind}");
    }
}

#[tokio::test]
async fn huge_keys_of_clients_are_refused_before_they_cost_anything() {
    let big = Cert::ca("evil")
        .rsa(&vec![0xfb; 31_000], &[0x7f, 0xff, 0xff, 0xff])
        .self_signed();
    let leaf = Cert::leaf().rsa_signature(&vec![0x1b; 31_000]).by(&big);
    for kind in [
        "RequestClientCert",
        "RequireAnyClientCert",
        "RequireAndVerifyClientCert",
    ] {
        let mut certificates = Certificates::new();
        certificates.client.1 = leaf.key.serialize_der();
        certificates.chain = vec![leaf.der.clone().into(), big.der.clone().into()];
        let section = format!(
            "tls_server_config: {{cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, client_auth_type: {kind}}}\n"
        );
        let (exporter, client) = certificates.start_with(&section, &["--log.level=debug"]).await;
        let start = std::time::Instant::now();
        assert_eq!(status(&exporter, &client.with_certificate).await, None, "{kind}");
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{kind}: {:?}",
            start.elapsed()
        );
        let why =
            "client=127.0.0.1 err=\"tls: client sent certificate containing RSA key larger than 8192 bits\"";
        assert!(exporter.log().contains(why), "{kind}: {}", exporter.log());
    }
}

#[tokio::test]
async fn health_can_be_asked_for_without_password_and_certificate() {
    let hash = bcrypt::hash("open sesame", 4).unwrap();
    let section = "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, \
                   client_auth_type: RequireAndVerifyClientCert}\n";
    for (flags, healthy, others) in [
        (&[] as &[&str], None, None),
        (
            &["--web.open-healthy", "--web.route-prefix=/p"],
            Some(200),
            Some(403),
        ),
    ] {
        let web = format!(
            "{section}basic_auth_users: {{ann: {hash}}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\n"
        );
        let (exporter, client) = Certificates::new().start_with(&web, flags).await;
        let ask = async |config, path: &str| {
            let mut stream = connect(&exporter, config).await.ok()?;
            let prefix = if flags.is_empty() { "" } else { "/p" };
            let head = format!("GET {prefix}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let status = answer.get(9..12)?.parse::<u16>().ok()?;
            let has_headers = answer.to_ascii_lowercase().contains("x-frame-options: deny");
            assert_eq!(has_headers, status != 200, "{answer}");
            Some(status)
        };
        assert_eq!(ask(&client.plain, "/-/healthy").await, healthy, "{flags:?}");
        assert_eq!(ask(&client.plain, "/%2D/healthy").await, healthy, "{flags:?}");
        assert_eq!(ask(&client.plain, "/metrics").await, others, "{flags:?}");
        // With a certificate, the password is missing.
        assert_eq!(
            ask(&client.with_certificate, "/metrics").await,
            Some(401),
            "{flags:?}"
        );
    }
}

#[tokio::test]
async fn a_new_certificate_is_served_at_once() {
    let (exporter, client) = Certificates::new().start(TLS).await;
    assert_eq!(status(&exporter, &client.plain).await, Some(200));
    let other = Certificates::new();
    for name in ["server.pem", "server.key"] {
        std::fs::copy(other.folder.path().join(name), exporter.folder().join(name)).unwrap();
    }
    assert_eq!(status(&exporter, &client.plain).await, None);
    assert_eq!(
        status(&exporter, &other.client_config(false, &[])).await,
        Some(200)
    );
}

/// A way to send requests over HTTP/2, and the task of its connection.
pub(super) async fn http2(
    exporter: &Exporter,
    client: &Client,
) -> (SendRequest<Empty<Bytes>>, JoinHandle<()>) {
    let stream = connect(exporter, &client.http2).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = async move { drop(connection.await) };
    (sender, spawn(connection))
}

#[tokio::test]
async fn both_versions_know_the_host_that_was_asked() {
    for flags in [
        &[] as &[_],
        &["--web.route-prefix=pre", "--web.external-url=http://x.test/"],
    ] {
        let certificates = Certificates::new();
        let targets = "targets: [{name: n, address: 'a:1', module: tcp_plain}]\n";
        std::fs::write(certificates.folder.path().join("targets.yml"), targets).unwrap();
        let prefix = if flags.is_empty() { "" } else { "/pre" };
        let flags = [flags, &["--targets.file={dir}/targets.yml"]].concat();
        let (exporter, client) = certificates.start_with(TLS, &flags).await;
        let (mut sender, _connection) = http2(&exporter, &client).await;
        let pages = [
            ("/probe?module=tcp_plain&target=127.0.0.1:1", "probe_success 0"),
            ("/targets?format=json", r#""targets":["host.test:1234"]"#),
            ("/%74argets?format=json", r#""targets":["host.test:1234"]"#),
            ("/logs?id=0", "curl -g &#39;https://host.test:1234PREFIX/probe?"),
        ];
        for (path, want) in pages {
            let want = want.replace("PREFIX", prefix);
            let request = http::Request::get(format!("https://host.test:1234{prefix}{path}"))
                .header("accept", "text/html")
                .body(Empty::new())
                .unwrap();
            let answer = sender.send_request(request).await.unwrap();
            let status = answer.status();
            let body = answer.collect().await.unwrap().to_bytes();
            let body = String::from_utf8_lossy(&body);
            assert!(
                status == 200 && body.contains(&want),
                "HTTP/2 {prefix}{path}: {status} {body}"
            );
            let mut stream = connect(&exporter, &client.plain).await.unwrap();
            let head = format!(
                "GET {prefix}{path} HTTP/1.1\r\nHost: host.test:1234\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 200 OK") && answer.contains(&want),
                "HTTP/1.1 {prefix}{path}: {answer}"
            );
        }
    }
}

/// Open pages over one connection of HTTP/2, which takes nothing: the places are all that it gets, and others are served.
#[tokio::test]
async fn open_pages_over_http_2_have_places_too() {
    const PLACES: usize = 32;
    let (exporter, client) = Certificates::new().start(TLS).await;
    let (mut sender, connection) = http2(&exporter, &client).await;
    let mut answers = Vec::new();
    for _ in 0..PLACES + 3 {
        let request = http::Request::get("https://host.test/events?since=0")
            .header("accept", "text/event-stream")
            .body(Empty::new())
            .unwrap();
        answers.push(sender.send_request(request).await.unwrap());
    }
    let status: Vec<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(status, [vec![200; PLACES], vec![503; 3]].concat());
    assert_eq!(self::status(&exporter, &client.plain).await, Some(200));
    // A stream that is reset makes room.
    answers.remove(0);
    let request = || {
        http::Request::get("https://host.test/events?since=0")
            .header("accept", "text/event-stream")
            .body(Empty::new())
            .unwrap()
    };
    let opened = async {
        while sender.send_request(request()).await.unwrap().status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), opened)
        .await
        .expect("no room");
    drop((answers, connection));
}

#[tokio::test]
async fn heads_over_http_2_are_counted_as_what_they_take() {
    let (exporter, client) = Certificates::new().start(TLS).await;
    // How many fields, which status; `None` for an end of the request or of the connection.
    for (fields, want) in [(200, Some(200)), (300, Some(431)), (20_000, None)] {
        let (mut sender, _connection) = http2(&exporter, &client).await;
        let mut request = http::Request::get("https://host.test/-/healthy");
        for _ in 0..fields {
            request = request.header("cookie", "a");
        }
        let answer = sender.send_request(request.body(Empty::new()).unwrap()).await;
        let status = answer.ok().map(|answer| answer.status().as_u16());
        assert!(
            status == want || (want.is_none() && status == Some(431)),
            "{fields}: {status:?}"
        );
    }
    assert_eq!(status(&exporter, &client.plain).await, Some(200));
}

#[tokio::test]
async fn http_2_survives_rapid_resets() {
    let (exporter, client) = Certificates::new().start(TLS).await;
    let (mut sender, connection) = http2(&exporter, &client).await;
    let request = || {
        http::Request::get("https://localhost/-/healthy")
            .body(Empty::new())
            .unwrap()
    };
    let answer = sender.send_request(request()).await.unwrap();
    assert_eq!(answer.collect().await.unwrap().to_bytes(), "Healthy");
    for _ in 0..2_000 {
        if sender.ready().await.is_err() {
            break;
        }
        // Dropped at once: the stream is reset.
        drop(sender.send_request(request()));
        tokio::task::yield_now().await;
    }
    drop(sender);
    connection.abort();
    assert_eq!(status(&exporter, &client.plain).await, Some(200));
}

fn basic(user: &str, password: &str) -> String {
    let text = format!("{user}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

#[tokio::test]
async fn lets_in_who_has_a_password() {
    let hash = bcrypt::hash("open sesame", 4).unwrap();
    let web = format!(
        "basic_auth_users: {{ann: {hash}}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\n"
    );
    let (exporter, _) = Certificates::new().start(&web).await;
    let refused = exporter.get("/metrics").await;
    assert_eq!((refused.status, refused.text()), (401, "Unauthorized\n"));
    assert_eq!(refused.header("www-authenticate"), Some("Basic"));
    assert_eq!(refused.header("x-frame-options"), Some("deny"));
    for (user, password, status) in [
        ("ann", "open sesame", 200),
        ("ann", "open", 401),
        ("eve", "open sesame", 401),
    ] {
        for _ in 0..2 {
            let headers = [("Authorization", basic(user, password))];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            assert_eq!(
                exporter.request("GET", "/-/healthy", &headers).await.status,
                status
            );
        }
    }
    assert!(!exporter.log().contains("sesame") && !exporter.log().contains(&hash));

    // A file that cannot be read any more lets nobody in, and says so once.
    std::fs::write(exporter.folder().join("web.yml"), "colour: blue\n").unwrap();
    for _ in 0..3 {
        assert_eq!(exporter.get("/-/healthy").await.status, 500);
    }
    assert_eq!(exporter.log().matches("Unable to parse configuration").count(), 1);
}

#[tokio::test]
async fn a_guess_whose_caller_has_left_gives_up_its_place() {
    // Slow enough for the second one to come meanwhile.
    let web = "basic_auth_users: {ann: $2y$12$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}\n";
    let (exporter, _) = Certificates::new().start(web).await;
    let guess = async |password: &str| {
        let mut stream = TcpStream::connect(exporter.address).await.unwrap();
        let authorization = basic("ann", password);
        let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    };
    let answer = async |mut stream: TcpStream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let first = guess("open").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let others = ["open 1", "open 2", "open 3", "open 4"].map(guess);
    let others = futures_util::future::join_all(others).await;
    let others = futures_util::future::join_all(others.into_iter().map(answer)).await;
    assert_eq!(others.concat(), "");
    let first = answer(first).await;
    assert!(first.starts_with("HTTP/1.1 401 Unauthorized"), "{first}");
}

#[tokio::test]
async fn limits_the_rate_of_requests() {
    let (exporter, _) = Certificates::new()
        .start("rate_limit: {interval: 1h, burst: 2}\n")
        .await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(exporter.get("/-/healthy").await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
}
