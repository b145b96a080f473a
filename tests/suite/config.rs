//! Configuration files through the loader that the program uses.

use blackbox_exporter::module::Kind;
use blackbox_exporter::{config, module};

use crate::support;
use crate::support::has;

#[test]
fn a_module_is_compiled_from_yaml() {
    let module = support::module("prober: tcp\ntimeout: 2s\ntcp:\n  tls: true");
    assert!(module.raw.tcp.tls);
    assert_eq!(module.timeout, Some(std::time::Duration::from_secs(2)));
}

#[test]
fn everything_wrong_is_said_at_once() {
    let text = "modules:\n  a:\n    prober: htp\n    http: {verb: GET, fail_if_ssl: 1}\n  b: {prober: dns, dns: {}}\n  c: {prober: tcp, attempts: \"2\"}\nextra: 1\n";
    let error = module::parse(text, "test.yml").unwrap_err();
    assert_eq!(
        error.to_string().lines().collect::<Vec<_>>(),
        [
            "error parsing config file: 6 errors:",
            "  line 3, column 13: module \"a\": prober: prober 'htp' is not valid; did you mean \"http\"?",
            "  line 4, column 12: module \"a\": http.verb: field \"verb\" not found",
            "  line 4, column 36: module \"a\": http.fail_if_ssl: expected true or false, found the number 1",
            "  line 5, column 20: module \"b\": dns: query name must be set for DNS module; add query_name: the name to query",
            "  line 6, column 30: module \"c\": attempts: expected a whole number, found the text \"2\"",
            "  line 7, column 1: extra: field \"extra\" not found; known fields: modules, policy, exposition",
        ]
    );
}

fn loaded(text: &str) -> module::Loaded {
    module::parse(text, "test.yml").unwrap_or_else(|e| panic!("{}", e.quoted()))
}

/// The problems of a text, one a line.
fn problems(text: &str) -> String {
    module::parse(text, "test.yml").unwrap_err().to_string()
}

/// A file whose one module has this section.
fn section(prober: &str, yaml: &str) -> String {
    let mut text = format!("modules:\n  m:\n    prober: {prober}\n    {prober}:\n");
    for line in yaml.lines() {
        text.push_str(&format!("      {line}\n"));
    }
    text
}

#[test]
fn verdicts_are_upstreams() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, bool)] = &[
        ("http", "fail_if_ssl: yes", true),
        ("http", "fail_if_ssl: 'yes'", true),
        ("http", "fail_if_ssl: 'true'", false),
        ("http", "fail_if_ssl: 1", false),
        ("http", "fail_if_ssl:", true),
        ("http", "headers: {X: 1.50, Y: ~, 1: z}", true),
        ("http", "headers: [X]", false),
        ("http", "valid_status_codes: [0xC8, 0310, 2_00, 200.5, ~]", true),
        ("http", "valid_status_codes: [299-200]", false),
        ("http", "valid_status_codes: ['200']", false),
        ("http", "valid_status_codes: 200", false),
        ("http", "body_size_limit: 10MB", true),
        ("http", "body_size_limit: 10", false),
        ("http", "body: x\nbody_file: /x", false),
        ("http", "fail_if_body_matches_regexp: ['(']", false),
        ("http", "fail_if_header_matches: [{header: X}]", false),
        ("http", "fail_if_header_matches: [{header: X, regexp: a}]", true),
        ("http", "compression: gzip\nheaders: {accept-encoding: 'br;q=0.5, gzip;q=0.1'}", true),
        ("http", "compression: gzip\nheaders: {accept-encoding: br}", false),
        ("http", "enable_http3: true", false),
        ("http", "enable_http3: true\nenable_http2: false", true),
        ("http", "valid_http_versions: [HTTP/3.0]", false),
        ("http", "bearer_token: t\nbasic_auth: {username: u}", false),
        ("http", "authorization: {type: ' BASIC ', credentials: c}", false),
        ("http", "no_proxy: a.test", false),
        ("http", "proxy_url: ''\nno_proxy: a.test", true),
        ("http", "proxy_url: '127.0.0.1:1'", false),
        ("http", "http_headers: {user-agent: {values: [a]}}", false),
        ("http", "oauth2: {client_id: i, token_url: u, proxy_from_environment: true, no_proxy: x}", false),
        ("http", "tls_config: {min_version: TLS10, max_version: TLS13}", true),
        ("http", "tls_config: {min_version: '1.2'}", false),
        ("http", "tls_config: {cert_file: /x}", false),
        ("http", "tls_config: {cert_file: /x, key_ref: y}", true),
        ("icmp", "ttl: 0", true),
        ("icmp", "ttl: 256", false),
        ("icmp", "ttl: 5.5", true),
        ("icmp", "ttl: '5'", false),
        ("icmp", "payload_size: -1", true),
        ("tcp", "query_response: [{expect: a, expect_bytes: b}]", false),
        ("tcp", "query_response: [~, {}, {send: !!binary AAEC}]", true),
        ("tcp", "query_response: [{send: !!binary '***'}]", false),
        ("unix", "preferred_ip_protocol: ip4", false),
        ("dns", "query_type: A", false),
        ("dns", "query_name: a\nquery_type: aaaa", false),
        ("dns", "query_name: a\nvalid_rcodes: [BANANA]", true),
        ("dns", "query_name: a\nvalidate_answer_rrs: {fail_if_matches_regexp: ['(']}", true),
        ("grpc", "metadata: {a: b}", false),
        ("websocket", "http_config: {method: GET}", false),
        ("websocket", "headers: {A: {values: [b]}}", true),
    ];
    for (prober, yaml, accepted) in rows {
        let result = module::parse(section(prober, yaml), "test.yml");
        assert_eq!(result.is_ok(), *accepted, "{prober}: {yaml}: {result:?}");
    }
}

