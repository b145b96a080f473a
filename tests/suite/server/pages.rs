//! The pages as a browser gets them; tests/browser/run looks at them in a real one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use blackbox_exporter::prober::Outcome;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{MODULES, REFUSED, silent};
use crate::support::peer::listen;
use crate::support::probing::passed;
use crate::support::{Answer, Exporter, folder, has, lacks};

async fn page(exporter: &Exporter, path: &str) -> Answer {
    exporter.request("GET", path, &[("Accept", "text/html")]).await
}

/// The targets of the rows of a wall, from top to bottom.
fn rows(page: &Answer) -> Vec<&str> {
    let links = page
        .text()
        .split("<td class=\"target\"><a href=\"target?")
        .skip(1);
    links
        .filter_map(|link| Some(link.split_once("\">")?.1.split_once("</a>")?.0))
        .collect()
}

#[tokio::test]
async fn what_fails_stands_on_top_with_its_reason() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let empty = page(&exporter, "/").await;
    // The script shows the first row as soon as there is one.
    has(
        empty.text(),
        [
            "No target yet",
            "<section id=\"wall\" hidden data-events=\"events?\"",
        ],
    );
    let (listener, good) = silent().await;
    for _ in 0..3 {
        exporter.probe("tcp_plain", &good).await;
    }
    exporter.probe("tcp_plain", REFUSED).await;
    exporter.probe("tcp_free", REFUSED).await;
    let all = page(&exporter, "/").await;
    assert_eq!(rows(&all), [REFUSED, REFUSED, &good]);
    has(
        all.text(),
        [
            "connection refused",
            "<title>2 failing - Blackbox Exporter</title>",
            "Last 3: 3 passed, 0 failed",
        ],
    );
    for (query, want) in [
        ("state=failing", vec![REFUSED, REFUSED]),
        ("state=passing", vec![good.as_str()]),
        ("module=tcp_free", vec![REFUSED]),
        ("search=REFUSED&module=tcp_plain", vec![REFUSED]),
        ("search=nothing+of+the+kind", vec![]),
        ("state=slow", vec![]),
    ] {
        let shown = page(&exporter, &format!("/?{query}")).await;
        assert_eq!(rows(&shown), want, "{query}");
    }
    // The filter stays in the links.
    let shown = page(&exporter, "/?module=tcp_free&search=127").await;
    let link = "./?state=failing&#38;module=tcp%5Ffree&#38;search=127";
    let plain = link.replace("%5F", "_");
    assert!(shown.text().contains(&plain), "{}", shown.text());
    drop(listener);
}

