//! CEL expressions over a JSON body, which they know as `body`.

mod check;
mod explain;
mod expression;
mod go;
mod json;
mod library;
mod meter;
mod types;

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::Bytes;
use cel::Value;
use gostd::deadline::Deadline;
use gostd::stack;
use tokio::sync::Semaphore;

use crate::blocking::holding;
use crate::log;
use crate::memory::{self, Use};
use crate::probe_log::{LogValue, ProbeLog, excerpt, text};

pub use explain::{Explained, Part, explain};
use expression::Truth;
pub use expression::{Cel, CelError};

/// Bodies and expressions that nest deeper than this are handled on a thread with a larger stack.
const SHALLOW: usize = 50;
/// Enough for the deepest body that is accepted.
const DEEP_STACK: usize = 256 << 20;

/// Most bytes of a body that a log line shows.
const SHOWN: usize = 200;

/// Most memory that the values of a body take. compat: upstream takes any amount.
const MOST_VALUES: usize = 1 << 30;

/// How many evaluations run at once. Those of untrusted authors have places of their own, so that no others wait for them.
static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(places);
static UNTRUSTED_PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(places);

fn places() -> Arc<Semaphore> {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    Arc::new(Semaphore::new(processors.max(2)))
}

/// What is wrong with a body.
enum Judgement {
    NotJson(json::JsonError),
    TooLarge(usize),
    Failed(String),
    NotBool,
    Matched(Arc<str>),
    Missing(Arc<str>),
}

/// Why a body does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CelFailure {
    /// It is not JSON.
    NotJson,
    /// It is too large.
    TooLarge {
        /// Only for an expression whose author is untrusted.
        is_untrusted: bool,
    },
    /// What must not hold for it does: the expression.
    Holds(String),
    /// What must hold for it does not: the expression.
    DoesNotHold(String),
    /// The expression cannot be evaluated, for this reason: mostly, a field is not there.
    NotEvaluated(String),
    /// Something else.
    Unknown,
}

/// What a body is called that has more than `most` bytes.
pub fn too_large(most: usize) -> String {
    format!("body too large for CEL: more than {most} bytes")
}

/// Judges a JSON body: `unwanted` must be false and `wanted` true. The limits of an expression whose author is untrusted are its own:
/// the other one may judge more.
///
/// The work is done off the async threads, by as many at once as there are processors; others wait for their turn. It breaks off at
/// the deadline, and when the values of the body take too much memory. Finding out how deeply the body nests looks at neither: it
/// is one pass over the bytes.
///
/// # Errors
/// How many expressions passed before one that did not, and why it did not, which goes into the log.
pub async fn judge(
    mut body: Bytes,
    unwanted: Option<&Cel>,
    wanted: Option<&Cel>,
    deadline: Deadline,
    log: &mut ProbeLog,
) -> Result<(), (usize, CelFailure)> {
    let unwanted = unwanted.map(|cel| (cel.clone(), false));
    let expressions: Vec<_> = unwanted
        .into_iter()
        .chain(wanted.map(|cel| (cel.clone(), true)))
        .collect();
    let begins = excerpt(&body, SHOWN);
    let end = deadline.at().into_std();
    let mut passed = 0;
    let mut all = expressions
        .chunk_by(|(one, _), (next, _)| one.is_metered == next.is_metered)
        .peekable();
    while let Some(alike) = all.next() {
        // The last one drops it, off the async threads: it may be large.
        let body = match all.peek() {
            Some(_) => body.clone(),
            None => std::mem::take(&mut body),
        };
        let alike = alike.to_vec();
        let is_untrusted = alike.iter().any(|(cel, _)| cel.is_metered);
        let count = alike.len();
        let work = aside(is_untrusted, deadline, move || judge_here(&body, &alike, end));
        let judged = work
            .await
            .unwrap_or_else(|error| Err((0, Judgement::Failed(error))));
        if let Err((before, judgement)) = judged {
            return Err((passed + before, failure(judgement, is_untrusted, begins, log)));
        }
        passed += count;
    }
    Ok(())
}

