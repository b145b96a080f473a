//! Spans and logs of probes, posted to `--trace.endpoint` and `--trace.log-endpoint`.
//!
//! A probe that ends is encoded at once and put into a [queue](queue) of bounded size; a task per endpoint takes batches from it
//! and [posts](sender) them. No probe waits for either: what does not fit is counted and left out.

mod logs;
mod losses;
mod protobuf;
mod queue;
mod sender;
mod spans;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ping_engine::Moment;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::carried;
use crate::logging::Logger;
use crate::memory;
use crate::module::Module;
use crate::net::Network;
use crate::net::url::Url;
use crate::probe_log::{Event, Level};
use crate::prober::Outcome;
use crate::strconv::quote;
use crate::trace::{Context, Endpoint, Export};
use losses::Losses;
use queue::Queue;
use sender::{Payload, Sender};

/// The name of this program to receivers.
const SERVICE: &str = "blackbox_exporter";

/// Most bytes of spans, and most bytes of logs, that wait or are on their way.
const MOST: usize = 4 << 20;

/// Where spans and logs go.
#[derive(Debug)]
pub struct Exports {
    export: Export,
    spans: Option<Arc<Queue>>,
    logs: Option<(Payload, Arc<Queue>)>,
    senders: Mutex<Vec<(Arc<Queue>, JoinHandle<()>)>>,
}

/// A probe that has ended.
struct Finished<'a> {
    module: &'a Module,
    target: Cow<'a, str>,
    /// User and password that the target contains.
    login: Option<(&'a str, &'a str)>,
    outcome: &'a Outcome,
    /// The moment at which it began, in nanoseconds since 1970.
    began: u64,
}

/// A traced probe under way. If it is dropped before it is finished, it was cancelled: then a span of it is exported, because
/// its target may have spans below.
#[derive(Debug)]
pub struct TracedProbe<'a> {
    exports: &'a Exports,
    module: &'a Module,
    target: &'a str,
    /// `None` when it has ended.
    context: Option<Context>,
    began: Moment,
}

impl TracedProbe<'_> {
    /// It has an outcome.
    pub fn finish(mut self) {
        self.context = None;
    }
}

impl Drop for TracedProbe<'_> {
    fn drop(&mut self) {
        let Some(context) = self.context.take() else {
            return;
        };
        let outcome = Outcome::cancelled(self.began, context);
        let words = "cancelled: the scraper closed its connection";
        self.exports
            .export_spans(Finished::new(self.module, self.target, &outcome), words);
    }
}

/// A finished probe that has a trace.
struct Traced<'a> {
    probe: Finished<'a>,
    context: &'a Context,
    /// Why it failed.
    words: &'a str,
}

impl<'a> std::ops::Deref for Traced<'a> {
    type Target = Finished<'a>;

    fn deref(&self) -> &Self::Target {
        &self.probe
    }
}

impl Exports {
    /// Spans that were left out; `None` if none are exported.
    pub fn spans_dropped(&self) -> Option<u64> {
        self.spans.as_ref().map(|queue| queue.losses.since_start())
    }

    /// Logs that were left out; `None` if none are exported.
    pub fn logs_dropped(&self) -> Option<u64> {
        self.logs.as_ref().map(|(_, queue)| queue.losses.since_start())
    }

    /// Begins to post what the flags ask for; `None` when that is nothing. `instance` is this process among others.
    pub fn start(
        spans: Option<&Endpoint>,
        logs: Option<&Endpoint>,
        export: Export,
        instance: &str,
        network: &Arc<Network>,
        logger: &Logger,
    ) -> Option<Arc<Self>> {
        if spans.is_none() && logs.is_none() {
            return None;
        }
        let most = memory::traces_share().unwrap_or(MOST).min(MOST);
        let mut senders = Vec::new();
        let mut post = |endpoint: &Endpoint, form| {
            let lost = match form {
                Payload::OtlpSpans => "Spans of probes were dropped",
                Payload::OtlpLogs | Payload::DeepFlowLogs => "Logs of failed probes were dropped",
            };
            let losses = Losses::new(lost, endpoint.to_string(), logger);
            let queue = Arc::new(Queue::new(most, losses));
            let sender = Sender::new(endpoint, form, instance, &queue, network, logger);
            senders.push((Arc::clone(&queue), tokio::spawn(sender.run())));
            queue
        };
        let spans = spans.map(|endpoint| post(endpoint, Payload::OtlpSpans));
        let logs = logs.map(|endpoint| {
            // What DeepFlow's agent calls its path, behind whatever prefix a proxy has for it.
            let form = match endpoint.path().trim_end_matches('/').ends_with("/api/v1/log") {
                true => Payload::DeepFlowLogs,
                false => Payload::OtlpLogs,
            };
            (form, post(endpoint, form))
        });
        Some(Arc::new(Self {
            export,
            spans,
            logs,
            senders: Mutex::new(senders),
        }))
    }

