//! The playground: a module that somebody edits is checked and probed, and nothing else.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{MODULES, REFUSED, silent};
use crate::dns::{address, reply, udp_server};
use crate::support::peer::{Move, Peer, listen, send};
use crate::support::{Answer, Exporter, has, lacks, parse};

const ENABLED: &str = "--web.enable-playground";

/// A form as a browser sends it.
async fn post(exporter: &Exporter, fields: &[(&str, &str)], headers: &str) -> Answer {
    let body: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect();
    raw(exporter, body.join("&").as_bytes(), headers).await
}

async fn raw(exporter: &Exporter, body: &[u8], headers: &str) -> Answer {
    let mut request = format!(
        "POST /playground HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n{headers}\r\n",
        exporter.address,
        body.len()
    )
    .into_bytes();
    request.extend(body);
    parse(&exporter.raw(&request).await)
}

/// Checks a text as the script of the page does.
async fn check(exporter: &Exporter, text: &str) -> serde_json::Value {
    let answer = post(exporter, &[("text", text)], "Accept: application/json\r\n").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// Probes with a text, and what the page says.
async fn probe(exporter: &Exporter, text: &str, target: &str) -> String {
    let fields = [("text", text), ("target", target), ("do", "probe")];
    let answer = post(exporter, &fields, "Accept: text/html\r\n").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().to_owned()
}

/// The findings of a page, each in one line of plain text.
fn findings(page: &str) -> Vec<String> {
    let list = page
        .split_once("<ol class=\"findings\">")
        .map_or("", |(_, rest)| rest);
    let list = list.split_once("</ol>").map_or("", |(list, _)| list);
    let plain = |item: &str| {
        let mut text = String::new();
        for piece in item.replace("</dt>", ": ").replace("</div>", "; ").split('<') {
            text.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
        }
        let text = text
            .replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&#62;", ">");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    list.split("<li>").skip(1).map(plain).collect()
}

async fn serve(answer: String) -> String {
    let say = move |mut stream: TcpStream| {
        let answer = answer.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    };
    format!("http://{}/", listen(say).await)
}

fn answering(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn without_the_flag_there_is_none() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let unknown = exporter.get("/no-such-page").await;
    for path in ["/playground", "/assets/playground.js"] {
        for method in ["GET", "POST"] {
            let answer = exporter.request(method, path, &[("Accept", "text/html")]).await;
            assert_eq!(
                (answer.status, &answer.body),
                (unknown.status, &unknown.body),
                "{method} {path}"
            );
        }
    }
    let home = exporter.request("GET", "/", &[("Accept", "text/html")]).await;
    lacks(home.text(), ["playground"]);
    // With it, scripts still find what they find upstream.
    let exporter = Exporter::start(MODULES, &[ENABLED]).await;
    assert_eq!(exporter.get("/playground").await.body, unknown.body);
    let home = exporter.request("GET", "/", &[("Accept", "text/html")]).await;
    has(home.text(), ["href=\"playground\""]);
}

#[tokio::test]
async fn a_module_is_shown_without_its_secrets_and_not_sent_with_what_stands_for_them() {
    let config = "modules:
  m: {prober: http, http: {basic_auth: {username: ann, password: hush-hush}, headers: {X-Api-Key: hush-key}, proxy_url: 'http://u:hush-proxy@127.0.0.1:1'}}
  plain: {prober: tcp, timeout: 2s, tcp: {preferred_ip_protocol: ip4}}
";
    let exporter = Exporter::start(config, &[ENABLED]).await;
    let (listener, target) = silent().await;
    let path = format!("/playground?module=m&target={target}");
    let page = exporter.request("GET", &path, &[("Accept", "text/html")]).await;
    let text = page.text();
    has(text, ["password: &#60;secret&#62;"]);
    lacks(text, ["hush"]);
    has(text, ["secrets are neither shown nor sent here"]);
    let module = "modules: {m: {prober: http, http: {basic_auth: {username: ann, password: <secret>}}}}";
    let answer = probe(&exporter, module, &target).await;
    has(&answer, ["Nothing was probed: the text has errors"]);
    let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(accepted.is_err(), "something was sent");
    // The page of a target leads here.
    exporter.probe("plain", &target).await;
    let page = exporter
        .request(
            "GET",
            &format!("/target?module=plain&target={target}"),
            &[("Accept", "text/html")],
        )
        .await;
    has(
        page.text(),
        [&format!("href=\"playground?module=plain&#38;target={target}\"")],
    );
}

#[tokio::test]
async fn a_text_is_checked_as_check_config_does() {
    let exporter = Exporter::start(MODULES, &[ENABLED]).await;
    let wrong = check(
        &exporter,
        "modules:\n  m:\n    prober: http\n    http:\n      metod: GET\n",
    )
    .await;
    assert_eq!(
        wrong,
        serde_json::json!({"verdict": "1 error", "problems": [{
            "kind": "error", "line": 5, "column": 7,
            "message": "module \"m\": http.metod: field \"metod\" not found", "help": "did you mean \"method\"?",
        }]})
    );
    let good = check(
        &exporter,
        "modules: {m: {prober: http, http: {method: HEAD, fail_if_body_matches_regexp: [x]}}}",
    )
    .await;
    assert_eq!(
        (&good["verdict"], &good["problems"][0]["kind"]),
        (&"1 warning".into(), &"warning".into())
    );
    #[rustfmt::skip]
    let rows = [
        ("modules: {m: {prober: http, http: {body_file: /etc/passwd}}}", "files can be named"),
        ("modules: {m: {prober: http, http: {bearer_token: hush}}}", "secrets are neither shown nor sent"),
        ("policy: {allow: {networks: [0.0.0.0/0]}}\nmodules: {m: {prober: http}}", "there is no policy here"),
        ("modules: [", "not YAML"),
    ];
    for (text, message) in rows {
        let said = check(&exporter, text).await.to_string();
        assert!(said.contains(message) && !said.contains("hush"), "{text}: {said}");
    }
    // A form of CRLF, as a browser sends a text, has the same places.
    let crlf = check(&exporter, "modules:\r\n  m:\r\n    prober: pigeon\r\n").await;
    assert_eq!(
        (&crlf["problems"][0]["line"], &crlf["problems"][0]["column"]),
        (&3.into(), &13.into())
    );
    // Without the script the page says it, and marks the place.
    let page = post(
        &exporter,
        &[("text", "modules:\n  m:\n    prober: pigeon\n"), ("do", "check")],
        "",
    )
    .await;
    has(
        page.text(),
        ["<mark class=\"bad\">pigeon</mark>", "Line 3, column 13"],
    );
}

#[tokio::test]
async fn every_check_of_an_answer_says_what_it_met() {
    let exporter = Exporter::start(MODULES, &[ENABLED]).await;
    let headers = "Server: nginx/1.22\r\nContent-Type: application/json\r\n";
    let target = serve(answering("200 OK", headers, "{\"status\": \"OK\", \"n\": 5}")).await;
    let text = r#"modules:
  m:
    prober: http
    http:
      preferred_ip_protocol: ip4
      fail_if_header_not_matches: [{header: Server, regexp: 'nginx/(?P<version>\d+)'}]
      fail_if_body_not_matches_regexp: ['"status": "(ok|OK)"']
      fail_if_body_json_not_matches_cel: body.status == "OK" && body.n > 5
"#;
    let page = probe(&exporter, text, &target).await;
    let found = findings(&page);
    assert_eq!(
        found,
        [
            "Passed http.valid_status_codes 2xx Received: 200;",
            "Passed http.fail_if_header_not_matches[0] Server: nginx/(?P&#60;version>\\d+) Value: nginx/1.22; Matched: nginx/1; Group 1, version: 1;",
            "Passed http.fail_if_body_not_matches_regexp[0] \"status\": \"(ok|OK)\" Matched: \"status\": \"OK\"; Group 1: OK;",
            "Failed http.fail_if_body_json_not_matches_cel body.status == \"OK\" &#38;&#38; body.n > 5 Value: false; body.status == \"OK\": true; body.status: \"OK\"; body.n > 5: false; body.n: 5;",
        ],
        "{page}"
    );
    has(&page, ["body_json: Body did not match CEL expression"]);
    for place in [
        "probe_success 0",
        "Beginning probe",
        "class=\"waterfall\"",
        "class=\"advice\"",
    ] {
        assert!(page.contains(place), "{place}: {page}");
    }
    // What an earlier check left out is told all the same, with the nearest text.
    let target = serve(answering("503 Busy", "", "is Healthy now")).await;
    let text = "modules: {m: {prober: http, http: {preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: [healthy]}}}";
    let found = findings(&probe(&exporter, text, &target).await);
    assert_eq!(found[0], "Failed http.valid_status_codes 2xx Received: 503;");
    assert!(
        found[1].starts_with("Not judged http.fail_if_body_not_matches_regexp[0] healthy No match: nearest text: \"is Healthy now\"; with (?i) in front"),
        "{found:?}"
    );
}

/// The verdicts are those of the probe, also where the body is longer than what the advice quotes.
#[tokio::test]
async fn a_long_body_is_explained_as_it_was_judged() {
    let exporter = Exporter::start(MODULES, &[ENABLED]).await;
    let numbers: Vec<String> = (0..1500).map(|number| number.to_string()).collect();
    let body = format!("[{}]", numbers.join(", "));
    assert!(body.len() > 7 << 10, "{}", body.len());
    let target = serve(answering("200 OK", "", &body)).await;
    #[rustfmt::skip]
    let rows = [
        ("fail_if_body_json_not_matches_cel: body.size() == 1500", "Success",
            "Passed http.fail_if_body_json_not_matches_cel body.size() == 1500 Value: true; body.size(): 1500;"),
        ("fail_if_body_json_matches_cel: 'body[1499] == 1499.0'", "Failure",
            "Failed http.fail_if_body_json_matches_cel body[1499] == 1499.0 Value: true; body[1499]: 1499;"),
        ("fail_if_body_matches_regexp: ['1497, (1498)']", "Failure",
            "Failed http.fail_if_body_matches_regexp[0] 1497, (1498) Matched: 1497, 1498; Group 1: 1498;"),
        ("fail_if_body_not_matches_regexp: ['1497, (1498)']", "Success",
            "Passed http.fail_if_body_not_matches_regexp[0] 1497, (1498) Matched: 1497, 1498; Group 1: 1498;"),
    ];
    for (check, word, finding) in rows {
        let text = format!("modules: {{m: {{prober: http, http: {{preferred_ip_protocol: ip4, {check}}}}}}}");
        let page = probe(&exporter, &text, &target).await;
        has(&page, [&format!(">{word}</b> for")]);
        assert_eq!(findings(&page)[1], finding, "{check}");
    }
    // Longer than CEL may judge, which no setting changes.
    let long = serve(answering("200 OK", "", &" ".repeat(2 << 20))).await;
    let text = "modules: {m: {prober: http, http: {preferred_ip_protocol: ip4, fail_if_body_json_matches_cel: 'false'}}}";
    let page = probe(&exporter, text, &long).await;
    has(
        &page,
        [
            "body_too_large: Failed to read HTTP response body: body too large for CEL: more than 1048576 bytes",
            "judges a body of 1 MiB at most",
        ],
    );
    assert_eq!(
        findings(&page)[1],
        "Not judged http.fail_if_body_json_matches_cel false Not evaluated: only the first 1048576 bytes of the body were read;"
    );
    // Behind the part that is searched for the place of a match, and behind the part that is kept.
    for (bytes, matched) in [
        (100 << 10, "behind the first 64 KiB"),
        (
            2 << 20,
            "behind the first 64 KiB; Looked at: the first 1048576 bytes of the body",
        ),
    ] {
        let target = serve(answering("200 OK", "", &format!("{}last", " ".repeat(bytes)))).await;
        let text = "modules: {m: {prober: http, http: {preferred_ip_protocol: ip4, fail_if_body_matches_regexp: [never], fail_if_body_not_matches_regexp: [last, ' $', never]}}}";
        let found = findings(&probe(&exporter, text, &target).await);
        assert!(
            found[1].starts_with("Passed http.fail_if_body_matches_regexp[0] never No match: "),
            "{found:?}"
        );
        assert_eq!(
            found[2],
            format!("Passed http.fail_if_body_not_matches_regexp[0] last Matched: {matched};")
        );
        assert!(
            found[3].starts_with("Failed http.fail_if_body_not_matches_regexp[1] $ No match: "),
            "{found:?}"
        );
        assert!(
            found[4].starts_with("Not judged http.fail_if_body_not_matches_regexp[2] never No match: "),
            "{found:?}"
        );
    }
}

/// What stands behind the check that failed was not judged; the version and TLS always are.
#[tokio::test]
async fn checks_behind_a_failed_one_are_not_judged() {
    let exporter = Exporter::start(MODULES, &[ENABLED]).await;
    let target = serve(answering("200 OK", "A: 1\r\n", "{\"n\": 1}")).await;
    #[rustfmt::skip]
    let rows: [(&str, &[&str]); 7] = [
        ("fail_if_header_not_matches: [{header: A, regexp: '1'}, {header: A, regexp: '2'}, {header: A, regexp: '1'}], fail_if_body_not_matches_regexp: [n]",
            &["Passed", "Passed", "Failed", "Not judged", "Not judged"]),
        ("fail_if_header_matches: [{header: A, regexp: '1'}], fail_if_header_not_matches: [{header: A, regexp: '1'}]",
            &["Passed", "Failed", "Not judged"]),
        ("fail_if_body_matches_regexp: [x, n, n], fail_if_body_not_matches_regexp: [n], fail_if_body_json_matches_cel: 'true'",
            &["Passed", "Passed", "Failed", "Not judged", "Not judged", "Not judged"]),
        ("fail_if_body_json_matches_cel: 'true', fail_if_body_json_not_matches_cel: 'true'",
            &["Passed", "Failed", "Not judged"]),
        ("fail_if_body_json_matches_cel: body.m == 1.0, fail_if_body_json_not_matches_cel: 'true'",
            &["Passed", "Failed", "Not judged"]),
        ("fail_if_ssl: true, fail_if_not_ssl: true, valid_http_versions: [HTTP/1.1]",
            &["Passed", "Passed", "Passed", "Failed"]),
        ("fail_if_ssl: true, fail_if_not_ssl: true, valid_http_versions: [HTTP/2.0]",
            &["Passed", "Failed", "Passed", "Not judged"]),
    ];
    for (checks, words) in rows {
        let text =
            format!("modules: {{m: {{prober: http, http: {{preferred_ip_protocol: ip4, {checks}}}}}}}");
        let found = findings(&probe(&exporter, &text, &target).await);
        let told: Vec<&str> = found
            .iter()
            .map(|line| line.split(" http.").next().unwrap())
            .collect();
        assert_eq!(told, words, "{checks}: {found:?}");
    }
    // Not even a body that cannot be read.
    let target = serve(answering("200 OK", "", "plain")).await;
    let text = "modules: {m: {prober: http, http: {preferred_ip_protocol: ip4, body_size_limit: 2B, fail_if_body_matches_regexp: [x], fail_if_body_json_matches_cel: 'false'}}}";
    let found = findings(&probe(&exporter, text, &target).await);
    assert!(
        found[1].starts_with("Not judged") && found[2].starts_with("Not judged"),
        "{found:?}"
    );
}

#[tokio::test]
async fn every_step_of_a_dialogue_says_what_was_read_and_sent() {
    let exporter = Exporter::start(MODULES, &[ENABLED]).await;
    let peer = Peer::play(vec![
        send("hello\r\n220 mail.test ESMTP\r\n"),
        Move::ReadLine,
        send("500 what?\r\n"),
        Move::Close,
    ])
    .await;
    let text = r#"modules:
  m:
    prober: tcp
    tcp:
      preferred_ip_protocol: ip4
      query_response:
        - expect: '^220 ([^ ]+) ESMTP'
          send: 'EHLO ${1}'
        - expect: '^250'
        - expect: never
"#;
    let page = probe(&exporter, text, &peer.target()).await;
    let found = findings(&page);
    assert_eq!(
        found,
        [
            "Passed query_response[0] ^220 ([^ ]+) ESMTP Read: hello; Read: 220 mail.test ESMTP; Matched: 220 mail.test ESMTP; Group 1: mail.test; Sent: EHLO mail.test\\n;",
            "Failed query_response[1] ^250 Read: 500 what?; No match: text begins: \"500 what?\"; The peer closed the connection: ;",
            "Not judged query_response[2] never",
        ],
        "{page}"
    );
    assert_eq!(peer.received().await, b"EHLO mail.test\n");
}

#[tokio::test]
async fn every_expression_over_records_says_what_it_matched() {
    let exporter = Exporter::start(MODULES, &[ENABLED]).await;
    let server = udp_server(|query| vec![reply(query, 0, [1, 0, 0], &address(7))]).await;
    let text = r#"modules:
  m:
    prober: dns
    dns:
      preferred_ip_protocol: ip4
      query_name: example.test
      query_type: A
      validate_answer_rrs:
        fail_if_matches_regexp: ['192\.0\.2\.8', '(']
        fail_if_not_matches_regexp: ['\s(192\.\S+)$']
"#;
    let found = findings(&probe(&exporter, text, &server.to_string()).await);
    assert_eq!(found[0], "Passed dns.valid_rcodes NOERROR Received: NOERROR;");
    assert!(
        found[1].starts_with(
            "Passed dns.validate_answer_rrs.fail_if_matches_regexp[0] 192\\.0\\.2\\.8 Record: example.test."
        ),
        "{found:?}"
    );
    assert!(found[1].contains("No match: nearest text"), "{found:?}");
    assert!(
        found[2].starts_with("Failed dns.validate_answer_rrs.fail_if_matches_regexp[1] ("),
        "{found:?}"
    );
    assert!(found[3].ends_with("Group 1: 192.0.2.7;"), "{found:?}");
}

/// As of a body: nothing is judged behind what failed, and an expression only when it was compared with every record.
#[tokio::test]
async fn records_behind_a_failed_check_are_not_judged() {
    let exporter = Exporter::start(MODULES, &[ENABLED]).await;
    let both = [address(7), address(8)].concat();
    let server = udp_server(move |query| vec![reply(query, 0, [2, 0, 0], &both)]).await;
    #[rustfmt::skip]
    let rows: [(&str, &[&str]); 8] = [
        ("valid_rcodes: [NXDOMAIN], validate_answer_rrs: {fail_if_matches_regexp: [x]}", &["Failed", "Not judged"]),
        ("valid_rcodes: [NOSUCH], validate_answer_rrs: {fail_if_matches_regexp: [x]}", &["Failed", "Not judged"]),
        // The first record fails it: the second one was not looked at.
        ("validate_answer_rrs: {fail_if_matches_regexp: [x, '2\\.7', y], fail_if_not_matches_regexp: [A]}",
            &["Passed", "Not judged", "Failed", "Not judged", "Not judged"]),
        ("validate_answer_rrs: {fail_if_matches_regexp: [x, '2\\.8', y], fail_if_not_matches_regexp: [A]}",
            &["Passed", "Passed", "Failed", "Not judged", "Not judged"]),
        ("validate_answer_rrs: {fail_if_all_match_regexp: [A, '2\\.7'], fail_if_not_matches_regexp: [A], fail_if_none_matches_regexp: [A]}",
            &["Passed", "Passed", "Failed", "Passed", "Not judged"]),
        ("validate_answer_rrs: {fail_if_all_match_regexp: [A], fail_if_none_matches_regexp: [x, y]}",
            &["Passed", "Passed", "Failed", "Failed"]),
        ("validate_answer_rrs: {fail_if_matches_regexp: [x], fail_if_none_matches_regexp: [x, A]}, validate_authority_rrs: {fail_if_matches_regexp: [x]}",
            &["Passed", "Passed", "Passed", "Passed", "Passed"]),
        ("validate_authority_rrs: {fail_if_matches_regexp: [x], fail_if_not_matches_regexp: [x]}, validate_additional_rrs: {fail_if_matches_regexp: [x]}",
            &["Passed", "Not judged", "Failed", "Not judged"]),
    ];
    for (checks, words) in rows {
        let text = format!(
            "modules: {{m: {{prober: dns, dns: {{preferred_ip_protocol: ip4, query_name: a.test, query_type: A, {checks}}}}}}}"
        );
        let found = findings(&probe(&exporter, &text, &server.to_string()).await);
        let told: Vec<&str> = found
            .iter()
            .map(|line| line.split(" dns.").next().unwrap())
            .collect();
        assert_eq!(told, words, "{checks}: {found:?}");
    }
}

#[tokio::test]
async fn it_counts_as_a_probe_and_stays_out_of_the_history() {
    let exporter = Exporter::start(MODULES, &[ENABLED, "--log.prober=debug"]).await;
    let text = "modules: {of-a-stranger: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}}";
    let page = probe(&exporter, text, REFUSED).await;
    has(&page, ["connect_refused", "href=\"https://"]);
    let metrics = exporter.get("/metrics").await;
    for series in [
        "blackbox_exporter_probes_total{module=\"playground\",prober=\"tcp\",result=\"failure\"}",
        "blackbox_exporter_probe_failures_total{module=\"playground\",reason=\"connect_refused\"}",
    ] {
        assert_eq!(metrics.sample(series), Some(1.0), "{series} {}", metrics.text());
    }
    lacks(metrics.text(), ["of-a-stranger"]);
    let log = exporter.log();
    has(&log, ["module=playground", "Error dialing TCP"]);
    let home = exporter.get("/").await;
    lacks(home.text(), [REFUSED]);
}

#[tokio::test]
async fn the_policy_holds() {
    let config = "modules: {m: {prober: tcp}}\npolicy: {deny: {networks: [127.0.0.0/8]}}\n";
    let exporter = Exporter::start(config, &[ENABLED]).await;
    let (listener, target) = silent().await;
    for (text, target) in [
        ("modules: {m: {prober: tcp}}", target.clone()),
        ("modules: {m: {prober: http}}", format!("http://{target}/")),
        (
            &*format!(
                "modules: {{m: {{prober: http, http: {{proxy_url: 'http://{target}', skip_resolve_phase_with_proxy: true}}}}}}"
            ),
            "http://192.0.2.1/".to_owned(),
        ),
        (
            &*format!("modules: {{m: {{prober: dns, dns: {{query_name: a.test, server: '{target}'}}}}}}"),
            "x".to_owned(),
        ),
        (
            &*format!("modules: {{m: {{prober: tcp, resolver: 'tcp://{target}'}}}}"),
            "a.test:1".to_owned(),
        ),
    ] {
        let page = probe(&exporter, text, &target).await;
        assert!(page.contains("refused by the target policy"), "{text}: {page}");
    }
    let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(accepted.is_err(), "a connection was made");
}

#[tokio::test]
async fn pages_of_others_cannot_use_it() {
    let exporter = Exporter::start(MODULES, &[ENABLED]).await;
    for headers in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://evil.test\r\n",
    ] {
        let answer = post(&exporter, &[("text", "x")], headers).await;
        assert_eq!(answer.status, 403, "{headers}");
    }
    let json = b"POST /playground HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\n{}";
    assert_eq!(parse(&exporter.raw(json).await).status, 415);
    let strict = Exporter::start(MODULES, &[ENABLED, "--web.allowed-hosts=known.test"]).await;
    let other =
        b"POST /playground HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(parse(&strict.raw(other).await).status, 421);
}

#[tokio::test]
async fn it_asks_for_the_password_of_the_web_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let hash = bcrypt::hash("open sesame", 4).unwrap();
    std::fs::write(folder.path().join("blackbox.yml"), MODULES).unwrap();
    std::fs::write(
        folder.path().join("web.yml"),
        format!("basic_auth_users: {{ann: {hash}}}\n"),
    )
    .unwrap();
    let flags = [ENABLED, "--web.config.file={dir}/web.yml"];
    let exporter = Exporter::start_in(folder, &flags)
        .await
        .unwrap_or_else(|log| panic!("{log}"));
    let fields = [("text", "modules: {m: {prober: tcp}}")];
    let json = "Accept: application/json\r\n";
    assert_eq!(post(&exporter, &fields, json).await.status, 401);
    // ann:open sesame
    let known = format!("{json}Authorization: Basic YW5uOm9wZW4gc2VzYW1l\r\n");
    assert_eq!(post(&exporter, &fields, &known).await.status, 200);
}

