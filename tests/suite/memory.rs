//! An exporter that may have only so much memory: where probes in flight and bodies are limited, hostile targets do not take it to the
//! end of it; where they are not, the process ends at once, so that a supervisor can start another.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::BUSY;
use crate::support::process::{Process, value};

/// A hard limit of memory for a process: a cgroup's where this user may make one, else one of writable memory.
struct Limit {
    bytes: u64,
    group: Option<PathBuf>,
}

impl Limit {
    fn new(mebibytes: u64) -> Self {
        let bytes = mebibytes << 20;
        // Version 2, or version 1.
        let group = [
            ("/sys/fs/cgroup", "memory.max"),
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ]
        .into_iter()
        .find_map(|(root, file)| {
            let name = format!("blackbox-exporter-{}-{mebibytes}", std::process::id());
            let group = Path::new(root).join(name);
            std::fs::create_dir(&group).ok()?;
            let limited = Self {
                bytes,
                group: Some(group),
            };
            let file = limited.group.as_ref()?.join(file);
            let is_set = file.exists() && std::fs::write(file, bytes.to_string()).is_ok();
            is_set.then_some(limited)
        });
        group.unwrap_or(Self { bytes, group: None })
    }

    /// What puts a shell below it.
    fn setup(&self) -> String {
        match &self.group {
            Some(group) => format!("echo $$ > {}/cgroup.procs", group.display()),
            None => format!("ulimit -d {}", self.bytes >> 10),
        }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            let _ = std::fs::remove_dir(group);
        }
    }
}

/// Sends this to everyone who asks, with the end again and again until they have enough, many of a short one at once.
fn server(beginning: impl Into<Vec<u8>>, end: &[u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let beginning: Arc<[u8]> = beginning.into().into();
    let end: Arc<[u8]> = end.repeat(65_536 / end.len().max(1)).into();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, beginning, end) = (stream.unwrap(), Arc::clone(&beginning), Arc::clone(&end));
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let mut is_open = stream.write_all(&beginning).is_ok();
                while is_open && !end.is_empty() {
                    is_open = stream.write_all(&end).is_ok();
                }
            });
        }
    });
    address
}

const HEAD: &str = "HTTP/1.1 200 OK\r\n";

#[test]
fn a_module_takes_a_few_kilobytes() {
    const MODULES: u64 = 4000;
    let more: String = (0..MODULES)
        .map(|n| {
            let checks =
                format!("fail_if_body_not_matches_regexp: ['hello {n}.*world'], headers: {{X-N: '{n}'}}");
            format!("  more_{n}: {{prober: http, timeout: 5s, http: {{{checks}}}}}\n")
        })
        .collect();
    let [without, with] = [String::new(), more].map(|more| {
        let exporter = Process::start(&format!("modules:\n  m: {{prober: tcp}}\n{more}"), &[], "true");
        exporter.get("/-/healthy");
        exporter.memory()
    });
    let each = with.saturating_sub(without) / MODULES;
    assert!(each < 6 << 10, "{each} bytes per module");
}

/// What the exporter holds while a probe waits for a target that says nothing. The bounds leave room for what threads and
/// pages of the allocator add to few probes.
#[test]
fn a_probe_that_waits_takes_a_few_kilobytes() {
    const PROBES: usize = 300;
    let modules = "modules:
  http: {prober: http, timeout: 100s, http: {preferred_ip_protocol: ip4}}
  tcp: {prober: tcp, timeout: 100s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: never}]}}
