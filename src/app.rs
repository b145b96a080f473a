//! From flags to a running exporter: logging, configuration, ports, serving, draining.

mod auto_reload;
mod external_url;
mod signals;

use std::io;
use std::net::SocketAddr;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;

use crate::carried;
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
use crate::server::connections::listen::{self, Listener};
use crate::server::connections::threads::Threads;
use crate::server::endpoints::playground::Playground;
use crate::server::endpoints::{reload, targets};
use crate::server::front::Prefix;
use crate::server::instruments::{Elsewhere, Instruments};
use crate::server::origin::HostNames;
use crate::server::past::history::History;
use crate::server::web::{Gate, Http2};
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

/// How often a thread for what blocks gets something to do: tokio ends those that had nothing for ten seconds.
const OCCUPIED: Duration = Duration::from_secs(8);
/// How long what still blocks may keep the process.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// What is said to SIGTERM and SIGINT.
const GOODBYE: &str = "Received SIGTERM, exiting gracefully...";

/// Runs the exporter on threads of its own until it is told to stop. When they have nothing to do they give back memory, if
/// that was asked for. Not `async`, so that the program does not compile all of this once more.
///
/// # Errors
/// There are no threads to be had.
pub fn run(flags: Flags) -> io::Result<ExitCode> {
    // tokio panics where the system has no thread left; what it says is the error, and needs no trace.
    panic::set_hook(Box::new(|_| {}));
    let ran = panic::catch_unwind(AssertUnwindSafe(|| on_threads(flags)));
    ran.unwrap_or_else(|panic| {
        let reason = panic.downcast::<String>();
        Err(io::Error::other(reason.map_or_else(
            |_| "an internal error".to_owned(),
            |reason| *reason,
        )))
    })
}

fn on_threads(flags: Flags) -> io::Result<ExitCode> {
    let all = threads(None)?;
    let one = threads(Some(1))?;
    one.spawn(keep_a_thread());
    let others = (all.metrics().num_workers() > 1).then(|| all.handle().clone());
    others.iter().cloned().for_each(memory::others_give_back);
    let code = one.block_on(serve(flags, others));
    // A look-up or a file system that hangs must not keep the process.
    one.shutdown_timeout(SHUTDOWN);
    all.shutdown_timeout(SHUTDOWN);
    Ok(code)
}

/// Threads that serve, as many as there are cores if nothing is said.
fn threads(count: Option<usize>) -> io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().on_thread_park(memory::when_parked);
    if let Some(count) = count {
        builder.worker_threads(count);
    }
    builder.build()
}

/// Keeps one thread for what blocks. Where the system has none left, what has to wait for it waits; if there were not one, tokio
/// would panic. Under load there is always something that blocks.
async fn keep_a_thread() {
    loop {
        // An error means that the program ends.
        let _ = tokio::task::spawn_blocking(memory::when_parked).await;
        tokio::time::sleep(OCCUPIED).await;
    }
}

