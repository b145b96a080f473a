//! Section `websocket`.

use go_yaml::{Content, Id};

use super::query_response::QueryResponse;
use crate::config::client::http_client::{Header, HttpClient};
use crate::config::codec::decode::Decoder;
use crate::config::codec::named::Named;
use crate::config::codec::section::{Section, section};
use crate::config::codec::value::{ByValue, IpProtocol};

section! {
    /// Settings of the websocket prober.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct Websocket {
        /// `http_config`. Left out, it is all zero values (no redirects, no HTTP/2), as upstream has it.
        omit http_config: Option<HttpClient> as ByValue,
        omit headers: Named<Header>,
        omit query_response: Vec<QueryResponse>,
        /// Whether the server's proof that it speaks WebSocket, `Sec-WebSocket-Accept`, may be wrong or missing; ours.
        omit insecure_skip_accept: bool,
        omit preferred_ip_protocol: String as IpProtocol,
        omit ip_protocol_fallback: bool = true,
    }
}

/// What the prober does not look at, as upstream's does not.
const IGNORED: [&str; 7] = [
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "proxy_connect_header",
    "http_headers",
    "follow_redirects",
    "enable_http2",
];

impl Section for Websocket {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        self.judge_steps(node, d);
        let document = d.document();
        let Some((_, client)) = document.entry(node, "http_config") else {
            return;
        };
        for field in IGNORED {
            if document.entry(client, field).is_some() {
                let message = format!("http_config: the websocket prober does not use {field}");
                let help = "it uses basic_auth, authorization, oauth2, the bearer tokens and tls_config";
                d.warn(node, "http_config", message, help);
            }
        }
    }
}

impl Websocket {
    /// Reports what the prober does not use of a step: it reads whole messages, and sends whole ones.
    fn judge_steps(&self, node: Id, d: &mut Decoder<'_, '_>) {
        let document = d.document();
        let Some((_, steps)) = document.entry(node, "query_response") else {
            return;
        };
        let Content::Sequence(items) = &document.node(document.target(steps)).content else {
            return;
        };
        for (index, (step, item)) in self.query_response.iter().zip(items).enumerate() {
            for (field, is_set, is_upstreams) in [
                ("expect_bytes", !step.expect_bytes.is_empty(), true),
                ("labels", step.labels.is_some(), true),
                ("starttls", step.starttls, true),
                ("expect_hex", !step.expect_hex.0.is_empty(), false),
                ("prompt", step.prompt, false),
                ("no_newline", step.no_newline, false),
            ] {
                let Some((_, value)) = document.entry(*item, field).filter(|_| is_set) else {
                    continue;
                };
                let message = format!("query_response[{index}]: the websocket prober does not use {field}");
                let help = "a step of it has expect, send and send_hex";
                // Upstream ignores its own fields.
                match is_upstreams {
                    true => d.warn_here(value, message, help),
                    false => d.report(value, message, help),
                }
            }
        }
    }
}
