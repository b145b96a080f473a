//! How log lines are printed: as Go's `log/slog` does, in logfmt and JSON. Pipelines parse them, so order, quoting and number forms are
//! upstream's to the byte.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use gostd::calendar::push_rfc3339;
use gostd::carried;
use gostd::float::push_float;
use gostd::json;
use gostd::strconv::{is_printable, push_quoted};
use smallvec::SmallVec;

use crate::display::is_active;
use crate::probe_log::{Event, Level, LogValue, excerpt_of, text};

/// The shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `time=… level=INFO msg="…" key=value`.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// One line, ready to be rendered.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Wall-clock time.
    pub at: SystemTime,
    /// How much it matters.
    pub level: Level,
    /// `path/file.rs:line`; only the file's name is shown.
    pub source: &'a str,
    /// The message.
    pub message: &'a str,
}

/// Appends a line and its newline. Attributes stand in the order given, twice if they are given twice; in JSON the first
/// value of a key counts.
pub fn render<'a>(
    out: &mut String,
    format: LogFormat,
    line: Line<'_>,
    attributes: impl Iterator<Item = (&'a str, &'a LogValue)>,
) {
    let source = short_source(line.source);
    match format {
        LogFormat::Logfmt => {
            out.push_str("time=");
            push_rfc3339(out, line.at, 3);
            out.push_str(" level=");
            out.push_str(line.level.name());
            out.push_str(" source=");
            push_text(out, source);
            out.push_str(" msg=");
            push_text(out, line.message);
            for (key, value) in attributes {
                out.push(' ');
                push_text(out, key);
                out.push('=');
                push_value(out, value);
            }
            out.push('\n');
        }
        LogFormat::Json => {
            out.push_str("{\"time\":\"");
            push_rfc3339(out, line.at, 9);
            out.push_str("\",\"level\":\"");
            out.push_str(line.level.name());
            out.push_str("\",\"source\":");
            push_json_text(out, source);
            out.push_str(",\"msg\":");
            push_json_text(out, line.message);
            // compat: slog writes a key twice, of which a reader of JSON keeps the second: the host instead of the target.
            let mut keys: SmallVec<[&str; 8]> = SmallVec::new();
            for (key, value) in attributes {
                if keys.contains(&key) {
                    continue;
                }
                out.push(',');
                push_json_text(out, key);
                out.push(':');
                push_json_value(out, value);
                keys.push(key);
            }
            out.push_str("}\n");
        }
    }
}

/// Most bytes of a target on a line of its probe.
// compat: upstream repeats the whole target on every line, which lets a caller write fourteen times what it sends.
pub const TARGET: usize = 512;

/// Appends the lines of a probe at `least` or above, each with the module, the beginning of the target, and the id of
/// the trace if there is one.
pub fn render_probe<'e>(
    out: &mut String,
    format: LogFormat,
    events: impl IntoIterator<Item = &'e Event>,
    least: Level,
    module: &str,
    target: &str,
    trace: Option<impl fmt::Display>,
) {
    let (module, target) = (text(module), excerpt_of(target, TARGET));
    let trace = trace.map(text);
    for event in events.into_iter().filter(|event| event.level >= least) {
        let line = Line {
            at: event.at,
            level: event.level,
            source: event.place.source,
            message: event.message,
        };
        let shared = [("module", &module), ("target", &target)];
        let trace = trace.iter().map(|id| ("trace_id", id));
        render(
            out,
            format,
            line,
            shared.into_iter().chain(trace).chain(event.attributes()),
        );
    }
}

/// The file's name, as slog prints it; of a `mod.rs` also its folder's, because there are many.
fn short_source(source: &str) -> &str {
    let mut parts = source.rsplitn(3, '/');
    let (name, folder) = (parts.next().unwrap_or(source), parts.next());
    let shown = match folder {
        Some(folder) if name.starts_with("mod.rs:") => folder.len() + 1 + name.len(),
        _ => name.len(),
    };
    source.get(source.len() - shown..).unwrap_or(source)
}

/// Text as it is, or quoted when slog's text handler would quote it.
fn push_text(out: &mut String, text: &str) {
    let needs_quotes = text.is_empty()
        || text.chars().any(|c| match c {
            '\\' => false,
            ' ' | '=' | '"' => true,
            // compat: slog leaves DEL as it is.
            c if c.is_ascii() => c.is_ascii_control(),
            char::REPLACEMENT_CHARACTER => true,
            c => c.is_whitespace() || !is_printable(c),
        });
    if needs_quotes {
        push_quoted(out, text);
    } else {
        out.push_str(text);
    }
}

fn push_value(out: &mut String, value: &LogValue) {
    match value {
        LogValue::Text(text) => push_text(out, text),
        LogValue::Bytes(text) => push_quoted(out, text),
        LogValue::Int(number) => drop(write!(out, "{number}")),
        LogValue::Float(number) => push_go_float(out, *number),
        LogValue::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        LogValue::Ip(_) | LogValue::Address(_) => push_text(out, &value.to_string()),
        LogValue::Time(at) => push_rfc3339(out, *at, 3),
    }
}

fn push_go_float(out: &mut String, number: f64) {
    let mut printed = Vec::with_capacity(24);
    push_float(&mut printed, number);
    out.push_str(&String::from_utf8_lossy(&printed));
}

fn push_json_text(out: &mut String, text: &str) {
    out.push('"');
    for chunk in carried::bytes(text).utf8_chunks() {
        push_json_escaped(out, chunk.valid());
        for _ in chunk.invalid() {
            out.push_str("\\ufffd");
        }
    }
    out.push('"');
}

