//! Flags and subcommands.
//!
//! [`FLAGS`] is the definition. [`parse`] reads the command line by it, and [`command`] makes of it the help text, the man
//! page and the shell completions: to build that at each start would cost 1 MiB. Reading follows kingpin 2.4, which upstream
//! uses, because scripts and manifests depend on its forms (`--flag=value`, `--flag value`, `--no-flag`) and on its words
//! when it refuses one.

pub mod check_config;
mod configuration;
pub mod doctor;
pub mod documents;
mod flags;
mod help;
pub mod migrate;
pub mod probe;
mod reader;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Command, FromArgMatches};

use flags::{FLAGS, Flag, HELP, VERSION, flags};

pub use flags::{Flags, level};
pub use help::render as help;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Serve, or check the configuration.
    Run(Box<Flags>),
    /// Print the help text on standard output and leave.
    Help,
    /// Print the version on standard output and leave.
    Version,
    /// Print these on standard output, one per line, and leave.
    Complete(Vec<String>),
    /// Run a subcommand with the arguments after its name.
    Subcommand(String, Vec<String>),
}

/// Why a command line was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageError {
    /// What kingpin would say, without its `, try --help`.
    pub message: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

impl From<String> for UsageError {
    fn from(message: String) -> Self {
        Self { message, hint: None }
    }
}

/// The names of all subcommands.
const SUBCOMMANDS: [&str; 7] = [
    probe::NAME,
    doctor::NAME,
    check_config::NAME,
    migrate::NAME,
    documents::MAN,
    documents::COMPLETIONS,
    documents::SCHEMA,
];

/// The definition of all flags.
pub fn command() -> Command {
    Command::new("blackbox_exporter")
        .about("Probes endpoints over HTTP, TCP, ICMP, DNS, gRPC, Unix sockets and WebSocket for Prometheus.")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args(FLAGS.iter().map(Flag::definition))
        .subcommand(probe::command())
        .subcommand(doctor::command())
        .subcommand(check_config::command())
        .subcommand(migrate::command())
        .subcommands(documents::commands())
}

/// Writes what was asked for to standard output; `false` when its reader has closed the pipe, who has read enough then.
///
/// # Errors
/// It cannot be written.
pub fn print(text: impl AsRef<[u8]>) -> Result<bool, String> {
    let mut out = io::stdout().lock();
    is_read(out.write_all(text.as_ref()).and_then(|()| out.flush()))
}

fn is_read(written: io::Result<()>) -> Result<bool, String> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("cannot write the output: {error}")),
    }
}

/// Runs a subcommand, whose arguments are read in clap's own manner. Its exit status is whether all is well; what it could not do is
/// printed.
pub fn subcommand<A: FromArgMatches>(
    command: Command,
    arguments: &[String],
    run: impl FnOnce(&A) -> Result<bool, String>,
) -> ExitCode {
    let name = format!("blackbox_exporter {}", command.get_name());
    let line = std::iter::once(&name).chain(arguments);
    let matches = command.bin_name(&name).try_get_matches_from(line);
    let ended = match matches.and_then(|matches| A::from_arg_matches(&matches)) {
        Ok(read) => run(&read).map(|is_well| u8::from(!is_well)),
        // The help, or what is wrong.
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(1);
            is_read(error.print().and_then(|()| io::stdout().flush())).map(|_| code)
        }
    };
    ended.map_or_else(
        |message| {
            // Without standard error nobody can be told.
            let _ = writeln!(io::stderr(), "{name}: {message}");
            ExitCode::FAILURE
        },
        ExitCode::from,
    )
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// Why it cannot be used.
pub fn parse(arguments: &[String]) -> Result<Action, UsageError> {
    if let Some((first, rest)) = arguments.split_first()
        && SUBCOMMANDS.contains(&first.as_str())
    {
        return Ok(Action::Subcommand(first.clone(), rest.to_vec()));
    }
    // As in kingpin, the version and what its hidden flags ask for are printed as soon as they are read, and the help before any
    // value is looked at; `--no-` before them means nothing.
    let completes = |argument: &str| argument == "--completion-bash";
    let is_hidden = |argument: &str| completes(argument) || document(argument).is_some();
    let given = reader::read(&FLAGS, VERSION, is_hidden, arguments)?;
    if arguments.iter().any(|argument| completes(argument)) {
        flags(&given)?;
        return Ok(Action::Complete(completions(arguments)));
    }
    let is_given = |flag: &str| given.iter().any(|(name, _)| *name == flag);
    if is_given(VERSION) {
        return Ok(Action::Version);
    }
    if let Some(action) = arguments.iter().find_map(|argument| document(argument)) {
        return Ok(action);
    }
    if is_given(HELP) {
        return Ok(Action::Help);
    }
    Ok(Action::Run(Box::new(flags(&given)?)))
}

/// What kingpin prints for its hidden flags.
fn document(argument: &str) -> Option<Action> {
    let shell = |name: &str| Action::Subcommand(documents::COMPLETIONS.to_owned(), vec![name.to_owned()]);
    let name = argument.strip_prefix("--")?;
    let name = name.split_once('=').map_or(name, |(name, _)| name);
    Some(match name.strip_prefix("no-").unwrap_or(name) {
        "help-long" => Action::Help,
        "help-man" => Action::Subcommand(documents::MAN.to_owned(), Vec::new()),
        "completion-script-bash" => shell("bash"),
        "completion-script-zsh" => shell("zsh"),
        _ => return None,
    })
}

/// What may follow the arguments, as kingpin tells the shell functions that upstream's `--completion-script-bash` prints: the words of a
/// flag, or all flags.
fn completions(arguments: &[String]) -> Vec<String> {
    let mut typed = arguments.iter().skip(1).rev().map(String::as_str);
    let last = typed.next().unwrap_or_default();
    let before = typed.next().unwrap_or_default();
    let (name, value) = match (last.strip_prefix("--"), before.strip_prefix("--")) {
        (Some(name), _) => (name, ""),
        (None, Some(name)) => (name, last),
        (None, None) => return Vec::new(),
    };
    let Some(flag) = FLAGS.iter().find(|flag| flag.name == name) else {
        return FLAGS.iter().map(|flag| format!("--{}", flag.name)).collect();
    };
    let begins = |word: &&&str| word.starts_with(value);
    if flag.words.contains(&value) && flag.words.iter().filter(begins).count() == 1 {
        return Vec::new();
    }
    flag.words.iter().map(ToString::to_string).collect()
}

/// How wide the help text may be: `COLUMNS`, or 80.
pub fn terminal_width() -> usize {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    columns.unwrap_or(80).max(50)
}

#[cfg(test)]
mod tests;
