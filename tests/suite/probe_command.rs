//! The subcommand `probe` as people type it: what it prints and its exit status.

use std::process::{Command, Stdio};

use crate::support::has;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"));
    // No configuration of the working folder: the built-in modules.
    command.current_dir(std::env::temp_dir());
    command
}

/// Runs it to its end, which has this status; returns what it printed.
#[track_caller]
fn printed(command: &mut Command, status: i32) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same for what it complains of, with any status but 0.
#[track_caller]
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.code().is_some_and(|code| code != 0), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn listener() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[test]
fn one_probe_is_told_as_a_story() {
    let (_listening, address) = listener();
    let text = printed(program().args(["probe", "--module", "tcp_connect", &address]), 0);
    assert!(text.starts_with(&format!("success {address} in ")), "{text}");
    has(&text, ["  connect "]);
}

/// The named pipe stands for a file system that hangs.
#[test]
fn ca_certificates_that_cannot_be_read_are_named_as_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, file) = (folder.path().join("ca.pem"), folder.path().join("bb.yml"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::write(
        &file,
        "modules: {m: {prober: tcp, timeout: 300ms, tcp: {tls: true}}}",
    )
    .unwrap();
    for target in ["127.0.0.1:1", "localhost:1"] {
        let mut command = program();
        command
            .args(["probe", "-m", "m", target, "--config.file"])
            .arg(&file);
        command
            .env("SSL_CERT_FILE", &pipe)
            .env("SSL_CERT_DIR", folder.path().join("none"));
        has(printed(&mut command, 1), ["CA certificates", "SSL_CERT_FILE"]);
    }
}

#[test]
fn the_module_says_how_long_a_probe_takes_and_the_flag_takes_some_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bb.yml");
    std::fs::write(
        &file,
        "modules: {patient: {prober: tcp, timeout: 25s}, m: {prober: tcp}}",
    )
    .unwrap();
    for (module, flag, want) in [
        ("patient", None, "25"),
        ("patient", Some("60"), "25"),
        ("patient", Some("3"), "3"),
        ("m", None, "10"),
        ("m", Some("60"), "60"),
    ] {
        let mut command = program();
        command.args(["probe", "-o", "prometheus", "-m", module, "127.0.0.1:1"]);
        command.args(flag.map(|flag| format!("--timeout={flag}")));
        let text = printed(command.arg("--config.file").arg(&file), 1);
        has(&text, [&*format!("probe_timeout_seconds {want}\n")]);
    }
}

#[test]
fn a_failure_says_why_and_exits_1() {
    let text = printed(program().args(["probe", "-m", "tcp_connect", "127.0.0.1:1"]), 1);
    assert!(text.starts_with("failure 127.0.0.1:1"), "{text}");
    has(&text, ["connection refused"]);
}

/// Nothing but warnings is in the log of a ping that is not answered, as upstream has it.
#[test]
fn a_ping_that_fails_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blackbox.yml");
    std::fs::write(
        &file,
        "modules: {long: {prober: icmp, icmp: {payload_size: 70000}}}",
    )
    .unwrap();
    let text = printed(
        program()
            .args(["probe", "-m", "long", "127.0.0.1", "--config.file"])
            .arg(&file),
        1,
    );
    let reason = "Error writing to socket: write 127.0.0.1: message too long: payload_size 70000";
    has(&text, [reason]);
}

#[test]
fn several_probes_are_a_table() {
    let (_listening, address) = listener();
    let text = printed(
        program().args(["probe", "-m", "tcp_connect", &address, "127.0.0.1:1"]),
        1,
    );
    assert!(text.ends_with("1 of 2 succeeded\n"), "{text}");
}

#[test]
fn a_targets_file_is_probed_with_its_own_modules() {
    let (_listening, address) = listener();
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("targets:\n  - name: here\n    address: {address}\n    module: tcp_connect\n");
    std::fs::write(file.path(), text).unwrap();
    printed(program().args(["probe", "--targets"]).arg(file.path()), 0);
}

#[test]
fn machines_read_json_and_expositions() {
    let (_listening, address) = listener();
    let run = |format: &str| {
        let arguments = ["probe", "-m", "tcp_connect", "--output", format, &address];
        printed(program().args(arguments), 0)
    };
    let json: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
    assert_eq!(json["success"], true);
    assert_eq!(json["hops"][0]["phases"][1]["phase"], "connect");
    has(run("prometheus"), ["\nprobe_success 1\n"]);
    assert!(run("openmetrics").ends_with("# EOF\n"));
}

#[test]
fn what_is_wrong_with_the_call_is_said() {
    for (arguments, said) in [
        (
            ["probe", "-m", "nope", "x"].as_slice(),
            "there is no module \"nope\"; there are: ",
        ),
        (&["probe"], "no target; name one"),
        (&["probe", "--config.file", "/nonexistent", "x"], "/nonexistent"),
        (
            &["probe", "-m", "tcp_connect", "-o", "prometheus", "a:1", "b:1"],
            "--output=prometheus prints the metrics of one target, not of 2; --output=json prints any number",
        ),
    ] {
        let text = refused(program().args(arguments));
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
}

#[test]
fn several_configuration_files_and_references_are_read_as_the_exporter_does() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("a.yml", "modules: {a: {prober: tcp}}");
    put(
        "conf.d/b.yml",
        "modules: {b: {prober: http, http: {bearer_token: '${NOT_SET}'}}}",
    );
    let (_listening, address) = listener();
    let probe = |more: &[&str]| {
        let mut command = program();
        command.args(["probe", "-m", "a", &address]).args(more);
        for name in ["a.yml", "conf.d"] {
            command.arg("--config.file").arg(folder.path().join(name));
        }
        command
    };
    printed(&mut probe(&[]), 0);
    refused(&mut probe(&["-m", "b"]));
    let text = refused(&mut probe(&["--config.expand-environment-variables"]));
    has(&text, ["NOT_SET", "b.yml"]);
}

