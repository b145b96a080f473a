//! The subcommand `migrate`: a file in, a targets file out, and on standard error what was left behind.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command};

use super::subcommand_arguments;
use crate::migrate::{Source, migrate, targets_file};

/// The subcommand's name.
pub const NAME: &str = "migrate";

/// The definition of the subcommand.
pub fn command() -> Command {
    Command::new(NAME)
        .about("Turn an Alloy or Prometheus configuration into a targets file for --targets.file.")
        .long_about(
            "Reads prometheus.exporter.blackbox blocks of an Alloy configuration, or the scrape_configs of a Prometheus \
             configuration that probe through a blackbox exporter, and prints a targets file on standard output. What \
             it cannot carry over is named in comments at the head of that file and on standard error.",
        )
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("kind")
                .value_parser(PossibleValuesParser::new(["alloy", "prometheus"]))
                .help("What the file is; told by its name when left out."),
        )
        .arg(
            Arg::new("file")
                .required(true)
                .value_name("FILE")
                .value_hint(clap::ValueHint::FilePath)
                .value_parser(clap::value_parser!(PathBuf))
                .help("The configuration to read."),
        )
}

/// Runs the subcommand with the arguments after its name.
pub fn run(arguments: &[String]) -> ExitCode {
    let matches = match subcommand_arguments(command(), arguments) {
        Ok(matches) => matches,
        Err(status) => return status,
    };
    let file = matches.get_one::<PathBuf>("file").cloned().unwrap_or_default();
    let kind = matches.get_one::<String>("from").map(String::as_str);
    match read(&file, kind) {
        Ok((text, notes)) => {
            for note in notes {
                say(&format!("not carried over: {note}"));
            }
            match std::io::stdout().write_all(text.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

/// The targets file, and what could not be carried over.
fn read(file: &PathBuf, kind: Option<&str>) -> Result<(String, Vec<String>), String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let source = match kind {
        Some("alloy") => Source::Alloy,
        Some(_) => Source::Prometheus,
        None => Source::of(&file.to_string_lossy(), &text),
    };
    let migration = migrate(source, &text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok((targets_file(&migration), migration.notes))
}

/// Without standard error nobody can be told.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
