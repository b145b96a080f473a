//! Looking for expressions in a text that comes in pieces and need not be kept.
//!
//! The engine of [`Regexp::is_match`] wants the whole text, and cannot be stopped: an expression that is hard on it takes
//! seconds over some megabytes. So only a short text is left to it. In a longer one a lazily built automaton takes a step
//! a byte, and whoever feeds it can look at the clock, and let others have their turn, between two pieces.

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::start;
use smallvec::SmallVec;

use super::Regexp;

/// Up to so many bytes a text is kept and searched as a whole.
pub const SHORT: usize = 16 << 10;

/// How much of a longer one to feed before others have their turn: some milliseconds' worth at worst.
pub const PIECE: usize = 4 << 10;

/// U+FFFD, which stands for each byte that is not UTF-8.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Expressions that are looked for in one text.
pub struct Search<'r> {
    expressions: Vec<&'r Regexp>,
    text: Text<'r>,
}

enum Text<'r> {
    /// All of it so far.
    Short(Vec<u8>),
    Long {
        walks: Vec<Walk<'r>>,
        /// The first bytes of a character whose others have not come yet.
        begun: SmallVec<[u8; 4]>,
    },
}

impl<'r> Search<'r> {
    /// Looks for each of `expressions` in an empty text, to which more can be added.
    pub fn new(expressions: impl IntoIterator<Item = &'r Regexp>) -> Self {
        Self {
            expressions: expressions.into_iter().collect(),
            text: Text::Short(Vec::new()),
        }
    }

    /// Adds to the text. True if that took its time: some microseconds a byte and expression at worst.
    pub fn feed(&mut self, piece: &[u8]) -> bool {
        if self.expressions.is_empty() {
            return false;
        }
        match &mut self.text {
            Text::Short(text) if text.len() + piece.len() <= SHORT => {
                text.extend_from_slice(piece);
                return false;
            }
            Text::Short(text) => {
                let text = std::mem::take(text);
                self.text = Text::Long {
                    walks: self.expressions.iter().map(|regexp| Walk::new(regexp)).collect(),
                    begun: SmallVec::new(),
                };
                self.walk(&text);
                self.walk(piece);
            }
            Text::Long { .. } => self.walk(piece),
        }
        true
    }

    fn walk(&mut self, piece: &[u8]) {
        let Text::Long { walks, begun } = &mut self.text else {
            return;
        };
        let joined;
        let piece = if begun.is_empty() {
            piece
        } else {
            joined = [begun, piece].concat();
            begun.clear();
            &joined
        };
        let mut chunks = piece.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            walks
                .iter_mut()
                .for_each(|walk| walk.step(chunk.valid().as_bytes()));
            let invalid = chunk.invalid();
            let may_go_on = std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if may_go_on && chunks.peek().is_none() {
                begun.extend_from_slice(invalid);
            } else {
                stray(walks, invalid);
            }
        }
    }

    /// Whether the text, which has ended, matches the expression of that index.
    pub fn matches(&mut self, index: usize) -> bool {
        match &mut self.text {
            Text::Short(text) => self
                .expressions
                .get(index)
                .is_some_and(|regexp| regexp.is_match(text)),
            Text::Long { walks, begun } => {
                stray(walks, &std::mem::take(begun));
                walks.get_mut(index).is_some_and(Walk::end)
            }
        }
    }
}

/// Each of these bytes is no UTF-8.
fn stray(walks: &mut [Walk<'_>], bytes: &[u8]) {
    for _ in bytes {
        walks.iter_mut().for_each(|walk| walk.step(REPLACEMENT));
    }
}

/// One expression on its way through the text.
struct Walk<'r> {
    /// `None` when it is known whether it matches.
    on: Option<(&'r DFA, Box<Cache>, LazyStateID)>,
    found: bool,
}

impl<'r> Walk<'r> {
    fn new(regexp: &'r Regexp) -> Self {
        let begin = |dfa: &'r DFA| {
            let mut cache = Box::new(dfa.create_cache());
            let state = dfa.start_state(&mut cache, &start::Config::new()).ok()?;
            Some((dfa, cache, state))
        };
        Self {
            on: regexp.automaton().and_then(begin),
            found: false,
        }
    }

    fn step(&mut self, bytes: &[u8]) {
        let Some((dfa, cache, state)) = &mut self.on else {
            return;
        };
        for byte in bytes {
            // It never gives up, for it was not told to.
            let Ok(next) = dfa.next_state(cache, *state, *byte) else {
                return self.on = None;
            };
            *state = next;
            if !next.is_tagged() {
                continue;
            }
            // A match is known one byte late, and an empty one could be within a character, where Go does not look.
            let within_character = matches!(byte, 0x80..=0xbf);
            if next.is_match() && !within_character {
                self.found = true;
                return self.on = None;
            }
            if next.is_dead() {
                return self.on = None;
            }
        }
    }

    fn end(&mut self) -> bool {
        if let Some((dfa, mut cache, state)) = self.on.take() {
            let last = dfa.next_eoi_state(&mut cache, state);
            self.found = last.is_ok_and(|state| state.is_match());
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether the expression is found by walking through these pieces.
    fn walked<'t>(regexp: &Regexp, pieces: impl IntoIterator<Item = &'t [u8]>) -> bool {
        let mut search = Search::new([regexp]);
        search.text = Text::Long {
            walks: vec![Walk::new(regexp)],
            begun: SmallVec::new(),
        };
        for piece in pieces {
            search.feed(piece);
        }
        search.matches(0)
    }

    const EXPRESSIONS: [&str; 22] = [
        "",
        "a",
        "^a",
        "a$",
        "^$",
        "(?m)^b$",
        "(?m)^$",
        r"\ba\b",
        r"\B",
        r"a\B",
        r"\b",
        "é",
        ".",
        "^.$",
        "^..$",
        "[^a]b",
        "a.b",
        r"\x{fffd}",
        r"^[^\x{fffd}]+$",
        "(a|ab)(c|bcd)$",
        "(?i)É",
        r"a{2,3}\z",
    ];

    /// Characters, and what begins one or is none.
    const TEXTS: &[&[u8]] = &[
        b"a",
        b"b",
        b"c",
        b"\n",
        "é".as_bytes(),
        "😀".as_bytes(),
        b"\xc3",
        b"\xff",
        b"\xf0\x9f\x98",
    ];

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            text in proptest::collection::vec(proptest::sample::select(TEXTS), 0..8),
            size in 1_usize..5,
        ) {
            let text = text.concat();
            for source in EXPRESSIONS {
                let regexp = Regexp::new(source).unwrap();
                prop_assert_eq!(walked(&regexp, text.chunks(size)), regexp.is_match(&text), "{} on {:?}", source, text);
            }
        }
    }

    #[test]
    fn long_texts_are_walked_through_and_short_ones_kept() {
        let (wanted, unwanted) = (Regexp::new("b$").unwrap(), Regexp::new("c").unwrap());
        for length in [10, SHORT - 1, SHORT, 5 * SHORT] {
            let mut search = Search::new([&wanted, &unwanted]);
            let mut took_time = false;
            for piece in vec![b'a'; length].chunks(3000) {
                took_time = search.feed(piece);
            }
            took_time |= search.feed(b"b");
            assert_eq!(took_time, length >= SHORT);
            assert_eq!([search.matches(0), search.matches(1)], [true, false], "{length}");
        }
    }
}
