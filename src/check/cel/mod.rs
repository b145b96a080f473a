//! CEL expressions over a JSON body, which they know as `body`.

mod check;
mod explain;
mod go;
mod json;
mod library;
mod meter;
mod types;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::Bytes;
use cel::common::ast::IdedExpr;
use cel::parser::Parser;
use cel::{Context, Env, Value};
use gostd::deadline::Deadline;
use gostd::stack;
use tokio::sync::Semaphore;

use crate::log;
use crate::memory::{self, Use};
use crate::probe_log::{ProbeLog, excerpt, text};

pub use explain::{Explained, Part, explain};
use meter::Meter;

/// Bodies and expressions that nest deeper than this are handled on a thread with a larger stack.
const SHALLOW: usize = 50;
/// Expressions of fewer bytes cannot nest deeply.
const SHORT: usize = 100;
/// How deeply an expression may nest, as in cel-go.
const MAX_RECURSION: u16 = 249;
/// Enough for the deepest body that is accepted.
const DEEP_STACK: usize = 256 << 20;

/// Most bytes of a body that a log line shows.
const SHOWN: usize = 200;

/// Most memory that the values of a body take. compat: upstream takes any amount.
const MOST_VALUES: usize = 1 << 30;

/// How many evaluations run at once.
static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    Arc::new(Semaphore::new(processors.max(2)))
});

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    // The last of equal keys counts, as in cel-go.
    env.set_error_on_duplicate_map_keys(false);
    Arc::new(env)
});

/// A compiled expression.
#[derive(Clone)]
pub struct Cel {
    source: Arc<str>,
    program: Arc<IdedExpr>,
    /// How deeply it nests.
    depth: usize,
    /// Whether its author is untrusted.
    is_metered: bool,
}

/// Why an expression does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CelError {
    message: String,
    at: Option<(usize, usize)>,
}

impl CelError {
    /// Line and column of what is wrong, both from 0.
    pub fn at(&self) -> Option<(usize, usize)> {
        self.at
    }

    /// Of an expression that parses: the name that the message quotes, if it stands there, is what is wrong.
    fn of_check(message: String, source: &str) -> Self {
        let name = message.split('\'').nth(1).unwrap_or_default();
        let at = source.lines().zip(0..).find_map(|(text, line)| {
            let byte = text.find(name).filter(|_| !name.is_empty())?;
            Some((line, text.get(..byte)?.chars().count()))
        });
        Self { message, at }
    }

    fn of_parser(errors: &cel::ParseErrors) -> Self {
        let texts: Vec<&str> = errors.errors.iter().map(|error| error.msg.as_str()).collect();
        let place = errors.errors.first().map(|error| error.pos);
        let from_zero = |number: isize| usize::try_from(number - 1).unwrap_or_default();
        Self {
            message: texts.join("; "),
            at: place.map(|(line, column)| (from_zero(line), from_zero(column))),
        }
    }
}

impl fmt::Display for CelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CelError {}

impl Cel {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What does not parse, and names and functions that do not exist.
    pub fn new(source: &str) -> Result<Self, CelError> {
        Self::compile(source, false)
    }

    /// As [`Cel::new`], of an expression whose author is untrusted: it may not be long, and its evaluation breaks off when it makes too
    /// much.
    ///
    /// # Errors
    /// What does not parse, names and functions that do not exist, and a length that is too large.
    pub fn untrusted(source: &str) -> Result<Self, CelError> {
        if source.len() > meter::LONGEST {
            let message = format!("the expression has more than {} bytes", meter::LONGEST);
            return Err(CelError::of_check(message, ""));
        }
        Self::compile(source, true)
    }

    fn compile(source: &str, is_metered: bool) -> Result<Self, CelError> {
        let compiled = if source.len() < SHORT {
            compile(source, is_metered)
        } else {
            let compiled = stack::with(DEEP_STACK, || compile(source, is_metered));
            compiled.unwrap_or_else(|| Err(CelError::of_check("no memory for the stack".to_owned(), "")))
        };
        let (program, depth) = compiled?;
        Ok(Self {
            source: source.into(),
            program: Arc::new(program),
            depth,
            is_metered,
        })
    }

