//! What an expression and its parts come to, for who wants to know why.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Instant;

use bytes::Bytes;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, SourceInfo};
use cel::objects::Key;
use cel::{Context, Value};

use super::expression::{Cel, parser};
use super::{aside, go, with_value};
use crate::net::Deadline;

/// Most parts of an expression that are told.
const PARTS: usize = 30;
/// Most items of a list for which the condition of a loop is told.
const ITEMS: usize = 5;
/// Most bytes of a value or a part that are told.
const SHOWN: usize = 300;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// As it was written.
    pub text: String,
    /// What it comes to, or why to nothing.
    pub value: String,
}

/// What an expression comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// Its value, or why it has none.
    pub value: String,
    /// Its parts, in the order of the text.
    pub parts: Vec<Part>,
}

/// Evaluates an expression over a JSON body, and each of its parts.
pub async fn explain(body: Bytes, cel: &Cel, deadline: Deadline) -> Explained {
    let (cel, end) = (cel.clone(), deadline.at().into_std());
    let work = aside(cel.is_metered, deadline, move || {
        with_value(&body, cel.depth, end, |body| match body {
            Ok(body) => explain_here(&body, &cel, end),
            Err(error) => failed(format!("the body is not JSON: {error}")),
        })
        .unwrap_or_else(|| failed("no memory for the stack".to_owned()))
    });
    work.await.unwrap_or_else(failed)
}

fn failed(why: String) -> Explained {
    Explained {
        value: why,
        ..Explained::default()
    }
}

fn explain_here(body: &Value, cel: &Cel, end: Instant) -> Explained {
    let context = cel.context(body, end);
    let whole = Value::resolve(&cel.program, &context);
    let mut explained = Explained {
        value: result(&whole),
        parts: Vec::new(),
    };
    // Invariant: it parsed when it was compiled.
    let Ok((program, info)) = parser().parse_with_source_info(&cel.source) else {
        return explained;
    };
    let mut parts = Parts {
        cel,
        text: cel.source.as_bytes(),
        info: &info,
        found: Vec::new(),
    };
    parts.below(&program, &context);
    parts.found.sort_by_key(|(at, _)| *at);
    parts.found.dedup_by(|(_, a), (_, b)| a.text == b.text);
    explained.parts = parts.found.into_iter().map(|(_, part)| part).collect();
    explained
}

struct Parts<'e> {
    cel: &'e Cel,
    text: &'e [u8],
    info: &'e SourceInfo,
    /// With the place where each begins.
    found: Vec<(usize, Part)>,
}

impl Parts<'_> {
    /// Tells the parts below an expression.
    fn below(&mut self, expression: &IdedExpr, context: &Context<'_, '_>) {
        match &expression.expr {
            Expr::Comprehension(of) => {
                self.part(&of.iter_range, context);
                self.turns(of, context);
            }
            _ => children(expression)
                .into_iter()
                .for_each(|child| self.part(child, context)),
        }
    }

    fn part(&mut self, expression: &IdedExpr, context: &Context<'_, '_>) {
        let is_telling = matches!(
            expression.expr,
            Expr::Call(_) | Expr::Select(_) | Expr::Comprehension(_)
        );
        if is_telling {
            self.tell(expression, context, "");
        }
        self.below(expression, context);
    }

    /// Tells the condition of a loop for the first items.
    fn turns(&mut self, of: &ComprehensionExpr, context: &Context<'_, '_>) {
        let Expr::Call(step) = &of.loop_step.expr else {
            return;
        };
        let ("_&&_" | "_||_", [_, condition], None) =
            (step.func_name.as_str(), step.args.as_slice(), &of.iter_var2)
        else {
            return;
        };
        let Ok(Value::List(items)) = self.evaluate(&of.iter_range, context) else {
            return;
        };
        for item in items.iter().take(ITEMS) {
            let mut inner = context.new_inner_scope();
            inner.add_variable_from_value(of.iter_var.clone(), item.clone());
            let with = format!("  with {} = {}", of.iter_var, show(item));
            self.tell(condition, &inner, &with);
        }
    }

    fn tell(&mut self, expression: &IdedExpr, context: &Context<'_, '_>, with: &str) {
        if self.found.len() >= PARTS {
            return;
        }
        let Some(range) = self.range(expression) else {
            return;
        };
        let at = *range.start();
        let text = String::from_utf8_lossy(self.text.get(range).unwrap_or_default());
        let part = Part {
            text: format!("{}{with}", cut(&text)),
            value: result(&self.evaluate(expression, context)),
        };
        self.found.push((at, part));
    }

    fn evaluate(&self, expression: &IdedExpr, context: &Context<'_, '_>) -> cel::ResolveResult {
        let mut adapted = expression.clone();
        go::adapt(&mut adapted, self.cel.is_metered);
        Value::resolve(&adapted, context)
    }

    /// Where an expression stands, in bytes: from the first of its tokens to the last, and what closes the brackets in it.
    fn range(&self, expression: &IdedExpr) -> Option<RangeInclusive<usize>> {
        let (mut start, mut end) = self.tokens(expression)?;
        let text = self.text;
        loop {
            let (opened, closed) = unbalanced(text.get(start..=end)?);
            if closed > 0 {
                start = text
                    .get(..start)?
                    .iter()
                    .rposition(|c| matches!(c, b'(' | b'[' | b'{'))?;
            } else if opened > 0 {
                let rest = text.get(end + 1..)?;
                end += 1 + rest.iter().position(|c| matches!(c, b')' | b']' | b'}'))?;
            } else {
                break;
            }
        }
        // A function's name stands before its bracket.
        if text.get(start) == Some(&b'(') {
            let is_name = |c: &&u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.');
            start -= text.get(..start)?.iter().rev().take_while(is_name).count();
        }
        Some(start..=end)
    }

    /// Where an expression ends whose own token ends at `stop`: behind the point of a selection stands the field.
    fn end(&self, expression: &IdedExpr, stop: usize) -> usize {
        match &expression.expr {
            Expr::Select(select) if !select.test => {
                let rest = self.text.get(stop + 1..).unwrap_or_default();
                let blank = rest.iter().take_while(|c| c.is_ascii_whitespace()).count();
                let is_quoted = rest.get(blank) == Some(&b'`');
                stop + blank + select.field.len() + if is_quoted { 2 } else { 0 }
            }
            _ => stop,
        }
    }

    fn tokens(&self, expression: &IdedExpr) -> Option<(usize, usize)> {
        let own = self.info.offset_for(expression.id).map(|(start, stop)| {
            let index = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
            (index(start), self.end(expression, index(stop)))
        });
        let below = match &expression.expr {
            Expr::Comprehension(of) => vec![&of.iter_range, &of.loop_step],
            _ => children(expression),
        };
        let below = below.into_iter().filter_map(|child| self.tokens(child));
        own.into_iter()
            .chain(below)
            .reduce(|(a, b), (c, d)| (a.min(c), b.max(d)))
    }
}

