//! Configuration files through the loader that the program uses.

use blackbox_exporter::module;

use crate::support;

#[test]
fn a_module_is_compiled_from_yaml() {
    let module = support::module("prober: tcp\ntimeout: 2s\ntcp:\n  tls: true");
    assert!(module.raw.tcp.tls);
    assert_eq!(module.timeout, Some(std::time::Duration::from_secs(2)));
}

#[test]
fn everything_wrong_is_said_at_once() {
    let text = "modules:\n  a:\n    prober: htp\n    http: {verb: GET, fail_if_ssl: 1}\n  b: {prober: dns, dns: {}}\nextra: 1\n";
    let error = module::parse(text, "test.yml").unwrap_err();
    assert_eq!(
        error.to_string().lines().collect::<Vec<_>>(),
        [
            "error parsing config file: test.yml: 5 errors:",
            "  line 3, column 13: module \"a\": prober: prober 'htp' is not valid; did you mean \"http\"?",
            "  line 4, column 12: module \"a\": http.verb: field \"verb\" not found",
            "  line 4, column 36: module \"a\": http.fail_if_ssl: expected true or false, found the number 1",
            "  line 5, column 20: module \"b\": dns: query name must be set for DNS module; add query_name: the name to ask for",
            "  line 6, column 1: extra: field \"extra\" not found; known fields: modules",
        ]
    );
}
