//! Asking name servers, as Go's own resolver does: each name of the search list, each attempt, each server in turn.
//!
//! The network stands behind [`Transport`], so that tests lose, delay and forge answers without one.

mod error;
mod transport;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use gostd::deadline::Deadline;
use tokio::time::{Instant, sleep_until};

use super::config::ResolvConf;
use super::wire::{Flaw, Match, Query, Record, Reply};
pub use error::{Cause, Seen, StubError};
pub use transport::{Sockets, Transport, ask};

/// Whether name servers can be asked for it, as Go's `isDomainName`: letters, digits, `_` and `-` in labels of at most 63
/// bytes, not digits alone, at most 253 bytes in all. Names in other scripts are looked up in their `xn--` form only.
pub fn is_domain_name(name: &str) -> bool {
    if name == "." {
        return true;
    }
    let relative = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let is_numeric = relative.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    relative.len() <= 253 && !is_numeric && relative.split('.').all(is_label)
}

/// The addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// All of them, unsorted.
    pub addresses: Vec<IpAddr>,
    /// Whether each record that was asked for is known; else one of two was not found out, and may exist.
    pub is_whole: bool,
}

/// One lookup: whom to ask, how, and until when.
#[derive(Debug)]
pub struct Stub<'a, T> {
    /// The way to the servers.
    pub transport: &'a T,
    /// The servers and the search list.
    pub conf: &'a ResolvConf,
    /// The probe's deadline.
    pub deadline: Deadline,
    /// Whether a question stays open while it is asked again, unlike in Go, so that a late answer counts.
    pub overlaps: bool,
}

