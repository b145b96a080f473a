//! `icmp.count` and `tcp.count` on a path that loses, delays, duplicates and reorders packets, beside fping and beside what really
//! happened to each packet.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use blackbox_exporter::config::{self, Prober};
use blackbox_exporter::metrics::{Labels, Metric};
use blackbox_exporter::net::Network;
use blackbox_exporter::prober::{self, Outcome, ProbeRequest};
use serde::Deserialize;

use crate::support::namespace::{is_inside, outside};
use crate::support::probing::{compile, log_of};
use crate::support::programs::{find, skipped};

use std::io::{BufRead as _, BufReader, Read as _};
use std::time::Duration;

const LOSS: f64 = 0.1;
/// Seconds.
const DELAY: f64 = 0.020;
const JITTER: f64 = 0.005;
const DUPLICATES: f64 = 0.05;
const REORDERED: f64 = 0.1;

/// Standard deviations that a figure may differ from what it estimates: one in 150,000 runs.
const CONFIDENCE: f64 = 4.5;
/// What a loaded machine adds to mean round trips, in seconds.
const SLACK: f64 = 0.005;

/// The far end of the path.
const TARGET: &str = "10.77.0.2";

/// The program that plays the path.
struct Shaper {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
}

/// What happened to the packets.
#[derive(Deserialize)]
struct Truth {
    /// By identifier.
    icmp: BTreeMap<u16, Flow>,
    /// Seconds from the first SYN of a connection to its answer.
    connects: Vec<f64>,
}

#[derive(Deserialize)]
struct Flow {
    sent: usize,
    /// Seconds.
    answered: Vec<f64>,
    duplicates: usize,
}

