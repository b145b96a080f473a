//! The compiled `http` section.

use super::Problems;
use crate::config;

/// A http module, ready to run.
#[derive(Debug)]
pub struct Http {}

impl Http {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(_raw: &config::Http, _problems: &mut Problems) -> Self {
        Self {}
    }
}
