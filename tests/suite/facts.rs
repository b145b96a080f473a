//! `exposition.certificates`: what is told of the certificates of every hop and of TLS, in metrics, log and pages.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use blackbox_exporter::config::{self, Prober};
use blackbox_exporter::metrics::{Labels, Metric, Sample};
use blackbox_exporter::net::Network;
use blackbox_exporter::prober::{self, Outcome, ProbeRequest};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

use crate::http::site::{Site, ok};
use crate::support::pki::{self, Cert, Made, common_name, pem};
use crate::support::probing::{PATIENT, compile, log_of, run};
use crate::support::{Exporter, has, lacks};

/// A server whose responses are these.
async fn serve(chain: &[&Made], says: &str) -> SocketAddr {
    let config = pki::server_config(pki::certified(chain), &[&TLS12, &TLS13]);
    pki::saying(config, says.replace('\n', "\r\n").into_bytes()).await
}

/// The series of a family, as their label values and their value.
fn rows(outcome: &Outcome, metric: Metric) -> Vec<String> {
    let row = |labels: &Labels, value: f64| match labels {
        Labels::Values(values) => format!("{} = {value}", values.join(" ")),
        other => panic!("{other:?}"),
    };
    let samples = outcome.samples.family(metric);
    samples.map(|sample| row(sample.labels, sample.value)).collect()
}

/// The case of a certificate that ends soon and hides behind a redirect.
#[tokio::test(flavor = "multi_thread")]
async fn the_certificates_of_every_hop_are_exposed_and_shown() {
    let root = Cert::ca("Root").self_signed();
    let named = |name: &str, serial: u8, until| {
        let cert = Cert::leaf().subject(common_name(name)).serial(&[serial]);
        cert.years(2020, until).by(&root)
    };
    let (near, far) = (named("near", 7, 2027), named("far", 8, 2040));
    let end = serve(&[&far], "HTTP/1.1 200 OK\nContent-Length: 0\n\n").await;
    let redirect = format!("HTTP/1.1 302 Found\nLocation: https://{end}/\nContent-Length: 0\n\n");
    let start = serve(&[&near, &root], &redirect).await;
    let section = format!(
        "{{tls_config: {{insecure_skip_verify: true, ca: {:?}}}}}",
        pem("CERTIFICATE", &root.der)
    );
    let config = format!(
        "exposition: {{certificates: true}}\nmodules:\n  on: {{prober: http, http: {section}}}\n  \
         off: {{prober: http, certificates: false, http: {section}}}\n"
    );
    let exporter = Exporter::start(&config, &[]).await;
    let answer = exporter
        .get(&format!("/probe?module=on&target=https://{start}/"))
        .await;
    let until = |year: i64| {
        (i64::from(u8::try_from((year - 2000) / 4).unwrap()) * 1461
            + (year % 4) * 365
            + i64::from(year % 4 > 0)
            + 10_957)
            * 86_400
    };
    #[allow(clippy::cast_precision_loss, reason = "seconds of dates fit")]
    for (series, value) in [
        (
            "probe_ssl_cert_not_after{chain_pos=\"0\",issuer=\"CN=Root\",serialnumber=\"07\",subject=\"CN=near\"}",
            until(2027) as f64,
        ),
        (
            "probe_ssl_cert_not_after{chain_pos=\"0\",issuer=\"CN=Root\",serialnumber=\"08\",subject=\"CN=far\"}",
            until(2040) as f64,
        ),
        (
            "probe_ssl_cert_not_before{chain_pos=\"1\",issuer=\"CN=Root\",serialnumber=\"1234\",subject=\"CN=Root\"}",
            until(2020) as f64,
        ),
        (
            "probe_ssl_cert_info{chain_pos=\"0\",issuer=\"CN=Root\",key_algorithm=\"ECDSA\",key_bits=\"256\",serialnumber=\"07\",signature_algorithm=\"ECDSA-SHA256\",subject=\"CN=near\"}",
            1.0,
        ),
        ("probe_ssl_earliest_cert_expiry", until(2040) as f64),
        ("probe_ssl_scts", 0.0),
    ] {
        assert_eq!(answer.sample(series), Some(value), "{series}: {}", answer.text());
    }
    // Nobody is trusted, so nobody knows whether a certificate is missing.
    lacks(answer.text(), ["probe_ssl_chain_incomplete"]);
    let plain = exporter
        .get(&format!("/probe?module=off&target=https://{start}/"))
        .await;
    lacks(plain.text(), ["probe_ssl_cert_"]);
    for id in 0..2 {
        let page = exporter
            .request("GET", &format!("/logs?id={id}"), &[("Accept", "text/html")])
            .await;
        has(page.text(), ["<b>CN=near</b>", "<b>CN=far</b>"]);
    }
}