impl Shaper {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/path/shaper.py");
        let mut process = Command::new("python3")
            .arg(script)
            .args([LOSS, DELAY * 1e3, JITTER * 1e3, DUPLICATES, REORDERED].map(|n| n.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self { process, output }
    }

    fn stop(mut self) -> Truth {
        drop(self.process.stdin.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        self.process.wait().unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

fn module(prober: Prober, count: i64, timeout: Duration) -> (config::Module, Duration) {
    let mut module = config::Module::new(prober);
    let repeat = match prober {
        Prober::Icmp => &mut module.icmp.repeat,
        _ => &mut module.tcp.repeat,
    };
    (repeat.count, repeat.interval) = (count, 10_000_000);
    (module, timeout)
}

async fn run(network: &Network, (module, timeout): (config::Module, Duration), target: &str) -> Outcome {
    let request = ProbeRequest {
        target,
        hostname: None,
        timeout,
    };
    prober::run(network, &compile(module), request).await
}

fn value(outcome: &Outcome, metric: Metric) -> f64 {
    let value = outcome.samples.value(metric);
    value.unwrap_or_else(|| panic!("{metric:?}: {}", log_of(outcome)))
}

fn mean_of(outcome: &Outcome, metric: Metric) -> f64 {
    let mut series = outcome.samples.family(metric);
    series.find(|s| *s.labels == Labels::Static("rtt")).unwrap().value
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean_of_all = mean(values);
    let squares: Vec<f64> = values.iter().map(|v| (v - mean_of_all).powi(2)).collect();
    mean(&squares).sqrt()
}

/// What counts of a probe's packets came to: sent, received, duplicates.
fn counts(outcome: &Outcome) -> [usize; 3] {
    let metrics = [
        Metric::IcmpPacketsSent,
        Metric::IcmpPacketsReceived,
        Metric::IcmpDuplicates,
    ];
    metrics.map(|metric| value(outcome, metric) as usize)
}

/// Whether this is the run in a namespace where the path can be.
fn is_on_the_path(test: &str) -> bool {
    if !Path::new("/dev/net/tun").exists() {
        skipped("/dev/net/tun");
        return false;
    }
    if find("python3").is_none() || find("nsenter").is_none() || find("fping").is_none() {
        return false;
    }
    outside(test, "echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range");
    is_inside()
}

/// The round trips that fping measured, in seconds, and how many requests it sent.
fn fping(count: usize) -> std::thread::JoinHandle<(Vec<f64>, usize)> {
    let count = count.to_string();
    std::thread::spawn(move || {
        let output = Command::new("fping")
            .args(["-q", "-p", "10", "-t", "2000", "-C", &count, TARGET])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        // Duplicates have lines of their own before it.
        let times = text.lines().last().unwrap().split_once(" : ").unwrap().1;
        let sent = times.split_whitespace().count();
        let answered = times.split_whitespace().filter(|time| *time != "-");
        (
            answered.map(|time| time.parse::<f64>().unwrap() / 1e3).collect(),
            sent,
        )
    })
}

#[tokio::test]
async fn figures_are_those_of_fping_and_of_the_path() {
    if !is_on_the_path("path::figures_are_those_of_fping_and_of_the_path") {
        return;
    }
    const COUNT: i64 = 500;
    // Told apart by their numbers of requests.
    const ALSO: usize = 501;
    let shaper = Shaper::start();
    let network = Network::system();
    let other = fping(ALSO);
    let outcome = run(
        &network,
        module(Prober::Icmp, COUNT, Duration::from_secs(9)),
        TARGET,
    )
    .await;
    let (theirs, sent) = other.join().unwrap();
    let truth = shaper.stop();
    assert!(outcome.success, "{}", log_of(&outcome));
    let flow = |sent: usize| truth.icmp.values().find(|flow| flow.sent == sent).unwrap();
    // Packets are counted, so there is nothing to estimate.
    let own = flow(COUNT as usize);
    assert_eq!(counts(&outcome), [own.sent, own.answered.len(), own.duplicates]);
    assert_eq!((sent, theirs.len()), (ALSO, flow(ALSO).answered.len()));
    // Of what the path is set to, both are samples.
    let received = own.answered.len() as f64;
    let error = (LOSS * (1.0 - LOSS) / COUNT as f64).sqrt();
    let loss = value(&outcome, Metric::IcmpPacketLoss);
    let lost_theirs = 1.0 - theirs.len() as f64 / ALSO as f64;
    assert!((loss - LOSS).abs() < CONFIDENCE * error, "{loss}");
    assert!(
        (loss - lost_theirs).abs() < CONFIDENCE * error * 2f64.sqrt(),
        "{loss} {lost_theirs}"
    );
    // Times are those of the path, which had them first.
    let took = mean_of(&outcome, Metric::IcmpDuration);
    let path = mean(&own.answered);
    assert!((path..path + SLACK).contains(&took), "{took} {path}");
    let spread = value(&outcome, Metric::IcmpRttStddev);
    let path = deviation(&own.answered);
    assert!((spread - path).abs() < SLACK, "{spread} {path}");
    let error = CONFIDENCE * deviation(&theirs) * (2.0 / received).sqrt() + SLACK;
    assert!((took - mean(&theirs)).abs() < error, "{took} {}", mean(&theirs));
    assert!((spread - deviation(&theirs)).abs() < error, "{spread}");
    let (min, max) = (
        value(&outcome, Metric::IcmpRttMin),
        value(&outcome, Metric::IcmpRttMax),
    );
    assert!(min < SLACK, "those that overtook others: {min}");
    assert!(max > DELAY + JITTER * 0.8, "{max}");
    // Independent delays differ by more than none and less than the whole range on average.
    let jitter = value(&outcome, Metric::IcmpRttJitter);
    assert!((JITTER / 2.0..DELAY).contains(&jitter), "{jitter}");
}

/// Each packet is counted by the probe that sent it.
#[tokio::test]
async fn probes_of_one_target_at_once_are_told_apart() {
    if !is_on_the_path("path::probes_of_one_target_at_once_are_told_apart") {
        return;
    }
    const PROBES: usize = 40;
    let shaper = Shaper::start();
    let network = Network::system();
    let probes = (0..PROBES).map(|_| run(&network, module(Prober::Icmp, 20, Duration::from_secs(4)), TARGET));
    let outcomes = futures_util::future::join_all(probes).await;
    let truth = shaper.stop();
    let mut told: Vec<_> = outcomes.iter().map(counts).collect();
    let flows = truth.icmp.values();
    let mut happened: Vec<_> = flows
        .map(|flow| [flow.sent, flow.answered.len(), flow.duplicates])
        .collect();
    // A probe that has all its answers does not wait for duplicates.
    let late: Vec<usize> = [&mut told, &mut happened]
        .into_iter()
        .map(|all| {
            let complete = all.iter_mut().filter(|[sent, answered, _]| sent == answered);
            complete.map(|counts| std::mem::take(&mut counts[2])).sum()
        })
        .collect();
    assert!(late[0] <= late[1], "{late:?}");
    told.sort_unstable();
    happened.sort_unstable();
    assert_eq!(told, happened);
    assert!(told.iter().any(|counts| counts != &told[0]), "{told:?}");
}

/// A SYN that is lost is sent again by the kernel: connects take longer, and none fails.
#[tokio::test]
async fn connects_take_what_the_path_takes() {
    if !is_on_the_path("path::connects_take_what_the_path_takes") {
        return;
    }
    let shaper = Shaper::start();
    let network = Network::system();
    let target = format!("{TARGET}:7");
    let outcome = run(
        &network,
        module(Prober::Tcp, 60, Duration::from_secs(60)),
        &target,
    )
    .await;
    let truth = shaper.stop();
    assert!(outcome.success, "{}", log_of(&outcome));
    let metrics = [
        Metric::TcpPacketsSent,
        Metric::TcpPacketsReceived,
        Metric::TcpPacketLoss,
    ];
    assert_eq!(metrics.map(|metric| value(&outcome, metric)), [60.0, 60.0, 0.0]);
    assert_eq!(truth.connects.len(), 60);
    let (took, path) = (mean_of(&outcome, Metric::TcpDuration), mean(&truth.connects));
    assert!((path..path + 4.0 * SLACK).contains(&took), "{took} {path}");
    let longest = truth.connects.iter().copied().fold(0.0, f64::max);
    let max = value(&outcome, Metric::TcpRttMax);
    assert!(
        (longest..longest + 20.0 * SLACK).contains(&max),
        "{max} {longest}"
    );
    assert!(max > 0.9, "none was lost: {max}");
}
