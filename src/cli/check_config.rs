//! The subcommand `check-config`: what is wrong with configuration files, all of it, each place quoted.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, ValueHint};

use super::configuration::Reading;
use super::{print, subcommand};
use crate::config::codec::problem::quote;
use crate::config::files::disk::{self, ReadFile};
use crate::config::files::targets::{self, Targets};
use crate::config::{self, LoadError};
use crate::module::{self, Sources};

/// The subcommand's name.
pub const NAME: &str = "check-config";

#[derive(Debug, Args)]
struct Arguments {
    /// The configuration files, or folders of them, to read.
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::AnyPath, verbatim_doc_comment)]
    file: Vec<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// The definition of the subcommand.
pub fn command() -> Command {
    Arguments::augment_args(Command::new(NAME))
        .about("Show every mistake in configuration files.")
        .long_about(
            "Reads each file as the exporter would, alone: several files of one exporter are judged together by \
             its flag --config.check. Errors and warnings go to standard error, with the quoted line \
             and a caret; standard output gets one line per file. The exit status is 1 when a file \
             would not load.",
        )
}

/// Runs the subcommand with the arguments after its name.
pub fn run(arguments: &[String]) -> ExitCode {
    subcommand(command(), arguments, |arguments: &Arguments| {
        check_all(&arguments.file, arguments.reading.expand)
    })
}

fn check_all(files: &[PathBuf], expand: bool) -> Result<bool, String> {
    let mut all_good = true;
    let mut tell = |file: &Path, report: &Report| {
        all_good &= report.is_good;
        // Without standard error nobody can be told; the exit status still tells.
        let _ = std::io::stderr().write_all(report.details.as_bytes());
        print(format!("{}: {}\n", file.display(), report.verdict))
    };
    for named in files {
        let sources = Sources::file(named);
        let found = sources.files();
        if found.is_empty() {
            tell(named, &failed(&sources.without_files()))?;
        }
        for file in &found {
            // Only what is named may be a pipe.
            let read: ReadFile = if file == named {
                disk::read
            } else {
                disk::read_regular
            };
            tell(file, &check(file, read, expand))?;
        }
    }
    Ok(all_good)
}

/// What is to be said about one file.
#[derive(Debug)]
struct Report {
    is_good: bool,
    /// Errors and warnings, quoted.
    details: String,
    /// In a few words.
    verdict: String,
}

fn check(file: &Path, read: ReadFile, expand: bool) -> Report {
    let name = file.display().to_string();
    let bytes = match read(file) {
        Ok(bytes) => bytes,
        Err(error) => return failed(&LoadError::unreadable(file, error)),
    };
    if let Ok(text) = config::decode_text(bytes.clone())
        && targets::is_targets_file(&text)
    {
        return check_targets(&name, &text);
    }
    let options = config::Options {
        expand,
        ..config::Options::default()
    };
    let loaded = match module::load::parse_with(bytes.as_slice(), &name, options) {
        Ok(loaded) => loaded,
        Err(error) => return failed(&error),
    };
    // What loads has a text.
    let text = config::decode_text(bytes).unwrap_or_default();
    let mut details = String::new();
    quote(&mut details, "warning", &name, &text, &loaded.warnings);
    let mut verdict = format!("ok, {}", counted(loaded.modules.len(), "module"));
    if !loaded.warnings.is_empty() {
        verdict.push_str(&format!(", {}", counted(loaded.warnings.len(), "warning")));
    }
    Report {
        is_good: true,
        details,
        verdict,
    }
}

fn check_targets(name: &str, text: &str) -> Report {
    let read = Targets::parse(text);
    let (kind, problems) = match &read {
        Ok(list) => {
            let clashes = module::clashes::without_modules(list);
            ("warning", list.warnings().into_iter().chain(clashes).collect())
        }
        Err(problems) => ("error", problems.clone()),
    };
    let mut details = String::new();
    quote(&mut details, kind, name, text, &problems);
    let mut verdict = match &read {
        Ok(list) => format!("ok, a targets file of {}", counted(list.targets.len(), "target")),
        Err(problems) => format!("a targets file with {}", counted(problems.len(), "error")),
    };
    if read.is_ok() && !problems.is_empty() {
        verdict.push_str(&format!(", {}", counted(problems.len(), "warning")));
    }
    Report {
        is_good: read.is_ok(),
        details,
        verdict,
    }
}

fn failed(error: &LoadError) -> Report {
    let verdict = match error {
        LoadError::Unreadable { .. } => "cannot be read".to_owned(),
        LoadError::Targets(_) => "wrong targets".to_owned(),
        LoadError::Invalid(invalid) => counted(invalid.problems.len(), "error"),
        LoadError::Several(all) => counted(all.len(), "wrong file"),
    };
    Report {
        is_good: false,
        details: error.quoted(),
        verdict,
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