#[tokio::test]
async fn every_prober_that_speaks_tls_has_its_families() {
    let root = Cert::ca("Root").self_signed();
    let leaf = Cert::leaf().by(&root);
    let address = serve(&[&leaf], "HTTP/1.1 200 OK\n\n").await;
    let tls = config::Tls {
        ca: pem("CERTIFICATE", &root.der),
        server_name: "v4.test".to_owned(),
        ..config::Tls::default()
    };
    for prober in [Prober::Tcp, Prober::Grpc, Prober::Websocket, Prober::Dns] {
        for switch in [None, Some(true)] {
            let mut raw = config::Module::new(prober);
            raw.exposition.certificates = switch;
            (raw.tcp.tls, raw.grpc.tls, raw.dns.dns_over_tls) = (true, true, true);
            *raw.tcp.tls_config = tls.clone();
            *raw.grpc.tls_config = tls.clone();
            *raw.dns.tls_config = tls.clone();
            raw.websocket.http_config = Some(config::HttpClient {
                tls_config: tls.clone().into(),
                ..config::HttpClient::default()
            });
            (raw.dns.query_name, raw.dns.transport_protocol) = ("a.test".to_owned(), "tcp".to_owned());
            let scheme = if prober == Prober::Websocket { "wss://" } else { "" };
            let outcome = run(raw, &format!("{scheme}{address}"), PATIENT).await;
            let told = log_of(&outcome);
            let has = |metric| outcome.samples.family(metric).next().is_some();
            assert_eq!(has(Metric::TlsCipherInfo), switch.is_some(), "{prober:?}: {told}");
            assert_eq!(has(Metric::SslCertInfo), switch.is_some(), "{prober:?}: {told}");
            if matches!(prober, Prober::Websocket | Prober::Dns) {
                for metric in [
                    Metric::SslEarliestCertExpiry,
                    Metric::SslLastChainExpiry,
                    Metric::SslLastChainInfo,
                    Metric::TlsVersionInfo,
                ] {
                    assert_eq!(has(metric), switch.is_some(), "{prober:?}: {metric:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_missing_intermediate_is_told_with_where_to_find_it() {
    let root = Cert::ca("Root").self_signed();
    let middle = Cert::ca("Middle").by(&root);
    let leaf = Cert::leaf()
        .authority("", "http://ca.test/middle.der")
        .by(&middle);
    let stray = Cert::leaf().self_signed();
    let private = Cert::leaf().by(&Cert::ca("Private").self_signed());
    let below_root = Cert::leaf().subject(common_name("other")).by(&root);
    let line = "WARN The server left out a certificate of its chain sent=1 missing=\"CN=Middle\" issuer_of=\"CN=leaf\" \
                browsers_fetch_it_from=\"http://ca.test/middle.der\"";
    #[rustfmt::skip]
    let table = [
        ("whole", vec![&leaf, &middle], false, "v4.test", Some(0.0)),
        ("with its root", vec![&leaf, &middle, &root], false, "v4.test", Some(0.0)),
        ("in disorder, for another name", vec![&leaf, &root, &middle], false, "other.test", Some(0.0)),
        ("cut", vec![&leaf], false, "v4.test", Some(1.0)),
        ("cut, for another name", vec![&leaf], false, "other.test", Some(1.0)),
        ("nobody trusted", vec![&leaf], true, "v4.test", None),
        ("signed by itself", vec![&stray], false, "v4.test", Some(0.0)),
        ("below a private root", vec![&private], false, "v4.test", None),
        ("below the root, for another name", vec![&below_root], false, "other.test", Some(0.0)),
    ];
    for (name, chain, blind, host, want) in table {
        let address = serve(&chain, "").await;
        let mut raw = config::Module::new(Prober::Tcp);
        raw.exposition.certificates = Some(true);
        raw.tcp.tls = true;
        *raw.tcp.tls_config = config::Tls {
            ca: pem("CERTIFICATE", &root.der),
            server_name: host.to_owned(),
            insecure_skip_verify: blind,
            ..config::Tls::default()
        };
        let outcome = run(raw, &address.to_string(), PATIENT).await;
        let told = log_of(&outcome);
        assert_eq!(
            outcome.samples.value(Metric::SslChainIncomplete),
            want,
            "{name}: {told}"
        );
        assert_eq!(told.contains(line), want == Some(1.0), "{name}: {told}");
        assert_eq!(
            rows(&outcome, Metric::SslCertNotAfter).len(),
            chain.len(),
            "{name}"
        );
    }
}

/// A probe of what a server presents, which nobody judges.
async fn shown(address: SocketAddr) -> Outcome {
    let mut raw = config::Module::new(Prober::Tcp);
    raw.exposition.certificates = Some(true);
    raw.tcp.tls = true;
    raw.tcp.tls_config.insecure_skip_verify = true;
    run(raw, &address.to_string(), PATIENT).await
}

#[tokio::test]
async fn embedded_timestamps_are_counted() {
    const ID: &str = "1.3.6.1.4.1.11129.2.4.2";
    for (value, want) in [
        (&[4, 10, 0, 8, 0, 2, 1, 2, 0, 2, 3, 4][..], 2.0),
        (&[4, 2, 0, 0], 0.0),
        (&[4, 10, 0, 9, 0, 2, 1, 2, 0, 2, 3, 4], 0.0),
        (&[4, 10, 0, 8, 0, 2, 1, 2, 0, 9, 3, 4], 1.0),
        (&[5, 0], 0.0),
        (&[], 0.0),
    ] {
        let leaf = Cert::leaf().extension(ID, false, value).self_signed();
        let address = serve(&[&leaf], "").await;
        let outcome = shown(address).await;
        assert_eq!(
            outcome.samples.value(Metric::SslScts),
            Some(want),
            "{value:?}: {}",
            log_of(&outcome)
        );
    }
}

/// A last hop without TLS has no timestamps; those of an earlier one are not its own.
#[tokio::test]
async fn timestamps_are_those_of_the_last_hop() {
    let site = Site::answering(ok()).await;
    let plain = site.url("/");
    for (location, success) in [(plain.as_str(), true), ("https://127.0.0.1:1/", false)] {
        let redirect = format!("HTTP/1.1 302 Found\nLocation: {location}\nContent-Length: 0\n\n");
        let address = serve(&[&Cert::leaf().self_signed()], &redirect).await;
        let mut raw = config::Module::new(Prober::Http);
        raw.exposition.certificates = Some(true);
        raw.http.client.tls_config.insecure_skip_verify = true;
        let outcome = run(raw, &format!("https://{address}/"), PATIENT).await;
        assert_eq!(outcome.success, success, "{}", log_of(&outcome));
        assert_eq!(rows(&outcome, Metric::SslCertNotAfter).len(), 1);
        assert_eq!(outcome.samples.value(Metric::SslScts), None, "{location}");
    }
}

/// A server may present hundreds of certificates, with names as long as a record.
#[tokio::test]
async fn what_a_server_presents_is_bounded() {
    let long = Cert::leaf().subject(common_name(&"n".repeat(1050))).self_signed();
    let chain: Vec<&Made> = std::iter::repeat_n(&long, 22).collect();
    let address = serve(&chain, "").await;
    let outcome = shown(address).await;
    let rows = rows(&outcome, Metric::SslCertNotAfter);
    assert_eq!(rows.len(), 20, "{}", log_of(&outcome));
    assert!(rows.iter().all(|row| row.len() < 2200), "{}", rows[0].len());
}

/// The certificates of the conformance suite, several times in one process: what was verified before changes no answer.
#[tokio::test]
async fn certificates_of_the_conformance_suite_get_the_same_answers_again() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/certs");
    let read = |name: &str| std::fs::read(format!("{folder}/{name}")).unwrap();
    let root = String::from_utf8(read("root.pem")).unwrap();
    let mut servers = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".chain.pem") else {
            continue;
        };
        let chain = CertificateDer::pem_slice_iter(&read(&file))
            .map(Result::unwrap)
            .collect();
        let key = PrivateKeyDer::from_pem_slice(&read(&format!("{name}.key"))).unwrap();
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let config = pki::server_config(rustls::sign::CertifiedKey::new(chain, key), &[&TLS12, &TLS13]);
        servers.push((name.to_owned(), pki::serve(config).await));
    }
    assert!(servers.len() > 15);
    let network = Network::system();
    let answers = async |servers: Vec<&(String, SocketAddr)>| {
        let mut answers = BTreeMap::new();
        for (name, address) in servers {
            for host in ["v4.test", "192.0.2.1"] {
                let mut raw = config::Module::new(Prober::Tcp);
                raw.exposition.certificates = Some(true);
                raw.tcp.tls = true;
                *raw.tcp.tls_config = config::Tls {
                    ca: root.clone(),
                    server_name: host.to_owned(),
                    ..config::Tls::default()
                };
                let target = address.to_string();
                let request = ProbeRequest {
                    target: &target,
                    hostname: None,
                    timeout: PATIENT,
                };
                let outcome = prober::run(&network, &compile(raw), request).await;
                let of_tls = |sample: &Sample<'_>| sample.metric.family().name.contains("ssl");
                let samples = outcome.samples.iter().filter(of_tls);
                let samples: Vec<_> = samples
                    .map(|sample| (sample.metric, sample.labels.clone(), sample.value))
                    .collect();
                let log = log_of(&outcome);
                // How late it is said to be is another matter.
                let said = |line: &str| line.split("current time ").next().unwrap_or_default().to_owned();
                let errors: Vec<_> = log
                    .lines()
                    .filter(|line| line.contains("err="))
                    .map(said)
                    .collect();
                answers.insert((name.clone(), host), (outcome.success, samples, errors));
            }
        }
        answers
    };
    let first = answers(servers.iter().collect()).await;
    let good = first.values().filter(|(success, ..)| *success).count();
    assert!(good > 5 && good < first.len() / 2, "{good} of {}", first.len());
    for servers in [servers.iter().collect::<Vec<_>>(), servers.iter().rev().collect()] {
        for (again, before) in answers(servers).await.iter().zip(&first) {
            assert_eq!(again, before);
        }
    }
}
