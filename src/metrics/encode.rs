//! Printing families in the three formats that a scraper may ask for.
//!
//! Text 0.0.4 and the binary families are byte for byte what Go's expfmt prints. OpenMetrics differs in little from the
//! text, so all go through one encoder: a library's OpenMetrics writer would be a second path to keep equal.

use std::borrow::Cow;

use memchr::{memchr2, memchr3};

use super::escaping::is_plain_name;
use super::protobuf;
use super::{Exposition, Format, Labels, Samples, push_float};

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One label of a series.
pub type Label<'a> = (&'a str, &'a str);

/// Writes families one after the other. Families and series must come in the order in which they shall stand.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
    name: &'a str,
    kind: Kind,
    /// The family under way, when it is binary: its length must be known before it is written.
    binary: Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// Starts an exposition at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>, exposition: Exposition) -> Self {
        Self {
            out,
            format: exposition.format,
            name: "",
            kind: Kind::Gauge,
            binary: Vec::new(),
        }
    }

    /// Begins a family. The name of a counter ends in `_total`.
    pub fn family(&mut self, name: &'a str, help: &str, kind: Kind) {
        self.flush();
        (self.name, self.kind) = (name, kind);
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

    /// Writes a counter or gauge of the family under way.
    pub fn sample<'l>(&mut self, labels: impl Iterator<Item = Label<'l>> + Clone, value: f64) {
        if self.format == Format::Protobuf {
            return protobuf::sample(&mut self.binary, labels, self.kind, value);
        }
        self.series("", labels, None);
        self.number(value);
    }

    /// Writes a classic histogram of the family under way: `(upper bound, count up to it)` in order, without `+Inf`.
    pub fn histogram<'l>(
        &mut self,
        labels: impl Iterator<Item = Label<'l>> + Clone,
        buckets: &[(f64, u64)],
        sum: f64,
        count: u64,
    ) {
        if self.format == Format::Protobuf {
            return protobuf::histogram(&mut self.binary, labels, buckets, sum, count);
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
            protobuf::varint(self.out, self.binary.len() as u64);
            self.out.append(&mut self.binary);
        }
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn series<'l>(&mut self, suffix: &str, labels: impl Iterator<Item = Label<'l>>, le: Option<&[u8]>) {
        self.push(self.name);
        self.push(suffix);
        let mut separator = "{";
        for (name, value) in labels {
            self.push(separator);
            self.push(name);
            self.push("=\"");
            escape(self.out, value, true);
            self.push("\"");
            separator = ",";
        }
        if let Some(bound) = le {
            self.push(separator);
            self.push("le=\"");
            self.out.extend_from_slice(bound);
            self.push("\"");
            separator = ",";
        }
        if separator == "," {
            self.push("}");
        }
        self.push(" ");
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
        self.push("\n");
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

/// Appends everything that a probe measured, as one whole exposition.
pub fn probe(samples: &Samples, exposition: Exposition, out: &mut Vec<u8>) {
    let mut encoder = Encoder::new(out, exposition);
    let mut current = None;
    for sample in samples.iter() {
        let family = sample.metric.family();
        if current != Some(sample.metric) {
            encoder.family(family.name, family.help, Kind::Gauge);
            current = Some(sample.metric);
        }
        match &sample.labels {
            Labels::None => encoder.sample(std::iter::empty(), sample.value),
            Labels::Static(value) => {
                encoder.sample(family.labels.iter().map(|name| (*name, *value)), sample.value);
            }
            Labels::Values(values) => {
                let labels = family
                    .labels
                    .iter()
                    .zip(values.iter())
                    .map(|(name, value)| (*name, value.as_ref()));
                encoder.sample(labels, sample.value);
            }
            Labels::Pairs(pairs) => {
                let names: Vec<Cow<'_, str>> = pairs
                    .iter()
                    .map(|(name, _)| label_name(name, exposition))
                    .collect();
                let values = pairs.iter().map(|(_, value)| value.as_str());
                encoder.sample(names.iter().map(AsRef::as_ref).zip(values), sample.value);
            }
        }
    }
    encoder.finish();
}

/// A label's name as it stands in that exposition: escaped, or in quotes where a text has it as it is.
fn label_name(name: &str, exposition: Exposition) -> Cow<'_, str> {
    let name = exposition.escaping.label_name(name);
    if exposition.format == Format::Protobuf || is_plain_name(&name) {
        return name;
    }
    let mut quoted = vec![b'"'];
    escape(&mut quoted, &name, true);
    quoted.push(b'"');
    String::from_utf8_lossy(&quoted).into_owned().into()
}

/// Backslash and newline, and the double quote where the format wants it.
fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    // Most texts have nothing to escape, and are copied whole.
    let mut rest = text.as_bytes();
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

#[cfg(test)]
mod tests {
    use super::super::{Escaping, Metric};
    use super::*;

