//! Flags and subcommands.
//!
//! [`command`] is the definition: the help text, the man page and the shell completions derive from it. [`parse`] reads the
//! command line by [`FLAGS`], its short form: to build the whole at each start would cost 1 MiB. Reading follows kingpin 2.4, which upstream uses, because scripts and
//! manifests depend on its forms (`--flag=value`, `--flag value`, `--no-flag`) and on its words when it refuses one.

pub mod check_config;
pub mod documents;
mod help;
pub mod migrate;
pub mod probe;
mod reader;

use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::logging;
use crate::probe_log::Level;
use crate::strconv::{NumError, parse_float, parse_uint};

pub use help::render as help;
use reader::{Flag, Takes};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Serve, or check the configuration.
    Run(Box<Flags>),
    /// Print the help text on standard output and leave.
    Help,
    /// Print the version on standard output and leave.
    Version,
    /// Run a subcommand with the arguments after its name.
    Subcommand(String, Vec<String>),
}

/// The flags of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Flags {
    /// `--config.file`: `None` when the flag was not given.
    pub config_file: Option<String>,
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
}

/// All flags as they are read; a test holds them against [`command`].
const FLAGS: [Flag; 21] = {
    use Takes::{Nothing, Value, Values};
    [
        ("help", Some('h'), Nothing),
        ("config.file", None, Value),
        ("targets.file", None, Value),
        ("timeout-offset", None, Value),
        ("config.check", None, Nothing),
        ("log.prober", None, Value),
        ("config.enable-auto-reload", None, Nothing),
        ("config.auto-reload-interval", None, Value),
        ("history.limit", None, Value),
        ("history.max-bytes", None, Value),
        ("probe.max-in-flight", None, Value),
        ("web.external-url", None, Value),
        ("web.route-prefix", None, Value),
        ("web.systemd-socket", None, Nothing),
        ("web.listen-address", None, Values),
        ("web.config.file", None, Value),
        ("web.max-connections", None, Value),
        ("web.allowed-hosts", None, Values),
        ("log.level", None, Value),
        ("log.format", None, Value),
        (VERSION, None, Nothing),
    ]
};

const VERSION: &str = "version";

/// The names of all subcommands.
const SUBCOMMANDS: [&str; 5] = [
    probe::NAME,
    check_config::NAME,
    migrate::NAME,
    documents::MAN,
    documents::COMPLETIONS,
];

/// Where `--config.file` points when it is not given.
pub const DEFAULT_CONFIG_FILE: &str = "blackbox.yml";

