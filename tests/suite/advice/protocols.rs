//! Dialogues, DNS, gRPC, WebSocket.

use std::sync::Arc;

use blackbox_exporter::reason::Reason;
use tokio::net::{TcpListener, UdpSocket};

use super::Table;
use crate::grpc::{head, scripted, tonic, trailers};
use crate::http::site::{Site, answer};
use crate::support::peer::{Move, Peer, send};
use crate::support::pki::{self, Cert};
use crate::support::tls_peer::SelfSigned;
use crate::support::{closed, has, lacks, spawn};

#[tokio::test]
async fn dialogues() {
    let mut table = Table::new("dialogues");
    let tcp = |steps: &str| format!("prober: tcp\ntimeout: 1s\ntcp: {{query_response: [{steps}]}}");
    let smtp = tcp("{expect: '^220 .*ESMTP'}");
    let greeted = tcp("{expect: '^220', send: EHLO x}, {expect: '^250'}");
    let asked = tcp("{send: PING}, {expect: PONG}");
    #[rustfmt::skip]
    let rows: [(&str, &str, Vec<Move>); 13] = [
        ("Another banner, then the end", &smtp, vec![send("554 no ESMTP service here\r\n"), Move::Close]),
        ("Another banner, then silence", &smtp, vec![send("554 no ESMTP service here\r\n")]),
        ("A banner that differs in case", &smtp, vec![send("220 mail.test Esmtp\r\n"), Move::Close]),
        ("Another protocol, whose last line is empty, then the end", &smtp, vec![send("HTTP/1.1 400 Bad Request\r\n\r\n"), Move::Close]),
        ("Another protocol, whose last line is empty, then silence", &smtp, vec![send("HTTP/1.1 400 Bad Request\r\n\r\n")]),
        ("Empty lines", &smtp, vec![send("\r\n\r\n"), Move::Close]),
        ("Silence", &smtp, vec![]),
        ("Silence after a `send`", &asked, vec![Move::ReadLine]),
        ("Silence after a greeting and a `send`", &greeted, vec![send("220 mail.test\r\n"), Move::ReadLine]),
        ("The end after a greeting and a `send`", &greeted, vec![send("220 mail.test\r\n"), Move::ReadLine, Move::Close]),
        ("The end without a word", &smtp, vec![Move::Close]),
        ("TLS instead of a banner", &smtp, vec![send([21, 3, 3, 0, 2, 2, 10]), Move::Close]),
        ("Other bytes", &tcp("{expect_bytes: 'PONG'}"), vec![send("PING"), Move::Close]),
    ];
    for (situation, yaml, moves) in rows {
        let peer = Peer::play(moves).await;
        table.row(situation, yaml, &peer.target()).await;
    }
    table.check();
}

/// What a server of TLS 1.3 demands is told by whoever reads first.
#[tokio::test]
async fn a_certificate_that_is_demanded_after_the_handshake() {
    let target = format!("127.0.0.1:{}", demanding().await);
    let tls = "tls_config: {insecure_skip_verify: true}";
    for yaml in [
        format!("prober: tcp\ntcp: {{tls: true, query_response: [{{expect: '^220'}}], {tls}}}"),
        format!(
            "prober: dns\ndns: {{query_name: a.test, transport_protocol: tcp, dns_over_tls: true, {tls}}}"
        ),
        format!("prober: dns\ndns: {{query_name: a.test, transport_protocol: https, {tls}}}"),
        format!("prober: grpc\ngrpc: {{tls: true, {tls}}}"),
        format!("prober: http\nhttp: {{{tls}}}"),
        format!("prober: websocket\nwebsocket: {{http_config: {{{tls}}}}}"),
    ] {
        let target = match () {
            () if yaml.contains("prober: http") => format!("https://{target}"),
            () if yaml.contains("websocket") => format!("wss://{target}"),
            () => target.clone(),
        };
        let outcome = crate::support::probe(&yaml, &target).await;
        assert_eq!(outcome.failure.unwrap().reason, Reason::TlsHandshake, "{yaml}");
        has(outcome.advice.unwrap(), ["demands a client certificate"]);
    }
}

