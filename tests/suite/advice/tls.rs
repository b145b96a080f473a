//! TLS.

use std::io::Write as _;

use rustls::version::{TLS12, TLS13};

use super::Table;
use crate::support::has;
use crate::support::peer::{Move, Peer, send};
use crate::support::pki::{Cert, certified, common_name, serve, server_config, tlv};

/// Where the certificate of an issuer is to be had.
fn issuer_url(url: &str) -> Vec<u8> {
    let method = crate::support::pki::oid("1.3.6.1.5.5.7.48.2");
    let access = tlv(0x30, &[&method, &tlv(0x86, &[url.as_bytes()])]);
    tlv(0x30, &[&access])
}

#[tokio::test]
async fn handshakes() {
    let mut table = Table::new("TLS");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let root = Cert::ca("Test Root").self_signed();
    let middle = Cert::ca("Test Intermediate").by(&root);
    file.write_all(crate::support::pki::pem("CERTIFICATE", &root.der).as_bytes())
        .unwrap();
    let mut old_file = tempfile::NamedTempFile::new().unwrap();
    let old_root = Cert::ca("Old Root").years(2020, 2024).self_signed();
    old_file
        .write_all(crate::support::pki::pem("CERTIFICATE", &old_root.der).as_bytes())
        .unwrap();
    let by = |file: &tempfile::NamedTempFile, name: &str| {
        format!(
            "prober: tcp\ntimeout: 5s\ntcp: {{tls: true, tls_config: {{ca_file: {}, server_name: {name}}}}}",
            file.path().display()
        )
    };
    let trusting = |name: &str| by(&file, name);
    let namesake = Cert::ca("Test Root").self_signed();
    let for_clients = Cert::ca("Clients' CA").purposes(&["1.3.6.1.5.5.7.3.2"]).by(&root);
    let plain = "prober: tcp\ntimeout: 5s\ntcp: {tls: true, tls_config: {server_name: www.test}}";
    let leaf = || {
        Cert::leaf()
            .subject(common_name("www.test"))
            .names(&["www.test", "test"])
    };
    let url = "http://ca.test/intermediate.crt";
    let with_url = || leaf().extension("1.3.6.1.5.5.7.1.1", false, &issuer_url(url));
    #[rustfmt::skip]
    let rows = [
        ("The intermediate is missing, and browsers know where it is", vec![with_url().by(&middle)], trusting("www.test")),
        ("The intermediate is missing", vec![leaf().by(&middle)], trusting("www.test")),
        ("A private CA", vec![leaf().by(&root), root.clone()], plain.to_owned()),
        ("Self-signed", vec![leaf().subject(common_name("www.test")).self_signed()], plain.to_owned()),
        ("Another name", vec![leaf().by(&root)], trusting("other.test")),
        ("Another name, below a wildcard", vec![leaf().names(&["*.svc.test"]).by(&root)], trusting("www.test")),
        ("An address instead of a name", vec![leaf().by(&root)], trusting("127.0.0.1")),
        ("No names at all", vec![leaf().without("2.5.29.17").by(&root)], trusting("www.test")),
        ("An address as a DNS name", vec![leaf().without("2.5.29.17").extension("2.5.29.17", false, &tlv(0x30, &[&tlv(0x82, &[b"127.0.0.1"])])).by(&root)], trusting("127.0.0.1")),
        ("A wildcard that covers nothing", vec![leaf().names(&["www.*.test"]).by(&root)], trusting("www.a.test")),
        ("Another CA of the same name", vec![leaf().by(&namesake)], trusting("www.test")),
        ("The trusted CA has expired", vec![leaf().by(&old_root)], by(&old_file, "www.test")),
        ("An intermediate that is not for servers", vec![leaf().by(&for_clients), for_clients.clone()], trusting("www.test")),
        ("Not for servers", vec![leaf().purposes(&["1.3.6.1.5.5.7.3.2"]).by(&root)], trusting("www.test")),
    ];
    for (situation, chain, yaml) in rows {
        let chain: Vec<_> = chain.iter().collect();
        let address = serve(server_config(certified(&chain), &[&TLS13, &TLS12])).await;
        table.row(situation, &yaml, &address.to_string()).await;
    }
    // Their advice says how long ago, or how long still.
    for (years, words) in [((2020, 2024), "expired "), ((2038, 2040), "becomes valid in ")] {
        let chain = leaf().years(years.0, years.1).by(&root);
        let address = serve(server_config(certified(&[&chain]), &[&TLS13])).await;
        let outcome = crate::support::probe(&trusting("www.test"), &address.to_string()).await;
        let said = outcome.advice.clone().unwrap();
        has(&said, [words, "date -u"]);
        let number = said
            .split(words)
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned();
        let situation = if years.0 == 2020 {
            "Expired"
        } else {
            "Not valid yet"
        };
        table.add(situation, &outcome, "", &[(&number, "N")]);
    }
    let mysql = b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0";
    #[rustfmt::skip]
    let peers: [(&str, Vec<Move>); 10] = [
        ("The port responds in HTTP", vec![Move::Read(5), send("HTTP/1.1 400 Bad Request\r\n\r\n"), Move::Close]),
        ("The port speaks SSH", vec![send("SSH-2.0-OpenSSH_9.6\r\n"), Move::Close]),
        ("The server greets in the clear, and upgrades later", vec![send("220 mail.test ESMTP\r\n"), Move::Close]),
        ("The port speaks HTTP/2", vec![send([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]), Move::Close]),
        ("The port speaks MySQL", vec![send(mysql), Move::Close]),
        ("The port speaks something else", vec![send("-ERR what?\r\n"), Move::Close]),
        ("The server closes", vec![Move::Read(5), Move::Close]),
        ("The server demands a client certificate", vec![Move::Read(5), send([21, 3, 3, 0, 2, 2, 116]), Move::Close]),
        ("Nothing in common", vec![Move::Read(5), send([21, 3, 3, 0, 2, 2, 40]), Move::Close]),
        ("The server does not know the name", vec![Move::Read(5), send([21, 3, 3, 0, 2, 2, 112]), Move::Close]),
    ];
    for (situation, moves) in peers {
        let peer = Peer::play(moves).await;
        table.row(situation, plain, &peer.target()).await;
    }
    let page = Peer::play(vec![Move::Read(5), send("<!DOCTYPE HTML>\n<html>"), Move::Close]).await;
    table
        .row("The port responds with a page", plain, &page.target())
        .await;
    let starttls = "prober: tcp\ntimeout: 1s\ntcp: {query_response: [{expect: '^220', starttls: true}], tls_config: {insecure_skip_verify: true}}";
    // Reading CA certificates alone can take that long here.
    let slow = "prober: tcp\ntimeout: 1s\ntcp: {tls: true, tls_config: {insecure_skip_verify: true}}";
    #[rustfmt::skip]
    let silent = [
        ("The server does not respond", slow, vec![Move::Read(5)]),
        ("The server begins to respond in TLS", slow, vec![Move::Read(5), send([22, 3, 3, 0, 100, 2])]),
        ("A server greets late", "prober: tcp\ntimeout: 1s\ntcp: {starttls: smtp}", vec![send("220-mail.test\r\n")]),
        ("MySQL where another server is expected", "prober: tcp\ntimeout: 1s\ntcp: {starttls: imap}", vec![send(mysql)]),
        ("Silence after STARTTLS", starttls, vec![send("220 mail.test ESMTP\r\n")]),
    ];
    for (situation, yaml, moves) in silent {
        let peer = Peer::play(moves).await;
        table.row(situation, yaml, &peer.target()).await;
    }
    table.check();
}
