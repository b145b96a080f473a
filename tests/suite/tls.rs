//! TLS: verdicts on certificates, and what is told of handshakes.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest;
use blackbox_exporter::config;
use blackbox_exporter::metrics::{Labels, Metric, Samples};
use blackbox_exporter::net::Deadline;
use blackbox_exporter::net::tls::{Alpn, ClientTls, HandshakeError, Roots, Session};
use blackbox_exporter::net::tls_facts::{FactSet, TlsFacts};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::support::pki::{self, Cert, Made, attribute, common_name, pem, tlv};
use super::support::programs::{find, openssl};
use super::support::tls_peer::Identity;
use super::support::{TIMEOUT, log, probe};

type Shaken = Result<Session<TcpStream>, Box<HandshakeError>>;

fn never() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_secs(3600))
}

async fn shake(address: std::net::SocketAddr, raw: &config::Tls, name: &str) -> Shaken {
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(10));
    let prepared = ClientTls::new(raw.clone())
        .prepare(&Roots::default(), never())
        .await
        .unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    prepared.handshake(stream, name, Alpn::None, deadline).await
}

fn trusting(authorities: &[&Made]) -> config::Tls {
    config::Tls {
        ca: authorities
            .iter()
            .map(|made| pem("CERTIFICATE", &made.der))
            .collect(),
        ..config::Tls::default()
    }
}

/// A certificate situation and what becomes of it.
struct Row {
    name: &'static str,
    /// As presented, the server's own first.
    chain: Vec<Made>,
    /// Empty: nothing is verified.
    trusted: Vec<Made>,
    host: &'static str,
    /// `ok <chains> <year the last chain ends>`, or Go's error.
    want: String,
}

const SERVER: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT: &str = "1.3.6.1.5.5.7.3.2";
const ANY: &str = "2.5.29.37.0";
const UNKNOWN: &str = "x509: certificate signed by unknown authority";
const EXPIRED: &str =
    "x509: certificate has expired or is not yet valid: current time NOW is after 2021-01-01T00:00:00Z";
const TOO_EARLY: &str =
    "x509: certificate has expired or is not yet valid: current time NOW is before 2099-01-01T00:00:00Z";

const NAMELESS: &str = "x509: certificate is not valid for any names, but wanted to match v4.test";
const FINE: &str = "ok 1 2040";

fn because(why: &str, candidate: &str) -> String {
    format!(
        "{UNKNOWN} (possibly because of \"x509: {why}\" while trying to verify candidate authority certificate \"{candidate}\")"
    )
}

fn not_authorized(why: &str) -> String {
    format!("x509: a root or intermediate certificate is not authorized to sign for this name: {why}")
}

fn unreadable(why: &str) -> String {
    format!("tls: failed to parse certificate from server: x509: {why}")
}

