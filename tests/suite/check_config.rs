//! The subcommand `check-config`.

use std::process::{Command, Output};

fn check_config(files: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
        .arg("check-config")
        .args(files)
        .output()
        .expect("the program runs")
}

#[test]
fn every_mistake_of_every_file_is_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let good = write(
        "good.yml",
        "modules:\n  a: {prober: tcp}\n  b:\n    prober: http\n    http: {valid_http_versions: [HTTP/2]}\n",
    );
    let bad = write(
        "bad.yml",
        "modules:\n  a:\n    prober: http\n    http:\n      metod: POST\n      fail_if_body_matches_regexp: ['(']\n",
    );
    let missing = directory.path().join("missing.yml").to_str().unwrap().to_owned();

    let output = check_config(&[&good, &bad, &missing]);
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        stdout,
        format!("{good}: ok, 2 modules, 1 warning\n{bad}: 2 errors\n{missing}: cannot be read\n")
    );
    let stderr = String::from_utf8(output.stderr).unwrap();
    for quoted in [
        "warning: module \"b\": http.valid_http_versions: valid_http_versions: \"HTTP/2\" never matches"
            .to_owned(),
        format!(
            "error: module \"a\": http.metod: field \"metod\" not found\n --> {bad}:5:7\n  |\n5 |       metod: POST\n  |       ^\n  = help: did you mean \"method\"?\n"
        ),
        format!(
            " --> {bad}:6:37\n  |\n6 |       fail_if_body_matches_regexp: ['(']\n  |                                     ^\n"
        ),
        "no such file or directory".to_owned(),
    ] {
        assert!(stderr.contains(&quoted), "{quoted}\nnot in\n{stderr}");
    }
    assert_eq!(check_config(&[&good]).status.code(), Some(0));
    assert_ne!(check_config(&[]).status.code(), Some(0));
}
