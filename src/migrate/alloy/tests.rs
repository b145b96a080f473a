use std::collections::BTreeMap;

use super::super::{Input, MigrateError, Migration, MigrationSource, migrate};
use crate::config;
use crate::config::files::targets::Target;

const MODULES: &str = "{ modules: { http_2xx: { prober: http, timeout: 5s }, icmp_test: {prober: icmp}, tcp_connect: {prober: tcp} } }";

fn read(text: &str, whole_set: bool) -> Migration {
    read_files(&[("config.alloy", text)], whole_set)
}

fn read_files(files: &[(&str, &str)], whole_set: bool) -> Migration {
    let migration = try_read(files, whole_set).unwrap();
    for (name, text) in &migration.files {
        alloy_syntax::parse(text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        assert!(!text.contains("prometheus.exporter.blackbox \""), "{text}");
    }
    migration
}

fn try_read(files: &[(&str, &str)], whole_set: bool) -> Result<Migration, MigrateError> {
    let inputs: Vec<_> = files
        .iter()
        .map(|(name, text)| Input {
            name: (*name).to_owned(),
            text: text.replace("MODULES", &format!("{MODULES:?}")),
        })
        .collect();
    let links = |file: &str| {
        let text = match file {
            "/etc/alloy/blackbox.yml" => MODULES,
            "mod.alloy" => "declare \"m\" { prometheus.exporter.blackbox \"y\" {} }",
            other => return Err(format!("no {other}")),
        };
        Ok(vec![Input {
            name: file.to_owned(),
            text: text.to_owned(),
        }])
    };
    let exporter = whole_set.then_some("127.0.0.1:9115");
    migrate(MigrationSource::Alloy, &inputs, exporter, &links)
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The configuration of DeepFlow's article: `instance` is set after the scrape.
const ARTICLE: &str = r#"// my probes
prometheus.exporter.blackbox "probes" {
  config_file          = "/etc/alloy/blackbox.yml"
  probe_timeout_offset = "0.25s"

  target {
    name    = "icmp_probe_1"
    address = "icmp_example.test.com"
    module  = "icmp_test"
    labels  = { target = "icmp_example.test.com", "__param_hostname" = "h", job = "mine" }
  }
  target "old" {
    address = "http_example.test.com"
  }
}

prometheus.scrape "probes" {
  targets         = prometheus.exporter.blackbox.probes.targets // prometheus.exporter.blackbox.probes.targets
  scrape_interval = "20s"
  forward_to      = [prometheus.relabel.host.receiver]
}

prometheus.relabel "host" {
  rule {
    target_label = "instance"
    replacement  = "192.0.2.10"
  }
  forward_to = [prometheus.remote_write.deepflow.receiver]
}
"#;

#[test]
fn the_whole_set_keeps_every_label() {
    let migration = read(ARTICLE, true);
    assert_eq!(migration.lost, [] as [&str; 0]);
    assert_eq!(
        migration.targets,
        [
            Target {
                name: "icmp_probe_1".to_owned(),
                address: "icmp_example.test.com".to_owned(),
                module: "icmp_test".to_owned(),
                hostname: "h".to_owned(),
                labels: labels(&[
                    ("job", "integrations/blackbox/icmp_probe_1"),
                    ("target", "icmp_example.test.com"),
                    ("module", ""),
                ]),
                interval: Some(20_000),
                timeout: Some(10_000),
                ..Target::default()
            },
            Target {
                name: "old".to_owned(),
                address: "http_example.test.com".to_owned(),
                labels: labels(&[
                    ("job", "integrations/blackbox/old"),
                    ("target", ""),
                    ("module", "")
                ]),
                interval: Some(20_000),
                timeout: Some(10_000),
                ..Target::default()
            },
        ]
    );
    assert_eq!(migration.modules.as_deref(), Some(MODULES));
    assert_eq!(migration.offsets, ["0.25"]);
    assert_eq!(
        migration.hints,
        [r#"line 6: the label "job" is left out, as Alloy's own replaces it"#]
    );
    let (_, after) = ARTICLE.split_once("}\n\nprometheus.scrape").unwrap();
    let wanted = format!(
        r#"// my probes
discovery.http "blackbox_probes" {{
	url              = "http://127.0.0.1:9115/targets"
	refresh_interval = "30s"
}}

discovery.relabel "blackbox_probes" {{
	targets = discovery.http.blackbox_probes.targets

	rule {{
		target_label = "instance"
		replacement  = "prometheus.exporter.blackbox.probes"
	}}
}}

prometheus.scrape{}"#,
        after.replacen(
            "prometheus.exporter.blackbox.probes.targets",
            "discovery.relabel.blackbox_probes.output",
            1
        )
    );
    assert_eq!(migration.files, [("config.alloy".to_owned(), wanted)]);
}

#[test]
fn a_targets_file_alone_says_what_it_lacks() {
    let migration = read(ARTICLE, false);
    assert_eq!(
        migration.lost,
        [
            r#"line 23: the rules of prometheus.relabel "host" change labels; --output writes a configuration that keeps them"#
        ]
    );
    assert_eq!(
        migration.targets[1].labels["instance"],
        "prometheus.exporter.blackbox.probes"
    );
    assert_eq!(
        migration.hints[1..],
        [
            "start the exporter with --config.file=/etc/alloy/blackbox.yml",
            "start the exporter with --timeout-offset=0.25"
        ]
    );
    assert_eq!((migration.modules, migration.files), (None, Vec::new()));
}

#[test]
fn the_scrape_has_alloys_defaults() {
    let scrape = |arguments: &str| {
        let text = format!(
            "prometheus.exporter.blackbox \"x\" {{\n config = MODULES\n target {{\n name = \"a\"\n address = \"b\"\n }}\n}}\n\
             discovery.relabel \"y\" {{\n targets = array.concat(prometheus.exporter.blackbox.x.targets, [])\n}}\n\
             prometheus.scrape \"z\" {{\n targets = discovery.relabel.y.output\n {arguments}\n}}\n"
        );
        let migration = read(&text, true);
        assert_eq!(migration.lost, [] as [&str; 0]);
        let target = &migration.targets[0];
        (target.interval, target.timeout)
    };
    assert_eq!(scrape(""), (Some(60_000), Some(10_000)));
    assert_eq!(scrape("scrape_timeout = \"30s\""), (Some(60_000), Some(30_000)));
    assert_eq!(scrape("scrape_interval = \"5s\""), (Some(5_000), Some(5_000)));
    assert_eq!(scrape("scrape_interval = sys.env(\"I\")"), (None, None));
}

#[test]
fn exporters_keep_their_own_modules_and_targets() {
    let exporter = |name: &str, code: u16| {
        format!(
            r#"prometheus.exporter.blackbox "{name}" {{
  config = "modules: {{m: {{prober: http, http: {{valid_status_codes: [{code}]}}}}}}"
  target {{
    name    = "t"
    address = "x"
    module  = "m"
  }}
}}
prometheus.scrape "{name}" {{
  targets    = prometheus.exporter.blackbox.{name}.targets
  forward_to = []
}}
"#
        )
    };
    let (a, b) = (exporter("a", 200), exporter("b", 404));
    let files = [("a.alloy", &*a), ("b.alloy", &*b)];
    let migration = read_files(&files, true);
    assert_eq!(migration.lost, [] as [&str; 0]);
    let modules = config::parse(migration.modules.as_deref().unwrap());
    let found: Vec<_> = migration
        .targets
        .iter()
        .map(|target| {
            let module = modules.config.modules[&target.module].as_ref().unwrap();
            (
                target.name.as_str(),
                target.labels["job"].as_str(),
                target.labels[super::rewrite::OWNER].as_str(),
                format!("{:?}", module.http.valid_status_codes),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("t", "integrations/blackbox/t", "blackbox_a", "[200]".to_owned()),
            ("t-2", "integrations/blackbox/t", "blackbox_b", "[404]".to_owned()),
        ]
    );
    let (name, text) = &migration.files[1];
    assert_eq!(name, "b.alloy");
    has(
        text,
        &[
            "source_labels = [\"alloy_component\"]\n\t\tregex         = \"blackbox_b\"\n\t\taction        = \"keep\"",
            "regex  = \"alloy_component\"\n\t\taction = \"labeldrop\"",
            "targets    = discovery.relabel.blackbox_b.output",
        ],
    );
    // Without --output nothing says which module is meant.
    let alone = read_files(&files, false);
    assert_eq!(
        alone.lost,
        ["the modules are not part of a targets file; --output writes them"]
    );
    has(
        &alone.hints.join("\n"),
        &["\"m\" of prometheus.exporter.blackbox \"b\" is \"m_b\" now"],
    );
}

#[test]
fn what_alloy_computes_stays_in_alloy() {
    let text = r#"
local.file "modules" { filename = "/etc/alloy/blackbox.yml" }
prometheus.exporter.blackbox "x" {
  config = local.file.modules.content
  targets = encoding.from_json(local.file.list.content)
}
prometheus.exporter.blackbox "y" {
  config_file = "/etc/alloy/blackbox.yml"
  target {
    name    = "a"
    address = sys.env("TARGET")
    labels  = { "env" = "dev", "__tmp" = "x" }
  }
  target {
    name    = "b"
    address = "b:1"
    module  = "tcp_connect"
  }
}
prometheus.scrape "x" {
  targets    = concat(prometheus.exporter.blackbox.x.targets, prometheus.exporter.blackbox.y.targets)
  forward_to = []
}
"#;
    let migration = read(text, true);
    assert_eq!(migration.lost, [] as [&str; 0]);
    assert_eq!(migration.targets.len(), 1);
    let written = &migration.files[0].1;
    has(
        written,
        &[
            "discovery.relabel \"blackbox_x_computed\" {\n\ttargets = encoding.from_json(local.file.list.content)\n",
            "targets = [{\"name\" = \"a\", \"address\" = sys.env(\"TARGET\"), \"env\" = \"dev\", \"__tmp\" = \"x\"}]",
            "replacement   = \"integrations/blackbox/$1\"",
            "replacement  = \"prometheus.exporter.blackbox.y\"",
            "concat(discovery.relabel.blackbox_x_computed.output, array.concat(discovery.relabel.blackbox_y.output, discovery.relabel.blackbox_y_computed.output))",
        ],
    );
    let alone = read(text, false);
    assert_eq!(
        alone.lost[0],
        "line 5: the targets `encoding.from_json(local.file.list.content)` are computed by Alloy; --output writes a configuration that keeps them"
    );
}

#[test]
fn an_exporter_in_a_declare_is_replaced_there() {
    let text = r#"
declare "probes" {
  argument "list" {}
  prometheus.exporter.blackbox "x" {
    config  = MODULES
    targets = argument.list.value
  }
  export "targets" { value = prometheus.exporter.blackbox.x.targets }
}
probes "all" { list = [] }
prometheus.scrape "x" {
  targets         = probes.all.targets
  scrape_interval = "7s"
  forward_to      = []
}
"#;
    let migration = read(text, true);
    assert_eq!(migration.lost, [] as [&str; 0]);
    let written = &migration.files[0].1;
    has(
        written,
        &[
            "  discovery.relabel \"blackbox_x_computed\" {\n  \ttargets = argument.list.value\n",
            "replacement  = \"probes.all/prometheus.exporter.blackbox.x\"",
            "value = discovery.relabel.blackbox_x_computed.output }",
        ],
    );
    assert!(
        !migration.hints.iter().any(|hint| hint.contains("was found")),
        "{:?}",
        migration.hints
    );
    let twice = read(&format!("{text}probes \"more\" {{ list = [] }}\n"), true);
    assert_eq!(
        twice.lost,
        ["line 4: `instance` was the component's id, which differs with each use of the block around it"]
    );
}

#[test]
fn nothing_is_lost_in_silence() {
    for (inside, lost) in [
        ("config = MODULES", "line 1: there are no targets here"),
        (
            "config_file = \"/none\"\ntarget {\nname = \"a\"\naddress = \"b\"\n}",
            "line 2: the modules of /none: no /none",
        ),
        (
            "config = x.y\ntarget {\nname = \"a\"\naddress = \"b\"\n}",
            "line 2: `config = x.y` is computed by Alloy: give the exporter these modules with --config.file",
        ),
        (
            "config = MODULES\ntarget {\nname = \"a\"\naddress = \"b\"\nlabels = x.y\n}",
            "line 6: `labels = x.y` is computed by Alloy: these labels are missing",
        ),
        (
            "config = MODULES\ntarget {\nname = \"a\"\naddress = \"b\"\nmodule = \"none\"\n}",
            "line 1: target \"a\": there is no module \"none\", so Alloy could not probe it either",
        ),
        (
            "config = MODULES\ntargets = [{name = \"a\"}]\ntarget {\nname = \"b\"\naddress = \"c\"\n}",
            "line 3: a target without a name or an address",
        ),
        (
            "config = MODULES\nfoo = 1\ntarget {\nname = \"b\"\naddress = \"c\"\n}",
            "line 3: Alloy's exporter has no `foo`",
        ),
        (
            "config = \"modules: {a: {prober: htp}}\"\ntarget {\nname = \"b\"\naddress = \"c\"\n}",
            "the modules: line 1",
        ),
    ] {
        let migration = read(
            &format!("prometheus.exporter.blackbox \"x\" {{\n{inside}\n}}\n"),
            true,
        );
        assert_eq!(migration.lost.len(), 1, "{inside}: {:?}", migration.lost);
        has(&migration.lost[0], &[lost]);
    }
}

#[test]
fn a_clustered_scrape_with_a_host_in_its_targets_is_named() {
    let text = r#"
prometheus.exporter.blackbox "x" {
  config = MODULES
  target {
    name    = "a"
    address = "b"
  }
}
discovery.relabel "x" {
  targets = prometheus.exporter.blackbox.x.targets
  rule {
    target_label = "instance"
    replacement  = constants.hostname
  }
}
prometheus.scrape "x" {
  targets    = discovery.relabel.x.output
  forward_to = []
  clustering { enabled = true }
}
"#;
    let migration = read(text, true);
    assert_eq!(migration.lost, [] as [&str; 0]);
    let hint = "line 11: `instance` differs between the hosts of a cluster";
    has(&migration.hints[0], &[hint]);
}

/// Alloy's exporter does not decode an address, `/probe` does: `/targets` serves it encoded, as a list in Alloy has it.
#[test]
fn addresses_are_probed_as_alloy_probed_them() {
    let text = r#"prometheus.exporter.blackbox "p" {
  config = MODULES
  target {
    name    = "file"
    address = "a/%2525%2F"
  }
  target {
    name    = "list"
    address = "a/%2525%2F"
    labels  = { "__tmp" = "x" }
  }
  target {
    name    = "no escape"
    address = "a/100%"
    labels  = { "__tmp" = "x" }
  }
}
discovery.relabel "y" {
  targets = prometheus.exporter.blackbox.p.targets
  rule {
    source_labels = ["__param_target"]
    target_label  = "url"
  }
}
"#;
    let migration = read(text, true);
    assert_eq!(migration.targets[0].address, "a/%2525%2F");
    has(
        &migration.files[0].1,
        &[
            r#""name" = "list", "address" = "a/%252525%252F""#,
            r#""name" = "no escape", "address" = "a/100%""#,
        ],
    );
    let hint = "line 1: `__param_target` has %25 for the % of an address: a rule that copies it to a label changes that label";
    let about_escapes = |migration: &Migration| -> Vec<_> {
        let hints = migration.hints.iter();
        hints.filter(|hint| hint.contains("%25")).cloned().collect()
    };
    assert_eq!(about_escapes(&migration), [hint]);
    let computed = text.replace("\"a/%2525%2F\"", "sys.env(\"X\")");
    let hints = about_escapes(&read(&computed, true));
    assert_eq!(hints.len(), 1, "{hints:?}");
    has(&hints[0], &["line 3, line 7: ", "write %25 for their %"]);
    // Without the rewritten file, these targets are not there to be changed.
    assert_eq!(about_escapes(&read(&computed, false)), [] as [&str; 0]);
}

#[test]
fn exporters_in_imported_files_are_named() {
    let exporter = "prometheus.exporter.blackbox \"x\" {\nconfig = MODULES\ntarget {\nname = \"a\"\naddress = \"b\"\n}\n}\n";
    let imports = "import.file \"f\" { filename = \"mod.alloy\" }\nimport.file \"g\" { filename = \"/none\" }\nimport.string \"s\" { content = \"logging {}\" }\n";
    let note =
        "line 1: import.file \"f\": mod.alloy has a prometheus.exporter.blackbox, too: migrate it by itself";
    let migration = read(&format!("{imports}{exporter}"), true);
    assert_eq!(migration.lost, [note]);
    assert_eq!(
        migration.hints[0],
        "line 2: import.file \"g\": what it imports was not read; a prometheus.exporter.blackbox there stays as it is"
    );
    let error = try_read(&[("a.alloy", imports)], true).unwrap_err();
    assert_eq!(error.to_string(), note);
}
