//! Reads the configurations of other probers: what they probe becomes targets, how they probe becomes modules.
//!
//! Each program has a file of its own, which walks through the configuration as JSON-like data and adds to a [`Draft`].

mod cloudprober;
mod draft;
mod gatus;
mod ping_exporter;
mod references;
mod settings;
mod smokeping;
mod ssl_exporter;
mod telegraf;
mod textproto;
mod toml;
mod uptime_kuma;
mod values;
mod yaml;

use self::draft::Draft;
use self::toml::toml;
use self::yaml::yaml;
use super::{MigrateError, Migration};
use crate::config::files::targets::{Targets, is_targets_file};

/// A program whose configuration can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `SuperQ/smokeping_prober`
    Smokeping,
    /// `czerwonk/ping_exporter`
    PingExporter,
    /// `ribbybibby/ssl_exporter`
    SslExporter,
    /// `cloudprober/cloudprober`
    Cloudprober,
    /// `TwiN/gatus`
    Gatus,
    /// A backup of `louislam/uptime-kuma`
    UptimeKuma,
    /// `influxdata/telegraf`
    Telegraf,
}

impl Program {
    /// Every program, by the name that `--from` takes.
    pub const ALL: [(&'static str, Self); 7] = [
        ("smokeping_prober", Self::Smokeping),
        ("ping_exporter", Self::PingExporter),
        ("ssl_exporter", Self::SslExporter),
        ("cloudprober", Self::Cloudprober),
        ("gatus", Self::Gatus),
        ("uptime-kuma", Self::UptimeKuma),
        ("telegraf", Self::Telegraf),
    ];

    /// The program whose configuration this looks like.
    pub fn of(text: &str) -> Option<Self> {
        // Probers that this exporter does not have.
        const PROBERS: [&str; 5] = ["https", "file", "http_file", "kubernetes", "kubeconfig"];
        let line = |start: &str| has_line(text, start);
        let prober = |name: &&str| text.contains(&format!("prober: {name}"));
        if text.contains("\"monitorList\"") {
            Some(Self::UptimeKuma)
        } else if text.contains("[[inputs.") {
            Some(Self::Telegraf)
        } else if line("probe {") || line("probe:{") || line("probe: {") {
            Some(Self::Cloudprober)
        } else if line("endpoints:") {
            Some(Self::Gatus)
        } else if line("scrape_configs:") {
            None
        } else if line("targets:") {
            let hosts = text
                .lines()
                .any(|line| line.trim_start_matches(['-', ' ']).starts_with("hosts:"));
            Some(if hosts {
                Self::Smokeping
            } else {
                Self::PingExporter
            })
        } else {
            (line("modules:") && PROBERS.iter().any(prober)).then_some(Self::SslExporter)
        }
    }

    /// A regular expression of what it replaces in texts, apart from `$NAME` and `${NAME}`.
    fn placeholders(self) -> Option<&'static str> {
        match self {
            Self::Cloudprober => Some(r"\{\{.*?\}\}|\*\*\$.+?\*\*|@(?:target\.[^@]+|uuid)@"),
            Self::Gatus => Some(r"\[(?:LOCAL_ADDRESS|RANDOM_STRING_\d+)\]|\$\{[A-Za-z_]\w*[^\w}][^}]*\}"),
            Self::Telegraf => Some(r"@\{[^}]+\}|\$\{[A-Za-z_]\w*[^\w}][^}]*\}"),
            _ => None,
        }
    }

    /// Whether it replaces references to environment variables, `$NAME` and `${NAME}`, and `$$` by `$`.
    fn expands(self) -> bool {
        matches!(self, Self::Gatus | Self::Telegraf)
    }
}

/// What a text is, when it is a file of this exporter.
pub fn own_file(text: &str) -> Option<&'static str> {
    if is_targets_file(text) && Targets::parse(text).is_ok_and(|read| !read.targets.is_empty()) {
        return Some("this is a targets file of this exporter already");
    }
    let is_own = has_line(text, "modules:") && Program::of(text).is_none();
    is_own.then_some(
        "this is a configuration of this exporter or upstream already: start it with --config.file",
    )
}

fn has_line(text: &str, start: &str) -> bool {
    text.lines().any(|line| line.starts_with(start))
}

pub(super) fn read(program: Program, text: &str, whole_set: bool) -> Result<Migration, MigrateError> {
    let mut draft = Draft::default();
    match program {
        Program::Smokeping => smokeping::read(yaml(text)?, &mut draft),
        Program::PingExporter => ping_exporter::read(yaml(text)?, &mut draft),
        Program::SslExporter => ssl_exporter::read(yaml(text)?, &mut draft),
        Program::Gatus => gatus::read(yaml(text)?, &mut draft),
        Program::Cloudprober => {
            cloudprober::read(textproto::parse(text).map_err(MigrateError::Syntax)?, &mut draft)
        }
        Program::UptimeKuma => {
            let value =
                serde_json::from_str(text).map_err(|error| MigrateError::Syntax(error.to_string()))?;
            uptime_kuma::read(value, &mut draft);
        }
        Program::Telegraf => telegraf::read(toml(text)?, &mut draft),
    }
    draft.fill_in(program);
    draft.finish(whole_set)
}

#[cfg(test)]
mod tests;