fn not_for(names: &str, asked: &str) -> String {
    format!("x509: certificate is valid for {names}, not {asked}")
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn situations() -> Vec<Row> {
    let root = Cert::ca("Root").years(2020, 2050).self_signed();
    let other = Cert::ca("Other").self_signed();
    let inter = Cert::ca("Inter").years(2020, 2045).by(&root);
    let direct = Cert::leaf().by(&root);
    let leaf = Cert::leaf().by(&inter);
    let mut rows = Vec::new();
    let mut push = |name, chain: &[&Made], trusted: &[&Made], host, want: String| {
        let owned = |list: &[&Made]| list.iter().copied().cloned().collect();
        rows.push(Row {
            name,
            chain: owned(chain),
            trusted: owned(trusted),
            host,
            want,
        });
    };
    /// A chain, whom the client trusts, the name that it asks for unless that is v4.test, and what becomes of it.
    macro_rules! add {
        ($name:tt: [$($chain:expr),+] under [$($trusted:expr),*] $(for $host:literal)? => $want:expr) => {
            push($name, &[$(&$chain),+], &[$(&$trusted),*], [$($host,)? "v4.test"][0], $want.into())
        };
    }

    // Chains.
    add!("issued by the root": [direct] under [root] => FINE);
    add!("through an intermediate": [leaf, inter] under [root] => FINE);
    add!("intermediate missing": [leaf] under [root] => UNKNOWN);
    add!("intermediate trusted": [leaf] under [inter] => FINE);
    add!("intermediate trusted and presented": [leaf, inter] under [inter] => FINE);
    add!("both trusted": [leaf, inter] under [root, inter] => "ok 2 2040");
    add!("root before intermediate": [leaf, root, inter] under [root] => FINE);
    add!("a stranger between": [leaf, other, inter] under [root] => FINE);
    add!("leaf twice": [leaf, leaf, inter] under [root] => FINE);
    add!("intermediate thrice": [leaf, inter, inter, inter] under [root] => FINE);
    add!("unknown root presented": [direct, root] under [other] => UNKNOWN);
    let old = Cert::leaf().years(2020, 2021).by(&root);
    add!("an expired stranger behind": [leaf, inter, old] under [root] => FINE);
    let selfie = Cert::leaf().self_signed();
    add!("self-signed and trusted": [selfie] under [selfie] => FINE);
    add!("self-signed and not trusted": [selfie] under [root] => UNKNOWN);
    let ca_leaf = Cert::leaf().basic(true, None).usage(0x84, 2).self_signed();
    add!("self-signed CA and trusted": [ca_leaf] under [ca_leaf] => FINE);
    let ca_leaf = Cert::leaf().basic(true, None).by(&root);
    add!("a CA as the server": [ca_leaf] under [root] => FINE);
    let stray = Cert::leaf().by(&other);
    add!("trusted itself, its issuer not": [stray] under [stray] => FINE);
    let cross = Cert::ca("Inter").key(&inter.key).years(2020, 2030).by(&other);
    add!("two ways up": [leaf, inter, cross] under [root, other] => "ok 2 2040");
    add!("two ways up, one trusted": [leaf, inter, cross] under [other] => "ok 1 2030");
    let renewed = Cert::ca("Root").key(&root.key).years(2020, 2035).self_signed();
    add!("two roots with one key": [direct] under [root, renewed] => "ok 2 2040");
    let namesake = Cert::ca("Root").self_signed();
    add!("a namesake of the root too": [direct] under [namesake, root] => FINE);
    add!("a namesake of the root": [direct] under [namesake] => because("ECDSA verification failure", "Root"));
    let keyed_root = Cert::ca("Keyed").key_ids(&[1], &[1]).self_signed();
    let keyed = Cert::leaf().key_ids(&[9], &[2]).by(&keyed_root);
    add!("key identifiers that differ": [keyed] under [keyed_root] => FINE);
    let deep = Cert::ca("Deep").by(&inter);
    let deeper = Cert::leaf().by(&deep);
    add!("two intermediates": [deeper, deep, inter] under [root] => FINE);

    // Time.
    add!("expired": [old] under [root] => EXPIRED);
    let early = Cert::leaf().years(2099, 2100).by(&root);
    add!("not yet valid": [early] under [root] => TOO_EARLY);
    let old_inter = Cert::ca("Inter").years(2020, 2021).by(&root);
    let below_old = Cert::leaf().by(&old_inter);
    add!("intermediate expired": [below_old, old_inter] under [root] => EXPIRED);
    let old_root = Cert::ca("Old Root").years(2020, 2021).self_signed();
    let below_old = Cert::leaf().by(&old_root);
    add!("root expired": [below_old] under [old_root] => EXPIRED);
    let old_self = Cert::leaf().years(2020, 2021).self_signed();
    add!("trusted itself and expired": [old_self] under [old_self] => EXPIRED);

    // Names.
    add!("another name": [direct] under [root] for "wrong.test" => not_for("v4.test", "wrong.test"));
    add!("upper case": [direct] under [root] for "V4.Test" => FINE);
    add!("final dot": [direct] under [root] for "v4.test." => FINE);
    add!("two final dots": [direct] under [root] for "v4.test.." => not_for("v4.test", "v4.test.."));
    let wild = Cert::leaf().names(&["*.v4.test"]).by(&root);
    add!("wildcard": [wild] under [root] for "a.v4.test" => FINE);
    add!("wildcard and underscore": [wild] under [root] for "a_b.v4.test" => FINE);
    add!("wildcard, two labels": [wild] under [root] for "a.b.v4.test" => not_for("*.v4.test", "a.b.v4.test"));
    add!("wildcard, no label": [wild] under [root] => not_for("*.v4.test", "v4.test"));
    let part = Cert::leaf().names(&["w*.v4.test"]).by(&root);
    add!("part of a label": [part] under [root] for "www.v4.test" => not_for("w*.v4.test", "www.v4.test"));
    let addresses = Cert::leaf().names(&["127.0.0.1", "::1"]).by(&root);
    add!("IPv4 address": [addresses] under [root] for "127.0.0.1" => FINE);
    add!("IPv6 address in brackets": [addresses] under [root] for "[::1]" => FINE);
    add!("mapped address": [addresses] under [root] for "::ffff:127.0.0.1" => FINE);
    add!("another address": [addresses] under [root] for "127.0.0.2" => not_for("127.0.0.1, ::1", "127.0.0.2"));
    add!("an address for a name": [addresses] under [root] => NAMELESS);
    add!("a name for an address": [direct] under [root] for "127.0.0.1" =>
        "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs");
    let text = Cert::leaf()
        .names(&["127.0.0.1.test"])
        .extension("1.2.3.4", false, &[5, 0])
        .by(&root);
    add!("an address with a zone": [text] under [root] for "::1%lo" => not_for("127.0.0.1.test", "::1%lo"));
    let nameless = Cert::bare("v4.test").by(&root);
    add!("common name only": [nameless] under [root] =>
        "x509: certificate relies on legacy Common Name field, use SANs instead");
    let nameless = Cert::bare("x").by(&root);
    add!("no name at all": [nameless] under [root] => NAMELESS);
    let mail = Cert::leaf().names(&["a@v4.test", "https://v4.test/"]).by(&root);
    add!("mail and URI only": [mail] under [root] => NAMELESS);
    let many: Vec<String> = (0..100).map(|i| format!("{i}.test")).collect();
    let many = Cert::leaf()
        .names(&many.iter().map(String::as_str).collect::<Vec<_>>())
        .by(&root);
    add!("a hundred other names": [many] under [root] =>
        "x509: certificate is valid for 100 names, but none matched v4.test");

    // Purposes.
    let purpose = |ids: &[&str]| Cert::leaf().purposes(ids).by(&root);
    const USAGE: &str = "x509: certificate specifies an incompatible key usage";
    add!("for servers": [purpose(&[SERVER])] under [root] => FINE);
    add!("for clients only": [purpose(&[CLIENT])] under [root] => USAGE);
    add!("for anything": [purpose(&[CLIENT, ANY])] under [root] => FINE);
    add!("for something unknown": [purpose(&["1.2.3"])] under [root] => USAGE);
    let clients = Cert::ca("Clients").purposes(&[CLIENT]).by(&root);
    let below = Cert::leaf().purposes(&[SERVER]).by(&clients);
    add!("issuer for clients only": [below, clients] under [root] => USAGE);
    let servers = Cert::ca("Servers").purposes(&[SERVER]).by(&root);
    let below = Cert::leaf().by(&servers);
    add!("issuer for servers": [below, servers] under [root] => FINE);

    // Who may issue.
    let no_issuer = because(
        "invalid signature: parent certificate cannot sign this kind of certificate",
        "No CA",
    );
    let no_ca = Cert::bare("No CA").basic(false, None).by(&root);
    let below = Cert::leaf().by(&no_ca);
    add!("issuer is no CA": [below, no_ca] under [root] => &*no_issuer);
    let no_ca = Cert::bare("No CA").by(&root);
    let below = Cert::leaf().by(&no_ca);
    add!("issuer without basic constraints": [below, no_ca] under [root] => &*no_issuer);
    let no_ca = Cert::ca("No CA").usage(0x80, 7).by(&root);
    let below = Cert::leaf().by(&no_ca);
    add!("issuer may not sign": [below, no_ca] under [root] => &*no_issuer);
    let first = Cert::bare("First").version(1).self_signed();
    let below = Cert::leaf().by(&first);
    add!("root of version 1": [below] under [first] => FINE);
    let first = Cert::bare("First").version(1).by(&root);
    let below = Cert::leaf().by(&first);
    add!("intermediate of version 1": [below, first] under [root] =>
        "x509: certificate is not authorized to sign other certificates");
    let short = Cert::ca("Short").basic(true, Some(0)).by(&root);
    let under = Cert::ca("Under").by(&short);
    let below = Cert::leaf().by(&under);
    add!("path too long": [below, under, short] under [root] =>
        "x509: too many intermediates for path length constraint");
    let below = Cert::leaf().by(&short);
    add!("path just long enough": [below, short] under [root] => FINE);

    // Name constraints and policies.
    let constrained = |permitted: &[&str], excluded: &[&str], names: &[&str]| {
        let ca = Cert::ca("Constrained").constraints(permitted, excluded).by(&root);
        (Cert::leaf().names(names).by(&ca), ca)
    };
    let (below, ca) = constrained(&["test"], &[], &["v4.test"]);
    add!("name permitted": [below, ca] under [root] => FINE);
    let (below, ca) = constrained(&["example.com"], &[], &["v4.test"]);
    add!("name not permitted": [below, ca] under [root] =>
        not_authorized("DNS name \"v4.test\" is not permitted by any constraint"));
    let (below, ca) = constrained(&[], &["evil.test"], &["v4.test", "x.evil.test"]);
    add!("another of the names excluded": [below, ca] under [root] =>
        not_authorized("DNS name \"x.evil.test\" is excluded by constraint \"evil.test\""));
    let (below, ca) = constrained(&["10.0.0.0/255.0.0.0"], &[], &["10.1.2.3"]);
    add!("address permitted": [below, ca] under [root] for "10.1.2.3" => FINE);
    let (below, ca) = constrained(&[], &["10.0.0.0/255.0.0.0"], &["10.1.2.3"]);
    add!("address excluded": [below, ca] under [root] for "10.1.2.3" =>
        not_authorized("IP address \"10.1.2.3\" is excluded by constraint \"10.0.0.0/8\""));
    let (below, ca) = constrained(&["v4.test"], &["a@v4.test"], &["v4.test", "a@v4.test"]);
    add!("mailbox excluded": [below, ca] under [root] =>
        not_authorized("email address \"a@v4.test\" is excluded by constraint \"a@v4.test\""));
    let directory = tlv(
        0x30,
        &[&tlv(0xa0, &[&tlv(0x30, &[&tlv(0xa4, &[&common_name("x")])])])],
    );
    let ca = Cert::ca("Directory")
        .extension("2.5.29.30", true, &directory)
        .by(&root);
    let below = Cert::leaf().by(&ca);
    add!("directory names constrained": [below, ca] under [root] => "x509: unhandled critical extension");
    let explicit = tlv(0x30, &[&tlv(0x80, &[&[0]])]);
    let ca = Cert::ca("Policies")
        .policies(&["1.2.3"])
        .extension("2.5.29.36", true, &explicit)
        .by(&root);
    let below = Cert::leaf().by(&ca);
    add!("policy demanded and missing": [below, ca] under [root] =>
        "x509: no valid chains built: 1 candidate chains with invalid policies");
    let below = Cert::leaf().policies(&["1.2.3"]).by(&ca);
    add!("policy demanded and there": [below, ca] under [root] => FINE);

    // Extensions.
    let odd = |critical| Cert::leaf().extension("1.2.3.4.5", critical, &[5, 0]).by(&root);
    add!("unknown extension": [odd(false)] under [root] => FINE);
    add!("unknown critical extension": [odd(true)] under [root] => "x509: unhandled critical extension");
    let twice = Cert::leaf()
        .extension("1.2.3", false, &[5, 0])
        .extension("1.2.3", false, &[5, 0])
        .by(&root);
    add!("extension twice": [twice] under [root] =>
        unreadable("certificate contains duplicate extension with OID \"1.2.3\""));

    // Keys and signatures.
    for (name, algorithm) in [
        ("P-384", &rcgen::PKCS_ECDSA_P384_SHA384),
        ("P-521", &rcgen::PKCS_ECDSA_P521_SHA512),
        ("Ed25519", &rcgen::PKCS_ED25519),
        ("RSA", &rcgen::PKCS_RSA_SHA256),
    ] {
        let key = pki::key(algorithm);
        let root = Cert::ca("Root").key(&key).self_signed();
        add!(name: [Cert::leaf().key(&key).by(&root)] under [root] => FINE);
    }
    let weak = Cert::leaf().algorithm("1.2.840.10045.4.1", &[]).by(&root);
    add!("SHA-1": [weak] under [root] => because("cannot verify signature: insecure algorithm ECDSA-SHA1", "Root"));
    let weak = Cert::leaf().algorithm("1.2.840.113549.1.1.4", &[5, 0]).by(&root);
    add!("MD5": [weak] under [root] => because("cannot verify signature: insecure algorithm MD5-RSA", "Root"));
    let weak = Cert::leaf().algorithm("1.2.840.10045.4.1", &[]).self_signed();
    add!("SHA-1, trusted itself": [weak] under [weak] => FINE);
    let odd = Cert::leaf().algorithm("1.2.3.4", &[]).by(&root);
    add!("unknown algorithm": [odd] under [root] =>
        because("cannot verify signature: algorithm unimplemented", "Root"));
    let odd = Cert::leaf().algorithm("1.2.840.113549.1.1.11", &[5, 0]).by(&root);
    add!("algorithm of another key": [odd] under [root] =>
        because("signature algorithm specifies an RSA public key, but have public key of type *ecdsa.PublicKey", "Root"));
    let broken = Cert::leaf().spoil(|der| *der.last_mut().unwrap() ^= 1).by(&root);
    add!("broken signature": [broken] under [root] => because("ECDSA verification failure", "Root"));

    // Form.
    let negative = Cert::leaf().serial(&[0x80]).by(&root);
    add!("negative serial number": [negative] under [root] => unreadable("negative serial number"));
    let padded = Cert::leaf().serial(&[0, 1]).by(&root);
    add!("serial number not minimal": [padded] under [root] => unreadable("malformed serial number"));
    let fourth = Cert::leaf().version(4).by(&root);
    add!("version 4": [fourth] under [root] => unreadable("invalid version"));
    let trailing = Cert::leaf().spoil(|der| der.push(0)).by(&root);
    add!("trailing data": [trailing] under [root] => unreadable("trailing data"));
    let printable = tlv(0x30, &[&tlv(0x31, &[&attribute("2.5.4.3", 0x13, b"a@b")])]);
    let printable = Cert::leaf().subject(printable).by(&root);
    add!("not printable": [printable] under [root] =>
        unreadable("invalid RDNSequence: invalid attribute value: invalid PrintableString"));
    let address = tlv(0x30, &[&tlv(0x87, &[&[1, 2, 3]])]);
    let address = Cert::bare("x").extension("2.5.29.17", false, &address).by(&root);
    add!("address of three bytes": [address] under [root] => unreadable("cannot parse IP address of length 3"));
    let bad_behind = Cert::leaf().version(4).by(&root);
    add!("one behind cannot be read": [direct, bad_behind] under [root] => unreadable("invalid version"));
    add!("nothing readable, not verified": [fourth] under [] => unreadable("invalid version"));

    // Not verified.
    let first = Cert::bare("v4.test").version(1).self_signed();
    let critical = Cert::leaf().extension("1.2.3.4.5", true, &[5, 0]).self_signed();
    for (name, chain) in [
        ("not verified: expired", vec![&old]),
        ("not verified: unknown", vec![&leaf]),
        ("not verified: name", vec![&wild]),
        ("not verified: version 1", vec![&first]),
        ("not verified: critical extension", vec![&critical]),
        ("not verified: SHA-1", vec![&weak]),
        ("not verified: for clients", vec![&clients]),
    ] {
        push(name, &chain, &[], "v4.test", "ok 0".to_owned());
    }
    rows
}

/// Writes a situation's files, for those who want to look at it with other tools.
fn keep(directory: &str, number: usize, row: &Row) {
    let directory = Path::new(directory).join(format!("{number:03}"));
    std::fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
    let certificates = |list: &[Made]| {
        list.iter()
            .map(|c| pem("CERTIFICATE", &c.der))
            .collect::<String>()
    };
    write("chain.pem", certificates(&row.chain));
    write("ca.pem", certificates(&row.trusted));
    write("key.pem", pem("PRIVATE KEY", &row.chain[0].key.serialize_der()));
    write("host", row.host.to_owned());
    write("name", row.name.to_owned());
    write("want", row.want.clone());
}

fn without_time(text: &str) -> String {
    let Some((before, after)) = text.split_once("current time ") else {
        return text.to_owned();
    };
    let after = after.split_once(' ').unwrap().1;
    format!("{before}current time NOW {after}")
}

fn seconds(year: u32) -> f64 {
    let days = (1970..year).map(|y| {
        if y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) {
            366
        } else {
            365
        }
    });
    f64::from(days.sum::<u32>()) * 86_400.0
}