fn push_json_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // compat: slog escapes control characters of ASCII alone. A reader of JSON sees no difference; a terminal does.
            c if is_active(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
}

fn push_json_value(out: &mut String, value: &LogValue) {
    match value {
        LogValue::Text(text) => push_json_text(out, text),
        // compat: slog prints bytes as base64 in JSON, which nobody can read.
        LogValue::Bytes(text) => push_json_text(out, text),
        LogValue::Float(number) if !number.is_finite() => {
            out.push_str("\"!ERROR:json: unsupported value: ");
            push_go_float(out, *number);
            out.push('"');
        }
        LogValue::Float(number) => json::push_number(out, *number),
        LogValue::Time(at) => {
            out.push('"');
            push_rfc3339(out, *at, 9);
            out.push('"');
        }
        LogValue::Ip(_) | LogValue::Address(_) => push_json_text(out, &value.to_string()),
        LogValue::Int(_) | LogValue::Bool(_) => push_value(out, value),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::probe_log::{EXCERPT, excerpt_bytes};

    const AT: Duration = Duration::new(1_795_551_799, 172_930_000);

    fn line(format: LogFormat, message: &str, attributes: &[(&str, LogValue)]) -> String {
        let mut out = String::new();
        let line = Line {
            at: UNIX_EPOCH + AT,
            level: Level::Warn,
            source: "src/app.rs:12",
            message,
        };
        render(&mut out, format, line, attributes.iter().map(|(k, v)| (*k, v)));
        out
    }

    #[test]
    fn logfmt_is_slogs() {
        let attributes = [
            ("plain", LogValue::from("a\\b")),
            ("empty", LogValue::from("")),
            ("spaced", LogValue::from("a b")),
            ("equals", LogValue::from("a=b")),
            ("quote", LogValue::from("a\"b")),
            ("control", LogValue::from("a\u{1b}[31m\n")),
            ("del", LogValue::from("\u{7f}")),
            ("foreign", LogValue::from("北京")),
            ("nbsp", LogValue::from("a\u{a0}b")),
            ("byte", LogValue::from(carried::text(b"a\xff\xc3").into_owned())),
            ("bytes", excerpt_bytes(b"+PONG", EXCERPT)),
            ("int", LogValue::from(-3_i64)),
            ("small", LogValue::from(0.000_299_927)),
            ("large", LogValue::from(2.0)),
            ("yes", LogValue::from(true)),
            ("at", LogValue::from(UNIX_EPOCH)),
        ];
        assert_eq!(
            line(LogFormat::Logfmt, "Hello there", &attributes),
            "time=2026-11-24T20:23:19.172Z level=WARN source=app.rs:12 msg=\"Hello there\" plain=a\\b empty=\"\" \
             spaced=\"a b\" equals=\"a=b\" quote=\"a\\\"b\" control=\"a\\x1b[31m\\n\" del=\"\\x7f\" foreign=北京 \
             nbsp=\"a\\u00a0b\" byte=\"a\\xff\\xc3\" bytes=\"+PONG\" int=-3 small=0.000299927 large=2 yes=true at=1970-01-01T00:00:00.000Z\n"
        );
    }

    #[test]
    fn json_is_slogs() {
        let attributes = [
            (
                "text",
                LogValue::from("a\"\\\n\u{1}<>&\u{2028}é\u{7f}\u{9b}\u{202e}\u{e0041}"),
            ),
            ("byte", LogValue::from(carried::text(b"a\xff").into_owned())),
            ("bytes", excerpt_bytes(b"+PONG", EXCERPT)),
            ("int", LogValue::from(7_u64)),
            ("two", LogValue::from(2.0)),
            ("small", LogValue::from(0.000_000_25)),
            ("large", LogValue::from(1e21)),
            ("half", LogValue::from(0.5)),
            ("nan", LogValue::from(f64::NAN)),
            ("no", LogValue::from(false)),
        ];
        assert_eq!(
            line(LogFormat::Json, "x", &attributes),
            "{\"time\":\"2026-11-24T20:23:19.17293Z\",\"level\":\"WARN\",\"source\":\"app.rs:12\",\"msg\":\"x\",\
             \"text\":\"a\\\"\\\\\\n\\u0001<>&\\u2028é\\u007f\\u009b\\u202e\\udb40\\udc41\",\"byte\":\"a\\ufffd\",\"bytes\":\"+PONG\",\"int\":7,\"two\":2,\"small\":2.5e-7,\"large\":1e+21,\
             \"half\":0.5,\"nan\":\"!ERROR:json: unsupported value: NaN\",\"no\":false}\n"
        );
    }

    #[test]
    fn no_key_stands_twice_in_json() {
        let (target, host) = (LogValue::from("https://x/"), LogValue::from("x"));
        let mut out = String::new();
        let attributes = [("target", &target), ("target", &host), ("target", &target)];
        let shown = Line {
            at: UNIX_EPOCH,
            level: Level::Info,
            source: "a.rs:1",
            message: "m",
        };
        render(&mut out, LogFormat::Json, shown, attributes.into_iter());
        assert!(
            out.ends_with("\"msg\":\"m\",\"target\":\"https://x/\"}\n"),
            "{out}"
        );
    }

    #[test]
    fn sources_are_short() {
        for (source, short) in [
            ("src/net/tls/mod.rs:12", "tls/mod.rs:12"),
            ("src/app.rs:1", "app.rs:1"),
            ("mod.rs:1", "mod.rs:1"),
            ("app.rs:1", "app.rs:1"),
        ] {
            assert_eq!(short_source(source), short);
        }
    }
}
