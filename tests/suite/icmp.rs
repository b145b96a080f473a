//! Pings over real sockets. What needs addresses, routes or rights of its own runs in a private network namespace, and is
//! skipped where that is not allowed.

use std::io::Read;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use blackbox_exporter::config;
use blackbox_exporter::metrics::{Labels, Metric};
use blackbox_exporter::net::Network;
use blackbox_exporter::prober::{self, Outcome, ProbeRequest};
use blackbox_exporter::reason::Reason;

use crate::support::namespace::{is_inside, outside};
use crate::support::probing::{PATIENT, compile, log_of, run};
use crate::support::programs::{find, skipped};
use crate::support::{BUSY, has, lacks};

fn icmp(protocol: &str, change: impl FnOnce(&mut config::Icmp)) -> config::Module {
    let mut module = config::Module::new(config::Prober::Icmp);
    module.icmp.preferred_ip_protocol = protocol.to_owned();
    change(&mut module.icmp);
    module
}

/// Opens unprivileged pings to everybody in the namespace.
const OPEN: &str = "echo '0 2147483647' > /proc/sys/net/ipv4/ping_group_range";
/// Closes them, so that raw sockets are all there is.
const CLOSED: &str = "echo '1 0' > /proc/sys/net/ipv4/ping_group_range";

fn assert_replied(outcome: &Outcome) {
    assert!(outcome.success, "{}", log_of(outcome));
    assert_eq!(outcome.samples.value(Metric::IcmpReplyHopLimit), Some(64.0));
    for sample in outcome.samples.family(Metric::IcmpDuration) {
        assert!((0.0..5.0).contains(&sample.value), "{sample:?}");
        if *sample.labels == Labels::Static("rtt") {
            assert!(sample.value > 0.0, "{sample:?}");
        }
    }
    assert_eq!(outcome.samples.family(Metric::IcmpDuration).count(), 3);
}

async fn loopback_answers() {
    for (protocol, target) in [("ip4", "127.0.0.1"), ("ip4", "127.9.8.7"), ("ip6", "::1")] {
        let rows: [(&str, i64); 5] = [
            ("default", 0),
            ("tiny", 1),
            ("text", 28),
            ("long", 3000),
            ("longest", 65_507),
        ];
        for (what, size) in rows {
            let module = icmp(protocol, |m| m.payload_size = size);
            let outcome = run(module, target, PATIENT).await;
            assert!(outcome.success, "{target} {what}: {}", log_of(&outcome));
            assert_replied(&outcome);
        }
    }
    let module = icmp("ip4", |m| m.source_ip_address = "127.0.0.9".to_owned());
    assert_replied(&run(module, "127.0.0.1", PATIENT).await);
    let module = icmp("ip4", |m| m.dont_fragment = true);
    assert_replied(&run(module, "127.0.0.1", PATIENT).await);
    let module = icmp("ip4", |m| m.ttl = 1);
    assert_replied(&run(module, "127.0.0.1", PATIENT).await);
}

#[tokio::test]
async fn unprivileged_sockets_are_tried_first() {
    if outside("icmp::unprivileged_sockets_are_tried_first", OPEN) {
        return;
    }
    loopback_answers().await;
    let outcome = run(icmp("ip4", |_| {}), "127.0.0.1", PATIENT).await;
    lacks(log_of(&outcome), ["will attempt privileged"]);
}

#[tokio::test]
async fn raw_sockets_are_tried_next() {
    if outside("icmp::raw_sockets_are_tried_next", CLOSED) {
        return;
    }
    loopback_answers().await;
    let outcome = run(icmp("ip4", |_| {}), "127.0.0.1", PATIENT).await;
    has(log_of(&outcome), ["will attempt privileged"]);
}

#[tokio::test]
async fn without_any_right_the_log_says_which_is_missing() {
    let drop_rights =
        format!("{CLOSED}; exec setpriv --bounding-set=-net_raw --inh-caps=-net_raw \"$0\" \"$@\"");
    if find("setpriv").is_none() {
        return;
    }
    if outside(
        "icmp::without_any_right_the_log_says_which_is_missing",
        &drop_rights,
    ) {
        return;
    }
    for (protocol, target) in [("ip4", "127.0.0.1"), ("ip6", "::1")] {
        let outcome = run(icmp(protocol, |_| {}), target, PATIENT).await;
        let log = log_of(&outcome);
        assert!(!outcome.success);
        has(
            &log,
            ["Error listening to socket", "ping_group_range", "CAP_NET_RAW"],
        );
    }
}