/// The definition of all flags.
pub fn command() -> Command {
    let value = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::Set)
            .num_args(1)
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
    };
    Command::new("blackbox_exporter")
        .about("Probes endpoints over HTTP, TCP, ICMP, DNS, gRPC, Unix sockets and WebSocket for Prometheus.")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .help("Show this help.")
                .action(ArgAction::SetTrue),
        )
        .arg(
            value("config.file", "Blackbox exporter configuration file.")
                .default_value(DEFAULT_CONFIG_FILE)
                .value_hint(clap::ValueHint::FilePath),
        )
        .arg(
            value(
                "targets.file",
                "File with targets, which /targets answers to the HTTP service discovery of Prometheus and Alloy. It is \
                 read again whenever the configuration is.",
            )
            .default_value("")
            .value_hint(clap::ValueHint::FilePath),
        )
        .arg(value("timeout-offset", "Offset to subtract from timeout in seconds.").default_value("0.5"))
        .arg(switch(
            "config.check",
            "If true validate the config file and then exit.",
        ))
        .arg(
            value(
                "log.prober",
                "Log level for probe request logs. One of: [debug, info, warn, error, none]. Lines of probes are \
                 written at this level and above, whatever --log.level says.",
            )
            .default_value("info")
            .value_parser(PossibleValuesParser::new(["debug", "info", "warn", "error", "none"])),
        )
        .arg(switch(
            "config.enable-auto-reload",
            "When enabled, the configuration file is reloaded when it changes: at once where the system tells about \
             it, and otherwise at the interval that --config.auto-reload-interval gives.",
        ))
        .arg(
            value(
                "config.auto-reload-interval",
                "Seconds between two looks at the configuration file for --config.enable-auto-reload.",
            )
            .default_value("30"),
        )
        .arg(
            value(
                "history.limit",
                "The maximum amount of items to keep in the history, and of older failures besides.",
            )
            .default_value("100"),
        )
        .arg(
            value(
                "history.max-bytes",
                "Most memory that the history may take, in bytes; the oldest items go first.",
            )
            .default_value("67108864"),
        )
        .arg(
            value(
                "probe.max-in-flight",
                "Most probes at one time; a request beyond them is answered with 503. 0 means no limit.",
            )
            .default_value("0"),
        )
        .arg(
            value(
                "web.external-url",
                "The URL under which Blackbox exporter is externally reachable (for example, if it is served via a \
                 reverse proxy). Used for generating relative and absolute links back to it. If the URL has a path \
                 portion, it will be used to prefix all HTTP endpoints. If omitted, it is derived from the host name \
                 and the first listen address.",
            )
            .value_name("url")
            .value_hint(clap::ValueHint::Url),
        )
        .arg(
            value(
                "web.route-prefix",
                "Prefix for the internal routes of web endpoints. Defaults to path of --web.external-url.",
            )
            .value_name("path"),
        )
        .arg(switch(
            "web.systemd-socket",
            "Use systemd socket activation listeners instead of port listeners (Linux only).",
        ))
        .arg(
            value(
                "web.listen-address",
                "Addresses on which to expose metrics and web interface. Repeatable for multiple addresses. \
                 Examples: `:9115` or `[::1]:9115`.",
            )
            .action(ArgAction::Append)
            .default_value(":9115"),
        )
        .arg(
            value(
                "web.config.file",
                "Path to configuration file that can enable TLS or authentication. See: \
                 https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md",
            )
            .default_value("")
            .value_hint(clap::ValueHint::FilePath),
        )
        .arg(
            value(
                "web.max-connections",
                "Maximum concurrent connections. When all are in use, the one that has been idle for longest is closed \
                 for a new one; client addresses have equal shares. 0 means half of the open files that the system \
                 allows.",
            )
            .default_value("0"),
        )
        .arg(
            value(
                "web.allowed-hosts",
                "Names under which requests may ask for this exporter, separated by commas; `*.example.org` stands for \
                 all names below it. Any other name in the Host header is refused, against DNS rebinding; IP \
                 addresses are always accepted. Without it, every name is.",
            )
            .value_name("name")
            .action(ArgAction::Append),
        )
        .arg(
            value(
                "log.level",
                "Only log messages with the given severity or above. One of: [debug, info, warn, error]",
            )
            .default_value("info")
            .value_parser(PossibleValuesParser::new(["debug", "info", "warn", "error"])),
        )
        .arg(
            value(
                "log.format",
                "Output format of log messages. One of: [logfmt, json]",
            )
            .default_value("logfmt")
            .value_parser(PossibleValuesParser::new(["logfmt", "json"])),
        )
        .arg(switch("version", "Show application version."))
        .subcommand(probe::command())
        .subcommand(check_config::command())
        .subcommand(migrate::command())
        .subcommands(documents::commands())
}

