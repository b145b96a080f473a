//! The header fields of the upgrade request that the module asks for.

use tokio::time::Instant;

use crate::config;
use crate::log;
use crate::module::Websocket;
use crate::module::http::USER_AGENT;
use crate::net::file;
use crate::net::headers::Headers;
use crate::net::oauth2::OAuth2Error;
use crate::net::proxy::basic_of;
use crate::probe_log::text;
use crate::prober::Probe;

/// Authentication, configured headers and the trace context. Files that cannot be read are logged, and left out.
///
/// # Errors
/// There is no OAuth2 token.
pub(super) async fn headers(
    probe: &mut Probe<'_>,
    module: &Websocket,
    host: &str,
) -> Result<Headers, OAuth2Error> {
    let mut headers = Headers::default();
    if let Some(basic) = &module.http_config.basic_auth {
        let value = basic_auth(probe, basic).await;
        probe.secrets.hide_authorization(value.as_bytes());
        headers.add("Authorization", value);
    }
    if let Some(authorization) = &module.http_config.authorization
        && let Some(value) = authorisation(probe, authorization).await
    {
        probe.secrets.hide_authorization(&value);
        headers.add("Authorization", value);
    }
    if let Some(tokens) = &module.tokens {
        let agent = USER_AGENT.as_bytes();
        let from = Instant::now();
        let granted = tokens.authorization(probe.network, agent, &probe.secrets, probe.deadline);
        let granted = granted.await;
        probe.record_token(from);
        headers.add("Authorization", granted?.authorization);
    }
    for (name, header) in &module.headers {
        for value in &header.values {
            probe.secrets.hide_if_named(name, value.as_bytes());
            headers.add(name, value);
        }
        for secret in &header.secrets {
            probe.secrets.hide(secret.expose().as_bytes());
            headers.add(name, secret.expose());
        }
        for file in &header.files {
            if let Some(value) = read(probe, "Unable to read header file", file).await {
                probe.secrets.hide(&value);
                headers.add(name, value);
            }
        }
    }
    for (name, value) in probe.trace_headers(host) {
        headers.add(name, value);
    }
    Ok(headers)
}

async fn basic_auth(probe: &mut Probe<'_>, basic: &config::BasicAuth) -> String {
    let user = read(
        probe,
        "Unable to read basic auth username file",
        &basic.username_file,
    )
    .await;
    let password = read(
        probe,
        "Unable to read basic auth password file",
        &basic.password_file,
    )
    .await;
    let user = user.unwrap_or_else(|| basic.username.clone().into_bytes());
    let password = password.unwrap_or_else(|| basic.password.expose().as_bytes().to_vec());
    probe.secrets.hide_basic(&user, &password);
    basic_of(&user, &password)
}

async fn authorisation(probe: &mut Probe<'_>, authorization: &config::Authorization) -> Option<Vec<u8>> {
    let failure = "Unable to read authorization credentials file";
    let read = read(probe, failure, &authorization.credentials_file).await;
    let credentials = read.unwrap_or_else(|| authorization.credentials.expose().as_bytes().to_vec());
    if credentials.is_empty() {
        return None;
    }
    Some([authorization.kind.as_bytes(), b" ", &credentials].concat())
}

/// What stands in a file, if there is one and it can be read.
async fn read(probe: &mut Probe<'_>, failure: &'static str, path: &str) -> Option<Vec<u8>> {
    if path.is_empty() {
        return None;
    }
    match file::trimmed(path, probe.deadline).await {
        Ok(found) => Some(found),
        Err(error) => {
            log!(probe.log, Error, failure, "file" => path.to_owned(), "err" => text(&error));
            None
        }
    }
}