    /// Most bytes of a body that it may judge.
    pub fn most_judged(&self) -> usize {
        if self.is_metered { meter::BODY } else { usize::MAX }
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    fn evaluate(&self, body: &Value, end: Instant) -> Result<Answer, String> {
        let context = self.context(body, end);
        match Value::resolve(&self.program, &context) {
            Ok(Value::Bool(truth)) => Ok(Answer::Bool(truth)),
            Ok(_) => Ok(Answer::NotBool),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What the expression knows.
    fn context(&self, body: &Value, end: Instant) -> Context<'static, 'static> {
        let meter = self.is_metered.then(|| Meter::of(&self.source));
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.add_variable_from_value("body", body.clone());
        go::add_functions(&mut context, end, meter.as_ref());
        context
    }
}

impl fmt::Debug for Cel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cel({:?})", self.source)
    }
}

fn parser() -> Parser {
    ENVIRONMENT
        .parser()
        .enable_ident_escape_syntax(true)
        .max_recursion_depth(MAX_RECURSION)
}

fn compile(source: &str, is_metered: bool) -> Result<(IdedExpr, usize), CelError> {
    let mut program = parser()
        .parse(source)
        .map_err(|errors| CelError::of_parser(&errors))?;
    let depth = check::check(&program).map_err(|message| CelError::of_check(message, source))?;
    go::adapt(&mut program, is_metered);
    Ok((program, depth))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Bool(bool),
    NotBool,
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
pub enum Wrong {
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
) -> Result<(), Wrong> {
    let (no, yes) = (unwanted.cloned(), wanted.cloned());
    let begins = excerpt(&body, SHOWN);
    let end = deadline.at().into_std();
    let work = aside(deadline, move || {
        judge_here(&body, no.as_ref(), yes.as_ref(), end)
    });
    let judgement = work.await.unwrap_or_else(Judgement::Failed);
    let source = |cel: Option<&Cel>| cel.map_or_else(String::new, |cel| cel.source().to_owned());
    let mut wrong = Wrong::Unknown;
    match judgement {
        Judgement::Passed => return Ok(()),
        Judgement::NotJson(error) => {
            wrong = Wrong::NotJson;
            log!(log, Error, "Error unmarshalling HTTP body to JSON", "err" => text(&error), "body" => begins);
        }
        Judgement::Failed(error) => {
            wrong = Wrong::NotEvaluated(error.clone());
            log!(log, Error, "Error evaluating CEL expression", "err" => error, "body" => begins);
        }
        Judgement::NotBool => log!(log, Error, "CEL evaluation result is not a boolean"),
        Judgement::Matched => {
            wrong = Wrong::Holds(source(unwanted));
            log!(log, Error, "Body matched CEL expression", "expression" => source(unwanted), "body" => begins);
        }
        Judgement::Missing => {
            wrong = Wrong::DoesNotHold(source(wanted));
            log!(log, Error, "Body did not match CEL expression", "expression" => source(wanted), "body" => begins);
        }
    }
    Err(wrong)
}

/// Does the work off the async threads when it is its turn; or says why it did not come to its end.
async fn aside<T: Send + 'static>(
    deadline: Deadline,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let place = deadline.within(Arc::clone(&PLACES).acquire_owned()).await;
    let place = place.map_err(|timed_out| {
        format!("operation interrupted: {timed_out} while waiting for other evaluations to end")
    })?;
    let work = tokio::task::spawn_blocking(move || {
        let _place = place;
        work()
    });
    match deadline.within(work).await {
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
                Some(Ok(Answer::NotBool)) => return Judgement::NotBool,
                Some(Ok(Answer::Bool(truth))) if truth == bad => return verdict,
                Some(Ok(Answer::Bool(_))) | None => {}
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
        let failed = |message: &str| Err(message.to_owned());
        assert_eq!(judged(BODY, None, None).await, Ok(()));
        assert_eq!(judged(BODY, None, Some("body.status == 'ok'")).await, Ok(()));
        assert_eq!(
            judged(BODY, Some("body.n > 9"), Some("body.n == 5")).await,
            Ok(())
        );
        assert_eq!(
            judged(BODY, None, Some("body.list.all(x, x > 0) && body.yes")).await,
            Ok(())
        );
        assert_eq!(
            judged(BODY, Some("body.n == 5"), None).await,
            failed("Body matched CEL expression")
        );
        assert_eq!(
            judged(BODY, None, Some("body.n == 6")).await,
            failed("Body did not match CEL expression")
        );
        assert_eq!(
            judged(BODY, None, Some("body.n")).await,
            failed("CEL evaluation result is not a boolean")
        );
        assert_eq!(
            judged(BODY, None, Some("body.missing == 1")).await,
            failed("Error evaluating CEL expression")
        );
        assert_eq!(
            judged("hello", None, Some("true")).await,
            failed("Error unmarshalling HTTP body to JSON")
        );
    }

    /// What cel-go says: `None` for what it does not compile, an error for what it cannot evaluate.
    #[test]
    fn expressions_mean_what_they_mean_to_cel_go() {
        const BODY: &str = r#"{"status": "ok", "n": 5, "f": 2.5, "big": 9007199254740993, "list": [1, 2, 3], "nil": null,
            "nested": {"a": {"b": [{"c": "deep"}]}}, "yes": true, "no": false, "when": "2024-01-02T03:04:05Z",
            "mixed": [1, "a", null, true], "odd-key": 1}"#;
        const FAILS: Option<Result<bool, ()>> = Some(Err(()));
        const YES: Option<Result<bool, ()>> = Some(Ok(true));
        const NO: Option<Result<bool, ()>> = Some(Ok(false));
        #[rustfmt::skip]
        let rows = [
            // What compiles.
            ("nope == 1", None),
            ("nope(body)", None),
            ("body.nope()", None),
            ("1 == 1.0", None),
            ("1 == 'a'", None),
            ("1 + 1.0 == 2.0", None),
            ("1 < 2u", None),
            ("1 in 1", None),
            ("[1] == ['a']", None),
            ("true && 1", None),
            ("1 ? true : false", None),
            ("true ? 1 : 'a'", None),
            ("'a'.x", None),
            ("has(body)", None),
            ("has([1].x)", None),
            ("body[null]", None),
            ("true || nope", None),
            ("[1].all(x, y)", None),
            ("1.all(x, true)", None),
            ("'abc'.lowerAscii() == 'abc'", None),
            ("optional.of(1).hasValue()", None),
            ("body.n.getHours()", FAILS),
            ("dyn(1) == 'a'", NO),
            ("[1, 'a'] == ['a', 1]", NO),
            ("null == timestamp(0)", NO),
            ("type(1) == type('a')", NO),
            ("google.protobuf.Timestamp == type(timestamp(0))", YES),
            // compat: cel-go compiles messages and any map key, has no existsOne, and cannot add a map to a list.
            ("google.protobuf.Int64Value{value: 5} == 5", None),
            ("body.n in {1.5: 2}", FAILS),
            ("[1, 2].existsOne(x, x == 1)", YES),
            ("[1] + dyn({'a': 1}) == [1, 'a']", YES),
            (".body.n == 5", YES),
            ("body.`odd-key` == 1", YES),
            ("body.list.all(body, body > 0)", YES),
            // Numbers of JSON are doubles.
            ("body.n == 5 && body.n == 5u && body.n == 5.0", YES),
            ("body.n > 4", YES),
            ("body.n + 1 == 6", FAILS),
            ("body.n / 2.0 == 2.5", YES),
            ("body.n % 2 == 1", FAILS),
            ("type(body.n) == double", YES),
            ("string(body.n) == '5'", YES),
            ("string(body.big) == '9.007199254740992e+15'", YES),
            ("string(1000000.0) == '1e+06'", YES),
            ("int(body.f) == 2", YES),
            ("string(-0.0) == '-0'", YES),
            ("double('1e400') > 1.0", FAILS),
            ("double('1_000') == 1000.0", YES),
            ("int('+5') == 5", YES),
            ("uint('+5') == 5u", FAILS),
            ("1 / 0 == 1", FAILS),
            ("9223372036854775807 + 1 == 1", FAILS),
            // Maps, lists, macros.
            ("body.missing == 1", FAILS),
            ("has(body.missing) || has(body.n.x)", NO),
            ("has(body.list.x)", FAILS),
            ("'status' in body && !(null in body)", YES),
            ("2 in body.list", YES),
            ("body.list[0.0] == 1", YES),
            ("body.list[9] == 1", FAILS),
            ("body.nested.a.b[0].c == 'deep'", YES),
            ("{'a': 1, 'a': 2} == {'a': 2}", YES),
            ("body.list.map(x, x > 1, x * 2.0) == [4.0, 6.0]", YES),
            ("body.mixed.exists(x, x == 'a')", YES),
            ("body.mixed.all(x, x > 0)", FAILS),
            ("body.missing == 1 || body.yes", YES),
            ("body.missing == 1 || body.no", FAILS),
            // Text, times.
            ("'a{,2}'.matches('^a{,2}$')", YES),
            (r"'٣'.matches(r'^\d$')", NO),
            ("'a'.matches('(')", FAILS),
            ("bool('T') && !bool('0')", YES),
            ("bool('yes')", FAILS),
            ("timestamp(body.when).getHours('+01:00') == 4", YES),
            ("timestamp(body.when).getHours('+25:30') == 4", YES),
            ("timestamp(body.when).getDate('-24:00') == 1", YES),
            ("timestamp(body.when).getHours('') == 3", YES),
            ("timestamp(body.when).getHours('UTC') == 3", YES),
            ("timestamp(body.when).getHours('Mars/Olympus') == 3", FAILS),
            ("timestamp(body.when).getHours('1:') == 3", FAILS),
            ("timestamp(body.when).getHours(1) == 3", None),
            ("timestamp(body.when).getHours('Local') >= 0", YES),
            // compat: cel-go knows offsets of a day and more here.
            ("timestamp('2024-01-02T03:04:05+24:00') == timestamp(body.when)", FAILS),
            ("timestamp('2024-01-02T03:04:05+04:00').getDate() == 1", YES),
            ("timestamp('2020-01-01T0:00:00Z') == timestamp('2020-01-01T00:00:00Z')", YES),
            ("timestamp('2020-01-01 00:00:00Z') == timestamp(0)", FAILS),
            ("string(timestamp('2020-01-01T00:00:00.50+01:00')) == '2020-01-01T00:00:00.5+01:00'", YES),
            ("duration('1h-1m') == duration('59m')", FAILS),
            ("duration('1µs') == duration('1000ns')", YES),
            ("int(duration('1s')) == 1000000000", YES),
        ];
        let end = Instant::now() + Duration::from_secs(30);
        let share = memory::take_some(Use::Bodies, MOST_VALUES);
        let budget = json::Budget {
            memory: share.bytes(),
            end,
        };
        let body = json::parse(BODY.as_bytes(), budget).unwrap();
        for (source, want) in rows {
            let got = Cel::new(source).ok().map(|cel| match cel.evaluate(&body, end) {
                Ok(Answer::Bool(truth)) => Ok(truth),
                Ok(Answer::NotBool) | Err(_) => Err(()),
            });
            assert_eq!(got, want, "{source}");
        }
    }

    #[tokio::test]
    async fn work_breaks_off_at_the_deadline() {
        let list = |length: usize| format!("[{}1]", "1,".repeat(length - 1));
        let nested = "body.all(a, body.all(b, body.all(c, body.all(d, a + b + c + d > 0.0))))";
        // The second does not come to its expression.
        for (body, source) in [(list(1000), nested), (list(900_000), "true")] {
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
