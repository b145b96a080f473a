//! A dialogue: the first three lines are an expression, a template to send and the template of a label; the rest is what
//! the peer says, in pieces, before it closes.
#![no_main]

mod peer;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use blackbox_exporter::config::{self, Label, Prober, QueryResponse};
use blackbox_exporter::module::{Kind, Module, Problems};
use blackbox_exporter::net::{Deadline, Network};
use blackbox_exporter::prober::query_response::{Upgrade, run};
use blackbox_exporter::prober::{Probe, ProbeRequest};
use libfuzzer_sys::fuzz_target;
use tokio::time::Instant;

static NETWORK: LazyLock<Network> = LazyLock::new(Network::system);

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(4, |b| *b == b'\n');
    let (Some(expect), Some(send), Some(value), Some(said)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let (Ok(expect), Ok(value)) = (std::str::from_utf8(expect), std::str::from_utf8(value)) else {
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
    let dialogue = peer::against(1 + said.len() % 97, said, async |stream| {
        let request = ProbeRequest {
            target: "x:1",
            hostname: None,
            timeout: Duration::from_secs(60),
        };
        let deadline = Deadline::after(Instant::now(), request.timeout);
        let mut probe = Probe::new(&NETWORK, &module, &request, deadline);
        let upgrade = Upgrade {
            config: &tcp.tls_config,
            server_name: "",
        };
        let verdict = run(&mut probe, Box::new(stream), false, &tcp.steps, upgrade).await;
        assert!(probe.log.events().len() <= 1_001, "the log of a probe is bounded");
        verdict.is_ok()
    });
    let (passed, heard) = dialogue.expect("there is a runtime");
    assert!(!passed || send.is_empty() || heard.ends_with(b"\n") || heard.is_empty());
});
