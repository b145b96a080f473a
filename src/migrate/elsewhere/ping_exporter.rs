//! ping_exporter: a list of hosts, some with labels, and settings for all of them.

use serde_json::{Value, json};

use super::{Draft, flag, items, labels, period, text};

pub(super) fn read(config: &Value, draft: &mut Draft) {
    draft.unknown("the file", config, "targets ping options");
    let ping = config.get("ping").unwrap_or(&Value::Null);
    draft.unknown("ping", ping, "interval timeout payload-size history-size");
    let ip4 = config
        .get("options")
        .is_some_and(|options| flag(options, "disableIPv6"));
    let settings = json!({
        "preferred_ip_protocol": ip4.then_some("ip4"),
        "ip_protocol_fallback": ip4.then_some(false),
        "payload_size": ping.get("payload-size"),
    });
    let name = draft.module("icmp", "icmp", period(ping, "timeout").or(Some(5_000)), settings);
    let interval = period(ping, "interval");
    for target in items(config, "targets") {
        match target {
            Value::Object(hosts) => {
                for (host, values) in hosts {
                    labels(draft.target(host, host, name.clone(), interval), Some(values));
                }
            }
            host => drop(draft.target(&text(host), &text(host), name.clone(), interval)),
        }
    }
    draft.hint("a scrape is one ping here: ping_rtt_mean_seconds becomes avg_over_time(probe_icmp_duration_seconds{phase=\"rtt\"}[1m]), ping_loss_ratio becomes 1 - avg_over_time(probe_success[1m])");
}
