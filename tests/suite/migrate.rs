//! The subcommand `migrate`, from file to file.

use std::process::{Command, Output};

use blackbox_exporter::config::files::targets::Targets;

use crate::support::has;

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
    has(
        &notes,
        ["note: start the exporter with --config.file=blackbox.yml\n"],
    );
    assert_eq!(
        Targets::parse(&targets).unwrap().targets[0].labels["job"],
        "integrations/blackbox/web"
    );
}

/// A directory as Alloy reads it, with everything that takes its place; the exporter starts with it.
#[test]
fn a_directory_becomes_a_whole_set() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("conf.d");
    std::fs::create_dir(&source).unwrap();
    let write = |name: &str, text: &str| std::fs::write(source.join(name), text).unwrap();
    write("probes.yml", "modules: {http_2xx: {prober: http}}\n");
    write("ignored.txt", "no Alloy at all");
    write(
        "a.alloy",
        "prometheus.exporter.blackbox \"x\" {\n  config_file = \"probes.yml\"\n  target {\n    name = \"web\"\n    address = \"https://example.com\"\n  }\n}\n",
    );
    write(
        "b.alloy",
        "prometheus.scrape \"x\" {\n  targets = prometheus.exporter.blackbox.x.targets\n  forward_to = []\n}\n",
    );
    let output = directory.path().join("out");
    let arguments = ["--output", output.to_str().unwrap(), source.to_str().unwrap()];
    let (code, report, notes) = migrate(&arguments);
    assert_eq!(code, 0, "{notes}");
    assert!(
        report.ends_with(&format!("then:  alloy run {}\n", output.display())),
        "{report}"
    );
    let read = |name: &str| std::fs::read_to_string(output.join(name)).unwrap();
    has(read("b.alloy"), ["targets = discovery.relabel.blackbox_x.output"]);
    assert_eq!(read("blackbox.yml"), "modules: {http_2xx: {prober: http}}\n");
    let target = &Targets::parse(&read("targets.yml")).unwrap().targets[0];
    assert_eq!((target.interval, target.timeout), (Some(60_000), Some(10_000)));
    let checked = check(arguments[1]);
    assert!(checked.status.success(), "{checked:?}");
    // Nothing is overwritten, and nothing is written then.
    std::fs::remove_file(output.join("targets.yml")).unwrap();
    let (code, _, error) = migrate(&arguments);
    assert_eq!(code, 1);
    has(
        &error,
        [
            "note: a.alloy, line 1: `instance` is",
            "blackbox.yml: file exists",
        ],
    );
    assert!(!output.join("targets.yml").exists());
}

#[test]
fn what_is_lost_is_said_and_the_status_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.alloy");
    std::fs::write(
        &file,
        "prometheus.exporter.blackbox \"x\" {\n  config = \"{}\"\n  targets = encoding.from_json(local.file.y.content)\n}\n",
    )
    .unwrap();
    let (code, targets, notes) = migrate(&[file.to_str().unwrap()]);
    assert_eq!(code, 1, "{notes}");
    let said = "line 3: the targets `encoding.from_json(local.file.y.content)` are computed by Alloy";
    has(&notes, [&format!("not carried over: {said}")]);
    has(&targets, [&format!("# - {said}")]);
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
            "note: the exporter was scraped at 127.0.0.1:9115: let http_sd_configs ask it for /targets\n"
        );
        assert_eq!(
            Targets::parse(&targets).unwrap().targets.len(),
            count,
            "{targets}"
        );
    }
}