async fn serve(flags: Flags, others: Option<Handle>) -> ExitCode {
    let logger = Logger::stderr(flags.log_level, flags.log_format);
    log_panics(&logger);
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

/// A bug must not end the exporter, and its message must not break the form of the log.
fn log_panics(logger: &Logger) {
    let logger = logger.clone();
    panic::set_hook(Box::new(move |panic| {
        let reason = panic.payload_as_str().unwrap_or("unknown").to_owned();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        match is_out_of_threads(&reason) {
            true => say!(
                logger,
                Error,
                "This machine ran out of threads; raise their limit (ulimit -u, TasksMax=, pids.max)",
                "err" => reason,
            ),
            false => {
                say!(logger, Error, "Internal error; please report it", "err" => reason, "place" => place)
            }
        }
    }));
}

/// Whether a panic says that the system has no thread left, for which tokio and the standard library have no error.
fn is_out_of_threads(reason: &str) -> bool {
    ["OS can't spawn worker thread", "failed to spawn thread"]
        .iter()
        .any(|start| reason.starts_with(start))
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
pub async fn start(flags: Flags, logger: Logger, others: Option<Handle>) -> Result<Started, Stopped> {
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
    limit_memory(flags.memory_limit, &logger);
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

    let (prefix, names) = prefix(&flags, &logger)?;
    raise_file_limit();
    let listeners = listeners(&flags, &logger).await.map_err(|error| {
        say!(logger, Error, "Error starting HTTP server", "err" => text(error));
        Stopped
    })?;
    let (addresses, gate) = announce(&listeners, &flags, &logger).await.map_err(|error| {
        say!(logger, Error, "Error starting HTTP server", "err" => error);
        Stopped
    })?;
    let exports = Exports::start(
        flags.trace_spans.as_ref(),
        flags.trace_logs.as_ref(),
        flags.trace_export,
        &instance(&flags, &addresses),
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
        gate,
        max_connections(&flags),
        Threads::new(others),
    );
    memory::give_back_program();
    let (stop, stopped) = watch::channel(false);
    let (serving, exports) = (server.serve(listeners, stopped), exporter.exports.clone());
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
        addresses,
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

/// Sets the budget of memory, and says which it is.
fn limit_memory(given: Option<u64>, logger: &Logger) {
    let Some(limit) = memory::find(given) else {
        return;
    };
    let bytes = limit.bytes;
    memory::limit_to(limit);
    let used = memory::used().unwrap_or_default();
    say!(logger, Debug, "Memory is limited", "limit_bytes" => text(bytes), "used_bytes" => text(used));
    if memory::is_too_low() {
        say!(
            logger,
            Warn,
            "The memory limit leaves too little for probes, see --memory.limit",
            "limit_bytes" => text(bytes),
            "used_bytes" => text(used),
        );
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

/// Where the endpoints are, and by which names the exporter is known.
fn prefix(flags: &Flags, logger: &Logger) -> Result<(Prefix, HostNames), Stopped> {
    if flags.external_url.is_empty() && flags.systemd_socket {
        say!(
            logger,
            Error,
            "Cannot automatically infer external URL with systemd socket listener. Please provide --web.external-url"
        );
        return Err(Stopped);
    }
    if flags.external_url.is_empty() && flags.listen_addresses.len() > 1 {
        say!(
            logger,
            Info,
            "Inferring external URL from first provided listen address"
        );
    }
    let first = flags.listen_addresses.first().map_or("", String::as_str);
    let url = external_url::compute(&flags.external_url, first).map_err(|error| {
        say!(logger, Error, "failed to determine external URL", "err" => error);
        Stopped
    })?;
    let shown = url.to_string();
    say!(logger, Debug, &shown);
    let path = if flags.route_prefix.is_empty() {
        String::from_utf8_lossy(&url.decoded_path()).into_owned()
    } else {
        flags.route_prefix.clone()
    };
    // Those who are redirected get the credentials, the log does not.
    let external = carried::text(&url.to_bytes()).into_owned();
    let prefix = Prefix::new(&path, &external);
    say!(logger, Debug, prefix.path());
    let names = HostNames::new(&flags.allowed_hosts, &shown).map_err(|error| {
        say!(logger, Error, "invalid --web.allowed-hosts", "err" => error);
        Stopped
    })?;
    Ok((prefix, names))
}

async fn listeners(flags: &Flags, logger: &Logger) -> Result<Vec<Listener>, listen::ListenError> {
    if flags.systemd_socket {
        say!(
            logger,
            Info,
            "Listening on systemd activated listeners instead of port listeners."
        );
        return listen::systemd();
    }
    let mut listeners = Vec::with_capacity(flags.listen_addresses.len());
    for address in &flags.listen_addresses {
        listeners.push(Listener::Tcp(listen::tcp(address).await?));
    }
    Ok(listeners)
}

/// Says where the exporter listens and how, and reads the web configuration file.
async fn announce(
    listeners: &[Listener],
    flags: &Flags,
    logger: &Logger,
) -> Result<(Vec<SocketAddr>, Option<Arc<Gate>>), String> {
    let (mut addresses, mut places) = (Vec::new(), Vec::new());
    for listener in listeners {
        addresses.extend(listener.address().map_err(|error| error.to_string())?);
        places.push(listener.place().map_err(|error| error.to_string())?);
    }
    for place in &places {
        say!(logger, Info, "Listening on", "address" => text(place));
    }
    let gate = if flags.web_config_file.is_empty() {
        None
    } else {
        let (path, log, open) = (flags.web_config_file.clone(), logger.clone(), flags.open_healthy);
        let opened = tokio::task::spawn_blocking(move || Gate::open(Path::new(&path), open, &log));
        let gate = opened.await.map_err(|error| error.to_string())?;
        Some(Arc::new(gate.map_err(|error| error.to_string())?))
    };
    for place in &places {
        match gate.as_ref().and_then(|gate| gate.tls()) {
            Some(http2) => {
                let http2 = http2 == Http2::Offered;
                say!(logger, Info, "TLS is enabled.", "http2" => http2, "address" => text(place));
            }
            None => say!(logger, Info, "TLS is disabled.", "http2" => false, "address" => text(place)),
        }
    }
    Ok((addresses, gate))
}

/// As many open files as the system lets us have: every connection and every probe needs some.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Refused, the limit stays as it was.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Half of the files that the exporter has open besides connections and probes, at most.
const OWN_FILES: usize = 24;

/// `--web.max-connections`, or half of the open files, so that the other half is left for probes, but for some that the exporter needs
/// itself.
fn max_connections(flags: &Flags) -> usize {
    use rustix::process::{Resource, getrlimit};
    if flags.max_connections > 0 {
        return flags.max_connections;
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let half = usize::try_from(files / 2).unwrap_or(usize::MAX);
    half - OWN_FILES.min(half / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_for_want_of_threads_is_no_bug() {
        let want = io::Error::from_raw_os_error(libc::EAGAIN);
        assert!(is_out_of_threads(&format!(
            "OS can't spawn worker thread: {want}"
        )));
        assert!(is_out_of_threads(&format!("failed to spawn thread: {want:?}")));
        assert!(!is_out_of_threads("index out of bounds"));
    }
}
