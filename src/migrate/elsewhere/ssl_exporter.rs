//! ssl_exporter: modules; its targets stand in Prometheus.

use serde_json::{Value, json};

use super::{Draft, field, period};

pub(super) fn read(config: &Value, draft: &mut Draft) {
    draft.unknown("the file", config, "modules default_module");
    for (name, body) in config
        .get("modules")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let place = format!("module {name:?}");
        draft.unknown(&place, body, "prober timeout tls_config tcp https target");
        let timeout = period(body, "timeout");
        let tls = body.get("tls_config").cloned().unwrap_or(Value::Null);
        match field(body, "prober").as_deref() {
            Some("https" | "http") => {
                let proxy = body.get("https").and_then(|https| field(https, "proxy_url"));
                let settings = json!({"fail_if_not_ssl": true, "tls_config": tls, "proxy_url": proxy});
                draft.module(name, "http", timeout, settings);
            }
            Some("tcp") => {
                let starttls = body.get("tcp").and_then(|tcp| field(tcp, "starttls"));
                if let Some(protocol) = &starttls
                    && !PROTOCOLS.contains(&protocol.as_str())
                {
                    draft.lost(format!("{place}: starttls {protocol}"));
                    continue;
                }
                let settings = json!({"tls": starttls.is_none(), "tls_config": tls, "starttls": starttls});
                draft.module(name, "tcp", timeout, settings);
            }
            other => draft.lost(format!("{place}: the prober {}", other.unwrap_or("none"))),
        }
    }
    draft.hint("the targets are in the Prometheus jobs that scrape ssl_exporter: let them scrape this exporter with these modules");
    draft.hint(
        "ssl_cert_not_after becomes probe_ssl_earliest_cert_expiry, ssl_probe_success becomes probe_success",
    );
}

/// The protocols in which ssl_exporter asks for TLS.
const PROTOCOLS: [&str; 5] = ["smtp", "ftp", "imap", "pop3", "postgres"];
