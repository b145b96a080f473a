//! Telegraf: the inputs `http_response`, `ping` and `net_response`.

use serde_json::{Value, json};

use super::{Draft, field, flag, headers, items, period, text, without_empty};

pub(super) fn read(config: &Value, draft: &mut Draft) {
    let agent = config
        .get("agent")
        .and_then(|agent| period(agent, "interval"))
        .or(Some(10_000));
    let inputs = config.get("inputs").unwrap_or(&Value::Null);
    let others = inputs
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str());
    let others: Vec<_> = others
        .filter(|name| !["http_response", "ping", "net_response"].contains(name))
        .collect();
    if !others.is_empty() {
        draft.hint(&format!("the inputs {} stay with Telegraf", others.join(", ")));
    }
    for input in items(inputs, "http_response") {
        let known = "urls address interval response_timeout method follow_redirects body headers username password \
            response_string_match response_status_code insecure_skip_verify tls_ca tls_cert tls_key \
            http_proxy bearer_token tags";
        draft.unknown("inputs.http_response", input, known);
        let code = input
            .get("response_status_code")
            .and_then(Value::as_u64)
            .filter(|code| *code > 0);
        // Without a code, any response is a result.
        let codes: Vec<u64> = code.map_or_else(|| (100..=599).collect(), |code| vec![code]);
        let login = field(input, "username")
            .map(|user| json!({"username": user, "password": field(input, "password").unwrap_or_default()}));
        let tls = json!({
            "insecure_skip_verify": flag(input, "insecure_skip_verify").then_some(true),
            "ca_file": field(input, "tls_ca"), "cert_file": field(input, "tls_cert"), "key_file": field(input, "tls_key"),
        });
        let settings = json!({
            "method": field(input, "method").filter(|method| method != "GET"),
            "body": field(input, "body"),
            "headers": headers(input.get("headers")),
            "follow_redirects": flag(input, "follow_redirects"),
            "basic_auth": login,
            "bearer_token_file": field(input, "bearer_token"),
            "proxy_url": field(input, "http_proxy"),
            "tls_config": without_empty(tls),
            "valid_status_codes": codes,
            "fail_if_body_not_matches_regexp": field(input, "response_string_match").map(|pattern| json!([pattern])),
        });
        let name = draft.module(
            "http",
            "http",
            period(input, "response_timeout").or(Some(5_000)),
            settings,
        );
        let urls: Vec<String> = items(input, "urls")
            .iter()
            .map(text)
            .chain(field(input, "address"))
            .collect();
        add(draft, input, &urls, &name, period(input, "interval").or(agent));
    }
    for input in items(inputs, "ping") {
        draft.unknown(
            "inputs.ping",
            input,
            "urls interval timeout count method ipv4 ipv6 size interface binary tags",
        );
        let family = match (flag(input, "ipv4"), flag(input, "ipv6")) {
            (true, false) => Some("ip4"),
            (false, true) => Some("ip6"),
            _ => None,
        };
        let timeout = input
            .get("timeout")
            .and_then(Value::as_f64)
            .map(|seconds| (seconds * 1000.0) as u64);
        let settings = json!({"preferred_ip_protocol": family, "payload_size": input.get("size")});
        let name = draft.module(
            "icmp",
            "icmp",
            timeout.filter(|t| *t > 0).or(Some(1_000)),
            settings,
        );
        let urls: Vec<String> = items(input, "urls").iter().map(text).collect();
        add(draft, input, &urls, &name, period(input, "interval").or(agent));
    }
    for input in items(inputs, "net_response") {
        draft.unknown(
            "inputs.net_response",
            input,
            "protocol address interval timeout read_timeout send expect tags",
        );
        let address = field(input, "address").unwrap_or_default();
        if field(input, "protocol").as_deref() != Some("tcp") {
            draft.lost(format!(
                "inputs.net_response of {address}: only tcp can be probed"
            ));
            continue;
        }
        let mut dialogue = Vec::new();
        dialogue.extend(field(input, "send").map(|send| json!({"send": send})));
        dialogue
            .extend(field(input, "expect").map(|expect| json!({"expect": go_regexp::quote_meta(&expect)})));
        let name = draft.module(
            "tcp",
            "tcp",
            period(input, "timeout").or(Some(1_000)),
            json!({"query_response": dialogue}),
        );
        add(
            draft,
            input,
            &[address.trim_start_matches("tcp://").to_owned()],
            &name,
            period(input, "interval").or(agent),
        );
    }
    draft.hint("http_response_response_time becomes probe_duration_seconds, ping_average_response_ms becomes probe_icmp_duration_seconds{phase=\"rtt\"} * 1000, result_code becomes probe_success");
}

fn add(draft: &mut Draft, input: &Value, addresses: &[String], module: &str, interval: Option<u64>) {
    for address in addresses {
        let target = draft.target(address, address, module.to_owned(), interval);
        super::labels(target, input.get("tags"));
    }
}
