//! Every example loads in the program it is for, or in the closest thing that can be had.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use alloy_syntax::{Block, Statement, Value, parse};
use blackbox_exporter::config::{self, files::targets::Targets};

use crate::support::{Exporter, find_program, get, may_ping, read, replace, repository};

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

#[test]
fn promtool_accepts_configurations_and_rules() {
    let Some(promtool) = find_program("promtool") else {
        return;
    };
    for config in [
        "prometheus/prometheus.yml",
        "prometheus/http-sd.yml",
        "prometheus/sharded.yml",
        "deepflow/prometheus.yml",
        "trace/prometheus.yml",
    ] {
        let path = repository("examples").join(config);
        succeeds(Command::new(&promtool).args(["check", "config"]).arg(path));
    }
    // Whole configurations of the documents too.
    let directory = tempfile::tempdir().unwrap();
    for document in ["docs/getting-started.md", "docs/deepflow.md", "docs/scaling.md"] {
        let text = read(document);
        for (number, block) in text.split("```yaml\nscrape_configs:").skip(1).enumerate() {
            let (block, _) = block.split_once("```").unwrap();
            let path = directory.path().join(format!("{number}.yml"));
            fs::write(&path, format!("scrape_configs:{block}")).unwrap();
            succeeds(Command::new(&promtool).args(["check", "config"]).arg(path));
        }
    }
    let prometheus = repository("examples/prometheus");
    succeeds(
        Command::new(&promtool)
            .args(["check", "rules", "rules.yml"])
            .current_dir(&prometheus),
    );
    succeeds(
        Command::new(&promtool)
            .args(["test", "rules", "rules_test.yml"])
            .current_dir(&prometheus),
    );
}

#[test]
fn every_alert_and_record_has_a_rule_test() {
    let tests = read("examples/prometheus/rules_test.yml");
    let rules = read("examples/prometheus/rules.yml");
    for line in rules.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            assert!(
                tests.contains(&format!("alertname: {name}")),
                "no test of alert {name}"
            );
        }
        if let Some(name) = line.strip_prefix("- record: ") {
            assert!(
                tests.contains(&format!("expr: {name}")),
                "no test of record {name}"
            );
        }
    }
}

#[test]
fn configurations_load_and_targets_name_their_modules() {
    for (config, targets) in [
        ("examples/deepflow/blackbox.yml", Some("examples/targets.yml")),
        ("examples/trace/blackbox.yml", None),
        ("blackbox.yml", Some("examples/targets.yml")),
        (
            "examples/kubernetes/blackbox.yml",
            Some("examples/kubernetes/targets.yml"),
        ),
        ("blackbox.yml", None),
    ] {
        let text = read(config);
        let parsed = config::parse(&text);
        assert!(parsed.problems.is_empty(), "{config}: {:?}", parsed.problems);
        let Some(targets) = targets else { continue };
        let read =
            Targets::parse(&read(targets)).unwrap_or_else(|problems| panic!("{targets}: {problems:?}"));
        assert_eq!(
            read.unknown_modules(parsed.config.modules.keys().map(String::as_str)),
            []
        );
    }
}

