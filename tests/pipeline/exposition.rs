//! What the encoder writes, read by a parser that knows nothing of it: Prometheus' Python library (Debian's
//! python3-prometheus-client). Names, help texts, types, labels and values must come back exactly.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{LazyLock, Mutex},
};

use blackbox_exporter::metrics::{Encoder, Exposition, Format, Kind};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Exporter, get, python_has, repository};

/// A parser in a process of its own.
struct Reader {
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    _child: Child,
}

static READER: LazyLock<Option<Mutex<Reader>>> = LazyLock::new(|| {
    let python = python_has("prometheus_client", "python3-prometheus-client")?;
    let mut child = Command::new(python)
        .args(["-X", "utf8"])
        .arg(repository("tests/pipeline/exposition.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Some(Mutex::new(Reader {
        asks: child.stdin.take().unwrap(),
        answers: BufReader::new(child.stdout.take().unwrap()),
        _child: child,
    }))
});

/// The families that the other parser sees, or nothing when it is not on this machine.
fn read(format: Format, text: &str) -> Option<Result<Vec<Family>, String>> {
    let mut reader = READER.as_ref()?.lock().unwrap();
    let format = if format == Format::OpenMetrics {
        "openmetrics"
    } else {
        "text"
    };
    writeln!(reader.asks, "{}", json!({"format": format, "text": text})).unwrap();
    let mut line = String::new();
    reader.answers.read_line(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap();
    Some(match answer["families"].as_array() {
        Some(families) => Ok(families.iter().map(family).collect()),
        None => Err(answer["error"].to_string()),
    })
}

#[derive(Clone, Debug, PartialEq)]
struct Family {
    name: String,
    help: String,
    kind: String,
    samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    /// The bits of the value in hexadecimal, every NaN and both zeros alike.
    value: String,
}

fn family(value: &Value) -> Family {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let sample = |value: &Value| Sample {
        name: text(&value["name"]),
        labels: value["labels"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        value: bits(f64::from_bits(
            u64::from_str_radix(&text(&value["value"]), 16).unwrap(),
        )),
    };
    Family {
        name: text(&value["name"]),
        help: text(&value["help"]),
        kind: text(&value["kind"]),
        samples: value["samples"].as_array().unwrap().iter().map(sample).collect(),
    }
}

fn bits(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        0.0 => format!("{:016x}", 0),
        _ => format!("{:016x}", value.to_bits()),
    }
}

/// Labels, buckets, sum and count of a histogram.
type Classic = (BTreeMap<String, String>, Vec<(f64, u64)>, f64, u64);

/// What is written as a family.
#[derive(Clone, Debug)]
enum Written {
    Plain(Kind, Vec<(BTreeMap<String, String>, f64)>),
    Histogram(Vec<Classic>),
}

fn label_name() -> impl Strategy<Value = String> {
    // A histogram's own label.
    "[a-zA-Z_][a-zA-Z0-9_]{0,8}".prop_filter("le", |name| name != "le")
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = prop_oneof![any::<String>(), "[\\\\\"\n\r{}=, #a]{0,12}"];
    proptest::collection::btree_map(label_name(), value, 0..4)
}

/// Any number, the odd ones often.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        prop::sample::select(vec![
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.0,
            -0.0,
            1e6,
            999_999.5,
            1e-5,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX
        ]),
        (0_u32..2_000_000).prop_map(f64::from),
    ]
}

fn written() -> impl Strategy<Value = Written> {
    let count = any::<u32>().prop_map(f64::from);
    let sized = (0.0..1e300_f64).prop_map(|value| value);
    let buckets = proptest::collection::btree_map(0_u32..1_000_000, 0_u64..1 << 40, 0..5).prop_map(|raw| {
        let mut up_to = 0;
        raw.into_iter()
            .map(|(bound, more)| {
                up_to += more;
                (f64::from(bound) / 128.0, up_to)
            })
            .collect::<Vec<_>>()
    });
    let histogram =
        (labels(), buckets, sized.clone(), 0_u64..1 << 40).prop_map(|(labels, buckets, sum, more)| {
            let count = buckets.last().map_or(0, |(_, count)| *count) + more;
            (labels, buckets, sum, count)
        });
    prop_oneof![
        proptest::collection::vec((labels(), number()), 1..4)
            .prop_map(|all| Written::Plain(Kind::Gauge, all)),
        proptest::collection::vec((labels(), prop_oneof![count, sized]), 1..4)
            .prop_map(|all| Written::Plain(Kind::Counter, all)),
        proptest::collection::vec(histogram, 1..3).prop_map(Written::Histogram),
    ]
}