/// Logs what is wrong with a body that begins like this.
fn failure(judgement: Judgement, is_untrusted: bool, begins: LogValue, log: &mut ProbeLog) -> CelFailure {
    match judgement {
        Judgement::NotJson(error) => {
            let failure = match error {
                json::JsonError::TooMuch(_) => CelFailure::TooLarge { is_untrusted: false },
                _ => CelFailure::NotJson,
            };
            log!(log, Error, "Error unmarshalling HTTP body to JSON", "err" => text(&error), "body" => begins);
            failure
        }
        Judgement::TooLarge(most) => {
            log!(log, Error, "Error evaluating CEL expression", "err" => too_large(most), "body" => begins);
            CelFailure::TooLarge { is_untrusted }
        }
        Judgement::Failed(error) => {
            log!(log, Error, "Error evaluating CEL expression", "err" => error.clone(), "body" => begins);
            CelFailure::NotEvaluated(error)
        }
        Judgement::NotBool => {
            log!(log, Error, "CEL evaluation result is not a boolean");
            CelFailure::Unknown
        }
        Judgement::Matched(source) => {
            log!(log, Error, "Body matched CEL expression", "expression" => source.to_string(), "body" => begins);
            CelFailure::Holds(source.to_string())
        }
        Judgement::Missing(source) => {
            log!(log, Error, "Body did not match CEL expression", "expression" => source.to_string(), "body" => begins);
            CelFailure::DoesNotHold(source.to_string())
        }
    }
}

/// Does the work off the async threads when it is its turn; or says why it did not come to its end.
async fn aside<T: Send + 'static>(
    is_untrusted: bool,
    deadline: Deadline,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let places = if is_untrusted { &UNTRUSTED_PLACES } else { &PLACES };
    let place = deadline.within(Arc::clone(places).acquire_owned()).await;
    let place = place.map_err(|timed_out| {
        format!("operation interrupted: {timed_out} while waiting for other evaluations to end")
    })?;
    match deadline.within(holding(place, work)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err("the evaluation broke off".to_owned()),
        Err(timed_out) => Err(format!("operation interrupted: {timed_out}")),
    }
}

/// Reads a body and does something with its value, on a stack that is large enough for it and for an expression that nests so deeply.
fn with_value<T: Send>(
    body: &[u8],
    depth: usize,
    end: Instant,
    work: impl FnOnce(Result<Value, json::JsonError>) -> T + Send,
) -> Option<T> {
    let all = || {
        let share = memory::take_some(Use::Bodies, MOST_VALUES);
        let budget = json::Budget {
            memory: share.bytes(),
            end,
        };
        work(json::parse(body, budget))
    };
    if json::depth(body).max(depth) <= SHALLOW {
        return Some(all());
    }
    stack::with(DEEP_STACK, all)
}

