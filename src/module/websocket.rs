//! The compiled `websocket` section.

use super::{Problems, Step};
use crate::config;
use crate::net::Preference;
use crate::net::oauth2::TokenSource;
use crate::net::tls::ClientTls;

/// A websocket module, ready to run.
#[derive(Debug)]
pub struct Websocket {
    /// Which address family.
    pub preference: Preference,
    /// How TLS is done with `wss` targets.
    pub tls_config: ClientTls,
    /// Where the tokens of `http_config.oauth2` come from.
    pub tokens: Option<Box<TokenSource>>,
    /// Other authentication; the rest of `http_config` means nothing here, as upstream has it.
    pub http_config: config::HttpClient,
    /// More headers of the request, values, secrets and files.
    pub headers: config::Named<config::Header>,
    /// Whether the answer to the key is not looked at.
    pub skips_accept: bool,
    /// The dialogue: of each step, `expect` and `send` count.
    pub steps: Vec<Step>,
}

impl Websocket {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(raw: &config::Websocket, problems: &mut Problems) -> Self {
        let http_config = raw.http_config.clone().unwrap_or_default();
        let tokens = http_config.oauth2.as_ref().and_then(|oauth2| {
            TokenSource::new(oauth2)
                .map_err(|error| {
                    let place = "websocket.http_config.oauth2.proxy_url";
                    problems.report(place, format!("not a URL: {error}"));
                })
                .ok()
        });
        Self {
            preference: Preference::new(&raw.preferred_ip_protocol, raw.ip_protocol_fallback),
            tls_config: problems.tls(&http_config.tls_config),
            tokens: tokens.map(Box::new),
            http_config,
            headers: raw.headers.clone(),
            skips_accept: raw.insecure_skip_accept,
            steps: Step::compile_all(&raw.query_response, "websocket", problems),
        }
    }
}
