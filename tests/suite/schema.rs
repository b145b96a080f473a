//! The JSON Schemas: what the exporter reads they accept, and what they refuse it refuses.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use blackbox_exporter::config::Config;
use blackbox_exporter::config::files::targets::Targets;
use blackbox_exporter::config::yaml::{Content, Document, Id, scalar};
use blackbox_exporter::module;
use go_regexp::Regexp;

use serde_json::{Map, Value, json};

/// Whether a value is what a schema allows: the keywords that ours use.
fn allows(whole: &Value, schema: &Value, value: &Value) -> bool {
    let Some(rules) = schema.as_object() else {
        return schema != &Value::Bool(false);
    };
    rules.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$ref" => {
            let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
            allows(whole, &whole["$defs"][name], value)
        }
        "allOf" => rule
            .as_array()
            .unwrap()
            .iter()
            .all(|one| allows(whole, one, value)),
        "anyOf" => rule
            .as_array()
            .unwrap()
            .iter()
            .any(|one| allows(whole, one, value)),
        "enum" => rule.as_array().unwrap().contains(value),
        "type" => {
            let kind = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            match rule {
                Value::Array(kinds) => kinds.contains(&json!(kind)),
                one => one == kind,
            }
        }
        "pattern" => value.as_str().is_none_or(|text| {
            Regexp::new(rule.as_str().unwrap())
                .unwrap()
                .captures(text.as_bytes())
                .is_some()
        }),
        "minimum" => value
            .as_f64()
            .is_none_or(|number| number >= rule.as_f64().unwrap()),
        "exclusiveMaximum" => value
            .as_f64()
            .is_none_or(|number| number < rule.as_f64().unwrap()),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| allows(whole, rule, item))),
        "required" => value.as_object().is_none_or(|map| {
            let names = rule.as_array().unwrap();
            names.iter().all(|name| map.contains_key(name.as_str().unwrap()))
        }),
        "additionalProperties" => value.as_object().is_none_or(|map| {
            let known = |name: &String| schema["properties"].get(name).is_some();
            map.iter()
                .filter(|(name, _)| !known(name))
                .all(|(_, value)| match rule {
                    Value::Bool(allowed) => *allowed,
                    rule => allows(whole, rule, value),
                })
        }),
        "propertyNames" => value.as_object().is_none_or(|map| {
            let mut names = map.keys().map(|name| Value::from(name.as_str()));
            names.all(|name| allows(whole, rule, &name))
        }),
        "properties" => value.as_object().is_none_or(|map| {
            map.iter()
                .all(|(name, value)| rule.get(name).is_none_or(|rule| allows(whole, rule, value)))
        }),
        "$schema" | "$defs" | "$comment" | "title" | "default" | "writeOnly" => true,
        other => panic!("the schema uses {other}"),
    })
}

/// A YAML text as an editor sees it: merged, by the rules of YAML 1.2's core.
fn as_json(text: &str) -> Option<Value> {
    let document = Document::parse(text).ok()??;
    Some(node(&document, document.root()))
}

fn node(document: &Document<'_>, id: Id) -> Value {
    let node_ = document.node(document.target(id));
    match &node_.content {
        Content::Scalar { text, plain } => match scalar::resolve(node_.tag.as_deref(), text, *plain) {
            Ok(scalar::Scalar::Null) => Value::Null,
            Ok(scalar::Scalar::Bool(truth)) => truth.into(),
            Ok(scalar::Scalar::Int(number)) => number.into(),
            Ok(scalar::Scalar::Float(number)) => number.into(),
            _ => Value::from(&**text),
        },
        Content::Sequence(items) => items.iter().map(|item| node(document, *item)).collect(),
        Content::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries.iter().filter(|(key, _)| document.is_merge(*key)) {
                let _ = key;
                let merged = node(document, *value);
                let parts = merged.as_array().cloned().unwrap_or_else(|| vec![merged]);
                for part in parts.iter().rev().filter_map(Value::as_object) {
                    map.extend(part.clone());
                }
            }
            for (key, value) in entries.iter().filter(|(key, _)| !document.is_merge(*key)) {
                if let Some(key) = document.text(*key) {
                    map.insert(key.to_owned(), node(document, *value));
                }
            }
            Value::Object(map)
        }
        Content::Alias(_) => Value::Null,
    }
}

fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            found.push(text);
        }
    }
}

