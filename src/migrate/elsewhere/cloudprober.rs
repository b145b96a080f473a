//! cloudprober: probes of lists of hosts.

use serde_json::{Map, Value, json};

use super::settings::Settings;
use super::{ANY_STATUS, Draft, statuses};

/// What means nothing here: of a probe, and of each kind.
const MEANINGLESS: &str = "latency_unit latency_distribution";
const MEANINGLESS_HTTP: &str = "resolve_first interval_between_targets_msec latency_breakdown max_idle_conns";

/// Makes what to probe of a host.
type Address = Box<dyn Fn(&str) -> String>;

fn time(probe: &mut Settings, key: &str, default: u64) -> Option<u64> {
    let msec = probe.whole(&format!("{key}_msec"));
    probe.period(key).or(msec).or(Some(default))
}

/// `tls_config` of a section.
fn tls(section: &mut Settings, draft: &mut Draft) -> Value {
    let mut tls = section.section("tls_config");
    let settings = json!({
        "ca_file": tls.text("ca_cert_file"),
        "cert_file": tls.text("tls_cert_file"),
        "key_file": tls.text("tls_key_file"),
        "server_name": tls.text("server_name"),
        "insecure_skip_verify": tls.flag("disable_cert_validation").then_some(true),
    });
    tls.finish(draft, "reload_interval_sec");
    super::without_empty(settings)
}

pub(super) fn read(config: Value, draft: &mut Draft) {
    let mut config = Settings::new("the file", config);
    for probe in config.items("probe") {
        read_probe(probe, draft);
    }
    config.finish(draft, "surfacer server port host");
    draft.hint("the counters total, success and latency become avg_over_time(probe_success[5m]) and probe_duration_seconds");
}

fn read_probe(probe: Value, draft: &mut Draft) {
    let (mut probe, name) = Settings::named("probe", probe);
    let place = probe.place().to_owned();
    let timeout = time(&mut probe, "timeout", 1_000);
    let family = match probe.text("ip_version").as_deref() {
        Some("IPV4") => Some("ip4"),
        Some("IPV6") => Some("ip6"),
        _ => None,
    };
    let addresses = addresses(probe.section("targets"), draft);
    let kind = probe.text("type").unwrap_or_default();
    let (prober, mut settings, rule): (_, _, Address) = match kind.as_str() {
        "HTTP" => {
            let (settings, rule) = http(&mut probe, draft);
            ("http", settings, rule)
        }
        "PING" => {
            let mut ping = probe.section("ping_probe");
            let count = super::packets(&mut ping, "packets_per_probe", draft);
            let pause = ping.whole("packets_interval_msec").unwrap_or(25).max(1);
            let settings = json!({
                "count": count,
                "interval": count.map(|_| format!("{pause}ms")),
                "payload_size": ping.whole("payload_size"),
                "dont_fragment": ping.flag("disable_fragmentation").then_some(true),
            });
            ping.finish(draft, "resolve_targets_interval use_datagram_socket");
            ("icmp", settings, Box::new(str::to_owned))
        }
        "TCP" => {
            let mut tcp = probe.section("tcp_probe");
            let port = tcp
                .text("port")
                .map_or_else(String::new, |port| format!(":{port}"));
            let is_tls = tcp.flag("tls_handshake");
            let tls = is_tls.then(|| tls(&mut tcp, draft));
            tcp.finish(draft, "resolve_first interval_between_targets_msec");
            let settings = json!({"tls": is_tls.then_some(true), "tls_config": tls});
            (
                "tcp",
                settings,
                Box::new(move |host: &str| format!("{host}{port}")),
            )
        }
        "DNS" => ("dns", dns(&mut probe, draft), Box::new(str::to_owned)),
        other => {
            draft.lost(format!("{place}: the type {other}"));
            return;
        }
    };
    if let Some(settings) = settings.as_object_mut() {
        settings.insert("preferred_ip_protocol".to_owned(), family.into());
    }
    let module = draft.module(prober, prober, timeout, settings);
    let interval = time(&mut probe, "interval", 2_000);
    let more = probe.items("additional_label").into_iter().filter_map(|label| {
        let mut label = Settings::new("", label);
        Some((label.text("key")?, label.text("value")?))
    });
    let more: Vec<_> = more.collect();
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
        target.labels.extend(more.iter().cloned());
    }
    probe.finish(draft, MEANINGLESS);
}

