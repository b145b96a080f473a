//! The configuration that a subcommand works with: the flags, and reading it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Command, ValueHint};

use crate::module::{Loaded, Sources, Store};

/// The flags that name the configuration, as the server has them.
#[derive(Debug, Args)]
pub struct Configuration {
    #[arg(long = "config.file", value_name = "FILE", value_hint = ValueHint::AnyPath)]
    config: Vec<PathBuf>,
    /// Skip files with mistakes as the exporter does with this flag.
    #[arg(long = "config.skip-broken-files", verbatim_doc_comment)]
    skip_broken: bool,
    #[command(flatten)]
    reading: Reading,
}

/// How configuration files are read.
#[derive(Debug, Args)]
pub struct Reading {
    /// Replace ${NAME} and ${file:PATH} as the exporter does with this flag.
    #[arg(long = "config.expand-environment-variables", verbatim_doc_comment)]
    pub expand: bool,
}

/// A subcommand with flags that name the configuration; `help` is that of the first.
pub fn command<A: Args>(name: &'static str, help: &'static str) -> Command {
    A::augment_args(Command::new(name)).mut_args(|arg| match arg.get_id().as_str() {
        "config" => arg.help(help),
        _ => arg,
    })
}

/// The files that are named, else blackbox.yml, else the built-in modules.
///
/// # Errors
/// A file cannot be read, or everything that is wrong with it.
pub fn load(flags: &Configuration) -> Result<Arc<Loaded>, String> {
    let files = flags.config.iter();
    let mut sources = Sources::named(files.map(|file| file.display().to_string()).collect());
    if let Some(sources) = &mut sources {
        sources.options.expand = flags.reading.expand;
        sources.skip_broken = flags.skip_broken;
    }
    Store::open_or_built_in(sources)
        .map(|store| store.current())
        .map_err(|error| error.to_string())
}