impl<T: Transport> Stub<'_, T> {
    /// What is known of the addresses of `name`; `None` when it is a name that must not be asked for (`.onion`).
    ///
    /// # Errors
    /// The error of the name as given, or else the first one of the search list.
    pub async fn addresses(&self, name: &str, records: &[Record]) -> Result<Option<Found>, StubError> {
        let mut kept: Option<StubError> = None;
        for full in self.conf.names(name) {
            match self.both(&full, records).await {
                Ok(found) => return Ok(Some(found)),
                Err(error) if matches!(error.cause, Cause::Deadline(_)) => return Err(error),
                Err(error) => {
                    let is_name_itself = full.strip_suffix('.') == Some(name);
                    if kept.is_none() || is_name_itself {
                        kept = Some(error);
                    }
                }
            }
        }
        kept.map_or(Ok(None), Err)
    }

    /// Both families of one full name at once. One of them is enough; of two errors the worse one is told.
    async fn both(&self, full: &str, records: &[Record]) -> Result<Found, StubError> {
        let whole = |addresses| Found {
            addresses,
            is_whole: true,
        };
        let (first, second) = match records {
            [one] => return self.one(full, *one).await.map(whole),
            [one, other, ..] if self.conf.single_request => {
                (self.one(full, *one).await, self.one(full, *other).await)
            }
            [one, other, ..] => tokio::join!(self.one(full, *one), self.one(full, *other)),
            [] => return Ok(whole(Vec::new())),
        };
        let is_known = |asked: &Result<_, StubError>| match asked {
            Ok(_) => true,
            Err(error) => error.cause.is_not_found(),
        };
        let answered = match records {
            [one, ..] if is_known(&first) => Some(*one),
            [_, other, ..] if is_known(&second) => Some(*other),
            _ => None,
        };
        let found = match (first, second) {
            (Ok(mut addresses), Ok(others)) => {
                addresses.extend(others);
                Ok(whole(addresses))
            }
            // Go is told of the deadline before it looks at what it has, and there is no time left to use that.
            (Ok(_), Err(error)) | (Err(error), Ok(_)) if matches!(error.cause, Cause::Deadline(_)) => {
                Err(error)
            }
            (Ok(addresses), Err(error)) | (Err(error), Ok(addresses)) => Ok(Found {
                addresses,
                is_whole: error.cause.is_not_found(),
            }),
            (Err(error), Err(StubError { cause, .. }))
                if matches!(
                    (&error.cause, &cause),
                    (Cause::Flaw(Flaw::NoData(_)), Cause::Flaw(Flaw::NoData(_)))
                ) =>
            {
                Err(StubError {
                    cause: Cause::NoAddress,
                    ..error
                })
            }
            (Err(first), Err(second)) if second.cause.is_not_found() => Err(first),
            (Err(_), Err(second)) => Err(second),
        };
        found.map_err(|mut error| {
            error.seen.answered = answered;
            error
        })
    }

    /// One family of one full name, from the first server that knows.
    async fn one(&self, full: &str, record: Record) -> Result<Vec<IpAddr>, StubError> {
        if self.overlaps {
            return Box::pin(self.first_of_all(full, record)).await;
        }
        let mut last = StubError::unasked();
        let servers = self.conf.servers_in_turn();
        for server in (0..self.conf.attempts).flat_map(|_| servers.clone()) {
            last = match self.ask(server, full, record, self.conf.timeout).await {
                Ok(addresses) => return Ok(addresses),
                Err(error) => error,
            };
            if last.cause.is_final() {
                // Another server would not know better.
                break;
            }
            // Errors may come at once, and attempts be many: the deadline, and other tasks, have their turn.
            tokio::task::yield_now().await;
        }
        Err(last)
    }

    /// The same, with every question open until the time of all of them is over.
    async fn first_of_all(&self, full: &str, record: Record) -> Result<Vec<IpAddr>, StubError> {
        let servers = self.conf.servers_in_turn();
        let turns = (0..self.conf.attempts).flat_map(|_| servers.clone());
        let mut turns = turns.collect::<Vec<_>>().into_iter();
        let count = u32::try_from(turns.len()).unwrap_or(u32::MAX);
        let mut next = Instant::now();
        let end = next + self.conf.timeout.saturating_mul(count);
        let mut open = FuturesUnordered::new();
        let mut last: Option<StubError> = None;
        loop {
            tokio::select! {
                biased;
                Some(answer) = open.next() => {
                    let error: StubError = match answer {
                        Ok(addresses) => return Ok(addresses),
                        Err(error) => error,
                    };
                    if error.cause.is_final() {
                        return Err(error);
                    }
                    // The question that was open for longest says most about silence.
                    if !matches!(&last, Some(StubError { cause: Cause::Silent { .. }, .. })) {
                        last = Some(error);
                    }
                    next = Instant::now();
                }
                () = sleep_until(next), if turns.len() > 0 => {
                    // From when it was to begin, so that what is said of silence is the same each time.
                    let within = end.saturating_duration_since(next);
                    next += self.conf.timeout;
                    if let Some(server) = turns.next() {
                        open.push(self.ask(server, full, record, within));
                    }
                }
                else => return Err(last.unwrap_or_else(StubError::unasked)),
            }
        }
    }

    /// One question to one server.
    async fn ask(
        &self,
        server: SocketAddr,
        full: &str,
        record: Record,
        within: Duration,
    ) -> Result<Vec<IpAddr>, StubError> {
        let mut seen = Seen::default();
        let asked = self.ask_once(server, full, record, within, &mut seen).await;
        asked.map_err(|cause| StubError {
            seen: Box::new(seen),
            ..StubError::of(server, cause)
        })
    }

    /// The same: UDP, and TCP if the answer did not fit.
    async fn ask_once(
        &self,
        server: SocketAddr,
        full: &str,
        record: Record,
        within: Duration,
        seen: &mut Seen,
    ) -> Result<Vec<IpAddr>, Cause> {
        let query = Query::new(rand::random(), full, record, self.conf.trust_ad).ok_or(Cause::Unaskable)?;
        if !self.conf.use_tcp {
            let accept = |message: &[u8]| Reply::new(message).matches(&query) == Match::Ours;
            let datagram = self.transport.datagram(server, query.message(), accept);
            let answer = self.in_time("udp", within, datagram).await?;
            let reply = Reply::new(&answer);
            if !reply.is_truncated() {
                return read(reply, record, seen);
            }
            seen.is_truncated = true;
        }
        let answer = self
            .in_time(
                self.transport.stream_name(),
                within,
                self.transport.stream(server, query.message()),
            )
            .await?;
        let reply = Reply::new(&answer);
        match reply.matches(&query) {
            Match::Ours => read(reply, record, seen),
            Match::Other => Err(Cause::Stranger),
            Match::Unreadable => Err(Cause::Flaw(Flaw::Malformed)),
        }
    }

    async fn in_time(
        &self,
        over: &'static str,
        within: Duration,
        exchange: impl Future<Output = io::Result<Vec<u8>>>,
    ) -> Result<Vec<u8>, Cause> {
        let own = Instant::now() + within;
        let until = own.min(self.deadline.at());
        if Instant::now() >= self.deadline.at() {
            return Err(Cause::Deadline(self.deadline));
        }
        match tokio::time::timeout_at(until, exchange).await {
            Ok(answer) => answer.map_err(|error| Cause::Io { over, error }),
            Err(_) if own < self.deadline.at() => Err(Cause::Silent { over, after: within }),
            Err(_) => Err(Cause::Deadline(self.deadline)),
        }
    }
}

