//! The dns prober against scripted servers, and against unbound where it is installed.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blackbox_exporter::metrics::{Labels, Metric};
use blackbox_exporter::prober::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::Instant;

use crate::support::programs::find;
use crate::support::tls_peer::SelfSigned;
use crate::support::unbound::Unbound;
use crate::support::{has, log, module, probe, redacted, spawn};

/// A module that asks for the address of `example.test`, with more options.
fn asking(options: &str) -> String {
    let more: String = options
        .lines()
        .map(|line| format!("\n  {}", line.trim()))
        .collect();
    format!("prober: dns\ntimeout: 5s\ndns:\n  query_name: example.test\n  query_type: A{more}")
}

/// The answer to a query: its question again, and records that are already on the wire.
pub fn reply(query: &[u8], rcode: u8, counts: [u8; 3], records: &[u8]) -> Vec<u8> {
    let [answers, authorities, additionals] = counts;
    let mut answer = query[..2].to_vec();
    answer.extend([
        0x81,
        0x80 | rcode,
        0,
        1,
        0,
        answers,
        0,
        authorities,
        0,
        additionals,
    ]);
    answer.extend(&query[12..]);
    answer.extend(records);
    answer
}

/// An A record of the name in the question.
pub fn address(last: u8) -> Vec<u8> {
    let mut record = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02".to_vec();
    record.push(last);
    record
}

/// A UDP server that sends what `answers` makes of each query.
pub async fn udp_server(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            for answer in answers(&query[..length]) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    address
}

/// A TCP server that handles each query in its own way.
pub async fn tcp_server<F>(handle: impl Fn(TcpStream, Vec<u8>) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut query = vec![0; usize::from(length)];
            stream.read_exact(&mut query).await.unwrap();
            spawn(handle(stream, query));
        }
    });
    address
}

pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(message);
    framed
}

/// The `err` that a probe ended with.
pub fn problem(outcome: &Outcome) -> String {
    let lines = log(outcome);
    let line = lines
        .iter()
        .rev()
        .find(|line| line.starts_with("ERROR Error while sending a DNS query"));
    line.unwrap_or_else(|| panic!("{lines:#?}")).clone()
}

fn phase(outcome: &Outcome, name: &'static str) -> f64 {
    let mut phases = outcome.samples.family(Metric::DnsDuration);
    phases
        .find(|sample| *sample.labels == Labels::Static(name))
        .unwrap()
        .value
}

