//! Properties of the readers of what comes from outside, the same that `fuzz/` looks for, with bounded cases: nothing
//! panics, and what is read is what was written.

use std::sync::{Arc, LazyLock};

use blackbox_exporter::metrics::negotiate::{Exposition, Format, wants_gzip};
use blackbox_exporter::module;
use blackbox_exporter::net::http1::{MAX_HEAD, RequestBody, exchange};
use blackbox_exporter::net::split_host_port;
use blackbox_exporter::net::tls::facts::Certificate;
use blackbox_exporter::net::url::Url;
use blackbox_exporter::net::x509::{Judge, ParseError, Pool, Purpose};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::pki::Cert;

/// Texts made of these pieces, which are more often nearly right than not.
fn of(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![6 => select(pieces).prop_map(str::to_owned), 1 => any::<String>()];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Bytes with some of them changed, and the end cut off now and then.
fn spoilt(mut bytes: Vec<u8>, changes: &[(Index, u8)], cut: Option<Index>) -> Vec<u8> {
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(Index, u8)>> {
    proptest::collection::vec(any::<(Index, u8)>(), 0..4)
}

/// A root, and a certificate that it signed.
static HIERARCHY: LazyLock<(Pool, Vec<u8>)> = LazyLock::new(|| {
    let root = Cert::ca("Root").self_signed();
    let mut pool = Pool::default();
    pool.add(Arc::new(Certificate::parse(&root.der).unwrap()));
    (pool, Cert::leaf().names(&["a.test"]).by(&root).der)
});

/// How the body of an answer is sent.
#[derive(Clone, Copy, Debug)]
enum Sent {
    WithLength,
    InChunks,
    UntilTheEnd,
}

/// An answer with this body.
fn answer(sent: Sent, body: &[u8], chunk: usize) -> Vec<u8> {
    let mut out = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n".to_vec();
    match sent {
        Sent::WithLength => out.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes()),
        Sent::InChunks => {
            out.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for piece in body.chunks(chunk) {
                out.extend(format!("{:x};a=b\r\n", piece.len()).bytes());
                out.extend(piece);
                out.extend(b"\r\n");
            }
            out.extend(b"0\r\nX-Trailer: y\r\n\r\n");
            return out;
        }
        Sent::UntilTheEnd => out.extend(b"\r\n"),
    }
    out.extend(body);
    out
}

/// The body of an answer that comes in pieces of this size; `None` when it is refused.
fn read(answer: &[u8], piece: usize) -> Option<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (ours, peers) = tokio::io::duplex(piece);
        let (mut hears, mut says) = tokio::io::split(peers);
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        let ask = async {
            let mut first_byte = go_http::FirstByte::default();
            let first_byte = &mut first_byte;
            let mut answer = exchange(
                ours,
                "GET",
                request,
                RequestBody::Empty,
                false,
                first_byte,
                MAX_HEAD,
            )
            .await
            .ok()?;
            let mut body = Vec::new();
            answer.body.read_to_end(&mut body).await.ok()?;
            Some(body)
        };
        let speak = async {
            let _ = says.write_all(answer).await;
            let _ = says.shutdown().await;
        };
        let hear = async {
            let _ = tokio::io::copy(&mut hears, &mut tokio::io::sink()).await;
        };
        tokio::join!(ask, speak, hear).0
    })
}

