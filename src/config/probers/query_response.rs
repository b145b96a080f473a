//! `query_response`: the dialogue of the tcp, unix and websocket probers.

use go_yaml::Id;

use crate::config::codec::decode::Decoder;
use crate::config::codec::schema::{self, Sections};
use crate::config::codec::section::{Section, section};
use crate::config::codec::tree::Tree;
use crate::config::codec::value::{Bytes, Nilable, Pattern, Value};

section! {
    /// One step of a dialogue.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct QueryResponse {
        /// Regular expression that a line must match.
        omit expect: Option<String> as Pattern,
        /// Try `expect` on what came so far, without waiting for the end of the line; ours.
        omit prompt: bool,
        /// Exact bytes to read (`!!binary` values are not text).
        omit expect_bytes: Vec<u8> as Bytes,
        /// Bytes to read, in hexadecimal digits; ours.
        omit expect_hex: Hex,
        /// Labels of `probe_expect_info`; an empty list still makes the family.
        omit labels: Option<Vec<Label>> as Nilable,
        /// What to send, with `${1}` templates of the last match.
        omit send: Vec<u8> as Bytes,
        /// Bytes to send as they are, in hexadecimal digits; ours.
        omit send_hex: Hex,
        /// Send without a line break at the end; ours.
        omit no_newline: bool,
        /// Upgrade the connection to TLS after this step.
        omit starttls: bool,
    }
}

section! {
    /// A label of `probe_expect_info`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Label {
        /// Label name.
        omit name: String,
        /// Template of the value.
        omit value: String,
    }
}

/// Bytes that are written in hexadecimal digits, blanks between them or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl Hex {
    fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u32> = text
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_digit(16))
            .collect::<Option<_>>()?;
        let (pairs, []) = digits.as_chunks() else {
            return None;
        };
        let bytes = pairs.iter().map(|[high, low]| u8::try_from(high << 4 | low));
        bytes.collect::<Result<_, _>>().ok().map(Self)
    }
}

impl Value for Hex {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.parsed(node, self, |text| {
            let help = "write pairs of hexadecimal digits: 00 0a ff";
            Self::parse(text).ok_or_else(|| ("these are no bytes".to_owned(), help))
        })
    }
    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::form(r"^(\s*[0-9A-Fa-f]\s*[0-9A-Fa-f])*\s*$")
    }
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }
    fn tree(&self) -> Tree {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        Tree::text(pairs.join(" "))
    }
}

impl Section for QueryResponse {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        let mut both = |field: &str, other: &str, are_set: bool| {
            if are_set {
                let message = format!("{field} and {other} are mutually exclusive");
                d.report_field(node, field, message, "make two steps of it");
            }
        };
        let expects_hex = !self.expect_hex.0.is_empty();
        both("expect_hex", "expect", expects_hex && self.expect.is_some());
        both(
            "expect_hex",
            "expect_bytes",
            expects_hex && !self.expect_bytes.is_empty(),
        );
        both(
            "send_hex",
            "send",
            !self.send_hex.0.is_empty() && !self.send.is_empty(),
        );
        if self.prompt && self.expect.is_none() {
            let message = "prompt has no effect without expect";
            d.report_field(node, "prompt", message, None);
        }
        if self.no_newline && self.send.is_empty() {
            let message = "no_newline has no effect without send";
            d.report_field(node, "no_newline", message, None);
        }
        if self.expect.is_some() && !self.expect_bytes.is_empty() {
            let help = "make two steps of it";
            d.report_field(
                node,
                "expect_bytes",
                "expect and expect_bytes are mutually exclusive",
                help,
            );
        }
    }
}

impl Section for Label {}
