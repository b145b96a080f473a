//! cloudprober: probes of lists of hosts.

use serde_json::{Value, json};

use super::{Draft, field, headers, period, statuses};

/// The settings of one that are carried over or mean nothing here.
const KNOWN: &str = "name type targets interval interval_msec timeout timeout_msec http_probe ping_probe dns_probe \
    tcp_probe validator ip_version latency_unit additional_label latency_distribution";

/// Makes what to probe of a host.
type Address = Box<dyn Fn(&str) -> String>;

/// The values of a field that may come more than once.
fn all<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    match value.get(key) {
        Some(Value::Array(list)) => list,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
}

fn time(probe: &Value, key: &str, default: u64) -> Option<u64> {
    let msec = probe.get(format!("{key}_msec")).and_then(Value::as_u64);
    period(probe, key).or(msec).or(Some(default))
}

pub(super) fn read(config: &Value, draft: &mut Draft) {
    draft.unknown("the file", config, "probe surfacer server port host");
    for probe in all(config, "probe") {
        let name = field(probe, "name").unwrap_or_default();
        let place = format!("probe {name:?}");
        draft.unknown(&place, probe, KNOWN);
        let timeout = time(probe, "timeout", 1_000);
        let family = match field(probe, "ip_version").as_deref() {
            Some("IPV4") => Some("ip4"),
            Some("IPV6") => Some("ip6"),
            _ => None,
        };
        let targets = probe.get("targets").unwrap_or(&Value::Null);
        draft.unknown(
            &format!("{place}: targets"),
            targets,
            "host_names endpoint dummy_targets",
        );
        let names = field(targets, "host_names").unwrap_or_default();
        let hosts = names
            .split(',')
            .map(|host| host.trim().to_owned())
            .filter(|host| !host.is_empty());
        let mut addresses: Vec<(String, String)> = hosts.map(|host| (host.clone(), host)).collect();
        for endpoint in all(targets, "endpoint") {
            let name = field(endpoint, "name").unwrap_or_default();
            let url = field(endpoint, "url")
                .or_else(|| field(endpoint, "host"))
                .unwrap_or_else(|| name.clone());
            addresses.push((name, url));
        }
        let kind = field(probe, "type").unwrap_or_default();
        let (prober, settings, rule): (_, _, Address) = match kind.as_str() {
            "HTTP" => {
                let http = probe.get("http_probe").unwrap_or(&Value::Null);
                let known = "protocol scheme relative_url port method body header headers tls_config";
                draft.unknown(&format!("{place}: http_probe"), http, known);
                let mut fields = headers(http.get("header"));
                for old in all(http, "headers") {
                    if let (Some(name), Some(fields)) = (field(old, "name"), fields.as_object_mut()) {
                        fields.insert(name, field(old, "value").unwrap_or_default().into());
                    }
                }
                let mut settings = json!({
                    "method": field(http, "method").filter(|method| method != "GET"),
                    "body": field(http, "body"),
                    "headers": fields,
                    "preferred_ip_protocol": family,
                });
                for validator in all(probe, "validator") {
                    let http = validator.get("http_validator").unwrap_or(&Value::Null);
                    draft.unknown(
                        &format!("{place}: validator"),
                        validator,
                        "name http_validator regex",
                    );
                    draft.unknown(&format!("{place}: http_validator"), http, "success_status_codes");
                    let Some(settings) = settings.as_object_mut() else {
                        continue;
                    };
                    if let Some(codes) = field(http, "success_status_codes") {
                        let codes = statuses(codes.split(',').map(|code| code.trim().to_owned()));
                        settings.insert("valid_status_codes".to_owned(), codes);
                    }
                    if let Some(regex) = field(validator, "regex") {
                        settings.insert("fail_if_body_not_matches_regexp".to_owned(), json!([regex]));
                    }
                }
                let protocol = field(http, "scheme")
                    .or_else(|| field(http, "protocol"))
                    .unwrap_or_default();
                let scheme = if protocol.eq_ignore_ascii_case("https") {
                    "https"
                } else {
                    "http"
                };
                let port = field(http, "port").map_or_else(String::new, |port| format!(":{port}"));
                let path = field(http, "relative_url").unwrap_or_default();
                let url = move |host: &str| match host.contains("://") {
                    true => host.to_owned(),
                    false => format!("{scheme}://{host}{port}{path}"),
                };
                ("http", settings, Box::new(url))
            }
            "PING" => (
                "icmp",
                json!({"preferred_ip_protocol": family}),
                Box::new(str::to_owned),
            ),
            "TCP" => {
                let port = probe
                    .get("tcp_probe")
                    .and_then(|tcp| field(tcp, "port"))
                    .unwrap_or_default();
                let settings = json!({"preferred_ip_protocol": family});
                (
                    "tcp",
                    settings,
                    Box::new(move |host: &str| {
                        if port.is_empty() {
                            host.to_owned()
                        } else {
                            format!("{host}:{port}")
                        }
                    }),
                )
            }
            "DNS" => {
                let dns = probe.get("dns_probe").unwrap_or(&Value::Null);
                draft.unknown(
                    &format!("{place}: dns_probe"),
                    dns,
                    "resolved_domain query_type min_answers",
                );
                let least = dns
                    .get("min_answers")
                    .and_then(Value::as_u64)
                    .is_some_and(|least| least > 0);
                let settings = json!({
                    "query_name": field(dns, "resolved_domain").unwrap_or_else(|| "www.google.com.".to_owned()),
                    "query_type": field(dns, "query_type"),
                    "preferred_ip_protocol": family,
                    "validate_answer_rrs": least.then(|| json!({"fail_if_none_matches_regexp": [".*"]})),
                });
                ("dns", settings, Box::new(str::to_owned))
            }
            other => {
                draft.lost(format!("{place}: the type {other}"));
                continue;
            }
        };
        let module = draft.module(prober, prober, timeout, settings);
        let interval = time(probe, "interval", 2_000);
        let alone = addresses.len() == 1;
        for (host, address) in addresses {
            let title = if alone {
                name.clone()
            } else {
                format!("{name}/{host}")
            };
            let target = draft.target(&title, &rule(&address), module.clone(), interval);
            target
                .labels
                .extend([("probe".to_owned(), name.clone()), ("dst".to_owned(), host)]);
            for label in all(probe, "additional_label") {
                if let (Some(key), Some(value)) = (field(label, "key"), field(label, "value")) {
                    target.labels.insert(key, value);
                }
            }
        }
    }
    draft.hint("the counters total, success and latency become avg_over_time(probe_success[5m]) and probe_duration_seconds");
}