#[tokio::test]
async fn a_zone_is_an_interface_of_this_network_namespace() {
    // /sys still shows the interfaces of the outer one.
    let link = "ip link add bh0 type veth peer name bh1 && ip addr add fe80::77/64 dev bh0 nodad && \
        ip link set bh0 up && ip link set bh1 up";
    if outside(
        "icmp::a_zone_is_an_interface_of_this_network_namespace",
        &format!("{OPEN}; {link}"),
    ) {
        return;
    }
    assert_replied(&run(icmp("ip6", |_| {}), "fe80::77%bh0", PATIENT).await);
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_at_once() {
    if outside(
        "icmp::what_cannot_be_sent_is_said_at_once",
        &format!("{OPEN}; ip route add unreachable 203.0.113.0/24"),
    ) {
        return;
    }
    let rows: [Failing; 10] = [
        (
            "fe80::1%nope",
            "no interface with an IPv6 address has the name nope",
            |_| {},
        ),
        ("::1%lo", "only a link-local address has a zone", |_| {}),
        ("127.0.0.1", "message too long", |m| m.payload_size = 65_508),
        ("127.0.0.1", "payload_size 70000 is not", |m| {
            m.payload_size = 70_000
        }),
        ("127.0.0.1", "payload_size -1 is not", |m| m.payload_size = -1),
        ("127.0.0.1", "payload_size 9223372036854775807 is not", |m| {
            m.payload_size = i64::MAX
        }),
        ("127.0.0.1", "cannot assign requested address", |m| {
            m.source_ip_address = "192.0.2.77".to_owned()
        }),
        // Upstream opens the socket first.
        ("127.0.0.1", "cannot assign requested address", |m| {
            m.source_ip_address = "192.0.2.77".to_owned();
            m.payload_size = 70_000;
        }),
        ("127.0.0.1", "no suitable address found", |m| {
            m.source_ip_address = "::1".to_owned()
        }),
        ("203.0.113.1", "no route to host", |_| {}),
    ];
    each_fails(&rows, Duration::from_secs(5)).await;
}

/// A target, why its probe fails, and what the module has besides.
type Failing = (&'static str, &'static str, fn(&mut config::Icmp));

/// Each of these probes fails, says why, and does so long before its time is over.
async fn each_fails(rows: &[Failing], within: Duration) {
    for &(target, want, change) in rows {
        let start = Instant::now();
        let outcome = run(icmp("ip4", change), target, PATIENT).await;
        assert!(
            !outcome.success && log_of(&outcome).contains(want),
            "{want}: {}",
            log_of(&outcome)
        );
        assert!(start.elapsed() < within, "{want}");
    }
}

#[tokio::test]
async fn icmp_errors_end_the_probe() {
    // A router in a namespace of its own: it knows no way to 10.11/16, and one to 10.12/16 that takes small packets only. Neighbours that do not
    // answer are given up after three times 100 ms instead of a second.
    let setup = format!(
        "{OPEN}; unshare --net tail --pid=$$ -f /dev/null > /dev/null 2>&1 & router=$!; \
         until [ \"$(readlink /proc/$router/ns/net)\" != \"$(readlink /proc/$$/ns/net)\" ]; do sleep 0.01; done; \
         ip link add a0 type veth peer name a1 && ip link set a1 netns $router && ip addr add 10.9.0.1/24 dev a0 && \
         ip link set a0 up && echo 100 > /proc/sys/net/ipv4/neigh/a0/retrans_time_ms && \
         ip route add 10.11.0.0/16 via 10.9.0.2 && ip route add 10.12.0.0/16 via 10.9.0.2 && \
         in='nsenter --net=/proc/'$router'/ns/net' && $in ip link set lo up && $in ip addr add 10.9.0.2/24 dev a1 && \
         $in ip link set a1 up && $in sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/icmp_ratelimit' && \
         $in ip route add unreachable 10.11.0.0/16 && $in ip link add b0 type veth peer name b1 && \
         $in ip link set b0 mtu 1000 up && $in ip link set b1 up && $in ip route add 10.12.0.0/16 dev b0"
    );
    for raw in [false, true] {
        let test = "icmp::icmp_errors_end_the_probe";
        let setup = if raw {
            format!("{setup}; {CLOSED}")
        } else {
            setup.clone()
        };
        if !outside(test, &setup) {
            break;
        }
    }
    if !is_inside() {
        return;
    }
    let rows: [Failing; 4] = [
        ("10.11.0.1", "destination host unreachable, says 10.9.0.2", |_| {}),
        ("10.12.0.1", "time to live exceeded, says 10.9.0.2", |m| m.ttl = 1),
        (
            "10.12.0.1",
            "packet too big for an MTU of 1000 bytes, says 10.9.0.2",
            |m| {
                m.dont_fragment = true;
                m.payload_size = 1200;
            },
        ),
        ("10.9.0.99", "destination host unreachable, says 10.9.0.1", |_| {}),
    ];
    each_fails(&rows, Duration::from_secs(10)).await;
    // Others' errors do not hurt: pings to the living, while many to the unreachable fail on the same socket.
    let network = Network::system();
    let module = compile(icmp("ip4", |_| {}));
    let probes = (0..400).map(|i| {
        let target = if i % 2 == 0 {
            "10.9.0.2".to_owned()
        } else {
            format!("10.11.0.{}", i % 250)
        };
        let (network, module) = (&network, &module);
        async move {
            let request = ProbeRequest {
                target: &target,
                hostname: None,
                timeout: Duration::from_secs(3),
            };
            (i % 2 == 0, prober::run(network, module, request).await)
        }
    });
    for (alive, outcome) in futures_util::future::join_all(probes).await {
        assert_eq!(outcome.success, alive, "{}", log_of(&outcome));
    }
}

#[tokio::test]
async fn many_pings_at_once_are_all_answered() {
    for setup in [OPEN, CLOSED] {
        if !outside("icmp::many_pings_at_once_are_all_answered", setup) {
            break;
        }
    }
    if !is_inside() {
        return;
    }
    let network = Network::system();
    let module = compile(icmp("ip4", |_| {}));
    let probes = (0..5000).map(|i| {
        let (network, module) = (&network, &module);
        async move {
            // A tenth of them to the same host.
            let target = if i % 10 == 0 {
                "127.0.0.1".to_owned()
            } else {
                format!("127.1.{}.{}", i / 250, 1 + i % 250)
            };
            let request = ProbeRequest {
                target: &target,
                hostname: None,
                timeout: PATIENT,
            };
            prober::run(network, module, request).await
        }
    });
    for outcome in futures_util::future::join_all(probes).await {
        assert_replied(&outcome);
    }
    let figures = network.icmp.figures();
    let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    assert_eq!(read(&figures.answered), 5000);
    assert_eq!(
        [&figures.lost, &figures.in_flight, &figures.dropped].map(read),
        [0; 3]
    );
    // A raw socket serves all of them, unprivileged ones one each as far as they may.
    let sockets = read(&figures.sockets);
    assert!(
        sockets == 1 || (100..5000).contains(&sockets),
        "{sockets} sockets"
    );
}

/// A raw socket of the loopback that sends from this address.
fn raw_from(address: [u8; 4]) -> socket2::Socket {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket
}

/// The identifiers of the echo requests that are heard until `count` have come.
fn identifiers(ear: socket2::Socket, count: usize) -> Vec<u16> {
    let requests = std::iter::from_fn(|| {
        let mut packet = [0; 200];
        let length = (&ear).read(&mut packet).ok()?;
        Some(packet[20..length].to_vec())
    });
    let requests = requests.filter(|message| message.starts_with(&[8, 0]));
    requests
        .take(count)
        .map(|message| u16::from_be_bytes([message[4], message[5]]))
        .collect()
}

#[tokio::test]
async fn every_probe_has_an_identifier_of_its_own() {
    for setup in [OPEN, CLOSED] {
        if !outside("icmp::every_probe_has_an_identifier_of_its_own", setup) {
            break;
        }
    }
    if !is_inside() {
        return;
    }
    const AT_ONCE: usize = 20;
    const IN_TURN: usize = 20;
    let ear = raw_from([127, 0, 0, 1]);
    ear.set_read_timeout(Some(PATIENT)).unwrap();
    let heard = std::thread::spawn(|| identifiers(ear, AT_ONCE + IN_TURN));
    let network = Network::system();
    let module = compile(icmp("ip4", |_| {}));
    let ping = async || {
        let request = ProbeRequest {
            target: "127.0.0.1",
            hostname: None,
            timeout: PATIENT,
        };
        assert_replied(&prober::run(&network, &module, request).await);
    };
    let at_once = (0..AT_ONCE).map(|_| ping());
    futures_util::future::join_all(at_once).await;
    for _ in 0..IN_TURN {
        ping().await;
    }
    let mut heard = heard.join().unwrap();
    let count = heard.len();
    heard.sort_unstable();
    heard.dedup();
    assert_eq!(count, AT_ONCE + IN_TURN);
    // Identifiers of raw sockets are random: two of forty are the same once in a hundred runs.
    assert!(heard.len() >= count - 2, "{} identifiers", heard.len());
    let sockets = network.icmp.figures().sockets.load(Ordering::Relaxed);
    assert!(sockets <= AT_ONCE as u64, "{sockets} sockets");
}

/// What several packets of a probe came to: sent, received, lost, duplicates, and whether the round trips are in order.
fn figures(outcome: &Outcome) -> ([Option<f64>; 4], bool) {
    let value = |metric| outcome.samples.value(metric);
    let counts = [
        Metric::IcmpPacketsSent,
        Metric::IcmpPacketsReceived,
        Metric::IcmpPacketLoss,
        Metric::IcmpDuplicates,
    ];
    let mean = outcome.samples.family(Metric::IcmpDuration);
    let mean = mean
        .filter(|s| *s.labels == Labels::Static("rtt"))
        .map(|s| s.value)
        .next();
    let (min, max) = (value(Metric::IcmpRttMin), value(Metric::IcmpRttMax));
    let spread = [Metric::IcmpRttStddev, Metric::IcmpRttJitter].map(value);
    let in_order = min.is_some() && min <= mean && mean <= max;
    let in_range = spread
        .iter()
        .all(|s| s.is_some_and(|s| (0.0..=max.unwrap_or(0.0)).contains(&s)));
    (counts.map(value), in_order && in_range)
}

#[tokio::test]
async fn several_packets_are_counted() {
    for setup in [OPEN, CLOSED] {
        if !outside("icmp::several_packets_are_counted", setup) {
            break;
        }
    }
    if !is_inside() {
        return;
    }
    let module = |count, min_replies| {
        icmp("ip4", |m| {
            (m.repeat.count, m.repeat.interval, m.min_replies) = (count, 5_000_000, min_replies);
        })
    };
    let outcome = run(module(5, 5), "127.0.0.1", PATIENT).await;
    assert_replied(&outcome);
    assert_eq!(
        figures(&outcome),
        ([Some(5.0), Some(5.0), Some(0.0), Some(0.0)], true)
    );
    // The pages and `probe` show what the metric says.
    let mut durations = outcome.samples.family(Metric::IcmpDuration);
    let mean = durations
        .find(|s| *s.labels == Labels::Static("rtt"))
        .unwrap()
        .value;
    let shown = outcome.timeline.hops[0].phases.last().unwrap().length;
    assert!((shown.as_secs_f64() - mean).abs() < 1e-6, "{shown:?}, not {mean}");
    // One packet is a probe like any other.
    let outcome = run(module(1, 1), "127.0.0.1", PATIENT).await;
    assert_replied(&outcome);
    assert_eq!(figures(&outcome), ([None; 4], false));
    // The first three requests get three replies each, the others none.
    std::fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1").unwrap();
    let (ear, mouth) = (raw_from([127, 0, 0, 1]), raw_from([127, 0, 0, 1]));
    ear.set_read_timeout(Some(PATIENT)).unwrap();
    let echo = std::thread::spawn(move || {
        let mut packet = [0; 200];
        let mut requests = 0;
        while requests < 3 {
            let length = (&ear).read(&mut packet).unwrap();
            if packet[20..length].starts_with(&[8, 0]) {
                requests += 1;
                for _ in 0..3 {
                    let to = SocketAddr::from(([127, 0, 0, 1], 0)).into();
                    mouth.send_to(&message([0, 0], &packet[24..length]), &to).unwrap();
                }
            }
        }
    });
    let outcome = run(module(5, 4), "127.0.0.1", Duration::from_secs(2)).await;
    echo.join().unwrap();
    assert_eq!(
        figures(&outcome),
        ([Some(5.0), Some(3.0), Some(0.4), Some(6.0)], true)
    );
    let log = log_of(&outcome);
    assert!(
        !outcome.success && log.contains("3 of 5 requests got a reply, 4 are required"),
        "{log}"
    );
    has(outcome.advice.unwrap(), ["responds, but only to 3 of 5 requests"]);
    // Partial results at the timeout, which comes before the last request.
    let module = icmp("ip4", |m| {
        (m.repeat.count, m.repeat.interval) = (3, 60_000_000_000)
    });
    let outcome = run(module, "127.0.0.1", Duration::from_millis(500)).await;
    assert_eq!(figures(&outcome).0, [Some(1.0), Some(0.0), Some(1.0), Some(0.0)]);
    assert_eq!(outcome.failure.unwrap().reason, Reason::IcmpNoReply);
    // A host that replies is not down because the time is over.
    std::fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "0").unwrap();
    let module = icmp("ip4", |m| {
        (m.repeat.count, m.repeat.interval, m.min_replies) = (3, 60_000_000_000, 2);
    });
    let outcome = run(module, "127.0.0.1", Duration::from_secs(1)).await;
    has(
        log_of(&outcome),
        ["there was time for 1 of 3 requests, 1 got a reply, 2 are required"],
    );
    assert_eq!(outcome.failure.unwrap().reason, Reason::RequestTimeout);
    has(outcome.advice.unwrap(), ["lower count or interval"]);
}

