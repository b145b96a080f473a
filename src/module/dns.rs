//! The compiled `dns` section.

use super::Problems;
use crate::config;

/// A dns module, ready to run.
#[derive(Debug)]
pub struct Dns {}

impl Dns {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(_raw: &config::Dns, _problems: &mut Problems) -> Self {
        Self {}
    }
}
