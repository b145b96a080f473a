//! CEL expressions over a JSON body, which they know as `body`.

mod json;

use std::fmt;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use cel::{Context, Env, Program, Value};
use tokio::sync::Semaphore;

use super::stack;
use crate::log;
use crate::net::Deadline;
use crate::probe_log::{ProbeLog, text};

/// Bodies that nest deeper than this are handled on a thread with a larger stack.
const SHALLOW: usize = 100;
/// Enough for the deepest body that is accepted.
const DEEP_STACK: usize = 256 << 20;

/// How many evaluations run at once. One that outlives its probe keeps its place until it ends.
static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    Arc::new(Semaphore::new(processors.max(2)))
});

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let env = Env::stdlib().with_optional_support(false);
    Arc::new(env)
});

/// A compiled expression.
#[derive(Clone)]
pub struct Cel {
    source: Arc<str>,
    program: Arc<Program>,
}

/// Why an expression does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CelError(String);

impl fmt::Display for CelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CelError {}

impl Cel {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What does not parse, and names and functions that do not exist.
    pub fn new(source: &str) -> Result<Self, CelError> {
        let program = ENVIRONMENT
            .compile(source)
            .map_err(|errors| CelError(errors.to_string()))?;
        Ok(Self {
            source: source.into(),
            program: Arc::new(program),
        })
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    fn evaluate(&self, body: &Value) -> Result<Answer, String> {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.add_variable_from_value("body", body.clone());
        match self.program.execute(&context) {
            Ok(Value::Bool(truth)) => Ok(Answer::Bool(truth)),
            Ok(_) => Ok(Answer::NotBool),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl fmt::Debug for Cel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cel({:?})", self.source)
    }
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

/// Judges a JSON body: `unwanted` must be false and `wanted` true. The reason for a failure goes into the log.
///
/// The work is done off the async threads. It cannot be interrupted: at the deadline it is left to itself.
pub async fn judge(
    body: Bytes,
    unwanted: Option<&Cel>,
    wanted: Option<&Cel>,
    deadline: Deadline,
    log: &mut ProbeLog,
) -> bool {
    let (no, yes) = (unwanted.cloned(), wanted.cloned());
    let work = async move {
        let place = Arc::clone(&PLACES).acquire_owned().await.ok();
        tokio::task::spawn_blocking(move || {
            let _place = place;
            judge_here(&body, no.as_ref(), yes.as_ref())
        })
        .await
    };
    let judgement = match deadline.within(work).await {
        Ok(Ok(judgement)) => judgement,
        Ok(Err(_)) => Judgement::Failed("the evaluation broke off".to_owned()),
        Err(timed_out) => Judgement::Failed(format!("operation interrupted: {timed_out}")),
    };
    let source = |cel: Option<&Cel>| cel.map_or_else(String::new, |cel| cel.source().to_owned());
    match judgement {
        Judgement::Passed => return true,
        Judgement::NotJson(error) => {
            log!(log, Error, "Error unmarshalling HTTP body to JSON", "err" => text(&error));
        }
        Judgement::Failed(error) => log!(log, Error, "Error evaluating CEL expression", "err" => error),
        Judgement::NotBool => log!(log, Error, "CEL evaluation result is not a boolean"),
        Judgement::Matched => {
            log!(log, Error, "Body matched CEL expression", "expression" => source(unwanted));
        }
        Judgement::Missing => {
            log!(log, Error, "Body did not match CEL expression", "expression" => source(wanted));
        }
    }
    false
}

fn judge_here(body: &[u8], unwanted: Option<&Cel>, wanted: Option<&Cel>) -> Judgement {
    let all = || {
        let body = match json::parse(body) {
            Ok(body) => body,
            Err(error) => return Judgement::NotJson(error),
        };
        for (cel, bad, verdict) in [
            (unwanted, true, Judgement::Matched),
            (wanted, false, Judgement::Missing),
        ] {
            match cel.map(|cel| cel.evaluate(&body)) {
                Some(Err(error)) => return Judgement::Failed(error),
                Some(Ok(Answer::NotBool)) => return Judgement::NotBool,
                Some(Ok(Answer::Bool(truth))) if truth == bad => return verdict,
                Some(Ok(Answer::Bool(_))) | None => {}
            }
        }
        Judgement::Passed
    };
    if json::depth(body) <= SHALLOW {
        return all();
    }
    stack::with(DEEP_STACK, all).unwrap_or_else(|| Judgement::Failed("no memory for the stack".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::Instant;

    async fn judged(body: &'static str, unwanted: Option<&str>, wanted: Option<&str>) -> Result<(), String> {
        let compile = |source: &str| Cel::new(source).unwrap();
        let (unwanted, wanted) = (unwanted.map(compile), wanted.map(compile));
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(30));
        let mut log = ProbeLog::default();
        let body = Bytes::from_static(body.as_bytes());
        if judge(body, unwanted.as_ref(), wanted.as_ref(), deadline, &mut log).await {
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

    #[tokio::test]
    async fn deep_bodies_do_not_break_the_stack() {
        let deep: &'static str = Box::leak(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)).into());
        assert_eq!(judged(deep, None, Some("true")).await, Ok(()));
        let deeper: &'static str = Box::leak("[".repeat(1_000_000).into());
        let error = judged(deeper, None, Some("true")).await;
        assert_eq!(error, Err("Error unmarshalling HTTP body to JSON".to_owned()));
    }
}
