//! Where the evaluator differs from cel-go, calls are led past functions that make up for it.

use std::sync::Arc;
use std::time::Instant;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::extractors::Arguments;
use cel::objects::Key;
use cel::{Context, ExecutionError, Value};
use chrono::TimeDelta;
use jiff::tz::TimeZone;

use super::meter::Meter;
use crate::check::Regexp;
use crate::check::regexp::{Limits, PIECE, SHORT, Search};
use crate::metrics::push_float;
use crate::strconv::parse_float;

/// Rewrites an expression for [`add_functions`]. With `is_metered`, what it makes is counted.
pub(super) fn adapt(expression: &mut IdedExpr, is_metered: bool) {
    let adapt = |part: &mut IdedExpr| adapt(part, is_metered);
    match &mut expression.expr {
        Expr::Call(call) => {
            call.target.as_deref_mut().into_iter().for_each(adapt);
            call.args.iter_mut().for_each(adapt);
            let is_conversion = matches!(call.func_name.as_str(), "string" | "bytes");
            adapt_call(call);
            if is_metered && call.func_name == "_+_" {
                call.func_name = "go_add".to_owned();
            }
            if is_metered && is_conversion {
                let made = std::mem::take(expression);
                *expression = call_of("go_counted", made);
            }
        }
        Expr::Select(select) => {
            adapt(&mut select.operand);
            if select.test {
                let operand = std::mem::take(&mut *select.operand);
                let field = LiteralValue::String(std::mem::take(&mut select.field).into());
                expression.expr = Expr::Call(CallExpr {
                    func_name: "go_has".to_owned(),
                    target: None,
                    args: vec![
                        operand,
                        IdedExpr {
                            id: expression.id,
                            expr: Expr::Literal(field),
                        },
                    ],
                });
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(adapt),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    adapt(&mut entry.key);
                    adapt(&mut entry.value);
                }
            }
        }
        Expr::Comprehension(of) => {
            for part in [
                &mut of.iter_range,
                &mut of.accu_init,
                &mut of.loop_cond,
                &mut of.loop_step,
                &mut of.result,
            ] {
                adapt(part);
            }
            // Every turn of every loop looks at the clock.
            let condition = std::mem::take(&mut of.loop_cond);
            of.loop_cond = call_of("go_in_time", condition);
        }
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
    }
}

fn adapt_call(call: &mut CallExpr) {
    let prepare = match call.func_name.as_str() {
        "matches" => {
            call.func_name = "go_matches".to_owned();
            call.args.splice(0..0, call.target.take().map(|target| *target));
            return;
        }
        "@in" => {
            call.func_name = "go_in".to_owned();
            return;
        }
        // Without a zone they are UTC's, whatever offset the time was written with; with one they are read where it is.
        "getFullYear" | "getMonth" | "getDayOfYear" | "getDayOfMonth" | "getDate" | "getDayOfWeek"
        | "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds"
            if call.args.len() <= 1 =>
        {
            if let Some(target) = &mut call.target {
                let mut moment = call_of("go_there", std::mem::take(&mut **target));
                if let Expr::Call(there) = &mut moment.expr {
                    there.args.append(&mut call.args);
                }
                **target = moment;
            }
            return;
        }
        "string" => "go_for_string",
        "int" => "go_for_int",
        "uint" => "go_for_uint",
        "double" => "go_for_double",
        "bool" => "go_for_bool",
        "timestamp" => "go_for_timestamp",
        "duration" => "go_for_duration",
        _ => return,
    };
    for argument in &mut call.args {
        *argument = call_of(prepare, std::mem::take(argument));
    }
}

fn call_of(function: &str, argument: IdedExpr) -> IdedExpr {
    IdedExpr {
        id: argument.id,
        expr: Expr::Call(CallExpr {
            func_name: function.to_owned(),
            target: None,
            args: vec![argument],
        }),
    }
}

type CelResult = Result<Value, ExecutionError>;