/// Nobody writes to that file: whatever reads it goes on after the probe has ended.
#[tokio::test]
async fn it_ends_with_its_last_probe_whatever_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let (fifo, file) = (folder.path().join("token"), folder.path().join("blackbox.yml"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let fifo = fifo.display();
    let config = format!("modules: {{m: {{prober: http, http: {{bearer_token_file: {fifo}}}}}}}");
    std::fs::write(&file, config).unwrap();
    let run = tokio::process::Command::from(program())
        .args(["probe", "--timeout", "1", "-m", "m", "http://127.0.0.1:1/"])
        .arg("--config.file")
        .arg(&file)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(30), run).await;
    assert_eq!(output.unwrap().unwrap().status.code(), Some(1));
}

#[test]
fn a_hostile_target_is_harmless_on_a_terminal() {
    let text = printed(
        program().args(["probe", "-m", "tcp_connect", "a\u{1b}[31mb\nc"]),
        1,
    );
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn the_target_policy_holds_here_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blackbox.yml");
    let rules = "modules: {tcp: {prober: tcp}}\npolicy: {deny: {networks: [127.0.0.0/8]}}\n";
    std::fs::write(&file, rules).unwrap();
    let (_listening, address) = listener();
    let text = printed(
        program()
            .args(["probe", "-m", "tcp", &address, "--config.file"])
            .arg(&file),
        1,
    );
    has(&text, ["refused by the target policy"]);
}

/// Two targets, of which one fails, probed again and again.
fn watching(address: &str) -> Vec<String> {
    let arguments = [
        "probe",
        "--watch",
        "--interval",
        "100ms",
        "-m",
        "tcp_connect",
        address,
        "127.0.0.1:1",
    ];
    arguments.map(ToOwned::to_owned).to_vec()
}

#[test]
fn a_watch_that_is_piped_prints_a_line_per_result_until_it_is_told_to_end() {
    use std::io::{BufRead as _, BufReader};
    let (_listening, address) = listener();
    let mut child = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
        .current_dir(std::env::temp_dir())
        .args(watching(&address))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The reader stays open until the end: a closed pipe would end it as well.
    let mut lines = lines.map(Result::unwrap);
    let first: Vec<String> = lines.by_ref().take(6).collect();
    let starts = |start: &str| first.iter().filter(|line| line.starts_with(start)).count();
    let good = starts(&format!("success  {address}  tcp_connect  "));
    let bad = starts("failure  127.0.0.1:1  tcp_connect  ");
    assert!(good >= 2 && bad >= 2 && good + bad == 6, "{first:?}");
    assert!(
        first.iter().any(|line| line.contains("connect_refused: ")),
        "{first:?}"
    );
    assert!(!first.concat().contains('\x1b'), "{first:?}");
    let pid = i32::try_from(child.id()).unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(child.wait().unwrap().success());
}

/// On a pseudo-terminal, made by `script`.
#[test]
fn a_watch_on_a_terminal_is_a_view_that_leaves_nothing_behind() {
    use std::io::{Read as _, Write as _};
    let Some(script) = crate::support::programs::find("script") else {
        return;
    };
    let (_listening, address) = listener();
    let program = env!("CARGO_BIN_EXE_blackbox_exporter");
    let line = std::iter::once(program.to_owned())
        .chain(watching(&address))
        .collect::<Vec<_>>()
        .join(" ");
    for key in ["q", "\x03", "\x1b"] {
        let mut child = Command::new(&script)
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .current_dir(std::env::temp_dir())
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut seen = String::new();
        let mut bytes = [0; 4096];
        // Both targets have been probed more than once; a view need not show every number on the way.
        let has_more = |seen: &str, text: fn(u32) -> String| (2..1000).any(|n| seen.contains(&text(n)));
        while !(has_more(&seen, |n| format!(" {n}/0"))
            && has_more(&seen, |n| format!(" 0/{n}"))
            && seen.contains("connect_refused: "))
        {
            let length = screen.read(&mut bytes).unwrap();
            assert!(length > 0, "it ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
        keys.write_all(key.as_bytes()).unwrap();
        screen.read_to_string(&mut seen).unwrap();
        assert!(child.wait().unwrap().success(), "{seen}");
        has(&seen, ["\x1b[?1049h", "2 targets, 1 failing"]);
        let left = seen
            .rfind("\x1b[?1049l")
            .unwrap_or_else(|| panic!("the screen stays: {seen}"));
        assert!(seen[left..].len() < 40 && seen.contains("\x1b[?25h"), "{seen}");
    }
}
