//! The flags of the server: one table, from which everything else is made: the reader, the help, the man page, the
//! completions and the defaults.

mod table;

use std::path::Path;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ValueHint};

use super::Refused;
use crate::logging;
use crate::probe_log::Level;
use crate::strconv::{parse_float, parse_uint, quote};
use crate::trace;

pub use table::FLAGS;

/// The flags of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flags {
    /// `--config.file`: empty when the flag was not given.
    pub config_files: Vec<String>,
    /// `--config.skip-broken-files`
    pub skip_broken_files: bool,
    /// `--config.expand-environment-variables`
    pub expand_variables: bool,
    /// `--config.check`
    pub config_check: bool,
    /// `--config.enable-auto-reload`
    pub auto_reload: bool,
    /// `--config.auto-reload-interval`
    pub auto_reload_interval: Duration,
    /// `--targets.file`: empty means none.
    pub targets_file: String,
    /// `--timeout-offset`, seconds.
    pub timeout_offset: f64,
    /// `--history.limit`
    pub history_limit: usize,
    /// `--history.max-bytes`
    pub history_max_bytes: usize,
    /// `--probe.max-in-flight`: 0 means no limit.
    pub max_in_flight: usize,
    /// `--log.level`
    pub log_level: Level,
    /// `--log.format`
    pub log_format: logging::Format,
    /// `--log.prober`, as given: an unknown word is a warning, not an error.
    pub log_prober: String,
    /// `--web.listen-address`
    pub listen_addresses: Vec<String>,
    /// `--web.systemd-socket`
    pub systemd_socket: bool,
    /// `--web.config.file`: empty means none.
    pub web_config_file: String,
    /// `--web.external-url`
    pub external_url: String,
    /// `--web.route-prefix`
    pub route_prefix: String,
    /// `--web.max-connections`: 0 means half of the file descriptors.
    pub max_connections: usize,
    /// `--web.allowed-hosts`: empty means any.
    pub allowed_hosts: Vec<String>,
    /// `--web.open-healthy`
    pub open_healthy: bool,
    /// `--web.enable-playground`
    pub playground: bool,
    /// The flags that begin with `--trace`.
    pub trace: trace::Settings,
    /// `--memory.limit` in bytes: 0 means none, `None` most of the cgroup's.
    pub memory_limit: Option<u64>,
}

/// A row of the table.
pub struct Flag {
    /// The name behind `--`.
    pub name: &'static str,
    /// The letter behind `-`.
    pub short: Option<char>,
    /// Where its value goes.
    pub set: Set,
    /// What counts when it is not given.
    pub default: Option<&'static str>,
    /// What stands for the value in the help when there is no default.
    pub placeholder: Option<&'static str>,
    /// The words that it takes, if it takes only some.
    pub words: &'static [&'static str],
    /// What it does.
    pub help: &'static str,
}

/// Where a value goes, which says what kind it is.
#[derive(Clone, Copy)]
pub enum Set {
    /// It stops everything else: `--help` and `--version`.
    Nothing,
    /// There or not.
    Switch(fn(&mut Flags) -> &mut bool),
    /// Any text.
    Text(fn(&mut Flags, String)),
    /// Any text, each time another.
    Texts(fn(&mut Flags) -> &mut Vec<String>),
    /// A whole number.
    Count(fn(&mut Flags, u64)),
    /// A number of bytes, with or without a unit.
    Size(fn(&mut Flags) -> &mut Option<u64>),
    /// A number.
    Float(fn(&mut Flags) -> &mut f64),
    /// A text of some form, and what it must be; `false` when it is not.
    Form(fn(&mut Flags, &str) -> bool, &'static str),
    /// One of some words; `false` when it is none of them.
    Word(fn(&mut Flags, &str) -> bool, &'static str),
}

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is there or not.
    Nothing,
    /// One value, once.
    Value,
    /// One value each time.
    Values,
}

/// The flag of a name, a setter and a help text.
const fn flag(name: &'static str, set: Set, help: &'static str) -> Flag {
    Flag {
        name,
        short: None,
        set,
        default: None,
        placeholder: None,
        words: &[],
        help,
    }
}

impl Flag {
    const fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    const fn placeholder(mut self, text: &'static str) -> Self {
        self.placeholder = Some(text);
        self
    }

