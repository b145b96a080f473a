//! YAML text as tokens: the rules of `scannerc.go` of go.yaml.in/yaml/v3, which is libyaml in Go.
//!
//! How many tokens are read ahead is part of the rules: what follows the document is refused only as far as it was looked
//! at. Errors are those of Go's reader, in words that say what to write instead.

mod directive;
mod structure;
mod text;

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::{Position, SyntaxError};

/// A token and where it begins and ends.
#[derive(Clone, Debug)]
pub(super) struct Token<'t> {
    pub kind: Kind<'t>,
    pub start: Position,
    pub end: Position,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'t> {
    StreamEnd,
    Version { is_1_1: bool },
    TagDirective { handle: &'t str, prefix: String },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'t str),
    Anchor(&'t str),
    Tag { handle: &'t str, suffix: String },
    Scalar { text: Cow<'t, str>, plain: bool },
}

/// A place from which a key may begin that only its colon, later on the line, shows to be one.
#[derive(Clone, Copy)]
struct SimpleKey {
    possible: bool,
    /// Nothing but a key can stand here.
    required: bool,
    /// The number of the token with which it begins.
    token: usize,
    at: Position,
    index: usize,
}

pub(super) struct Scanner<'t> {
    text: &'t str,
    /// Byte and character at which reading stands.
    offset: usize,
    index: usize,
    mark: Position,
    /// Whether only blanks were read since a line ended.
    broken: bool,
    queue: VecDeque<Token<'t>>,
    /// Tokens that were taken from the queue.
    taken: usize,
    indent: isize,
    indents: Vec<isize>,
    /// Open brackets.
    flow: usize,
    /// The candidate of each level of brackets.
    keys: Vec<SimpleKey>,
    /// Whether a key may begin here.
    key_allowed: bool,
}

type Scanned<T> = Result<T, SyntaxError>;

pub(super) fn wrong<T>(at: Position, message: &'static str) -> Scanned<T> {
    Err(SyntaxError::new(at, message))
}

/// Tokens that are read beyond the next one.
const AHEAD: usize = 2;
/// The first buffer of Go's reader: 512 bytes, less the byte order mark that was taken off.
const BUFFER: usize = 505;
/// How far a comment is looked for behind a token, and a comment behind another.
const COMMENT_WITHIN: usize = 512;
/// A key and its colon are at most this many characters apart.
const KEY_WITHIN: usize = 1024;

impl<'t> Scanner<'t> {
    pub fn new(text: &'t str) -> Self {
        let at = Position { line: 1, column: 1 };
        Self {
            text,
            offset: 0,
            index: 0,
            mark: at,
            broken: false,
            queue: VecDeque::new(),
            // The token that begins the stream.
            taken: 1,
            indent: -1,
            indents: Vec::new(),
            flow: 0,
            keys: vec![SimpleKey {
                possible: false,
                required: false,
                token: 0,
                at,
                index: 0,
            }],
            key_allowed: true,
        }
    }

    /// The next token, which stays the next one until it is taken.
    pub fn peek(&mut self) -> Scanned<&Token<'t>> {
        while self.queue.len() <= AHEAD || self.is_first_a_possible_key()? {
            self.fetch()?;
        }
        // Invariant: the loop ends with at least one token queued.
        self.queue.front().ok_or_else(|| self.error("no token"))
    }

    /// Takes the token that [`Scanner::peek`] showed.
    pub fn take(&mut self) -> Option<Token<'t>> {
        self.taken += 1;
        self.queue.pop_front()
    }

    pub fn error(&self, message: &'static str) -> SyntaxError {
        SyntaxError::new(self.mark, message)
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text
            .as_bytes()
            .get(self.offset + ahead)
            .copied()
            .unwrap_or(0)
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.offset).unwrap_or_default()
    }

    fn column(&self) -> isize {
        self.mark.column as isize - 1
    }

    fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    // compat: U+2028 and U+2029 are text, as YAML 1.2 has it; U+0085 was replaced before.
    fn is_break(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b'\r' | b'\n')
    }

    fn is_break_or_end(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b'\r' | b'\n' | 0)
    }

    fn is_blank_or_end(&self, ahead: usize) -> bool {
        self.is_blank(ahead) || self.is_break_or_end(ahead)
    }

    fn skip(&mut self) {
        let Some(c) = self.rest().chars().next() else {
            return;
        };
        if !matches!(c, ' ' | '\t') {
            self.broken = false;
        }
        self.offset += c.len_utf8();
        self.index += 1;
        self.mark.column += 1;
    }

    fn skip_many(&mut self, count: usize) {
        for _ in 0..count {
            self.skip();
        }
    }

    fn skip_line(&mut self) {
        let width = match (self.byte(0), self.byte(1)) {
            (b'\r', b'\n') => 2,
            (b'\r' | b'\n', _) => 1,
            _ => return,
        };
        self.offset += width;
        self.index += width;
        self.mark = Position {
            line: self.mark.line + 1,
            column: 1,
        };
        self.broken = true;
    }

    fn skip_blanks(&mut self) {
        while self.is_blank(0) {
            self.skip();
        }
    }

    fn skip_to_break(&mut self) {
        while !self.is_break_or_end(0) {
            self.skip();
        }
    }

    fn is_first_a_possible_key(&mut self) -> Scanned<bool> {
        let (first, index, line) = (self.taken, self.index, self.mark.line);
        let Some(key) = self
            .keys
            .iter_mut()
            .find(|key| key.possible && key.token == first)
        else {
            return Ok(false);
        };
        still_valid(key, index, line)
    }

    fn fetch(&mut self) -> Scanned<()> {
        let before = self.mark;
        self.skip_to_token();
        self.unroll_indent(self.column(), before);
        let at_margin = self.mark.column == 1;
        let indicator = self
            .rest()
            .get(..3)
            .filter(|_| at_margin && self.is_blank_or_end(3));
        match (self.byte(0), indicator) {
            (0, _) => {
                self.fetch_stream_end()?;
                return Ok(());
            }
            (b'%', _) if at_margin => return self.fetch_directive(),
            (_, Some("---")) => return self.fetch_document_mark(Kind::DocumentStart),
            (_, Some("...")) => return self.fetch_document_mark(Kind::DocumentEnd),
            _ => {}
        }
        let in_flow = self.flow > 0;
        match self.byte(0) {
            b'[' => self.fetch_flow_start(Kind::FlowSequenceStart)?,
            b'{' => self.fetch_flow_start(Kind::FlowMappingStart)?,
            b']' => self.fetch_flow_end(Kind::FlowSequenceEnd)?,
            b'}' => self.fetch_flow_end(Kind::FlowMappingEnd)?,
            b',' => {
                self.remove_key()?;
                self.key_allowed = true;
                self.push_char(Kind::FlowEntry);
            }
            b'-' if self.is_blank_or_end(1) => self.fetch_block_entry()?,
            b'?' if in_flow || self.is_blank_or_end(1) => self.fetch_key()?,
            b':' if in_flow || self.is_blank_or_end(1) => self.fetch_value()?,
            b'*' | b'&' => self.fetch_anchor()?,
            b'!' => self.fetch_tag()?,
            b'|' | b'>' if !in_flow => self.fetch_block_scalar()?,
            b'\'' | b'"' => self.fetch_quoted()?,
            b'-' | b'?' | b':' => self.fetch_plain()?,
            b'\t' => return wrong(self.mark, "a tab cannot indent: write spaces"),
            b'#' | b'|' | b'>' | b'%' | b'@' | b'`' => {
                return wrong(
                    self.mark,
                    "a text cannot begin with this character: put the text in quotes",
                );
            }
            _ => self.fetch_plain()?,
        }
        if self.queue.back().is_none_or(|last| last.kind != Kind::BlockEntry) {
            self.skip_line_comment();
        }
        Ok(())
    }

    /// White space and comments before a token.
    fn skip_to_token(&mut self) {
        loop {
            // compat: Go looks for a byte order mark at the beginning of its buffer, not where it reads.
            if self.mark.column == 1 && self.text.starts_with('\u{feff}') && self.offset < BUFFER {
                self.skip();
            }
            while self.byte(0) == b' ' || self.byte(0) == b'\t' && (self.flow > 0 || !self.key_allowed) {
                self.skip();
            }
            if self.byte(0) == b'#' {
                self.skip_comments();
            }
            if !self.is_break(0) {
                return;
            }
            self.skip_line();
            if self.flow == 0 {
                self.key_allowed = true;
            }
        }
    }

    /// A comment and those that follow it with nothing but white space, tabs included, between them.
    fn skip_comments(&mut self) {
        let mut ahead = 0;
        while ahead < COMMENT_WITHIN {
            if self.byte(ahead) == b'#' {
                while self.byte(0) != b'#' {
                    if self.is_break(0) {
                        self.skip_line();
                    } else {
                        self.skip();
                    }
                }
                self.skip_to_break();
                ahead = 0;
            } else if !self.is_blank(ahead) && !self.is_break(ahead) {
                return;
            }
            ahead += 1;
        }
    }

    /// A comment behind a token, on its line.
    fn skip_line_comment(&mut self) {
        if self.broken {
            return;
        }
        let ahead = (0..COMMENT_WITHIN).find(|ahead| !self.is_blank(*ahead));
        if ahead.is_some_and(|ahead| self.byte(ahead) == b'#') {
            self.skip_to_break();
        }
    }

    fn save_key(&mut self) -> Scanned<()> {
        if !self.key_allowed {
            return Ok(());
        }
        self.remove_key()?;
        let key = SimpleKey {
            possible: true,
            required: self.flow == 0 && self.indent == self.column(),
            token: self.taken + self.queue.len(),
            at: self.mark,
            index: self.index,
        };
        if let Some(last) = self.keys.last_mut() {
            *last = key;
        }
        Ok(())
    }

    fn remove_key(&mut self) -> Scanned<()> {
        if let Some(key) = self.keys.last_mut() {
            if key.possible && key.required {
                return Err(missing_colon(key.at));
            }
            key.possible = false;
        }
        Ok(())
    }

    /// Begins a block where the text goes further to the right than what is around it; `token` is the one before which it
    /// begins.
    fn roll_indent(&mut self, at: Position, token: Option<usize>, kind: Kind<'t>) {
        let column = at.column as isize - 1;
        if self.flow > 0 || self.indent >= column {
            return;
        }
        self.indents.push(self.indent);
        self.indent = column;
        let place = token.map_or(self.queue.len(), |token| token - self.taken);
        self.insert(place, kind, at, at);
    }

    /// Ends, at a place, the blocks that stand further to the right.
    fn unroll_indent(&mut self, column: isize, at: Position) {
        while self.flow == 0 && self.indent > column {
            self.insert(self.queue.len(), Kind::BlockEnd, at, at);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn insert(&mut self, place: usize, kind: Kind<'t>, start: Position, end: Position) {
        let place = place.min(self.queue.len());
        self.queue.insert(place, Token { kind, start, end });
    }

    /// Appends a token that began at `start` and ends here.
    fn push(&mut self, kind: Kind<'t>, start: Position) {
        self.insert(self.queue.len(), kind, start, self.mark);
    }

    /// Appends a token of one character.
    fn push_char(&mut self, kind: Kind<'t>) {
        let start = self.mark;
        self.skip();
        self.push(kind, start);
    }
}

/// Whether the candidate can still become a key: its colon must come on the same line, and soon.
fn still_valid(key: &mut SimpleKey, index: usize, line: usize) -> Scanned<bool> {
    if key.possible && (key.at.line < line || key.index + KEY_WITHIN < index) {
        if key.required {
            return Err(missing_colon(key.at));
        }
        key.possible = false;
    }
    Ok(key.possible)
}

fn missing_colon(at: Position) -> SyntaxError {
    SyntaxError::new(
        at,
        "expected \"key: value\", found a text without a colon and a blank behind it",
    )
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}
