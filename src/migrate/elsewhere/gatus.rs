//! gatus: endpoints with conditions.

use serde_json::{Value, json};

use super::{Draft, field, headers, items, labels, period, statuses, text};

/// The settings of one that are carried over or mean nothing here.
const KNOWN: &str =
    "name group url interval conditions method body headers dns client enabled extra-labels ui";

pub(super) fn read(config: &Value, draft: &mut Draft) {
    draft.unknown(
        "the file",
        config,
        "endpoints metrics web storage ui concurrency disable-monitoring-lock",
    );
    for endpoint in items(config, "endpoints") {
        let name = field(endpoint, "name").unwrap_or_default();
        let place = format!("endpoint {name:?}");
        if endpoint.get("enabled") == Some(&Value::Bool(false)) {
            draft.lost(format!("{place}: it is not enabled"));
            continue;
        }
        draft.unknown(&place, endpoint, KNOWN);
        let url = field(endpoint, "url").unwrap_or_default();
        let client = endpoint.get("client").unwrap_or(&Value::Null);
        draft.unknown(&place, client, "insecure ignore-redirect timeout");
        let timeout = period(client, "timeout").or(Some(10_000));
        let tls = client
            .get("insecure")
            .map(|insecure| json!({"insecure_skip_verify": insecure}));
        let scheme = url.split("://").next().unwrap_or_default();
        let rest = url
            .split_once("://")
            .map_or(url.as_str(), |(_, rest)| rest)
            .trim_end_matches('/');
        let mut judged = Conditions::default();
        for condition in items(endpoint, "conditions") {
            let condition = text(condition);
            if judged.read(&condition).is_none() {
                draft.lost(format!("{place}: the condition {condition:?}: use an alert"));
            }
        }
        let (prober, address, settings) = match scheme {
            "http" | "https" => {
                let follow = client
                    .get("ignore-redirect")
                    .and_then(Value::as_bool)
                    .map(|ignore| !ignore);
                let settings = json!({
                    "method": field(endpoint, "method").filter(|method| method != "GET"),
                    "body": field(endpoint, "body"),
                    "headers": headers(endpoint.get("headers")),
                    "tls_config": tls,
                    "follow_redirects": follow,
                    "valid_status_codes": statuses(judged.statuses.clone()),
                    "fail_if_body_not_matches_regexp": judged.body,
                    "fail_if_body_json_not_matches_cel": judged.cel(),
                });
                ("http", url.clone(), settings)
            }
            "tcp" => ("tcp", rest.to_owned(), json!({})),
            "tls" => ("tcp", rest.to_owned(), json!({"tls": true, "tls_config": tls})),
            "icmp" => ("icmp", rest.to_owned(), json!({})),
            "ws" | "wss" => ("websocket", url.clone(), json!({})),
            _ if endpoint.get("dns").is_some() => {
                let dns = endpoint.get("dns").unwrap_or(&Value::Null);
                let settings = json!({
                    "query_name": field(dns, "query-name"),
                    "query_type": field(dns, "query-type"),
                    "valid_rcodes": judged.rcodes,
                    "validate_answer_rrs": judged.body.first().map(|body| json!({"fail_if_none_matches_regexp": [body]})),
                });
                ("dns", url.clone(), settings)
            }
            other => {
                draft.lost(format!("{place}: the protocol {other:?}"));
                continue;
            }
        };
        let module = draft.module(prober, prober, timeout, settings);
        let target = draft.target(
            &name,
            &address,
            module,
            period(endpoint, "interval").or(Some(60_000)),
        );
        labels(target, endpoint.get("extra-labels"));
        if let Some(group) = field(endpoint, "group") {
            target.labels.insert("group".to_owned(), group);
        }
    }
    draft.hint("gatus_results_endpoint_success becomes probe_success, gatus_results_duration_seconds becomes probe_duration_seconds, gatus_results_certificate_expiration_seconds becomes probe_ssl_earliest_cert_expiry - time()");
}

/// Conditions as settings of a module.
#[derive(Default)]
struct Conditions {
    statuses: Vec<String>,
    rcodes: Vec<String>,
    body: Vec<String>,
    terms: Vec<String>,
}

impl Conditions {
    /// `None` for a condition that no setting expresses.
    fn read(&mut self, condition: &str) -> Option<()> {
        let mut words = condition.splitn(3, ' ');
        let (subject, operator, value) = (words.next()?, words.next()?, words.next()?.trim());
        let pattern = value
            .strip_prefix("pat(")
            .and_then(|value| value.strip_suffix(')'));
        let any = value
            .strip_prefix("any(")
            .and_then(|value| value.strip_suffix(')'));
        match (subject, operator) {
            ("[CONNECTED]", "==") if value == "true" => {}
            ("[STATUS]", "==") if pattern.is_none() => {
                let codes = any.unwrap_or(value).split(',');
                self.statuses.extend(codes.map(|code| code.trim().to_owned()));
            }
            ("[STATUS]", "<") => self
                .statuses
                .push(format!("100-{}", value.parse::<u64>().ok()?.checked_sub(1)?)),
            ("[DNS_RCODE]", "==") => self.rcodes.push(value.to_owned()),
            ("[BODY]", "==") => self.body.push(match pattern {
                Some(pattern) => format!(
                    "^(?s:{})$",
                    pattern
                        .split('*')
                        .map(go_regexp::quote_meta)
                        .collect::<Vec<_>>()
                        .join(".*")
                ),
                None => format!("^{}$", go_regexp::quote_meta(value)),
            }),
            (json, "==" | "!=" | "<" | ">" | "<=" | ">=") if pattern.is_none() && any.is_none() => {
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

    fn cel(&self) -> Value {
        if self.terms.is_empty() {
            Value::Null
        } else {
            self.terms.join(" && ").into()
        }
    }
}
