//! The programs of the pipeline: our exporter, upstream, Prometheus.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::TempDir;

use super::{Program, get};

/// Looks a program up on the PATH. When it is not there, says that the test is skipped, or fails where
/// `REQUIRE_PROGRAMS` is set, as in CI.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let found = env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        skipped(name);
    }
    found
}

/// Debian's Python, when it has this module; `package` is what brings it.
pub fn python_has(module: &str, package: &str) -> Option<PathBuf> {
    let python = PathBuf::from("/usr/bin/python3");
    let import = format!("import {module}");
    let tried = Command::new(&python).args(["-c", &import]).output();
    let has = tried.is_ok_and(|tried| tried.status.success());
    if !has {
        skipped(package);
    }
    has.then_some(python)
}

/// Not by `println!`, which the test runner hides when the test passes.
fn skipped(needs: &str) {
    assert!(env::var_os("REQUIRE_PROGRAMS").is_none(), "needs {needs}");
    _ = writeln!(io::stderr(), "skipped: needs {needs}");
}

/// Upstream's program to compare with: Debian's, or the one named by `BLACKBOX_REFERENCE`.
pub fn reference_exporter() -> Option<PathBuf> {
    match env::var_os("BLACKBOX_REFERENCE") {
        Some(path) => Some(path.into()),
        None => find_program("prometheus-blackbox-exporter"),
    }
}

/// Whether this process may ping: by the unprivileged socket, or by the raw one of root.
pub fn may_ping() -> bool {
    let may = fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let capabilities = status
                .lines()
                .find_map(|line| line.strip_prefix("CapEff:"))?
                .trim()
                .to_owned();
            u64::from_str_radix(&capabilities, 16).ok()
        })
        .is_some_and(|effective| effective & (1 << 13) != 0)
        || fs::read_to_string("/proc/sys/net/ipv4/ping_group_range")
            .is_ok_and(|range| range.split_whitespace().next() == Some("0"));
    if !may {
        skipped("net.ipv4.ping_group_range or CAP_NET_RAW, for icmp");
    }
    may
}

/// A running blackbox exporter.
pub struct Exporter {
    program: Program,
    /// Where it listens, as `host:port`.
    pub address: String,
}

impl Exporter {
    /// Starts ours on a configuration file.
    pub fn start(config: &Path, more: &[&str]) -> Self {
        Self::start_other(
            "blackbox_exporter",
            Path::new(env!("CARGO_BIN_EXE_blackbox_exporter")),
            config,
            more,
        )
    }

    /// Starts another program with the same flags.
    pub fn start_other(name: &'static str, program: &Path, config: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(program);
        command
            .arg("--web.listen-address=127.0.0.1:0")
            .arg(format!("--config.file={}", config.display()));
        command.args(more);
        let program = Program::start(name, command);
        let address = program.address();
        Self { program, address }
    }

    /// The running program, to signal it or to read its log.
    pub fn program(&self) -> &Program {
        &self.program
    }
}

/// One sample of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// All labels, the name included.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// A running Prometheus with its storage in a directory of its own.
pub struct Prometheus {
    address: String,
    _program: Program,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts Prometheus on a configuration, when there is one on this machine.
    pub fn start(config: &str) -> Option<Self> {
        let prometheus = find_program("prometheus")?;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(prometheus);
        command
            .arg("--web.listen-address=127.0.0.1:0")
            .arg("--web.enable-lifecycle")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ));
        let program = Program::start("prometheus", command);
        let address = program.address();
        Some(Self {
            address,
            _program: program,
            _directory: directory,
        })
    }

    /// An instant query; the error is Prometheus' own.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        let encoded = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        let answer = self.api(&format!("/api/v1/query?query={encoded}"))?;
        let kind = answer["data"]["resultType"].as_str().unwrap_or_default();
        match (kind, &answer["data"]["result"]) {
            ("vector", Value::Array(samples)) => Ok(samples.iter().map(sample).collect()),
            ("scalar", scalar) => Ok(vec![Sample {
                labels: BTreeMap::new(),
                value: number(&scalar[1]),
            }]),
            _ => Err(format!("{expression}: {answer}")),
        }
    }

    /// Any call of the HTTP API, with the answer's JSON.
    pub fn api(&self, path: &str) -> Result<Value, String> {
        let (status, body) = get(&self.address, path)?;
        if status != 200 {
            return Err(format!("{path}: {status} {body}"));
        }
        serde_json::from_str(&body).map_err(|err| format!("{path}: {err}"))
    }
}

fn sample(value: &Value) -> Sample {
    let labels = value["metric"].as_object().unwrap();
    Sample {
        labels: labels
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect(),
        value: number(&value["value"][1]),
    }
}

fn number(text: &Value) -> f64 {
    text.as_str().unwrap().parse().unwrap()
}
