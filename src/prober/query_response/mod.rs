//! Dialogues of the tcp and unix probers: wait for a line or bytes, send, go on in TLS.

mod reader;

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::log;
use crate::metrics::{Labels, Metric};
use crate::module::{Expect, Step};
use crate::net::dial::SystemError;
use crate::net::tls::ClientTls;
use crate::net::tls::facts::FactSet;
use crate::net::{AnyStream, TimedOut};
use crate::probe_log::{EXCERPT, excerpt, excerpt_bytes, text};

use super::advice::dialogue::Before;
use super::connect::{Spans, Tls, encrypt, prepare};
use super::{Failed, Phase, Probe, Verdict, advice};
use crate::check::Match;
use crate::reason::Reason;
use reader::{LineReader, Piece};

/// How a dialogue may go on in TLS.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade<'a> {
    /// The `tls_config` of the module.
    pub config: &'a ClientTls,
    /// The server's name for SNI and verification; empty when there is none.
    pub server_name: &'a str,
}

/// Why nothing could be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// The peer's end, where more was needed.
    #[error("EOF: the peer closed the connection")]
    End,
    /// A line of more than the most bytes.
    #[error(
        "bufio.Scanner: token too long: a line has more than {} bytes",
        reader::LONGEST_LINE
    )]
    TooLong,
    #[error("i/o timeout: {0}")]
    TimedOut(TimedOut),
    #[error("{}", SystemError(.0))]
    Io(io::Error),
}

impl WireError {
    /// Its place among the reasons of failures.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::End => Reason::PeerClosed,
            Self::TooLong => Reason::ProtocolError,
            Self::TimedOut(_) => Reason::ExpectTimeout,
            Self::Io(error) => error.into(),
        }
    }
}

/// Runs the steps on a connection. `encrypted` says that it is TLS already.
///
/// # Errors
/// [`Failed`] after the reason was logged.
pub async fn run(
    probe: &mut Probe<'_>,
    connection: Box<dyn AnyStream + '_>,
    encrypted: bool,
    steps: &[Step],
    upgrade: Upgrade<'_>,
) -> Verdict {
    begin(probe);
    let mut dialogue = Dialogue {
        reader: LineReader::new(connection),
        before: Before {
            encrypted,
            ..Before::default()
        },
        info: Vec::new(),
    };
    let from = Instant::now();
    let mut verdict = Ok(());
    for (number, step) in steps.iter().enumerate() {
        log!(probe.log, Debug, "Processing query response entry", "entry_number" => number);
        probe.attempt.step = Some(number + 1);
        probe.explain_step(number + 1);
        verdict = dialogue.step(probe, step, upgrade).await;
        if verdict.is_err() {
            break;
        }
        probe.explain_passed();
    }
    probe.explain_unreached(steps);
    if !steps.is_empty() {
        probe.timeline.record(Phase::Transfer, from, probe.end(from));
    }
    if dialogue.before.encrypted {
        // Says goodbye as the protocol wants it; whether the peer still listens is no matter of the probe.
        let _ = probe.deadline.within(dialogue.reader.connection.shutdown()).await;
    }
    verdict
}

/// Exposes that nothing failed to match yet.
pub(super) fn begin(probe: &mut Probe<'_>) {
    probe.samples.set_bool(Metric::FailedDueToRegex, false);
    probe.samples.set_bool(Metric::FailedDueToBytes, false);
}

/// Exposes what the handshake told, also when it failed.
pub(super) fn expose_tls(probe: &mut Probe<'_>) {
    if let Some(facts) = &probe.attempt.tls {
        facts.expose(&mut probe.samples, FactSet::Stream);
    }
}

/// Shakes hands on a connection that was in the clear.
///
/// # Errors
/// [`Failed`] after the reason was logged.
pub(super) async fn start_tls<'c>(
    probe: &mut Probe<'_>,
    connection: Box<dyn AnyStream + 'c>,
    upgrade: Upgrade<'_>,
) -> Result<Box<dyn AnyStream + 'c>, Failed> {
    let prepared = prepare(probe, upgrade.config, "Failed to create TLS configuration").await;
    let prepared = prepared.map_err(|error| probe.fail(error.reason()))?;
    let tls = Tls::named(&prepared, upgrade.server_name);
    let handshake = encrypt(probe, connection, &tls, &mut Spans::default()).await;
    expose_tls(probe);
    match handshake {
        Ok(session) => {
            log!(probe.log, Debug, "TLS Handshake (client) succeeded.");
            Ok(Box::new(session.stream))
        }
        Err(failed) => {
            probe.advise(advice::tls::after_starttls(&failed));
            log!(probe.log, Error, "TLS Handshake (client) failed", "err" => text(&failed.error));
            Err(probe.fail(failed.error.reason()))
        }
    }
}

