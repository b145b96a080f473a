//! The wall clock jumps while probes run and between them: no duration, timeout or verdict notices, nor anything that is remembered
//! for a while; what tells the time tells the new one. libfaketime is the clock.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use gostd::calendar::rfc3339;

use crate::support::process::{Process, value};
use crate::support::programs::{find, skipped};

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;
/// Where the clock jumps to, in seconds from what it really is; 1970 and 2038 are in between.
const JUMPS: [i64; 5] = [DAY, -DAY, 50 * YEAR, -50 * YEAR, 0];
/// How long a peer takes to answer.
const PAUSE: Duration = Duration::from_millis(300);
/// How much longer than it must something may take on a busy machine.
const GRACE: Duration = Duration::from_secs(4);

/// The wall clock of a process.
struct Clock {
    library: String,
    folder: tempfile::TempDir,
}

impl Clock {
    /// It is right at first. `None`, after saying so, where libfaketime is not installed.
    fn new() -> Option<Self> {
        // It knows where its library is.
        let asked = Command::new(find("faketime")?)
            .args(["-m", "now", "printenv", "LD_PRELOAD"])
            .output();
        let library = String::from_utf8(asked.unwrap().stdout).unwrap();
        let clock = Self {
            library: library.trim().to_owned(),
            folder: tempfile::tempdir().unwrap(),
        };
        clock.jump(0);
        Some(clock)
    }

    /// From now on it is wrong by so many seconds.
    fn jump(&self, seconds: i64) {
        let written = self.folder.path().join("written");
        std::fs::write(&written, format!("{seconds:+}")).unwrap();
        std::fs::rename(written, self.folder.path().join("clock")).unwrap();
    }

