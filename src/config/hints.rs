//! What somebody who wrote an unknown field most likely wanted.

use super::meant::did_you_mean;
use super::section::Fields;
use super::{Dns, Grpc, Http, Icmp, Module, Tcp, Tls, Unix, Websocket};

/// What helps who wrote a field that the section does not have: what was meant, or a list of its fields.
pub(super) fn help<S: Fields>(name: &str) -> Option<String> {
    let known = fields::<S>();
    // The http section has too many fields to list them.
    let list = || (known.len() <= 20).then(|| format!("known fields: {}", known.join(", ")));
    hint(name, &known).or_else(list)
}

/// A hint for a field that a section with the fields `known` does not have.
fn hint(name: &str, known: &[&'static str]) -> Option<String> {
    // A name with the opposite meaning is worse than none.
    let same_meaning = || {
        known
            .iter()
            .copied()
            .filter(|other| is_negated(other) == is_negated(name))
    };
    if let Some(meant) = same_meaning().find(|other| is_shortened(name, other)) {
        return Some(format!("did you mean {meant:?}?"));
    }
    if let Some(meant) = did_you_mean(name, same_meaning()) {
        return Some(format!("did you mean {meant:?}?"));
    }
    let is_section_with = |field: &str| known.contains(&field);
    if is_section_with("modules") && name == "targets" {
        return Some("this is a targets file: it is given with --targets.file".to_owned());
    }
    if is_section_with("prober") {
        let owners = owners(name);
        return (!owners.is_empty()).then(|| format!("it belongs below {}", owners.join(" or ")));
    }
    if fields::<Module>().contains(&name) && !is_section_with("targets") {
        return Some(format!(
            "{name} is a setting of the module: write it next to prober"
        ));
    }
    if is_section_with("tls_config") && fields::<Tls>().contains(&name) {
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

fn fields<F: Fields>() -> Vec<&'static str> {
    let mut names = Vec::new();
    F::names(&mut names);
    names
}

/// The sections of a module that have a field.
fn owners(name: &str) -> Vec<&'static str> {
    let sections = [
        ("http", fields::<Http>()),
        ("tcp", fields::<Tcp>()),
        ("icmp", fields::<Icmp>()),
        ("dns", fields::<Dns>()),
        ("grpc", fields::<Grpc>()),
        ("unix", fields::<Unix>()),
        ("websocket", fields::<Websocket>()),
    ];
    let owners = sections.into_iter().filter(|(_, fields)| fields.contains(&name));
    owners.map(|(section, _)| section).collect()
}

fn is_negated(name: &str) -> bool {
    name.split(['_', '-'])
        .any(|word| matches!(word, "no" | "not" | "none"))
}

/// Whether the words of a name are some of those of a longer one, in their order: `fail_if_matches_regexp`, as it was
/// before it became `fail_if_body_matches_regexp`.
fn is_shortened(name: &str, longer: &str) -> bool {
    let words = || name.split(['_', '-']);
    let mut rest = longer.split('_');
    words().count() > 2 && words().all(|word| rest.any(|other| other == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_say_where_a_setting_belongs() {
        let (http, dns, module) = (fields::<Http>(), fields::<Dns>(), fields::<Module>());
        for (name, known, hint_) in [
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
            ("query_name", &module, "it belongs below dns"),
            (
                "query_response",
                &module,
                "it belongs below tcp or unix or websocket",
            ),
            ("nonsense", &http, ""),
        ] {
            assert_eq!(hint(name, known).unwrap_or_default(), hint_, "{name}");
        }
    }
}
