//! What it would take to watch the target: a module, an entry of the targets file, an alert.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::attempt::Doctor;
use super::examination::Examination;
use super::greeting;
use super::service::Service;
use super::settings::{Families, over, prefer, with, written};
use super::subject::{Remote, Scheme, Subject};

/// Texts to copy.
#[derive(Clone, Debug)]
pub struct Prescription {
    /// The module, as it would stand in a configuration file.
    pub module: Value,
    /// Its name.
    pub name: &'static str,
    /// The target as the module wants it.
    pub target: String,
    /// What is to be known about it.
    pub notes: Vec<String>,
    /// Why a probe with it fails, or how the server refuses; `None` when it passes.
    pub trouble: Option<String>,
    /// What to do about that, unless a note says it.
    pub advice: Option<String>,
}

impl Prescription {
    /// The module for what was found, tried out.
    pub async fn write(doctor: Doctor<'_>, subject: &Subject, found: &Examination) -> Self {
        let mut prescription = match subject {
            Subject::Socket(path) => Self::new(
                "unix_connect",
                json!({"prober": "unix", "timeout": "5s"}),
                path.clone(),
            ),
            Subject::Remote(remote) => for_remote(remote, found),
        };
        let outcome = doctor
            .probe(&prescription.module, &prescription.target, doctor.patience)
            .await;
        match outcome {
            Ok(outcome) if outcome.success => {}
            Ok(outcome) => {
                prescription.trouble = Some(outcome.reason().unwrap_or_default());
                let is_noted = |line: &String| prescription.notes.iter().any(|note| note.contains(line));
                prescription.advice = outcome.advice.filter(|line| !is_noted(line));
            }
            Err(error) => {
                prescription.trouble = Some(error);
                prescription.advice = None;
            }
        }
        prescription
    }

    fn new(name: &'static str, module: Value, target: String) -> Self {
        Self {
            module,
            name,
            target,
            notes: Vec::new(),
            trouble: None,
            advice: None,
        }
    }

    /// The configuration file.
    pub fn configuration(&self) -> String {
        format!("modules:\n  {}:\n{}", self.name, yaml(&self.module, 4))
    }

    /// The targets file.
    pub fn targets(&self) -> String {
        let text = |text: &str| written(&text.into());
        format!(
            "targets:\n  - name: {}\n    address: {}\n    module: {}\n",
            text(&self.target),
            text(&self.target),
            self.name
        )
    }

    /// The rules file of Prometheus.
    pub fn alert(&self) -> String {
        // A string of PromQL is one of JSON, and the whole expression a text of YAML in single quotes.
        let target = written(&self.target.as_str().into()).replace('\'', "''");
        format!(
            "groups:\n  - name: blackbox\n    rules:\n      - alert: ProbeFailed\n        expr: 'probe_success{{target={target}}} == 0'\n        for: 1m\n        \
             annotations:\n          summary: '{{{{ $labels.target }}}} is down'\n"
        )
    }
}

/// A module with one section.
fn module(prober: &str, settings: Value) -> Value {
    json!({"prober": prober, "timeout": "5s", prober: settings})
}

/// Block YAML of settings, whose leaves are JSON, which is YAML.
fn yaml(value: &Value, indentation: usize) -> String {
    let Value::Object(settings) = value else {
        return format!("{:indentation$}{}\n", "", written(value));
    };
    let line = |(key, value): (&String, &Value)| match value {
        Value::Object(inner) if !inner.is_empty() => {
            format!("{:indentation$}{key}:\n{}", "", yaml(value, indentation + 2))
        }
        Value::String(word)
            if !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') =>
        {
            format!("{:indentation$}{key}: {word}\n", "")
        }
        _ => format!("{:indentation$}{key}: {}\n", "", written(value)),
    };
    // Which prober it is says what the rest means.
    let (first, rest): (Vec<_>, Vec<_>) = settings.iter().partition(|(_, value)| !value.is_object());
    first.into_iter().chain(rest).map(line).collect()
}

/// The service that says most: an answer over HTTP or gRPC, a greeting, TLS, a connection.
fn best(found: &Examination) -> Option<&Service> {
    let worth = |service: &&Service| {
        (
            service.is_grpc || service.status.is_some(),
            service.greeting.is_some(),
            service.tls.is_some(),
        )
    };
    // Of equals the first: https before http.
    found.services.iter().rev().max_by_key(worth)
}

