//! gatus: endpoints with conditions.

use serde_json::{Value, json};

use super::settings::Settings;
use super::{ANY_STATUS, Draft, headers, labels, statuses, text};

/// The rcodes that servers give, for an endpoint that accepts any.
const RCODES: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

pub(super) fn read(config: Value, draft: &mut Draft) {
    let mut config = Settings::new("the file", config);
    for endpoint in config.items("endpoints") {
        read_endpoint(endpoint, draft);
    }
    config.finish(
        draft,
        "metrics web storage ui concurrency disable-monitoring-lock",
    );
    draft.hint("gatus_results_endpoint_success becomes probe_success, gatus_results_duration_seconds becomes probe_duration_seconds, gatus_results_certificate_expiration_seconds becomes probe_ssl_earliest_cert_expiry - time()");
}

fn read_endpoint(endpoint: Value, draft: &mut Draft) {
    let (mut endpoint, name) = Settings::named("endpoint", endpoint);
    let place = endpoint.place().to_owned();
    if endpoint.truth("enabled") == Some(false) {
        draft.lost(format!("{place}: it is not enabled"));
        return;
    }
    let url = endpoint.text("url").unwrap_or_default();
    let mut client = endpoint.section("client");
    let timeout = client.period("timeout").or(Some(10_000));
    let mut dns = endpoint.section("dns");
    let asked = dns.text("query-name");
    let scheme = match url.split_once("://") {
        _ if asked.is_some() => "dns",
        Some((scheme, _)) => scheme,
        None => "",
    };
    let rest = url
        .split_once("://")
        .map_or(url.as_str(), |(_, rest)| rest)
        .trim_end_matches('/');
    let tls = |client: &mut Settings| {
        let insecure = client.truth("insecure");
        insecure.map(|insecure| json!({"insecure_skip_verify": insecure}))
    };
    let mut judged = Conditions::default();
    for condition in endpoint.items("conditions") {
        let condition = text(&condition);
        let variable = super::reference(&condition);
        if variable.is_some() || judged.read(scheme, &condition).is_none() {
            draft.lost(format!("{place}: the condition {condition:?}: use an alert"));
        }
    }
    let (prober, address, settings) = match scheme {
        "http" | "https" => {
            let codes = match judged.statuses.is_empty() {
                true => json!([ANY_STATUS]),
                false => statuses(std::mem::take(&mut judged.statuses)),
            };
            let settings = json!({
                "method": endpoint.text("method").filter(|method| method != "GET"),
                "body": endpoint.text("body"),
                "headers": headers(endpoint.take("headers").as_ref()),
                "tls_config": tls(&mut client),
                "follow_redirects": client.truth("ignore-redirect").map(|ignore| !ignore),
                "valid_status_codes": codes,
                "fail_if_body_not_matches_regexp": judged.bodies.iter().map(|(pattern, _)| whole(pattern)).collect::<Vec<_>>(),
                "fail_if_body_json_not_matches_cel": judged.cel(),
            });
            ("http", url.clone(), settings)
        }
        "tcp" | "tls" => {
            let mut steps = Vec::new();
            steps.extend(
                endpoint
                    .text("body")
                    .map(|body| json!({"send": body, "no_newline": true})),
            );
            // gatus compares what it reads first, with or without a line break at its end.
            steps.extend(
                judged
                    .one_body(&place, draft)
                    .map(|pattern| json!({"expect": whole(&pattern), "prompt": true})),
            );
            let is_tls = scheme == "tls";
            let settings = json!({
                "tls": is_tls.then_some(true),
                "tls_config": is_tls.then(|| tls(&mut client)).flatten(),
                "query_response": steps,
            });
            ("tcp", rest.to_owned(), settings)
        }
        "starttls" => {
            let settings = json!({"starttls": "smtp", "tls_config": tls(&mut client)});
            ("tcp", rest.to_owned(), settings)
        }
        "icmp" => ("icmp", rest.to_owned(), json!({})),
        "ws" | "wss" => {
            let mut steps = Vec::new();
            let body = endpoint.text("body");
            let answer = judged.one_body(&place, draft).map(|pattern| whole(&pattern));
            // gatus reads a message after it has sent one.
            let answer = answer.or_else(|| body.is_some().then(|| ".*".to_owned()));
            steps.extend(body.map(|body| json!({"send": body})));
            steps.extend(answer.map(|regexp| json!({"expect": regexp})));
            let mut fields = headers(endpoint.take("headers").as_ref());
            for (_, value) in fields.as_object_mut().into_iter().flatten() {
                *value = json!({"values": [value]});
            }
            let settings = json!({
                "headers": fields,
                "http_config": tls(&mut client).map(|tls| json!({"tls_config": tls})),
                "query_response": steps,
            });
            ("websocket", url.clone(), settings)
        }
        "dns" => {
            let kind = dns.text("query-type");
            // The text of a record is its name, TTL, class, type and data; gatus has the data, of MX without the preference.
            let before = if kind.as_deref() == Some("MX") { 5 } else { 4 };
            let body = judged.one_body(&place, draft);
            let body = body.map(|body| format!(r"^(?:\S+\s+){{{before}}}(?s:{body})$"));
            if judged.rcodes.is_empty() && body.is_none() {
                judged.rcodes = RCODES.map(str::to_owned).into();
            }
            let settings = json!({
                "query_name": asked,
                "query_type": kind,
                "valid_rcodes": judged.rcodes,
                "validate_answer_rrs": body.map(|body| json!({"fail_if_none_matches_regexp": [body]})),
            });
            ("dns", url.clone(), settings)
        }
        other => {
            draft.lost(format!("{place}: the protocol {other:?}"));
            return;
        }
    };
    let module = draft.module(prober, prober, timeout, settings);
    let interval = endpoint.period("interval").or(Some(60_000));
    let target = draft.target(&name, &address, module, interval);
    labels(target, endpoint.take("extra-labels").as_ref());
    if let Some(group) = endpoint.text("group") {
        target.labels.insert("group".to_owned(), group);
    }
    client.finish(draft, "");
    dns.finish(draft, "");
    endpoint.finish(draft, "ui");
}