    /// A probe with a trace begins.
    pub fn begin<'a>(&'a self, module: &'a Module, target: &'a str, context: &Context) -> TracedProbe<'a> {
        TracedProbe {
            exports: self,
            module,
            target,
            context: self.spans.is_some().then(|| context.clone()),
            began: Moment::now(),
        }
    }

    /// A probe has ended.
    pub fn finished(&self, module: &Module, target: &str, outcome: &Outcome) {
        if let Some((form, queue)) = self.logs.as_ref().filter(|_| !outcome.success) {
            let probe = Finished::new(module, target, outcome);
            let mut encoded = Vec::with_capacity(1 << 10);
            let records = match form {
                Payload::DeepFlowLogs => logs::write_deepflow(&mut encoded, &probe),
                _ => logs::write_otlp(&mut encoded, &probe),
            };
            queue.push(encoded, records);
        }
        if outcome.trace.is_some() && self.spans.is_some() {
            let words = outcome.reason().unwrap_or_default();
            self.export_spans(Finished::new(module, target, outcome), &words);
        }
    }

    /// Exports the spans of a probe, if they are chosen; `words` say why it failed.
    fn export_spans(&self, probe: Finished<'_>, words: &str) {
        let outcome = probe.outcome;
        let is_chosen = |context: &&Context| self.export.chooses(outcome.success, outcome.duration, context);
        let chosen = outcome.trace.as_ref().filter(is_chosen);
        if let Some((queue, context)) = self.spans.as_ref().zip(chosen) {
            let mut encoded = Vec::with_capacity(4 << 10);
            let traced = Traced {
                probe,
                context,
                words,
            };
            let records = spans::write(&mut encoded, &traced);
            queue.push(encoded, records);
        }
    }

    /// Posts what waits, for at most `patience`, and says what is lost. Nothing is taken in any more.
    pub async fn drain(&self, patience: Duration) {
        let senders = std::mem::take(&mut *self.senders.lock().unwrap_or_else(PoisonError::into_inner));
        senders.iter().for_each(|(queue, _)| queue.close());
        let end = Instant::now() + patience;
        for (queue, mut sender) in senders {
            if tokio::time::timeout_at(end, &mut sender).await.is_err() {
                sender.abort();
                // What it had taken is among the losses when it has ended.
                let _ = sender.await;
            }
            queue.abandon();
            queue.losses.say();
        }
    }
}

impl<'a> Finished<'a> {
    fn new(module: &'a Module, target: &'a str, outcome: &'a Outcome) -> Self {
        Self {
            module,
            target: shown(target),
            login: login_of(target),
            outcome,
            began: nanoseconds(outcome.timeline.began()),
        }
    }

    /// A moment of the probe in nanoseconds since 1970.
    fn moment(&self, after: Duration) -> u64 {
        let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        self.began.saturating_add(after)
    }

    /// Text as receivers take it, without the password of the target.
    fn told<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.login {
            Some((user, password)) => match without(text, user, password) {
                Cow::Borrowed(text) => told(text),
                Cow::Owned(text) => Cow::Owned(told(&text).into_owned()),
            },
            None => told(text),
        }
    }

    /// The lines of its log at a level or above.
    fn events(&self, least: Level) -> impl Iterator<Item = &'a Event> {
        let events = self.outcome.log.events().iter();
        events.filter(move |event| event.level >= least)
    }
}

/// What stands in the place of a password, as in Go.
const MASK: &str = "xxxxx";

