//! Verdicts on certificates without a handshake: hostile ones within bounds, and names under constraints.

use std::sync::Arc;
use std::time::{Duration, Instant};

use blackbox_exporter::net::x509::{Certificate, Judge, Pool, Purpose};

use super::support::pki::{Cert, Made, oid, tlv};

/// Number of chains, or Go's error.
fn verdict(chain: &[&Made], root: &Made, host: &str) -> Result<usize, String> {
    let parse = |made: &Made| Arc::new(Certificate::parse(&made.der).unwrap());
    let mut roots = Pool::default();
    roots.add(parse(root));
    let presented: Vec<_> = chain.iter().map(|made| parse(made)).collect();
    let judge = Judge {
        roots: &roots,
        host,
        now: 1_800_000_000,
        purpose: Purpose::Server,
    };
    let chains = judge.verify(&presented);
    chains
        .map(|chains| chains.len())
        .map_err(|error| error.to_string())
}

fn numbered(count: usize, form: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(form).collect()
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// A chain below the first root, and its verdict: `Ok` or the end of Go's error.
type Bomb = (&'static str, Vec<Made>, Result<(), &'static str>);

fn bombs(root: &Made) -> Vec<Bomb> {
    let mut bombs = Vec::new();
    let mut under = |name, ca: Cert, leaf: Cert, want| {
        let ca = ca.by(root);
        bombs.push((name, vec![leaf.by(&ca), ca], want));
    };
    let names = numbered(3600, |i| format!("a{i:04}"));
    let domains = numbered(3400, |i| format!("{i:04}"));
    let named = |names: &[String]| Cert::leaf().names(&[&["v4.test"], &*borrowed(names)].concat());
    under(
        "excluded domains",
        Cert::ca("I").constraints(&[], &borrowed(&domains)),
        named(&names),
        Ok(()),
    );
    under(
        "permitted domains",
        Cert::ca("I").constraints(&[&*borrowed(&domains), &["test"]].concat(), &[]),
        named(&names),
        Err("DNS name \"a0000\" is not permitted by any constraint"),
    );
    let addresses = numbered(3000, |i| format!("10.0.{}.{}", i / 256, i % 256));
    let networks = numbered(2500, |i| format!("11.0.{}.{}/255.255.255.255", i / 256, i % 256));
    under(
        "excluded networks",
        Cert::ca("I").constraints(&[], &borrowed(&networks)),
        named(&addresses),
        Ok(()),
    );
    let mails = numbered(2400, |i| format!("a@b{i:04}"));
    let hosts = numbered(2400, |i| format!("a@c{i:04}"));
    under(
        "excluded mailboxes",
        Cert::ca("I").constraints(&[], &borrowed(&hosts)),
        named(&mails),
        Ok(()),
    );
    let many = numbered(3000, |i| format!("1.2.3.{i}"));
    under(
        "policies",
        Cert::ca("I").policies(&borrowed(&many)).extension(
            "2.5.29.36",
            true,
            &tlv(0x30, &[&tlv(0x80, &[&[0]])]),
        ),
        Cert::leaf().policies(&borrowed(&many)),
        Ok(()),
    );

    // Every level maps every policy to every policy.
    let ids = numbered(12, |i| format!("1.2.3.{i}"));
    let pairs: Vec<_> = ids
        .iter()
        .flat_map(|a| ids.iter().map(move |b| tlv(0x30, &[&oid(a), &oid(b)])))
        .collect();
    let mut levels = Vec::new();
    for level in 0..14 {
        let ca = Cert::ca(&format!("L{level}"))
            .policies(&borrowed(&ids))
            .extension("2.5.29.33", false, &tlv(0x30, &[&pairs.concat()]))
            .extension("2.5.29.36", true, &tlv(0x30, &[&tlv(0x80, &[&[0]])]));
        let ca = ca.by(levels.last().unwrap_or(root));
        levels.push(ca);
    }
    levels.push(Cert::leaf().policies(&borrowed(&ids)).by(levels.last().unwrap()));
    levels.reverse();
    bombs.push(("mapped policies", levels, Ok(())));

    // Many ways up, all under the same constraints.
    let hosts = numbered(1500, |i| format!("{i:04}"));
    let top = Cert::ca("T").constraints(&[], &borrowed(&hosts)).by(root);
    let first = Cert::ca("A").by(&top);
    let mails = numbered(1500, |i| format!("a@b{i:04}"));
    let mut crowd = vec![named(&mails).by(&first)];
    crowd.extend((0..48).map(|i| Cert::ca("A").serial(&[i + 1]).key(&first.key).by(&top)));
    crowd.push(top);
    bombs.push(("cross-signed", crowd, Ok(())));

    // Everybody is called the same and signed everybody.
    let first = Cert::ca("R").self_signed();
    let mut ring = vec![Cert::leaf().by(&first)];
    ring.extend((0..60).map(|i| {
        Cert::ca("R")
            .key(&first.key)
            .names(&[&format!("{i}.test")])
            .self_signed()
    }));
    bombs.push(("everybody's namesake", ring, Err("certificate chain")));

    // RSA with numbers that nobody has. The key is refused in handshakes; here it just must not cost much.
    let modulus = vec![0xfb; 4000];
    let ca = Cert::ca("E").rsa(&modulus, &[0x7f, 0xff, 0xff, 0xff]).by(root);
    let leaf = Cert::leaf().rsa_signature(&[0x1b; 4000]).by(&ca);
    bombs.push(("huge RSA", vec![leaf, ca], Err("\"E\")")));
    bombs
}

#[test]
fn no_chain_takes_long_to_judge() {
    let root = Cert::ca("Root").self_signed();
    for (name, chain, want) in bombs(&root) {
        let chain: Vec<&Made> = chain.iter().collect();
        let size: usize = chain.iter().map(|made| made.der.len()).sum();
        assert!(size <= 1 << 17, "{name}: {size} bytes");
        let start = Instant::now();
        let got = verdict(&chain, &root, "v4.test");
        // Without optimisation and beside other tests; with quadratic work it was a minute.
        let took = start.elapsed();
        assert!(took < Duration::from_secs(4), "{name}: {took:?}");
        match want {
            Ok(()) => assert!(got.is_ok(), "{name}: {got:?}"),
            Err(end) => {
                let error = got.expect_err(name);
                assert!(error.ends_with(end), "{name}: {error}");
            }
        }
    }
}

/// The kinds of situations that the suites of BetterTLS and x509-limbo have for name constraints: permitted, excluded, the leaf's
/// names, of which the first is asked for, and whether it is good.
type Constrained = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
    bool,
);

