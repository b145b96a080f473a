//! cloudprober: probes of lists of hosts.

use serde_json::{Map, Value, json};

use super::draft::{Draft, without_empty};
use super::settings::Settings;
use super::values::{ANY_STATUS, address, codes, set_content_type, statuses, text};

/// What means nothing here: of a probe, and of each kind.
const MEANINGLESS: &str = "latency_unit latency_distribution";
const MEANINGLESS_HTTP: &str = "resolve_first interval_between_targets_msec latency_breakdown max_idle_conns";

/// Something to probe.
#[derive(Default)]
struct Host {
    name: String,
    /// Where it is, if its name does not say it.
    ip: Option<String>,
    port: Option<String>,
    /// Scheme, host and path of its URL, for http.
    url: Option<(String, String, String)>,
}

impl Host {
    /// An entry of `host_names`.
    fn of(text: &str) -> Self {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port.to_owned())),
            _ => (text, None),
        };
        Self {
            name: name.trim_matches(['[', ']']).to_owned(),
            port,
            ..Self::default()
        }
    }

    /// An `endpoint`.
    fn read(endpoint: &mut Settings) -> Self {
        let mut host = Self {
            name: endpoint.text("name").unwrap_or_default(),
            ip: endpoint.text("ip"),
            port: endpoint.text("port"),
            url: None,
        };
        let url = endpoint.text("url").unwrap_or_default();
        if let Some((scheme, rest)) = url.split_once("://") {
            let (site, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let site = Self::of(site);
            host.url = Some((scheme.to_owned(), site.name, path.to_owned()));
            host.port = host.port.or(site.port);
        }
        host
    }

    /// Where to connect to: the probe's port, or else its own, or the default.
    fn address(&self, port: Option<&str>, default: &str) -> String {
        let port = port.or(self.port.as_deref()).unwrap_or(default);
        address(self.ip.as_ref().unwrap_or(&self.name), port)
    }
}

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
    without_empty(settings)
}

pub(super) fn read(config: Value, draft: &mut Draft) {
    let mut config = Settings::new("the file", config);
    config.each("probe", "probe", draft, read_probe);
    config.finish(draft, "surfacer server port host");
    draft.hint("the counters total, success and latency become avg_over_time(probe_success[5m]) and probe_duration_seconds");
}

fn read_probe(mut probe: Settings, name: &str, draft: &mut Draft) -> Result<(), String> {
    if probe.flag("negative_test") {
        return Err("it is inverted (negative_test): alert on probe_success == 1".to_owned());
    }
    let timeout = time(&mut probe, "timeout", 1_000);
    let family = match probe.text("ip_version").as_deref() {
        Some("IPV4") => Some("ip4"),
        Some("IPV6") => Some("ip6"),
        _ => None,
    };
    let hosts = hosts(probe.section("targets"), draft);
    let kind = probe.text("type").unwrap_or_default();
    let (prober, (mut settings, addresses)) = match kind.as_str() {
        "HTTP" => ("http", http(&mut probe, &hosts, draft)?),
        "PING" => {
            let mut ping = probe.section("ping_probe");
            let count = ping.packets("packets_per_probe", draft);
            let pause = ping.whole("packets_interval_msec").unwrap_or(25).max(1);
            let settings = json!({
                "count": count,
                "interval": count.map(|_| format!("{pause}ms")),
                "payload_size": ping.whole("payload_size"),
                "dont_fragment": ping.flag("disable_fragmentation").then_some(true),
            });
            ping.finish(draft, "resolve_targets_interval use_datagram_socket");
            let rule = |host: &Host| host.ip.as_ref().unwrap_or(&host.name).clone();
            ("icmp", (settings, hosts.iter().map(rule).collect()))
        }
        "TCP" => {
            let mut tcp = probe.section("tcp_probe");
            let port = tcp.text("port");
            let is_tls = tcp.flag("tls_handshake");
            let tls = is_tls.then(|| tls(&mut tcp, draft));
            tcp.finish(draft, "resolve_first interval_between_targets_msec");
            let settings = json!({"tls": is_tls.then_some(true), "tls_config": tls});
            let rule = |host: &Host| host.address(port.as_deref(), "");
            ("tcp", (settings, hosts.iter().map(rule).collect()))
        }
        "DNS" => {
            let rule = |host: &Host| host.address(None, "");
            ("dns", (dns(&mut probe, draft), hosts.iter().map(rule).collect()))
        }
        "GRPC" => ("grpc", grpc(&mut probe, &hosts, draft)?),
        other => return Err(format!("the type {other}")),
    };
    if let Some(settings) = settings.as_object_mut() {
        settings.insert("preferred_ip_protocol".to_owned(), family.into());
    }
    let module = draft.module(prober, timeout, settings);
    let interval = time(&mut probe, "interval", 2_000);
    let more = probe.named_values("additional_label", "key");
    let more = draft.labels(probe.place(), more);
    let alone = hosts.len() == 1;
    for (host, at) in hosts.into_iter().zip::<Vec<_>>(addresses) {
        let dst = address(&host.name, host.port.as_deref().unwrap_or_default());
        let title = match alone {
            true => name.to_owned(),
            false => format!("{name}/{dst}"),
        };
        let target = draft.target(&title, &at, module.clone(), interval);
        if host.ip.is_some() && ["http", "tcp"].contains(&prober) {
            target.hostname = host.url.map_or(host.name, |(_, site, _)| site);
        }
        target
            .labels
            .extend([("probe".to_owned(), name.to_owned()), ("dst".to_owned(), dst)]);
        target.labels.extend(more.clone());
    }
    probe.finish(draft, MEANINGLESS);
    Ok(())
}

