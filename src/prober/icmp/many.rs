//! Several echo requests of one probe (`count`), under one identifier, each answer told from the others by its number.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::{advice_unsent, not_written, said_by, send_error, set_phase, unsent};
use crate::log;
use crate::metrics::Metric;
use crate::module::Icmp;
use crate::net::Address;
use crate::net::icmp::{Ping, PingOutcome};
use crate::prober::connect::vantage;
use crate::prober::series::{Families, Series};
use crate::prober::{Facts, Phase, Probe, Verdict, advice};
use crate::reason::Reason;

/// Sends the requests of a module, the first of which has its place already, and waits for all answers until the deadline. What
/// came until then counts.
pub(super) async fn ping(
    probe: &mut Probe<'_>,
    module: &Icmp,
    address: &Address,
    source: Option<IpAddr>,
    first: Ping,
    payload: &Arc<[u8]>,
    duplicates: &Arc<AtomicU64>,
) -> Verdict {
    let (engine, deadline, start) = (&probe.network.icmp, probe.deadline.unwatched(), Instant::now());
    let mut pings = vec![first];
    for _ in 1..module.count {
        let counted = Some(Arc::clone(duplicates));
        let another = pings
            .first()
            .map(|first| engine.another(first, address.with_port(0), payload, counted));
        match another {
            Some(Ok(ping)) => pings.push(ping),
            Some(Err(error)) => {
                probe.advise(advice::icmp::no_socket(&error, &vantage(probe, source)));
                return not_written(probe, super::unopened(&error), error.to_string());
            }
            None => {}
        }
    }
    let mut heard = Heard::default();
    let mut waiting = FuturesUnordered::new();
    let mut sent = 0;
    let mut due = start;
    for (turn, ping) in pings.into_iter().enumerate() {
        // Answers are taken while the next request is not due.
        loop {
            tokio::select! {
                biased;
                Some(ended) = waiting.next(), if !waiting.is_empty() => heard.note(ended, module, address, &probe.attempt.facts),
                () = sleep_until(due.min(deadline.at())) => break,
            }
        }
        if turn > 0 && deadline.left().is_zero() {
            break;
        }
        due += module.interval;
        match deadline.within(engine.send(ping, payload)).await {
            Ok(Ok(mut ping)) => {
                sent += 1;
                waiting.push(async move {
                    let answer = deadline.within(ping.answer()).await.ok().flatten();
                    (turn, ping, answer)
                });
            }
            Ok(Err(error)) => {
                heard.advice = advice_unsent(probe, &error, address, payload.len(), source);
                heard.failure = Some((
                    unsent(&error, address.ip, source),
                    send_error(address, &error, payload.len()),
                ));
            }
            Err(_) => break,
        }
    }
    log!(probe.log, Debug, "Waiting for reply packets");
    while let Some(ended) = waiting.next().await {
        heard.note(ended, module, address, &probe.attempt.facts);
    }
    finish(
        probe,
        module,
        address,
        start,
        heard.series(sent),
        &heard,
        duplicates,
    )
}

/// What came back.
#[derive(Default)]
struct Heard {
    /// The round trips, with the turn in which each request was sent.
    round_trips: Vec<(usize, Duration)>,
    hop_limit: Option<u8>,
    /// Why a request did not arrive.
    failure: Option<(Reason, String)>,
    /// What to do about it.
    advice: Option<String>,
    /// They are kept until the end, so that duplicates are told from answers.
    pings: Vec<Ping>,
}

impl Heard {
    fn note(
        &mut self,
        (turn, ping, answer): (usize, Ping, Option<PingOutcome>),
        module: &Icmp,
        address: &Address,
        facts: &Facts,
    ) {
        match answer {
            Some(PingOutcome::Reply {
                round_trip,
                hop_limit,
            }) => {
                self.round_trips.push((turn, round_trip));
                self.hop_limit = hop_limit.or(self.hop_limit);
            }
            Some(PingOutcome::Failure(report)) => {
                self.advice = advice::icmp::report(facts, &report, address, module.ttl);
                self.failure = Some((said_by(&report), report.to_string()));
            }
            None => {}
        }
        self.pings.push(ping);
    }

    fn series(&mut self, sent: usize) -> Series {
        self.round_trips.sort_unstable_by_key(|(turn, _)| *turn);
        Series {
            sent,
            round_trips: self.round_trips.iter().map(|(_, took)| *took).collect(),
        }
    }
}

fn finish(
    probe: &mut Probe<'_>,
    module: &Icmp,
    address: &Address,
    start: Instant,
    series: Series,
    heard: &Heard,
    duplicates: &AtomicU64,
) -> Verdict {
    series.expose(&Families::ICMP, &mut probe.samples);
    let duplicates = duplicates.load(Ordering::Relaxed);
    probe.samples.set(Metric::IcmpDuplicates, duplicates as f64);
    let mut end = Instant::now();
    if let Some(mean) = series.mean() {
        set_phase(probe, Phase::Rtt, mean);
        end = start + Duration::from_secs_f64(mean);
    }
    // As long as the metric says; without a reply, the whole wait.
    probe.timeline.record(Phase::Rtt, start, end);
    if let Some(hops) = heard.hop_limit {
        probe.samples.set(Metric::IcmpReplyHopLimit, f64::from(hops));
    }
    let (received, sent) = (series.round_trips.len(), series.sent);
    log!(probe.log, Debug, "Packets were counted", "sent" => sent, "received" => received, "duplicates" => duplicates);
    if received >= module.min_replies {
        return Ok(());
    }
    let wanted = module.min_replies;
    // The host is up, but there was no time for as many requests as are needed.
    let stopped = heard.failure.is_none() && sent < wanted && (received > 0 || sent == 0);
    let line = match (&heard.failure, received) {
        _ if stopped => advice::icmp::no_time(),
        (None, 0) => Some(advice::icmp::silence(&probe.attempt.facts, address, module)),
        (None, _) => Some(advice::icmp::losses(address, received, sent)),
        _ => heard.advice.clone(),
    };
    probe.advise(line);
    let (mut why, mut reason) = match stopped {
        true => (
            Reason::RequestTimeout,
            format!(
                "ping {address}: there was time for {sent} of {} requests, {received} got a reply, {wanted} are required",
                module.count
            ),
        ),
        false => (
            Reason::IcmpNoReply,
            format!("ping {address}: {received} of {sent} requests got a reply, {wanted} are required"),
        ),
    };
    if let Some((told, failure)) = &heard.failure {
        why = *told;
        reason.push_str("; ");
        reason.push_str(failure);
    }
    probe.timeline.hop().result = Some(reason.clone());
    log!(probe.log, Warn, "Timeout reading from socket", "err" => reason);
    Err(probe.fail(why))
}