#[rustfmt::skip]
const CONSTRAINED: &[Constrained] = &[
    // Permitted alone.
    (&["a.test"], &[], &["a.test"], true),
    (&["a.test"], &[], &["sub.a.test"], true),
    (&["a.test"], &[], &["b.test"], false),
    (&["a.test"], &[], &["xa.test"], false),
    (&["A.TEST"], &[], &["sub.a.test"], true),
    (&[".a.test"], &[], &["a.test"], false),
    (&[".a.test"], &[], &["sub.a.test"], true),
    (&["sub.a.test"], &[], &["a.test"], false),
    (&["a.test", "b.test"], &[], &["b.test", "a.test"], true),
    (&["a.test"], &[], &["a.test", "b.test"], false),
    (&["a.test"], &[], &["*.a.test"], true),
    (&["sub.a.test"], &[], &["*.a.test"], false),
    // Excluded alone.
    (&[], &["a.test"], &["a.test"], false),
    (&[], &["a.test"], &["sub.a.test"], false),
    (&[], &["a.test"], &["b.test"], true),
    (&[], &["a.test"], &["xa.test"], true),
    (&[], &["a.test"], &["A.Test"], false),
    (&[], &["a.test"], &["b.test", "a.test"], false),
    (&[], &["sub.a.test"], &["a.test"], true),
    (&[], &["sub.a.test"], &["*.a.test"], false),
    (&[], &["a.test"], &["*.a.test"], false),
    // Both: what is excluded is excluded.
    (&["a.test"], &["sub.a.test"], &["a.test"], true),
    (&["a.test"], &["sub.a.test"], &["x.sub.a.test"], false),
    (&["a.test"], &["a.test"], &["a.test"], false),
    (&["a.test"], &["b.test"], &["c.test"], false),
    // Constraints of one kind say nothing of the other.
    (&["a.test"], &[], &["127.0.0.1"], true),
    (&["127.0.0.0/255.0.0.0"], &[], &["a.test"], true),
    (&["a.test", "127.0.0.0/255.0.0.0"], &[], &["a.test", "10.0.0.1"], false),
    (&["a.test"], &["127.0.0.0/255.0.0.0"], &["a.test", "127.0.0.1"], false),
    // Addresses.
    (&["127.0.0.0/255.0.0.0"], &[], &["127.1.2.3"], true),
    (&["127.0.0.0/255.0.0.0"], &[], &["10.0.0.1"], false),
    (&["127.0.0.0/255.0.0.0"], &[], &["::1"], false),
    (&[], &["127.0.0.0/255.0.0.0"], &["127.0.0.1"], false),
    (&[], &["127.0.0.0/255.0.0.0"], &["10.0.0.1"], true),
    (&[], &["0.0.0.0/0.0.0.0"], &["10.0.0.1"], false),
    (&[], &["0.0.0.0/0.0.0.0"], &["::1"], true),
    (&["127.0.0.0/255.0.0.0"], &["127.0.0.1/255.255.255.255"], &["127.0.0.1"], false),
    (&["127.0.0.0/255.0.0.0"], &["127.0.0.1/255.255.255.255"], &["127.0.0.2"], true),
    // Mailboxes and URIs, beside the name that is asked for.
    (&["a@mail.test"], &[], &["a.test", "a@mail.test"], true),
    (&["a@mail.test"], &[], &["a.test", "b@mail.test"], false),
    (&[], &["a@mail.test"], &["a.test", "a@MAIL.test"], false),
];

#[test]
fn names_are_held_to_constraints() {
    let root = Cert::ca("Root").self_signed();
    for (permitted, excluded, names, good) in CONSTRAINED {
        let row = format!("permitted {permitted:?}, excluded {excluded:?}, names {names:?}");
        let host = names[0].replace('*', "x");
        let constrained = |by: &Made| Cert::ca("C").constraints(permitted, excluded).by(by);
        let check = |chain: &[&Made], root: &Made, way: &str| {
            let got = verdict(chain, root, &host);
            assert_eq!(got.is_ok(), *good, "{way}: {row}: {got:?}");
            if let Err(error) = got {
                assert!(
                    error.contains("is not authorized to sign for this name"),
                    "{way}: {row}: {error}"
                );
            }
        };
        let ca = constrained(&root);
        check(&[&Cert::leaf().names(names).by(&ca), &ca], &root, "by the issuer");
        let below = Cert::ca("D").by(&ca);
        check(
            &[&Cert::leaf().names(names).by(&below), &below, &ca],
            &root,
            "two above",
        );
        let top = Cert::ca("C").constraints(permitted, excluded).self_signed();
        check(&[&Cert::leaf().names(names).by(&top)], &top, "by the root");
    }
}
