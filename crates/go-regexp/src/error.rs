//! Why an expression is none, in Go's words.

/// What is wrong with an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ErrorKind {
    InvalidCharRange,
    InvalidEscape,
    InvalidNamedCapture,
    InvalidPerlOp,
    InvalidRepeatOp,
    InvalidRepeatSize,
    MissingBracket,
    MissingParen,
    MissingRepeatArgument,
    TrailingBackslash,
    UnexpectedParen,
    NestingDepth,
    Large,
}

impl ErrorKind {
    /// Go's text for it.
    pub fn text(self) -> &'static str {
        match self {
            Self::InvalidCharRange => "invalid character class range",
            Self::InvalidEscape => "invalid escape sequence",
            Self::InvalidNamedCapture => "invalid named capture",
            Self::InvalidPerlOp => "invalid or unsupported Perl syntax",
            Self::InvalidRepeatOp => "invalid nested repetition operator",
            Self::InvalidRepeatSize => "invalid repeat count",
            Self::MissingBracket => "missing closing ]",
            Self::MissingParen => "missing closing )",
            Self::MissingRepeatArgument => "missing argument to repetition operator",
            Self::TrailingBackslash => "trailing backslash at end of expression",
            Self::UnexpectedParen => "unexpected )",
            Self::NestingDepth => "expression nests too deeply",
            Self::Large => "expression too large",
        }
    }
}

/// An expression that does not compile. Displays as Go's error does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {}: `{}`", .kind.text(), .part)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// The part of the expression that is wrong.
    pub part: Box<str>,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, part: &str) -> Self {
        Self {
            kind,
            part: part.into(),
        }
    }

    /// What helps who is used to another syntax.
    pub fn hint(&self) -> Option<&'static str> {
        let part = &*self.part;
        let begins = |starts: &[&str]| starts.iter().any(|start| part.starts_with(start));
        if begins(&["(?=", "(?!", "(?<=", "(?<!"]) {
            Some(
                "RE2 has no look-ahead and no look-behind; two expressions can often say the same, one that must match and \
                 one that must not",
            )
        } else if self.kind == ErrorKind::InvalidEscape
            && part
                .chars()
                .nth(1)
                .is_some_and(|c| c.is_ascii_digit() || c == 'k')
        {
            Some("RE2 has no references to groups")
        } else if begins(&["(?>"]) {
            Some("RE2 has no atomic groups, and needs none: it never goes back")
        } else if self.kind == ErrorKind::MissingRepeatArgument && begins(&["*"]) {
            Some("\"*\" repeats what stands before it: \".*\" is any text")
        } else {
            None
        }
    }
}