/// A server that says only after the handshake of TLS 1.3 that it demands a certificate of its clients.
pub async fn demanding() -> u16 {
    let (certificate, key) = SelfSigned::local().pem();
    let authority = tonic::transport::Certificate::from_pem(certificate.clone());
    let identity = tonic::transport::Identity::from_pem(certificate, key);
    let tls = tonic::transport::ServerTlsConfig::new().identity(identity);
    tonic(Some(tls.client_ca_root(authority))).await
}

/// A name server that sends one answer to everything.
async fn name_server(rcode: u8, records: &'static [&'static [u8]]) -> String {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = socket.local_addr().unwrap().to_string();
    spawn(async move {
        let mut buffer = [0; 600];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let mut answer = buffer[..length].to_vec();
            answer[2] = 0x81;
            answer[3] = 0x80 | rcode;
            answer[7] = records.len() as u8;
            answer.truncate(length);
            for address in records {
                answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                answer.extend_from_slice(address);
            }
            let _ = socket.send_to(&answer, from).await;
        }
    });
    address
}

/// A name server that fails, and says why with an OPT record.
async fn explaining() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    spawn(async move {
        let mut buffer = [0; 600];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let mut answer = buffer[..length].to_vec();
            (answer[2], answer[3], answer[11]) = (0x81, 0x82, 1);
            answer.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\0\0\0\x0d\0\x0f\0\x09\0\x07too old");
            let _ = socket.send_to(&answer, from).await;
        }
    });
    address
}

/// A name server whose answers over UDP are truncated, and which is silent over TCP.
async fn truncating() -> (String, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let Ok(socket) = UdpSocket::bind(address).await else {
            continue;
        };
        spawn(async move {
            let mut buffer = [0; 600];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                buffer[2] = 0x83;
                let _ = socket.send_to(&buffer[..length], from).await;
            }
        });
        return (address.to_string(), tcp);
    }
}

#[tokio::test]
async fn dns() {
    let mut table = Table::new("DNS");
    let dns =
        |more: &str| format!("prober: dns\ntimeout: 1s\ndns: {{query_name: www.test, query_type: A{more}}}");
    let one: &[&[u8]] = &[&[192, 0, 2, 1]];
    let answers = |rule: &str| dns(&format!(", validate_answer_rrs: {{{rule}}}"));
    #[rustfmt::skip]
    let rows = [
        ("NXDOMAIN", 3, &[][..], dns("")),
        ("SERVFAIL", 2, &[], dns("")),
        ("REFUSED", 5, &[], dns("")),
        ("NOERROR where NXDOMAIN is expected", 0, one, dns(", valid_rcodes: [NXDOMAIN]")),
        ("No records", 0, &[], answers("fail_if_not_matches_regexp: ['192']")),
        ("Another record", 0, one, answers("fail_if_not_matches_regexp: ['192\\.0\\.2\\.9']")),
        ("Blanks instead of tabs", 0, one, answers("fail_if_not_matches_regexp: ['IN A 192']")),
        ("A record that must not be there", 0, one, answers("fail_if_matches_regexp: ['192\\.0\\.2\\.']")),
        ("None of the records", 0, one, answers("fail_if_none_matches_regexp: ['10\\.', '172\\.']")),
    ];
    for (situation, rcode, records, yaml) in rows {
        let server = name_server(rcode, records).await;
        table.row(situation, &yaml, &server).await;
    }
    table
        .row("SERVFAIL with an extended error", &dns(""), &explaining().await)
        .await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    table
        .row("Silence", &dns(""), &silent.local_addr().unwrap().to_string())
        .await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    table
        .row(
            "Silence, and repeated queries",
            &dns(", retries: 1, transport_protocol: tcp"),
            &mute.local_addr().unwrap().to_string(),
        )
        .await;
    table.row("No name server", &dns(""), &closed().to_string()).await;
    let (server, _tcp) = truncating().await;
    table
        .row(
            "Truncated over UDP, silent over TCP",
            &dns(", tcp_on_truncation: true"),
            &server,
        )
        .await;
    // Nobody says that there is no QUIC where something else listens.
    let quic = [
        ", transport_protocol: quic",
        ", transport_protocol: https, https: {enable_http3: true}",
    ];
    for more in quic {
        let outcome = crate::support::probe(&dns(more), &silent.local_addr().unwrap().to_string()).await;
        has(outcome.advice.unwrap(), ["Nothing came back over UDP"]);
        let outcome = crate::support::probe(&dns(more).replace("1s", "30s"), &closed().to_string()).await;
        assert_eq!(outcome.failure.unwrap().reason, Reason::ConnectRefused, "{more}");
        has(outcome.advice.unwrap(), ["nothing listens on port"]);
    }
    // The URL is that of DNS over HTTPS, and no mistake.
    let web = closed().to_string();
    let yaml = dns(", transport_protocol: https");
    for target in [web.clone(), format!("https://{web}/dns-query")] {
        let outcome = crate::support::probe(&yaml, &target).await;
        has(outcome.advice.unwrap(), ["nothing listens on port"]);
    }
    let named = "prober: dns\ntimeout: 1s\ndns: {query_name: localhost, preferred_ip_protocol: ip4}";
    let target = silent
        .local_addr()
        .unwrap()
        .to_string()
        .replace("127.0.0.1", "localhost");
    let port = target.rsplit(':').next().unwrap().to_owned();
    table
        .row_without("The name as the target", named, &target, &[(&port, "PORT")])
        .await;
    table.check();
}

