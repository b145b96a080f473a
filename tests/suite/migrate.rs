//! The subcommand `migrate`, from file to file.

use assert_cmd::Command;
use blackbox_exporter::config::targets::Targets;

fn migrate(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
        .arg("migrate")
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn an_alloy_configuration_becomes_a_targets_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.alloy");
    let alloy = r#"prometheus.exporter.blackbox "x" {
  config_file = "blackbox.yml"
  target {
    name    = "web"
    address = "https://example.com"
  }
}
"#;
    std::fs::write(&file, alloy).unwrap();
    let (code, targets, notes) = migrate(&[file.to_str().unwrap()]);
    assert_eq!(code, 0, "{notes}");
    assert!(
        notes.starts_with("not carried over: line 2: start the exporter with --config.file=blackbox.yml\n"),
        "{notes}"
    );
    assert!(
        targets.starts_with("# Not carried over:\n# - line 2: "),
        "{targets}"
    );
    assert_eq!(
        Targets::parse(&targets).unwrap().targets[0].labels["job"],
        "integrations/blackbox/web"
    );
}

/// The examples of this repository, which the pipeline tests run.
#[test]
fn the_prometheus_examples_become_targets_files() {
    for (example, count) in [("prometheus/prometheus.yml", 4), ("deepflow/prometheus.yml", 3)] {
        let path = format!("{}/examples/{example}", env!("CARGO_MANIFEST_DIR"));
        let (code, targets, notes) = migrate(&["--from", "prometheus", &path]);
        assert_eq!(code, 0, "{notes}");
        assert_eq!(
            notes,
            "not carried over: the exporter was scraped at 127.0.0.1:9115: let http_sd_configs ask it for /targets\n"
        );
        assert_eq!(
            Targets::parse(&targets).unwrap().targets.len(),
            count,
            "{targets}"
        );
    }
}

#[test]
fn mistakes_are_said_in_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.alloy");
    std::fs::write(&file, "a = [\n").unwrap();
    let path = file.to_str().unwrap();
    for (arguments, code, said) in [
        (
            &["/nowhere/x.alloy"] as &[&str],
            1,
            "cannot read /nowhere/x.alloy: No such file or directory",
        ),
        (&[path], 1, "line 2: expected a value, found the end of the file"),
        (
            &["--from", "prometheus", path],
            1,
            "it has no scrape_configs entry that scrapes the /probe of an exporter",
        ),
        (&[], 2, "<FILE>"),
        (
            &["--from", "nagios", path],
            2,
            "[possible values: alloy, prometheus]",
        ),
    ] {
        let (status, _, error) = migrate(arguments);
        assert_eq!(status, code, "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    assert!(migrate(&["--help"]).1.contains("--from <kind>"));
}