/// The expressions right below one that is no loop.
fn children(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
                EntryExpr::StructField(field) => vec![&field.value],
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// How many brackets are open at the end of a text, and how many are closed in it that were opened before.
fn unbalanced(text: &[u8]) -> (usize, usize) {
    let (mut opened, mut closed, mut quote, mut escaped) = (0_usize, 0, None, false);
    for c in text {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(mark), c) if mark == c => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'' | b'`') => quote = Some(c),
            (None, b'(' | b'[' | b'{') => opened += 1,
            (None, b')' | b']' | b'}') if opened == 0 => closed += 1,
            (None, b')' | b']' | b'}') => opened -= 1,
            (None, _) => {}
        }
    }
    (opened, closed)
}

fn result(result: &cel::ResolveResult) -> String {
    match result {
        Ok(value) => show(value),
        Err(error) => format!("error: {}", cut(&error.to_string())),
    }
}

/// A value as it would be written, cut where it is long.
fn show(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    cut(&out)
}

fn cut(text: &str) -> String {
    crate::display::short(text, SHOWN)
}

fn write_value(out: &mut String, value: &Value) {
    // Whatever comes behind is cut off.
    if out.len() > 4 * SHOWN {
        return;
    }
    // Writing to a String cannot fail.
    let _ = match value {
        Value::String(text) => write!(
            out,
            "{:?}",
            text.get(..text.floor_char_boundary(4 * SHOWN)).unwrap_or(text)
        ),
        Value::Bytes(bytes) => write!(
            out,
            "b{:?}",
            String::from_utf8_lossy(bytes.get(..SHOWN).unwrap_or(bytes))
        ),
        Value::Int(number) => write!(out, "{number}"),
        Value::UInt(number) => write!(out, "{number}u"),
        Value::Float(number) => write!(out, "{number}"),
        Value::Bool(truth) => write!(out, "{truth}"),
        Value::Null => write!(out, "null"),
        Value::Duration(length) => write!(out, "duration({length})"),
        Value::Timestamp(moment) => write!(out, "timestamp({})", moment.to_rfc3339()),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate().take(SHOWN) {
                out.push_str(if index > 0 { ", " } else { "" });
                write_value(out, item);
            }
            out.push(']');
            Ok(())
        }
        Value::Map(map) => {
            out.push('{');
            let mut entries: Vec<_> = map.map.iter().take(SHOWN).collect();
            entries.sort_by_key(|(key, _)| name(key));
            for (index, (key, item)) in entries.into_iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(&name(key));
                out.push_str(": ");
                write_value(out, item);
            }
            out.push('}');
            Ok(())
        }
        other => write!(out, "{}", other.type_of()),
    };
}

