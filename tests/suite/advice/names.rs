//! Names, routes and rights, in a namespace where they are as the situation wants them.

use blackbox_exporter::reason::Reason;
use tokio::net::UdpSocket;

use super::Table;
use crate::support::namespace::outside;
use crate::support::programs::find;
use crate::support::{closed, lacks, spawn};

/// A name server on the loopback, which this host asks, and routes to nowhere.
const SETUP: &str = "files=$(mktemp -d) && \
    printf '127.0.0.1 localhost\n::1 localhost\n2001:db8::7 both.test\n192.0.2.7 both.test\n::1 here.test\n192.0.2.8 here.test\n0.0.0.0 blocked.test\n' > $files/hosts && \
    printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' > $files/resolv.conf && \
    mount --bind $files/hosts /etc/hosts && mount --bind $files/resolv.conf /etc/resolv.conf && \
    ip route add unreachable 203.0.113.0/24 && ip route add prohibit 10.240.0.0/24 && ip route add blackhole 10.242.0.0/24 && ip route add 198.51.100.0/24 dev lo";

/// Answers with the response code that a name begins with; A records for `four` and `half`; nothing for `silent`, nor for AAAA of
/// `half`; truncated for `trun…`; an alias for `dang…` and `loop`.
async fn name_server() {
    let socket = UdpSocket::bind("127.0.0.1:53").await.unwrap();
    spawn(async move {
        let mut buffer = [0; 600];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let name = String::from_utf8_lossy(&buffer[13..length]).into_owned();
            // After the name and its final zero: the type, then the class.
            let after = 13 + name.find('\0').unwrap() + 1;
            let kind = buffer[after + 1];
            let mut answer = buffer[..length].to_vec();
            answer[2] = 0x81;
            answer[3] = 0x80
                | match &name[..4] {
                    "none" | "xn--" | "dang" => 3,
                    "form" => 1,
                    "noti" => 4,
                    "fail" => 2,
                    "deny" => 5,
                    _ => 0,
                };
            // Without the additional record of the query.
            answer.truncate(after + 4);
            (answer[10], answer[11]) = (0, 0);
            if name.starts_with("sile") || name.starts_with("half") && kind == 28 {
                continue;
            }
            if name.starts_with("trun") {
                answer[2] = 0x83;
            }
            // An alias of `gone.test`, or of itself.
            let target: Option<&[u8]> = match &name[..4] {
                "dang" => Some(b"\x04gone\x04test\0"),
                "loop" => Some(&[0xc0, 12]),
                _ => None,
            };
            if let Some(target) = target {
                answer[7] = 1;
                answer.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, target.len() as u8]);
                answer.extend_from_slice(target);
            }
            if (name.starts_with("four") || name.starts_with("half")) && kind == 1 {
                answer[7] = 1;
                answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 4]);
            }
            let _ = socket.send_to(&answer, from).await;
        }
    });
}

