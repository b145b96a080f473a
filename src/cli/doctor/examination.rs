//! What is tried, side by side: name servers, ping, and on each port connecting, the greeting, TLS and HTTP.

use std::net::SocketAddr;

use futures_util::future::{join, join_all};
use serde_json::json;

use super::attempt::{Doctor, FAMILIES, Finding, Kind, State};
use super::service::Service;
use super::settings::only;
use super::subject::Remote;
use crate::metrics::Metric;

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// The tries, in the order in which they are shown.
    pub findings: Vec<Finding>,
    /// What answers on which port; without what cannot be reached.
    pub services: Vec<Service>,
    /// Whether it answers a ping, over IPv4 and over IPv6.
    pub pings: [bool; 2],
}

impl Doctor<'_> {
    /// Tries everything that fits.
    pub async fn examine(self, remote: &Remote, name_servers: &[SocketAddr]) -> Examination {
        let ports = remote.port.map_or_else(|| vec![443, 80], |port| vec![port]);
        let services = join_all(ports.into_iter().map(|port| Service::of(self, remote, port)));
        let (names, (pings, services)) = join(
            self.names(remote, name_servers),
            join(self.pings(remote), services),
        )
        .await;
        let mut out = Examination {
            pings: [0, 1].map(|at| {
                pings
                    .get(at)
                    .is_some_and(|ping: &Finding| ping.state == State::Works)
            }),
            ..Examination::default()
        };
        out.findings.extend(names);
        out.findings.extend(pings);
        for (findings, service) in services {
            out.findings.extend(findings);
            out.services
                .extend(Some(service).filter(|service| service.families.reached != [false; 2]));
        }
        out
    }

    /// Asks every name server for both kinds of addresses.
    async fn names(self, remote: &Remote, name_servers: &[SocketAddr]) -> Vec<Finding> {
        if remote.address().is_some() {
            return Vec::new();
        }
        let questions = name_servers
            .iter()
            .flat_map(|server| ["A", "AAAA"].map(|kind| (server, kind)));
        join_all(questions.map(|(server, kind)| async move {
            let module = json!({"prober": "dns", "dns": {"query_name": remote.host, "query_type": kind}});
            let what = format!("{kind} from {}", server.ip());
            let (mut finding, outcome) = self
                .attempt("Names", what, module, &server.to_string(), Kind::Optional)
                .await;
            let said = outcome
                .as_ref()
                .and_then(|outcome| outcome.timeline.hops.last()?.result.clone());
            if finding.state == State::Works {
                let records = outcome
                    .and_then(|outcome| outcome.samples.value(Metric::DnsAnswerRrs))
                    .unwrap_or(0.0);
                finding.detail = format!("{records} records");
                if records == 0.0 {
                    finding.state = State::Absent;
                }
            } else if let Some(said) = said {
                finding.detail = said;
            }
            finding
        }))
        .await
    }

    async fn pings(self, remote: &Remote) -> Vec<Finding> {
        join_all(FAMILIES.map(|(name, protocol)| async move {
            let module = json!({"prober": "icmp", "icmp": only(protocol)});
            self.attempt(
                "Reach",
                format!("ping over {name}"),
                module,
                &remote.host,
                Kind::Optional,
            )
            .await
            .0
        }))
        .await
    }
}
