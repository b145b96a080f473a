//! Redirects: methods, headers, credentials, cookies, how far.

use std::time::Duration;

use blackbox_exporter::metrics::Metric;
use blackbox_exporter::prober::{Hop, Phase};
use blackbox_exporter::reason::Reason;
use tokio::net::UdpSocket;

use super::module;
use super::site::{Asked, Site, answer, ok, redirect};
use crate::support::peer::{Peer, send};
use crate::support::{exposition, has, log, probe};

/// A site whose `/` leads to `/next` by this status line.
async fn two_pages(status: &'static str) -> Site {
    Site::with(move |asked: &Asked| match asked.path() {
        "/" => answer(status, &["Location: /next"], "moved"),
        _ => ok(),
    })
    .await
}

#[tokio::test]
async fn methods_and_bodies_follow_gos_rules() {
    for (status, method, want) in [
        ("301 Moved Permanently", "GET", "GET"),
        ("302 Found", "POST", "GET"),
        ("303 See Other", "PUT", "GET"),
        ("303 See Other", "HEAD", "HEAD"),
        ("307 Temporary Redirect", "POST", "POST"),
        ("308 Permanent Redirect", "DELETE", "DELETE"),
    ] {
        let site = two_pages(status).await;
        let body = if matches!(method, "POST" | "PUT") {
            "\nbody: data"
        } else {
            ""
        };
        let outcome = probe(&module(&format!("method: {method}{body}")), &site.url("/")).await;
        assert!(outcome.success, "{status} {method}: {:?}", log(&outcome));
        assert_eq!(outcome.samples.value(Metric::HttpRedirects), Some(1.0));
        let asked = site.asked();
        assert_eq!(
            asked[1].line(),
            format!("{want} /next HTTP/1.1"),
            "{status} {method}"
        );
        let again = if want == method && !body.is_empty() {
            "data"
        } else {
            ""
        };
        assert_eq!(asked[1].body, again.as_bytes(), "{status} {method}");
        assert_eq!(asked[1].header("Referer"), Some(site.url("/").as_str()));
    }
}

/// The next server is not blamed for the time that the body of a redirect took.
#[tokio::test]
async fn a_redirect_whose_body_never_ends_is_where_the_time_went() {
    let head = "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 5\r\n\r\nmov";
    let peer = Peer::play(vec![send(head)]).await;
    let outcome = probe(
        &format!("timeout: 300ms\n{}", module("")),
        &format!("http://{}/", peer.target()),
    )
    .await;
    let failure = outcome.failure.as_ref().unwrap();
    assert_eq!(
        (failure.phase, failure.reason),
        ("transfer", Reason::RequestTimeout)
    );
    has(
        log(&outcome).join("\n"),
        [
            "/next\\\": context deadline exceeded",
            "while reading the body of the redirect",
        ],
    );
    assert_eq!(outcome.samples.value(Metric::HttpRedirects), Some(1.0));
}

/// Go does not look whether there is something in it.
#[tokio::test]
async fn a_body_from_a_file_is_not_sent_again_even_if_it_is_empty() {
    for (status, redirects) in [("307 Temporary Redirect", 0.0), ("302 Found", 1.0)] {
        let site = two_pages(status).await;
        let yaml = module("body_file: /dev/null\nvalid_status_codes: [200, 307]");
        let outcome = probe(&yaml, &site.url("/")).await;
        assert!(outcome.success, "{status}: {:?}", log(&outcome));
        assert_eq!(
            outcome.samples.value(Metric::HttpRedirects),
            Some(redirects),
            "{status}"
        );
    }
}

/// `http://:80/`, and `::`, whose other form Go tries too.
#[tokio::test]
async fn no_host_and_no_address_are_this_machine() {
    for target in ["http://:{port}/next", "http://[::]:{port}/next"] {
        let site = Site::with(move |asked: &Asked| match asked.path() {
            "/" => redirect(target),
            _ => ok(),
        })
        .await;
        let outcome = probe(&module(""), &site.url("/")).await;
        assert!(outcome.success, "{target}: {:?}", log(&outcome));
        let port = site.address.port();
        let host = target
            .split('/')
            .nth(2)
            .map(|host| host.replace("{port}", &port.to_string()));
        assert_eq!(site.asked()[1].header("Host"), host.as_deref());
    }
    let site = Site::answering(ok()).await;
    let outcome = probe(&module(""), &format!("http://[::]:{}/", site.address.port())).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    assert_eq!(outcome.samples.value(Metric::IpProtocol), Some(6.0));
}

