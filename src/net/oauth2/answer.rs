//! What a token endpoint answers (RFC 6749, section 5), as leniently as Go's `oauth2` reads it.

use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::StatusCode;
use serde_json::Value;

use super::OAuth2Error;

/// A token that was granted.
#[derive(PartialEq, Eq)]
pub(super) struct Grant {
    token: String,
    kind: String,
    /// How long it is good; `None` when the endpoint does not say.
    pub(super) lifetime: Option<Duration>,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant({}, good for {:?})", self.kind, self.lifetime)
    }
}

impl Grant {
    /// The value of an `Authorization` field.
    pub(super) fn authorization(&self) -> String {
        let kind = match self.kind.to_lowercase().as_str() {
            "" | "bearer" => "Bearer",
            "mac" => "MAC",
            "basic" => "Basic",
            _ => &self.kind,
        };
        format!("{kind} {}", self.token)
    }
}

fn is_whole_number(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Number(number) => number.is_i64(),
        Value::String(text) => text.parse::<i64>().is_ok(),
        _ => false,
    }
}

/// Reads an answer.
pub(super) fn read(status: StatusCode, content_type: &str, body: &[u8]) -> Result<Grant, OAuth2Error> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_form = matches!(
        media_type.to_ascii_lowercase().as_str(),
        "application/x-www-form-urlencoded" | "text/plain"
    );
    let fields = if is_form { Some(form(body)) } else { json(body) };
    let refused = |code: &str, description: &str| {
        let mut text = if code.is_empty() {
            // Only of a refusal: it holds no token.
            let shown = String::from_utf8_lossy(body.get(..200).unwrap_or(body)).into_owned();
            format!("cannot fetch token: {status}: response: {shown:?}")
        } else {
            format!("{code:?}")
        };
        if !description.is_empty() {
            text.push_str(&format!(" {description:?}"));
        }
        OAuth2Error::Refused(text)
    };
    let Some(fields) = fields else {
        return Err(if status.is_success() {
            OAuth2Error::Answer("cannot parse json: the response is not a JSON object of a token".to_owned())
        } else {
            refused("", "")
        });
    };
    let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    if !status.is_success() || !field("error").is_empty() {
        return Err(refused(field("error"), field("error_description")));
    }
    let token = field("access_token").to_owned();
    if token.is_empty() {
        return Err(OAuth2Error::Answer(
            "server response missing access_token".to_owned(),
        ));
    }
    let lasts = fields.get("expires_in").filter(|_| !is_form);
    if lasts.is_some_and(|value| !is_whole_number(value)) {
        let reason = "cannot parse json: expires_in is not an integer";
        return Err(OAuth2Error::Answer(reason.to_owned()));
    }
    let seconds = fields.get("expires_in").and_then(|value| match value {
        Value::String(text) => text.parse::<f64>().ok(),
        value => value.as_f64(),
    });
    Ok(Grant {
        token,
        kind: field("token_type").to_owned(),
        lifetime: seconds
            .filter(|seconds| *seconds >= 1.0)
            .map(|seconds| Duration::from_secs(seconds.min(f64::from(i32::MAX)) as u64)),
    })
}

/// The fields of an object, whose names may have any case; none if one is of another type than Go expects.
fn json(body: &[u8]) -> Option<serde_json::Map<String, Value>> {
    const TEXTS: [&str; 6] = [
        "access_token",
        "token_type",
        "refresh_token",
        "error",
        "error_description",
        "error_uri",
    ];
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return None;
    };
    let lowered = fields
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value));
    let fields: serde_json::Map<_, _> = lowered.collect();
    let mut texts = TEXTS.iter().filter_map(|name| fields.get(*name));
    texts
        .all(|value| value.is_string() || value.is_null())
        .then_some(fields)
}

fn form(body: &[u8]) -> serde_json::Map<String, Value> {
    let text = String::from_utf8_lossy(body);
    let decode = |part: &str| {
        percent_decode_str(&part.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    let mut fields = serde_json::Map::new();
    for pair in text.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        fields
            .entry(decode(name))
            .or_insert_with(|| Value::String(decode(value)));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        #[rustfmt::skip]
        let rows = [
            (
                200,
                "application/json",
                r#"{"access_token":"t","token_type":"bearer","expires_in":60}"#,
                Ok(("Bearer t", Some(60))),
            ),
            (200, "application/json", r#"{"access_token":"t","expires_in":"60"}"#, Ok(("Bearer t", Some(60)))),
            (
                200,
                "application/json",
                r#"{"access_token":"t","expires_in":1e3}"#,
                Err("oauth2: cannot parse json: expires_in is not an integer"),
            ),
            (200, "application/json", r#"{"access_token":"t","token_type":"Token"}"#, Ok(("Token t", None))),
            (200, "application/json", r#"{"Access_Token":"t","TOKEN_TYPE":"bearer"}"#, Ok(("Bearer t", None))),
            (
                200,
                "application/json",
                r#"{"access_token":"t","token_type":5}"#,
                Err("oauth2: cannot parse json: the response is not a JSON object of a token"),
            ),
            (200, "text/plain; charset=utf-8", "access_token=a%20b&expires_in=5", Ok(("Bearer a b", Some(5)))),
            (200, "application/json", r#"{"error":"invalid_scope"}"#, Err("oauth2: \"invalid_scope\"")),
            (
                400,
                "application/json",
                r#"{"error":"invalid_client","error_description":"no"}"#,
                Err("oauth2: \"invalid_client\" \"no\""),
            ),
            (200, "application/json", r#"{"token":"secret"}"#, Err("oauth2: server response missing access_token")),
            (200, "application/json", "hello", Err("oauth2: cannot parse json: the response is not a JSON object of a token")),
            (500, "text/html", "oh", Err("oauth2: cannot fetch token: 500 Internal Server Error: response: \"oh\"")),
        ];
        for (status, kind, body, want) in rows {
            let got = read(StatusCode::from_u16(status).unwrap(), kind, body.as_bytes());
            let got = got
                .map(|grant| (grant.authorization(), grant.lifetime.map(|l| l.as_secs())))
                .map_err(|error| error.to_string());
            let want = want.map(|(a, l)| (a.to_owned(), l)).map_err(str::to_owned);
            assert_eq!(got, want, "{body}");
        }
    }
}
