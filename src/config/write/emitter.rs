//! The text itself: libyaml's emitter as both versions of Go's YAML package carry it, cut down to what a configuration
//! needs (block collections, empty ones as `{}` and `[]`).

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use go_yaml::scalar;

use super::order;
use super::style::{Analysis, Style, is_break, is_printable};
use crate::config::codec::tree::Tree;
use crate::config::codec::yaml_version::YamlVersion;

/// Writes a document.
pub(super) fn emit(tree: Tree, version: YamlVersion) -> String {
    let mut emitter = Emitter {
        out: String::new(),
        version,
        column: 0,
        indent: None,
        whitespace: true,
        indention: true,
    };
    emitter.node(tree, Place::Root);
    emitter.write_indent();
    emitter.out
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Value,
    SimpleKey,
}

struct Emitter {
    out: String,
    version: YamlVersion,
    /// Characters since the last line break.
    column: usize,
    /// `None` outside of the outermost collection.
    indent: Option<usize>,
    /// Whether the last character was white space.
    whitespace: bool,
    /// Whether there is nothing but indentation on the line.
    indention: bool,
}

impl Emitter {
    fn node(&mut self, tree: Tree, place: Place) {
        match tree {
            Tree::Null => self.scalar("null", None, Style::Plain, place),
            Tree::Bool(truth) => self.scalar(if truth { "true" } else { "false" }, None, Style::Plain, place),
            Tree::Int(number) => self.scalar(&number.to_string(), None, Style::Plain, place),
            Tree::Plain(text) => self.scalar(&text, None, Style::Plain, place),
            Tree::Text(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => self.text(text, place),
                Err(_) => self.binary(&bytes, place),
            },
            Tree::List(items) => self.list(items, place),
            Tree::Section(entries) => self.map(entries, place),
            Tree::Map(entries) => self.map(order::sort(entries, self.version), place),
            Tree::Keyed(entries) => self.keyed(entries, place),
        }
    }

