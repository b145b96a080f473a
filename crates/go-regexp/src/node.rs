//! The syntax tree of an expression, with the measures that Go limits.

use regex_syntax::hir::{ClassUnicode, Look};

use super::error::ErrorKind;

/// Deepest tree that Go accepts.
const MAX_HEIGHT: u16 = 1000;
/// Most instructions that Go compiles to: 128 MiB of 40 bytes each.
const MAX_SIZE: u64 = (128 << 20) / 40;
/// Most copies that nested counted repetitions may make.
const MAX_REPEAT: u64 = 1000;

/// Up to this weight every expression compiles, within a millisecond or two.
const SMALL_WEIGHT: u64 = 1500;
/// Up to this height it does on any thread's stack.
const SHALLOW: u16 = 100;

/// One part of an expression.
#[derive(Debug)]
pub(super) struct Node {
    pub kind: Kind,
    height: u16,
    /// Instructions it costs in Go's compiler.
    size: u64,
    /// Product of the counted repetitions along its worst path.
    repeat: u64,
}

#[derive(Debug)]
pub(super) enum Kind {
    Empty,
    /// Characters to match one after the other; `fold` ignores case.
    Literal {
        text: Vec<char>,
        fold: bool,
    },
    Class(ClassUnicode),
    Look(Look),
    Capture {
        index: u32,
        sub: Box<Node>,
    },
    Repeat(Repeat),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
}

#[derive(Debug)]
pub(super) struct Repeat {
    pub op: Op,
    pub greedy: bool,
    pub sub: Box<Node>,
}

/// Which repetition operator was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Star,
    Plus,
    Quest,
    /// `{min,max}`; no `max` means no limit.
    Count {
        min: u32,
        max: Option<u32>,
    },
}

impl Op {
    pub fn bounds(self) -> (u32, Option<u32>) {
        match self {
            Self::Star => (0, None),
            Self::Plus => (1, None),
            Self::Quest => (0, Some(1)),
            Self::Count { min, max } => (min, max),
        }
    }
}

impl Node {
    fn leaf(kind: Kind, size: u64) -> Self {
        Self {
            kind,
            height: 1,
            size: size.max(1),
            repeat: 1,
        }
    }

    pub fn empty() -> Self {
        Self::leaf(Kind::Empty, 1)
    }

    pub fn literal(c: char, fold: bool) -> Self {
        Self::leaf(Kind::Literal { text: vec![c], fold }, 1)
    }

    pub fn class(class: ClassUnicode) -> Self {
        Self::leaf(Kind::Class(class), 1)
    }

    pub fn look(look: Look) -> Self {
        Self::leaf(Kind::Look(look), 1)
    }

    pub fn capture(index: u32, sub: Node) -> Self {
        Self {
            height: sub.height.saturating_add(1),
            size: sub.size.saturating_add(2),
            repeat: sub.repeat,
            kind: Kind::Capture {
                index,
                sub: Box::new(sub),
            },
        }
    }

    pub fn repeat(op: Op, greedy: bool, sub: Node) -> Self {
        let size = match op {
            Op::Star => sub.size.saturating_add(2),
            Op::Plus | Op::Quest => sub.size.saturating_add(1),
            Op::Count { min: 0, max: None } => sub.size.saturating_add(2),
            Op::Count { min, max: None } => sub.size.saturating_mul(min.into()).saturating_add(1),
            Op::Count { min, max: Some(max) } => sub
                .size
                .saturating_mul(max.into())
                .saturating_add(max.saturating_sub(min).into()),
        };
        let repeat = match op {
            Op::Count { max: Some(0), .. } => 1,
            Op::Count { min, max } => sub.repeat.saturating_mul(max.unwrap_or(min).max(1).into()),
            Op::Star | Op::Plus | Op::Quest => sub.repeat,
        };
        Self {
            height: sub.height.saturating_add(1),
            size: size.max(1),
            repeat,
            kind: Kind::Repeat(Repeat {
                op,
                greedy,
                sub: Box::new(sub),
            }),
        }
    }

    /// Parts one after the other. Neighbouring literals become one, sequences in it are taken in.
    pub fn concat(parts: Vec<Node>) -> Self {
        let mut flat: Vec<Node> = Vec::with_capacity(parts.len());
        for part in parts {
            match (flat.last_mut(), part) {
                (
                    Some(Node {
                        kind: Kind::Literal { text, fold },
                        size,
                        ..
                    }),
                    Node {
                        kind:
                            Kind::Literal {
                                text: more,
                                fold: same,
                            },
                        ..
                    },
                ) if *fold == same => {
                    *size += more.len() as u64;
                    text.extend(more);
                }
                (
                    _,
                    Node {
                        kind: Kind::Concat(inner),
                        ..
                    },
                ) => flat.extend(inner),
                (_, part) => flat.push(part),
            }
        }
        Self::joined(flat, Kind::Concat, 0)
    }

    /// One of several parts. Alternations in it are taken in.
    pub fn alternate(parts: Vec<Node>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part.kind {
                Kind::Alternate(inner) => flat.extend(inner),
                _ => flat.push(part),
            }
        }
        let jumps = flat.len().saturating_sub(1) as u64;
        Self::joined(flat, Kind::Alternate, jumps)
    }

    fn joined(mut parts: Vec<Node>, kind: fn(Vec<Node>) -> Kind, jumps: u64) -> Self {
        if parts.len() <= 1 {
            return parts.pop().unwrap_or_else(Self::empty);
        }
        Self {
            height: parts
                .iter()
                .map(|p| p.height)
                .max()
                .unwrap_or(0)
                .saturating_add(1),
            size: parts.iter().fold(jumps, |sum, p| sum.saturating_add(p.size)),
            repeat: parts.iter().map(|p| p.repeat).max().unwrap_or(1),
            kind: kind(parts),
        }
    }

    /// Whether counted repetitions make more copies than Go allows.
    pub fn repeats_too_often(&self) -> bool {
        self.repeat > MAX_REPEAT
    }

    /// Go's limits on the whole.
    pub fn check(self) -> Result<Self, ErrorKind> {
        if self.size > MAX_SIZE {
            Err(ErrorKind::Large)
        } else if self.height > MAX_HEIGHT {
            Err(ErrorKind::NestingDepth)
        } else {
            Ok(self)
        }
    }

    /// Whether it can be compiled wherever it is, beyond doubt.
    pub fn is_small(&self) -> bool {
        self.is_shallow() && self.weight() <= SMALL_WEIGHT
    }

    /// Ranges of characters, of all copies that are made: what the engine's states grow with.
    fn weight(&self) -> u64 {
        match &self.kind {
            Kind::Empty | Kind::Look(_) => 1,
            Kind::Literal { text, .. } => text.len() as u64,
            Kind::Class(class) => class.ranges().len() as u64,
            Kind::Capture { sub, .. } => sub.weight(),
            Kind::Repeat(Repeat { op, sub, .. }) => {
                let (min, max) = op.bounds();
                sub.weight().saturating_mul(max.unwrap_or(min).max(1).into())
            }
            Kind::Concat(parts) | Kind::Alternate(parts) => parts
                .iter()
                .fold(0, |sum: u64, part| sum.saturating_add(part.weight())),
        }
    }

    /// Whether a thread's own stack is enough for what recurses into it.
    pub fn is_shallow(&self) -> bool {
        self.height <= SHALLOW
    }
}