/// What is exposed, compared with what was presented.
fn check_facts(row: &Row, facts: &TlsFacts, problems: &mut Vec<String>) {
    let mut samples = Samples::new();
    facts.expose(&mut samples, FactSet::Http);
    let mut check = |what: &str, got: Option<f64>, want: Option<f64>| {
        if got != want {
            problems.push(format!("{}: {what} is {got:?}, not {want:?}", row.name));
        }
    };
    let refused = row.want.starts_with("x509");
    if !refused && !row.want.starts_with("ok") {
        check(
            "samples of a broken handshake",
            Some(samples.iter().count() as f64),
            Some(0.0),
        );
        return;
    }
    let earliest = row.chain.iter().map(|c| c.until).min().map(seconds);
    check(
        "earliest expiry",
        samples.value(Metric::SslEarliestCertExpiry),
        earliest,
    );
    let last = row
        .want
        .strip_prefix("ok ")
        .and_then(|w| w.split_once(' '))
        .map(|(_, year)| seconds(year.parse().unwrap()));
    check(
        "last chain expiry",
        samples.value(Metric::SslLastChainExpiry),
        last.or(Some(-62_135_596_800.0)),
    );
    let label = |metric| match samples.family(metric).next().map(|s| s.labels.clone()) {
        Some(Labels::Values(values)) => values.iter().map(ToString::to_string).collect::<Vec<_>>(),
        Some(Labels::Static(value)) => vec![value.to_owned()],
        _ => Vec::new(),
    };
    let mut expect = |what: &str, got: &str, want: &str| {
        if got != want {
            problems.push(format!("{}: {what} is {got:?}, not {want:?}", row.name));
        }
    };
    expect("version", &label(Metric::TlsVersionInfo).join(""), "TLS 1.3");
    expect(
        "cipher",
        &label(Metric::TlsCipherInfo).join(""),
        "TLS_AES_128_GCM_SHA256",
    );
    let info = label(Metric::SslLastChainInfo);
    let fingerprint = digest::digest(&digest::SHA256, &row.chain[0].der);
    let fingerprint: String = fingerprint.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    expect("fingerprint", &info[0], &fingerprint);
    expect("serial number", &info[2], "1234");
}

