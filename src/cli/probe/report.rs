//! What the subcommand `probe` prints.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::Done;
use crate::calendar::unix_now;
use crate::display::{Validity, duration, is_active, passive, short, validity};
use crate::metrics::{Exposition, Format, encode};
use crate::net::tls::facts::{Certificate, TlsFacts};
use crate::prober::{Hop, Phase};

/// Width of a waterfall in characters.
const WIDTH: usize = 40;
/// How much of a response's body is printed, in bytes.
const BODY: usize = 2000;
/// Most characters of a text from outside.
const LONG: usize = 300;

/// Where it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether colours are welcome: on a terminal, unless `NO_COLOR` is set.
    coloured: bool,
    /// Columns of the terminal; `None` for a file or a pipe.
    width: Option<u16>,
}

impl Look {
    /// What fits standard output.
    pub fn of_stdout() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let width = || rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_col);
        Self {
            coloured: is_terminal && !refused,
            // A terminal that does not know its width says 0.
            width: is_terminal
                .then(width)
                .map(|width| if width == 0 { 80 } else { width }),
        }
    }

    /// The text in a colour of the terminal.
    pub fn paint(self, code: &str, text: &str) -> String {
        if self.coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn verdict(self, success: bool) -> String {
        if success {
            self.paint("1;32", "success")
        } else {
            self.paint("1;31", "failure")
        }
    }
}

/// Everything that ran, in the format asked for.
pub fn render(done: &[Done], format: &str, look: Look) -> String {
    match format {
        "json" => done
            .iter()
            .map(|done| format!("{}\n", escaped(&as_json(done).to_string())))
            .collect(),
        "prometheus" => done.iter().map(|done| exposition(done, Format::Text)).collect(),
        "openmetrics" => done
            .iter()
            .map(|done| exposition(done, Format::OpenMetrics))
            .collect(),
        _ => match done {
            [one] => story(one, look),
            many => table(many, look),
        },
    }
}

/// JSON in which no terminal finds anything to act on; a reader of JSON sees no difference.
pub fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_active(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn exposition(done: &Done, format: Format) -> String {
    let mut out = Vec::new();
    encode::probe(&done.outcome.samples, Exposition::new(format), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// One probe: its hops with a waterfall, its certificates, and why it failed.
fn story(done: &Done, look: Look) -> String {
    let outcome = &done.outcome;
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "{} {} in {} (module {})",
        look.verdict(outcome.success),
        short(&done.job.target, LONG),
        duration(outcome.duration),
        short(&done.job.module.name, LONG),
    );
    if let Some(reason) = outcome.reason() {
        let _ = writeln!(out, "{}", look.paint("31", &short(&reason, 2000)));
    }
    if let Some(advice) = &outcome.advice {
        let link = outcome.failure.map(|failure| failure.reason.link());
        let _ = writeln!(out, "{}\n{}", short(advice, 2000), link.unwrap_or_default());
    }
    if let Some(trace) = &outcome.trace {
        let _ = writeln!(out, "trace {}", trace.trace);
    }
    for hop in &outcome.timeline.hops {
        out.push_str(&waterfall(hop, outcome.duration, look));
    }
    let hops = &outcome.timeline.hops;
    for hop in hops {
        if let Some(facts) = &hop.tls {
            let name = (hops.len() > 1).then_some(&*hop.name);
            out.push_str(&certificates(name, facts, look));
        }
    }
    if let Some(body) = &outcome.body {
        let shown = body
            .text
            .get(..body.text.floor_char_boundary(BODY))
            .unwrap_or_default();
        let cut = body.cut || shown.len() < body.text.len();
        let title = if cut {
            "response body (its beginning)"
        } else {
            "response body"
        };
        let _ = writeln!(out, "\n{title}\n{}", passive(shown));
    }
    out
}

fn waterfall(hop: &Hop, whole: Duration, look: Look) -> String {
    let mut out = format!("\n{}", short(&hop.name, LONG));
    if let Some(address) = &hop.address {
        let _ = write!(out, "  {}", short(address, LONG));
    }
    if let Some(result) = hop.shown() {
        let _ = write!(out, "  {}", short(&result, LONG));
    }
    out.push('\n');
    let scale = WIDTH as f64 / whole.as_secs_f64().max(1e-9);
    for span in &hop.phases {
        let from = ((span.start.as_secs_f64() * scale) as usize).min(WIDTH - 1);
        let length = ((span.length.as_secs_f64() * scale).round() as usize).clamp(1, WIDTH - from);
        let bar = look.paint(colour(span.phase), &"█".repeat(length));
        let (before, after) = (" ".repeat(from), " ".repeat(WIDTH - from - length));
        let _ = writeln!(
            out,
            "  {:<10} {:>9} |{before}{bar}{after}|",
            span.phase.label(),
            duration(span.length)
        );
    }
    out
}

pub fn colour(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve => "35",
        Phase::Connect | Phase::Setup | Phase::Token => "33",
        Phase::Tls => "36",
        // Green would say that all is well.
        Phase::Processing | Phase::Rtt | Phase::Request | Phase::Check => "34",
        Phase::Transfer => "94",
    }
}

fn certificates(hop: Option<&str>, facts: &TlsFacts, look: Look) -> String {
    let mut out = String::from("\n");
    if let Some(hop) = hop {
        let _ = write!(out, "{}  ", short(hop, LONG));
    }
    out.push_str(facts.version.unwrap_or("TLS, no version agreed"));
    if let Some(cipher) = facts.cipher {
        let _ = write!(out, "  {cipher}");
    }
    out.push('\n');
    let verified = facts.chains.first();
    out.push_str(if verified.is_some() {
        "verified chain\n"
    } else {
        "presented, not verified\n"
    });
    for certificate in verified.unwrap_or(&facts.presented).iter().take(20) {
        let (validity, left) = validity(certificate.not_before, certificate.not_after, unix_now());
        let code = match validity {
            Validity::Bad => "31",
            Validity::Soon => "33",
            Validity::Good => "32",
        };
        let (subject, issuer) = (
            short(&certificate.subject(), LONG),
            short(&certificate.issuer(), LONG),
        );
        let _ = writeln!(
            out,
            "  {subject}, issued by {issuer}: {}",
            look.paint(code, &left)
        );
    }
    out
}

/// Several probes: a row each, and how many succeeded.
fn table(done: &[Done], look: Look) -> String {
    let good = done.iter().filter(|done| done.outcome.success).count();
    let rows = match look.width {
        Some(width) => wrapped(done, look, width),
        None => plain(done),
    };
    format!("{rows}\n{good} of {} succeeded\n", done.len())
}

const HEADER: [&str; 5] = ["result", "target", "module", "duration", "reason"];

fn cells(done: &Done) -> [String; 5] {
    let reason = done.outcome.reason().unwrap_or_default();
    [
        if done.outcome.success {
            "success"
        } else {
            "failure"
        }
        .to_owned(),
        short(&done.job.target, LONG),
        short(&done.job.module.name, LONG),
        duration(done.outcome.duration),
        short(&reason, 2000),
    ]
}

/// For a terminal: what does not fit beside the rest goes on in further lines.
fn wrapped(done: &[Done], look: Look, width: u16) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    table.set_header(HEADER);
    for done in done {
        let [_, target, module, time, reason] = cells(done);
        let verdict = verdict_cell(done.outcome.success, look);
        table.add_row([verdict, target.into(), module.into(), time.into(), reason.into()]);
    }
    table.to_string()
}