    fn print(samples: &Samples, format: Format) -> String {
        let mut out = Vec::new();
        probe(samples, Exposition::new(format), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn example() -> Samples {
        let mut samples = Samples::new();
        samples.set(Metric::Success, 1.0);
        samples.set_label(Metric::HttpDuration, "tls", 0.0);
        samples.set_label(Metric::HttpDuration, "connect", 0.000_012);
        let nasty = Labels::Pairs([("a".to_owned(), "x\\y\n\"z\"".to_owned())].into());
        samples.set_labels(Metric::ExpectInfo, nasty, 1.0);
        samples
    }

    #[test]
    fn text_is_sorted_and_escaped() {
        let want = r#"# HELP probe_expect_info Explicit content matched
# TYPE probe_expect_info gauge
probe_expect_info{a="x\\y\n\"z\""} 1
# HELP probe_http_duration_seconds Duration of http request by phase, summed over all redirects
# TYPE probe_http_duration_seconds gauge
probe_http_duration_seconds{phase="connect"} 1.2e-05
probe_http_duration_seconds{phase="tls"} 0
# HELP probe_success Displays whether or not the probe was a success
# TYPE probe_success gauge
probe_success 1
"#;
        assert_eq!(print(&example(), Format::Text), want);
    }

    #[test]
    fn odd_label_names_are_escaped_or_quoted() {
        let pairs = [("a", "1"), ("b-\"c", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut samples = Samples::new();
        samples.set_labels(Metric::ExpectInfo, Labels::Pairs(pairs.into()), 1.0);
        let last_line = |format, escaping| {
            let mut out = Vec::new();
            probe(&samples, Exposition { format, escaping }, &mut out);
            let text = String::from_utf8(out).unwrap();
            text.lines()
                .rfind(|line| !line.starts_with('#'))
                .unwrap()
                .to_owned()
        };
        let quoted = r#"probe_expect_info{a="1","b-\"c"="2"} 1"#;
        assert_eq!(last_line(Format::Text, Escaping::AllowUtf8), quoted);
        assert_eq!(
            last_line(Format::OpenMetrics, Escaping::AllowUtf8),
            format!("{quoted}.0")
        );
        assert_eq!(
            last_line(Format::Text, Escaping::Underscores),
            r#"probe_expect_info{a="1",b__c="2"} 1"#
        );
        assert_eq!(
            last_line(Format::Text, Escaping::Dots),
            r#"probe_expect_info{a="1",b____c="2"} 1"#
        );
    }

    #[test]
    fn openmetrics_ends_and_marks_floats() {
        let text = print(&example(), Format::OpenMetrics);
        assert!(text.contains("\nprobe_success 1.0\n"), "{text}");
        assert!(text.contains("{phase=\"connect\"} 1.2e-05\n"), "{text}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }

    #[test]
    fn counters_and_histograms_follow_each_format() {
        let own = |format| {
            let mut out = Vec::new();
            let mut encoder = Encoder::new(&mut out, Exposition::new(format));
            encoder.family("x_total", "Help with \"quotes\"", Kind::Counter);
            encoder.sample([("code", "200")].into_iter(), 3.0);
            encoder.family("d_seconds", "D", Kind::Histogram);
            encoder.histogram(std::iter::empty(), &[(0.5, 1), (1.0, 2)], 1.25, 3);
            encoder.finish();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            own(Format::Text),
            "# HELP x_total Help with \"quotes\"\n# TYPE x_total counter\nx_total{code=\"200\"} 3\n\
             # HELP d_seconds D\n# TYPE d_seconds histogram\nd_seconds_bucket{le=\"0.5\"} 1\nd_seconds_bucket{le=\"1\"} 2\n\
             d_seconds_bucket{le=\"+Inf\"} 3\nd_seconds_sum 1.25\nd_seconds_count 3\n"
        );
        assert_eq!(
            own(Format::OpenMetrics),
            "# HELP x Help with \\\"quotes\\\"\n# TYPE x counter\nx_total{code=\"200\"} 3.0\n\
             # HELP d_seconds D\n# TYPE d_seconds histogram\nd_seconds_bucket{le=\"0.5\"} 1\nd_seconds_bucket{le=\"1.0\"} 2\n\
             d_seconds_bucket{le=\"+Inf\"} 3\nd_seconds_sum 1.25\nd_seconds_count 3\n# EOF\n"
        );
    }

    #[test]
    fn binary_families_carry_their_length() {
        let mut samples = Samples::new();
        samples.set_label(Metric::HttpDuration, "tls", 0.5);
        let mut out = Vec::new();
        probe(&samples, Exposition::new(Format::Protobuf), &mut out);
        assert_eq!(usize::from(out[0]), out.len() - 1);
        let mut want = b"\n\x1bprobe_http_duration_seconds\x12\x3a".to_vec();
        want.extend_from_slice(b"Duration of http request by phase, summed over all redirects");
        assert_eq!(&out[1..31], &want[..30]);
        assert!(
            out.ends_with(
                b"\x18\x01\x22\x19\x0a\x0c\x0a\x05phase\x12\x03tls\x12\x09\x09\0\0\0\0\0\0\xe0\x3f"
            ),
            "{out:x?}"
        );
    }
}
