//! The parser: what Go's `regexp/syntax` accepts under its `Perl` flags, and what it says about the rest.

mod escape;

use regex_syntax::hir::Look;

use super::class;
use super::error::{Error, ErrorKind};
use super::node::{Node, Op};

/// An expression after parsing.
#[derive(Debug)]
pub(super) struct Parsed {
    pub node: Node,
    /// Group names by index, group 0 included; empty where there is none.
    pub names: Vec<Box<str>>,
}

/// Parses an expression.
pub(super) fn parse(source: &str) -> Result<Parsed, Error> {
    let mut parser = Parser::new(source);
    parser.run()?;
    parser.finish()
}

/// The flags that `(?flags)` sets.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    /// `i`: letters match in either case.
    fold: bool,
    /// `m`: `^` and `$` match at lines.
    multi_line: bool,
    /// `s`: `.` matches a newline.
    dot_newline: bool,
    /// `U`: repetitions prefer fewer, and `?` after them more.
    lazy: bool,
}

/// A group that is open, or the expression itself.
#[derive(Debug)]
struct Group {
    /// Index of the capture; `None` for groups that only group.
    capture: Option<u32>,
    /// The flags to return to when it closes.
    flags: Flags,
    /// Alternatives before the last `|`.
    alternatives: Vec<Node>,
    /// What stands after it.
    sequence: Vec<Node>,
}

impl Group {
    fn new(capture: Option<u32>, flags: Flags) -> Self {
        Self {
            capture,
            flags,
            alternatives: Vec::new(),
            sequence: Vec::new(),
        }
    }

    fn alternative(&mut self) {
        let sequence = std::mem::take(&mut self.sequence);
        self.alternatives.push(Node::concat(sequence));
    }
}

#[derive(Debug)]
struct Parser<'s> {
    source: &'s str,
    /// What is still to be read.
    rest: &'s str,
    flags: Flags,
    /// The group that is being filled.
    group: Group,
    /// The groups around it, outermost first.
    outer: Vec<Group>,
    names: Vec<Box<str>>,
    /// Where the repetition operator before this token began, if there was one.
    last_repeat: Option<&'s str>,
}

type Parse<T> = Result<T, Error>;

impl<'s> Parser<'s> {
    fn new(source: &'s str) -> Self {
        Self {
            source,
            rest: source,
            flags: Flags::default(),
            group: Group::new(None, Flags::default()),
            outer: Vec::new(),
            names: vec!["".into()],
            last_repeat: None,
        }
    }

    fn run(&mut self) -> Parse<()> {
        while let Some(c) = self.rest.chars().next() {
            let before = self.rest;
            let mut repeat = None;
            match c {
                '(' if before.starts_with("(?") => self.flags_or_group()?,
                '(' => {
                    self.skip(1);
                    self.open_capture("");
                }
                '|' => {
                    self.skip(1);
                    self.group.alternative();
                }
                ')' => {
                    self.skip(1);
                    self.close_group()?;
                }
                '^' if self.flags.multi_line => self.look(1, Look::StartLF)?,
                '^' => self.look(1, Look::Start)?,
                '$' if self.flags.multi_line => self.look(1, Look::EndLF)?,
                '$' => self.look(1, Look::End)?,
                '.' => {
                    self.skip(1);
                    let newline: &[(u32, u32)] = if self.flags.dot_newline {
                        &[]
                    } else {
                        &[(0x0a, 0x0a)]
                    };
                    self.push(Node::class(class::negated(class::ranges(newline))))?;
                }
                '[' => {
                    let class = self.bracket()?;
                    self.push(class)?;
                }
                '*' | '+' | '?' => {
                    self.skip(1);
                    let op = match c {
                        '*' => Op::Star,
                        '+' => Op::Plus,
                        _ => Op::Quest,
                    };
                    self.repeat(op, before)?;
                    repeat = Some(before);
                }
                '{' => match counts(before) {
                    None => {
                        self.skip(1);
                        self.push(Node::literal('{', self.flags.fold))?;
                    }
                    Some((bounds, rest)) => {
                        self.rest = rest;
                        let Some((min, max)) = bounds else {
                            return self.fail(ErrorKind::InvalidRepeatSize, before);
                        };
                        self.repeat(Op::Count { min, max }, before)?;
                        repeat = Some(before);
                    }
                },
                '\\' => self.backslash()?,
                c => {
                    self.skip(c.len_utf8());
                    self.push(Node::literal(c, self.flags.fold))?;
                }
            }
            self.last_repeat = repeat;
        }
        Ok(())
    }

    fn finish(mut self) -> Parse<Parsed> {
        self.group.alternative();
        let alternatives = std::mem::take(&mut self.group.alternatives);
        let node = self.checked(Node::alternate(alternatives))?;
        if !self.outer.is_empty() {
            return Err(Error::new(ErrorKind::MissingParen, self.source));
        }
        Ok(Parsed {
            node,
            names: self.names,
        })
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or("");
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.skip(c.len_utf8());
        Some(c)
    }

