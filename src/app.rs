//! From flags to a running exporter: logging, configuration, ports, serving, draining.

mod auto_reload;
mod external_url;
mod limits;
mod ports;
mod signals;
mod threads;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::cli::{self, Flags};
use crate::config::{LoadError, Options};
use crate::logging::{Logger, OncePerMinute};
use crate::memory;
use crate::module::sources::DEFAULT_FILE;
use crate::module::store::CHANGED;
use crate::module::{Sources, Store};
use crate::net::Network;
use crate::net::tls::Roots;
use crate::probe_log::{Level, text};
use crate::say;
use crate::server::accept::Server;
use crate::server::connections::threads::Threads;
use crate::server::endpoints::playground::Playground;
use crate::server::endpoints::{reload, targets};
use crate::server::instruments::{Elsewhere, Instruments};
use crate::server::past::history::History;
use crate::server::{Exporter, RequestSettings};
use crate::telemetry::Exports;
use crate::trace::Export;
use crate::version;

use signals::{Hangup, Stop};

/// How long the last log lines may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long the last spans and logs may take to be posted.
const LAST_SPANS: Duration = Duration::from_secs(5);
/// How long a slow standard error may hold up the start.
const FIRST_WORDS: Duration = Duration::from_millis(200);

/// What is said to SIGTERM and SIGINT.
const GOODBYE: &str = "Received SIGTERM, exiting gracefully...";

/// Runs the exporter until it is told to stop. Not `async`, so that the program does not compile all of this once more.
///
/// # Errors
/// There are no threads to be had.
pub fn run(flags: Flags) -> io::Result<ExitCode> {
    threads::run(|others| serve(flags, others))
}