#[tokio::test]
async fn certificates_are_judged_as_go_does() {
    let rows = situations();
    assert!(rows.len() > 60);
    let mut problems = Vec::new();
    // Twice: what is remembered of the first time changes nothing.
    for (number, row) in rows.iter().chain(&rows).enumerate() {
        if let Ok(directory) = std::env::var("KEEP_CERTIFICATES") {
            keep(&directory, number, row);
        }
        let chain: Vec<&Made> = row.chain.iter().collect();
        let address = pki::serve(pki::server_config(pki::certified(&chain), &[&TLS13])).await;
        let trusted: Vec<&Made> = row.trusted.iter().collect();
        let raw = config::Tls {
            insecure_skip_verify: trusted.is_empty(),
            ..trusting(&trusted)
        };
        let (got, facts) = match shake(address, &raw, row.host).await {
            Ok(session) => {
                let facts = session.facts;
                let mut got = format!("ok {}", facts.chains.len());
                if let Some(end) = facts.last_chain_expiry() {
                    let year = (2020..2100).find(|y| seconds(*y) as i64 == end).unwrap();
                    got += &format!(" {year}");
                }
                (got, Some(facts))
            }
            Err(failed) => (without_time(&failed.error.to_string()), failed.facts),
        };
        let verdict = got
            .strip_prefix("tls: failed to verify certificate: ")
            .unwrap_or(&got);
        if verdict != row.want {
            problems.push(format!("{}: {verdict}\n  not {}", row.name, row.want));
        }
        check_facts(row, &facts.unwrap_or_default(), &mut problems);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A peer that answers the ClientHello with these bytes and then keeps the connection open, or not.
async fn says(bytes: Vec<u8>, and_closes: bool) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let mut hello = [0; 4096];
                let _ = stream.read(&mut hello).await;
                let _ = stream.write_all(&bytes).await;
                if !and_closes {
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                }
            });
        }
    });
    address
}

/// A ServerHello of that version, without extensions.
fn server_hello(version: u16) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.extend([0, 0xc0, 0x2f, 0]);
    handshake_record(version, 2, &body)
}

fn handshake_record(version: u16, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[kind], &length[1..], body].concat();
    let mut record = vec![22];
    record.extend(version.to_be_bytes());
    record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    record.extend(message);
    record
}

