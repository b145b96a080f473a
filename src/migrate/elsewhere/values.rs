//! Settings as other programs write them, in the form that modules and targets have.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::net::join_host_port;

/// A text, or a number or a truth value as text; empty when it is none of them.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => String::new(),
    }
}

/// Any status, in `valid_status_codes`.
pub(super) const ANY_STATUS: &str = "100-599";

/// Sets the content type that the program sends with a body, unless the headers have one.
pub(super) fn set_content_type(headers: &mut Map<String, Value>, kind: &str) {
    if !headers
        .keys()
        .any(|name| name.eq_ignore_ascii_case("content-type"))
    {
        headers.insert("Content-Type".to_owned(), kind.into());
    }
}

/// The codes of ranges like `200-299`, `2xx`, `404`.
pub(super) fn codes(ranges: impl IntoIterator<Item = String>) -> Vec<u64> {
    let mut codes: Vec<u64> = Vec::new();
    for range in ranges {
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (from.trim().to_owned(), to.trim().to_owned()),
            None => (
                range.to_lowercase().replace('x', "0"),
                range.to_lowercase().replace('x', "9"),
            ),
        };
        if let (Ok(from), Ok(to)) = (from.parse::<u64>(), to.parse::<u64>()) {
            codes.extend(from.max(100)..=to.min(599));
        }
    }
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// `valid_status_codes`: null for all of 2xx, which is the default; `None` when no code is accepted, which no module expresses.
pub(super) fn statuses(codes: &[u64]) -> Option<Value> {
    if codes.is_empty() || codes.iter().copied().eq(200..=299) {
        return (!codes.is_empty()).then_some(Value::Null);
    }
    let runs = codes.chunk_by(|one, next| one + 1 == *next);
    let runs = runs.flat_map(|run| match run {
        [first, _, .., last] => vec![json!(format!("{first}-{last}"))],
        few => few.iter().map(|code| json!(code)).collect(),
    });
    Some(runs.collect())
}

/// A field of the body in CEL: `body["a"]["b"]` for `a.b`.
pub(super) fn field(path: &str) -> Option<String> {
    let mut field = "body".to_owned();
    for key in path.split('.') {
        if key.is_empty() || key.contains(['[', ']']) {
            return None;
        }
        field.push_str(&format!("[{}]", Value::from(key)));
    }
    Some(field)
}

/// The labels in a mapping.
pub(super) fn pairs(values: Option<Value>) -> Vec<(String, String)> {
    let Some(Value::Object(fields)) = values else {
        return Vec::new();
    };
    fields
        .into_iter()
        .map(|(name, value)| (name, text(&value)))
        .collect()
}

/// A host and a port.
pub(super) fn address(host: &str, port: &str) -> String {
    match port {
        "" => host.to_owned(),
        port => join_host_port(host, port),
    }
}

/// The name that has the PTR records of an address.
pub(super) fn reverse_name(address: &str) -> Option<String> {
    Some(match address.parse().ok()? {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip
                .octets()
                .into_iter()
                .rev()
                .flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles
                .map(|nibble| format!("{nibble:x}."))
                .chain(["ip6.arpa.".to_owned()])
                .collect()
        }
    })
}