/// Families with their names and help texts. What stands around a help text is white space to the parser.
fn exposition() -> impl Strategy<Value = Vec<(String, String, Written)>> {
    let help = prop_oneof![any::<String>(), "[\\\\\"\n\r# a]{0,12}"].prop_map(|help| help.trim().to_owned());
    let one = ("[a-zA-Z_:][a-zA-Z0-9_:]{0,12}", help, written());
    proptest::collection::vec(one, 0..4).prop_map(|all| {
        // Each name and each series once.
        let numbered = all.into_iter().enumerate();
        numbered
            .map(|(index, (name, help, mut written))| {
                let name = match &mut written {
                    Written::Plain(kind, all) => {
                        all.sort_by(|a, b| a.0.cmp(&b.0));
                        all.dedup_by(|a, b| a.0 == b.0);
                        let suffix = if *kind == Kind::Counter { "_total" } else { "" };
                        format!("{name}{index}{suffix}")
                    }
                    Written::Histogram(all) => {
                        all.sort_by(|a, b| a.0.cmp(&b.0));
                        all.dedup_by(|a, b| a.0 == b.0);
                        format!("{name}{index}")
                    }
                };
                (name, help, written)
            })
            .collect()
    })
}

fn encode(format: Format, families: &[(String, String, Written)]) -> String {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, Exposition::new(format));
    fn pairs(labels: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> + Clone {
        labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
    for (name, help, written) in families {
        match written {
            Written::Plain(kind, all) => {
                encoder.family(name, help, *kind);
                all.iter().for_each(|(labels, value)| match kind {
                    Kind::Counter => encoder.counter(pairs(labels), *value, None),
                    _ => encoder.gauge(pairs(labels), *value),
                });
            }
            Written::Histogram(all) => {
                encoder.family(name, help, Kind::Histogram);
                for (labels, buckets, sum, count) in all {
                    encoder.histogram(pairs(labels), buckets, *sum, *count, None);
                }
            }
        }
    }
    encoder.finish();
    String::from_utf8(out).unwrap()
}

/// What a reader must see.
fn wanted(families: &[(String, String, Written)]) -> Vec<Family> {
    let all = families.iter().map(|(name, help, written)| {
        let (kind, samples) = match written {
            Written::Plain(kind, all) => {
                let samples = all.iter().map(|(labels, value)| Sample {
                    name: name.clone(),
                    labels: labels.clone(),
                    value: bits(*value),
                });
                let kind = if *kind == Kind::Counter {
                    "counter"
                } else {
                    "gauge"
                };
                (kind, samples.collect())
            }
            Written::Histogram(all) => {
                let samples = all.iter().flat_map(|(labels, buckets, sum, count)| {
                    let sample = |suffix: &str, labels: &BTreeMap<String, String>, value| Sample {
                        name: format!("{name}{suffix}"),
                        labels: labels.clone(),
                        value: bits(value),
                    };
                    let buckets = buckets.iter().copied().chain([(f64::INFINITY, *count)]);
                    let mut samples: Vec<Sample> = buckets
                        .map(|(bound, up_to)| {
                            let mut labels = labels.clone();
                            labels.insert("le".to_owned(), format!("{:016x}", bound.to_bits()));
                            sample("_bucket", &labels, up_to as f64)
                        })
                        .collect();
                    samples.push(sample("_sum", labels, *sum));
                    samples.push(sample("_count", labels, *count as f64));
                    samples
                });
                ("histogram", samples.collect())
            }
        };
        Family {
            name: name.strip_suffix("_total").unwrap_or(name).to_owned(),
            help: help.clone(),
            kind: kind.to_owned(),
            samples,
        }
    });
    all.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_parser_reads_what_was_written(families in exposition()) {
        for format in [Format::Text, Format::OpenMetrics] {
            let text = encode(format, &families);
            if let Some(read) = read(format, &text) {
                prop_assert_eq!(read, Ok(wanted(&families)), "{:?}:\n{}", format, text);
            }
        }
    }
}

/// The pages that are scraped, as they are.
#[test]
fn another_parser_reads_the_pages() {
    let exporter = Exporter::start(&repository("blackbox.yml"), &[]);
    let probe = "/probe?module=tcp_connect&target=127.0.0.1:1";
    for path in [probe, "/metrics"] {
        let (status, body) = get(&exporter.address, path).unwrap();
        assert_eq!(status, 200);
        if let Some(read) = read(Format::Text, &body) {
            let families = read.unwrap_or_else(|error| panic!("{error}:\n{body}"));
            let lines = body.lines().filter(|line| !line.starts_with('#')).count();
            assert_eq!(families.iter().map(|f| f.samples.len()).sum::<usize>(), lines);
        }
    }
}
