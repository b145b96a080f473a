//! Judging what came back: regular expressions, CEL, dialogues.

pub mod regexp;
pub mod template;

pub use regexp::{Match, Regexp};
pub use template::Template;