/// Upstream mostly says −9.2e9 then.
#[tokio::test]
async fn a_lookup_that_the_timeout_ends_took_the_time_that_was_waited() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let site = Site::answering(redirect("http://name.test/")).await;
    let server = silent.local_addr().unwrap();
    let yaml = format!("timeout: 1s\nresolver: udp://{server}\n{}", module(""));
    let outcome = probe(&yaml, &site.url("/")).await;
    assert!(!outcome.success);
    let exposition = exposition(&outcome);
    let resolve = exposition
        .lines()
        .find_map(|line| line.strip_prefix("probe_http_duration_seconds{phase=\"resolve\"} "));
    let waited: f64 = resolve.unwrap().parse().unwrap();
    assert!((0.5..2.0).contains(&waited), "{waited}");
}

#[tokio::test]
async fn ten_are_followed_and_the_eleventh_is_judged() {
    let site = Site::with(|asked: &Asked| {
        let n: usize = asked.path()[1..].parse().unwrap_or(0);
        if n == 20 {
            ok()
        } else {
            redirect(&format!("/{}", n + 1))
        }
    })
    .await;
    let outcome = probe(&module("valid_status_codes: [302]"), &site.url("/")).await;
    assert!(outcome.success);
    assert_eq!(outcome.samples.value(Metric::HttpRedirects), Some(11.0));
    assert_eq!(site.asked().len(), 11);
    let outcome = probe(&module(""), &site.url("/10")).await;
    assert!(outcome.success, "{:?}", log(&outcome));
    assert_eq!(outcome.samples.value(Metric::HttpRedirects), Some(10.0));
}

#[tokio::test]
async fn a_redirect_that_is_not_followed_is_the_answer() {
    let site = two_pages("302 Found").await;
    let outcome = probe(
        &module("follow_redirects: false\nvalid_status_codes: [302]"),
        &site.url("/"),
    )
    .await;
    assert!(outcome.success);
    assert_eq!(outcome.samples.value(Metric::HttpStatusCode), Some(302.0));
    assert_eq!(site.asked().len(), 1);
    assert!(log(&outcome).contains(&"INFO Received redirect location=\"/next\"".to_owned()));
    assert!(log(&outcome).contains(&"INFO Not following redirect".to_owned()));
}

#[tokio::test]
async fn credentials_stay_with_the_target() {
    for (more, header) in [
        ("basic_auth: {username: u, password: p}", "Authorization"),
        ("bearer_token: t", "Authorization"),
        ("headers: {Cookie: a=b}", "Cookie"),
        ("http_headers: {Cookie: {values: ['a=b']}}", "Cookie"),
    ] {
        // Its own name, although upstream compares with the address only (a deliberate difference).
        let site = Site::with(|asked: &Asked| match asked.path() {
            "/" => redirect("http://localhost:{port}/same"),
            "/same" => redirect("http://127.0.0.2:{port}/other"),
            "/other" => redirect("http://localhost:{port}/back"),
            _ => ok(),
        })
        .await;
        let target = format!("http://localhost:{}/", site.address.port());
        let outcome = probe(&module(more), &target).await;
        // Nobody listens at 127.0.0.2; what was sent until then is what matters.
        assert!(!outcome.success);
        let asked = site.asked();
        let sent: Vec<bool> = asked.iter().map(|a| a.header(header).is_some()).collect();
        assert_eq!(sent, [true, true], "{more}");
    }
    for headers in [
        "headers: {Cookie: a=b, X-A: kept}",
        "http_headers: {Cookie: {values: ['a=b']}, X-A: {values: [kept]}}",
    ] {
        let elsewhere = Site::answering(ok()).await;
        let to = elsewhere.url("/");
        let site = Site::with(move |_: &Asked| redirect(&to.replace("127.0.0.1", "localhost"))).await;
        let more = format!("basic_auth: {{username: u, password: p}}\n{headers}");
        let outcome = probe(&module(&more), &site.url("/")).await;
        assert!(outcome.success, "{headers}: {:?}", log(&outcome));
        let asked = elsewhere.only();
        for name in ["Authorization", "Cookie"] {
            assert!(site.only().header(name).is_some(), "{headers}: {name}");
            assert_eq!(asked.header(name), None, "{headers}");
        }
        assert_eq!(asked.header("X-A"), Some("kept"), "{headers}");
    }
}

