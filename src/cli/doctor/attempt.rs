//! One try: a probe with a module made for it, so that it says what a scrape would see.

use std::time::Duration;

use serde_json::Value;

use super::settings::compiled;
use crate::net::Network;
use crate::prober::{self, Outcome, ProbeRequest};
use crate::reason::Reason;

/// How long something may take that many healthy targets do not have: ping, HTTP/3, another name server.
const OPTIONAL: Duration = Duration::from_millis(1000);
/// How long a server has to greet.
pub const GREETING: Duration = Duration::from_millis(500);

/// Families of addresses, and how a module names them.
pub const FAMILIES: [(&str, &str); 2] = [("IPv4", "ip4"), ("IPv6", "ip6")];

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Works,
    /// It does not, and need not.
    Absent,
    /// It does not, and should.
    Fails,
}

impl State {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Works => "ok",
            Self::Absent => "no",
            Self::Fails => "FAIL",
        }
    }
}

/// One try.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Names, reach, TLS, HTTP, ….
    pub topic: String,
    /// What was tried.
    pub what: String,
    /// How it ended.
    pub state: State,
    /// How long it took.
    pub took: Duration,
    /// What was found, or why it does not work.
    pub detail: String,
}

impl Finding {
    /// What fails need not work.
    pub fn excuse(&mut self) {
        if self.state == State::Fails {
            self.state = State::Absent;
        }
    }
}

/// What a try is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The target should have it.
    Needed,
    /// Many healthy targets do not have it.
    Optional,
    /// The server speaks first.
    Greeting,
}

/// Who examines.
#[derive(Clone, Copy, Debug)]
pub struct Doctor<'a> {
    /// The sockets and the policy.
    pub network: &'a Network,
    /// How long a try may take.
    pub patience: Duration,
}

impl Doctor<'_> {
    /// Probes with a module that is made for it.
    pub async fn probe(self, module: &Value, target: &str, limit: Duration) -> Result<Outcome, String> {
        let module = compiled(module)?;
        let request = ProbeRequest {
            target,
            hostname: None,
            timeout: limit,
        };
        Ok(prober::run(self.network, &module, request).await)
    }

    /// Tries something, and keeps the outcome of the probe if there was one.
    pub async fn attempt(
        self,
        topic: &str,
        what: impl Into<String>,
        module: Value,
        target: &str,
        kind: Kind,
    ) -> (Finding, Option<Outcome>) {
        let limit = match kind {
            Kind::Needed => self.patience,
            Kind::Optional => self.patience.min(OPTIONAL),
            Kind::Greeting => GREETING,
        };
        let outcome = self.probe(&module, target, limit).await;
        let (state, took, detail) = match &outcome {
            Ok(outcome) if outcome.success => (State::Works, outcome.duration, result(outcome)),
            Ok(outcome) => {
                let reason = outcome.failure.map(|failure| failure.reason);
                // A family that the name does not have is no fault.
                let state = match (kind, reason) {
                    (Kind::Needed, Some(reason)) if reason != Reason::ResolveNoAddress => State::Fails,
                    _ => State::Absent,
                };
                (state, outcome.duration, outcome.reason().unwrap_or_default())
            }
            Err(error) => (State::Fails, Duration::ZERO, error.clone()),
        };
        let finding = Finding {
            topic: topic.to_owned(),
            what: what.into(),
            state,
            took,
            detail,
        };
        (finding, outcome.ok())
    }
}

/// What a try that works has found.
pub fn result(outcome: &Outcome) -> String {
    let hop = outcome.timeline.hops.last();
    let tls = outcome.tls.as_deref();
    let handshake = tls.and_then(|facts| {
        Some(format!(
            "{}, {}",
            facts.version?,
            facts.cipher.unwrap_or("unknown cipher")
        ))
    });
    let said = hop
        .and_then(|hop| hop.result.clone())
        .filter(|said| said.starts_with("HTTP"));
    said.or(handshake)
        .or_else(|| hop.and_then(|hop| hop.address.clone()))
        .unwrap_or_default()
}
