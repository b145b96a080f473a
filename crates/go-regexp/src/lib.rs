#![doc = include_str!("../README.md")]
//!
//! A pattern is read by the rules of Go's parser ([`parse`]), so that what Go accepts compiles and what it rejects is
//! rejected with Go's words, and becomes the engines' own intermediate form ([`hir`]); no pattern text is rewritten.
//!
//! Go matches characters, and a byte that is not UTF-8 counts as one character, U+FFFD. The engine matches UTF-8, so a
//! text with such bytes is searched in a copy that has U+FFFD in their place, and positions are mapped back.
//!
//! An expression is checked when it is made and compiled when it is first used: of a configuration with thousands of modules,
//! each with expressions of its own, a start should not wait for all of them, nor should each hold its engine.

#![forbid(unsafe_code)]

mod class;
mod error;
mod hir;
mod node;
mod parse;
mod search;
mod template;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gostd::carried::repaired;
use gostd::deadline::{Deadline, TimedOut};
use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::captures::Captures;
use regex_automata::{MatchKind, meta};
use regex_syntax::hir::Hir;
use smallvec::SmallVec;

pub use error::{Error, ErrorKind};
use node::Node;
pub use search::{PIECE, SHORT, Search};
pub use template::Template;

/// How much memory an expression may take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Its compiled form. Go's own limit is about as much as the default.
    pub size: usize,
    /// What it remembers while it searches.
    pub cache: usize,
}

impl Limits {
    /// For expressions of untrusted authors.
    pub const SMALL: Self = Self {
        size: 1 << 20,
        cache: 256 << 10,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 128 << 20,
            cache: 2 << 20,
        }
    }
}

/// A regular expression; a clone shares the compiled form.
#[derive(Clone)]
pub struct Regexp(Arc<Expression>);

struct Expression {
    source: Box<str>,
    /// Made by the first use; `None` if it cannot be, which [`Regexp::new`] rules out.
    engine: OnceLock<Option<meta::Regex>>,
    /// For long texts, made by the first of them.
    automaton: OnceLock<Option<Box<DFA>>>,
    /// Names of the groups by index; group 0 and unnamed ones are empty.
    names: Box<[Box<str>]>,
    limits: Limits,
    is_small: bool,
}

/// Where an expression matched, with its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match<'t> {
    text: &'t [u8],
    groups: Groups,
}

/// Where each group matched.
type Groups = SmallVec<[Option<Range<usize>>; 4]>;

impl<'t> Match<'t> {
    /// The bytes of a group as they were in the text; `None` when there is no such group or it took no part in the match.
    pub fn group(&self, index: usize) -> Option<&'t [u8]> {
        let range = self.groups.get(index)?.clone()?;
        self.text.get(range)
    }

    /// How many groups there are, the whole match included.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Never: the whole match is always there.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

impl Regexp {
    /// Checks an expression. One that might be too large is compiled for that, the others when they are first used.
    ///
    /// # Errors
    /// What Go says about it (`error parsing regexp: missing closing ): ...`), or that it is too large.
    pub fn new(source: &str) -> Result<Self, Error> {
        Self::within(source, Limits::default())
    }

    /// As [`Regexp::new`], with other limits.
    ///
    /// # Errors
    /// What Go says about it, or that it is too large.
    pub fn within(source: &str, limits: Limits) -> Result<Self, Error> {
        let parsed = parse::parse(source)?;
        let (engine, is_small) = (OnceLock::new(), parsed.node.is_small());
        if !is_small && engine.get_or_init(|| compile(&parsed.node, limits)).is_none() {
            return Err(Error::new(ErrorKind::Large, source));
        }
        Ok(Self(Arc::new(Expression {
            source: source.into(),
            engine,
            automaton: OnceLock::new(),
            names: parsed.names.into_boxed_slice(),
            limits,
            is_small,
        })))
    }

    /// As [`Regexp::new`], of an expression that must be so small that compiling it costs next to nothing.
    ///
    /// # Errors
    /// What Go says about it, or that it is too large.
    pub fn small(source: &str) -> Result<Self, Error> {
        match parse::parse(source)?.node.is_small() {
            true => Self::new(source),
            false => Err(Error::new(ErrorKind::Large, source)),
        }
    }

