//! Probing with modules made in code.

use std::sync::Arc;
use std::time::Duration;

use blackbox_exporter::config::{self, QueryResponse};
use blackbox_exporter::metrics::{Labels, Metric, Samples};
use blackbox_exporter::module::{Module, Problems};
use blackbox_exporter::net::Network;
use blackbox_exporter::probe_log::ProbeLog;
use blackbox_exporter::prober::{self, Outcome, ProbeRequest, Timeline};

/// Longer than any test takes, so that only tests of timeouts meet one.
pub const PATIENT: Duration = Duration::from_secs(30);

/// Compiles a module, which must be flawless.
pub fn compile(raw: config::Module) -> Module {
    let mut problems = Problems::default();
    let module = Module::compile("m", &Arc::new(raw), &mut problems);
    assert_eq!(problems.found(), []);
    module
}

/// Probes once.
pub async fn run(raw: config::Module, target: &str, timeout: Duration) -> Outcome {
    let request = ProbeRequest {
        target,
        hostname: None,
        timeout,
    };
    prober::run(&Network::system(), &compile(raw), request).await
}

/// The log as text.
pub fn log_of(outcome: &Outcome) -> String {
    super::log(outcome).join("\n")
}

/// The labels of `probe_expect_info`, as `name=value` in the order in which they are exposed.
pub fn expect_info(outcome: &Outcome) -> Vec<String> {
    let pairs = |labels: &Labels| match labels {
        Labels::Pairs(pairs) => pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        other => panic!("{other:?}"),
    };
    let mut series = outcome.samples.family(Metric::ExpectInfo);
    let info = series
        .next()
        .map(|sample| pairs(sample.labels))
        .unwrap_or_default();
    assert!(series.next().is_none(), "one series at most");
    info
}

/// A step that waits for a line.
pub fn expect(regexp: &str) -> QueryResponse {
    QueryResponse {
        expect: Some(regexp.into()),
        ..QueryResponse::default()
    }
}

/// A step that sends a line.
pub fn say(text: &str) -> QueryResponse {
    QueryResponse {
        send: text.into(),
        ..QueryResponse::default()
    }
}

/// How a probe that passed in 20 ms ends, of which nothing else is known.
pub fn passed() -> Outcome {
    Outcome {
        advice: None,
        body: None,
        success: true,
        duration: Duration::from_millis(20),
        samples: Samples::new(),
        log: ProbeLog::default(),
        timeline: Timeline::new(ping_engine::Moment::now()),
        tls: None,
        failure: None,
        trace: None,
        findings: None,
    }
}
