//! What fields the sections of probers have, and where one belongs that stands in the wrong section.

use std::iter;
use std::sync::LazyLock;

use serde_json::Value as Json;

use super::{Module, Prober};
use crate::config::client::tls::Tls;
use crate::config::codec::schema;
use crate::config::codec::section::names;
use crate::config::codec::value::Value as _;

/// What the field below those names of the prober's section may be.
pub(super) fn field(prober: Prober, names: &[impl AsRef<str>]) -> Option<&'static Json> {
    static SCHEMA: LazyLock<Json> = LazyLock::new(|| schema::file("Module", Module::schema));
    let mut section = SCHEMA.pointer("/$defs/Module")?;
    let (last, before) = names.split_last()?;
    for name in iter::once(prober.name()).chain(before.iter().map(AsRef::as_ref)) {
        let below = section.get("properties")?.get(name)?.get("$ref")?;
        section = SCHEMA.pointer(below.as_str()?.strip_prefix('#')?)?;
    }
    section.get("properties")?.get(last.as_ref())
}

/// Where a field belongs that a section with the fields `known` does not have.
pub(crate) fn elsewhere(name: &str, known: &[&'static str]) -> Option<String> {
    let is_section_with = |field: &str| known.contains(&field);
    if is_section_with("modules") && name == "targets" {
        return Some("this is a targets file: it is given with --targets.file".to_owned());
    }
    if is_section_with("modules") && name == "scrape_configs" {
        let help =
            "this is Prometheus' configuration: `blackbox_exporter migrate` reads the targets of its jobs";
        return Some(help.to_owned());
    }
    if is_section_with("prober") {
        let owners = owners(name);
        return (!owners.is_empty()).then(|| format!("it belongs below {}", owners.join(" or ")));
    }
    if names::<Module>().contains(&name) && !is_section_with("targets") {
        return Some(match is_section_with("modules") {
            true => format!("{name} is a setting of a module: write it below modules: NAME:"),
            false => format!("{name} is a setting of the module: write it next to prober"),
        });
    }
    if is_section_with("tls_config") && names::<Tls>().contains(&name) {
        return Some(format!("it belongs below tls_config: tls_config: {{{name}: …}}"));
    }
    match name {
        "path" | "url" | "uri" | "host" | "port" | "target" | "query" if is_section_with("method") => {
            let help =
                "URL and path belong to the target of the scrape: target=https://example.com/path?query";
            Some(help.to_owned())
        }
        _ => None,
    }
}

/// The sections of a module that have a field.
fn owners(name: &str) -> Vec<&'static str> {
    let has_it = |prober: &Prober| field(*prober, &[name]).is_some();
    Prober::ALL.into_iter().filter(has_it).map(Prober::name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::codec::hints::hint;
    use crate::config::probers::dns::Dns;
    use crate::config::probers::http::Http;

    #[test]
    fn hints_say_where_a_setting_belongs() {
        let (http, dns, module) = (names::<Http>(), names::<Dns>(), names::<Module>());
        let config = vec!["modules", "policy"];
        for (name, known, expected) in [
            (
                "fail_if_not_matches_regexp",
                &http,
                "did you mean \"fail_if_body_not_matches_regexp\"?",
            ),
            (
                "fail_if_matches_regexp",
                &http,
                "did you mean \"fail_if_body_matches_regexp\"?",
            ),
            ("fail_if_not_match_regexp", &dns, ""),
            ("metod", &http, "did you mean \"method\"?"),
            (
                "timeout",
                &http,
                "timeout is a setting of the module: write it next to prober",
            ),
            (
                "insecure_skip_verify",
                &http,
                "it belongs below tls_config: tls_config: {insecure_skip_verify: …}",
            ),
            (
                "path",
                &http,
                "URL and path belong to the target of the scrape: target=https://example.com/path?query",
            ),
            (
                "prober",
                &config,
                "prober is a setting of a module: write it below modules: NAME:",
            ),
            ("query_name", &module, "it belongs below dns"),
            (
                "query_response",
                &module,
                "it belongs below tcp or unix or websocket",
            ),
            ("nonsense", &http, ""),
        ] {
            let said = hint(name, known).or_else(|| elsewhere(name, known));
            assert_eq!(said.unwrap_or_default(), expected, "{name}");
        }
    }
}
