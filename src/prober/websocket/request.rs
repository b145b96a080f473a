//! The header fields of the upgrade request that the module asks for.

use crate::config;
use crate::log;
use crate::module::Websocket;
use crate::net::headers::Headers;
use crate::prober::Probe;

/// Authentication and configured headers. Files that cannot be read are logged, and left out.
pub(super) async fn headers(probe: &mut Probe<'_>, module: &Websocket) -> Headers {
    let mut headers = Headers::default();
    if let Some(basic) = &module.http_config.basic_auth {
        let value = basic_auth(probe, basic).await;
        headers.add("Authorization", value);
    }
    if let Some(authorization) = &module.http_config.authorization
        && let Some(value) = authorisation(probe, authorization).await
    {
        headers.add("Authorization", value);
    }
    for (name, header) in &module.headers {
        for value in &header.values {
            headers.add(name, value);
        }
        for secret in &header.secrets {
            headers.add(name, secret.expose());
        }
        for file in &header.files {
            match trimmed_file(file).await {
                Ok(value) => headers.add(name, value),
                Err(error) => {
                    log!(probe.log, Error, "Unable to read header file", "file" => file.clone(), "err" => error);
                }
            }
        }
    }
    headers
}

async fn basic_auth(probe: &mut Probe<'_>, basic: &config::BasicAuth) -> Vec<u8> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let mut user = basic.username.clone().into_bytes();
    if !basic.username_file.is_empty() {
        match trimmed_file(&basic.username_file).await {
            Ok(text) => user = text,
            Err(error) => {
                log!(probe.log, Error, "Unable to read basic auth username file", "file" => basic.username_file.clone(), "err" => error);
            }
        }
    }
    let mut password = basic.password.expose().as_bytes().to_vec();
    if !basic.password_file.is_empty() {
        match trimmed_file(&basic.password_file).await {
            Ok(text) => password = text,
            Err(error) => {
                log!(probe.log, Error, "Unable to read basic auth password file", "file" => basic.password_file.clone(), "err" => error);
            }
        }
    }
    let pair = [user.as_slice(), b":", &password].concat();
    format!("Basic {}", STANDARD.encode(pair)).into_bytes()
}

async fn authorisation(probe: &mut Probe<'_>, authorization: &config::Authorization) -> Option<Vec<u8>> {
    let mut credentials = authorization.credentials.expose().as_bytes().to_vec();
    let file = &authorization.credentials_file;
    if !file.is_empty() {
        match trimmed_file(file).await {
            Ok(text) => credentials = text,
            Err(error) => {
                log!(probe.log, Error, "Unable to read authorization credentials file", "file" => file.clone(), "err" => error);
            }
        }
    }
    if credentials.is_empty() {
        return None;
    }
    let kind = match authorization.kind.as_str() {
        "" => "Bearer",
        kind => kind,
    };
    Some([kind.as_bytes(), b" ", &credentials].concat())
}

/// What stands in a file, without white space at both ends. The error names what failed, not the contents.
async fn trimmed_file(path: &str) -> Result<Vec<u8>, String> {
    let text = tokio::fs::read(path)
        .await
        .map_err(|error| format!("open {path}: {error}"))?;
    Ok(match std::str::from_utf8(&text) {
        Ok(text) => text.trim().as_bytes().to_vec(),
        Err(_) => text.trim_ascii().to_vec(),
    })
}