/// For a pipe: columns, a line per probe.
fn plain(done: &[Done]) -> String {
    let rows: Vec<[String; 5]> = std::iter::once(HEADER.map(str::to_owned))
        .chain(done.iter().map(cells))
        .collect();
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let lengths = rows.iter().filter_map(|row| row.get(column));
        lengths.map(|cell| cell.chars().count()).max().unwrap_or(0)
    });
    let line = |row: &[String; 5]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The verdict with the table's own colours: it must know which characters take room.
fn verdict_cell(success: bool, look: Look) -> Cell {
    let cell = Cell::new(if success { "success" } else { "failure" });
    match (look.coloured, success) {
        (false, _) => cell,
        (true, true) => cell.fg(Color::Green),
        (true, false) => cell.fg(Color::Red),
    }
}

fn as_json(done: &Done) -> Value {
    let outcome = &done.outcome;
    let certificate = |c: &Certificate| {
        json!({
            "subject": c.subject(), "issuer": c.issuer(), "serial": c.serial(), "dns_names": c.dns_names().collect::<Vec<_>>(),
            "fingerprint_sha256": c.fingerprint(), "not_before": c.not_before, "not_after": c.not_after,
        })
    };
    let chain =
        |chain: &[std::sync::Arc<Certificate>]| chain.iter().map(|c| certificate(c)).collect::<Vec<_>>();
    let tls = |facts: &TlsFacts| {
        json!({
            "version": facts.version, "cipher": facts.cipher, "presented": chain(&facts.presented),
            "chains": facts.chains.iter().map(|c| chain(c)).collect::<Vec<_>>(),
        })
    };
    let hops = outcome.timeline.hops.iter().map(|hop| {
        let phases = hop.phases.iter().map(|span| {
            json!({"phase": span.phase.label(), "start_seconds": span.start.as_secs_f64(), "seconds": span.length.as_secs_f64()})
        });
        json!({"name": hop.name, "address": hop.address, "result": hop.shown(), "phases": phases.collect::<Vec<_>>(), "tls": hop.tls.as_deref().map(tls)})
    });
    let mut json = json!({
        "target": done.job.target,
        "module": &*done.job.module.name,
        "success": outcome.success,
        "duration_seconds": outcome.duration.as_secs_f64(),
        "reason": outcome.failure.map(|failure| failure.reason.name()),
        "phase": outcome.failure.map(|failure| failure.phase),
        "step": outcome.failure.and_then(|failure| failure.step),
        "message": outcome.words(),
        "advice": outcome.advice,
        "explanation": outcome.failure.map(|failure| failure.reason.link()),
        "hops": hops.collect::<Vec<_>>(),
        "tls": outcome.tls.as_deref().map(tls),
    });
    if let (given @ [_, ..], Some(fields)) = (&*done.job.module.given, json.as_object_mut()) {
        let params = given
            .iter()
            .map(|given| (given.name.to_string(), Value::from(&*given.value)));
        fields.insert("params".to_owned(), Value::Object(params.collect()));
    }
    if let (Some(body), Some(fields)) = (&outcome.body, json.as_object_mut()) {
        fields.insert("response_body".to_owned(), body.text.as_str().into());
        fields.insert("response_body_is_cut".to_owned(), body.cut.into());
    }
    if let (Some(trace), Some(fields)) = (&outcome.trace, json.as_object_mut()) {
        fields.insert("trace_id".to_owned(), trace.trace.to_string().into());
    }
    json
}