/// Every command of the documents and examples that starts the exporter finds its files, and they load together.
#[test]
fn commands_of_the_documents_and_examples_start_the_exporter() {
    let mut sources = vec!["README.md".to_owned()];
    let mut folders = vec!["docs".to_owned(), "examples".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(repository(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if [".md", ".yml", ".yaml", ".alloy"]
                .iter()
                .any(|end| path.ends_with(end))
            {
                sources.push(path);
            }
        }
    }
    let mut count = 0;
    for source in sources {
        let text = read(&source);
        // A backslash goes on with the command.
        for line in text.replace("\\\n", " ").lines() {
            let Some((_, flags)) = line.split_once("blackbox_exporter --config.file=") else {
                continue;
            };
            // The files of a migration and of an installation are there on the user's machine only.
            if flags.starts_with('/') || flags.contains("migrated/") || flags.contains('<') {
                continue;
            }
            let flags = format!("--config.file={flags}");
            let flags = flags.split(['#', '`', ')']).next().unwrap();
            let files = flags.split_whitespace().filter_map(|flag| {
                let (flag, file) = flag
                    .split_once('=')
                    .filter(|(_, value)| value.contains('.') && !value.contains("://"))?;
                let file = file.trim_end_matches(['.', ',']);
                if flag.starts_with("--trace.") {
                    return Some(format!("{flag}={}", file.trim_matches('\'')));
                }
                let folder = Path::new(&source).parent().unwrap().join(file);
                let example = Path::new("examples").join(file);
                let candidates = [folder.as_path(), Path::new(file), example.as_path()];
                let found = candidates
                    .into_iter()
                    .map(|path| repository(path.to_str().unwrap()))
                    .find(|path| path.exists());
                let found = found.unwrap_or_else(|| panic!("{source}: {line}: there is no {file}"));
                ["--config.file", "--targets.file"]
                    .contains(&flag)
                    .then(|| format!("{flag}={}", found.display()))
            });
            succeeds(
                Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
                    .arg("--config.check")
                    .args(files),
            );
            count += 1;
        }
    }
    assert!(count >= 4, "only {count} commands were found");
}

/// Every `curl` of the documents that probes, against an exporter on the configuration that the document starts it with.
#[test]
fn probes_of_the_documents_succeed() {
    for (document, config) in [
        ("README.md", "blackbox.yml"),
        ("README.zh.md", "blackbox.yml"),
        ("docs/getting-started.md", "blackbox.yml"),
        ("docs/endpoints.md", "blackbox.yml"),
        ("docs/troubleshooting.md", "blackbox.yml"),
        ("docs/deepflow.md", "examples/deepflow/blackbox.yml"),
        ("docs/deepflow.zh.md", "examples/deepflow/blackbox.yml"),
        ("docs/kubernetes.md", "examples/kubernetes/blackbox.yml"),
    ] {
        let exporter = Exporter::start(&repository(config), &[]);
        let text = read(document);
        let probes = text.lines().filter_map(|line| {
            line.strip_prefix("curl 'http://localhost:9115")?
                .strip_suffix('\'')
        });
        let mut count = 0;
        for path in probes {
            count += 1;
            if path.contains("icmp") && !may_ping() {
                continue;
            }
            let path = path.replace("localhost:9115", &exporter.address);
            let (status, answer) = get(&exporter.address, &path).unwrap();
            assert_eq!(status, 200, "{document}: {path}: {answer}");
            assert!(
                answer.contains("\nprobe_success 1\n"),
                "{document}: {path}: {answer}"
            );
        }
        assert!(count > 0, "{document} has no probe");
    }
}

/// The part of the chart's values that becomes the exporter's configuration.
#[test]
fn helm_values_hold_a_configuration_that_loads() {
    let values = read("examples/kubernetes/helm-values.yaml");
    let (_, config) = values.split_once("\nconfig:\n").unwrap();
    let config: String = config
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("  ").unwrap()))
        .collect();
    let parsed = config::parse(&config);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    assert_eq!(parsed.config.modules.len(), 3);
}

#[test]
fn systemd_accepts_the_units() {
    let Some(analyze) = find_program("systemd-analyze") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let drop_in = "blackbox_exporter.service.d/socket.conf";
    fs::create_dir(directory.path().join("blackbox_exporter.service.d")).unwrap();
    let copy = |name: &str| {
        let text = read(&format!("examples/systemd/{name}"));
        let path = directory.path().join(name);
        // `verify` wants the program to be there.
        fs::write(
            &path,
            text.replace(
                "/usr/local/bin/blackbox_exporter",
                env!("CARGO_BIN_EXE_blackbox_exporter"),
            ),
        )
        .unwrap();
        path
    };
    let verify = |unit: &Path| succeeds(Command::new(&analyze).args(["verify", "--man=no"]).arg(unit));
    let service = copy("blackbox_exporter.service");
    verify(&service);
    let socket = copy("blackbox_exporter.socket");
    copy(drop_in);
    verify(&socket);
    verify(&service);
}

/// No engine can be counted on to build the image; this holds what users rely on.
#[test]
fn the_image_is_what_users_of_the_go_image_expect() {
    let dockerfile = read("Dockerfile");
    let joined = replace(&dockerfile, "\\\n", " ");
    let instructions: Vec<_> = joined
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let known = [
        "ARG",
        "FROM",
        "LABEL",
        "COPY",
        "RUN",
        "USER",
        "EXPOSE",
        "ENTRYPOINT",
        "CMD",
        "WORKDIR",
    ];
    for instruction in &instructions {
        let word = instruction.split_whitespace().next().unwrap();
        assert!(known.contains(&word), "unknown instruction: {instruction}");
    }
    let last_stage = instructions
        .iter()
        .rposition(|instruction| instruction.starts_with("FROM"))
        .unwrap();
    let image = &instructions[last_stage..];
    for wanted in [
        "COPY --from=build /out/${TARGETARCH}/blackbox_exporter /bin/blackbox_exporter",
        "COPY blackbox.yml /etc/blackbox_exporter/config.yml",
        "USER 65534:65534",
        "EXPOSE 9115",
        r#"ENTRYPOINT ["/bin/blackbox_exporter"]"#,
        r#"CMD ["--config.file=/etc/blackbox_exporter/config.yml"]"#,
    ] {
        assert!(image.contains(&wanted), "missing: {wanted}");
    }
    assert!(
        !image.iter().any(|instruction| instruction.starts_with("RUN")),
        "the final image has no shell"
    );
    // What the build copies must be in the build context.
    let ignored = read(".dockerignore");
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "blackbox.yml",
        "LICENSE",
        "bench",
        "packaging/optimise",
        "src",
    ] {
        assert!(
            ignored.contains(&format!("\n!{needed}\n")),
            "{needed} is not in the build context"
        );
    }
}