/// Reads the arguments of a subcommand, in clap's own manner.
///
/// # Errors
/// The exit status after the help, or what is wrong, was printed.
pub fn subcommand_arguments(command: Command, arguments: &[String]) -> Result<ArgMatches, ExitCode> {
    let name = format!("blackbox_exporter {}", command.get_name());
    let line = std::iter::once(&name).chain(arguments);
    command
        .bin_name(&name)
        .try_get_matches_from(line)
        .map_err(|error| {
            let code = u8::try_from(error.exit_code()).unwrap_or(1);
            error.print().map_or(ExitCode::FAILURE, |()| ExitCode::from(code))
        })
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// What kingpin would say, without its `, try --help`.
pub fn parse(arguments: &[String]) -> Result<Action, String> {
    if let Some((first, rest)) = arguments.split_first()
        && SUBCOMMANDS.contains(&first.as_str())
    {
        return Ok(Action::Subcommand(first.clone(), rest.to_vec()));
    }
    if let Some(action) = arguments.iter().find_map(|argument| document(argument)) {
        return Ok(action);
    }
    // As in kingpin, the version is printed as soon as it is read, and the help before any value is looked at; `--no-`
    // before them means nothing.
    let given = reader::read(&FLAGS, VERSION, arguments)?;
    let is_given = |flag: &str| given.iter().any(|(name, _)| *name == flag);
    if is_given(VERSION) {
        return Ok(Action::Version);
    }
    if is_given("help") {
        return Ok(Action::Help);
    }
    Ok(Action::Run(Box::new(flags(&given)?)))
}

/// What kingpin prints for its hidden flags.
fn document(argument: &str) -> Option<Action> {
    let shell = |name: &str| Action::Subcommand(documents::COMPLETIONS.to_owned(), vec![name.to_owned()]);
    Some(match argument {
        "--help-long" => Action::Help,
        "--help-man" => Action::Subcommand(documents::MAN.to_owned(), Vec::new()),
        "--completion-script-bash" => shell("bash"),
        "--completion-script-zsh" => shell("zsh"),
        _ => return None,
    })
}

/// Defaults, then the given values in their order.
fn flags(given: &[(&str, String)]) -> Result<Flags, String> {
    let mut flags = Flags {
        config_file: None,
        config_check: false,
        auto_reload: false,
        auto_reload_interval: Duration::from_secs(30),
        targets_file: String::new(),
        timeout_offset: 0.5,
        history_limit: 100,
        history_max_bytes: 64 << 20,
        max_in_flight: 0,
        log_level: Level::Info,
        log_format: logging::Format::Logfmt,
        log_prober: "info".to_owned(),
        listen_addresses: Vec::new(),
        systemd_socket: false,
        web_config_file: String::new(),
        external_url: String::new(),
        route_prefix: String::new(),
        max_connections: 0,
        allowed_hosts: Vec::new(),
    };
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in given {
        let repeatable = |(long, _, takes): &Flag| long == name && *takes == Takes::Values;
        if seen.contains(name) && !FLAGS.iter().any(repeatable) {
            return Err(format!("flag '{name}' cannot be repeated"));
        }
        seen.push(name);
        set(&mut flags, name, value)?;
    }
    if flags.listen_addresses.is_empty() {
        flags.listen_addresses.push(":9115".to_owned());
    }
    Ok(flags)
}

fn set(flags: &mut Flags, name: &str, value: &str) -> Result<(), String> {
    let number = || parse_uint(value, true).map_err(|error: NumError| error.to_string());
    let count = || number().map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let truth = value == "true";
    match name {
        "config.file" => flags.config_file = Some(value.to_owned()),
        "config.check" => flags.config_check = truth,
        "config.enable-auto-reload" => flags.auto_reload = truth,
        "config.auto-reload-interval" => flags.auto_reload_interval = Duration::from_secs(number()?),
        "targets.file" => flags.targets_file = value.to_owned(),
        "timeout-offset" => {
            flags.timeout_offset = parse_float(value).map_err(|error| error.to_string())?;
        }
        "history.limit" => flags.history_limit = count()?,
        "history.max-bytes" => flags.history_max_bytes = count()?,
        "probe.max-in-flight" => flags.max_in_flight = count()?,
        "log.level" => {
            flags.log_level = level(value).ok_or_else(|| format!("unrecognized log level {value}"))?;
        }
        "log.format" => {
            flags.log_format = match value {
                "logfmt" => logging::Format::Logfmt,
                "json" => logging::Format::Json,
                _ => return Err(format!("unrecognized log format {value}")),
            };
        }
        "log.prober" => flags.log_prober = value.to_owned(),
        "web.listen-address" => flags.listen_addresses.push(value.to_owned()),
        "web.systemd-socket" => flags.systemd_socket = truth,
        "web.config.file" => flags.web_config_file = value.to_owned(),
        "web.external-url" => flags.external_url = value.to_owned(),
        "web.route-prefix" => flags.route_prefix = value.to_owned(),
        "web.max-connections" => flags.max_connections = count()?,
        "web.allowed-hosts" => flags.allowed_hosts.push(value.to_owned()),
        _ => {}
    }
    Ok(())
}

/// How wide the help text may be: `COLUMNS`, or 80.
pub fn terminal_width() -> usize {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    columns.unwrap_or(80).max(50)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Action, String> {
        parse(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    fn run(arguments: &[&str]) -> Flags {
        match parsed(arguments) {
            Ok(Action::Run(flags)) => *flags,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn what_is_read_is_what_is_defined() {
        let command = command();
        let defined: Vec<_> = command
            .get_arguments()
            .map(|arg| {
                let takes = match arg.get_action() {
                    ArgAction::SetTrue => Takes::Nothing,
                    ArgAction::Append => Takes::Values,
                    _ => Takes::Value,
                };
                (arg.get_long().unwrap(), arg.get_short(), takes)
            })
            .collect();
        assert_eq!(defined, FLAGS);
        let subcommands: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        assert_eq!(subcommands, SUBCOMMANDS);
    }

    #[test]
    fn defaults_stand_in_definition_and_flags_alike() {
        let command = command();
        let defaults: Vec<(&str, String)> = command
            .get_arguments()
            .filter(|arg| arg.get_id() != "config.file")
            .filter_map(|arg| {
                let value = arg.get_default_values().first()?.to_str()?.to_owned();
                (!value.is_empty()).then_some((arg.get_id().as_str(), value))
            })
            .collect();
        assert_eq!(flags(&defaults).unwrap(), run(&[]));
    }

    #[test]
    fn values_come_in_two_forms() {
        for arguments in [&["--history.limit=3"] as &[_], &["--history.limit", "3"]] {
            assert_eq!(run(arguments).history_limit, 3);
        }
        assert!(run(&["--config.check"]).config_check);
        assert!(!run(&["--no-config.check"]).config_check);
        assert_eq!(run(&["--log.level=DEBUG"]).log_level, Level::Debug);
        assert_eq!(run(&["--timeout-offset", "1e-1"]).timeout_offset, 0.1);
        assert_eq!(
            run(&["--web.listen-address=:1", "--web.listen-address", ":2"]).listen_addresses,
            [":1", ":2"]
        );
    }

    #[test]
    fn refusals_are_kingpins() {
        for (arguments, message) in [
            (&["--nope"] as &[_], "unknown long flag '--nope'"),
            (&["--nope=1"], "unknown long flag '--nope'"),
            (&["-x"], "unknown short flag '-x'"),
            (&["--config.fil=x"], "unknown long flag '--config.fil'"),
            (&["extra"], "unexpected extra"),
            (&["--config.check", "extra"], "unexpected extra"),
            (&["--config.file"], "expected argument for flag '--config.file'"),
            (
                &["--config.file", "--config.check"],
                "expected argument for flag '--config.file'",
            ),
            (
                &["--config.file=a", "--config.file=b"],
                "flag 'config.file' cannot be repeated",
            ),
            (
                &["--config.check", "--no-config.check"],
                "flag 'config.check' cannot be repeated",
            ),
            (&["--config.check=yes"], "unexpected yes"),
            (&["--no-config.file"], "unknown long flag '--no-config.file'"),
            (
                &["--history.limit=-1"],
                "strconv.ParseUint: parsing \"-1\": invalid syntax",
            ),
            (
                &["--timeout-offset="],
                "strconv.ParseFloat: parsing \"\": invalid syntax",
            ),
            (&["--log.level="], "unrecognized log level "),
            (&["--log.format=JSON"], "unrecognized log format JSON"),
            (&["--", "--config.check"], "unexpected --config.check"),
        ] {
            assert_eq!(parsed(arguments).unwrap_err(), message, "{arguments:?}");
        }
    }

    #[test]
    fn help_and_version_win_over_bad_values_but_not_over_unknown_flags() {
        for arguments in [
            &["-h"] as &[_],
            &["--history.limit=x", "--help"],
            &["--no-help"],
            &["--help-long"],
        ] {
            assert_eq!(parsed(arguments), Ok(Action::Help), "{arguments:?}");
        }
        for arguments in [
            &["--history.limit=x", "--version"] as &[_],
            &["--help", "--version"],
            &["--version", "--nope"],
            &["--version=false"],
            &["--no-version", "extra"],
        ] {
            assert_eq!(parsed(arguments), Ok(Action::Version), "{arguments:?}");
        }
        for arguments in [
            &["--help", "--nope"] as &[_],
            &["--nope", "--version"],
            &["--help=true"],
        ] {
            assert!(parsed(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn arguments_may_stand_in_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| format!("@{}", folder.path().join(name).display());
        std::fs::write(
            folder.path().join("flags"),
            "# comment\n\n--history.limit\r\n7\n  \n--log.level=error\n",
        )
        .unwrap();
        std::fs::write(folder.path().join("value"), "9\n--config.check\n").unwrap();
        let flags = run(&[&path("flags"), "--timeout-offset", &path("value")]);
        assert_eq!((flags.history_limit, flags.log_level), (7, Level::Error));
        assert_eq!((flags.timeout_offset, flags.config_check), (9.0, true));
        assert_eq!(run(&["--config.file=@x"]).config_file.as_deref(), Some("@x"));
        for (arguments, message) in [
            (&["@"] as &[_], "expected @ file to expand arguments from"),
            (
                &["@/no/such"],
                "failed to open arguments file \"/no/such\": open /no/such: no such file or directory",
            ),
            (
                &["--config.file", "@/no/such"],
                "expected argument for flag '--config.file'",
            ),
            (&["--", "@/no/such"], "unexpected @/no/such"),
        ] {
            assert_eq!(parsed(arguments).unwrap_err(), message, "{arguments:?}");
        }
    }
}