#[tokio::test]
async fn bad_peers_get_a_clear_error() {
    let skip = config::Tls {
        insecure_skip_verify: true,
        ..config::Tls::default()
    };
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    // A certificate message that says it has 10 MB.
    let mut huge = server_hello(0x0303);
    huge.extend([22, 3, 3, 0x40, 0, 11, 0x98, 0x96, 0x80]);
    huge.extend(vec![0x30; 0x4000 - 4]);
    let rows: &[(&str, Vec<u8>, bool, &str)] = &[
        (
            "http",
            http,
            false,
            "tls: first record does not look like a TLS handshake: the server says \"HTTP/1.1 400 Bad Request\" in the clear",
        ),
        (
            "garbage",
            (200..=255).collect(),
            false,
            "tls: first record does not look like a TLS handshake",
        ),
        (
            "zeros",
            vec![0; 500],
            false,
            "tls: first record does not look like a TLS handshake",
        ),
        (
            "nothing",
            vec![],
            true,
            "tls: the server closed the connection during the handshake: EOF",
        ),
        (
            "alert",
            vec![21, 3, 3, 0, 2, 2, 40],
            false,
            "remote error: tls: handshake failure: probably no cipher suite or key exchange in common (this program offers only suites with ECDHE, and of those with CBC only AES with SHA-1)",
        ),
        (
            "unknown alert",
            vec![21, 3, 3, 0, 2, 2, 200],
            false,
            "remote error: tls: alert(200)",
        ),
        (
            "alert about the name",
            vec![21, 3, 3, 0, 2, 2, 112],
            false,
            "remote error: tls: unrecognized name: the server does not know the name that was sent as SNI",
        ),
        (
            "alert about the version",
            vec![21, 3, 1, 0, 2, 2, 70],
            false,
            "remote error: tls: protocol version not supported: no protocol version in common (this program speaks TLS 1.2 and TLS 1.3, as far as tls_config allows)",
        ),
        (
            "TLS 1.0",
            server_hello(0x0301),
            false,
            "tls: server selected unsupported protocol version 301: it speaks nothing newer than TLS 1.0, and this program speaks only TLS 1.2 and TLS 1.3",
        ),
        (
            "TLS 1.1",
            server_hello(0x0302),
            false,
            "tls: server selected unsupported protocol version 302: it speaks nothing newer than TLS 1.1, and this program speaks only TLS 1.2 and TLS 1.3",
        ),
        (
            "10 MB of certificates",
            huge,
            false,
            "tls: handshake message exceeds maximum of 65535 bytes",
        ),
        (
            "half a record",
            server_hello(0x0303)[..30].to_vec(),
            true,
            "tls: the server closed the connection during the handshake: EOF",
        ),
    ];
    let mut problems = Vec::new();
    for (name, bytes, closes, want) in rows {
        let address = says(bytes.clone(), *closes).await;
        let failed = shake(address, &skip, "v4.test").await.unwrap_err();
        if failed.error.to_string() != *want || failed.facts.is_some() {
            problems.push(format!("{name}: {}\n  not {want}", failed.error));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn the_deadline_says_what_was_waited_for() {
    let skip = config::Tls {
        insecure_skip_verify: true,
        ..config::Tls::default()
    };
    for (bytes, want) in [
        (Vec::new(), "waiting for a response to the ClientHello"),
        (
            vec![22, 3, 3],
            "waiting for the rest of the server's first record",
        ),
        (
            server_hello(0x0303),
            "waiting for the server's messages after its ServerHello",
        ),
    ] {
        let address = says(bytes, false).await;
        let deadline = Deadline::after(Instant::now(), Duration::from_millis(200));
        let prepared = ClientTls::new(skip.clone())
            .prepare(&Roots::default(), never())
            .await
            .unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let failed = prepared
            .handshake(stream, "v4.test", Alpn::None, deadline)
            .await
            .unwrap_err();
        let want = format!("TLS handshake: {want}: the probe's timeout of 200ms ran out");
        assert_eq!(failed.error.to_string(), want);
    }
}

#[tokio::test]
async fn names_versions_suites_and_protocols() {
    let root = Cert::ca("Root").self_signed();
    let leaf = Cert::leaf()
        .names(&["v4.test", "a_b.test", "127.0.0.1", "x y"])
        .by(&root);
    let certified = || pki::certified(&[&leaf]);
    let both = pki::serve(pki::server_config(certified(), &[&TLS12, &TLS13])).await;
    let old = pki::serve(pki::server_config(certified(), &[&TLS12])).await;
    let trusting = trusting(&[&root]);
    // Names that rustls does not send still get a verdict.
    for name in [
        "v4.test",
        "v4.test.",
        "a_b.test",
        "127.0.0.1",
        "[127.0.0.1]",
        "x y",
    ] {
        assert!(shake(both, &trusting, name).await.is_ok(), "{name}");
    }
    for name in ["x z", "", "v4.test:443", "*.v4.test"] {
        assert!(shake(both, &trusting, name).await.is_err(), "{name}");
    }
    let session = shake(old, &trusting, "v4.test").await.unwrap();
    assert_eq!(session.facts.version, Some("TLS 1.2"));
    assert_eq!(
        session.facts.cipher,
        Some("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
    );

    let limited = |min, max| config::Tls {
        min_version: min,
        max_version: max,
        ..trusting.clone()
    };
    use config::TlsVersion::{Tls10, Tls11, Tls12, Tls13};
    let at_most = limited(None, Some(Tls12));
    assert_eq!(
        shake(both, &at_most, "v4.test").await.unwrap().facts.version,
        Some("TLS 1.2")
    );
    let lenient = limited(Some(Tls10), None);
    assert_eq!(
        shake(both, &lenient, "v4.test").await.unwrap().facts.version,
        Some("TLS 1.3")
    );
    let at_least = limited(Some(Tls13), None);
    let failed = shake(old, &at_least, "v4.test").await.unwrap_err();
    assert_eq!(
        failed.error.to_string(),
        "remote error: tls: protocol version not supported: no protocol version in common (this program speaks TLS 1.2 and \
         TLS 1.3, as far as tls_config allows)"
    );
    let failed = shake(both, &limited(None, Some(Tls11)), "v4.test")
        .await
        .unwrap_err();
    assert_eq!(
        failed.error.to_string(),
        "tls: no supported versions satisfy MinVersion and MaxVersion"
    );
    let failed = shake(both, &limited(Some(Tls10), Some(Tls11)), "v4.test")
        .await
        .unwrap_err();
    assert_eq!(
        failed.error.to_string(),
        "tls: tls_config.max_version allows only TLS 1.0 and TLS 1.1, which this program does not speak"
    );
    let contradiction = ClientTls::new(limited(Some(Tls13), Some(Tls12)));
    let error = contradiction
        .prepare(&Roots::default(), never())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified"
    );
}

/// The openssl program in a directory of its own, for what rustls does not serve and rcgen does not make.
struct OpenSsl(Files);

impl OpenSsl {
    /// `None`, after saying so, when there is no such program.
    fn new() -> Option<Self> {
        find("openssl")?;
        Some(Self(Files(tempfile::tempdir().unwrap())))
    }

    fn run(&self, arguments: &str) {
        let output = std::process::Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.0.0.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// A server with cert.pem and key.pem; it ends when the process is dropped.
    async fn serve(&self, arguments: &str) -> (tokio::process::Child, std::net::SocketAddr) {
        let arguments = format!("s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem {arguments}");
        let (server, port) = openssl(self.0.0.path(), &arguments).await;
        (server, ([127, 0, 0, 1], port).into())
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.0.path().join(name)).unwrap()
    }
}

#[tokio::test]
async fn key_exchange_over_p521_and_servers_too_old() {
    let Some(openssl) = OpenSsl::new() else { return };
    let root = Cert::ca("Root").self_signed();
    let leaf = Cert::leaf().by(&root);
    openssl.0.write("cert.pem", &pem("CERTIFICATE", &leaf.der));
    openssl
        .0
        .write("key.pem", &pem("PRIVATE KEY", &leaf.key.serialize_der()));
    let (_server, address) = openssl.serve("-tls1_3 -groups secp521r1").await;
    let session = shake(address, &trusting(&[&root]), "v4.test").await.unwrap();
    assert_eq!(session.facts.chains.len(), 1);
    let (_server, address) = openssl.serve("-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256").await;
    let failed = shake(address, &trusting(&[&root]), "v4.test")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        failed.contains("handshake failure") && failed.contains("of those with CBC only AES with SHA-1"),
        "{failed}"
    );
    let (_server, address) = openssl.serve("-tls1_1 -cipher ALL:@SECLEVEL=0").await;
    let failed = shake(address, &trusting(&[&root]), "v4.test")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        failed.contains("this program speaks TLS 1.2 and TLS 1.3"),
        "{failed}"
    );
}

/// Appliances of the last decade speak nothing else.
#[tokio::test]
async fn servers_with_nothing_but_cbc_are_spoken_to() {
    let Some(openssl) = OpenSsl::new() else { return };
    let page: String = (0..40_000).map(|line| format!("{line}\n")).collect();
    openssl.0.write("page", &page);
    for (kind, algorithm, names) in [
        (
            "ECDSA",
            &rcgen::PKCS_ECDSA_P256_SHA256,
            ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA"],
        ),
        (
            "RSA",
            &rcgen::PKCS_RSA_SHA256,
            ["ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA"],
        ),
    ] {
        let key = pki::key(algorithm);
        let own = Cert::leaf().key(&key).self_signed();
        openssl.0.write("cert.pem", &pem("CERTIFICATE", &own.der));
        openssl
            .0
            .write("key.pem", &pem("PRIVATE KEY", &key.serialize_der()));
        for (bits, name) in [128, 256].into_iter().zip(names) {
            let arguments = format!("-tls1_2 -cipher {name}:@SECLEVEL=0 -WWW");
            let (_server, address) = openssl.serve(&arguments).await;
            let mut session = shake(address, &trusting(&[&own]), "v4.test").await.unwrap();
            let suite = format!("TLS_ECDHE_{kind}_WITH_AES_{bits}_CBC_SHA");
            assert_eq!(session.facts.cipher, Some(&*suite));
            // Many records, of the largest size as well.
            let mut answer = String::new();
            session
                .stream
                .write_all(b"GET /page HTTP/1.0\r\n\r\n")
                .await
                .unwrap();
            let _ = session.stream.read_to_string(&mut answer).await;
            assert!(answer.ends_with(&page), "{name}: {} bytes", answer.len());
        }
        // Where there is a choice, another is made.
        let (_server, address) = openssl.serve("-tls1_2 -serverpref").await;
        let session = shake(address, &trusting(&[&own]), "v4.test").await.unwrap();
        assert!(
            session.facts.cipher.unwrap().contains("GCM"),
            "{:?}",
            session.facts.cipher
        );
    }
}

#[tokio::test]
async fn key_exchanges_are_offered_as_go_offers_them() {
    use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
    let own = Cert::leaf().self_signed();
    for group in [
        kx_group::X25519MLKEM768,
        kx_group::X25519,
        kx_group::SECP256R1,
        kx_group::SECP384R1,
    ] {
        for (version, works) in [
            (&TLS13, true),
            (&TLS12, group.name() != rustls::NamedGroup::X25519MLKEM768),
        ] {
            let provider = rustls::crypto::CryptoProvider {
                kx_groups: vec![group],
                ..default_provider()
            };
            let key = pki::certified(&[&own]);
            let server = rustls::ServerConfig::builder_with_provider(std::sync::Arc::new(provider))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(key)));
            let address = pki::serve(server).await;
            let prepared = ClientTls::new(trusting(&[&own]))
                .prepare(&Roots::default(), never())
                .await
                .unwrap();
            let (client, _) = prepared.client_config(Some("v4.test"), Alpn::None).unwrap();
            let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client));
            let stream = TcpStream::connect(address).await.unwrap();
            let shaken = connector.connect("v4.test".try_into().unwrap(), stream).await;
            assert_eq!(shaken.is_ok(), works, "{:?} {version:?}", group.name());
            // The key shares of two are sent along: they cost no round trip more.
            if let Ok(stream) = shaken
                && *version == TLS13
            {
                let sent_along = [kx_group::X25519MLKEM768, kx_group::X25519]
                    .iter()
                    .any(|sent| sent.name() == group.name());
                let kind = stream.get_ref().1.handshake_kind();
                assert_eq!(
                    kind == Some(rustls::HandshakeKind::Full),
                    sent_along,
                    "{:?}",
                    group.name()
                );
            }
        }
    }
}

