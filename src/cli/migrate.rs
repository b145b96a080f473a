//! The subcommand `migrate`: a configuration in, targets out; with `--output`, all files that take its place.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Command, ValueHint};

use super::{print, subcommand};
use crate::config::files::disk;
use crate::migrate::{Input, Migration, MigrationSource, Program, migrate, own_file, targets_file};
use crate::module::Sources;
use crate::os_error;

/// The subcommand's name.
pub const NAME: &str = "migrate";

#[derive(Debug, Args)]
struct Arguments {
    /// Kind of the file. Default: recognized by its name and content.
    #[arg(
        long,
        value_name = "kind",
        value_parser = PossibleValuesParser::new(kinds().map(|(name, _)| name)),
        verbatim_doc_comment
    )]
    from: Option<String>,
    /// Write all files into this directory. Existing files are not overwritten.
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath, verbatim_doc_comment)]
    output: Option<PathBuf>,
    /// Address of this exporter for Alloy.
    #[arg(
        long,
        value_name = "host:port",
        default_value = "127.0.0.1:9115",
        verbatim_doc_comment
    )]
    exporter: String,
    /// The configuration to read; for Alloy also a directory of *.alloy files.
    #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath, verbatim_doc_comment)]
    file: PathBuf,
}

/// The definition of the subcommand.
pub fn command() -> Command {
    Arguments::augment_args(Command::new(NAME))
        .about("Turn the configuration of Alloy, Prometheus or another prober into files for this exporter.")
        .long_about(
            "Reads prometheus.exporter.blackbox blocks of an Alloy configuration, the scrape_configs of a Prometheus \
             configuration that probe through a blackbox exporter, or the configuration of another prober, and prints a \
             targets file on standard output. With --output it writes the whole set instead: the targets file, the modules and, for Alloy, the configuration \
             with those blocks replaced and everything else as it was. The series keep their names and labels. Everything that \
             cannot be carried over is listed on standard error and at the beginning of the targets file, and the exit \
             status is 1.",
        )
}

/// What `--from` takes.
fn kinds() -> impl Iterator<Item = (&'static str, MigrationSource)> {
    let others = Program::ALL.map(|(name, program)| (name, MigrationSource::Other(program)));
    [
        ("alloy", MigrationSource::Alloy),
        ("prometheus", MigrationSource::Prometheus),
    ]
    .into_iter()
    .chain(others)
}

/// Runs the subcommand with the arguments after its name.
pub fn run(arguments: &[String]) -> ExitCode {
    subcommand(command(), arguments, run_with)
}

fn run_with(arguments: &Arguments) -> Result<bool, String> {
    let path = arguments.file.as_path();
    let migration = carry_over(arguments)?;
    for hint in &migration.hints {
        say(&format!("note: {hint}"));
    }
    for lost in &migration.lost {
        say(&format!("not carried over: {lost}"));
    }
    let targets = targets_file(&migration);
    print(match &arguments.output {
        Some(output) => write_set(output, path, &migration, &targets)?,
        None => targets,
    })?;
    Ok(migration.lost.is_empty())
}

fn carry_over(arguments: &Arguments) -> Result<Migration, String> {
    let path = arguments.file.as_path();
    let inputs = read(path)?;
    let first = inputs
        .first()
        .ok_or_else(|| format!("{}: there is no *.alloy file in it", path.display()))?;
    let source = kinds()
        .find(|(name, _)| Some(*name) == arguments.from.as_deref())
        .map_or_else(
            || MigrationSource::of(&first.name, &first.text),
            |(_, source)| source,
        );
    if let (None, Some(own)) = (&arguments.from, own_file(&first.text)) {
        return Err(format!("{}: {own}", path.display()));
    }
    let directory = if path.is_dir() {
        path
    } else {
        path.parent().unwrap_or(Path::new(""))
    };
    let links = |file: &str| match source {
        // Alloy looks for a relative file where it was started, which is more often than not beside its configuration.
        MigrationSource::Alloy => {
            let files = |path: &Path| match path.is_dir() {
                true => read(path),
                false => input(path).map(|input| vec![input]),
            };
            files(Path::new(file)).or_else(|error| files(&directory.join(file)).map_err(|_| error))
        }
        _ => {
            let names = vec![directory.join(file).display().to_string()];
            let files = Sources {
                names,
                ..Sources::default()
            }
            .files();
            files.iter().map(|file| input(file)).collect()
        }
    };
    let output = arguments.output.as_deref();
    let exporter = output.map(|_| arguments.exporter.as_str());
    migrate(source, &inputs, exporter, &links).map_err(|error| format!("{}: {error}", path.display()))
}