/// An ICMP message with its checksum.
fn message(kind: [u8; 2], rest: &[u8]) -> Vec<u8> {
    let mut bytes = [&kind[..], &[0, 0], rest].concat();
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    bytes[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    bytes
}

/// Everything that is nearly the answer to a request to 127.0.0.1, of which this is what stands behind its checksum; each
/// with whether it comes from another address.
fn forgeries(request: &[u8], turn: u16) -> Vec<(bool, Vec<u8>)> {
    const REPLY: [u8; 2] = [0, 0];
    let changed = |at: usize, by: u16| {
        let mut other = request.to_vec();
        let old = u16::from_be_bytes([other[at], other[at + 1]]);
        other[at..at + 2].copy_from_slice(&old.wrapping_add(by).to_be_bytes());
        other
    };
    let other = 1 + turn % 65_534;
    // A report of a request to somewhere else, and one that quotes less than it must.
    let mut quoted = vec![
        0x45, 0, 0, 84, 0, 0, 0, 0, 64, 1, 0, 0, 127, 0, 0, 1, 127, 0, 0, 99,
    ];
    let report = |quoted: &[u8]| message([3, 1], &[&[0; 4], quoted].concat());
    let cut = report(&quoted[..usize::from(turn % 20)]);
    quoted.extend(message([8, 0], request));
    vec![
        (true, message(REPLY, request)),
        (false, message(REPLY, &changed(0, other))),
        (false, message(REPLY, &changed(2, other))),
        (false, message(REPLY, &changed(request.len() - 2, other))),
        (
            false,
            message(REPLY, &request[..4 + usize::from(turn) % (request.len() - 4)]),
        ),
        (false, message(REPLY, &[request, &[0; 1000]].concat())),
        (false, message([0, 1], request)),
        (false, report(&quoted)),
        (false, cut),
        (false, message([11, 0], &[&[0xff; 4], request].concat())),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_forged_replies_is_noise() {
    let _busy = BUSY.lock().await;
    for setup in [OPEN, CLOSED] {
        if !outside("icmp::a_flood_of_forged_replies_is_noise", setup) {
            break;
        }
    }
    if !is_inside() {
        return;
    }
    const SILENCE: &str = "/proc/sys/net/ipv4/icmp_echo_ignore_all";
    std::fs::write(SILENCE, "1").unwrap();
    let (ear, mouth, stranger) = (
        raw_from([127, 0, 0, 1]),
        raw_from([127, 0, 0, 1]),
        raw_from([127, 0, 0, 2]),
    );
    ear.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let (over, to) = (Arc::clone(&is_over), SocketAddr::from(([127, 0, 0, 1], 0)).into());
    let flood = std::thread::spawn(move || {
        let request = std::iter::from_fn(|| {
            let mut packet = [0; 200];
            let length = (&ear).read(&mut packet).unwrap();
            Some(packet[20..length].to_vec())
        })
        .find(|message| message.starts_with(&[8, 0]))
        .unwrap();
        let mut sent = 0_u64;
        for turn in (0..=u16::MAX).cycle() {
            if over.load(Ordering::Relaxed) {
                break;
            }
            for (is_strange, forged) in forgeries(&request[4..], turn) {
                let from = if is_strange { &stranger } else { &mouth };
                sent += u64::from(from.send_to(&forged, &to).is_ok());
            }
        }
        sent
    });
    let network = Network::system();
    let module = compile(icmp("ip4", |_| {}));
    let memory = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    };
    let ping = async |timeout| {
        let request = ProbeRequest {
            target: "127.0.0.1",
            hostname: None,
            timeout,
        };
        prober::run(&network, &module, request).await
    };
    let before = memory();
    let start = Instant::now();
    let outcome = ping(Duration::from_secs(2)).await;
    let took = start.elapsed();
    let log = log_of(&outcome);
    assert!(!outcome.success && log.contains("i/o timeout: no reply"), "{log}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    let grown = memory().saturating_sub(before);
    assert!(grown < 16, "grew by {grown} MiB");
    // As soon as the host answers, the true reply is found among them.
    std::fs::write(SILENCE, "0").unwrap();
    assert_replied(&ping(PATIENT).await);
    is_over.store(true, Ordering::Relaxed);
    let sent = flood.join().unwrap();
    let unexpected = network.icmp.figures().unexpected.load(Ordering::Relaxed);
    println!("{sent} forged, {unexpected} looked at, {grown} MiB");
    assert!(
        sent > 1_000 && unexpected > 100,
        "{sent} forged, {unexpected} looked at"
    );
}

#[tokio::test]
async fn another_implementation_sees_the_same_round_trip() {
    if outside("icmp::another_implementation_sees_the_same_round_trip", OPEN) {
        return;
    }
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let client = surge_ping::Client::new(&surge_ping::Config::default()).unwrap();
    let mut pinger = client
        .pinger([127, 0, 0, 1].into(), surge_ping::PingIdentifier(1))
        .await;
    let network = Network::system();
    let module = compile(icmp("ip4", |_| {}));
    for i in 0..50 {
        let request = ProbeRequest {
            target: "127.0.0.1",
            hostname: None,
            timeout: PATIENT,
        };
        let outcome = prober::run(&network, &module, request).await;
        let rtt = outcome
            .samples
            .family(Metric::IcmpDuration)
            .find(|s| *s.labels == Labels::Static("rtt"));
        ours.push(rtt.unwrap().value);
        let (_, took) = pinger
            .ping(surge_ping::PingSequence(i), b"payload")
            .await
            .unwrap();
        theirs.push(took.as_secs_f64());
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    // The kernel's stamp leaves out what it takes to wake up: ours is at most what a user-space clock sees.
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    assert!(ours > 0.0 && ours < theirs * 2.0 + 0.001, "{ours} {theirs}");
}

#[tokio::test]
async fn the_systems_ping_agrees() {
    if find("ping").is_none() {
        return;
    }
    let witness = Command::new("ping")
        .args(["-c", "1", "-W", "5", "127.0.0.1"])
        .output()
        .unwrap();
    let outcome = run(icmp("ip4", |_| {}), "127.0.0.1", PATIENT).await;
    if !witness.status.success() && !outcome.success {
        return skipped("the right to ping");
    }
    let text = String::from_utf8_lossy(&witness.stdout);
    has(&text, ["ttl=64"]);
    assert_replied(&outcome);
}
