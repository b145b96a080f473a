//! Expressions: compiled once, and what they know of a body.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use cel::common::ast::IdedExpr;
use cel::parser::Parser;
use cel::{Context, Env, Value};
use gostd::stack;

use super::meter::{self, Meter};
use super::{DEEP_STACK, check, go};

/// Expressions of fewer bytes cannot nest deeply.
const SHORT: usize = 100;
/// How deeply an expression may nest, as in cel-go.
const MAX_RECURSION: u16 = 249;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    // The last of equal keys counts, as in cel-go.
    env.set_error_on_duplicate_map_keys(false);
    Arc::new(env)
});

/// A compiled expression.
#[derive(Clone)]
pub struct Cel {
    pub(super) source: Arc<str>,
    pub(super) program: Arc<IdedExpr>,
    /// How deeply it nests.
    pub(super) depth: usize,
    /// Whether its author is untrusted.
    pub(super) is_metered: bool,
}

/// Why an expression does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
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

    pub(super) fn evaluate(&self, body: &Value, end: Instant) -> Result<Truth, String> {
        let context = self.context(body, end);
        match Value::resolve(&self.program, &context) {
            Ok(Value::Bool(truth)) => Ok(Truth::Bool(truth)),
            Ok(_) => Ok(Truth::NotBool),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What the expression knows.
    pub(super) fn context(&self, body: &Value, end: Instant) -> Context<'static, 'static> {
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

pub(super) fn parser() -> Parser {
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
pub(super) enum Truth {
    Bool(bool),
    NotBool,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{MOST_VALUES, json};
    use super::*;
    use crate::memory::{self, Use};

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
                Ok(Truth::Bool(truth)) => Ok(truth),
                Ok(Truth::NotBool) | Err(_) => Err(()),
            });
            assert_eq!(got, want, "{source}");
        }
    }
}