#[tokio::test]
async fn names_and_routes() {
    if outside("advice::names::names_and_routes", SETUP) {
        return;
    }
    name_server().await;
    let _silent = tokio::net::TcpListener::bind("127.0.0.1:53").await.unwrap();
    let mut table = Table::new("names");
    let tcp = |more: &str| format!("prober: tcp\ntimeout: 3s\ntcp: {{{more}}}");
    #[rustfmt::skip]
    let rows = [
        ("The name does not exist", tcp(""), "none.test:80"),
        ("A name without a dot", tcp(""), "none:80"),
        ("A name with letters beyond ASCII", tcp(""), "b\u{fc}cher.test:80"),
        ("The name server fails", tcp(""), "fail.test:80"),
        ("The name server refuses", tcp(""), "deny.test:80"),
        ("The name server is silent", tcp(""), "silent.test:80"),
        ("The name server responds about IPv4 addresses only", tcp("").replace("3s", "1s"), "half.test:80"),
        ("The name server truncates over UDP, and is silent over TCP", tcp(""), "truncated.test:80"),
        ("The name server does not understand the query", tcp(""), "form.test:80"),
        ("The name server does not support the query", tcp(""), "noti.test:80"),
        ("An alias of a name that does not exist", tcp(""), "dangle.test:80"),
        ("An alias of itself", tcp(""), "loop.test:80"),
        ("The name has no IPv6 address, and nothing else is allowed", tcp("ip_protocol_fallback: false"), "four.test:80"),
        ("An IPv4 address, and nothing but IPv6 is allowed", tcp("preferred_ip_protocol: ip6, ip_protocol_fallback: false"), "192.0.2.4:80"),
        ("The name has neither an A nor an AAAA record", tcp(""), "nothing.test:80"),
        ("No route over IPv6, and the name has an A record", tcp(""), "both.test:80"),
        ("Refused over IPv6, and the name has an A record", tcp(""), "here.test:1"),
        ("The name has the address 0.0.0.0", tcp(""), "blocked.test:1"),
        ("No route", tcp(""), "203.0.113.1:80"),
        ("A prohibit route", tcp(""), "10.240.0.1:80"),
        ("A blackhole route", tcp(""), "10.242.0.1:80"),
        ("`resolver` along a prohibit route", "prober: tcp\nresolver: udp://10.240.0.1".to_owned(), "four.test:80"),
        ("dns without a route", "prober: dns\ndns: {query_name: a.test}".to_owned(), "203.0.113.1"),
        ("No response", "prober: tcp\ntimeout: 500ms".to_owned(), "198.51.100.1:80"),
        ("A ping without a route, and the name has an A record", "prober: icmp\ntimeout: 2s".to_owned(), "both.test"),
        ("A ping along a prohibit route", "prober: icmp\ntimeout: 2s".to_owned(), "10.240.0.1"),
        ("A ping along a blackhole route", "prober: icmp\ntimeout: 2s".to_owned(), "10.242.0.1"),
        ("A ping without a reply", "prober: icmp\ntimeout: 500ms".to_owned(), "198.51.100.1"),
        ("A large ping without a reply", "prober: icmp\ntimeout: 500ms\nicmp: {payload_size: 1400}".to_owned(), "198.51.100.1"),
    ];
    for (situation, yaml, target) in rows {
        table.row(situation, &yaml, target).await;
    }
    std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
    let http3 = "prober: http\nhttp: {enable_http2: false, enable_http3: true, tls_config: {insecure_skip_verify: true}}";
    let icmp = "prober: icmp\ntimeout: 2s";
    #[rustfmt::skip]
    let rows = [
        ("No IPv6 address, and the name has an A record", Reason::ConnectUnreachable, tcp(""), "both.test:80"),
        ("No IPv6 address", Reason::ConnectUnreachable, tcp(""), "[2001:db8::7]:80"),
        ("HTTP/3 without an IPv6 address, and the name has an A record", Reason::ConnectUnreachable, http3.to_owned(), "https://both.test/"),
        ("A ping without an IPv6 address, and the name has an A record", Reason::IcmpUnreachable, icmp.to_owned(), "both.test"),
    ];
    for (situation, reason, yaml, target) in rows {
        let outcome = crate::support::probe(&yaml, target).await;
        assert_eq!(outcome.failure.unwrap().reason, reason, "{situation}");
        table.add(situation, &outcome, target, &[]);
    }
    table.check();
}

/// An interface with a neighbour that says nothing.
const NEIGHBOUR: &str = "ip link add a0 type veth peer name a1 && ip addr add 10.9.0.1/24 dev a0 && \
    ip link set a0 up && ip link set a1 up && ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev a0";

/// Accepts connections and ends them.
async fn hangs_up() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move { while listener.accept().await.is_ok() {} });
    address.to_string()
}

