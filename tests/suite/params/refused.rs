//! What is refused, or without effect: values, queries and proxies that the configuration would not have had.

use std::time::{Duration, Instant};

use blackbox_exporter::module::ParamInput;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::echo;
use crate::http::site::{Asked, Site, answer};
use crate::support::{Exporter, folder, has};

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What the configuration would have refused, a scrape cannot have either; what stands beside a parameter stays.
#[tokio::test(flavor = "multi_thread")]
async fn values_make_no_module_that_would_not_have_loaded() {
    let site = echo().await;
    let config = "modules:
  m:
    prober: http
    http:
      headers: {Accept-Encoding: gzip}
      tls_config: {insecure_skip_verify: true}
      basic_auth: {username: ann, password: hushhush}
      fail_if_body_not_matches_regexp: ['Authorization: Basic']
    params:
      compression: {}
      enable_http3: {}
      body_size_limit: {}
      basic_auth.username: {}
      bearer_token: {}
      proxy_from_environment: {}
      proxy_url: {}
      fail_if_body_matches_regexp: {}
      fail_if_body_json_matches_cel: {}
      tls_config.key: {}
      tls_config.min_version: {}
  i: {prober: icmp, params: {ttl: {}, count: {}, interval: {}}}
  t: {prober: tcp, addresses: all, params: {proxy_url: {}}}
  d: {prober: dns, dns: {query_name: a.example}, params: {edns.udp_size: {}, query_class: {}, source_ip_address: {}}}
";
    let exporter = Exporter::start(config, &[]).await;
    let target = site.address;
    #[rustfmt::skip]
    let rows = [
        ("m", "compression=br", "invalid configuration"),
        ("m", "enable_http3=true", "enable_http2 must be set to false"),
        ("m", "enable_http3=yes", "expected true or false"),
        ("m", "enable_http3=%7Btrue%7D", "expected true or false"),
        ("m", "body_size_limit=10", "is not a size"),
        ("m", "bearer_token=abcd", "not one that bearer_token can have"),
        ("m", "proxy_url=http://a:1&proxy_from_environment=true", "proxy_url must not be configured"),
        ("m", "proxy_url=%25", "invalid URL escape"),
        ("m", "fail_if_body_matches_regexp=%28", "missing closing )"),
        ("m", "fail_if_body_matches_regexp=%28%5CpL%7B1000%7D%29", "too large"),
        ("m", "fail_if_body_json_matches_cel=body.", "Syntax error"),
        ("m", "tls_config.key=abcd", "not one that tls_config.key can have"),
        ("m", "tls_config.min_version=TLS14", "unknown TLS version"),
        ("i", "ttl=256", "cannot exceed 255"),
        ("i", "ttl=-1", "cannot be negative"),
        ("i", "ttl=1e1", "expected a whole number"),
        ("i", "ttl=null", "expected a whole number"),
        ("i", "ttl=99999999999999999999", "expected a whole number"),
        ("i", "count=1001", "count"),
        ("i", "interval=soon", "is not a duration"),
        ("t", "proxy_url=socks5h://127.0.0.1:1", "through a proxy, a target has one address"),
        ("d", "edns.udp_size=1", "not between 512 and 65535"),
        ("d", "query_class=XX", "is not valid"),
    ];
    for (module, query, reason) in rows {
        let path = format!("/probe?module={module}&target={target}&{query}");
        let refused = exporter.get(&path).await;
        assert_eq!(refused.status, 400, "{query}: {}", refused.text());
        assert!(refused.text().contains(reason), "{query}: {}", refused.text());
    }
    // The password stands beside the name that a scrape sets, and what is not set stays as it was.
    let path = format!("/probe?module=m&target={target}&basic_auth.username=bob&debug=true");
    let answer = exporter.get(&path).await;
    has(answer.text(), ["probe_success 1", "insecure_skip_verify: true"]);
    assert_eq!(
        site.only().header("Authorization"),
        Some("Basic Ym9iOmh1c2hodXNo")
    );
}

/// A CEL expression of a scrape can make no more than one of the playground.
#[tokio::test(flavor = "multi_thread")]
async fn a_cel_expression_cannot_fill_the_memory() {
    let site = Site::with(|_: &Asked| answer("200 OK", &[], "1")).await;
    let config = "modules: {m: {prober: http, params: {fail_if_body_json_matches_cel: {}}}}";
    let exporter = Exporter::start(config, &[]).await;
    let probe = |cel: &str| {
        let (target, cel) = (site.address, encoded(cel));
        format!("/probe?module=m&target={target}&debug=true&fail_if_body_json_matches_cel={cel}")
    };
    let doubled = format!("size(['xxxxxxxx']{}) > 1", ".map(a, a + a)".repeat(22));
    let answer = exporter.get(&probe(&doubled)).await;
    has(answer.text(), ["probe_failed_due_to_cel 1", "too much memory"]);
    let answer = exporter.get(&probe("body == 2.0")).await;
    has(answer.text(), ["probe_success 1"]);
}

