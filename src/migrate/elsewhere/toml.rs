//! TOML as JSON-like data.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

use crate::migrate::MigrateError;

/// How deep brackets may nest, and how many dots a key may have: more than any configuration has.
const DEEPEST: usize = 30;

/// TOML as data.
pub(super) fn toml(text: &str) -> Result<Value, MigrateError> {
    if is_nested_too_deeply(text) {
        return Err(MigrateError::Syntax("nested too deeply".to_owned()));
    }
    basic_toml::from_str(text).map_err(|error| MigrateError::Syntax(error.to_string()))
}

/// Whether TOML nests too deeply, by brackets or by keys with dots, for a reader that follows with its stack and in quadratic time.
fn is_nested_too_deeply(text: &str) -> bool {
    let (mut open, mut dots) = (0_usize, 0);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' => skip_string(c, &mut chars),
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '[' | '{' => (open, dots) = (open + 1, 0),
            ']' | '}' => open = open.saturating_sub(1),
            '.' => dots += 1,
            '=' | ',' | '\n' => dots = 0,
            _ => {}
        }
        if open.max(dots) > DEEPEST {
            return true;
        }
    }
    false
}

/// Skips a string of any of the four kinds, behind its first quote.
fn skip_string(quote: char, chars: &mut Peekable<Chars<'_>>) {
    let is_empty = chars.next_if_eq(&quote).is_some();
    let has_lines = is_empty && chars.next_if_eq(&quote).is_some();
    if is_empty && !has_lines {
        return;
    }
    let (mut quotes, wanted) = (0, if has_lines { 3 } else { 1 });
    while quotes < wanted
        && let Some(c) = chars.next()
    {
        quotes = if c == quote { quotes + 1 } else { 0 };
        if c == '\\' && quote == '"' {
            chars.next();
        }
    }
    // Two more would be the last of the text.
    while has_lines && quotes < 5 && chars.next_if_eq(&quote).is_some() {
        quotes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_what_is_outside_of_strings_and_comments() {
        let (dots, open) = (&".a".repeat(DEEPEST), "[".repeat(DEEPEST + 1));
        let deep = &format!("a{dots}.a = 1");
        let rows = [
            (deep.clone(), true),
            (format!("a{dots} = 1.5"), false),
            (
                format!("[a{dots}]\na{dots} = {{a{dots} = 1, b{dots} = 2}}"),
                false,
            ),
            (format!("[[{deep}"), true),
            (format!("x = {{{deep}}}"), true),
            (format!("x = {{y = 1, {deep}}}"), true),
            (format!("\"'\".{deep}"), true),
            (format!("'\"'.{deep}"), true),
            (format!("\"\\\"\".{deep}"), true),
            (format!("'\\'.{deep}"), true),
            (format!("''.{deep}"), true),
            (format!("x = '''\n'\n''', {deep}"), true),
            (format!("x = [\"\"\"\"x\"\"\"\"\", {{{deep}}}]"), true),
            (format!("# it's\n{deep}"), true),
            (format!("a{dots}# \n.a = 1"), false),
            (format!("# {deep}\nx = 1"), false),
            (format!("x = \"{deep}\""), false),
            (format!("x = '{open}'"), false),
            (format!("x = \"\"\"\n\"\"{deep}\\\"\"\"{open}\"\"\""), false),
            (format!("x = {open}"), true),
        ];
        for (text, want) in rows {
            assert_eq!(is_nested_too_deeply(&text), want, "{text}");
        }
    }

    #[test]
    fn the_deepest_that_is_read_needs_little_stack() {
        let key = format!("a{}", ".a".repeat(DEEPEST));
        let text = (0..DEEPEST).fold("1".to_owned(), |inner, _| format!("{{{key} = {inner}}}"));
        assert!(toml(&format!("[{key}]\n{key} = {text}\n")).is_ok());
    }
}