#[tokio::test]
async fn the_exposition_of_an_answer() {
    let server = udp_server(|query| {
        vec![reply(
            query,
            0,
            [1, 1, 1],
            &[address(1), address(2), address(3)].concat(),
        )]
    })
    .await;
    let outcome = probe(&asking("preferred_ip_protocol: ip4"), &server.to_string()).await;
    assert_eq!(
        redacted(&outcome),
        "\
# HELP probe_dns_additional_rrs Returns number of entries in the additional resource record list
# TYPE probe_dns_additional_rrs gauge
probe_dns_additional_rrs 1
# HELP probe_dns_answer_rrs Returns number of entries in the answer resource record list
# TYPE probe_dns_answer_rrs gauge
probe_dns_answer_rrs 1
# HELP probe_dns_authority_rrs Returns number of entries in the authority resource record list
# TYPE probe_dns_authority_rrs gauge
probe_dns_authority_rrs 1
# HELP probe_dns_duration_seconds Duration of DNS request by phase
# TYPE probe_dns_duration_seconds gauge
probe_dns_duration_seconds{phase=\"connect\"} V
probe_dns_duration_seconds{phase=\"request\"} V
probe_dns_duration_seconds{phase=\"resolve\"} V
# HELP probe_dns_lookup_time_seconds Returns the time taken for probe dns lookup in seconds
# TYPE probe_dns_lookup_time_seconds gauge
probe_dns_lookup_time_seconds V
# HELP probe_dns_query_succeeded Displays whether or not the query was executed successfully
# TYPE probe_dns_query_succeeded gauge
probe_dns_query_succeeded 1
# HELP probe_duration_seconds Returns how long the probe took to complete in seconds
# TYPE probe_duration_seconds gauge
probe_duration_seconds V
# HELP probe_ip_addr_hash Specifies the hash of IP address. It's useful to detect if the IP address changes.
# TYPE probe_ip_addr_hash gauge
probe_ip_addr_hash V
# HELP probe_ip_protocol Specifies whether probe ip protocol is IP4 or IP6
# TYPE probe_ip_protocol gauge
probe_ip_protocol 4
# HELP probe_success Displays whether or not the probe was a success
# TYPE probe_success gauge
probe_success 1
# HELP probe_timeout_seconds Returns how long the probe timeout is in seconds
# TYPE probe_timeout_seconds gauge
probe_timeout_seconds 5
"
    );
}

#[tokio::test]
async fn the_log_tells_what_was_asked_answered_and_judged() {
    let server = udp_server(|query| vec![reply(query, 0, [1, 0, 0], &address(1))]).await;
    let options = "validate_answer_rrs: {fail_if_not_matches_regexp: ['2[.]2$']}";
    let outcome = probe(&asking(options), &server.to_string()).await;
    assert!(!outcome.success);
    let lines: Vec<_> = log(&outcome).into_iter().skip(3).collect();
    let id = lines[1]
        .split("id: ")
        .nth(1)
        .and_then(|rest| rest.split('\\').next())
        .unwrap();
    let want = [
        format!("DEBUG Making DNS query target=\"{server}\" dial_protocol=\"udp4\" query=\"example.test\" type=1 class=1"),
        format!(
            r#"DEBUG Got response response=";; opcode: QUERY, status: NOERROR, id: {id}\n;; flags: qr rd ra; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 0\n\n;; QUESTION SECTION:\n;example.test.\tIN\t A\n\n;; ANSWER SECTION:\nexample.test.\t300\tIN\tA\t192.0.2.1\n""#
        ),
        r#"DEBUG Rcode is valid rcode=0 string_rcode="NOERROR""#.to_owned(),
        "DEBUG Validating Answer RRs".to_owned(),
        r#"DEBUG Validating RR rr="example.test.\t300\tIN\tA\t192.0.2.1""#.to_owned(),
        r#"ERROR At least one RR did not match regexp regexp="2[.]2$" rr="example.test.\t300\tIN\tA\t192.0.2.1""#.to_owned(),
        r#"ERROR Answer RRs validation failed err="the record \"example.test.\\t300\\tIN\\tA\\t192.0.2.1\" does not match \"2[.]2$\"""#.to_owned(),
    ];
    assert_eq!(lines[..lines.len() - 1], want);
}

#[tokio::test]
async fn failures_say_what_was_asked_whom_and_why() {
    let tcp = "transport_protocol: tcp";
    let closed = tcp_server(|stream, _| async move { drop(stream) }).await;
    let other_id = tcp_server(|mut stream, mut query| async move {
        query[0] ^= 255;
        stream
            .write_all(&framed(&reply(&query, 0, [0; 3], b"")))
            .await
            .unwrap();
    })
    .await;
    let short = udp_server(|query| vec![query[..5].to_vec()]).await;
    let cut = udp_server(|query| vec![reply(query, 0, [1, 0, 0], &address(1)[..14])]).await;
    let long = udp_server(|query| vec![reply(query, 0, [40, 0, 0], &address(1).repeat(40))]).await;
    // A socket that is closed again: nobody listens there.
    let nobody = UdpSocket::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    #[rustfmt::skip]
    let rows = [
        (tcp, closed, "over tcp: waiting for the response: the connection was closed"),
        (tcp, other_id, "over tcp: id mismatch: the response has the identifier "),
        ("", short, "over udp: the response has 5 octets, fewer than the 12 of a header"),
        ("", cut, "over udp: the answer cannot be read: answer record 1: the data of a record goes beyond the message"),
        ("", long, "; it was cut after 512 octets"),
        ("", nobody, "over udp: waiting for the response: connection refused"),
        (tcp, nobody, "over tcp: dial tcp "),
        ("query_name: a..test", nobody, "over udp: the query name has an empty label"),
        ("source_ip_address: 192.0.2.77", nobody, "bind: cannot assign requested address"),
    ];
    for (options, server, want) in rows {
        let yaml = asking(options);
        // A later key replaces the name of `asking`.
        let yaml = if options.starts_with("query_name") {
            yaml.replace("query_name: example.test\n  ", "")
        } else {
            yaml
        };
        let outcome = probe(&yaml, &server.to_string()).await;
        assert!(!outcome.success);
        let problem = problem(&outcome);
        has(&problem, [&format!("query {server} over "), want]);
    }
}

#[tokio::test]
async fn strays_are_ignored_until_the_deadline() {
    let other_ids = |query: &[u8]| {
        let mut query = query.to_vec();
        query[0] ^= 255;
        vec![reply(&query, 0, [1, 0, 0], &address(1)); 2]
    };
    let strays_first =
        udp_server(move |query| [other_ids(query), vec![reply(query, 0, [1, 0, 0], &address(1))]].concat())
            .await;
    assert!(probe(&asking(""), &strays_first.to_string()).await.success);
    let only_strays = udp_server(move |query| other_ids(query)).await;
    let outcome = probe(&asking("").replace("5s", "300ms"), &only_strays.to_string()).await;
    assert!(!outcome.success);
    has(
        problem(&outcome),
        ["; 2 responses with other identifiers were ignored"],
    );
    // What was measured is there, also when the time is over.
    assert!(phase(&outcome, "request") > 0.2 && phase(&outcome, "connect") > 0.0);
}

/// As upstream, whose library compares nothing but the identifier: the question of an answer is not compared with what was asked, over
/// UDP as over TCP. `validate_answer_rrs` is what tells.
#[tokio::test]
async fn the_question_of_an_answer_is_not_compared() {
    let question = b"\x05wrong\x07example\0\0\x10\0\x01";
    let wrong = |query: &[u8]| {
        [
            &reply(&query[..12], 0, [1, 0, 0], b""),
            &question[..],
            &address(9),
        ]
        .concat()
    };
    let udp = udp_server(move |query| vec![wrong(query)]).await;
    let tcp = tcp_server(move |mut stream, query| async move {
        stream.write_all(&framed(&wrong(&query))).await.unwrap();
    })
    .await;
    for (options, target) in [("", udp), ("transport_protocol: tcp", tcp)] {
        let outcome = probe(&asking(options), &target.to_string()).await;
        assert!(outcome.success, "{:?}", log(&outcome));
        assert_eq!(outcome.samples.value(Metric::DnsAnswerRrs), Some(1.0));
        let strict = format!(
            "{options}\nvalidate_answer_rrs: {{fail_if_none_matches_regexp: ['example[.]test[.]\\t.*']}}"
        );
        let outcome = probe(&asking(&strict), &target.to_string()).await;
        assert!(!outcome.success, "{:?}", log(&outcome));
    }
}

#[tokio::test]
async fn answers_from_elsewhere_are_ignored() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = server.local_addr().unwrap().to_string();
    let forger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let served = spawn(async move {
        let mut query = [0; 512];
        let (length, from) = server.recv_from(&mut query).await.unwrap();
        forger
            .send_to(&reply(&query[..length], 5, [0; 3], b""), from)
            .await
            .unwrap();
        server
            .send_to(&reply(&query[..length], 0, [1, 0, 0], &address(1)), from)
            .await
            .unwrap();
    });
    assert!(probe(&asking(""), &target).await.success);
    served.await.unwrap();
}

#[tokio::test]
async fn silent_servers_end_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let streams = [
        "transport_protocol: tcp",
        "transport_protocol: tcp\nsource_ip_address: 127.0.0.1",
    ];
    let tls = ["transport_protocol: tcp\ndns_over_tls: true\ntls_config: {insecure_skip_verify: true}"];
    for options in streams.into_iter().chain(tls) {
        let started = Instant::now();
        let outcome = probe(&asking(options).replace("5s", "200ms"), &target).await;
        assert!(!outcome.success);
        has(problem(&outcome), ["timeout of 200ms ran out"]);
        assert!(started.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn configuration_errors_fail_the_probe() {
    let server = udp_server(|query| vec![reply(query, 0, [1, 0, 0], &address(1))]).await;
    #[rustfmt::skip]
    let rows = [
        ("transport_protocol: sctp", r#"Configuration error: Expected transport protocol udp or tcp protocol="sctp""#),
        ("dns_over_tls: true", r#"Configuration error: Expected transport protocol tcp for DoT protocol="udp""#),
        ("source_ip_address: localhost", r#"Error parsing source ip address srcIP="localhost""#),
        ("valid_rcodes: [NOSUCH]", r#"Invalid rcode rcode="NOSUCH" known_rcode="map[0:NOERROR 1:FORMERR"#),
        ("valid_rcodes: [NXDOMAIN, REFUSED]", r#"string_rcode="NOERROR" valid_rcodes="[3 5]""#),
        ("validate_answer_rrs: {fail_if_matches_regexp: ['(']}", "Error matching regexp"),
    ];
    for (options, want) in rows {
        let outcome = probe(&asking(options), &server.to_string()).await;
        assert!(!outcome.success, "{options}");
        assert!(
            log(&outcome)
                .iter()
                .any(|line| line.starts_with("ERROR") && line.contains(want)),
            "{:#?}",
            log(&outcome)
        );
    }
}

#[tokio::test]
async fn the_longest_answer_is_read_and_its_log_is_bounded() {
    // The longest message there is: five thousand records of which each has a name of 255 octets behind a pointer.
    let server = tcp_server(|mut stream, query| async move {
        let mut message = reply(&query, 0, [1, 0, 0], b"");
        let long = message.len();
        for label in [63, 63, 63, 61] {
            message.push(label);
            message.extend(vec![b'\0'; usize::from(label)]);
        }
        message.extend(b"\0\0\x01\0\x01\0\0\0\0\0\0");
        let pointer = (0xC000 | u16::try_from(long).unwrap()).to_be_bytes();
        while message.len() < 65_000 {
            message.extend(pointer);
            message.extend(b"\0\x01\0\x01\0\0\0\0\0\0");
        }
        message[6..8].copy_from_slice(&u16::MAX.to_be_bytes());
        stream.write_all(&framed(&message)).await.unwrap();
    })
    .await;
    let outcome = probe(
        &asking("transport_protocol: tcp\npreferred_ip_protocol: ip4"),
        &server.to_string(),
    )
    .await;
    assert!(outcome.success, "{:?}", log(&outcome).last());
    assert!(outcome.samples.value(Metric::DnsAnswerRrs) > Some(5000.0));
    assert!(outcome.log.dropped() > 4000, "the log book is bounded");
}

/// Seven records that list all types are half a million bytes of text each: other probes go on while they are read and judged.
#[tokio::test]
async fn a_datagram_that_is_long_as_text_holds_nobody_up() {
    let mut record = b"\xC0\x0C\0\x2F\0\x01\0\0\0\0\x22\x02\xC0\x0C".to_vec();
    for window in 0..=u8::MAX {
        record.extend([window, 32]);
        record.extend([u8::MAX; 32]);
    }
    let server = udp_server(move |query| vec![reply(query, 0, [7, 0, 0], &record.repeat(7))]).await;
    let longest = Arc::<Mutex<Duration>>::default();
    let measured = Arc::clone(&longest);
    spawn(async move {
        loop {
            let from = Instant::now();
            tokio::task::yield_now().await;
            let mut longest = measured.lock().unwrap();
            *longest = from.elapsed().max(*longest);
        }
    });
    let judged = "validate_answer_rrs: {fail_if_matches_regexp: [nothing, 'no.*where', 'no.*one']}";
    let yaml = asking(&format!(
        "edns: {{udp_size: 65535}}\npreferred_ip_protocol: ip4\n{judged}"
    ));
    let outcome = probe(&yaml, &server.to_string()).await;
    assert!(outcome.success, "{:?}", log(&outcome).last());
    let longest = *longest.lock().unwrap();
    assert!(
        longest < outcome.duration / 3,
        "{longest:?} of {:?}",
        outcome.duration
    );
}

/// What unbound can serve: the type, the data in its zone file, and the text of the data when that is another one.
#[rustfmt::skip]
const ZONE: &[(&str, &str, &str)] = &[
    ("A", "192.0.2.1", ""),
    ("AAAA", "2001:db8::1", ""),
    ("PTR", "a.every.test.", ""),
    ("HINFO", "\"ARM64\" \"Linux\"", ""),
    ("MB", "a.every.test.", ""),
    ("MG", "a.every.test.", ""),
    ("MR", "a.every.test.", ""),
    ("MINFO", "a.every.test. mx.every.test.", ""),
    ("MX", "10 mail.every.test.", ""),
    ("TXT", r#""one" "t\"wo\\\001""#, ""),
    ("RP", "admin.every.test. txt.every.test.", ""),
    ("AFSDB", "1 afs.every.test.", ""),
    ("X25", "\"311061700956\"", "311061700956"),
    ("ISDN", "\"150862028003217\" \"004\"", ""),
    ("RT", "2 a.every.test.", ""),
    ("PX", "10 a.every.test. mx.every.test.", ""),
    ("GPOS", "\"-32.6882\" \"116.8652\" \"10.0\"", "-32.6882 116.8652 10.0"),
    ("LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m", "52 22 23.000 N 04 53 32.000 E -2m 0.00m 10000m 10m"),
    ("SRV", "10 60 5060 sip.every.test.", ""),
    ("NAPTR", "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:info@example.test!\" .", ""),
    ("KX", "1 a.every.test.", ""),
    ("CERT", "PKIX 77 RSASHA256 AAECAwQ=", ""),
    ("APL", "1:192.168.32.0/21 !1:192.168.38.0/28", ""),
    ("DS", "60485 13 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A", ""),
    ("SSHFP", "4 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A", ""),
    ("IPSECKEY", "10 1 2 192.0.2.38 AAECAwQ=", ""),
    ("DNSKEY", "257 3 13 AAECAwQ=", ""),
    ("DHCID", "AAECAwQ=", ""),
    ("NSEC3PARAM", "1 0 0 -", ""),
    ("TLSA", "3 1 1 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a", ""),
    ("SMIMEA", "3 0 1 d4b7d520", ""),
    ("TALINK", "a.every.test. mx.every.test.", ""),
    ("CDS", "0 0 0 00", ""),
    ("CDNSKEY", "256 3 8 AAECAwQ=", ""),
    ("OPENPGPKEY", "AAECAwQ=", ""),
    ("CSYNC", "2026010203 3 A NS AAAA", ""),
    ("SVCB", "1 svc.every.test. port=8443", "1 svc.every.test. port=\"8443\""),
    ("HTTPS", "1 . alpn=h3,h2 ipv4hint=192.0.2.1", "1 . alpn=\"h3,h2\" ipv4hint=\"192.0.2.1\""),
    ("SPF", "\"v=spf1 -all\"", ""),
    ("NID", "10 0014:4fff:ff20:ee64", ""),
    ("L32", "10 10.1.2.0", ""),
    ("L64", "10 2001:0DB8:1140:1000", ""),
    ("LP", "10 a.every.test.", ""),
    ("EUI48", "00-00-5e-00-53-2a", ""),
    ("EUI64", "00-00-5e-ef-10-00-00-2a", ""),
    ("URI", "10 1 \"https://example.test/\"", ""),
    ("CAA", "0 issue \"letsencrypt.org\"", ""),
];

#[tokio::test]
async fn unbound_serves_every_record_type_over_udp_tcp_and_tls() {
    let Some(program) = find("unbound") else { return };
    let identity = SelfSigned::local();
    let mut zone =
        "every.test. 300 IN SOA ns1.every.test. admin.every.test. 2026010203 7200 3600 1209600 300\n\
        every.test. 300 IN NS ns1.every.test.\nns1.every.test. 300 IN A 127.0.0.1\n"
            .to_owned();
    for (kind, data, _) in ZONE {
        zone.push_str(&format!("{kind}.every.test. 300 IN {kind} {data}\n"));
    }
    let unbound = Unbound::start(&program, ("every.test", &zone), &identity, None).await;
    let trust = identity.trust();
    let transports = [
        ("udp".to_owned(), unbound.plain),
        ("tcp".to_owned(), unbound.plain),
        (
            format!("tcp\n  dns_over_tls: true\n  tls_config:\n    server_name: localhost\n    {trust}"),
            unbound.tls,
        ),
    ];
    let network = Arc::new(blackbox_exporter::net::Network::system());
    for (transport, server) in transports {
        for (kind, data, text) in ZONE {
            let text = if text.is_empty() { data } else { text };
            let line = exactly(&format!("{kind}.every.test.\t300\tIN\t{kind}\t{text}"));
            let yaml = format!(
                "prober: dns\ndns:\n  query_name: {kind}.every.test\n  query_type: {kind}\n  validate_answer_rrs:\n    \
                 fail_if_not_matches_regexp: ['{line}']\n  transport_protocol: {transport}"
            );
            let module = module(&yaml);
            let target = server.to_string();
            let request = blackbox_exporter::prober::ProbeRequest {
                target: &target,
                hostname: None,
                timeout: Duration::from_secs(10),
            };
            let outcome = blackbox_exporter::prober::run(&network, &module, request).await;
            assert!(outcome.success, "{kind}: {:#?}", log(&outcome));
        }
    }
    let yaml = "prober: dns\ndns: {query_name: every.test, query_type: SOA}";
    let outcome = probe(yaml, &unbound.plain.to_string()).await;
    assert_eq!(outcome.samples.value(Metric::DnsSerial), Some(2_026_010_203.0));
}

/// A pattern, within single quotes in YAML, that matches just this text.
fn exactly(text: &str) -> String {
    format!("^{}$", regex_syntax::escape(text)).replace('\'', "''")
}
