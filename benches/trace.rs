//! What a probe pays for its trace: the context and the header, and the spans when they are exported.
#![allow(missing_docs, reason = "a benchmark has no callers")]
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::sync::Arc;
use std::time::Duration;

use blackbox_exporter::logging::{LogFormat, Logger};
use blackbox_exporter::module::{Module, parse};
use blackbox_exporter::net::Network;
use blackbox_exporter::probe_log::Level;
use blackbox_exporter::prober::{Outcome, ProbeRequest, run};
use blackbox_exporter::telemetry::Exports;
use blackbox_exporter::trace::{Endpoint, Export, Tracing};
use divan::{Bencher, black_box};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

fn module() -> Arc<Module> {
    let text = "modules: {m: {prober: http, trace: {}}}";
    let loaded = parse(text, "bench").unwrap();
    Arc::clone(loaded.modules.get("m").unwrap())
}

/// What a good probe pays whose spans are not exported: at most 2 µs together with `good_probe_not_exported`.
#[divan::bench]
fn context_and_header(bencher: Bencher) {
    let module = module();
    bencher.bench(|| {
        let tracing = Tracing::begin(black_box(&module), &http::HeaderMap::new()).unwrap();
        (tracing.headers(0, "www.example.com"), tracing.context)
    });
}

/// A probe that was answered with 200, and where its spans would go. Nobody takes them: the queue is full after a while, and what is
/// measured is what the probe pays.
fn answered(runtime: &Runtime, export: Export) -> (Arc<Exports>, Arc<Module>, Outcome, String) {
    let module = module();
    let (target, outcome) = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
        });
        let request = ProbeRequest {
            target: &target,
            hostname: None,
            timeout: Duration::from_secs(5),
        };
        let outcome = run(&Network::system(), &module, request).await;
        (target, outcome)
    });
    assert!(outcome.success);
    let spans = Endpoint::parse("http://127.0.0.1:1/v1/traces");
    let logger = Logger::stderr(Level::Error, LogFormat::Logfmt);
    let _inside = runtime.enter();
    let network = Arc::new(Network::system());
    let exports = Exports::start(spans.as_ref(), None, export, "bench", &network, &logger).unwrap();
    (exports, module, outcome, target)
}

#[divan::bench]
fn good_probe_not_exported(bencher: Bencher) {
    let runtime = Runtime::new().unwrap();
    let (exports, module, outcome, target) = answered(&runtime, Export::Failed);
    bencher.bench(|| exports.finished(&module, black_box(&target), &outcome));
}

/// At most 15 µs.
#[divan::bench]
fn good_probe_exported(bencher: Bencher) {
    let runtime = Runtime::new().unwrap();
    let (exports, module, outcome, target) = answered(&runtime, Export::All);
    bencher.bench(|| exports.finished(&module, black_box(&target), &outcome));
}
