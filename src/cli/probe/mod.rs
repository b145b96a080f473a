//! The subcommand `probe`: probes from the command line, through the same pipeline as a scrape.

mod report;
mod watch;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Command, ValueHint, value_parser};
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Runtime;

use super::configuration::{self, Configuration};
use super::{print, subcommand};
use crate::config;
use crate::config::codec::meant::did_you_mean;
use crate::config::files::targets::{DEFAULT_MODULE, Targets};
use crate::config::units::parse_duration;
use crate::display::passive;
use crate::module::{Loaded, Module, ParamInput};
use crate::net::Network;
use crate::net::policy::Policy;
use crate::prober::{self, Outcome, ProbeRequest};

pub use report::{Look, escaped};

/// The subcommand's name.
pub const NAME: &str = "probe";

#[derive(Debug, Args)]
struct Arguments {
    /// What to probe, in the form that the module expects.
    #[arg(value_name = "TARGET", verbatim_doc_comment)]
    target: Vec<String>,
    /// Probe the targets of a targets file, each with its own module.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, verbatim_doc_comment)]
    targets: Option<PathBuf>,
    /// The module for targets on the command line.
    #[arg(long, short, value_name = "MODULE", default_value = DEFAULT_MODULE, verbatim_doc_comment)]
    module: String,
    /// A parameter that the module allows (params), for targets on the command line.
    #[arg(long, value_name = "NAME=VALUE", verbatim_doc_comment)]
    param: Vec<String>,
    #[command(flatten)]
    configuration: Configuration,
    /// Output format. prometheus and openmetrics print the metrics of one target.
    #[arg(
        long,
        short,
        value_name = "FORMAT",
        default_value = "human",
        value_parser = ["human", "json", "prometheus", "openmetrics"],
        verbatim_doc_comment
    )]
    output: String,
    /// Maximum duration of a probe: seconds, or with a unit (500ms, 1m). A shorter timeout of the module wins. Default: the module's timeout, or 10s.
    #[arg(long, value_name = "DURATION", value_parser = timeout, verbatim_doc_comment)]
    timeout: Option<Duration>,
    /// Repeat the probes: a live view on a terminal, otherwise one line per result. q ends it.
    #[arg(long, conflicts_with = "output", verbatim_doc_comment)]
    watch: bool,
    /// The time between two probes of a target with --watch.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = timeout, verbatim_doc_comment)]
    interval: Duration,
    /// Maximum concurrent probes.
    #[arg(long, value_name = "N", default_value = "50", value_parser = value_parser!(u16).range(1..), verbatim_doc_comment)]
    concurrency: u16,
}

/// The definition of the subcommand.
pub fn command() -> Command {
    let config = "Configuration file, folder or pattern. Repeatable. Default: blackbox.yml if it exists, otherwise the built-in modules.";
    configuration::command::<Arguments>(NAME, config)
        .about("Probe targets now and print the results.")
        .long_about(
            "Runs probes through the same pipeline as a scrape and prints them: one target with its phases, its \
             certificates and the reason for a failure, several as a table. The exit status is 0 when every probe \
             succeeded and 1 otherwise.",
        )
}

/// Seconds, or a duration with its unit.
pub fn timeout(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let with_unit = || {
        u64::try_from(parse_duration(text)?)
            .ok()
            .map(Duration::from_nanos)
    };
    seconds
        .or_else(with_unit)
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| {
            "a duration is longer than 0, in seconds or with a unit: 5, 5s, 500ms, 1m30s".to_owned()
        })
}

/// The first of many names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    const SOME: usize = 20;
    let shown = names.get(..SOME).unwrap_or(names).join(", ");
    match names.len().saturating_sub(SOME) {
        0 => shown,
        more => format!("{shown}, … and {more} more"),
    }
}

/// One probe to run.
#[derive(Debug)]
struct Job {
    target: String,
    hostname: Option<String>,
    module: Arc<Module>,
}

/// One probe that ran.
#[derive(Debug)]
struct Done {
    job: Job,
    outcome: Outcome,
}

/// Runs the subcommand with the arguments after its name.
pub fn run(arguments: &[String]) -> ExitCode {
    subcommand(command(), arguments, probe_all)
}

fn probe_all(arguments: &Arguments) -> Result<bool, String> {
    let loaded = configuration::load(&arguments.configuration)?;
    let jobs = jobs(arguments, &loaded)?;
    let format = arguments.output.as_str();
    if jobs.len() > 1 && matches!(format, "prometheus" | "openmetrics") {
        return Err(format!(
            "--output={format} prints the metrics of one target, not of {}; --output=json prints any number",
            jobs.len()
        ));
    }
    let (most, at_once) = (arguments.timeout, usize::from(arguments.concurrency));
    let runtime = runtime()?;
    if arguments.watch {
        let watched = watch::watch(
            jobs,
            loaded.config.policy.clone(),
            most,
            at_once,
            arguments.interval,
        );
        let watched = runtime.block_on(watched);
        runtime.shutdown_timeout(Duration::from_millis(200));
        return watched.map(|()| true).map_err(|error| error.to_string());
    }
    let done = runtime.block_on(run_jobs(jobs, loaded.config.policy.clone(), most, at_once));
    let mut text = report::render(&done, format, Look::of_stdout());
    if format != "human" && std::io::stdout().is_terminal() {
        text = passive(&text);
    }
    let printed = print(text);
    // A file system that hangs must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    printed?;
    Ok(done.iter().all(|done| done.outcome.success))
}