fn in_yaml(scalar: &str) -> String {
    format!(
        "modules:\n  m:\n    prober: http\n    timeout: {scalar}\n    http:\n      body_size_limit: {scalar}\n      \
         fail_if_ssl: {scalar}\n      valid_status_codes: [{scalar}]\n      fail_if_body_matches_regexp: [{scalar}]\n"
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_accept_header_chooses_a_format(
        accept in of(&["text/plain", "application/openmetrics-text", "*/*", ";q=0.5", ";q=", ";version=1.0.0", ";escaping=", ",", " ", "\"", "="]),
    ) {
        let chosen = Exposition::negotiate(Some(&accept));
        prop_assert!(chosen.content_type().contains("; charset=utf-8") || chosen.format == Format::Protobuf);
        prop_assert!(chosen.format != Format::OpenMetrics || accept.contains("openmetrics-text"));
        prop_assert!(!wants_gzip([accept.as_str()].into_iter()) || accept.contains("gzip") || accept.contains('*'));
    }

    #[test]
    fn any_scalar_is_read_or_refused(
        scalar in of(&["1", "_", ".", "0x", "1m", "30s", "MB", "yes", "~", "'", "\"", "\\", "\\x41", "!!binary ", "!!int ", "&a ", "*a", "|\n", ":", "#", "-", "[", "}", "\n        "]),
    ) {
        if let Err(error) = module::parse(in_yaml(&scalar), "test.yml") {
            prop_assert!(!error.to_string().is_empty() && !error.quoted().is_empty());
        }
    }

    /// JSON's strings are YAML's, escapes included.
    #[test]
    fn quoted_text_is_read_as_it_was_written(text: String) {
        let quoted = serde_json::to_string(&text).unwrap();
        let config = format!("modules:\n  m: {{prober: http, http: {{body: {quoted}}}}}\n");
        let loaded = module::parse(config, "test.yml");
        let loaded = loaded.map_err(|error| TestCaseError::fail(error.quoted()))?;
        let module = loaded.modules.get("m").unwrap();
        prop_assert_eq!(&module.raw.http.body, text.as_bytes());
    }

    #[test]
    fn any_target_goes_out_as_it_is_read(
        target in of(&["http://", "https:", "//", "user:pass@", "example.test", "[::1%25lo]", ":80", ":http", "/a/../b", "%2f", "%zz", "?q=1", "#f", "\\", " ", "é"]),
    ) {
        if let Ok(url) = Url::parse(&target) {
            let written = url.to_bytes();
            // Go, too, writes a path with two slashes and no host as if it began with a host.
            let is_spoilt = url.host.is_empty() && written.starts_with(b"//");
            if let Ok(again) = Url::parse(&written) && !is_spoilt {
                prop_assert_eq!(again.to_bytes(), written);
                prop_assert_eq!(again.hostname(), url.hostname());
            }
        }
        if let Ok((host, port)) = split_host_port(&target) {
            let joined = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
            prop_assert_eq!(split_host_port(&joined).ok(), Some((host, port)));
        }
    }

    #[test]
    fn any_certificate_is_parsed_or_refused(changes in changes(), cut: Option<Index>) {
        let parameters = rcgen::CertificateParams::new(vec!["a.test".to_owned(), "192.0.2.1".to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let der = spoilt(certificate.der().to_vec(), &changes, cut);
        if let Ok(certificate) = Certificate::parse(&der) {
            let told = [certificate.subject(), certificate.issuer(), certificate.serial(), certificate.fingerprint()];
            prop_assert!(told.iter().map(String::len).sum::<usize>() < 10 * der.len());
            prop_assert!(certificate.dns_names().count() + certificate.ip_addresses().count() <= der.len());
        }
    }

    /// What is remembered of a certificate and its signature changes no verdict.
    #[test]
    fn remembered_verdicts_are_the_same(changes in changes(), cut: Option<Index>) {
        let (root, leaf) = &*HIERARCHY;
        let der = spoilt(leaf.clone(), &changes, cut);
        let verdict = |leaf: Result<Arc<Certificate>, ParseError>| {
            let judge = Judge { roots: root, host: "a.test", now: 1_800_000_000, purpose: Purpose::Server };
            let chains = leaf.map(|leaf| judge.verify(&[leaf]).map(|chains| chains.len()));
            format!("{chains:?}")
        };
        let first = verdict(Certificate::parse(&der).map(Arc::new));
        for _ in 0..2 {
            prop_assert_eq!(&verdict(Certificate::shared(&der)), &first);
        }
    }

    #[test]
    fn a_body_comes_out_as_it_was_sent(
        sent in select(vec![Sent::WithLength, Sent::InChunks, Sent::UntilTheEnd]),
        body in proptest::collection::vec(any::<u8>(), 0..2000),
        chunk in 1_usize..500,
        piece in 1_usize..300,
    ) {
        prop_assert_eq!(read(&answer(sent, &body, chunk), piece), Some(body));
    }

    #[test]
    fn a_spoilt_answer_ends(
        sent in select(vec![Sent::WithLength, Sent::InChunks, Sent::UntilTheEnd]),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        changes in changes(),
        cut: Option<Index>,
        piece in 1_usize..300,
    ) {
        let answer = spoilt(answer(sent, &body, 17), &changes, cut);
        let body = read(&answer, piece);
        prop_assert!(body.is_none_or(|body| body.len() <= answer.len()));
    }
}

#[test]
fn a_chunk_of_the_largest_size_is_only_unfinished() {
    for size in ["ffffffffffffffff", "8000000000000000", "7fffffffffffffff"] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nx");
        assert_eq!(read(answer.as_bytes(), 100), None, "{size}");
    }
}