#[test]
fn documents_are_read_as_upstream_reads_them() {
    #[rustfmt::skip]
    let rows: &[(&str, bool)] = &[
        ("", false),
        ("# nothing\n", false),
        ("---\n", true),
        ("modules:\n", true),
        ("modules: []\n", false),
        ("modules: {}\n---\nother: [\n", true),
        ("\u{feff}modules: {}\n", true),
        ("modules: {a: ~}\n", true),
        ("modules: {a: {}}\n", false),
        ("modules: {~: {prober: nothing}}\n", true),
        ("modules:\n  a: {prober: tcp}\n  a: {prober: tcp}\n", false),
        ("modules:\n  &x a: {prober: tcp}\n  *x : {prober: http}\n", true),
        ("modules:\n  &x a: {prober: tcp}\n  *x : {prober: http}\n  *x : {prober: http}\n", false),
        ("modules:\n  &x a: {prober: tcp}\n  *x : {prober: nothing}\n", false),
        ("modules: {a: {&x prober: tcp}, b: {*x : http}}\n", true),
        ("modules: {a: {&x prober: tcp, *x : http}}\n", false),
        ("modules: {a: {<<: {&x prober: tcp, *x : http}}}\n", true),
        ("modules:\n  a: &a {prober: tcp, timeout: 1s}\n  b: {<<: *a, timeout: 2s}\n", true),
        ("modules:\n  a: &a {prober: tcp}\n  b: {<<: [*a, {timeout: 2s}]}\n", true),
        ("modules:\n  a: {prober: tcp, <<: 5}\n", false),
        ("modules: {a: *b}\n", false),
        ("x: &x {prober: tcp}\nmodules: {a: *x}\n", false),
        ("modules: {a: {prober: dns, dns: ~}}\n", true),
        ("modules: {a: {prober: tcp, dns: {}}}\n", false),
        ("modules: {a: {prober: tcp, http: {fail_if_body_matches_regexp: ['(']}}}\n", false),
        ("modules: {a: {prober: tcp, timeout: 5}}\n", false),
        ("modules: {a: {prober: tcp, timeout: -1.5h}}\n", true),
        ("modules: {a: {prober:\ttcp}}\n", true),
        ("modules:\n\ta: {prober: tcp}\n", false),
    ];
    for (text, accepted) in rows {
        let result = module::parse(*text, "test.yml");
        assert_eq!(result.is_ok(), *accepted, "{text:?}: {result:?}");
    }
    let repeated = config::parse("modules:\n  &x a: {prober: tcp}\n  *x : {prober: icmp}\n");
    assert!(config::write::config(&repeated.config).contains("prober: icmp"));
}

#[test]
fn aliases_that_expand_without_end_are_refused() {
    let mut text = "modules:\n  m:\n    prober: http\n    http:\n      oauth2:\n        client_id: i\n        token_url: u\n        claims:\n          a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let before = format!("*a{}", i - 1);
        let list = vec![before; 9].join(", ");
        text.push_str(&format!("          a{i}: &a{i} [{list}]\n"));
    }
    has(problems(&text), ["excessive aliasing"]);
    for within in [
        &*section(
            "http",
            "oauth2: {client_id: i, token_url: u, claims: {a: &a [*a]}}",
        ),
        "modules:\n  m: &a\n    <<: [*a, *a]\n    prober: dns\n",
        "modules:\n  m: &a\n    <<: [*a, *a]\n    timeout: 5s\n",
        "modules:\n  m:\n    prober: websocket\n    websocket: &a {<<: [*a, *a], preferred_ip_protocol: ip4}\n",
        "&a\n<<: [*a, *a]\nmodules: {}\n",
    ] {
        has(problems(within), ["contains itself"]);
    }
}

