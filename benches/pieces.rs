//! The pieces that each probe or page goes through: heads, regular expressions, looking up targets, pages.
#![allow(missing_docs, reason = "a benchmark has no callers")]
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::sync::Arc;
use std::time::Duration;

use blackbox_exporter::check::Regexp;
use blackbox_exporter::log;
use blackbox_exporter::logging::{LogFormat, Logger, OncePerMinute};
use blackbox_exporter::metrics::Samples;
use blackbox_exporter::module::Store;
use blackbox_exporter::net::http1::HeadParser;
use blackbox_exporter::net::url::Url;
use blackbox_exporter::net::{Deadline, Network, Preference};
use blackbox_exporter::probe_log::{Level, ProbeLog};
use blackbox_exporter::prober::{self, Outcome, ProbeRequest, Timeline};
use blackbox_exporter::server::instruments::{Elsewhere, Instruments};
use blackbox_exporter::server::past::debug;
use blackbox_exporter::server::past::history::History;
use blackbox_exporter::server::{Exporter, RequestSettings, pages};
use divan::{Bencher, black_box};
use http::{HeaderMap, HeaderValue, Uri, header};
use tokio::runtime::Runtime;
use tokio::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// What nginx answers with.
#[divan::bench]
fn head_of_an_answer() {
    let head = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\n\
                 Content-Type: text/html\r\nContent-Length: 612\r\nConnection: close\r\nETag: \"65a\"\r\n\r\n";
    let step = HeadParser::default().advance(black_box(head)).unwrap();
    assert!(black_box(step.head).is_some());
}

#[divan::bench]
fn url() -> Url {
    Url::parse(black_box("https://user@www.example.com:8443/a/b?q=1")).unwrap()
}

#[divan::bench(args = ["^220 .*ready", r"(?i)status[^a-z]*(ok|up)", r"\b\d{3}-\d{4}\b"])]
fn regexp_compiled(source: &str) -> Regexp {
    Regexp::new(source).unwrap()
}

/// A body of 64 KiB without a match.
#[divan::bench(args = ["^220 .*ready", r"(?i)status[^a-z]*(ok|up)", r"\b\d{3}-\d{4}\b"])]
fn regexp_over_a_body(bencher: Bencher, source: &str) {
    let regexp = Regexp::new(source).unwrap();
    let body = b"<p>Nothing to be seen here.</p>\n".repeat(2048);
    bencher.bench(|| regexp.is_match(black_box(&body)));
}

/// `localhost` is in the hosts file; a name that is not would measure a name server.
#[divan::bench(args = ["192.0.2.1", "localhost"])]
fn target_looked_up(bencher: Bencher, host: &str) {
    let runtime = Runtime::new().unwrap();
    let network = Network::system();
    let preference = Preference {
        ip6: false,
        fallback: true,
    };
    bencher.bench(|| {
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(5));
        runtime
            .block_on(
                network
                    .resolver
                    .lookup(black_box(host), preference, deadline, None),
            )
            .unwrap()
    });
}

/// Refuses connections.
const TARGET: &str = "http://127.0.0.1:1/";

/// An exporter that has refused connections to look back on.
fn exporter(runtime: &Runtime, probes: usize) -> Exporter {
    let store = Arc::new(Store::built_in().unwrap());
    let network = Arc::new(Network::system());
    let logger = Logger::stderr(Level::Error, LogFormat::Logfmt);
    let exporter = Exporter {
        instruments: Instruments::new(Elsewhere {
            store: Arc::clone(&store),
            network: Arc::clone(&network),
            logger: logger.clone(),
            exports: None,
        }),
        store,
        network,
        reloads: Default::default(),
        history: History::new(probes, 64 << 20),
        open_pages: Default::default(),
        logger,
        shortage: OncePerMinute::default(),
        targets_tag: Default::default(),
        exports: None,
        playground: None,
        settings: RequestSettings {
            timeout_offset: 0.5,
            probe_log: None,
            max_in_flight: 0,
            trace_link: None,
        },
    };
    let loaded = exporter.store.current();
    let module = loaded.modules.get("http_2xx").unwrap();
    for _ in 0..probes {
        let request = ProbeRequest {
            target: TARGET,
            hostname: None,
            timeout: Duration::from_secs(5),
        };
        let outcome = runtime.block_on(prober::run(&exporter.network, module, request));
        exporter.history.add(module, TARGET, None, outcome);
    }
    exporter
}

/// What every probe pays for being remembered: by the history, and by the row of its target among ten thousand.
#[divan::bench(args = [true, false])]
fn result_remembered(bencher: Bencher, success: bool) {
    let store = Store::built_in().unwrap();
    let loaded = store.current();
    let module = loaded.modules.get("http_2xx").unwrap();
    let history = History::new(100, 64 << 20);
    let outcome = || {
        let mut log = ProbeLog::default();
        log!(log, Error, "Error for HTTP request", "err" => "connection refused");
        Outcome {
            advice: None,
            body: None,
            success,
            duration: Duration::from_millis(12),
            samples: Samples::new(),
            log,
            timeline: Timeline::new(ping_engine::Moment::now()),
            tls: None,
            failure: None,
            trace: None,
            findings: None,
        }
    };
    let targets: Vec<String> = (0..10_000)
        .map(|n| format!("http://target-{n}.example.com/"))
        .collect();
    for target in &targets {
        history.add(module, target, None, outcome());
    }
    let mut next = targets.iter().cycle();
    bencher
        .with_inputs(|| (outcome(), next.next().unwrap()))
        .bench_local_values(|(outcome, target)| history.add(module, target, None, outcome));
}

/// The page that lists past probes, as a browser gets it.
#[divan::bench(args = [1, 100])]
fn page_of_probes(bencher: Bencher, probes: usize) {
    let runtime = Runtime::new().unwrap();
    let exporter = Arc::new(exporter(&runtime, probes));
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
    let uri = Uri::from_static("/");
    bencher.bench(|| runtime.block_on(pages::landing(&exporter, &uri, &headers)));
}

/// What `debug=true` and `/logs` show.
#[divan::bench]
fn page_of_one_probe(bencher: Bencher) {
    let runtime = Runtime::new().unwrap();
    let exporter = exporter(&runtime, 1);
    let entry = exporter.history.by_id(0).unwrap();
    bencher.bench(|| debug::text(&entry, LogFormat::Logfmt).collect::<String>());
}
