//! The log book of one probe: a value that is written to while the probe runs and rendered only when someone reads it.
//!
//! Message texts and keys are upstream's, because log pipelines match on them.

use std::borrow::Cow;
use std::fmt;
use std::iter::{Copied, Zip};
use std::net::IpAddr;
use std::slice::Iter;
use std::time::SystemTime;

use gostd::address::Address;
use smallvec::SmallVec;

use crate::carried;

/// How much a line matters, in slog's order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Level {
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

impl Level {
    /// The name as slog prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum LogValue {
    /// Text from anywhere: it is escaped when it is rendered.
    Text(Cow<'static, str>),
    /// Bytes, as [excerpt] makes text of them: quoted in logfmt even where text is not, as slog prints a `[]byte`.
    Bytes(Box<str>),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A moment, printed in RFC 3339.
    Time(SystemTime),
    /// An address without a zone, printed when the line is.
    Ip(IpAddr),
    /// An address with a zone. Boxed: values are many, and few are such addresses.
    Address(Box<Address>),
}

impl LogValue {
    /// Text, or bytes as text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(text) => Some(text),
            _ => None,
        }
    }

    fn replace_text(&mut self, text: String) {
        match self {
            Self::Bytes(old) => *old = text.into(),
            other => *other = text.into(),
        }
    }
}

impl fmt::Display for LogValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bytes(text) => f.write_str(text),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Time(moment) => f.write_str(&gostd::calendar::rfc3339(*moment)),
        }
    }
}

macro_rules! from {
    ($($($kind:ty),+ => |$value:ident| $made:expr;)+) => {$($(
        impl From<$kind> for LogValue {
            fn from($value: $kind) -> Self {
                $made
            }
        }
    )+)+};
}
from! {
    &'static str, String => |text| Self::Text(text.into());
    u8, u16, u32, i32 => |number| Self::Int(number.into());
    i64 => |number| Self::Int(number);
    u64, usize => |number| Self::Int(i64::try_from(number).unwrap_or(i64::MAX));
    f64 => |number| Self::Float(number);
    bool => |truth| Self::Bool(truth);
    Address => |address| match address.zone {
        None => Self::Ip(address.ip),
        Some(_) => Self::Address(Box::new(address)),
    };
    SystemTime => |moment| Self::Time(moment);
}

/// The value of something that has a text form, made when the line is written.
pub fn text(value: impl fmt::Display) -> LogValue {
    LogValue::Text(Cow::Owned(value.to_string()))
}

/// Bytes from a peer as text: at most `limit` bytes, what is not UTF-8 [carried], `…` where it was cut.
pub fn excerpt(bytes: &[u8], limit: usize) -> LogValue {
    LogValue::Text(Cow::Owned(beginning_of_bytes(bytes, limit)))
}

/// The same, where upstream logs bytes and not a string.
pub fn excerpt_bytes(bytes: &[u8], limit: usize) -> LogValue {
    LogValue::Bytes(beginning_of_bytes(bytes, limit).into())
}

fn beginning_of_bytes(bytes: &[u8], limit: usize) -> String {
    let shown = bytes.get(..limit).unwrap_or(bytes);
    let mut shown = carried::text(shown).into_owned();
    if bytes.len() > limit {
        shown.push('…');
    }
    shown
}

/// The beginning of a text form: at most `limit` bytes are made of it, `…` where it was cut.
pub fn excerpt_of(value: impl fmt::Display, limit: usize) -> LogValue {
    LogValue::Text(Cow::Owned(beginning(value, limit)))
}

fn beginning(value: impl fmt::Display, limit: usize) -> String {
    struct Limited(String, usize);

    impl fmt::Write for Limited {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let Self(shown, limit) = self;
            let room = text.floor_char_boundary(*limit - shown.len());
            shown.push_str(text.get(..room).unwrap_or(text));
            if room < text.len() {
                Err(fmt::Error)
            } else {
                Ok(())
            }
        }
    }

    let mut limited = Limited(String::new(), limit);
    if fmt::write(&mut limited, format_args!("{value}")).is_err() {
        limited.0.push('…');
    }
    limited.0
}

/// The beginning of a text: at most `limit` bytes, `…` where it was cut.
pub fn cut(mut text: String, limit: usize) -> LogValue {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text.into()
}

/// Most bytes of a peer's line, header or message that a log line shows.
pub const EXCERPT: usize = 1024;