/// What the components of the examples take and give, by Alloy's reference.
fn components() -> BTreeMap<&'static str, (&'static [&'static str], &'static [&'static str])> {
    BTreeMap::from([
        (
            "discovery.http",
            (&["url", "refresh_interval"] as &[_], &["targets"] as &[_]),
        ),
        ("discovery.relabel", (&["targets", "rule"], &["output", "rules"])),
        (
            "discovery.relabel/rule",
            (
                &["target_label", "replacement", "source_labels", "regex", "action"],
                &[],
            ),
        ),
        (
            "prometheus.scrape",
            (
                &[
                    "targets",
                    "forward_to",
                    "metrics_path",
                    "scrape_interval",
                    "scrape_timeout",
                    "clustering",
                ],
                &[],
            ),
        ),
        ("prometheus.relabel", (&["forward_to", "rule"], &["receiver"])),
        ("prometheus.relabel/rule", (&["target_label", "replacement"], &[])),
        ("prometheus.scrape/clustering", (&["enabled"], &[])),
        ("prometheus.remote_write", (&["endpoint"], &["receiver"])),
        ("prometheus.remote_write/endpoint", (&["url"], &[])),
    ])
}

#[test]
fn alloy_examples_are_alloy_and_their_references_lead_somewhere() {
    for path in ["examples/alloy/config.alloy", "examples/alloy/discovery.alloy"] {
        let text = read(path);
        check_alloy(path, &text);
        // As `alloy fmt` does, which teams run in CI.
        let indented = text.lines().find(|line| line.starts_with(' '));
        assert_eq!(indented, None, "{path}: indented with blanks, not with tabs");
    }
}

#[test]
fn alloy_configurations_of_the_documents_are_alloy_too() {
    for path in [
        "docs/getting-started.md",
        "docs/deepflow.md",
        "docs/deepflow.zh.md",
        "docs/scaling.md",
    ] {
        let text = read(path);
        for block in text.split("```alloy\n").skip(1) {
            let (block, _) = block.split_once("```").unwrap();
            if let Err(error) = parse(block) {
                panic!("{path}: {error}\n{block}");
            }
        }
    }
}

fn check_alloy(path: &str, text: &str) {
    let file = parse(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let components = components();
    let mut exports = BTreeSet::new();
    let mut references = Vec::new();
    for statement in &file {
        let Statement::Block(block) = statement else {
            panic!("{path}: a lone attribute: {statement:?}")
        };
        check_block(path, block, &block.name, &components, &mut references);
        let given = components[block.name.as_str()].1;
        exports.extend(
            given
                .iter()
                .map(|export| format!("{}.{}.{export}", block.name, block.label)),
        );
    }
    for reference in references {
        assert!(
            exports.contains(&reference),
            "{path}: nothing exports {reference}"
        );
    }
}

fn check_block(
    path: &str,
    block: &Block,
    name: &str,
    components: &BTreeMap<&str, (&[&str], &[&str])>,
    references: &mut Vec<String>,
) {
    let (taken, _) = components
        .get(name)
        .unwrap_or_else(|| panic!("{path}: line {}: unknown block {name}", block.line));
    for statement in &block.body {
        let (argument, line) = match statement {
            Statement::Attribute(attribute) => (&attribute.name, attribute.line),
            Statement::Block(inner) => (&inner.name, inner.line),
        };
        assert!(
            taken.contains(&argument.as_str()),
            "{path}: line {line}: {name} has no {argument}"
        );
        match statement {
            Statement::Attribute(attribute) => collect_references(&attribute.value, references),
            Statement::Block(inner) => check_block(
                path,
                inner,
                &format!("{name}/{}", inner.name),
                components,
                references,
            ),
        }
    }
}

fn collect_references(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Expression(text) if text.starts_with("sys.env(") => {}
        Value::Expression(text) => references.push(text.clone()),
        Value::List(list) => list
            .iter()
            .for_each(|value| collect_references(value, references)),
        Value::Object(fields) => fields
            .iter()
            .for_each(|(_, value)| collect_references(value, references)),
        _ => {}
    }
}