/// What the targets are.
fn hosts(mut targets: Settings, draft: &mut Draft) -> Vec<Host> {
    let names = targets.text("host_names").unwrap_or_default();
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut hosts: Vec<_> = names.map(Host::of).collect();
    for endpoint in targets.items("endpoint") {
        let mut endpoint = Settings::new(format!("{}: endpoint", targets.place()), endpoint);
        hosts.push(Host::read(&mut endpoint));
        endpoint.finish(draft, "");
    }
    targets.finish(draft, "dummy_targets");
    hosts
}

/// The settings, and the address of each host.
fn http(probe: &mut Settings, hosts: &[Host], draft: &mut Draft) -> Result<(Value, Vec<String>), String> {
    let mut http = probe.section("http_probe");
    let mut fields = Map::new();
    for (list, key) in [("headers", "name"), ("header", "key")] {
        let headers = http.named_values(list, key).into_iter();
        fields.extend(headers.map(|(name, value)| (name, Value::from(value))));
    }
    if let Some(agent) = http.text("user_agent") {
        fields.insert("User-Agent".to_owned(), agent.into());
    }
    let bodies: Vec<_> = http.items("body").iter().map(text).collect();
    let body = bodies.join("&");
    if let Some(kind) = content_type(&bodies, &body) {
        set_content_type(&mut fields, kind);
    }
    let mut accepted = Value::Null;
    let mut patterns = Vec::new();
    for validator in probe.items("validator") {
        let mut validator = Settings::new(format!("{}: validator", probe.place()), validator);
        let mut judged = validator.section("http_validator");
        if accepted.is_null()
            && let Some(listed) = judged.text("success_status_codes")
        {
            let codes = statuses(&codes(listed.split(',').map(|code| code.trim().to_owned())));
            let codes =
                codes.ok_or_else(|| format!("validator: http_validator: no status is in {listed:?}"))?;
            accepted = match codes {
                Value::Null => json!(["2xx"]),
                codes => codes,
            };
        }
        patterns.extend(validator.text("regex"));
        judged.finish(draft, "");
        validator.finish(draft, "name");
    }
    if accepted.is_null() {
        // Without a validator, any response is a success.
        accepted = json!([ANY_STATUS]);
    }
    let mut tls = tls(&mut http, draft);
    if http.flag("disable_cert_validation") {
        tls = json!({"insecure_skip_verify": true});
    }
    let hops = http.whole("max_redirects");
    if let Some(hops) = hops.filter(|hops| *hops > 0) {
        http.lost(draft, format_args!("`max_redirects` {hops}: it follows 10"));
    }
    let settings = json!({
        "method": http.text("method").filter(|method| method != "GET"),
        "body": (!body.is_empty()).then_some(body),
        "headers": fields,
        "tls_config": tls,
        "proxy_url": http.text("proxy_url"),
        "enable_http2": http.flag("disable_http2").then_some(false),
        "follow_redirects": (hops == Some(0)).then_some(false),
        "valid_status_codes": accepted,
        "fail_if_body_not_matches_regexp": patterns,
    });
    let scheme = http.text("scheme").or_else(|| http.text("protocol"));
    let scheme = scheme.map(|scheme| scheme.to_lowercase());
    let port = http.text("port");
    let path = http.text("relative_url");
    http.finish(draft, MEANINGLESS_HTTP);
    let rule = |host: &Host| {
        let (its_scheme, site, its_path) = match &host.url {
            Some((scheme, site, path)) => (scheme.as_str(), site, path.as_str()),
            None => ("http", &host.name, ""),
        };
        let (scheme, path) = (
            scheme.as_deref().unwrap_or(its_scheme),
            path.as_deref().unwrap_or(its_path),
        );
        let site = host.ip.as_ref().unwrap_or(site);
        let port = port.as_ref().or(host.port.as_ref());
        match port {
            Some(port) => format!("{scheme}://{}{path}", address(site, port)),
            None if site.contains(':') => format!("{scheme}://[{site}]{path}"),
            None => format!("{scheme}://{site}{path}"),
        }
    };
    Ok((settings, hosts.iter().map(rule).collect()))
}

