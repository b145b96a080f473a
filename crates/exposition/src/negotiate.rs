//! Which format and coding a scraper wants: `Accept` and `Accept-Encoding` as client_golang reads them.

use super::Escaping;

/// A format of the exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 0.0.1: what is printed is that of 1.0.0, only its name differs.
    OpenMetrics001,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Length-delimited protobuf families.
    Protobuf,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposition {
    /// The format.
    pub format: Format,
    /// The escaping scheme.
    pub escaping: Escaping,
}

/// One clause of an `Accept` header.
struct Clause<'a> {
    kind: &'a str,
    subkind: &'a str,
    quality: f64,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Clause<'_> {
    fn parameter(&self, name: &str) -> &str {
        // The last one of a name wins, as in Go's map.
        self.parameters
            .iter()
            .rev()
            .find(|(n, _)| *n == name)
            .map_or("", |(_, value)| value)
    }

    /// goautoneg's order, which is not a proper order: it must be applied by the same sort.
    fn before(&self, other: &Self) -> bool {
        self.quality > other.quality
            || (self.kind != "*" && other.kind == "*")
            || (self.subkind != "*" && other.subkind == "*")
    }
}

impl Exposition {
    /// A format with the default escaping.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            escaping: Escaping::Underscores,
        }
    }

    /// Reads an `Accept` header (the first one of a request). Nothing suitable means text.
    ///
    // compat: upstream never serves OpenMetrics; here a scraper that prefers OpenMetrics gets it.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let mut escaping = Escaping::Underscores;
        for clause in clauses(accept.unwrap_or("")) {
            escaping = match clause.parameter("escaping") {
                "allow-utf-8" => Escaping::AllowUtf8,
                "underscores" => Escaping::Underscores,
                "dots" => Escaping::Dots,
                "values" => Escaping::Values,
                _ => escaping,
            };
            let version = clause.parameter("version");
            let format = match (clause.kind, clause.subkind) {
                ("application", "vnd.google.protobuf")
                    if clause.parameter("proto") == "io.prometheus.client.MetricFamily"
                        && clause.parameter("encoding") == "delimited" =>
                {
                    Format::Protobuf
                }
                ("text", "plain") if matches!(version, "" | "0.0.4") => Format::Text,
                ("application", "openmetrics-text")
                    if matches!(version, "" | "0.0.1" | "1.0.0") && clause.quality > 0.0 =>
                {
                    // client_golang counts no version as the older one.
                    match version {
                        "1.0.0" => Format::OpenMetrics,
                        _ => Format::OpenMetrics001,
                    }
                }
                _ => continue,
            };
            return Self { format, escaping };
        }
        Self {
            format: Format::Text,
            escaping,
        }
    }

    /// The `Content-Type` of the answer.
    pub fn content_type(self) -> &'static str {
        macro_rules! with_escaping {
            ($format:literal) => {
                match self.escaping {
                    Escaping::AllowUtf8 => concat!($format, "; escaping=allow-utf-8"),
                    Escaping::Underscores => concat!($format, "; escaping=underscores"),
                    Escaping::Dots => concat!($format, "; escaping=dots"),
                    Escaping::Values => concat!($format, "; escaping=values"),
                }
            };
        }
        match self.format {
            Format::Text => with_escaping!("text/plain; version=0.0.4; charset=utf-8"),
            Format::OpenMetrics001 => {
                with_escaping!("application/openmetrics-text; version=0.0.1; charset=utf-8")
            }
            Format::OpenMetrics => {
                with_escaping!("application/openmetrics-text; version=1.0.0; charset=utf-8")
            }
            Format::Protobuf => with_escaping!(
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            ),
        }
    }
}

/// Clauses of an `Accept` header that are looked at. Scrapers send up to ten; sorting thousands, which any client may send
/// in one header, would block a worker thread.
// compat: upstream looks at all of them.
const MOST_CLAUSES: usize = 200;

fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = Vec::new();
    for part in header.split(',').take(MOST_CLAUSES) {
        let (range, mut rest) = part
            .trim_matches(' ')
            .split_once(';')
            .unwrap_or((part.trim_matches(' '), ""));
        let mut halves = range.split('/');
        let kind = halves.next().unwrap_or("").trim_matches(' ');
        let subkind = match (halves.next().filter(|s| !s.is_empty()), halves.next()) {
            (Some(subkind), None) => subkind.trim_matches(' '),
            (None, _) if kind == "*" => "*",
            _ => continue,
        };
        let mut clause = Clause {
            kind,
            subkind,
            quality: 1.0,
            parameters: Vec::new(),
        };
        while !rest.is_empty() {
            let (parameter, more) = rest.split_once(';').unwrap_or((rest, ""));
            rest = more;
            match parameter.split_once('=') {
                Some((_, value)) if value.is_empty() || value.contains('=') => {}
                Some((name, value)) if name.trim_matches(' ') == "q" => {
                    clause.quality = value.parse().unwrap_or(0.0);
                }
                Some((name, value)) => clause
                    .parameters
                    .push((name.trim_matches(' '), value.trim_matches(' '))),
                None => {}
            }
        }
        // Insertion sort, as Go's sort.Sort does for so few.
        let mut place = clauses.len();
        while place > 0
            && clauses
                .get(place - 1)
                .is_some_and(|previous| clause.before(previous))
        {
            place -= 1;
        }
        clauses.insert(place, clause);
    }
    clauses
}

