//! The compiled `icmp` section.

use super::Problems;
use crate::config;

/// A icmp module, ready to run.
#[derive(Debug)]
pub struct Icmp {}

impl Icmp {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(_raw: &config::Icmp, _problems: &mut Problems) -> Self {
        Self {}
    }
}
