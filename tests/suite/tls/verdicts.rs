//! Certificates, well formed or not: what Go says of each.

use std::path::Path;

use aws_lc_rs::digest;
use blackbox_exporter::config;
use blackbox_exporter::metrics::{Labels, Metric, Samples};
use blackbox_exporter::net::tls::facts::{FactSet, TlsFacts};
use rustls::version::TLS13;

use super::{shake, trusting};
use crate::support::pki::{self, Cert, Made, attribute, common_name, pem, tlv};

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
