//! Section `websocket`.

use super::decode::{Decoder, Section};
use super::value::{ByValue, Family, section};
use super::yaml::Id;
use super::{Header, HttpClient, Named, QueryResponse};

/// Settings of the websocket prober.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Websocket {
    /// `http_config`. Left out, it is all zero values (no redirects, no HTTP/2), as upstream has it.
    pub http_config: Option<HttpClient>,
    pub headers: Named<Header>,
    pub query_response: Vec<QueryResponse>,
    /// Whether the server's proof that it speaks WebSocket, `Sec-WebSocket-Accept`, may be wrong or missing; ours.
    pub insecure_skip_accept: bool,
    pub preferred_ip_protocol: String,
    pub ip_protocol_fallback: bool,
}

impl Default for Websocket {
    fn default() -> Self {
        Self {
            http_config: None,
            headers: Named::default(),
            query_response: Vec::new(),
            insecure_skip_accept: false,
            preferred_ip_protocol: String::new(),
            ip_protocol_fallback: true,
        }
    }
}

section!(Websocket {
    omit http_config as ByValue;
    omit headers;
    omit query_response;
    omit insecure_skip_accept;
    omit preferred_ip_protocol as Family;
    omit ip_protocol_fallback;
});

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
    fn begin(&mut self) {
        *self = Self::default();
    }

    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        let document = d.document();
        let Some((_, client)) = document.entry(node, "http_config") else {
            return;
        };
        for field in IGNORED {
            if document.entry(client, field).is_some() {
                let message = format!("http_config: the websocket prober does not use {field}");
                let help = "it uses basic_auth, authorization, oauth2, the bearer tokens and tls_config";
                d.warn(node, "http_config", message, Some(help.to_owned()));
            }
        }
    }
}