fn for_remote(remote: &Remote, found: &Examination) -> Prescription {
    let unreached;
    let service = match (best(found), remote.scheme, remote.port) {
        (Some(service), ..) => service,
        (None, Some(_), Some(port)) => {
            unreached = Service {
                port,
                families: families(remote, found),
                ..Service::default()
            };
            &unreached
        }
        (None, ..) => return without_service(remote, found),
    };
    let family = prefer(service.families);
    let mut notes = Vec::new();
    if let Some(Err(advice)) = &service.tls {
        notes.push(format!("The certificate is not accepted. {advice}"));
    }
    if service.families.is_only {
        notes.push(
            "The name servers do not respond for the other family of addresses: with ip_protocol_fallback: false, probes do not ask for it."
                .to_owned(),
        );
    }
    let speaks_tls = service.tls.is_some();
    let is_grpc = service.is_grpc || remote.scheme == Some(Scheme::Grpc);
    // What the target says counts also where it does not work: else the module would watch something else.
    let encrypted = match (remote.scheme, service.port) {
        (Some(scheme), _) if scheme.is_web() => Some(scheme.is_encrypted()),
        _ if is_grpc => None,
        (None, _) if service.expects_tls => Some(true),
        (None, _) if service.status.is_some() => Some(speaks_tls),
        (None, port @ (80 | 443)) => Some(port == 443),
        _ => None,
    };
    if service.hides_tls {
        notes.push("The port speaks TLS: write https:// in the target (wss:// for WebSocket).".to_owned());
    }
    let is_plain = service.status.is_some() && !speaks_tls;
    if is_plain && remote.scheme.is_some_and(Scheme::is_encrypted) {
        notes.push(
            "The port responds in plain HTTP: write http:// in the target (ws:// for WebSocket).".to_owned(),
        );
    }
    let tcp = |name, settings| {
        let tcp = module("tcp", over(service.families, settings));
        Prescription::new(name, tcp, remote.at(service.port))
    };
    let mut made = if let Some(encrypted) = encrypted {
        match remote.scheme.is_some_and(Scheme::is_socket) {
            true => Prescription::new(
                "websocket",
                module("websocket", family),
                remote.url(if encrypted { "wss" } else { "ws" }, service.port),
            ),
            false => web(remote, service, encrypted, &mut notes),
        }
    } else if is_grpc {
        let grpc = with(family, json!({"tls": speaks_tls}));
        Prescription::new("grpc", module("grpc", grpc), remote.at(service.port))
    } else if let Some(expected) = service.greeting.as_deref().and_then(greeting::expression) {
        let mut step = json!({"expect": expected});
        if service.is_prompt {
            step = with(step, json!({"prompt": true}));
        }
        tcp("tcp_greeting", json!({"query_response": [step]}))
    } else if speaks_tls || remote.scheme == Some(Scheme::Tls) {
        tcp("tcp_tls", json!({"tls": true}))
    } else {
        tcp("tcp_connect", json!({}))
    };
    made.notes.extend(notes);
    if let Some(line) = service
        .greeting
        .as_deref()
        .filter(|line| greeting::is_refusal(line))
    {
        made.trouble = Some(format!("the server refuses the connection: \"{line}\""));
        made.advice = Some(
            "This module checks only the connection; run doctor again when the server accepts it, for one that expects its greeting."
                .to_owned(),
        );
    }
    made
}

fn web(remote: &Remote, service: &Service, encrypted: bool, notes: &mut Vec<String>) -> Prescription {
    let mut http = prefer(service.families);
    if encrypted {
        http = with(http, json!({"fail_if_not_ssl": true}));
    }
    match service.status.unwrap_or_default() {
        status @ (401 | 403) => {
            notes.push(format!(
                "The server requires credentials (status {status}). Give basic_auth or authorization in the module and remove valid_status_codes."
            ));
            http = with(http, json!({"valid_status_codes": [status]}));
        }
        status @ 400.. => notes.push(format!(
            "The server responds with status {status}, which is a failure. {}",
            service.advice.as_deref().unwrap_or("Name a path that works.")
        )),
        _ => {}
    }
    let url = remote.url(if encrypted { "https" } else { "http" }, service.port);
    let name = if encrypted { "https_2xx" } else { "http_2xx" };
    Prescription::new(name, module("http", http), url)
}

/// Over which families something that was not reached is to be probed.
fn families(remote: &Remote, found: &Examination) -> Families {
    let of_address = |address: IpAddr| [address.is_ipv4(), address.is_ipv6()];
    Families {
        reached: remote.address().map_or(found.pings, of_address),
        is_only: false,
    }
}

fn without_service(remote: &Remote, found: &Examination) -> Prescription {
    let family = prefer(families(remote, found));
    match remote.port {
        Some(port) => Prescription::new("tcp_connect", module("tcp", family), remote.at(port)),
        None => Prescription::new("icmp", module("icmp", family), remote.host.clone()),
    }
}
