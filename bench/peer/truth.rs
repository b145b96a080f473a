//! Whether an exporter's phases are true: targets that take as long as they are told to and note how long they took, and a
//! scraper that compares. Targets and scraper are one process, so that it knows of each probe how long its target took.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::scrape::{receive, request};

mod targets;

/// What the targets wait before they answer, in milliseconds; probes have them in turns.
const DELAYS: [u64; 3] = [5, 20, 50];

/// How many probes may be under way. What is due beyond that is not sent, and counted.
const MOST: usize = 4096;

/// The nanoseconds that the target of a probe took, by the number of the probe. Numbers are used again: many more than [`MOST`].
type Taken = Arc<[AtomicU64; 65536]>;

/// Asks for `rate` probes per second, or with 0 as many as [`MOST`] / 4 connections can, for `seconds`. Prints JSON: errors in microseconds.
pub async fn truth(icmp: bool, exporter: SocketAddr, rate: f64, seconds: f64) {
    let taken: Taken = Arc::new([const { AtomicU64::new(0) }; 65536]);
    let scraper = Arc::new(Scraper {
        exporter,
        icmp,
        target: if icmp {
            targets::icmp(Arc::clone(&taken));
            "127".to_owned()
        } else {
            format!("http://{}", targets::http(Arc::clone(&taken)))
        },
        taken,
        idle: Mutex::default(),
        running: AtomicUsize::new(0),
    });
    let (results, mut received) = mpsc::unbounded_channel();
    let unsent = if rate > 0.0 {
        at_a_pace(&scraper, rate, seconds, &results).await
    } else {
        as_fast_as_can(&scraper, seconds, &results);
        0
    };
    drop(results);
    let (mut probes, mut failed) = (0_usize, 0_usize);
    let mut errors = BTreeMap::<u64, Vec<Errors>>::new();
    while let Some((delay, result)) = received.recv().await {
        probes += 1;
        match result {
            Some(result) => errors.entry(delay).or_default().push(result),
            None => failed += 1,
        }
    }
    let phase = if icmp { "rtt" } else { "processing" };
    let delays: Vec<String> = errors
        .iter()
        .map(|(delay, errors)| format!("\"{delay}\": {}", summary(*delay, phase, errors)))
        .collect();
    println!(
        "{{\"per_second\": {:.0}, \"failed\": {failed}, \"unsent\": {unsent}, \"delays\": {{{}}}}}",
        probes as f64 / seconds,
        delays.join(", ")
    );
}

/// Of one probe, in microseconds.
struct Errors {
    /// The connection as reported: on one machine it takes next to nothing.
    connect: f64,
    /// The difference between the phase as reported and what the target took: `processing`, or `rtt`.
    phase: f64,
    /// From the request of the scrape to the end of its answer, without what the target took.
    scrape: f64,
    /// How much later than told the target answered.
    target: f64,
}

fn summary(delay: u64, phase: &str, errors: &[Errors]) -> String {
    let percentiles = |value: fn(&Errors) -> f64| {
        let mut values: Vec<f64> = errors.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        format!("[{:.0}, {:.0}]", at(0.5), at(0.99))
    };
    let bound = (delay as f64 * 1000.0 * 0.05).max(200.0);
    let within = errors
        .iter()
        .filter(|error| error.connect <= 200.0 && error.phase <= bound)
        .count();
    format!(
        "{{\"connect\": {}, \"{phase}\": {}, \"scrape\": {}, \"target\": {}, \"within\": {:.4}}}",
        percentiles(|e| e.connect),
        percentiles(|e| e.phase),
        percentiles(|e| e.scrape),
        percentiles(|e| e.target),
        within as f64 / errors.len() as f64
    )
}

struct Scraper {
    exporter: SocketAddr,
    icmp: bool,
    target: String,
    taken: Taken,
    idle: Mutex<Vec<TcpStream>>,
    running: AtomicUsize,
}

type Results = mpsc::UnboundedSender<(u64, Option<Errors>)>;

/// One probe when it is due, whether earlier ones have ended or not; how many were not sent.
async fn at_a_pace(scraper: &Arc<Scraper>, rate: f64, seconds: f64, results: &Results) -> usize {
    let (due, mut turns) = mpsc::unbounded_channel();
    // The runtime's clock has ticks of a millisecond, and would ask for several probes at once.
    std::thread::spawn(move || {
        let start = Instant::now();
        for number in 0..(rate * seconds) as usize {
            let at = start + Duration::from_secs_f64(number as f64 / rate);
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if due.send(number).is_err() {
                return;
            }
        }
    });
    let mut unsent = 0;
    while let Some(number) = turns.recv().await {
        if scraper.running.fetch_add(1, Ordering::Relaxed) >= MOST {
            scraper.running.fetch_sub(1, Ordering::Relaxed);
            unsent += 1;
            continue;
        }
        let (scraper, results) = (Arc::clone(scraper), results.clone());
        tokio::spawn(async move {
            let result = scraper.scrape(number).await;
            scraper.running.fetch_sub(1, Ordering::Relaxed);
            results.send((delay_of(number), result)).unwrap();
        });
    }
    unsent
}

fn as_fast_as_can(scraper: &Arc<Scraper>, seconds: f64, results: &Results) {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let next = Arc::new(AtomicUsize::new(0));
    for _ in 0..MOST / 4 {
        let (scraper, results, next) = (Arc::clone(scraper), results.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            while Instant::now() < end {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let result = scraper.scrape(number).await;
                results.send((delay_of(number), result)).unwrap();
            }
        });
    }
}

fn delay_of(number: usize) -> u64 {
    DELAYS[number % DELAYS.len()]
}

impl Scraper {
    /// `None` for a probe that failed.
    async fn scrape(&self, number: usize) -> Option<Errors> {
        let (delay, slot) = (delay_of(number), number % self.taken.len());
        let target = match self.icmp {
            true => format!("{}.{delay}.{}.{}", self.target, slot / 256, slot % 256),
            false => format!("{}/{delay}/{slot}", self.target),
        };
        let module = if self.icmp { "icmp" } else { "http" };
        let request = request(&format!("/probe?module={module}&target={target}"), true);
        let idle = self.idle.lock().unwrap().pop();
        let mut stream = match idle {
            Some(stream) => stream,
            None => TcpStream::connect(self.exporter).await.ok()?,
        };
        let start = Instant::now();
        stream.write_all(request.as_bytes()).await.ok()?;
        let text = receive(&mut stream, &mut Vec::new()).await?;
        let whole = start.elapsed().as_secs_f64() * 1e6;
        self.idle.lock().unwrap().push(stream);
        if !text.contains("probe_success 1\n") {
            return None;
        }
        let taken = self.taken[slot].load(Ordering::Acquire) as f64 / 1e3;
        let (family, phase, connect) = match self.icmp {
            true => ("probe_icmp_duration_seconds", "rtt", None),
            false => ("probe_http_duration_seconds", "processing", Some("connect")),
        };
        let reported = |phase| {
            let series = format!("{family}{{phase=\"{phase}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&series))?;
            Some(line.parse::<f64>().unwrap() * 1e6)
        };
        Some(Errors {
            connect: connect.map_or(Some(0.0), reported)?,
            phase: (reported(phase)? - taken).abs(),
            scrape: whole - taken,
            target: taken - delay as f64 * 1e3,
        })
    }
}

/// The address from which the delay and the number of a probe are read.
fn told(address: Ipv4Addr) -> (u64, usize) {
    let [_, delay, high, low] = address.octets();
    (delay.into(), usize::from(high) * 256 + usize::from(low))
}
