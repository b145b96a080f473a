//! `query_response`: the dialogue of the tcp, unix and websocket probers.

use super::decode::{Decoder, Section};
use super::value::{Bytes, Nilable, Pattern, section};
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
    /// What to send, with `${1}` templates of the last match.
    pub send: Vec<u8>,
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
    omit expect_bytes as Bytes;
    omit labels as Nilable;
    omit send as Bytes;
    omit starttls;
});

impl Section for QueryResponse {
    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
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
