//! The program itself: flags, exit statuses, what goes to which output.

use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::{has, lacks};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"));
    command.stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn help_and_version_go_to_standard_output() {
    for flag in ["-h", "--help"] {
        let output = run(&[flag]);
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(text(&output.stdout).starts_with("usage: blackbox_exporter [<flags>]"));
    }
    let output = run(&["--version", "--config.file=/does/not/exist"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert!(
        lines[0].starts_with("blackbox_exporter, version ") && lines[0].contains("(branch: "),
        "{lines:?}"
    );
    let names: Vec<&str> = lines[1..]
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "  build user",
            "  build date",
            "  go version",
            "  platform",
            "  tags"
        ]
    );
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("b.yml");
    std::fs::write(&config, "modules: {m: {prober: tcp}}\n").unwrap();
    let config = config.to_str().unwrap();
    let probe = ["probe", "--config.file", config, "-m", "m", &target];
    let watch = [&probe[..], &["--watch"]].concat();
    let doctor = ["doctor", "--config.file", config, &format!("tcp://{target}")];
    for arguments in [
        &probe[..],
        &watch,
        &doctor,
        &["check-config", config],
        &["schema"],
        &["man"],
        &["--help"],
        &["--version"],
        &["probe", "--help"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = program().args(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        has(text(&output.stderr), ["No space left on device"]);
        // Whoever closes a pipe has read enough.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = program().args(arguments).stdout(writer).output().unwrap();
        assert_eq!(
            (output.status.code(), text(&output.stderr)),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[test]
fn packagers_get_a_man_page_and_completions() {
    for (arguments, words) in [
        (&["man"] as &[_], ".TH blackbox_exporter 1"),
        (&["completions", "bash"], "complete -F"),
    ] {
        let output = run(arguments);
        assert!(
            output.status.success() && text(&output.stdout).contains(words),
            "{arguments:?}"
        );
    }
    assert!(!run(&["completions", "abacus"]).status.success());
}

#[test]
fn refused_usages_say_what_to_write_and_then_what_kingpin_says() {
    for (arguments, message) in [
        (
            &["--nope"] as &[_],
            "blackbox_exporter: error: unknown long flag '--nope', try --help\n",
        ),
        (
            &["extra"],
            "blackbox_exporter: commands are probe, doctor, check-config, migrate, man, completions, schema\nblackbox_exporter: error: unexpected extra, try --help\n",
        ),
        (
            &["--history.limit=-1"],
            "blackbox_exporter: --history.limit takes a whole number without a unit; the default is 100\nblackbox_exporter: error: strconv.ParseUint: parsing \"-1\": invalid syntax, try --help\n",
        ),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        assert_eq!(text(&output.stderr), message);
    }
    for command in ["--log.level=debug", "check-config", "migrate"] {
        let path = std::ffi::OsStr::from_bytes(b"/tmp/\xff.yml");
        let output = program().args([command.as_ref(), path]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert_eq!(
            text(&output.stderr),
            "blackbox_exporter: error: \"/tmp/\\xFF.yml\" is not valid UTF-8, try --help\n"
        );
    }
}

#[test]
fn a_configuration_that_cannot_be_read_ends_it() {
    let output = run(&["--config.file=/does/not/exist.yml"]);
    assert_eq!(output.status.code(), Some(1));
    let log = text(&output.stderr);
    has(
        log,
        [
            "level=ERROR",
            "open /does/not/exist.yml: no such file or directory",
        ],
    );
}

/// `// compat:` in `app.rs`.
#[test]
fn without_a_file_there_are_built_in_modules() {
    let folder = tempfile::tempdir().unwrap();
    let output = program()
        .arg("--config.check")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    has(
        text(&output.stderr),
        ["No configuration file found, using the built-in modules"],
    );
}

/// A running program that is killed when the test ends, however it ends.
struct Running(
    std::process::Child,
    #[expect(dead_code, reason = "tells by its end")] mpsc::Sender<()>,
);

/// Starts a program whose log will be read. It is killed after a minute, so that nobody reads without end.
fn start(command: &mut Command) -> (Running, std::io::BufReader<std::process::ChildStderr>) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let log = std::io::BufReader::new(child.stderr.take().unwrap());
    let id = pid(&child);
    let (end, ended) = mpsc::channel();
    std::thread::spawn(move || {
        if ended.recv_timeout(Duration::from_mins(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
        }
    });
    (Running(child, end), log)
}

fn pid(child: &std::process::Child) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(child: &mut std::process::Child) -> Option<i32> {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it does not end");
}

fn send(child: &std::process::Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(pid(child), signal).unwrap();
}

/// The log up to a line with these words.
fn read_until(reader: &mut impl std::io::BufRead, words: &str) -> String {
    let mut log = String::new();
    while !log.contains(words) {
        assert!(
            reader.read_line(&mut log).unwrap() > 0,
            "ended before {words:?}: {log}"
        );
    }
    log
}

#[test]
fn signals_reload_and_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blackbox.yml");
    std::fs::write(&file, "modules: {}\n").unwrap();
    let (mut running, mut log) = start(
        program()
            .arg(format!("--config.file={}", file.display()))
            .arg("--web.listen-address=127.0.0.1:0"),
    );
    read_until(&mut log, "Listening on");
    send(&running.0, rustix::process::Signal::HUP);
    read_until(&mut log, "Reloaded config file");
    std::fs::write(&file, "nonsense").unwrap();
    send(&running.0, rustix::process::Signal::HUP);
    read_until(&mut log, "Error reloading config");
    send(&running.0, rustix::process::Signal::TERM);
    read_until(&mut log, "Received SIGTERM, exiting gracefully...");
    assert_eq!(wait(&mut running.0), Some(0));
}

/// Nobody writes to the configuration file.
#[test]
fn it_can_be_told_to_stop_while_it_starts() {
    use rustix::process::Signal;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blackbox.yml");
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let checked = "--config.check";
    for (signal, flag, status) in [
        (Signal::TERM, "--log.level=info", 0),
        (Signal::INT, "--log.level=info", 0),
        // That must not look like a good configuration.
        (Signal::INT, checked, 1),
    ] {
        let (mut running, mut log) = start(
            program()
                .arg(format!("--config.file={}", file.display()))
                .args(["--web.listen-address=127.0.0.1:0", flag]),
        );
        read_until(&mut log, "platform=");
        send(&running.0, signal);
        read_until(&mut log, "Received SIGTERM, exiting gracefully...");
        assert_eq!(wait(&mut running.0), Some(status), "{signal:?} {flag}");
    }
}

/// The whole log of a program that was started with these CA certificates and ended when it had written `last`.
fn log_with_roots(file: &std::path::Path, directory: &std::path::Path, last: &str) -> String {
    let (running, mut log) = start(
        program()
            .args(["--web.listen-address=127.0.0.1:0"])
            .env("SSL_CERT_FILE", file)
            .env("SSL_CERT_DIR", directory)
            .current_dir(directory),
    );
    let mut seen = read_until(&mut log, last);
    send(&running.0, rustix::process::Signal::TERM);
    std::io::Read::read_to_string(&mut log, &mut seen).unwrap();
    seen
}

#[test]
fn a_system_without_ca_certificates_is_worth_a_warning() {
    const WARNING: &str = "The system has no CA certificates";
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let log = log_with_roots(&nowhere, folder.path(), WARNING);
    has(&log, [WARNING, "none found"]);
    // A folder can be opened, but not read.
    let log = log_with_roots(folder.path(), folder.path(), WARNING);
    has(&log, [WARNING, "is a directory\""]);
    std::fs::write(
        folder.path().join("ca.pem"),
        "Some CA\n-----BEGIN CERTIFICATE-----\n",
    )
    .unwrap();
    let log = log_with_roots(&nowhere, folder.path(), "TLS is disabled.");
    lacks(&log, [WARNING]);
}

/// systemd hands its socket over as descriptor 3.
#[test]
fn a_socket_from_systemd_is_served() {
    use std::os::fd::OwnedFd;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("blackbox.yml"), "modules: {}\n").unwrap();
    // The shell puts the socket, which is its standard input, where systemd would, and is replaced by the program.
    let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" --web.systemd-socket --web.external-url=http://x.test/";
    let (mut running, mut log) = start(
        Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_blackbox_exporter")])
            .current_dir(folder.path())
            .stdin(Stdio::from(OwnedFd::from(listener))),
    );
    let seen = read_until(&mut log, "TLS is disabled.");
    has(&seen, ["Listening on systemd activated listeners"]);
    let answer = ask(&address.to_string(), "GET /-/healthy HTTP/1.0\r\n\r\n");
    assert!(answer.ends_with("Healthy"), "{answer}");
    send(&running.0, rustix::process::Signal::INT);
    assert_eq!(wait(&mut running.0), Some(0));
}

/// The same with a unix socket, which TCP may stand beside.
#[test]
fn unix_sockets_from_systemd_are_served() {
    use std::io::{Read as _, Write as _};
    use std::os::fd::OwnedFd;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exporter.sock");
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    std::fs::write(
        folder.path().join("blackbox.yml"),
        "modules: {t: {prober: tcp}}\n",
    )
    .unwrap();
    let script = "exec 3<&0 4<&1 0</dev/null 1>/dev/null; LISTEN_FDS=2 LISTEN_PID=$$ exec \"$0\" --web.systemd-socket --web.external-url=http://x.test/";
    let (mut running, mut log) = start(
        Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_blackbox_exporter")])
            .current_dir(folder.path())
            .stdin(Stdio::from(OwnedFd::from(unix)))
            .stdout(Stdio::from(OwnedFd::from(tcp))),
    );
    let seen = read_until(
        &mut log,
        &format!("TLS is disabled.\" http2=false address={address}"),
    );
    has(
        &seen,
        [&format!("msg=\"Listening on\" address={}", path.display())],
    );
    // Two requests on a connection, of which the first is a probe.
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let probe = format!("GET /probe?module=t&target={address} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(probe.as_bytes()).unwrap();
    stream.write_all(b"GET /-/healthy HTTP/1.0\r\n\r\n").unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    has(&answers, ["probe_success 1\n"]);
    assert!(answers.ends_with("Healthy"), "{answers}");
    let answer = ask(&address.to_string(), "GET /-/healthy HTTP/1.0\r\n\r\n");
    assert!(answer.ends_with("Healthy"), "{answer}");
    send(&running.0, rustix::process::Signal::INT);
    assert_eq!(wait(&mut running.0), Some(0));
}

#[test]
fn a_closed_standard_error_does_not_end_it() {
    let (mut running, mut log) = start(
        program()
            .args(["--web.listen-address=127.0.0.1:0", "--log.level=debug"])
            .current_dir(tempfile::tempdir().unwrap().path()),
    );
    let seen = read_until(&mut log, "TLS is disabled.");
    let address = seen.rsplit("address=").next().unwrap().trim().to_owned();
    drop(log);
    // The lines of this reload find nobody who reads them.
    for _ in 0..2 {
        let answer = ask(&address, "POST /-/reload HTTP/1.0\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
    }
    send(&running.0, rustix::process::Signal::TERM);
    assert_eq!(wait(&mut running.0), Some(0));
}

fn ask(address: &str, request: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