struct Dialogue<'c> {
    reader: LineReader<'c>,
    before: Before,
    /// Labels of `probe_expect_info` so far.
    info: Vec<(String, String)>,
}

impl<'c> Dialogue<'c> {
    async fn step(&mut self, probe: &mut Probe<'_>, step: &Step, upgrade: Upgrade<'_>) -> Verdict {
        let send = match &step.expect {
            Some(expect) => {
                let line = self.matching_line(probe, expect).await?;
                self.heard(probe);
                // Invariant: it matched.
                let found = expect
                    .regexp
                    .captures(&line)
                    .ok_or_else(|| probe.fail(Reason::ExpectMismatch))?;
                probe.explain(|finding| finding.add_match(&expect.regexp, &found));
                self.tell(probe, expect, &found);
                step.send.expand(Some(&found))
            }
            None => step.send.expand(None),
        };
        if !step.expect_bytes.is_empty() {
            self.expect_bytes(probe, &step.expect_bytes).await?;
            self.heard(probe);
        }
        if !send.is_empty() {
            self.send(probe, send, step.newline).await?;
            self.before.sent = true;
        }
        if step.starttls {
            Box::pin(self.start_tls(probe, upgrade)).await?;
        }
        Ok(())
    }

    /// The peer has said what was expected.
    fn heard(&mut self, probe: &mut Probe<'_>) {
        self.before.heard = true;
        probe.attempt.facts.has_spoken = true;
    }

    /// Reads lines until one matches, and returns it.
    async fn matching_line(&mut self, probe: &mut Probe<'_>, expect: &Expect) -> Result<Vec<u8>, Failed> {
        let regexp = &expect.regexp;
        probe.explain_expect(regexp);
        let (mut last, mut has_read) = (Vec::new(), false);
        // The last line that says something.
        let mut telling = Vec::new();
        loop {
            match self.reader.next(probe.deadline, expect.prompt).await {
                Ok(Some(Piece::Line(line))) => {
                    if !last.is_empty() {
                        telling = last;
                    }
                    (last, has_read) = (line, true);
                }
                Ok(Some(Piece::Open(text))) => {
                    if !regexp.matches(&text).await {
                        continue;
                    }
                    self.reader.accept();
                    last = text;
                }
                Ok(None) => {
                    let said = if last.is_empty() { &telling } else { &last };
                    probe.explain(|finding| finding.add_nearest(regexp, said));
                    probe.explain_text("The peer closed the connection", b"");
                    probe.advise(match has_read {
                        true => advice::dialogue::mismatch(regexp, said),
                        false => advice::dialogue::end(regexp, self.before),
                    });
                    probe.samples.set_bool(Metric::FailedDueToRegex, true);
                    log!(probe.log, Error, "Regexp did not match", "regexp" => regexp.source().to_owned(), "line" => excerpt(&last, EXCERPT));
                    return Err(probe.fail(if has_read {
                        Reason::ExpectMismatch
                    } else {
                        Reason::PeerClosed
                    }));
                }
                Err(error) => {
                    let said = if last.is_empty() { &telling } else { &last };
                    if !said.is_empty() {
                        probe.explain(|finding| finding.add_nearest(regexp, said));
                    }
                    probe.explain_text("Reading ended", error.to_string().as_bytes());
                    let mut waiting =
                        format!("waiting for a line that matches {:?}: {error}", regexp.source());
                    if !said.is_empty() {
                        waiting.push_str(&format!("; the last line read is {}", advice::quoted(said)));
                    }
                    let is_reset = error.reason() == Reason::ConnectReset;
                    probe.advise_else(match &error {
                        // As after a close: which of the two comes is chance.
                        _ if is_reset && has_read => advice::dialogue::mismatch(regexp, said),
                        WireError::Io(error) => advice::dialogue::broken(error),
                        _ if has_read => advice::dialogue::no_more(regexp, said),
                        _ => advice::dialogue::silence(regexp, self.before),
                    });
                    log!(probe.log, Error, "Error reading from connection", "err" => waiting);
                    return Err(probe.fail(match error.reason() {
                        Reason::ExpectTimeout | Reason::ConnectReset if has_read => Reason::ExpectMismatch,
                        reason => reason,
                    }));
                }
            }
            log!(probe.log, Debug, "Read line", "line" => excerpt(&last, EXCERPT));
            probe.explain_text("Read", &last);
            // Very many lines come in one read.
            tokio::task::consume_budget().await;
            if regexp.matches(&last).await {
                log!(probe.log, Debug, "Regexp matched", "regexp" => regexp.source().to_owned(), "line" => excerpt(&last, EXCERPT));
                probe.samples.set_bool(Metric::FailedDueToRegex, false);
                if self.reader.is_late() {
                    probe.advise(advice::dialogue::prompt(&last));
                    log!(probe.log, Warn, "The line that matched is not ended: it was waited for until the deadline", "help" => "set prompt: true in this step");
                }
                return Ok(last);
            }
        }
    }