#[tokio::test]
async fn old_keys_are_taken_as_go_takes_them() {
    let Some(openssl) = OpenSsl::new() else { return };
    let request =
        "-nodes -days 365 -subj /CN=v4.test -addext subjectAltName=DNS:v4.test -keyout key.pem -out cert.pem";
    // The key, how the certificate is signed, and the versions in which Go takes it.
    let rows: &[(&str, &str, &[&str])] = &[
        ("rsa:1024", "-sha256", &["-tls1_2", "-tls1_3"]),
        ("rsa:1024", "-sha384", &["-tls1_2", "-tls1_3"]),
        ("rsa:1536", "-sha512", &["-tls1_2", "-tls1_3"]),
        (
            "rsa:2048",
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
            &["-tls1_2", "-tls1_3"],
        ),
        (
            "ec -pkeyopt ec_paramgen_curve:secp521r1",
            "-sha512",
            &["-tls1_2", "-tls1_3"],
        ),
    ];
    for (key, signed, versions) in rows {
        openssl.run(&format!("req -x509 -newkey {key} {signed} {request}"));
        let raw = config::Tls {
            ca: openssl.read("cert.pem"),
            ..config::Tls::default()
        };
        for version in *versions {
            let (_server, address) = openssl.serve(&format!("{version} -cipher ALL:@SECLEVEL=0")).await;
            let shaken = shake(address, &raw, "v4.test").await;
            assert!(
                shaken.is_ok(),
                "{key} {signed} {version}: {}",
                shaken.unwrap_err()
            );
        }
    }
    // As issuers, where their signatures are verified.
    for (key, signed) in [
        ("rsa:1024", "-sha384"),
        (
            "rsa:1032",
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
        ),
        ("ec -pkeyopt ec_paramgen_curve:secp224r1", "-sha256"),
        ("ec -pkeyopt ec_paramgen_curve:secp224r1", "-sha512"),
    ] {
        openssl.run(&format!(
            "req -x509 -newkey {key} -nodes -days 365 -subj /CN=Old -keyout ca.key -out ca.pem"
        ));
        openssl.run("req -new -newkey rsa:2048 -nodes -subj /CN=v4.test -addext subjectAltName=DNS:v4.test -keyout key.pem -out csr.pem");
        openssl.run(&format!(
            "x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -days 30 -copy_extensions copy -out cert.pem {signed}"
        ));
        let raw = config::Tls {
            ca: openssl.read("ca.pem"),
            ..config::Tls::default()
        };
        let (_server, address) = openssl.serve("-tls1_3").await;
        let shaken = shake(address, &raw, "v4.test").await;
        assert!(shaken.is_ok(), "{key} {signed}: {}", shaken.unwrap_err());
    }
}