/// Most bytes of any text on a line.
// compat: upstream's lines have no end.
const LONGEST: usize = 4096;

/// Most lines that one probe may write, and most bytes of their texts; the rest is counted.
const MAX_EVENTS: usize = 1000;
const MAX_BYTES: usize = 256 << 10;

/// How much there is still room for then above the level of debugging: a talkative peer must not hide why the probe failed.
const RESERVED_EVENTS: usize = 100;
const RESERVED_BYTES: usize = 64 << 10;

/// One line of the log book.
#[derive(Clone, Debug)]
pub struct Event {
    /// Wall-clock time.
    pub at: SystemTime,
    /// How much it matters.
    pub level: Level,
    /// The message.
    pub message: &'static str,
    /// What wrote it.
    pub place: &'static Place,
    /// The values of the keys, without module and target, which all lines share.
    pub values: SmallVec<[LogValue; 2]>,
}

/// What the lines of one place in the program have in common.
#[derive(Debug)]
pub struct Place {
    /// `file.rs:line`.
    pub source: &'static str,
    /// The keys.
    pub keys: &'static [&'static str],
}

/// Keys and values of a line.
pub type Attributes<'e> = Zip<Copied<Iter<'static, &'static str>>, Iter<'e, LogValue>>;

impl Event {
    /// Its keys and values.
    pub fn attributes(&self) -> Attributes<'_> {
        self.place.keys.iter().copied().zip(self.values.iter())
    }
}

/// The log book itself.
#[derive(Clone, Debug, Default)]
pub struct ProbeLog {
    events: Vec<Event>,
    /// Of the texts of all events.
    bytes: usize,
    dropped: usize,
}

impl ProbeLog {
    /// An empty log book with room for so many lines.
    pub fn with_capacity(lines: usize) -> Self {
        Self {
            events: Vec::with_capacity(lines),
            ..Self::default()
        }
    }

    /// Writes a line; use the [`log!`](crate::log) macro, which knows the place.
    pub fn write(&mut self, mut event: Event) {
        let (most, most_bytes) = match event.level {
            Level::Debug => (MAX_EVENTS, MAX_BYTES),
            _ => (MAX_EVENTS + RESERVED_EVENTS, MAX_BYTES + RESERVED_BYTES),
        };
        if self.events.len() >= most || self.bytes >= most_bytes {
            self.dropped += 1;
            return;
        }
        for value in &mut event.values {
            let length = value.as_text().map_or(0, str::len);
            if let Some(text) = value.as_text().filter(|_| length > LONGEST) {
                let cut = beginning(text, LONGEST);
                value.replace_text(cut);
            }
            self.bytes += length.min(LONGEST);
        }
        self.events.push(event);
    }

    /// Replaces the values for which `rewrite` has another text.
    pub fn rewrite(&mut self, rewrite: impl Fn(&str) -> Option<String>) {
        for value in self.events.iter_mut().flat_map(|event| &mut event.values) {
            if let Some(rewritten) = value.as_text().and_then(&rewrite) {
                value.replace_text(rewritten);
            }
        }
    }

    /// The lines in the order in which they were written.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many bytes their texts have.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many lines were left out because the probe wrote too many.
    pub fn dropped(&self) -> usize {
        self.dropped
    }
}

/// Writes a line into a [`ProbeLog`]: `log!(probe.log, Error, "Error dialing TCP", "err" => text(&err))`.
#[macro_export]
macro_rules! log {
    ($log:expr, $level:ident, $message:expr $(, $key:literal => $value:expr)* $(,)?) => {
        $log.write($crate::probe_log::Event {
            at: std::time::SystemTime::now(),
            level: $crate::probe_log::Level::$level,
            message: $message,
            place: &$crate::probe_log::Place {
                source: concat!(file!(), ":", line!()),
                keys: &[$($key),*],
            },
            values: smallvec::smallvec![$($crate::probe_log::LogValue::from($value)),*],
        })
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_cut_between_characters() {
        let rows = [
            ("abc", 3, "abc"),
            ("abcd", 3, "abc…"),
            ("aü", 2, "a…"),
            ("", 0, ""),
        ];
        for (whole, limit, want) in rows {
            assert_eq!(excerpt_of(whole, limit), LogValue::from(want), "{whole}");
            assert_eq!(cut(whole.to_owned(), limit), LogValue::from(want), "{whole}");
        }
    }
}
