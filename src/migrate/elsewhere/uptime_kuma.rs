//! uptime-kuma: the monitors of a backup.

use serde_json::{Value, json};

use super::draft::{Draft, without_empty};
use super::settings::Settings;
use super::values::{address, codes, field, reverse_name, set_content_type, statuses, text};

/// What concerns uptime-kuma alone. Retries are a hint, and notifications are named once.
const MEANINGLESS: &str = "id pathName path parent childrenIDs weight forceInactive retryInterval \
    resendInterval notificationIDList dns_last_result maintenance includeSensitiveData jsonPathOperator \
    screenshot grpcProtobuf grpcMethod grpcServiceName mqttSuccessMessage mqttCheckType snmpOid snmpVersion \
    packetSize dns_resolve_type dns_resolve_server hostname port accepted_statuscodes maxredirects method url \
    jsonPath expectedValue oauth_auth_method ping_per_request_timeout ping_numeric \
    kafkaProducerSaslOptions rabbitmqNodes smtpSecurity remote_browser gamedigGivenPortOnly";

/// The settings of http, which a backup lists with every monitor.
const HTTP: &str = "ignoreTls body headers httpBodyEncoding keyword invertKeyword authMethod basic_auth_user \
    basic_auth_pass expiryNotification cacheBust";

pub(super) fn read(backup: Value, draft: &mut Draft) {
    let mut backup = Settings::new("the file", backup);
    backup.each("monitorList", "monitor", draft, read_monitor);
    backup.finish(draft, "version proxyList");
    draft.hint("monitor_status becomes probe_success, monitor_response_time becomes probe_duration_seconds * 1000, monitor_cert_days_remaining becomes (probe_ssl_earliest_cert_expiry - time()) / 86400");
}

fn read_monitor(mut monitor: Settings, name: &str, draft: &mut Draft) -> Result<(), String> {
    let active = monitor.take("active");
    if active.is_some_and(|active| active == json!(false) || active == json!(0)) {
        return Err("it is paused".to_owned());
    }
    let hops = monitor.whole("maxredirects");
    let accepted = match monitor.take("accepted_statuscodes") {
        Some(Value::Array(listed)) => codes(listed.iter().map(text)),
        _ => (200..=299).collect(),
    };
    monitor.drop_zeros();
    if monitor.flag("upsideDown") {
        return Err("it is inverted (upside down): alert on probe_success == 1".to_owned());
    }
    let interval = monitor.seconds("interval").unwrap_or(60_000);
    let timeout = monitor.seconds("timeout");
    let host = monitor.text("hostname").unwrap_or_default();
    let port = monitor.text("port").unwrap_or_default();
    let kind = monitor.text("type").unwrap_or_default();
    let timeout = match kind.as_str() {
        // Of its own, whatever the monitor says.
        "port" => 5_000,
        "ping" => timeout.unwrap_or(10_000),
        // As before 1.23: four fifths of the interval.
        _ => timeout.unwrap_or(interval / 5 * 4),
    };
    let (prober, address, settings) = match kind.as_str() {
        "http" | "keyword" | "json-query" => {
            if let Some(hops) = hops.filter(|hops| ![0, 10].contains(hops)) {
                monitor.lost(draft, format_args!("`maxredirects` {hops}: it follows 10"));
            }
            let accepted = statuses(&accepted).ok_or("it accepts no status")?;
            let url = monitor.text("url").unwrap_or_default();
            ("http", url, http(&mut monitor, &kind, accepted, hops, draft))
        }
        "port" => ("tcp", address(&host, &port), json!({})),
        "ping" => (
            "icmp",
            host,
            json!({"payload_size": monitor.whole("packetSize"), "count": monitor.packets("ping_count", draft)}),
        ),
        "dns" => {
            let servers = monitor
                .text("dns_resolve_server")
                .unwrap_or_else(|| "1.1.1.1".to_owned());
            let mut servers = servers.split(',').map(str::trim);
            let server = servers.next().unwrap_or_default();
            for other in servers {
                let what = format_args!("the name server {other}: it asks {server} alone");
                monitor.lost(draft, what);
            }
            let record = monitor.text("dns_resolve_type").unwrap_or_else(|| "A".to_owned());
            let asked = match record.as_str() {
                "PTR" => reverse_name(&host),
                _ => Some(host),
            };
            let asked = asked.ok_or("uptime-kuma asks for the PTR records of addresses only")?;
            let settings = json!({
                "query_name": asked,
                "query_type": record,
                // A response without such a record is a failure.
                "validate_answer_rrs": {"fail_if_none_matches_regexp": [format!(r"^(?:\S+\s+){{3}}{record}\s")]},
            });
            ("dns", address(server, &port), settings)
        }
        other => return Err(format!("the type {other:?}")),
    };
    if monitor.whole("maxretries").is_some_and(|retries| retries > 0) {
        draft.hint("retries become the `for:` of an alert: a failed probe is shown as it is");
    }
    let module = draft.module(prober, Some(timeout), settings);
    let tags = monitor.named_values("tags", "name").into_iter();
    let (tags, bare): (Vec<_>, Vec<_>) = tags.partition(|(_, value)| !value.is_empty());
    for (tag, _) in bare {
        monitor.lost(draft, format_args!("the tag {tag:?}: a label needs a value"));
    }
    let tags = draft.labels(monitor.place(), tags);
    let target = draft.target(name, &address, module, Some(interval));
    target.labels = tags;
    target.labels.extend([
        ("monitor_name".to_owned(), name.to_owned()),
        ("monitor_type".to_owned(), kind),
    ]);
    let others = if prober == "http" { "" } else { HTTP };
    monitor.finish(draft, &format!("{MEANINGLESS} {others}"));
    Ok(())
}

