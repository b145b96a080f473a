//! An exporter in a process of its own: what it does when it runs out of open files or ports, and that a flood leaves nothing behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustls::version::TLS13;

use crate::http::site::ok;
use crate::support::namespace::outside;
use crate::support::pki::{Cert, certified, pem, saying, server_config};
use crate::support::process::{Process, value};
use crate::support::{has, lacks};

const MODULES: &str = "modules:\n  tcp: {prober: tcp, timeout: 3s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: hello}]}}\n";

/// An exporter with a limit of open files that it cannot raise.
fn limited(files: u32) -> Process {
    Process::start(
        MODULES,
        &["--web.max-connections=1000"],
        &format!("ulimit -n {files}"),
    )
}

impl Process {
    /// Asks for probes by these unknown modules, one after the other on one connection without waiting for the responses.
    fn ask_for_unknown_modules(&self, numbers: std::ops::Range<u32>) {
        let stream = TcpStream::connect(self.address).unwrap();
        let (mut writer, count) = (stream.try_clone().unwrap(), numbers.len());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for some in numbers.collect::<Vec<_>>().chunks(100) {
                    let requests: String = some
                        .iter()
                        .map(|n| format!("GET /probe?module=unknown{n}&target=x HTTP/1.1\r\nHost: x\r\n\r\n"))
                        .collect();
                    writer.write_all(requests.as_bytes()).unwrap();
                }
            });
            let answers = BufReader::new(&stream).split(b'\n').map(Result::unwrap);
            let refusals = answers.filter(|line| line.starts_with(b"HTTP/1.1 400 "));
            assert_eq!(refusals.take(count).count(), count);
        });
    }

    /// Waits until it can probe this target again.
    fn recovers(&self, target: SocketAddr) {
        let start = Instant::now();
        let path = format!("/probe?module=tcp&target={target}");
        while !self.get(&path).contains("\nprobe_success 1\n") {
            assert!(start.elapsed() < Duration::from_secs(20), "does not recover");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// It counted each time that it was short of something, and said so once.
    fn told_once(&self, resource: &str, times: usize) {
        let metrics = self.get("/metrics");
        let series = format!("blackbox_exporter_out_of_resources_total{{resource=\"{resource}\"}} {times}");
        assert!(metrics.contains(&series), "{series}\n{metrics}");
        const SAID: &str = "this machine ran out of a resource";
        self.logs(SAID);
        let log = self.log();
        assert_eq!(log.matches(SAID).count(), 1, "{log}");
    }

    /// The names and labels of all series that it exposes.
    fn series(&self) -> Vec<String> {
        let answer = self.get("/metrics");
        let (_, metrics) = answer.split_once("\r\n\r\n").unwrap();
        let lines = metrics.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(series, _)| series.to_owned())
            .collect()
    }
}

/// A server that says hello and keeps its connections.
fn greeting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"hello\n");
            kept.push(stream);
        }
    });
    address
}

#[test]
fn running_out_of_files_is_said_once_and_survived() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent_at, greeting_at) = (silent.local_addr().unwrap(), greeting());
    let exporter = limited(64);
    let answers: Vec<String> = std::thread::scope(|scope| {
        let probe = || exporter.get(&format!("/probe?module=tcp&target={silent_at}&debug=true"));
        let probes: Vec<_> = (0..32).map(|_| scope.spawn(probe)).collect();
        probes.into_iter().map(|probe| probe.join().unwrap()).collect()
    });
    let out_of_files = answers
        .iter()
        .filter(|a| a.contains("too many open files"))
        .count();
    assert!(out_of_files > 0, "{}", answers.join("\n"));
    assert!(
        answers.iter().any(|a| a.contains("ulimit -n")),
        "the log says what helps"
    );
    exporter.recovers(greeting_at);
    exporter.told_once("files", out_of_files);
    drop(silent);
}

