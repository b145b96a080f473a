//! A dialogue: the first three lines are an expression, a template to send and the template of a label; the rest is what
//! the peer says, in pieces, before it closes.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use blackbox_exporter::config::{self, Label, Prober, QueryResponse};
use blackbox_exporter::module::{Kind, Module, Problems};
use blackbox_exporter::net::{Deadline, Network};
use blackbox_exporter::prober::query_response::{Upgrade, run};
use blackbox_exporter::prober::{Probe, Request};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

static NETWORK: LazyLock<Network> = LazyLock::new(Network::system);
static RUNTIME: LazyLock<Option<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().ok());

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(4, |b| *b == b'\n');
    let (Some(expect), Some(send), Some(value), Some(said)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let (Ok(expect), Ok(value), Some(runtime)) = (
        std::str::from_utf8(expect),
        std::str::from_utf8(value),
        RUNTIME.as_ref(),
    ) else {
        return;
    };
    let mut raw = config::Module::new(Prober::Tcp);
    raw.tcp.query_response = vec![
        QueryResponse {
            expect: Some(expect.to_owned()),
            send: send.to_vec(),
            labels: Some(vec![Label {
                name: "a".to_owned(),
                value: value.to_owned(),
            }]),
            ..QueryResponse::default()
        },
        QueryResponse {
            expect_bytes: send.to_vec(),
            ..QueryResponse::default()
        },
    ];
    let mut problems = Problems::default();
    let module = Module::compile("m", &Arc::new(raw), &mut problems);
    let Kind::Tcp(tcp) = &module.kind else {
        return;
    };
    if !problems.found().is_empty() {
        return;
    }
    runtime.block_on(async {
        let start = Instant::now();
        let request = Request {
            target: "x:1",
            hostname: None,
            timeout: Duration::from_secs(60),
        };
        let deadline = Deadline::after(start, request.timeout);
        let mut probe = Probe::new(&NETWORK, &module, &request, deadline, start);
        let upgrade = Upgrade {
            config: &tcp.tls_config,
            server_name: "",
        };
        let piece = 1 + said.len() % 97;
        let (ours, peers) = tokio::io::duplex(piece);
        let (mut hears, mut says) = tokio::io::split(peers);
        let dialogue = async {
            let verdict = run(&mut probe, Box::new(ours), false, &tcp.steps, upgrade).await;
            (verdict.is_ok(), probe.log.events().len())
        };
        let speak = async {
            let _ = says.write_all(said).await;
            let _ = says.shutdown().await;
        };
        let hear = async {
            let mut heard = Vec::new();
            let _ = hears.read_to_end(&mut heard).await;
            heard
        };
        let ((passed, lines), (), heard) = tokio::join!(dialogue, speak, hear);
        assert!(lines <= 1_001, "the log of a probe is bounded");
        assert!(!passed || send.is_empty() || heard.ends_with(b"\n") || heard.is_empty());
    });
});
