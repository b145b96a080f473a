//! From a registry of `prometheus-client` to an exposition.
//!
//! The library prints families in the order in which they were registered, their series in the order of a hash table, numbers and
//! help texts in its own way, and has no text format 0.0.4 that is Go's to the byte. So what it prints is read again: series by
//! series, sorted, with name, help and kind from the catalogue, through the encoder that prints probes.

use std::borrow::Cow;
use std::time::SystemTime;

use memchr::{memchr, memrchr};
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::registry::Registry;
use smallvec::SmallVec;

use super::since;
use crate::metrics::negotiate::Exposition;
use crate::metrics::own::{Own, Shown};
use crate::metrics::{Encoder, Kind};

/// Names and values.
type Labels<'t> = SmallVec<[(&'t str, Cow<'t, str>); 3]>;

/// A family and what there is of it.
#[derive(Debug)]
struct Family<'t> {
    own: Own,
    series: Vec<(Labels<'t>, Point)>,
}

/// What others count, asked for when somebody scrapes: series, those of a family one after the other.
#[derive(Debug, Default)]
pub struct Figures {
    series: Vec<(Own, FewLabels, f64, Option<SystemTime>)>,
    /// Since when the counters count that are added next; `None` where client_golang does not say it either.
    pub created: Option<SystemTime>,
}

type FewLabels = SmallVec<[(&'static str, &'static str); 2]>;

impl Figures {
    /// None yet; counters count since then.
    pub fn since(created: SystemTime) -> Self {
        Self {
            created: Some(created),
            ..Self::default()
        }
    }

    /// Adds a family without labels.
    pub fn value(&mut self, own: Own, value: f64) {
        self.family::<0>(own, &[([], value)]);
    }

    /// Adds a family whose series have `N` labels each, in the order of their names.
    pub fn family<const N: usize>(&mut self, own: Own, series: &[([(&'static str, &'static str); N], f64)]) {
        let (series, created) = (series.iter(), self.created);
        self.series
            .extend(series.map(|(labels, value)| (own, labels.iter().copied().collect(), *value, created)));
    }
}

/// What one set of labels has: a value, or a histogram.
#[derive(Debug, Default, PartialEq)]
struct Point {
    value: f64,
    buckets: Vec<(f64, u64)>,
    count: u64,
    /// Since when a counter or a histogram counts.
    created: Option<SystemTime>,
}

impl Point {
    fn of(value: f64, created: Option<SystemTime>) -> Self {
        Self {
            value,
            created,
            ..Self::default()
        }
    }
}

/// Appends what the registry holds and the figures of others; `probed` says whether there was a probe already.
pub fn print(registry: &Registry, figures: Figures, probed: bool, exposition: Exposition, out: &mut Vec<u8>) {
    let mut text = String::with_capacity(8 << 10);
    // Writing to a string does not fail.
    let _ = encode_registry(&mut text, registry);
    let mut families = read(&text);
    for (own, labels, value, created) in figures.series {
        let labels = labels.into_iter().map(|(name, value)| (name, value.into()));
        let series = (labels.collect(), Point::of(value, created));
        match families.last_mut() {
            Some(family) if family.own == own => family.series.push(series),
            _ => families.push(Family {
                own,
                series: vec![series],
            }),
        }
    }
    families.sort_unstable_by_key(|family| family.own);
    let mut encoder = Encoder::new(out, exposition);
    for Family { own, mut series } in families {
        let family = own.family();
        if series.is_empty() || family.shown == Shown::OnceProbed && !probed {
            continue;
        }
        encoder.family(family.name, family.help, family.kind);
        series.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (labels, point) in &series {
            let labels = labels.iter().map(|(name, value)| (*name, value.as_ref()));
            match family.kind {
                Kind::Gauge => encoder.gauge(labels, point.value),
                Kind::Counter => encoder.counter(labels, point.value, point.created),
                Kind::Histogram => {
                    encoder.histogram(labels, &point.buckets, point.value, point.count, point.created);
                }
            }
        }
    }
    encoder.finish();
}

/// The families of the catalogue. Each begins with its help text, and its series follow one another.
fn read(text: &str) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::with_capacity(Own::ALL.len());
    // The name of the family under way, without the end that tells what a series of it counts.
    let mut stem = None;
    let mut rest = text;
    while let Some((line, below)) = cut(rest, memchr(b'\n', rest.as_bytes())) {
        rest = below;
        if !line.starts_with('#') {
            if let (Some(stem), Some(family)) = (stem, families.last_mut()) {
                add(family, stem, line);
            }
        } else if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, _) = cut(help, memchr(b' ', help.as_bytes())).unwrap_or((help, ""));
            let own = Own::of_stem(name);
            stem = own.map(|_| name);
            families.extend(own.map(|own| Family {
                own,
                series: Vec::new(),
            }));
        }
    }
    families
}