#[tokio::test]
async fn its_limits_hold() {
    let exporter = Exporter::start(MODULES, &[ENABLED, "--probe.max-in-flight=1"]).await;
    let large = raw(&exporter, &[b'x'; 200_000], "").await;
    assert_eq!(large.status, 413, "{}", large.text());
    let long = check(&exporter, &"#".repeat(36_000)).await;
    assert!(long.to_string().contains("more than 32 KiB"), "{long}");
    let missing = probe(&exporter, "modules: {m: {prober: tcp}}", "").await;
    let result = missing.split_once("<section id=\"result\"").expect("a result").1;
    has(result, ["Nothing was probed: enter a target."]);
    // Whoever leaves in the middle, or is slow, holds nobody up.
    let mut slow = TcpStream::connect(exporter.address).await.unwrap();
    let head = "POST /playground HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\ntext=";
    slow.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(
        check(&exporter, "modules: {m: {prober: tcp}}").await["verdict"],
        "No problems"
    );
    drop(slow);
    // The limit of probes is that of all probes.
    let (listener, target) = silent().await;
    let text = "modules: {m: {prober: tcp, timeout: 5s, tcp: {query_response: [{expect: never}]}}}";
    let first = probe(&exporter, text, &target);
    let second = async {
        let _accepted = listener.accept().await.unwrap();
        let fields = [("text", text), ("target", &target), ("do", "probe")];
        let answer = post(&exporter, &fields, "").await;
        assert_eq!(answer.status, 503, "{}", answer.text());
    };
    let (page, ()) = tokio::join!(first, second);
    assert!(
        page.contains("peer_closed") || page.contains("connect_reset"),
        "{page}"
    );
}

#[tokio::test]
async fn what_a_target_sends_makes_no_elements() {
    let exporter = Exporter::start(MODULES, &[ENABLED]).await;
    let hostile = "<script>alert(1)</script><mark>\u{1b}[31m\u{202e}";
    let target = serve(answering("200 OK", "", hostile)).await;
    let text = "modules: {m: {prober: http, http: {preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: ['(?s)(.+)', '</textarea><script>']}}}";
    let page = probe(&exporter, text, &target).await;
    lacks(&page, ["<script>alert", "</textarea><script>"]);
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'), "{page}");
}
