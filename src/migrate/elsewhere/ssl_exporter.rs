//! ssl_exporter: modules; most of its targets are jobs of Prometheus.

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::settings::Settings;
use super::values::ANY_STATUS;

/// The protocols in which ssl_exporter asks for TLS.
const PROTOCOLS: [&str; 5] = ["smtp", "ftp", "imap", "pop3", "postgres"];

/// The settings of TLS that have the same name here.
const TLS: [&str; 5] = [
    "ca_file",
    "cert_file",
    "key_file",
    "server_name",
    "insecure_skip_verify",
];

pub(super) fn read(config: Value, draft: &mut Draft) {
    let mut config = Settings::new("the file", config);
    let modules = config.take("modules").unwrap_or_default();
    for (name, body) in modules.as_object().cloned().unwrap_or_default() {
        let body = Settings::new(format!("module {name:?}"), body);
        if let Err(reason) = read_module(&name, body, draft) {
            draft.lost(format!("module {name:?}: {reason}"));
        }
    }
    if let Some(name) = config.text("default_module") {
        let what = format_args!("`default_module` {name:?}: name it as `module` in the jobs that name none");
        config.lost(draft, what);
    }
    config.finish(draft, "");
    draft.hint("the targets are in the Prometheus jobs that scrape ssl_exporter: let them scrape this exporter with these modules");
    let is_http = |(_, body): &(String, Value)| body.get("prober").is_some_and(|prober| prober == "http");
    if draft.modules.iter().any(is_http) {
        draft.hint("ssl_exporter puts https:// before targets of its prober https: let the jobs do that with the last of their relabel_configs, {source_labels: [__param_target], regex: '(?:https://)?(.+)', target_label: __param_target, replacement: 'https://$1'}");
    }
    draft.hint(
        "ssl_cert_not_after becomes probe_ssl_earliest_cert_expiry, ssl_probe_success becomes probe_success",
    );
}

fn read_module(name: &str, mut body: Settings, draft: &mut Draft) -> Result<(), String> {
    let timeout = body.period("timeout");
    let mut written = body.section("tls_config");
    let tls: Map<_, _> = TLS
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), written.take(key)?)))
        .collect();
    let mut https = body.section("https");
    let mut tcp = body.section("tcp");
    let (prober, settings) = match body.text("prober").as_deref() {
        Some("https" | "http") => {
            let settings = json!({
                "fail_if_not_ssl": true,
                "tls_config": tls,
                "proxy_url": https.text("proxy_url"),
                // It looks at the certificate of the first response, whatever its status.
                "follow_redirects": false,
                "valid_status_codes": [ANY_STATUS],
            });
            ("http", settings)
        }
        Some("tcp") => {
            let starttls = tcp.text("starttls");
            if let Some(protocol) = &starttls
                && !PROTOCOLS.contains(&protocol.as_str())
            {
                return Err(format!("starttls {protocol}"));
            }
            (
                "tcp",
                json!({"tls": starttls.is_none(), "tls_config": tls, "starttls": starttls}),
            )
        }
        other => return Err(format!("the prober {}", other.unwrap_or("none"))),
    };
    // Jobs of Prometheus name each of them, also those that are equal.
    draft
        .modules
        .push((name.to_owned(), super::draft::body(prober, timeout, settings)));
    if let Some(mut address) = body.text("target") {
        if address.starts_with("http://") && prober == "http" {
            body.lost(draft, format_args!("ssl_exporter refuses the target {address:?}"));
        } else {
            if !address.starts_with("https://") && prober == "http" {
                address.insert_str(0, "https://");
            }
            draft.target(name, &address, name.to_owned(), None);
        }
    }
    written.finish(draft, "");
    https.finish(draft, "");
    tcp.finish(draft, "");
    body.finish(draft, "");
    Ok(())
}
