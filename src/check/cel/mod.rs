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
use crate::probe_log::{ProbeLog, excerpt, text};

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

/// What became of judging a body.
enum Judgement {
    Passed,
    NotJson(json::JsonError),
    Failed(String),
    NotBool,
    Matched,
    Missing,
}

/// Why a body does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CelFailure {
    /// It is not JSON.
    NotJson,
    /// What must not hold for it does: the expression.
    Holds(String),
    /// What must hold for it does not: the expression.
    DoesNotHold(String),
    /// The expression cannot be evaluated, for this reason: mostly, a field is not there.
    NotEvaluated(String),
    /// Something else.
    Unknown,
}

/// Judges a JSON body: `unwanted` must be false and `wanted` true. The reason for a failure goes into the log.
///
/// The work is done off the async threads, by as many at once as there are processors; others wait for their turn. It breaks off at
/// the deadline, and when the values of the body take too much memory. Finding out how deeply the body nests looks at neither: it
/// is one pass over the bytes.
pub async fn judge(
    body: Bytes,
    unwanted: Option<&Cel>,
    wanted: Option<&Cel>,
    deadline: Deadline,
    log: &mut ProbeLog,
) -> Result<(), CelFailure> {
    let (no, yes) = (unwanted.cloned(), wanted.cloned());
    let begins = excerpt(&body, SHOWN);
    let end = deadline.at().into_std();
    let is_untrusted = no.iter().chain(&yes).any(|cel| cel.is_metered);
    let work = aside(is_untrusted, deadline, move || {
        judge_here(&body, no.as_ref(), yes.as_ref(), end)
    });
    let judgement = work.await.unwrap_or_else(Judgement::Failed);
    let source = |cel: Option<&Cel>| cel.map_or_else(String::new, |cel| cel.source().to_owned());
    let mut wrong = CelFailure::Unknown;
    match judgement {
        Judgement::Passed => return Ok(()),
        Judgement::NotJson(error) => {
            wrong = CelFailure::NotJson;
            log!(log, Error, "Error unmarshalling HTTP body to JSON", "err" => text(&error), "body" => begins);
        }
        Judgement::Failed(error) => {
            wrong = CelFailure::NotEvaluated(error.clone());
            log!(log, Error, "Error evaluating CEL expression", "err" => error, "body" => begins);
        }
        Judgement::NotBool => log!(log, Error, "CEL evaluation result is not a boolean"),
        Judgement::Matched => {
            wrong = CelFailure::Holds(source(unwanted));
            log!(log, Error, "Body matched CEL expression", "expression" => source(unwanted), "body" => begins);
        }
        Judgement::Missing => {
            wrong = CelFailure::DoesNotHold(source(wanted));
            log!(log, Error, "Body did not match CEL expression", "expression" => source(wanted), "body" => begins);
        }
    }
    Err(wrong)
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

fn judge_here(body: &[u8], unwanted: Option<&Cel>, wanted: Option<&Cel>, end: Instant) -> Judgement {
    let depth = unwanted.into_iter().chain(wanted).map(|cel| cel.depth).max();
    let judged = with_value(body, depth.unwrap_or(0), end, |body| {
        let body = match body {
            Ok(body) => body,
            Err(error @ json::JsonError::Interrupted) => return Judgement::Failed(error.to_string()),
            Err(error) => return Judgement::NotJson(error),
        };
        for (cel, bad, verdict) in [
            (unwanted, true, Judgement::Matched),
            (wanted, false, Judgement::Missing),
        ] {
            match cel.map(|cel| cel.evaluate(&body, end)) {
                Some(Err(error)) => return Judgement::Failed(error),
                Some(Ok(Truth::NotBool)) => return Judgement::NotBool,
                Some(Ok(Truth::Bool(truth))) if truth == bad => return verdict,
                Some(Ok(Truth::Bool(_))) | None => {}
            }
        }
        Judgement::Passed
    });
    judged.unwrap_or_else(|| Judgement::Failed("no memory for the stack".to_owned()))
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
