//! What the integration tests share: modules from YAML, probes of them, expositions to compare.

mod exporter;
pub mod namespace;
pub mod peer;
pub mod pki;
pub mod probing;
pub mod process;
pub mod programs;
mod task;
pub mod tls_peer;
pub mod unbound;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use blackbox_exporter::metrics::{Exposition, Format, encode};
use blackbox_exporter::module::{self, Module};
use blackbox_exporter::net::Network;
use blackbox_exporter::probe_log::LogValue;
use blackbox_exporter::prober::{self, Outcome, ProbeRequest};
use socket2::{Domain, Socket, Type};

pub use exporter::{Answer, Exporter, parse};
pub use task::spawn;

/// The timeout of a test's probe whose module names none: long enough never to be what a test fails of.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Held by tests that keep every processor busy for seconds, so that they do not do it at the same time.
pub static BUSY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A module from what stands below its name: `module("prober: tcp\ntcp: {tls: true}")`.
pub fn module(yaml: &str) -> Arc<Module> {
    let mut text = "modules:\n  test:\n".to_owned();
    for line in yaml.lines() {
        text.push_str(&format!("    {line}\n"));
    }
    let loaded = module::parse(text, "test.yml").unwrap_or_else(|e| panic!("{}", e.quoted()));
    Arc::clone(loaded.modules.get("test").expect("the module is there"))
}

/// Probes a target with a module from YAML.
pub async fn probe(yaml: &str, target: &str) -> Outcome {
    probe_as(yaml, target, None).await
}

/// Probes a target with the `hostname` parameter set.
pub async fn probe_as(yaml: &str, target: &str, hostname: Option<&str>) -> Outcome {
    let module = module(yaml);
    let request = ProbeRequest {
        target,
        hostname,
        timeout: module.timeout.unwrap_or(TIMEOUT),
    };
    prober::run(&Network::system(), &module, request).await
}

/// The exposition of a probe in text 0.0.4.
pub fn exposition(outcome: &Outcome) -> String {
    let mut out = Vec::new();
    encode::probe(&outcome.samples, Exposition::new(Format::Text), &mut out);
    String::from_utf8(out).expect("an exposition is UTF-8")
}

/// The exposition with every duration, moment and address hash as `V`: what must be equal at every run.
pub fn redacted(outcome: &Outcome) -> String {
    const VOLATILE: [&str; 3] = ["_seconds", "_hash", "_expiry"];
    let mut out = String::new();
    for line in exposition(outcome).lines() {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let is_volatile =
            VOLATILE.iter().any(|suffix| name.ends_with(suffix)) && name != "probe_timeout_seconds";
        match line.rsplit_once(' ') {
            Some((series, _)) if is_volatile && !line.starts_with('#') => {
                out.push_str(&format!("{series} V\n"))
            }
            _ => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

/// An address of this host where nobody listens, nor will while the tests run.
pub fn closed() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}

/// The log book, one line an event: `LEVEL message key=value …`.
pub fn log(outcome: &Outcome) -> Vec<String> {
    outcome
        .log
        .events()
        .iter()
        .map(|event| {
            let mut line = format!("{} {}", event.level.name(), event.message);
            for (key, value) in event.attributes() {
                line.push_str(&match value {
                    LogValue::Text(text) => format!(" {key}={text:?}"),
                    LogValue::Bytes(text) => format!(" {key}={text:?}"),
                    LogValue::Int(number) => format!(" {key}={number}"),
                    LogValue::Float(number) => format!(" {key}={number}"),
                    LogValue::Bool(truth) => format!(" {key}={truth}"),
                    LogValue::Time(_) => format!(" {key}=TIME"),
                    LogValue::Ip(_) | LogValue::Address(_) => format!(" {key}=\"{value}\""),
                });
            }
            line
        })
        .collect()
}

/// Fails unless the text has all of these parts, and shows it then.
#[track_caller]
pub fn has<const N: usize>(text: impl AsRef<str>, parts: [&str; N]) {
    let text = text.as_ref();
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

/// Fails if the text has one of these parts, and shows it then.
#[track_caller]
pub fn lacks<const N: usize>(text: impl AsRef<str>, parts: [&str; N]) {
    let text = text.as_ref();
    for part in parts {
        assert!(!text.contains(part), "{part:?} in: {text}");
    }
}

/// A folder with these files.
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    folder
}