#[tokio::test]
async fn sources() {
    use Reason::{
        ConfigError, ConnectTimeout, IcmpNoReply, RequestTimeout, ResolveError, ResolveTimeout, TlsHandshake,
    };
    if outside("advice::names::sources", NEIGHBOUR) {
        return;
    }
    let mut table = Table::new("sources");
    let hung_up = hangs_up().await;
    let closed = closed().to_string();
    // Without CA certificates: reading them may take longer.
    let of = |prober: &str, more: &str| format!("prober: {prober}\ntimeout: 2s\n{more}");
    let foreign = "source_ip_address: 203.0.113.9";
    let missing = "source_interface: nope0";
    let inner = "source_interface: lo";
    let with = |field: &str, more: &str| format!("{field}\n{more}");
    let by = |field: &str| with(field, "resolver: udp://10.9.0.9");
    let over_tcp = format!("resolver: tcp://{hung_up}");
    let over_tls = format!("resolver: tls://{hung_up}\nresolver_tls_config: {{insecure_skip_verify: true}}");
    let quic =
        "dns: {query_name: a.test, transport_protocol: quic, tls_config: {insecure_skip_verify: true}}";
    let udp = "dns: {query_name: a.test}";
    let http3 = "http: {enable_http2: false, enable_http3: true, tls_config: {insecure_skip_verify: true}}";
    let (port, ip, name, url) = ("10.9.0.9:80", "10.9.0.9", "a.test:80", "https://10.9.0.9/");
    #[rustfmt::skip]
    let rows = [
        ("icmp, the source address is not this host's", ConfigError, of("icmp", foreign), ip),
        ("icmp, the interface does not exist", ConfigError, of("icmp", missing), ip),
        ("icmp, a loopback address as the source", ConfigError, of("icmp", "source_ip_address: 127.0.0.1"), ip),
        ("icmp with `count`, a loopback address as the source", ConfigError, of("icmp", "source_ip_address: 127.0.0.1\nicmp: {count: 2, interval: 100ms}"), ip),
        ("icmp, no reply by the interface", IcmpNoReply, of("icmp", inner), ip),
        ("tcp, a loopback address as the source", ConfigError, of("tcp", "source_ip_address: 127.0.0.1"), port),
        ("tcp, a link-local address without its interface", ConfigError, of("tcp", ""), "[fe80::1]:80"),
        ("tcp, no response by the interface", ConnectTimeout, of("tcp", inner), port),
        ("`resolver`, the source address is not this host's", ConfigError, of("tcp", &by(foreign)), name),
        ("`resolver`, the source address is of the other family", ConfigError, of("tcp", &by("source_ip_address: ::1")), name),
        ("`resolver`, the interface does not exist", ConfigError, of("tcp", &by(missing)), name),
        ("`resolver` over TCP, the interface does not exist", ConfigError, of("tcp", &with(missing, &over_tcp)), name),
        ("`resolver`, no response by the interface", ResolveTimeout, of("tcp", &by(inner)), name),
        ("`resolver` over TCP closes the connection", ResolveError, of("tcp", &over_tcp), name),
        ("`resolver` does not speak TLS", ResolveError, of("tcp", &over_tls), name),
        ("HTTP/3, the source address is not this host's", ConfigError, of("http", &with(foreign, http3)), url),
        ("HTTP/3, the source address is of the other family", ConfigError, of("http", &with("source_ip_address: ::1", http3)), url),
        ("HTTP/3, the interface does not exist", ConfigError, of("http", &with(missing, http3)), url),
        ("HTTP/3, a link-local address without its interface", ConfigError, of("http", http3), "https://[fe80::1]/"),
        ("HTTP/3, no response by the interface", TlsHandshake, of("http", &with(inner, http3)), url),
        ("dns over QUIC, the source address is not this host's", ConfigError, of("dns", &with(foreign, quic)), ip),
        ("dns over QUIC, the interface does not exist", ConfigError, of("dns", &with(missing, quic)), ip),
        ("dns over QUIC, a link-local address without its interface", ConfigError, of("dns", quic), "fe80::1"),
        ("dns over QUIC, no response", TlsHandshake, of("dns", quic), ip),
        ("dns, no response by the interface", RequestTimeout, of("dns", &with(inner, udp)), ip),
    ];
    for (situation, reason, yaml, target) in rows {
        let outcome = crate::support::probe(&yaml, target).await;
        let log = crate::support::log(&outcome);
        let failure = outcome.failure.unwrap_or_else(|| panic!("{situation}: {log:#?}"));
        assert_eq!(failure.reason, reason, "{situation}: {log:#?}");
        table.add(
            situation,
            &outcome,
            target,
            &[(hung_up.as_str(), "127.0.0.1:PORT")],
        );
    }
    // What came back shows that packets leave and arrive.
    for yaml in [of("tcp", inner), of("http", inner)] {
        let outcome = crate::support::probe(&yaml, &closed).await;
        lacks(outcome.advice.unwrap(), ["source_interface"]);
    }
    table.check();
}

#[tokio::test]
async fn pings_need_a_right() {
    let setup = "sysctl -q -w net.ipv4.ping_group_range='1 0' && \
        exec setpriv --bounding-set=-net_raw --inh-caps=-net_raw \"$0\" \"$@\"";
    if find("setpriv").is_none() || outside("advice::names::pings_need_a_right", setup) {
        return;
    }
    let mut table = Table::new("pings");
    let outcome = crate::support::probe("prober: icmp\ntimeout: 2s", "127.0.0.1").await;
    assert_eq!(outcome.failure.unwrap().phase, "setup");
    table.add("No right to ping", &outcome, "127.0.0.1", &[]);
    table.check();
}
