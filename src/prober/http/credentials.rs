//! Headers that are added to each request: `http_headers` and credentials. Files are read when the probe runs.

use super::error::RoundTripError;
use crate::config;
use crate::module::http::Credentials;
use crate::net::headers::Headers;
use crate::net::proxy::basic_of;
use crate::net::{Deadline, file};
use crate::prober::Probe;

/// Headers that never go to another host.
const SENSITIVE: [&str; 6] = [
    "Authorization",
    "Www-Authenticate",
    "Cookie",
    "Cookie2",
    "Proxy-Authorization",
    "Proxy-Authenticate",
];

/// Whether a header must not go to another host.
pub(super) fn is_sensitive(name: &[u8]) -> bool {
    SENSITIVE.iter().any(|s| s.as_bytes() == name)
}

/// Takes out what must not go to another host.
pub(super) fn strip_sensitive(headers: &mut Headers) {
    for name in SENSITIVE {
        headers.remove(name);
    }
}

/// Adds the values, secrets and files of `http_headers`.
pub(super) async fn add_headers(
    to: &mut Headers,
    headers: &config::Named<config::Header>,
    probe: &Probe<'_>,
) -> Result<(), RoundTripError> {
    for (name, header) in headers {
        for value in &header.values {
            probe.secrets.hide_if_named(name, value.as_bytes());
            to.add(name, value);
        }
        for secret in &header.secrets {
            probe.secrets.hide(secret.expose().as_bytes());
            to.add(name, secret.expose());
        }
        for path in &header.files {
            let text = file::trimmed(path, probe.deadline)
                .await
                .map_err(|e| format!("unable to read headers file {path}: {e}"))
                .map_err(RoundTripError::Credentials)?;
            probe.secrets.hide(&text);
            to.add(name, text);
        }
    }
    Ok(())
}

/// Adds the module's credentials, unless the request has some. `token` is one that is good for the whole probe.
pub(super) async fn add(
    to: &mut Headers,
    credentials: &Credentials,
    probe: &Probe<'_>,
    token: &mut Option<config::Secret>,
) -> Result<(), RoundTripError> {
    let has_own = to.has_text("Authorization");
    match credentials {
        Credentials::Basic(_) | Credentials::Authorization(_) if has_own => {}
        Credentials::Basic(basic) => {
            let name = secret(
                "basic auth username",
                &basic.username,
                &basic.username_file,
                probe.deadline,
            )
            .await?;
            let password = secret(
                "basic auth password",
                basic.password.expose(),
                &basic.password_file,
                probe.deadline,
            )
            .await?;
            probe.secrets.hide_basic(&name, &password);
            to.set("Authorization", basic_of(&name, &password));
        }
        Credentials::Authorization(authorization) => {
            let word = secret(
                "authorization credentials",
                authorization.credentials.expose(),
                &authorization.credentials_file,
                probe.deadline,
            )
            .await?;
            probe.secrets.hide(&word);
            let mut value = authorization.kind.clone().into_bytes();
            value.push(b' ');
            value.extend_from_slice(&word);
            to.set("Authorization", value);
        }
        Credentials::OAuth2(source) => {
            // It takes the place of whatever the request has, as upstream does it.
            if let Some(token) = token {
                to.set("Authorization", token.expose());
                return Ok(());
            }
            let agent = to.value("User-Agent").unwrap_or_default().to_vec();
            let granted = source.authorization(probe.network, &agent, &probe.secrets, probe.deadline);
            let granted = granted.await.map_err(RoundTripError::OAuth2)?;
            to.set("Authorization", granted.authorization.as_str());
            if granted.is_for_the_probe {
                *token = Some(config::Secret::new(granted.authorization));
            }
        }
    }
    Ok(())
}

/// An inline secret as it is, or a file's content without white space around it.
async fn secret(what: &str, inline: &str, path: &str, deadline: Deadline) -> Result<Vec<u8>, RoundTripError> {
    if !inline.is_empty() || path.is_empty() {
        return Ok(inline.as_bytes().to_vec());
    }
    file::trimmed(path, deadline).await.map_err(|error| {
        RoundTripError::Credentials(format!(
            "unable to read {what}: unable to read file {path}: {error}"
        ))
    })
}
