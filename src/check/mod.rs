//! Judging what came back: regular expressions and CEL.

pub mod cel;
pub mod regexp;
mod stack;
pub mod template;

pub use cel::Cel;
pub use regexp::{Match, Regexp};
pub use template::Template;

/// The bytes as text, with U+FFFD in the place of each byte that is not UTF-8, as Go reads them.
fn repaired(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n(
            char::REPLACEMENT_CHARACTER,
            chunk.invalid().len(),
        ));
    }
    text
}
