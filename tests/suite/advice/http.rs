//! HTTP, from the proxy to the body.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use blackbox_exporter::reason::Reason;
use rustls::version::TLS13;

use super::Table;
use crate::http::site::{Asked, Site, answer, gzip, ok, redirect};
use crate::support::peer::{Move, Peer, send};
use crate::support::pki::{self, Cert};
use crate::support::{closed, has, lacks};

fn http(more: &str) -> String {
    format!("prober: http\ntimeout: 5s\nhttp: {{{more}}}")
}

#[tokio::test]
async fn statuses() {
    let mut table = Table::new("statuses");
    let site = Site::with(|asked: &Asked| match asked.path() {
        "/loop" => redirect("http://127.0.0.1:{port}/back"),
        "/back" => redirect("http://127.0.0.1:{port}/loop"),
        "/nowhere" => redirect("http://[::1/"),
        "/app" => redirect("myapp://open"),
        "/308" => answer("308 Permanent Redirect", &[], ""),
        "/408" => answer("408 Request Timeout", &[], ""),
        "/413" => answer("413 Content Too Large", &[], ""),
        "/431" => answer("431 Request Header Fields Too Large", &[], ""),
        "/522" => answer("522", &["Server: cloudflare"], ""),
        "/login" => redirect("https://login.example.com/"),
        "/401" => answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"x\""], ""),
        "/403" => answer("403 Forbidden", &["Server: cloudflare"], ""),
        "/405" => answer("405 Method Not Allowed", &["Allow: GET, HEAD"], ""),
        "/421" => answer("421 Misdirected Request", &[], ""),
        "/429" => answer("429 Too Many Requests", &["Retry-After: 30"], ""),
        "/500" => answer("500 Internal Server Error", &[], "database is down"),
        "/502" => answer("502 Bad Gateway", &["Server: nginx"], ""),
        "/504" => answer("504 Gateway Timeout", &["Server: nginx"], ""),
        "/tls" => answer(
            "400 Bad Request",
            &[],
            "Client sent an HTTP request to an HTTPS server.\n",
        ),
        "/certificate" => answer(
            "400 Bad Request",
            &[],
            "<title>400 No required SSL certificate was sent</title>",
        ),
        "/untrusted" => answer(
            "400 Bad Request",
            &[],
            "<title>400 The SSL certificate error</title>",
        ),
        "/400" => answer("400 Bad Request", &[], "no such tenant"),
        "/304" => answer("304 Not Modified", &[], ""),
        "/418" => answer("418 I'm a teapot", &[], ""),
        "/404" => answer("404 Not Found", &[], ""),
        _ => ok(),
    })
    .await;
    let basic = "basic_auth: {username: u, password: s3cret-of-u}";
    let rows = [
        ("A redirect loop", "", "/loop"),
        ("A redirect that is not a URL", "", "/nowhere"),
        (
            "A redirect with `follow_redirects: false`",
            "follow_redirects: false",
            "/login",
        ),
        ("A redirect to another scheme", "", "/app"),
        ("304", "", "/304"),
        ("308 without a Location", "", "/308"),
        ("408", "", "/408"),
        ("522", "", "/522"),
        ("400", "", "/400"),
        ("400 from a server of TLS to plain HTTP", "", "/tls"),
        ("400 from nginx, no client certificate", "", "/certificate"),
        ("400 from nginx, another client certificate", "", "/untrusted"),
        ("401 without credentials", "", "/401"),
        ("401 with credentials", basic, "/401"),
        ("403 without credentials", "", "/403"),
        ("403 with credentials", basic, "/403"),
        ("404", "", "/404"),
        ("405", "method: POST", "/405"),
        ("413", "method: POST, body: x", "/413"),
        ("418", "", "/418"),
        ("421", "", "/421"),
        ("429", "", "/429"),
        ("431", "", "/431"),
        ("500", "", "/500"),
        ("502", "", "/502"),
        ("504", "", "/504"),
    ];
    for (situation, more, path) in rows {
        table.row(situation, &http(more), &site.url(path)).await;
    }
    table.check();
}

