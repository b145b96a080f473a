//! What pages and logs show of parameters, and that secret ones are nowhere.

use super::{echo, page};
use crate::support::{Exporter, folder, has, lacks};

/// A secret value stands nowhere: pages, logs, history, JSON, errors, `/metrics`.
#[tokio::test(flavor = "multi_thread")]
async fn secret_values_are_shown_nowhere() {
    let site = echo().await;
    let config = "modules:
  m:
    prober: http
    http: {include_response_body: true, fail_if_body_not_matches_regexp: ['no such thing']}
    params:
      header.X-Code: {secret: true, matches: '[a-z]+', one_of: [hushhush, sesame]}
      valid_status_codes: {secret: true}
      header.X-Open: {}
  d: {prober: dns, dns: {query_name: a.example}, params: {query_name: {secret: true}}}
  h: {prober: http, params: {header.Cookie: {}}}
";
    let exporter = Exporter::start(config, &["--log.prober=debug"]).await;
    let query = format!(
        "module=m&target={}&header.X-Code=hushhush&header.X-Open=opensaid",
        site.address
    );
    let mut shown = vec![
        exporter.get(&format!("/probe?{query}")).await,
        exporter.get(&format!("/probe?{query}&debug=true")).await,
        page(&exporter, &format!("/probe?{query}&debug=true")).await,
        exporter
            .get("/probe?module=d&target=127.0.0.1:1&query_name=hushhush.example&debug=true")
            .await,
    ];
    for refused in [
        "header.X-Code=hushhush1",
        "header.X-Code=hushhushhush",
        "valid_status_codes=hushhush",
    ] {
        let answer = exporter.get(&format!("/probe?module=m&target=x&{refused}")).await;
        assert_eq!(answer.status, 400, "{refused}");
        shown.push(answer);
    }
    for path in [
        "/logs?id=0",
        "/logs?id=1",
        "/logs?id=2",
        "/logs?id=3",
        "/metrics",
        "/config",
    ] {
        shown.push(exporter.get(path).await);
    }
    for path in [
        "/",
        "/?form=m",
        "/logs?id=1",
        &format!("/target?module=m&target={}", site.address),
    ] {
        let answer = page(&exporter, path).await;
        assert_eq!(answer.status, 200, "{path}");
        shown.push(answer);
    }
    let others = query
        .replace("=hushhush", "=sesame")
        .replace("opensaid", "opensesame");
    exporter.get(&format!("/probe?{others}")).await;
    // A query with the value names what the history has without it.
    for path in [
        format!("/logs?{query}&region=eu"),
        format!("/target?{query}&region=eu"),
    ] {
        let answer = page(&exporter, &path).await;
        has(answer.text(), ["opensaid"]);
        shown.push(answer);
    }
    for answer in &shown {
        lacks(answer.text(), ["hushhush"]);
    }
    let target = shown.last().unwrap().text();
    has(
        target,
        [
            "header.X-Open=opensaid",
            "header.X-Code=&#60;secret&#62;",
            "header.X-Code=&#60;secret&#62;&#38;header.X-Open=opensaid&#38;debug=true",
        ],
    );
    lacks(target, ["Probe it now"]);
    lacks(exporter.log(), ["hushhush"]);
    let asked = site.asked();
    let (last, first) = asked.split_last().unwrap();
    assert!(
        first
            .iter()
            .all(|asked| asked.header("X-Code") == Some("hushhush"))
    );
    assert_eq!(last.header("X-Code"), Some("sesame"));
    let short = exporter
        .get("/probe?module=d&target=127.0.0.1:1&query_name=abc")
        .await;
    assert!(
        short.status == 400 && short.text().contains("at least 4 bytes"),
        "{}",
        short.text()
    );
    // A header is in no text that would have to be searched for it.
    let header = exporter
        .get("/probe?module=h&target=127.0.0.1:1&header.Cookie=a=1")
        .await;
    assert_eq!(header.status, 200);
}