#[test]
fn what_is_wrong_says_what_would_be_right() {
    for (text, expected) in [
        (section("http", "metod: GET"), "did you mean \"method\"?"),
        (section("http", "body_size_limit: 10"), "10MB"),
        (
            section("tcp", "tls_config: {min_version: '1.2'}"),
            "did you mean TLS12?",
        ),
        (section("dns", "query_name: a\nquery_type: aaaa"), "write AAAA"),
        (section("dns", "query_nme: a"), "did you mean \"query_name\"?"),
        (
            section("tcp", "query_response: [hello]"),
            "expected a mapping, found the text \"hello\"",
        ),
        ("modules: {m: {prober: tcp, timeout: 5}}".to_owned(), "5s"),
        ("modules: {m: {}}".to_owned(), "add prober: one of http, tcp"),
        (section("http", "method: !!binary gICA"), "UTF-8"),
        ("[".repeat(220), "levels deep"),
    ] {
        let problems = problems(&text);
        has(&problems, [expected]);
        assert_eq!(problems.lines().count(), 1, "one mistake, one line: {problems}");
    }
}

#[test]
fn own_fields_without_effect_are_errors() {
    for (prober, step, expected) in [
        (
            "websocket",
            "{expect: a, prompt: true}",
            "the websocket prober does not use prompt",
        ),
        (
            "websocket",
            "{send: a, no_newline: true}",
            "the websocket prober does not use no_newline",
        ),
        (
            "websocket",
            "{expect_hex: '00'}",
            "the websocket prober does not use expect_hex",
        ),
        (
            "tcp",
            "{send_hex: '00', no_newline: true}",
            "no_newline has no effect without send",
        ),
        ("unix", "{prompt: true}", "prompt has no effect without expect"),
    ] {
        has(
            problems(&section(prober, &format!("query_response: [{step}]"))),
            [expected],
        );
    }
}

/// The greeting of a POP3 server; upstream's example expects one or more `^`.
#[test]
fn the_shipped_module_for_pop3s_can_succeed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/blackbox.yml");
    let loaded = loaded(&std::fs::read_to_string(path).unwrap());
    let Kind::Tcp(tcp) = &loaded.modules.get("pop3s_banner").unwrap().kind else {
        panic!("not a tcp module");
    };
    let expect = tcp.steps[0].expect.as_ref().unwrap();
    assert!(expect.regexp.is_match(b"+OK Dovecot ready."));
}

#[test]
fn warnings_name_what_is_probably_not_meant() {
    #[rustfmt::skip]
    let rows = [
        (section("http", "valid_http_versions: [HTTP/2]"), "never matches"),
        (section("http", "no_follow_redirects: true"), "no_follow_redirects is deprecated"),
        (section("http", "enable_http3: true\nenable_http2: false"), "HTTP/3 is enabled"),
        (section("http", "proxy_url: 'http://p:1'"), "skip_resolve_phase_with_proxy"),
        (section("websocket", "http_config: {proxy_url: 'http://p:1'}"), "the websocket prober does not use proxy_url"),
        (
            section("websocket", "query_response: [{send: a}, {starttls: true}]"),
            "query_response[1]: the websocket prober does not use starttls",
        ),
        (
            section("websocket", "query_response: [{expect_bytes: a, labels: []}]"),
            "query_response[0]: the websocket prober does not use labels",
        ),
        (" modules: {}\nother: 1\n".to_owned(), "the rest of the file is not read"),
    ];
    for (text, expected) in rows {
        let warnings = loaded(&text).warnings;
        let lines: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert!(
            lines.iter().any(|line| line.contains(expected)),
            "{text}: {lines:?}"
        );
    }
    assert!(
        loaded(&section(
            "http",
            "proxy_url: 'http://p:1'\nskip_resolve_phase_with_proxy: true"
        ))
        .warnings
        .is_empty()
    );
    let used = "http_config: {bearer_token: x, tls_config: {insecure_skip_verify: true}}";
    assert!(loaded(&section("websocket", used)).warnings.is_empty());
    let used = "query_response: [{expect: a, send: b, starttls: false, prompt: false}, {send_hex: 00}]";
    assert!(loaded(&section("websocket", used)).warnings.is_empty());
}