/// The files of a `tls_config` in a directory of their own.
struct Files(tempfile::TempDir);

impl Files {
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn files_are_read_again_when_they_change() {
    let (root, other) = (Cert::ca("Root").self_signed(), Cert::ca("Other").self_signed());
    let leaf = Cert::leaf().by(&root);
    let address = pki::serve(pki::server_config(pki::certified(&[&leaf]), &[&TLS13])).await;
    let files = Files(tempfile::tempdir().unwrap());
    let raw = config::Tls {
        ca_file: files.write("ca.pem", &pem("CERTIFICATE", &other.der)),
        ..config::Tls::default()
    };
    let client = ClientTls::new(raw.clone());
    let roots = Roots::default();
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(10));
    for (authority, want) in [(&other, false), (&root, true), (&other, false), (&leaf, true)] {
        files.write("ca.pem", &pem("CERTIFICATE", &authority.der));
        let prepared = client.prepare(&roots, never()).await.unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let shaken = prepared.handshake(stream, "v4.test", Alpn::None, deadline).await;
        assert_eq!(shaken.is_ok(), want);
    }
    std::fs::remove_file(&raw.ca_file).unwrap();
    let error = client.prepare(&roots, never()).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "unable to read CA cert: unable to read file {0}: open {0}: no such file or directory",
            raw.ca_file
        )
    );
}

#[tokio::test]
async fn broken_files_are_named() {
    let root = Cert::ca("Root").self_signed();
    let (mine, other) = (Cert::leaf().by(&root), Cert::leaf().by(&root));
    let rsa = Cert::leaf().key(&pki::key(&rcgen::PKCS_RSA_SHA256)).by(&root);
    let files = Files(tempfile::tempdir().unwrap());
    let cert = |made: &Made| pem("CERTIFICATE", &made.der);
    let key = |made: &Made| pem("PRIVATE KEY", &made.key.serialize_der());
    let rows: &[(&str, String, String, &str)] = &[
        ("in order", cert(&mine), key(&mine), ""),
        (
            "of another",
            cert(&mine),
            key(&other),
            "tls: private key does not match public key",
        ),
        (
            "of another kind",
            cert(&mine),
            key(&rsa),
            "tls: private key type does not match public key type",
        ),
        (
            "no certificate",
            "x".to_owned(),
            key(&mine),
            "tls: failed to find any PEM data in certificate input",
        ),
        (
            "no key",
            cert(&mine),
            "x".to_owned(),
            "tls: failed to find any PEM data in key input",
        ),
        (
            "changed places",
            key(&mine),
            cert(&mine),
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
        ),
        (
            "certificate twice",
            cert(&mine),
            cert(&mine),
            "tls: found a certificate rather than a key in the PEM for the private key",
        ),
        (
            "broken key",
            cert(&mine),
            pem("PRIVATE KEY", b"x"),
            "tls: failed to parse private key",
        ),
        (
            "broken certificate",
            pem("CERTIFICATE", b"x"),
            key(&mine),
            "x509: malformed certificate",
        ),
    ];
    for (name, cert, key, want) in rows {
        let raw = config::Tls {
            ca: pem("CERTIFICATE", &root.der),
            cert_file: files.write("cert.pem", cert),
            key_file: files.write("key.pem", key),
            ..config::Tls::default()
        };
        let got = ClientTls::new(raw.clone())
            .prepare(&Roots::default(), never())
            .await;
        let got = got.map_or_else(|error| error.to_string(), |_| String::new());
        let (cert, key) = (&raw.cert_file, &raw.key_file);
        let want = match *want {
            "" => String::new(),
            why => format!("unable to use specified client cert (file {cert}) & key (file {key}): {why}"),
        };
        assert_eq!(got, want, "{name}");
    }
    let raw = config::Tls {
        ca_file: files.write("ca.pem", "no certificate"),
        insecure_skip_verify: true,
        ..config::Tls::default()
    };
    let error = ClientTls::new(raw.clone())
        .prepare(&Roots::default(), never())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&raw.ca_file), "{error}");
}

