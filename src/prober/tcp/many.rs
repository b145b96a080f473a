//! Several connects of one probe (`count`): each is timed, and the dialogue goes on over the last one.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use crate::log;
use crate::metrics::Metric;
use crate::module::Tcp;
use crate::net::Address;
use crate::net::dial;
use crate::net::port::{self, Protocol};
use crate::prober::connect::{ConnectError, ConnectFailure, Connected, vantage};
use crate::prober::series::{Families, Series};
use crate::prober::{Phase, Probe, advice};
use crate::reason::Reason;

/// The connects before the last one.
pub(super) struct Before {
    /// How many are made, the last one included.
    sent: usize,
    round_trips: Vec<(u32, Duration)>,
}

/// Connects once less than the module says and the time allows, and times it; the connections are closed.
pub(super) async fn connect_before(
    probe: &mut Probe<'_>,
    module: &Tcp,
    addresses: &[Address],
    port: &str,
    source: Option<IpAddr>,
) -> Before {
    let mut before = Before {
        sent: 0,
        round_trips: Vec::new(),
    };
    let (network, deadline) = (probe.network, probe.deadline.unwatched());
    // The connect that follows says what is wrong with a port, or what the policy is against.
    let port = port::find(port, Protocol::Tcp, deadline).await;
    let Ok(port) = port else {
        return before;
    };
    let to = addresses.iter().map(|address| address.with_port(port));
    let to: Vec<_> = to.filter(|to| network.policy.allows(*to)).collect();
    if to.is_empty() {
        return before;
    }
    let to = to.as_slice();
    // Those that would begin later are not made, and the last one in time is talked over.
    let left = deadline.left();
    let later = (1..module.count).take_while(|turn| module.interval.saturating_mul(*turn) < left);
    let last = later.last().unwrap_or(0);
    let vantage = &vantage(probe, source);
    let mut waiting = FuturesUnordered::new();
    let mut due = Instant::now();
    for turn in 0..=last {
        loop {
            tokio::select! {
                biased;
                Some(ended) = waiting.next(), if !waiting.is_empty() => before.round_trips.extend(ended),
                () = sleep_until(due.min(deadline.at())) => break,
            }
        }
        // The last one is the caller's, when it is due.
        if turn == last || deadline.left().is_zero() {
            break;
        }
        due += module.interval;
        before.sent += 1;
        waiting.push(async move {
            let from = Instant::now();
            let opened = dial::several(network, deadline, to, vantage).await.ok()?.opened;
            // Of several addresses, all that were tried took their time, as in the connect that follows.
            let from = if to.len() == 1 { opened.from } else { from };
            if module.resets {
                // Where it cannot be set, the connection is closed like any other.
                let _ = opened.stream.set_zero_linger();
            }
            Some((turn, opened.at - from))
        });
    }
    // A connect that hangs must not take the time of what follows.
    let end = Instant::now() + deadline.left() / 2;
    while let Ok(Some(ended)) = tokio::time::timeout_at(end, waiting.next()).await {
        before.round_trips.extend(ended);
    }
    // When the time is over nobody is dialled.
    before.sent += usize::from(!deadline.left().is_zero());
    before
}

impl Before {
    /// Writes the families, with the last connect among the others.
    pub(super) fn expose(mut self, probe: &mut Probe<'_>, last: &Result<Connected, Box<ConnectFailure>>) {
        let spans = match last {
            Ok(connected) => Some(connected.spans),
            // What failed later was connected.
            Err(failure) => (!matches!(failure.error, ConnectError::Dial(_))).then_some(failure.spans),
        };
        if let Some((from, to)) = spans.and_then(|spans| spans.connect) {
            self.round_trips.push((u32::MAX, to - from));
        }
        self.round_trips.sort_unstable_by_key(|(turn, _)| *turn);
        let series = Series {
            sent: self.sent,
            round_trips: self.round_trips.into_iter().map(|(_, took)| took).collect(),
        };
        series.expose(&Families::TCP, &mut probe.samples);
        if let Some(mean) = series.mean() {
            probe
                .samples
                .set_label(Metric::TcpDuration, Phase::Rtt.label(), mean);
        }
        let (sent, received) = (series.sent, series.round_trips.len());
        if let Err(failure) = last
            && failure.error.reason() == Reason::ConnectTimeout
            && received > 0
        {
            probe.advise(advice::connect::losses(received, sent));
        }
        log!(probe.log, Debug, "Connects were counted", "sent" => sent, "received" => received);
    }
}
