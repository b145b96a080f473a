//! The configuration that a subcommand works with: the flags, and reading it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};

use crate::module::{Loaded, Sources, Store};

/// The flags that name the configuration, as the server has them; `help` is that of the first.
pub fn arguments(help: &'static str) -> [Arg; 2] {
    [
        Arg::new("config")
            .long("config.file")
            .value_name("FILE")
            .value_hint(ValueHint::AnyPath)
            .value_parser(value_parser!(PathBuf))
            .action(ArgAction::Append)
            .help(help),
        Arg::new("expand")
            .long("config.expand-environment-variables")
            .action(ArgAction::SetTrue)
            .help("Replace ${NAME} and ${file:PATH} as the exporter does with this flag."),
    ]
}

/// The files that are named, else blackbox.yml, else the built-in modules.
///
/// # Errors
/// A file cannot be read, or everything that is wrong with it.
pub fn load(matches: &ArgMatches) -> Result<Arc<Loaded>, String> {
    let files = matches.get_many::<PathBuf>("config").into_iter().flatten();
    let mut sources = Sources::named(files.map(|file| file.display().to_string()).collect());
    if let Some(sources) = &mut sources {
        sources.options.expand = matches.get_flag("expand");
    }
    Store::open_or_built_in(sources)
        .map(|store| store.current())
        .map_err(|error| error.to_string())
}
