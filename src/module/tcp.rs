//! The compiled `tcp` section.

use super::Problems;
use crate::config;

/// A tcp module, ready to run.
#[derive(Debug)]
pub struct Tcp {}

impl Tcp {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(_raw: &config::Tcp, _problems: &mut Problems) -> Self {
        Self {}
    }
}
