//! ssl_exporter: modules; its targets stand in Prometheus.

use serde_json::{Value, json};

use super::{Draft, field, module, period};

pub(super) fn read(config: &Value, draft: &mut Draft) {
    draft.unknown("the file", config, &["modules", "default_module"]);
    for (name, body) in config
        .get("modules")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let place = format!("module {name:?}");
        draft.unknown(
            &place,
            body,
            &["prober", "timeout", "tls_config", "tcp", "https", "target"],
        );
        let timeout = period(body, "timeout");
        let tls = body.get("tls_config").cloned().unwrap_or(Value::Null);
        match field(body, "prober").as_deref() {
            Some("https" | "http") => {
                let proxy = body.get("https").and_then(|https| field(https, "proxy_url"));
                let settings = json!({"fail_if_not_ssl": true, "tls_config": tls, "proxy_url": proxy});
                draft.module(name, module("http", timeout, settings));
            }
            Some("tcp") => {
                let starttls = body.get("tcp").and_then(|tcp| field(tcp, "starttls"));
                let dialogue = match starttls.as_deref().map(dialogue) {
                    None => None,
                    Some(Some(dialogue)) => Some(dialogue),
                    Some(None) => {
                        draft.lost(format!("{place}: starttls {}", starttls.unwrap_or_default()));
                        continue;
                    }
                };
                let settings =
                    json!({"tls": dialogue.is_none(), "tls_config": tls, "query_response": dialogue});
                draft.module(name, module("tcp", timeout, settings));
            }
            other => draft.lost(format!("{place}: the prober {}", other.unwrap_or("none"))),
        }
    }
    draft.hint("the targets are in the Prometheus jobs that scrape ssl_exporter: let them scrape this exporter with these modules");
    draft.hint(
        "ssl_cert_not_after becomes probe_ssl_earliest_cert_expiry, ssl_probe_success becomes probe_success",
    );
}

/// What is said before the handshake.
fn dialogue(protocol: &str) -> Option<Value> {
    Some(match protocol {
        "smtp" => json!([
            {"expect": "^220"}, {"send": "EHLO prober"}, {"expect": "^250[ -]STARTTLS"}, {"send": "STARTTLS"}, {"expect": "^220"}, {"starttls": true}
        ]),
        "imap" => json!([{"expect": "OK"}, {"send": ". STARTTLS"}, {"expect": "OK"}, {"starttls": true}]),
        "pop3" => json!([{"expect": "OK"}, {"send": "STLS"}, {"expect": "OK"}, {"starttls": true}]),
        "ftp" => json!([{"expect": "^220"}, {"send": "AUTH TLS"}, {"expect": "^234"}, {"starttls": true}]),
        _ => return None,
    })
}