#[tokio::test]
async fn a_redirect_to_the_targets_own_name_dials_the_same_address() {
    let site = Site::with(|asked: &Asked| match asked.path() {
        "/" => redirect("http://localhost:{port}/next"),
        _ => ok(),
    })
    .await;
    let target = format!("http://localhost:{}/", site.address.port());
    let outcome = probe(&module(""), &target).await;
    assert!(outcome.success);
    let hops: Vec<_> = outcome
        .timeline
        .hops
        .iter()
        .map(|hop| hop.address.clone())
        .collect();
    let address = Some(site.address.to_string());
    assert_eq!(hops, [address.clone(), address]);
    // Found out once: the second hop asks nobody.
    let looked_up = |hop: &Hop| hop.phases.iter().any(|span| span.phase == Phase::Resolve);
    let looked_up: Vec<_> = outcome.timeline.hops.iter().map(looked_up).collect();
    assert_eq!(looked_up, [true, false]);
}

#[tokio::test]
async fn cookies_come_back() {
    for (more, to) in [
        ("", "/"),
        // Upstream drops them here, because the name is not the address (a deliberate difference).
        ("http_headers: {X-A: {values: [b]}}", "http://localhost:{port}/"),
    ] {
        let site = Site::with(move |asked: &Asked| match asked.header("Cookie") {
            Some(cookies) if cookies.contains("seen=1") => ok(),
            _ => answer(
                "302 Found",
                &[&format!("Location: {to}"), "Set-Cookie: seen=1"],
                "",
            ),
        })
        .await;
        let target = format!("http://localhost:{}/", site.address.port());
        let outcome = probe(&module(more), &target).await;
        assert!(outcome.success, "{more}: {:?}", log(&outcome));
        assert_eq!(site.asked()[1].header("Cookie"), Some("seen=1"), "{more}");
    }
}

#[tokio::test]
async fn phases_are_summed_and_each_round_trip_is_told() {
    let pause = Duration::from_millis(100);
    let site = Site::with(move |asked: &Asked| {
        std::thread::sleep(pause);
        match asked.path() {
            "/" => redirect("/next"),
            _ => ok(),
        }
    })
    .await;
    let outcome = probe(&module(""), &site.url("/")).await;
    let lines = log(&outcome);
    for i in 0..2 {
        let start = format!("DEBUG Response timings for roundtrip roundtrip={i} start=");
        assert!(lines.iter().any(|line| line.starts_with(&start)), "{lines:?}");
    }
    let text = exposition(&outcome);
    for phase in ["resolve", "connect", "tls", "processing", "transfer"] {
        has(
            &text,
            [&format!("probe_http_duration_seconds{{phase=\"{phase}\"}}")],
        );
    }
    let processing = "probe_http_duration_seconds{phase=\"processing\"} ";
    let processing = text
        .lines()
        .find_map(|line| line.strip_prefix(processing))
        .unwrap();
    assert!(
        processing.parse::<f64>().unwrap() >= 2.0 * pause.as_secs_f64(),
        "{processing}"
    );
    assert_eq!(outcome.timeline.hops.len(), 2);
}

#[tokio::test]
async fn a_location_that_is_no_url_ends_the_probe() {
    for location in ["http://[bad/", "/%zz", "ftp://127.0.0.1/", "http://127.0.0.1:x/"] {
        let site = Site::answering(redirect(location)).await;
        let outcome = probe(&module("valid_status_codes: [302]"), &site.url("/")).await;
        assert!(!outcome.success, "{location}");
        has(log(&outcome).join("\n"), ["Error for HTTP request"]);
    }
}

/// A place of any length is followed, but only its beginning is kept for those who look at the probe.
#[tokio::test]
async fn long_places_are_followed_and_told_in_short() {
    let place = format!("/next?{}", "x".repeat(100_000));
    let site = Site::with(move |asked: &Asked| match asked.path() {
        "/" => answer("302 Found", &[&format!("Location: {place}")], ""),
        _ => ok(),
    })
    .await;
    let outcome = probe(&module("method: GET"), &site.url("/")).await;
    assert!(outcome.success);
    assert_eq!(
        site.asked()[1].line().len(),
        "GET /next? HTTP/1.1".len() + 100_000
    );
    for line in log(&outcome) {
        assert!(line.len() < 2500, "{} bytes: {}", line.len(), &line[..100]);
    }
    for hop in &outcome.timeline.hops {
        assert!(hop.name.len() < 1100, "{} bytes", hop.name.len());
    }
}
