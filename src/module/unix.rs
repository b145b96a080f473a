//! The compiled `unix` section.

use super::Problems;
use crate::config;

/// A unix module, ready to run.
#[derive(Debug)]
pub struct Unix {}

impl Unix {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(_raw: &config::Unix, _problems: &mut Problems) -> Self {
        Self {}
    }
}
