//! Judging what came back: regular expressions and CEL.

pub mod cel;
pub mod regexp;
mod stack;
pub mod template;

pub use cel::Cel;
pub use regexp::{Match, Regexp};
pub use template::Template;
