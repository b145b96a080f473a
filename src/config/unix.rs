//! Section `unix`.

use super::{QueryResponse, Tls};

/// Settings of the unix prober.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Unix {
    pub query_response: Vec<QueryResponse>,
    pub tls: bool,
    pub tls_config: Tls,
}
