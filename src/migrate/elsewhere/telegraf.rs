//! Telegraf: the inputs `http_response`, `ping` and `net_response`.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::draft::{Draft, without_empty};
use super::settings::Settings;
use super::values::{ANY_STATUS, pairs, text};

/// Reads an input: the name of its module, and what it probes.
type Reader = fn(&mut Settings, &mut Draft) -> Option<(String, Vec<String>)>;

/// The inputs that become targets.
const KINDS: [(&str, Reader); 3] = [
    ("http_response", http_response),
    ("ping", ping),
    ("net_response", net_response),
];

/// The settings of the agent that concern Telegraf alone.
const AGENT: &str = "round_interval metric_batch_size metric_buffer_limit collection_jitter collection_offset flush_interval \
    flush_jitter precision debug quiet logtarget logformat logfile logfile_rotation_interval logfile_rotation_max_size \
    logfile_rotation_max_archives log_with_timezone structured_log_message_key omit_hostname snmp_translator statefile \
    always_include_local_tags always_include_global_tags skip_processors_after_aggregators buffer_strategy buffer_directory";

pub(super) fn read(config: Value, draft: &mut Draft) {
    let mut config = Settings::new("the file", config);
    let mut agent = config.section("agent");
    let interval = agent.period("interval").or(Some(10_000));
    agent.finish(draft, AGENT);
    let tags = match config.take("global_tags") {
        Some(Value::Object(tags)) => tags,
        _ => Map::new(),
    };
    let all = All { interval, tags };
    let inputs = config.take("inputs").unwrap_or_default();
    let others = inputs.as_object().into_iter().flat_map(Map::keys);
    let others: Vec<_> = others
        .filter(|name| KINDS.iter().all(|(kind, _)| kind != name))
        .cloned()
        .collect();
    let mut inputs = Settings::new("", inputs);
    for (kind, read) in KINDS {
        for input in inputs.items(kind) {
            let mut input = Settings::new(format!("inputs.{kind}"), input);
            if let Some((module, addresses)) = read(&mut input, draft) {
                all.add(input, module, &addresses, draft);
            }
        }
    }
    if !others.is_empty() {
        draft.hint(&format!("the inputs {} stay with Telegraf", others.join(", ")));
    }
    config.finish(draft, "outputs");
    draft.hint("http_response_response_time becomes probe_duration_seconds, ping_average_response_ms becomes probe_icmp_duration_seconds{phase=\"rtt\"} * 1000, result_code becomes probe_success");
}

/// What applies to every input.
struct All {
    interval: Option<u64>,
    tags: Map<String, Value>,
}

impl All {
    fn add(&self, mut input: Settings, module: String, addresses: &[String], draft: &mut Draft) {
        let mut tags = self.tags.clone();
        if let Some(Value::Object(own)) = input.take("tags") {
            tags.extend(own);
        }
        let labels = draft.labels(input.place(), pairs(Some(Value::Object(tags))));
        let interval = input.period("interval").or(self.interval);
        for address in addresses {
            let target = draft.target(address, address, module.clone(), interval);
            target.labels.clone_from(&labels);
        }
        input.finish(draft, "binary method");
    }
}

fn http_response(input: &mut Settings, draft: &mut Draft) -> Option<(String, Vec<String>)> {
    let code = input.whole("response_status_code").filter(|code| *code > 0);
    let login = input
        .text("username")
        .map(|user| json!({"username": user, "password": input.text("password").unwrap_or_default()}));
    let tls = json!({
        "insecure_skip_verify": input.flag("insecure_skip_verify").then_some(true),
        "ca_file": input.text("tls_ca"), "cert_file": input.text("tls_cert"), "key_file": input.text("tls_key"),
    });
    let settings = json!({
        "method": input.text("method").filter(|method| method != "GET"),
        "body": input.text("body"),
        "headers": input.headers(draft),
        "follow_redirects": input.flag("follow_redirects"),
        "basic_auth": login,
        "bearer_token_file": input.text("bearer_token"),
        "proxy_url": input.text("http_proxy"),
        "tls_config": without_empty(tls),
        // Without a code, any response is a result.
        "valid_status_codes": [code.map_or_else(|| json!(ANY_STATUS), Value::from)],
        "fail_if_body_not_matches_regexp": input.text("response_string_match").map(|pattern| json!([pattern])),
    });
    let timeout = input
        .period("response_timeout")
        .filter(|timeout| *timeout >= 1_000);
    let timeout = timeout.or(Some(5_000));
    let mut urls: Vec<_> = input.items("urls").iter().map(text).collect();
    urls.extend(input.text("address"));
    if urls.is_empty() {
        urls.push("http://localhost".to_owned());
    }
    Some((draft.module("http", timeout, settings), urls))
}

fn ping(input: &mut Settings, draft: &mut Draft) -> Option<(String, Vec<String>)> {
    let family = match (input.flag("ipv4"), input.flag("ipv6")) {
        (true, false) => Some("ip4"),
        (false, true) => Some("ip6"),
        _ => None,
    };
    let pause = input.seconds("ping_interval").unwrap_or(1_000).max(1);
    let timeout = input.seconds("timeout").unwrap_or(1_000);
    let count = input.packets("count", draft);
    let source = input.text("interface");
    let is_address = source
        .as_ref()
        .is_some_and(|source| source.parse::<IpAddr>().is_ok());
    if let Some(interface) = source.as_ref().filter(|_| !is_address) {
        let what = format_args!("`interface` {interface:?}: write its address as source_ip_address");
        input.lost(draft, what);
    }
    let settings = json!({
        "preferred_ip_protocol": family,
        "payload_size": input.whole("size"),
        "count": count,
        "interval": count.map(|_| format!("{pause}ms")),
        "source_ip_address": source.filter(|_| is_address),
    });
    // The timeout is of one packet there, and of all here.
    let timeout = count.map_or(timeout, |count| {
        pause.saturating_mul(count - 1).saturating_add(timeout)
    });
    let module = draft.module("icmp", Some(timeout), settings);
    Some((module, input.items("urls").iter().map(text).collect()))
}

fn net_response(input: &mut Settings, draft: &mut Draft) -> Option<(String, Vec<String>)> {
    let mut address = input.text("address").unwrap_or_default();
    if address.starts_with(':') {
        address.insert_str(0, "localhost");
    }
    if input.text("protocol").as_deref() != Some("tcp") {
        draft.lost(format!(
            "inputs.net_response of {address}: only tcp can be probed"
        ));
        return None;
    }
    let mut dialogue = Vec::new();
    dialogue.extend(
        input
            .text("send")
            .map(|send| json!({"send": send, "no_newline": true})),
    );
    if let Some(expect) = input.text("expect") {
        dialogue.push(json!({"expect": expect}));
        draft.hint(
            "Telegraf matches `expect` with the first line that it reads; here a later line may match, too",
        );
    }
    let timeout = input.period("timeout").unwrap_or(1_000);
    let reading = match dialogue.is_empty() {
        true => 0,
        false => input.period("read_timeout").unwrap_or(1_000),
    };
    let settings = json!({"query_response": dialogue});
    let module = draft.module("tcp", Some(timeout.saturating_add(reading)), settings);
    Some((module, vec![address.trim_start_matches("tcp://").to_owned()]))
}