/// The file, or the files of the directory that Alloy would read.
fn read(path: &Path) -> Result<Vec<Input>, String> {
    let cannot = |path: &Path, error: &io::Error| {
        format!("cannot read {}: {}", path.display(), os_error::describe(error))
    };
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .map_err(|error| cannot(path, &error))?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "alloy"));
        files.sort();
    }
    let read =
        |file: PathBuf| input(&file).map_err(|error| format!("cannot read {}: {error}", file.display()));
    files.into_iter().map(read).collect()
}

fn input(file: &Path) -> Result<Input, String> {
    let name = file.file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let text = read_file(file)?;
    Ok(Input { name, text })
}

fn read_file(path: &Path) -> Result<String, String> {
    let read = disk::read(path).and_then(|bytes| {
        String::from_utf8(bytes)
            .map(|text| text.trim_start_matches('\u{feff}').to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
    });
    read.map_err(|error| os_error::describe(&error))
}

/// Writes the files; tells what to do with them.
fn write_set(output: &Path, source: &Path, migration: &Migration, targets: &str) -> Result<String, String> {
    let cannot = |path: &Path, error: io::Error| {
        format!("cannot write {}: {}", path.display(), os_error::describe(&error))
    };
    fs::create_dir_all(output).map_err(|error| cannot(output, error))?;
    let mut files = vec![("targets.yml", targets)];
    files.extend(
        migration
            .modules
            .as_deref()
            .map(|modules| ("blackbox.yml", modules)),
    );
    files.extend(
        migration
            .files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str())),
    );
    // All or none.
    for (name, _) in &files {
        let path = output.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(cannot(&path, io::Error::from_raw_os_error(libc::EEXIST)));
        }
    }
    let mut report = String::new();
    for (name, text) in &files {
        let path = output.join(name);
        let mut options = fs::OpenOptions::new();
        let written = options
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| {
                // Modules and Alloy files may hold secrets: whoever could not read the source cannot read these.
                if let Ok(metadata) = fs::metadata(source)
                    && metadata.is_file()
                {
                    file.set_permissions(metadata.permissions())?;
                }
                file.write_all(text.as_bytes())
            });
        written.map_err(|error| cannot(&path, error))?;
        report.push_str(&format!("wrote {}\n", path.display()));
    }
    let at = output.display();
    let config = match migration.modules {
        Some(_) => format!("{at}/blackbox.yml"),
        None => "FILE".to_owned(),
    };
    let offset = match migration.offsets.as_slice() {
        [first, ..] => format!(" --timeout-offset={first}"),
        [] => String::new(),
    };
    report.push_str(&format!(
        "start: blackbox_exporter --config.file={config} --targets.file={at}/targets.yml{offset}\n"
    ));
    match migration.files.as_slice() {
        [] => report.push_str("then let http_sd_configs of Prometheus read http://HOST:9115/targets\n"),
        [(name, _)] => report.push_str(&format!("then:  alloy run {at}/{name}\n")),
        _ => report.push_str(&format!("then:  alloy run {at}\n")),
    }
    Ok(report)
}

/// Without standard error nobody can be told.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