/// The module of a file with a plain tcp module, as `/config` and `debug=true` print it.
#[test]
fn defaults_and_secrets_are_written_as_upstream_writes_them() {
    let text = section(
        "http",
        "headers: {B: '1', a10: x, a9: y}\nbasic_auth: {username: ann, password: open sesame}\nno_follow_redirects: true\nbody_size_limit: 1.5MB\nproxy_url: 'http://u:p@h:1/'\nskip_resolve_phase_with_proxy: true",
    );
    let loaded = loaded(&text);
    let whole = "modules:
    m:
        prober: http
        http:
            ip_protocol_fallback: true
            skip_resolve_phase_with_proxy: true
            headers:
                B: \"1\"
                a9: \"y\"
                a10: x
            basic_auth:
                username: ann
                password: <secret>
            follow_redirects: false
            enable_http2: true
            proxy_url: http://u:xxxxx@h:1/
            body_size_limit: 1MiB512KiB
        tcp:
            ip_protocol_fallback: true
        icmp:
            ip_protocol_fallback: true
            ttl: 64
        dns:
            ip_protocol_fallback: true
            recursion_desired: true
        websocket:
            ip_protocol_fallback: true
";
    assert_eq!(config::write::config(&loaded.config), whole);
    let module = config::write::module(&loaded.modules.get("m").unwrap().raw);
    let dedented: String = whole
        .lines()
        .skip(2)
        .map(|line| {
            let depth = (line.len() - line.trim_start().len()) / 4 - 2;
            format!("{}{}\n", "  ".repeat(depth), line.trim_start())
        })
        .collect();
    assert_eq!(module, dedented);
}

mod properties {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use blackbox_exporter::config::{Config, Module, Prober, QueryResponse};
    use blackbox_exporter::{config, module};
    use proptest::prelude::*;

    // Left out: what `omitempty` drops although it is not the default, like a ttl of 0.

    /// Any text but those that Go's writer itself spoils: line breaks of YAML 1.1, blanks at the beginning of several
    /// lines, and `<<` as a key.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[ -~\n]{0,100}",
            "[-+0-9.:_xeE]{0,8}",
            "(yes|null|~|true|<<|=|[|>&*!%@`#]x?)"
        ]
        .prop_map(|text| text.replace(['\u{2028}', '\u{2029}', '\u{85}'], "?"))
        .prop_map(|text| {
            if text.contains('\n') {
                text.trim_start().to_owned()
            } else {
                text
            }
        })
        .prop_map(|text| if text == "<<" { "< <".to_owned() } else { text })
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(text(), 0..3)
    }

    fn any_module() -> impl Strategy<Value = Module> {
        let map = proptest::collection::btree_map(text(), text(), 0..4);
        // Nor does Go read what its writer makes of several lines whose first is blank.
        let bytes = proptest::collection::vec(any::<u8>(), 0..100).prop_map(|mut bytes| {
            if bytes.first().is_some_and(u8::is_ascii_whitespace) {
                bytes.insert(0, b'x');
            }
            bytes
        });
        (
            map,
            bytes,
            text(),
            texts(),
            any::<i64>(),
            any::<bool>(),
            // Upstream leaves a ttl of 0 out, and reads the default where none is written.
            1..=u8::MAX,
        )
            .prop_map(|(map, bytes, text, texts, number, truth, ttl)| {
                let mut module = Module::new(Prober::Http);
                module.timeout = number;
                module.http.method = text.clone();
                module.http.body = bytes.clone();
                module.http.fail_if_ssl = truth;
                module.http.valid_status_codes =
                    vec![config::StatusCodes::code(number), config::StatusCodes::code(200)];
                module.http.headers = map.into();
                module.http.headers.remove("Accept-Encoding");
                module.icmp.ttl = ttl;
                module.icmp.payload_size = number;
                module.dns.query_name = format!("n{text}");
                module.dns.valid_rcodes = Some(texts.clone()).filter(|t| !t.is_empty());
                module.grpc.written = true;
                module.grpc.metadata = BTreeMap::from([("k".to_owned(), texts)]).into();
                module.tcp.query_response = vec![QueryResponse {
                    send: text.into_bytes(),
                    expect_bytes: bytes,
                    starttls: true,
                    ..QueryResponse::default()
                }];
                module
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_back(name in text(), module in any_module()) {
            let modules = BTreeMap::from([(name, Some(Arc::new(module)))]);
            let config = Config { modules, ..Config::default() };
            let written = config::write::config(&config);
            let read = config::parse(&written);
            prop_assert_eq!(&read.problems, &[], "{}", written);
            prop_assert_eq!(&read.config, &config, "{}", written);
        }

        #[test]
        fn no_text_makes_the_loader_panic(text in ".{0,200}", at in any::<prop::sample::Index>(), bytes in any::<Vec<u8>>()) {
            let mut file = module::load::BUILT_IN.as_bytes().to_vec();
            let at = at.index(file.len());
            file.splice(at..at, text.bytes());
            for bytes in [file, text.into_bytes(), bytes] {
                if let Err(error) = module::parse(bytes, "test.yml") {
                    prop_assert!(!error.quoted().is_empty());
                }
            }
        }
    }
}
