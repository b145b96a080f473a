//! Section `unix`.

use super::query_response::QueryResponse;
use crate::config::client::tls::Tls;
use crate::config::codec::section::{Section, section};
use crate::config::codec::shared::Shared;

section! {
    /// Settings of the unix prober.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct Unix {
        omit query_response: Vec<QueryResponse>,
        omit tls: bool,
        omit tls_config: Shared<Tls>,
        /// Whether to look certificates up in lists of revoked ones.
        omit check_revoked: bool,
    }
}

impl Section for Unix {}
