//! The moments of one round trip, and the phases made of them as upstream adds them up.

use ping_engine::Moment;
use tokio::time::Instant;

use crate::log;
use crate::metrics::Metric;
use crate::probe_log::LogValue;
use crate::prober::{Phase, Probe};

/// When what happened in one round trip. What did not happen has no moment.
#[derive(Debug, Default)]
pub(super) struct RoundTripTrace {
    /// Whether it was a request for `https`.
    pub(super) tls: bool,
    /// Whether the request went to a proxy that forwards it.
    pub(super) to_proxy: bool,
    /// The lookup of the name began, or the connection if there was no name to look up.
    pub(super) start: Option<Instant>,
    pub(super) dns_done: Option<Instant>,
    pub(super) connect_done: Option<Instant>,
    /// The connection was ready for the request, TLS and proxies included.
    pub(super) got_conn: Option<Instant>,
    /// The request began to be sent.
    pub(super) sent: Option<Instant>,
    /// The first byte of the answer came.
    pub(super) response_start: Option<Instant>,
    pub(super) tls_start: Option<Instant>,
    pub(super) tls_done: Option<Instant>,
    /// The body was read.
    pub(super) end: Option<Instant>,
}

impl RoundTripTrace {
    /// The phases that this round trip came to, as upstream counts them: a connection that was never ready counts for
    /// nothing, and the transfer only of the answer that was judged.
    fn phases(&self, is_first: bool) -> [(Phase, Option<(Instant, Instant)>); 5] {
        let span = |from: Option<Instant>, to: Option<Instant>| from.zip(to);
        let connected = self.got_conn;
        let answered = connected.and(self.response_start);
        let connect_end = if self.tls {
            self.connect_done
        } else {
            self.got_conn
        };
        [
            // The first lookup is measured where the target's address is chosen.
            (
                Phase::Resolve,
                span(self.start, self.dns_done).filter(|_| !is_first),
            ),
            (
                Phase::Connect,
                span(self.dns_done, connect_end).filter(|_| connected.is_some()),
            ),
            (
                Phase::Tls,
                span(self.tls_start, self.tls_done).filter(|_| connected.is_some() && self.tls),
            ),
            (Phase::Processing, span(self.sent, answered)),
            (Phase::Transfer, span(answered, self.end)),
        ]
    }
}

/// Exposes the sums of all round trips, logs their moments and draws them.
pub(super) fn expose(probe: &mut Probe<'_>, traces: &[RoundTripTrace]) {
    let mut sums = [
        (Phase::Connect, Some(0.0)),
        (Phase::Processing, Some(0.0)),
        // Only with a lookup of its own, or a round trip that may have one.
        (Phase::Resolve, (traces.len() > 1).then_some(0.0)),
        (Phase::Tls, Some(0.0)),
        (Phase::Transfer, Some(0.0)),
    ];
    let start = probe.arrivals.start();
    let moment = |at| moment(at, start);
    for (i, trace) in traces.iter().enumerate() {
        log!(
            probe.log, Debug, "Response timings for roundtrip",
            "roundtrip" => i,
            "start" => moment(trace.start),
            "dnsDone" => moment(trace.dns_done),
            "connectDone" => moment(trace.connect_done),
            "gotConn" => moment(trace.got_conn),
            "responseStart" => moment(trace.response_start),
            "tlsStart" => moment(trace.tls_start),
            "tlsDone" => moment(trace.tls_done),
            "end" => moment(trace.end),
        );
        for (phase, span) in trace.phases(i == 0) {
            let Some((from, to)) = span else { continue };
            let seconds = to.saturating_duration_since(from).as_secs_f64();
            if let Some((_, sum)) = sums.iter_mut().find(|(of, _)| *of == phase) {
                *sum.get_or_insert(0.0) += seconds;
            }
        }
    }
    for (phase, sum) in sums {
        if let Some(sum) = sum {
            probe.samples.add_label(Metric::HttpDuration, phase.label(), sum);
        }
    }
}

/// A moment of a probe for the log, by the wall clock; Go's zero time when it did not come.
fn moment(at: Option<Instant>, start: Moment) -> LogValue {
    match at {
        Some(at) => LogValue::Time(start.wall_at(at)),
        None => LogValue::from("0001-01-01T00:00:00.000Z"),
    }
}
