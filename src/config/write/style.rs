//! Which of YAML's styles a text may be written in: `yaml_emitter_analyze_scalar` of libyaml.

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

/// What the characters of a text allow.
#[derive(Debug)]
pub(super) struct Analysis {
    pub multiline: bool,
    plain: bool,
    single_quoted: bool,
    literal: bool,
}

impl Analysis {
    pub fn of(text: &str, tabs_are_special: bool) -> Self {
        let mut found = Found::default();
        let mut after_blank = true;
        let mut previous = ' ';
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            let before_blank = chars.peek().is_none_or(|n| matches!(n, ' ' | '\t'));
            found.indicators |= match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`'
                    if first =>
                {
                    true
                }
                '?' | ':' | '-' if first => before_blank,
                ':' => before_blank,
                '#' => after_blank,
                _ => false,
            };
            if c == '\t' && !tabs_are_special {
                found.tabs = true;
            } else if !is_printable(c) {
                found.special = true;
            }
            let last = chars.peek().is_none();
            if c == ' ' {
                found.outer_space |= first || last;
                found.trailing_space |= last;
                found.break_space |= !first && is_break(previous);
            } else if is_break(c) {
                found.breaks = true;
                found.space_break |= !first && previous == ' ';
            }
            after_blank = matches!(c, ' ' | '\t' | '\0') || is_break(c);
            previous = c;
            first = false;
        }
        found.indicators |= text.starts_with("---") || text.starts_with("...");
        Self {
            multiline: found.breaks,
            plain: !(found.outer_space
                || found.break_space
                || found.space_break
                || found.tabs
                || found.special
                || found.breaks
                || found.indicators),
            single_quoted: !(found.break_space || found.space_break || found.tabs || found.special),
            literal: !(text.is_empty() || found.trailing_space || found.space_break || found.special),
        }
    }

    /// The style in which a text is written of which `wanted` is asked.
    pub fn choose(&self, text: &str, wanted: Style, is_simple_key: bool) -> Style {
        let mut style = wanted;
        if is_simple_key && self.multiline {
            style = Style::DoubleQuoted;
        }
        if style == Style::Plain && (!self.plain || text.is_empty() && is_simple_key) {
            style = Style::SingleQuoted;
        }
        if style == Style::SingleQuoted && !self.single_quoted
            || style == Style::Literal && (!self.literal || is_simple_key)
        {
            style = Style::DoubleQuoted;
        }
        style
    }
}

#[derive(Default)]
struct Found {
    indicators: bool,
    breaks: bool,
    special: bool,
    tabs: bool,
    outer_space: bool,
    trailing_space: bool,
    break_space: bool,
    space_break: bool,
}

/// What libyaml calls a line break.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What may stand unescaped. libyaml's Go port forgets the planes above the first.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}