/// The names of the targets, and what to probe.
fn addresses(mut targets: Settings, draft: &mut Draft) -> Vec<(String, String)> {
    let names = targets.text("host_names").unwrap_or_default();
    let hosts = names.split(',').map(str::trim).filter(|host| !host.is_empty());
    let mut addresses: Vec<_> = hosts.map(|host| (host.to_owned(), host.to_owned())).collect();
    for endpoint in targets.items("endpoint") {
        let mut endpoint = Settings::new(format!("{}: endpoint", targets.place()), endpoint);
        let name = endpoint.text("name").unwrap_or_default();
        let url = endpoint.text("url").or_else(|| endpoint.text("host"));
        let url = url.unwrap_or_else(|| name.clone());
        addresses.push((name, url));
        endpoint.finish(draft, "");
    }
    targets.finish(draft, "dummy_targets");
    addresses
}

fn http(probe: &mut Settings, draft: &mut Draft) -> (Value, Address) {
    let mut http = probe.section("http_probe");
    let mut fields = Map::new();
    for (list, key) in [("headers", "name"), ("header", "key")] {
        for header in http.items(list) {
            let mut header = Settings::new("", header);
            if let Some(name) = header.text(key) {
                fields.insert(name, header.text("value").unwrap_or_default().into());
            }
        }
    }
    if let Some(agent) = http.text("user_agent") {
        fields.insert("User-Agent".to_owned(), agent.into());
    }
    let mut codes = Value::Null;
    let mut patterns = Vec::new();
    for validator in probe.items("validator") {
        let mut validator = Settings::new(format!("{}: validator", probe.place()), validator);
        let mut judged = validator.section("http_validator");
        if codes.is_null()
            && let Some(listed) = judged.text("success_status_codes")
        {
            codes = statuses(listed.split(',').map(|code| code.trim().to_owned()));
            if codes.is_null() {
                codes = json!(["2xx"]);
            }
        }
        patterns.extend(validator.text("regex"));
        judged.finish(draft, "");
        validator.finish(draft, "name");
    }
    if codes.is_null() {
        // Without a validator, any response is a success.
        codes = json!([ANY_STATUS]);
    }
    let mut tls = tls(&mut http, draft);
    if http.flag("disable_cert_validation") {
        tls = json!({"insecure_skip_verify": true});
    }
    let hops = http.whole("max_redirects");
    if let Some(hops) = hops.filter(|hops| *hops > 0) {
        draft.lost(format!("{}: `max_redirects` {hops}: it follows 10", http.place()));
    }
    let settings = json!({
        "method": http.text("method").filter(|method| method != "GET"),
        "body": http.text("body"),
        "headers": fields,
        "tls_config": tls,
        "proxy_url": http.text("proxy_url"),
        "enable_http2": http.flag("disable_http2").then_some(false),
        "follow_redirects": (hops == Some(0)).then_some(false),
        "valid_status_codes": codes,
        "fail_if_body_not_matches_regexp": patterns,
    });
    let protocol = http.text("scheme").or_else(|| http.text("protocol"));
    let is_https = protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case("https"));
    let scheme = if is_https { "https" } else { "http" };
    let port = http
        .text("port")
        .map_or_else(String::new, |port| format!(":{port}"));
    let path = http.text("relative_url").unwrap_or_default();
    http.finish(draft, MEANINGLESS_HTTP);
    let rule = move |host: &str| match host.contains("://") {
        true => host.to_owned(),
        false => format!("{scheme}://{host}{port}{path}"),
    };
    (settings, Box::new(rule))
}

fn dns(probe: &mut Settings, draft: &mut Draft) -> Value {
    let mut dns = probe.section("dns_probe");
    let least = dns.whole("min_answers").unwrap_or(0);
    if least > 1 {
        draft.lost(format!("{}: `min_answers` {least}: it asks for one", dns.place()));
    }
    let way = dns.text("dns_proto").unwrap_or_default();
    let settings = json!({
        "query_name": dns.text("resolved_domain").unwrap_or_else(|| "www.google.com.".to_owned()),
        "query_type": dns.text("query_type").unwrap_or_else(|| "MX".to_owned()),
        "query_class": dns.text("query_class"),
        "recursion_desired": dns.truth("recursion_desired"),
        "transport_protocol": way.starts_with("TCP").then_some("tcp"),
        "dns_over_tls": (way == "TCP_TLS").then_some(true),
        "validate_answer_rrs": (least > 0).then(|| json!({"fail_if_none_matches_regexp": [".*"]})),
    });
    dns.finish(draft, "resolve_first");
    settings
}
