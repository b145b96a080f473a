//! The compiled `unix` section.

use super::{Problems, Step};
use crate::config;
use crate::net::tls::ClientTls;

/// A unix module, ready to run.
#[derive(Debug)]
pub struct Unix {
    /// Whether the connection begins with TLS.
    pub tls: bool,
    /// How TLS is done, at the beginning or at a `starttls` step.
    pub tls_config: ClientTls,
    /// The dialogue.
    pub steps: Vec<Step>,
}

impl Unix {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(raw: &config::Unix, problems: &mut Problems) -> Self {
        Self {
            tls: raw.tls,
            tls_config: problems.tls(&raw.tls_config),
            steps: Step::compile_all(&raw.query_response, "unix", problems),
        }
    }
}
