//! From the syntax tree to the engines' intermediate form.

use gostd::stack;
use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, Repetition};

use super::class::folded;
use super::node::{Kind, Node};

/// Enough for the deepest tree that is accepted.
const DEEP_STACK: usize = 64 << 20;

/// Compiles the tree with `build`, which recurses as deeply as the tree nests, on a stack that is large enough for it.
/// `None` when no such stack can be had.
pub(super) fn with_enough_stack<T: Send>(node: &Node, build: impl FnOnce(&Hir) -> T + Send) -> Option<T> {
    if node.is_shallow() {
        return Some(build(&translate(node)));
    }
    stack::with(DEEP_STACK, || build(&translate(node)))
}

fn translate(node: &Node) -> Hir {
    match &node.kind {
        Kind::Empty => Hir::empty(),
        Kind::Literal { text, fold: false } => {
            let text: String = text.iter().collect();
            Hir::literal(text.into_bytes())
        }
        Kind::Literal { text, fold: true } => {
            Hir::concat(text.iter().map(|c| folded_character(*c)).collect())
        }
        Kind::Class(class) => Hir::class(Class::Unicode(class.clone())),
        Kind::Look(look) => Hir::look(*look),
        Kind::Capture { index, sub } => Hir::capture(Capture {
            index: *index,
            name: None,
            sub: Box::new(translate(sub)),
        }),
        Kind::Repeat(repeat) => {
            let (min, max) = repeat.op.bounds();
            Hir::repetition(Repetition {
                min,
                max,
                greedy: repeat.greedy,
                sub: Box::new(translate(&repeat.sub)),
            })
        }
        Kind::Concat(parts) => Hir::concat(parts.iter().map(translate).collect()),
        Kind::Alternate(parts) => Hir::alternation(parts.iter().map(translate).collect()),
    }
}

fn folded_character(c: char) -> Hir {
    let class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    Hir::class(Class::Unicode(folded(class)))
}