fn http(monitor: &mut Settings, kind: &str, accepted: Value, hops: Option<u64>, draft: &mut Draft) -> Value {
    let keyword = monitor.text("keyword").filter(|_| kind == "keyword");
    let keyword = keyword.map(|keyword| json!([pattern(&keyword)]));
    let inverted = monitor.flag("invertKeyword");
    let mut cel = None;
    if kind == "json-query" {
        let path = monitor.text("jsonPath").unwrap_or_default();
        cel = json_query(monitor, &path);
        if cel.is_none() {
            let what = format_args!("the JSON query {path:?}: write it as fail_if_body_json_not_matches_cel");
            monitor.lost(draft, what);
        }
    }
    if let Some(written) = monitor.text("headers") {
        match serde_json::from_str(&written) {
            Ok(headers) => monitor.put("headers", headers),
            Err(_) => monitor.lost(draft, "`headers` is not JSON"),
        }
    }
    let mut fields = monitor.headers(draft);
    let body = monitor.text("body").filter(|body| !body.trim().is_empty());
    let encoding = monitor.text("httpBodyEncoding");
    if body.is_some() {
        let kind = match encoding.as_deref() {
            Some("xml") => "text/xml; charset=utf-8",
            Some("form") => "application/x-www-form-urlencoded",
            _ => "application/json",
        };
        set_content_type(&mut fields, kind);
    }
    let mut login = None;
    let mut oauth2 = None;
    let mut tls = json!({"insecure_skip_verify": monitor.flag("ignoreTls").then_some(true)});
    match monitor.text("authMethod").as_deref() {
        None | Some("basic") => {
            login = monitor.text("basic_auth_user").map(
                |user| json!({"username": user, "password": monitor.text("basic_auth_pass").unwrap_or_default()}),
            );
        }
        Some("oauth2-cc") => {
            let scopes = monitor.text("oauth_scopes").unwrap_or_default();
            let scopes: Vec<_> = scopes.split_whitespace().collect();
            oauth2 = Some(without_empty(json!({
                "client_id": monitor.text("oauth_client_id"),
                "client_secret": monitor.text("oauth_client_secret"),
                "token_url": monitor.text("oauth_token_url"),
                "scopes": scopes,
            })));
        }
        Some("mtls") => {
            for (key, field) in [("ca", "tlsCa"), ("cert", "tlsCert"), ("key", "tlsKey")] {
                if let (Some(pem), Some(tls)) = (monitor.text(field), tls.as_object_mut()) {
                    tls.insert(key.to_owned(), pem.into());
                }
            }
        }
        Some(other) => monitor.lost(draft, format_args!("`authMethod` {other:?}")),
    }
    json!({
        "method": monitor.text("method").filter(|method| method != "GET"),
        "body": body,
        "headers": fields,
        "basic_auth": login,
        "oauth2": oauth2,
        "tls_config": without_empty(tls),
        "follow_redirects": (hops == Some(0)).then_some(false),
        "valid_status_codes": accepted,
        "fail_if_body_not_matches_regexp": keyword.clone().filter(|_| !inverted),
        "fail_if_body_matches_regexp": keyword.filter(|_| inverted),
        "fail_if_body_json_not_matches_cel": cel,
    })
}

/// The regular expression of a keyword. uptime-kuma searches JSON without the blanks between its parts.
fn pattern(keyword: &str) -> String {
    if !keyword.contains('"') {
        return go_regexp::quote_meta(keyword);
    }
    let parts = keyword.chars().map(|c| match c {
        ':' | ',' | '{' | '}' | '[' | ']' => format!(r"\s*{}\s*", go_regexp::quote_meta(&c.to_string())),
        c => go_regexp::quote_meta(&c.to_string()),
    });
    parts.collect()
}

/// `$.a.b` compared with a value.
fn json_query(monitor: &mut Settings, path: &str) -> Option<String> {
    let path = path.trim_start_matches("$.").trim_start_matches('$');
    let is_name = |key: &str| {
        key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !path.split('.').all(is_name) {
        return None;
    }
    let field = field(path)?;
    let operator = monitor
        .text("jsonPathOperator")
        .unwrap_or_else(|| "==".to_owned());
    let wanted = monitor.text("expectedValue")?;
    let text = Value::from(wanted.as_str());
    let number = wanted.trim().parse::<f64>();
    let number = number.ok().filter(|number| number.is_finite());
    // CEL writes large numbers with an exponent, uptime-kuma does not.
    let whole = number.filter(|number| number.to_string() == wanted);
    match (operator.as_str(), whole) {
        ("==", Some(number)) => Some(format!("(string({field}) == {text} || {field} == {number:?})")),
        ("!=", Some(number)) => Some(format!("(string({field}) != {text} && {field} != {number:?})")),
        ("==" | "!=", None) => Some(format!("string({field}) {operator} {text}")),
        ("contains", _) => Some(format!("string({field}).contains({text})")),
        ("<" | "<=" | ">" | ">=", _) => Some(format!("double({field}) {operator} {:?}", number?)),
        _ => None,
    }
}