/// Adds the functions that adapted expressions call. After `end`, loops are broken off; with a meter, when it says so, too.
pub(super) fn add_functions(context: &mut Context<'_, '_>, end: Instant, meter: Option<&Meter>) {
    let prepared = |prepare: fn(Value) -> CelResult| {
        move |Arguments(given): Arguments| match given.as_slice() {
            [value] => prepare(value.clone()),
            _ => Err(ExecutionError::invalid_argument_count(1, given.len())),
        }
    };
    // Invariant: none of these names is declared already.
    let _ = context.add_function("go_for_string", prepared(for_string));
    let _ = context.add_function("go_for_int", prepared(for_int));
    let _ = context.add_function("go_for_uint", prepared(for_uint));
    let _ = context.add_function("go_for_double", prepared(for_double));
    let _ = context.add_function("go_for_bool", prepared(for_bool));
    let _ = context.add_function("go_for_timestamp", prepared(for_timestamp));
    let _ = context.add_function("go_for_duration", prepared(for_duration));
    let _ = context.add_function("go_there", |Arguments(given): Arguments| there(&given));
    let _ = context.add_function("go_has", |Arguments(given): Arguments| has(&given));
    let _ = context.add_function("go_in", |Arguments(given): Arguments| contains(&given));
    let searched = meter.cloned();
    let _ = context.add_function("go_matches", move |Arguments(given): Arguments| {
        matches(&given, end, searched.as_ref())
    });
    let turns = meter.cloned();
    let _ = context.add_function("go_in_time", move |proceed: bool| {
        in_time("loop", end)?;
        turns.as_ref().map_or(Ok(()), Meter::turn)?;
        Ok(proceed)
    });
    if let Some(meter) = meter.cloned() {
        let counted = meter.clone();
        let _ = context.add_function("go_counted", move |Arguments(given): Arguments| {
            let value = given.first().cloned().unwrap_or(Value::Null);
            counted.value(&value)?;
            Ok(value)
        });
        let _ = context.add_function("go_add", move |Arguments(given): Arguments| {
            let mut given = Arc::unwrap_or_clone(given);
            let (Some(right), Some(left)) = (given.pop(), given.pop()) else {
                return Err(ExecutionError::invalid_argument_count(2, given.len()));
            };
            // A copy of both texts, or of the right list: the left one grows.
            if !matches!(left, Value::List(_)) {
                meter.value(&left)?;
            }
            meter.value(&right)?;
            left + right
        });
    }
}

/// An error after the deadline.
fn in_time(function: &str, end: Instant) -> Result<(), ExecutionError> {
    if Instant::now() > end {
        return Err(ExecutionError::function_error(function, "operation interrupted"));
    }
    Ok(())
}

fn text(text: impl Into<String>) -> Value {
    Value::String(text.into().into())
}

/// Doubles and times as Go prints them.
fn for_string(value: Value) -> CelResult {
    Ok(match value {
        // Which `push_float` does not tell from zero.
        Value::Float(number) if number == 0.0 && number.is_sign_negative() => text("-0"),
        Value::Float(number) => {
            let mut digits = Vec::new();
            push_float(&mut digits, number);
            text(String::from_utf8_lossy(&digits))
        }
        Value::Timestamp(moment) => {
            let seconds = moment.format("%Y-%m-%dT%H:%M:%S").to_string();
            let fraction = moment.format("%.9f").to_string();
            let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
            let zone = moment.format("%:z").to_string();
            let zone = if zone == "+00:00" { "Z" } else { &zone };
            text(format!("{seconds}{fraction}{zone}"))
        }
        other => other,
    })
}

/// The nanoseconds of a duration.
fn for_int(value: Value) -> CelResult {
    Ok(match value {
        Value::Duration(length) => Value::Int(length.num_nanoseconds().unwrap_or(i64::MAX)),
        other => other,
    })
}

/// No sign may stand before it.
fn for_uint(value: Value) -> CelResult {
    match &value {
        Value::String(digits) if digits.starts_with('+') => conversion_error("string", "uint"),
        _ => Ok(value),
    }
}