    const fn words(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// What follows it on the command line.
    pub fn takes(&self) -> Takes {
        match self.set {
            Set::Nothing | Set::Switch(_) => Takes::Nothing,
            Set::Texts(_) => Takes::Values,
            _ => Takes::Value,
        }
    }

    /// Its definition for the help, the man page and the completions.
    pub fn definition(&self) -> Arg {
        let action = match self.takes() {
            Takes::Nothing => ArgAction::SetTrue,
            Takes::Value => ArgAction::Set,
            Takes::Values => ArgAction::Append,
        };
        let hint = match self.name {
            name if name.ends_with("file") => ValueHint::FilePath,
            "web.external-url" => ValueHint::Url,
            _ => ValueHint::Unknown,
        };
        let mut arg = Arg::new(self.name).long(self.name).help(self.help).action(action);
        if self.takes() != Takes::Nothing {
            arg = arg.num_args(1).value_hint(hint);
        }
        if let Some(letter) = self.short {
            arg = arg.short(letter);
        }
        if let Some(text) = self.default {
            arg = arg.default_value(text);
        }
        if let Some(text) = self.placeholder {
            arg = arg.value_name(text);
        }
        if !self.words.is_empty() {
            arg = arg.value_parser(PossibleValuesParser::new(self.words));
        }
        arg
    }

    fn set(&self, flags: &mut Flags, value: &str) -> Result<(), Refused> {
        let refused = |message: String, wanted: &str| Refused {
            message,
            hint: Some(format!("--{} takes {wanted}", self.name)),
        };
        match self.set {
            Set::Nothing => {}
            Set::Switch(place) => *place(flags) = value == "true",
            Set::Text(put) => put(flags, value.to_owned()),
            Set::Texts(place) => place(flags).push(value.to_owned()),
            Set::Count(put) => {
                let default = self.default.unwrap_or_default();
                let wanted = format!("a whole number without a unit; the default is {default}");
                let number = parse_uint(value, true).map_err(|error| refused(error.to_string(), &wanted))?;
                put(flags, number);
            }
            Set::Size(place) => {
                let with_unit = || u64::try_from(gostd::units::parse_size(value)?).ok();
                let bytes = value.parse().ok().or_else(with_unit);
                let wanted = "a number of bytes, or a size like 256MiB";
                let message = || format!("invalid size {}", quote(value));
                *place(flags) = Some(bytes.ok_or_else(|| refused(message(), wanted))?);
            }
            Set::Float(place) => {
                let wanted = "a number without a unit, like 0.5";
                *place(flags) = parse_float(value).map_err(|error| refused(error.to_string(), wanted))?;
            }
            Set::Form(put, wanted) => {
                if !put(flags, value) {
                    // Without the value, which may have a password in it.
                    return Err(refused(format!("invalid value of --{}", self.name), wanted));
                }
            }
            Set::Word(put, what) => {
                if !put(flags, value) {
                    let wanted = format!("one of {}", self.words.join(", "));
                    return Err(refused(format!("unrecognized {what} {value}"), &wanted));
                }
            }
        }
        Ok(())
    }
}

/// Defaults, then the given values in their order.
///
/// # Errors
/// A flag that was given twice, or a value that it does not take.
pub fn flags(given: &[(&str, String)]) -> Result<Flags, Refused> {
    let mut flags = Flags::default();
    for flag in &FLAGS {
        let is_given = given.iter().any(|(name, _)| *name == flag.name);
        // Whether the configuration's name was given matters.
        if let Some(default) = flag.default
            && !is_given
            && flag.name != CONFIG_FILE
        {
            flag.set(&mut flags, default)?;
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in given {
        let Some(flag) = FLAGS.iter().find(|flag| flag.name == *name) else {
            continue;
        };
        if seen.contains(name) && flag.takes() != Takes::Values {
            return Err(Refused::from(format!("flag '{name}' cannot be repeated")));
        }
        seen.push(name);
        flag.set(&mut flags, value)?;
    }
    // Upstream takes the flag once: who names a file that is not there hears so.
    let is_absent = |name: &&String| !name.contains(['*', '?', '[']) && !Path::new(name).exists();
    if flags.config_files.len() > 1
        && let Some(absent) = flags.config_files.iter().find(is_absent)
    {
        return Err(Refused {
            message: format!("flag '{CONFIG_FILE}' cannot be repeated"),
            hint: Some(format!(
                "several configuration files must exist, and there is no {absent}"
            )),
        });
    }
    Ok(flags)
}

/// A level by its name in any case.
pub fn level(name: &str) -> Option<Level> {
    match name.to_lowercase().as_str() {
        "debug" => Some(Level::Debug),
        "info" => Some(Level::Info),
        "warn" => Some(Level::Warn),
        "error" => Some(Level::Error),
        _ => None,
    }
}

/// Sets a flag; whether there is a value.
fn put<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    *place = value;
    place.is_some()
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The name of the flag that prints the version.
pub const VERSION: &str = "version";
/// The name of the flag that prints the help.
pub const HELP: &str = "help";
const CONFIG_FILE: &str = "config.file";