    /// An exporter that lives by this clock.
    fn exporter(&self, config: &str, flags: &[&str]) -> Process {
        let setup = format!(
            "export LD_PRELOAD='{}' FAKETIME_TIMESTAMP_FILE='{}/clock' FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1",
            self.library,
            self.folder.path().display(),
        );
        Process::start(config, flags, &setup)
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The line with this path of a request for HTTP/1.1, and the other lines of its head.
fn read_head(stream: &TcpStream) -> Vec<String> {
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn durations_time_outs_and_verdicts_do_not_notice() {
    let Some(clock) = Clock::new() else { return };
    let modules = "modules:\n  \
        patient: {prober: tcp, timeout: 20s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: hello}]}}\n  \
        hasty: {prober: tcp, timeout: 500ms, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: hello}]}}\n";
    let exporter = clock.exporter(modules, &[]);
    let (listener, address) = listen();
    for to in JUMPS {
        // module, what the peer does once the clock has jumped, success, least duration
        #[rustfmt::skip]
        let rows: [(_, fn(TcpStream), _, _); 2] = [
            ("patient", |mut peer| peer.write_all(b"hello\n").unwrap(), 1.0, PAUSE),
            ("hasty", |mut peer| assert_eq!(peer.read(&mut [0]).unwrap(), 0), 0.0, Duration::from_millis(500)),
        ];
        for (module, act, success, least) in rows {
            let (answer, took) = std::thread::scope(|scope| {
                let probe = scope.spawn(|| {
                    let start = Instant::now();
                    let path = format!("/probe?module={module}&target={address}&debug=true");
                    (exporter.get(&path), start.elapsed())
                });
                let (peer, _) = listener.accept().unwrap();
                clock.jump(to);
                std::thread::sleep(PAUSE);
                act(peer);
                probe.join().unwrap()
            });
            assert_eq!(
                value(&answer, "probe_success"),
                success,
                "{module} {to}: {answer}"
            );
            let duration = value(&answer, "probe_duration_seconds");
            let most = (least + GRACE).as_secs_f64();
            assert!(
                (least.as_secs_f64()..most).contains(&duration) && (least..least + GRACE).contains(&took),
                "{module} {to}: {took:?}, {answer}"
            );
            assert_eq!(
                answer.contains("timeout of 500ms ran out"),
                success == 0.0,
                "{answer}"
            );
        }
    }
}

#[test]
fn pings_are_not_measured_by_another_clock_than_the_kernels() {
    let Some(clock) = Clock::new() else { return };
    let exporter = clock.exporter("modules: {icmp: {prober: icmp, timeout: 20s}}\n", &[]);
    for to in [0].into_iter().chain(JUMPS) {
        clock.jump(to);
        let answer = exporter.get("/probe?module=icmp&target=127.0.0.1&debug=true");
        if answer.contains("ping_group_range") {
            return skipped("the right to ping");
        }
        assert_eq!(value(&answer, "probe_success"), 1.0, "{to}: {answer}");
        let round_trip = value(&answer, "probe_icmp_duration_seconds{phase=\"rtt\"}");
        assert!((0.0..20.0).contains(&round_trip), "{to}: {answer}");
    }
}

#[test]
fn what_is_kept_for_a_while_is_kept_as_long() {
    let Some(clock) = Clock::new() else { return };
    let (listener, address) = listen();
    let modules = format!(
        "modules:\n  \
        plain: {{prober: http, timeout: 20s, http: {{preferred_ip_protocol: ip4}}}}\n  \
        tokens: {{prober: http, timeout: 20s, http: {{preferred_ip_protocol: ip4, oauth2: {{client_id: me, client_secret: s, \
        token_url: 'http://{address}/token'}}}}}}\n"
    );
    let exporter = clock.exporter(&modules, &[]);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        let clock = &clock;
        scope.spawn(move || {
            let mut tokens = 0;
            loop {
                let (mut stream, _) = listener.accept().unwrap();
                let head = read_head(&stream);
                let token = format!(
                    r#"{{"access_token": "token-{tokens}", "token_type": "bearer", "expires_in": 3600}}"#
                );
                let (answer, body) = match head[0].split(' ').nth(1).unwrap() {
                    "/token" => {
                        tokens += 1;
                        ("200 OK\r\nContent-Type: application/json", token.as_str())
                    }
                    "/one" => ("302 Found\r\nLocation: /two\r\nSet-Cookie: a=b; Max-Age=3600", ""),
                    "/two" => {
                        clock.jump(DAY);
                        ("302 Found\r\nLocation: /three", "")
                    }
                    "/end" => return,
                    _ => {
                        tell.send(head).unwrap();
                        ("200 OK", "")
                    }
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {answer}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let probe = |module, path| {
            let answer = exporter.get(&format!(
                "/probe?module={module}&target=http://{address}{path}&debug=true"
            ));
            assert_eq!(value(&answer, "probe_success"), 1.0, "{answer}");
            told.recv().unwrap()
        };
        let mut wrong = Vec::new();
        for to in JUMPS {
            clock.jump(to);
            let head = probe("tokens", "/");
            if !head.contains(&"Authorization: Bearer token-0".to_owned()) {
                wrong.push(format!("{to}: {head:?}"));
            }
        }
        let head = probe("plain", "/one");
        if !head.contains(&"Cookie: a=b".to_owned()) {
            wrong.push(format!("{head:?}"));
        }
        TcpStream::connect(address)
            .unwrap()
            .write_all(b"GET /end HTTP/1.1\r\n\r\n")
            .unwrap();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn limits_per_time_are_neither_lifted_nor_prolonged() {
    let Some(clock) = Clock::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let web = folder.path().join("web.yml");
    std::fs::write(&web, "rate_limit: {interval: 1h, burst: 1}\n").unwrap();
    let flag = format!("--web.config.file={}", web.display());
    let exporter = clock.exporter("modules: {tcp: {prober: tcp}}\n", &[&flag]);
    let is_admitted = || exporter.get("/-/healthy").starts_with("HTTP/1.1 200 ");
    assert!(is_admitted());
    for to in JUMPS {
        clock.jump(to);
        assert!(!is_admitted(), "{to}");
    }
    // A file that cannot be read is logged once per minute.
    std::fs::write(&web, "rate_limit: [\n").unwrap();
    for to in JUMPS {
        clock.jump(to);
        let answer = exporter.get("/-/healthy");
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    }
    const SAID: &str = "Unable to parse configuration";
    exporter.logs(SAID);
    assert_eq!(exporter.log().matches(SAID).count(), 1, "{}", exporter.log());
}

#[test]
fn what_tells_the_time_tells_the_new_one() {
    let Some(clock) = Clock::new() else { return };
    let exporter = clock.exporter("modules: {tcp: {prober: tcp, timeout: 20s}}\n", &[]);
    for (n, to) in (1..).zip(JUMPS) {
        clock.jump(to);
        let now = || {
            let off = Duration::from_secs(to.unsigned_abs());
            let now = SystemTime::now();
            if to < 0 { now - off } else { now + off }
        };
        let before = now();
        let answer = exporter.request("POST", "/-/reload", "");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let reloaded = exporter.metric("blackbox_exporter_config_last_reload_success_timestamp_seconds");
        exporter.get(&format!("/probe?module=tcp&target=127.0.0.{n}:1"));
        let line = exporter.logs(&format!("target=127.0.0.{n}:1 "));
        let after = now();

        let seconds = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let between = seconds(before)..=seconds(after);
        assert!(between.contains(&reloaded), "{reloaded} {between:?}");
        let date = answer.lines().find_map(|line| line.strip_prefix("Date: "));
        let date = seconds(httpdate::parse_http_date(date.unwrap()).unwrap());
        assert!(
            (seconds(before).floor()..=seconds(after)).contains(&date),
            "{answer}"
        );
        // In this form the later time is the greater text.
        let logged = line.strip_prefix("time=").unwrap().split(' ').next().unwrap();
        assert!(
            *rfc3339(before) <= *logged && *logged <= *rfc3339(after),
            "{line}"
        );
    }
    // The newest comes first, and how long ago a probe was is a duration.
    let page = exporter.request("GET", "/", "Accept: text/html\r\n");
    let ages: Vec<&str> = page.matches(" s</time> ago<").collect();
    assert_eq!(ages.len(), JUMPS.len(), "{page}");
    let places: Vec<_> = (1..=JUMPS.len())
        .map(|n| page.find(&format!("127.0.0.{n}:1")).unwrap())
        .collect();
    assert!(places.is_sorted_by(|older, newer| older > newer), "{page}");
}