/// Texts as Go's `strconv.ParseFloat` reads them.
fn for_double(value: Value) -> CelResult {
    match &value {
        Value::String(digits) => match parse_float(digits) {
            Ok(number) => Ok(Value::Float(number)),
            Err(_) => conversion_error("string", "double"),
        },
        _ => Ok(value),
    }
}

/// A time whose parts in UTC are what the clocks of a zone show, or those of UTC itself.
fn there(given: &[Value]) -> CelResult {
    let (moment, seconds) = match given {
        [Value::Timestamp(moment)] => (moment, 0),
        [Value::Timestamp(moment), Value::String(zone)] => (moment, seconds_east(zone, moment.timestamp())?),
        // What has no parts fails when it is asked for them.
        [other, ..] => return Ok(other.clone()),
        [] => return Err(ExecutionError::invalid_argument_count(1, 0)),
    };
    let shifted = TimeDelta::try_seconds(seconds).and_then(|by| moment.to_utc().checked_add_signed(by));
    match shifted {
        Some(shifted) => Ok(Value::Timestamp(shifted.fixed_offset())),
        None => Err(ExecutionError::function_error("timezone", "out of range")),
    }
}

/// How far a zone is before UTC: the name of one that the system knows, or an offset, which has a colon.
fn seconds_east(zone: &str, at: i64) -> Result<i64, ExecutionError> {
    let error = |reason: String| ExecutionError::function_error("timezone", reason);
    let Some((hours, minutes)) = zone.split_once(':') else {
        let unknown = |_| error(format!("unknown time zone {zone}"));
        let named = match zone {
            "" | "UTC" => TimeZone::UTC,
            "Local" => TimeZone::system(),
            name => TimeZone::get(name).map_err(unknown)?,
        };
        let at = jiff::Timestamp::from_second(at).map_err(unknown)?;
        return Ok(named.to_offset(at).seconds().into());
    };
    let number = |digits: &str| {
        digits
            .parse::<i32>()
            .map(i64::from)
            .map_err(|why| error(why.to_string()))
    };
    let (hours, mut minutes) = (number(hours)?, number(minutes)?);
    if zone.starts_with('-') {
        minutes = -minutes;
    }
    Ok((hours * 60 + minutes) * 60)
}

fn for_bool(value: Value) -> CelResult {
    Ok(match value {
        Value::String(word) => match word.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Value::Bool(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Value::Bool(false),
            _ => return conversion_error("string", "bool"),
        },
        other => other,
    })
}

/// Times as RFC 3339 has them and Go reads them, and no other way.
fn for_timestamp(value: Value) -> CelResult {
    let Value::String(written) = &value else {
        return Ok(value);
    };
    // Go takes a comma for the point of the seconds, and an hour of one digit.
    let mut normal = written.replace(',', ".");
    if normal.get(10..11) == Some("T") && normal.get(12..13) == Some(":") {
        normal.insert(11, '0');
    }
    let shape: String = normal
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let rest = shape.strip_prefix("0000-00-00T00:00:00");
    let is_time = rest.is_some_and(|rest| {
        let zone = match rest.strip_prefix('.') {
            Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
            Some(_) => return false,
            None => rest,
        };
        matches!(zone, "Z" | "+00:00" | "-00:00")
    });
    if !is_time || normal.get(17..19) == Some("60") {
        return conversion_error("string", "google.protobuf.Timestamp");
    }
    Ok(text(normal))
}