/// Adds the series of a line: `name{label="value"} 1.5`. Of a line that is none, nothing.
fn add<'t>(family: &mut Family<'t>, stem: &str, line: &'t str) -> Option<()> {
    let (all, kind) = (&mut family.series, family.own.family().kind);
    let line = line.strip_prefix(stem)?;
    let (series, number) = cut(line, memrchr(b' ', line.as_bytes()))?;
    let (series, value, created) = match kind {
        Kind::Counter => {
            let (series, value) = cut(series, memrchr(b' ', series.as_bytes()))?;
            (series, value, since::read(number))
        }
        Kind::Gauge | Kind::Histogram => (series, number, None),
    };
    let (end, labels) = cut(series, memchr(b'{', series.as_bytes())).unwrap_or((series, ""));
    let number = || value.parse::<f64>().ok();
    match end {
        // A histogram begins with the time since when it counts; sum, count and buckets follow.
        "" if kind == Kind::Histogram => all.push((read_labels(labels), Point::of(0.0, since::read(value)))),
        "_sum" => all.last_mut()?.1.value = number()?,
        "_count" => all.last_mut()?.1.count = number()? as u64,
        "_bucket" => {
            let (bound, _) = split_value(labels.strip_prefix("le=\"")?)?;
            if bound != "+Inf" {
                let bucket = (bound.parse().ok()?, number()? as u64);
                all.last_mut()?.1.buckets.push(bucket);
            }
        }
        _ => all.push((read_labels(labels), Point::of(number()?, created))),
    }
    Some(())
}

fn read_labels(mut text: &str) -> Labels<'_> {
    let mut labels = Labels::new();
    while let Some((name, rest)) = cut(text, memchr(b'=', text.as_bytes())) {
        let Some((value, rest)) = rest.strip_prefix('"').and_then(split_value) else {
            break;
        };
        labels.push((name, unescaped(value)));
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels
}

/// A value up to the quotation mark that ends it, and what follows.
fn split_value(text: &str) -> Option<(&str, &str)> {
    let (value, rest) = cut(text, memchr(b'"', text.as_bytes()))?;
    if memchr(b'\\', value.as_bytes()).is_none() {
        return Some((value, rest));
    }
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

/// What stands before a character of ASCII, and behind it. `split_once` looks for characters of any length, which takes longer.
fn cut(text: &str, at: Option<usize>) -> Option<(&str, &str)> {
    Some((text.get(..at?)?, text.get(at? + 1..)?))
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if memchr(b'\\', value.as_bytes()).is_none() {
        return Cow::Borrowed(value);
    }
    let (mut out, mut chars) = (String::with_capacity(value.len()), value.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|c| if c == 'n' { '\n' } else { c })),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::histogram::Histogram;

    use super::since::Since;
    use super::*;
    use crate::metrics::Format;

    #[test]
    fn the_library_is_read_as_it_prints() {
        let odd = "a\\b\"c\nd}e=\"f\",g 1";
        let counters = Family::<Vec<(String, String)>, Since<Counter>>::default();
        for module in ["b", odd] {
            let labels = vec![("module".to_owned(), module.to_owned())];
            counters.get_or_create(&labels).inc_by(1_000_000);
        }
        let histogram = Since::now(Histogram::new([0.5, 1.0]));
        for seconds in [0.25, 0.75, 4.0] {
            histogram.observe(seconds);
        }
        let mut registry = Registry::default();
        registry.register("blackbox_exporter_probes", "Ours", counters);
        registry.register("blackbox_exporter_probe_duration_seconds", "Ours", histogram);
        registry.register("not_in_the_catalogue", "None", Since::<Counter>::default());
        let mut out = Vec::new();
        print(
            &registry,
            Figures::default(),
            true,
            Exposition::new(Format::Text),
            &mut out,
        );
        let duration = Own::ProbeDuration.family();
        let probes = Own::Probes.family();
        let want = format!(
            "# HELP {d} {}\n# TYPE {d} histogram\n{d}_bucket{{le=\"0.5\"}} 1\n{d}_bucket{{le=\"1\"}} 2\n{d}_bucket{{le=\"+Inf\"}} 3\n\
             {d}_sum 5\n{d}_count 3\n# HELP {p} {}\n# TYPE {p} counter\n{p}{{module=\"a\\\\b\\\"c\\nd}}e=\\\"f\\\",g 1\"}} 1e+06\n\
             {p}{{module=\"b\"}} 1e+06\n",
            duration.help,
            probes.help,
            d = duration.name,
            p = probes.name,
        );
        assert_eq!(String::from_utf8(out).unwrap(), want);
        let mut fresh = Vec::new();
        print(
            &registry,
            Figures::default(),
            false,
            Exposition::new(Format::Text),
            &mut fresh,
        );
        assert!(fresh.is_empty());
    }
}