#[tokio::test]
async fn a_target_has_a_page_of_its_own() {
    let exporter = Exporter::start(MODULES, &[]).await;
    // Not the address of other tests, one of which would be given the port when this listener is closed.
    let listener = tokio::net::TcpListener::bind("127.80.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    exporter.probe("tcp_plain", &address).await;
    drop(listener);
    exporter.probe("tcp_plain", &address).await;
    let known = page(&exporter, &format!("/target?module=tcp_plain&target={address}")).await;
    assert_eq!(known.status, 200);
    // Texts that are made in pieces stand in their place.
    let places = [
        ("/logs?id=1", r#"<pre id="log" class="log" tabindex="0">time="#),
        ("/config", r#"<pre id="config" tabindex="0">modules:"#),
    ];
    for (path, want) in places {
        let shown = page(&exporter, path).await;
        assert!(shown.text().contains(want), "{path}: {}", shown.text());
        assert!(shown.text().trim_end().ends_with("</html>"), "{path}");
    }
    for want in [
        "<pre id=\"log\" class=\"log\" tabindex=\"0\">time=",
        "Last good probe",
        "Last failed probe",
        "connection refused",
        "prober: tcp",
        "1 passed, 1 failed",
        "curl -g",
        "logs?id=1",
    ] {
        assert!(known.text().contains(want), "{want}: {}", known.text());
    }
    let unknown = page(&exporter, "/target?module=tcp_plain&target=%3Cb%3E").await;
    assert_eq!(unknown.status, 404);
    has(unknown.text(), ["&#60;b&#62;", "Probe it now"]);
    let no_module = page(&exporter, "/target?module=nope&target=x").await;
    assert_eq!(no_module.status, 404);
    has(no_module.text(), ["The configuration has no such module."]);
    lacks(no_module.text(), ["Probe it now"]);
    // Known by another module only: a link leads there.
    let elsewhere = page(&exporter, &format!("/target?module=tcp_free&target={address}")).await;
    assert_eq!(elsewhere.status, 404);
    let link =
        format!("<a href=\"target?module=tcp_plain&#38;target={address}\">Failing: {address}, tcp_plain</a>");
    has(elsewhere.text(), ["with module tcp_free", &link]);
}

/// Links of alerts and dashboards have the labels of a series, which say less than the history knows, or name the target otherwise.
#[tokio::test]
async fn a_target_is_found_by_the_labels_of_its_series() {
    const TARGETS: &str = "targets:
- {name: shop, address: '127.0.0.1:1', module: tcp_plain, hostname: shop.example.com, labels: {target: shop.example.com, module: tcp}}
- {name: db, address: 'localhost:1', module: tcp_plain}
";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("blackbox.yml"), MODULES).unwrap();
    std::fs::write(folder.path().join("targets.yml"), TARGETS).unwrap();
    let exporter = Exporter::start_in(folder, &["--targets.file={dir}/targets.yml"])
        .await
        .unwrap();
    let (_listener, good) = silent().await;
    for probe in [
        "module=tcp_plain&target=127.0.0.1:1&hostname=shop.example.com",
        "module=tcp_plain&target=127.0.0.1:1",
        "module=tcp_plain&target=localhost:1",
        "module=tcp_free&target=localhost:1",
        &format!("module=tcp_plain&target={good}"),
    ] {
        exporter.get(&format!("/probe?{probe}")).await;
    }
    let shop = "<b>tcp_plain</b> as <b>shop.example.com</b>";
    for (query, want) in [
        // The label `target` and the label `module` of the targets file, and the name.
        ("module=tcp_plain&target=shop.example.com", shop),
        ("module=tcp&target=shop.example.com", shop),
        ("target=shop", shop),
        // Without `hostname`, with one, and the very row before all others.
        ("module=tcp_plain&target=127.0.0.1:1", "<b>tcp_plain</b> for"),
        (
            "module=tcp_plain&target=127.0.0.1:1&hostname=shop.example.com",
            shop,
        ),
        // Without a module, also as Grafana writes that: the newest.
        ("target=localhost:1", "<b>tcp_free</b>"),
        ("module=&target=db", "<b>tcp_plain</b>"),
        (
            "module=%24%7B__field.labels.module%7D&target=localhost:1",
            "<b>tcp_free</b>",
        ),
        // A label that only the scraper knows, beside `instance`.
        (
            "module=tcp_free&target=shop%20floor&instance=localhost:1",
            "<b>tcp_free</b>",
        ),
        // A label without the port.
        ("module=tcp_free&target=localhost", "<b>tcp_free</b>"),
    ] {
        let shown = page(&exporter, &format!("/target?{query}")).await;
        assert_eq!(shown.status, 200, "{query}");
        has(shown.text(), [want]);
    }
    // The home page shows and finds the names, too.
    for (search, want) in [
        ("DB", vec!["localhost:1"]),
        ("shop", vec!["127.0.0.1:1"]),
        ("tcp_free", vec!["localhost:1"]),
    ] {
        let shown = page(&exporter, &format!("/?search={search}")).await;
        assert_eq!(rows(&shown), want, "{search}");
    }
    let shown = page(&exporter, "/?search=db").await;
    has(shown.text(), ["localhost:1</a> <span class=\"quiet\">db</span>"]);
    // What else it may be is a click away.
    let shown = page(&exporter, "/target?target=localhost:1").await;
    has(shown.text(), [">Failing: localhost:1, tcp_plain</a>"]);
    // What fails comes before what was probed last.
    let shown = page(&exporter, "/target?target=127.0.0.1").await;
    let shop = "Failing: 127.0.0.1:1, tcp_plain, shop.example.com</a>";
    has(shown.text(), ["<b>tcp_plain</b> for", shop, "Passing: "]);
    for query in [
        "module=tcp_plain&target=example.com",
        "module=tcp_free&target=shop",
        "module=tcp_plain&target=localhost:1&hostname=other",
    ] {
        let shown = page(&exporter, &format!("/target?{query}")).await;
        assert_eq!(shown.status, 404, "{query}");
    }
}

/// Two entries of the targets file that differ in their parameters only, and links that name nothing.
#[tokio::test]
async fn a_link_leads_to_no_other_target() {
    let modules = "modules:
  m: {prober: tcp, timeout: 2s, params: {preferred_ip_protocol: {}, ip_protocol_fallback: {}}}
  unix: {prober: unix}
";
    let (_listener, good) = silent().await;
    let targets = format!(
        "targets:
- {{name: q1, address: '{good}', module: m, params: {{preferred_ip_protocol: ip4, ip_protocol_fallback: 'true'}}}}
- {{name: q2, address: '{good}', module: m, params: {{preferred_ip_protocol: ip6, ip_protocol_fallback: 'false'}}}}
- {{name: q3, address: '{REFUSED}', module: m, params: {{ip_protocol_fallback: 'true'}}}}
"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("blackbox.yml"), modules).unwrap();
    std::fs::write(folder.path().join("targets.yml"), targets).unwrap();
    let flags = [
        "--targets.file={dir}/targets.yml",
        "--trace.url=https://t.example/{trace_id}",
    ];
    let exporter = Exporter::start_in(folder, &flags).await.unwrap();
    for query in [
        format!("m&target={good}&preferred_ip_protocol=ip4&ip_protocol_fallback=true"),
        format!("m&target={good}&preferred_ip_protocol=ip6&ip_protocol_fallback=false"),
        format!("m&target={REFUSED}"),
        "unix&target=/run/no.sock".to_owned(),
    ] {
        exporter.get(&format!("/probe?module={query}")).await;
    }
    for (name, fallback) in [("q1", "true"), ("q2", "false")] {
        let shown = page(&exporter, &format!("/target?module=m&target={name}")).await;
        has(
            shown.text(),
            [&format!("<code>ip_protocol_fallback={fallback}</code>")],
        );
    }
    // A scraper that does not send the parameters.
    assert_eq!(page(&exporter, "/target?module=m&target=q3").await.status, 200);
    assert_eq!(page(&exporter, "/trace?module=m&target=q1").await.status, 404);
    // The very row, which never failed.
    exporter.get(&format!("/probe?module=m&target={good}")).await;
    exporter
        .get(&format!(
            "/probe?module=m&target={good}&ip_protocol_fallback=false&preferred_ip_protocol=ip6"
        ))
        .await;
    let path = format!("/trace?module=m&target={good}");
    assert_eq!(page(&exporter, &path).await.status, 404);
    for nothing in [
        "/target",
        "/target?target=",
        "/target?module=unix",
        "/trace?target=",
    ] {
        assert_eq!(page(&exporter, nothing).await.status, 404, "{nothing}");
    }
}

/// A probe decodes its target once more than the query, and pages name it as it is written in the targets file.
#[tokio::test]
async fn a_target_is_found_as_it_is_written_and_as_it_is_understood() {
    let exporter = Exporter::start(MODULES, &[]).await;
    // `127.0.0.1:1%2F`, encoded as a query.
    let written = "module=tcp_plain&target=127.0.0.1%3A1%252F";
    exporter.get(&format!("/probe?{written}")).await;
    for query in [written, "module=tcp_plain&target=127.0.0.1%3A1%2F"] {
        let shown = page(&exporter, &format!("/target?{query}")).await;
        assert_eq!(shown.status, 200, "{query}");
    }
}

/// A scraper encodes a target of `/targets` once, and the links and forms of pages are for a target as it is written.
#[tokio::test]
async fn a_target_with_escapes_is_probed_as_it_is_written() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let paths = Arc::clone(&asked);
    let peer = listen(move |mut stream| {
        let paths = Arc::clone(&paths);
        async move {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            paths.lock().unwrap().push(path.to_owned());
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    let escaped = ["/group%2Fproject", "/100%25", "/a+%2B"];
    let mut targets = "targets:\n".to_owned();
    for (index, path) in escaped.iter().enumerate() {
        targets += &format!("- {{name: n{index}, address: 'http://{peer}{path}'}}\n");
    }
    let files = folder(&[("blackbox.yml", MODULES), ("targets.yml", &targets)]);
    let flags = ["--targets.file={dir}/targets.yml", "--web.enable-playground"];
    let exporter = Exporter::start_in(files, &flags).await.unwrap();
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let groups: serde_json::Value = serde_json::from_slice(&exporter.get("/targets").await.body).unwrap();
    for (index, path) in escaped.into_iter().enumerate() {
        let labels = &groups[index]["labels"];
        let text = |label: &str| labels[label].as_str().unwrap().to_owned();
        let address = format!("http://{peer}{path}");
        assert_eq!([text("target"), text("instance")], [address.as_str(), &address]);
        // Before the first probe, the targets file knows it.
        let (unknown, again) = probe_link(&exporter, &format!("target=n{index}")).await;
        assert_eq!(unknown, 404);
        exporter.get(&again).await;
        let scraped = encoded(&text("__param_target"));
        exporter
            .get(&format!("/probe?module=http_2xx&target={scraped}"))
            .await;
        for query in [
            format!("target=n{index}"),
            format!("target={}", encoded(&address)),
        ] {
            let (known, again) = probe_link(&exporter, &query).await;
            assert_eq!(known, 200, "{query}");
            exporter.get(&again).await;
        }
        let fields = format!(
            "text={}&target={}&do=probe",
            encoded(MODULES_HTTP),
            encoded(&address)
        );
        let form = [
            "POST /playground HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded",
            &format!("Content-Length: {}\r\n\r\n{fields}", fields.len()),
        ];
        exporter.raw(form.join("\r\n").as_bytes()).await;
        let asked = std::mem::take(&mut *asked.lock().unwrap());
        assert_eq!(asked, [path; 5]);
    }
}

const MODULES_HTTP: &str = "modules: {m: {prober: http, timeout: 2s}}";

/// The status of the page of a target, and its link that probes it.
async fn probe_link(exporter: &Exporter, query: &str) -> (u16, String) {
    let shown = page(exporter, &format!("/target?{query}")).await;
    let (before, _) = shown.text().split_once("\">Probe it now").unwrap();
    let (_, link) = before.rsplit_once("href=\"").unwrap();
    let link = format!("/{}", link.replace("&#38;", "&"));
    // The command that repeats it asks for the same.
    if shown.status == 200 {
        let command = shown.text().replace("&#38;", "&");
        has(
            command,
            [&format!("curl -g &#39;http://{}{link}&#39;", exporter.address)],
        );
    }
    (shown.status, link)
}

/// What is not known yet, or no longer, is probed as the targets file says.
#[tokio::test]
async fn a_target_without_results_is_looked_up_in_the_targets_file() {
    const TARGETS: &str = "targets:
- {name: my-ping, address: '127.0.0.1:1', module: tcp_plain, hostname: h.example.com, labels: {target: shop, module: tcp}}
- {name: again, address: '127.0.0.1:1', module: tcp_free}
";
    let files = folder(&[("blackbox.yml", MODULES), ("targets.yml", TARGETS)]);
    let exporter = Exporter::start_in(files, &["--targets.file={dir}/targets.yml"])
        .await
        .unwrap();
    let ping = "href=\"probe?module=tcp_plain&#38;target=127.0.0.1:1&#38;hostname=h.example.com&#38;debug=true\">Probe it now";
    let again = "href=\"probe?module=tcp_free&#38;target=127.0.0.1:1&#38;debug=true\">Probe it now";
    for (query, want, not) in [
        (
            "target=my-ping",
            vec![ping, "href=\"target?target=my-ping\">Look again"],
            vec![again],
        ),
        ("module=tcp&target=shop", vec![ping], vec![again]),
        ("target=no&instance=again", vec![again], vec![ping]),
        ("target=127.0.0.1:1", vec![ping, again], vec![]),
        (
            "target=elsewhere:1",
            vec!["href=\"probe?target=elsewhere:1&#38;debug=true\">Probe it now</a>"],
            vec!["no such module"],
        ),
        (
            "module=tcp_free&target=my-ping",
            vec!["module=tcp_free&#38;target=my-ping"],
            vec![ping],
        ),
        (
            "target=",
            vec!["<h1>No target</h1>"],
            vec!["Probe it now", "Look again"],
        ),
    ] {
        let shown = page(&exporter, &format!("/target?{query}")).await;
        assert_eq!(shown.status, 404, "{query}");
        for want in want {
            assert!(shown.text().contains(want), "{query}: {want}: {}", shown.text());
        }
        for not in not {
            assert!(!shown.text().contains(not), "{query}: {not}: {}", shown.text());
        }
    }
}

/// Ten thousand targets: a view is small, and their rows take little memory.
#[tokio::test]
async fn many_targets_are_shown_a_page_at_a_time() {
    const TARGETS: usize = 10_000;
    let exporter = Exporter::start(MODULES, &["--log.prober=none"]).await;
    let loaded = exporter.running.exporter.store.current();
    let module = loaded.modules.get("tcp_plain").unwrap();
    for index in 0..TARGETS {
        let outcome = Outcome {
            success: index % 10 > 0,
            ..passed()
        };
        let target = format!("https://target-{index:05}.example.com/with/a/path?and=a&query=of-some-length");
        let history = &exporter.running.exporter.history;
        history.add(module, &target, None, outcome);
    }
    let first = page(&exporter, "/").await;
    assert!(first.body.len() < 200_000, "{} bytes", first.body.len());
    has(first.text(), ["1 to 50 of 10000"]);
    let last = page(&exporter, "/?page=200").await;
    assert_eq!(rows(&last).len(), 50);
    let one = page(&exporter, "/?search=target-04711").await;
    assert_eq!(rows(&one).len(), 1);
    // The history has room for a hundred; the row is still there.
    let target = "https://target-04711.example.com/with/a/path?and=a%26query=of-some-length";
    let old = page(&exporter, &format!("/target?module=tcp_plain&target={target}")).await;
    assert_eq!(old.status, 200);
    has(old.text(), ["no longer has a probe", "prober: tcp"]);
}

#[tokio::test]
async fn a_failed_reload_is_seen() {
    let exporter = Exporter::start(MODULES, &[]).await;
    std::fs::write(exporter.config_file(), "modules:\n  a: {prober: smoke}\n").unwrap();
    assert_eq!(exporter.request("POST", "/-/reload", &[]).await.status, 500);
    let home = page(&exporter, "/").await;
    has(home.text(), ["The last reload failed", "blackbox.yml:2:15"]);
    let log = exporter.log();
    has(&log, ["2 |   a: {prober: smoke}\n"]);
    std::fs::write(exporter.config_file(), MODULES).unwrap();
    assert_eq!(exporter.request("POST", "/-/reload", &[]).await.status, 200);
    lacks(page(&exporter, "/").await.text(), ["The last reload failed"]);
}

#[tokio::test]
async fn people_get_pages_where_scripts_get_a_line() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let unknown = page(&exporter, "/probe?module=tcp_plane&target=x&debug=true").await;
    assert_eq!(unknown.status, 400);
    let link = "<a href=\"probe?module=tcp_plain&#38;target=x&#38;debug=true\">tcp_plain</a>";
    has(unknown.text(), ["Did you mean tcp_plain?", link]);
    let targets = page(&exporter, "/targets").await;
    assert_eq!(targets.status, 404);
    has(targets.text(), ["--targets.file", "<!doctype html>"]);
}

#[tokio::test]
async fn the_targets_file_is_a_page_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("blackbox.yml"), MODULES).unwrap();
    let targets: String = (0..201)
        .map(|index| {
            format!("- {{name: n{index}, address: 'a{index}.test:1', module: tcp_plain, interval: 5s}}\n")
        })
        .collect();
    std::fs::write(folder.path().join("targets.yml"), format!("targets:\n{targets}")).unwrap();
    let exporter = Exporter::start_in(folder, &["--targets.file={dir}/targets.yml"])
        .await
        .unwrap();
    let shown = page(&exporter, "/targets").await;
    has(shown.text(), [">a199.test:1</a>"]);
    lacks(shown.text(), [">a200.test:1</a>"]);
    has(
        page(&exporter, "/targets?page=2").await.text(),
        [">a200.test:1</a>"],
    );
    for (search, want, not) in [
        ("N200", ">a200.test:1</a>", ">a20.test:1</a>"),
        ("a20.t", ">a20.test:1</a>", ">a200.test"),
    ] {
        let found = page(&exporter, &format!("/targets?search={search}")).await;
        has(found.text(), ["1 of the targets file match.", want]);
        lacks(found.text(), [not]);
    }
    for (path, accept) in [("/targets?format=json", "text/html"), ("/targets", "*/*")] {
        let json = exporter.request("GET", path, &[("Accept", accept)]).await;
        assert_eq!(json.header("content-type"), Some("application/json"), "{path}");
    }
}

/// `// compat:` in `server/endpoints/probe.rs`.
#[tokio::test]
async fn a_person_waits_ten_seconds_where_nobody_says_how_long() {
    let modules = format!("{MODULES}  patient: {{prober: tcp, timeout: 25s}}\n");
    let exporter = Exporter::start(&modules, &[]).await;
    let html = ("Accept", "text/html");
    for (module, headers, want) in [
        ("tcp_free", vec![html], "probe_timeout_seconds 10\n"),
        ("tcp_free", vec![], "probe_timeout_seconds 119.5\n"),
        ("patient", vec![html], "probe_timeout_seconds 25\n"),
        (
            "tcp_free",
            vec![
                ("Accept", "text/html"),
                ("X-Prometheus-Scrape-Timeout-Seconds", "7"),
            ],
            "probe_timeout_seconds 6.5\n",
        ),
    ] {
        let path = format!("/probe?module={module}&target={REFUSED}&debug=true");
        let answer = exporter.request("GET", &path, &headers).await;
        assert!(answer.text().contains(want), "{want}: {}", answer.text());
    }
}

/// An open page is told what changed, and only that.
#[tokio::test]
async fn an_open_page_is_told_what_changed() {
    let exporter = Exporter::start(MODULES, &[]).await;
    exporter.probe("tcp_plain", REFUSED).await;
    let mut stream = tokio::net::TcpStream::connect(exporter.address).await.unwrap();
    let head = format!(
        "GET /events?module=tcp_plain&since=0 HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n",
        exporter.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = String::new();
    until(&mut stream, &mut seen, "\n\n").await;
    has(seen.to_lowercase(), ["\r\nx-accel-buffering: no\r\n"]);
    let (_, events) = seen.split_once("\"order\":[").unwrap_or_default();
    let first = events.split_once(']').unwrap_or_default().0.to_owned();
    has(&seen, ["text/event-stream", &format!("\"{first}\":")]);
    seen.clear();
    exporter.probe("tcp_plain", "127.0.0.1:2").await;
    exporter.probe("tcp_free", REFUSED).await;
    until(&mut stream, &mut seen, &format!(",{first}]")).await;
    has(&seen, ["127.0.0.1:2"]);
    lacks(&seen, [&format!("\"{first}\":")]);
    // Without news, a script still sees that it is connected.
    until(&mut stream, &mut seen, "event: quiet\ndata: 0\n\n").await;
}

async fn until(stream: &mut tokio::net::TcpStream, seen: &mut String, words: &str) {
    let read = async {
        while !seen.contains(words) {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).await.unwrap();
            assert!(length > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read)
        .await
        .unwrap_or_else(|_| panic!("no {words:?}"));
}