/// What is a secret in the configuration is one of a scrape, too, and needs no `secret: true`.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_shown_nowhere() {
    const HTTP: [&str; 10] = [
        "basic_auth.password",
        "authorization.credentials",
        "bearer_token",
        "oauth2.client_secret",
        "tls_config.key",
        "header.Authorization",
        "header.X-Api-Key",
        "header.X-Functions-Key",
        "proxy_url",
        "oauth2.token_url",
    ];
    let config = format!(
        "modules:
  m: {{prober: http, http: {{basic_auth: {{username: ann}}}}, params: {{{}: {{}}}}}}
  o: {{prober: http, http: {{oauth2: {{client_id: a, client_secret: b, token_url: 'http://127.0.0.1:1/'}}}}, params: {{{}: {{}}}}}}
  t: {{prober: tcp, tcp: {{proxy_url: 'socks5://127.0.0.1:1', proxy_username: ann, proxy_password: c}}, params: {{proxy_password: {{}}}}}}
  g: {{prober: grpc, params: {{metadata.authorization: {{}}}}}}
  list: {{prober: http, params: {{proxy_url: {{one_of: ['http://u:hushhush@127.0.0.1:1']}}}}}}
  open: {{prober: http, params: {{header.X-Shard-Key: {{}}, header.X-Page-Token: {{secret: false}}}}}}
  grpc: {{prober: grpc, params: {{metadata.partition_key: {{}}}}}}
  both: {{prober: http, params: {{bearer_token: {{secret: false}}}}}}
",
        HTTP.join(": {}, "),
        HTTP.join(": {}, "),
    );
    let exporter = Exporter::start(&config, &["--log.prober=debug"]).await;
    const URL: &str = "http://u:hushhush@127.0.0.1:1/";
    let mut shown = Vec::new();
    #[rustfmt::skip]
    let rows = [
        ("m", "basic_auth.password=hushhush", "basic_auth.password=&#60;secret&#62;"),
        ("o", "oauth2.client_secret=hushhush", "oauth2.client_secret=&#60;secret&#62;"),
        ("o", &*format!("oauth2.token_url={URL}"), "oauth2.token_url=http://&#60;secret&#62;@127.0.0.1:1/"),
        ("m", "header.Authorization=hushhush", "header.Authorization=&#60;secret&#62;"),
        ("m", "header.X-Api-Key=hushhush", "header.X-Api-Key=&#60;secret&#62;"),
        ("m", "header.X-Functions-Key=hushhush", "header.X-Functions-Key=&#60;secret&#62;"),
        ("m", &*format!("proxy_url={URL}"), "proxy_url=http://&#60;secret&#62;@127.0.0.1:1/"),
        ("m", "proxy_url=//u:hushhush@127.0.0.1:1", "proxy_url=//&#60;secret&#62;@127.0.0.1:1"),
        ("m", "proxy_url=u:hushhush@127.0.0.1:1", "proxy_url=&#60;secret&#62;"),
        ("o", "oauth2.token_url=u:hushhush@127.0.0.1:1", "oauth2.token_url=&#60;secret&#62;"),
        ("o", "oauth2.token_url=http://127.0.0.1:1/t@corp/token", "oauth2.token_url=http://127.0.0.1:1/t@corp/token"),
        ("list", "proxy_url=http://u:hushhush@127.0.0.1:1", "proxy_url=&#60;secret&#62;"),
        ("t", "proxy_password=hushhush", "proxy_password=&#60;secret&#62;"),
        ("g", "metadata.authorization=hushhush", "metadata.authorization=&#60;secret&#62;"),
    ];
    for (id, (module, query, name)) in rows.into_iter().enumerate() {
        let path = format!("/probe?module={module}&target=127.0.0.1:1&{query}&debug=true");
        let answer = exporter.get(&path).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let target = page(&exporter, &format!("/logs?id={id}")).await;
        has(target.text(), [name]);
        lacks(target.text(), ["Probe it now"]);
        shown.extend([answer, target]);
    }
    // Values of these may be short, and shown.
    for (module, query) in [
        ("open", "header.X-Shard-Key=a1"),
        ("open", "header.X-Page-Token=a1"),
        ("grpc", "metadata.partition_key=a1"),
    ] {
        let path = format!("module={module}&target=127.0.0.1:1&{query}");
        assert_eq!(
            exporter.get(&format!("/probe?{path}")).await.status,
            200,
            "{query}"
        );
        let target = page(&exporter, &format!("/target?{path}")).await;
        has(target.text(), [query, "Probe it now"]);
    }
    let path = "/probe?module=both&target=127.0.0.1:1&bearer_token=hushhush&debug=true";
    shown.push(exporter.get(path).await);
    for refused in ["bearer_token", "authorization.credentials", "tls_config.key"] {
        let path = format!("/probe?module=m&target=x&{refused}=hushhush");
        let answer = exporter.get(&path).await;
        assert_eq!(answer.status, 400, "{refused}: {}", answer.text());
        shown.push(answer);
    }
    for path in ["/", "/?form=list", "/config"] {
        shown.push(page(&exporter, path).await);
    }
    for answer in &shown {
        lacks(answer.text(), ["hushhush"]);
    }
    lacks(exporter.log(), ["hushhush"]);
}

