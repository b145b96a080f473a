//! Section `websocket`.

use super::decode::Section;
use super::value::{ByValue, section};
use super::{Header, HttpClient, Named, QueryResponse};

/// Settings of the websocket prober.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Websocket {
    /// `http_config`. Left out, it is all zero values (no redirects, no HTTP/2), as upstream has it.
    pub http_config: Option<HttpClient>,
    pub headers: Named<Header>,
    pub query_response: Vec<QueryResponse>,
    pub preferred_ip_protocol: String,
    pub ip_protocol_fallback: bool,
}

impl Default for Websocket {
    fn default() -> Self {
        Self {
            http_config: None,
            headers: Named::default(),
            query_response: Vec::new(),
            preferred_ip_protocol: String::new(),
            ip_protocol_fallback: true,
        }
    }
}

section!(Websocket {
    omit http_config as ByValue;
    omit headers;
    omit query_response;
    omit preferred_ip_protocol;
    omit ip_protocol_fallback;
});

impl Section for Websocket {
    fn begin(&mut self) {
        *self = Self::default();
    }
}