/// A target without a password.
fn shown(target: &str) -> Cow<'_, str> {
    let may_have_password = target.contains('@');
    match Url::parse(&carried::bytes(target)) {
        Ok(url) if may_have_password && url.user.is_some() => Cow::Owned(url.redacted(MASK)),
        _ => match login_of(target) {
            Some((user, password)) => Cow::Owned(told(&without(target, user, password)).into_owned()),
            None => told(target),
        },
    }
}

/// User and password in a target as they were written, whether it is a URL or one without a scheme.
fn login_of(target: &str) -> Option<(&str, &str)> {
    let (before, behind) = target.split_once("//").unwrap_or(("", target));
    let has_scheme = before.ends_with(':') && !before.contains(['/', '?', '#', '@']);
    let behind = if has_scheme { behind } else { target };
    let authority = behind.split(['/', '?', '#']).next()?;
    let (login, _) = authority.rsplit_once('@')?;
    let (user, password) = login.split_once(':')?;
    (!password.is_empty()).then_some((user, password))
}

/// Text in which user and password are written as in a target, or quoted, or as in a URL that was printed; without the password.
fn without<'t>(text: &'t str, user: &str, password: &str) -> Cow<'t, str> {
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let written = format!("{user}:{password}@");
    let printed = Url::parse(&*carried::bytes(&format!("http://{written}h/")));
    let printed = printed.ok().and_then(|url| {
        let printed = carried::owned(url.to_bytes());
        let login = printed.strip_prefix("http://")?.strip_suffix("h/")?;
        Some(login.to_owned())
    });
    let quoted = quote(&written);
    let quoted = quoted.get(1..quoted.len() - 1).map(str::to_owned);
    let mut text = Cow::Borrowed(text);
    for form in [Some(written), quoted, printed].into_iter().flatten() {
        if text.contains(&form) {
            text = Cow::Owned(text.replace(&form, &format!("{user}:{MASK}@")));
        }
    }
    text
}

/// Text as receivers take it: bytes that are not UTF-8 are replaced.
fn told(text: &str) -> Cow<'_, str> {
    match carried::bytes(text) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_of_a_target_is_told() {
        let rows = [
            ("https://bob:secret@h/x", "https://bob:xxxxx@h/x"),
            ("https://bob:a%20b@h/x", "https://bob:xxxxx@h/x"),
            ("https://bob@h/x", "https://bob@h/x"),
            ("bob:secret@127.0.0.1:80/x", "bob:xxxxx@127.0.0.1:80/x"),
            ("bob:secret@h/x//y@z", "bob:xxxxx@h/x//y@z"),
            ("//bob:secret@h/x", "//bob:xxxxx@h/x"),
            ("bob:se:cr@et@h:80", "bob:xxxxx@h:80"),
            ("bob:secret@[::1", "bob:xxxxx@[::1"),
            ("http://bob:secret@[::1", "http://bob:xxxxx@[::1"),
            ("h:80/x@y", "h:80/x@y"),
            ("h:80", "h:80"),
        ];
        for (target, want) in rows {
            assert_eq!(shown(target), want, "{target}");
        }
        let rows = [
            (
                "bob:secret@h:80",
                "address bob:secret@h:80: too many colons in address",
                "address bob:xxxxx@h:80: too many colons in address",
            ),
            (
                "http://bob:secret@h",
                "write ws://bob:secret@h instead of http://bob:secret@h",
                "write ws://bob:xxxxx@h instead of http://bob:xxxxx@h",
            ),
            (
                "bob:se\"cret@h",
                r#"parse "bob:se\"cret@h": invalid"#,
                r#"parse "bob:xxxxx@h": invalid"#,
            ),
            (
                "bob:se%7Ecret@h",
                "http://bob:se~cret@h/ is refused",
                "http://bob:xxxxx@h/ is refused",
            ),
            ("http://h/", "bob:secret@h", "bob:secret@h"),
        ];
        for (target, text, want) in rows {
            let got = match login_of(target) {
                Some((user, password)) => without(text, user, password),
                None => Cow::Borrowed(text),
            };
            assert_eq!(got, want, "{target}");
        }
    }
}