/// Durations as Go's `time.ParseDuration` reads them.
fn for_duration(value: Value) -> CelResult {
    let Value::String(written) = &value else {
        return Ok(value);
    };
    let normal = written.replace(['µ', 'μ'], "u");
    let mut rest = normal.trim_start_matches(['+', '-']);
    let signs = normal.len() - rest.len();
    let mut is_duration = signs <= 1 && !rest.is_empty();
    while is_duration && !rest.is_empty() && rest != "0" {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let digits = rest.get(..rest.len() - number.len()).unwrap_or_default();
        let unit = ["ns", "us", "ms", "s", "m", "h"]
            .iter()
            .find(|unit| number.starts_with(**unit));
        let valid = digits.bytes().any(|b| b.is_ascii_digit()) && digits.matches('.').count() <= 1;
        match unit {
            Some(unit) if valid => rest = number.get(unit.len()..).unwrap_or_default(),
            _ => is_duration = false,
        }
    }
    if !is_duration {
        return conversion_error("string", "google.protobuf.Duration");
    }
    Ok(text(normal))
}

fn conversion_error(from: &str, to: &str) -> CelResult {
    let message = format!("type conversion error from '{from}' to '{to}'");
    Err(ExecutionError::function_error(to, message))
}

/// Whether a field is there; what has no fields has none.
fn has(given: &[Value]) -> CelResult {
    match given {
        [Value::Map(map), Value::String(field)] => {
            let key = Key::String(field.clone());
            Ok(Value::Bool(map.map.contains_key(&key)))
        }
        [Value::List(_), _] => Err(ExecutionError::function_error(
            "has",
            "unsupported index type 'string' in list",
        )),
        _ => Ok(Value::Bool(false)),
    }
}

/// Whether a list has a value or a map a key. A value that cannot be a key is none.
fn contains(given: &[Value]) -> CelResult {
    match given {
        [item, Value::List(list)] => Ok(Value::Bool(list.iter().any(|other| other == item))),
        [item, Value::Map(map)] => {
            let key = match item {
                Value::String(text) => Key::String(text.clone()),
                Value::Bool(truth) => Key::Bool(*truth),
                Value::Int(number) => Key::Int(*number),
                Value::UInt(number) => Key::Uint(*number),
                Value::Float(number) if number.fract() == 0.0 && number.abs() < 9.0e18 => {
                    // Whole and in range: checked above.
                    #[allow(clippy::cast_possible_truncation)]
                    Key::Int(*number as i64)
                }
                _ => return Ok(Value::Bool(false)),
            };
            Ok(Value::Bool(map.get(&key).is_some()))
        }
        [item, other] => {
            let types = vec![item.type_of().to_string(), other.type_of().to_string()];
            Err(ExecutionError::no_such_overload("@in", types))
        }
        _ => Err(ExecutionError::invalid_argument_count(2, given.len())),
    }
}

/// Whether a text matches an expression with Go's syntax. The bytes that are searched are counted.
fn matches(given: &[Value], end: Instant, meter: Option<&Meter>) -> CelResult {
    match given {
        [value @ Value::String(text), Value::String(pattern)] => {
            meter.map_or(Ok(()), |meter| meter.value(value))?;
            in_time("matches", end)?;
            let limits = meter.map_or_else(Limits::default, |_| Limits::SMALL);
            let regexp = Regexp::within(pattern, limits)
                .map_err(|error| ExecutionError::function_error("matches", error))?;
            if text.len() <= SHORT {
                return Ok(Value::Bool(regexp.is_match(text.as_bytes())));
            }
            let mut search = Search::new([&regexp]);
            for piece in text.as_bytes().chunks(PIECE) {
                in_time("matches", end)?;
                search.feed(piece);
            }
            Ok(Value::Bool(search.matches(0)))
        }
        _ => {
            let types = given.iter().map(|value| value.type_of().to_string());
            Err(ExecutionError::no_such_overload("matches", types.collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_the_systems() {
        if TimeZone::get("Europe/Berlin").is_err() {
            assert!(
                std::env::var_os("REQUIRE_PROGRAMS").is_none(),
                "this test needs tzdata"
            );
            println!("skipped: needs tzdata");
            return;
        }
        // 2024, in January and in July.
        for (at, hours) in [(1_704_067_200, 1), (1_719_792_000, 2)] {
            assert_eq!(seconds_east("Europe/Berlin", at).unwrap(), hours * 3600);
        }
    }
}
