//! What a probe measured, as a whole exposition.

use std::borrow::Cow;

use exposition::encode::label_name;

use super::{Encoder, Exposition, Labels, Samples};

/// Appends everything that a probe measured, as one whole exposition.
pub fn probe(samples: &Samples, exposition: Exposition, out: &mut Vec<u8>) {
    let mut encoder = Encoder::new(out, exposition);
    let mut current = None;
    for sample in samples.iter() {
        let family = sample.metric.family();
        if current != Some(sample.metric) {
            encoder.gauges(family.name, family.help, family.lines);
            current = Some(sample.metric);
        }
        match sample.labels {
            Labels::None => encoder.gauge(std::iter::empty(), sample.value),
            Labels::Static(value) => {
                encoder.gauge(family.labels.iter().map(|name| (*name, *value)), sample.value);
            }
            Labels::Values(values) => {
                let labels = family
                    .labels
                    .iter()
                    .zip(values.iter())
                    .map(|(name, value)| (*name, value.as_ref()));
                encoder.gauge(labels, sample.value);
            }
            Labels::Pairs(pairs) => {
                let names: Vec<Cow<'_, str>> = pairs
                    .iter()
                    .map(|(name, _)| label_name(name, exposition))
                    .collect();
                let values = pairs.iter().map(|(_, value)| value.as_str());
                encoder.gauge(names.iter().map(AsRef::as_ref).zip(values), sample.value);
            }
        }
    }
    encoder.finish();
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::{Escaping, Format, Kind, Metric};
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
        let created = Some(SystemTime::UNIX_EPOCH + Duration::new(1_800_000_000, 5));
        let own = |format| {
            let mut out = Vec::new();
            let mut encoder = Encoder::new(&mut out, Exposition::new(format));
            encoder.family("x_total", "Help with \"quotes\"", Kind::Counter);
            encoder.counter([("code", "200")].into_iter(), 3.0, created);
            encoder.family("d_seconds", "D", Kind::Histogram);
            encoder.histogram(std::iter::empty(), &[(0.5, 1), (1.0, 2)], 1.25, 3, created);
            encoder.finish();
            out
        };
        let binary = own(Format::Protobuf);
        // Field 3 of a counter and field 15 of a histogram, with seconds and nanoseconds.
        let timestamp = b"\x08\x08\x80\xa4\xa7\xda\x06\x10\x05";
        for field in [b"\x1a".as_slice(), b"\x7a"] {
            let wanted = [field, timestamp].concat();
            let found = binary.windows(wanted.len()).filter(|bytes| *bytes == wanted);
            assert_eq!(found.count(), 1, "{binary:x?}");
        }
        let own = |format| String::from_utf8(own(format)).unwrap();
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