/// What the first probe sets up that needs it is set up by a later one when there were no files for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_first_probe_had_no_files_for_the_next_one_has() {
    let own = Cert::leaf().names(&["127.0.0.1"]).self_signed();
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("ca.pem");
    std::fs::write(&trusted, pem("CERTIFICATE", &own.der)).unwrap();
    let secure = saying(server_config(certified(&[&own]), &[&TLS13]), ok()).await;
    let body = r#"{"access_token": "t", "token_type": "Bearer", "expires_in": 3600}"#;
    let tokens = saying_so(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    let modules = format!(
        "modules:\n  trust: {{prober: http, timeout: 10s}}\n  token: {{prober: http, timeout: 10s, http: {{oauth2: {{client_id: a, client_secret: b, token_url: 'http://{tokens}/'}}}}}}\n"
    );
    let setup = format!("export SSL_CERT_FILE={} SSL_CERT_DIR=/nowhere", trusted.display());
    let probed = tokio::task::spawn_blocking(move || {
        let exporter = Process::start(&modules, &[], &setup);
        let paths = [
            format!("/probe?module=trust&target=https://{secure}/&debug=true"),
            format!("/probe?module=token&target=http://{tokens}/&debug=true"),
        ];
        // Connections that it has already.
        let connections = [(); 2].map(|()| exporter.connected());
        exporter.limit_files(Some(0));
        for (path, connection) in paths.iter().zip(connections) {
            let answer = last(connection, path);
            has(&answer, ["\nprobe_success 0\n", "oo many open files"]);
            if path.contains("trust") {
                has(&answer, ["reason=out_of_resources", "run out of files"]);
            }
        }
        exporter.limit_files(None);
        for path in &paths {
            let start = Instant::now();
            while !exporter.get(path).contains("\nprobe_success 1\n") {
                assert!(
                    start.elapsed() < Duration::from_secs(20),
                    "{}",
                    exporter.get(path)
                );
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    });
    probed.await.unwrap();
}

impl Process {
    /// A connection that it has taken.
    fn connected(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream
            .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"Healthy") {
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        stream
    }
}

/// The answer to the last request on a connection.
fn last(mut stream: TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A server that answers every request so.
fn saying_so(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// While it is stopped the target answers, and the timeout passes.
#[test]
fn a_pause_of_the_exporter_is_not_the_targets() {
    let (timeout, pause) = (Duration::from_secs(2), Duration::from_millis(3500));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let modules = format!(
        "modules: {{m: {{prober: http, timeout: {}s}}}}",
        timeout.as_secs()
    );
    let exporter = Process::start(&modules, &[], "true");
    let path = format!(
        "/probe?module=m&target=http://{}/&debug=true",
        silent.local_addr().unwrap()
    );
    let connection = exporter.connected();
    let answer = std::thread::scope(|scope| {
        let answer = scope.spawn(|| last(connection, &path));
        let _probed = silent.accept().unwrap();
        exporter.signal(Signal::STOP);
        std::thread::sleep(pause);
        exporter.signal(Signal::CONT);
        answer.join().unwrap()
    });
    has(&answer, ["The exporter itself did not run", "after its timeout"]);
}

/// The CA certificates are in a pipe that nobody writes to.
#[test]
fn a_probe_lasts_as_long_as_its_scrape() {
    let setup = "dir=$(mktemp -d) && mkfifo $dir/ca && export SSL_CERT_FILE=$dir/ca";
    let exporter = Process::start("modules: {m: {prober: http, timeout: 1s}}", &[], setup);
    let answer = exporter.get("/probe?module=m&target=https://127.0.0.1:1/");
    assert!(value(&answer, "probe_duration_seconds") >= 1.0, "{answer}");
    let series = "blackbox_exporter_probe_timeouts_total{module=\"m\",prober=\"http\"}";
    assert_eq!(exporter.metric(series), 1.0);
}

/// As `127.0.0.2`: whether the exporter is well.
fn another_is_served(exporter: SocketAddr) -> bool {
    let patience = Duration::from_secs(20);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let other: SocketAddr = "127.0.0.2:0".parse().unwrap();
    socket.bind(&other.into()).unwrap();
    socket.connect_timeout(&exporter.into(), patience).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(patience)).unwrap();
    let _ = stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut line = String::new();
    let read = BufReader::new(stream).read_line(&mut line);
    read.is_ok() && line.starts_with("HTTP/1.1 200")
}

/// Its probes hang, so each takes two files until its timeout, and further requests wait for one to end.
#[test]
fn one_caller_with_hanging_probes_leaves_files_for_others() {
    const FILES: u32 = 256;
    let modules = MODULES.replace("timeout: 3s", "timeout: 110s");
    let exporter = Process::start(&modules, &["--log.prober=none"], &format!("ulimit -n {FILES}"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let request = format!(
        "GET /probe?module=tcp&target={} HTTP/1.1\r\nHost: x\r\n\r\n",
        silent.local_addr().unwrap()
    );
    let greedy: Vec<_> = (0..2 * FILES)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(exporter.address).ok()?;
            let _ = stream.write_all(request.as_bytes());
            Some(stream)
        })
        .collect();
    for _ in 0..3 {
        assert!(another_is_served(exporter.address), "{}", exporter.log());
    }
    drop(greedy);
}

#[test]
fn running_out_of_ports_is_said_once_and_survived() {
    let setup = "echo '40000 40015' > /proc/sys/net/ipv4/ip_local_port_range";
    if outside("limits::running_out_of_ports_is_said_once_and_survived", setup) {
        return;
    }
    let (greeting_at, elsewhere) = (greeting(), greeting());
    let exporter = limited(256);
    let held: Vec<TcpStream> = std::iter::from_fn(|| TcpStream::connect(greeting_at).ok()).collect();
    assert!((1..=16).contains(&held.len()), "{}", held.len());
    for _ in 0..3 {
        let answer = exporter.get(&format!("/probe?module=tcp&target={greeting_at}&debug=true"));
        has(&answer, ["no local port is left"]);
    }
    // Another target can be reached from the same ports.
    let answer = exporter.get(&format!("/probe?module=tcp&target={elsewhere}"));
    has(&answer, ["\nprobe_success 1\n"]);
    drop(held);
    exporter.recovers(greeting_at);
    exporter.told_once("ports", 3);
}

#[test]
fn a_hundred_thousand_unknown_modules_leave_nothing_behind() {
    const FLOOD: u32 = 100_000;
    const WARM: u32 = 5_000;
    let _busy = crate::support::BUSY.blocking_lock();
    let exporter = limited(256);
    exporter.ask_for_unknown_modules(0..WARM);
    let (memory, series) = (exporter.own_memory(), exporter.series());
    exporter.ask_for_unknown_modules(WARM..WARM + FLOOD);
    assert_eq!(
        exporter.series(),
        series,
        "no series are made of what strangers ask for"
    );
    let grown = exporter.own_memory().saturating_sub(memory);
    assert!(grown < 4 << 20, "grew by {grown} bytes");
    let metrics = exporter.get("/metrics");
    has(&metrics, ["\nblackbox_module_unknown_total 105000\n"]);
    let log = exporter.log();
    lacks(&log, ["unknown1"]);
}