fn name(key: &Key) -> String {
    match key {
        Key::String(text) => format!("{text:?}"),
        Key::Int(number) => number.to_string(),
        Key::Uint(number) => format!("{number}u"),
        Key::Bool(truth) => truth.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn end() -> Deadline {
        Deadline::after(tokio::time::Instant::now(), Duration::from_secs(30))
    }

    #[tokio::test]
    async fn each_part_has_its_text_and_its_value() {
        let body = r#"{"status": "OK", "n": 5, "list": [1, 2], "ä": 1}"#;
        // expression, its value, its parts
        type Row = (
            &'static str,
            &'static str,
            &'static [(&'static str, &'static str)],
        );
        let rows: &[Row] = &[
            ("body.status == 'ok'", "false", &[("body.status", "\"OK\"")]),
            (
                "(body.n + 1.0) * 2.0 > 3.0 && size(body.list) == 2",
                "true",
                &[
                    ("(body.n + 1.0) * 2.0 > 3.0", "true"),
                    ("(body.n + 1.0) * 2.0", "12"),
                    ("body.n + 1.0", "6"),
                    ("body.n", "5"),
                    ("size(body.list) == 2", "true"),
                    ("size(body.list)", "2"),
                    ("body.list", "[1, 2]"),
                ],
            ),
            (
                "has(body.x) || body.list[0] > 1",
                "false",
                &[
                    ("has(body.x)", "false"),
                    ("body.list[0] > 1", "false"),
                    ("body.list[0]", "1"),
                    ("body.list", "[1, 2]"),
                ],
            ),
            (
                "!body.list.all(x, x > 1)",
                "true",
                &[
                    ("body.list.all(x, x > 1)", "false"),
                    ("body.list", "[1, 2]"),
                    ("x > 1  with x = 1", "false"),
                    ("x > 1  with x = 2", "true"),
                ],
            ),
            (
                "body.status == 'ä)' || body.status.startsWith('O')",
                "true",
                &[
                    ("body.status == 'ä)'", "false"),
                    ("body.status", "\"OK\""),
                    ("body.status.startsWith('O')", "true"),
                ],
            ),
        ];
        for (source, value, parts) in rows {
            let explained = explain(body.into(), &Cel::new(source).unwrap(), end()).await;
            assert_eq!(explained.value, *value, "{source}");
            let told: Vec<_> = explained
                .parts
                .iter()
                .map(|part| (part.text.as_str(), part.value.as_str()))
                .collect();
            for part in *parts {
                assert!(told.contains(part), "{source}: {part:?} is not in {told:?}");
            }
        }
        let missing = explain(body.into(), &Cel::new("body.nope == 1").unwrap(), end()).await;
        assert!(missing.value.starts_with("error: "), "{missing:?}");
        let text = explain("no json".into(), &Cel::new("true").unwrap(), end()).await;
        assert!(text.value.starts_with("the body is not JSON"), "{text:?}");
    }

    #[tokio::test]
    async fn an_untrusted_expression_cannot_make_or_search_much() {
        let list = format!("[{}1]", "1,".repeat(199));
        let nested = |made: &str| format!("body.map(a, body.map(b, body.map(c, {made}))).size() > 0");
        for source in [
            nested("a"),
            nested("string(b) + 'x'"),
            nested(&format!("'{}'.matches('x')", "x".repeat(3000))),
            nested(&format!("[{}1]", "1,".repeat(1500))),
        ] {
            assert!(Cel::new(&source).is_ok(), "{source}");
            let cel = Cel::untrusted(&source).unwrap();
            let explained = explain(list.clone().into(), &cel, end()).await;
            assert!(
                explained.value.contains("too many turns"),
                "{source}: {explained:?}"
            );
        }
        let long = format!("\"{}\"", "x".repeat(1 << 20));
        let made = "size(body + body + body + body + body) == 0";
        let searched = " || body.matches('y')".repeat(3);
        let searching = Cel::untrusted(&format!("{made}{searched}")).unwrap();
        let explained = explain(long.into(), &searching, end()).await;
        assert!(explained.value.contains("too many turns"), "{explained:?}");
        let good = Cel::untrusted("body.all(x, x + 1.0 == 2.0) && string(body[0]) + 'x' == '1x'").unwrap();
        assert_eq!(explain(list.into(), &good, end()).await.value, "true");
        assert!(Cel::untrusted(&format!("true || '{}' == ''", "x".repeat(5000))).is_err());
        let large = Cel::untrusted(r"'a'.matches('(\\pL{100}\\PL{100}){5}')").unwrap();
        assert!(
            explain("1".into(), &large, end())
                .await
                .value
                .contains("too large")
        );
    }
}
