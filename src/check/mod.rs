//! Judging what came back: regular expressions, CEL, dialogues.

pub mod cel;
pub mod query_response;
pub mod regexp;
mod stack;
pub mod template;

pub use cel::Cel;
pub use regexp::{Match, Regexp};
pub use template::Template;