#[tokio::test]
async fn checks() {
    let mut table = Table::new("checks");
    let packed = gzip(b"status: ok\n");
    let site = Site::with(move |asked: &Asked| match asked.path() {
        "/text" => answer("200 OK", &[], "<html>\nStatus: OK\n</html>"),
        "/lines" => answer("200 OK", &[], "begin\nend"),
        "/empty" => answer("200 OK", &[], ""),
        "/error" => answer("200 OK", &[], "a fatal error occurred"),
        "/json" => answer(
            "200 OK",
            &["Content-Type: application/json"],
            "{\"status\": \"degraded\"}",
        ),
        "/cut" => answer("200 OK", &["Content-Type: application/json"], "{\"status\": \"o"),
        "/header" => answer("200 OK", &["X-Backend: blue"], ""),
        "/short" => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\nabc".to_vec(),
        "/gzip" => {
            let mut bytes = Vec::new();
            let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n";
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(&packed);
            bytes
        }
        _ => ok(),
    })
    .await;
    let wanted = "fail_if_body_not_matches_regexp: ['status: ok']";
    let cel = "fail_if_body_json_not_matches_cel: ";
    #[rustfmt::skip]
    let rows = [
        ("An expression differs in case", wanted, "/text"),
        ("An expression differs in line breaks", "fail_if_body_not_matches_regexp: ['begin.end']", "/lines"),
        ("An expression is anchored", "fail_if_body_not_matches_regexp: ['^a fatal$']", "/error"),
        ("The body is empty", wanted, "/empty"),
        ("The body came compressed", wanted, "/gzip"),
        ("The body has what it must not have", "fail_if_body_matches_regexp: ['fatal \\w+']", "/error"),
        ("A CEL expression does not hold", &format!("{cel}\"body.status == 'ok'\""), "/json"),
        ("A CEL expression names a field that is not there", &format!("{cel}\"body.state == 'ok'\""), "/json"),
        ("The body is not JSON", &format!("{cel}\"body.status == 'ok'\""), "/text"),
        ("The JSON breaks off", &format!("{cel}\"body.status == 'ok'\""), "/cut"),
        ("A header does not match", "fail_if_header_not_matches: [{header: X-Backend, regexp: green}]", "/header"),
        ("A header matches", "fail_if_header_matches: [{header: X-Backend, regexp: blue}]", "/header"),
        ("A header is missing", "fail_if_header_not_matches: [{header: X-Trace, regexp: .}]", "/header"),
        ("The body is too long", "body_size_limit: 3B", "/text"),
        ("The body ends early", "", "/short"),
        ("`compression` without Content-Encoding", "compression: gzip", "/text"),
        ("`valid_http_versions` with an unknown version", "valid_http_versions: [HTTP/2]", "/text"),
        ("Another HTTP version", "valid_http_versions: [HTTP/2.0]", "/text"),
        ("`fail_if_not_ssl` and plain HTTP", "fail_if_not_ssl: true", "/text"),
    ];
    for (situation, more, path) in rows {
        table.row(situation, &http(more), &site.url(path)).await;
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc";
    let peer = Peer::play(vec![Move::ReadLine, send(head), Move::Reset]).await;
    let url = format!("http://{}/", peer.target());
    table.row("The body ends with a reset", &http(""), &url).await;
    // SETTINGS, HEADERS, DATA, RST_STREAM.
    let frames = [
        &b"\0\0\0\x04\0\0\0\0\0"[..],
        b"\0\0\x01\x01\x04\0\0\0\x01\x88",
        b"\0\0\x03\0\0\0\0\0\x01abc",
        b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x02",
    ];
    let mut config = pki::server_config(pki::certified(&[&Cert::leaf().self_signed()]), &[&TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let address = pki::saying(config, frames.concat()).await;
    table
        .row_without(
            "The body ends with a reset of HTTP/2",
            &http("tls_config: {insecure_skip_verify: true}"),
            &format!("https://{address}/"),
            &[("after 0 ", "after N "), ("after 3 ", "after N ")],
        )
        .await;
    table.check();
}

#[tokio::test]
async fn responses_that_are_none() {
    let mut table = Table::new("no response");
    let answers: [(&str, &[u8]); 12] = [
        ("The peer closes without a response", b""),
        ("The port speaks TLS", &[21, 3, 1, 0, 2, 2, 70]),
        ("The port speaks HTTP/2 in the clear", b"\0\0\0\x04\0\0\0\0\0\r\n"),
        ("The port speaks SSH", b"SSH-2.0-OpenSSH_9.6\r\n"),
        (
            "The port speaks SSH, with a comment",
            b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n",
        ),
        ("The port speaks another protocol", b"-ERR unknown command\r\n"),
        ("The port speaks SMTP", b"220 mx.test ESMTP\r\n"),
        (
            "The port speaks HTTP/2 in the clear, and closes",
            b"\0\0\0\x04\0\0\0\0\0",
        ),
        ("A page without a status line", b"<html>cannot read this</html>"),
        (
            "The peer closes within the headers",
            b"HTTP/1.1 200 OK\r\nServer: n",
        ),
        ("The status is not a number", b"HTTP/1.1 OK\r\n\r\n"),
        ("An invalid header", b"HTTP/1.1 200 OK\r\nno header\r\n\r\n"),
    ];
    for (situation, answer) in answers {
        let site = Site::answering(answer).await;
        table.row(situation, &http(""), &site.url("/")).await;
    }
    let peer = Peer::play(vec![Move::ReadLine, Move::Reset]).await;
    table
        .row(
            "The peer resets the connection",
            &http(""),
            &format!("http://{}/", peer.target()),
        )
        .await;
    let nobody = closed().to_string();
    let port = nobody.rsplit(':').next().unwrap().to_owned();
    let there = format!("http://{nobody}/");
    let site = Site::with(move |_: &Asked| redirect(&there)).await;
    table
        .row_without(
            "A redirect leads to a port where nothing listens",
            &http(""),
            &site.url("/"),
            &[(&port, "PORT")],
        )
        .await;
    let root = Cert::ca("Root").self_signed();
    let trusting = http("tls_config: {insecure_skip_verify: true}");
    let config = pki::server_config(pki::certified(&[&Cert::leaf().by(&root)]), &[&TLS13]);
    let url = format!("https://{}/", pki::saying(config, Vec::new()).await);
    table
        .row("The peer closes without a response, within TLS", &trusting, &url)
        .await;
    let config = pki::asking(pki::certified(&[&Cert::leaf().by(&root)]), &root);
    let url = format!("https://{}/", pki::saying(config, Vec::new()).await);
    table
        .row(
            "The peer asks for a client certificate and closes",
            &trusting,
            &url,
        )
        .await;
    let config = pki::asking(pki::certified(&[&Cert::leaf().by(&root)]), &root);
    let forbidden = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec();
    let url = format!("https://{}/", pki::saying(config, forbidden).await);
    table
        .row(
            "403 of a server that asks for a client certificate",
            &trusting,
            &url,
        )
        .await;
    let proxied = |url: &str| {
        http(&format!(
            "proxy_url: '{url}', skip_resolve_phase_with_proxy: true"
        ))
    };
    let nobody = closed().to_string();
    let port = nobody.rsplit(':').next().unwrap().to_owned();
    let hidden = [(port.as_str(), "PORT")];
    let yaml = proxied(&format!("http://{nobody}"));
    table
        .row_without(
            "The proxy refuses connections",
            &yaml,
            "https://example.com/",
            &hidden,
        )
        .await;
    for (situation, status) in [
        ("The proxy wants credentials", "407 Proxy Authentication Required"),
        ("The proxy forbids the target", "403 Forbidden"),
        ("The proxy does not reach the target", "503 Service Unavailable"),
        ("The proxy makes no tunnels", "405 Method Not Allowed"),
    ] {
        let proxy = Site::answering(answer(status, &[], "")).await;
        table
            .row(
                situation,
                &proxied(&format!("http://{}", proxy.address)),
                "https://example.com/",
            )
            .await;
    }
    let peer = Peer::play(vec![send("SSH-2.0-OpenSSH_9.6\r\n\r\n"), Move::Close]).await;
    table
        .row(
            "The proxy speaks another protocol",
            &proxied(&format!("http://{}", peer.target())),
            "https://example.com/",
        )
        .await;
    for (situation, answer) in [
        ("The proxy forwards nothing and closes", &b""[..]),
        ("The proxy does not speak HTTP", b"-ERR unknown command\r\n\r\n"),
    ] {
        let proxy = Site::answering(answer).await;
        let yaml = proxied(&format!("http://{}", proxy.address));
        table.row(situation, &yaml, "http://example.com/").await;
    }
    for (situation, status) in [
        ("The proxy forbids a request", "403 Forbidden"),
        (
            "The proxy does not reach the target of a request",
            "503 Service Unavailable",
        ),
    ] {
        let proxy = Site::answering(answer(status, &[], "")).await;
        let yaml = proxied(&format!("http://{}", proxy.address));
        table.row(situation, &yaml, "http://example.com/").await;
    }
    let peer = Peer::play(vec![Move::ReadLine]).await;
    let yaml = proxied(&format!("http://{}", peer.target())).replace("5s", "1s");
    table
        .row(
            "The proxy does not respond to a request",
            &yaml,
            "http://example.com/",
        )
        .await;
    let peer = Peer::play(vec![Move::Read(3), send([5, 0xff]), Move::Close]).await;
    table
        .row(
            "The SOCKS proxy wants a login",
            &proxied(&format!("socks5://{}", peer.target())),
            "https://example.com/",
        )
        .await;
    let moves = vec![Move::Read(4), send([5, 2]), Move::Read(14), send([1, 1])];
    let peer = Peer::play(moves).await;
    table
        .row(
            "The SOCKS proxy does not accept the login",
            &proxied(&format!("socks5://ann:hunter22@{}", peer.target())),
            "https://example.com/",
        )
        .await;
    for (situation, reply) in [
        ("The SOCKS proxy does not allow the target", 2),
        ("The SOCKS proxy has no route to the target", 4),
        ("The target refuses the SOCKS proxy", 5),
        ("The target does not respond to the SOCKS proxy", 6),
    ] {
        let refusal = [5, reply, 0, 1, 0, 0, 0, 0, 0, 0];
        let moves = vec![Move::Read(3), send([5, 0]), Move::Read(10), send(refusal)];
        let peer = Peer::play(moves).await;
        let yaml = format!("prober: tcp\ntcp: {{proxy_url: 'socks5://{}'}}", peer.target());
        table.row(situation, &yaml, "192.0.2.1:22").await;
    }
    let token = Site::answering(answer("401 Unauthorized", &[], "")).await;
    let target = Site::answering(ok()).await;
    let oauth = format!(
        "oauth2: {{client_id: a, client_secret: hunter22, token_url: '{}'}}",
        token.url("/token")
    );
    table
        .row(
            "The token endpoint gives no token",
            &http(&oauth),
            &target.url("/"),
        )
        .await;
    let url = format!("https://127.0.0.1:{}/", super::protocols::demanding().await);
    let nowhere = closed().to_string();
    let oauth = format!(
        "oauth2: {{client_id: a, client_secret: hunter22, token_url: 'http://ann:pass@{nowhere}/token'}}"
    );
    table
        .row_without(
            "The token endpoint is not reached",
            &http(&oauth),
            &target.url("/"),
            &[(nowhere.as_str(), "127.0.0.1:PORT")],
        )
        .await;
    table
        .row("The server demands a client certificate", &trusting, &url)
        .await;
    let slow = Peer::play(vec![Move::ReadLine]).await;
    let yaml = "prober: http\ntimeout: 300ms";
    let outcome = crate::support::probe(yaml, &format!("http://{}/", slow.target())).await;
    let said = outcome.advice.clone().unwrap();
    has(&said, ["the server's processing took", "raise the timeout"]);
    table.check();
}

/// Why a token endpoint gave no token is said in the words of a probe, not of a library.
#[tokio::test]
async fn a_token_endpoint_whose_tls_fails() {
    let root = Cert::ca("Root").self_signed();
    let untrusted = pki::server_config(pki::certified(&[&Cert::leaf().by(&root)]), &[&TLS13]);
    let untrusted = pki::saying(untrusted, ok()).await.port();
    let demanding = super::protocols::demanding().await;
    let target = Site::answering(ok()).await;
    for (port, more, words) in [
        (
            untrusted,
            "server_name: v4.test",
            "tls: failed to verify certificate: x509: ",
        ),
        (
            demanding,
            "insecure_skip_verify: true",
            "remote error: tls: certificate required",
        ),
    ] {
        let yaml = http(&format!(
            "oauth2: {{client_id: a, client_secret: hunter22, token_url: 'https://127.0.0.1:{port}/', tls_config: {{{more}}}}}"
        ));
        let outcome = crate::support::probe(&yaml, &target.url("/")).await;
        let log = crate::support::log(&outcome).join("\n");
        has(&log, [words]);
        lacks(&log, ["OtherError", "received fatal alert"]);
    }
}

/// Whatever took most of the time is to blame, and nothing if no step did.
#[tokio::test(flavor = "multi_thread")]
async fn what_took_the_time() {
    let trickling = Peer::play(vec![
        Move::ReadLine,
        send("HTTP/1.1 200 OK\r\nX: "),
        Move::Trickle(b"a".repeat(10_000)),
    ])
    .await;
    let yaml = "prober: http\ntimeout: 600ms";
    let outcome = crate::support::probe(yaml, &format!("http://{}/", trickling.target())).await;
    assert_eq!(outcome.failure.unwrap().phase, "transfer");
    has(outcome.advice.unwrap(), ["the transfer took"]);

    let hanging = Peer::play(vec![Move::ReadLine]).await;
    let hanging = format!("http://{}/", hanging.target());
    let tokens = Site::with(|_: &Asked| {
        std::thread::sleep(Duration::from_millis(1800));
        let grant = r#"{"access_token": "t", "token_type": "bearer", "expires_in": 1}"#;
        answer("200 OK", &["Content-Type: application/json"], grant)
    });
    let tokens = tokens.await;
    let yaml = |limit: &str| {
        let url = tokens.url("/");
        format!(
            "prober: http\ntimeout: {limit}\nhttp: {{oauth2: {{client_id: a, client_secret: hunter22, token_url: '{url}'}}}}"
        )
    };
    let outcome = crate::support::probe(&yaml("3s"), &hanging).await;
    has(outcome.advice.unwrap(), ["waiting for an OAuth2 token took"]);
    let outcome = crate::support::probe(&yaml("300ms"), &hanging).await;
    let failure = outcome.failure.unwrap();
    assert_eq!((failure.reason, failure.phase), (Reason::AuthToken, "token"));
}

/// A line that is slow explains what did not happen on the connection. The kernel sends a SYN again after 1 s.
#[tokio::test(flavor = "multi_thread")]
async fn connecting_took_the_time() {
    type Row = (
        &'static str,
        fn(SocketAddr) -> String,
        &'static [u8],
        [&'static str; 2],
    );
    let rows: [Row; 2] = [
        (
            "prober: http",
            |at| format!("http://{at}/"),
            b"",
            ["connecting alone took 1.", "the line is slow"],
        ),
        // What came is told.
        (
            "prober: tcp\ntcp: {query_response: [{expect: '^OK'}]}",
            |at| at.to_string(),
            b"-ERR\r\n",
            ["\"^OK\"", "\"-ERR\""],
        ),
    ];
    for (yaml, target, greeting, want) in rows {
        let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        full.listen(0).unwrap();
        let address = full.local_addr().unwrap().as_socket().unwrap();
        let _first = std::net::TcpStream::connect(address).unwrap();
        let holds = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(900));
            let first = full.accept().unwrap();
            let (mut second, _) = full.accept().unwrap();
            second.write_all(greeting).unwrap();
            (first, second)
        });
        let outcome = crate::support::probe(&format!("{yaml}\ntimeout: 2500ms"), &target(address)).await;
        has(outcome.advice.unwrap(), want);
        holds.join().unwrap();
    }
}
