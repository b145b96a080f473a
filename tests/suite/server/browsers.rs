//! What pages of other sites can make a browser do.

use super::{MODULES, REFUSED};
use crate::support::{Exporter, lacks, parse};

/// As a script of another site sends it, and a form.
const FOREIGN: [&[(&str, &str)]; 3] = [
    &[
        ("Origin", "https://evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
    ],
    &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")],
    &[("Origin", "http://evil.example:9115")],
];

#[tokio::test]
async fn another_site_neither_reloads_nor_probes() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let probe = format!("/probe?module=tcp_plain&target={REFUSED}");
    for headers in FOREIGN {
        for (method, path) in [("POST", "/-/reload"), ("GET", &*probe), ("POST", &*probe)] {
            let answer = exporter.request(method, path, headers).await;
            assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
            assert!(
                answer.text().starts_with("cross-origin request refused: "),
                "{}",
                answer.text()
            );
        }
        assert_eq!(exporter.request("GET", "/config", headers).await.status, 200);
    }
    assert_eq!(exporter.running.exporter.instruments.probes_in_flight(), 0);
    lacks(exporter.log(), ["Reloaded config file"]);
}

#[tokio::test]
async fn people_and_programs_go_on() {
    let exporter = Exporter::start(MODULES, &[]).await;
    let probe = format!("/probe?module=tcp_plain&target={REFUSED}");
    let origin = format!("http://{}", exporter.address);
    let own: &[(&str, &str)] = &[("Origin", &origin), ("Sec-Fetch-Site", "same-origin")];
    let plain: &[(&str, &str)] = &[("Origin", &origin)];
    let clicked: &[(&str, &str)] = &[
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-User", "?1"),
        ("Sec-Fetch-Dest", "document"),
    ];
    for (headers, reloads) in [(own, 200), (plain, 200), (&[], 200), (clicked, 403)] {
        assert_eq!(
            exporter.request("GET", &probe, headers).await.status,
            200,
            "{headers:?}"
        );
        let reload = exporter.request("POST", "/-/reload", headers).await;
        assert_eq!(reload.status, reloads, "{headers:?}");
    }
}

#[tokio::test]
async fn a_name_that_was_bound_anew_is_refused() {
    let ask = async |exporter: &Exporter, host: &str| {
        let head = format!("GET /config HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        parse(&exporter.raw(head.as_bytes()).await).status
    };
    let flags = ["--web.allowed-hosts=bbe.test,*.corp.test"];
    let (any, some) = (
        Exporter::start(MODULES, &[]).await,
        Exporter::start(MODULES, &flags).await,
    );
    for (host, status) in [
        ("evil.example:9115", 421),
        ("bbe.test:9115", 200),
        ("a.corp.test", 200),
        ("127.0.0.1:9115", 200),
    ] {
        assert_eq!(ask(&any, host).await, 200, "{host}");
        assert_eq!(ask(&some, host).await, status, "{host}");
    }
}