/// They are looked for beside the configuration, as Prometheus does it.
#[test]
fn files_that_a_prometheus_configuration_names_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let jobs = directory.path().join("jobs");
    std::fs::create_dir(&jobs).unwrap();
    for name in ["a", "b"] {
        let text = format!(
            "scrape_configs: [{{job_name: {name}, metrics_path: /probe, params: {{target: [x]}}, static_configs: [{{targets: [e]}}]}}]"
        );
        std::fs::write(jobs.join(format!("{name}.yml")), text).unwrap();
    }
    let file = directory.path().join("prometheus.yml");
    std::fs::write(&file, "scrape_config_files: [jobs/*.yml, none/*.yml, none.yml]").unwrap();
    let (code, targets, notes) = migrate(&[file.to_str().unwrap()]);
    assert_eq!(code, 1, "{notes}");
    has(
        &notes,
        ["not carried over: scrape_config_files: none.yml: no such file or directory"],
    );
    let names: Vec<_> = Targets::parse(&targets)
        .unwrap()
        .targets
        .into_iter()
        .map(|target| target.name)
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn files_are_recognized() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let gatus = "endpoints: [{name: a, url: 'http://x', conditions: ['[STATUS] == 200']}]";
    let own = "this is a configuration of this exporter or upstream already: ";
    #[rustfmt::skip]
    let rows = [
        (format!("\u{feff}{gatus}"), "name: \"a\""),
        ("\u{feff}{\"monitorList\": [{\"type\": \"ping\", \"name\": \"a\", \"hostname\": \"x\"}]}".to_owned(), "name: \"a\""),
        ("modules:\n  http_2xx: {prober: http}\n".to_owned(), own),
        ("modules:\n  http_2xx: {prober: htp}\n".to_owned(), own),
        ("targets:\n- {name: a, address: b}\n".to_owned(), "this is a targets file of this exporter already"),
        ("modules:\n  a: {prober: https, target: 'https://x'}\n".to_owned(), "address: \"https://x\""),
    ];
    for (text, wanted) in rows {
        std::fs::write(&file, &text).unwrap();
        let (_, targets, notes) = migrate(&[file.to_str().unwrap()]);
        assert!(
            format!("{targets}{notes}").contains(wanted),
            "{text}: {targets}{notes}"
        );
    }
}

