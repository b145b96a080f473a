//! The flags of the server: one table, from which everything else is made: the reader, the help, the man page, the
//! completions and the defaults.

mod table;

use std::path::Path;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ValueHint};

use super::UsageError;
use crate::logging;
use crate::probe_log::Level;
use crate::strconv::{parse_float, parse_uint, quote};
use crate::trace;

pub use table::{FLAGS, Flags};

/// A row of the table.
pub struct Flag {
    /// The name behind `--`.
    pub name: &'static str,
    /// The letter behind `-`.
    pub short: Option<char>,
    /// What follows it on the command line.
    pub takes: Takes,
    /// Whether its value is any text.
    pub is_text: bool,
    /// Reads its value into its field.
    read: fn(&mut Flags, &Flag, &str) -> Result<(), UsageError>,
    /// What counts when it is not given.
    pub default: Option<&'static str>,
    /// What stands for the value in the help when there is no default.
    pub placeholder: Option<&'static str>,
    /// The words that it takes, if it takes only some.
    pub words: &'static [&'static str],
    /// What its value must be, for who gave another one.
    wants: &'static str,
    /// What it does.
    pub help: &'static str,
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

/// The value of a flag: its type says what the flag takes.
trait Value: Sized {
    const TAKES: Takes = Takes::Value;
    const IS_TEXT: bool = false;

    /// Reads a value, or another one.
    fn read(&mut self, flag: &Flag, text: &str) -> Result<(), UsageError>;
}

impl Value for bool {
    const TAKES: Takes = Takes::Nothing;

    fn read(&mut self, _flag: &Flag, text: &str) -> Result<(), UsageError> {
        *self = text == "true";
        Ok(())
    }
}

impl Value for String {
    const IS_TEXT: bool = true;

    fn read(&mut self, _flag: &Flag, text: &str) -> Result<(), UsageError> {
        text.clone_into(self);
        Ok(())
    }
}

impl Value for Vec<String> {
    const TAKES: Takes = Takes::Values;

    fn read(&mut self, _flag: &Flag, text: &str) -> Result<(), UsageError> {
        self.push(text.to_owned());
        Ok(())
    }
}

/// The types of which one text is one value.
macro_rules! values {
    ($($type:ty: |$flag:ident, $text:ident| $read:expr;)*) => {$(
        impl Value for $type {
            fn read(&mut self, $flag: &Flag, $text: &str) -> Result<(), UsageError> {
                *self = $read?;
                Ok(())
            }
        }
    )*};
}
values! {
    usize: |flag, text| flag.count(text).map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    Duration: |flag, text| flag.count(text).map(Duration::from_secs);
    f64: |flag, text| parse_float(text)
        .map_err(|error| flag.refused(error.to_string(), "a number without a unit, like 0.5"));
    Option<u64>: |flag, text| flag.bytes(text).map(Some);
    Level: |flag, text| flag.word("log level", text, level(text));
    logging::LogFormat: |flag, text| flag.word("log format", text, format(text));
    Option<trace::Endpoint>: |flag, text| flag.form(trace::Endpoint::parse(text)).map(Some);
    Option<trace::Link>: |flag, text| flag.form(trace::Link::parse(text)).map(Some);
    trace::Export: |flag, text| flag.form(trace::Export::parse(text));
}

/// The flag of a name and a help text; [`flags!`] adds what follows from its type.
const fn flag(name: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        short: None,
        takes: Takes::Nothing,
        is_text: false,
        read: |_, _, _| Ok(()),
        default: None,
        placeholder: None,
        words: &[],
        wants: "",
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

    const fn wants(mut self, text: &'static str) -> Self {
        self.wants = text;
        self
    }

    const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// Its definition for the help, the man page and the completions.
    pub fn definition(&self) -> Arg {
        let action = match self.takes {
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
        if self.takes != Takes::Nothing {
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

    fn refused(&self, message: String, wanted: &str) -> UsageError {
        let hint = Some(format!("--{} takes {wanted}", self.name));
        UsageError { message, hint }
    }

    fn count(&self, text: &str) -> Result<u64, UsageError> {
        let default = self.default.unwrap_or_default();
        let wanted = format!("a whole number without a unit; the default is {default}");
        parse_uint(text, true).map_err(|error| self.refused(error.to_string(), &wanted))
    }

    fn bytes(&self, text: &str) -> Result<u64, UsageError> {
        let with_unit = || u64::try_from(gostd::units::parse_size(text)?).ok();
        let bytes = text.parse().ok().or_else(with_unit);
        let message = || format!("invalid size {}", quote(text));
        bytes.ok_or_else(|| self.refused(message(), "a number of bytes, or a size like 256MiB"))
    }

    fn word<T>(&self, what: &str, text: &str, value: Option<T>) -> Result<T, UsageError> {
        let wanted = || format!("one of {}", self.words.join(", "));
        value.ok_or_else(|| self.refused(format!("unrecognized {what} {text}"), &wanted()))
    }

    fn form<T>(&self, value: Option<T>) -> Result<T, UsageError> {
        // Without the value, which may have a password in it.
        value.ok_or_else(|| self.refused(format!("invalid value of --{}", self.name), self.wants))
    }
}

/// Defaults, then the given values in their order.
///
/// # Errors
/// A flag that was given twice, or a value that it does not take.
pub fn flags(given: &[(&str, String)]) -> Result<Flags, UsageError> {
    let mut flags = Flags::default();
    for flag in &FLAGS {
        let is_given = given.iter().any(|(name, _)| *name == flag.name);
        // Whether the configuration's name was given matters.
        if let Some(default) = flag.default
            && !is_given
            && flag.name != CONFIG_FILE
        {
            (flag.read)(&mut flags, flag, default)?;
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in given {
        let Some(flag) = FLAGS.iter().find(|flag| flag.name == *name) else {
            continue;
        };
        if seen.contains(name) && flag.takes != Takes::Values {
            return Err(UsageError::from(format!("flag '{name}' cannot be repeated")));
        }
        seen.push(name);
        (flag.read)(&mut flags, flag, value)?;
    }
    // Upstream takes the flag once: who names a file that is not there hears so.
    let is_absent = |name: &&String| !name.contains(['*', '?', '[']) && !Path::new(name).exists();
    if flags.config_files.len() > 1
        && let Some(absent) = flags.config_files.iter().find(is_absent)
    {
        return Err(UsageError {
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

fn format(name: &str) -> Option<logging::LogFormat> {
    match name {
        "logfmt" => Some(logging::LogFormat::Logfmt),
        "json" => Some(logging::LogFormat::Json),
        _ => None,
    }
}

/// The name of the flag that prints the version.
pub const VERSION: &str = "version";
/// The name of the flag that prints the help.
pub const HELP: &str = "help";
const CONFIG_FILE: &str = "config.file";
