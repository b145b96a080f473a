//! smokeping_prober: groups of hosts that are pinged.

use serde_json::{Value, json};

use super::draft::Draft;
use super::settings::Settings;
use super::values::text;

pub(super) fn read(config: Value, draft: &mut Draft) {
    let mut config = Settings::new("the file", config);
    for (number, group) in config.items("targets").into_iter().enumerate() {
        let mut group = Settings::new(format!("targets[{number}]"), group);
        let family = group.text("network").filter(|network| network != "ip");
        let settings = json!({
            "preferred_ip_protocol": family,
            "payload_size": group.whole("size"),
            "source_ip_address": group.text("source"),
        });
        let name = draft.module("icmp", Some(5_000), settings);
        let interval = group.period("interval");
        for host in group.items("hosts") {
            let host = text(&host);
            draft.target(&host, &host, name.clone(), interval);
        }
        group.finish(draft, "protocol");
    }
    config.finish(draft, "");
    draft.hint("a scrape is one ping here: smokeping_response_duration_seconds becomes probe_icmp_duration_seconds{phase=\"rtt\"}, a lost ping is probe_success 0");
}
