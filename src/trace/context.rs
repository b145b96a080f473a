//! Ids, and the W3C Trace Context of a scrape (<https://www.w3.org/TR/trace-context/>).

use std::fmt;

use http::HeaderMap;

use crate::config;

/// The id of a trace: sixteen bytes, not all zero, printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

/// The id of a span: eight bytes, not all zero, printed as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId(pub [u8; 8]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The trace context with which a scrape came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The trace.
    pub trace: TraceId,
    /// The scraper's span.
    pub span: SpanId,
    /// The scraper's flags.
    pub flags: u8,
    /// `tracestate`, if there is one.
    pub state: Option<Box<str>>,
}

/// The part of one probe in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: TraceId,
    /// The span of the scrape that asked for the probe.
    pub parent: Option<SpanId>,
    /// The flags that are sent: sampled, random.
    pub flags: u8,
    /// `tracestate`, passed on.
    pub state: Option<Box<str>>,
    /// What the ids of the probe's own spans are made of.
    seed: u64,
}

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;
/// The flag of a trace whose id is random (Trace Context, level 2).
const RANDOM: u8 = 2;

impl Context {
    /// The context of a probe that begins, below that of its scrape.
    pub fn begin(config: &config::Trace, incoming: Option<Incoming>) -> Self {
        let sampled = if config.sampled { SAMPLED } else { 0 };
        let seed = rand::random();
        match incoming {
            Some(incoming) => Self {
                trace: incoming.trace,
                parent: Some(incoming.span),
                flags: sampled | incoming.flags & (SAMPLED | RANDOM),
                state: incoming.state,
                seed,
            },
            None => Self {
                trace: TraceId(rand::random_range(1..=u128::MAX).to_be_bytes()),
                parent: None,
                flags: sampled | RANDOM,
                state: None,
                seed,
            },
        }
    }

    /// Whether services are told to record the trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The span of the probe.
    pub fn probe(&self) -> SpanId {
        self.span(0)
    }

    /// The span of a hop, counted from 0.
    pub fn hop(&self, hop: usize) -> SpanId {
        self.span((hop as u64 + 1) << 32)
    }

    /// The span of a phase of a hop, both counted from 0.
    pub fn phase(&self, hop: usize, phase: usize) -> SpanId {
        self.span((hop as u64 + 1) << 32 | (phase as u64 + 1))
    }

    /// Each number gives another id: splitmix64 is a permutation, and begins at a random place.
    fn span(&self, number: u64) -> SpanId {
        let mut mixed = self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // Zero is no id.
        SpanId(mixed.max(1).to_be_bytes())
    }
}

impl Incoming {
    /// Reads the context of a request; `None` when there is none, or one that is not valid.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all("traceparent").iter();
        let (first, second) = (given.next()?, given.next());
        if second.is_some() {
            return None;
        }
        let mut incoming = Self::parse(first.as_bytes())?;
        incoming.state = state(headers);
        Some(incoming)
    }

    /// Reads a `traceparent` of version 00, or of a later one as far as 00 goes.
    fn parse(text: &[u8]) -> Option<Self> {
        let part = |from: usize, to: usize| text.get(from..to);
        let dashes = [2, 35, 52].map(|at| text.get(at) == Some(&b'-'));
        let [version] = hex(part(0, 2)?)?;
        let is_long_enough = match version {
            0xff => false,
            0 => text.len() == 55,
            _ => text.len() == 55 || text.get(55) == Some(&b'-'),
        };
        if !is_long_enough || dashes.contains(&false) {
            return None;
        }
        let (trace, span): ([u8; 16], [u8; 8]) = (hex(part(3, 35)?)?, hex(part(36, 52)?)?);
        let [flags] = hex(part(53, 55)?)?;
        let is_there = trace != [0; 16] && span != [0; 8];
        is_there.then_some(Self {
            trace: TraceId(trace),
            span: SpanId(span),
            flags,
            state: None,
        })
    }
}

/// Bytes of lower-case hexadecimal digits.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Most members of a `tracestate`.
const MEMBERS: usize = 32;
/// Most characters of a `tracestate` that is passed on.
const STATE: usize = 512;
/// Members longer than this are the first to be left out.
const LONG_MEMBER: usize = 128;

/// The `tracestate` of a request, its fields joined. One that is not valid is none at all; of one that is too long, whole
/// members are left out.
fn state(headers: &HeaderMap) -> Option<Box<str>> {
    let mut members: Vec<&str> = Vec::new();
    for field in headers.get_all("tracestate") {
        for member in field.to_str().ok()?.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=')?;
            let is_new = !members
                .iter()
                .any(|other| other.split_once('=').is_some_and(|(other, _)| other == key));
            if members.len() == MEMBERS || !is_new || !is_key(key) || !is_value(value) {
                return None;
            }
            members.push(member);
        }
    }
    let length = |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>();
    while length(&members) > STATE + 1 {
        let long = members.iter().rposition(|member| member.len() > LONG_MEMBER);
        members.remove(long.unwrap_or(members.len() - 1));
    }
    (!members.is_empty()).then(|| members.join(",").into())
}

