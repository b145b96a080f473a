//! `query_response`: the dialogue of the tcp, unix and websocket probers.

use super::decode::{Decoder, Section, Value};
use super::schema::{self, Sections};
use super::tree::Tree;
use super::value::{Bytes, Nilable, Pattern, Write, section};
use super::yaml::Id;

/// One step of a dialogue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryResponse {
    /// Regular expression that a line must match.
    pub expect: Option<String>,
    /// Exact bytes to read (`!!binary` values are not text).
    pub expect_bytes: Vec<u8>,
    /// Labels of `probe_expect_info`; an empty list still makes the family.
    pub labels: Option<Vec<Label>>,
    /// Try `expect` on what came so far, without waiting for the end of the line; ours.
    pub prompt: bool,
    /// Bytes to read, in hexadecimal digits; ours.
    pub expect_hex: Hex,
    /// What to send, with `${1}` templates of the last match.
    pub send: Vec<u8>,
    /// Bytes to send as they are, in hexadecimal digits; ours.
    pub send_hex: Hex,
    /// Send without a line break at the end; ours.
    pub no_newline: bool,
    /// Upgrade the connection to TLS after this step.
    pub starttls: bool,
}

/// A label of `probe_expect_info`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Label {
    /// Label name.
    pub name: String,
    /// Template of the value.
    pub value: String,
}

section!(QueryResponse {
    omit expect as Pattern;
    omit prompt;
    omit expect_bytes as Bytes;
    omit expect_hex;
    omit labels as Nilable;
    omit send as Bytes;
    omit send_hex;
    omit no_newline;
    omit starttls;
});

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
        d.enter(node, |d, node| {
            let Some(text) = d.text(node) else { return false };
            match Self::parse(&text) {
                Some(bytes) => *self = bytes,
                None => {
                    let help = "write pairs of hexadecimal digits: 00 0a ff".to_owned();
                    d.report(node, "these are no bytes", Some(help));
                    return false;
                }
            }
            true
        })
    }

    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::text()
    }
}

impl Write for Hex {
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
                d.report_field(node, field, message, Some("make two steps of it".to_owned()));
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
        if self.expect.is_some() && !self.expect_bytes.is_empty() {
            let help = "make two steps of it".to_owned();
            d.report_field(
                node,
                "expect_bytes",
                "expect and expect_bytes are mutually exclusive",
                Some(help),
            );
        }
    }
}

section!(Label {
    omit name;
    omit value;
});

impl Section for Label {}
