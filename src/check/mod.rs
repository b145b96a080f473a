//! Judging what came back: regular expressions and CEL.

pub mod cel;

pub use cel::Cel;
pub use go_regexp::{self as regexp, Match, Regexp, Template};