/// Targets that differ in a parameter are different targets.
#[tokio::test(flavor = "multi_thread")]
async fn the_pages_know_parameters() {
    let config = "modules:
  m:
    prober: dns
    timeout: 300ms
    dns: {query_name: x.example, transport_protocol: tcp}
    params:
      query_name: {matches: '[a-z.]+', required: true}
      query_type: {one_of: [A, MX]}
      recursion_desired: {}
      dns_over_tls: {}
  plain: {prober: tcp}
";
    let files = folder(&[
        ("blackbox.yml", config),
        (
            "targets.yml",
            "targets: [{name: a, address: '127.0.0.1:1', module: m, params: {query_name: a.example}}]\n",
        ),
    ]);
    let exporter = Exporter::start_in(files, &["--targets.file={dir}/targets.yml"])
        .await
        .unwrap();
    for name in ["a.example", "b.example", "a.example"] {
        exporter
            .get(&format!("/probe?module=m&target=127.0.0.1:1&query_name={name}"))
            .await;
    }
    let home = page(&exporter, "/").await;
    for name in ["query_name=a.example", "query_name=b.example"] {
        let link = format!("target?module=m&#38;target=127.0.0.1:1&#38;{name}\"");
        assert_eq!(home.text().matches(&link).count(), 1, "{name}: {}", home.text());
    }
    let one = page(
        &exporter,
        "/target?module=m&target=127.0.0.1:1&query_name=a.example",
    )
    .await;
    has(
        one.text(),
        [
            "0 passed, 2 failed",
            "&#38;query_name=a.example&#38;debug=true\">Probe it now",
        ],
    );
    let logs = "/logs?target=127.0.0.1:1&query_name=";
    let of_b = exporter.get(&format!("{logs}b.example")).await;
    has(of_b.text(), ["query_name: b.example"]);
    // A later probe without parameters, and one with others, take nothing from those of b.
    for module in ["plain", "m&query_name=a.example"] {
        exporter
            .get(&format!("/probe?module={module}&target=127.0.0.1:1"))
            .await;
    }
    for named in ["", "&module=m", "&other=1", "&a=1&module=m&z=1"] {
        let of_b = exporter.get(&format!("{logs}b.example{named}")).await;
        has(of_b.text(), ["query_name: b.example"]);
    }
    // What no probe had counts as little as in upstream.
    for ignored in ["query_name=c.example", "hostname=h", "other=1"] {
        let newest = exporter
            .get(&format!("/logs?target=127.0.0.1:1&module=m&{ignored}"))
            .await;
        has(newest.text(), ["query_name: a.example"]);
    }
    // A link from an alert knows nothing of them.
    assert_eq!(
        page(&exporter, "/target?module=m&target=127.0.0.1:1")
            .await
            .status,
        200
    );
    assert_eq!(
        page(
            &exporter,
            "/target?module=m&target=127.0.0.1:1&query_name=c.example"
        )
        .await
        .status,
        404
    );
    has(page(&exporter, "/targets").await.text(), ["query_name=a.example"]);
    let form = page(&exporter, "/?form=m").await;
    let form = form.text();
    for field in [
        "<input name=\"module\" list=\"modules\" value=\"m\"",
        "<fieldset class=\"params\" data-module=\"m\">",
        "<input name=\"query_name\" type=\"text\" maxlength=\"4096\" placeholder=\"matches [a-z.]+\"",
        " required>",
        "<select name=\"query_type\"><option value=\"\">as configured</option><option>A</option><option>MX</option></select>",
        "<select name=\"recursion_desired\"><option value=\"\">as configured</option><option>true</option><option>false</option></select>",
    ] {
        assert!(form.contains(field), "{field}: {form}");
    }
    let other = page(&exporter, "/").await;
    assert!(
        other.text().contains("data-module=\"m\" hidden disabled>") || other.text().contains("value=\"m\""),
        "{}",
        other.text()
    );
    has(other.text(), ["<a href=\"./?form=m\">with parameters</a>"]);
    let secret = "modules: {m: {prober: http, params: {bearer_token: {secret: true, one_of: [hushhush]}}}}\n";
    let exporter = Exporter::start(secret, &[]).await;
    let form = page(&exporter, "/?form=m").await;
    has(form.text(), ["<input name=\"bearer_token\" type=\"password\""]);
    lacks(form.text(), ["hushhush"]);
}