fn is_key(key: &str) -> bool {
    let is_simple = |text: &str, most: usize| {
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/');
        (1..=most).contains(&text.len()) && text.bytes().all(allowed)
    };
    let begins_with_letter = |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase());
    match key.split_once('@') {
        None => is_simple(key, 256) && begins_with_letter(key),
        Some((tenant, system)) => {
            is_simple(tenant, 241) && is_simple(system, 14) && begins_with_letter(system)
        }
    }
}

fn is_value(value: &str) -> bool {
    let allowed = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b',' | b'=');
    (1..=256).contains(&value.len()) && value.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn traceparent_is_read_strictly() {
        let good = format!("00-{TRACE}-{SPAN}-01");
        let rows = [
            (good.clone(), true),
            (format!("00-{TRACE}-{SPAN}-00"), true),
            (format!("00-{TRACE}-{SPAN}-ff"), true),
            (format!("cc-{TRACE}-{SPAN}-01"), true),
            (format!("cc-{TRACE}-{SPAN}-01-more"), true),
            (format!("cc-{TRACE}-{SPAN}-01.more"), false),
            (format!("ff-{TRACE}-{SPAN}-01"), false),
            (format!("00-{TRACE}-{SPAN}-01-more"), false),
            (format!("00-{TRACE}-{SPAN}-1"), false),
            (format!("00-{TRACE}-{SPAN}-0x"), false),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), false),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), false),
            (format!("00_{TRACE}-{SPAN}-01"), false),
            (format!("00-{TRACE}-{SPAN}_01"), false),
            (format!("0-{TRACE}-{SPAN}-01"), false),
            (String::new(), false),
        ];
        for (text, want) in rows {
            let read = Incoming::of(&headers(&[("traceparent", &text)]));
            assert_eq!(read.is_some(), want, "{text}");
            if let Some(read) = read {
                assert_eq!(
                    (read.trace.to_string(), read.span.to_string()),
                    (TRACE.to_owned(), SPAN.to_owned())
                );
            }
        }
        let twice = headers(&[("traceparent", &good), ("traceparent", &good)]);
        assert_eq!(Incoming::of(&twice), None);
    }

    #[test]
    fn tracestate_is_passed_on_whole_or_in_whole_members() {
        let good = format!("00-{TRACE}-{SPAN}-01");
        let state = |fields: &[&str]| {
            let mut all = vec![("traceparent", good.as_str())];
            all.extend(fields.iter().map(|field| ("tracestate", *field)));
            Incoming::of(&headers(&all)).unwrap().state
        };
        assert_eq!(state(&[]), None);
        assert_eq!(
            state(&["a=1 , b=2,,", "t@c=x y"]).as_deref(),
            Some("a=1,b=2,t@c=x y")
        );
        for bad in ["A=1", "a", "a=", "a=b=c", "1a=1", "a=1,a=2", "a@=1", "a\u{e9}=1"] {
            assert_eq!(state(&[bad]), None, "{bad}");
        }
        let many: Vec<String> = (0..33).map(|i| format!("k{i}=v")).collect();
        assert_eq!(state(&[&many.join(",")]), None);
        assert!(state(&[&many[..32].join(",")]).is_some());
        let (long, short) = (format!("l={}", "x".repeat(200)), format!("s={}", "y".repeat(100)));
        let long_too = format!("m={}", "x".repeat(250));
        assert_eq!(
            state(&[&short, &long, &long_too]),
            Some(format!("{short},{long}").into())
        );
        let fits: String = (0..4).map(|i| format!("k{i}={},", "z".repeat(124))).collect();
        assert_eq!(state(&[&fits]).map(|state| state.len()), Some(511));
        let five: String = (0..5).map(|i| format!("k{i}={},", "z".repeat(124))).collect();
        assert_eq!(state(&[&five]).map(|state| state.len()), Some(511));
    }

    #[test]
    fn every_span_has_an_id_of_its_own() {
        let context = Context::begin(&config::Trace::default(), None);
        let mut ids = vec![context.probe().to_string()];
        for hop in 0..12 {
            ids.push(context.hop(hop).to_string());
            ids.extend((0..100).map(|phase| context.phase(hop, phase).to_string()));
        }
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn a_scrape_that_is_sampled_stays_so() {
        let incoming = |flags| Incoming {
            trace: TraceId([1; 16]),
            span: SpanId([2; 8]),
            flags,
            state: None,
        };
        for (sampled, flags, want) in [
            (true, 0, 1),
            (false, 1, 1),
            (false, 0, 0),
            (true, 0xff, 3),
            (false, 2, 2),
        ] {
            let config = config::Trace {
                sampled,
                ..config::Trace::default()
            };
            let context = Context::begin(&config, Some(incoming(flags)));
            assert_eq!(context.flags, want, "{sampled} {flags}");
            assert_eq!(context.parent, Some(SpanId([2; 8])));
        }
    }
}