    fn list(&mut self, items: Vec<Tree>, place: Place) {
        if items.is_empty() {
            return self.empty("[", "]");
        }
        let outer = self.indent;
        let indentless = self.version == YamlVersion::V2 && place == Place::Value && !self.indention;
        if !indentless {
            self.increase_indent(false, place);
        }
        for item in items {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, Place::Item);
        }
        self.indent = outer;
    }

    fn map(&mut self, entries: Vec<(String, Tree)>, place: Place) {
        self.entries(entries, place, |emitter, key| {
            let is_simple = key.len() <= 128 && !key.contains(is_break);
            if is_simple {
                emitter.text(&key, Place::SimpleKey);
                emitter.indicator(":", false, false, false);
            } else {
                emitter.indicator("?", true, false, true);
                emitter.text(&key, Place::Value);
                emitter.write_indent();
                emitter.indicator(":", true, false, true);
            }
        });
    }

    fn keyed(&mut self, entries: Vec<(Tree, Tree)>, place: Place) {
        self.entries(entries, place, |emitter, key| {
            emitter.node(key, Place::SimpleKey);
            emitter.indicator(":", false, false, false);
        });
    }

    /// The entries of a mapping, of which `write_key` writes the keys with what follows them.
    fn entries<K>(&mut self, entries: Vec<(K, Tree)>, place: Place, write_key: impl Fn(&mut Self, K)) {
        if entries.is_empty() {
            return self.empty("{", "}");
        }
        let outer = self.indent;
        self.increase_indent(false, place);
        for (key, value) in entries {
            self.write_indent();
            write_key(self, key);
            self.node(value, Place::Value);
        }
        self.indent = outer;
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.indicator(open, true, true, false);
        self.indicator(close, false, false, false);
    }

    fn increase_indent(&mut self, flow: bool, place: Place) {
        let step = self.version.step();
        self.indent = Some(match (self.indent, self.version) {
            (None, _) => {
                if flow {
                    step
                } else {
                    0
                }
            }
            (Some(indent), YamlVersion::V2) => indent + step,
            // The first step inside a list only skips the "- ".
            (Some(indent), YamlVersion::V3) if place == Place::Item => indent + 2,
            (Some(indent), YamlVersion::V3) => (indent / step + 1) * step,
        });
    }

    fn text(&mut self, text: &str, place: Place) {
        let style = if text.contains('\n') {
            Style::Literal
        } else if scalar::is_text(text) && !is_base_60(text) {
            Style::Plain
        } else {
            Style::DoubleQuoted
        };
        self.scalar(text, None, style, place);
    }

    fn binary(&mut self, bytes: &[u8], place: Place) {
        let encoded = BASE64.encode(bytes);
        let encoded: Cow<'_, str> = if encoded.len() < 70 {
            encoded.into()
        } else {
            let lines: Vec<_> = encoded
                .as_bytes()
                .chunks(70)
                .map(String::from_utf8_lossy)
                .collect();
            (lines.join("\n") + "\n").into()
        };
        let style = if encoded.contains('\n') {
            Style::Literal
        } else {
            Style::Plain
        };
        self.scalar(&encoded, Some("!!binary"), style, place);
    }

    fn scalar(&mut self, text: &str, tag: Option<&str>, style: Style, place: Place) {
        let is_simple_key = place == Place::SimpleKey;
        let style = Analysis::of(text, self.version == YamlVersion::V2).choose(text, style, is_simple_key);
        if let Some(tag) = tag {
            self.space();
            self.put_all(tag);
            (self.whitespace, self.indention) = (false, false);
        }
        let outer = self.indent;
        self.increase_indent(true, place);
        match style {
            Style::Plain => self.plain(text, !is_simple_key),
            Style::SingleQuoted => self.single_quoted(text, !is_simple_key),
            Style::DoubleQuoted => self.double_quoted(text, !is_simple_key),
            Style::Literal => self.literal(text),
        }
        self.indent = outer;
    }

    fn plain(&mut self, text: &str, may_fold: bool) {
        if self.version == YamlVersion::V2 || !text.is_empty() {
            self.space();
        }
        let mut after_space = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let is_space = c == ' ';
            if is_space
                && may_fold
                && !after_space
                && self.column > self.version.width()
                && chars.peek() != Some(&' ')
            {
                self.write_indent();
            } else {
                self.put(c);
            }
            if !is_space {
                self.indention = false;
            }
            after_space = is_space;
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, may_fold: bool) {
        self.indicator("'", true, false, false);
        let (mut after_space, mut after_break) = (false, false);
        let length = text.chars().count();
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            let next_is_space = chars.peek().is_some_and(|(_, n)| *n == ' ');
            if c == ' ' {
                let inner = at > 0 && at + 1 < length;
                if may_fold && !after_space && self.column > self.version.width() && inner && !next_is_space {
                    self.write_indent();
                } else {
                    self.put(c);
                }
                after_space = true;
            } else if is_break(c) {
                if !after_break && c == '\n' {
                    self.put_break();
                }
                self.write_break(c);
                after_break = true;
            } else {
                if after_break {
                    self.write_indent();
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.indention = false;
                (after_space, after_break) = (false, false);
            }
        }
        self.indicator("'", false, false, false);
    }

    fn double_quoted(&mut self, text: &str, may_fold: bool) {
        self.indicator("\"", true, false, false);
        let mut after_space = false;
        let length = text.chars().count();
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            if !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                self.put_all(&escape(c));
                after_space = false;
            } else if c == ' ' {
                if may_fold && !after_space && self.column > self.version.width() && at > 0 && at + 1 < length
                {
                    self.write_indent();
                    if chars.peek().is_some_and(|(_, n)| *n == ' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                after_space = true;
            } else {
                self.put(c);
                after_space = false;
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            let hint = self.version.step().to_string();
            self.indicator(&hint, false, false, false);
        }
        let mut from_end = text.chars().rev();
        let chomping = match (from_end.next(), from_end.next()) {
            (Some(last), _) if !is_break(last) => "-",
            (Some(_), None) => "+",
            (Some(_), Some(before)) if is_break(before) => "+",
            (None, _) => "-",
            _ => "",
        };
        if !chomping.is_empty() {
            self.indicator(chomping, false, false, false);
        }
        self.put_break();
        self.indention = true;
        self.whitespace = true;
        let mut after_break = true;
        for c in text.chars() {
            if is_break(c) {
                self.write_break(c);
                self.indention = true;
                after_break = true;
            } else {
                if after_break {
                    self.write_indent();
                }
                self.put(c);
                self.indention = false;
                after_break = false;
            }
        }
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or_default();
        if !self.indention || self.column > indent || self.column == indent && !self.whitespace {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        if self.version == YamlVersion::V2 {
            self.indention = true;
        }
    }

    fn indicator(&mut self, text: &str, needs_space: bool, is_whitespace: bool, is_indention: bool) {
        if needs_space {
            self.space();
        }
        self.put_all(text);
        self.whitespace = is_whitespace;
        self.indention = self.indention && is_indention;
    }

    fn space(&mut self) {
        if !self.whitespace {
            self.put(' ');
        }
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_all(&mut self, text: &str) {
        text.chars().for_each(|c| self.put(c));
    }

    fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
        if self.version == YamlVersion::V3 {
            self.indention = true;
        }
    }

    fn write_break(&mut self, c: char) {
        if c == '\n' {
            self.put_break();
        } else {
            self.out.push(c);
            self.column = 0;
            self.indention |= self.version == YamlVersion::V3;
        }
    }
}

fn escape(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let mut out = String::new();
            // Writing to a String cannot fail.
            let _ = match u32::from(c) {
                code @ ..=0xff => write!(out, "\\x{code:02X}"),
                code @ ..=0xffff => write!(out, "\\u{code:04X}"),
                code => write!(out, "\\U{code:08X}"),
            };
            return out;
        }
    };
    format!("\\{short}")
}

/// YAML 1.1's numbers of minutes and seconds: `^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let mut sixties = parts.peekable();
    sixties.peek().is_some()
        && first.starts_with(|c: char| c.is_ascii_digit())
        && digits(first)
        && digits(fraction)
        && sixties.all(|part| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']))
}
