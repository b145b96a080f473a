//! `valid_status_codes`: codes, and (ours) ranges of them.

use std::fmt;

use go_yaml::Id;
use go_yaml::scalar::Scalar;

use crate::config::codec::decode::Decoder;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::tree::Tree;
use crate::config::codec::value::Value;

/// Status codes from the first to the last one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCodes {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
    form: Form,
}

/// How they were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Code,
    Range,
    Class,
}

impl StatusCodes {
    /// A single code.
    pub fn code(code: i64) -> Self {
        Self {
            first: code,
            last: code,
            form: Form::Code,
        }
    }

    /// Whether a code is one of them.
    pub fn contains(self, code: i64) -> bool {
        (self.first..=self.last).contains(&code)
    }

    /// `2xx` or `200-399`.
    fn parse(text: &str) -> Option<Self> {
        if let Some(class) = text.strip_suffix("xx") {
            let class: i64 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
            return Some(Self {
                first: class * 100,
                last: class * 100 + 99,
                form: Form::Class,
            });
        }
        let (first, last) = text.split_once('-')?;
        let number = |text: &str| text.trim().parse().ok().filter(|code| (100..=599).contains(code));
        let (first, last) = (number(first)?, number(last)?);
        (first <= last).then_some(Self {
            first,
            last,
            form: Form::Range,
        })
    }
}

impl fmt::Display for StatusCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            Form::Code => write!(f, "{}", self.first),
            Form::Range => write!(f, "{}-{}", self.first, self.last),
            Form::Class => write!(f, "{}xx", self.first / 100),
        }
    }
}

impl fmt::Debug for StatusCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Value for StatusCodes {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            let written = match d.scalar(node, "a status code") {
                Some(Scalar::Text(text)) => Some(text),
                _ => None,
            };
            let Some(text) = written else {
                let mut code: i64 = 0;
                let good = code.decode(node, d);
                if good && !(100..=599).contains(&code) {
                    d.warn_here(node, format!("no server responds with the status {code}"), None);
                }
                *self = Self::code(code);
                return good;
            };
            match Self::parse(text) {
                Some(range) => *self = range,
                None => {
                    let help = "write a code, a class or a range: 200, 2xx, 200-399";
                    d.report(node, format!("{text:?} is not a status code"), help);
                    return false;
                }
            }
            true
        })
    }

    fn schema(_: &mut Sections) -> serde_json::Value {
        let pattern = "^([1-5]xx|[1-5][0-9][0-9] *- *[1-5][0-9][0-9])$";
        serde_json::json!({"anyOf": [schema::number(), {"type": "string", "pattern": pattern}]})
    }
    fn is_zero(&self) -> bool {
        false
    }
    fn tree(&self) -> Tree {
        match self.form {
            Form::Code => Tree::Int(self.first),
            Form::Range | Form::Class => Tree::text(self.to_string()),
        }
    }
}
