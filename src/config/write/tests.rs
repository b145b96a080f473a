use super::draft;
use super::emitter::emit;
use crate::config;
use crate::config::codec::tree::Tree;
use crate::config::codec::yaml_version::YamlVersion;

/// A text as value and as key, as both versions write it.
fn written(text: &str) -> (String, String) {
    let tree = || Tree::Map(vec![("k".to_owned(), Tree::text(text))]);
    (emit(tree(), YamlVersion::V3), emit(tree(), YamlVersion::V2))
}

#[test]
fn texts_are_quoted_as_go_quotes_them() {
    for (text, expected) in [
        ("plain", "k: plain\n"),
        ("", "k: \"\"\n"),
        ("1", "k: \"1\"\n"),
        ("1.50", "k: \"1.50\"\n"),
        ("yes", "k: \"yes\"\n"),
        ("null", "k: \"null\"\n"),
        ("~", "k: \"~\"\n"),
        ("<<", "k: <<\n"),
        ("10:30", "k: \"10:30\"\n"),
        ("2026-01-01", "k: \"2026-01-01\"\n"),
        (" space", "k: ' space'\n"),
        ("it's", "k: it's\n"),
        ("'quoted'", "k: '''quoted'''\n"),
        ("a: b", "k: 'a: b'\n"),
        ("a #b", "k: 'a #b'\n"),
        ("- a", "k: '- a'\n"),
        ("-a", "k: -a\n"),
        ("[a]", "k: '[a]'\n"),
        ("^[a]", "k: ^[a]\n"),
        ("tab\there", "k: \"tab\\there\"\n"),
        ("bell\u{7}", "k: \"bell\\a\"\n"),
        ("é", "k: é\n"),
        ("😀", "k: \"\\U0001F600\"\n"),
        ("two\nlines", "k: |-\n    two\n    lines\n"),
        ("line\n", "k: |\n    line\n"),
        ("line\n\n", "k: |+\n    line\n\n"),
        ("trailing \nspace", "k: \"trailing \\nspace\"\n"),
    ] {
        let (v3, v2) = written(text);
        assert_eq!(v3, expected, "{text:?}");
        assert_eq!(v2, expected.replace("\n    ", "\n  "), "{text:?}");
    }
}

#[test]
fn only_version_two_folds_long_lines() {
    let text = "word ".repeat(30);
    let (v3, v2) = written(text.trim());
    assert_eq!(v3.lines().count(), 1);
    assert_eq!(v2.lines().count(), 2);
}

#[test]
fn keys_are_sorted_by_their_numbers() {
    let keys = ["b", "a10", "a9", "a", "B", "_", "a1b", "a01"];
    let entries = |keys: &[&str]| keys.iter().map(|k| ((*k).to_owned(), Tree::Null)).collect();
    let sorted = emit(Tree::Map(entries(&keys)), YamlVersion::V3);
    let order: Vec<_> = sorted.lines().map(|l| l.trim_end_matches(": null")).collect();
    assert_eq!(order, ["_", "B", "a", "a1b", "a01", "a9", "a10", "b"]);
}

#[test]
fn a_draft_reads_as_the_module_that_it_was_made_of() {
    let built_in = crate::module::load::BUILT_IN;
    let odd = "modules:
  off: {prober: http, timeout: 3s, http: {follow_redirects: false, enable_http2: false, ip_protocol_fallback: false}}
  body: {prober: http, http: {method: POST, body: \"a\\nb\", headers: {Accept: x}, fail_if_body_not_matches_regexp: ['a: b']}}
  zero: {prober: tcp, tcp: {ip_protocol_fallback: false}}
  ttl: {prober: icmp, icmp: {ttl: 0, dont_fragment: true}}
  rpc: {prober: grpc, grpc: {service: x, ip_protocol_fallback: false}}
  bare: {prober: grpc}
  ask: {prober: dns, dns: {query_name: a.test, recursion_desired: false, valid_rcodes: [NXDOMAIN], validate_answer_rrs: {fail_if_not_matches_regexp: [x]}}}
  talk: {prober: unix, unix: {query_response: [{expect: ^220, send: QUIT}, {send: \"\\x01\"}]}}
";
    for text in [built_in, odd] {
        let parsed = config::parse(text);
        assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
        for (name, module) in &parsed.config.modules {
            let module = module.as_ref().unwrap();
            let text = draft(name, module);
            let again = config::parse(&text);
            assert!(again.problems.is_empty(), "{text}{:?}", again.problems);
            assert_eq!(again.config.modules[name].as_ref(), Some(module), "{text}");
        }
    }
    let parsed = config::parse(
        "modules: {m: {prober: http, http: {basic_auth: {username: a, password: hush}, proxy_url: 'http://u:hush@p'}}}",
    );
    let module = parsed.config.modules["m"].as_ref().unwrap();
    let text = draft("m", module);
    assert!(
        !text.contains("hush") && text.contains("password: <secret>"),
        "{text}"
    );
    assert_eq!(module.secret().as_deref(), Some("http.basic_auth.password"));
}