/// What probes of a subcommand share.
pub fn network(rules: config::Policy) -> Network {
    Network::governed_by(Policy::of(rules))
}

/// The threads of a subcommand that probes.
pub fn runtime() -> Result<Runtime, String> {
    let made = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    made.map_err(|error| format!("cannot start: {error}"))
}

async fn run_jobs(
    jobs: Vec<Job>,
    rules: config::Policy,
    most: Option<Duration>,
    at_once: usize,
) -> Vec<Done> {
    let network = network(rules);
    let bar = if jobs.len() > 1 && std::io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed} {msg}");
        ProgressBar::new(jobs.len() as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    } else {
        ProgressBar::hidden()
    };
    let probes = jobs.into_iter().map(|job| {
        let (network, bar) = (&network, &bar);
        async move {
            let done = probe_once(network, job, most).await;
            bar.inc(1);
            done
        }
    });
    let done = stream::iter(probes).buffered(at_once).collect().await;
    bar.finish_and_clear();
    done
}

/// How long a person waits for a probe of a module without a timeout.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a job, for at most so long.
async fn probe_once(network: &Network, job: Job, most: Option<Duration>) -> Done {
    let timeout = match (job.module.timeout, most) {
        (Some(own), Some(most)) => own.min(most),
        (own, most) => own.or(most).unwrap_or(PATIENCE),
    };
    let request = ProbeRequest {
        target: &job.target,
        hostname: job.hostname.as_deref(),
        timeout,
    };
    let outcome = prober::run(network, &job.module, request).await;
    Done { job, outcome }
}

fn jobs(arguments: &Arguments, loaded: &Loaded) -> Result<Vec<Job>, String> {
    let find = |name: &str| {
        let known = || {
            loaded
                .modules
                .iter()
                .map(|module| (&*module.name, ()))
                .collect::<BTreeMap<_, _>>()
        };
        loaded.modules.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = known().into_keys().collect();
            match did_you_mean(name, names.iter().copied()) {
                Some(meant) => format!("there is no module {name:?}; did you mean {meant:?}?"),
                None => format!("there is no module {name:?}; there are: {}", some_of(&names)),
            }
        })
    };
    let name = arguments.module.as_str();
    let params: Vec<(&str, &str)> = arguments
        .param
        .iter()
        .map(|param| {
            param
                .split_once('=')
                .ok_or_else(|| format!("--param={param} is not NAME=VALUE"))
        })
        .collect::<Result<_, _>>()?;
    let given = |name: &str| {
        let mut named = params.iter().filter(|(param, _)| *param == name);
        match (named.next(), named.next()) {
            (_, Some(_)) => ParamInput::Several,
            (Some((_, value)), None) if !value.is_empty() => ParamInput::Once((*value).to_owned()),
            (_, None) => ParamInput::Nothing,
        }
    };
    let mut jobs = Vec::new();
    for target in &arguments.target {
        let allowed = find(name)?;
        let allowed = |param: &str| allowed.params.as_ref().is_some_and(|params| params.has(param));
        if let Some((param, _)) = params.iter().find(|(param, _)| !allowed(param)) {
            return Err(format!("the module {name:?} has no parameter {param:?}"));
        }
        jobs.push(Job {
            target: target.clone(),
            hostname: None,
            module: with_params(&find(name)?, given)?,
        });
    }
    if let Some(file) = &arguments.targets {
        for target in read_targets(file)?.targets {
            let hostname = Some(target.hostname.clone()).filter(|hostname| !hostname.is_empty());
            let module = find(target.module())?;
            let given = |name: &str| ParamInput::from(target.params.get(name));
            let module = with_params(&module, given);
            jobs.push(Job {
                module: module.map_err(|error| format!("target {:?}: {error}", target.name))?,
                target: target.address,
                hostname,
            });
        }
    }
    if jobs.is_empty() {
        return Err("no target; name one, or a file with --targets".to_owned());
    }
    Ok(jobs)
}

/// The module with the parameters that it allows.
fn with_params(module: &Arc<Module>, given: impl Fn(&str) -> ParamInput) -> Result<Arc<Module>, String> {
    let Some(params) = &module.params else {
        return Ok(Arc::clone(module));
    };
    let made = params.apply(module, given);
    made.map_err(|refused| format!("parameter {:?}: {}", refused.param, refused.reason))
}

fn read_targets(file: &Path) -> Result<Targets, String> {
    let name = file.display();
    let bytes = config::files::disk::read(file).map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| format!("{name}: {error}"))?;
    Targets::parse(&text).map_err(|problems| {
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| format!("{name}: {problem}"))
            .collect();
        lines.join("\n")
    })
}