    fn engine(&self) -> Option<&meta::Regex> {
        let engine = &self.0.engine;
        let compiled =
            engine.get_or_init(|| compile(&parse::parse(&self.0.source).ok()?.node, self.0.limits));
        compiled.as_ref()
    }

    /// What [`Search`] walks through long texts with.
    fn automaton(&self) -> Option<&DFA> {
        let automaton = self.0.automaton.get_or_init(|| {
            let (node, limits) = (parse::parse(&self.0.source).ok()?.node, self.0.limits);
            hir::with_enough_stack(&node, |hir| automaton(hir, limits))
                .flatten()
                .map(Box::new)
        });
        automaton.as_deref()
    }

    /// Whether it, and what differs little from it, compiles within a millisecond or two.
    pub fn is_small(&self) -> bool {
        self.0.is_small
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Names of the groups by index; group 0 and unnamed ones are empty. A name may occur more than once.
    pub fn names(&self) -> &[Box<str>] {
        &self.0.names
    }

    /// Whether the expression matches anywhere in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.engine()
            .is_some_and(|engine| match std::str::from_utf8(text) {
                Ok(text) => engine.is_match(text),
                Err(_) => engine.is_match(&repaired(text)),
            })
    }

    /// As [`Regexp::is_match`], but lets others have their turn while a long text is searched.
    pub async fn matches(&self, text: &[u8]) -> bool {
        if text.len() <= SHORT {
            return self.is_match(text);
        }
        let mut search = Search::new([self]);
        for piece in text.chunks(PIECE) {
            if search.feed(piece) {
                tokio::task::yield_now().await;
            }
        }
        search.matches(0)
    }

    /// The leftmost match in `text`, with its groups.
    pub fn captures<'t>(&self, text: &'t [u8]) -> Option<Match<'t>> {
        let groups = self.groups(text)?;
        Some(Match { text, groups })
    }

    /// As [`Regexp::captures`], but searches a long text off the async threads, and waits for that until the deadline.
    ///
    /// # Errors
    /// The deadline.
    pub async fn captures_within<'t>(
        &self,
        text: &'t Bytes,
        deadline: Deadline,
    ) -> Result<Option<Match<'t>>, TimedOut> {
        if text.len() <= SHORT {
            return Ok(self.captures(text));
        }
        let found = async {
            if !self.matches(text).await {
                return None;
            }
            let (regexp, text) = (self.clone(), text.clone());
            tokio::task::spawn_blocking(move || regexp.groups(&text))
                .await
                .ok()?
        };
        let groups = deadline.within(Box::pin(found)).await?;
        Ok(groups.map(|groups| Match { text, groups }))
    }

    fn groups(&self, text: &[u8]) -> Option<Groups> {
        let engine = self.engine()?;
        let mut captures = engine.create_captures();
        let groups = match std::str::from_utf8(text) {
            Ok(text) => {
                engine.captures(text, &mut captures);
                self.places(&captures, |at| at)
            }
            Err(_) => {
                engine.captures(&repaired(text), &mut captures);
                self.places(&captures, |at| original(text, at))
            }
        };
        captures.is_match().then_some(groups)
    }

    fn places(&self, captures: &Captures, place: impl Fn(usize) -> usize) -> Groups {
        (0..self.0.names.len())
            .map(|index| {
                let span = captures.get_group(index)?;
                Some(place(span.start)..place(span.end))
            })
            .collect()
    }
}

/// Compiles an expression; `None` if it is too large.
fn compile(node: &Node, limits: Limits) -> Option<meta::Regex> {
    let config = meta::Config::new()
        .utf8_empty(true)
        .nfa_size_limit(Some(limits.size))
        .onepass_size_limit(Some(1 << 20))
        .hybrid_cache_capacity(limits.cache);
    let engine = hir::with_enough_stack(node, |hir| {
        meta::Regex::builder().configure(config).build_from_hir(hir).ok()
    });
    engine.flatten()
}

