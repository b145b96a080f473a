//! The conformance suite: scripted peers, and what upstream answered beside them. `run.py` does the work and says what
//! it needs; `tests/conformance/run.py EXPORTER --only REGEX` runs a part of it.

use std::process::Command;

/// Whether the program can be run with these arguments.
fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn the_answers_are_those_that_were_recorded() {
    let namespace = ["--user", "--map-root-user", "--mount", "--net", "true"];
    for (program, arguments) in [
        ("python3", ["-c", "import ssl"].as_slice()),
        ("ip", &["-Version"]),
        ("unshare", &namespace),
    ] {
        if !works(program, arguments) {
            assert!(std::env::var_os("REQUIRE_PROGRAMS").is_none(), "needs {program}");
            eprintln!("skipped: needs {program} {}", arguments.join(" "));
            return;
        }
    }
    let output = Command::new("python3")
        .arg("tests/conformance/run.py")
        .arg(env!("CARGO_BIN_EXE_blackbox_exporter"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    // Threads of scripted peers end by exceptions when the exporter hangs up: standard error says nothing of use.
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}