#[tokio::test]
async fn grpc() {
    let mut table = Table::new("gRPC");
    let grpc = |more: &str| format!("prober: grpc\ntimeout: 2s\ngrpc: {{preferred_ip_protocol: ip4{more}}}");
    let server = format!("127.0.0.1:{}", tonic(None).await);
    table
        .row("NOT_SERVING", &grpc(", service: bad.Service"), &server)
        .await;
    table
        .row("An unknown service", &grpc(", service: no.Service"), &server)
        .await;
    let web = Site::answering(answer("400 Bad Request", &[], "")).await;
    table
        .row("A server of HTTP/1", &grpc(""), &web.address.to_string())
        .await;
    let tls = Peer::play(vec![send([21, 3, 3, 0, 2, 2, 10, 0, 0, 0, 0]), Move::Close]).await;
    table.row("A port with TLS", &grpc(""), &tls.target()).await;
    let plain = Peer::play(vec![
        Move::Read(5),
        send("HTTP/1.1 400 Bad Request\r\n\r\n"),
        Move::Close,
    ])
    .await;
    table
        .row("A port without TLS", &grpc(", tls: true"), &plain.target())
        .await;
    let silent = Peer::play(vec![]).await;
    let hanging = grpc("").replace("2s", "500ms");
    table
        .row("A port that says nothing", &hanging, &silent.target())
        .await;
    let port = demanding().await;
    let yaml = grpc(", tls: true, tls_config: {insecure_skip_verify: true}");
    let outcome = crate::support::probe(&yaml, &format!("127.0.0.1:{port}")).await;
    let log = crate::support::log(&outcome).join("\n");
    has(&log, ["tls: certificate required"]);
    lacks(&log, ["docs.rs"]);
    table.add("The server demands a client certificate", &outcome, "", &[]);
    let root = Cert::ca("Root").self_signed();
    let mut config = pki::asking(pki::certified(&[&Cert::leaf().by(&root)]), &root);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let asking = pki::saying(config, Vec::new()).await.to_string();
    table
        .row(
            "The server asks for a client certificate and closes",
            &yaml,
            &asking,
        )
        .await;
    let unavailable = scripted(|_, mut respond| async move {
        let mut response = head(200);
        response.headers_mut().extend(trailers("14"));
        response
            .headers_mut()
            .insert("grpc-message", "db gone".parse().unwrap());
        respond.send_response(response, true).unwrap();
    });
    table
        .row(
            "The server itself says UNAVAILABLE",
            &grpc(""),
            &unavailable.await,
        )
        .await;
    for status in [404, 502, 302] {
        let web = scripted(move |_, mut respond| async move {
            let mut response = head(status);
            response
                .headers_mut()
                .insert("content-type", "text/html".parse().unwrap());
            let mut stream = respond.send_response(response, false).unwrap();
            stream.send_data("<html>".into(), true).unwrap();
        });
        table
            .row(&format!("HTTP {status} from a web server"), &grpc(""), &web.await)
            .await;
    }
    table.check();
}

