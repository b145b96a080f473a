//! ping_exporter: a list of hosts, some with labels, and settings for all of them.

use serde_json::{Value, json};

use super::draft::Draft;
use super::settings::Settings;
use super::values::{pairs, text};

pub(super) fn read(config: Value, draft: &mut Draft) {
    let mut config = Settings::new("the file", config);
    let mut ping = config.section("ping");
    let mut options = config.section("options");
    let family = match (options.flag("disableIPv6"), options.flag("disableIPv4")) {
        (true, false) => Some("ip4"),
        (false, true) => Some("ip6"),
        _ => None,
    };
    let settings = json!({
        "preferred_ip_protocol": family,
        "payload_size": ping.whole("payload-size"),
    });
    let timeout = ping.period("timeout").or(Some(5_000));
    let name = draft.module("icmp", timeout, settings);
    let interval = ping.period("interval");
    for target in config.items("targets") {
        match target {
            Value::Object(hosts) => {
                for (host, values) in hosts {
                    let labels = draft.labels(&format!("target {host:?}"), pairs(Some(values)));
                    draft.target(&host, &host, name.clone(), interval).labels = labels;
                }
            }
            host => drop(draft.target(&text(&host), &text(&host), name.clone(), interval)),
        }
    }
    ping.finish(draft, "history-size");
    options.finish(draft, "");
    config.finish(draft, "");
    draft.hint("a scrape is one ping here: ping_rtt_mean_seconds becomes avg_over_time(probe_icmp_duration_seconds{phase=\"rtt\"}[1m]), ping_loss_ratio becomes 1 - avg_over_time(probe_success[1m])");
}