    /// An error about what stands from `from` to where we are.
    fn fail<T>(&self, kind: ErrorKind, from: &str) -> Parse<T> {
        let part = from.len() - self.rest.len();
        Err(Error::new(kind, from.get(..part).unwrap_or(from)))
    }

    fn checked(&self, node: Node) -> Parse<Node> {
        node.check().map_err(|kind| Error::new(kind, self.source))
    }

    fn push(&mut self, node: Node) -> Parse<()> {
        let node = self.checked(node)?;
        self.group.sequence.push(node);
        Ok(())
    }

    fn look(&mut self, bytes: usize, look: Look) -> Parse<()> {
        self.skip(bytes);
        self.push(Node::look(look))
    }

    fn open(&mut self, capture: Option<u32>, inner: Flags) {
        let group = Group::new(capture, self.flags);
        self.outer.push(std::mem::replace(&mut self.group, group));
        self.flags = inner;
    }

    fn open_capture(&mut self, name: &str) {
        let index = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.into());
        self.open(Some(index), self.flags);
    }

    fn close_group(&mut self) -> Parse<()> {
        let Some(outer) = self.outer.pop() else {
            return Err(Error::new(ErrorKind::UnexpectedParen, self.source));
        };
        let mut group = std::mem::replace(&mut self.group, outer);
        group.alternative();
        self.flags = group.flags;
        let node = self.checked(Node::alternate(group.alternatives))?;
        self.push(match group.capture {
            Some(index) => Node::capture(index, node),
            None => node,
        })
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)` or `(?flags:`.
    fn flags_or_group(&mut self) -> Parse<()> {
        let start = self.rest;
        let name_at = if start.starts_with("(?P<") && start.len() > 4 {
            Some(4)
        } else if start.starts_with("(?<") && start.len() > 3 {
            Some(3)
        } else {
            None
        };
        if let Some(name_at) = name_at {
            let Some(end) = start.find('>') else {
                return Err(Error::new(ErrorKind::InvalidNamedCapture, start));
            };
            self.skip(end + 1);
            let name = start.get(name_at..end).unwrap_or("");
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return self.fail(ErrorKind::InvalidNamedCapture, start);
            }
            self.open_capture(name);
            return Ok(());
        }
        self.skip(2);
        let mut flags = self.flags;
        let mut value = true;
        // Whether a flag followed the minus sign.
        let mut seen = false;
        while let Some(c) = self.take() {
            match c {
                'i' => flags.fold = value,
                'm' => flags.multi_line = value,
                's' => flags.dot_newline = value,
                'U' => flags.lazy = value,
                '-' if value => {
                    value = false;
                    seen = false;
                    continue;
                }
                ':' | ')' if value || seen => {
                    if c == ':' {
                        self.open(None, flags);
                    } else {
                        self.flags = flags;
                    }
                    return Ok(());
                }
                _ => break,
            }
            seen = true;
        }
        self.fail(ErrorKind::InvalidPerlOp, start)
    }

    /// Applies a repetition operator, which began at `before` and is read, to the part before it.
    fn repeat(&mut self, op: Op, before: &'s str) -> Parse<()> {
        let mut greedy = !self.flags.lazy;
        if self.rest.starts_with('?') {
            self.skip(1);
            greedy = !greedy;
        }
        if let Some(last) = self.last_repeat {
            return self.fail(ErrorKind::InvalidRepeatOp, last);
        }
        let Some(sub) = self.group.sequence.pop() else {
            return self.fail(ErrorKind::MissingRepeatArgument, before);
        };
        let node = self.checked(Node::repeat(op, greedy, sub))?;
        if matches!(op, Op::Count { .. }) && node.repeats_too_often() {
            return self.fail(ErrorKind::InvalidRepeatSize, before);
        }
        self.group.sequence.push(node);
        Ok(())
    }
}

/// Bounds of a counted repetition: `None` inside when they are out of range.
type Bounds = Option<(u32, Option<u32>)>;

/// Reads `{min}`, `{min,}` or `{min,max}` and returns what follows; `None` when it is none, and the brace a literal.
fn counts(text: &str) -> Option<(Bounds, &str)> {
    const MOST: u32 = 1000;
    let (min, rest) = integer(text.strip_prefix('{')?)?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (Some(min), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (max, rest) = integer(rest)?;
            (Some(max), rest)
        }
    };
    let rest = rest.strip_prefix('}')?;
    let valid = min <= MOST && max.is_none_or(|max| max <= MOST && min <= max);
    Some((valid.then_some((min, max)), rest))
}

/// Reads a decimal number without leading zeros; one too large to hold becomes the largest.
fn integer(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}
