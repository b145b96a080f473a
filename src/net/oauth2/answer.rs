//! What a token endpoint answers (RFC 6749, section 5), as leniently as Go's `oauth2` reads it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use gostd::carried::{self, repaired};
use gostd::json;
use gostd::query::Query;
use reqwest::StatusCode;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::OAuth2Error;

/// A token that was granted.
#[derive(PartialEq, Eq)]
pub(super) struct Grant {
    token: String,
    kind: String,
    /// How long it is good, no time at all included; `None` when the endpoint does not say.
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

/// Reads an answer.
pub(super) fn read(status: StatusCode, content_type: &str, body: &[u8]) -> Result<Grant, OAuth2Error> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_form = matches!(
        media_type.to_ascii_lowercase().as_str(),
        "application/x-www-form-urlencoded" | "text/plain"
    );
    let fields = if is_form { form(body) } else { json(body) };
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
        let problem = match is_form {
            true => "cannot parse response: the response is not a form",
            false => "cannot parse json: the response is not a JSON object of a token",
        };
        return Err(match status.is_success() {
            true => OAuth2Error::Answer(problem.to_owned()),
            false => refused("", ""),
        });
    };
    if !status.is_success() || !fields.error.is_empty() {
        return Err(refused(&fields.error, &fields.description));
    }
    if fields.token.is_empty() {
        let problem = "server response missing access_token";
        return Err(OAuth2Error::Answer(problem.to_owned()));
    }
    let seconds = fields.lifetime.clamp(0, i64::from(i32::MAX)).unsigned_abs();
    Ok(Grant {
        token: fields.token,
        kind: fields.kind,
        lifetime: (fields.lifetime != 0).then(|| Duration::from_secs(seconds)),
    })
}

/// What is read of an answer.
#[derive(Debug, Default)]
struct Fields {
    token: String,
    kind: String,
    error: String,
    description: String,
    /// In seconds; 0 when it is not told.
    lifetime: i64,
}

/// Reads an object, whose names may have any case; none if it is not JSON or a field is of another type than Go expects.
fn json(body: &[u8]) -> Option<Fields> {
    serde_json::from_str(&whole_characters(&repaired(body))).ok()
}

/// The text with U+FFFD for each half of a surrogate pair that is escaped alone, as Go reads it.
fn whole_characters(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.find('\\').map(|at| rest.split_at(at)) {
        out.push_str(before);
        // What is not an escape sequence stays, and is refused as JSON.
        let (c, length) = json::escape(escape.as_bytes()).unwrap_or(('\\', 1));
        let (escaped, after) = escape.split_at(length);
        out.push_str(if c == '\u{fffd}' { "\u{fffd}" } else { escaped });
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            // Go leaves everything empty then.
            fn visit_unit<E>(self) -> Result<Fields, E> {
                Ok(Fields::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                let mut unread = String::new();
                while let Some(name) = map.next_key::<String>()? {
                    let text = match name.to_ascii_lowercase().as_str() {
                        "access_token" => &mut fields.token,
                        "token_type" => &mut fields.kind,
                        "error" => &mut fields.error,
                        "error_description" => &mut fields.description,
                        "refresh_token" | "error_uri" => &mut unread,
                        "expires_in" => {
                            let value = map.next_value::<Value>()?;
                            fields.lifetime = whole_number(&value, fields.lifetime)
                                .ok_or_else(|| A::Error::custom("expires_in is not an integer"))?;
                            continue;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    // The last one counts, unless it is null.
                    if let Some(value) = map.next_value::<Option<String>>()? {
                        *text = value;
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A number, or a text of one; `before` for null.
fn whole_number(value: &Value, before: i64) -> Option<i64> {
    let text = match value {
        Value::Null => return Some(before),
        Value::Number(number) => return number.as_i64(),
        Value::String(text) => text,
        _ => return None,
    };
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    number.as_i64().filter(|_| text.trim_ascii() == text)
}

/// Reads the form that some endpoints answer with; none if it is none.
fn form(body: &[u8]) -> Option<Fields> {
    let query = Query(body);
    if !query.is_whole() {
        return None;
    }
    let names = [
        "access_token",
        "token_type",
        "error",
        "error_description",
        "expires_in",
    ];
    let [token, kind, error, description, lifetime] = query.firsts(names);
    let plain = |text: Cow<'_, str>| carried::lossy(&text).into_owned();
    Some(Fields {
        token: plain(token),
        kind: plain(kind),
        error: plain(error),
        description: plain(description),
        lifetime: lifetime.parse().unwrap_or_default(),
    })
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
                Err("oauth2: cannot parse json: the response is not a JSON object of a token"),
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
            (200, "application/json", r#"{"access_token":"a","expires_in":0}"#, Ok(("Bearer a", None))),
            (200, "application/json", r#"{"access_token":"a","expires_in":-5}"#, Ok(("Bearer a", Some(0)))),
            (200, "application/json", r#"{"access_token":"a\ud800\u00e9","x":"\ud83d\ude00 \\ud800"}"#, Ok(("Bearer a\u{fffd}\u{e9}", None))),
            (200, "application/json", r#"{"access_token":"t","x":1e999,"Access_Token":null,"id_token":5}"#, Ok(("Bearer t", None))),
            (
                200,
                "application/json",
                r#"{"access_token":"t","access_token":""}"#,
                Err("oauth2: server response missing access_token"),
            ),
            (200, "application/json", "null", Err("oauth2: server response missing access_token")),
            (
                200,
                "application/json",
                r#"{"access_token":"t","expires_in":"+5"}"#,
                Err("oauth2: cannot parse json: the response is not a JSON object of a token"),
            ),
            (200, "text/plain", "access_token=a&expires_in=x", Ok(("Bearer a", None))),
            (200, "text/plain", "access_token=a&x=%zz", Err("oauth2: cannot parse response: the response is not a form")),
            (200, "text/plain", "access_token=a;b", Err("oauth2: cannot parse response: the response is not a form")),
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
        let deep = [
            b"{\"access_token\":\"\xff\",\"x\":",
            &[b'['; 500][..],
            &[b']'; 500],
            b"}",
        ]
        .concat();
        for (content_type, body) in [("", &deep[..]), ("text/plain", b"access_token=\xff")] {
            let got = read(StatusCode::OK, content_type, body).unwrap();
            assert_eq!(got.authorization(), "Bearer \u{fffd}", "{content_type}");
        }
    }
}