/// What is under the folders of the repository.
fn texts(folders: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn what_loads_is_allowed() {
    let schema = Config::json_schema();
    let mut all = texts(&["fuzz/seeds/configuration", "examples"]);
    all.push(module::load::BUILT_IN.to_owned());
    let mut good = 0;
    for text in all {
        if module::parse(text.as_bytes(), "f.yml").is_ok() {
            good += 1;
            let value = as_json(&text).unwrap();
            assert!(allows(&schema, &schema, &value), "{text}");
        }
    }
    assert!(good > 5, "{good}");
    let schema = Targets::json_schema();
    for text in texts(&["fuzz/seeds/targets_file", "examples"]) {
        assert!(
            Targets::parse(&text).is_err()
                || as_json(&text).is_some_and(|value| allows(&schema, &schema, &value)),
            "{text}"
        );
    }
}

/// Each field has a row in `docs/configuration.md`, or a line in `docs/extensions.md`. Those for a secret manager have one for all.
#[test]
fn every_field_is_documented() {
    let mut pages = texts(&["docs"]);
    pages.retain(|page| page.starts_with("# The configuration file\n") || page.starts_with("# Extensions\n"));
    assert_eq!(pages.len(), 2);
    let pages = pages.concat();
    let words: HashSet<&str> = pages.split(|c: char| c != '_' && !c.is_alphanumeric()).collect();
    let schema = Config::json_schema();
    for (section, described) in schema["$defs"].as_object().unwrap() {
        let fields = described["properties"].as_object().into_iter().flatten();
        for (field, _) in fields.filter(|(field, _)| !field.ends_with("_ref")) {
            assert!(words.contains(field.as_str()), "{field} of {section}");
        }
    }
}

#[test]
fn words_and_forms_of_values_are_known() {
    let schema = Config::json_schema();
    #[rustfmt::skip]
    let rows = [
        ("{prober: http}", true),
        ("{prober: http, timeout: 1m30.5s, http: {fail_if_ssl: yes}}", true),
        ("{prober: http, http: {valid_status_codes: [200, 2xx, 300-399], body_size_limit: 1MB}}", true),
        ("{prober: http, http: ~}", true),
        ("{prober: icmp, icmp: {ttl: 64}}", true),
        ("{prober: tcp, tcp: {query_response: [{send: 5, no_newline: true}, {expect_hex: 00 ff}]}}", true),
        ("{prober: grpc, grpc: {tls_config: {min_version: TLS12}, metadata: {a: [b]}}}", true),
        ("{prober: smoke}", false),
        ("{http: {}}", false),
        ("{prober: http, timeout: 5}", false),
        ("{prober: http, timeout: 5d}", false),
        ("{prober: http, http: {metod: GET}}", false),
        ("{prober: http, http: {valid_status_codes: 200}}", false),
        ("{prober: http, http: {valid_status_codes: [7xx]}}", false),
        ("{prober: http, http: {fail_if_ssl: perhaps}}", false),
        ("{prober: http, http: {headers: [a]}}", false),
        ("{prober: http, http: {fail_if_header_matches: [{header: A}]}}", false),
        ("{prober: dns, dns: {query_type: A}, params: {query_name: {required: true}}}", true),
        ("{prober: dns, dns: {}, params: {server: {required: true}, query_type: {}}}", true),
        ("{prober: icmp, icmp: {ttl: 256}}", false),
        ("{prober: icmp, attempts: 10, icmp: {count: 1000, min_replies: 3}, dscp: 63}", true),
        ("{prober: icmp, icmp: {count: 1001}}", false),
        ("{prober: icmp, icmp: {count: 3, min_replies: -1}}", false),
        ("{prober: tcp, attempts: 0}", false),
        ("{prober: tcp, attempts: 11}", false),
        ("{prober: tcp, dscp: af41, addresses: any, source_ip_address: '2001:db8::1', source_interface: eth0}", true),
        ("{prober: tcp, dscp: '+063', addresses: '', source_ip_address: ''}", true),
        ("{prober: tcp, dscp: Voice-Admit}", true),
        ("{prober: tcp, dscp: AF99}", false),
        ("{prober: tcp, dscp: 64}", false),
        ("{prober: tcp, dscp: '64'}", false),
        ("{prober: tcp, addresses: every}", false),
        ("{prober: icmp, addresses: all}", true),
        ("{prober: http, addresses: random}", true),
        ("{prober: http, addresses: all}", false),
        ("{prober: tcp, source_ip_address: host}", false),
        ("{prober: tcp, source_interface: a/b}", false),
        ("{prober: tcp, resolver: 'TLS://9.9.9.9#dns.quad9.net'}", true),
        ("{prober: tcp, resolver: 'https://[2620:fe::fe]:443/dns-query'}", true),
        ("{prober: tcp, resolver: 'ftp://9.9.9.9'}", false),
        ("{prober: tcp, resolver: 9.9.9.9}", false),
        ("{prober: tcp, resolver: 'udp://'}", false),
        ("{prober: tcp, tcp: {linger: 0, proxy_url: 'SOCKS5h://proxy:1080'}}", true),
        ("{prober: tcp, tcp: {linger: 5}}", false),
        ("{prober: tcp, tcp: {proxy_url: 'http://proxy:1080'}}", false),
        ("{prober: tcp, tcp: {query_response: [{expect_hex: 00 f}]}}", false),
        ("{prober: tcp, tcp: {query_response: [{send_hex: zz}]}}", false),
        ("{prober: http, trace: {headers: [TraceParent, X-Request-ID]}}", true),
        ("{prober: http, trace: {headers: [tracestate]}}", false),
        ("{prober: websocket, trace: ~}", true),
        ("{prober: unix, trace: {}}", false),
        ("{prober: dns, dns: {query_name: a}, trace: ~}", false),
        ("{prober: dns, dns: {query_name: a, query_type: TXT, query_class: CH}}", true),
        ("{prober: dns, dns: {query_name: a, query_type: TEXT}}", false),
        ("{prober: dns, dns: {query_name: a, query_class: XX}}", false),
        ("{prober: dns, dns: {query_name: a, retries: 10, edns: {udp_size: 512, client_subnet: 192.0.2.0/24}, https: {method: '', path: /x}}}", true),
        ("{prober: dns, dns: {query_name: a, edns: {udp_size: 0}}}", true),
        ("{prober: dns, dns: {query_name: a, retries: 11}}", false),
        ("{prober: dns, dns: {query_name: a, edns: {udp_size: 511}}}", false),
        ("{prober: dns, dns: {query_name: a, edns: {client_subnet: net}}}", false),
        ("{prober: dns, dns: {query_name: a, https: {path: dns-query}}}", false),
        ("{prober: dns, dns: {server: 'dns.test:8053'}}", true),
        ("{prober: dns, dns: {server: '[2001:db8::1]:domain'}}", true),
        ("{prober: dns, dns: {server: '2001:db8::1', query_name: a}}", true),
        ("{prober: dns, dns: {transport_protocol: https, server: 'https://dns.test:8443/q{?dns}'}}", true),
        ("{prober: dns, dns: {server: 'udp://dns.test'}}", false),
        ("{prober: dns, dns: {server: 'a b'}}", false),
        ("{prober: dns, dns: {server: 'dns.test/'}}", false),
        ("{prober: dns, dns: {server: '1.1.1.1,9.9.9.9'}}", false),
        ("{prober: tcp, tcp: {tls_config: {min_version: TLS14}}}", false),
    ];
    for (module, good) in rows {
        let text = format!("modules: {{m: {module}}}\n");
        assert_eq!(
            module::parse(text.as_bytes(), "f.yml").is_ok(),
            good,
            "read: {text}"
        );
        assert_eq!(
            allows(&schema, &schema, &as_json(&text).unwrap()),
            good,
            "schema: {text}"
        );
    }
}

#[test]
fn forms_of_other_sections_are_known() {
    let (config, targets) = (Config::json_schema(), Targets::json_schema());
    for (policy, good) in [
        (
            "{allow: {networks: [10.1.2.3, '2001:db8::/32'], ports: [443, 8000 - 8099]}}",
            true,
        ),
        ("{allow: {networks: [example.org]}}", false),
        ("{deny: {ports: [http]}}", false),
        ("{deny: {ports: [70000]}}", false),
    ] {
        let text = format!("modules: {{}}\npolicy: {policy}\n");
        assert_eq!(
            module::parse(text.as_bytes(), "f.yml").is_ok(),
            good,
            "read: {text}"
        );
        let value = as_json(&text).unwrap();
        assert_eq!(allows(&config, &config, &value), good, "schema: {text}");
    }
    for (fields, good) in [
        ("labels: {_a1: x, _: y}, params: {1_a: x}", true),
        ("labels: {a-b: x}", false),
        ("labels: {__a: x}", false),
        ("params: {a.b: x}", false),
    ] {
        let text = format!("targets: [{{name: a, address: b, {fields}}}]\n");
        assert_eq!(Targets::parse(&text).is_ok(), good, "read: {text}");
        let value = as_json(&text).unwrap();
        assert_eq!(allows(&targets, &targets, &value), good, "schema: {text}");
    }
}

/// Written again by `UPDATE_DOCS=1 cargo test --test suite schema`.
#[test]
fn the_files_are_what_the_program_prints() {
    for name in ["config", "targets"] {
        let output = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
            .args(["schema", name])
            .output()
            .unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schema/{name}.json"));
        let printed = String::from_utf8(output.stdout).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&file, &printed).unwrap();
        }
        assert!(
            printed == std::fs::read_to_string(file).unwrap(),
            "docs/schema/{name}.json is old"
        );
    }
}