/// The body that such an expression may judge has at most 1 MiB; for the module's own expression that is no limit.
#[tokio::test(flavor = "multi_thread")]
async fn an_expression_of_a_scrape_limits_none_of_the_module() {
    let site = Site::with(|_: &Asked| answer("200 OK", &[], format!("\"{}\"", "x".repeat(2 << 20)))).await;
    let config = "modules:
  first: {prober: http, http: {fail_if_body_json_matches_cel: body.startsWith('x')}, params: {fail_if_body_json_not_matches_cel: {}}}
  last: {prober: http, http: {fail_if_body_json_not_matches_cel: body.startsWith('x')}, params: {fail_if_body_json_matches_cel: {}}}
";
    let exporter = Exporter::start(config, &[]).await;
    let (own, limit) = (
        "Body matched CEL expression",
        "body too large for CEL: more than 1048576 bytes",
    );
    for (query, says) in [
        ("module=first", own),
        ("module=first&fail_if_body_json_not_matches_cel=true", own),
        ("module=last", "probe_success 1"),
        ("module=last&fail_if_body_json_matches_cel=false", limit),
        // The same expression as the module's is the module's.
        (
            "module=last&fail_if_body_json_matches_cel=body.startsWith('x')",
            own,
        ),
    ] {
        let answer = exporter
            .get(&format!("/probe?target={}&debug=true&{query}", site.address))
            .await;
        assert!(answer.text().contains(says), "{query}: {}", answer.text());
        let is_large = answer.text().contains("reason=body_too_large");
        assert_eq!(is_large, says == limit, "{query}: {}", answer.text());
        assert_eq!(
            answer.text().contains("judges a body of 1 MiB at most"),
            is_large,
            "{query}: {}",
            answer.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_queries_are_refused_or_without_effect() {
    let site = echo().await;
    let config = "modules:
  m:
    prober: http
    http: {headers: {X-Tenant: red}, fail_if_body_not_matches_regexp: ['X-Tenant: red'], fail_if_body_matches_regexp: [evil]}
    params:
      header.X-Tenant: {matches: '[a-z]+'}
      header.X-Free: {}
      method: {one_of: [GET, POST]}
";
    let exporter = Exporter::start(config, &[]).await;
    let probe = |rest: &str| format!("/probe?module=m&target={}{rest}", site.address);
    for (rest, reason) in [
        (
            "&header.X-Tenant=red&header.X-Tenant=blue",
            "given more than once",
        ),
        (
            "&header.X-Tenant=red&header.X%2dTenant=blue",
            "given more than once",
        ),
        ("&header.X-Free=a%0d%0aX-Evil:%20evil", "control characters"),
        ("&header.X-Free=a%00", "control characters"),
        ("&header.X-Free=a%c2%85", "control characters"),
        ("&header.X-Free=%ff", "not UTF-8"),
        ("&header.X-Free=%f4%8f%b6%80", ""),
        ("&header.X-Tenant=red%0a", "control characters"),
        ("&header.X-Tenant=RED", "does not match [a-z]+"),
        ("&method=GET%20/evil", "must be one of GET, POST"),
    ] {
        let answer = exporter.get(&probe(rest)).await;
        match reason {
            "" => assert_eq!(answer.status, 200, "{rest}: {}", answer.text()),
            _ => assert_eq!(answer.status, 400, "{rest}: {}", answer.text()),
        }
        assert!(answer.text().contains(reason), "{rest}: {}", answer.text());
    }
    // Not what the module lists, in another case, empty, or not to be decoded.
    for rest in [
        "&Method=POST&headers=x&header.X-Evil=evil&http.method=POST&params=x&ip_address=192.0.2.1",
        "&method=&header.X-Tenant=",
        "&header.X-Free=%zz&header.X-Free=%",
        "&header.X-Free=evil;a",
        "&timeout=1ns&debug=&module=other&target=http://evil.invalid",
    ] {
        assert!(exporter.succeeds(&probe(rest)).await, "{rest}");
    }
    let long = "a".repeat(60_000);
    let answer = exporter.get(&probe(&format!("&header.X-Free={long}"))).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().len() < 200,
        "the value is not repeated: {}",
        answer.text()
    );
    let many: String = (0..6000).map(|index| format!("&p{index}=v")).collect();
    let started = Instant::now();
    assert!(exporter.succeeds(&probe(&many)).await);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    // What looks like YAML is a text.
    for value in [
        "*a",
        "&b",
        "${HOME}",
        "x: y",
        "\u{2028}",
        "'\"\\",
        "!!binary YQ==",
        "[a, b]",
        "null",
    ] {
        let before = site.asked().len();
        assert!(
            exporter
                .succeeds(&probe(&format!("&header.X-Free={}", encoded(value))))
                .await,
            "{value:?}"
        );
        let asked = site.asked();
        assert_eq!(asked[before].header("X-Free"), Some(value), "{value:?}");
    }
}

/// A proxy that a scrape names is judged as one that is configured.
#[tokio::test(flavor = "multi_thread")]
async fn the_policy_judges_a_proxy_of_a_scrape() {
    let (site, proxy) = (echo().await, echo().await);
    let config = "modules: {m: {prober: http, params: {proxy_url: {matches: 'http://[a-z0-9.:]+'}}}}
policy: {deny: {networks: [127.0.0.9/32], names: ['*.denied.invalid']}}
";
    let exporter = Exporter::start(config, &[]).await;
    let probe = |proxy: String| {
        format!(
            "/probe?module=m&target={}&debug=true&proxy_url={proxy}",
            site.address
        )
    };
    let through = exporter.get(&probe(format!("http://{}", proxy.address))).await;
    has(through.text(), ["probe_success 1"]);
    assert!(
        proxy.only().line().starts_with("GET http://"),
        "{:?}",
        proxy.only()
    );
    for denied in ["http://127.0.0.9:1", "http://a.denied.invalid:1"] {
        let refused = exporter.get(&probe(denied.to_owned())).await;
        has(refused.text(), ["reason=policy_refused"]);
    }
    assert!(site.asked().is_empty());
}

/// Modules of several files have one limit together.
#[tokio::test(flavor = "multi_thread")]
async fn modules_of_several_files_do_not_pile_up() {
    let module =
        |name: &str| format!("modules: {{{name}: {{prober: http, params: {{header.X-Free: {{}}}}}}}}\n");
    let names = ["a", "b", "c"];
    let files = names.map(|name| (format!("{name}.yml"), module(name)));
    let files = files
        .each_ref()
        .map(|(file, text)| (file.as_str(), text.as_str()));
    let (first, rest) = (module("first"), "--config.file={dir}/[abc].yml");
    let files = folder(&[&[("blackbox.yml", first.as_str())][..], &files].concat());
    let exporter = Exporter::start_in(files, &[rest]).await.unwrap();
    let loaded = exporter.running.exporter.store.current();
    let mut made = Vec::new();
    for index in 0..600 {
        for name in names {
            let module = loaded.modules.get(name).unwrap();
            let params = module.params.as_ref().unwrap();
            let value = ParamInput::Once(format!("{index:04000}"));
            let one = params.apply(module, |_| value.clone()).unwrap();
            made.push(std::sync::Arc::downgrade(&one));
        }
    }
    let kept = made.iter().filter(|one| one.strong_count() > 0).count();
    // 4 MiB of over 32,000 bytes each.
    assert!((1..=131).contains(&kept), "{kept}");
}

/// As many modules as a caller likes are made, and few are kept.
#[tokio::test(flavor = "multi_thread")]
async fn modules_that_were_made_do_not_pile_up() {
    let config = "modules:
  m:
    prober: http
    http: {fail_if_body_not_matches_regexp: ['GET']}
    params: {header.X-Free: {}, fail_if_body_matches_regexp: {}}
";
    let exporter = Exporter::start(config, &["--history.limit=10"]).await;
    let module = {
        let loaded = exporter.running.exporter.store.current();
        std::sync::Arc::clone(loaded.modules.get("m").unwrap())
    };
    let params = module.params.as_ref().unwrap();
    let asked = |name: &str, value: &str| {
        params.judge(|param| match param == name {
            true => ParamInput::Once(value.to_owned()),
            false => ParamInput::Nothing,
        })
    };
    let mut made = Vec::new();
    for index in 0..600 {
        let value = format!("{index:04000}");
        let values = asked("header.X-Free", &value).unwrap().unwrap();
        let one = params.make(&module, values.clone()).unwrap();
        assert!(params.known(&module, &values).is_some());
        made.push(std::sync::Arc::downgrade(&one));
    }
    let kept = made.iter().filter(|one| one.strong_count() > 0).count();
    // 4 MiB of at least 32 KiB each.
    assert!((1..=128).contains(&kept), "{kept}");
    let values = asked("fail_if_body_matches_regexp", "a{500}").unwrap().unwrap();
    assert!(params.make(&module, values.clone()).is_ok());
    assert!(params.known(&module, &values).is_none(), "of an unknown size");
}
