//! `query_response`: the dialogue of the tcp, unix and websocket probers.

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