/// Judges a body by expressions of the same kind of author.
fn judge_here(body: &[u8], expressions: &[(Cel, bool)], end: Instant) -> Result<(), (usize, Judgement)> {
    let most = expressions.iter().map(|(cel, _)| cel.most_judged()).min();
    if let Some(most) = most.filter(|most| body.len() > *most) {
        return Err((0, Judgement::TooLarge(most)));
    }
    let depth = expressions.iter().map(|(cel, _)| cel.depth).max();
    let judged = with_value(body, depth.unwrap_or(0), end, |body| {
        let body = body.map_err(|error| match error {
            json::JsonError::Interrupted => (0, Judgement::Failed(error.to_string())),
            error => (0, Judgement::NotJson(error)),
        })?;
        for (passed, (cel, wanted)) in expressions.iter().enumerate() {
            let wrong = match cel.evaluate(&body, end) {
                Err(error) => Judgement::Failed(error),
                Ok(Truth::NotBool) => Judgement::NotBool,
                Ok(Truth::Bool(truth)) if truth == *wanted => continue,
                Ok(Truth::Bool(true)) => Judgement::Matched(Arc::clone(&cel.source)),
                Ok(Truth::Bool(false)) => Judgement::Missing(Arc::clone(&cel.source)),
            };
            return Err((passed, wrong));
        }
        Ok(())
    });
    judged.unwrap_or_else(|| Err((0, Judgement::Failed("no memory for the stack".to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn judged(body: &'static str, unwanted: Option<&str>, wanted: Option<&str>) -> Result<(), String> {
        let compile = |source: &str| Cel::new(source).unwrap();
        let (unwanted, wanted) = (unwanted.map(compile), wanted.map(compile));
        let deadline = Deadline::after(tokio::time::Instant::now(), Duration::from_secs(30));
        let mut log = ProbeLog::default();
        let body = Bytes::from_static(body.as_bytes());
        if judge(body, unwanted.as_ref(), wanted.as_ref(), deadline, &mut log)
            .await
            .is_ok()
        {
            Ok(())
        } else {
            Err(log.events().last().unwrap().message.to_owned())
        }
    }

    #[tokio::test]
    async fn bodies_are_judged() {
        const BODY: &str = r#"{"status": "ok", "n": 5, "list": [1, 2, 3], "yes": true}"#;
        #[rustfmt::skip]
        let rows = [
            (BODY, None, None, ""),
            (BODY, None, Some("body.status == 'ok'"), ""),
            (BODY, Some("body.n > 9"), Some("body.n == 5"), ""),
            // compat: upstream converts `body.n` alone, and has no overload for this.
            (BODY, None, Some("int(body['n']) == 5 && string(body['list'][1]) == '2'"), ""),
            (BODY, None, Some("body.list.all(x, x > 0) && body.yes"), ""),
            (BODY, Some("body.n == 5"), None, "Body matched CEL expression"),
            (BODY, None, Some("body.n == 6"), "Body did not match CEL expression"),
            (BODY, None, Some("body.n"), "CEL evaluation result is not a boolean"),
            (BODY, None, Some("body.missing == 1"), "Error evaluating CEL expression"),
            ("hello", None, Some("true"), "Error unmarshalling HTTP body to JSON"),
        ];
        for (body, unwanted, wanted, error) in rows {
            let judged = judged(body, unwanted, wanted).await;
            assert_eq!(judged.err().unwrap_or_default(), error, "{unwanted:?} {wanted:?}");
        }
    }

    #[tokio::test]
    async fn work_breaks_off_at_the_deadline() {
        let list = |length: usize| format!("[{}1]", "1,".repeat(length - 1));
        let nested = "body.all(a, body.all(b, body.all(c, body.all(d, a + b + c + d > 0.0))))";
        let hard = "body.matches('(?s)foo.{0,1000}[pq]z')";
        let long = format!("\"{}\"", "foo".repeat(1 << 20));
        // The second does not come to its expression.
        for (body, source) in [(list(1000), nested), (list(900_000), "true"), (long, hard)] {
            let cel = Cel::new(source).unwrap();
            let started = Instant::now();
            let deadline = Deadline::after(tokio::time::Instant::now(), Duration::from_millis(20));
            let mut log = ProbeLog::default();
            assert!(
                judge(body.into(), None, Some(&cel), deadline, &mut log)
                    .await
                    .is_err()
            );
            assert_eq!(
                log.events().last().unwrap().message,
                "Error evaluating CEL expression"
            );
            // Its place is free again: the thread came back.
            let _places = every_place().await;
            assert!(started.elapsed() < Duration::from_secs(20));
        }
    }

    async fn every_place() -> tokio::sync::SemaphorePermit<'static> {
        let places = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        PLACES.acquire_many(u32::try_from(places).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn whoever_waits_for_a_place_in_vain_says_so() {
        let _places = every_place().await;
        let deadline = Deadline::after(tokio::time::Instant::now(), Duration::from_millis(20));
        let mut log = ProbeLog::default();
        let cel = Cel::new("true").unwrap();
        assert!(
            judge("1".into(), None, Some(&cel), deadline, &mut log)
                .await
                .is_err()
        );
        let told = format!("{:?}", log.events().last().unwrap());
        assert!(
            told.contains("while waiting for other evaluations to end"),
            "{told}"
        );
        let untrusted = Cel::untrusted("true").unwrap();
        let deadline = Deadline::after(tokio::time::Instant::now(), Duration::from_secs(30));
        let judged = judge("1".into(), None, Some(&untrusted), deadline, &mut log).await;
        assert_eq!(judged, Ok(()), "untrusted expressions have places of their own");
    }

    #[tokio::test]
    async fn deep_expressions_do_not_break_the_stack() {
        let parentheses = |depth: usize| format!("{}1{} == 1", "(".repeat(depth), ")".repeat(depth));
        assert!(Cel::new(&parentheses(249)).is_ok());
        assert!(Cel::new(&parentheses(251)).is_err());
        let sum: &'static str = Box::leak(format!("1{} > 1", " + 1".repeat(249)).into());
        assert_eq!(judged("1", None, Some(sum)).await, Ok(()));
        assert!(Cel::new(&format!("1{} > 1", " + 1".repeat(5000))).is_err());
        assert!(Cel::new(&"(".repeat(10_000)).is_err());
    }

    #[tokio::test]
    async fn deep_bodies_do_not_break_the_stack() {
        let deep: &'static str = Box::leak(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)).into());
        assert_eq!(judged(deep, None, Some("true")).await, Ok(()));
        let deeper: &'static str = Box::leak("[".repeat(1_000_000).into());
        let error = judged(deeper, None, Some("true")).await;
        assert_eq!(error, Err("Error unmarshalling HTTP body to JSON".to_owned()));
    }
}