/// Conditions as settings of a module.
#[derive(Default)]
struct Conditions {
    statuses: Vec<String>,
    rcodes: Vec<String>,
    /// Patterns of the whole body, with their conditions.
    bodies: Vec<(String, String)>,
    terms: Vec<String>,
}

impl Conditions {
    /// `None` for a condition that no setting of the prober for this scheme expresses.
    fn read(&mut self, scheme: &str, condition: &str) -> Option<()> {
        let mut words = condition.splitn(3, ' ');
        let (subject, operator, value) = (words.next()?, words.next()?, words.next()?.trim());
        let call = |name: &str| value.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        let (pattern, any) = (call("pat"), call("any"));
        let is_http = scheme.starts_with("http");
        match (subject, operator) {
            ("[CONNECTED]", "==") if value == "true" => {}
            ("[STATUS]", "==") if is_http && pattern.is_none() => {
                let codes = any.unwrap_or(value).split(',');
                self.statuses.extend(codes.map(|code| code.trim().to_owned()));
            }
            ("[STATUS]", "<") if is_http => self
                .statuses
                .push(format!("100-{}", value.parse::<u64>().ok()?.checked_sub(1)?)),
            ("[DNS_RCODE]", "==") if scheme == "dns" && pattern.is_none() => {
                let rcodes = any.unwrap_or(value).split(',');
                self.rcodes.extend(rcodes.map(|rcode| rcode.trim().to_owned()));
            }
            ("[BODY]", "==") if !["icmp", "starttls"].contains(&scheme) => {
                let body = match (pattern, any) {
                    (Some(pattern), _) => glob(pattern)?,
                    (None, Some(values)) => {
                        let values = values.split(',').map(|value| go_regexp::quote_meta(value.trim()));
                        values.collect::<Vec<_>>().join("|")
                    }
                    (None, None) => go_regexp::quote_meta(value),
                };
                self.bodies.push((body, condition.to_owned()));
            }
            (json, "==" | "!=" | "<" | ">" | "<=" | ">=")
                if is_http && pattern.is_none() && any.is_none() =>
            {
                let path = json.strip_prefix("[BODY].")?;
                let plain = path
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
                let value = match value.parse::<f64>() {
                    Ok(number) => format!("{number:?}"),
                    Err(_) if matches!(value, "true" | "false") => value.to_owned(),
                    Err(_) => Value::from(value.trim_matches(['"', '\''])).to_string(),
                };
                self.terms
                    .push(plain.then(|| format!("body.{path} {operator} {value}"))?);
            }
            _ => return None,
        }
        Some(())
    }

    /// The pattern of the body where a prober has room for one; names the others.
    fn one_body(&self, place: &str, draft: &mut Draft) -> Option<String> {
        let ((first, _), others) = self.bodies.split_first()?;
        for (_, condition) in others.iter().filter(|(pattern, _)| pattern != first) {
            draft.lost(format!(
                "{place}: the condition {condition:?}: there is one of [BODY] already"
            ));
        }
        Some(first.clone())
    }

    fn cel(&self) -> Value {
        if self.terms.is_empty() {
            Value::Null
        } else {
            self.terms.join(" && ").into()
        }
    }
}

/// A regular expression of the whole body: gatus takes the blanks around it away.
fn whole(pattern: &str) -> String {
    format!(r"^\s*(?s:{pattern})\s*$")
}

/// The regular expression of a `pat`; `None` for sets of characters and escapes.
fn glob(pattern: &str) -> Option<String> {
    if pattern.contains(['[', '\\']) {
        return None;
    }
    let parts = pattern.split_inclusive(['*', '?']).map(|part| {
        let (text, wild) = match part.chars().next_back() {
            Some('*') => (part.trim_end_matches('*'), ".*"),
            Some('?') => (part.trim_end_matches('?'), "."),
            _ => (part, ""),
        };
        go_regexp::quote_meta(text) + wild
    });
    Some(parts.collect())
}
