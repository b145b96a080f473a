//! What the flags say: where spans and logs go, which probes are exported, where people look at a trace.

use std::fmt;
use std::time::Duration;

use super::Context;
use crate::config::units::parse_duration;

/// An address to which things are posted.
#[derive(Clone, PartialEq)]
pub struct Endpoint(pub(crate) reqwest::Url);

impl Endpoint {
    /// Reads a URL with `http` or `https`.
    pub fn parse(text: &str) -> Option<Self> {
        let url = reqwest::Url::parse(text).ok()?;
        matches!(url.scheme(), "http" | "https").then_some(Self(url))
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.0.path()
    }
}

/// Without user, password and query, which may be credentials.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0;
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which probes are exported. Failed ones always are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Export {
    /// No others.
    #[default]
    Failed,
    /// Those that took at least so long.
    Slow(Duration),
    /// A share of the others, from 0 to 1.
    Ratio(f64),
    /// All.
    All,
}

impl Export {
    /// Reads `failed`, `slow:DURATION`, `ratio:F` or `all`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "failed" => Some(Self::Failed),
            None if text == "all" => Some(Self::All),
            Some(("slow", duration)) => {
                let nanoseconds = u64::try_from(parse_duration(duration)?).ok()?;
                Some(Self::Slow(Duration::from_nanos(nanoseconds)))
            }
            Some(("ratio", share)) => {
                let share = share.parse().ok()?;
                (0.0..=1.0).contains(&share).then_some(Self::Ratio(share))
            }
            _ => None,
        }
    }

    /// Whether a probe that ended so is exported. A share is chosen by the trace id, as other programs choose it: a trace is
    /// exported by all of them or by none.
    pub fn chooses(self, success: bool, duration: Duration, context: &Context) -> bool {
        !success
            || match self {
                Self::Failed => false,
                Self::Slow(least) => duration >= least,
                Self::Ratio(share) => {
                    let [.., a, b, c, d, e, f, g, h] = context.trace.0;
                    let lot = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
                    (lot as f64) < share * (1_u64 << 63) as f64
                }
                Self::All => true,
            }
    }
}

/// Where people look at a trace: a URL with `{trace_id}` in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Link(String);

/// What stands for the id.
const TRACE_ID: &str = "{trace_id}";

impl Link {
    /// Reads a URL with `{trace_id}` in it.
    pub fn parse(text: &str) -> Option<Self> {
        let is_url = ["http://", "https://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        let can_be_one = is_url && text.contains(TRACE_ID) && !text.contains(char::is_control);
        can_be_one.then(|| Self(text.to_owned()))
    }

    /// The link to a trace.
    pub fn of(&self, context: &Context) -> String {
        self.0.replace(TRACE_ID, &context.trace.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn endpoints_show_no_credentials() {
        let endpoint = Endpoint::parse("https://user:secret@[::1]:4318/v1/traces?token=secret").unwrap();
        assert_eq!(endpoint.to_string(), "https://[::1]:4318/v1/traces");
        assert_eq!(format!("{endpoint:?}"), "https://[::1]:4318/v1/traces");
        for text in ["", "localhost:4318", "grpc://localhost:4317", "http://"] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn choices_are_read() {
        let rows = [
            ("failed", Some(Export::Failed)),
            ("all", Some(Export::All)),
            ("slow:1.5s", Some(Export::Slow(Duration::from_millis(1500)))),
            ("slow:", None),
            ("slow:-1s", None),
            ("ratio:0.25", Some(Export::Ratio(0.25))),
            ("ratio:2", None),
            ("ratio:NaN", None),
            ("some", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(Export::parse(text), want, "{text}");
        }
    }

    #[test]
    fn failed_probes_are_always_chosen() {
        let took = Duration::from_millis(10);
        let context = |_| Context::begin(&config::Trace::default(), None);
        for export in [Export::Failed, Export::Ratio(0.0), Export::Slow(Duration::MAX)] {
            assert!(export.chooses(false, took, &context(0)));
            assert!(!export.chooses(true, took, &context(0)));
        }
        for export in [Export::All, Export::Ratio(1.0), Export::Slow(took)] {
            assert!(export.chooses(true, took, &context(0)));
        }
        let half = (0..1000)
            .map(context)
            .filter(|context| Export::Ratio(0.5).chooses(true, took, context));
        assert!((300..700).contains(&half.count()));
    }

    #[test]
    fn links_have_the_id() {
        let context = Context::begin(&config::Trace::default(), None);
        let link = Link::parse("https://tempo.example/trace/{trace_id}?x={trace_id}").unwrap();
        let id = context.trace;
        assert_eq!(
            link.of(&context),
            format!("https://tempo.example/trace/{id}?x={id}")
        );
        for text in ["https://tempo.example/", "javascript:{trace_id}", "{trace_id}"] {
            assert_eq!(Link::parse(text), None, "{text}");
        }
    }
}