#[tokio::test]
async fn a_wrong_signature_over_the_handshake_is_refused_without_verification_too() {
    // The certificate is one of a key that the server does not have.
    let mut stolen = Cert::leaf().self_signed();
    stolen.key = pki::key(&rcgen::PKCS_ECDSA_P256_SHA256);
    for (versions, want) in [
        ([&TLS13], "ECDSA verification failure"),
        ([&TLS12], "ECDSA verification failure"),
    ] {
        let address = pki::serve(pki::server_config(pki::certified(&[&stolen]), &versions)).await;
        let skip = config::Tls {
            insecure_skip_verify: true,
            ..config::Tls::default()
        };
        let failed = shake(address, &skip, "v4.test").await.unwrap_err();
        let want = format!("tls: invalid signature by the server certificate: {want}");
        assert_eq!(failed.error.to_string(), want);
    }
}

#[tokio::test]
async fn names_are_printed_as_go_does() {
    let set = |attributes: &[&[u8]]| tlv(0x31, attributes);
    let a = attribute;
    let subject = tlv(
        0x30,
        &[
            &set(&[&a("2.5.4.6", 0x13, b"CN")]),
            &set(&[
                &a("2.5.4.10", 0x0c, b"Example, \"Inc.\""),
                &a("2.5.4.11", 0x0c, b"one"),
            ]),
            &set(&[&a("2.5.4.11", 0x14, b"z\xfcrich")]),
            &set(&[&a("2.5.4.7", 0x1e, &[0x53, 0x17, 0x4e, 0xac])]),
            &set(&[
                &a("1.2.3", 0x16, b"it's"),
                &a("0.9.2342.19200300.100.1.1", 0x0c, "\u{e9}".as_bytes()),
            ]),
            &set(&[&a("2.5.4.3", 0x0c, b"first")]),
            &set(&[&a("2.5.4.3", 0x0c, b"#last ")]),
        ],
    );
    let leaf = Cert::leaf().subject(subject).serial(&[0, 0xff, 0]).self_signed();
    let address = pki::serve(pki::server_config(pki::certified(&[&leaf]), &[&TLS13])).await;
    let session = shake(address, &trusting(&[&leaf]), "v4.test").await.unwrap();
    let leaf = &session.facts.presented[0];
    assert_eq!(
        leaf.subject(),
        "CN=\\#last\\ ,OU=one+OU=z\u{fc}rich,O=Example\\, \\\"Inc.\\\",L=\u{5317}\u{4eac},C=CN,\
         0.9.2342.19200300.100.1.1=#0c02c3a9,1.2.3=#130469742773"
    );
    assert_eq!(leaf.serial(), "ff00");
}

#[tokio::test]
async fn libraries_hear_why_a_certificate_was_refused() {
    let (root, other) = (Cert::ca("Root").self_signed(), Cert::ca("Other").self_signed());
    let leaf = Cert::leaf().by(&root);
    let address = pki::serve(pki::server_config(pki::certified(&[&leaf]), &[&TLS13])).await;
    for (authority, want) in [
        (&root, ""),
        (
            &other,
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
    ] {
        let prepared = ClientTls::new(trusting(&[authority]))
            .prepare(&Roots::default(), never())
            .await
            .unwrap();
        let (library, recorder) = prepared.client_config(None, Alpn::Http1).unwrap();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(library));
        let stream = TcpStream::connect(address).await.unwrap();
        let shaken = connector.connect("v4.test".try_into().unwrap(), stream).await;
        let got = shaken.map_or_else(|error| error.to_string(), |_| String::new());
        assert!(got.contains(want) && got.is_empty() == want.is_empty(), "{got}");
        assert_eq!(recorder.facts().presented.len(), 1);
        assert_eq!(recorder.refusal().is_some(), !want.is_empty());
    }
}

/// Every connection in TLS ends with close_notify, whatever became of the probe: strict servers log an error otherwise.
#[tokio::test]
async fn every_connection_ends_with_a_goodbye() {
    const TLS: &str = "tls_config: {insecure_skip_verify: true}";
    let http = |more: &str| format!("prober: http\nhttp: {{preferred_ip_protocol: ip4, {TLS}{more}}}");
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let redirect = "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
    // SETTINGS, and an answer without a body.
    let h2 = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x88";
    let rows = [
        (http(""), "https://", "http/1.1", ok.as_bytes(), 1),
        (
            http(", valid_status_codes: [404]"),
            "https://",
            "http/1.1",
            ok.as_bytes(),
            1,
        ),
        (
            http(", body_size_limit: 1B"),
            "https://",
            "http/1.1",
            ok.as_bytes(),
            1,
        ),
        // The target and ten redirects.
        (http(""), "https://", "http/1.1", redirect.as_bytes(), 11),
        (
            http(", follow_redirects: false"),
            "https://",
            "http/1.1",
            redirect.as_bytes(),
            1,
        ),
        (http(""), "https://", "http/1.1", b"nonsense\r\n\r\n", 1),
        (http(""), "https://", "h2", h2, 1),
        (format!("prober: tcp\ntcp: {{tls: true, {TLS}}}"), "", "x", b"", 1),
        (
            format!("prober: tcp\ntcp: {{tls: true, {TLS}, query_response: [{{send: x}}, {{expect: y}}]}}"),
            "",
            "x",
            b"z\n",
            1,
        ),
        (
            format!("prober: grpc\ngrpc: {{preferred_ip_protocol: ip4, tls: true, {TLS}}}"),
            "",
            "h2",
            h2,
            1,
        ),
        (
            format!("prober: websocket\nwebsocket: {{http_config: {{{TLS}}}}}"),
            "wss://",
            "http/1.1",
            ok.as_bytes(),
            1,
        ),
        (
            format!(
                "prober: dns\ndns: {{query_name: a.test, transport_protocol: tcp, dns_over_tls: true, {TLS}}}"
            ),
            "",
            "dot",
            b"\0\x01x",
            1,
        ),
    ];
    for (module, scheme, protocol, answer, connections) in rows {
        // A peer that says nothing after the handshake is left by the timeout.
        let module = format!("timeout: 2s\n{module}");
        let (address, mut ends) = Identity::local().part(protocol, answer.to_vec()).await;
        let outcome = probe(&module, &format!("{scheme}{address}")).await;
        for connection in 1..=connections {
            let end = tokio::time::timeout(TIMEOUT, ends.recv()).await;
            let end = end.unwrap_or_else(|_| panic!("{module}: {connection}: {:?}", log(&outcome)));
            assert!(
                end.unwrap().is_ok(),
                "{module}: {connection}: {:?}",
                log(&outcome)
            );
        }
    }
}