/// Whether the answer is to be compressed with gzip, by all `Accept-Encoding` headers of a request.
///
/// Offers are `identity`, then `gzip`; the first with the highest quality wins, names compare exactly (client_golang's
/// copy of gddo's httputil).
pub fn wants_gzip<'a>(accept_encodings: impl Iterator<Item = &'a str>) -> bool {
    let (mut identity, mut gzip) = (-1.0_f64, -1.0_f64);
    for header in accept_encodings {
        let mut rest = header.trim_start_matches([' ', '\t']);
        loop {
            let end = rest.find(|c: char| !is_token_or_slash(c)).unwrap_or(rest.len());
            let (name, more) = rest.split_at(end);
            if name.is_empty() {
                break;
            }
            let mut more = more.trim_start_matches([' ', '\t']);
            let mut quality = 1.0;
            if let Some(parameter) = more.strip_prefix(';') {
                let Some(number) = parameter.trim_start_matches([' ', '\t']).strip_prefix("q=") else {
                    break;
                };
                let Some((value, after)) = quality_value(number) else {
                    break;
                };
                (quality, more) = (value, after.trim_start_matches([' ', '\t']));
            }
            if matches!(name, "*" | "identity") {
                identity = identity.max(quality);
            }
            if matches!(name, "*" | "gzip") {
                gzip = gzip.max(quality);
            }
            let Some(next) = more.strip_prefix(',') else { break };
            rest = next.trim_start_matches([' ', '\t']);
        }
    }
    gzip > 0.0 && gzip > identity
}

fn is_token_or_slash(c: char) -> bool {
    c == '/' || (c.is_ascii_graphic() && !"\"(),:;<=>?@[\\]{}".contains(c))
}

/// `0`, `1` or `0.125`: a quality value and what stands behind it.
fn quality_value(text: &str) -> Option<(f64, &str)> {
    let (whole, rest) = match text.as_bytes().first()? {
        b'0' => (0.0, text.get(1..)?),
        b'1' => (1.0, text.get(1..)?),
        _ => return None,
    };
    let Some(fraction) = rest.strip_prefix('.') else {
        return Some((whole, rest));
    };
    let end = fraction
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(fraction.len());
    let (digits, rest) = fraction.split_at(end);
    let value = format!("0.{digits}0").parse::<f64>().ok()?;
    Some((whole + value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
        application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
        text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    const DELIMITED: &str =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

    #[test]
    fn accept_decides_the_format() {
        #[rustfmt::skip]
        let rows: &[(Option<&str>, Format)] = &[
            (None, Format::Text),
            (Some(""), Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/html"), Format::Text),
            (Some("text/plain;version=1.0.0"), Format::Text),
            (Some("nonsense"), Format::Text),
            (Some(",;,"), Format::Text),
            (Some("application/openmetrics-text"), Format::OpenMetrics001),
            (Some("application/openmetrics-text;version=0.0.1"), Format::OpenMetrics001),
            (Some("application/openmetrics-text;version=1.0.0"), Format::OpenMetrics),
            (Some("application/openmetrics-text;version=2.0.0"), Format::Text),
            (Some("application/openmetrics-text;version=1.0.0;q=0,text/plain;q=0.1"), Format::Text),
            (Some("application/openmetrics-text;q=0.2,text/plain;q=0.9"), Format::Text),
            (Some("text/plain;q=0.2, application/openmetrics-text;q=0.9"), Format::OpenMetrics001),
            (Some(PROMETHEUS), Format::OpenMetrics),
            (Some(DELIMITED), Format::Protobuf),
            (Some("application/vnd.google.protobuf"), Format::Text),
        ];
        for (accept, want) in rows {
            assert_eq!(Exposition::negotiate(*accept).format, *want, "{accept:?}");
        }
    }

    #[test]
    fn a_header_of_a_mebibyte_takes_no_time() {
        let clauses: Vec<String> = (0..80_000).map(|i| format!("a/b;q=.{i:06}")).collect();
        let start = std::time::Instant::now();
        let chosen = Exposition::negotiate(Some(&clauses.join(",")));
        assert_eq!(chosen.format, Format::Text);
        assert!(
            start.elapsed() < std::time::Duration::from_secs(1),
            "{:?}",
            start.elapsed()
        );
    }

    #[test]
    fn the_version_of_openmetrics_is_that_which_was_asked_for() {
        for (version, want) in [
            ("", "0.0.1"),
            (";version=0.0.1", "0.0.1"),
            (";version=1.0.0", "1.0.0"),
        ] {
            let accept = format!("application/openmetrics-text{version}");
            let kind = Exposition::negotiate(Some(&accept)).content_type();
            assert_eq!(
                kind,
                format!("application/openmetrics-text; version={want}; charset=utf-8; escaping=underscores")
            );
        }
    }

    #[test]
    fn escaping_is_echoed() {
        let rows = [
            ("allow-utf-8", "allow-utf-8"),
            ("dots", "dots"),
            ("values", "values"),
            ("other", "underscores"),
        ];
        for (asked, want) in rows {
            let accept = format!("text/plain;version=0.0.4;escaping={asked}");
            let kind = Exposition::negotiate(Some(&accept)).content_type();
            assert_eq!(
                kind,
                format!("text/plain; version=0.0.4; charset=utf-8; escaping={want}")
            );
        }
    }

    #[test]
    fn accept_encoding_decides_about_gzip() {
        let rows: &[(&str, bool)] = &[
            ("", false),
            ("gzip", true),
            ("gzip, deflate", true),
            ("deflate, gzip;q=0.5", true),
            ("GZIP", false),
            ("*", false),
            ("gzip;q=0", false),
            ("identity;q=1, gzip;q=0.5", false),
            ("identity;q=0.2, gzip;q=0.5", true),
            ("zstd;q=1, gzip;q=0.5", true),
            ("gzip;level=1", false),
            ("gzip;q=2", false),
            (" gzip ; q=0.001 ", true),
        ];
        for (header, want) in rows {
            assert_eq!(wants_gzip([*header].into_iter()), *want, "{header:?}");
        }
    }
}