/// The addresses of an answer, or what it has instead.
fn read(reply: Reply<'_>, record: Record, seen: &mut Seen) -> Result<Vec<IpAddr>, Cause> {
    reply.addresses(record).map_err(|flaw| {
        seen.alias = reply.alias();
        Cause::Flaw(flaw)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::super::wire::tests::answer;
    use super::*;

    /// What a simulated server does with a question.
    #[derive(Clone)]
    enum Act {
        Answer(u16, Vec<(u16, Vec<u8>)>),
        /// The answer comes so much later.
        Late(Duration, Vec<(u16, Vec<u8>)>),
        /// Datagrams with a wrong id and a wrong name first, then the answer, twice.
        Forged(Vec<(u16, Vec<u8>)>),
        Silent,
        Refused,
        /// TC over UDP, the answer over TCP.
        Truncated(Vec<(u16, Vec<u8>)>),
    }

    #[derive(Default)]
    struct Simulation {
        acts: HashMap<(usize, &'static str, u16), Act>,
        asked: Mutex<Vec<String>>,
        overlaps: bool,
    }

    impl Simulation {
        fn on(mut self, server: usize, name: &'static str, record: Record, act: Act) -> Self {
            self.acts.insert((server, name, record.code()), act);
            self
        }

        fn act(&self, over: &str, server: SocketAddr, query: &[u8]) -> Act {
            let end = query.len() - 15;
            let name: String = query[13..end - 1]
                .iter()
                .map(|b| if *b < 0x20 { '.' } else { char::from(*b) })
                .collect();
            let record = u16::from_be_bytes([query[end], query[end + 1]]);
            let server = usize::from(server.port());
            self.asked
                .lock()
                .unwrap()
                .push(format!("{over} {server} {name} {record}"));
            let found = self
                .acts
                .iter()
                .find(|((s, n, r), _)| *s == server && *n == name && *r == record);
            found.map_or(Act::Answer(3, vec![]), |(_, act)| act.clone())
        }
    }

    impl Transport for Simulation {
        async fn datagram(
            &self,
            server: SocketAddr,
            query: &[u8],
            accept: impl Fn(&[u8]) -> bool + Send,
        ) -> io::Result<Vec<u8>> {
            let mut come = Vec::new();
            match self.act("udp", server, query) {
                Act::Answer(code, records) => come.push(answer(query, code, &records)),
                Act::Late(after, records) => {
                    tokio::time::sleep(after).await;
                    come.push(answer(query, 0, &records));
                }
                Act::Forged(records) => {
                    let good = answer(query, 0, &records);
                    let mut wrong_id = answer(query, 3, &[]);
                    wrong_id[1] ^= 0xff;
                    let mut wrong_name = answer(query, 3, &[]);
                    wrong_name[13] ^= 1;
                    come.extend([wrong_id, vec![], vec![0; 5], wrong_name, good.clone(), good]);
                }
                Act::Silent => {}
                Act::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
                Act::Truncated(_) => {
                    let mut message = answer(query, 0, &[]);
                    message[2] |= 0x02;
                    come.push(message);
                }
            }
            match come.into_iter().find(|message| accept(message)) {
                Some(message) => Ok(message),
                None => std::future::pending().await,
            }
        }

        async fn stream(&self, server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
            match self.act("tcp", server, query) {
                Act::Truncated(records) | Act::Answer(0, records) => Ok(answer(query, 0, &records)),
                _ => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        }
    }

    fn conf(text: &str) -> ResolvConf {
        let mut conf = ResolvConf::parse(Ok(text.to_owned()));
        conf.servers = vec![([192, 0, 2, 1], 1).into(), ([192, 0, 2, 1], 2).into()];
        conf
    }

    async fn look_up(simulation: &Simulation, conf: &ResolvConf, name: &str, records: &[Record]) -> String {
        let stub = Stub {
            transport: simulation,
            conf,
            deadline: Deadline::after(Instant::now(), Duration::from_secs(8)),
            overlaps: simulation.overlaps,
        };
        match stub.addresses(name, records).await {
            Ok(Some(found)) => {
                let addresses = found.addresses.iter().map(ToString::to_string);
                let rest = (!found.is_whole).then(|| "?".to_owned());
                addresses.chain(rest).collect::<Vec<_>>().join(" ")
            }
            Ok(None) => "not asked".to_owned(),
            Err(e) => format!("{}: {}", e.server.map_or(0, |s| s.port()), e.cause),
        }
    }

    const BOTH: &[Record] = &[Record::A, Record::Aaaa];

    fn a(last: u8) -> (u16, Vec<u8>) {
        (1, vec![192, 0, 2, last])
    }

    fn six() -> (u16, Vec<u8>) {
        (28, std::net::Ipv6Addr::LOCALHOST.octets().to_vec())
    }

    #[test]
    fn domain_names_are_judged_as_go_does() {
        let label = "a".repeat(63);
        let (good, long) = (format!("{label}.test"), format!("{label}a.test"));
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        let (dotted, too_long) = (format!("{longest}."), format!("{longest}a"));
        let rows: &[(&str, bool)] = &[
            (".", true),
            ("localhost", true),
            ("under_score.test", true),
            ("_a.test", true),
            ("v4.test.", true),
            ("1a", true),
            ("127.1", false),
            ("2130706433", false),
            ("0x7f.0.0.1", true),
            ("-a.test", false),
            ("a-.test", false),
            ("a..test", false),
            (".a", false),
            ("a..", false),
            ("b\u{fc}cher.test", false),
            ("a b", false),
            ("a:b", false),
            (&good, true),
            (&long, false),
            (&longest, true),
            (&dotted, true),
            (&too_long, false),
            ("", false),
        ];
        for (name, want) in rows {
            assert_eq!(is_domain_name(name), *want, "{name:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn servers_are_asked_in_turn_until_one_knows() {
        let lost = Act::Silent;
        let good = |n| Act::Answer(0, vec![a(n)]);
        let secs = Duration::from_secs;
        // what, act of server 1, act of server 2, result, seconds it took
        #[rustfmt::skip]
        let rows = [
            ("first knows", good(1), good(2), "192.0.2.1", 0),
            ("first silent", lost.clone(), good(2), "192.0.2.2", 1),
            ("first refuses", Act::Refused, good(2), "192.0.2.2", 0),
            ("servfail", Act::Answer(2, vec![]), good(2), "192.0.2.2", 0),
            ("refused", Act::Answer(5, vec![]), good(2), "192.0.2.2", 0),
            ("nxdomain is final", Act::Answer(3, vec![]), good(2), "1: no such host", 0),
            ("no data is final", Act::Answer(0, vec![]), good(2), "1: no such host: the name exists, but has no A record", 0),
            ("late", Act::Late(secs(2), vec![a(1)]), good(2), "192.0.2.2", 1),
            ("in time", Act::Late(Duration::from_millis(900), vec![a(1)]), good(2), "192.0.2.1", 0),
            ("forged answers are ignored", Act::Forged(vec![a(1)]), good(2), "192.0.2.1", 0),
            ("truncated", Act::Truncated(vec![a(1), a(7)]), good(2), "192.0.2.1 192.0.2.7", 0),
            ("all silent", lost.clone(), lost.clone(), "2: udp: i/o timeout: no response within 1s", 4),
            ("both servfail", Act::Answer(2, vec![]), Act::Answer(2, vec![]), "2: server misbehaving: it answered SERVFAIL", 0),
            ("both refuse", Act::Refused, Act::Refused, "2: udp: connection refused", 0),
        ];
        let conf = conf("options timeout:1 attempts:2");
        for (what, one, two, want, seconds) in rows {
            let simulation =
                Simulation::default()
                    .on(1, "x.test", Record::A, one)
                    .on(2, "x.test", Record::A, two);
            let start = Instant::now();
            let got = look_up(&simulation, &conf, "x.test", &[Record::A]).await;
            assert_eq!(got, want, "{what}");
            assert_eq!(start.elapsed().as_secs(), seconds, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn late_answers_count_where_questions_overlap() {
        let lost = Act::Silent;
        let good = |n| Act::Answer(0, vec![a(n)]);
        let late = |seconds, n| Act::Late(Duration::from_secs(seconds), vec![a(n)]);
        // what, act of server 1, act of server 2, result, seconds it took
        #[rustfmt::skip]
        let rows = [
            ("first knows", good(1), good(2), "192.0.2.1", 0),
            ("first is late", late(3, 1), lost.clone(), "192.0.2.1", 3),
            ("the last moment", late(3, 1), Act::Refused, "192.0.2.1", 3),
            ("second is quicker", late(3, 1), late(1, 2), "192.0.2.2", 2),
            ("first refuses", Act::Refused, late(2, 2), "192.0.2.2", 2),
            ("too late", late(5, 1), lost.clone(), "1: udp: i/o timeout: no response within 4s", 4),
            ("silence says more than what refuses", lost.clone(), Act::Refused, "1: udp: i/o timeout: no response within 4s", 4),
            ("both refuse", Act::Refused, Act::Refused, "2: udp: connection refused", 0),
            ("servfail", Act::Answer(2, vec![]), good(2), "192.0.2.2", 0),
            ("nxdomain is final", lost, Act::Answer(3, vec![]), "2: no such host", 1),
        ];
        let conf = conf("options timeout:1 attempts:2");
        for (what, one, two, want, seconds) in rows {
            let mut simulation =
                Simulation::default()
                    .on(1, "x.test", Record::A, one)
                    .on(2, "x.test", Record::A, two);
            simulation.overlaps = true;
            let start = Instant::now();
            let got = look_up(&simulation, &conf, "x.test", &[Record::A]).await;
            assert_eq!(got, want, "{what}");
            assert_eq!(start.elapsed().as_secs(), seconds, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn families_are_asked_together() {
        let good = |record| Act::Answer(0, vec![record]);
        #[rustfmt::skip]
        let rows = [
            ("both", good(a(1)), good(six()), "192.0.2.1 ::1", 0),
            ("one is enough", good(a(1)), Act::Answer(0, vec![]), "192.0.2.1", 0),
            ("one fails", Act::Answer(2, vec![]), good(six()), "::1 ?", 0),
            ("the slow one is waited for", good(a(1)), Act::Silent, "192.0.2.1 ?", 4),
            (
                "neither",
                Act::Answer(0, vec![]),
                Act::Answer(0, vec![]),
                "1: no such host: the name exists, but has neither A nor AAAA record",
                0,
            ),
            (
                "the worse error is told",
                Act::Answer(2, vec![]),
                Act::Answer(0, vec![]),
                "2: server misbehaving: it answered SERVFAIL",
                0,
            ),
        ];
        let conf = conf("options timeout:1 attempts:2");
        for (what, four, six, want, seconds) in rows {
            let mut simulation = Simulation::default();
            for server in [1, 2] {
                simulation = simulation.on(server, "x.test", Record::A, four.clone()).on(
                    server,
                    "x.test",
                    Record::Aaaa,
                    six.clone(),
                );
            }
            let start = Instant::now();
            assert_eq!(look_up(&simulation, &conf, "x.test", BOTH).await, want, "{what}");
            assert_eq!(start.elapsed().as_secs(), seconds, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_of_the_probe_ends_it() {
        let simulation = Simulation::default().on(1, "x.test", Record::A, Act::Silent);
        let start = Instant::now();
        let got = look_up(&simulation, &conf("options timeout:60"), "x.test", BOTH).await;
        assert_eq!(got, "1: i/o timeout: the probe's timeout of 8s ran out");
        assert_eq!(start.elapsed().as_secs(), 8);
        let simulation = simulation.on(1, "x.test", Record::Aaaa, Act::Answer(0, vec![six()]));
        let got = look_up(&simulation, &conf("options timeout:60"), "x.test", BOTH).await;
        assert_eq!(
            got, "1: i/o timeout: the probe's timeout of 8s ran out",
            "one family is known"
        );
    }

    #[tokio::test]
    async fn attempts_that_fail_at_once_end_at_the_deadline() {
        let refusing = Simulation::default().on(1, "x.test", Record::A, Act::Refused);
        let (conf, start) = (conf("options attempts:3000000"), Instant::now());
        let stub = Stub {
            transport: &refusing.on(2, "x.test", Record::A, Act::Refused),
            conf: &conf,
            deadline: Deadline::after(start, Duration::from_millis(50)),
            overlaps: false,
        };
        let error = stub.addresses("x.test", &[Record::A]).await.unwrap_err();
        assert!(matches!(error.cause, Cause::Deadline(_)), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_search_list_is_walked() {
        let conf = conf("search one.test two.test\noptions ndots:1");
        let simulation = Simulation::default()
            .on(1, "www.two.test", Record::A, Act::Answer(0, vec![a(2)]))
            .on(1, "www.x", Record::A, Act::Answer(2, vec![]))
            .on(2, "www.x", Record::A, Act::Answer(2, vec![]));
        assert_eq!(look_up(&simulation, &conf, "www", BOTH).await, "192.0.2.2");
        assert_eq!(
            *simulation.asked.lock().unwrap(),
            [
                "udp 1 www.one.test 1",
                "udp 1 www.one.test 28",
                "udp 1 www.two.test 1",
                "udp 1 www.two.test 28"
            ]
        );
        let rows = [
            ("www.", "1: no such host"),
            // The error of the name as given counts, not those of the suffixes tried after it.
            ("www.x", "2: server misbehaving: it answered SERVFAIL"),
            ("x.onion.", "not asked"),
        ];
        for (name, want) in rows {
            assert_eq!(look_up(&simulation, &conf, name, BOTH).await, want, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn options_of_resolv_conf_are_obeyed() {
        let simulation = || {
            let good = Act::Answer(0, vec![a(1)]);
            Simulation::default()
                .on(1, "x.test", Record::A, good.clone())
                .on(2, "x.test", Record::A, good)
        };
        let over_tcp = simulation();
        look_up(&over_tcp, &conf("options use-vc"), "x.test", &[Record::A]).await;
        assert_eq!(*over_tcp.asked.lock().unwrap(), ["tcp 1 x.test 1"]);
        let in_turn = simulation();
        let rotating = conf("options rotate");
        for _ in 0..3 {
            look_up(&in_turn, &rotating, "x.test", &[Record::A]).await;
        }
        let asked = in_turn.asked.lock().unwrap().join(", ");
        assert_eq!(asked, "udp 1 x.test 1, udp 2 x.test 1, udp 1 x.test 1");
    }
}