async fn serve(flags: Flags, others: Vec<Handle>) -> ExitCode {
    let logger = Logger::stderr(flags.log_level, flags.log_format);
    threads::log_panics(&logger);
    let mut stop = Stop::listen(&logger);
    let checks = flags.config_check;
    let code = tokio::select! {
        started = start(flags, logger.clone(), others) => match started {
            Ok(Started::Checked) => ExitCode::SUCCESS,
            Ok(Started::Serving(running)) => {
                until_stopped(running, &mut stop, &logger).await;
                ExitCode::SUCCESS
            }
            // The reason is in the log.
            Err(Stopped) => ExitCode::FAILURE,
        },
        // A file that cannot be read, mostly. Without a verdict the configuration is not good.
        () = stop.told() => {
            say!(logger, Info, GOODBYE);
            if checks { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    };
    logger.flush(LAST_WORDS);
    code
}

/// Serves until a signal says to stop, and then until all probes finish or a second signal forces exit.
async fn until_stopped(running: RunningExporter, told: &mut Stop, logger: &Logger) {
    let RunningExporter { stop, serving, .. } = running;
    told.told().await;
    say!(logger, Info, GOODBYE);
    // An error means that serving has ended already.
    let _ = stop.send(true);
    tokio::select! {
        _ = serving => {}
        () = told.told() => say!(logger, Warn, "Received a second signal, exiting at once"),
    }
}

/// The exporter did not start; the log says why.
#[derive(Debug)]
pub struct Stopped;

/// What starting came to.
#[derive(Debug)]
pub enum Started {
    /// `--config.check`: the configuration is good.
    Checked,
    /// It serves.
    Serving(RunningExporter),
}

/// A running exporter.
#[derive(Debug)]
pub struct RunningExporter {
    /// What its requests share.
    pub exporter: Arc<Exporter>,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl RunningExporter {
    /// Stops accepting, lets running probes end, and returns when all is done.
    pub async fn stop(self) {
        // An error means that serving has ended already.
        let _ = self.stop.send(true);
        let _ = self.serving.await;
    }
}

/// Loads the configuration, opens the ports and serves.
///
/// # Errors
/// Whatever keeps it from serving, already logged.
pub async fn start(flags: Flags, logger: Logger, others: Vec<Handle>) -> Result<Started, Stopped> {
    let hangup = Hangup::listen(&logger);
    let probe_log = probe_log_level(&flags.log_prober, &logger);
    say!(logger, Info, "Starting blackbox_exporter", "version" => version::info());
    say!(logger, Info, &version::build_context());
    if flags.trace_spans.is_none() && flags.trace_export != Export::default() {
        say!(
            logger,
            Warn,
            "--trace.export has no effect without --trace.endpoint: no spans are exported"
        );
    }

    let store = open_store(&flags, &logger).await?;
    let store = Arc::new(store);
    let network = Arc::new(Network::governed_by(store.policy()));
    limits::limit_memory(flags.memory_limit, &logger);
    let history_max_bytes = memory::history_share()
        .unwrap_or(usize::MAX)
        .min(flags.history_max_bytes);
    if flags.config_check {
        say!(logger, Info, "Config file is ok exiting...");
        return Ok(Started::Checked);
    }
    say!(logger, Info, "Loaded config file");
    // Whoever finds the port open finds these lines written, as with upstream, which waits for each.
    logger.written(FIRST_WORDS).await;

    let (prefix, names) = external_url::prefix(&flags, &logger)?;
    limits::raise_file_limit();
    let ports = ports::open(&flags, &logger).await.map_err(|error| {
        say!(logger, Error, "Error starting HTTP server", "err" => error);
        Stopped
    })?;
    let exports = Exports::start(
        flags.trace_spans.as_ref(),
        flags.trace_logs.as_ref(),
        flags.trace_export,
        &instance(&flags, &ports.addresses),
        &network,
        &logger,
    );
    let exporter = Arc::new(Exporter {
        instruments: Instruments::new(Elsewhere {
            store: Arc::clone(&store),
            network: Arc::clone(&network),
            logger: logger.clone(),
            exports: exports.clone(),
        }),
        exports,
        network,
        store,
        reloads: Arc::default(),
        history: History::new(flags.history_limit, history_max_bytes),
        open_pages: Default::default(),
        logger: logger.clone(),
        shortage: OncePerMinute::default(),
        targets_tag: targets::Tag::default(),
        playground: flags.playground.then(|| Playground::new(flags.expand_variables)),
        settings: RequestSettings {
            timeout_offset: flags.timeout_offset,
            probe_log,
            max_in_flight: flags.max_in_flight,
            trace_link: flags.trace_link.clone(),
        },
    });
    exporter
        .instruments
        .modules
        .serve(&exporter.store.current().modules);
    let server = Server::new(
        Arc::clone(&exporter),
        prefix,
        names,
        ports.gate,
        limits::max_connections(&flags),
        Threads::new(others),
    );
    memory::give_back_program();
    let (stop, stopped) = watch::channel(false);
    let (serving, exports) = (server.serve(ports.listeners, stopped), exporter.exports.clone());
    let serving = tokio::spawn(async move {
        serving.await;
        if let Some(exports) = exports {
            exports.drain(LAST_SPANS).await;
        }
    });
    look_at_roots(&exporter);
    tokio::spawn(memory::give_back_after_bursts(
        Arc::downgrade(&exporter),
        |exporter: &Exporter| exporter.instruments.probes_in_flight(),
    ));
    hangup.reload(&exporter);
    if flags.auto_reload {
        auto_reload::start(&exporter, flags.auto_reload_interval);
    }
    Ok(Started::Serving(RunningExporter {
        exporter,
        addresses: ports.addresses,
        stop,
        serving,
    }))
}

/// What this process is called among others: the host's name, and the port that it listens on.
fn instance(flags: &Flags, addresses: &[SocketAddr]) -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    match addresses.first() {
        Some(address) if !flags.systemd_socket => format!("{host}:{}", address.port()),
        _ => host.into_owned(),
    }
}

/// Warns when this system has no CA certificates, beside the start and not before it: looking takes a while.
fn look_at_roots(exporter: &Arc<Exporter>) {
    let exporter = Arc::clone(exporter);
    tokio::task::spawn_blocking(move || {
        if let Some(why) = Roots::why_none() {
            say!(
                exporter.logger,
                Warn,
                "The system has no CA certificates: only modules with a CA of their own will trust a server",
                "err" => why,
            );
        }
    });
}

/// `--log.prober`: an unknown word is worth a warning and no more.
// compat: `none` is ours; upstream always writes the lines of failed probes to its log.
fn probe_log_level(word: &str, logger: &Logger) -> Option<Level> {
    if word.eq_ignore_ascii_case("none") {
        return None;
    }
    let level = cli::level(word);
    if level.is_none() {
        say!(
            logger,
            Warn,
            "Error setting log prober level, log prober level unchanged",
            "err" => format!("unrecognized log level {word}"),
            "current_level" => "info",
        );
    }
    Some(level.unwrap_or(Level::Info))
}

/// Loads the configuration for the first time: from the file, or from what is compiled in when no file is named and none
/// is there.
// compat: upstream does not start without a file.
async fn open_store(flags: &Flags, logger: &Logger) -> Result<Store, Stopped> {
    let sources = Sources::named(flags.config_files.clone()).map(|sources| Sources {
        skip_broken: flags.skip_broken_files,
        options: Options {
            expand: flags.expand_variables,
            ..Options::default()
        },
        ..sources
    });
    let built_in = sources.is_none();
    let opened = tokio::task::spawn_blocking(|| memory::thrifty(|| Store::open_or_built_in(sources)));
    let opened = opened.await.map_err(|error| {
        say!(logger, Error, "Error loading config", "err" => text(error));
        Stopped
    })?;
    if built_in {
        say!(logger, Info, "No configuration file found, using the built-in modules", "file" => DEFAULT_FILE);
    } else if !matches!(opened, Err(LoadError::Unreadable { .. })) {
        say!(logger, Info, CHANGED);
    }
    let targets = PathBuf::from(&flags.targets_file);
    let opened = match opened {
        Ok(store) if !flags.targets_file.is_empty() => {
            let with_targets = tokio::task::spawn_blocking(move || store.with_targets(&targets)).await;
            with_targets.map_err(|error| {
                say!(logger, Error, "Error loading config", "err" => text(error));
                Stopped
            })?
        }
        opened => opened,
    };
    let store = opened.map_err(|error| {
        reload::quote(logger, &error.quoted());
        say!(logger, Error, "Error loading config", "err" => error.one_line());
        Stopped
    })?;
    reload::warn(logger, &store.current().warnings);
    Ok(store)
}
