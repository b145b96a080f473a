//! Name look-ups against a real name server, unbound, in a namespace with a resolver configuration of its own.

use std::time::Duration;

use blackbox_exporter::net::{Deadline, Network, Preference};
use tokio::time::Instant;

use crate::support::namespace::outside;
use crate::support::programs::find;
use crate::support::tls_peer::SelfSigned;
use crate::support::unbound::Unbound;

/// The system's files, which are read at every look-up.
const FILES: &str = "files=$(mktemp -d) && printf '127.0.0.1 localhost\n192.0.2.99 hosts.look.test\n' > $files/hosts && \
    printf 'nameserver 127.0.0.1\nsearch look.test\noptions timeout:5 attempts:1\n' > $files/resolv.conf && \
    mount --bind $files/hosts /etc/hosts && mount --bind $files/resolv.conf /etc/resolv.conf && rm -r $files";

#[tokio::test]
async fn unbound_is_asked_for_addresses() {
    let Some(program) = find("unbound") else { return };
    if outside("resolve::unbound_is_asked_for_addresses", FILES) {
        return;
    }
    let mut zone = "\
        look.test. 300 IN SOA ns.look.test. admin.look.test. 1 7200 3600 1209600 300\n\
        look.test. 300 IN NS ns.look.test.\n\
        ns.look.test. 300 IN A 127.0.0.1\n\
        four.look.test. 300 IN A 192.0.2.4\n\
        six.look.test. 300 IN AAAA 2001:db8::6\n\
        both.look.test. 300 IN A 192.0.2.4\n\
        both.look.test. 300 IN AAAA 2001:db8::6\n\
        alias.look.test. 300 IN CNAME second.look.test.\n\
        second.look.test. 300 IN CNAME third.look.test.\n\
        third.look.test. 300 IN CNAME both.look.test.\n\
        dangling.look.test. 300 IN CNAME nothing.look.test.\n\
        text.look.test. 300 IN TXT hello\n\
        hosts.look.test. 300 IN A 192.0.2.4\n"
        .to_owned();
    // Far more than a datagram of 1232 bytes holds: the answer comes over TCP or not at all.
    for last in 1..=200 {
        zone.push_str(&format!("many.look.test. 300 IN A 198.51.100.{last}\n"));
    }
    let _unbound = Unbound::start(
        &program,
        ("look.test", &zone),
        &SelfSigned::local(),
        Some([53, 853]),
    )
    .await;
    let network = Network::system();
    let absent = "lookup nothing.look.test on 127.0.0.1:53: no such host";
    // name, then preferring ip4, preferring ip6, only ip4, only ip6
    let rows = [
        (
            "four.look.test",
            ["192.0.2.4", "192.0.2.4", "192.0.2.4", "no AAAA"],
        ),
        (
            "six.look.test",
            ["2001:db8::6", "2001:db8::6", "no A", "2001:db8::6"],
        ),
        (
            "both.look.test",
            ["192.0.2.4", "2001:db8::6", "192.0.2.4", "2001:db8::6"],
        ),
        (
            "BOTH.look.Test.",
            ["192.0.2.4", "2001:db8::6", "192.0.2.4", "2001:db8::6"],
        ),
        (
            "alias.look.test",
            ["192.0.2.4", "2001:db8::6", "192.0.2.4", "2001:db8::6"],
        ),
        // The name itself is asked for in the end, of which this server knows nothing.
        (
            "four",
            [
                "192.0.2.4",
                "192.0.2.4",
                "192.0.2.4",
                "lookup four on 127.0.0.1:53: ",
            ],
        ),
        ("nothing.look.test", [absent; 4]),
        ("dangling.look.test", ["no such host"; 4]),
        (
            "text.look.test",
            ["neither A nor AAAA", "neither A nor AAAA", "no A", "no AAAA"],
        ),
        (
            "hosts.look.test",
            ["192.0.2.99", "192.0.2.99", "192.0.2.99", "no suitable address"],
        ),
        (
            "many.look.test",
            ["198.51.100.", "198.51.100.", "198.51.100.", "no AAAA"],
        ),
    ];
    for (name, wants) in rows {
        let preferences = [("ip4", true), ("ip6", true), ("ip4", false), ("ip6", false)];
        for ((family, fallback), want) in preferences.into_iter().zip(wants) {
            let deadline = Deadline::after(Instant::now(), Duration::from_secs(20));
            let preference = Preference::new(family, fallback);
            let found = network.resolver.lookup(name, preference, deadline).await;
            let found = found.map_or_else(|error| error.to_string(), |address| address.to_string());
            assert!(found.contains(want), "{name} {family} {fallback}: {found}");
        }
    }
}
