//! The subcommand `doctor`: tries on a target whatever fits, without a module, and writes the module that it would take.

mod attempt;
mod examination;
mod greeting;
mod prescription;
mod report;
mod service;
mod settings;
mod subject;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Command};
use go_resolve::config::ResolvConf;

use super::configuration::{self, Configuration};
use super::probe::{Look, network, runtime, timeout};
use super::{print, subcommand};
use attempt::Doctor;
use examination::Examination;
use prescription::Prescription;
use subject::Subject;

/// The subcommand's name.
pub const NAME: &str = "doctor";

#[derive(Debug, Args)]
struct Arguments {
    /// A URL, host:port, a host, or the path of a unix socket.
    #[arg(value_name = "TARGET", verbatim_doc_comment)]
    target: String,
    /// Print JSON.
    #[arg(long, verbatim_doc_comment)]
    json: bool,
    /// Maximum duration of one try: seconds, or with a unit (500ms).
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = timeout, verbatim_doc_comment)]
    timeout: Duration,
    #[command(flatten)]
    configuration: Configuration,
}

/// The definition of the subcommand.
pub fn command() -> Command {
    let config = "Configuration file, folder or pattern whose policy applies. Repeatable. Default: blackbox.yml if it exists.";
    configuration::command::<Arguments>(NAME, config)
        .about("Try every prober that fits a target, and write a module for it.")
        .long_about(
            "Asks every name server for the target's addresses, pings it, connects over IPv4 and IPv6, and tries each version of TLS and HTTP, in parallel. \
             Prints what works, what does not and why, then a module, an entry for the targets file and an alert. A gRPC health check goes to servers \
             that begin with HTTP/2 and, if the target has no scheme, to those with TLS where HTTP/1.1 fails or gets a status of 400 or more. Nothing is sent to other servers \
             that greet first or whose port belongs to another protocol. The exit status is 0 when a probe with that module passes and 1 when it fails or the server refuses connections.",
        )
}

/// Runs the subcommand with the arguments after its name.
pub fn run(arguments: &[String]) -> ExitCode {
    subcommand(command(), arguments, examine)
}

fn examine(arguments: &Arguments) -> Result<bool, String> {
    let target = arguments.target.as_str();
    let subject = subject::parse(target)?;
    let loaded = configuration::load(&arguments.configuration)?;
    let network = network(loaded.config.policy.clone());
    let doctor = Doctor {
        network: &network,
        patience: arguments.timeout,
    };
    let runtime = runtime()?;
    let (found, prescription) = runtime.block_on(async {
        let found = match &subject {
            Subject::Remote(remote) => doctor.examine(remote, &name_servers()).await,
            Subject::Socket(_) => Examination::default(),
        };
        let prescription = Prescription::write(doctor, &subject, &found).await;
        (found, prescription)
    });
    let text = if arguments.json {
        report::as_json(target, &found, &prescription)
    } else {
        report::as_text(target, &found, &prescription, Look::of_stdout())
    };
    runtime.shutdown_timeout(Duration::from_millis(200));
    print(text)?;
    Ok(prescription.trouble.is_none())
}

/// Those of the system, each once.
fn name_servers() -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = Vec::new();
    for server in ResolvConf::parse(std::fs::read_to_string("/etc/resolv.conf")).servers_in_turn() {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}
