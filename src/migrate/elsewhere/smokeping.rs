//! smokeping_prober: groups of hosts that are pinged.

use serde_json::{Value, json};

use super::{Draft, field, items, period, text};

pub(super) fn read(config: &Value, draft: &mut Draft) {
    for (number, group) in items(config, "targets").iter().enumerate() {
        let place = format!("targets[{number}]");
        draft.unknown(&place, group, "hosts interval network protocol size source");
        let family = match field(group, "network").as_deref() {
            Some("ip4") => json!("ip4"),
            Some("ip6") => json!("ip6"),
            _ => Value::Null,
        };
        let settings = json!({
            "preferred_ip_protocol": family,
            "payload_size": group.get("size"),
            "source_ip_address": field(group, "source"),
        });
        let name = draft.module("icmp", "icmp", Some(5_000), settings);
        for host in items(group, "hosts") {
            let host = text(host);
            draft.target(&host, &host, name.clone(), period(group, "interval"));
        }
    }
    draft.hint("a scrape is one ping here: smokeping_response_duration_seconds becomes probe_icmp_duration_seconds{phase=\"rtt\"}, a lost ping is probe_success 0");
}