/// The content type that cloudprober gives to a body.
fn content_type(bodies: &[String], body: &str) -> Option<&'static str> {
    const MOST_BYTES: usize = 512;
    if body.is_empty() || body.len() > MOST_BYTES {
        return None;
    }
    if bodies.len() == 1 && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok() {
        return Some("application/json");
    }
    let is_hex = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
    let is_query = !body.contains(';')
        && body.split('%').skip(1).all(|escape| {
            let mut digits = escape.chars();
            is_hex(digits.next()) && is_hex(digits.next())
        });
    is_query.then_some("application/x-www-form-urlencoded")
}

/// An error for anything but a health check that wants the service to serve.
fn grpc(probe: &mut Settings, hosts: &[Host], draft: &mut Draft) -> Result<(Value, Vec<String>), String> {
    let mut grpc = probe.section("grpc_probe");
    let method = grpc.text("method").unwrap_or_else(|| "ECHO".to_owned());
    if method != "HEALTH_CHECK" {
        return Err(format!(
            "grpc_probe: the method {method}: only HEALTH_CHECK can be probed"
        ));
    }
    if grpc.flag("health_check_ignore_status") {
        let fault =
            "grpc_probe: `health_check_ignore_status`: only a service that is SERVING is healthy here";
        return Err(fault.to_owned());
    }
    let headers = grpc.named_values("headers", "name").into_iter();
    let metadata: Map<_, _> = headers.map(|(name, value)| (name, json!([value]))).collect();
    let is_plain = grpc.flag("insecure_transport");
    let settings = json!({
        "service": grpc.text("health_check_service"),
        "tls": !is_plain,
        "tls_config": tls(&mut grpc, draft),
        "metadata": metadata,
    });
    let port = grpc.text("port");
    grpc.finish(draft, "num_conns disable_reuse_conn blob_size");
    let rule = |host: &Host| host.address(port.as_deref(), "443");
    Ok((settings, hosts.iter().map(rule).collect()))
}

fn dns(probe: &mut Settings, draft: &mut Draft) -> Value {
    let mut dns = probe.section("dns_probe");
    let least = dns.whole("min_answers").unwrap_or(0);
    if least > 1 {
        dns.lost(draft, format_args!("`min_answers` {least}: it asks for one"));
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