#[test]
fn mistakes_are_said_in_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.alloy");
    std::fs::write(&file, "a = [\n").unwrap();
    let path = file.to_str().unwrap();
    #[rustfmt::skip]
    let rows = [
        (&["/nowhere/x.alloy"] as &[&str], 1, "cannot read /nowhere/x.alloy: no such file or directory"),
        (&[path], 1, "line 2: expected a value, found the end of the file"),
        (&["--from", "prometheus", path], 1, "it has no scrape_configs entry that scrapes the /probe of a blackbox exporter"),
        (&[], 2, "<FILE>"),
        (&["--from", "nagios", path], 2, "[possible values: alloy, prometheus, smokeping_prober, "),
    ];
    for (arguments, code, said) in rows {
        let (status, _, error) = migrate(arguments);
        assert_eq!(status, code, "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    has(migrate(&["--help"]).1, ["--from <kind>"]);
}

/// Files that are hard to read, in little time and memory.
#[test]
fn hostile_files_are_refused() {
    const DEEP: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let grows = "{source_labels: [__address__], replacement: '$1$1', target_label: __address__}, ".repeat(40);
    let classic = "{source_labels: [__address__], target_label: __param_target}, {target_label: __address__, replacement: 'e:9115'}";
    // of which program, the file, what is said
    #[rustfmt::skip]
    let rows = [
        ("telegraf", format!("[[inputs.ping]]\nurls = {}", "[".repeat(DEEP)), "nested too deeply"),
        ("telegraf", format!("[a{}]\nx = 1\n", ".a".repeat(DEEP)), "nested too deeply"),
        ("telegraf", format!("'a.b'{} = 1\n", ".a".repeat(DEEP)), "nested too deeply"),
        ("telegraf", format!("\"'\"{} = 1\n", ".a".repeat(DEEP)), "nested too deeply"),
        ("telegraf", format!("x = {{a{} = 1}}\n", ".a".repeat(DEEP)), "nested too deeply"),
        (
            "telegraf",
            "[[inputs.ping]]\nurls = [\"a\"]\n[[inputs.net_response]]\nprotocol = \"tcp\"\n".to_owned(),
            "has no address",
        ),
        ("alloy", format!("a = {}", "[".repeat(DEEP)), "nested too deeply"),
        ("cloudprober", format!("probe {{ {}", "a {".repeat(DEEP)), "nested too deeply"),
        ("cloudprober", format!("probe {{ a: {}", "[".repeat(DEEP)), "nested too deeply"),
        (
            "prometheus",
            format!(
                "scrape_configs: [{{job_name: j, metrics_path: /probe, static_configs: [{{targets: [xy]}}], relabel_configs: [{grows}{classic}]}}]"
            ),
            "a relabelling rule makes a label of more than 4096 bytes",
        ),
        (
            "alloy",
            "prometheus.exporter.blackbox \"b\" { config_file = \"/dev/zero\" }".to_owned(),
            "the file has more than 64 MiB",
        ),
    ];
    for (number, (program, text, want)) in rows.into_iter().enumerate() {
        let file = folder.path().join("file");
        std::fs::write(&file, text).unwrap();
        let (file, output) = (file.to_str().unwrap(), folder.path().join(number.to_string()));
        let output = output.to_str().unwrap();
        let (code, _, notes) = migrate(&["--from", program, "--output", output, file]);
        assert_eq!(code, 1, "{notes}");
        assert!(notes.contains(want), "{want}: {notes}");
    }
}

/// What is equal, or has an equal name, in time that grows with the file alone.
#[test]
fn many_of_a_kind_take_little_time() {
    const MANY: usize = 4000;
    const OUTPUT: &str = "prometheus.exporter.blackbox.x.targets";
    let many = |each: &dyn Fn(usize) -> String| (0..MANY).map(each).collect::<String>();
    let few = |each: &dyn Fn(usize) -> String| (0..MANY / 4).map(each).collect::<String>();
    let exporter = |label: &str, timeout: usize| {
        let modules = format!("modules: {{m: {{prober: http, timeout: {}s}}}}", timeout + 1);
        format!(
            "prometheus.exporter.blackbox \"{label}\" {{\nconfig = \"{modules}\"\ntarget {{\nname = \"a\"\naddress = \"b\"\nmodule = \"m\"\n}}\n}}\n"
        )
    };
    #[rustfmt::skip]
    let rows = [
        ("gatus", format!("endpoints:\n{}", many(&|n| format!("- {{name: a, url: 'http://x', conditions: ['[BODY] == x{n}']}}\n")))),
        ("gatus", format!("endpoints: [{{name: a, url: 'http://x', conditions: ['[STATUS] == 200'], body: '{}'}}]", "$A ".repeat(50 * MANY))),
        (
            "alloy",
            many(&|n| format!("declare \"d{n}\" {{\n{}export \"t\" {{ value = {OUTPUT} }}\n}}\nd{n} \"x\" {{}}\nprometheus.scrape \"s{n}\" {{\ntargets = d{n}.x.t\n}}\n", exporter("x", n))),
        ),
        ("alloy", many(&|n| exporter("x", n)) + &format!("prometheus.scrape \"x\" {{\ntargets = array.concat({})\n}}\n", format!("{OUTPUT}, ").repeat(MANY))),
        (
            "alloy",
            few(&|n| format!("{}discovery.relabel \"r{n}\" {{ targets = array.concat(discovery.relabel.r{}.output, prometheus.exporter.blackbox.x{n}.targets) }}\n", exporter(&format!("x{n}"), 1), n + 1)),
        ),
        ("smokeping_prober", format!("targets: [{{hosts: [{}]}}]", "a, ".repeat(5 * MANY))),
    ];
    for (program, text) in rows {
        let start = std::time::Instant::now();
        written(program, &text);
        assert!(start.elapsed().as_secs() < 20, "{program}: {:?}", start.elapsed());
    }
}

/// Migrates a text: the exporter starts with what is written.
fn written(program: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (file, output) = (folder.path().join("source"), folder.path().join("out"));
    std::fs::write(&file, text).unwrap();
    let (file, output) = (file.to_str().unwrap(), output.to_str().unwrap());
    let (_, _, notes) = migrate(&["--from", program, "--output", output, file]);
    let checked = check(output);
    assert!(checked.status.success(), "{notes}{checked:?}");
}

/// Checks the files of a directory as the exporter reads them.
fn check(directory: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blackbox_exporter"))
        .current_dir(directory)
        .args([
            "--config.check",
            "--config.file=blackbox.yml",
            "--targets.file=targets.yml",
        ])
        .output()
        .unwrap()
}
