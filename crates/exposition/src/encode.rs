//! Printing families in the three formats that a scraper may ask for.
//!
//! Text 0.0.4 and the binary families are byte for byte what Go's expfmt prints. OpenMetrics differs in little from the
//! text, so all go through one encoder: a library's OpenMetrics writer would be a second path to keep equal.

use std::borrow::Cow;
use std::time::SystemTime;

use gostd::float::push_float;
use memchr::{memchr2, memchr3};

use super::escaping::is_plain_name;
use super::protobuf;
use super::{Exposition, Format, Kind, Label};

/// Writes families one after the other. Families and series must come in the order in which they are printed.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
    name: &'a str,
    /// Whether the name of the next series stands there already.
    named: bool,
    /// The family under way, when it is binary: its length must be known before it is written.
    binary: Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// Starts an exposition at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>, exposition: Exposition) -> Self {
        Self {
            out,
            format: match exposition.format {
                Format::OpenMetrics001 => Format::OpenMetrics,
                format => format,
            },
            name: "",
            named: false,
            binary: Vec::new(),
        }
    }

    /// Begins a family. The name of a counter ends in `_total`.
    pub fn family(&mut self, name: &'a str, help: &str, kind: Kind) {
        self.flush();
        self.name = name;
        if self.format == Format::Protobuf {
            return protobuf::family(&mut self.binary, name, help, kind);
        }
        let open = self.format == Format::OpenMetrics;
        let shown = if open && kind == Kind::Counter {
            name.strip_suffix("_total").unwrap_or(name)
        } else {
            name
        };
        self.push("# HELP ");
        self.push(shown);
        self.push(" ");
        escape(self.out, help, open);
        self.push("\n# TYPE ");
        self.push(shown);
        self.push(" ");
        self.push(kind.name());
        self.push("\n");
    }

    /// Begins a family of gauges whose beginning was made beforehand, by [`gauge_lines!`](crate::gauge_lines): for texts it is copied.
    /// At least one series must follow.
    pub fn gauges(&mut self, name: &'a str, help: &str, lines: &str) {
        if self.format == Format::Protobuf {
            return self.family(name, help, Kind::Gauge);
        }
        (self.name, self.named) = (name, true);
        self.push(lines);
    }

    /// Writes a gauge of the family under way.
    pub fn gauge<'l>(&mut self, labels: impl Iterator<Item = Label<'l>> + Clone, value: f64) {
        if self.format == Format::Protobuf {
            return protobuf::gauge(&mut self.binary, labels, value);
        }
        self.series("", labels, None);
        self.number(value);
    }

    /// Writes a counter of the family under way, with the time since when it counts: only protobuf has it, as from client_golang.
    pub fn counter<'l>(
        &mut self,
        labels: impl Iterator<Item = Label<'l>> + Clone,
        value: f64,
        created: Option<SystemTime>,
    ) {
        if self.format == Format::Protobuf {
            return protobuf::counter(&mut self.binary, labels, value, created);
        }
        self.gauge(labels, value);
    }

    /// Writes a classic histogram of the family under way: `(upper bound, count up to it)` in order, without `+Inf`. As of a counter,
    /// the time since when it counts is in protobuf alone.
    pub fn histogram<'l>(
        &mut self,
        labels: impl Iterator<Item = Label<'l>> + Clone,
        buckets: &[(f64, u64)],
        sum: f64,
        count: u64,
        created: Option<SystemTime>,
    ) {
        if self.format == Format::Protobuf {
            return protobuf::histogram(&mut self.binary, labels, buckets, sum, count, created);
        }
        for (bound, up_to) in buckets.iter().copied().chain([(f64::INFINITY, count)]) {
            let mut le = Vec::with_capacity(8);
            push_float(&mut le, bound);
            if self.format == Format::OpenMetrics
                && !le.iter().any(|b| matches!(b, b'.' | b'e' | b'I' | b'N'))
            {
                le.extend_from_slice(b".0");
            }
            self.series("_bucket", labels.clone(), Some(&le));
            self.integer(up_to);
        }
        self.series("_sum", labels.clone(), None);
        self.number(sum);
        self.series("_count", labels, None);
        self.integer(count);
    }

    /// Ends the exposition.
    pub fn finish(mut self) {
        self.flush();
        if self.format == Format::OpenMetrics {
            self.push("# EOF\n");
        }
    }

    fn flush(&mut self) {
        if !self.binary.is_empty() {
            gostd::protobuf::varint(self.out, self.binary.len() as u64);
            self.out.append(&mut self.binary);
        }
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn series<'l>(&mut self, suffix: &str, labels: impl Iterator<Item = Label<'l>>, le: Option<&[u8]>) {
        if !std::mem::take(&mut self.named) {
            self.push(self.name);
            self.push(suffix);
        }
        let mut separator = b'{';
        for (name, value) in labels {
            self.out.push(separator);
            self.push(name);
            self.push("=\"");
            escape(self.out, value, true);
            self.out.push(b'"');
            separator = b',';
        }
        if let Some(bound) = le {
            self.out.push(separator);
            self.push("le=\"");
            self.out.extend_from_slice(bound);
            self.out.push(b'"');
            separator = b',';
        }
        if separator == b',' {
            self.out.push(b'}');
        }
        self.out.push(b' ');
    }

    fn number(&mut self, value: f64) {
        let from = self.out.len();
        push_float(self.out, value);
        let printed = self.out.get(from..).unwrap_or(&[]);
        if self.format == Format::OpenMetrics
            && !printed.iter().any(|b| matches!(b, b'.' | b'e' | b'I' | b'N'))
        {
            self.push(".0");
        }
        self.out.push(b'\n');
    }

    fn integer(&mut self, value: u64) {
        if self.format == Format::OpenMetrics {
            self.push(&value.to_string());
            self.push("\n");
        } else {
            // Counts are floats in the text format: precision ends at 2^53, as upstream's does.
            self.number(value as f64);
        }
    }
}

/// The lines `# HELP` and `# TYPE` of a family of gauges and the name of its first series, the same in both texts: the help must
/// have no backslash, quotation mark or line break.
#[macro_export]
macro_rules! gauge_lines {
    ($name:literal, $help:literal) => {
        concat!(
            "# HELP ",
            $name,
            " ",
            $help,
            "\n# TYPE ",
            $name,
            " gauge\n",
            $name
        )
    };
}

/// A label's name as it stands in that exposition: escaped, or in quotes where a text has it as it is.
pub fn label_name(name: &str, exposition: Exposition) -> Cow<'_, str> {
    let name = exposition.escaping.label_name(name);
    if exposition.format == Format::Protobuf || is_plain_name(&name) {
        return name;
    }
    let mut quoted = vec![b'"'];
    escape(&mut quoted, &name, true);
    quoted.push(b'"');
    String::from_utf8_lossy(&quoted).into_owned().into()
}

/// Bytes of a short text.
const SHORT: usize = 16;

/// Backslash and newline, and the double quote where the format wants it.
fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    // Most texts have nothing to escape, and are copied whole. Short ones are looked through sooner than a search begins.
    let mut rest = text.as_bytes();
    if rest.len() <= SHORT && !rest.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'"')) {
        return out.extend_from_slice(rest);
    }
    let special = |rest: &[u8]| match quotes {
        true => memchr3(b'\\', b'\n', b'"', rest),
        false => memchr2(b'\\', b'\n', rest),
    };
    while let Some(at) = special(rest) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        out.extend_from_slice(match special.first() {
            Some(b'\\') => b"\\\\",
            Some(b'\n') => b"\\n",
            _ => b"\\\"",
        });
        rest = special.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}