#[tokio::test]
async fn websocket() {
    let mut table = Table::new("WebSocket");
    let yaml = "prober: websocket\ntimeout: 2s";
    for (situation, status) in [
        ("A page", "200 OK"),
        ("A redirect", "301 Moved Permanently"),
        ("401", "401 Unauthorized"),
        ("404", "404 Not Found"),
        ("426", "426 Upgrade Required"),
        ("502", "502 Bad Gateway"),
    ] {
        let site = Site::answering(answer(status, &[], "")).await;
        table
            .row(situation, yaml, &format!("ws://{}/", site.address))
            .await;
    }
    let upgrade = ["Upgrade: websocket", "Connection: Upgrade"];
    let site = Site::answering(answer("101 Switching Protocols", &upgrade, "")).await;
    table
        .row(
            "No Sec-WebSocket-Accept",
            yaml,
            &format!("ws://{}/", site.address),
        )
        .await;
    let site = Site::answering([21, 3, 3, 0, 2, 2, 70]).await;
    table
        .row("A port with TLS", yaml, &format!("ws://{}/", site.address))
        .await;
    let page = "<title>400 The plain HTTP request was sent to HTTPS port</title>";
    let site = Site::answering(answer("400 Bad Request", &[], page)).await;
    table
        .row(
            "A port of nginx with TLS",
            yaml,
            &format!("ws://{}/", site.address),
        )
        .await;
    let site = Site::answering(b"\0\0\0\x04\0\0\0\0\0").await;
    table
        .row(
            "The port speaks HTTP/2 in the clear, and closes",
            yaml,
            &format!("ws://{}/", site.address),
        )
        .await;
    for (situation, steps, frames) in [
        (
            "The server closes with a code",
            "{expect: hello}",
            &b"\x88\x0f\x03\xf0token expired"[..],
        ),
        (
            "The connection ends without a close frame",
            "{expect: hello}",
            b"",
        ),
        ("Silence", "{expect: hello}", b"\x89\0"),
        (
            "Silence after a `send`",
            "{send: ping}, {expect: hello}",
            b"\x89\0",
        ),
    ] {
        let ends = !situation.starts_with("Silence");
        let upgraded =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        let mut moves = vec![Move::ReadLine, send(upgraded), send(frames)];
        moves.extend(ends.then_some(Move::Close));
        let peer = Peer::play(moves).await;
        let steps = format!(
            "prober: websocket\ntimeout: 1s\nwebsocket: {{insecure_skip_accept: true, query_response: [{steps}]}}"
        );
        table
            .row(situation, &steps, &format!("ws://{}/", peer.target()))
            .await;
    }
    let answer = send("HTTP/1.1 400 Bad Request\r\n\r\n");
    let plain = Peer::play(vec![Move::Read(5), answer, Move::Close]).await;
    table
        .row("A port without TLS", yaml, &format!("wss://{}/", plain.target()))
        .await;
    let site = Site::answering("").await;
    table
        .row("The peer closes", yaml, &format!("ws://{}/", site.address))
        .await;
    table.check();
}