/// An automaton that tells whether there is a match, and neither where nor the first of them.
fn automaton(hir: &Hir, limits: Limits) -> Option<DFA> {
    let nfa = thompson::Config::new()
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(limits.size));
    let nfa = NFA::compiler().configure(nfa).build_from_hir(hir).ok()?;
    let config = DFA::config()
        .match_kind(MatchKind::All)
        .cache_capacity(limits.cache / 2)
        .skip_cache_capacity_check(true);
    DFA::builder().configure(config).build_from_nfa(nfa).ok()
}

impl fmt::Debug for Regexp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regexp({:?})", self.0.source)
    }
}

impl fmt::Display for Regexp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.source)
    }
}

/// The place in `bytes` that was `at` in its repaired copy.
fn original(bytes: &[u8], at: usize) -> usize {
    let (mut place, mut left) = (0, at);
    for chunk in bytes.utf8_chunks() {
        if left <= chunk.valid().len() {
            return place + left;
        }
        place += chunk.valid().len();
        left -= chunk.valid().len();
        let stray = chunk
            .invalid()
            .len()
            .min(left / char::REPLACEMENT_CHARACTER.len_utf8());
        place += stray;
        left -= stray * char::REPLACEMENT_CHARACTER.len_utf8();
    }
    place
}

/// The pattern that matches `text` as it stands: `regexp.QuoteMeta`.
#[must_use]
pub fn quote_meta(text: &str) -> String {
    let special = |c: char| r"\.+*?()|[]{}^$".contains(c);
    text.chars()
        .flat_map(|c| special(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_matches_itself() {
        for text in ["a.b*c", "[x]{1}(y)|z^$\\", "220-grüße <h1>", ""] {
            let pattern = format!("^{}$", quote_meta(text));
            assert!(
                Regexp::new(&pattern).unwrap().is_match(text.as_bytes()),
                "{pattern}"
            );
        }
    }

    #[test]
    fn what_go_rejects_is_rejected_in_its_words() {
        let rows = [
            ("(", "missing closing ): `(`"),
            ("a)", "unexpected ): `a)`"),
            ("[a", "missing closing ]: `[a`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a*{2}", "invalid nested repetition operator: `*{2}`"),
            ("*", "missing argument to repetition operator: `*`"),
            ("(|+?)", "missing argument to repetition operator: `+?`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("(a{100}){11}", "invalid repeat count: `{11}`"),
            ("a{2,1}", "invalid repeat count: `{2,1}`"),
            ("(?x)", "invalid or unsupported Perl syntax: `(?x`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
            ("(?<=a)", "invalid named capture: `(?<=a)`"),
            ("(?P<a b>c)", "invalid named capture: `(?P<a b>`"),
            (r"\C", r"invalid escape sequence: `\C`"),
            (r"\8", r"invalid escape sequence: `\8`"),
            (r"\u0041", r"invalid escape sequence: `\u`"),
            (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
            (r"\", "trailing backslash at end of expression: ``"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            (r"\p{Klingon}", r"invalid character class range: `\p{Klingon}`"),
            (r"[a-\d]", r"invalid escape sequence: `\d`"),
        ];
        for (source, want) in rows {
            let got = Regexp::new(source).map(|_| ()).unwrap_err().to_string();
            assert_eq!(got, format!("error parsing regexp: {want}"), "{source}");
        }
    }

    #[test]
    fn what_go_accepts_means_the_same() {
        let rows: &[(&str, &[u8], bool)] = &[
            (r"^\Qa.b\E$", b"a.b", true),
            (r"^\Qa.b\E$", b"axb", false),
            ("^a{,2}$", b"a{,2}", true),
            ("^a{$", b"a{", true),
            ("^[[a]$", b"[", true),
            ("^[a&&b]$", b"&", true),
            (r"^\123\x41\x{42}$", b"SAB", true),
            (r"^\p{^Greek}$", "δ".as_bytes(), false),
            (r"^\p{greek}$", "δ".as_bytes(), true),
            (r"^\pN$", b"7", true),
            (r"\d", "٣".as_bytes(), false),
            (r"\s", "\u{a0}".as_bytes(), false),
            (r"\s", b"\x0b", false),
            (r"é\b", "é".as_bytes(), false),
            ("a$", b"a\n", false),
            ("(?m)a$", b"a\n", true),
            (r"a\z", b"a", true),
            ("^a.b$", b"a\nb", false),
            ("(?s)^a.b$", b"a\nb", true),
            ("^[^a]$", b"\n", true),
            ("(?i)^k$", "\u{212a}".as_bytes(), true),
            (r"(?i)^\W$", "ſ".as_bytes(), false),
            (r"\x{d800}", "\u{fffd}".as_bytes(), false),
            // Bytes that are not UTF-8 are one character each.
            ("^.$", b"\xff", true),
            ("^..$", b"\xe2\x82", true),
            ("^.$", b"\xe2\x82", false),
            ("^..$", "é".as_bytes(), false),
            ("^[^é]$", "é".as_bytes(), false),
            ("^[^é]$", b"\xc3", true),
            (r"^\x{fffd}$", b"\x80", true),
            (r"^[^\x{fffd}]$", b"\x80", false),
            (r"^\xff$", b"\xff", false),
        ];
        for (source, text, want) in rows {
            let regexp = Regexp::new(source).unwrap();
            assert_eq!(regexp.is_match(text), *want, "{source} on {text:?}");
            assert_eq!(
                regexp.captures(text).is_some(),
                *want,
                "groups of {source} on {text:?}"
            );
        }
    }

    #[test]
    fn groups_give_the_bytes_of_the_text() {
        let regexp = Regexp::new("x(.)(é?)(b)?$").unwrap();
        let found = regexp.captures(b"\xff\xffx\xfe\xc3\xa9").unwrap();
        assert_eq!(found.group(0), Some(&b"x\xfe\xc3\xa9"[..]));
        assert_eq!(found.group(1), Some(&b"\xfe"[..]));
        assert_eq!(found.group(2), Some("é".as_bytes()));
        assert_eq!(found.group(3), None);
        assert_eq!(found.group(4), None);
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn what_waits_for_its_first_use_compiles_soon() {
        let is_small = |source: &str| parse::parse(source).unwrap().node.is_small();
        for source in [
            "hello.*world",
            r"(?i)^\pL+\s*[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        ] {
            assert!(is_small(source), "{source}");
        }
        for source in [
            r"\pL{5}",
            "(a{40}){20}(b{40}){20}",
            &format!("{}a{}", "(".repeat(200), ")".repeat(200)),
        ] {
            assert!(!is_small(source), "{source}");
        }
    }

    /// Each took some milliseconds: folding looked at each of its characters.
    #[test]
    fn ignoring_case_in_large_classes_costs_little() {
        let source = format!("(?i){}", r"[\x00-@B-\x{10ffff}]".repeat(200));
        let began = std::time::Instant::now();
        assert!(parse::parse(&source).unwrap().node.is_small());
        let took = began.elapsed();
        assert!(took.as_secs() < 5, "{took:?}");
    }

    #[test]
    fn what_is_too_large_is_rejected_when_it_is_made() {
        // Go compiles it; here each character of the class costs some hundred states.
        let error = Regexp::new(r"(\pL{1000}\PL{1000}){1}".repeat(60).as_str())
            .map(|_| ())
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Large);
    }

    #[test]
    fn an_untrusted_expression_gets_less_memory() {
        let large = r"(\pL{100}\PL{100}){5}";
        assert!(Regexp::new(large).is_ok());
        let error = Regexp::within(large, Limits::SMALL).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Large);
        let small = Regexp::within("^(a|b)+$", Limits::SMALL).unwrap();
        assert!(small.is_match(b"abba"));
    }

    #[test]
    fn nesting_is_limited_as_go_limits_it() {
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Regexp::new(&nested(999)).unwrap().is_match(b"a"));
        let error = Regexp::new(&nested(1000)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NestingDepth);
        let error = Regexp::new(&"(".repeat(100_000)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::MissingParen);
    }
}