    /// Exposes what the step's labels tell of the match.
    fn tell(&mut self, probe: &mut Probe<'_>, expect: &Expect, found: &Match<'_>) {
        let Some(labels) = &expect.labels else {
            return;
        };
        // compat: a second step with labels adds to the first one's; upstream's probe crashes.
        for label in labels {
            // compat: what is not UTF-8 is replaced; upstream's probe crashes.
            let value = String::from_utf8_lossy(&label.value.expand(Some(found))).into_owned();
            match self.info.iter_mut().find(|(name, _)| label.has_name_of(name)) {
                Some((_, old)) => *old = value,
                None => self.info.push((label.name.clone(), value)),
            }
        }
        probe.samples.remove(Metric::ExpectInfo);
        let labels = Labels::Pairs(self.info.clone().into());
        probe.samples.set_labels(Metric::ExpectInfo, labels, 1.0);
    }

    async fn expect_bytes(&mut self, probe: &mut Probe<'_>, expected: &[u8]) -> Verdict {
        let shown = excerpt_bytes(expected, EXCERPT);
        // compat: waits for all bytes, those that came with an earlier line included; upstream takes one read's worth.
        let (read, end) = self.reader.bytes(expected.len(), probe.deadline).await;
        probe.explain_text("Expected", expected);
        probe.explain_text("Read", &read);
        if let Some(error) = end {
            probe.explain_text("Reading ended", error.to_string().as_bytes());
            probe.advise(match &error {
                WireError::Io(error) => advice::dialogue::broken(error),
                _ => advice::dialogue::bytes(expected, &read),
            });
            if matches!(error, WireError::End) && !read.is_empty() {
                log!(probe.log, Debug, "Read bytes", "bytes" => excerpt_bytes(&read, EXCERPT));
                log!(probe.log, Error, "Read less data than expected", "expected" => shown, "bytes" => excerpt_bytes(&read, EXCERPT));
            } else {
                let waiting = format!(
                    "waiting for {} bytes, got {}: {error}",
                    expected.len(),
                    read.len()
                );
                log!(probe.log, Error, "Error reading from connection", "err" => waiting);
            }
            return Err(probe.fail(error.reason()));
        }
        log!(probe.log, Debug, "Read bytes", "bytes" => excerpt_bytes(&read, EXCERPT));
        if read != expected {
            probe.advise(advice::dialogue::bytes(expected, &read));
            probe.samples.set_bool(Metric::FailedDueToBytes, true);
            log!(probe.log, Error, "Bytes did not match", "expected" => shown, "bytes" => excerpt_bytes(&read, EXCERPT));
            return Err(probe.fail(Reason::ExpectMismatch));
        }
        log!(probe.log, Debug, "Bytes matched", "expected" => shown, "bytes" => excerpt_bytes(&read, EXCERPT));
        probe.samples.set_bool(Metric::FailedDueToBytes, false);
        Ok(())
    }

    async fn send(&mut self, probe: &mut Probe<'_>, mut line: Vec<u8>, newline: bool) -> Verdict {
        log!(probe.log, Debug, "Sending line", "line" => excerpt(&line, EXCERPT));
        if newline {
            line.push(b'\n');
        }
        let connection = &mut self.reader.connection;
        let write = async {
            connection.write_all(&line).await?;
            connection.flush().await
        };
        let error = match probe.deadline.within(write).await {
            Ok(Ok(())) => {
                probe.explain_text("Sent", &line);
                return Ok(());
            }
            Ok(Err(error)) => WireError::Io(error),
            Err(timed_out) => WireError::TimedOut(timed_out),
        };
        if let WireError::Io(error) = &error {
            probe.advise(advice::dialogue::broken(error));
        }
        log!(probe.log, Error, "Failed to send", "err" => format!("sending {} bytes: {error}", line.len()));
        Err(probe.fail(match error.reason() {
            Reason::ExpectTimeout => Reason::RequestTimeout,
            reason => reason,
        }))
    }

    async fn start_tls(&mut self, probe: &mut Probe<'_>, upgrade: Upgrade<'_>) -> Verdict {
        if self.before.encrypted {
            // compat: upstream's probe crashes.
            log!(probe.log, Error, "TLS Handshake (client) failed", "err" => "starttls: the connection is in TLS already");
            return Err(probe.fail(Reason::ConfigError));
        }
        // Lines that came before the handshake are dropped: they were not protected by it.
        let plain = std::mem::replace(&mut self.reader, LineReader::new(Box::new(tokio::io::empty())));
        self.reader = LineReader::new(start_tls(probe, plain.connection, upgrade).await?);
        self.before.encrypted = true;
        let version = probe
            .attempt
            .tls
            .as_ref()
            .and_then(|tls| tls.version)
            .unwrap_or("TLS");
        probe.explain_text("Went on in", version.as_bytes());
        Ok(())
    }
}
