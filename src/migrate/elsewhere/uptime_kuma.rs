//! uptime-kuma: the monitors of a backup.

use serde_json::{Value, json};

use super::{Draft, field, flag, headers, items, statuses, text};

pub(super) fn read(backup: &Value, draft: &mut Draft) {
    for monitor in items(backup, "monitorList") {
        let name = field(monitor, "name").unwrap_or_default();
        let place = format!("monitor {name:?}");
        if monitor
            .get("active")
            .is_some_and(|active| *active == json!(false) || *active == json!(0))
        {
            draft.lost(format!("{place}: it is paused"));
            continue;
        }
        if flag(monitor, "upsideDown") {
            draft.lost(format!(
                "{place}: it is inverted (upside down): alert on probe_success == 1"
            ));
            continue;
        }
        let seconds = |key: &str| {
            monitor
                .get(key)
                .and_then(Value::as_f64)
                .filter(|s| *s > 0.0)
                .map(|s| (s * 1000.0) as u64)
        };
        let timeout = seconds("timeout").or(Some(10_000));
        let host = field(monitor, "hostname").unwrap_or_default();
        let port = field(monitor, "port").unwrap_or_default();
        let kind = field(monitor, "type").unwrap_or_default();
        let (prober, address, settings) = match kind.as_str() {
            "http" | "keyword" | "json-query" => {
                let url = field(monitor, "url").unwrap_or_default();
                let keyword = field(monitor, "keyword")
                    .filter(|_| kind == "keyword")
                    .map(|keyword| json!([go_regexp::quote_meta(&keyword)]));
                let inverted = flag(monitor, "invertKeyword");
                let cel = (kind == "json-query").then(|| json_query(monitor)).flatten();
                if kind == "json-query" && cel.is_none() {
                    draft.lost(format!(
                        "{place}: the JSON query {:?}: write it as fail_if_body_json_not_matches_cel",
                        field(monitor, "jsonPath").unwrap_or_default()
                    ));
                }
                let written = field(monitor, "headers")
                    .and_then(|headers| serde_json::from_str::<Value>(&headers).ok());
                let login = field(monitor, "basic_auth_user").map(|user| {
                    json!({"username": user, "password": field(monitor, "basic_auth_pass").unwrap_or_default()})
                });
                let hops = monitor.get("maxredirects").and_then(Value::as_u64);
                let settings = json!({
                    "method": field(monitor, "method").filter(|method| method != "GET"),
                    "body": field(monitor, "body"),
                    "headers": headers(written.as_ref()),
                    "basic_auth": login,
                    "follow_redirects": (hops == Some(0)).then_some(false),
                    "tls_config": flag(monitor, "ignoreTls").then(|| json!({"insecure_skip_verify": true})),
                    "valid_status_codes": statuses(items(monitor, "accepted_statuscodes").iter().map(text)),
                    "fail_if_body_not_matches_regexp": keyword.clone().filter(|_| !inverted),
                    "fail_if_body_matches_regexp": keyword.filter(|_| inverted),
                    "fail_if_body_json_not_matches_cel": cel,
                });
                ("http", url, settings)
            }
            "port" => ("tcp", format!("{host}:{port}"), json!({})),
            "ping" => ("icmp", host, json!({"payload_size": monitor.get("packetSize")})),
            "dns" => {
                let server = field(monitor, "dns_resolve_server").unwrap_or_else(|| "1.1.1.1".to_owned());
                let settings = json!({"query_name": host, "query_type": field(monitor, "dns_resolve_type")});
                (
                    "dns",
                    if port.is_empty() {
                        server
                    } else {
                        format!("{server}:{port}")
                    },
                    settings,
                )
            }
            other => {
                draft.lost(format!("{place}: the type {other:?}"));
                continue;
            }
        };
        if monitor
            .get("maxretries")
            .and_then(Value::as_u64)
            .is_some_and(|retries| retries > 0)
        {
            draft.hint("retries become the `for:` of an alert: a failed probe is shown as it is");
        }
        let module = draft.module(prober, prober, timeout, settings);
        let target = draft.target(&name, &address, module, seconds("interval").or(Some(60_000)));
        target.labels.extend([
            ("monitor_name".to_owned(), name.clone()),
            ("monitor_type".to_owned(), kind),
        ]);
    }
    draft.hint("monitor_status becomes probe_success, monitor_response_time becomes probe_duration_seconds * 1000, monitor_cert_days_remaining becomes (probe_ssl_earliest_cert_expiry - time()) / 86400");
}

/// `$.a.b` compared for equality.
fn json_query(monitor: &Value) -> Option<String> {
    let path = field(monitor, "jsonPath")?;
    let path = path.trim_start_matches("$.").trim_start_matches('$');
    let plain = !path.is_empty()
        && path
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
    let value = Value::from(field(monitor, "expectedValue")?);
    plain.then(|| format!("string(body.{path}) == {value}"))
}