";
    for (module, most) in [("http", 19 << 10), ("tcp", 13 << 10)] {
        let exporter = Process::start(modules, &[], "true");
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = silent.local_addr().unwrap();
        let ask = || {
            let mut stream = TcpStream::connect(exporter.address).unwrap();
            let path = format!("/probe?module={module}&target={target}");
            write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            (stream, silent.accept().unwrap())
        };
        // What the first probes make, all others use.
        let first: Vec<_> = (0..50).map(|_| ask()).collect();
        let before = exporter.own_memory();
        let waiting: Vec<_> = (0..PROBES).map(|_| ask()).collect();
        let start = Instant::now();
        loop {
            let each = exporter.own_memory().saturating_sub(before) / PROBES as u64;
            if each < most {
                break;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{each} bytes for each waiting probe of {module}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        drop((first, waiting));
    }
}

/// What handshakes took is given back when they have ended: aws-lc has it from another allocator than the exporter.
#[test]
fn handshakes_that_ended_hold_nothing() {
    const PROBES: usize = 400;
    let modules = "modules: {tls: {prober: tcp, timeout: 1s, tcp: {tls: true}}}";
    let exporter = Process::start(modules, &[], "true");
    // Nobody accepts: the kernel connects.
    let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    silent
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    silent.listen(2 * PROBES as i32).unwrap();
    let target = silent.local_addr().unwrap().as_socket().unwrap();
    let path = format!("/probe?module=tls&target={target}");
    let probe = |count| {
        let waiting: Vec<_> = (0..count).map(|_| ask(&exporter, &path).unwrap()).collect();
        for mut stream in waiting {
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        }
    };
    // What the threads make for their first probes, they keep.
    probe(100);
    let later = (0..30).map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        exporter.own_memory()
    });
    let before = later.min().unwrap();
    probe(PROBES);
    let start = Instant::now();
    loop {
        let more = exporter.own_memory().saturating_sub(before);
        if more < 2 << 20 {
            break;
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{more} bytes are left of {PROBES} handshakes"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the exporter holds while a scraper keeps its connection for the next scrape, and what threads and pages of the allocator add to
/// few connections.
#[test]
fn a_connection_that_waits_takes_two_kilobytes() {
    const CONNECTIONS: usize = 300;
    let exporter = Process::start(
        "modules: {m: {prober: tcp}}",
        &[],
        "export TOKIO_WORKER_THREADS=2",
    );
    let ask = || {
        let mut stream = TcpStream::connect(exporter.address).unwrap();
        stream
            .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        stream
    };
    drop(ask());
    let before = exporter.own_memory();
    let waiting: Vec<_> = (0..CONNECTIONS).map(|_| ask()).collect();
    let start = Instant::now();
    loop {
        let each = exporter.own_memory().saturating_sub(before) / CONNECTIONS as u64;
        if each < 2560 {
            break;
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{each} bytes for each waiting connection"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(waiting);
}

/// 200 MB of zeros.
fn bomb() -> Vec<u8> {
    let mut answer = format!("{HEAD}Content-Encoding: gzip\r\n\r\n").into_bytes();
    let mut encoder = flate2::write::GzEncoder::new(&mut answer, flate2::Compression::fast());
    for _ in 0..200 {
        encoder.write_all(&vec![0; 1_000_000]).unwrap();
    }
    encoder.finish().unwrap();
    answer
}

#[test]
fn hostile_targets_do_not_exceed_what_the_limits_promise() {
    // 256 MiB for each probe in flight, and as much for what is to be given back.
    const IN_FLIGHT: u64 = 2;
    let _busy = BUSY.blocking_lock();
    let limit = Limit::new(256 * (IN_FLIGHT + 1));
    let of_module = |name: &str, check: &str| {
        format!("  {name}: {{prober: http, timeout: 5s, http: {{preferred_ip_protocol: ip4, {check}}}}}\n")
    };
    let modules = "modules:\n".to_owned()
        + &of_module(
            "text",
            "body_size_limit: 64MB, compression: gzip, fail_if_body_matches_regexp: [no]",
        )
        + &of_module(
            "json",
            "body_size_limit: 2MB, fail_if_body_json_matches_cel: 'body.size() == 0'",
        );
    let flag = format!("--probe.max-in-flight={IN_FLIGHT}");
    let mut exporter = Process::start(&modules, &[&flag], &limit.setup());
    let place = format!("Location: /{}\r\n\r\n", "a".repeat(9_500_000));
    let targets = [
        ("text", server(format!("{HEAD}\r\n"), &[b'x'; 65_536])),
        ("text", server(bomb(), b"")),
        (
            "text",
            server(format!("{HEAD}{}\r\n", "a:\r\n".repeat(2_500_000)), b""),
        ),
        ("text", server(format!("HTTP/1.1 302 Found\r\n{place}"), b"")),
        ("json", server(format!("{HEAD}\r\n["), b"{\"\":0},")),
        (
            "json",
            server(format!("{HEAD}\r\n[{}0]", "{\"\":0},".repeat(280_000)), b""),
        ),
    ];
    std::thread::scope(|scope| {
        // One more than may be in flight, each with another target first.
        for n in [0, 2, 4] {
            let (exporter, mut targets) = (&exporter, targets);
            targets.rotate_left(n);
            scope.spawn(move || {
                for (module, target) in targets {
                    let start = Instant::now();
                    let path = format!("/probe?module={module}&target={target}");
                    let mut answer = exporter.get(&path);
                    while answer.starts_with("HTTP/1.1 503 ") {
                        assert!(start.elapsed() < Duration::from_secs(120), "nobody makes room");
                        std::thread::sleep(Duration::from_millis(20));
                        answer = exporter.get(&path);
                    }
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{module}: {answer}");
                    value(&answer, "probe_success");
                }
            });
        }
    });
    assert_eq!(exporter.child.try_wait().unwrap(), None, "it lives");
    let most = exporter.most_memory();
    println!("at most {} MiB", most >> 20);
    assert!(most < limit.bytes, "{} MiB", most >> 20);
    assert!(exporter.metric("blackbox_exporter_probes_rejected_total") > 0.0);
}

#[test]
fn without_memory_the_process_ends_and_another_one_serves() {
    let limit = Limit::new(128);
    let modules = "modules: {json: {prober: http, timeout: 60s, http: {preferred_ip_protocol: ip4, fail_if_body_json_matches_cel: 'true'}}}\n";
    let mut exporter = Process::start(modules, &["--memory.limit=0"], &limit.setup());
    let target = server(format!("{HEAD}\r\n["), b"{\"\":0},");
    let answer = exporter.get(&format!("/probe?module=json&target={target}"));
    assert_eq!(answer, "");
    // The kernel kills who exceeds the limit of a cgroup; who gets no memory aborts and says so.
    match (exporter.child.wait().unwrap().signal(), &limit.group) {
        (Some(9), Some(_)) => {}
        (Some(6), None) => drop(exporter.logs("memory allocation of ")),
        (signal, group) => panic!("{signal:?} {group:?}\n{}", exporter.log()),
    }
    let another = Process::start(modules, &[], &limit.setup());
    assert!(another.get("/-/healthy").starts_with("HTTP/1.1 200 "));
}

/// A stream of brotli with the largest window that its RFC allows, full of what cannot be compressed.
fn widest_brotli() -> Vec<u8> {
    let mut stream = format!("{HEAD}\r\n").into_bytes();
    // Blocks of 64 KiB that are stored as they are: the window's size stands in front of the first (RFC 7932, 9.1 and 9.2).
    let mut heads = [0x00ff_ff8f_u32, 0x000f_fff8].into_iter();
    let mut head = 0;
    for _ in 0..640 {
        head = heads.next().unwrap_or(head);
        stream.extend(&head.to_le_bytes()[..3]);
        stream.extend([0x5a; 1 << 16]);
    }
    stream.push(3);
    stream
}

/// What each reader of a peer's bytes takes of memory at most, in MiB, as `docs/reliability.md` has it.
#[tokio::test(flavor = "multi_thread")]
async fn no_reader_takes_more_than_is_documented() {
    let _busy = BUSY.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let deflate = |encoded: &[u8]| [format!("{HEAD}\r\n").as_bytes(), encoded].concat();
    let zeros = {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        (0..200).for_each(|_| encoder.write_all(&vec![0; 1_000_000]).unwrap());
        encoder.finish().unwrap()
    };
    // HPACK: an entry of 4 KB that every further byte names again. QPACK: an entry of the static table a byte.
    let mut hpack = vec![0x88, 0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
    hpack.resize(hpack.len() + 4000, b'x');
    hpack.resize((1 << 20) - 1, 0xbe);
    let h2 = http2_head(&hpack);
    let mut qpack = b"\0\0\xd9".to_vec();
    qpack.resize(9 << 20, 0xc6);
    let qpack = frame(1, &qpack);
    let mut message =
        b"\0\0\0\x04\0\0\0\0\0\0\0\x20\x01\x04\0\0\0\x01\x88\x10\x0ccontent-type\x10application/grpc"
            .to_vec();
    let mut octets = b"\0\0\x40\0\0".to_vec();
    octets.resize(5 + (4 << 20), 0);
    for piece in octets.chunks(16 << 10) {
        message.extend(&u32::try_from(piece.len()).unwrap().to_be_bytes()[1..]);
        message.extend(b"\0\0\0\0\0\x01");
        message.extend(piece);
    }
    let http =
        |more: &str| format!("{{prober: http, timeout: 8s, http: {{preferred_ip_protocol: ip4{more}}}}}");
    let quic = http(", enable_http3: true, enable_http2: false, tls_config: {insecure_skip_verify: true}");
    let grpc = "{prober: grpc, timeout: 8s, grpc: {preferred_ip_protocol: ip4}}".to_owned();
    let tcp = |address: SocketAddr| format!("http://{address}/");
    let http3 = crate::http::http3::play(folder.path(), qpack, Vec::new());
    // about, module, target, the most it takes
    #[rustfmt::skip]
    let rows = [
        ("brotli", http(", compression: br"), tcp(server(widest_brotli(), b"")), 40),
        ("brotli with a larger window", http(", compression: br"), tcp(server(format!("{HEAD}\r\n\x11\x1e\x03"), b"")), 8),
        ("gzip", http(", compression: gzip"), tcp(server(bomb(), b"")), 8),
        ("deflate", http(", compression: deflate"), tcp(server(deflate(&zeros), b"")), 8),
        (
            "regular expressions",
            // Until its timeout.
            http(", fail_if_body_matches_regexp: ['[ab]*a[ab]{200}[cd]']").replace("8s", "2s"),
            tcp(server(format!("{HEAD}\r\n"), &[b'a'; 65_536])),
            16,
        ),
        (
            "CEL",
            http(", body_size_limit: 2MB, fail_if_body_json_matches_cel: 'body.size() == 0'"),
            tcp(server(
                format!("{HEAD}\r\n[{}0]", "{\"\":0},".repeat(280_000)),
                b"",
            )),
            256,
        ),
        ("HPACK", grpc.clone(), server(h2, b"").to_string(), 16),
        ("QPACK", quic, format!("https://{http3}/"), 64),
        ("a message of gRPC", grpc, server(message, b"").to_string(), 16),
    ];
    let modules: String = rows
        .iter()
        .enumerate()
        .map(|(number, (_, module, ..))| format!("  m{number}: {module}\n"))
        .collect();
    for (number, (about, _, target, most)) in rows.into_iter().enumerate() {
        let config = format!("modules:\n{modules}");
        let took = tokio::task::spawn_blocking(move || {
            let exporter = Process::start(&config, &[], "true");
            // Nobody there: what every first probe takes is taken.
            let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            exporter.get(&format!("/probe?module=m{number}&target={nobody}"));
            let before = exporter.most_memory();
            let answer = exporter.get(&format!("/probe?module=m{number}&target={target}"));
            assert!(answer.starts_with("HTTP/1.1 200 "), "{about}: {answer}");
            (exporter.most_memory() - before) >> 20
        });
        let took = took.await.unwrap();
        println!("{about}: {took} MiB of {most}");
        assert!(took <= most, "{about}: {took} MiB of {most}");
    }
}

/// Asks without waiting for the response.
fn ask(exporter: &Process, path: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(exporter.address).ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    Some(stream)
}

/// A frame of HTTP/3, with its length in four bytes.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap() | 0x8000_0000;
    [&[kind][..], &length.to_be_bytes(), payload].concat()
}

/// A header block of HTTP/2 in an answer on the first stream, after empty settings.
fn http2_head(block: &[u8]) -> Vec<u8> {
    const PIECE: usize = 16 << 10;
    let mut wire = b"\0\0\0\x04\0\0\0\0\0".to_vec();
    for (number, piece) in block.chunks(PIECE).enumerate() {
        let (kind, flags) = (
            if number == 0 { 1 } else { 9 },
            if piece.len() < PIECE { 4 } else { 0 },
        );
        wire.extend(&u32::try_from(piece.len()).unwrap().to_be_bytes()[1..]);
        wire.extend([kind, flags, 0, 0, 0, 1]);
        wire.extend(piece);
    }
    wire
}

/// Compressed fields, streams that nobody reads and bodies, over HTTP/3 and HTTP/2: what is received and what becomes of it is
/// admitted like everything else.
#[tokio::test(flavor = "multi_thread")]
async fn compressed_heads_and_quic_do_not_end_a_process_of_64_mib() {
    const EACH: usize = 120;
    let _busy = BUSY.lock().await;
    let limit = Limit::new(64);
    let (flags, setup): (&[&str], _) = match limit.group {
        Some(_) => (&[], limit.setup()),
        None => (&["--memory.limit=58MiB"], "true".to_owned()),
    };
    let modules = "modules:
  http3: {prober: http, timeout: 3s, http: {preferred_ip_protocol: ip4, enable_http3: true, enable_http2: false, tls_config: {insecure_skip_verify: true}, fail_if_body_matches_regexp: [no]}}
  grpc: {prober: grpc, timeout: 3s, grpc: {preferred_ip_protocol: ip4}}
  tcp: {prober: tcp, timeout: 4s}
";
    let mut exporter = Process::start(modules, flags, &setup);
    let folder = tempfile::tempdir().unwrap();
    let fields = |bytes: usize| {
        let mut section = b"\0\0\xd9".to_vec();
        section.resize(bytes, 0xc6);
        frame(1, &section)
    };
    use crate::http::http3::{play, play_all};
    let status = frame(1, b"\0\0\xd9");
    let mut indexed = vec![0x88, 0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
    indexed.resize(indexed.len() + 4000, b'x');
    indexed.resize(indexed.len() + 240, 0xbe);
    #[rustfmt::skip]
    let targets = [
        ("http3", format!("https://{}/", play(folder.path(), fields(9 << 20), Vec::new()))),
        ("http3", format!("https://{}/", play(folder.path(), fields(130_000), Vec::new()))),
        // The stream of QPACK's encoder is never read; the answer does not come.
        ("http3", format!("https://{}/", play_all(folder.path(), vec![2], vec![0x40; 65_536], Vec::new(), Vec::new()))),
        ("http3", format!("https://{}/", play(folder.path(), status, frame(0, &[b'x'; 65_536])))),
        ("grpc", server(http2_head(&indexed), b"").to_string()),
    ];
    let paths: Vec<_> = (0..EACH)
        .flat_map(|_| &targets)
        .map(|(module, target)| format!("/probe?module={module}&target={target}"))
        .collect();
    let exporter = tokio::task::spawn_blocking(move || {
        let answers: Vec<_> = paths.iter().filter_map(|path| ask(&exporter, path)).collect();
        let mut statuses = std::collections::BTreeMap::<String, usize>::new();
        for mut stream in answers {
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            *statuses
                .entry(answer.get(9..12).unwrap_or_default().to_owned())
                .or_default() += 1;
        }
        let most = exporter.most_memory() >> 20;
        println!("{statuses:?}, at most {most} MiB");
        assert_eq!(
            exporter.child.try_wait().unwrap(),
            None,
            "it lives\n{}",
            exporter.log()
        );
        assert!(
            statuses.get("200").is_some_and(|probes| *probes > 5),
            "{statuses:?}"
        );
        // The kernel counts pages of the program's file besides, which it takes back.
        exporter
    });
    let exporter = exporter.await.unwrap();
    tokio::task::spawn_blocking(move || assert_room_again(&exporter))
        .await
        .unwrap();
}

/// Afterwards there is room again.
fn assert_room_again(exporter: &Process) {
    let start = Instant::now();
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let path = format!("/probe?module=tcp&target={}", open.local_addr().unwrap());
    loop {
        let answer = exporter.get(&path);
        if answer.starts_with("HTTP/1.1 200 ") {
            return;
        }
        let is_late = start.elapsed() > Duration::from_secs(60);
        assert!(!is_late, "no room again: {answer}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn neither_callers_nor_targets_end_a_process_of_64_mib() {
    let _busy = BUSY.blocking_lock();
    let limit = Limit::new(64);
    // Without a cgroup of its own, the flag says how much it may use, and nobody is killed for more.
    let flags: &[&str] = match limit.group {
        Some(_) => &[],
        None => &["--memory.limit=58MiB"],
    };
    let modules = "modules:
  json: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, fail_if_body_json_matches_cel: 'true'}}
  http: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4}}
  br: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, compression: br}}
  tcp: {prober: tcp, timeout: 4s, tcp: {query_response: [{expect: never}]}}
";
    let setup = if limit.group.is_some() {
        limit.setup()
    } else {
        "true".to_owned()
    };
    let mut exporter = Process::start(modules, flags, &setup);
    // Bodies that become a hundred times as much, heads of very many fields, windows of 16 MiB, targets that say nothing.
    let json = server(format!("{HEAD}\r\n["), b"{\"\":0},");
    let fields = server(format!("{HEAD}{}\r\n", "a:\r\n".repeat(2_500_000)), b"");
    // A window of the largest size, and a block that fills it.
    let wide = [format!("{HEAD}\r\n").as_bytes(), &[0xcf, 0xff, 0xff, 0xff]].concat();
    let wide = server(wide, &[0x5a; 65_536]);
    let silent = server("", b"");
    let answers: Vec<_> = (0..600)
        .filter_map(|n| {
            let (module, target) = match n % 50 {
                0 => ("json", json),
                1 => ("http", fields),
                2 => ("br", wide),
                _ => ("tcp", silent),
            };
            ask(&exporter, &format!("/probe?module={module}&target={target}"))
        })
        .collect();
    // Heads that do not end.
    let heads: Vec<_> = (0..200)
        .filter_map(|_| {
            let stream = TcpStream::connect(exporter.address).ok()?;
            stream.set_nonblocking(true).ok()?;
            // As much as the system takes.
            let _ = (&stream).write(format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(1 << 20)).as_bytes());
            Some(stream)
        })
        .collect();
    let statuses: Vec<String> = answers
        .into_iter()
        .map(|mut stream| {
            let mut answer = String::new();
            // One that was closed for another has none.
            let _ = stream.read_to_string(&mut answer);
            answer.get(9..12).unwrap_or_default().to_owned()
        })
        .collect();
    drop(heads);
    assert_eq!(
        exporter.child.try_wait().unwrap(),
        None,
        "it lives\n{}",
        exporter.log()
    );
    assert!(
        statuses
            .iter()
            .all(|status| ["200", "503", ""].contains(&status.as_str())),
        "{statuses:?}"
    );
    assert!(statuses.iter().any(|status| status == "200"), "{statuses:?}");
    assert_room_again(&exporter);
}
