//! Section `unix`.

use super::decode::Section;
use super::value::section;
use super::{QueryResponse, Shared, Tls};

/// Settings of the unix prober.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Unix {
    pub query_response: Vec<QueryResponse>,
    pub tls: bool,
    pub tls_config: Shared<Tls>,
    /// Whether to look certificates up in lists of revoked ones.
    pub check_revoked: bool,
}

section!(Unix {
    omit query_response;
    omit tls;
    omit tls_config;
    omit check_revoked;
});

impl Section for Unix {
    fn begin(&mut self) {
        *self = Self::default();
    }
}
