//! Requests that are sent again: those that an HTTP/2 peer refused unread, and no others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blackbox_exporter::metrics::Metric;
use bytes::Bytes;
use h2::Reason;

use crate::support::peer::listen;
use crate::support::pki;
use crate::support::tls_peer::SelfSigned;
use crate::support::{log, probe, spawn};

/// Answers with method and length of the body, or resets the stream: the n-th reason is for the n-th connection, the last
/// one for all that follow. Returns where it listens and how many connections came.
async fn serve(identity: &SelfSigned, resets: &'static [Option<Reason>]) -> (SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let answer = move |stream| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        let reset = resets[number.min(resets.len() - 1)];
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                if let Some(reason) = reset {
                    respond.send_reset(reason);
                    continue;
                }
                spawn(async move {
                    let (head, mut body) = request.into_parts();
                    let mut length = 0;
                    while let Some(data) = body.data().await {
                        let data = data.unwrap();
                        length += data.len();
                        body.flow_control().release_capacity(data.len()).unwrap();
                    }
                    let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
                    let text = format!("{} {length}", head.method);
                    stream.send_data(Bytes::from(text), true).unwrap();
                });
            }
        }
    };
    let address = pki::serve_each(identity.server(&["h2"]), answer).await;
    (address, count)
}

#[tokio::test]
async fn what_was_refused_unread_is_sent_again() {
    const REFUSED: Option<Reason> = Some(Reason::REFUSED_STREAM);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, "from a file").unwrap();
    let post = format!(
        "method: POST\n  body: '{}'\n  fail_if_body_not_matches_regexp: ['^POST 100000$']",
        "x".repeat(100_000)
    );
    let from_file = format!("method: POST\n  body_file: {}", file.display());
    let get = "fail_if_body_not_matches_regexp: ['^GET 0$']";
    // what, more of the module, resets, success, connections
    #[rustfmt::skip]
    let rows: [(&str, &str, &'static [Option<Reason>], bool, usize); 7] = [
        ("never refused", get, &[None], true, 1),
        ("once", get, &[REFUSED, None], true, 2),
        ("as often as it may", get, &[REFUSED, REFUSED, REFUSED, None], true, 4),
        ("forever", get, &[REFUSED], false, 4),
        ("with a body", &post, &[REFUSED, REFUSED, None], true, 3),
        // Upstream cannot read the file again either.
        ("with a body from a file", &from_file, &[REFUSED, None], false, 1),
        ("broken, not refused", get, &[Some(Reason::INTERNAL_ERROR), None], false, 1),
    ];
    let identity = SelfSigned::local();
    for (what, more, resets, success, connections) in rows {
        let (address, count) = serve(&identity, resets).await;
        let yaml = format!(
            "prober: http\nhttp:\n  preferred_ip_protocol: ip4\n  tls_config: {{{}}}\n  {more}",
            identity.trust()
        );
        let outcome = probe(&yaml, &format!("https://{address}/")).await;
        let lines = log(&outcome).join("\n");
        assert_eq!(outcome.success, success, "{what}: {lines}");
        assert_eq!(count.load(Ordering::SeqCst), connections, "{what}: {lines}");
        match success {
            true => assert_eq!(outcome.samples.value(Metric::HttpVersion), Some(2.0), "{what}"),
            false => assert!(lines.contains("stream error: stream ID 1;"), "{what}: {lines}"),
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_again_over_http1() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    // Closed without a word, as a server does that ends a connection it kept open: but this one is new.
    let close = move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async {}
    };
    let address = listen(close).await;
    let yaml = "prober: http\nhttp: {preferred_ip_protocol: ip4}";
    let outcome = probe(yaml, &format!("http://{address}/")).await;
    assert!(!outcome.success);
    assert_eq!(count.load(Ordering::SeqCst), 1, "{:?}", log(&outcome));
}
